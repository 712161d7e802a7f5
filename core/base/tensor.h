/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor.h - dtypes, shapes, and the bytes that tensors of them take
 *
 *   F32, BF16, F16   data [rows, cols]
 *   I8               data int8 [rows, cols]; w = scale[row] * q, aux: f32 scale [rows]
 *   I4               data bytes [rows, cols / 2], cols a multiple of 32; aux [rows, cols / 32]
 *                    pairs {f16 scale, f16 minimum}; w = scale * q + minimum with q in 0 .. 15.
 *                    Byte j of a group's 16 holds weight j in its low half and weight 16 + j in its
 *                    high half, so that a vector of either half is 16 consecutive weights.
 *
 * In a file the values of a tensor come first, then its scales.  [E, rows, cols] counts E * rows
 * rows.  gla_dtype_name(), _parse() and _bytes() of gla/weights.h are here too.
 */
#ifndef GLA_BASE_TENSOR_H
#define GLA_BASE_TENSOR_H

#include <gla/status.h>
#include <stdbool.h>

#define GLA__I4_GROUP     32u                 /* weights that share a scale */
#define GLA__MAX_ELEMENTS (UINT64_C(1) << 40) /* of one tensor */

bool gla__is_float(uint32_t dtype);        /* f32, bf16, f16, f64 */
bool gla__is_quantised(uint32_t dtype);    /* int8, int4 */
uint32_t gla__dtype_width(uint32_t dtype); /* bytes of one number; 0: quantised, or unknown */

/* Bytes of a row of values, and of its scales: 0 unless quantised.  cols are what I4 can have. */
uint64_t gla__row_bytes(uint32_t dtype, uint64_t cols);
uint64_t gla__row_scales(uint32_t dtype, uint64_t cols);

/* Product of dimensions that were checked. */
uint64_t gla__n_elements(uint32_t ndim, const int64_t *dims);
/* Bytes of data and of aux that a tensor of this dtype and these dims takes; GLA_E_SHAPE when it
 * cannot be (int4 with odd columns), GLA_E_LIMIT on overflow. */
gla_status gla__tensor_bytes(uint32_t dtype, uint32_t ndim, const int64_t *dims, uint64_t *data,
                             uint64_t *aux);

/* "[512, 1024]", in buf. */
const char *gla__shape_text(uint32_t ndim, const int64_t *dims, char *buf, size_t size);

#endif
