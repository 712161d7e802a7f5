/* SPDX-License-Identifier: Apache-2.0 */
#include "support/session_models.h"

#include <unistd.h>

#include "support/flaky_layer.h"

/* A text, and what the model says at its end and on the way. */
typedef struct told {
    gla_model *m;
    int32_t tokens[1200];
} told;

static told tell(uint32_t which, uint32_t rows)
{
    told t;
    rng r = {which + 1};

    t.m = mix_model(&mixes[which], rows, 8);
    random_tokens(&r, t.tokens, 1200);
    return t;
}

static void assert_empty(const gla_model *m)
{
    gla_memory memory;

    gla_model_memory(m, &memory, sizeof(memory));
    cr_assert_eq(memory.kv, 0);
    cr_assert_eq(memory.state, 0);
    cr_assert_eq(memory.history, 0);
}

Test(session, feeds_and_reports_its_position_and_tokens)
{
    told t = tell(MIX_ALL, 48);
    gla_session *s = mix_session(t.m, NULL);
    float logits[VOCAB], last[VOCAB];

    feed(s, t.tokens, 150, logits);
    cr_assert_eq(gla_session_position(s), 150);
    for (size_t i = 150; i < 200; i++)
        feed(s, t.tokens + i, 1, logits);
    cr_assert_eq(gla_session_position(s), 200);
    cr_assert_arr_eq(gla_session_tokens(s), t.tokens, 200 * sizeof(int32_t));
    fresh_logits(t.m, NULL, t.tokens, 200, last);
    assert_close(logits, last, VOCAB, "prefill and decode");
    gla_session_reset(s);
    cr_assert_eq(gla_session_position(s), 0);
    feed(s, t.tokens, 200, logits);
    assert_same(logits, last, VOCAB, "after reset");
    gla_session_free(s);
    assert_empty(t.m);
    gla_model_free(t.m);
}

Test(session, gives_the_logits_of_the_last_tokens_whatever_the_batches)
{
    told t = tell(MIX_HYBRID, 16);
    gla_session *s = mix_session(t.m, NULL);
    static float many[40 * VOCAB];
    float one[VOCAB];
    const gla_feed_item item = {
        .session = s, .tokens = t.tokens, .n_tokens = 100, .logits = many, .n_logits = 40};
    gla_diag diag;

    must(gla_feed(&item, 1, sizeof(item), NULL, NULL, &diag), &diag);
    gla_session_reset(s);
    for (size_t i = 0; i < 100; i++) {
        feed(s, t.tokens + i, 1, one);
        if (i >= 60)
            assert_close(many + (i - 60) * VOCAB, one, VOCAB, "row");
    }
    gla_session_free(s);
    gla_model_free(t.m);
}

Test(session, feeds_many_sessions_as_one_batch)
{
    enum { N = 20 };
    told t = tell(MIX_ALL, 32);
    static float logits[N][VOCAB];
    gla_feed_item items[N];
    float alone[VOCAB];
    gla_diag diag;
    rng r = {5};

    for (size_t i = 0; i < N; i++)
        items[i] = (gla_feed_item){.session = mix_session(t.m, NULL),
                                   .tokens = t.tokens + i * 10,
                                   .n_tokens = i % 3 ? 1 + rng_below(&r, 150) : i % 2,
                                   .logits = logits[i]};
    for (size_t i = 0; i < N; i++)
        items[i].n_logits = items[i].n_tokens > 0;
    must(gla_feed(items, N, sizeof(*items), NULL, NULL, &diag), &diag);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(gla_session_position(items[i].session), items[i].n_tokens);
        if (items[i].n_tokens) {
            fresh_logits(t.m, NULL, items[i].tokens, items[i].n_tokens, alone);
            assert_close(logits[i], alone, VOCAB, "in a batch");
        }
        gla_session_free(items[i].session);
    }
    gla_model_free(t.m);
}

