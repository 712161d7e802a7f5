/* SPDX-License-Identifier: Apache-2.0 */
#include "state/prefix.h"

#include "support/rng.h"
#include "support/state_fixture.h"

/* Two models' worth of state: with a recurrent state and a window, and with one full cache only. */
typedef struct cached {
    fixture f;
    gla__prefix *prefix;
    gla__ring ring;
    int32_t text[2000];
} cached;

static bool give(void *ctx, uint64_t bytes)
{
    return gla__prefix_give(ctx, bytes);
}

static void cached_setup(cached *c, bool plain)
{
    gla_state_desc kv = {.kind = GLA_STATE_PER_TOKEN, .kv_heads = 2, .k_dim = 8, .v_dim = 8};
    rng r = {3};

    memset(c, 0, sizeof(*c));
    if (plain) {
        cr_assert_eq(gla__state_layout_add(&c->f.layout, "0.kv", &kv, 1, NULL), GLA_OK);
        gla__store_init(&c->f.store, &c->f.layout, &c->f.usage, FIXTURE_VOCAB, 1024);
        cr_assert_eq(gla__sequence_init(&c->f.q, &c->f.store, GLA_DTYPE_F32, NULL), GLA_OK);
        c->f.page = c->f.q.tables[0].page_bytes;
    } else {
        setup(&c->f);
    }
    c->ring.budget = UINT64_MAX;
    c->prefix = gla__prefix_create(&c->f.store, UINT64_MAX);
    c->f.store.reclaim = give;
    c->f.store.reclaim_ctx = c->prefix;
    for (size_t i = 0; i < 2000; i++)
        c->text[i] = (int32_t)rng_below(&r, 1000);
}

static void cached_teardown(cached *c)
{
    gla__ring_clear(&c->ring);
    c->f.store.reclaim = NULL;
    gla__prefix_destroy(c->prefix);
    teardown(&c->f);
}

/* Runs text[position .. n) in steps of `stride`, kept with snapshots. */
static void run_and_keep(cached *c, gla__sequence *q, const int32_t *text, size_t n, size_t stride,
                         bool snapshots)
{
    while (q->position < n) {
        const size_t left = n - q->position, k = left < stride ? left : stride;
        gla__snapshot *p = NULL;

        if (q->store->layout->fixed_bytes) {
            step_tokens(q, text + q->position, k);
        } else {
            cr_assert_eq(gla__sequence_reserve(q, k, NULL), GLA_OK);
            for (size_t i = 0; i < k; i++) {
                const uint64_t t = q->position + i;

                ((float *)(void *)q->tables[0].pages[t / 64])[t % 64 * 8] =
                    (float)text[q->position + i] + 1;
            }
            gla__sequence_advance(q, text + q->position, k);
        }
        if (snapshots && k == stride)
            cr_assert_eq(gla__snapshot_take(q, &p, NULL), GLA_OK);
        gla__prefix_insert(c->prefix, q, p);
        gla__snapshot_unref(p);
    }
}

static gla__sequence resume(cached *c, const int32_t *text, size_t n, gla__prefix_match *m)
{
    gla__sequence q;

    cr_assert_eq(gla__sequence_init(&q, &c->f.store, GLA_DTYPE_F32, NULL), GLA_OK);
    gla__ring_clear(&c->ring);
    gla__prefix_resume(c->prefix, &q, &c->ring, text, n, m);
    cr_assert_eq(q.position, m->reused);
    if (m->reused)
        cr_assert_arr_eq(q.tokens, text, m->reused * sizeof(*text));
    return q;
}

Test(state_prefix, kv_alone_resumes_to_the_token)
{
    cached c;
    gla__prefix_match m;
    gla__sequence q;
    int32_t other[1000];

    cached_setup(&c, true);
    run_and_keep(&c, &c.f.q, c.text, 1000, 512, false);
    memcpy(other, c.text, sizeof(other));
    other[777] = 5000;
    q = resume(&c, other, 1000, &m);
    cr_assert_eq(m.matched, 777);
    cr_assert_eq(m.reused, 777);
    cr_assert_eq(m.reason, GLA_CACHE_HIT);
    cr_assert_eq(q.tables[0].n, 13);
    cr_assert_eq(q.tables[0].pages[12], c.f.q.tables[0].pages[12]);
    /* writing on copies the page that both begin with */
    run_and_keep(&c, &q, other, 1000, 512, false);
    cr_assert_eq(key_at(&q, 0, 777), 5001);
    cr_assert_eq(key_at(&q, 0, 776), c.text[776] + 1);
    cr_assert_eq(key_at(&c.f.q, 0, 777), c.text[777] + 1);
    gla__sequence_deinit(&q);
    q = resume(&c, other, 1000, &m);
    cr_assert_eq(m.reused, 1000);
    gla__sequence_deinit(&q);
    q = resume(&c, c.text, 1000, &m);
    cr_assert_eq(m.reused, 1000);
    gla__sequence_deinit(&q);
    cached_teardown(&c);
}

