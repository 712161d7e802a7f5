/* SPDX-License-Identifier: Apache-2.0
 *
 * quantise.h - numbers of one dtype into another, and matrices into int8 and int4
 *
 * Rows are handled one by one, so that any part of a matrix can be done by itself.  How quantised
 * rows lie in memory: base/tensor.h.  Several threads are used.
 */
#ifndef GLA_MATH_QUANTISE_H
#define GLA_MATH_QUANTISE_H

#include <gla/status.h>

/* f32, bf16, f16 or f64 to f32. */
gla_status gla__to_f32(uint32_t dtype, const void *src, uint64_t n, float *dst, gla_diag *diag);
/* f32 to f32, bf16, f16 or f64, to nearest even.  A finite number that f16 cannot hold is
 * GLA_E_UNSUPPORTED. */
gla_status gla__from_f32(const float *src, uint64_t n, uint32_t dtype, void *dst, gla_diag *diag);

/* GLA_DTYPE_I8 or GLA_DTYPE_I4: rows of `cols` numbers into data and aux (the scales), for each
 * row or group with the scale that makes the squared error least among those tried.  Not finite
 * numbers are GLA_E_UNSUPPORTED. */
gla_status gla__quantise_rows(uint32_t dtype, const float *src, uint64_t rows, uint64_t cols,
                              void *data, void *aux, gla_diag *diag);
gla_status gla__dequantise_rows(uint32_t dtype, const void *data, const void *aux, uint64_t rows,
                                uint64_t cols, float *dst, gla_diag *diag);

#endif