Test(session, refuses_what_makes_no_sense_and_changes_nothing)
{
    told t = tell(MIX_GLA, 32), other = tell(MIX_GLA, 32);
    gla_session *s = mix_session(t.m, NULL), *o = mix_session(other.m, NULL), *none;
    const int32_t bad[] = {1, 2, VOCAB}, negative[] = {-1};
    const gla_feed_item twice[] = {{.session = s, .tokens = t.tokens, .n_tokens = 3},
                                   {.session = s, .tokens = t.tokens, .n_tokens = 3}};
    const gla_feed_item models[] = {{.session = s, .tokens = t.tokens, .n_tokens = 3},
                                    {.session = o, .tokens = t.tokens, .n_tokens = 3}};
    float logits[VOCAB];
    const gla_feed_item more = {.session = s,
                                .tokens = t.tokens,
                                .n_tokens = 2,
                                .logits = logits,
                                .n_logits = 3},
                        missing = {.session = s, .tokens = NULL, .n_tokens = 2};
    const gla_session_options strange = {GLA_SIZED(gla_session_options), .kv_dtype = GLA_DTYPE_I4};
    gla_diag diag;

    feed(s, t.tokens, 5, NULL);
    cr_assert_eq(gla_session_feed(s, bad, 3, 0, &diag), GLA_E_INVALID);
    cr_assert(strstr(diag.message, "token 97 at 2"), "%s", diag.message);
    cr_assert_eq(gla_session_feed(s, negative, 1, 0, &diag), GLA_E_INVALID);
    cr_assert_eq(gla_feed(twice, 2, sizeof(*twice), NULL, NULL, &diag), GLA_E_INVALID);
    cr_assert_str_eq(diag.where, "item 1");
    cr_assert_eq(gla_feed(models, 2, sizeof(*models), NULL, NULL, &diag), GLA_E_INVALID);
    cr_assert_eq(gla_feed(&more, 1, sizeof(gla_feed_item), NULL, NULL, &diag), GLA_E_INVALID);
    cr_assert_eq(gla_session_feed(s, t.tokens, 1, GLA_FEED_LOGITS << 1, &diag), GLA_E_INVALID);
    cr_assert_str_eq(diag.message, "flags 0x2: not known");
    cr_assert_eq(gla_feed(&missing, 1, sizeof(gla_feed_item), NULL, NULL, &diag), GLA_E_INVALID);
    cr_assert_eq(gla_session_truncate(s, 6, &diag), GLA_E_INVALID);
    cr_assert_eq(gla_session_create(t.m, &strange, &none, &diag), GLA_E_INVALID);
    cr_assert_null(none);
    cr_assert_eq(gla_session_position(s), 5);
    feed(s, t.tokens, 0, NULL);
    feed(s, t.tokens, 3, NULL);
    cr_assert_eq(gla_session_position(s), 8);
    gla_session_free(s);
    gla_session_free(o);
    gla_model_free(t.m);
    gla_model_free(other.m);
}

/* Before each batch: 32 tokens more than before the last. */
static int stop_after(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    int *batches = ctx;

    cr_expect_str_eq(what, "feed");
    cr_expect(done == (3 - (uint64_t)*batches) * 32 && total == 200);
    return (*batches)-- <= 0;
}

Test(session, stops_between_batches_and_goes_on)
{
    told t = tell(MIX_HYBRID, 32);
    gla_session *s = mix_session(t.m, NULL);
    const gla_feed_item item = {.session = s, .tokens = t.tokens, .n_tokens = 200};
    float logits[VOCAB], fresh[VOCAB];
    gla_diag diag;
    int batches = 3;

    cr_assert_eq(gla_feed(&item, 1, sizeof(item), stop_after, &batches, &diag), GLA_E_CANCELLED);
    cr_assert_eq(gla_session_position(s), 96);
    feed(s, t.tokens + 96, 104, logits);
    fresh_logits(t.m, NULL, t.tokens, 200, fresh);
    assert_same(logits, fresh, VOCAB, "after a pause");
    gla_session_free(s);
    gla_model_free(t.m);
}

Test(session, a_fork_and_its_parent_do_not_meet_again)
{
    told t = tell(MIX_ALL, 48);
    gla_session *s = mix_session(t.m, NULL), *f;
    float a[VOCAB], b[VOCAB], fresh[VOCAB];
    gla_memory before, after;
    gla_diag diag;

    feed(s, t.tokens, 300, NULL);
    gla_model_memory(t.m, &before, sizeof(before));
    must(gla_session_fork(s, &f, &diag), &diag);
    gla_model_memory(t.m, &after, sizeof(after));
    cr_assert_eq(after.kv, before.kv);
    cr_assert_eq(after.state, 2 * before.state);
    feed(f, t.tokens + 500, 100, b);
    feed(s, t.tokens + 300, 100, a);
    fresh_logits(t.m, NULL, t.tokens, 400, fresh);
    assert_close(a, fresh, VOCAB, "parent");
    memmove(t.tokens + 300, t.tokens + 500, 100 * sizeof(int32_t));
    fresh_logits(t.m, NULL, t.tokens, 400, fresh);
    assert_close(b, fresh, VOCAB, "fork");
    gla_session_free(s);
    feed(f, t.tokens + 400, 10, b);
    fresh_logits(t.m, NULL, t.tokens, 410, fresh);
    assert_close(b, fresh, VOCAB, "fork alone");
    gla_session_free(f);
    gla_model_free(t.m);
}

