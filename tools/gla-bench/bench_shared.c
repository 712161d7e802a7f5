/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_shared.c - many prompts that share a beginning, and many sessions on one prompt
 *
 * The first is the case in which vLLM finds nothing again as soon as the shared part does not end
 * where its blocks of recurrent state do.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* The n-th prompt: the shared tokens, then its own, which differ from the first on. */
static void make_tail(const bench *b, uint32_t n, uint64_t shared, int32_t *prompt)
{
    const uint32_t vocab = gla_model_vocab_size(b->model);

    for (uint32_t i = 0; i < TAIL_TOKENS; i++)
        prompt[shared + i] = (int32_t)((n + i * 131) % vocab);
}

/* Seconds until the first token, and what the cache had. */
static gla_status ask(bench *b, const int32_t *prompt, uint64_t n, double *seconds,
                      gla_cache_stats *stats, uint32_t *stride, gla_diag *diag)
{
    gla_session_options o = b->session;
    gla_session *s = NULL;
    gla_snapshot_info info;
    gla_status st;

    o.prefix_cache = 1;
    *seconds = cli_now();
    st = gla_session_create(b->model, &o, &s, diag);
    if (st)
        return st;
    st = gla_feed(
        &(gla_feed_item){
            .session = s, .tokens = prompt, .n_tokens = n, .logits = b->logits, .n_logits = 1},
        1, sizeof(gla_feed_item), cli_cancel, NULL, diag);
    *seconds = cli_now() - *seconds;
    gla_session_cache_stats(s, stats, sizeof(*stats));
    gla_session_snapshots(s, &info, sizeof(info));
    *stride = info.stride;
    gla_session_free(s);
    return st;
}

static gla_status ask_all(bench *b, shared_item *x, int32_t *prompt, gla_diag *diag)
{
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < PROMPTS && !st; i++) {
        gla_cache_stats stats;
        double seconds;

        bench_progress("%d prompts that share %llu tokens: %u", PROMPTS,
                       (unsigned long long)x->tokens, i + 1);
        make_tail(b, i, x->tokens, prompt);
        st = ask(b, prompt, x->tokens + TAIL_TOKENS, &seconds, &stats, &x->stride, diag);
        if (st)
            return st;
        if (!i) {
            x->first_seconds = seconds;
            continue;
        }
        series_add(&x->seconds, seconds);
        x->hits += stats.hits;
        if (i == 1 || stats.tokens_reused < x->reused_least)
            x->reused_least = stats.tokens_reused;
        if (stats.tokens_reused > x->reused_most)
            x->reused_most = stats.tokens_reused;
    }
    return st;
}

/* ---- many sessions on one prompt ---- */

/* Two thirds of the machine's memory: the rest is not ours. */
static uint64_t memory_limit(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages / 3 * 2 * (uint64_t)size : UINT64_MAX;
}

/* The next few, fed together: what the prompt took is in the cache.  Then each has a token of its
 * own, for which the last page is copied or a new one taken. */
static gla_status add_sessions(bench *b, gla_session **list, uint32_t n, const int32_t *prompt,
                               gla_diag *diag)
{
    const uint32_t vocab = gla_model_vocab_size(b->model);
    gla_session_options o = b->session;
    gla_feed_item items[MAX_BATCH];
    int32_t own[MAX_BATCH];
    gla_status st = GLA_OK;

    o.prefix_cache = 1;
    for (uint32_t i = 0; i < n && !st; i++) {
        st = gla_session_create(b->model, &o, &list[i], diag);
        items[i] =
            (gla_feed_item){.session = list[i], .tokens = prompt, .n_tokens = b->many.tokens};
        own[i] = (int32_t)((b->many.reached + i) % vocab);
    }
    if (!st)
        st = gla_feed(items, n, sizeof(*items), cli_cancel, NULL, diag);
    for (uint32_t i = 0; i < n && !st; i++)
        items[i] = (gla_feed_item){.session = list[i], .tokens = &own[i], .n_tokens = 1};
    return st ? st : gla_feed(items, n, sizeof(*items), cli_cancel, NULL, diag);
}

static gla_status add_many(bench *b, gla_session **list, const int32_t *prompt, gla_diag *diag)
{
    many_item *m = &b->many;
    gla_status st = GLA_OK;

    while (m->reached < m->wanted && !st) {
        const uint32_t left = m->wanted - m->reached, n = left < MAX_BATCH ? left : MAX_BATCH;

        bench_progress("%u sessions on a prompt of %llu tokens", m->reached + n,
                       (unsigned long long)m->tokens);
        st = add_sessions(b, list + m->reached, n, prompt, diag);
        if (!st)
            m->reached += n;
        for (uint32_t i = 0; i < n && st; i++) { /* those that are whole count */
            gla_session_free(list[m->reached + i]);
            list[m->reached + i] = NULL;
        }
    }
    return st == GLA_E_LIMIT ? GLA_OK : st;
}

static gla_status measure_many(bench *b, const int32_t *prompt, gla_diag *diag)
{
    many_item *m = &b->many;
    gla_session **list = calloc(m->wanted, sizeof(*list));
    const uint64_t before = bench_living_bytes(b);
    gla_memory each;
    gla_status st;

    if (!list)
        return cli_diag(diag, GLA_E_NOMEM, "", "a list of sessions");
    m->limit = memory_limit();
    m->seconds = cli_now();
    st = gla_model_set_budget(b->model, m->limit, diag);
    if (!st)
        st = add_many(b, list, prompt, diag);
    m->seconds = cli_now() - m->seconds;
    m->bytes = bench_living_bytes(b) - before;
    gla_description_session(gla_model_description(b->model), m->tokens + 1, b->kv_dtype, BATCH_ROWS,
                            &each, sizeof(each));
    each.history -= gla_model_vocab_size(b->model) * sizeof(float); /* no logits were asked for */
    m->bytes_unshared = (each.kv + each.state + each.history) * m->reached;
    for (uint32_t i = 0; i < m->wanted; i++)
        gla_session_free(list[i]);
    free(list);
    return st ? st : gla_model_set_budget(b->model, UINT64_MAX, diag);
}

gla_status bench_shared(bench *b, uint32_t item, gla_diag *diag)
{
    shared_item *x = &b->shared[item];
    int32_t *prompt = malloc((x->tokens + TAIL_TOKENS) * sizeof(*prompt));
    gla_cache_stats stats;
    gla_status st;

    if (!prompt)
        return cli_diag(diag, GLA_E_NOMEM, "", "a prompt");
    memcpy(prompt, b->tokens, x->tokens * sizeof(*prompt));
    gla_model_cache_stats(b->model, &stats, sizeof(stats));
    st = ask_all(b, x, prompt, diag);
    if (!st && !item && b->many.wanted && !cli_interrupted()) {
        b->many.tokens = x->tokens;
        st = measure_many(b, prompt, diag);
    }
    free(prompt);
    if (!st) /* the next begins with an empty cache */
        st = gla_model_cache_set_budget(b->model, 0, diag);
    return st ? st : gla_model_cache_set_budget(b->model, stats.budget, diag);
}
