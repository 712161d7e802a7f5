/* SPDX-License-Identifier: Apache-2.0 */
#define GLA__SIMD 1
#include "math/kernels/k_sequence.h"

const gla__sequence_kernels gla_k_sequence__c = {conv, selective, scan};
