/* SPDX-License-Identifier: Apache-2.0 */
#include "math/kv.h"

#include <string.h>

static size_t align64(size_t x)
{
    return (x + 63) & ~(size_t)63;
}

/* The sizes were checked when the layout was made (gla__state_layout_add). */
void gla__kv_page(uint32_t dtype, uint32_t kv_heads, uint32_t k_dim, uint32_t v_dim,
                  gla__kv_page_layout *out)
{
    const size_t width = dtype == GLA_DTYPE_F32 ? 4 : dtype == GLA_DTYPE_BF16 ? 2 : 1;
    const size_t rows = (size_t)kv_heads * GLA__KV_PAGE_TOKENS;
    const size_t scales = dtype == GLA_DTYPE_I8 ? rows * sizeof(float) : 0;

    out->v_offset = align64(rows * k_dim * width);
    out->k_scale_offset = align64(out->v_offset + rows * v_dim * width);
    out->v_scale_offset = align64(out->k_scale_offset + scales);
    out->bytes = align64(out->v_scale_offset + (v_dim ? scales : 0));
}
