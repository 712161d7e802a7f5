/* SPDX-License-Identifier: Apache-2.0
 *
 * rng.h - random numbers that a printed seed repeats (splitmix64)
 */
#ifndef GLA_TESTS_SUPPORT_RNG_H
#define GLA_TESTS_SUPPORT_RNG_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "base/splitmix.h"

typedef struct rng {
    uint64_t state;
} rng;

static inline uint64_t rng_next(rng *r)
{
    return gla__splitmix_next(&r->state);
}

/* [0, n) */
static inline uint32_t rng_below(rng *r, uint32_t n)
{
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/* [0, 1) */
static inline double rng_unit(rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

static inline double rng_between(rng *r, double low, double high)
{
    return low + (high - low) * rng_unit(r);
}

static inline double rng_normal(rng *r)
{
    const double u = 1.0 - rng_unit(r), v = rng_unit(r);

    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

static inline void rng_fill_normal(rng *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rng_normal(r);
}

#endif
