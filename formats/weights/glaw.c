/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading weights.glaw.  Opening checks everything the header and the index say, so that reading a
 * tensor later has only the chunks' contents to distrust. */
#include "formats/weights/glaw.h"

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
#include "formats/weights/glaw_chunk.h"
#include "formats/weights/glaw_form.h"
#include "formats/weights/reader.h"

typedef struct glaw_chunk {
    uint64_t offset, hash;
    uint64_t at; /* of its raw bytes in the tensor */
    uint32_t stored, raw;
} glaw_chunk;

typedef struct glaw_tensor {
    gla_tensor_info info;
    const json_t *json;
    glaw_chunk *chunks;
    uint32_t n_chunks;
} glaw_tensor;

typedef struct glaw_file {
    gla_weights base;
    gla__file file;
    gla_limits limits;
    json_t *index;
    uint64_t index_offset, index_hash;
    gla__codec_pool *codecs; /* the one thing that reading changes */
} glaw_file;

static void close_glaw(gla_weights *w)
{
    glaw_file *g = (glaw_file *)w;
    glaw_tensor *tensors = w->tensors;

    for (uint32_t i = 0; i < w->n; i++)
        gla__free(tensors[i].chunks);
    gla__free(tensors);
    json_decref(g->index);
    gla__file_close(&g->file);
    if (g->codecs)
        gla__codec_pool_deinit(g->codecs);
    gla__free(g->codecs);
    gla__free(w->path);
    gla__free(g);
}

/* ---- a tensor's bytes ------------------------------------------------------ */

typedef struct reading {
    const glaw_file *g;
    const glaw_tensor *t;
    uint8_t *dst;
    pthread_mutex_t lock; /* of what follows */
    uint32_t bad_chunk;   /* the first that failed */
    gla_status status;
    gla_diag diag;
} reading;

static gla_status read_chunk(const glaw_file *g, gla__codec *c, const glaw_tensor *t,
                             const glaw_chunk *chunk, uint8_t *dst, gla_diag *diag)
{
    uint8_t *stored = gla__codec_buffer(c, chunk->stored);
    gla_status st;

    if (!stored)
        return gla__fail_nomem(diag, "a chunk");
    st = gla__file_read(&g->file, chunk->offset, stored, chunk->stored, diag);
    if (st) {
        if (diag)
            diag->where[0] = '\0'; /* the file's name is added by the caller */
        return st;
    }
    st = gla__chunk_decode(c, t->info.dtype, stored, chunk->stored, dst, chunk->raw, diag);
    if (!st && !g->limits.no_verify && XXH3_64bits(dst, chunk->raw) != chunk->hash)
        st = gla__fail(diag, GLA_E_CHECKSUM, "checksum does not match");
    if (st)
        gla__at_offset(diag, chunk->offset);
    return st;
}

static void read_one(void *arg, uint32_t i)
{
    reading *r = arg;
    const glaw_chunk *chunk = &r->t->chunks[i];
    gla__codec *c = gla__codec_take(r->g->codecs);
    gla_diag diag;
    gla_status st = c ? read_chunk(r->g, c, r->t, chunk, r->dst + chunk->at, &diag)
                      : gla__fail_nomem(&diag, "a codec");

    gla__codec_give(r->g->codecs, c);
    if (!st)
        return;
    gla__at_format(&diag, "chunk %" PRIu32, i);
    pthread_mutex_lock(&r->lock);
    if (!r->status || i < r->bad_chunk) {
        r->status = st;
        r->bad_chunk = i;
        r->diag = diag;
    }
    pthread_mutex_unlock(&r->lock);
}

static gla_status read_glaw(const gla_weights *w, const gla_tensor_info *info, void *dst,
                            gla_diag *diag)
{
    const glaw_tensor *t = (const glaw_tensor *)info;
    reading r = {.g = (const glaw_file *)w, .t = t, .dst = dst};

    pthread_mutex_init(&r.lock, NULL);
    gla__parallel_for(t->n_chunks, read_one, &r);
    pthread_mutex_destroy(&r.lock);
    if (r.status && diag)
        *diag = r.diag;
    return r.status;
}

static uint64_t hash_glaw(const gla_weights *w)
{
    return ((const glaw_file *)w)->index_hash; /* the index holds the chunks' checksums */
}

static const gla__weights_ops glaw_ops = {read_glaw, hash_glaw, close_glaw};

/* ---- header and index ------------------------------------------------------- */

static gla_status bad_header(uint64_t at, const char *what, gla_diag *diag)
{
    gla__fail(diag, GLA_E_CORRUPT, "%s", what);
    gla__at_offset(diag, at);
    return GLA_E_CORRUPT;
}