Test(session, truncates_to_any_position_of_any_mix)
{
    static const uint64_t cuts[] = {799, 701, 700, 640, 639, 300, 129, 128, 64, 1, 0};

    for (uint32_t which = 0; which < N_MIXES; which++) {
        told t = tell(which, 64);
        const gla_session_options o = {GLA_SIZED(gla_session_options), .snapshot_stride = 128};
        gla_session *s = mix_session(t.m, &o);
        gla_snapshot_info info;
        float logits[VOCAB], fresh[VOCAB];
        gla_diag diag;

        feed(s, t.tokens, 700, NULL);
        must(gla_session_mark(s, &diag), &diag);
        feed(s, t.tokens + 700, 100, NULL);
        gla_session_snapshots(s, &info, sizeof(info));
        cr_assert_eq(info.count, which == MIX_SOFTMAX ? 0 : 7); /* 128 .. 768 and the mark */
        cr_assert_eq(info.worst_replay, which == MIX_SOFTMAX ? 0 : 127);
        for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
            const uint64_t n = cuts[i], replay = gla_session_replay(s, n);

            cr_assert_leq(replay, 127);
            if (n == 700)
                cr_assert_eq(replay, 0);
            must(gla_session_truncate(s, n, &diag), &diag);
            cr_assert_eq(gla_session_position(s), n);
            feed(s, t.tokens + 900, 20, logits);
            memcpy(t.tokens + n, t.tokens + 900, 20 * sizeof(int32_t));
            fresh_logits(t.m, NULL, t.tokens, n + 20, fresh);
            assert_close(logits, fresh, VOCAB, mixes[which].name);
            must(gla_session_truncate(s, n, &diag), &diag);
        }
        gla_session_free(s);
        gla_model_free(t.m);
    }
}

Test(session, without_snapshots_it_replays_from_the_beginning)
{
    told t = tell(MIX_HYBRID, 64);
    const gla_session_options o = {GLA_SIZED(gla_session_options),
                                   .snapshot_stride = GLA_SNAPSHOT_NONE};
    gla_session *s = mix_session(t.m, &o);
    gla_snapshot_info info;
    float logits[VOCAB], fresh[VOCAB];
    gla_diag diag;

    feed(s, t.tokens, 600, NULL);
    gla_session_snapshots(s, &info, sizeof(info));
    cr_assert_eq(info.stride, GLA_SNAPSHOT_NONE);
    cr_assert_eq(info.count, 0);
    cr_assert_eq(info.worst_replay, 599);
    cr_assert_eq(gla_session_replay(s, 500), 500);
    must(gla_session_truncate(s, 500, &diag), &diag);
    feed(s, t.tokens + 500, 1, logits);
    fresh_logits(t.m, &o, t.tokens, 501, fresh);
    assert_close(logits, fresh, VOCAB, "replayed");
    gla_session_free(s);
    gla_model_free(t.m);
}

/* vLLM's case: what is reused must not depend on where the shared part ends. */
Test(session, prompts_that_share_a_beginning_compute_it_once)
{
    static const uint32_t shared[] = {768, 868};
    const uint32_t stride = 128;

    for (uint32_t which = 0; which < N_MIXES; which++)
        for (size_t k = 0; k < 2; k++) {
            told t = tell(which, 64);
            const gla_session_options o = {GLA_SIZED(gla_session_options), .prefix_cache = 1,
                                           .snapshot_stride = stride};
            gla_cache_stats stats;
            gla_memory memory;
            rng r = {9};

            for (uint32_t i = 0; i < 16; i++) {
                gla_session *s = mix_session(t.m, &o);
                float logits[VOCAB], fresh[VOCAB];

                random_tokens(&r, t.tokens + shared[k], 40);
                t.tokens[shared[k]] = (int32_t)i; /* differs from here on */
                feed(s, t.tokens, shared[k] + 40, logits);
                fresh_logits(t.m, &o, t.tokens, shared[k] + 40, fresh);
                assert_close(logits, fresh, VOCAB, mixes[which].name);
                gla_session_cache_stats(s, &stats, sizeof(stats));
                if (i) {
                    cr_assert_eq(stats.tokens_matched, shared[k]);
                    cr_assert_gt(stats.tokens_reused, shared[k] - stride);
                    cr_assert_eq(stats.tokens_replayed, shared[k] - stats.tokens_reused);
                }
                if (i && which == MIX_SOFTMAX)
                    cr_assert_eq(stats.tokens_reused, shared[k]);
                gla_session_free(s);
            }
            gla_model_cache_stats(t.m, &stats, sizeof(stats));
            cr_assert_eq(stats.lookups, 16);
            cr_assert_eq(stats.hits, 15);
            gla_model_memory(t.m, &memory, sizeof(memory));
            cr_assert_eq(memory.kv, 0);
            cr_assert_gt(memory.cache, 0);
            assert_empty(t.m);
            gla_model_free(t.m);
        }
}

