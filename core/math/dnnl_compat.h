/* SPDX-License-Identifier: Apache-2.0
 *
 * dnnl_compat.h - what we use of oneDNN, the same for 2.6 (Debian 12) and 3.x
 *
 * The matrix products with plain strides: no primitives to keep, no fixed shapes, and measured as
 * fast as brgemm on prepacked weights.  From inside gla__parallel_for they run on the calling
 * thread.  oneDNN takes its packing buffers from the system's allocator.
 */
#ifndef GLA_MATH_DNNL_COMPAT_H
#define GLA_MATH_DNNL_COMPAT_H

#include <gla/status.h>
#include <stddef.h>
#include <stdint.h>

/* c [m, n] = a [m, k] b [k, n] */
gla_status gla__dnnl_gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t ld_a,
                              const float *b, size_t ld_b, float *c, size_t ld_c);
/* c [m, n] = a [m, k] b [n, k]^T, sums exact in 32 bits */
gla_status gla__dnnl_gemm_u8s8(size_t m, size_t n, size_t k, const uint8_t *a, size_t ld_a,
                               const int8_t *b, size_t ld_b, int32_t *c, size_t ld_c);
/* "3.13.0", the version that is running. */
void gla__dnnl_version(int *major, int *minor, int *patch);

#endif
