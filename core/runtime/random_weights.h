/* SPDX-License-Identifier: Apache-2.0
 *
 * random_weights.h - tensors for models that only need to be fast, not clever
 *
 * Each number follows from the seed, the tensor's name and its place alone, so any number of
 * threads makes the same model.
 */
#ifndef GLA_RUNTIME_RANDOM_WEIGHTS_H
#define GLA_RUNTIME_RANDOM_WEIGHTS_H

#include <gla/plugin.h>
#include <gla/status.h>

/* What a matrix can be stored as when `wanted` is asked for: rows of int4 are whole groups, and
 * sensitive weights stay in 16 bits. */
uint32_t gla__random_dtype(const gla_weight_desc *w, uint32_t wanted);
/* Bell-shaped around 0 with variance 1 / in.  dst: gla_dtype_bytes() of its rows. */
void gla__random_matrix(const gla_weight_desc *w, uint32_t dtype, uint64_t seed, void *dst);
/* Norm weights 1, the rest small. */
void gla__random_vector(const gla_weight_desc *w, uint64_t seed, float *dst);

#endif