Test(session, prompts_of_one_call_share_too)
{
    enum { N = 12 };
    told t = tell(MIX_HYBRID, 64);
    const gla_session_options o = {GLA_SIZED(gla_session_options), .prefix_cache = 1,
                                   .snapshot_stride = 64};
    static int32_t texts[N][530];
    static float logits[N][VOCAB];
    gla_feed_item items[N];
    gla_cache_stats stats;
    gla_diag diag;

    for (int32_t i = 0; i < N; i++) {
        memcpy(texts[i], t.tokens, sizeof(texts[i]));
        texts[i][500] = i;
        items[i] = (gla_feed_item){.session = mix_session(t.m, &o),
                                   .tokens = texts[i],
                                   .n_tokens = 530,
                                   .logits = logits[i],
                                   .n_logits = 1};
    }
    must(gla_feed(items, N, sizeof(*items), NULL, NULL, &diag), &diag);
    gla_model_cache_stats(t.m, &stats, sizeof(stats));
    cr_assert_geq(stats.tokens_reused, (N - 1) * 384);
    for (size_t i = 0; i < N; i++) {
        float fresh[VOCAB];

        fresh_logits(t.m, &o, texts[i], 530, fresh);
        assert_close(logits[i], fresh, VOCAB, "shared in one call");
        gla_session_free(items[i].session);
    }
    gla_model_free(t.m);
}

Test(session, a_turn_that_was_marked_is_found_whole)
{
    told t = tell(MIX_HYBRID, 64);
    const gla_session_options o = {GLA_SIZED(gla_session_options), .prefix_cache = 1};
    gla_session *s = mix_session(t.m, &o), *again;
    gla_cache_stats stats;
    float a[VOCAB], b[VOCAB];
    gla_diag diag;

    feed(s, t.tokens, 100, NULL);
    for (size_t i = 100; i < 230; i++)
        feed(s, t.tokens + i, 1, NULL);
    must(gla_session_mark(s, &diag), &diag);
    feed(s, t.tokens + 230, 50, a);
    gla_session_free(s);
    again = mix_session(t.m, &o);
    feed(again, t.tokens, 280, b);
    gla_session_cache_stats(again, &stats, sizeof(stats));
    cr_assert_eq(stats.tokens_reused, 230);
    assert_same(a, b, VOCAB, "second turn");
    gla_session_free(again);
    gla_model_free(t.m);
}

Test(session, over_the_budget_the_cache_gives_way_and_then_the_call_fails)
{
    told t = tell(MIX_HYBRID, 64);
    const gla_session_options o = {GLA_SIZED(gla_session_options), .prefix_cache = 1,
                                   .snapshot_stride = 64};
    gla_session *s = mix_session(t.m, &o), *more[64];
    gla_cache_stats stats;
    gla_memory memory;
    float logits[VOCAB], fresh[VOCAB];
    uint64_t position;
    size_t n = 0;
    gla_diag diag;
    gla_status st;

    feed(s, t.tokens, 600, NULL);
    gla_session_free(s);
    gla_model_memory(t.m, &memory, sizeof(memory));
    must(gla_model_set_budget(t.m, memory.cache + 1000, &diag), &diag);
    while (!(st = gla_session_create(t.m, &o, &more[n], &diag)) && n < 63)
        feed(more[n++], t.tokens + 600, 5, NULL);
    cr_assert_eq(st, n < 63 ? GLA_E_LIMIT : GLA_OK);
    gla_model_cache_stats(t.m, &stats, sizeof(stats));
    cr_assert_gt(stats.evictions, 0);
    /* the first session goes on until it fails, and stands where it says */
    s = more[0];
    do {
        position = gla_session_position(s);
        st = gla_session_feed(s, t.tokens + position, 40, 0, &diag);
    } while (!st && position < 1000);
    cr_assert_eq(st, GLA_E_LIMIT);
    cr_assert(strstr(diag.message, "budget"));
    gla_model_memory(t.m, &memory, sizeof(memory));
    cr_assert_leq(memory.kv + memory.state + memory.cache, 1000000);
    position = gla_session_position(s);
    must(gla_model_set_budget(t.m, UINT64_MAX, &diag), &diag);
    memcpy(t.tokens, t.tokens + 600, 5 * sizeof(int32_t));
    feed(s, t.tokens + position, 10, logits);
    fresh_logits(t.m, &o, gla_session_tokens(s), position + 10, fresh);
    assert_close(logits, fresh, VOCAB, "after the limit");
    while (n)
        gla_session_free(more[--n]);
    gla_model_free(t.m);
}