Test(state_prefix, fixed_states_resume_at_the_snapshot_before)
{
    cached c;
    gla__prefix_match m;
    gla__sequence q, whole;
    int32_t other[1000];

    cached_setup(&c, false);
    run_and_keep(&c, &c.f.q, c.text, 1000, 96, true);
    memcpy(other, c.text, sizeof(other));
    other[777] = 5000;
    q = resume(&c, other, 1000, &m);
    cr_assert_eq(m.matched, 777);
    cr_assert_eq(m.reused, 768);
    cr_assert_eq(m.reason, GLA_CACHE_HIT_REPLAY);
    cr_assert_eq(c.ring.n, 8); /* 96 .. 768 */
    /* what goes on from there is what a fresh run gives */
    cr_assert_eq(gla__sequence_init(&whole, &c.f.store, GLA_DTYPE_F32, NULL), GLA_OK);
    step_tokens(&whole, other, 1000);
    step_tokens(&q, other + 768, 232);
    cr_assert_eq(q.fixed[0], whole.fixed[0]);
    for (uint64_t t = whole.tables[1].first * 64; t < 1000; t++) {
        cr_assert_eq(key_at(&q, 0, t), key_at(&whole, 0, t));
        cr_assert_eq(key_at(&q, 1, t), key_at(&whole, 1, t));
    }
    gla__sequence_deinit(&q);
    gla__sequence_deinit(&whole);
    cached_teardown(&c);
}

Test(state_prefix, a_miss_says_why)
{
    cached c;
    gla__prefix_match m;
    gla__sequence q;
    gla_cache_stats stats;
    int32_t other[200] = {-1};

    cached_setup(&c, false);
    q = resume(&c, c.text, 200, &m);
    cr_assert_eq(m.reason, GLA_CACHE_EMPTY);
    gla__sequence_deinit(&q);

    run_and_keep(&c, &c.f.q, c.text, 200, 150, true);
    q = resume(&c, other, 200, &m);
    cr_assert_eq(m.reason, GLA_CACHE_NO_MATCH);
    gla__sequence_deinit(&q);
    q = resume(&c, c.text, 149, &m);
    cr_assert_eq(m.reason, GLA_CACHE_NO_SNAPSHOT);
    cr_assert_eq(m.matched, 149);
    gla__sequence_deinit(&q);

    cr_assert_eq(gla__sequence_init(&q, &c.f.store, GLA_DTYPE_BF16, NULL), GLA_OK);
    gla__prefix_resume(c.prefix, &q, &c.ring, c.text, 200, &m);
    cr_assert_eq(m.reason, GLA_CACHE_KV_DTYPE);
    gla__prefix_resume(c.prefix, &q, &c.ring, other, 200, &m);
    cr_assert_eq(m.reason, GLA_CACHE_NO_MATCH);
    gla__sequence_deinit(&q);

    cr_assert(gla__prefix_give(c.prefix, UINT64_MAX));
    cr_assert_not(gla__prefix_give(c.prefix, 1));
    q = resume(&c, c.text, 200, &m);
    cr_assert_eq(m.reason, GLA_CACHE_EVICTED);
    gla__sequence_deinit(&q);

    gla__prefix_stats(c.prefix, &stats);
    cr_assert_eq(stats.lookups, 6);
    cr_assert_eq(stats.hits, 0);
    cr_assert_eq(stats.tokens_asked, 200 + 200 + 149 + 200 + 200 + 200);
    cr_assert_eq(stats.tokens_matched, 149);
    cr_assert_eq(stats.tokens_replayed, 149);
    cr_assert_eq(stats.bytes, 0);
    cr_assert_eq(stats.blocks, 0);
    cr_assert_eq(stats.snapshots, 0);
    for (uint32_t i = 0; i < GLA_CACHE_REASON_COUNT; i++)
        cr_assert_neq(strlen(gla_cache_reason_text(i)), 0);
    cr_assert_str_eq(gla_cache_reason_text(GLA_CACHE_REASON_COUNT), "unknown");
    cached_teardown(&c);
}

