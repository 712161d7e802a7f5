/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_sessions.c - what sessions cost at a depth: fork, rollback, second turns, save and load
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

uint64_t bench_living_bytes(const bench *b)
{
    gla_memory m;

    gla_model_memory(b->model, &m, sizeof(m));
    return m.kv + m.state + m.history + m.cache;
}

static gla_status measure_fork(const bench *b, session_item *s, const gla_session *base,
                               gla_diag *diag)
{
    const uint64_t before = bench_living_bytes(b);
    const double start = cli_now();
    gla_session *fork = NULL;
    const gla_status st = gla_session_fork(base, &fork, diag);

    if (!st) {
        series_add(&s->fork_seconds, cli_now() - start);
        s->fork_bytes = bench_living_bytes(b) - before;
    }
    gla_session_free(fork);
    return st;
}

static gla_status measure_rollback(rollback_item *r, const gla_session *base, gla_diag *diag)
{
    const uint64_t target = gla_session_position(base) - r->tokens;
    gla_session *fork = NULL;
    gla_status st = gla_session_fork(base, &fork, diag);
    double start;

    if (st)
        return st;
    r->replayed = gla_session_replay(fork, target);
    start = cli_now();
    st = gla_session_truncate(fork, target, diag);
    if (!st)
        series_add(&r->seconds, cli_now() - start);
    gla_session_free(fork);
    return st;
}

/* The user says something more; seconds until the first token of the answer. */
static gla_status measure_turn(bench *b, session_item *s, const gla_session *base, gla_diag *diag)
{
    gla_session *fork = NULL;
    gla_status st = gla_session_fork(base, &fork, diag);
    double start = cli_now();

    if (st)
        return st;
    st = gla_feed(&(gla_feed_item){.session = fork,
                                   .tokens = b->tokens + s->depth,
                                   .n_tokens = TURN_TOKENS,
                                   .logits = b->logits,
                                   .n_logits = 1},
                  1, sizeof(gla_feed_item), cli_cancel, NULL, diag);
    if (!st)
        series_add(&s->turn_seconds, cli_now() - start);
    gla_session_free(fork);
    return st;
}

/* The same where every request brings the whole conversation; what is said anew is another text
 * each time, so that the cache has only what was before. */
static gla_status measure_cached_turn(bench *b, session_item *s, uint32_t round, gla_diag *diag)
{
    const int32_t *turn = b->tokens + s->depth + (size_t)TURN_TOKENS * (round % 8);
    gla_session_options o = b->session;
    gla_session *again = NULL;
    gla_cache_stats stats;
    double start = cli_now();
    gla_status st;

    o.prefix_cache = 1;
    st = gla_session_create(b->model, &o, &again, diag);
    if (st)
        return st;
    st = gla_feed(&(gla_feed_item){.session = again, .tokens = b->tokens, .n_tokens = s->depth}, 1,
                  sizeof(gla_feed_item), cli_cancel, NULL, diag);
    if (!st)
        st = gla_feed(&(gla_feed_item){.session = again,
                                       .tokens = turn,
                                       .n_tokens = TURN_TOKENS,
                                       .logits = b->logits,
                                       .n_logits = 1},
                      1, sizeof(gla_feed_item), cli_cancel, NULL, diag);
    if (!st)
        series_add(&s->cached_seconds, cli_now() - start);
    gla_session_cache_stats(again, &stats, sizeof(stats));
    s->reused = stats.tokens_reused;
    gla_session_free(again);
    return st;
}

/* The conversation comes from the file into the prefix cache. */
static gla_status measure_cache(bench *b, session_item *s, const char *path, gla_diag *diag)
{
    gla_session_options o = b->session;
    gla_session *loaded = NULL;
    gla_cache_stats stats;
    gla_status st;

    o.prefix_cache = 1;
    gla_model_cache_stats(b->model, &stats, sizeof(stats));
    st = gla_session_load(b->model, path, &o, &loaded, diag);
    for (uint32_t i = 0; i < b->rounds && !st && !cli_interrupted(); i++)
        st = measure_cached_turn(b, s, i, diag);
    gla_session_free(loaded);
    if (!st) /* the next depth begins with an empty cache */
        st = gla_model_cache_set_budget(b->model, 0, diag);
    return st ? st : gla_model_cache_set_budget(b->model, stats.budget, diag);
}

static gla_status measure_file(const bench *b, session_item *s, const gla_session *base,
                               const char *path, gla_diag *diag)
{
    gla_session *loaded = NULL;
    struct stat info;
    double start = cli_now();
    gla_status st = gla_session_save(base, path, diag);

    if (st)
        return st;
    series_add(&s->save_seconds, cli_now() - start);
    s->file_bytes = stat(path, &info) ? 0 : (uint64_t)info.st_size;
    start = cli_now();
    st = gla_session_load(b->model, path, &b->session, &loaded, diag);
    if (!st)
        series_add(&s->load_seconds, cli_now() - start);
    gla_session_free(loaded);
    return st;
}

static gla_status measure_files(bench *b, session_item *s, const gla_session *base, gla_diag *diag)
{
    const char *dir = getenv("TMPDIR");
    gla_status st = GLA_OK;
    char path[4096];
    int fd;

    snprintf(path, sizeof(path), "%s/gla-bench-XXXXXX", dir && *dir ? dir : "/tmp");
    fd = mkstemp(path);
    if (fd < 0) {
        cli_diag(diag, GLA_E_IO, "", "no temporary file can be made");
        return cli_hint(diag, "set TMPDIR");
    }
    close(fd);
    for (uint32_t i = 0; i < b->rounds && !st && !cli_interrupted(); i++)
        st = measure_file(b, s, base, path, diag);
    if (!st)
        st = measure_cache(b, s, path, diag);
    unlink(path);
    return st;
}

gla_status bench_sessions(bench *b, session_item *s, uint32_t base, gla_diag *diag)
{
    static const uint64_t back[] = {1, 100, 1000};
    gla_session *from = b->bases[base];
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < 3 && back[i] <= s->depth; i++)
        s->rollbacks[s->n_rollbacks++].tokens = back[i];
    s->recompute_seconds = b->base_seconds[base];
    for (uint32_t round = 0; round < b->rounds && !st && !cli_interrupted(); round++) {
        bench_progress("sessions at %llu, round %u of %u", (unsigned long long)s->depth, round + 1,
                       b->rounds);
        st = measure_fork(b, s, from, diag);
        for (uint32_t i = 0; i < s->n_rollbacks && !st; i++)
            st = measure_rollback(&s->rollbacks[i], from, diag);
        if (!st)
            st = measure_turn(b, s, from, diag);
    }
    return st ? st : measure_files(b, s, from, diag);
}
