/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_linear.c - how near linear maps come to what memory and the cores give
 *
 *     build/bin/bench_linear [out in]            GLA_NUM_THREADS, GLA_CPU as everywhere
 *
 * Not a test: nothing passes or fails here.  Each dtype has as many different matrices as do not
 * fit the caches, used in turn, as the layers of a model are.  The quickest of many single calls is
 * printed, beside that of a plain read of one such matrix, so that a busy machine disturbs little
 * (with one thread; two need both cores at the same moment).
 */
#include <gla/gla.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "math/linear.h"
#include "math/ops.h"

#define MATRICES_BYTES (128u << 20)
#define CALLS          60

typedef struct matrices {
    gla_linear **l;
    size_t n, bytes_each;
    char *data, *aux;
} matrices;

static const char *const names[] = {"", "f32", "bf16", "f16", "i8", "i4"};

/* ---- reading memory and nothing else ---- */

typedef struct reading {
    const char *data;
    size_t bytes;
    uint64_t sum[256];
} reading;

#define READ_PIECE (1u << 18)

static void read_piece(void *arg, uint32_t i)
{
    reading *r = arg;
    const uint64_t *p = (const uint64_t *)(const void *)(r->data + (size_t)i * READ_PIECE);
    uint64_t s[8] = {0};

    for (size_t j = 0; j < READ_PIECE / 8; j += 8) {
        for (size_t k = 0; k < 8; k++)
            s[k] ^= p[j + k];
    }
    for (size_t k = 0; k < 8; k++)
        r->sum[gla__parallel_index()] ^= s[k];
}

/* Of pieces as large as one matrix, in turn. */
static double read_bandwidth(const char *data, size_t bytes, size_t n)
{
    double best = 1e9;

    for (size_t i = 0; i < CALLS; i++) {
        reading r = {.data = data + i % n * bytes, .bytes = bytes};
        const double start = gla__clock_seconds();

        gla__parallel_for((uint32_t)(bytes / READ_PIECE), read_piece, &r);
        if (gla__clock_seconds() - start < best)
            best = gla__clock_seconds() - start;
    }
    return (double)(bytes / READ_PIECE * READ_PIECE) / best * 1e-9;
}

/* ---- */

static int make(matrices *m, uint32_t dtype, int64_t out, int64_t in)
{
    const int64_t dims[2] = {out, in};
    uint64_t data, aux;

    if (gla__tensor_bytes(dtype, 2, dims, &data, &aux))
        return -1;
    m->bytes_each = data + aux;
    m->n = MATRICES_BYTES / m->bytes_each + 1;
    m->l = gla__alloc_array(m->n, sizeof(*m->l));
    m->data = gla__alloc(m->n * data);
    m->aux = gla__alloc(m->n * aux + 1);
    if (!m->l || !m->data || !m->aux)
        return -1;
    memset(m->data, 0, m->n * data); /* zeros take as long as any numbers, and are no denormals */
    memset(m->aux, 0, m->n * aux);
    for (size_t i = 0; i < m->n; i++) {
        const gla_tensor w = {m->data + i * data, m->aux + i * aux, dtype, 2, {out, in}};
        const gla_tensor *const weights[] = {&w};
        const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 0};

        if (gla__linear_create(NULL, &spec, &m->l[i]))
            return -1;
    }
    return 0;
}

static void drop(matrices *m)
{
    for (size_t i = 0; i < m->n; i++)
        gla__linear_destroy(m->l[i]);
    gla__free(m->l);
    gla__free(m->data);
    gla__free(m->aux);
}

static double seconds_per_call(const matrices *m, const gla_batch *b, uint32_t rows, const float *x,
                               size_t in, float *y, size_t out)
{
    const size_t calls = rows < 64 ? CALLS : CALLS / 4;
    double best = 1e9;

    for (size_t i = 0; i < calls; i++) {
        const double start = gla__clock_seconds();

        if (gla__linear(b, m->l[i % m->n], rows, x, in, y, out))
            exit(1);
        if (gla__clock_seconds() - start < best)
            best = gla__clock_seconds() - start;
    }
    return best;
}

int main(int argc, char **argv)
{
    static const uint32_t rows[] = {1, 2, 4, 8, 16, 24, 32, 64, 128, 512};
    const size_t n_rows = sizeof(rows) / sizeof(rows[0]);
    const size_t out = argc > 2 ? strtoul(argv[1], NULL, 10) : 4096,
                 in = argc > 2 ? strtoul(argv[2], NULL, 10) : 4096;
    const gla__math_needs needs = {.rows = 512,
                                   .threads = gla_threads(),
                                   .linear_in = (uint32_t)in,
                                   .linear_out = (uint32_t)out};
    gla__exec exec = {.arena_bytes = gla__math_scratch_bytes(&needs)};
    const gla_batch batch = {.struct_size = sizeof(batch), .exec = &exec};
    float *x = gla__alloc(512 * in * sizeof(float)), *y = gla__alloc(512 * out * sizeof(float));

    exec.arena = gla__alloc(exec.arena_bytes);
    if (!exec.arena || !x || !y)
        return 1;
    for (size_t i = 0; i < 512 * in; i++)
        x[i] = 1.0f;
    printf("[%zu, %zu], %u threads; GB/s of weights up to 8 rows, then GFLOP/s\n", out, in,
           gla_threads());
    printf("%-5s %6s", "", "read");
    for (size_t r = 0; r < n_rows; r++)
        printf(" %6u", rows[r]);
    printf("\n");
    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
        matrices m = {0};

        if (make(&m, dtype, (int64_t)out, (int64_t)in))
            return 1;
        printf("%-5s %6.1f", names[dtype], read_bandwidth(m.data, m.bytes_each / 10 * 8, m.n));
        for (size_t r = 0; r < n_rows; r++) {
            const double t = seconds_per_call(&m, &batch, rows[r], x, in, y, out);

            printf(" %6.1f", rows[r] <= 8 ? (double)m.bytes_each / t * 1e-9
                                          : 2e-9 * rows[r] * (double)in * (double)out / t);
            fflush(stdout);
        }
        printf("\n");
        drop(&m);
    }
    gla__free(x);
    gla__free(y);
    gla__free(exec.arena);
    return 0;
}
