/* SPDX-License-Identifier: Apache-2.0 */
#include "math_test.h"

enum { ROWS = 70, GROUPS = 5, MOST = 67, LD = GROUPS * MOST + 3 };

typedef struct operands {
    math_test *t;
    float *x, *f, *y, *before;
} operands;

static operands operands_new(uint64_t seed)
{
    const gla__math_needs needs = {.rows = ROWS, .threads = 2};
    operands o = {.t = math_test_new(&needs)};

    o.x = math_test_array(ROWS * LD, 1, &seed);
    o.f = math_test_array(ROWS * LD, 1, &seed);
    o.y = math_test_array(ROWS * LD, 1, &seed);
    o.before = gla__alloc(ROWS * LD * sizeof(float));
    memcpy(o.before, o.y, ROWS * LD * sizeof(float));
    return o;
}

static void operands_free(operands *o)
{
    gla__free(o->x);
    gla__free(o->f);
    gla__free(o->y);
    gla__free(o->before);
    math_test_free(o->t);
}

/* Every number, and what lies between the rows.  A product rounded, then a sum: no tolerance. */
static void check_factor(bool add, uint32_t width, bool same_rows, bool with_f)
{
    const size_t n = (size_t)GROUPS * width;
    operands o = operands_new(width + 7u);
    const gla_factor f = {.struct_size = sizeof(f),
                          .rows = ROWS,
                          .groups = GROUPS,
                          .width = width,
                          .x = o.x,
                          .f = with_f ? o.f : NULL,
                          .y = o.y,
                          .ld_x = LD,
                          .ld_f = same_rows ? 0 : GROUPS + 1,
                          .ld_y = LD};
    const gla_math *math = gla__math_table();

    cr_assert_eq(add ? math->add(&o.t->batch, &f) : math->mul(&o.t->batch, &f), GLA_OK);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < LD; i++) {
            const float factor = with_f ? o.f[r * f.ld_f + (i < n ? i / width : 0)] : 1;
            const volatile float product = factor * o.x[r * LD + i];
            const float was = o.before[r * LD + i];
            const float want = i >= n ? was : add ? was + product : product;

            cr_assert_eq(o.y[r * LD + i], want, "%s, width %u, row %zu, %zu: %g, should be %g",
                         add ? "add" : "mul", width, r, i, (double)o.y[r * LD + i], (double)want);
        }
    operands_free(&o);
}

static void check_factors(void)
{
    static const uint32_t widths[] = {1, 2, 7, 16, 64, MOST};

    for (size_t i = 0; i < 6 * 8; i++)
        check_factor(i / 6 % 2, widths[i % 6], i / 12 % 2, i / 24);
}

static void check_copy(uint32_t width, float scale)
{
    operands o = operands_new(width);
    const gla_copy c = {.struct_size = sizeof(c),
                        .rows = ROWS,
                        .groups = GROUPS,
                        .width = width,
                        .x = o.x,
                        .y = o.y,
                        .ld_x = LD,
                        .ld_y = LD,
                        .stride_x = 3, /* they overlap */
                        .stride_y = MOST,
                        .scale = scale};

    cr_assert_eq(gla__math_table()->copy(&o.t->batch, &c), GLA_OK);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < LD; i++) {
            const bool copied = i / MOST < GROUPS && i % MOST < width;
            const float x = o.x[r * LD + (copied ? i / MOST * 3 + i % MOST : 0)];

            cr_assert_eq(o.y[r * LD + i],
                         copied ? x * (scale == 0 ? 1 : scale) : o.before[r * LD + i]);
        }
    operands_free(&o);
}

static void check_copies(void)
{
    static const uint32_t widths[] = {1, 2, 7, 16, 64, MOST};

    for (size_t i = 0; i < 6 * 2; i++)
        check_copy(widths[i % 6], i / 6 ? 0.3f : 0);
}

Test(elementwise, exact_for_every_number_c)
{
    math_test_cpu("c");
    check_factors();
    check_copies();
}

Test(elementwise, exact_for_every_number_avx2)
{
    math_test_cpu("avx2");
    check_factors();
    check_copies();
}

Test(elementwise, exact_for_every_number_avx512)
{
    math_test_cpu("avx512");
    check_factors();
    check_copies();
}

Test(elementwise, mul_in_place)
{
    operands o = operands_new(3);
    gla_factor f = {.struct_size = sizeof(f),
                    .rows = ROWS,
                    .groups = LD,
                    .width = 1,
                    .x = o.y,
                    .f = o.f,
                    .y = o.y,
                    .ld_x = LD,
                    .ld_f = LD,
                    .ld_y = LD};

    cr_assert_eq(gla__math_table()->mul(&o.t->batch, &f), GLA_OK);
    for (size_t i = 0; i < ROWS * LD; i++)
        cr_assert_eq(o.y[i], o.before[i] * o.f[i]);
    memcpy(o.y, o.before, ROWS * LD * sizeof(float));
    f.x = o.f;
    f.f = o.y;
    cr_assert_eq(gla__math_table()->mul(&o.t->batch, &f), GLA_OK);
    for (size_t i = 0; i < ROWS * LD; i++)
        cr_assert_eq(o.y[i], o.before[i] * o.f[i]);
    operands_free(&o);
}
