/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.h - a gla_batch for tests that call the math table's functions without a model
 *
 *     test_batch t;
 *     test_batch_init(&t, 2, (uint32_t[]){5, 1}, 1, (size_t[]){H * K * V});
 *     gla__recurrence(&t.batch, &r);
 *     test_batch_free(&t);
 */
#ifndef GLA_TESTS_SUPPORT_BATCH_H
#define GLA_TESTS_SUPPORT_BATCH_H

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "math/ops.h"

enum { TEST_SEQUENCES = 8, TEST_STATES = 2 };

typedef struct test_batch {
    gla_batch batch;
    gla__exec exec;
    gla_host host;
    char explained[256];
    uint32_t row_offset[TEST_SEQUENCES + 1];
    uint64_t position[TEST_SEQUENCES];
    void *states[TEST_SEQUENCES * TEST_STATES];
    size_t state_size[TEST_STATES]; /* numbers */
} test_batch;

static inline void test_batch_explain(const gla_host *h, const char *msg)
{
    test_batch *t = h->ctx;

    strncpy(t->explained, msg, sizeof(t->explained) - 1);
}

static inline void test_batch_log(const gla_host *h, int32_t level, const char *msg)
{
    (void)h, (void)level, (void)msg;
}

static inline const void *test_batch_extension(const gla_host *h, const char *id)
{
    (void)h, (void)id;
    return NULL;
}

/* Which rows the sequences have; states stay. */
static inline void test_batch_rows(test_batch *t, const uint32_t *lengths)
{
    for (uint32_t s = 0; s < t->batch.n_sequences; s++)
        t->row_offset[s + 1] = t->row_offset[s] + lengths[s];
    t->batch.n_rows = t->row_offset[t->batch.n_sequences];
}

/* States are zero. */
static inline void test_batch_init(test_batch *t, uint32_t n_sequences, const uint32_t *lengths,
                                   uint32_t n_states, const size_t *state_size)
{
    memset(t, 0, sizeof(*t));
    t->host = (gla_host){.struct_size = sizeof(t->host),
                         .ctx = t,
                         .name = "test",
                         .log = test_batch_log,
                         .explain = test_batch_explain,
                         .get_extension = test_batch_extension};
    t->exec.arena_bytes = (size_t)64 << 20;
    t->exec.arena = aligned_alloc(64, t->exec.arena_bytes);
    t->batch = (gla_batch){.struct_size = sizeof(t->batch),
                           .n_sequences = n_sequences,
                           .n_states = n_states,
                           .row_offset = t->row_offset,
                           .position = t->position,
                           .states = t->states,
                           .host = &t->host,
                           .exec = &t->exec};
    for (uint32_t i = 0; i < n_states; i++)
        t->state_size[i] = state_size[i];
    for (uint32_t s = 0; s < n_sequences; s++)
        for (uint32_t i = 0; i < n_states; i++)
            t->states[s * n_states + i] = calloc(state_size[i] + 1, sizeof(float));
    test_batch_rows(t, lengths);
}

static inline void test_batch_free(test_batch *t)
{
    for (uint32_t i = 0; i < t->batch.n_sequences * t->batch.n_states; i++)
        free(t->states[i]);
    free(t->exec.arena);
}

#endif
