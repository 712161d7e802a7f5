/* SPDX-License-Identifier: Apache-2.0 */
#include "state/session_file.h"

#include <gla/weights.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/memory.h"
#include "state/chunks.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "states are written as they lie in memory, and the file is little-endian"
#endif

#define HEADER     72u
#define VERSION    1u
#define MAX_TOKENS (UINT64_C(1) << 32)
#define SNAPSHOT   16u /* bytes of a snapshot's place in the index */
#define MARK       1u
static const char magic[8] = {'G', 'L', 'A', 'S', 'E', 'S', 'S', '\n'};

typedef struct header {
    uint32_t n_entries, kv_dtype, n_snapshots, n_logits;
    uint64_t model_hash, position, index_bytes, index_hash;
} header;

/* A snapshot in the file. */
typedef struct saved {
    uint64_t position;
    bool mark;
    gla__snapshot *snapshot; /* NULL when loading: there is no memory for it */
} saved;

/* ---- sizes ---- */

/* Adds the bytes of the pages at a position, of all tables or of those with a window. */
static bool add_pages(const gla__state_layout *l, uint32_t kv_dtype, uint64_t position, bool all,
                      uint64_t *total)
{
    for (uint32_t i = 0; i < l->n_entries; i++) {
        const gla_state_desc *d = &l->entries[i].desc;
        gla__kv_page_layout page;
        uint64_t n;

        if (d->kind != GLA_STATE_PER_TOKEN || !(all || d->window))
            continue;
        gla__kv_page(kv_dtype, d->kv_heads, d->k_dim, d->v_dim, &page);
        if (!gla__mul_u64(gla__kv_pages(position, d->window), page.bytes, &n) ||
            !gla__add_u64(*total, n, total))
            return false;
    }
    return true;
}

