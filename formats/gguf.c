/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading gguf.  The head of the file (key-value pairs and tensor descriptions) is kept in memory
 * as it stands; everything else points into it.  Every count is compared with the bytes that are
 * left before anything is done with it. */
#include "formats/gguf.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/half.h"
#include "base/io.h"
#include "base/parallel.h"
#include "formats/weights_file.h"

#define MAX_HEAD        (UINT64_C(100) << 20)
#define MAX_PAIRS       65536u
#define MIN_PAIR        14u /* bytes: key of one byte, type, value of one byte */
#define MIN_TENSOR      25u /* bytes: name of one byte, no dimensions, type, offset */
#define MAX_ALIGNMENT   4096u
#define BLOCK           32u /* numbers of a quantised block */
#define BLOCKS_AT_ONCE  8192u
#define MAX_BLOCK_BYTES 34u

enum value_type {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    BOOL,
    STRING,
    ARRAY,
    U64,
    I64,
    F64,
    N_VALUE_TYPES
};
static const uint8_t value_bytes[N_VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

enum tensor_type { TYPE_Q4_0 = 2, TYPE_Q8_0 = 8 };

typedef struct pair {
    char *key;
    uint32_t type, element; /* value_type; element of an ARRAY */
    uint64_t n;             /* elements of an ARRAY, bytes of a STRING */
    size_t at;              /* of the value's first byte in the head */
} pair;

typedef struct gguf_tensor {
    gla_tensor_info info;
    uint64_t offset; /* in the data, later in the file */
    uint32_t type;   /* of gguf */
} gguf_tensor;

typedef struct gguf_file {
    gla_weights base;
    gla__file file;
    gla_limits limits;
    uint8_t *head; /* the first `have` bytes of the file */
    size_t have, at;
    pair *pairs; /* sorted by key once they are all there */
    uint32_t n_pairs;
} gguf_file;

static void close_gguf(gla_weights *w)
{
    gguf_file *g = (gguf_file *)w;
    gguf_tensor *tensors = w->tensors;

    for (uint32_t i = 0; i < w->n; i++)
        gla__free((void *)(uintptr_t)tensors[i].info.name);
    gla__free(tensors);
    for (uint32_t i = 0; i < g->n_pairs; i++)
        gla__free(g->pairs[i].key);
    gla__free(g->pairs);
    gla__free(g->head);
    gla__file_close(&g->file);
    gla__free(w->path);
    gla__free(g);
}

/* ---- the head, byte by byte --------------------------------------------------- */

static gla_status fail_at(size_t at, gla_status st, gla_diag *diag)
{
    gla__at_offset(diag, at);
    return st;
}

/* Makes n more bytes of the file present at g->at. */
static gla_status need(gguf_file *g, uint64_t n, gla_diag *diag)
{
    uint64_t end, wanted;
    uint8_t *grown;
    gla_status st;

    if (!gla__add_u64(g->at, n, &end) || end > g->file.size)
        return fail_at(g->at,
                       gla__fail(diag, GLA_E_CORRUPT,
                                 "%" PRIu64 " bytes are needed, the file has %" PRIu64 " more", n,
                                 g->file.size - g->at),
                       diag);
    if (end <= g->have)
        return GLA_OK;
    if (end > g->limits.max_index_bytes)
        return fail_at(g->at,
                       gla__fail(diag, GLA_E_LIMIT,
                                 "a head of more than %" PRIu64 " bytes, the most allowed",
                                 g->limits.max_index_bytes),
                       diag);
    wanted = end < 32768 ? 65536 : 2 * end; /* cannot overflow: end is below the limit */
    if (wanted > g->file.size)
        wanted = g->file.size;
    grown = gla__realloc(g->head, g->have, (size_t)wanted);
    if (!grown)
        return gla__fail_nomem(diag, "the head");
    g->head = grown;
    st = gla__file_read(&g->file, g->have, g->head + g->have, (size_t)wanted - g->have, diag);
    if (!st)
        g->have = (size_t)wanted;
    return st;
}

static gla_status take_u32(gguf_file *g, uint32_t *out, gla_diag *diag)
{
    const gla_status st = need(g, 4, diag);

    *out = 0;
    if (st)
        return st;
    *out = gla__load_u32(g->head + g->at);
    g->at += 4;
    return GLA_OK;
}

static gla_status take_u64(gguf_file *g, uint64_t *out, gla_diag *diag)
{
    const gla_status st = need(g, 8, diag);

    *out = 0;
    if (st)
        return st;
    *out = gla__load_u64(g->head + g->at);
    g->at += 8;
    return GLA_OK;
}

/* Past n bytes, which are there. */
static gla_status skip(gguf_file *g, uint64_t n, gla_diag *diag)
{
    const gla_status st = need(g, n, diag);

    if (!st)
        g->at += (size_t)n;
    return st;
}

/* A key or tensor name, copied. */
static gla_status take_name(gguf_file *g, char **out, gla_diag *diag)
{
    const size_t start = g->at;
    uint64_t n;
    gla_status st = take_u64(g, &n, diag);

    *out = NULL;
    if (!st && n > GLA_MAX_TENSOR_NAME)
        st = gla__fail(diag, GLA_E_LIMIT, "a name of %" PRIu64 " bytes, at most %u allowed", n,
                       GLA_MAX_TENSOR_NAME);
    if (!st)
        st = need(g, n, diag);
    if (!st)
        st = gla__check_tensor_name((const char *)g->head + g->at, (size_t)n, diag);
    if (st)
        return fail_at(start, st, diag);
    *out = gla__strndup((const char *)g->head + g->at, (size_t)n);
    if (!*out)
        return gla__fail_nomem(diag, "a name");
    g->at += (size_t)n;
    return GLA_OK;
}

/* ---- key-value pairs ------------------------------------------------------------ */

static gla_status take_array(gguf_file *g, pair *p, gla_diag *diag)
{
    const size_t start = g->at;
    uint64_t bytes;
    gla_status st = take_u32(g, &p->element, diag);

    if (!st)
        st = take_u64(g, &p->n, diag);
    if (st)
        return st;
    if (p->element >= N_VALUE_TYPES || p->element == ARRAY)
        return fail_at(
            start, gla__fail(diag, GLA_E_CORRUPT, "an array of type %" PRIu32, p->element), diag);
    if (!gla__mul_u64(p->n, p->element == STRING ? 8 : value_bytes[p->element], &bytes) ||
        bytes > g->file.size - g->at)
        return fail_at(start,
                       gla__fail(diag, GLA_E_CORRUPT,
                                 "an array of %" PRIu64 " values in a file of %" PRIu64 " bytes",
                                 p->n, g->file.size),
                       diag);
    p->at = g->at;
    if (p->element != STRING)
        return skip(g, bytes, diag);
    for (uint64_t i = 0; !st && i < p->n; i++) {
        uint64_t length;

        st = take_u64(g, &length, diag);
        if (!st)
            st = skip(g, length, diag);
    }
    return st;
}

static gla_status take_value(gguf_file *g, pair *p, gla_diag *diag)
{
    const size_t start = g->at;
    gla_status st = take_u32(g, &p->type, diag);

    if (st)
        return st;
    if (p->type >= N_VALUE_TYPES)
        return fail_at(start, gla__fail(diag, GLA_E_CORRUPT, "a value of type %" PRIu32, p->type),
                       diag);
    if (p->type == ARRAY)
        return take_array(g, p, diag);
    if (p->type == STRING) {
        st = take_u64(g, &p->n, diag);
        p->at = g->at;
        return st ? st : skip(g, p->n, diag);
    }
    p->at = g->at;
    return skip(g, value_bytes[p->type], diag);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static gla_status take_pairs(gguf_file *g, uint64_t n, gla_diag *diag)
{
    gla_status st = GLA_OK;

    if (n > MAX_PAIRS || n > (g->file.size - g->at) / MIN_PAIR)
        return gla__fail(diag, n > MAX_PAIRS ? GLA_E_LIMIT : GLA_E_CORRUPT,
                         "%" PRIu64 " key-value pairs in a file of %" PRIu64 " bytes", n,
                         g->file.size);
    g->pairs = gla__alloc_array(n ? (size_t)n : 1, sizeof(*g->pairs));
    if (!g->pairs)
        return gla__fail_nomem(diag, "key-value pairs");
    while (!st && g->n_pairs < n) {
        pair *p = &g->pairs[g->n_pairs];

        st = take_name(g, &p->key, diag);
        if (st)
            return st;
        g->n_pairs++;
        st = take_value(g, p, diag);
        if (st)
            gla__at_format(diag, "key %s", p->key);
    }
    if (st)
        return st;
    qsort(g->pairs, g->n_pairs, sizeof(*g->pairs), by_key);
    for (uint32_t i = 1; i < g->n_pairs; i++) {
        if (!strcmp(g->pairs[i - 1].key, g->pairs[i].key))
            return gla__fail(diag, GLA_E_CORRUPT, "two values for key %.100s", g->pairs[i].key);
    }
    return GLA_OK;
}

/* ---- tensors -------------------------------------------------------------------- */

static const struct {
    uint32_t type, dtype; /* dtype 0: not supported */
    const char *name;
} tensor_types[] = {{0, GLA_DTYPE_F32, "F32"},
                    {1, GLA_DTYPE_F16, "F16"},
                    {TYPE_Q4_0, GLA_DTYPE_F32, "Q4_0"},
                    {3, 0, "Q4_1"},
                    {6, 0, "Q5_0"},
                    {7, 0, "Q5_1"},
                    {TYPE_Q8_0, GLA_DTYPE_F32, "Q8_0"},
                    {9, 0, "Q8_1"},
                    {10, 0, "Q2_K"},
                    {11, 0, "Q3_K"},
                    {12, 0, "Q4_K"},
                    {13, 0, "Q5_K"},
                    {14, 0, "Q6_K"},
                    {15, 0, "Q8_K"},
                    {16, 0, "IQ2_XXS"},
                    {17, 0, "IQ2_XS"},
                    {18, 0, "IQ3_XXS"},
                    {20, 0, "IQ4_NL"},
                    {23, 0, "IQ4_XS"},
                    {24, 0, "I8"},
                    {25, GLA_DTYPE_I16, "I16"},
                    {26, GLA_DTYPE_I32, "I32"},
                    {27, GLA_DTYPE_I64, "I64"},
                    {28, GLA_DTYPE_F64, "F64"},
                    {30, GLA_DTYPE_BF16, "BF16"},
                    {39, 0, "MXFP4"}};

static gla_status set_type(gguf_tensor *t, gla_diag *diag)
{
    const char *name = "unknown";

    for (size_t i = 0; i < sizeof(tensor_types) / sizeof(tensor_types[0]); i++) {
        if (tensor_types[i].type == t->type) {
            t->info.dtype = tensor_types[i].dtype;
            name = tensor_types[i].name;
        }
    }
    if (t->info.dtype)
        return GLA_OK;
    gla__fail(diag, GLA_E_UNSUPPORTED, "type %s (%" PRIu32 ") is not supported", name, t->type);
    gla__hint(diag, "F32, F16, BF16, Q8_0 and Q4_0 are");
    return GLA_E_UNSUPPORTED;
}

static uint32_t block_bytes(uint32_t type)
{
    return type == TYPE_Q8_0 ? 34 : type == TYPE_Q4_0 ? 18 : 0;
}

static gla_status set_sizes(gguf_tensor *t, gla_diag *diag)
{
    gla_tensor_info *info = &t->info;
    const uint32_t block = block_bytes(t->type);
    gla_status st = gla__count_elements(info, diag);

    if (st)
        return st;
    info->raw_bytes = gla__info_bytes(info); /* below 2^43 */
    info->stored_bytes = block ? info->n_elements / BLOCK * block : info->raw_bytes;
    if (block && info->n_elements && (!info->ndim || info->dims[info->ndim - 1] % BLOCK))
        return gla__fail(diag, GLA_E_CORRUPT, "rows of %" PRId64 " numbers in blocks of 32",
                         info->ndim ? info->dims[info->ndim - 1] : 1);
    return GLA_OK;
}

static gla_status take_tensor(gguf_file *g, gguf_tensor *t, gla_diag *diag)
{
    char *name;
    uint64_t dims[GLA_MAX_DIMS];
    gla_status st = take_name(g, &name, diag);

    if (st)
        return st;
    t->info.name = name;
    st = take_u32(g, &t->info.ndim, diag);
    if (!st && t->info.ndim > GLA_MAX_DIMS) {
        st = gla__fail(diag, GLA_E_CORRUPT, "%" PRIu32 " dimensions", t->info.ndim);
        t->info.ndim = 0;
    }
    for (uint32_t i = 0; !st && i < t->info.ndim; i++) {
        st = take_u64(g, &dims[i], diag);
        t->info.dims[t->info.ndim - 1 - i] = dims[i] > INT64_MAX ? -1 : (int64_t)dims[i];
    }
    if (!st)
        st = take_u32(g, &t->type, diag);
    if (!st)
        st = take_u64(g, &t->offset, diag);
    if (!st)
        st = set_type(t, diag);
    if (!st)
        st = set_sizes(t, diag);
    if (st)
        gla__at_format(diag, "tensor %s", name);
    return st;
}

static gla_status take_tensors(gguf_file *g, uint64_t n, gla_diag *diag)
{
    gguf_tensor *tensors;
    uint64_t total = 0;
    gla_status st = GLA_OK;

    if (n > g->limits.max_tensors)
        return gla__fail(diag, GLA_E_LIMIT, "%" PRIu64 " tensors, at most %" PRIu64 " allowed", n,
                         g->limits.max_tensors);
    if (n > (g->file.size - g->at) / MIN_TENSOR)
        return gla__fail(diag, GLA_E_CORRUPT, "%" PRIu64 " tensors in a file of %" PRIu64 " bytes",
                         n, g->file.size);
    tensors = gla__alloc_array(n ? (size_t)n : 1, sizeof(*tensors));
    if (!tensors)
        return gla__fail_nomem(diag, "tensors");
    g->base.tensors = tensors;
    while (!st && g->base.n < n) {
        gguf_tensor *t = &tensors[g->base.n++];

        st = take_tensor(g, t, diag);
        if (!st)
            st = gla__count_bytes(t->info.raw_bytes, &g->limits, &total, diag);
    }
    return st;
}

static int by_offset(const void *a, const void *b)
{
    const gguf_tensor *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->info.stored_bytes > y->info.stored_bytes) -
           (x->info.stored_bytes < y->info.stored_bytes);
}

/* Tensors follow each other, each padded to the alignment; the padding after the last may be
 * missing.  Turns offsets into those of the file. */
static gla_status place_tensors(gguf_file *g, uint64_t alignment, gla_diag *diag)
{
    gguf_tensor *tensors = g->base.tensors;
    uint64_t data, at = 0, end = 0;

    if (!gla__align_up_u64(g->at, alignment, &data))
        return gla__fail(diag, GLA_E_CORRUPT, "no room for tensors");
    if (g->base.n)
        qsort(tensors, g->base.n, sizeof(*tensors), by_offset);
    for (uint32_t i = 0; i < g->base.n; i++) {
        gguf_tensor *t = &tensors[i];

        if (t->offset != at) {
            gla__fail(diag, GLA_E_CORRUPT,
                      "its bytes begin at %" PRIu64 " of the data, %" PRIu64 " was expected",
                      t->offset, at);
            gla__at_format(diag, "tensor %s", t->info.name);
            return GLA_E_CORRUPT;
        }
        if (!gla__add_u64(at, t->info.stored_bytes, &end) ||
            !gla__align_up_u64(end, alignment, &at) || !gla__add_u64(data, t->offset, &t->offset))
            return gla__fail(diag, GLA_E_CORRUPT, "tensors of more than 2^64 bytes");
    }
    if (!gla__add_u64(data, end, &end) || !gla__add_u64(data, at, &at))
        return gla__fail(diag, GLA_E_CORRUPT, "tensors of more than 2^64 bytes");
    if (g->base.n ? g->file.size != end && g->file.size != at
                  : g->file.size != g->at && g->file.size != data)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "the tensors end at %" PRIu64 ", the file has %" PRIu64 " bytes", end,
                         g->file.size);
    return GLA_OK;
}

