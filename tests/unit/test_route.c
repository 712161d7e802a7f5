/* SPDX-License-Identifier: Apache-2.0 */
#include "math_test.h"

#include <gla/gla.h>

static void say_nothing(const gla_host *h, const char *msg)
{
    (void)h, (void)msg;
}

static const gla_host host = {.struct_size = sizeof(host), .explain = say_nothing};

static math_test *new_batch(void)
{
    const gla__math_needs needs = {.rows = 1, .threads = 2};
    math_test *t = math_test_new(&needs);

    t->batch.host = &host;
    return t;
}

static double score_of(const gla_route *r, const float *logits, uint32_t e)
{
    double sum = 0;

    if (r->score == GLA_SCORE_SIGMOID)
        return 1 / (1 + exp(-(double)logits[e]));
    if (r->score == GLA_SCORE_SOFTMAX_TOP_K)
        return logits[e];
    for (uint32_t i = 0; i < r->experts; i++)
        sum += exp((double)logits[i] - logits[e]);
    return 1 / sum;
}

/* What choosing goes by. */
static double value_of(const gla_route *r, const float *logits, uint32_t e)
{
    return score_of(r, logits, e) + (r->bias ? (double)r->bias[e] : 0);
}

static double group_value(const gla_route *r, const float *logits, uint32_t group)
{
    const uint32_t size = r->experts / r->groups;
    double best = -INFINITY;

    for (uint32_t i = 0; i < size; i++)
        for (uint32_t j = 0; j < (size > 1 ? i : 1); j++) {
            const double pair = value_of(r, logits, group * size + i) +
                                (size > 1 ? value_of(r, logits, group * size + j) : 0);

            best = pair > best ? pair : best;
        }
    return best;
}

/* How many groups, or experts of allowed groups, come before this one. */
static uint32_t group_rank(const gla_route *r, const float *logits, uint32_t group)
{
    uint32_t rank = 0;

    for (uint32_t g = 0; g < r->groups; g++)
        rank += group_value(r, logits, g) > group_value(r, logits, group);
    return rank;
}

static uint32_t rank_of(const gla_route *r, const float *logits, uint32_t expert)
{
    const uint32_t size = r->experts / r->groups;
    uint32_t rank = 0;

    if (group_rank(r, logits, expert / size) >= r->top_groups)
        return UINT32_MAX;
    for (uint32_t e = 0; e < r->experts; e++)
        rank += group_rank(r, logits, e / size) < r->top_groups &&
                value_of(r, logits, e) > value_of(r, logits, expert);
    return rank;
}

static double weight_of(const gla_route *r, const float *logits, uint32_t expert)
{
    const bool exponents = r->score == GLA_SCORE_SOFTMAX_TOP_K;
    const double s = score_of(r, logits, expert);
    double sum = 0;

    if (!r->renormalise && !exponents)
        return s * (double)r->scaling;
    for (uint32_t e = 0; e < r->experts; e++)
        if (rank_of(r, logits, e) < r->top_k)
            sum += exponents ? exp(score_of(r, logits, e) - s) : score_of(r, logits, e) / s;
    return (double)r->scaling / sum;
}

/* Choice i of row `row` lies among its expert's rows, which come in the order of the batch. */
static void check_row(const gla_route *r, const float *logits, uint32_t row, uint32_t *next)
{
    const float *mine = logits + (size_t)row * r->experts;

    for (uint32_t i = 0; i < r->top_k; i++) {
        const size_t at = (size_t)row * r->top_k + i;
        uint32_t expert = 0;
        double want;

        while (expert < r->experts && rank_of(r, mine, expert) != i)
            expert++;
        cr_assert_lt(expert, r->experts);
        want = weight_of(r, mine, expert);
        cr_assert_eq(r->slot[at], next[expert], "row %u, choice %u: slot %u, should be %u", row, i,
                     r->slot[at], next[expert]);
        cr_assert_float_eq((double)r->weight[at], want, 1e-5 * fabs(want));
        next[expert]++;
    }
}

