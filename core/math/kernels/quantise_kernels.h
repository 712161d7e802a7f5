/* SPDX-License-Identifier: Apache-2.0
 *
 * quantise_kernels.h - the search for scales when weights become int8 or int4
 *
 * Lanes are trials, so that sums are formed in the order of the numbers and every instruction set
 * finds the same to the bit: a converted file does not depend on the machine.  No state, any
 * thread.
 */
#ifndef GLA_MATH_KERNELS_QUANTISE_KERNELS_H
#define GLA_MATH_KERNELS_QUANTISE_KERNELS_H

#include <stddef.h>

#include "math/kernels/linear_kernels.h"

#define GLA__QUANTISE_TRIALS 16u

typedef struct gla__quantise_kernels {
    /* For each trial: xq = sum of x q and qq = sum of q q, with q = round(x * inverse[trial])
     * within
     * +-127; a scale of xq / qq then leaves a squared error of sum x x - xq xq / qq. */
    void (*i8)(const float *x, size_t n, const float *inverse, double *xq, double *qq);
    /* For each trial: the group is rounded by scale and min, the best scale and min for the rounded
     * numbers (least squares, as f16 holds them) are put in their place, and error is what these
     * leave.  NaN: no scale above zero fits. */
    void (*i4)(const float *x, float *scale, float *min, float *error);
} gla__quantise_kernels;

const gla__quantise_kernels *gla__quantise_kernels_for(gla__isa isa);

extern const gla__quantise_kernels gla_k_quantise__c, gla_k_quantise__avx2, gla_k_quantise__avx512;

#endif
