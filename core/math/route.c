/* SPDX-License-Identifier: Apache-2.0
 *
 * route.c - mixture of experts: who computes a row, rows sorted by expert, results put together
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "math/kernels/row_kernels.h"
#include "math/ops.h"

enum { MAX_TOP_K = 64, MAX_GROUPS = 64 };

/* ---- choosing ---- */

typedef struct route_call {
    const gla__row_kernels *kernels;
    gla_route r;
} route_call;

static float choice_score(const gla_route *r, const float *score, uint32_t e)
{
    return r->bias ? score[e] + r->bias[e] : score[e];
}

/* A group counts as much as its two best experts together. */
static uint64_t allowed_groups(const gla_route *r, const float *score)
{
    const uint32_t size = r->experts / r->groups;
    float value[MAX_GROUPS];
    uint64_t allowed = 0;

    for (uint32_t g = 0; g < r->groups; g++) {
        float first = -INFINITY, second = -INFINITY;

        for (uint32_t e = g * size; e < (g + 1) * size; e++) {
            const float s = choice_score(r, score, e);

            if (s > first) {
                second = first;
                first = s;
            } else if (s > second) {
                second = s;
            }
        }
        value[g] = size > 1 ? first + second : first;
    }
    for (uint32_t i = 0; i < r->top_groups; i++) {
        uint32_t best = MAX_GROUPS;

        for (uint32_t g = 0; g < r->groups; g++)
            if (!(allowed >> g & 1) && (best == MAX_GROUPS || value[g] > value[best]))
                best = g;
        allowed |= UINT64_C(1) << best;
    }
    return allowed;
}

/* The top_k experts of one row, the first of equals, and their scores. */
static void choose(const gla_route *r, const float *score, uint32_t *expert, float *weight)
{
    const uint32_t size = r->experts / r->groups;
    const uint64_t allowed = r->groups > 1 ? allowed_groups(r, score) : 1;

    for (uint32_t i = 0; i < r->top_k; i++) {
        uint32_t best = UINT32_MAX;
        float best_score = 0;

        for (uint32_t e = 0; e < r->experts; e++) {
            const float s = choice_score(r, score, e);
            bool taken = !(allowed >> e / size & 1);

            for (uint32_t j = 0; j < i && !taken; j++)
                taken = expert[j] == e;
            if (!taken && (best == UINT32_MAX || s > best_score)) {
                best = e;
                best_score = s;
            }
        }
        expert[i] = best;
        weight[i] = score[best];
    }
}

static void weigh(const gla_route *r, float *weight)
{
    const bool softmax = r->score == GLA_SCORE_SOFTMAX_TOP_K;
    float sum = 0;

    if (softmax)
        for (uint32_t i = r->top_k; i-- > 0;)
            weight[i] = expf(weight[i] - weight[0]);
    for (uint32_t i = 0; i < r->top_k; i++)
        sum += weight[i];
    for (uint32_t i = 0; i < r->top_k; i++) {
        if (r->renormalise || softmax)
            weight[i] /= sum + (r->score == GLA_SCORE_SIGMOID ? 1e-20f : 0);
        weight[i] *= r->scaling;
    }
}

static void choose_rows(void *arg, uint32_t first, uint32_t last)
{
    const route_call *c = arg;
    const gla_route *r = &c->r;
    const gla_norm softmax = {.width = r->experts};

    for (size_t row = first; row < last; row++) {
        float *score = r->logits + row * r->ld_logits, *weight = r->weight + row * r->top_k;

        if (r->score == GLA_SCORE_SOFTMAX)
            c->kernels->norm[GLA_NORM_SOFTMAX](&softmax, NULL, NULL, score, score);
        else if (r->score == GLA_SCORE_SIGMOID)
            c->kernels->act[GLA_ACT_SIGMOID](score, score, r->experts);
        choose(r, score, r->slot + row * r->top_k, weight);
        weigh(r, weight);
    }
}

