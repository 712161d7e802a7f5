/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing weights.glaw.  Bytes are gathered in a batch of several chunks, of one tensor or of many
 * small ones; a full batch is compressed by all cores and written in order, so the file does not
 * depend on how many there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/parallel.h"
#include "base/zstd.h"
#include "formats/text/json.h"
#include "formats/text/utf8.h"
#include "formats/weights/glaw.h"
#include "formats/weights/glaw_chunk.h"
#include "formats/weights/glaw_form.h"
#include "formats/weights/reader.h"

#define BATCH_BYTES  (16u << 20)
#define BATCH_CHUNKS 1024u

/* Quantisation of every chunk's raw size but a tensor's last. */
_Static_assert(GLA__CHUNK_RAW % 64 == 0, "chunks are cut between numbers");

typedef struct batch_chunk {
    json_t *list;   /* "chunks" of its tensor, borrowed */
    uint32_t dtype; /* gla_dtype */
    size_t at, raw; /* in the batch */
    uint8_t *stored;
    size_t n_stored;
    uint64_t hash;
    gla_status status;
    gla_diag diag;
} batch_chunk;

struct gla__glaw_writer {
    gla__writer file;
    bool is_open;
    int level;
    gla__codec_pool codecs;
    json_t *index, *tensors;
    /* the tensor being written */
    json_t *chunks; /* borrowed; NULL: none */
    uint32_t dtype;
    uint64_t expected, given;
    char name[GLA__MAX_TENSOR_NAME + 1];
    /* the batch: [used] bytes, cut into n chunks; the last one grows while `growing` */
    uint8_t *batch;
    size_t used;
    batch_chunk *pending;
    uint32_t n_pending;
    bool growing;
};

/* ---- JSON that may run out of memory ------------------------------------------ */

static gla_status set_new(json_t *object, const char *key, json_t *value, gla_diag *diag)
{
    return json_object_set_new(object, key, value) ? gla__fail_nomem(diag, "the index") : GLA_OK;
}

static gla_status append_new(json_t *array, json_t *value, gla_diag *diag)
{
    return json_array_append_new(array, value) ? gla__fail_nomem(diag, "the index") : GLA_OK;
}

static gla_status set_text(json_t *object, const char *key, const char *text, size_t n,
                           gla_diag *diag)
{
    if (gla__utf8_valid(text, n) < n)
        return gla__fail(diag, GLA_E_INVALID, "\"%s\" is not UTF-8", key);
    return set_new(object, key, json_stringn(text, n), diag);
}

/* object[key], made if absent; borrowed, NULL when out of memory. */
static json_t *member(json_t *object, const char *key, json_t *(*make)(void))
{
    json_t *m = json_object_get(object, key);

    if (m)
        return m;
    m = make();
    return json_object_set_new(object, key, m) ? NULL : m;
}

/* ---- the batch ------------------------------------------------------------ */

static void compress_one(void *arg, uint32_t i)
{
    gla__glaw_writer *w = arg;
    batch_chunk *c = &w->pending[i];
    gla__codec *codec = gla__codec_take(&w->codecs);
    const uint8_t *stored;

    c->status = codec ? gla__chunk_encode(codec, c->dtype, w->level, w->batch + c->at, c->raw,
                                          &stored, &c->n_stored, &c->diag)
                      : gla__fail_nomem(&c->diag, "a codec");
    if (!c->status) {
        c->hash = XXH3_64bits(w->batch + c->at, c->raw);
        c->stored = gla__alloc(c->n_stored);
        if (c->stored)
            memcpy(c->stored, stored, c->n_stored);
        else
            c->status = gla__fail_nomem(&c->diag, "a chunk");
    }
    gla__codec_give(&w->codecs, codec);
}

static gla_status write_chunk(gla__glaw_writer *w, batch_chunk *c, gla_diag *diag)
{
    const uint64_t offset = w->file.written;
    char hash[17];
    json_t *entry;
    gla_status st;

    if (c->status) {
        if (diag)
            *diag = c->diag;
        return c->status;
    }
    st = gla__writer_write(&w->file, c->stored, c->n_stored, diag);
    if (st)
        return st;
    snprintf(hash, sizeof(hash), "%016" PRIx64, c->hash);
    entry = json_pack("[I, I, I, s]", (json_int_t)offset, (json_int_t)c->n_stored,
                      (json_int_t)c->raw, hash);
    return append_new(c->list, entry, diag);
}

