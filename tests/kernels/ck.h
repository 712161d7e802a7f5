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
 *                 ck_compare(c, "y", y, want, n, 1);    1 term: see below
 *             ck_bench(c, flops, bytes, call_scale, &a);
 *         }
 *         ck_end(c);                                    after every ck_case; frees the buffers
 *     }
 *
 * Buffers end at a page that must not be touched, so that reading or writing one number too far is
 * a crash, and have a guard band before them.
 *
 * A result passes when it is within the tolerance of support/tolerance.h for so many terms, and
 * when its largest error is at most four times that of the plain C kernel on the same numbers (plus
 * a few roundings: C may hit by luck).  Every instruction set gets the same numbers for a case, and
 * C comes first; kernels without a C twin are held to the first rule only.
 *
 * Damaged input: ck_poison() an operand, compute `want` by the same formula, and compare.  Kernels
 * whose numbers do not meet (elementwise, channels) are compared as always, NaN and infinities
 * included; where numbers meet in sums, ck_shows() asks that nothing is hidden.
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
/* Puts a NaN or an infinity, a denormal number and a negative zero somewhere into x. */
void ck_poison(ck *c, float *x, size_t n);
/* Calls fn(arg); false after a crash or when a guard band was written to. */
bool ck_run(ck *c, void (*fn)(void *arg), void *arg);
bool ck_compare(ck *c, const char *what, const float *got, const double *want, size_t n,
                double terms);
/* What is not finite in `want` is not finite in `got`. */
bool ck_shows(ck *c, const char *what, const float *got, const double *want, size_t n);
void ck_bench(ck *c, double flops, double bytes, void (*fn)(void *arg), void *arg);
void ck_end(ck *c);
double ck_activation(uint32_t kind, double x); /* gla_activation, by its formula */

#define GLA_CHECK(name) void check_##name(ck *c);
#include "kernels.def"
#undef GLA_CHECK

#endif
