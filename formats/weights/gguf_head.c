/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_head.c - the head of a gguf file, byte by byte
 *
 * It is kept in memory as it stands; everything else points into it.  Every count is compared with
 * the bytes that are left before anything is done with it. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "formats/weights/gguf_file.h"

#define MAGIC         0x46554747u /* "GGUF" */
#define MAX_PAIRS     65536u
#define MIN_PAIR      14u /* bytes: key of one byte, type, value of one byte */
#define MIN_TENSOR    25u /* bytes: name of one byte, no dimensions, type, offset */
#define MAX_ALIGNMENT 4096u

/* ---- bytes ---- */

static gla_status fail_at(size_t at, gla_status st, gla_diag *diag)
{
    gla__at_offset(diag, at);
    return st;
}

/* Makes n more bytes of the file present at g->at. */
static gla_status need(gla__gguf_part *g, uint64_t n, gla_diag *diag)
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
    if (end > g->max_head)
        return fail_at(g->at,
                       gla__fail(diag, GLA_E_LIMIT,
                                 "a head of more than %" PRIu64 " bytes, the most allowed",
                                 g->max_head),
                       diag);
    if (end <= g->have)
        return GLA_OK;
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

static gla_status take_u32(gla__gguf_part *g, uint32_t *out, gla_diag *diag)
{
    const gla_status st = need(g, 4, diag);

    *out = 0;
    if (st)
        return st;
    *out = gla__load_u32(g->head + g->at);
    g->at += 4;
    return GLA_OK;
}

static gla_status take_u64(gla__gguf_part *g, uint64_t *out, gla_diag *diag)
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
static gla_status skip(gla__gguf_part *g, uint64_t n, gla_diag *diag)
{
    const gla_status st = need(g, n, diag);

    if (!st)
        g->at += (size_t)n;
    return st;
}

/* A key or tensor name, copied. */
static gla_status take_name(gla__gguf_part *g, char **out, gla_diag *diag)
{
    const size_t start = g->at;
    uint64_t n;
    gla_status st = take_u64(g, &n, diag);

    *out = NULL;
    if (!st && n > GLA__MAX_TENSOR_NAME)
        st = gla__fail(diag, GLA_E_LIMIT, "a name of %" PRIu64 " bytes, at most %u allowed", n,
                       GLA__MAX_TENSOR_NAME);
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

static gla_status take_array(gla__gguf_part *g, gla__gguf_pair *p, gla_diag *diag)
{
    const size_t start = g->at;
    uint64_t bytes;
    gla_status st = take_u32(g, &p->element, diag);

    if (!st)
        st = take_u64(g, &p->n, diag);
    if (st)
        return st;
    if (p->element >= GLA__GGUF_VALUES || p->element == GLA__GGUF_ARRAY)
        return fail_at(
            start, gla__fail(diag, GLA_E_CORRUPT, "an array of type %" PRIu32, p->element), diag);
    if (!gla__mul_u64(p->n, p->element == GLA__GGUF_STRING ? 8 : gla__gguf_value_bytes(p->element),
                      &bytes) ||
        bytes > g->file.size - g->at)
        return fail_at(start,
                       gla__fail(diag, GLA_E_CORRUPT,
                                 "an array of %" PRIu64 " values in a file of %" PRIu64 " bytes",
                                 p->n, g->file.size),
                       diag);
    p->at = g->at;
    if (p->element != GLA__GGUF_STRING)
        return skip(g, bytes, diag);
    for (uint64_t i = 0; !st && i < p->n; i++) {
        uint64_t length;

        st = take_u64(g, &length, diag);
        if (!st)
            st = skip(g, length, diag);
    }
    return st;
}

static gla_status take_value(gla__gguf_part *g, gla__gguf_pair *p, gla_diag *diag)
{
    const size_t start = g->at;
    gla_status st = take_u32(g, &p->type, diag);

    if (st)
        return st;
    if (p->type >= GLA__GGUF_VALUES)
        return fail_at(start, gla__fail(diag, GLA_E_CORRUPT, "a value of type %" PRIu32, p->type),
                       diag);
    if (p->type == GLA__GGUF_ARRAY)
        return take_array(g, p, diag);
    if (p->type == GLA__GGUF_STRING) {
        st = take_u64(g, &p->n, diag);
        p->at = g->at;
        return st ? st : skip(g, p->n, diag);
    }
    p->at = g->at;
    return skip(g, gla__gguf_value_bytes(p->type), diag);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const gla__gguf_pair *)a)->key, ((const gla__gguf_pair *)b)->key);
}

