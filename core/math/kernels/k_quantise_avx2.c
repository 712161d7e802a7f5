/* SPDX-License-Identifier: Apache-2.0 */
#define GLA_SIMD    8
#define GLA_KERNELS gla_k_quantise__avx2
#include "math/kernels/k_quantise.h"
