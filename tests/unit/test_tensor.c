/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <gla/weights.h>
#include <string.h>

#include "base/memory.h"
#include "base/tensor.h"

static const uint32_t all[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_F16, GLA_DTYPE_I8,
                               GLA_DTYPE_I4,  GLA_DTYPE_F64,  GLA_DTYPE_I32, GLA_DTYPE_U8,
                               GLA_DTYPE_I64, GLA_DTYPE_I16,  GLA_DTYPE_BOOL};

Test(tensor, names_go_both_ways)
{
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        cr_expect_eq(gla_dtype_parse(gla_dtype_name(all[i])), all[i], "%s", gla_dtype_name(all[i]));
    cr_expect_str_eq(gla_dtype_name(0), "?");
    cr_expect_eq(gla_dtype_parse("int5"), 0);
    cr_expect_eq(gla_dtype_parse(NULL), 0);
}

/* All ways to ask for the bytes of [6, 64] agree. */
Test(tensor, bytes_agree)
{
    const int64_t dims[] = {2, 3, 64};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const uint32_t t = all[i];
        uint64_t data, aux;

        cr_assert_eq(gla__tensor_bytes(t, 3, dims, &data, &aux), GLA_OK);
        cr_expect_eq(data, 6 * gla__row_bytes(t, 64), "%s", gla_dtype_name(t));
        cr_expect_eq(aux, 6 * gla__row_scales(t, 64), "%s", gla_dtype_name(t));
        cr_expect_eq(data + aux, gla_dtype_bytes(t, 6, 64), "%s", gla_dtype_name(t));
        cr_expect_eq(gla__dtype_width(t) == 0, gla__is_quantised(t), "%s", gla_dtype_name(t));
    }
    cr_expect_eq(gla_dtype_bytes(GLA_DTYPE_BF16, 6, 64), 768);
    cr_expect_eq(gla_dtype_bytes(GLA_DTYPE_I8, 6, 64), 6 * (64 + 4));
    cr_expect_eq(gla_dtype_bytes(GLA_DTYPE_I4, 6, 64), 6 * (32 + 2 * 4));
}

Test(tensor, what_cannot_be)
{
    const int64_t odd[] = {6, 48}, negative[] = {6, -1}, huge[] = {INT64_MAX, 3};
    uint64_t data, aux;

    cr_expect_eq(gla__tensor_bytes(GLA_DTYPE_I4, 2, odd, &data, &aux), GLA_E_SHAPE);
    cr_expect_eq(gla__tensor_bytes(GLA_DTYPE_F32, 2, negative, &data, &aux), GLA_E_SHAPE);
    cr_expect_eq(gla__tensor_bytes(GLA_DTYPE_F32, 2, huge, &data, &aux), GLA_E_LIMIT);
    cr_expect_eq(gla__tensor_bytes(GLA_DTYPE_U8, 2, huge, &data, &aux), GLA_E_LIMIT);
    cr_expect_eq(gla__tensor_bytes(GLA_DTYPE_I8, 0, NULL, &data, &aux), GLA_E_SHAPE);
    cr_expect_eq(gla__tensor_bytes(99, 2, odd, &data, &aux), GLA_E_SHAPE);
    cr_expect_eq(gla__tensor_bytes(GLA_DTYPE_F32, 0, NULL, &data, &aux), GLA_OK);
    cr_expect_eq(data, 4, "a scalar is one number");
    cr_expect_eq(gla_dtype_bytes(GLA_DTYPE_I4, 6, 48), 0);
    cr_expect_eq(gla_dtype_bytes(GLA_DTYPE_I8, 1, UINT64_MAX), 0);
    cr_expect_eq(gla_dtype_bytes(GLA_DTYPE_F64, UINT64_MAX / 8, 2), 0);
    cr_expect_eq(gla_dtype_bytes(99, 6, 64), 0);
}

Test(tensor, shapes_as_text)
{
    const int64_t dims[] = {512, 1024, 7};
    char text[64], small[8];

    cr_expect_str_eq(gla__shape_text(3, dims, text, sizeof(text)), "[512, 1024, 7]");
    cr_expect_str_eq(gla__shape_text(0, dims, text, sizeof(text)), "[]");
    cr_expect_str_eq(gla__shape_text(3, dims, small, sizeof(small)), "[512, 1");
}

Test(tensor, memory_of_the_machine)
{
    cr_expect_gt(gla__most_of_memory(), UINT64_C(1) << 20);
}
