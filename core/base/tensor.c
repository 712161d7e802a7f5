/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/weights.h>
#include <string.h>

#include "base/checked.h"

static const struct {
    uint32_t dtype, bytes; /* bytes of one number; 0: quantised */
    const char *name;
} types[] = {
    {GLA_DTYPE_F32, 4, "f32"}, {GLA_DTYPE_BF16, 2, "bf16"}, {GLA_DTYPE_F16, 2, "f16"},
    {GLA_DTYPE_I8, 0, "int8"}, {GLA_DTYPE_I4, 0, "int4"},   {GLA_DTYPE_F64, 8, "f64"},
    {GLA_DTYPE_I32, 4, "i32"}, {GLA_DTYPE_U8, 1, "u8"},     {GLA_DTYPE_I64, 8, "i64"},
    {GLA_DTYPE_I16, 2, "i16"}, {GLA_DTYPE_BOOL, 1, "bool"},
};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

const char *gla_dtype_name(uint32_t dtype)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (types[i].dtype == dtype)
            return types[i].name;
    }
    return "?";
}

uint32_t gla_dtype_parse(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (name && !strcmp(types[i].name, name))
            return types[i].dtype;
    }
    return 0;
}

/* Of one row: int8 and its f32 scale, or int4 and an f16 scale and minimum for each 32. */
static bool quantised_row(uint32_t dtype, uint64_t cols, uint64_t *bytes)
{
    if (dtype == GLA_DTYPE_I8)
        return gla__add_u64(cols, 4, bytes);
    if (cols % 32)
        return false;
    return gla__add_u64(cols / 2, cols / 32 * 4, bytes);
}

uint64_t gla_dtype_bytes(uint32_t dtype, uint64_t rows, uint64_t cols)
{
    uint64_t row = 0, total = 0;

    for (size_t i = 0; i < N_TYPES; i++) {
        if (types[i].dtype != dtype)
            continue;
        if (!(types[i].bytes ? gla__mul_u64(cols, types[i].bytes, &row)
                             : quantised_row(dtype, cols, &row)))
            return 0;
        return gla__mul_u64(rows, row, &total) ? total : 0;
    }
    return 0;
}
