/* SPDX-License-Identifier: Apache-2.0 */
#define GLA__SIMD    16
#define GLA__KERNELS gla_k_quantise__avx512
#include "math/kernels/k_quantise.h"
