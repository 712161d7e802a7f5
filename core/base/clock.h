/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h - time that only goes forward, from an arbitrary start: for durations
 */
#ifndef GLA_BASE_CLOCK_H
#define GLA_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t gla__clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline double gla__clock_seconds(void)
{
    return 1e-9 * (double)gla__clock_ns();
}

#endif