static void check(uint32_t score, uint32_t experts, uint32_t groups, uint32_t top_groups,
                  uint32_t top_k, bool bias, bool renormalise)
{
    enum { ROWS = 300 };
    uint64_t seed = experts + 100 * top_k;
    const size_t n = (size_t)ROWS * experts;
    float *logits = math_test_array(n, 2, &seed), *given = gla__alloc(n * sizeof(float)),
          *b = math_test_array(experts, 0.3f, &seed);
    math_test *t = new_batch();
    gla_route r = {.struct_size = sizeof(r),
                   .rows = ROWS,
                   .experts = experts,
                   .top_k = top_k,
                   .score = score,
                   .groups = groups,
                   .top_groups = top_groups,
                   .renormalise = renormalise,
                   .scaling = 2.5f,
                   .bias = bias ? b : NULL,
                   .logits = logits,
                   .ld_logits = experts,
                   .slot = gla__alloc(ROWS * top_k * sizeof(uint32_t)),
                   .offset = gla__alloc((2 * experts + 2) * sizeof(uint32_t)),
                   .weight = gla__alloc(ROWS * top_k * sizeof(float))};
    uint32_t *next = gla__alloc(experts * sizeof(uint32_t));

    memcpy(given, logits, n * sizeof(float));
    cr_assert_eq(gla__math_table()->route(&t->batch, &r), GLA_OK);
    cr_assert_eq(r.offset[0], 0);
    cr_assert_eq(r.offset[experts], ROWS * top_k);
    memcpy(next, r.offset, experts * sizeof(uint32_t));
    for (uint32_t row = 0; row < ROWS; row++)
        check_row(&r, given, row, next);
    for (uint32_t e = 0; e < experts; e++)
        cr_assert_eq(next[e], r.offset[e + 1]);
    for (size_t i = 0; i < n; i++) {
        const double want = score_of(&r, given + i / experts * experts, (uint32_t)(i % experts));

        cr_assert_float_eq((double)logits[i], want, 1e-5 * fabs(want) + 1e-37);
    }
    gla__free(logits);
    gla__free(given);
    gla__free(b);
    gla__free(r.slot);
    gla__free(r.offset);
    gla__free(r.weight);
    gla__free(next);
    math_test_free(t);
}

Test(route, follows_the_formula)
{
    gla_set_threads(2);
    for (uint32_t score = GLA_SCORE_SOFTMAX; score <= GLA_SCORE_SOFTMAX_TOP_K; score++)
        for (int i = 0; i < 4; i++) {
            check(score, 8, 1, 1, 2, i & 1, i & 2);
            check(score, 12, 4, 2, 5, i & 1, i & 2);
            check(score, 6, 6, 3, 3, i & 1, i & 2); /* groups of one */
            check(score, 5, 1, 1, 5, i & 1, i & 2); /* all of them */
            check(score, 1, 1, 1, 1, i & 1, i & 2);
        }
}

/* Experts of two rows. */
static gla_status route_two(gla_route *r, float *logits, uint32_t *slot, float *weight)
{
    static uint32_t offset[130];
    math_test *t = new_batch();
    gla_status st;

    r->struct_size = sizeof(*r);
    r->rows = 2;
    r->scaling = 1;
    r->logits = logits;
    r->ld_logits = 64;
    r->slot = slot;
    r->offset = offset;
    r->weight = weight;
    st = gla__math_table()->route(&t->batch, r);
    math_test_free(t);
    return st;
}

