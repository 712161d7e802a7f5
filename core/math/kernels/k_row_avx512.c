/* SPDX-License-Identifier: Apache-2.0 */
#define GLA__SIMD    16
#define GLA__KERNELS gla_k_row__avx512
#include "math/kernels/k_row.h"
