/* SPDX-License-Identifier: Apache-2.0
 *
 * threads_pool.c - every part of a run is done once, whoever calls beside whom
 *
 * Four threads of an application start runs of one to a hundred parts at the same time, some with
 * runs inside, with pauses between them that workers sleep through, while the number of threads
 * changes.
 */
#include <gla/gla.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parallel.h"

enum { CALLERS = 4, RUNS = 5000, MOST = 100, INNER = 5 };

typedef struct job {
    uint32_t width;
    unsigned char done[MOST]; /* plain bytes: the run's end must order them */
    unsigned char inner[MOST][INNER];
} job;

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "threads_pool: %s\n", what);
        exit(1);
    }
}

static void inner_part(void *arg, uint32_t i)
{
    ((unsigned char *)arg)[i]++;
}

static void part(void *arg, uint32_t i)
{
    job *j = arg;

    check(gla__parallel_index() < j->width, "a worker's index is beyond the width");
    j->done[i]++;
    if (i % 7 == 3)
        gla__parallel_for(INNER, inner_part, j->inner[i]);
}

static void *caller(void *seed)
{
    uint32_t x = (uint32_t)(uintptr_t)seed;
    job j;

    for (int r = 0; r < RUNS; r++) {
        const uint32_t n = (x = x * 1664525u + 1013904223u) >> 16 & 127;
        const uint32_t parts = n < MOST ? n : 1;

        memset(&j, 0, sizeof(j));
        j.width = 8; /* the most that is ever asked for */
        gla__parallel_for(parts, part, &j);
        for (uint32_t i = 0; i < MOST; i++) {
            check(j.done[i] == (i < parts), "a part was not done once");
            for (int k = 0; k < INNER; k++)
                check(j.inner[i][k] == (i < parts && i % 7 == 3),
                      "a part inside was not done once");
        }
        if (r % 100 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[CALLERS];

    for (uint32_t n = 8; n; n /= 2) {
        gla_set_threads(n);
        for (uint32_t t = 0; t < CALLERS; t++)
            check(!pthread_create(&threads[t], NULL, caller, (void *)(uintptr_t)(t + 1)), "thread");
        for (uint32_t t = 0; t < CALLERS; t++)
            pthread_join(threads[t], NULL);
    }
    return 0;
}
