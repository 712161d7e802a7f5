/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

#define GLA__SIMD 8
#include "math/kernels/k_attention_simd.h"

const gla__attention_kernels gla__k_attention__avx2 = {store, scores, softmax, values};

#endif
