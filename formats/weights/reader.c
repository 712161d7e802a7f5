/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/weights/reader.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "formats/text/utf8.h"
#include "base/sized.h"
#include "base/tensor.h"

/* ---- an open file ------------------------------------------------------------ */

void gla_weights_free(gla_weights *w)
{
    if (w)
        w->ops->close(w);
}

uint32_t gla_weights_count(const gla_weights *w)
{
    return w->n;
}

const gla_tensor_info *gla_weights_info(const gla_weights *w, uint32_t i)
{
    return i < w->n ? (const void *)((const char *)w->tensors + i * w->stride) : NULL;
}

const gla_tensor_info *gla_weights_find(const gla_weights *w, const char *name)
{
    uint32_t low = 0, high = w->n;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const gla_tensor_info *info = gla_weights_info(w, middle);
        const int order = strcmp(name, info->name);

        if (!order)
            return info;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- checks ------------------------------------------------------------------ */

void gla__at_file(gla_diag *diag, const char *path)
{
    if (diag && strncmp(diag->where, path, strlen(path)))
        gla__at(diag, path);
}

gla_status gla__limits(const gla_limits *given, gla_limits *out, gla_diag *diag)
{
    const gla_status st = gla__read_struct(gla_limits, reserved, out, given, diag);

    if (!out->max_tensors)
        out->max_tensors = 65536;
    if (!out->max_bytes)
        out->max_bytes = gla__most_of_memory();
    if (!out->max_layers)
        out->max_layers = 4096;
    return st; /* max_index_bytes differs by format */
}

gla_status gla__check_tensor_name(const char *name, size_t n, gla_diag *diag)
{
    if (!n || n > GLA__MAX_TENSOR_NAME)
        return gla__fail(diag, GLA_E_CORRUPT, "a tensor name of %zu bytes, 1 to %u allowed", n,
                         GLA__MAX_TENSOR_NAME);
    if (gla__utf8_valid(name, n) != n)
        return gla__fail(diag, GLA_E_CORRUPT, "a tensor name is not UTF-8");
    for (size_t at = 0, step; at < n; at += step) {
        const int32_t c = gla__utf8_next(name + at, &step);

        if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            return gla__fail(diag, GLA_E_CORRUPT, "a control character in a tensor name");
    }
    return GLA_OK;
}

gla_status gla__count_elements(gla_tensor_info *info, gla_diag *diag)
{
    uint64_t n = 1;
    bool empty = false;

    for (uint32_t i = 0; i < info->ndim; i++) {
        const uint64_t d = (uint64_t)info->dims[i];

        if (info->dims[i] < 0 || d >= GLA__MAX_ELEMENTS)
            return gla__fail(diag, GLA_E_LIMIT,
                             "a dimension of %" PRIu64 ", less than 2^40 allowed", d);
        empty |= !d;
        if (d && (!gla__mul_u64(n, d, &n) || n > GLA__MAX_ELEMENTS))
            return gla__fail(diag, GLA_E_LIMIT, "more than 2^40 numbers");
    }
    info->n_elements = empty ? 0 : n;
    return GLA_OK;
}

uint64_t gla__info_bytes(const gla_tensor_info *info)
{
    const uint64_t cols = info->ndim ? (uint64_t)info->dims[info->ndim - 1] : 1;

    return cols ? gla_dtype_bytes(info->dtype, info->n_elements / cols, cols) : 0;
}

gla_status gla__count_bytes(uint64_t bytes, const gla_limits *limits, uint64_t *total,
                            gla_diag *diag)
{
    if (!gla__add_u64(*total, bytes, total) || *total > limits->max_bytes) {
        gla__fail(diag, GLA_E_LIMIT,
                  "tensors of more than %" PRIu64 " bytes altogether, at most %" PRIu64 " allowed",
                  *total, limits->max_bytes);
        gla__hint(diag, "limits.max_bytes allows more");
        return GLA_E_LIMIT;
    }
    return GLA_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gla_tensor_info *)a)->name, ((const gla_tensor_info *)b)->name);
}

gla_status gla__sort_tensors(gla_weights *w, gla_diag *diag)
{
    if (w->n)
        qsort(w->tensors, w->n, w->stride, by_name);
    for (uint32_t i = 1; i < w->n; i++) {
        const char *name = gla_weights_info(w, i)->name;

        if (!strcmp(gla_weights_info(w, i - 1)->name, name))
            return gla__fail(diag, GLA_E_CORRUPT, "two tensors named \"%.100s\"", name);
    }
    return GLA_OK;
}

/* ---- bytes of a file ---------------------------------------------------------- */

#define READ_AT_ONCE (4u << 20)

typedef struct reading {
    const gla__file *file;
    uint64_t offset, size;
    uint8_t *dst;
    gla_status *status; /* [pieces] */
    gla_diag *diags;
} reading;

static void read_piece(void *arg, uint32_t i)
{
    const reading *r = arg;
    const uint64_t at = (uint64_t)i * READ_AT_ONCE;
    const uint64_t left = r->size - at;

    r->status[i] =
        gla__file_read(r->file, r->offset + at, r->dst + at,
                       (size_t)(left < READ_AT_ONCE ? left : READ_AT_ONCE), &r->diags[i]);
}

gla_status gla__read_parallel(const gla__file *file, uint64_t offset, uint64_t size, void *dst,
                              gla_diag *diag)
{
    const uint32_t n = (uint32_t)((size + READ_AT_ONCE - 1) / READ_AT_ONCE);
    gla_status st = GLA_OK;
    reading r = {file, offset, size, dst, NULL, NULL};

    if (n <= 1) {
        st = gla__file_read(file, offset, dst, (size_t)size, diag);
        goto out;
    }
    r.status = gla__alloc_array(n, sizeof(*r.status));
    r.diags = gla__alloc_array(n, sizeof(*r.diags));
    if (!r.status || !r.diags) {
        st = gla__fail_nomem(diag, "reading");
        goto out;
    }
    gla__parallel_for(n, read_piece, &r);
    for (uint32_t i = 0; !st && i < n; i++) {
        st = r.status[i];
        if (st && diag)
            *diag = r.diags[i];
    }
out:
    gla__free(r.status);
    gla__free(r.diags);
    if (st && diag)
        diag->where[0] = '\0'; /* the caller names the file */
    return st;
}

uint64_t gla__hash_sample(const gla__file *file, uint64_t offset, uint64_t size, uint64_t seed)
{
    uint8_t sample[4096];
    const size_t n = size < sizeof(sample) ? (size_t)size : sizeof(sample);

    if (gla__file_read(file, offset, sample, n, NULL))
        return seed;
    seed = XXH3_64bits_withSeed(sample, n, seed);
    if (gla__file_read(file, offset + size - n, sample, n, NULL))
        return seed;
    return XXH3_64bits_withSeed(sample, n, seed);
}
