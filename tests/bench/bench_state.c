/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_state.c - what forks, snapshots and files of a long session cost, without the model
 *
 * bench_state [TOKENS]: the states of bench-hybrid-415m (18 gated delta nets of 8 heads 128 x 128
 * with convolutions, 6 attentions with 2 KV heads of 128), of the same with 24 delta nets and no
 * KV, and of 24 attentions; bf16 KV filled with noise.  The times of rollback and of a second turn
 * are the model's: gla-bench has them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "state/prefix.h"
#include "state/session_file.h"

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { VOCAB = 32768 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void add_states(gla__state_layout *l, int deltas, int attentions)
{
    gla_state_desc s = {.kind = GLA_STATE_FIXED, .ndim = 3, .dims = {8, 128, 128}};
    gla_state_desc conv = {.kind = GLA_STATE_FIXED, .ndim = 2, .dims = {3, 3072}};
    gla_state_desc kv = {.kind = GLA_STATE_PER_TOKEN, .kv_heads = 2, .k_dim = 128, .v_dim = 128};
    char name[32];

    for (int i = 0; i < deltas; i++) {
        snprintf(name, sizeof(name), "layers.%d.mixer.S", i);
        CHECK(!gla__state_layout_add(l, name, &s, 1, NULL));
        snprintf(name, sizeof(name), "layers.%d.mixer.conv", i);
        CHECK(!gla__state_layout_add(l, name, &conv, 1, NULL));
    }
    for (int i = 0; i < attentions; i++) {
        snprintf(name, sizeof(name), "layers.%d.attention.kv", i);
        CHECK(!gla__state_layout_add(l, name, &kv, 1, NULL));
    }
}

/* Numbers of the size of activations: their low bits do not compress. */
static void fill(gla__sequence *q, size_t tokens)
{
    int32_t ids[512];
    uint64_t x = 1;

    for (size_t i = 0; i < q->store->layout->fixed_bytes / sizeof(float); i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        q->fixed[i] = (float)(int32_t)(x >> 32) * 0x1p-31f;
    }
    memset(ids, 0, sizeof(ids));
    while (q->position < tokens) {
        const size_t left = tokens - q->position, n = left < 512 ? left : 512;

        CHECK(!gla__sequence_reserve(q, n, NULL));
        gla__sequence_advance(q, ids, n);
    }
    for (uint32_t t = 0; t < q->n_tables; t++)
        for (size_t j = 0; j < q->tables[t].n; j++)
            for (size_t k = 0; k < q->tables[t].page_bytes; k += 2) {
                x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
                q->tables[t].pages[j][k] = (uint8_t)(x >> 56);
                q->tables[t].pages[j][k + 1] = (uint8_t)(0x3c + (x >> 48 & 3));
            }
}

static void measure_forks(const gla__sequence *q)
{
    enum { N = 20 };
    gla__sequence forks[N];
    const atomic_ullong *kv = &q->store->usage->kv;
    const unsigned long long before = atomic_load(kv);
    const double start = now();

    for (int i = 0; i < N; i++)
        CHECK(!gla__sequence_copy(&forks[i], q, NULL));
    printf("  fork      %8.3f ms, %.2f MB of state, %llu bytes of KV\n", (now() - start) / N * 1e3,
           (double)q->store->layout->fixed_bytes / 1e6, (atomic_load(kv) - before) / N);
    for (int i = 0; i < N; i++)
        gla__sequence_deinit(&forks[i]);
}

static void measure_snapshot(const gla__sequence *q)
{
    gla__snapshot *p;
    double start = now();

    CHECK(!gla__snapshot_take(q, &p, NULL));
    printf("  snapshot  %8.3f ms, %.2f MB\n", (now() - start) * 1e3, (double)p->bytes / 1e6);
    gla__snapshot_unref(p);
}

static void measure_file(const gla__sequence *q)
{
    char path[] = "/tmp/gla-bench-XXXXXX";
    gla__sequence back;
    gla__ring ring = {0};
    gla__file f;
    double start = now(), saved, loaded;

    close(mkstemp(path));
    CHECK(!gla__session_file_save(q, &ring, 0, 1, path, NULL));
    saved = now() - start;
    start = now();
    CHECK(!gla__session_file_load(&back, &ring, q->store, 1, 0, path, NULL));
    loaded = now() - start;
    CHECK(!gla__file_open(&f, path, NULL));
    printf("  file      save %.3f s, load %.3f s, %.2f MB of %.2f\n", saved, loaded,
           (double)f.size / 1e6,
           (double)(gla__sequence_kv_bytes(q) + q->store->layout->fixed_bytes +
                    q->position * sizeof(int32_t)) /
               1e6);
    gla__file_close(&f);
    gla__sequence_deinit(&back);
    unlink(path);
}

static void measure(const char *name, int deltas, int attentions, size_t tokens)
{
    gla__state_layout layout = {0};
    gla__store store;
    gla__sequence q;
    gla__usage usage = {0};

    add_states(&layout, deltas, attentions);
    gla__store_init(&store, &layout, &usage, VOCAB, 512);
    CHECK(!gla__sequence_init(&q, &store, GLA_DTYPE_BF16, NULL));
    fill(&q, tokens);
    printf("%s, %zu tokens: KV %.2f MB, state %.2f MB\n", name, tokens,
           (double)atomic_load(&usage.kv) / 1e6, (double)atomic_load(&usage.state) / 1e6);
    measure_forks(&q);
    measure_snapshot(&q);
    measure_file(&q);
    gla__sequence_deinit(&q);
    gla__store_deinit(&store);
    gla__state_layout_free(&layout);
}

int main(int argc, char **argv)
{
    const size_t tokens = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 16384;

    measure("hybrid 3:1", 18, 6, tokens);
    measure("linear", 24, 0, tokens);
    measure("softmax", 0, 24, tokens);
    return 0;
}