Test(session, a_layer_that_fails_leaves_it_at_a_snapshot)
{
    const mix flaky = {"flaky", "gla + flaky + swa + attn"};
    gla_registry *registry = flaky_registry();
    gla_model *m;
    const gla_session_options o = {GLA_SIZED(gla_session_options), .snapshot_stride = 64};
    gla_session *s;
    int32_t tokens[400];
    float logits[VOCAB], fresh[VOCAB];
    gla_diag diag;
    rng r = {4};

    cr_assert_not_null(registry);
    m = mix_model_with(&flaky, (gla_model_options){GLA_SIZED(gla_model_options),
                                                   .registry = registry, .max_batch_rows = 50});
    s = mix_session(m, &o);
    random_tokens(&r, tokens, 400);
    flaky_calls = 1;
    cr_assert_eq(gla_session_feed(s, tokens, 90, 0, &diag), GLA_E_PLUGIN);
    cr_assert(strstr(diag.message, "flaky today"), "%s", diag.message);
    cr_assert_eq(gla_session_position(s), 0); /* 50 tokens had run, none is kept */
    flaky_calls = 1 << 20;
    feed(s, tokens, 300, NULL);
    flaky_calls = 0;
    cr_assert_eq(gla_session_feed(s, tokens + 300, 1, 0, &diag), GLA_E_PLUGIN);
    cr_assert_eq(gla_session_position(s), 256);
    cr_assert_eq(gla_session_truncate(s, 200, &diag), GLA_E_PLUGIN);
    cr_assert_eq(gla_session_position(s), 256); /* truncate fails whole */
    flaky_calls = 1 << 20;
    must(gla_session_truncate(s, 200, &diag), &diag);
    feed(s, tokens + 200, 150, logits);
    fresh_logits(m, &o, tokens, 350, fresh);
    assert_close(logits, fresh, VOCAB, "after a failure");
    gla_session_free(s);
    gla_model_free(m);
    gla_registry_free(registry);
}

Test(session, saved_and_loaded_it_goes_on_bit_for_bit)
{
    for (uint32_t which = 0; which < N_MIXES; which++)
        for (uint32_t dtype = 0; dtype < 3; dtype++) {
            static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_I8};
            told t = tell(which, 64);
            const gla_session_options o = {GLA_SIZED(gla_session_options),
                                           .kv_dtype = dtypes[dtype]};
            gla_session *s = mix_session(t.m, &o), *back;
            char path[] = "/tmp/gla-session-XXXXXX";
            float a[VOCAB], b[VOCAB];
            gla_memory of_s, of_back;
            gla_diag diag;

            close(mkstemp(path));
            feed(s, t.tokens, 333, NULL);
            must(gla_session_save(s, path, &diag), &diag);
            must(gla_session_load(t.m, path, NULL, &back, &diag), &diag);
            cr_assert_eq(gla_session_position(back), 333);
            gla_session_memory(s, &of_s, sizeof(of_s));
            gla_session_memory(back, &of_back, sizeof(of_back));
            cr_assert_eq(of_s.kv, of_back.kv);
            cr_assert_eq(of_s.state, of_back.state);
            for (size_t i = 0; i < 3; i++) {
                feed(s, t.tokens + 333 + 100 * i, 100, a);
                feed(back, t.tokens + 333 + 100 * i, 100, b);
                assert_same(a, b, VOCAB, mixes[which].name);
            }
            must(gla_session_truncate(back, 300, &diag), &diag);
            gla_session_free(s);
            gla_session_free(back);
            unlink(path);
            gla_model_free(t.m);
        }
}

