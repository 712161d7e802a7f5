/* SPDX-License-Identifier: Apache-2.0 */
#include "math/quantise.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/half.h"
#include "math/kernels/quantise_kernels.h"

enum { ROWS = 7, COLS = 96 };

/* Bell-shaped numbers from a fixed seed. */
static void fill(float *x, size_t n, float spread)
{
    uint64_t s = 88172645463325252u;

    for (size_t i = 0; i < n; i++) {
        float sum = 0;

        for (int j = 0; j < 6; j++) {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            sum += (float)(s >> 40) * 0x1p-24f;
        }
        x[i] = spread * (sum - 3);
    }
}

static double relative_error(const float *x, const float *y, size_t n)
{
    double error = 0, power = 0;

    for (size_t i = 0; i < n; i++) {
        error += (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
        power += (double)x[i] * (double)x[i];
    }
    return sqrt(error / power);
}

static double round_trip(uint32_t dtype, const float *x, float *y)
{
    uint8_t data[ROWS * COLS];
    float aux[ROWS * COLS / 32];
    gla_diag diag;

    cr_assert_eq(gla__quantise_rows(dtype, x, ROWS, COLS, data, aux, &diag), GLA_OK, "%s",
                 diag.message);
    cr_assert_eq(gla__dequantise_rows(dtype, data, aux, ROWS, COLS, y, &diag), GLA_OK);
    return relative_error(x, y, ROWS * COLS);
}

/* What rounding with the obvious scale gives: the search must not be worse. */
static double naive_i8(const float *x)
{
    float y[ROWS * COLS];

    for (int r = 0; r < ROWS; r++) {
        float m = 0;

        for (int i = 0; i < COLS; i++)
            m = fmaxf(m, fabsf(x[r * COLS + i]));
        for (int i = 0; i < COLS; i++)
            y[r * COLS + i] = m / 127 * rintf(x[r * COLS + i] * 127 / m);
    }
    return relative_error(x, y, ROWS * COLS);
}

static double naive_i4(const float *x)
{
    float y[ROWS * COLS];

    for (int g = 0; g < ROWS * COLS / 32; g++) {
        float low = x[32 * g], high = x[32 * g];

        for (int i = 0; i < 32; i++) {
            low = fminf(low, x[32 * g + i]);
            high = fmaxf(high, x[32 * g + i]);
        }
        for (int i = 0; i < 32; i++)
            y[32 * g + i] =
                low + (high - low) / 15 * rintf((x[32 * g + i] - low) * 15 / (high - low));
    }
    return relative_error(x, y, ROWS * COLS);
}

Test(quantise, int8_is_at_least_as_good_as_plain_rounding)
{
    float x[ROWS * COLS], y[ROWS * COLS];

    fill(x, ROWS * COLS, 0.02f);
    cr_expect_leq(round_trip(GLA_DTYPE_I8, x, y), naive_i8(x) * 1.0001);
    cr_expect_lt(round_trip(GLA_DTYPE_I8, x, y), 0.01);
}

Test(quantise, int4_is_clearly_better_than_plain_rounding)
{
    float x[ROWS * COLS], y[ROWS * COLS];

    fill(x, ROWS * COLS, 0.02f);
    cr_expect_lt(round_trip(GLA_DTYPE_I4, x, y), 0.97 * naive_i4(x));
    cr_expect_lt(round_trip(GLA_DTYPE_I4, x, y), 0.1);
}

Test(quantise, int8_keeps_what_it_can_hold_exactly)
{
    float x[ROWS * COLS], y[ROWS * COLS];

    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = 0.5f * (float)(i % 255 - 127);
    x[0] = x[COLS] = x[2 * COLS] = x[3 * COLS] = x[4 * COLS] = x[5 * COLS] = x[6 * COLS] = 63.5f;
    cr_expect_lt(round_trip(GLA_DTYPE_I8, x, y), 1e-6);
}

Test(quantise, int4_keeps_sixteen_even_steps_exactly)
{
    float x[ROWS * COLS], y[ROWS * COLS];

    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = -2.0f + 0.25f * (float)(i * 7 % 16);
    cr_expect_lt(round_trip(GLA_DTYPE_I4, x, y), 1e-6);
}

Test(quantise, constant_and_zero_rows_come_back)
{
    float x[ROWS * COLS] = {0}, y[ROWS * COLS];

    for (int i = COLS; i < 2 * COLS; i++)
        x[i] = 0.5f;
    cr_expect_lt(round_trip(GLA_DTYPE_I8, x, y), 1e-6);
    cr_expect_lt(round_trip(GLA_DTYPE_I4, x, y), 1e-6);
    cr_expect_eq(y[0], 0);
}

Test(quantise, an_outlier_does_not_ruin_int8)
{
    float x[ROWS * COLS], y[ROWS * COLS];

    fill(x, ROWS * COLS, 0.02f);
    x[5] = 1.0f;
    cr_expect_leq(round_trip(GLA_DTYPE_I8, x, y), naive_i8(x) * 1.0001);
}

Test(quantise, refuses_numbers_that_are_not_finite)
{
    float x[64] = {0};
    uint8_t data[64];
    float aux[4];
    gla_diag diag;

    x[40] = NAN;
    cr_expect_eq(gla__quantise_rows(GLA_DTYPE_I8, x, 2, 32, data, aux, &diag), GLA_E_UNSUPPORTED);
    x[40] = 1e6f; /* an f16 minimum cannot hold it */
    cr_expect_eq(gla__quantise_rows(GLA_DTYPE_I4, x, 2, 32, data, aux, &diag), GLA_E_UNSUPPORTED);
    cr_expect_eq(gla__quantise_rows(GLA_DTYPE_I8, x, 2, 32, data, aux, &diag), GLA_OK);
}

Test(quantise, refuses_int4_rows_of_odd_length)
{
    float x[40] = {0}, aux[4];
    uint8_t data[40];

    cr_expect_eq(gla__quantise_rows(GLA_DTYPE_I4, x, 1, 40, data, aux, NULL), GLA_E_SHAPE);
}

Test(quantise, sixteen_bit_numbers_survive_a_round_trip)
{
    static uint16_t in[65536], out[65536];
    static float wide[65536];

    for (uint32_t i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    cr_assert_eq(gla__to_f32(GLA_DTYPE_BF16, in, 65536, wide, NULL), GLA_OK);
    cr_assert_eq(gla__from_f32(wide, 65536, GLA_DTYPE_BF16, out, NULL), GLA_OK);
    for (uint32_t i = 0; i < 65536; i++)
        cr_assert(out[i] == in[i] || isnan(wide[i]), "%04x became %04x", in[i], out[i]);
    cr_assert_eq(gla__to_f32(GLA_DTYPE_F16, in, 65536, wide, NULL), GLA_OK);
    cr_assert_eq(gla__from_f32(wide, 65536, GLA_DTYPE_F16, out, NULL), GLA_OK);
    for (uint32_t i = 0; i < 65536; i++)
        cr_assert(out[i] == in[i] || isnan(wide[i]), "%04x became %04x", in[i], out[i]);
}

Test(quantise, f16_says_when_a_number_does_not_fit)
{
    const float big = 70000.0f, fits = 65504.0f;
    uint16_t h;
    gla_diag diag;

    cr_expect_eq(gla__from_f32(&fits, 1, GLA_DTYPE_F16, &h, &diag), GLA_OK);
    cr_expect_eq(gla__from_f32(&big, 1, GLA_DTYPE_F16, &h, &diag), GLA_E_UNSUPPORTED);
    cr_expect_str_eq(diag.hint, "use bf16");
}

/* A converted file must not depend on the machine that made it. */
Test(quantise, every_instruction_set_finds_the_same_to_the_bit)
{
    enum { N = 1000, GROUPS = N / GLA__I4_GROUP };
    float x[N], inverse[GLA__QUANTISE_TRIALS];

    fill(x, N, 0.3f);
    for (size_t i = 64; i < 96; i++)
        x[i] = i % 2 ? 7.5f : 7.5f + 1e-6f; /* hardly a range */
    for (uint32_t t = 0; t < GLA__QUANTISE_TRIALS; t++)
        inverse[t] = 127.0f / (1.0f - 0.02f * (float)t);
    for (gla__isa isa = GLA__ISA_AVX2; isa <= gla__cpu_get()->isa; isa++) {
        const gla__quantise_kernels *c = &gla_k_quantise__c, *k = gla__quantise_kernels_for(isa);
        double want[2][GLA__QUANTISE_TRIALS], got[2][GLA__QUANTISE_TRIALS];

        c->i8(x, N, inverse, want[0], want[1]);
        k->i8(x, N, inverse, got[0], got[1]);
        cr_assert_eq(memcmp(want, got, sizeof(want)), 0, "int8, instruction set %d", (int)isa);
        for (size_t g = 0; g < GROUPS; g++) {
            float fit[2][3][GLA__QUANTISE_TRIALS];

            for (uint32_t t = 0; t < GLA__QUANTISE_TRIALS; t++) {
                fit[0][0][t] = fit[1][0][t] = 0.12f / (1 + (float)t);
                fit[0][1][t] = fit[1][1][t] = -0.9f + 0.01f * (float)t;
            }
            c->i4(x + g * GLA__I4_GROUP, fit[0][0], fit[0][1], fit[0][2]);
            k->i4(x + g * GLA__I4_GROUP, fit[1][0], fit[1][1], fit[1][2]);
            for (uint32_t t = 0; t < GLA__QUANTISE_TRIALS; t++) {
                cr_assert_eq(isnan(fit[0][2][t]), isnan(fit[1][2][t]));
                for (int i = 0; i < 3 && !isnan(fit[0][2][t]); i++)
                    cr_assert_eq(fit[0][i][t], fit[1][i][t], "int4, group %zu, trial %u", g, t);
            }
        }
    }
}