/* Bytes of the stream; false when they do not fit 64 bits.  list NULL: without the snapshots. */
static bool stream_bytes(const gla__state_layout *l, const header *h, const saved *list,
                         uint64_t *out)
{
    *out = 0;
    if (h->position > MAX_TOKENS)
        return false;
    /* below 2^45: the layout has a limit too */
    *out = h->position * sizeof(int32_t) + h->n_logits * (uint64_t)sizeof(float) + l->fixed_bytes;
    if (!add_pages(l, h->kv_dtype, h->position, true, out))
        return false;
    for (uint32_t i = 0; list && i < h->n_snapshots; i++)
        if (!gla__add_u64(*out, l->fixed_bytes, out) ||
            !add_pages(l, h->kv_dtype, list[i].position, false, out))
            return false;
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

/* What the stream consists of, in order: memory of the sequence and its snapshots. */
typedef struct stream {
    gla__segment *segments; /* [n] */
    size_t n;
    const gla__sequence *q;
    uint8_t *copies; /* of last pages, cleared; NULL when loading */
    size_t copied;
} stream;

static void stream_free(stream *s)
{
    gla__free(s->segments);
    gla__free(s->copies);
}

static void add(stream *s, void *data, size_t bytes)
{
    s->segments[s->n++] = (gla__segment){data, bytes};
}

/* n pages of a table as it is at a position; pages NULL: nowhere. */
static void add_table(stream *s, const gla__kv_table *t, uint8_t *const *pages, uint64_t n,
                      uint64_t position)
{
    const size_t used = (size_t)(position % GLA__KV_PAGE_TOKENS);

    for (uint64_t i = 0; i < n; i++) {
        uint8_t *page = pages ? pages[i] : NULL;

        if (s->copies && used && i + 1 == n) {
            /* copies are of pages that are there: NOLINTNEXTLINE(*.NonNullParamChecker) */
            page = memcpy(s->copies + s->copied, page, t->page_bytes);
            clear_unused(page, &s->q->store->layout->entries[t->entry].desc, s->q->kv_dtype, used);
            s->copied += t->page_bytes;
        }
        add(s, page, t->page_bytes);
    }
}

static void add_snapshot(stream *s, const saved *x)
{
    const gla__snapshot *p = x->snapshot;

    add(s, p ? p->fixed : NULL, s->q->store->layout->fixed_bytes);
    for (uint32_t i = 0; i < s->q->n_tables; i++) {
        const gla__kv_table *t = &s->q->tables[i];

        if (t->window)
            add_table(s, t, p ? p->pages + p->windows[i].start : NULL,
                      gla__kv_pages(x->position, t->window), x->position);
    }
}

/* Segments and last pages that there are at most. */
static void count_stream(const gla__sequence *q, const saved *list, uint32_t n, size_t *segments,
                         size_t *copies)
{
    *segments = 3 + (size_t)n;
    *copies = 0;
    for (uint32_t i = 0; i < q->n_tables; i++) {
        const gla__kv_table *t = &q->tables[i];

        *segments += t->n;
        *copies += t->page_bytes * (1 + (t->window ? (size_t)n : 0));
        for (uint32_t j = 0; t->window && j < n; j++)
            *segments += (size_t)gla__kv_pages(list[j].position, t->window);
    }
}

static gla_status make_stream(stream *s, const gla__sequence *q, const header *h, const saved *list,
                              bool saving, gla_diag *diag)
{
    size_t segments, copies;

    memset(s, 0, sizeof(*s));
    count_stream(q, list, h->n_snapshots, &segments, &copies);
    s->q = q;
    s->segments = gla__alloc_array(segments, sizeof(*s->segments));
    if (saving)
        s->copies = gla__alloc(copies);
    if (!s->segments || (saving && !s->copies))
        return gla__fail_nomem(diag, "the parts of a session file");
    add(s, q->tokens, q->position * sizeof(*q->tokens));
    add(s, q->logits, h->n_logits * sizeof(*q->logits));
    add(s, q->fixed, q->store->layout->fixed_bytes);
    for (uint32_t i = 0; i < q->n_tables; i++)
        add_table(s, &q->tables[i], q->tables[i].pages, q->tables[i].n, q->position);
    for (uint32_t i = 0; i < h->n_snapshots; i++)
        add_snapshot(s, &list[i]);
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
    gla__store_u32(p + 56, h->n_snapshots);
    gla__store_u32(p + 60, h->n_logits);
    gla__store_u64(p + 64, XXH3_64bits(p, 64));
}

/* Entries and snapshots; returns where the table of chunks begins. */
static uint8_t *put_index(uint8_t *p, const header *h, const gla__state_layout *l,
                          const saved *list)
{
    for (uint32_t i = 0; i < l->n_entries; i++)
        p = put_entry(p, &l->entries[i]);
    for (uint32_t i = 0; i < h->n_snapshots; i++, p += SNAPSHOT) {
        gla__store_u64(p, list[i].position);
        gla__store_u32(p + 8, list[i].mark ? MARK : 0);
        gla__store_u32(p + 12, 0);
    }
    return p;
}

/* The snapshots that go along, ascending, [*n]: turn ends first, the newest first, as far as the
 * budget goes.  One at the position itself would say nothing new. */
static saved *choose(const gla__ring *r, uint64_t position, uint64_t budget, uint32_t *n)
{
    saved *list = gla__alloc_array(r->n, sizeof(*list));

    *n = 0;
    for (int marks = 1; list && marks >= 0; marks--)
        for (size_t i = r->n; i--;) {
            const gla__ring_slot *slot = &r->slots[i];

            if (slot->mark != (marks == 1) || slot->snapshot->position >= position ||
                slot->snapshot->bytes > budget)
                continue;
            budget -= slot->snapshot->bytes;
            list[i] = (saved){slot->snapshot->position, slot->mark, slot->snapshot};
        }
    for (size_t i = 0; list && i < r->n; i++)
        if (list[i].snapshot)
            list[(*n)++] = list[i];
    return list;
}

/* head: header and index, filled in but for the table of chunks. */
static gla_status write_file(gla__writer *w, uint8_t *head, header *h, uint8_t *table,
                             const stream *s, gla_diag *diag)
{
    gla_status st;

    /* The place of the head first; its content is known when the chunks are. */
    st = gla__writer_write(w, head, HEADER + (size_t)h->index_bytes, diag);
    if (!st)
        st = gla__chunks_write(w, s->segments, s->n, table, diag);
    if (st)
        return st;
    h->index_hash = XXH3_64bits(head + HEADER, (size_t)h->index_bytes);
    put_header(head, h);
    return gla__writer_write_at(w, 0, head, HEADER + (size_t)h->index_bytes, diag);
}

static gla_status save_to(const char *path, uint8_t *head, header *h, uint8_t *table,
                          const stream *s, gla_diag *diag)
{
    gla__writer w;
    gla_status st = gla__writer_open(&w, path, diag);

    if (st)
        return st;
    st = write_file(&w, head, h, table, s, diag);
    if (st) {
        gla__writer_abort(&w);
        return st;
    }
    return gla__writer_commit(&w, diag);
}

gla_status gla__session_file_save(const gla__sequence *q, const gla__ring *ring,
                                  uint64_t snapshot_bytes, uint64_t model_hash, const char *path,
                                  gla_diag *diag)
{
    const gla__state_layout *l = q->store->layout;
    header h = {.n_entries = l->n_entries,
                .kv_dtype = q->kv_dtype,
                .model_hash = model_hash,
                .position = q->position,
                .n_logits = q->has_logits ? q->store->vocab : 0};
    saved *list = choose(ring, q->position, snapshot_bytes, &h.n_snapshots);
    stream s = {0};
    uint8_t *head = NULL;
    uint64_t raw;
    gla_status st;

    if (!list)
        return gla__fail_nomem(diag, "saving a session");
    if (!stream_bytes(l, &h, list, &raw)) {
        st = gla__fail(diag, GLA_E_LIMIT, "the session is too large for a file");
        goto out;
    }
    h.index_bytes = entries_bytes(l) + h.n_snapshots * (size_t)SNAPSHOT +
                    gla__chunk_count(raw) * GLA__CHUNK_RECORD;
    head = gla__alloc_zero(HEADER + (size_t)h.index_bytes);
    if (!head) {
        st = gla__fail_nomem(diag, "saving a session");
        goto out;
    }
    st = make_stream(&s, q, &h, list, true, diag);
    if (!st)
        st = save_to(path, head, &h, put_index(head + HEADER, &h, l, list), &s, diag);
out:
    stream_free(&s);
    gla__free(head);
    gla__free(list);
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
    if (gla__load_u64(p + 64) != XXH3_64bits(p, 64))
        return gla__fail(diag, GLA_E_CHECKSUM, "the header is damaged");
    h->n_entries = gla__load_u32(p + 12);
    h->model_hash = gla__load_u64(p + 16);
    h->position = gla__load_u64(p + 24);
    h->kv_dtype = gla__load_u32(p + 32);
    h->index_bytes = gla__load_u64(p + 40);
    h->index_hash = gla__load_u64(p + 48);
    h->n_snapshots = gla__load_u32(p + 56);
    h->n_logits = gla__load_u32(p + 60);
    if (gla__load_u32(p + 36) != GLA__CHUNK_BYTES)
        return gla__fail(diag, GLA_E_CORRUPT, "chunks of %" PRIu32 " bytes", gla__load_u32(p + 36));
    return GLA_OK;
}

static gla_status too_large(const header *h, gla_diag *diag)
{
    return gla__fail(diag, GLA_E_LIMIT,
                     "session of %" PRIu64 " tokens; at most %" PRIu64 " bytes allowed",
                     h->position, gla__most_of_memory());
}

/* Whether the header fits the model and what the caller wants. */
static gla_status check_header(const gla__file *f, const header *h, const gla__store *store,
                               uint64_t model_hash, uint32_t kv_dtype, gla_diag *diag)
{
    const gla__state_layout *l = store->layout;
    uint64_t raw; /* without the snapshots */

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
    if (kv_dtype && kv_dtype != h->kv_dtype) {
        gla__fail(diag, GLA_E_MISMATCH, "its KV cache is of %s, %s is wanted",
                  gla_dtype_name(h->kv_dtype), gla_dtype_name(kv_dtype));
        gla__hint(diag, "a session keeps the KV type that it began with");
        return GLA_E_MISMATCH;
    }
    if (h->n_logits && (h->n_logits != store->vocab || !h->position))
        return gla__fail(diag, GLA_E_CORRUPT,
                         "logits of %" PRIu32 " numbers after %" PRIu64
                         " tokens, the vocabulary has %" PRIu32,
                         h->n_logits, h->position, store->vocab);
    if (!stream_bytes(l, h, NULL, &raw) || raw > gla__most_of_memory())
        return too_large(h, diag);
    if (h->index_bytes > f->size - HEADER ||
        h->index_bytes / GLA__CHUNK_RECORD < gla__chunk_count(raw) ||
        h->index_bytes / SNAPSHOT < h->n_snapshots)
        return gla__fail(diag, GLA_E_CORRUPT, "index of %" PRIu64 " bytes in a file of %" PRIu64,
                         h->index_bytes, f->size);
    if (h->n_snapshots && !gla__snapshot_needed(l))
        return gla__fail(diag, GLA_E_CORRUPT, "snapshots, but this model needs none");
    return GLA_OK;
}

/* The places of the snapshots, from what is left of the index; *list is the caller's. */
static gla_status read_snapshots(const header *h, const uint8_t *p, size_t left, saved **list,
                                 gla_diag *diag)
{
    uint64_t last = 0;

    *list = NULL;
    if (left / SNAPSHOT < h->n_snapshots)
        return gla__fail(diag, GLA_E_CORRUPT, "the index ends early");
    *list = gla__alloc_array(h->n_snapshots, sizeof(**list));
    if (!*list)
        return gla__fail_nomem(diag, "the snapshots of a session file");
    for (uint32_t i = 0; i < h->n_snapshots; i++, p += SNAPSHOT) {
        const uint64_t position = gla__load_u64(p);

        if (position <= last || position >= h->position || gla__load_u32(p + 8) > MARK ||
            gla__load_u32(p + 12))
            return gla__fail(diag, GLA_E_CORRUPT,
                             "snapshot %" PRIu32 " is at %" PRIu64 " of %" PRIu64 " tokens", i,
                             position, h->position);
        (*list)[i] = (saved){.position = last = position, .mark = gla__load_u32(p + 8) == MARK};
    }
    return GLA_OK;
}

/* Checks the index against the model and the file; *table: offset of the chunk table in it, *list:
 * the snapshots, the caller's also after a failure. */
static gla_status check_index(const gla__file *f, const header *h, const gla__state_layout *l,
                              const uint8_t *index, size_t *table, saved **list, gla_diag *diag)
{
    const size_t size = (size_t)h->index_bytes;
    size_t at = 0, used;
    uint64_t raw, stored;
    gla_status st;

    *table = 0;
    *list = NULL;
    if (XXH3_64bits(index, size) != h->index_hash)
        return gla__fail(diag, GLA_E_CHECKSUM, "the index is damaged");
    for (uint32_t i = 0; i < l->n_entries; i++, at += used) {
        st = check_entry(index + at, size - at, &l->entries[i], &used, diag);
        if (st) {
            gla__at(diag, l->entries[i].desc.name);
            return st;
        }
    }
    st = read_snapshots(h, index + at, size - at, list, diag);
    if (st)
        return st;
    if (!stream_bytes(l, h, *list, &raw) || raw > gla__most_of_memory())
        return too_large(h, diag);
    *table = at += h->n_snapshots * (size_t)SNAPSHOT;
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
    if (!st && h->n_logits)
        st = gla__sequence_reserve_logits(q, diag);
    for (uint32_t i = 0; !st && i < q->n_tables; i++) {
        gla__kv_table *t = &q->tables[i];
        const uint64_t n = gla__kv_pages(h->position, t->window);

        while (!st && t->n < n) {
            st = gla__page_new(store, t->page_bytes, &t->pages[t->n], diag);
            if (!st)
                t->n++;
        }
    }
    q->position = h->position;
    q->has_logits = h->n_logits != 0;
    return st;
}

static gla_status fill(gla__sequence *q, const gla__file *f, const header *h, const saved *list,
                       const uint8_t *table, gla_diag *diag)
{
    stream s;
    gla_status st = make_stream(&s, q, h, list, false, diag);

    if (!st)
        st = gla__chunks_read(f, HEADER + h->index_bytes, table, s.segments, s.n, diag);
    stream_free(&s);
    for (uint64_t i = 0; !st && i < q->position; i++)
        if (q->tokens[i] < 0 || (uint32_t)q->tokens[i] >= q->store->vocab)
            st = gla__fail(diag, GLA_E_CORRUPT,
                           "token %" PRId32 " is not in the vocabulary of %" PRIu32, q->tokens[i],
                           q->store->vocab);
    return st;
}

/* A snapshot that there is no memory for is left out: coming back takes longer, nothing more. */
static gla_status load_parts(gla__sequence *q, gla__ring *ring, gla__store *store,
                             const gla__file *f, const header *h, saved *list, const uint8_t *table,
                             gla_diag *diag)
{
    gla_status st = make_sequence(q, store, h, diag);

    if (st)
        return st;
    for (uint32_t i = 0; i < h->n_snapshots; i++)
        (void)gla__snapshot_blank(q, list[i].position, &list[i].snapshot, NULL);
    st = fill(q, f, h, list, table, diag);
    for (uint32_t i = 0; i < h->n_snapshots; i++) {
        if (!st && list[i].snapshot)
            gla__ring_add(ring, list[i].snapshot, list[i].mark);
        gla__snapshot_unref(list[i].snapshot);
    }
    return st;
}

static gla_status load_from(gla__sequence *q, gla__ring *ring, gla__store *store,
                            uint64_t model_hash, uint32_t kv_dtype, const gla__file *f,
                            gla_diag *diag)
{
    uint8_t *index = NULL;
    saved *list = NULL;
    header h;
    size_t table;
    gla_status st = read_header(f, &h, diag);

    if (!st)
        st = check_header(f, &h, store, model_hash, kv_dtype, diag);
    if (st)
        return st;
    index = gla__alloc((size_t)h.index_bytes);
    if (!index)
        return gla__fail_nomem(diag, "the index of a session file");
    st = gla__file_read(f, HEADER, index, (size_t)h.index_bytes, diag);
    if (!st)
        st = check_index(f, &h, store->layout, index, &table, &list, diag);
    if (!st)
        st = load_parts(q, ring, store, f, &h, list, index + table, diag);
    gla__free(list);
    gla__free(index);
    return st;
}

gla_status gla__session_file_load(gla__sequence *q, gla__ring *ring, gla__store *store,
                                  uint64_t model_hash, uint32_t kv_dtype, const char *path,
                                  gla_diag *diag)
{
    gla__file f;
    gla_status st;

    memset(q, 0, sizeof(*q));
    st = gla__file_open(&f, path, diag);
    if (st)
        return st;
    st = load_from(q, ring, store, model_hash, kv_dtype, &f, diag);
    gla__file_close(&f);
    if (st) {
        gla__at(diag, path);
        gla__sequence_deinit(q);
    }
    return st;
}