Test(session, keeps_the_logits_of_its_last_token_until_it_changes)
{
    told t = tell(MIX_HYBRID, 64);
    gla_session *s = mix_session(t.m, NULL), *fork;
    float logits[VOCAB], many[3 * VOCAB];
    const gla_feed_item item = {
        .session = s, .tokens = t.tokens + 101, .n_tokens = 90, .logits = many, .n_logits = 3};
    gla_diag diag;

    cr_assert_null(gla_session_logits(s));
    feed(s, t.tokens, 100, logits);
    assert_same(gla_session_logits(s), logits, VOCAB, "after a prompt");
    must(gla_session_fork(s, &fork, &diag), &diag);
    assert_same(gla_session_logits(fork), logits, VOCAB, "in a fork");
    must(gla_session_truncate(s, 100, &diag), &diag); /* cuts nothing */
    assert_same(gla_session_logits(s), logits, VOCAB, "as it was");
    feed(s, t.tokens + 100, 1, NULL);
    cr_assert_null(gla_session_logits(s));
    must(gla_feed(&item, 1, sizeof(item), NULL, NULL, &diag), &diag);
    assert_same(gla_session_logits(s), many + 2 * VOCAB, VOCAB, "the last of several");
    must(gla_session_truncate(s, 150, &diag), &diag);
    cr_assert_null(gla_session_logits(s));
    assert_same(gla_session_logits(fork), logits, VOCAB, "still");
    gla_session_reset(fork);
    cr_assert_null(gla_session_logits(fork));
    gla_session_free(s);
    gla_session_free(fork);
    assert_empty(t.m);
    gla_model_free(t.m);
}

/* /undo after --resume: turn ends are in the file. */
/* Asked for by a flag they are written where they stay; a buffer has the same. */
Test(session, logits_of_a_flag_are_those_of_a_buffer)
{
    told t = tell(MIX_HYBRID, 32);
    gla_session *s = mix_session(t.m, NULL), *o = mix_session(t.m, NULL);
    float logits[2][VOCAB];
    const gla_feed_item items[] = {
        {.session = s, .tokens = t.tokens, .n_tokens = 70, .flags = GLA_FEED_LOGITS},
        {.session = o,
         .tokens = t.tokens,
         .n_tokens = 70,
         .logits = logits[0],
         .n_logits = 2,
         .flags = GLA_FEED_LOGITS}};
    gla_diag diag;

    must(gla_feed(items, 2, sizeof(*items), NULL, NULL, &diag), &diag);
    cr_assert(gla_session_logits(s) && gla_session_logits(o));
    cr_expect(!memcmp(gla_session_logits(o), logits[1], sizeof(logits[1])));
    assert_close(gla_session_logits(s), logits[1], VOCAB, "by a flag");
    must(gla_session_feed(s, t.tokens, 0, GLA_FEED_LOGITS, &diag), &diag);
    cr_expect_not_null(gla_session_logits(s), "nothing was fed");
    must(gla_session_feed(s, t.tokens, 1, 0, &diag), &diag);
    cr_expect_null(gla_session_logits(s));
    gla_session_free(s);
    gla_session_free(o);
    gla_model_free(t.m);
}

/* A model without fixed states stays where it is, and its logits may be half of another token's. */
Test(session, logits_of_a_run_that_failed_are_not_kept)
{
    const mix flaky = {"flaky", "attn + flaky"};
    gla_registry *registry = flaky_registry();
    gla_model *m = mix_model_with(
        &flaky, (gla_model_options){GLA_SIZED(gla_model_options), .registry = registry});
    gla_session *s = mix_session(m, NULL);
    const int32_t tokens[] = {1, 2, 3};
    gla_diag diag;

    must(gla_session_feed(s, tokens, 3, GLA_FEED_LOGITS, &diag), &diag);
    flaky_calls = 0;
    cr_assert_eq(gla_session_feed(s, tokens, 1, 0, &diag), GLA_E_PLUGIN);
    cr_expect(gla_session_position(s) == 3 && gla_session_logits(s));
    cr_assert_eq(gla_session_feed(s, tokens, 1, GLA_FEED_LOGITS, &diag), GLA_E_PLUGIN);
    cr_expect(gla_session_position(s) == 3 && !gla_session_logits(s));
    gla_session_free(s);
    gla_model_free(m);
    gla_registry_free(registry);
}

