/* SPDX-License-Identifier: Apache-2.0
 *
 * How numbers are stored in a page is in tests/unit/test_attention.c (cache_rounds_as_promised).
 */
#include "ck.h"

#include <stdint.h>

#include "base/half.h"
#include "math/kernels/k_attention.h"

#define PAGE GLA__KV_PAGE_TOKENS

typedef struct call {
    const gla__attention_kernels *k;
    gla__kv_rows page;
    uint32_t rows, n, dim;
    const float *factor;
    float *x, *panel, *y; /* q, or p; s, or o */
    size_t ld;            /* of q or o */
    uint32_t lo, hi;
    float cap, max, sum, back;
} call;

static const char *name_of(uint32_t dtype)
{
    return dtype == GLA_DTYPE_F32 ? "f32" : dtype == GLA_DTYPE_BF16 ? "bf16" : "i8";
}

static size_t padded(size_t n)
{
    return (n + GLA__ATTENTION_PAD - 1) / GLA__ATTENTION_PAD * GLA__ATTENTION_PAD;
}

/* A page of which the first n tokens are numbers; what comes after them must not be used. */
static gla__kv_rows page_of(ck *c, uint32_t dtype, uint32_t dim, uint32_t n)
{
    const size_t numbers = (size_t)PAGE * dim, width = dtype == GLA_DTYPE_F32    ? 4
                                                       : dtype == GLA_DTYPE_BF16 ? 2
                                                                                 : 1;
    gla__kv_rows page = {ck_zeros(c, numbers * width / 4), NULL, dtype, dim};
    const float *x = ck_input(c, numbers);

    if (dtype == GLA_DTYPE_I8)
        page.scale = ck_input(c, PAGE);
    for (size_t i = 0; i < numbers; i++) {
        const float number = i < (size_t)n * dim ? x[i] : NAN;

        if (dtype == GLA_DTYPE_F32)
            ((float *)page.data)[i] = number;
        else if (dtype == GLA_DTYPE_BF16)
            ((uint16_t *)page.data)[i] = gla__f32_bf16(number);
        else
            ((int8_t *)page.data)[i] = (int8_t)(isnan(number) ? -128 : 40 * number);
    }
    for (uint32_t j = 0; page.scale && j < PAGE; j++)
        page.scale[j] = j < n ? fabsf(page.scale[j]) / 40 : NAN;
    return page;
}

static double number_at(const gla__kv_rows *page, uint32_t token, uint32_t i)
{
    const size_t at = (size_t)token * page->dim + i;

    if (page->dtype == GLA_DTYPE_F32)
        return ((const float *)page->data)[at];
    if (page->dtype == GLA_DTYPE_BF16)
        return gla__bf16_f32(((const uint16_t *)page->data)[at]);
    return (double)((const int8_t *)page->data)[at] * page->scale[token];
}

/* ---- scores ---- */

static void call_scores(void *arg)
{
    const call *x = arg;
    gla__soon soon = {.bytes = 0};

    x->k->scores(x->x, x->ld, x->rows, &x->page, x->n, &soon, x->panel, x->y);
}

static void scores_one(ck *c, uint32_t dtype, uint32_t rows, uint32_t n, uint32_t dim, bool poison)
{
    if (ck_case(c, "scores_%s_r%u_n%u_k%u%s", name_of(dtype), rows, n, dim,
                poison ? "_poison" : "")) {
        call x = {.k = ck_table(c, "attention"), .rows = rows, .n = n, .ld = padded(dim)};
        double *want = ck_want(c, (size_t)rows * n);
        float *got = ck_output(c, (size_t)rows * n);

        x.page = page_of(c, dtype, dim, n);
        x.x = ck_input(c, rows * x.ld);
        x.panel = ck_output(c, PAGE * x.ld);
        x.y = ck_output(c, (size_t)rows * PAGE);
        for (uint32_t r = 0; r < rows; r++)
            for (size_t i = dim; i < x.ld; i++)
                x.x[r * x.ld + i] = 0;
        if (poison)
            ck_poison(c, x.x, dim);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t j = 0; j < n; j++)
                for (uint32_t i = 0; i < dim; i++)
                    want[r * n + j] += x.x[r * x.ld + i] * number_at(&x.page, j, i);
        if (ck_run(c, call_scores, &x)) {
            for (uint32_t r = 0; r < rows; r++)
                for (uint32_t j = 0; j < n; j++)
                    got[r * n + j] = x.y[r * PAGE + j];
            ck_compare(c, "s", got, want, (size_t)rows * n, dim + 1);
        }
        ck_bench(c, 2.0 * rows * n * dim, (double)gla__kv_rows_bytes(&x.page), call_scores, &x);
    }
    ck_end(c);
}

/* ---- softmax ---- */

static void call_softmax(void *arg)
{
    call *x = arg;

    x->back = x->k->softmax(x->y, x->lo, x->hi, x->n, x->cap, &x->max, &x->sum);
}

