/* SPDX-License-Identifier: Apache-2.0 */
#include "state/session_file.h"

#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/diag.h"
#include "state/chunks.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "states are written as they lie in memory, and the file is little-endian"
#endif

#define HEADER     64u
#define VERSION    1u
#define MAX_TOKENS (UINT64_C(1) << 32)
static const char magic[8] = {'G', 'L', 'A', 'S', 'E', 'S', 'S', '\n'};

typedef struct header {
    uint32_t n_entries, kv_dtype;
    uint64_t model_hash, position, index_bytes, index_hash;
} header;

/* ---- sizes ---- */

/* Pages that a table keeps at a position. */
static uint64_t page_count(uint64_t position, uint32_t window)
{
    const uint64_t end = gla__kv_end_page(position), first = gla__kv_first_page(position, window);

    return end > first ? end - first : 0;
}

/* Bytes of the stream; false when they do not fit 64 bits. */
static bool stream_bytes(const gla__state_layout *l, uint32_t kv_dtype, uint64_t position,
                         uint64_t *out)
{
    uint64_t n, total;

    if (position > MAX_TOKENS || !gla__mul_u64(position, sizeof(int32_t), &total) ||
        !gla__add_u64(total, l->fixed_bytes, &total))
        return false;
    for (uint32_t i = 0; i < l->n_entries; i++) {
        const gla_state_desc *d = &l->entries[i].desc;
        gla__kv_page_layout page;

        if (d->kind != GLA_STATE_PER_TOKEN)
            continue;
        gla__kv_page(kv_dtype, d->kv_heads, d->k_dim, d->v_dim, &page);
        if (!gla__mul_u64(page_count(position, d->window), page.bytes, &n) ||
            !gla__add_u64(total, n, &total))
            return false;
    }
    *out = total;
    return true;
}

static size_t entry_bytes(const gla__state_entry *e)
{
    return 2 + strlen(e->desc.name) + 12 + 8 * (size_t)e->desc.ndim + 16;
}

static size_t entries_bytes(const gla__state_layout *l)
{
    size_t n = 0;

    for (uint32_t i = 0; i < l->n_entries; i++)
        n += entry_bytes(&l->entries[i]);
    return n;
}

/* ---- the index: entries ---- */

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    gla__store_u32(p, v);
    return p + 4;
}

static uint8_t *put_entry(uint8_t *p, const gla__state_entry *e)
{
    const gla_state_desc *d = &e->desc;
    const size_t n = strlen(d->name);

    gla__store_u16(p, (uint16_t)n);
    memcpy(p + 2, d->name, n);
    p = put_u32(p + 2 + n, d->kind);
    p = put_u32(p, e->revision);
    p = put_u32(p, d->ndim);
    for (uint32_t i = 0; i < d->ndim; i++, p += 8)
        gla__store_u64(p, (uint64_t)d->dims[i]);
    p = put_u32(p, d->kv_heads);
    p = put_u32(p, d->k_dim);
    p = put_u32(p, d->v_dim);
    return put_u32(p, d->window);
}

static gla_status differs(gla_diag *diag, const char *what, uint64_t file, uint64_t model)
{
    return gla__fail(diag, GLA_E_MISMATCH, "%s %" PRIu64 " in the file, %" PRIu64 " in this model",
                     what, file, model);
}