static void drop_batch(gla__glaw_writer *w)
{
    for (uint32_t i = 0; i < w->n_pending; i++)
        gla__free(w->pending[i].stored);
    if (w->pending)
        memset(w->pending, 0, BATCH_CHUNKS * sizeof(*w->pending));
    w->n_pending = 0;
    w->used = 0;
    w->growing = false;
}

static gla_status flush(gla__glaw_writer *w, gla_diag *diag)
{
    gla_status st = GLA_OK;

    gla__parallel_for(w->n_pending, compress_one, w);
    for (uint32_t i = 0; !st && i < w->n_pending; i++)
        st = write_chunk(w, &w->pending[i], diag);
    drop_batch(w);
    return st;
}

/* Room for more bytes of the current tensor: the growing chunk, or a new one. */
static gla_status grow_chunk(gla__glaw_writer *w, batch_chunk **out, gla_diag *diag)
{
    batch_chunk *c;
    gla_status st;

    *out = NULL;
    if (!w->growing) {
        const size_t start = (w->used + 63) & ~(size_t)63;

        if (w->n_pending == BATCH_CHUNKS || start + GLA__CHUNK_RAW > BATCH_BYTES) {
            st = flush(w, diag);
            if (st)
                return st;
        }
        c = &w->pending[w->n_pending++];
        c->list = w->chunks;
        c->dtype = w->dtype;
        c->at = (w->used + 63) & ~(size_t)63;
        c->raw = 0;
        w->used = c->at;
        w->growing = true;
    }
    *out = &w->pending[w->n_pending - 1];
    return GLA_OK;
}

/* ---- tensors -------------------------------------------------------------- */

static gla_status describe(json_t *tensor, const gla__glaw_tensor *t, gla_diag *diag)
{
    json_t *shape = member(tensor, "shape", json_array), *pieces;
    gla_status st = shape ? GLA_OK : gla__fail_nomem(diag, "the index");

    if (!st)
        st = set_new(tensor, "name", json_string(t->name), diag);
    if (!st)
        st = set_new(tensor, "dtype", json_string(gla_dtype_name(t->dtype)), diag);
    for (uint32_t i = 0; !st && i < t->ndim; i++)
        st = append_new(shape, json_integer(t->dims[i]), diag);
    if (st || !t->n_pieces)
        return st;
    pieces = member(tensor, "pieces", json_array);
    if (!pieces)
        return gla__fail_nomem(diag, "the index");
    for (uint32_t i = 0; !st && i < t->n_pieces; i++) {
        const gla__piece *p = &t->pieces[i];

        st = append_new(
            pieces, json_pack("[s, I, I]", p->source, (json_int_t)p->first, (json_int_t)p->count),
            diag);
    }
    return st;
}

gla_status gla__glaw_begin(gla__glaw_writer *w, const gla__glaw_tensor *t, gla_diag *diag)
{
    gla_tensor_info info = {0};
    json_t *tensor;
    gla_status st;

    if (w->chunks || t->ndim > GLA_MAX_DIMS)
        return gla__fail(diag, GLA_E_INVALID, "tensor %s begins inside another", t->name);
    st = gla__check_tensor_name(t->name, strlen(t->name), diag);
    if (st)
        return st;
    info.dtype = t->dtype;
    info.ndim = t->ndim;
    memcpy(info.dims, t->dims, sizeof(info.dims));
    st = gla__count_elements(&info, diag);
    if (st)
        return st;
    w->expected = gla__info_bytes(&info);
    if (info.n_elements && !w->expected)
        return gla__fail(diag, GLA_E_SHAPE, "%s cannot have the shape of tensor %s",
                         gla_dtype_name(t->dtype), t->name);
    w->given = 0;
    w->dtype = t->dtype;
    snprintf(w->name, sizeof(w->name), "%s", t->name);
    tensor = json_object();
    st = append_new(w->tensors, tensor, diag);
    if (!st)
        st = describe(tensor, t, diag);
    if (st)
        return st;
    w->chunks = member(tensor, "chunks", json_array);
    return w->chunks ? GLA_OK : gla__fail_nomem(diag, "the index");
}