static void softmax_one(ck *c, uint32_t lo, uint32_t hi, uint32_t n, float cap, bool first)
{
    if (ck_case(c, "softmax_%u_%u_of%u_cap%g%s", lo, hi, n, cap, first ? "_first" : "")) {
        call x = {ck_table(c, "attention"), .lo = lo, .hi = hi, .n = n, .cap = cap};
        double *want = ck_want(c, n), *rest = ck_want(c, 3), max, sum = 0;
        float got[3];

        x.y = ck_input(c, PAGE);
        x.max = first ? -INFINITY : 0.5f;
        x.sum = first ? 0 : 2.0f;
        max = x.max;
        for (uint32_t j = 0; j < PAGE; j++) /* what is outside must not matter */
            x.y[j] = j >= n ? NAN : j < lo || j >= hi ? 1000 : x.y[j] * 5;
        for (uint32_t j = lo; j < hi; j++) {
            want[j] = cap > 0 ? cap * tanh((double)x.y[j] / cap) : x.y[j];
            max = fmax(max, want[j]);
        }
        for (uint32_t j = 0; j < n; j++) {
            want[j] = j >= lo && j < hi ? exp(want[j] - max) : 0;
            sum += want[j];
        }
        rest[0] = max;
        rest[1] = sum + (double)x.sum * exp((double)x.max - max);
        rest[2] = exp((double)x.max - max);
        if (ck_run(c, call_softmax, &x)) {
            got[0] = x.max;
            got[1] = x.sum;
            got[2] = x.back;
            /* a score of 5 is right to 3e-7, and so is its exp(); a cap adds to that */
            ck_compare(c, "p", x.y, want, n, 16);
            ck_compare(c, "max, sum, factor", got, rest, 3, 16);
        }
        ck_bench(c, 2.0 * n, 8.0 * n, call_softmax, &x);
    }
    ck_end(c);
}

void check_softmax(ck *c)
{
    static const uint32_t spans[][3] = {{0, 1, 1},    {0, 64, 64}, {3, 17, 40},
                                        {63, 64, 64}, {0, 15, 16}, {16, 48, 49}};

    if (ck_benching(c))
        softmax_one(c, 0, 64, 64, 0, false);
    for (size_t i = 0; !ck_benching(c) && i < 6 * 4; i++)
        softmax_one(c, spans[i % 6][0], spans[i % 6][1], spans[i % 6][2], i / 6 % 2 ? 30 : 0,
                    i / 12);
}

/* ---- values ---- */

static void call_values(void *arg)
{
    const call *x = arg;
    gla__soon soon = {.bytes = 0};

    x->k->values(x->x, x->rows, &x->page, x->n, x->dim, x->factor, &soon, x->panel, x->y, x->ld);
}

static void values_one(ck *c, uint32_t dtype, uint32_t rows, uint32_t n, uint32_t dim, bool poison)
{
    if (ck_case(c, "values_%s_r%u_n%u_v%u%s", name_of(dtype), rows, n, dim,
                poison ? "_poison" : "")) {
        call x = {.k = ck_table(c, "attention"), .rows = rows, .n = n, .dim = dim};
        double *want = ck_want(c, (size_t)rows * dim);
        float *got = ck_output(c, (size_t)rows * dim), *p;

        x.ld = padded(dim);
        x.page = page_of(c, dtype, dim + 2 * (dim % 2), n); /* odd: the first part of a key */
        x.x = p = ck_input(c, (size_t)rows * PAGE);
        x.panel = ck_output(c, PAGE * x.ld);
        x.y = ck_input(c, rows * x.ld);
        x.factor = ck_input(c, rows);
        if (poison)
            ck_poison(c, p, n);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t i = 0; i < dim; i++) {
                want[r * dim + i] = (double)x.y[r * x.ld + i] * x.factor[r];
                for (uint32_t j = 0; j < n; j++)
                    want[r * dim + i] += p[r * PAGE + j] * number_at(&x.page, j, i);
            }
        if (ck_run(c, call_values, &x)) {
            for (uint32_t r = 0; r < rows; r++)
                for (uint32_t i = 0; i < dim; i++)
                    got[r * dim + i] = x.y[r * x.ld + i];
            ck_compare(c, "o", got, want, (size_t)rows * dim, n + 2);
        }
        ck_bench(c, 2.0 * rows * n * dim, (double)gla__kv_rows_bytes(&x.page), call_values, &x);
    }
    ck_end(c);
}

/* ---- shapes ---- */

typedef void check_fn(ck *c, uint32_t dtype, uint32_t rows, uint32_t n, uint32_t dim, bool poison);

static void all_shapes(ck *c, check_fn *check)
{
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_I8};
    static const uint32_t rows[] = {1, 3, 4, 6, 8, 9, 17}, tokens[] = {1, 3, 17, 63, 64};
    static const uint32_t dims[] = {1, 7, 16, 33, 64, 96, 128};

    for (size_t d = 0; d < 3; d++) {
        for (uint32_t r = 1; ck_benching(c) && r <= 128; r = r == 1 ? 4 : r * 32)
            check(c, dtypes[d], r, PAGE, 128, false);
        for (size_t i = 0; !ck_benching(c) && i < 7 * 5 * 7; i++)
            check(c, dtypes[d], rows[i % 7], tokens[i / 7 % 5], dims[i / 35], false);
        for (size_t i = 0; !ck_benching(c) && i < 7; i++)
            check(c, dtypes[d], rows[i], tokens[i % 5], dims[i], true);
    }
}

void check_scores(ck *c)
{
    all_shapes(c, scores_one);
}

void check_values(ck *c)
{
    all_shapes(c, values_one);
}