static gla_status check_header(const glaw_file *g, const uint8_t *h, gla_diag *diag)
{
    uint64_t end;

    if (memcmp(h, GLA__GLAW_MAGIC, 8))
        return bad_header(0, "not a glaw file", diag);
    if (gla__load_u64(h + GLA__GLAW_AT_HASH) != XXH3_64bits(h, GLA__GLAW_AT_HASH))
        return gla__fail(diag, GLA_E_CHECKSUM, "checksum of the header does not match");
    if (gla__load_u32(h + GLA__GLAW_AT_VERSION) != GLA__GLAW_VERSION)
        return gla__fail(diag, GLA_E_VERSION, "glaw version %" PRIu32 ", this program reads %u",
                         gla__load_u32(h + GLA__GLAW_AT_VERSION), GLA__GLAW_VERSION);
    if (gla__load_u32(h + GLA__GLAW_AT_HEADER_SIZE) != GLA__GLAW_HEADER)
        return bad_header(GLA__GLAW_AT_HEADER_SIZE, "header size is not 64", diag);
    if (gla__load_u64(h + GLA__GLAW_AT_FILE_SIZE) != g->file.size) {
        gla__fail(diag, GLA_E_CORRUPT, "file has %" PRIu64 " bytes, its header says %" PRIu64,
                  g->file.size, gla__load_u64(h + GLA__GLAW_AT_FILE_SIZE));
        gla__at_offset(diag, GLA__GLAW_AT_FILE_SIZE);
        return GLA_E_CORRUPT;
    }
    if (gla__load_u64(h + GLA__GLAW_AT_INDEX) < GLA__GLAW_HEADER ||
        !gla__add_u64(gla__load_u64(h + GLA__GLAW_AT_INDEX),
                      gla__load_u64(h + GLA__GLAW_AT_INDEX_STORED), &end) ||
        end != g->file.size)
        return bad_header(GLA__GLAW_AT_INDEX, "the index does not end where the file does", diag);
    return GLA_OK;
}

static gla_status read_index_text(glaw_file *g, const uint8_t *h, uint8_t **text, size_t *size,
                                  gla_diag *diag)
{
    const uint64_t stored = gla__load_u64(h + GLA__GLAW_AT_INDEX_STORED);
    const uint64_t raw = gla__load_u64(h + GLA__GLAW_AT_INDEX_RAW);
    const uint64_t limit = g->limits.max_index_bytes;
    uint8_t *packed = NULL;
    gla__zstd zstd = {0};
    gla_status st;

    *text = NULL;
    *size = 0;
    if (stored > limit || raw > limit) {
        st = gla__fail(diag, GLA_E_LIMIT,
                       "an index of %" PRIu64 " bytes (%" PRIu64 " stored), at most %" PRIu64
                       " allowed",
                       raw, stored, limit);
        goto out;
    }
    packed = gla__alloc((size_t)stored);
    *text = gla__alloc((size_t)raw);
    if (!packed || !*text) {
        st = gla__fail_nomem(diag, "the index");
        goto out;
    }
    st = gla__file_read(&g->file, g->index_offset, packed, (size_t)stored, diag);
    if (!st)
        st = gla__zstd_decode(&zstd, packed, (size_t)stored, *text, (size_t)raw, diag);
    if (!st && XXH3_64bits(*text, (size_t)raw) != g->index_hash)
        st = gla__fail(diag, GLA_E_CHECKSUM, "checksum of the index does not match");
    *size = (size_t)raw;
out:
    gla__zstd_deinit(&zstd);
    gla__free(packed);
    if (st) {
        gla__free(*text);
        *text = NULL;
    }
    return st;
}

static gla_status not_as_described(const char *what, gla_diag *diag)
{
    return gla__fail(diag, GLA_E_CORRUPT, "index: %s is not as docs/glaw.md says", what);
}

/* {"key": "text", ...} or absent. */
static gla_status check_texts(const json_t *o, const char *what, gla_diag *diag)
{
    const char *key;
    json_t *value;

    if (!o)
        return GLA_OK;
    if (!json_is_object(o))
        return not_as_described(what, diag);
    json_object_foreach((json_t *)(uintptr_t)o, key, value)
    {
        if (!json_is_string(value))
            return not_as_described(what, diag);
    }
    return GLA_OK;
}