Test(session, comes_back_to_turn_ends_of_before_it_was_saved)
{
    for (uint32_t which = 0; which < N_MIXES; which++) {
        told t = tell(which, 64);
        const gla_session_options o = {GLA_SIZED(gla_session_options), .snapshot_stride = 128},
                                  none = {GLA_SIZED(gla_session_options), .saved_bytes = 1};
        gla_session *s = mix_session(t.m, &o), *back;
        char path[] = "/tmp/gla-session-XXXXXX";
        float logits[VOCAB], fresh[VOCAB];
        gla_diag diag;

        close(mkstemp(path));
        for (size_t turn = 0; turn < 5; turn++) {
            feed(s, t.tokens + 150 * turn, 150, NULL);
            must(gla_session_mark(s, &diag), &diag);
        }
        feed(s, t.tokens + 750, 40, NULL);
        must(gla_session_save(s, path, &diag), &diag);
        must(gla_session_load(t.m, path, &o, &back, &diag), &diag);
        cr_assert_eq(gla_session_replay(back, 750), 0);
        cr_assert_eq(gla_session_replay(back, 605), which == MIX_SOFTMAX ? 0 : 5);
        must(gla_session_truncate(back, 605, &diag), &diag);
        feed(back, t.tokens + 605, 40, logits);
        fresh_logits(t.m, NULL, t.tokens, 645, fresh);
        assert_close(logits, fresh, VOCAB, mixes[which].name);
        gla_session_free(back);
        /* without them: from the beginning */
        must(gla_session_load(t.m, path, &none, &back, &diag), &diag);
        must(gla_session_save(back, path, &diag), &diag);
        gla_session_free(back);
        must(gla_session_load(t.m, path, NULL, &back, &diag), &diag);
        cr_assert_eq(gla_session_replay(back, 605), which == MIX_SOFTMAX ? 0 : 605);
        gla_session_free(back);
        gla_session_free(s);
        unlink(path);
        gla_model_free(t.m);
    }
}

Test(session, is_loaded_with_options_and_shared)
{
    told t = tell(MIX_HYBRID, 64);
    const gla_session_options o = {GLA_SIZED(gla_session_options), .prefix_cache = 1,
                                   .snapshot_stride = 64, .snapshot_bytes = 1e6},
                              wrong = {GLA_SIZED(gla_session_options), .kv_dtype = GLA_DTYPE_I8},
                              bypass = {GLA_SIZED(gla_session_options), .bypass = 1};
    gla_session *s = mix_session(t.m, &o), *back, *other;
    gla_cache_stats stats;
    gla_snapshot_info info;
    char path[] = "/tmp/gla-session-XXXXXX";
    float a[VOCAB], b[VOCAB];
    gla_diag diag;

    close(mkstemp(path));
    feed(s, t.tokens, 200, NULL);
    must(gla_session_save(s, path, &diag), &diag);
    gla_session_free(s);
    must(gla_model_cache_set_budget(t.m, 0, &diag), &diag); /* forgets all */
    must(gla_model_cache_set_budget(t.m, 1 << 20, &diag), &diag);
    cr_assert_eq(gla_session_load(t.m, path, &wrong, &back, &diag), GLA_E_MISMATCH);
    cr_assert(strstr(diag.message, "KV cache is of f32, int8 is wanted"), "%s", diag.message);
    cr_assert_eq(gla_session_load(t.m, path, &bypass, &back, &diag), GLA_E_INVALID);
    must(gla_session_load(t.m, path, &o, &back, &diag), &diag);
    gla_session_snapshots(back, &info, sizeof(info));
    cr_assert_eq(info.stride, 64);
    cr_assert_eq(info.budget, 1000000);
    /* another session begins with the text that was loaded, and one with a part of it */
    other = mix_session(t.m, &o);
    feed(other, t.tokens, 210, a);
    gla_session_cache_stats(other, &stats, sizeof(stats));
    cr_assert_eq(stats.tokens_reused, 200);
    feed(back, t.tokens + 200, 10, b);
    assert_close(a, b, VOCAB, "shared");
    gla_session_reset(other);
    feed(other, t.tokens, 195, a);
    gla_session_cache_stats(other, &stats, sizeof(stats));
    cr_assert_eq(stats.tokens_reused, 192); /* a snapshot of the file */
    fresh_logits(t.m, NULL, t.tokens, 195, b);
    assert_close(a, b, VOCAB, "a part of it");
    gla_session_free(other);
    gla_session_free(back);
    unlink(path);
    gla_model_free(t.m);
}

