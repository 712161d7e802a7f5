/* SPDX-License-Identifier: Apache-2.0 */
#include "math_test.h"

static double softplus(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double reference(uint32_t act, double x)
{
    switch (act) {
    case GLA_ACT_SILU:
        return x / (1 + exp(-x));
    case GLA_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case GLA_ACT_RELU:
        return x > 0 ? x : 0;
    case GLA_ACT_RELU2:
        return x > 0 ? x * x : 0;
    case GLA_ACT_GELU:
        return x * 0.5 * erfc(-x * 0.70710678118654752440);
    case GLA_ACT_GELU_TANH:
        return x / (1 + exp(-2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case GLA_ACT_TANH:
        return tanh(x);
    case GLA_ACT_SOFTPLUS:
        return softplus(x);
    case GLA_ACT_LOG_SIGMOID:
        return -softplus(-x);
    case GLA_ACT_EXP:
        return exp(x);
    case GLA_ACT_ELU1:
        return x > 0 ? x + 1 : exp(x);
    case GLA_ACT_SQUARE:
        return x * x;
    case GLA_ACT_ONE_MINUS_EXP:
        return -expm1(x);
    default:
        return x;
    }
}

/* Of the result; in the far tails of the gelus, where x f'(x) / f(x) is large, of the argument's
 * rounding besides. */
static double allowed(uint32_t act, double x, double want)
{
    const double eps = (double)FLT_EPSILON, a = fabs(x);

    if (act == GLA_ACT_GELU)
        return (7 + a * a) * eps * fabs(want) + 1e-37;
    if (act == GLA_ACT_GELU_TANH)
        return (7 + 1.6 * a + 0.22 * a * a * a) * eps * fabs(want) + 1e-37;
    return 2.5 * eps * fabs(want) + 1e-44;
}

static void check_range(uint32_t act, double low, double high)
{
    enum { N = 20011 };
    static float x[N], y[N], z[N];
    const gla__math_needs needs = {.rows = 1, .threads = 1};
    math_test *t = math_test_new(&needs);
    const gla_math *math = gla__math_table();

    for (size_t i = 0; i < N; i++)
        x[i] = (float)(low + (high - low) * (double)i / (N - 1));
    cr_assert_eq(math->activation(&t->batch, act, 1, N, x, N, y, N), GLA_OK);
    for (size_t i = 0; i < N; i++) {
        const double want = reference(act, (double)x[i]);

        cr_assert(fabs((double)y[i] - want) <= allowed(act, (double)x[i], want),
                  "act %u of %.9g is %.9g, should be %.9g", act, (double)x[i], (double)y[i], want);
    }
    memcpy(z, x, sizeof(z)); /* in place is the same */
    cr_assert_eq(math->activation(&t->batch, act, 1, N, z, N, z, N), GLA_OK);
    cr_assert_eq(memcmp(y, z, sizeof(y)), 0);
    math_test_free(t);
}

static void check_all(void)
{
    for (uint32_t act = GLA_ACT_NONE; act <= GLA_ACT_ONE_MINUS_EXP; act++) {
        check_range(act, -1, 1);
        check_range(act, -20, 20);
        check_range(act, -87, 85);
    }
}

static void check_special(void)
{
    static const float x[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-40f, FLT_MAX, -FLT_MAX};
    const gla__math_needs needs = {.rows = 1, .threads = 1};
    math_test *t = math_test_new(&needs);
    float y[8];

    for (uint32_t act = GLA_ACT_NONE; act <= GLA_ACT_ONE_MINUS_EXP; act++) {
        cr_assert_eq(gla__math_table()->activation(&t->batch, act, 1, 8, x, 8, y, 8), GLA_OK);
        cr_assert(isnan(y[0]), "act %u of NaN is %g", act, (double)y[0]);
        for (size_t i = 1; i < 8; i++)
            cr_assert(!isnan(y[i]) || (act == GLA_ACT_SILU && isinf(x[i])), "act %u of %g is NaN",
                      act, (double)x[i]);
    }
    gla__math_table()->activation(&t->batch, GLA_ACT_EXP, 1, 8, x, 8, y, 8);
    cr_assert(isinf(y[1]) && y[1] > 0);
    cr_assert_eq(y[2], 0.0f);
    cr_assert_eq(y[3], 1.0f);
    gla__math_table()->activation(&t->batch, GLA_ACT_SOFTPLUS, 1, 8, x, 8, y, 8);
    cr_assert_eq(y[6], FLT_MAX);
    cr_assert_eq(y[7], 0.0f);
    math_test_free(t);
}

Test(activation, close_to_double_c)
{
    math_test_cpu("c");
    check_all();
    check_special();
}

Test(activation, close_to_double_avx2)
{
    math_test_cpu("avx2");
    check_all();
    check_special();
}

Test(activation, close_to_double_avx512)
{
    math_test_cpu("avx512");
    check_all();
    check_special();
}

Test(activation, glu_multiplies_rows_with_strides)
{
    enum { ROWS = 70, WIDTH = 301 };
    uint64_t seed = 3;
    const gla__math_needs needs = {.rows = ROWS, .threads = 2};
    math_test *t = math_test_new(&needs);
    float *gate = math_test_array(ROWS * 400, 2, &seed),
          *up = math_test_array(ROWS * 350, 2, &seed), *y = math_test_array(ROWS * 310, 1, &seed);

    for (uint32_t act = GLA_ACT_NONE; act <= GLA_ACT_ONE_MINUS_EXP; act++) {
        const float between = y[WIDTH];

        cr_assert_eq(
            gla__math_table()->glu(&t->batch, act, ROWS, WIDTH, gate, 400, up, 350, y, 310),
            GLA_OK);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t i = 0; i < WIDTH; i++) {
                const double g = (double)gate[r * 400 + i], u = (double)up[r * 350 + i],
                             want = reference(act, g);

                cr_assert_float_eq((double)y[r * 310 + i], want * u,
                                   fabs(u) * allowed(act, g, want) + 1e-7 * fabs(want * u));
            }
        }
        cr_assert_eq(y[WIDTH], between);
    }
    /* y may be gate or up */
    gla__math_table()->glu(&t->batch, GLA_ACT_SILU, ROWS, WIDTH, gate, 400, up, 350, y, 310);
    gla__math_table()->glu(&t->batch, GLA_ACT_SILU, ROWS, WIDTH, gate, 400, up, 350, up, 350);
    for (size_t r = 0; r < ROWS; r++)
        cr_assert_eq(memcmp(y + r * 310, up + r * 350, WIDTH * sizeof(float)), 0);
    gla__free(gate);
    gla__free(up);
    gla__free(y);
    math_test_free(t);
}

Test(activation, scale_and_clamp_work_in_place)
{
    enum { ROWS = 60, WIDTH = 301, LD = 310 };
    uint64_t seed = 4;
    const gla_math *math = gla__math_table();
    const gla__math_needs needs = {.rows = ROWS, .threads = 2};
    math_test *t = math_test_new(&needs);
    float *x = math_test_array(ROWS * LD, 2, &seed), *f = math_test_array(WIDTH, 1, &seed),
          *y = gla__alloc(sizeof(float) * ROWS * LD);

    memcpy(y, x, sizeof(float) * ROWS * LD);
    y[5] = NAN;
    cr_assert_eq(math->scale(&t->batch, 0.5f, ROWS, WIDTH, y, LD), GLA_OK);
    cr_assert_eq(math->scale_channels(&t->batch, f, ROWS, WIDTH, y, LD), GLA_OK);
    cr_assert_eq(math->clamp(&t->batch, -0.75f, 1.25f, ROWS, WIDTH, y, LD), GLA_OK);
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < LD; i++) {
            const float v = x[r * LD + i] * 0.5f * (i < WIDTH ? f[i] : 0),
                        want = v < -0.75f  ? -0.75f
                               : v > 1.25f ? 1.25f
                                           : v,
                        got = y[r * LD + i];

            if (r == 0 && i == 5)
                cr_assert(isnan(got));
            else if (i < WIDTH)
                cr_assert_eq(got, want);
            else
                cr_assert_eq(got, x[r * LD + i]);
        }
    }
    gla__free(x);
    gla__free(f);
    gla__free(y);
    math_test_free(t);
}

