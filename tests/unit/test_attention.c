/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention against the formula in double over the very keys and values that the pages hold, so
 * that the type of the cache does not blur the comparison.
 */
#include "math/kernels/k_attention.h"

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "math/ops.h"

#define PAGE          GLA__KV_PAGE_TOKENS
#define MAX_SEQUENCES 4
#define MAX_CALLS     8

typedef struct setup {
    uint32_t heads, kv_heads, k_dim, v_dim, v_out; /* v_out: MLA, with v_dim 0 */
    uint32_t window, dtype;
    float cap, spread; /* spread: queries are so many times larger */
    int sinks;
    uint32_t rows[MAX_CALLS][MAX_SEQUENCES]; /* fed per call; a call of zeros ends it */
} setup;

typedef struct sequence {
    uint32_t total, fed;
    float *q, *k, *v, *o;   /* [total, ...] */
    float *kept_k, *kept_v; /* what the cache made of k and v */
    uint8_t **pages;
    gla__kv_view view;
} sequence;

typedef struct bench {
    setup s;
    uint32_t n_sequences;
    sequence seq[MAX_SEQUENCES];
    float *sinks;
} bench;

static uint64_t seed;

static float uniform(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)((double)(seed >> 40) / (1 << 23) - 1.0);
}

static float *numbers(size_t n, float size)
{
    float *x = malloc((n ? n : 1) * sizeof(*x));

    for (size_t i = 0; i < n; i++)
        x[i] = size * (uniform() + uniform() + uniform());
    return x;
}

static uint32_t out_dim(const setup *s)
{
    return s->v_dim ? s->v_dim : s->v_out;
}

static void explain(const gla_host *host, const char *msg)
{
    (void)host;
    cr_log_info("%s", msg);
}

static const gla_host host = {.struct_size = sizeof(host), .explain = explain};

static bench *bench_new(const setup *s)
{
    bench *b = calloc(1, sizeof(*b));

    seed = 42;
    b->s = *s;
    b->sinks = numbers(s->heads, 2);
    for (uint32_t i = 0; i < MAX_SEQUENCES; i++) {
        sequence *q = &b->seq[i];

        for (uint32_t c = 0; c < MAX_CALLS; c++)
            q->total += s->rows[c][i];
        if (!q->total)
            break;
        b->n_sequences++;
        q->q = numbers((size_t)q->total * s->heads * s->k_dim, s->spread);
        q->k = numbers((size_t)q->total * s->kv_heads * s->k_dim, 1);
        q->v = numbers((size_t)q->total * s->kv_heads * s->v_dim, 1);
        q->o = calloc((size_t)q->total * s->heads * out_dim(s), sizeof(float));
        q->kept_k = calloc((size_t)q->total * s->kv_heads * s->k_dim, sizeof(float));
        q->kept_v = calloc((size_t)q->total * s->kv_heads * s->v_dim + 1, sizeof(float));
        q->pages = calloc(q->total / PAGE + 1, sizeof(*q->pages));
        q->view = (gla__kv_view){s->dtype,  s->heads, s->kv_heads, s->k_dim, s->v_dim,
                                 s->window, 0,        q->pages,    0};
    }
    return b;
}

static void bench_free(bench *b)
{
    for (uint32_t i = 0; i < b->n_sequences; i++) {
        sequence *q = &b->seq[i];

        for (uint32_t p = 0; p < q->view.n_pages; p++)
            free(q->pages[p]);
        free(q->pages);
        free(q->q);
        free(q->k);
        free(q->v);
        free(q->o);
        free(q->kept_k);
        free(q->kept_v);
    }
    free(b->sinks);
    free(b);
}

/* As the state room does: pages for the new tokens, none for what left the window.  New pages hold
 * NaN, so that reading past the end shows. */
static void make_room(sequence *q, uint32_t rows)
{
    gla__kv_view *v = &q->view;
    const uint64_t needed = v->window && q->fed >= v->window ? q->fed + 1 - v->window : 0;
    gla__kv_page_layout l;

    gla__kv_page(v->dtype, v->kv_heads, v->k_dim, v->v_dim, &l);
    while (v->first_token + PAGE <= needed) {
        free(q->pages[0]);
        v->n_pages--;
        memmove(q->pages, q->pages + 1, v->n_pages * sizeof(*q->pages));
        v->first_token += PAGE;
    }
    while (v->first_token + (uint64_t)v->n_pages * PAGE < q->fed + rows) {
        uint8_t *page = aligned_alloc(64, l.bytes);

        memset(page, 0xff, l.bytes);
        q->pages[v->n_pages++] = page;
    }
}

