/* SPDX-License-Identifier: Apache-2.0
 *
 * k_linear.h - kernels of linear maps, for the width that GLA__SIMD says
 *
 * Floating-point dtypes share one shape: a load that gives V_WIDTH weights as f32, and
 * multiply-adds.  Decoding is bound by memory, so the conversions cost nothing.  Dot products of
 * 8-bit and 4-bit weights are in k_linear_int.h.
 */
#include <gla/plugin.h>

#include "math/kernels/k_linear_int.h"

/* Weights i .. i + V_WIDTH - 1 of row r; i a multiple of V_WIDTH. */
V_INLINE vf load_weights(const uint32_t dtype, const gla__weight_rows *w, size_t r, size_t i)
{
    const void *row = w->data + r * w->stride;

    if (dtype == GLA_DTYPE_BF16)
        return v_load_bf16((const uint16_t *)row + i);
    if (dtype == GLA_DTYPE_F16)
        return v_load_f16((const uint16_t *)row + i);
    if (dtype == GLA_DTYPE_I8)
        return v_load_i8((const int8_t *)row + i);
    if (dtype == GLA_DTYPE_I4) {
        const size_t g = i / GLA__I4_GROUP, at = i % GLA__I4_GROUP;
        const uint16_t *a = (const uint16_t *)(const void *)(w->aux + r * w->aux_stride) + 2 * g;
        const vf q = v_load_i4((const uint8_t *)row + g * (GLA__I4_GROUP / 2), at & 15, at >= 16);

        return v_fma(q, v_set1_f16(a), v_set1_f16(a + 1));
    }
    return v_load((const float *)row + i);
}

/* The last n < V_WIDTH weights of row r, the rest 0.  Never int4, whose rows are whole groups. */
V_INLINE vf load_weights_n(const uint32_t dtype, const gla__weight_rows *w, size_t r, size_t i,
                           size_t n)
{
    const size_t size = dtype == GLA_DTYPE_I8 ? 1 : 2;
    char part[2 * GLA__SIMD] = {0};
    const gla__weight_rows one = {part, NULL, 0, 0};

    if (dtype == GLA_DTYPE_I4)
        return v_zero();
    if (dtype == GLA_DTYPE_F32)
        return v_load_n((const float *)(const void *)(w->data + r * w->stride) + i, n);
    memcpy(part, w->data + r * w->stride + i * size, n * size);
    return load_weights(dtype, &one, 0, 0);
}

V_INLINE float row_scale(const uint32_t dtype, const gla__weight_rows *w, size_t r)
{
    float scale = 1.0f;

    if (dtype == GLA_DTYPE_I8)
        memcpy(&scale, w->aux + r * w->aux_stride, sizeof(scale));
    return scale;
}

/* ---- dot: R rows of w with M rows of x, two sums each along the row ---- */

