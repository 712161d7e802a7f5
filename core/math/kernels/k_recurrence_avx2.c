/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)
#define GLA__SIMD 8
#include "math/kernels/k_recurrence_chunk.h"

void gla_k_recurrence_f32__avx2(const gla__rec *r, uint32_t size)
{
    if (size > 1)
        chunked(r, size);
    else
        recurrent(r, 0, r->tokens);
}
#else
typedef int not_for_this_processor; /* ISO C wants a declaration */
#endif
