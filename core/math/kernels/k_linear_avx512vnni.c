/* SPDX-License-Identifier: Apache-2.0 */
#define GLA__SIMD    16
#define GLA__KERNELS gla_k_linear__avx512
#include "math/kernels/k_linear.h"
