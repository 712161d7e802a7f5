/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)
#define GLA__SIMD 8
#include "math/kernels/k_sequence.h"

const gla__sequence_kernels gla_k_sequence__avx2 = {conv, selective, scan};
#else
typedef int not_for_this_processor; /* ISO C wants a declaration */
#endif