Test(route, the_first_of_equals)
{
    float logits[128] = {0}, weight[4];
    uint32_t slot[4];
    gla_route r = {.experts = 4, .groups = 2, .top_groups = 1, .top_k = 2};

    logits[64 + 3] = logits[64 + 2] = 1;
    cr_assert_eq(route_two(&r, logits, slot, weight), GLA_OK);
    cr_assert_arr_eq(r.offset, ((uint32_t[]){0, 1, 2, 3, 4}), 5 * sizeof(uint32_t));
    cr_assert_arr_eq(slot, ((uint32_t[]){0, 1, 2, 3}), sizeof(slot));
}

Test(route, numbers_that_are_none_choose_somebody)
{
    float logits[128], weight[4];
    uint32_t slot[4];
    gla_route r = {.experts = 4, .groups = 2, .top_groups = 1, .top_k = 2};

    for (size_t i = 0; i < 128; i++)
        logits[i] = NAN;
    cr_assert_eq(route_two(&r, logits, slot, weight), GLA_OK);
    cr_assert_eq(r.offset[4], 4);
    cr_assert(isnan(weight[0]));
}

Test(route, refuses_what_it_cannot_do)
{
    float logits[128] = {0}, weight[4];
    uint32_t slot[4];
    const gla_route good = {.experts = 4, .groups = 2, .top_groups = 1, .top_k = 2};
    gla_route bad[7];

    for (size_t i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].top_k = 3; /* a group has two */
    bad[1].top_k = 0;
    bad[2].groups = 3;
    bad[3].groups = 0;
    bad[4].top_groups = 3;
    bad[5].top_groups = 0;
    bad[6].score = 3;
    for (size_t i = 0; i < 7; i++)
        cr_assert_eq(route_two(&bad[i], logits, slot, weight), GLA_E_INVALID, "case %zu", i);
}

/* Rows go to their slots, and come back weighted: in order, each product rounded. */
static void check_there_and_back(void)
{
    enum { ROWS = 40, K = 3, WIDTH = 71, LD = 80, SORTED = 75 };
    uint64_t seed = 9;
    float *x = math_test_array(ROWS * LD, 1, &seed), *w = math_test_array(ROWS * K, 1, &seed),
          *sorted = gla__alloc_zero(ROWS * K * SORTED * sizeof(float)),
          *y = gla__alloc_zero(ROWS * LD * sizeof(float));
    uint32_t slot[ROWS * K];
    math_test *t = new_batch();
    const gla_math *math = gla__math_table();

    for (uint32_t i = 0; i < ROWS * K; i++)
        slot[i] = i * 7 % (ROWS * K);
    cr_assert_eq(math->permute(&t->batch, ROWS, K, WIDTH, slot, x, LD, sorted, SORTED), GLA_OK);
    for (size_t i = 0; i < ROWS * K; i++) {
        cr_assert_arr_eq(sorted + slot[i] * SORTED, x + i / K * LD, WIDTH * sizeof(float));
        cr_assert_eq(sorted[slot[i] * SORTED + WIDTH], 0.0f);
        for (size_t j = 0; j < WIDTH; j++)
            sorted[slot[i] * SORTED + j] += (float)i; /* the choices differ */
    }
    cr_assert_eq(math->combine_rows(&t->batch, ROWS, K, WIDTH, slot, w, sorted, SORTED, y, LD),
                 GLA_OK);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < LD; i++) {
            float want = 0;

            for (size_t j = 0; j < K && i < WIDTH; j++) {
                const volatile float product = w[r * K + j] * sorted[slot[r * K + j] * SORTED + i];

                want += product;
            }
            cr_assert_eq(y[r * LD + i], want);
        }
    gla__free(x);
    gla__free(w);
    gla__free(sorted);
    gla__free(y);
    math_test_free(t);
}

Test(route, rows_go_to_their_experts_and_back_c)
{
    math_test_cpu("c");
    check_there_and_back();
}

Test(route, rows_go_to_their_experts_and_back_avx2)
{
    math_test_cpu("avx2");
    check_there_and_back();
}

Test(route, rows_go_to_their_experts_and_back_avx512)
{
    math_test_cpu("avx512");
    check_there_and_back();
}
