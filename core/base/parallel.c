/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <gla/gla.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_uint wanted; /* 0: not decided yet */

static uint32_t default_threads(void)
{
    const char *text = getenv("GLA_NUM_THREADS");
    const long given = text ? strtol(text, NULL, 10) : 0;
    const long cores = given > 0 ? given : sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : cores > 256 ? 256 : (uint32_t)cores;
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

#ifndef GLA_THREADS_PTHREAD

#include <omp.h>

void gla_set_threads(uint32_t n)
{
    const uint32_t used = n ? (n > 256 ? 256 : n) : default_threads();

    atomic_store(&wanted, used);
    omp_set_num_threads((int)used); /* oneDNN asks OpenMP */
}

uint32_t gla__parallel_width(void)
{
    return omp_in_parallel() ? 1 : gla_threads();
}

uint32_t gla__parallel_index(void)
{
    return (uint32_t)omp_get_thread_num();
}

void gla__parallel_for(uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    const uint32_t width = gla__parallel_width();

    if (n <= 1 || width <= 1) {
        for (uint32_t i = 0; i < n; i++)
            fn(arg, i);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(width < n ? width : n)
    for (uint32_t i = 0; i < n; i++)
        fn(arg, i);
}

#else

#include <pthread.h>

static _Thread_local uint32_t worker_index;
static _Thread_local int inside;

typedef struct run {
    void (*fn)(void *arg, uint32_t i);
    void *arg;
    uint32_t n;
    atomic_uint next;
} run;

typedef struct worker {
    run *r;
    uint32_t index;
} worker;

static void work(run *r)
{
    inside = 1;
    for (uint32_t i; (i = atomic_fetch_add(&r->next, 1)) < r->n;)
        r->fn(r->arg, i);
    inside = 0;
}

static void *worker_main(void *p)
{
    worker *w = p;

    worker_index = w->index;
    work(w->r);
    return NULL;
}

void gla_set_threads(uint32_t n)
{
    atomic_store(&wanted, n ? (n > 64 ? 64 : n) : default_threads());
}

uint32_t gla__parallel_width(void)
{
    return inside ? 1 : gla_threads();
}

uint32_t gla__parallel_index(void)
{
    return worker_index;
}

void gla__parallel_for(uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    const uint32_t width = gla__parallel_width() < n ? gla__parallel_width() : n;
    pthread_t threads[256];
    worker workers[256];
    uint32_t started = 0;
    run r = {fn, arg, n, 0};

    if (inside) {
        for (uint32_t i = 0; i < n; i++)
            fn(arg, i);
        return;
    }
    for (uint32_t t = 1; t < width; t++) {
        workers[started] = (worker){&r, t};
        if (pthread_create(&threads[started], NULL, worker_main, &workers[started]))
            break;
        started++;
    }
    work(&r);
    for (uint32_t t = 0; t < started; t++)
        pthread_join(threads[t], NULL);
}

#endif
