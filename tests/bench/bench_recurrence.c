/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_recurrence.c - how fast one layer's recurrence runs through the math table
 *
 *     build/bin/bench_recurrence [heads k_dim v_dim tokens]           GLA_CPU as everywhere
 *
 * Not a test.  Prefill: tokens/s of one sequence, the best of many rounds, for 1 and 2 threads, in
 * the form the core chooses and in chunks of other sizes.  Decode: one token for each of so many
 * sequences that their states do not fit the caches; bytes read and written a second.
 */
#include <gla/gla.h>
#include <stdio.h>

#include "support/batch.h"
#include "support/rng.h"

#define ROUNDS       60
#define DECODE_BYTES ((size_t)512 << 20)

typedef struct form {
    const char *name;
    uint32_t decay, write;
} form;

static const form forms[] = {{"gla", GLA_DECAY_CHANNEL, GLA_WRITE_ADD},
                             {"retnet, mamba-2", GLA_DECAY_HEAD, GLA_WRITE_ADD},
                             {"gated delta net", GLA_DECAY_HEAD, GLA_WRITE_DELTA},
                             {"kda", GLA_DECAY_CHANNEL, GLA_WRITE_DELTA},
                             {"rwkv-7", GLA_DECAY_CHANNEL, GLA_WRITE_DPLR}};

typedef struct problem {
    gla_recurrence r;
    float *memory;
} problem;

static problem make(const form *f, const uint32_t shape[3], size_t rows)
{
    const size_t k = (size_t)shape[0] * shape[1], v = (size_t)shape[0] * shape[2];
    const size_t row = 5 * k + v + shape[0];
    rng g = {1};
    problem p = {.memory = malloc((row + v) * rows * sizeof(float))};
    float *x = p.memory;

    for (size_t i = 0; i < row * rows; i++)
        x[i] = (float)(rng_unit(&g) - 0.5) * 0.3f;
    p.r = (gla_recurrence){.struct_size = sizeof(p.r),
                           .decay = f->decay,
                           .write = f->write,
                           .heads = shape[0],
                           .k_dim = shape[1],
                           .v_dim = shape[2],
                           .scale = 0.1f,
                           .q = x,
                           .k = x + k * rows,
                           .a = x + 2 * k * rows,
                           .b = x + 3 * k * rows,
                           .log_decay = x + 4 * k * rows,
                           .v = x + 5 * k * rows,
                           .beta = x + (5 * k + v) * rows,
                           .o = x + row * rows,
                           .ld_q = k,
                           .ld_k = k,
                           .ld_a = k,
                           .ld_b = k,
                           .ld_v = v,
                           .ld_o = v,
                           .ld_beta = shape[0],
                           .ld_decay = f->decay == GLA_DECAY_CHANNEL ? k : shape[0]};
    for (size_t i = 0; i < k * rows; i++)
        x[4 * k * rows + i] = -0.2f * fabsf(x[4 * k * rows + i]);
    for (size_t i = 0; i < shape[0] * rows; i++)
        x[(5 * k + v) * rows + i] += 0.5f;
    return p;
}

/* The best of many calls: the machine may have other work. */
static double seconds(const gla_batch *b, const gla_recurrence *r, int rounds)
{
    double best = INFINITY;

    for (int i = 0; i < rounds; i++) {
        const double start = gla__clock_seconds();

        if (gla__recurrence(b, r))
            exit(1);
        best = fmin(best, gla__clock_seconds() - start);
    }
    return best;
}

static void prefill(const form *f, const uint32_t shape[3], uint32_t tokens)
{
    static const uint32_t chunks[] = {0, 1, 8, 16, 32, 64};
    problem p = make(f, shape, tokens);
    test_batch t;

    test_batch_init(&t, 1, &tokens, 1, (size_t[]){(size_t)shape[0] * shape[1] * shape[2]});
    for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            double s;

            gla_set_threads(threads);
            t.exec.recurrence_chunk = chunks[c];
            s = seconds(&t.batch, &p.r, ROUNDS);
            printf("%-16s prefill chunk %2u, %u thread%s %9.0f tokens/s\n", f->name, chunks[c],
                   threads, threads > 1 ? "s:" : ": ", tokens / s);
        }
    test_batch_free(&t);
    free(p.memory);
}

static void decode(const form *f, const uint32_t shape[3])
{
    const size_t state = (size_t)shape[0] * shape[1] * shape[2];
    const uint32_t n = (uint32_t)(DECODE_BYTES / (state * sizeof(float)));
    problem p = make(f, shape, n);
    uint32_t *offset = malloc((n + 1) * sizeof(*offset)), zero = 0;
    void **states = malloc(n * sizeof(*states));
    float *memory = calloc(n, state * sizeof(float));
    test_batch t;

    test_batch_init(&t, 1, &zero, 1, (size_t[]){1});
    for (uint32_t i = 0; i < n; i++)
        states[i] = memory + i * state;
    for (uint32_t i = 0; i <= n; i++)
        offset[i] = i;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        gla_batch b = t.batch;
        double s;

        b.n_sequences = b.n_rows = n;
        b.row_offset = offset;
        b.states = states;
        gla_set_threads(threads);
        s = seconds(&b, &p.r, ROUNDS / 6);
        printf("%-16s decode %u sequences, %u thread%s %6.1f GB/s read and written\n", f->name, n,
               threads, threads > 1 ? "s:" : ": ", 2.0 * (double)DECODE_BYTES / s * 1e-9);
    }
    test_batch_free(&t);
    free(memory), free(states), free(offset), free(p.memory);
}

int main(int argc, char **argv)
{
    uint32_t shape[4] = {8, 128, 128, 512};

    for (int i = 0; i < 4 && i + 1 < argc; i++)
        shape[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        prefill(&forms[f], shape, shape[3]);
        decode(&forms[f], shape);
    }
    return 0;
}
