/* SPDX-License-Identifier: Apache-2.0 */
#define GLA__SIMD    8
#define GLA__KERNELS gla_k_row__avx2
#include "math/kernels/k_row.h"