static const pair *find_pair(const gla_weights *w, const char *key);

static gla_status read_alignment(const gguf_file *g, uint64_t *out, gla_diag *diag)
{
    *out = 32;
    if (find_pair(&g->base, "general.alignment") &&
        (!gla__gguf_u64(&g->base, "general.alignment", out) || !*out || *out > MAX_ALIGNMENT ||
         (*out & (*out - 1))))
        return gla__fail(diag, GLA_E_CORRUPT,
                         "general.alignment must be a power of two up to 4096, not %" PRIu64, *out);
    return GLA_OK;
}

static gla_status read_head(gguf_file *g, gla_diag *diag)
{
    uint32_t magic, version;
    uint64_t n_tensors, n_pairs, alignment;
    gla_status st = take_u32(g, &magic, diag);

    if (!st)
        st = take_u32(g, &version, diag);
    if (st)
        return st;
    if (version != 2 && version != 3)
        return fail_at(4,
                       gla__fail(diag, GLA_E_VERSION,
                                 "gguf version %" PRIu32 "%s, 2 and 3 are read", version,
                                 version & 0xffff ? "" : " (a big-endian file)"),
                       diag);
    st = take_u64(g, &n_tensors, diag);
    if (!st)
        st = take_u64(g, &n_pairs, diag);
    if (!st)
        st = take_pairs(g, n_pairs, diag);
    if (!st)
        st = read_alignment(g, &alignment, diag);
    if (!st)
        st = take_tensors(g, n_tensors, diag);
    if (!st)
        st = place_tensors(g, alignment, diag);
    return st ? st : gla__sort_tensors(&g->base, diag);
}