Test(session, a_file_of_another_model_is_refused)
{
    told t = tell(MIX_HYBRID, 64), other = tell(MIX_GLA, 64);
    gla_session *s = mix_session(t.m, NULL), *back;
    char path[] = "/tmp/gla-session-XXXXXX";
    gla_diag diag;

    close(mkstemp(path));
    feed(s, t.tokens, 10, NULL);
    must(gla_session_save(s, path, &diag), &diag);
    cr_assert_eq(gla_session_load(other.m, path, NULL, &back, &diag), GLA_E_MISMATCH);
    cr_assert_null(back);
    cr_assert_eq(gla_session_load(t.m, "/nowhere/at/all", NULL, &back, &diag), GLA_E_IO);
    cr_assert_eq(gla_session_save(s, "/nowhere/at/all", &diag), GLA_E_IO);
    gla_session_free(s);
    unlink(path);
    gla_model_free(t.m);
    gla_model_free(other.m);
}

/* What gla_describe() says a session takes is what it takes. */
Test(session, takes_the_memory_that_the_description_says)
{
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_I8};

    for (uint32_t which = 0; which < N_MIXES; which++)
        for (uint32_t dtype = 0; dtype < 3; dtype++) {
            told t = tell(which, 64);
            const gla_description *d = gla_model_description(t.m);
            const gla_session_options o = {GLA_SIZED(gla_session_options),
                                           .kv_dtype = dtypes[dtype]};
            gla_session *s = mix_session(t.m, &o);
            gla_memory memory, predicted, all;
            float logits[VOCAB];

            gla_session_memory(s, &memory, sizeof(memory));
            gla_description_session(d, 0, dtypes[dtype], 64, &predicted, sizeof(predicted));
            cr_assert_arr_eq(&memory, &predicted, sizeof(memory));
            for (size_t n = 37; n < 700; n += 37) {
                feed(s, t.tokens + n, 37, logits);
                gla_session_memory(s, &memory, sizeof(memory));
                gla_model_memory(t.m, &all, sizeof(all));
                gla_description_session(d, n, dtypes[dtype], 64, &predicted, sizeof(predicted));
                memory.cache = 0; /* snapshots are a budget, not a prediction */
                cr_assert_arr_eq(
                    &memory, &predicted, sizeof(memory),
                    "%s, %zu tokens: KV %llu, state %llu, history %llu bytes; "
                    "predicted %llu, %llu, %llu",
                    mixes[which].name, n, (unsigned long long)memory.kv,
                    (unsigned long long)memory.state, (unsigned long long)memory.history,
                    (unsigned long long)predicted.kv, (unsigned long long)predicted.state,
                    (unsigned long long)predicted.history);
                cr_assert_eq(all.kv, predicted.kv);
                cr_assert_eq(all.state, predicted.state);
                cr_assert_eq(all.history, predicted.history);
            }
            gla_session_free(s);
            gla_model_free(t.m);
        }
}

Test(session, a_bypassed_mixer_gives_nothing_whoever_shares_the_batch)
{
    told t = tell(MIX_ALL, 48);
    gla_session_options o = {GLA_SIZED(gla_session_options), .bypass = 2, .prefix_cache = 1,
                             .snapshot_stride = 64};
    gla_session *whole = mix_session(t.m, NULL), *without = mix_session(t.m, &o), *fork;
    float a[VOCAB], b[VOCAB], alone[VOCAB], again[VOCAB];
    const gla_feed_item items[] = {
        {.session = whole, .tokens = t.tokens, .n_tokens = 150, .logits = a, .n_logits = 1},
        {.session = without, .tokens = t.tokens, .n_tokens = 150, .logits = b, .n_logits = 1}};
    const char *path = "/tmp/gla-test-bypass.session";
    gla_cache_stats stats;
    gla_diag diag;

    must(gla_feed(items, 2, sizeof(*items), NULL, NULL, &diag), &diag);
    fresh_logits(t.m, NULL, t.tokens, 150, alone);
    assert_close(a, alone, VOCAB, "nothing bypassed");
    fresh_logits(t.m, &o, t.tokens, 150, alone);
    assert_close(b, alone, VOCAB, "alone or beside others");
    cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
    gla_session_cache_stats(without, &stats, sizeof(stats));
    cr_expect_eq(stats.lookups, 0);
    /* forks and what comes back from a snapshot leave it out too */
    must(gla_session_fork(without, &fork, &diag), &diag);
    must(gla_session_truncate(fork, 149, &diag), &diag);
    feed(fork, t.tokens + 149, 1, again);
    assert_close(again, b, VOCAB, "forked and cut back");
    cr_expect_eq(gla_session_save(without, path, &diag), GLA_E_INVALID);
    gla_session_free(fork);
    gla_session_free(without);
    gla_session_free(whole);
    o.bypass = 5; /* there are four */
    cr_expect_eq(gla_session_create(t.m, &o, &without, &diag), GLA_E_INVALID);
    cr_expect_null(without);
    gla_model_free(t.m);
}