static gla_status check_source(const json_t *source, gla_diag *diag)
{
    const json_t *config = json_object_get(source, "config");
    const json_t *files = json_object_get(source, "files");

    if (!source)
        return GLA_OK;
    if (!json_is_object(source) || (config && !json_is_string(config)) ||
        (files && !json_is_array(files)))
        return not_as_described("\"source\"", diag);
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *f = json_array_get(files, i);

        if (!json_string_value(json_object_get(f, "name")) ||
            !json_string_value(json_object_get(f, "header")))
            return not_as_described("\"source\"", diag);
    }
    return GLA_OK;
}

static gla_status read_shape(glaw_tensor *t, const json_t *shape, gla_diag *diag)
{
    if (!json_is_array(shape) || json_array_size(shape) > GLA_MAX_DIMS)
        return gla__fail(diag, GLA_E_CORRUPT, "\"shape\" must be a list of at most %d numbers",
                         GLA_MAX_DIMS);
    t->info.ndim = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < t->info.ndim; i++) {
        uint64_t d;

        if (gla__json_u64(json_array_get(shape, i), &d))
            return gla__fail(diag, GLA_E_CORRUPT, "\"shape\" must be a list of whole numbers");
        t->info.dims[i] = (int64_t)d;
    }
    return gla__count_elements(&t->info, diag);
}

/* 16 hexadecimal digits, lower case. */
static bool parse_hash(const json_t *j, uint64_t *out)
{
    const char *text = json_string_value(j);
    uint64_t v = 0;

    *out = 0;
    if (!text || json_string_length(j) != 16)
        return false;
    for (int i = 0; i < 16; i++) {
        const char c = text[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

static gla_status read_chunk_entry(const glaw_file *g, glaw_chunk *c, uint32_t unit,
                                   const json_t *entry, gla_diag *diag)
{
    uint64_t stored, raw;

    if (json_array_size(entry) != 4 || /* also when it is none */
        gla__json_u64(json_array_get(entry, 0), &c->offset) ||
        gla__json_u64(json_array_get(entry, 1), &stored) ||
        gla__json_u64(json_array_get(entry, 2), &raw) ||
        !parse_hash(json_array_get(entry, 3), &c->hash))
        return not_as_described("a chunk", diag);
    if (!raw || raw > GLA__CHUNK_MAX_RAW || raw % unit)
        return gla__fail(diag, GLA_E_CORRUPT, "a chunk of %" PRIu64 " raw bytes", raw);
    if (!stored || stored > raw + GLA__CHUNK_MAX_TABLE)
        return gla__fail(diag, GLA_E_CORRUPT, "a chunk of %" PRIu64 " raw bytes stored in %" PRIu64,
                         raw, stored);
    if (c->offset < GLA__GLAW_HEADER || c->offset > g->index_offset ||
        stored > g->index_offset - c->offset)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "a chunk of %" PRIu64 " bytes at %" PRIu64 " is outside the file's data",
                         stored, c->offset);
    c->stored = (uint32_t)stored;
    c->raw = (uint32_t)raw;
    return GLA_OK;
}

static gla_status read_chunk_list(const glaw_file *g, glaw_tensor *t, const json_t *list,
                                  gla_diag *diag)
{
    const size_t n = json_array_size(list); /* bounded by the size of the index */
    const uint32_t unit = gla__chunk_unit(t->info.dtype);
    uint64_t total = 0;

    if (!json_is_array(list))
        return not_as_described("\"chunks\"", diag);
    t->chunks = gla__alloc_array(n ? n : 1, sizeof(*t->chunks));
    if (!t->chunks)
        return gla__fail_nomem(diag, "chunks");
    t->n_chunks = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const gla_status st =
            read_chunk_entry(g, &t->chunks[i], unit, json_array_get(list, i), diag);

        if (st)
            return st;
        t->chunks[i].at = total;
        total += t->chunks[i].raw; /* at most 2^24 chunks of 2^24 bytes */
        t->info.stored_bytes += t->chunks[i].stored;
    }
    if (total != t->info.raw_bytes)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "its shape needs %" PRIu64 " bytes, its chunks have %" PRIu64,
                         t->info.raw_bytes, total);
    return GLA_OK;
}

static gla_status check_pieces(const glaw_tensor *t, const json_t *pieces, gla_diag *diag)
{
    uint64_t total = 0, first, count;

    if (!pieces)
        return GLA_OK;
    if (!json_is_array(pieces))
        return not_as_described("\"pieces\"", diag);
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        const json_t *p = json_array_get(pieces, i);

        if (json_array_size(p) != 3 || !json_string_value(json_array_get(p, 0)) ||
            gla__json_u64(json_array_get(p, 1), &first) ||
            gla__json_u64(json_array_get(p, 2), &count) || !gla__add_u64(total, count, &total))
            return not_as_described("\"pieces\"", diag);
    }
    if (json_array_size(pieces) && total != t->info.n_elements)
        return gla__fail(diag, GLA_E_CORRUPT, "its pieces have %" PRIu64 " numbers, it %" PRIu64,
                         total, t->info.n_elements);
    return GLA_OK;
}