static gla_status take_pairs(gla__gguf_part *g, uint64_t n, gla_diag *diag)
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
        gla__gguf_pair *p = &g->pairs[g->n_pairs];

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
    uint32_t type, dtype; /* dtype 0: in blocks, and F32 here if they are known */
    const char *name;
} tensor_types[] = {{0, GLA_DTYPE_F32, "F32"},
                    {1, GLA_DTYPE_F16, "F16"},
                    {2, 0, "Q4_0"},
                    {3, 0, "Q4_1"},
                    {6, 0, "Q5_0"},
                    {7, 0, "Q5_1"},
                    {8, 0, "Q8_0"},
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

static gla_status set_type(gla__gguf_tensor *t, gla_diag *diag)
{
    const char *name = "unknown";

    for (size_t i = 0; i < sizeof(tensor_types) / sizeof(tensor_types[0]); i++) {
        if (tensor_types[i].type == t->type) {
            t->info.dtype = gla__gguf_blocks_of(t->type) ? GLA_DTYPE_F32 : tensor_types[i].dtype;
            name = tensor_types[i].name;
        }
    }
    if (t->info.dtype)
        return GLA_OK;
    gla__fail(diag, GLA_E_UNSUPPORTED, "type %s (%" PRIu32 ") is not supported", name, t->type);
    gla__hint(diag, "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K are");
    return GLA_E_UNSUPPORTED;
}

static gla_status set_sizes(gla__gguf_tensor *t, gla_diag *diag)
{
    gla_tensor_info *info = &t->info;
    const gla__gguf_blocks *blocks = gla__gguf_blocks_of(t->type);
    int64_t row;
    gla_status st = gla__count_elements(info, diag);

    if (st)
        return st;
    info->raw_bytes = gla__info_bytes(info); /* below 2^43 */
    info->stored_bytes =
        blocks ? info->n_elements / blocks->numbers * blocks->bytes : info->raw_bytes;
    row = info->ndim ? info->dims[info->ndim - 1] : 1;
    if (blocks && row % blocks->numbers)
        return gla__fail(diag, GLA_E_CORRUPT, "rows of %" PRId64 " numbers in blocks of %" PRIu32,
                         row, blocks->numbers);
    return GLA_OK;
}

static gla_status take_tensor(gla__gguf_part *g, gla__gguf_tensor *t, gla_diag *diag)
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

static gla_status take_tensors(gla__gguf_file *f, uint32_t index, uint64_t n, gla_diag *diag)
{
    gla__gguf_part *g = &f->parts[index];
    const uint64_t before = f->base.n;
    gla__gguf_tensor *tensors;
    gla_status st = GLA_OK;

    if (n > f->limits.max_tensors - before)
        return gla__fail(diag, GLA_E_LIMIT, "%" PRIu64 " tensors, at most %" PRIu64 " allowed", n,
                         f->limits.max_tensors);
    if (n > (g->file.size - g->at) / MIN_TENSOR)
        return gla__fail(diag, GLA_E_CORRUPT, "%" PRIu64 " tensors in a file of %" PRIu64 " bytes",
                         n, g->file.size);
    tensors = gla__realloc(f->base.tensors, (size_t)before * sizeof(*tensors),
                           (size_t)(before + n + 1) * sizeof(*tensors));
    if (!tensors)
        return gla__fail_nomem(diag, "tensors");
    f->base.tensors = tensors;
    while (!st && f->base.n < before + n) {
        gla__gguf_tensor *t = &tensors[f->base.n++];

        memset(t, 0, sizeof(*t));
        t->part = index;
        st = take_tensor(g, t, diag);
        if (!st)
            st = gla__count_bytes(t->info.raw_bytes, &f->limits, &f->raw_bytes, diag);
    }
    return st;
}

static int by_offset(const void *a, const void *b)
{
    const gla__gguf_tensor *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->info.stored_bytes > y->info.stored_bytes) -
           (x->info.stored_bytes < y->info.stored_bytes);
}

/* Of a place in a file, or not far behind it. */
static uint64_t padded(uint64_t at, uint64_t alignment)
{
    return (at + alignment - 1) / alignment * alignment;
}

/* The n tensors of a part follow each other, each padded to the alignment; the padding after the
 * last may be missing.  Turns offsets into those of the file. */
static gla_status place_tensors(const gla__gguf_part *g, gla__gguf_tensor *tensors, uint64_t n,
                                uint64_t alignment, gla_diag *diag)
{
    const uint64_t data = padded(g->at, alignment), size = g->file.size;
    uint64_t at = 0, end = 0;

    if (n)
        qsort(tensors, (size_t)n, sizeof(*tensors), by_offset);
    for (uint64_t i = 0; i < n && end <= size; i++) {
        gla__gguf_tensor *t = &tensors[i];

        if (t->offset != at) {
            gla__fail(diag, GLA_E_CORRUPT,
                      "its bytes begin at %" PRIu64 " of the data, %" PRIu64 " was expected",
                      t->offset, at);
            gla__at_format(diag, "tensor %s", t->info.name);
            return GLA_E_CORRUPT;
        }
        end = at + t->info.stored_bytes; /* a tensor has less than 2^43 */
        at = padded(end, alignment);
        t->offset += data;
    }
    end += data;
    if (n ? size != end && size != data + at : size != g->at && size != data)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "the tensors end at %" PRIu64 ", the file has %" PRIu64 " bytes", end,
                         size);
    return GLA_OK;
}

static gla_status read_alignment(const gla__gguf_part *g, uint64_t *out, gla_diag *diag)
{
    *out = 32;
    if (gla__gguf_pair_find(g, "general.alignment") &&
        (!gla__gguf_part_u64(g, "general.alignment", out) || !*out || *out > MAX_ALIGNMENT ||
         (*out & (*out - 1))))
        return gla__fail(diag, GLA_E_CORRUPT,
                         "general.alignment must be a power of two up to 4096, not %" PRIu64, *out);
    return GLA_OK;
}

gla_status gla__gguf_read_head(gla__gguf_file *f, uint32_t index, gla_diag *diag)
{
    gla__gguf_part *g = &f->parts[index];
    const uint32_t before = f->base.n;
    uint32_t magic, version;
    uint64_t n_tensors, n_pairs, alignment;
    gla_status st = take_u32(g, &magic, diag);

    if (!st && magic != MAGIC)
        return gla__fail(diag, GLA_E_CORRUPT, "not a gguf file");
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
        st = take_tensors(f, index, n_tensors, diag);
    return st ? st
              : place_tensors(g, (gla__gguf_tensor *)f->base.tensors + before, n_tensors, alignment,
                              diag);
}
