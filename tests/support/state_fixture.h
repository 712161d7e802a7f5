/* SPDX-License-Identifier: Apache-2.0
 *
 * state_fixture.h - a store and a sequence without a model, for tests of the state room
 */
#ifndef GLA_TESTS_SUPPORT_STATE_FIXTURE_H
#define GLA_TESTS_SUPPORT_STATE_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "state/sequence.h"

enum { FIXTURE_VOCAB = 2000 };

/* A recurrent state, a full KV cache and a sliding window of 100 tokens. */
typedef struct fixture {
    gla__state_layout layout;
    gla__store store;
    gla__usage usage;
    gla__sequence q;
    size_t page; /* bytes of a page of either cache */
} fixture;

static inline void setup(fixture *f)
{
    gla_state_desc s = {.kind = GLA_STATE_FIXED, .ndim = 2, .dims = {4, 8}};
    gla_state_desc kv = {.kind = GLA_STATE_PER_TOKEN, .kv_heads = 2, .k_dim = 8, .v_dim = 8};

    memset(f, 0, sizeof(*f));
    cr_assert_eq(gla__state_layout_add(&f->layout, "0.S", &s, 1, NULL), GLA_OK);
    cr_assert_eq(gla__state_layout_add(&f->layout, "1.kv", &kv, 1, NULL), GLA_OK);
    kv.window = 100;
    cr_assert_eq(gla__state_layout_add(&f->layout, "2.kv", &kv, 1, NULL), GLA_OK);
    gla__store_init(&f->store, &f->layout, &f->usage, FIXTURE_VOCAB, 1024);
    cr_assert_eq(gla__sequence_init(&f->q, &f->store, GLA_DTYPE_F32, NULL), GLA_OK);
    f->page = f->q.tables[0].page_bytes;
}

static inline void teardown(fixture *f)
{
    gla__sequence_deinit(&f->q);
    cr_expect_eq(atomic_load(&f->usage.kv), 0);
    cr_expect_eq(atomic_load(&f->usage.state), 0);
    cr_expect_eq(atomic_load(&f->usage.cache), 0);
    cr_expect_eq(atomic_load(&f->usage.history), 0);
    cr_expect_eq(atomic_load(&f->store.used), 0);
    gla__store_deinit(&f->store);
    gla__state_layout_free(&f->layout);
}

/* What mixers would do with tokens[0 .. n): token x puts x + 1 into its key in every cache and
 * changes the recurrent state. */
static inline void step_tokens(gla__sequence *q, const int32_t *tokens, size_t n)
{
    cr_assert_eq(gla__sequence_reserve(q, n, NULL), GLA_OK);
    for (size_t i = 0; i < n; i++) {
        const uint64_t t = q->position + i;

        for (uint32_t j = 0; j < q->n_tables; j++) {
            const gla__kv_view *v = &q->views[j];
            float *keys = (float *)(void *)v->pages[(t - v->first_token) / GLA__KV_PAGE_TOKENS];

            keys[t % GLA__KV_PAGE_TOKENS * 8] = (float)tokens[i] + 1;
        }
        q->fixed[0] = q->fixed[0] * 0.5f + (float)tokens[i];
    }
    gla__sequence_advance(q, tokens, n);
}

/* Tokens that are their own positions. */
static inline void step(gla__sequence *q, size_t n)
{
    int32_t tokens[1024];

    cr_assert_leq(n, 1024);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)(q->position + i);
    step_tokens(q, tokens, n);
}

static inline float key_at(const gla__sequence *q, uint32_t table, uint64_t t)
{
    const gla__kv_table *k = &q->tables[table];
    const float *keys = (const float *)(const void *)k->pages[t / GLA__KV_PAGE_TOKENS - k->first];

    return keys[t % GLA__KV_PAGE_TOKENS * 8];
}

#endif