/* ---- reading ---------------------------------------------------------------------- */

/* Blocks of an f16 scale and 32 int8. */
static void expand_q8_0(const uint8_t *blocks, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, blocks += 34, out += BLOCK) {
        const float scale = gla__f16_f32((uint16_t)(blocks[0] | blocks[1] << 8));

        for (size_t i = 0; i < BLOCK; i++)
            out[i] = scale * (float)(int8_t)blocks[2 + i];
    }
}

/* Blocks of an f16 scale and 16 bytes: low halves are numbers 0 to 15, high halves 16 to 31. */
static void expand_q4_0(const uint8_t *blocks, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, blocks += 18, out += BLOCK) {
        const float scale = gla__f16_f32((uint16_t)(blocks[0] | blocks[1] << 8));

        for (size_t i = 0; i < BLOCK / 2; i++) {
            out[i] = scale * (float)((blocks[2 + i] & 15) - 8);
            out[i + BLOCK / 2] = scale * (float)((blocks[2 + i] >> 4) - 8);
        }
    }
}

typedef struct expanding {
    const gguf_file *g;
    const gguf_tensor *t;
    float *dst;
    gla_status *status; /* [pieces] */
    gla_diag *diags;
} expanding;

static void expand_piece(void *arg, uint32_t i)
{
    const expanding *e = arg;
    const uint32_t bytes = block_bytes(e->t->type);
    const uint64_t first = (uint64_t)i * BLOCKS_AT_ONCE;
    const uint64_t left = e->t->info.n_elements / BLOCK - first;
    const size_t n = left < BLOCKS_AT_ONCE ? (size_t)left : BLOCKS_AT_ONCE;
    uint8_t *blocks = gla__alloc(n * bytes);

    if (!blocks) {
        e->status[i] = gla__fail_nomem(&e->diags[i], "blocks");
        return;
    }
    e->status[i] =
        gla__file_read(&e->g->file, e->t->offset + first * bytes, blocks, n * bytes, &e->diags[i]);
    if (e->status[i])
        e->diags[i].where[0] = '\0';
    else if (e->t->type == TYPE_Q8_0)
        expand_q8_0(blocks, n, e->dst + first * BLOCK);
    else
        expand_q4_0(blocks, n, e->dst + first * BLOCK);
    gla__free(blocks);
}

