/* SPDX-License-Identifier: Apache-2.0 */
#define GLA__SIMD    1
#define GLA__KERNELS gla_k_quantise__c
#include "math/kernels/k_quantise.h"