V_INLINE void dot_block_f32(const uint32_t dtype, const size_t R, const size_t M,
                            const gla__weight_rows *w, size_t first, size_t in, const char *x_,
                            size_t pitch, pass p, float *y, size_t ld_y)
{
    const float *x = (const float *)(const void *)x_;
    const size_t ld_x = pitch / sizeof(float), size = dtype == GLA_DTYPE_F32 ? 4 : 2;
    vf sum[2][4][4];
    size_t i = 0;

    V_UNROLL
    for (size_t r = 0; r < R; r++) {
        V_UNROLL
        for (size_t m = 0; m < M; m++)
            sum[0][r][m] = sum[1][r][m] = v_zero();
    }
    for (; i + 2 * V_WIDTH <= in; i += 2 * V_WIDTH) {
        if (R > 1)
            fetch_ahead(R, w, first, i * size, 2 * V_WIDTH * size, p);
        V_UNROLL
        for (size_t u = 0; u < 2; u++) {
            V_UNROLL
            for (size_t r = 0; r < R; r++) {
                const vf a = load_weights(dtype, w, first + r, i + u * V_WIDTH);

                V_UNROLL
                for (size_t m = 0; m < M; m++) {
                    vf *s = &sum[M > 2 ? 0 : u][r][m]; /* enough of them from M = 3 on */

                    *s = v_fma(a, v_load(x + m * ld_x + i + u * V_WIDTH), *s);
                }
            }
        }
    }
    for (; i + V_WIDTH <= in; i += V_WIDTH) {
        for (size_t r = 0; r < R; r++) {
            const vf a = load_weights(dtype, w, first + r, i);

            for (size_t m = 0; m < M; m++)
                sum[0][r][m] = v_fma(a, v_load(x + m * ld_x + i), sum[0][r][m]);
        }
    }
    if (i < in) {
        for (size_t r = 0; r < R; r++) {
            const vf a = load_weights_n(dtype, w, first + r, i, in - i);

            for (size_t m = 0; m < M; m++)
                sum[0][r][m] = v_fma(a, v_load_n(x + m * ld_x + i, in - i), sum[0][r][m]);
        }
    }
    V_UNROLL
    for (size_t r = 0; r < R; r++) {
        V_UNROLL
        for (size_t m = 0; m < M; m++) {
            const vf s = M > 2 ? sum[0][r][m] : v_add(sum[0][r][m], sum[1][r][m]);

            y[m * ld_y + first + r] = v_hsum(s);
        }
    }
}

/* Rows of w at a time, as registers allow.  One row of x has the most to gain from memory being
 * read in order, and too little work for fetch_ahead() unless weights are small. */
#if GLA__SIMD == 16
#define DOT_ROWS(dtype, m) ((m) > 1 || (dtype) >= GLA_DTYPE_I8 ? 4 : 1)
#elif GLA__SIMD == 8
#define DOT_ROWS(dtype, m) ((m) > 2 ? 2 : (m) > 1 ? 3 : (dtype) >= GLA_DTYPE_I8 ? 4 : 1)
#else
#define DOT_ROWS(dtype, m) 1
#endif

V_INLINE void dot_block(const uint32_t dtype, const size_t R, const size_t M,
                        const gla__weight_rows *w, size_t first, size_t in, const char *x,
                        size_t pitch, pass p, float *y, size_t ld_y)
{
    if (dtype == GLA_DTYPE_I8)
        dot_block_i8(R, M, w, first, in, x, pitch, p, y, ld_y);
    else if (dtype == GLA_DTYPE_I4)
        dot_block_i4(R, M, w, first, in, x, pitch, p, y, ld_y);
    else
        dot_block_f32(dtype, R, M, w, first, in, x, pitch, p, y, ld_y);
}

V_INLINE void dot_rows(const uint32_t dtype, const size_t M, const gla__weight_rows *w,
                       size_t first, size_t n, size_t in, const char *x, size_t pitch, pass p,
                       float *y, size_t ld_y)
{
    size_t o = first;

    for (; o + DOT_ROWS(dtype, M) <= first + n; o += DOT_ROWS(dtype, M))
        dot_block(dtype, DOT_ROWS(dtype, M), M, w, o, in, x, pitch, p, y, ld_y);
    for (; o < first + n; o++)
        dot_block(dtype, 1, M, w, o, in, x, pitch, p, y, ld_y);
}

/* Weights in blocks that stay in a near cache while all rows of x pass, four by four: small blocks
 * as long as memory is what takes time, larger ones when reading x does. */
V_INLINE void dot_all(const uint32_t dtype, const gla__weight_rows *w, size_t n, size_t in,
                      const char *x, size_t pitch, size_t m, float *y, size_t ld_y)
{
    const size_t block = m <= 4 ? n : m <= 16 ? 4 : dtype == GLA_DTYPE_I4 ? 48 : 12;
    pass p = {0, (m + 3) / 4};

    for (size_t o = 0; o < n; o += block) {
        const size_t count = n - o < block ? n - o : block;
        size_t r = 0;

        for (p.i = 0; r + 4 <= m; r += 4, p.i++)
            dot_rows(dtype, 4, w, o, count, in, x + r * pitch, pitch, p, y + r * ld_y, ld_y);
        if (m - r == 3)
            dot_rows(dtype, 3, w, o, count, in, x + r * pitch, pitch, p, y + r * ld_y, ld_y);
        else if (m - r == 2)
            dot_rows(dtype, 2, w, o, count, in, x + r * pitch, pitch, p, y + r * ld_y, ld_y);
        else if (m - r == 1)
            dot_rows(dtype, 1, w, o, count, in, x + r * pitch, pitch, p, y + r * ld_y, ld_y);
    }
}