/* Compares n bytes at p with what this entry would be; says what differs first. */
static gla_status check_entry(const uint8_t *p, size_t n, const gla__state_entry *e, size_t *used,
                              gla_diag *diag)
{
    const gla_state_desc *d = &e->desc;
    const size_t name = strlen(d->name);
    const struct {
        const char *what;
        uint32_t model;
    } tail[] = {{"heads", d->kv_heads},
                {"key channels", d->k_dim},
                {"value channels", d->v_dim},
                {"window", d->window}};

    *used = entry_bytes(e);
    if (n < 2 || n - 2 < gla__load_u16(p))
        return gla__fail(diag, GLA_E_CORRUPT, "the index ends early");
    if (gla__load_u16(p) != name || memcmp(p + 2, d->name, name) != 0)
        return gla__fail(diag, GLA_E_MISMATCH, "the file has another state in its place");
    if (n < *used)
        return gla__fail(diag, GLA_E_CORRUPT, "the index ends early");
    p += 2 + name;
    if (gla__load_u32(p) != d->kind)
        return differs(diag, "kind", gla__load_u32(p), d->kind);
    if (gla__load_u32(p + 4) != e->revision)
        return differs(diag, "layer revision", gla__load_u32(p + 4), e->revision);
    if (gla__load_u32(p + 8) != d->ndim)
        return differs(diag, "dimensions", gla__load_u32(p + 8), d->ndim);
    p += 12;
    for (uint32_t i = 0; i < d->ndim; i++, p += 8)
        if (gla__load_u64(p) != (uint64_t)d->dims[i])
            return differs(diag, "size", gla__load_u64(p), (uint64_t)d->dims[i]);
    for (size_t i = 0; i < 4; i++, p += 4)
        if (gla__load_u32(p) != tail[i].model)
            return differs(diag, tail[i].what, gla__load_u32(p), tail[i].model);
    return GLA_OK;
}

/* ---- the stream ---- */

/* What the stream consists of, in order; pages of the sequence itself. */
static gla__segment *make_segments(const gla__sequence *q, size_t *n)
{
    gla__segment *segments;
    size_t count = 2, at = 0;

    for (uint32_t i = 0; i < q->n_tables; i++)
        count += q->tables[i].n;
    *n = count;
    segments = gla__alloc_array(count, sizeof(*segments));
    if (!segments)
        return NULL;
    segments[at++] = (gla__segment){(uint8_t *)q->tokens, q->position * sizeof(*q->tokens)};
    segments[at++] = (gla__segment){(uint8_t *)q->fixed, q->store->layout->fixed_bytes};
    for (uint32_t i = 0; i < q->n_tables; i++)
        for (size_t j = 0; j < q->tables[i].n; j++)
            segments[at++] = (gla__segment){q->tables[i].pages[j], q->tables[i].page_bytes};
    return segments;
}

/* Zeroes numbers of the tokens from `used` on in [heads][page tokens][bytes]. */
static void clear_rows(uint8_t *part, uint32_t heads, size_t bytes, size_t used)
{
    for (uint32_t h = 0; h < heads; h++)
        memset(part + (h * (size_t)GLA__KV_PAGE_TOKENS + used) * bytes, 0,
               (GLA__KV_PAGE_TOKENS - used) * bytes);
}

/* What cut-off tokens left in the last page is nobody's business, and would make equal sessions
 * give different files. */
static void clear_unused(uint8_t *page, const gla_state_desc *d, uint32_t kv_dtype, size_t used)
{
    const size_t width = kv_dtype == GLA_DTYPE_F32 ? 4 : kv_dtype == GLA_DTYPE_BF16 ? 2 : 1;
    gla__kv_page_layout l;

    gla__kv_page(kv_dtype, d->kv_heads, d->k_dim, d->v_dim, &l);
    clear_rows(page, d->kv_heads, d->k_dim * width, used);
    clear_rows(page + l.v_offset, d->kv_heads, d->v_dim * width, used);
    if (kv_dtype != GLA_DTYPE_I8)
        return;
    clear_rows(page + l.k_scale_offset, d->kv_heads, sizeof(float), used);
    if (d->v_dim)
        clear_rows(page + l.v_scale_offset, d->kv_heads, sizeof(float), used);
}

