/* SPDX-License-Identifier: Apache-2.0 */
#include "math/dnnl_compat.h"

#include <oneapi/dnnl/dnnl.h>

static gla_status from_dnnl(dnnl_status_t st)
{
    switch (st) {
    case dnnl_success:
        return GLA_OK;
    case dnnl_out_of_memory:
        return GLA_E_NOMEM;
    case dnnl_unimplemented:
        return GLA_E_UNSUPPORTED;
    default:
        return GLA_E_INVALID;
    }
}

gla_status gla__dnnl_gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t ld_a,
                              const float *b, size_t ld_b, float *c, size_t ld_c)
{
    return from_dnnl(dnnl_sgemm('N', 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1.0f, a,
                                (dnnl_dim_t)ld_a, b, (dnnl_dim_t)ld_b, 0.0f, c, (dnnl_dim_t)ld_c));
}

gla_status gla__dnnl_gemm_u8s8(size_t m, size_t n, size_t k, const uint8_t *a, size_t ld_a,
                               const int8_t *b, size_t ld_b, int32_t *c, size_t ld_c)
{
    const int32_t offset = 0;

    return from_dnnl(dnnl_gemm_u8s8s32('N', 'T', 'F', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k,
                                       1.0f, a, (dnnl_dim_t)ld_a, 0, b, (dnnl_dim_t)ld_b, 0, 0.0f,
                                       c, (dnnl_dim_t)ld_c, &offset));
}

void gla__dnnl_version(int *major, int *minor, int *patch)
{
    const dnnl_version_t *v = dnnl_version();

    *major = v->major;
    *minor = v->minor;
    *patch = v->patch;
}