static float kept(const gla__kv_rows *r, uint32_t token, uint32_t i)
{
    const size_t at = (size_t)token * r->dim + i;

    return r->dtype == GLA_DTYPE_F32    ? ((const float *)r->data)[at]
           : r->dtype == GLA_DTYPE_BF16 ? gla__bf16_f32(((const uint16_t *)r->data)[at])
                                        : (float)((const int8_t *)r->data)[at] * r->scale[token];
}

static void read_back(sequence *q, uint32_t first, uint32_t rows)
{
    const gla__kv_view *v = &q->view;

    for (uint32_t t = first; t < first + rows; t++)
        for (uint32_t h = 0; h < v->kv_heads; h++) {
            const uint64_t at = t - v->first_token;
            const gla__kv_rows k = gla__kv_keys(v, at / PAGE, h);
            const size_t head = (size_t)t * v->kv_heads + h;

            for (uint32_t i = 0; i < v->k_dim; i++)
                q->kept_k[head * v->k_dim + i] = kept(&k, at % PAGE, i);
            if (v->v_dim) {
                const gla__kv_rows w = gla__kv_values(v, at / PAGE, h);

                for (uint32_t i = 0; i < v->v_dim; i++)
                    q->kept_v[head * v->v_dim + i] = kept(&w, at % PAGE, i);
            }
        }
}

static void gather_rows(const float *from, float *to, size_t first, size_t rows, size_t width)
{
    memcpy(to, from + first * width, rows * width * sizeof(*to));
}

/* One call of the table with n[i] rows of sequence i. */
static void feed(bench *b, const uint32_t *n, const gla__attention_kernels *kernels)
{
    const setup *s = &b->s;
    const size_t wq = (size_t)s->heads * s->k_dim, wk = (size_t)s->kv_heads * s->k_dim,
                 wv = (size_t)s->kv_heads * s->v_dim, wo = (size_t)s->heads * out_dim(s);
    uint32_t offset[MAX_SEQUENCES + 1] = {0};
    uint64_t position[MAX_SEQUENCES];
    void *states[MAX_SEQUENCES];
    gla__exec exec = {0};

    for (uint32_t i = 0; i < b->n_sequences; i++) {
        offset[i + 1] = offset[i] + n[i];
        position[i] = b->seq[i].fed;
        states[i] = &b->seq[i].view;
        make_room(&b->seq[i], n[i]);
    }

    const uint32_t rows = offset[b->n_sequences];
    float *q = malloc(rows * wq * 4), *k = malloc(rows * wk * 4), *v = malloc(rows * wv * 4 + 4),
          *o = malloc(rows * wo * 4);
    const gla__math_needs needs = {.rows = rows,
                                   .sequences = b->n_sequences,
                                   .threads = gla_threads(),
                                   .attn_heads = s->heads,
                                   .attn_k_dim = s->k_dim,
                                   .attn_v_dim = s->v_dim};
    exec.arena_bytes = (gla__attention_scratch(&needs) + 63) / 64 * 64;
    exec.arena = aligned_alloc(64, exec.arena_bytes);
    memset(exec.arena, 0xff, exec.arena_bytes);
    for (uint32_t i = 0; i < b->n_sequences; i++) {
        gather_rows(b->seq[i].q, q + offset[i] * wq, b->seq[i].fed, n[i], wq);
        gather_rows(b->seq[i].k, k + offset[i] * wk, b->seq[i].fed, n[i], wk);
        gather_rows(b->seq[i].v, v + offset[i] * wv, b->seq[i].fed, n[i], wv);
    }

    const gla_batch batch = {.struct_size = sizeof(batch),
                             .n_sequences = b->n_sequences,
                             .n_rows = rows,
                             .n_states = 1,
                             .row_offset = offset,
                             .position = position,
                             .states = states,
                             .host = &host,
                             .exec = &exec};
    const gla_attention a = {.struct_size = sizeof(a),
                             .heads = s->heads,
                             .scale = 1 / sqrtf((float)s->k_dim),
                             .soft_cap = s->cap,
                             .sinks = s->sinks ? b->sinks : NULL,
                             .q = q,
                             .k = k,
                             .v = v,
                             .o = o,
                             .v_out_dim = s->v_out,
                             .ld_q = wq,
                             .ld_k = wk,
                             .ld_v = wv,
                             .ld_o = wo};
    cr_assert_eq(gla__attention_with(&batch, &a, kernels), GLA_OK);
    cr_assert_eq(exec.used, 0);
    for (uint32_t i = 0; i < b->n_sequences; i++) {
        memcpy(b->seq[i].o + b->seq[i].fed * wo, o + offset[i] * wo, n[i] * wo * sizeof(*o));
        read_back(&b->seq[i], b->seq[i].fed, n[i]);
        b->seq[i].fed += n[i];
    }
    free(exec.arena);
    free(q);
    free(k);
    free(v);
    free(o);
}