/* Puts cleared copies in place of the last, partly used pages.  *copies: gla__free(). */
static gla_status clear_last_pages(const gla__sequence *q, gla__segment *segments, uint8_t **copies,
                                   gla_diag *diag)
{
    const size_t used = (size_t)(q->position % GLA__KV_PAGE_TOKENS);
    size_t bytes = 0, at = 2;
    uint8_t *copy;

    *copies = NULL;
    if (!used)
        return GLA_OK;
    for (uint32_t i = 0; i < q->n_tables; i++)
        bytes += q->tables[i].page_bytes;
    copy = *copies = gla__alloc(bytes);
    if (!copy)
        return gla__fail_nomem(diag, "a session's last pages");
    for (uint32_t i = 0; i < q->n_tables; i++) {
        const gla__kv_table *t = &q->tables[i];

        at += t->n;
        memcpy(copy, segments[at - 1].data, t->page_bytes);
        clear_unused(copy, &q->store->layout->entries[t->entry].desc, q->kv_dtype, used);
        segments[at - 1].data = copy;
        copy += t->page_bytes;
    }
    return GLA_OK;
}

/* ---- saving ---- */

static void put_header(uint8_t *p, const header *h)
{
    memcpy(p, magic, sizeof(magic));
    gla__store_u32(p + 8, VERSION);
    gla__store_u32(p + 12, h->n_entries);
    gla__store_u64(p + 16, h->model_hash);
    gla__store_u64(p + 24, h->position);
    gla__store_u32(p + 32, h->kv_dtype);
    gla__store_u32(p + 36, (uint32_t)GLA__CHUNK_BYTES);
    gla__store_u64(p + 40, h->index_bytes);
    gla__store_u64(p + 48, h->index_hash);
    gla__store_u64(p + 56, XXH3_64bits(p, 56));
}

/* head: header and index, the entries filled in and the chunk table empty. */
static gla_status write_file(gla__writer *w, uint8_t *head, header *h, size_t table,
                             const gla__segment *segments, size_t n, gla_diag *diag)
{
    gla_status st;

    /* The place of the head first; its content is known when the chunks are. */
    st = gla__writer_write(w, head, HEADER + (size_t)h->index_bytes, diag);
    if (!st)
        st = gla__chunks_write(w, segments, n, head + table, diag);
    if (st)
        return st;
    h->index_hash = XXH3_64bits(head + HEADER, (size_t)h->index_bytes);
    put_header(head, h);
    return gla__writer_write_at(w, 0, head, HEADER + (size_t)h->index_bytes, diag);
}

static gla_status save_to(const char *path, uint8_t *head, header *h, size_t table,
                          const gla__segment *segments, size_t n, gla_diag *diag)
{
    gla__writer w;
    gla_status st = gla__writer_open(&w, path, diag);

    if (st)
        return st;
    st = write_file(&w, head, h, table, segments, n, diag);
    if (st) {
        gla__writer_abort(&w);
        return st;
    }
    return gla__writer_commit(&w, diag);
}

gla_status gla__session_file_save(const gla__sequence *q, uint64_t model_hash, const char *path,
                                  gla_diag *diag)
{
    const gla__state_layout *l = q->store->layout;
    header h = {.n_entries = l->n_entries,
                .kv_dtype = q->kv_dtype,
                .model_hash = model_hash,
                .position = q->position};
    const size_t table = HEADER + entries_bytes(l);
    gla__segment *segments = NULL;
    uint8_t *head = NULL, *copies = NULL, *p;
    uint64_t raw;
    size_t n;
    gla_status st = GLA_E_LIMIT;

    if (!stream_bytes(l, q->kv_dtype, q->position, &raw))
        return gla__fail(diag, GLA_E_LIMIT, "the session is too large for a file");
    h.index_bytes = table - HEADER + gla__chunk_count(raw) * GLA__CHUNK_RECORD;
    head = gla__alloc_zero(HEADER + (size_t)h.index_bytes);
    segments = make_segments(q, &n);
    if (!head || !segments) {
        st = gla__fail_nomem(diag, "saving a session");
        goto out;
    }
    p = head + HEADER;
    for (uint32_t i = 0; i < l->n_entries; i++)
        p = put_entry(p, &l->entries[i]);
    st = clear_last_pages(q, segments, &copies, diag);
    if (!st)
        st = save_to(path, head, &h, table, segments, n, diag);
out:
    gla__free(head);
    gla__free(segments);
    gla__free(copies);
    return st;
}

/* ---- loading ---- */

