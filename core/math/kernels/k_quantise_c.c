/* SPDX-License-Identifier: Apache-2.0 */
#define GLA_SIMD    1
#define GLA_KERNELS gla_k_quantise__c
#include "math/kernels/k_quantise.h"