static bench *run(const setup *s, const gla__attention_kernels *kernels)
{
    bench *b = bench_new(s);

    for (uint32_t c = 0; c < MAX_CALLS; c++) {
        uint32_t any = 0;

        for (uint32_t i = 0; i < b->n_sequences; i++)
            any |= s->rows[c][i];
        if (any)
            feed(b, s->rows[c], kernels);
    }
    return b;
}

/* o [out_dim] of token t and query head h, in double, from the kept keys and values. */
static void reference(const bench *b, const sequence *q, uint32_t t, uint32_t h, double *o)
{
    const setup *s = &b->s;
    const uint32_t dim = out_dim(s), kv = h / (s->heads / s->kv_heads);
    const uint32_t first = s->window && t >= s->window ? t + 1 - s->window : 0;
    double *p = malloc((t + 1) * sizeof(*p)), max = s->sinks ? (double)b->sinks[h] : -INFINITY;
    double sum;

    for (uint32_t j = first; j <= t; j++) {
        const float *key = q->kept_k + ((size_t)j * s->kv_heads + kv) * s->k_dim;
        const float *query = q->q + ((size_t)t * s->heads + h) * s->k_dim;

        p[j] = 0;
        for (uint32_t i = 0; i < s->k_dim; i++)
            p[j] += (double)query[i] * (double)key[i];
        p[j] *= (double)(1 / sqrtf((float)s->k_dim));
        if (s->cap > 0)
            p[j] = (double)s->cap * tanh(p[j] / (double)s->cap);
        max = fmax(max, p[j]);
    }
    sum = s->sinks ? exp((double)b->sinks[h] - max) : 0;
    memset(o, 0, dim * sizeof(*o));
    for (uint32_t j = first; j <= t; j++) {
        const size_t row = (size_t)j * s->kv_heads + kv;
        const float *value = s->v_dim ? q->kept_v + row * s->v_dim : q->kept_k + row * s->k_dim;

        p[j] = exp(p[j] - max);
        sum += p[j];
        for (uint32_t i = 0; i < dim; i++)
            o[i] += p[j] * (double)value[i];
    }
    for (uint32_t i = 0; i < dim; i++)
        o[i] /= sum;
    free(p);
}

/* Scores are sums of k_dim products and are themselves rounded at their size, so the weights have
 * relative errors of about eps * |score|; outputs are averages of values of size up to 3. */
static void compare(const bench *b, const char *what)
{
    const setup *s = &b->s;
    const uint32_t dim = out_dim(s);
    const double size = 1 + (double)s->spread * 4;
    double *r = malloc(dim * sizeof(*r)), error = 0, energy = 0, worst = 0;

    for (uint32_t i = 0; i < b->n_sequences; i++)
        for (uint32_t t = 0; t < b->seq[i].total; t++)
            for (uint32_t h = 0; h < s->heads; h++) {
                const float *o = b->seq[i].o + ((size_t)t * s->heads + h) * dim;

                reference(b, &b->seq[i], t, h, r);
                for (uint32_t d = 0; d < dim; d++) {
                    const double e = fabs((double)o[d] - r[d]);

                    cr_assert(e <= 1e-6 * size, "%s: sequence %u token %u head %u [%u]: %g not %g",
                              what, i, t, h, d, (double)o[d], r[d]);
                    worst = fmax(worst, e);
                    error += e * e;
                    energy += r[d] * r[d];
                }
            }
    cr_log_info("%s: worst %g, nmse %g", what, worst, error / energy);
    cr_assert(error <= 1e-12 * energy * size * size, "%s: nmse %g", what, error / energy);
    free(r);
}

