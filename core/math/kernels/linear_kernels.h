/* SPDX-License-Identifier: Apache-2.0
 *
 * linear_kernels.h - what linear.c needs of a processor
 *
 * One table per instruction set, from one source (k_linear.h).  Functions are indexed by gla_dtype;
 * weights lie as linear.h says.  No state, any thread.
 */
#ifndef GLA_MATH_KERNELS_LINEAR_KERNELS_H
#define GLA_MATH_KERNELS_LINEAR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

#define GLA__PANEL_COLUMNS 128u /* of an expanded panel [in, 128] */
#define GLA__WEIGHT_DTYPES 6u   /* GLA_DTYPE_F32 .. GLA_DTYPE_I4 */
#define GLA__I4_GROUP      32u
#define GLA__I8_BLOCK      512u /* inputs that share the scale of their activations */
#define GLA__I8_ZERO_POINT 128  /* quantise() adds it: u8 = round(x / scale) + 128 */

/* Some rows of a weight matrix. */
typedef struct gla__weight_rows {
    const char *data;
    const char *aux;           /* I8: f32 [rows]; I4: {f16 scale, f16 minimum} [rows, in / 32] */
    size_t stride, aux_stride; /* bytes from row to row */
} gla__weight_rows;

typedef struct gla__linear_kernels {
    /* y[r * ld_y + o] = w[o] . x[r] for o < n and r < m: reads each weight once for 4 rows of x. */
    void (*dot[GLA__WEIGHT_DTYPES])(const gla__weight_rows *w, size_t n, size_t in, const float *x,
                                    size_t ld_x, size_t m, float *y, size_t ld_y);
    /* panel [in, GLA__PANEL_COLUMNS]: column o is row o of w as f32, zero from n on. */
    void (*expand[GLA__WEIGHT_DTYPES])(const gla__weight_rows *w, size_t n, size_t in,
                                       float *panel);
    /* y [in] = first row of w as f32. */
    void (*row[GLA__WEIGHT_DTYPES])(const gla__weight_rows *w, size_t in, float *y);
    /* q = round(x / scale) + GLA__I8_ZERO_POINT with scale = max |x| / 127; returns scale, NaN when
     * some x is none or infinite. */
    float (*quantise)(const float *x, size_t n, uint8_t *q);
    /* y[o] = (acc[o] - zero[o]) * scale_x * scale_w[o], or += with add */
    void (*dequantise)(const int32_t *acc, const int32_t *zero, float scale_x, const float *scale_w,
                       size_t n, int add, float *y);
    /* GLA__I8_ZERO_POINT * sum of n <= GLA__I8_BLOCK weights: what the zero point adds to a product
     */
    int32_t (*zero_sum)(const int8_t *w, size_t n);
} gla__linear_kernels;

const gla__linear_kernels *gla__linear_kernels_for(gla__isa isa);

extern const gla__linear_kernels gla_k_linear__c, gla_k_linear__avx2, gla_k_linear__avx512;

#endif
