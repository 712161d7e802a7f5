/* SPDX-License-Identifier: Apache-2.0
 *
 * A token is more than a hundred runs a few microseconds apart, so threads that wait spin for a
 * moment before they sleep.  A thread that loses its processor while it spins learns that somebody
 * else needs it: for the next moments nobody spins.  And a run waits only for workers that have
 * entered it, never for one that has not woken yet.  (OpenMP's barriers wait for all and spin for
 * milliseconds: beside another busy program a token took a hundred times as long.)
 */
#include "base/parallel.h"

#include <gla/gla.h>
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/diag.h"

enum {
    MOST_THREADS = 256,
    SPIN_NS = 200000,       /* before sleeping */
    LOST_NS = 50000,        /* between two looks at the clock: the processor was away */
    YIELDING_NS = 50000000, /* how long nobody spins after that */
};

static atomic_uint wanted; /* threads; 0: not decided yet */

static struct {
    atomic_bool taken;      /* by the thread whose run this is; others work alone meanwhile */
    uint32_t started;       /* workers, their indices from 1; belongs to who has taken the pool */
    atomic_ullong yielding; /* until then nobody spins, ns */
    /* The run: written while it is closed, read by those who entered. */
    void (*fn)(void *arg, uint32_t i);
    void *arg;
    uint32_t width;
    struct {
        _Alignas(64) atomic_ullong parts; /* left to do: first in the low, end in the high half */
    } share[MOST_THREADS];                /* each thread's, one behind the other */
    _Alignas(64) atomic_uint active; /* workers that are in the run or look whether it is open */
    _Alignas(64) atomic_uint generation; /* of the run */
    atomic_bool open;                    /* it may be entered */
    /* Sleeping */
    atomic_uint sleepers; /* at `begun` */
    atomic_bool awaited;  /* the owner sleeps at `left` */
    pthread_mutex_t lock;
    pthread_cond_t begun, left;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .begun = PTHREAD_COND_INITIALIZER,
          .left = PTHREAD_COND_INITIALIZER};

static _Thread_local uint32_t used_here; /* threads that runs of this one use; 0: all */
static _Thread_local uint32_t worker_index;
static _Thread_local bool inside;

/* ---- how many ---- */

static uint32_t default_threads(void)
{
    const char *text = getenv("GLA_NUM_THREADS");
    char *end = NULL;
    const long given = text ? strtol(text, &end, 10) : 0;
    const long cores = given > 0 ? given : omp_get_num_procs(); /* that we may run on */

    if (text && (*end || given < 0))
        gla__log(GLA_LOG_WARN, "GLA_NUM_THREADS=%s is no number of threads", text);
    return cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : (uint32_t)cores;
}

uint32_t gla_threads(void)
{
    uint32_t n = atomic_load(&wanted);

    if (!n) {
        n = default_threads();
        gla_set_threads(n);
    }
    return n;
}

void gla_set_threads(uint32_t n)
{
    const uint32_t used = n ? (n > MOST_THREADS ? MOST_THREADS : n) : default_threads();

    atomic_store(&wanted, used);
    omp_set_num_threads((int)used); /* for oneDNN outside of runs */
}

uint32_t gla__parallel_use(uint32_t n)
{
    const uint32_t before = used_here;

    if (n == before)
        return before;
    used_here = n > MOST_THREADS ? MOST_THREADS : n;
    omp_set_num_threads((int)gla__parallel_width()); /* for oneDNN outside of runs */
    return before;
}

uint32_t gla__parallel_width(void)
{
    return inside ? 1 : used_here ? used_here : gla_threads();
}

uint32_t gla__parallel_index(void)
{
    return worker_index;
}

/* ---- waiting ---- */

static void breathe(void)
{
#ifdef __x86_64__
    for (int i = 0; i < 8; i++)
        __builtin_ia32_pause();
#endif
}

/* Until done(arg) or it is time to sleep; returns done(arg). */
static bool spin(bool (*done)(uint32_t arg), uint32_t arg)
{
    const uint64_t start = gla__clock_ns();
    uint64_t before = start, now;

    if (start < atomic_load_explicit(&pool.yielding, memory_order_relaxed))
        return done(arg);
    do {
        for (int i = 0; i < 8; i++) {
            if (done(arg))
                return true;
            breathe();
        }
        now = gla__clock_ns();
        if (now - before > LOST_NS) {
            atomic_store_explicit(&pool.yielding, now + YIELDING_NS, memory_order_relaxed);
            break;
        }
        before = now;
    } while (now - start < SPIN_NS);
    return done(arg);
}

static bool run_begun(uint32_t seen)
{
    return atomic_load(&pool.generation) != seen;
}

static bool all_left(uint32_t unused)
{
    (void)unused;
    return !atomic_load(&pool.active);
}