static gla_status read_header(const gla__file *f, header *h, gla_diag *diag)
{
    uint8_t p[HEADER];
    gla_status st;

    memset(h, 0, sizeof(*h));
    if (f->size < HEADER)
        return gla__fail(diag, GLA_E_CORRUPT, "not a session file: only %" PRIu64 " bytes",
                         f->size);
    st = gla__file_read(f, 0, p, HEADER, diag);
    if (st)
        return st;
    if (memcmp(p, magic, sizeof(magic)) != 0)
        return gla__fail(diag, GLA_E_CORRUPT, "not a session file");
    if (gla__load_u32(p + 8) != VERSION)
        return gla__fail(diag, GLA_E_VERSION, "session file of version %" PRIu32 ", %u is known",
                         gla__load_u32(p + 8), VERSION);
    if (gla__load_u64(p + 56) != XXH3_64bits(p, 56))
        return gla__fail(diag, GLA_E_CHECKSUM, "the header is damaged");
    h->n_entries = gla__load_u32(p + 12);
    h->model_hash = gla__load_u64(p + 16);
    h->position = gla__load_u64(p + 24);
    h->kv_dtype = gla__load_u32(p + 32);
    h->index_bytes = gla__load_u64(p + 40);
    h->index_hash = gla__load_u64(p + 48);
    if (gla__load_u32(p + 36) != GLA__CHUNK_BYTES)
        return gla__fail(diag, GLA_E_CORRUPT, "chunks of %" PRIu32 " bytes", gla__load_u32(p + 36));
    return GLA_OK;
}

/* Most bytes a session may take: what gla_limits allows for weights. */
static uint64_t memory_limit(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages / 5 * 4 * (uint64_t)size : UINT64_MAX;
}

/* Whether the header fits the model; *raw: bytes of the stream. */
static gla_status check_header(const gla__file *f, const header *h, const gla__state_layout *l,
                               uint64_t model_hash, uint64_t *raw, gla_diag *diag)
{
    const uint64_t limit = memory_limit();

    *raw = 0;
    if (h->model_hash != model_hash) {
        gla__fail(diag, GLA_E_MISMATCH,
                  "saved with another model: %016" PRIx64 ", this one is %016" PRIx64,
                  h->model_hash, model_hash);
        gla__hint(diag, "sessions belong to the exact architecture and weights");
        return GLA_E_MISMATCH;
    }
    if (h->n_entries != l->n_entries)
        return differs(diag, "number of states", h->n_entries, l->n_entries);
    if (h->kv_dtype != GLA_DTYPE_F32 && h->kv_dtype != GLA_DTYPE_BF16 &&
        h->kv_dtype != GLA_DTYPE_I8)
        return gla__fail(diag, GLA_E_CORRUPT, "KV cache of dtype %" PRIu32, h->kv_dtype);
    if (!stream_bytes(l, h->kv_dtype, h->position, raw) || *raw > limit)
        return gla__fail(diag, GLA_E_LIMIT,
                         "session of %" PRIu64 " tokens; at most %" PRIu64 " bytes allowed",
                         h->position, limit);
    if (h->index_bytes > f->size - HEADER ||
        h->index_bytes / GLA__CHUNK_RECORD < gla__chunk_count(*raw))
        return gla__fail(diag, GLA_E_CORRUPT, "index of %" PRIu64 " bytes in a file of %" PRIu64,
                         h->index_bytes, f->size);
    return GLA_OK;
}