static const gla__isa isas[] = {GLA__ISA_C, GLA__ISA_AVX2, GLA__ISA_AVX512};

static void check(const setup *s)
{
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]) && isas[i] <= gla__cpu_get()->isa; i++) {
        bench *b = run(s, gla__attention_kernels_for(isas[i]));

        compare(b, gla__isa_name(isas[i]));
        bench_free(b);
    }
}

static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_I8};

static void check_all_dtypes(setup s)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        s.dtype = dtypes[i];
        check(&s);
    }
}

Test(attention, prefill_then_decode_is_the_formula)
{
    check_all_dtypes((setup){.heads = 4,
                             .kv_heads = 2,
                             .k_dim = 64,
                             .v_dim = 64,
                             .spread = 1,
                             .rows = {{150}, {1}, {1}, {70}, {1}}});
}

Test(attention, any_head_size)
{
    static const uint32_t dims[][2] = {{72, 72}, {80, 96},   {96, 40}, {256, 256}, {5, 3},
                                       {33, 17}, {192, 128}, {1, 1},   {100, 130}};

    for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
        check_all_dtypes((setup){.heads = 3,
                                 .kv_heads = 1,
                                 .k_dim = dims[i][0],
                                 .v_dim = dims[i][1],
                                 .spread = 1,
                                 .rows = {{67}, {1}, {9}}});
}

Test(attention, one_key_head_for_many_queries)
{
    check_all_dtypes((setup){
        .heads = 20, .kv_heads = 1, .k_dim = 32, .v_dim = 32, .spread = 1, .rows = {{100}, {1}}});
    check_all_dtypes((setup){.heads = 150,
                             .kv_heads = 1,
                             .k_dim = 16,
                             .v_dim = 16,
                             .spread = 1,
                             .rows = {{70}, {1}, {2}}});
}

Test(attention, every_small_group_size)
{
    for (uint32_t g = 1; g <= 17; g++)
        check_all_dtypes((setup){.heads = g,
                                 .kv_heads = 1,
                                 .k_dim = 32,
                                 .v_dim = 48,
                                 .spread = 1,
                                 .rows = {{1}, {66}, {1}, {2}, {1}}});
}

Test(attention, value_is_the_first_part_of_the_key)
{
    check_all_dtypes((setup){.heads = 16,
                             .kv_heads = 1,
                             .k_dim = 576,
                             .v_out = 512,
                             .spread = 1,
                             .rows = {{66}, {1}, {1}}});
    check_all_dtypes((setup){
        .heads = 3, .kv_heads = 1, .k_dim = 70, .v_out = 50, .spread = 1, .rows = {{66}, {1}}});
}

Test(attention, window_over_page_borders_with_pages_gone)
{
    static const uint32_t windows[] = {1, 2, 63, 64, 65, 100, 300};

    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        check_all_dtypes((setup){.heads = 2,
                                 .kv_heads = 1,
                                 .k_dim = 24,
                                 .v_dim = 24,
                                 .spread = 1,
                                 .window = windows[i],
                                 .rows = {{63}, {1}, {1}, {200}, {1}, {130}, {1}}});
}

Test(attention, soft_cap_and_sinks)
{
    check_all_dtypes((setup){.heads = 4,
                             .kv_heads = 2,
                             .k_dim = 32,
                             .v_dim = 32,
                             .spread = 4,
                             .cap = 2,
                             .rows = {{80}, {1}}});
    check_all_dtypes((setup){.heads = 4,
                             .kv_heads = 2,
                             .k_dim = 32,
                             .v_dim = 32,
                             .spread = 1,
                             .sinks = 1,
                             .rows = {{80}, {1}}});
    check_all_dtypes((setup){.heads = 4,
                             .kv_heads = 2,
                             .k_dim = 32,
                             .v_dim = 32,
                             .spread = 1,
                             .cap = 30,
                             .sinks = 1,
                             .window = 70,
                             .rows = {{80}, {1}, {100}}});
}