/* ---- workers ---- */

/* The first part of a share, or the last, for who helps; false when nothing is left of it. */
static bool take_part(uint32_t owner, bool first, uint32_t *part)
{
    unsigned long long parts = atomic_load(&pool.share[owner].parts), rest;

    do {
        if ((uint32_t)parts >= parts >> 32)
            return false;
        rest = first ? parts + 1 : parts - (1ull << 32);
        *part = first ? (uint32_t)parts : (uint32_t)(rest >> 32);
    } while (!atomic_compare_exchange_weak(&pool.share[owner].parts, &parts, rest));
    return true;
}

/* Its own share from the front, so that it reads memory in order, then others' from their ends. */
static void do_parts(void)
{
    for (uint32_t k = 0, part; k < pool.width; k++) {
        while (take_part((worker_index + k) % pool.width, !k, &part))
            pool.fn(pool.arg, part);
    }
}

/* `active` is raised before `open` is read and `open` lowered before `active` is read: either the
 * worker sees that the run is closed or its owner sees the worker. */
static void enter_run(void)
{
    atomic_fetch_add(&pool.active, 1);
    if (atomic_load(&pool.open) && worker_index < pool.width)
        do_parts();
    if (atomic_fetch_sub(&pool.active, 1) == 1 && atomic_load(&pool.awaited)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_signal(&pool.left);
        pthread_mutex_unlock(&pool.lock);
    }
}

static void *worker_main(void *index)
{
    uint32_t seen = atomic_load(&pool.generation) - 1; /* the run that it was started for */

    worker_index = (uint32_t)(uintptr_t)index;
    inside = true;
    omp_set_num_threads(1); /* for oneDNN here */
    for (;;) {
        if (!spin(run_begun, seen)) {
            pthread_mutex_lock(&pool.lock);
            atomic_fetch_add(&pool.sleepers, 1);
            while (!run_begun(seen))
                pthread_cond_wait(&pool.begun, &pool.lock);
            atomic_fetch_sub(&pool.sleepers, 1);
            pthread_mutex_unlock(&pool.lock);
        }
        seen = atomic_load(&pool.generation);
        enter_run();
    }
    return NULL;
}

/* In a child process there are no workers, and whoever held something is not there. */
static void after_fork(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.begun, NULL);
    pthread_cond_init(&pool.left, NULL);
    atomic_store(&pool.active, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.open, false);
    atomic_store(&pool.taken, false);
    pool.started = 0;
}

/* Workers live as long as the process; fewer than wanted is all right. */
static void start_workers(uint32_t n)
{
    static bool watching;
    sigset_t all, before;
    pthread_t thread;

    if (pool.started >= n)
        return;
    if (!watching)
        watching = !pthread_atfork(NULL, NULL, after_fork);
    sigfillset(&all); /* signals are the application's threads' */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.started < n &&
           !pthread_create(&thread, NULL, worker_main, (void *)(uintptr_t)(pool.started + 1))) {
        pthread_detach(thread);
        pool.started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- runs ---- */

static void begin_run(void)
{
    atomic_store(&pool.open, true);
    atomic_fetch_add(&pool.generation, 1);
    if (atomic_load(&pool.sleepers)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_broadcast(&pool.begun);
        pthread_mutex_unlock(&pool.lock);
    }
}

static void end_run(void)
{
    atomic_store(&pool.open, false);
    if (spin(all_left, 0))
        return;
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.awaited, true);
    while (!all_left(0))
        pthread_cond_wait(&pool.left, &pool.lock);
    atomic_store(&pool.awaited, false);
    pthread_mutex_unlock(&pool.lock);
}

static void run_alone(uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    for (uint32_t i = 0; i < n; i++)
        fn(arg, i);
}

static void run_together(uint32_t n, uint32_t width, void (*fn)(void *arg, uint32_t i), void *arg)
{
    start_workers(width - 1);
    pool.fn = fn;
    pool.arg = arg;
    pool.width = width;
    for (uint64_t t = 0; t < width; t++)
        atomic_store_explicit(&pool.share[t].parts, n * (t + 1) / width << 32 | n * t / width,
                              memory_order_relaxed);
    begin_run();
    inside = true;
    do_parts();
    inside = false;
    end_run();
}

void gla__parallel_for(uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    const uint32_t threads = gla__parallel_width(), width = threads < n ? threads : n;
    const int products = omp_get_max_threads();

    omp_set_num_threads(1); /* a part's product is for one thread */
    if (width <= 1 || atomic_exchange(&pool.taken, true)) {
        run_alone(n, fn, arg);
    } else {
        run_together(n, width, fn, arg);
        atomic_store(&pool.taken, false);
    }
    omp_set_num_threads(products);
}
