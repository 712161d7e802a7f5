/* SPDX-License-Identifier: Apache-2.0
 *
 * threads_session.c - 8 threads, 64 sessions, one model, one prefix cache
 *
 * A plain main, for the thread sanitizer.  Each thread drives its own sessions through prompts that
 * all threads share, forks, cuts, marks and files, while another lowers and raises the budgets.
 * Every result is compared with a run of its own before the threads start.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SESSION_CHECK(condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#include "support/session_models.h"

#include <unistd.h>

enum { THREADS = 8, SESSIONS = 64, TEXTS = 6, LENGTH = 200, SHARED = 130 };

static gla_model *model;
static int32_t texts[TEXTS][LENGTH];
static float expected[TEXTS][VOCAB];
static const gla_session_options options = {GLA_SIZED(gla_session_options), .prefix_cache = 1,
                                            .snapshot_stride = 32};

static void check(const float *logits, int text, const char *what)
{
    assert_close(logits, expected[text], VOCAB, what);
}

static void one_session(rng *r, const char *path)
{
    const int text = (int)rng_below(r, TEXTS), other = (int)rng_below(r, TEXTS);
    gla_session *s = mix_session(model, &options), *fork;
    float logits[VOCAB];
    gla_diag diag;

    feed(s, texts[text], LENGTH, logits);
    check(logits, text, "prompt");
    must(gla_session_fork(s, &fork, &diag), &diag);
    must(gla_session_truncate(fork, SHARED, &diag), &diag);
    feed(fork, texts[other] + SHARED, LENGTH - SHARED, logits);
    check(logits, other, "fork");
    must(gla_session_mark(fork, &diag), &diag);
    must(gla_session_truncate(s, LENGTH - 1, &diag), &diag);
    must(gla_session_save(s, path, &diag), &diag);
    gla_session_free(s);
    must(gla_session_load(model, path, &options, &s, &diag), &diag);
    feed(s, texts[text] + LENGTH - 1, 1, logits);
    check(logits, text, "loaded");
    gla_session_free(fork);
    gla_session_free(s);
}

/* Several at once, in one batch. */
static void some_sessions(rng *r)
{
    enum { N = SESSIONS / THREADS };
    gla_feed_item items[N];
    float logits[N][VOCAB];
    int text[N];
    gla_diag diag;

    for (int i = 0; i < N; i++) {
        text[i] = (int)rng_below(r, TEXTS);
        items[i] = (gla_feed_item){.session = mix_session(model, &options),
                                   .tokens = texts[text[i]],
                                   .n_tokens = LENGTH,
                                   .logits = logits[i],
                                   .n_logits = 1};
    }
    must(gla_feed(items, N, sizeof(*items), NULL, NULL, &diag), &diag);
    for (int i = 0; i < N; i++) {
        check(logits[i], text[i], "batch");
        gla_session_free(items[i].session);
    }
}

static void *drive(void *arg)
{
    rng r = {(uint64_t)(size_t)arg};
    char path[] = "/tmp/gla-threads-XXXXXX";

    close(mkstemp(path));
    for (int i = 0; i < SESSIONS / THREADS / 2; i++)
        one_session(&r, path);
    some_sessions(&r);
    unlink(path);
    return NULL;
}

static bool stop; /* under the lock */
static pthread_mutex_t stop_lock = PTHREAD_MUTEX_INITIALIZER;

static bool stopped(void)
{
    bool now;

    pthread_mutex_lock(&stop_lock);
    now = stop;
    pthread_mutex_unlock(&stop_lock);
    return now;
}

static void pause_for(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* The cache is asked, emptied and filled while it is used. */
static void *disturb(void *arg)
{
    gla_cache_stats stats;
    gla_memory memory;
    gla_diag diag;

    (void)arg;
    while (!stopped()) {
        must(gla_model_cache_set_budget(model, 50000, &diag), &diag);
        pause_for(2);
        must(gla_model_cache_set_budget(model, UINT64_C(1) << 30, &diag), &diag);
        gla_model_cache_stats(model, &stats, sizeof(stats));
        gla_model_memory(model, &memory, sizeof(memory));
        pause_for(20);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS], other;
    gla_cache_stats stats;
    gla_memory memory;
    gla_diag diag;
    rng r = {2};

    model = mix_model(&mixes[MIX_ALL], 48, 8);
    random_tokens(&r, texts[0], LENGTH);
    for (int i = 0; i < TEXTS; i++) {
        memcpy(texts[i], texts[0], sizeof(texts[i]));
        if (i)
            random_tokens(&r, texts[i] + SHARED, LENGTH - SHARED);
        fresh_logits(model, NULL, texts[i], LENGTH, expected[i]);
    }
    pthread_create(&other, NULL, disturb, NULL);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, drive, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_lock(&stop_lock);
    stop = true;
    pthread_mutex_unlock(&stop_lock);
    pthread_join(other, NULL);
    gla_model_cache_stats(model, &stats, sizeof(stats));
    SESSION_CHECK(stats.hits > 0, "no prompt was found in the cache");
    must(gla_model_cache_set_budget(model, 0, &diag), &diag);
    gla_model_memory(model, &memory, sizeof(memory));
    SESSION_CHECK(!memory.kv && !memory.state && !memory.cache, "%llu, %llu, %llu bytes left",
                  (unsigned long long)memory.kv, (unsigned long long)memory.state,
                  (unsigned long long)memory.cache);
    gla_model_free(model);
    return 0;
}
