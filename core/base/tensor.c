/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tensor.h"

#include <gla/weights.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

/* ---- dtypes ---- */

typedef struct type {
    uint32_t dtype, width; /* of one number; 0: quantised */
    bool is_float;
    const char *name;
} type;

static const type types[] = {{GLA_DTYPE_F32, 4, true, "f32"},   {GLA_DTYPE_BF16, 2, true, "bf16"},
                             {GLA_DTYPE_F16, 2, true, "f16"},   {GLA_DTYPE_I8, 0, false, "int8"},
                             {GLA_DTYPE_I4, 0, false, "int4"},  {GLA_DTYPE_F64, 8, true, "f64"},
                             {GLA_DTYPE_I32, 4, false, "i32"},  {GLA_DTYPE_U8, 1, false, "u8"},
                             {GLA_DTYPE_I64, 8, false, "i64"},  {GLA_DTYPE_I16, 2, false, "i16"},
                             {GLA_DTYPE_BOOL, 1, false, "bool"}};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

static const type *find(uint32_t dtype)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].dtype == dtype)
            return &types[i];
    return NULL;
}

const char *gla_dtype_name(uint32_t dtype)
{
    const type *t = find(dtype);

    return t ? t->name : "?";
}

uint32_t gla_dtype_parse(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (name && !strcmp(types[i].name, name))
            return types[i].dtype;
    return 0;
}

bool gla__is_float(uint32_t dtype)
{
    const type *t = find(dtype);

    return t && t->is_float;
}

bool gla__is_quantised(uint32_t dtype)
{
    return dtype == GLA_DTYPE_I8 || dtype == GLA_DTYPE_I4;
}

uint32_t gla__dtype_width(uint32_t dtype)
{
    const type *t = find(dtype);

    return t ? t->width : 0;
}

/* ---- bytes ---- */

uint64_t gla__row_bytes(uint32_t dtype, uint64_t cols)
{
    if (dtype == GLA_DTYPE_I4)
        return cols / 2;
    return dtype == GLA_DTYPE_I8 ? cols : cols * gla__dtype_width(dtype);
}

uint64_t gla__row_scales(uint32_t dtype, uint64_t cols)
{
    if (dtype == GLA_DTYPE_I4)
        return cols / GLA__I4_GROUP * 4; /* f16 scale and minimum */
    return dtype == GLA_DTYPE_I8 ? sizeof(float) : 0;
}

uint64_t gla_dtype_bytes(uint32_t dtype, uint64_t rows, uint64_t cols)
{
    const type *t = find(dtype);
    uint64_t row, total;
    bool ok;

    if (!t || (dtype == GLA_DTYPE_I4 && cols % GLA__I4_GROUP))
        return 0;
    ok = t->width ? gla__mul_u64(cols, t->width, &row)
                  : gla__add_u64(gla__row_bytes(dtype, cols), gla__row_scales(dtype, cols), &row);
    return ok && gla__mul_u64(rows, row, &total) ? total : 0;
}

gla_status gla__tensor_bytes(uint32_t dtype, uint32_t ndim, const int64_t *dims, uint64_t *data,
                             uint64_t *aux)
{
    const type *t = find(dtype);
    uint64_t count = 1, rows = 1, cols;

    *data = *aux = 0;
    if (!t || ndim > GLA_MAX_DIMS || (!t->width && !ndim))
        return GLA_E_SHAPE;
    for (uint32_t i = 0; i < ndim; i++) {
        if (dims[i] < 0)
            return GLA_E_SHAPE;
        if (!gla__mul_u64(count, (uint64_t)dims[i], &count))
            return GLA_E_LIMIT;
        if (i + 1 < ndim)
            rows = count;
    }
    if (t->width)
        return gla__mul_u64(count, t->width, data) ? GLA_OK : GLA_E_LIMIT;
    cols = (uint64_t)dims[ndim - 1];
    if (dtype == GLA_DTYPE_I4 && cols % GLA__I4_GROUP)
        return GLA_E_SHAPE;
    *data = gla__row_bytes(dtype, count);
    return gla__mul_u64(rows, gla__row_scales(dtype, cols), aux) ? GLA_OK : GLA_E_LIMIT;
}

/* ---- shapes ---- */

uint64_t gla__n_elements(uint32_t ndim, const int64_t *dims)
{
    uint64_t n = 1;

    for (uint32_t i = 0; i < ndim; i++)
        n *= (uint64_t)dims[i];
    return n;
}

const char *gla__shape_text(uint32_t ndim, const int64_t *dims, char *buf, size_t size)
{
    size_t used = (size_t)snprintf(buf, size, "[");

    for (uint32_t i = 0; i < ndim && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%" PRId64, i ? ", " : "", dims[i]);
    if (used < size)
        snprintf(buf + used, size - used, "]");
    return buf;
}