gla_status gla__glaw_write(gla__glaw_writer *w, const void *data, size_t n, gla_diag *diag)
{
    const uint8_t *from = data;

    if (!w->chunks || n > w->expected - w->given)
        return gla__fail(diag, GLA_E_INVALID,
                         "tensor %s: more than its %" PRIu64 " bytes were written", w->name,
                         w->expected);
    w->given += n;
    while (n) {
        batch_chunk *c;
        size_t take;
        const gla_status st = grow_chunk(w, &c, diag);

        if (st)
            return st;
        take = GLA__CHUNK_RAW - c->raw < n ? GLA__CHUNK_RAW - c->raw : n;
        memcpy(w->batch + w->used, from, take);
        c->raw += take;
        w->used += take;
        from += take;
        n -= take;
        if (c->raw == GLA__CHUNK_RAW)
            w->growing = false;
    }
    return GLA_OK;
}

gla_status gla__glaw_end(gla__glaw_writer *w, gla_diag *diag)
{
    if (!w->chunks || w->given != w->expected)
        return gla__fail(diag, GLA_E_INVALID,
                         "tensor %s: %" PRIu64 " of its %" PRIu64 " bytes were written", w->name,
                         w->given, w->expected);
    w->chunks = NULL;
    w->growing = false;
    return GLA_OK;
}

gla_status gla__glaw_add(gla__glaw_writer *w, const gla__glaw_tensor *t, const void *data,
                         gla_diag *diag)
{
    gla_status st = gla__glaw_begin(w, t, diag);

    if (!st)
        st = gla__glaw_write(w, data, (size_t)w->expected, diag);
    return st ? st : gla__glaw_end(w, diag);
}

/* ---- the rest of the index --------------------------------------------------- */

gla_status gla__glaw_set_family(gla__glaw_writer *w, const char *family, gla_diag *diag)
{
    return set_text(w->index, "family", family, strlen(family), diag);
}

gla_status gla__glaw_set_metadata(gla__glaw_writer *w, const char *key, const char *value,
                                  gla_diag *diag)
{
    json_t *m = member(w->index, "metadata", json_object);

    return m ? set_text(m, key, value, strlen(value), diag) : gla__fail_nomem(diag, "the index");
}

gla_status gla__glaw_set_config(gla__glaw_writer *w, const char *text, size_t size, gla_diag *diag)
{
    json_t *source = member(w->index, "source", json_object);

    return source ? set_text(source, "config", text, size, diag)
                  : gla__fail_nomem(diag, "the index");
}

gla_status gla__glaw_add_file(gla__glaw_writer *w, const char *name, const char *header,
                              size_t size, gla_diag *diag)
{
    json_t *source = member(w->index, "source", json_object);
    json_t *files = source ? member(source, "files", json_array) : NULL;
    json_t *file = json_object();
    gla_status st = append_new(files, file, diag); /* also without `files` */

    if (st)
        return st;
    st = set_text(file, "name", name, strlen(name), diag);
    return st ? st : set_text(file, "header", header, size, diag);
}

/* ---- the file -------------------------------------------------------------- */

gla_status gla__glaw_create(const char *path, int level, gla__glaw_writer **out, gla_diag *diag)
{
    static const uint8_t no_header[GLA__GLAW_HEADER];
    gla__glaw_writer *w = gla__alloc_zero(sizeof(*w));
    gla_status st;

    *out = NULL;
    if (!w)
        return gla__fail_nomem(diag, "a writer");
    gla__codec_pool_init(&w->codecs);
    w->level = level;
    w->batch = gla__alloc(BATCH_BYTES);
    w->pending = gla__alloc_array(BATCH_CHUNKS, sizeof(*w->pending));
    w->index = json_object();
    w->tensors = w->index ? member(w->index, "tensors", json_array) : NULL;
    if (!w->batch || !w->pending || !w->tensors) {
        st = gla__fail_nomem(diag, "a writer");
        goto fail;
    }
    st = gla__writer_open(&w->file, path, diag);
    if (st)
        goto fail;
    w->is_open = true;
    st = gla__writer_write(&w->file, no_header, sizeof(no_header), diag);
    if (st)
        goto fail;
    *out = w;
    return GLA_OK;

fail:
    gla__glaw_close(&w);
    return st;
}

static const char *name_of(const json_t *tensor)
{
    return json_string_value(json_object_get(tensor, "name"));
}

