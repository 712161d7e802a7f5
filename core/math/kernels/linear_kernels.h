/* SPDX-License-Identifier: Apache-2.0
 *
 * linear_kernels.h - what linear maps need of a processor
 *
 * One table per instruction set, from one source (k_linear.h, k_linear_int.h).  Functions are
 * indexed by gla_dtype; weights lie as base/tensor.h says.  No state, any thread.
 *
 * Weights of 8 and 4 bits meet activations of 8 bits, so that sums of products are integers and
 * exact.  One row of such activations is a record of its own form:
 *
 *   I8   uint8 [in, then up to a multiple of 64]   round(x / scale) + 128
 *        f32 [in / 512 rounded up]                 scales: max |x| / 127 of 512 inputs, which
 *                                                  bounds what an outlier can do to its row
 *   I4   gla__x4 [in / 256 rounded up]
 *
 * A number that is none, or infinite, makes its scale NaN.
 */
#ifndef GLA_MATH_KERNELS_LINEAR_KERNELS_H
#define GLA_MATH_KERNELS_LINEAR_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/tensor.h"

#define GLA__PANEL_COLUMNS 128u /* of an expanded panel [in, 128] */
#define GLA__WEIGHT_DTYPES 6u   /* GLA_DTYPE_F32 .. GLA_DTYPE_I4 */
#define GLA__I8_BLOCK      512u /* inputs that share the scale of their activations */

/* 256 activations for int4: 8 groups of 32, each with its scale.  Weights 0 .. 15 and 16 .. 31 of a
 * group share bytes, therefore q is 2 times: the first halves of 4 groups, their second halves. */
typedef struct gla__x4 {
    int8_t q[256];   /* round(x / scale), 0 past the end */
    float scale[32]; /* of the group of each 4 bytes of q[0 .. 63] and q[128 .. 191] */
    float sum[16];   /* {0, scale * sum of the group's q} for each group: a partner of the weights'
                        {scale, minimum} */
} gla__x4;

/* Bytes from row to row of activations in 8 bits. */
static inline size_t gla__x8_scales(size_t in)
{
    return (in + 63) / 64 * 64;
}
static inline size_t gla__x8_pitch(size_t in)
{
    return gla__x8_scales(in) + ((in + GLA__I8_BLOCK - 1) / GLA__I8_BLOCK * 4 + 63) / 64 * 64;
}
static inline size_t gla__x4_pitch(size_t in)
{
    return (in + 255) / 256 * sizeof(gla__x4);
}

/* Some rows of a weight matrix. */
typedef struct gla__weight_rows {
    const char *data;
    const char *aux;           /* I8: f32 [rows]; I4: {f16 scale, f16 minimum} [rows, in / 32] */
    size_t stride, aux_stride; /* bytes from row to row */
} gla__weight_rows;

typedef struct gla__linear_kernels {
    /* y[r * ld_y + o] = w[o] . x[r] for o < n and r < m: reads each weight once for 4 rows of x.
     * x is f32, or in 8 bits where the dtype has a quantise(); pitch is bytes from row to row. */
    void (*dot[GLA__WEIGHT_DTYPES])(const gla__weight_rows *w, size_t n, size_t in, const void *x,
                                    size_t pitch, size_t m, float *y, size_t ld_y);
    /* One row of activations in 8 bits. */
    void (*quantise[GLA__WEIGHT_DTYPES])(const float *x, size_t in, void *row);
    /* panel [in, GLA__PANEL_COLUMNS]: column o is row o of w as f32, zero from n on.  F32, BF16,
     * F16 only. */
    void (*expand[GLA__WEIGHT_DTYPES])(const gla__weight_rows *w, size_t n, size_t in,
                                       float *panel);
    /* y [in] = first row of w as f32. */
    void (*row[GLA__WEIGHT_DTYPES])(const gla__weight_rows *w, size_t in, float *y);
    /* zero[o] = 128 * sum of the count <= GLA__I8_BLOCK int8 weights from first on of row o: what
     * the offset of the activations adds to a product. */
    void (*zero_sums)(const gla__weight_rows *w, size_t n, size_t first, size_t count,
                      int32_t *zero);
    /* y[o] = (acc[o] - zero[o]) * scale_x * scale_w[o], or += with add; as dot[I8] does it */
    void (*dequantise)(const int32_t *acc, const int32_t *zero, float scale_x, const float *scale_w,
                       size_t n, bool add, float *y);
    bool exact_gemm; /* oneDNN's 8-bit products never saturate on such a processor */
} gla__linear_kernels;

const gla__linear_kernels *gla__linear_kernels_for(const gla__cpu *cpu);

extern const gla__linear_kernels gla_k_linear__c, gla_k_linear__avx2, gla_k_linear__avx512;

#endif