/* ---- expand ---- */

V_INLINE void expand_all(const uint32_t dtype, const gla__weight_rows *w, size_t n, size_t in,
                         float *panel)
{
    for (size_t i = 0; i < in; i += V_WIDTH) {
        const size_t columns = in - i < V_WIDTH ? in - i : V_WIDTH;

        for (size_t o = 0; o < GLA__PANEL_COLUMNS; o += V_WIDTH) {
            vf t[GLA__SIMD];

            V_UNROLL
            for (size_t r = 0; r < V_WIDTH; r++) {
                if (o + r >= n)
                    t[r] = v_zero();
                else if (columns == V_WIDTH)
                    t[r] = load_weights(dtype, w, o + r, i);
                else
                    t[r] = load_weights_n(dtype, w, o + r, i, columns);
            }
            v_transpose(t);
            V_UNROLL
            for (size_t c = 0; c < V_WIDTH; c++) {
                if (c < columns)
                    v_store(panel + (i + c) * GLA__PANEL_COLUMNS + o, t[c]);
            }
        }
    }
}

/* ---- row ---- */

V_INLINE void row_all(const uint32_t dtype, const gla__weight_rows *w, size_t in, float *y)
{
    const vf scale = v_set1(row_scale(dtype, w, 0));
    size_t i = 0;

    for (; i + V_WIDTH <= in; i += V_WIDTH)
        v_store(y + i, v_mul(scale, load_weights(dtype, w, 0, i)));
    if (i < in)
        v_store_n(y + i, v_mul(scale, load_weights_n(dtype, w, 0, i, in - i)), in - i);
}

/* ---- one function per dtype ---- */

#define DOT_AND_ROW(name, dtype)                                                                   \
    static void dot_##name(const gla__weight_rows *w, size_t n, size_t in, const void *x,          \
                           size_t pitch, size_t m, float *y, size_t ld_y)                          \
    {                                                                                              \
        dot_all(dtype, w, n, in, x, pitch, m, y, ld_y);                                            \
    }                                                                                              \
    static void row_##name(const gla__weight_rows *w, size_t in, float *y)                         \
    {                                                                                              \
        row_all(dtype, w, in, y);                                                                  \
    }
#define EXPAND(name, dtype)                                                                        \
    static void expand_##name(const gla__weight_rows *w, size_t n, size_t in, float *panel)        \
    {                                                                                              \
        expand_all(dtype, w, n, in, panel);                                                        \
    }
DOT_AND_ROW(f32, GLA_DTYPE_F32)
DOT_AND_ROW(bf16, GLA_DTYPE_BF16)
DOT_AND_ROW(f16, GLA_DTYPE_F16)
DOT_AND_ROW(i8, GLA_DTYPE_I8)
DOT_AND_ROW(i4, GLA_DTYPE_I4)
EXPAND(f32, GLA_DTYPE_F32)
EXPAND(bf16, GLA_DTYPE_BF16)
EXPAND(f16, GLA_DTYPE_F16)
#undef DOT_AND_ROW
#undef EXPAND

const gla__linear_kernels GLA__KERNELS = {
    {NULL, dot_f32, dot_bf16, dot_f16, dot_i8, dot_i4},
    {NULL, NULL, NULL, NULL, quantise_i8, quantise_i4},
    {NULL, expand_f32, expand_bf16, expand_f16, NULL, NULL},
    {NULL, row_f32, row_bf16, row_f16, row_i8, row_i4},
    zero_sums,
    dequantise,
    GLA__SIMD == 16,
};
