/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"

#include <criterion/criterion.h>
#include <math.h>

Test(half, every_number_survives_the_way_through_f32)
{
    for (uint32_t i = 0; i < 65536; i++) {
        const uint16_t h = (uint16_t)i;
        const float f = gla__f16_f32(h), b = gla__bf16_f32(h);

        if (isnan(f))
            cr_assert(isnan(gla__f16_f32(gla__f32_f16(f))));
        else
            cr_assert_eq(gla__f32_f16(f), h, "f16 %04x", i);
        if (isnan(b))
            cr_assert(isnan(gla__bf16_f32(gla__f32_bf16(b))));
        else
            cr_assert_eq(gla__f32_bf16(b), h, "bf16 %04x", i);
    }
}

Test(half, rounds_to_the_nearest_ties_to_even)
{
    cr_assert_eq(gla__f32_f16(1.0f + 0x1p-11f), 0x3c00);
    cr_assert_eq(gla__f32_f16(1.0f + 0x3p-11f), 0x3c02);
    cr_assert_eq(gla__f32_f16(65519.0f), 0x7bff);
    cr_assert_eq(gla__f32_f16(65520.0f), 0x7c00);
    cr_assert_eq(gla__f32_f16(0x1p-25f), 0x0000);
    cr_assert_eq(gla__f32_f16(0x3p-25f), 0x0002);
    cr_assert_eq(gla__f32_bf16(1.0f + 0x1p-8f), 0x3f80);
    cr_assert_eq(gla__f32_bf16(1.0f + 0x3p-8f), 0x3f82);
    cr_assert_eq(gla__f32_bf16(-INFINITY), 0xff80);
}