static gla_status read_tensor(const glaw_file *g, glaw_tensor *t, const json_t *j, uint64_t *total,
                              gla_diag *diag)
{
    const json_t *name = json_object_get(j, "name"), *dtype = json_object_get(j, "dtype");
    gla_status st;

    if (!json_string_value(name) || !json_string_value(dtype))
        return not_as_described("a tensor", diag);
    st = gla__check_tensor_name(json_string_value(name), json_string_length(name), diag);
    if (st)
        return st;
    t->json = j;
    t->info.name = json_string_value(name);
    t->info.dtype = gla_dtype_parse(json_string_value(dtype));
    if (!t->info.dtype)
        st = gla__fail(diag, GLA_E_VERSION, "dtype \"%.40s\" is not known",
                       json_string_value(dtype));
    if (!st)
        st = read_shape(t, json_object_get(j, "shape"), diag);
    if (!st) {
        t->info.raw_bytes = gla__info_bytes(&t->info);
        if (t->info.n_elements && !t->info.raw_bytes)
            st = gla__fail(diag, GLA_E_CORRUPT, "%s cannot have this shape",
                           json_string_value(dtype));
    }
    if (!st)
        st = gla__count_bytes(t->info.raw_bytes, &g->limits, total, diag);
    if (!st)
        st = read_chunk_list(g, t, json_object_get(j, "chunks"), diag);
    if (!st)
        st = check_pieces(t, json_object_get(j, "pieces"), diag);
    if (st)
        gla__at_format(diag, "tensor %s", t->info.name);
    return st;
}

static gla_status read_tensors(glaw_file *g, gla_diag *diag)
{
    const json_t *list = json_object_get(g->index, "tensors");
    const size_t n = json_array_size(list);
    glaw_tensor *tensors;
    uint64_t total = 0;

    if (!json_is_array(list))
        return not_as_described("\"tensors\"", diag);
    if (n > g->limits.max_tensors)
        return gla__fail(diag, GLA_E_LIMIT, "%zu tensors, at most %" PRIu64 " allowed", n,
                         g->limits.max_tensors);
    tensors = gla__alloc_array(n ? n : 1, sizeof(*tensors));
    if (!tensors)
        return gla__fail_nomem(diag, "tensors");
    g->base.tensors = tensors;
    g->base.stride = sizeof(*tensors);
    for (size_t i = 0; i < n; i++) {
        gla_status st;

        g->base.n++; /* first: closing releases what there is of it */
        st = read_tensor(g, &tensors[i], json_array_get(list, i), &total, diag);
        if (st)
            return st;
        if (i && strcmp(tensors[i - 1].info.name, tensors[i].info.name) >= 0)
            return gla__fail(diag, GLA_E_CORRUPT,
                             "tensors \"%.90s\" and \"%.90s\" are not in order",
                             tensors[i - 1].info.name, tensors[i].info.name);
    }
    return GLA_OK;
}

static int by_offset(const void *a, const void *b)
{
    const uint64_t x = (*(const glaw_chunk *const *)a)->offset;
    const uint64_t y = (*(const glaw_chunk *const *)b)->offset;

    return (x > y) - (x < y);
}

/* Every byte between the header and the index belongs to exactly one chunk. */
static gla_status check_no_holes(const glaw_file *g, gla_diag *diag)
{
    const glaw_tensor *tensors = g->base.tensors;
    const glaw_chunk **all;
    size_t n = 0;
    uint64_t at = GLA__GLAW_HEADER;

    for (uint32_t i = 0; i < g->base.n; i++)
        n += tensors[i].n_chunks;
    all = gla__alloc_array(n ? n : 1, sizeof(*all));
    if (!all)
        return gla__fail_nomem(diag, "chunks");
    n = 0;
    for (uint32_t i = 0; i < g->base.n; i++) {
        for (uint32_t j = 0; j < tensors[i].n_chunks; j++)
            all[n++] = &tensors[i].chunks[j];
    }
    qsort(all, n, sizeof(*all), by_offset);
    for (size_t i = 0; i < n && all[i]->offset == at; i++)
        at += all[i]->stored;
    gla__free(all);
    if (at == g->index_offset)
        return GLA_OK;
    gla__fail(diag, GLA_E_CORRUPT, "chunks overlap or leave a hole");
    gla__at_offset(diag, at);
    return GLA_E_CORRUPT;
}