Test(state_prefix, keeps_its_budget_by_letting_the_least_recently_used_go)
{
    cached c;
    gla__prefix_match m;
    gla__sequence q;
    gla_cache_stats stats;

    cached_setup(&c, true);
    for (int32_t i = 0; i < 20; i++) {
        gla__sequence_reset(&c.f.q);
        c.text[0] = i;
        run_and_keep(&c, &c.f.q, c.text, 320, 64, false);
        c.text[0] = 0; /* the first text stays in use */
        q = resume(&c, c.text, 320, &m);
        cr_assert_eq(m.reused, 320);
        gla__sequence_deinit(&q);
        if (i == 3) {
            gla__prefix_stats(c.prefix, &stats);
            cr_assert_eq(stats.blocks, 20);
            gla__prefix_set_budget(c.prefix, stats.bytes);
        }
        gla__prefix_stats(c.prefix, &stats);
        cr_assert_leq(stats.bytes, stats.budget);
    }
    cr_assert_eq(stats.blocks, 20);
    cr_assert_eq(stats.evictions, 80);
    c.text[0] = 5;
    q = resume(&c, c.text, 320, &m);
    cr_assert_eq(m.reused, 0);
    gla__sequence_deinit(&q);
    c.text[0] = 19;
    q = resume(&c, c.text, 320, &m);
    cr_assert_eq(m.reused, 320);
    gla__sequence_deinit(&q);
    gla__prefix_set_budget(c.prefix, 0);
    gla__prefix_insert(c.prefix, &c.f.q, NULL);
    gla__prefix_stats(c.prefix, &stats);
    cr_assert_eq(stats.bytes, 0);
    cached_teardown(&c);
}

Test(state_prefix, newer_texts_take_the_place_of_older_ones_under_the_budget_of_all)
{
    cached c;
    gla__prefix_match m;
    gla__sequence q;

    cached_setup(&c, true);
    run_and_keep(&c, &c.f.q, c.text, 640, 64, false);
    gla__sequence_reset(&c.f.q);
    c.text[0] = -7;
    /* room for the pages of a second text, not for its nodes besides */
    atomic_store(&c.f.store.budget, atomic_load(&c.f.store.used) + 10 * c.f.page);
    run_and_keep(&c, &c.f.q, c.text, 640, 64, false);
    atomic_store(&c.f.store.budget, UINT64_MAX);
    q = resume(&c, c.text, 640, &m);
    cr_assert_eq(m.reused, 640);
    gla__sequence_deinit(&q);
    cached_teardown(&c);
}

/* Against the plain definition: the longest common prefix with any text kept so far. */
Test(state_prefix, matches_as_long_as_any_text_kept_does)
{
    enum { TEXTS = 120, LENGTH = 300 };
    static int32_t texts[TEXTS][LENGTH];
    cached c;
    rng r = {77};

    cached_setup(&c, true);
    for (uint32_t i = 0; i < TEXTS; i++) {
        const size_t n = 1 + rng_below(&r, LENGTH);
        const uint32_t like = i ? rng_below(&r, i) : 0, same = rng_below(&r, LENGTH);
        size_t longest = 0;
        gla__prefix_match m;
        gla__sequence q;

        for (size_t t = 0; t < LENGTH; t++)
            texts[i][t] =
                i && t < same && texts[like][t] >= 0 ? texts[like][t] : (int32_t)rng_below(&r, 3);
        for (size_t t = n; t < LENGTH; t++)
            texts[i][t] = -1 - (int32_t)i; /* not kept */
        for (uint32_t j = 0; j < i; j++) {
            size_t t = 0;

            while (t < n && texts[j][t] == texts[i][t])
                t++;
            longest = t > longest ? t : longest;
        }
        q = resume(&c, texts[i], n, &m);
        cr_assert_eq(m.matched, longest, "text %u: %zu, not %zu", i, (size_t)m.matched, longest);
        for (uint64_t t = 0; t < q.position; t++)
            cr_assert_eq(key_at(&q, 0, t), texts[i][t] + 1);
        run_and_keep(&c, &q, texts[i], n, 1 + rng_below(&r, 100), false);
        gla__sequence_deinit(&q);
    }
    cached_teardown(&c);
}
