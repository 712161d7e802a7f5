/* SPDX-License-Identifier: Apache-2.0 */
#include "math/kv.h"

static size_t align64(size_t x)
{
    return (x + 63) & ~(size_t)63;
}

static size_t number_bytes(uint32_t dtype)
{
    return dtype == GLA_DTYPE_F32 ? 4 : dtype == GLA_DTYPE_BF16 ? 2 : 1;
}

/* The sizes were checked when the layout was made (gla__state_layout_add). */
void gla__kv_page(uint32_t dtype, uint32_t kv_heads, uint32_t k_dim, uint32_t v_dim,
                  gla__kv_page_layout *out)
{
    const size_t width = number_bytes(dtype);
    const size_t rows = (size_t)kv_heads * GLA__KV_PAGE_TOKENS;
    const size_t scales = dtype == GLA_DTYPE_I8 ? rows * sizeof(float) : 0;

    out->v_offset = align64(rows * k_dim * width);
    out->k_scale_offset = align64(out->v_offset + rows * v_dim * width);
    out->v_scale_offset = align64(out->k_scale_offset + scales);
    out->bytes = align64(out->v_scale_offset + (v_dim ? scales : 0));
}

static gla__kv_rows rows_of(const gla__kv_view *view, uint64_t page, uint32_t head, size_t offset,
                            size_t scale_offset, uint32_t dim)
{
    uint8_t *p = view->pages[page];
    const size_t first = (size_t)head * GLA__KV_PAGE_TOKENS;
    gla__kv_rows r = {p + offset + first * dim * number_bytes(view->dtype), NULL, view->dtype, dim};

    if (view->dtype == GLA_DTYPE_I8)
        r.scale = (float *)(void *)(p + scale_offset) + first;
    return r;
}

size_t gla__kv_rows_bytes(const gla__kv_rows *rows)
{
    return (size_t)GLA__KV_PAGE_TOKENS * rows->dim * number_bytes(rows->dtype);
}

gla__kv_rows gla__kv_keys(const gla__kv_view *view, uint64_t page, uint32_t head)
{
    gla__kv_page_layout l;

    gla__kv_page(view->dtype, view->kv_heads, view->k_dim, view->v_dim, &l);
    return rows_of(view, page, head, 0, l.k_scale_offset, view->k_dim);
}

gla__kv_rows gla__kv_values(const gla__kv_view *view, uint64_t page, uint32_t head)
{
    gla__kv_page_layout l;

    gla__kv_page(view->dtype, view->kv_heads, view->k_dim, view->v_dim, &l);
    return rows_of(view, page, head, l.v_offset, l.v_scale_offset, view->v_dim);
}
