/* SPDX-License-Identifier: Apache-2.0 */
#include "math_test.h"

#include <gla/gla.h>

static void say_nothing(const gla_host *h, const char *msg)
{
    (void)h, (void)msg;
}

static gla_status call(const gla_rows *r)
{
    const gla__math_needs needs = {.rows = 1, .threads = 2};
    const gla_host host = {.struct_size = sizeof(host), .explain = say_nothing};
    math_test *t = math_test_new(&needs);
    gla_status st;

    t->batch.host = &host;
    st = gla__math_table()->rows(&t->batch, r);
    cr_expect_eq(t->exec.failed, st);
    math_test_free(t);
    return st;
}

enum { ROWS = 1000, WIDTH = 33, LD = 40 };

/* y = x * w + arg */
static void fill(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    for (size_t r = first; r < last; r++)
        for (size_t i = 0; i < WIDTH; i++)
            at[2][r * WIDTH + i] += at[0][r * LD + i] * at[1][i] + *(const float *)arg;
}

/* Operands of a version that has 8 bytes more. */
typedef struct later_operand {
    gla_operand o;
    uint64_t more;
} later_operand;

static void check(uint32_t operand_size, const void *operands, float *y, const float *x,
                  const float *w)
{
    static const float two = 2;
    const gla_rows r = {.struct_size = sizeof(r),
                        .operand_size = operand_size,
                        .operands = operands,
                        .n_operands = 3,
                        .rows = ROWS,
                        .arg = &two,
                        .arg_bytes = sizeof(two),
                        .fn = fill};

    memset(y, 0, ROWS * WIDTH * sizeof(float));
    cr_assert_eq(call(&r), GLA_OK);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        cr_assert_eq(y[i], x[i / WIDTH * LD + i % WIDTH] * w[i % WIDTH] + 2);
}

Test(rows, sees_each_row_once_with_its_operands)
{
    uint64_t seed = 4;
    float *x = math_test_array(ROWS * LD, 1, &seed), *w = math_test_array(WIDTH, 1, &seed),
          *y = gla__alloc(ROWS * WIDTH * sizeof(float));
    const gla_operand operands[] = {{x, LD, WIDTH, GLA_USE_READ},
                                    {w, 0, WIDTH, GLA_USE_READ},
                                    {y, WIDTH, WIDTH, GLA_USE_READ_WRITE}};
    const later_operand later[] = {{operands[0], 9}, {operands[1], 9}, {operands[2], 9}};

    gla_set_threads(2);
    check(sizeof(gla_operand), operands, y, x, w);
    check(0, operands, y, x, w);
    check(sizeof(later_operand), later, y, x, w);
    gla__free(x);
    gla__free(w);
    gla__free(y);
}

static void mark(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    (void)arg;
    for (uint32_t i = first; i < last; i++)
        at[0][i]++;
}

Test(rows, pieces_of_any_kind)
{
    float seen[50] = {0};
    const gla_operand operand = {seen, 0, 50, GLA_USE_READ_WRITE};
    const gla_rows r = {.struct_size = sizeof(r),
                        .operand_size = sizeof(operand),
                        .operands = &operand,
                        .n_operands = 1,
                        .rows = 50,
                        .whole = 1,
                        .fn = mark};

    gla_set_threads(2);
    cr_assert_eq(call(&r), GLA_OK);
    for (size_t i = 0; i < 50; i++)
        cr_assert_eq(seen[i], 1.0f);
}

Test(rows, refuses_what_it_cannot_do)
{
    float x[1] = {0};
    const gla_operand good = {x, 1, 1, GLA_USE_WRITE}, no_numbers = {NULL, 1, 1, GLA_USE_WRITE},
                      no_use = {x, 1, 1, 0};
    const gla_rows r = {.struct_size = sizeof(r),
                        .operand_size = sizeof(good),
                        .operands = &good,
                        .n_operands = 1,
                        .rows = 1,
                        .fn = mark};
    gla_rows bad[6];

    for (size_t i = 0; i < 6; i++)
        bad[i] = r;
    bad[0].fn = NULL;
    bad[1].n_operands = 0;
    bad[2].n_operands = 17;
    bad[3].operand_size = 8;
    bad[4].operands = &no_numbers;
    bad[5].operands = &no_use;
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(call(&bad[i]), GLA_E_INVALID, "case %zu", i);
    cr_assert_eq(x[0], 0.0f);
    cr_assert_eq(call(&r), GLA_OK);
    cr_assert_eq(x[0], 1.0f);
}
