/* SPDX-License-Identifier: Apache-2.0 */
#include "math_test.h"

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* One group: y = norm(x), in doubles. */
static void norm_double(uint32_t kind, const double *x, size_t n, double eps, double *y)
{
    double mean = 0, sum = 0, squares = 0, sizes = 0, var = 0, top = x[0], total = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
        sizes += fabs(x[i]);
        top = x[i] > top ? x[i] : top;
    }
    mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
        total += exp(x[i] - top);
    }
    for (size_t i = 0; i < n; i++) {
        switch (kind) {
        case GLA_NORM_RMS:
            y[i] = x[i] / sqrt(squares / (double)n + eps);
            break;
        case GLA_NORM_LAYER:
            y[i] = (x[i] - mean) / sqrt(var + eps);
            break;
        case GLA_NORM_L2:
            y[i] = x[i] / sqrt(squares + eps);
            break;
        case GLA_NORM_SUM:
            y[i] = x[i] / (sum + eps);
            break;
        case GLA_NORM_L2_MAX:
            y[i] = x[i] / (sqrt(squares) > eps ? sqrt(squares) : eps);
            break;
        case GLA_NORM_L1_MAX:
            y[i] = x[i] / (sizes > eps ? sizes : eps);
            break;
        default:
            y[i] = exp(x[i] - top) / total;
        }
    }
}

enum { ROWS = 5, PAD = 3 };

static void check_case(uint32_t kind, size_t groups, size_t width, unsigned mode, uint64_t seed)
{
    const size_t n = groups * width, ld = n + PAD;
    const gla__math_needs needs = {.rows = ROWS, .threads = 2};
    math_test *t = math_test_new(&needs);
    float *x = math_test_array(ROWS * ld, 2, &seed), *gate = math_test_array(ROWS * ld, 1, &seed),
          *weight = math_test_array(n, 1, &seed), *bias = math_test_array(n, 1, &seed),
          *y = math_test_array(ROWS * ld, 1, &seed);
    const bool per_group = mode & 1, gated = mode & 2, first = mode & 4, affine = mode & 8;
    const gla_norm norm = {.struct_size = sizeof(norm),
                           .kind = kind,
                           .groups = (uint32_t)groups,
                           .width = (uint32_t)width,
                           .weight_per_group = per_group,
                           .gate_activation = GLA_ACT_SILU,
                           .gate_first = first,
                           .eps = 1e-5f,
                           .weight_offset = mode & 16 ? 1.0f : 0.0f,
                           .weight = affine ? weight : NULL,
                           .bias = affine ? bias : NULL,
                           .gate = gated ? gate : NULL,
                           .ld_gate = ld};
    double *in = gla__alloc(width * sizeof(double)), *want = gla__alloc(width * sizeof(double));

    if (kind == GLA_NORM_SUM) { /* of positive numbers, or the sum is noise */
        for (size_t i = 0; i < ROWS * ld; i++)
            x[i] = fabsf(x[i]), gate[i] = fabsf(gate[i]);
    }
    cr_assert_eq(gla__math_table()->norm(&t->batch, &norm, ROWS, x, ld, y, ld), GLA_OK);
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t g = 0; g < groups; g++) {
            const size_t at = r * ld + g * width;
            double span = 0;

            for (size_t i = 0; i < width; i++)
                in[i] = (double)x[at + i] * (gated && first ? silu((double)gate[at + i]) : 1);
            for (size_t i = 0; i < width; i++)
                span = fabs(in[i]) > span ? fabs(in[i]) : span;
            norm_double(kind, in, width, 1e-5, want);
            for (size_t i = 0; i < width; i++) {
                const size_t wi = per_group ? g * width + i : i;
                const double factor = (affine ? (double)weight[wi] + (mode & 16 ? 1 : 0) : 1);
                const double b = affine ? (double)bias[wi] : 0;
                const double act = gated && !first ? silu((double)gate[at + i]) : 1;
                const double result = (want[i] * factor + b) * act;
                /* the mean that a layer norm subtracts is exact to the size of the numbers, the
                 * exponents of a softmax to theirs */
                const double size = kind == GLA_NORM_LAYER     ? fabs(want[i]) + 1
                                    : kind == GLA_NORM_SOFTMAX ? fabs(want[i]) * (1 + span)
                                                               : fabs(want[i]);

                cr_assert(fabs((double)y[at + i] - result) <=
                              1e-6 * (size * fabs(factor) + fabs(b)) * fabs(act) + 1e-30,
                          "norm %u mode %u [%zu x %zu] at %zu: %.9g, should be %.9g", kind, mode,
                          groups, width, i, (double)y[at + i], result);
            }
        }
    }
    cr_assert_eq(gla__math_table()->norm(&t->batch, &norm, ROWS, x, ld, x, ld), GLA_OK);
    for (size_t r = 0; r < ROWS; r++) /* in place is the same */
        cr_assert_eq(memcmp(x + r * ld, y + r * ld, n * sizeof(float)), 0);
    gla__free(x);
    gla__free(y);
    gla__free(gate);
    gla__free(weight);
    gla__free(bias);
    gla__free(in);
    gla__free(want);
    math_test_free(t);
}

