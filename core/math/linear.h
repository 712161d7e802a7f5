/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.h - y = W x + b for weights of every dtype; how they lie in memory: base/tensor.h
 *
 * Tensors that are whole blobs (base/blob.h), as bind() gets them, are read where they lie, row by
 * row, and a reference is held: no second copy is made.  Views into one, other memory, and
 * transposed matrices are copied.  A gla_linear never changes and may be used by any number of
 * threads at once.
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

#endif
