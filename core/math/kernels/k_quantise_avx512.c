/* SPDX-License-Identifier: Apache-2.0 */
#define GLA_SIMD    16
#define GLA_KERNELS gla_k_quantise__avx512
#include "math/kernels/k_quantise.h"