static void mark(void *arg, uint32_t first, uint32_t last)
{
    uint8_t *seen = arg;

    for (uint32_t r = first; r < last; r++)
        seen[r]++;
}

Test(activation, for_rows_sees_each_row_once)
{
    uint8_t seen[1000] = {0};
    gla__exec exec = {0};
    const gla_batch b = {.exec = &exec};

    for (uint32_t rows = 0; rows <= 1000; rows += 37) {
        memset(seen, 0, sizeof(seen));
        cr_assert_eq(gla__math_table()->for_rows(&b, rows, mark, seen), GLA_OK);
        for (uint32_t r = 0; r < 1000; r++)
            cr_assert_eq(seen[r], r < rows);
    }
}

Test(activation, mixes_rows_into_rows)
{
    enum { ROWS = 70, WIDTH = 301, LD = 310 };
    uint64_t seed = 8;
    const gla_math *math = gla__math_table();
    const gla__math_needs needs = {.rows = ROWS, .threads = 2};
    math_test *t = math_test_new(&needs);
    float *x = math_test_array(ROWS * LD, 2, &seed), *other = math_test_array(ROWS * LD, 2, &seed),
          *mu = math_test_array(ROWS * WIDTH, 1, &seed), *y = gla__alloc(sizeof(float) * ROWS * LD);

    for (size_t ld_mu = 0; ld_mu <= WIDTH; ld_mu += WIDTH) {
        memcpy(y, other, sizeof(float) * ROWS * LD); /* in place */
        cr_assert_eq(math->mix(&t->batch, ROWS, WIDTH, x, LD, y, LD, mu, ld_mu, y, LD), GLA_OK);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t i = 0; i < LD; i++) {
                const size_t at = r * LD + i;

                if (i < WIDTH)
                    cr_assert_eq(y[at], x[at] + mu[r * ld_mu + i] * (other[at] - x[at]));
                else
                    cr_assert_eq(y[at], other[at]);
            }
    }
    gla__free(x);
    gla__free(other);
    gla__free(mu);
    gla__free(y);
    math_test_free(t);
}
