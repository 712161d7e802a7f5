/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.h - y = W x + b for weights of every dtype, and how quantised weights lie in memory
 *
 * Tensors that are whole blobs (base/blob.h), as bind() gets them, are read where they lie, row by
 * row, and a reference is held: no second copy is made.  Views into one, other memory, and
 * transposed matrices are copied.  A gla_linear never changes and may be used by any number of
 * threads at once.
 *
 *   F32, BF16, F16   data [rows, cols]
 *   I8               data int8 [rows, cols]; w = scale[row] * q, aux: f32 scale [rows]
 *   I4               data bytes [rows, cols / 2], cols a multiple of 32; aux [rows, cols / 32]
 *                    pairs {f16 scale, f16 minimum}; w = scale * q + minimum with q in 0 .. 15.
 *                    Byte j of a group's 16 holds weight j in its low half and weight 16 + j in its
 *                    high half, so that a vector of either half is 16 consecutive weights.
 *
 * In a file the values of a tensor come first, then its scales.  [E, rows, cols] counts E * rows
 * rows.
 *
 * Two ways through:
 *   few rows    dot products with the weights as they stream by; bound by memory
 *   many rows   128 outputs at a time are expanded to an f32 panel [in, 128] in scratch, which is
 *               multiplied by oneDNN; each thread has its own panel.  int8 weights are used as they
 *               are where the processor has AVX-512 VNNI, and int4 stays with dot products
 *
 * Activations that meet int8 or int4 weights are rounded to 8 bits, whatever the number of rows:
 * one scale for 512 inputs of a row (int8) or 32 (int4), an error about as large as that of int8
 * weights.  A row's int8 results are the same bits alone, in any batch, and by either way.
 */
#ifndef GLA_MATH_LINEAR_H
#define GLA_MATH_LINEAR_H

#include "math/math.h"

/* Bytes of data and of aux that a tensor of this dtype and these dims takes; GLA_E_SHAPE when it
 * cannot be (int4 with odd columns), GLA_E_LIMIT on overflow. */
gla_status gla__tensor_bytes(uint32_t dtype, uint32_t ndim, const int64_t *dims, uint64_t *data,
                             uint64_t *aux);

#endif
