/* SPDX-License-Identifier: Apache-2.0
 *
 * math_test.h - a batch to call the math table with, random numbers, and the tolerance policy
 */
#ifndef GLA_TESTS_UNIT_MATH_TEST_H
#define GLA_TESTS_UNIT_MATH_TEST_H

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/splitmix.h"
#include "math/math.h"

typedef struct math_test {
    gla__exec exec;
    gla_batch batch;
} math_test;

static inline math_test *math_test_new(const gla__math_needs *needs)
{
    math_test *t = gla__alloc_zero(sizeof(*t));

    t->exec.arena_bytes = gla__math_scratch_bytes(needs);
    t->exec.arena = gla__alloc(t->exec.arena_bytes);
    memset(t->exec.arena, 0xff, t->exec.arena_bytes); /* NaN: scratch is undefined */
    t->batch = (gla_batch){.struct_size = sizeof(gla_batch), .exec = &t->exec};
    return t;
}

static inline void math_test_free(math_test *t)
{
    cr_expect_eq(t->exec.used, 0);
    gla__free(t->exec.arena);
    gla__free(t);
}

/* The other kernels: before the first call of the library in this process.  Criterion gives each
 * test its own. */
static inline void math_test_cpu(const char *isa)
{
    setenv("GLA_CPU", isa, 1);
}

/* Sum of uniform numbers: near a normal distribution. */
static inline float math_test_normal(uint64_t *seed)
{
    double s = 0;

    for (int i = 0; i < 6; i++)
        s += (double)(gla__splitmix_next(seed) >> 11) * 0x1p-53;
    return (float)((s - 3.0) * 1.4142135623730951);
}

static inline float *math_test_array(size_t n, float scale, uint64_t *seed)
{
    float *a = gla__alloc(n * sizeof(float));

    for (size_t i = 0; i < n; i++)
        a[i] = scale * math_test_normal(seed);
    return a;
}

/* |got - want| <= rtol * size[i], size the sum of the terms' absolute values; and NMSE. */
static inline void math_test_close(const float *got, const double *want, const double *size,
                                   size_t n, double rtol, double nmse, const char *what)
{
    double error = 0, energy = 0, worst = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - want[i]);
        const double limit = rtol * size[i] + 1e-37;

        cr_assert(d <= limit, "%s: [%zu] is %.9g, should be %.9g (off by %.3g, allowed %.3g)", what,
                  i, (double)got[i], want[i], d, limit);
        if (d / limit > worst) {
            worst = d / limit;
            at = i;
        }
        error += d * d;
        energy += want[i] * want[i];
    }
    cr_assert(error <= nmse * energy + 1e-60, "%s: NMSE %.3g, worst at %zu", what, error / energy,
              at);
}

#endif
