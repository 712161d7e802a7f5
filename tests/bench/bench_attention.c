/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_attention.c - attention over a cache of some depth: prefill of 512 rows, decode of one
 *
 *     build/bin/bench_attention [heads kv_heads k_dim v_dim]     GLA_NUM_THREADS, GLA_CPU as
 *                                                                everywhere; v_dim 0: MLA of k - 64
 *
 * Not a test: nothing passes or fails here.  Prints the best of some rounds, by the clock and by
 * the time the processor gave us: on a busy machine the second says more (with one thread only,
 * for threads that wait also use the processor).
 */
#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "math/kernels/k_attention.h"
#include "math/ops.h"

#define ROUNDS 7

typedef struct shape {
    uint32_t heads, kv_heads, k_dim, v_dim, v_out;
} shape;

typedef struct cache {
    gla__kv_view view;
    uint8_t **pages, *memory;
} cache;

static double processor_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *some_numbers(size_t n)
{
    float *x = gla__alloc((n + 1) * sizeof(*x));
    uint32_t state = 1;

    for (size_t i = 0; x && i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return x;
}

static int cache_make(cache *c, const shape *s, uint32_t dtype, uint32_t tokens)
{
    const uint32_t n = (tokens + GLA__KV_PAGE_TOKENS - 1) / GLA__KV_PAGE_TOKENS;
    gla__kv_page_layout l;

    gla__kv_page(dtype, s->kv_heads, s->k_dim, s->v_dim, &l);
    c->memory = gla__alloc(n * l.bytes);
    c->pages = gla__alloc_array(n, sizeof(*c->pages));
    if (!c->memory || !c->pages)
        return -1;
    memset(c->memory, 0x3c, n * l.bytes); /* 0.0117 as f32 and as bf16, and as an int8 scale */
    for (uint32_t i = 0; i < n; i++)
        c->pages[i] = c->memory + i * l.bytes;
    c->view = (gla__kv_view){dtype, s->heads, s->kv_heads, s->k_dim, s->v_dim, 0, 0, c->pages, n};
    return 0;
}

static void explain(const gla_host *h, const char *msg)
{
    (void)h;
    fprintf(stderr, "bench_attention: %s\n", msg);
}

/* Best seconds of `rows` rows at `depth`, by the clock and by the processor's time. */
static int measure(const shape *s, cache *c, uint32_t rows, uint64_t depth, double best[2])
{
    static const gla_host host = {.struct_size = sizeof(host), .explain = explain};
    const size_t wq = (size_t)s->heads * s->k_dim, wk = (size_t)s->kv_heads * s->k_dim,
                 wv = (size_t)s->kv_heads * s->v_dim, wo = (size_t)s->heads * s->v_out;
    const gla__math_needs needs = {.rows = rows,
                                   .sequences = 1,
                                   .threads = gla_threads(),
                                   .attn_heads = s->heads,
                                   .attn_k_dim = s->k_dim,
                                   .attn_v_dim = s->v_dim};
    const uint32_t offset[] = {0, rows};
    float *q = some_numbers(rows * wq), *k = some_numbers(rows * wk), *v = some_numbers(rows * wv),
          *o = some_numbers(rows * wo);
    void *states[] = {&c->view};
    gla__exec exec = {.arena_bytes = gla__attention_scratch(&needs)};
    const gla_batch b = {.struct_size = sizeof(b),
                         .n_sequences = 1,
                         .n_rows = rows,
                         .n_states = 1,
                         .row_offset = offset,
                         .position = &depth,
                         .states = states,
                         .host = &host,
                         .exec = &exec};
    const gla_attention a = {.struct_size = sizeof(a),
                             .heads = s->heads,
                             .scale = 1 / sqrtf((float)s->k_dim),
                             .q = q,
                             .k = k,
                             .v = v,
                             .o = o,
                             .v_out_dim = s->v_out,
                             .ld_q = wq,
                             .ld_k = wk,
                             .ld_v = wv,
                             .ld_o = wo};
    int failed = 0;

    exec.arena = gla__alloc(exec.arena_bytes);
    best[0] = best[1] = 1e9;
    for (int i = 0; i < ROUNDS && !failed && exec.arena; i++) {
        const double wall = gla__clock_seconds(), processor = processor_time();

        failed = gla__attention(&b, &a) != GLA_OK;
        best[0] = fmin(best[0], gla__clock_seconds() - wall);
        best[1] = fmin(best[1], processor_time() - processor);
    }
    gla__free(exec.arena);
    gla__free(q);
    gla__free(k);
    gla__free(v);
    gla__free(o);
    return failed;
}

static int report(const shape *s, uint32_t dtype, uint32_t rows, uint32_t depth)
{
    const double pairs = (double)rows * depth + (double)rows * (rows + 1) / 2;
    const double flops = 2.0 * s->heads * pairs * (s->k_dim + s->v_out);
    const double width = dtype == GLA_DTYPE_F32 ? 4 : dtype == GLA_DTYPE_BF16 ? 2 : 1;
    const double bytes = width * s->kv_heads * (s->k_dim + s->v_dim) * ((double)depth + rows);
    cache c = {0};
    double best[2];
    int failed = cache_make(&c, s, dtype, depth + rows) || measure(s, &c, rows, depth, best);

    if (!failed)
        printf("%-4s rows %3u depth %5u  %8.3f ms %6.1f GFLOP/s %5.1f GB/s   processor %8.3f ms "
               "%6.1f GFLOP/s %5.1f GB/s\n",
               dtype == GLA_DTYPE_F32    ? "f32"
               : dtype == GLA_DTYPE_BF16 ? "bf16"
                                         : "i8",
               rows, depth, best[0] * 1e3, flops / best[0] * 1e-9, bytes / best[0] * 1e-9,
               best[1] * 1e3, flops / best[1] * 1e-9, bytes / best[1] * 1e-9);
    gla__free(c.pages);
    gla__free(c.memory);
    return failed;
}

int main(int argc, char **argv)
{
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_I8};
    static const uint32_t work[][2] = {{512, 0}, {512, 3584}, {512, 15872}, {1, 16384}, {1, 65535}};
    shape s = {32, 8, 128, 128, 128};
    int failed = 0;

    if (argc == 5) {
        s.heads = (uint32_t)strtoul(argv[1], NULL, 10);
        s.kv_heads = (uint32_t)strtoul(argv[2], NULL, 10);
        s.k_dim = (uint32_t)strtoul(argv[3], NULL, 10);
        s.v_dim = (uint32_t)strtoul(argv[4], NULL, 10);
        s.v_out = s.v_dim ? s.v_dim : s.k_dim - 64;
    }
    for (size_t i = 0; i < sizeof(work) / sizeof(work[0]); i++)
        for (size_t d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++)
            failed |= report(&s, dtypes[d], work[i][0], work[i][1]);
    return failed;
}
