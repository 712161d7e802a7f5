/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_sessions.c - what sessions cost at a depth: fork, rollback, prefix cache, save and load
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

static uint64_t living_bytes(const bench *b)
{
    gla_memory m;

    gla_model_memory(b->model, &m);
    return m.kv + m.state + m.history + m.cache;
}

static gla_status measure_fork(const bench *b, session_item *s, const gla_session *base,
                               gla_diag *diag)
{
    const uint64_t before = living_bytes(b);
    const double start = bench_now();
    gla_session *fork = NULL;
    const gla_status st = gla_session_fork(base, &fork, diag);

    if (!st) {
        series_add(&s->fork_seconds, bench_now() - start);
        s->fork_bytes = living_bytes(b) - before;
    }
    gla_session_destroy(fork);
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
    start = bench_now();
    st = gla_session_truncate(fork, target, diag);
    if (!st)
        series_add(&r->seconds, bench_now() - start);
    gla_session_destroy(fork);
    return st;
}

/* Feeds the first n tokens to a new session that uses the prefix cache; mark: as a turn that ends
 * there, so that others can go on from it. */
static gla_status feed_cached(bench *b, uint64_t n, bool mark, double *seconds, uint64_t *reused,
                              gla_diag *diag)
{
    gla_session_options o = b->session;
    gla_session *s = NULL;
    gla_cache_stats stats;
    gla_status st;

    o.prefix_cache = 1;
    st = gla_session_create(b->model, &o, &s, diag);
    if (st)
        return st;
    *seconds = bench_now();
    st = gla_feed(&(gla_feed_item){s, b->tokens, n, b->logits, 1}, 1, bench_cancel, NULL, diag);
    *seconds = bench_now() - *seconds;
    gla_session_cache_stats(s, &stats);
    *reused = stats.tokens_reused;
    if (!st && mark)
        st = gla_session_mark(s, diag);
    gla_session_destroy(s);
    return st;
}

/* A text of `depth` tokens is computed; then others begin with it and go on by one token, which is
 * always computed. */
static gla_status measure_cache(bench *b, session_item *s, gla_diag *diag)
{
    gla_cache_stats stats;
    gla_status st;
    double seconds;

    gla_model_cache_stats(b->model, &stats);
    st = feed_cached(b, s->depth, true, &s->recompute_seconds, &s->reused, diag);
    for (uint32_t i = 0; i < b->rounds && !st; i++) {
        st = feed_cached(b, s->depth + 1, false, &seconds, &s->reused, diag);
        if (!st)
            series_add(&s->hit_seconds, seconds);
    }
    if (!st) /* the next depth begins with an empty cache */
        st = gla_model_cache_set_budget(b->model, 0, diag);
    return st ? st : gla_model_cache_set_budget(b->model, stats.budget, diag);
}

static gla_status measure_file(const bench *b, session_item *s, const gla_session *base,
                               const char *path, gla_diag *diag)
{
    gla_session *loaded = NULL;
    struct stat info;
    double start = bench_now();
    gla_status st = gla_session_save(base, path, diag);

    if (st)
        return st;
    series_add(&s->save_seconds, bench_now() - start);
    s->file_bytes = stat(path, &info) ? 0 : (uint64_t)info.st_size;
    start = bench_now();
    st = gla_session_load(b->model, path, &b->session, &loaded, diag);
    if (!st)
        series_add(&s->load_seconds, bench_now() - start);
    gla_session_destroy(loaded);
    return st;
}

static gla_status measure_files(const bench *b, session_item *s, const gla_session *base,
                                gla_diag *diag)
{
    const char *dir = getenv("TMPDIR");
    gla_status st = GLA_OK;
    char path[4096];
    int fd;

    snprintf(path, sizeof(path), "%s/gla-bench-XXXXXX", dir && *dir ? dir : "/tmp");
    fd = mkstemp(path);
    if (fd < 0)
        return cli_diag(diag, GLA_E_IO, "", "no temporary file can be made; hint: set TMPDIR");
    close(fd);
    for (uint32_t i = 0; i < b->rounds && !st && !cli_interrupted(); i++)
        st = measure_file(b, s, base, path, diag);
    unlink(path);
    return st;
}

gla_status bench_sessions(bench *b, session_item *s, uint32_t base, gla_diag *diag)
{
    static const uint64_t back[] = {1, 100, 1000};
    const gla_session *from = b->bases[base];
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < 3 && back[i] <= s->depth; i++)
        s->rollbacks[s->n_rollbacks++].tokens = back[i];
    for (uint32_t round = 0; round < b->rounds && !st && !cli_interrupted(); round++) {
        bench_progress("sessions at %llu, round %u of %u", (unsigned long long)s->depth, round + 1,
                       b->rounds);
        st = measure_fork(b, s, from, diag);
        for (uint32_t i = 0; i < s->n_rollbacks && !st; i++)
            st = measure_rollback(&s->rollbacks[i], from, diag);
    }
    if (!st)
        st = measure_files(b, s, from, diag);
    return st ? st : measure_cache(b, s, diag);
}
