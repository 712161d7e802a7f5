/* SPDX-License-Identifier: Apache-2.0
 *
 * kv.h - how a KV cache lies in memory
 *
 * The state room owns the pages; attention reads and writes them through this view.  A page holds
 * page_tokens tokens of one layer:
 *
 *     keys    [kv_heads][page_tokens][k_dim]       f32, bf16 or int8
 *     values  [kv_heads][page_tokens][v_dim]       absent when v_dim is 0 (MLA: in the keys)
 *     scales  [kv_heads][page_tokens] f32          int8 only: of the keys, then of the values
 *
 * each part starting at a multiple of 64 bytes.  Keys are stored with positions applied.
 */
#ifndef GLA_MATH_KV_H
#define GLA_MATH_KV_H

#include <gla/plugin.h>
#include <gla/status.h>

#define GLA__KV_PAGE_TOKENS 64u

typedef struct gla__kv_view {
    uint32_t dtype;   /* GLA_DTYPE_F32, BF16, I8 */
    uint32_t q_heads; /* that read it, at most: attention's scratch is for so many */
    uint32_t kv_heads, k_dim, v_dim, window;
    uint64_t first_token;  /* of pages[0]; a multiple of page_tokens: earlier ones fell out of the
                              window */
    uint8_t *const *pages; /* enough of them, writable, for position + the tokens of this batch */
    uint32_t n_pages;
} gla__kv_view;

typedef struct gla__kv_page_layout {
    size_t v_offset, k_scale_offset, v_scale_offset, bytes;
} gla__kv_page_layout;
void gla__kv_page(uint32_t dtype, uint32_t kv_heads, uint32_t k_dim, uint32_t v_dim,
                  gla__kv_page_layout *out);

/* Keys or values of one head in one page. */
typedef struct gla__kv_rows {
    void *data;   /* [page_tokens][dim] */
    float *scale; /* [page_tokens], int8 only */
    uint32_t dtype, dim;
} gla__kv_rows;
size_t gla__kv_rows_bytes(const gla__kv_rows *rows); /* without scales */
gla__kv_rows gla__kv_keys(const gla__kv_view *view, uint64_t page, uint32_t head);
gla__kv_rows gla__kv_values(const gla__kv_view *view, uint64_t page, uint32_t head); /* v_dim > 0 */

#endif