/* Counting sort: slot[] has the experts and gets their rows. */
static void sort_choices(const gla_route *r)
{
    const size_t choices = (size_t)r->rows * r->top_k;
    uint32_t *next = r->offset + r->experts + 1;

    for (uint32_t e = 0; e <= r->experts; e++)
        r->offset[e] = 0;
    for (size_t i = 0; i < choices; i++)
        r->offset[r->slot[i] + 1]++;
    for (uint32_t e = 0; e < r->experts; e++) {
        r->offset[e + 1] += r->offset[e];
        next[e] = r->offset[e];
    }
    for (size_t i = 0; i < choices; i++)
        r->slot[i] = next[r->slot[i]]++;
}

static const char *what_is_wrong(const gla_route *r)
{
    if (!r->logits || !r->slot || !r->offset || !r->weight)
        return "route: an operand is missing";
    if (r->score > GLA_SCORE_SOFTMAX_TOP_K)
        return "route: unknown score";
    if (!r->groups || r->groups > MAX_GROUPS || !r->experts || r->experts % r->groups ||
        !r->top_groups || r->top_groups > r->groups)
        return "route: experts must be a multiple of groups, 64 at most, and top_groups of them";
    if (!r->top_k || r->top_k > MAX_TOP_K || r->top_k > r->experts / r->groups * r->top_groups)
        return "route: top_k must be 1 to 64, and at most what top_groups hold";
    return NULL;
}

gla_status gla__route(const gla_batch *b, const gla_route *given)
{
    route_call c = {.kernels = gla__row_kernels_for(gla__cpu_get()->isa)};
    const char *wrong;
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_ACTIVATION, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_route, given, &c.r);
    if (!st) {
        wrong = what_is_wrong(&c.r);
        st = wrong ? gla_host_fail(b->host, GLA_E_INVALID, wrong) : GLA_OK;
    }
    if (!st) {
        gla__split_rows(c.r.rows, (size_t)c.r.experts * c.r.top_k, choose_rows, &c);
        sort_choices(&c.r);
    }
    return gla__work_end(&work, st);
}

/* ---- rows to their experts, and back ---- */

typedef struct rows_call {
    const gla__row_kernels *kernels;
    const uint32_t *slot;
    const float *weight, *x;
    float *y;
    size_t k, width, ld_x, ld_y;
} rows_call;

static void permute_rows(void *arg, uint32_t first, uint32_t last)
{
    const rows_call *c = arg;

    for (size_t r = first; r < last; r++)
        for (size_t i = 0; i < c->k; i++)
            memcpy(c->y + c->slot[r * c->k + i] * c->ld_y, c->x + r * c->ld_x,
                   c->width * sizeof(float));
}

static void combine_rows(void *arg, uint32_t first, uint32_t last)
{
    const rows_call *c = arg;

    for (size_t r = first; r < last; r++)
        c->kernels->combine(c->k, c->slot + r * c->k, c->weight + r * c->k, c->x, c->ld_x,
                            c->y + r * c->ld_y, c->width);
}

static gla_status run(const gla_batch *b, const rows_call *given, uint32_t rows,
                      void (*fn)(void *arg, uint32_t first, uint32_t last))
{
    rows_call c = *given;
    gla__work work;
    const gla_status st = gla__work_begin(b, GLA__WORK_ACTIVATION, &work);

    c.kernels = gla__row_kernels_for(gla__cpu_get()->isa);
    if (!st)
        gla__split_rows(rows, c.k * c.width, fn, &c);
    return gla__work_end(&work, st);
}

gla_status gla__permute(const gla_batch *b, uint32_t rows, uint32_t k, uint32_t width,
                        const uint32_t *slot, const float *x, size_t ld_x, float *y, size_t ld_y)
{
    const rows_call c = {
        .slot = slot, .x = x, .y = y, .k = k, .width = width, .ld_x = ld_x, .ld_y = ld_y};

    return run(b, &c, rows, permute_rows);
}

gla_status gla__combine_rows(const gla_batch *b, uint32_t rows, uint32_t k, uint32_t width,
                             const uint32_t *slot, const float *weight, const float *x, size_t ld_x,
                             float *y, size_t ld_y)
{
    const rows_call c = {.slot = slot,
                         .weight = weight,
                         .x = x,
                         .y = y,
                         .k = k,
                         .width = width,
                         .ld_x = ld_x,
                         .ld_y = ld_y};

    return run(b, &c, rows, combine_rows);
}