/* Checks the index against the model and the file; *table: offset of the chunk table in it. */
static gla_status check_index(const gla__file *f, const header *h, const gla__state_layout *l,
                              const uint8_t *index, uint64_t raw, size_t *table, gla_diag *diag)
{
    const size_t size = (size_t)h->index_bytes;
    size_t at = 0, used;
    uint64_t stored;
    gla_status st;

    *table = 0;
    if (XXH3_64bits(index, size) != h->index_hash)
        return gla__fail(diag, GLA_E_CHECKSUM, "the index is damaged");
    for (uint32_t i = 0; i < l->n_entries; i++, at += used) {
        st = check_entry(index + at, size - at, &l->entries[i], &used, diag);
        if (st) {
            gla__at(diag, l->entries[i].desc.name);
            return st;
        }
    }
    *table = at;
    if (size - at != gla__chunk_count(raw) * GLA__CHUNK_RECORD)
        return gla__fail(diag, GLA_E_CORRUPT, "chunk table of %zu bytes for a stream of %" PRIu64,
                         size - at, raw);
    st = gla__chunks_check(index + at, raw, &stored, diag);
    if (st)
        return st;
    if (f->size - HEADER - size != stored)
        return gla__fail(diag, GLA_E_CORRUPT, "file of %" PRIu64 " bytes, its index says %" PRIu64,
                         f->size, HEADER + size + stored);
    return GLA_OK;
}

/* A sequence with all its pages, to be filled. */
static gla_status make_sequence(gla__sequence *q, gla__store *store, const header *h,
                                gla_diag *diag)
{
    gla_status st = gla__sequence_init(q, store, h->kv_dtype, diag);

    if (st)
        return st;
    for (uint32_t i = 0; i < q->n_tables; i++)
        q->tables[i].first = gla__kv_first_page(h->position, q->tables[i].window);
    st = gla__sequence_make_room(q, h->position, diag);
    for (uint32_t i = 0; !st && i < q->n_tables; i++) {
        gla__kv_table *t = &q->tables[i];
        const uint64_t n = page_count(h->position, t->window);

        while (!st && t->n < n) {
            st = gla__page_new(store, t->page_bytes, &t->pages[t->n], diag);
            if (!st)
                t->n++;
        }
    }
    q->position = h->position;
    return st;
}

static gla_status fill_sequence(gla__sequence *q, const gla__file *f, uint64_t offset,
                                const uint8_t *table, uint32_t vocab, gla_diag *diag)
{
    size_t n;
    gla__segment *segments = make_segments(q, &n);
    gla_status st;

    if (!segments)
        return gla__fail_nomem(diag, "loading a session");
    st = gla__chunks_read(f, offset, table, segments, n, diag);
    gla__free(segments);
    for (uint64_t i = 0; !st && i < q->position; i++)
        if (q->tokens[i] < 0 || (uint32_t)q->tokens[i] >= vocab)
            st = gla__fail(diag, GLA_E_CORRUPT,
                           "token %" PRId32 " is not in the vocabulary of %" PRIu32, q->tokens[i],
                           vocab);
    return st;
}

static gla_status load_from(gla__sequence *q, gla__store *store, uint64_t model_hash,
                            uint32_t vocab, const gla__file *f, gla_diag *diag)
{
    uint8_t *index = NULL;
    header h;
    uint64_t raw;
    size_t table;
    gla_status st = read_header(f, &h, diag);

    if (!st)
        st = check_header(f, &h, store->layout, model_hash, &raw, diag);
    if (st)
        return st;
    index = gla__alloc((size_t)h.index_bytes);
    if (!index)
        return gla__fail_nomem(diag, "the index of a session file");
    st = gla__file_read(f, HEADER, index, (size_t)h.index_bytes, diag);
    if (!st)
        st = check_index(f, &h, store->layout, index, raw, &table, diag);
    if (!st)
        st = make_sequence(q, store, &h, diag);
    if (!st)
        st = fill_sequence(q, f, HEADER + h.index_bytes, index + table, vocab, diag);
    gla__free(index);
    return st;
}

gla_status gla__session_file_load(gla__sequence *q, gla__store *store, uint64_t model_hash,
                                  uint32_t vocab, const char *path, gla_diag *diag)
{
    gla__file f;
    gla_status st;

    memset(q, 0, sizeof(*q));
    st = gla__file_open(&f, path, diag);
    if (st)
        return st;
    st = load_from(q, store, model_hash, vocab, &f, diag);
    gla__file_close(&f);
    if (st) {
        gla__at(diag, path);
        gla__sequence_deinit(q);
    }
    return st;
}