Test(attention, long_context_in_parts)
{
    check_all_dtypes((setup){.heads = 2,
                             .kv_heads = 1,
                             .k_dim = 8,
                             .v_dim = 8,
                             .spread = 1,
                             .sinks = 1,
                             .rows = {{1700}, {1}, {3}}});
    check_all_dtypes((setup){.heads = 2,
                             .kv_heads = 1,
                             .k_dim = 8,
                             .v_dim = 8,
                             .spread = 1,
                             .window = 1100,
                             .rows = {{1700}, {1}, {3}}});
}

Test(attention, ragged_batch_of_prefill_and_decode)
{
    check_all_dtypes((setup){
        .heads = 4,
        .kv_heads = 2,
        .k_dim = 32,
        .v_dim = 48,
        .spread = 1,
        .rows = {{100, 1, 0, 5}, {1, 130, 1, 0}, {1, 1, 64, 1}, {2, 0, 1, 700}, {1, 1, 1, 1}}});
}

static void same(const bench *a, const bench *b, double tolerance)
{
    const size_t width = (size_t)a->s.heads * out_dim(&a->s);

    for (uint32_t i = 0; i < a->n_sequences; i++)
        for (size_t j = 0; j < a->seq[i].total * width; j++)
            cr_assert(fabs((double)a->seq[i].o[j] - (double)b->seq[i].o[j]) <= tolerance,
                      "sequence %u number %zu: %g and %g", i, j, (double)a->seq[i].o[j],
                      (double)b->seq[i].o[j]);
}

Test(attention, in_pieces_or_at_once)
{
    const setup once = {.heads = 4,
                        .kv_heads = 2,
                        .k_dim = 40,
                        .v_dim = 40,
                        .spread = 1,
                        .dtype = GLA_DTYPE_BF16,
                        .window = 90,
                        .rows = {{203}}};
    const gla__attention_kernels *k = gla__attention_kernels_for(gla__cpu_get()->isa);
    bench *a = run(&once, k), *b = bench_new(&once);
    const uint32_t one = 1;

    for (uint32_t t = 0; t < 203; t++)
        feed(b, &one, k);
    same(a, b, 2e-6);
    bench_free(a);
    bench_free(b);
}

Test(attention, bitwise_the_same_for_any_number_of_threads)
{
    const setup s = {.heads = 4,
                     .kv_heads = 1,
                     .k_dim = 32,
                     .v_dim = 32,
                     .spread = 1,
                     .dtype = GLA_DTYPE_BF16,
                     .rows = {{2000, 70, 1}, {1, 1, 1}, {1, 600, 1}, {1, 1, 1}}};

    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]) && isas[i] <= gla__cpu_get()->isa; i++) {
        const gla__attention_kernels *k = gla__attention_kernels_for(isas[i]);
        bench *a, *b;

        gla_set_threads(1);
        a = run(&s, k);
        gla_set_threads(2);
        b = run(&s, k);
        same(a, b, 0);
        bench_free(a);
        bench_free(b);
    }
}

Test(attention, a_sequence_does_not_see_its_neighbours)
{
    const setup s = {.heads = 4,
                     .kv_heads = 2,
                     .k_dim = 32,
                     .v_dim = 32,
                     .spread = 1,
                     .dtype = GLA_DTYPE_F32,
                     .rows = {{65, 130, 1}, {1, 1, 40}, {1, 7, 1}}};
    const gla__attention_kernels *k = gla__attention_kernels_for(gla__cpu_get()->isa);
    bench *a = run(&s, k), *b = bench_new(&s);

    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t n[MAX_SEQUENCES] = {0};

            n[i] = s.rows[c][i];
            feed(b, n, k);
        }
    same(a, b, 0);
    bench_free(a);
    bench_free(b);
}