static int by_tensor_name(const void *a, const void *b)
{
    return strcmp(name_of(*(json_t *const *)a), name_of(*(json_t *const *)b));
}

static gla_status sort_tensors(gla__glaw_writer *w, gla_diag *diag)
{
    const size_t n = json_array_size(w->tensors);
    json_t **sorted = gla__alloc_array(n ? n : 1, sizeof(*sorted));
    json_t *array = json_array();
    gla_status st = sorted && array ? GLA_OK : gla__fail_nomem(diag, "the index");

    for (size_t i = 0; !st && i < n; i++)
        sorted[i] = json_array_get(w->tensors, i);
    if (!st)
        qsort(sorted, n, sizeof(*sorted), by_tensor_name);
    for (size_t i = 0; !st && i < n; i++) {
        if (i && !strcmp(name_of(sorted[i - 1]), name_of(sorted[i])))
            st = gla__fail(diag, GLA_E_INVALID, "two tensors named %s", name_of(sorted[i]));
        else if (json_array_append(array, sorted[i]))
            st = gla__fail_nomem(diag, "the index");
    }
    gla__free(sorted);
    if (st) {
        json_decref(array);
        return st;
    }
    w->tensors = array;
    return set_new(w->index, "tensors", array, diag);
}

static gla_status write_index(gla__glaw_writer *w, const char *text, size_t size, gla_diag *diag)
{
    const size_t room = gla__zstd_bound(size);
    uint8_t h[GLA__GLAW_HEADER] = {0}, *packed = gla__alloc(room);
    gla__zstd zstd = {0};
    size_t stored;
    gla_status st;

    if (!packed)
        return gla__fail_nomem(diag, "the index");
    st = gla__zstd_encode(&zstd, 9, (const uint8_t *)text, size, packed, room, &stored, diag);
    gla__zstd_deinit(&zstd);
    if (st)
        goto out;
    memcpy(h, GLA__GLAW_MAGIC, 8);
    gla__store_u32(h + GLA__GLAW_AT_VERSION, GLA__GLAW_VERSION);
    gla__store_u32(h + GLA__GLAW_AT_HEADER_SIZE, GLA__GLAW_HEADER);
    gla__store_u64(h + GLA__GLAW_AT_INDEX, w->file.written);
    gla__store_u64(h + GLA__GLAW_AT_INDEX_STORED, stored);
    gla__store_u64(h + GLA__GLAW_AT_INDEX_RAW, size);
    gla__store_u64(h + GLA__GLAW_AT_INDEX_HASH, XXH3_64bits(text, size));
    gla__store_u64(h + GLA__GLAW_AT_FILE_SIZE, w->file.written + stored);
    gla__store_u64(h + GLA__GLAW_AT_HASH, XXH3_64bits(h, GLA__GLAW_AT_HASH));
    st = gla__writer_write(&w->file, packed, stored, diag);
    if (!st)
        st = gla__writer_write_at(&w->file, 0, h, sizeof(h), diag);
out:
    gla__free(packed);
    return st;
}

gla_status gla__glaw_finish(gla__glaw_writer *w, gla_diag *diag)
{
    char *text = NULL;
    size_t size = 0;
    gla_status st;

    if (w->chunks || !w->is_open)
        return gla__fail(diag, GLA_E_INVALID, "tensor %s is not complete", w->name);
    st = flush(w, diag);
    if (!st)
        st = sort_tensors(w, diag);
    if (!st)
        st = gla__json_print(w->index, &text, &size, diag);
    if (!st && size > GLA__GLAW_MAX_INDEX)
        st = gla__fail(diag, GLA_E_LIMIT, "an index of %zu bytes, at most %" PRIu64 " allowed",
                       size, GLA__GLAW_MAX_INDEX);
    if (!st)
        st = write_index(w, text, size, diag);
    gla__free(text);
    if (st)
        return st;
    w->is_open = false;
    return gla__writer_commit(&w->file, diag);
}

void gla__glaw_close(gla__glaw_writer **p)
{
    gla__glaw_writer *w = *p;

    *p = NULL;
    if (!w)
        return;
    if (w->is_open)
        gla__writer_abort(&w->file);
    drop_batch(w);
    gla__free(w->pending);
    gla__free(w->batch);
    json_decref(w->index);
    gla__codec_pool_deinit(&w->codecs);
    gla__free(w);
}
