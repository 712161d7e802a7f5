/* SPDX-License-Identifier: Apache-2.0
 *
 * row_kernels.h - norms and activations of one row, per instruction set, from one source (k_row.h)
 */
#ifndef GLA_MATH_KERNELS_ROW_KERNELS_H
#define GLA_MATH_KERNELS_ROW_KERNELS_H

#include <gla/plugin.h>

#include "base/cpu.h"

#define GLA__ACTIVATIONS 14u
#define GLA__NORMS       8u

typedef struct gla__row_kernels {
    /* y = act(x), by gla_activation; y may be x. */
    void (*act[GLA__ACTIVATIONS])(const float *x, float *y, size_t n);
    /* y = act(gate) * up; y may be either. */
    void (*glu[GLA__ACTIVATIONS])(const float *gate, const float *up, float *y, size_t n);
    void (*clamp)(float low, float high, float *x, size_t n); /* NaN stays */
    /* y = factor x; y may be x. */
    void (*mul)(float factor, const float *x, float *y, size_t n);
    /* y += factor x, one for all or one for each. */
    void (*add)(float factor, const float *x, float *y, size_t n);
    void (*add_each)(const float *factor, const float *x, float *y, size_t n);
    /* y = sum over i < k of weight[i] x[slot[i]], from the first to the last. */
    void (*combine)(size_t k, const uint32_t *slot, const float *weight, const float *x,
                    size_t ld_x, float *y, size_t n);
    /* One group of n->width numbers, without gate: y = norm(x) * (offset + weight) + bias, by
     * gla_norm_kind; y may be x; weight and bias of this group. */
    void (*norm[GLA__NORMS])(const gla_norm *n, const float *weight, const float *bias,
                             const float *x, float *y);
} gla__row_kernels;

const gla__row_kernels *gla__row_kernels_for(gla__isa isa);

extern const gla__row_kernels gla_k_row__c, gla_k_row__avx2, gla_k_row__avx512;

#endif