Test(attention, weights_sum_to_one_for_huge_scores)
{
    setup s = {.heads = 4,
               .kv_heads = 2,
               .k_dim = 32,
               .v_dim = 32,
               .spread = 3e4f,
               .dtype = GLA_DTYPE_F32,
               .rows = {{130}, {1}, {1}}};

    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]) && isas[i] <= gla__cpu_get()->isa; i++) {
        bench *b = bench_new(&s);

        for (size_t j = 0; j < (size_t)b->seq[0].total * s.kv_heads * s.v_dim; j++)
            b->seq[0].v[j] = 1;
        for (uint32_t c = 0; c < 3; c++)
            feed(b, s.rows[c], gla__attention_kernels_for(isas[i]));
        for (size_t j = 0; j < (size_t)b->seq[0].total * s.heads * s.v_dim; j++)
            cr_assert(fabs((double)b->seq[0].o[j] - 1) <= 1e-6, "%zu: %g", j,
                      (double)b->seq[0].o[j]);
        bench_free(b);
    }
}

/* What the kernels store, compared bit for bit with the definition. */
static void check_store(const gla__attention_kernels *kernels, uint32_t dim, const float *x)
{
    uint16_t half[80] = {0};
    int8_t byte[80] = {0};
    float scale[2] = {0}, largest = 0;
    const gla__kv_rows halves = {half, NULL, GLA_DTYPE_BF16, dim};
    const gla__kv_rows bytes = {byte, scale, GLA_DTYPE_I8, dim};

    half[2 * dim] = 0x7777;
    byte[2 * dim] = 77;
    kernels->store(&halves, 1, x);
    kernels->store(&bytes, 1, x);
    for (uint32_t i = 0; i < dim; i++) {
        cr_assert_eq(half[dim + i], gla__f32_bf16(x[i]));
        largest = fmaxf(largest, fabsf(x[i]));
    }
    cr_assert_eq(half[2 * dim], 0x7777);
    cr_assert_eq(byte[2 * dim], 77);
    cr_assert_eq(half[dim - 1], 0);
    cr_assert_eq(byte[dim - 1], 0);
    cr_assert_eq(scale[0], 0);
    if (isnan(x[dim - 1])) {
        cr_assert(isnan(scale[1]));
        return;
    }
    cr_assert_eq(scale[1], largest / 127);
    for (uint32_t i = 0; i < dim; i++)
        cr_assert_leq(fabsf(x[i] - (float)byte[dim + i] * scale[1]), 0.5001f * scale[1]);
}

Test(attention, cache_rounds_as_promised)
{
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]) && isas[i] <= gla__cpu_get()->isa; i++)
        for (uint32_t dim = 1; dim < 40; dim++) {
            float x[40] = {0};

            check_store(gla__attention_kernels_for(isas[i]), dim, x); /* zeros: scale 0 */
            for (uint32_t t = 0; t < dim; t++)
                x[t] = uniform();
            check_store(gla__attention_kernels_for(isas[i]), dim, x);
            x[dim - 1] = NAN;
            check_store(gla__attention_kernels_for(isas[i]), dim, x);
        }
}

Test(attention, refuses_what_does_not_fit)
{
    uint8_t *page = NULL;
    gla__kv_view view = {GLA_DTYPE_F32, 4, 2, 8, 8, 0, 0, &page, 0};
    void *states[] = {&view};
    const uint32_t offset[] = {0, 1};
    const uint64_t position[] = {0};
    float x[64] = {0};
    const gla_batch batch = {.n_sequences = 1,
                             .n_rows = 1,
                             .n_states = 1,
                             .row_offset = offset,
                             .position = position,
                             .states = states,
                             .host = &host};
    gla_attention a = {
        .struct_size = sizeof(a), .heads = 4, .scale = 1, .q = x, .k = x, .v = x, .o = x};

    cr_assert_eq(gla__attention(&batch, &a), GLA_E_INVALID); /* no page for the token */
    a.heads = 3;
    cr_assert_eq(gla__attention(&batch, &a), GLA_E_INVALID);
    a.heads = 6; /* more than declared */
    view.n_pages = 1;
    cr_assert_eq(gla__attention(&batch, &a), GLA_E_INVALID);
    a.heads = 4;
    view.v_dim = 0; /* v_out_dim missing */
    cr_assert_eq(gla__attention(&batch, &a), GLA_E_INVALID);
}