static void check_all(void)
{
    static const size_t widths[] = {1, 3, 8, 16, 17, 64, 100, 128, 1000};

    for (uint32_t kind = GLA_NORM_RMS; kind <= GLA_NORM_L1_MAX; kind++) {
        for (unsigned mode = 0; mode < 32; mode++) {
            for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
                check_case(kind, 1 + i % 3, widths[i], mode, kind * 1000 + mode * 10 + i);
        }
    }
}

Test(norm, close_to_double_c)
{
    math_test_cpu("c");
    check_all();
}

Test(norm, close_to_double_avx2)
{
    math_test_cpu("avx2");
    check_all();
}

Test(norm, close_to_double_avx512)
{
    math_test_cpu("avx512");
    check_all();
}

Test(norm, long_rows_keep_their_accuracy)
{
    for (uint32_t kind = GLA_NORM_RMS; kind <= GLA_NORM_L1_MAX; kind++)
        check_case(kind, 1, 16384, 8, kind);
}

Test(norm, one_nan_spoils_its_group_only)
{
    const gla__math_needs needs = {.rows = 1, .threads = 1};
    math_test *t = math_test_new(&needs);

    for (uint32_t kind = GLA_NORM_RMS; kind <= GLA_NORM_L1_MAX; kind++) {
        const gla_norm norm = {
            .struct_size = sizeof(norm), .kind = kind, .groups = 2, .width = 20, .eps = 1e-6f};
        float x[40], y[40];

        for (size_t i = 0; i < 40; i++)
            x[i] = (float)i;
        x[7] = NAN;
        cr_assert_eq(gla__math_table()->norm(&t->batch, &norm, 1, x, 40, y, 40), GLA_OK);
        for (size_t i = 0; i < 40; i++)
            cr_assert_eq(isnan(y[i]), i < 20, "norm %u, %zu is %g", kind, i, (double)y[i]);
    }
    math_test_free(t);
}

Test(norm, softmax_of_large_numbers_sums_to_one)
{
    const gla__math_needs needs = {.rows = 1, .threads = 1};
    math_test *t = math_test_new(&needs);
    const gla_norm norm = {
        .struct_size = sizeof(norm), .kind = GLA_NORM_SOFTMAX, .groups = 1, .width = 33};
    float x[33], y[33];
    double sum = 0;

    for (size_t i = 0; i < 33; i++)
        x[i] = 1e4f + (float)i;
    x[3] = -INFINITY;
    cr_assert_eq(gla__math_table()->norm(&t->batch, &norm, 1, x, 33, y, 33), GLA_OK);
    for (size_t i = 0; i < 33; i++)
        sum += (double)y[i];
    cr_assert_float_eq(sum, 1, 1e-6);
    cr_assert_eq(y[3], 0.0f);
    math_test_free(t);
}
