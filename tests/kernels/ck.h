/* SPDX-License-Identifier: Apache-2.0
 *
 * ck.h - what a kernel check is written with (see kernels.def for how to add one)
 *
 *     void check_scale(ck *c)
 *     {
 *         if (ck_case(c, "scale n%zu", n)) {           the rest runs only if --test wants it
 *             float *x = ck_input(c, n), *y = ck_output(c, n);
 *             struct args a = {ck_function(c, "scale"), x, y, n};
 *             double *want = ...                        from the formula, in double
 *             if (ck_run(c, call_scale, &a))            a crash or a damaged guard is a failure
 *                 ck_compare(c, "y", y, want, n, 1);    1 term: see support/tolerance.h
 *             ck_bench(c, flops, bytes, call_scale, &a);
 *         }
 *         ck_end(c);                                    after every ck_case; frees the buffers
 *     }
 *
 * Buffers end at a page that must not be touched, so that reading or writing one number too far is
 * a crash, and have a guard band before them.
 */
#ifndef GLA_TESTS_KERNELS_CK_H
#define GLA_TESTS_KERNELS_CK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cpu.h"
#include "support/rng.h"
#include "support/tolerance.h"

typedef struct ck ck;
typedef void (*ck_any)(void); /* cast to what the kernel is */

gla__isa ck_isa(const ck *c);
rng *ck_rng(ck *c);
bool ck_benching(const ck *c); /* shapes of real models instead of awkward ones */
/* Of the instruction set under test, and of plain C.  NULL: no such kernel. */
ck_any ck_function(const ck *c, const char *op);
const void *ck_table(const ck *c, const char *op);

bool ck_case(ck *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
float *ck_input(ck *c, size_t n);  /* normally distributed */
float *ck_output(ck *c, size_t n); /* NaN */
float *ck_zeros(ck *c, size_t n);
double *ck_want(ck *c, size_t n); /* zeros */
/* Calls fn(arg); false after a crash or when a guard band was written to. */
bool ck_run(ck *c, void (*fn)(void *arg), void *arg);
bool ck_compare(ck *c, const char *what, const float *got, const double *want, size_t n,
                double terms);
void ck_bench(ck *c, double flops, double bytes, void (*fn)(void *arg), void *arg);
void ck_end(ck *c);

#define GLA_CHECK(name) void check_##name(ck *c);
#include "kernels.def"
#undef GLA_CHECK

#endif