static gla_status read_gguf(const gla_weights *w, const gla_tensor_info *info, void *dst,
                            gla_diag *diag)
{
    const gguf_file *g = (const gguf_file *)w;
    const gguf_tensor *t = (const gguf_tensor *)info;
    const uint64_t blocks = info->n_elements / BLOCK;
    const uint32_t n = (uint32_t)((blocks + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE);
    expanding e = {g, t, dst, NULL, NULL};
    gla_status st = GLA_OK;

    if (!block_bytes(t->type))
        return gla__read_parallel(&g->file, t->offset, info->raw_bytes, dst, diag);
    e.status = gla__alloc_array(n, sizeof(*e.status));
    e.diags = gla__alloc_array(n, sizeof(*e.diags));
    if (!e.status || !e.diags) {
        st = gla__fail_nomem(diag, "reading");
        goto out;
    }
    gla__parallel_for(n, expand_piece, &e);
    for (uint32_t i = 0; !st && i < n; i++) {
        st = e.status[i];
        if (st && diag)
            *diag = e.diags[i];
    }
out:
    gla__free(e.status);
    gla__free(e.diags);
    return st;
}

static uint64_t hash_gguf(const gla_weights *w)
{
    const gguf_file *g = (const gguf_file *)w;
    uint64_t hash = XXH3_64bits(g->head, g->at);

    for (uint32_t i = 0; i < w->n; i++) {
        const gguf_tensor *t = (const gguf_tensor *)w->tensors + i;

        hash = gla__hash_sample(&g->file, t->offset, t->info.stored_bytes, hash);
    }
    return hash;
}

static const gla__weights_ops gguf_ops = {read_gguf, hash_gguf, close_gguf};

gla_status gla__gguf_open(const char *path, const gla_limits *limits, gla_weights **out,
                          gla_diag *diag)
{
    gguf_file *g = gla__alloc_zero(sizeof(*g));
    gla_status st;

    *out = NULL;
    if (!g)
        return gla__fail_nomem(diag, "a file");
    g->base.ops = &gguf_ops;
    g->base.stride = sizeof(gguf_tensor);
    g->limits = *limits;
    if (!g->limits.max_index_bytes)
        g->limits.max_index_bytes = MAX_HEAD;
    g->base.path = gla__strdup(path);
    st = g->base.path ? gla__file_open(&g->file, path, diag) : gla__fail_nomem(diag, "a path");
    if (!st)
        st = read_head(g, diag);
    if (st) {
        gla__at_file(diag, path);
        close_gguf(&g->base);
        return st;
    }
    *out = &g->base;
    return GLA_OK;
}

/* ---- asking ------------------------------------------------------------------------ */

bool gla__is_gguf(const gla_weights *w)
{
    return w->ops == &gguf_ops;
}

static const pair *find_pair(const gla_weights *w, const char *key)
{
    const gguf_file *g = (const gguf_file *)w;
    uint32_t low = 0, high = gla__is_gguf(w) ? g->n_pairs : 0;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = strcmp(key, g->pairs[middle].key);

        if (!order)
            return &g->pairs[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* A number or boolean of `type` at p, as a double and, if it is an integer, exactly. */
static bool load_number(const uint8_t *p, uint32_t type, double *out, int64_t *integer)
{
    uint64_t bits;
    double d;

    *integer = -1;
    switch (type) {
    case U8:
    case BOOL:
        *integer = p[0];
        break;
    case I8:
        *integer = (int8_t)p[0];
        break;
    case U16:
        *integer = (uint16_t)(p[0] | p[1] << 8);
        break;
    case I16:
        *integer = (int16_t)(uint16_t)(p[0] | p[1] << 8);
        break;
    case U32:
        *integer = gla__load_u32(p);
        break;
    case I32:
        *integer = (int32_t)gla__load_u32(p);
        break;
    case U64: /* above 2^63: no count we could use; negative, so it is refused */
    case I64:
        *integer = (int64_t)gla__load_u64(p);
        break;
    case F32:
        *out = (double)gla__bits_f32(gla__load_u32(p));
        return true;
    case F64:
        bits = gla__load_u64(p);
        memcpy(&d, &bits, sizeof(d));
        *out = d;
        return true;
    default:
        return false;
    }
    *out = (double)*integer;
    return true;
}

bool gla__gguf_u64(const gla_weights *w, const char *key, uint64_t *out)
{
    const pair *p = find_pair(w, key);
    double d;
    int64_t i;

    if (!p || p->type == BOOL || p->type == F32 || p->type == F64 ||
        !load_number(((const gguf_file *)w)->head + p->at, p->type, &d, &i) || i < 0)
        return false;
    *out = (uint64_t)i;
    return true;
}

bool gla__gguf_f64(const gla_weights *w, const char *key, double *out)
{
    const pair *p = find_pair(w, key);
    int64_t i;

    return p && p->type != BOOL &&
           load_number(((const gguf_file *)w)->head + p->at, p->type, out, &i);
}

bool gla__gguf_bool(const gla_weights *w, const char *key, bool *out)
{
    const pair *p = find_pair(w, key);

    if (!p || p->type != BOOL)
        return false;
    *out = ((const gguf_file *)w)->head[p->at] != 0;
    return true;
}

bool gla__gguf_string(const gla_weights *w, const char *key, gla__gguf_text *out)
{
    const pair *p = find_pair(w, key);

    if (!p || p->type != STRING)
        return false;
    out->data = (const char *)((const gguf_file *)w)->head + p->at;
    out->size = (size_t)p->n;
    return true;
}

bool gla__gguf_length(const gla_weights *w, const char *key, uint64_t *n)
{
    const pair *p = find_pair(w, key);

    if (!p || p->type != ARRAY || p->element == STRING)
        return false;
    *n = p->n;
    return true;
}

bool gla__gguf_number(const gla_weights *w, const char *key, uint64_t i, double *out)
{
    const pair *p = find_pair(w, key);
    int64_t integer;

    if (!p || p->type != ARRAY || p->element == STRING || i >= p->n)
        return false;
    return load_number(((const gguf_file *)w)->head + p->at + i * value_bytes[p->element],
                       p->element, out, &integer);
}

gla_status gla__gguf_strings(const gla_weights *w, const char *key, gla__gguf_text **list,
                             uint64_t *n, gla_diag *diag)
{
    const pair *p = find_pair(w, key);
    const uint8_t *at;

    *list = NULL;
    *n = 0;
    if (!p || p->type != ARRAY || p->element != STRING)
        return gla__fail(diag, GLA_E_CORRUPT, "no list of strings \"%s\"", key);
    *list = gla__alloc_array(p->n ? (size_t)p->n : 1, sizeof(**list));
    if (!*list)
        return gla__fail_nomem(diag, key);
    at = ((const gguf_file *)w)->head + p->at;
    for (uint64_t i = 0; i < p->n; i++) { /* the lengths were checked when the file was opened */
        (*list)[i].size = (size_t)gla__load_u64(at);
        (*list)[i].data = (const char *)at + 8;
        at += 8 + (*list)[i].size;
    }
    *n = p->n;
    return GLA_OK;
}

const char *gla__gguf_key(const gla_weights *w, uint32_t i)
{
    const gguf_file *g = (const gguf_file *)w;

    return gla__is_gguf(w) && i < g->n_pairs ? g->pairs[i].key : NULL;
}