static gla_status load_index(glaw_file *g, gla_diag *diag)
{
    uint8_t h[GLA__GLAW_HEADER], *text;
    size_t size;
    gla_status st = gla__file_read(&g->file, 0, h, sizeof(h), diag);

    if (!st)
        st = check_header(g, h, diag);
    if (st)
        return st;
    g->index_offset = gla__load_u64(h + GLA__GLAW_AT_INDEX);
    g->index_hash = gla__load_u64(h + GLA__GLAW_AT_INDEX_HASH);
    st = read_index_text(g, h, &text, &size, diag);
    if (st)
        return st;
    st = gla__json_parse((const char *)text, size, size, "index", &g->index, diag);
    gla__free(text);
    if (st)
        return st;
    if (!json_is_object(g->index))
        return not_as_described("it", diag);
    st = check_texts(json_object_get(g->index, "metadata"), "\"metadata\"", diag);
    if (!st)
        st = check_source(json_object_get(g->index, "source"), diag);
    if (!st)
        st = read_tensors(g, diag);
    return st ? st : check_no_holes(g, diag);
}

gla_status gla__glaw_open(const char *path, const gla_limits *limits, gla_weights **out,
                          gla_diag *diag)
{
    glaw_file *g = gla__alloc_zero(sizeof(*g));
    gla_status st;

    *out = NULL;
    if (!g)
        return gla__fail_nomem(diag, "a file");
    g->base.ops = &glaw_ops;
    g->base.format = GLA__GLAW;
    g->file.fd = -1;
    g->limits = *limits;
    if (!g->limits.max_index_bytes)
        g->limits.max_index_bytes = GLA__GLAW_MAX_INDEX;
    g->base.path = gla__strdup(path);
    g->codecs = gla__alloc_zero(sizeof(*g->codecs));
    if (g->codecs)
        gla__codec_pool_init(g->codecs);
    st = g->base.path && g->codecs ? gla__file_open(&g->file, path, diag)
                                   : gla__fail_nomem(diag, "a file");
    if (!st) {
        st = load_index(g, diag);
        if (st)
            gla__at_file(diag, path);
    }
    if (st) {
        close_glaw(&g->base);
        return st;
    }
    *out = &g->base;
    return GLA_OK;
}

/* ---- beside the tensors ------------------------------------------------------ */

bool gla__is_glaw(const gla_weights *w)
{
    return w->format == GLA__GLAW;
}

static const json_t *index_of(const gla_weights *w)
{
    return gla__is_glaw(w) ? ((const glaw_file *)w)->index : NULL;
}

const char *gla__glaw_family(const gla_weights *w)
{
    return json_string_value(json_object_get(index_of(w), "family"));
}

const char *gla__glaw_metadata(const gla_weights *w, const char *key)
{
    return json_string_value(json_object_get(json_object_get(index_of(w), "metadata"), key));
}

const char *gla__glaw_config(const gla_weights *w, size_t *size)
{
    const json_t *text = json_object_get(json_object_get(index_of(w), "source"), "config");

    *size = json_string_length(text);
    return json_string_value(text);
}

static const json_t *files_of(const gla_weights *w)
{
    return json_object_get(json_object_get(index_of(w), "source"), "files");
}

uint32_t gla__glaw_n_files(const gla_weights *w)
{
    return (uint32_t)json_array_size(files_of(w));
}

const char *gla__glaw_file(const gla_weights *w, uint32_t i, const char **header, size_t *size)
{
    const json_t *f = json_array_get(files_of(w), i);
    const json_t *text = json_object_get(f, "header");

    *header = json_string_value(text);
    *size = json_string_length(text);
    return json_string_value(json_object_get(f, "name"));
}

static const json_t *pieces_of(const gla_weights *w, const gla_tensor_info *info)
{
    return gla__is_glaw(w) ? json_object_get(((const glaw_tensor *)info)->json, "pieces") : NULL;
}

uint32_t gla__glaw_n_pieces(const gla_weights *w, const gla_tensor_info *info)
{
    return (uint32_t)json_array_size(pieces_of(w, info));
}

const char *gla__glaw_piece(const gla_weights *w, const gla_tensor_info *info, uint32_t i,
                            uint64_t *first, uint64_t *count)
{
    const json_t *p = json_array_get(pieces_of(w, info), i);

    gla__json_u64(json_array_get(p, 1), first);
    gla__json_u64(json_array_get(p, 2), count);
    return json_string_value(json_array_get(p, 0));
}
