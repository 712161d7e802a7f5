/* SPDX-License-Identifier: Apache-2.0
 *
 * k_linear.h - kernels of linear maps, for the width that GLA_SIMD says
 *
 * All dtypes share one shape: a load that gives V_WIDTH weights as f32, and multiply-adds.  int8 is
 * loaded without its scale, which multiplies the whole sum.  Decoding is bound by memory, so the
 * extra conversions cost nothing and the activations need no rounding.
 */
#include "math/kernels/linear_kernels.h"
#include "math/kernels/simd.h"

#include <gla/plugin.h>

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
    char part[2 * GLA_SIMD] = {0};
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

V_INLINE void dot_block(const uint32_t dtype, const size_t R, const size_t M,
                        const gla__weight_rows *w, size_t first, size_t in, const float *x,
                        size_t ld_x, float *y, size_t ld_y)
{
    vf sum[2][4][4];
    size_t i = 0;

    V_UNROLL
    for (size_t r = 0; r < R; r++) {
        V_UNROLL
        for (size_t m = 0; m < M; m++)
            sum[0][r][m] = sum[1][r][m] = v_zero();
    }
    for (; i + 2 * V_WIDTH <= in; i += 2 * V_WIDTH) {
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

            y[m * ld_y + first + r] = v_hsum(s) * row_scale(dtype, w, first + r);
        }
    }
}

#if GLA_SIMD == 16
#define DOT_ROWS(m) 4 /* 32 registers */
#elif GLA_SIMD == 8
#define DOT_ROWS(m) ((m) > 2 ? 2 : (m) > 1 ? 3 : 4) /* 16 registers */
#else
#define DOT_ROWS(m) 1
#endif

V_INLINE void dot_rows(const uint32_t dtype, const size_t M, const gla__weight_rows *w,
                       size_t first, size_t n, size_t in, const float *x, size_t ld_x, float *y,
                       size_t ld_y)
{
    size_t o = first;

    for (; o + DOT_ROWS(M) <= first + n; o += DOT_ROWS(M))
        dot_block(dtype, DOT_ROWS(M), M, w, o, in, x, ld_x, y, ld_y);
    for (; o < first + n; o++)
        dot_block(dtype, 1, M, w, o, in, x, ld_x, y, ld_y);
}

/* Blocks of 12 weight rows stay in the near caches while all rows of x pass. */
V_INLINE void dot_all(const uint32_t dtype, const gla__weight_rows *w, size_t n, size_t in,
                      const float *x, size_t ld_x, size_t m, float *y, size_t ld_y)
{
    const size_t block = m > 4 ? 12 : n;

    for (size_t o = 0; o < n; o += block) {
        const size_t count = n - o < block ? n - o : block;
        size_t r = 0;

        for (; r + 4 <= m; r += 4)
            dot_rows(dtype, 4, w, o, count, in, x + r * ld_x, ld_x, y + r * ld_y, ld_y);
        if (m - r == 3)
            dot_rows(dtype, 3, w, o, count, in, x + r * ld_x, ld_x, y + r * ld_y, ld_y);
        else if (m - r == 2)
            dot_rows(dtype, 2, w, o, count, in, x + r * ld_x, ld_x, y + r * ld_y, ld_y);
        else if (m - r == 1)
            dot_rows(dtype, 1, w, o, count, in, x + r * ld_x, ld_x, y + r * ld_y, ld_y);
    }
}

/* ---- expand ---- */

V_INLINE void expand_all(const uint32_t dtype, const gla__weight_rows *w, size_t n, size_t in,
                         float *panel)
{
    for (size_t i = 0; i < in; i += V_WIDTH) {
        const size_t columns = in - i < V_WIDTH ? in - i : V_WIDTH;

        for (size_t o = 0; o < GLA__PANEL_COLUMNS; o += V_WIDTH) {
            vf t[GLA_SIMD];

            V_UNROLL
            for (size_t r = 0; r < V_WIDTH; r++) {
                if (o + r >= n)
                    t[r] = v_zero();
                else if (columns == V_WIDTH)
                    t[r] = load_weights(dtype, w, o + r, i);
                else
                    t[r] = load_weights_n(dtype, w, o + r, i, columns);
                if (dtype == GLA_DTYPE_I8 && o + r < n)
                    t[r] = v_mul(t[r], v_set1(row_scale(dtype, w, o + r)));
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

#define KERNELS(name, dtype)                                                                       \
    static void dot_##name(const gla__weight_rows *w, size_t n, size_t in, const float *x,         \
                           size_t ld_x, size_t m, float *y, size_t ld_y)                           \
    {                                                                                              \
        dot_all(dtype, w, n, in, x, ld_x, m, y, ld_y);                                             \
    }                                                                                              \
    static void expand_##name(const gla__weight_rows *w, size_t n, size_t in, float *panel)        \
    {                                                                                              \
        expand_all(dtype, w, n, in, panel);                                                        \
    }                                                                                              \
    static void row_##name(const gla__weight_rows *w, size_t in, float *y)                         \
    {                                                                                              \
        row_all(dtype, w, in, y);                                                                  \
    }
KERNELS(f32, GLA_DTYPE_F32)
KERNELS(bf16, GLA_DTYPE_BF16)
KERNELS(f16, GLA_DTYPE_F16)
KERNELS(i8, GLA_DTYPE_I8)
KERNELS(i4, GLA_DTYPE_I4)
#undef KERNELS

/* ---- activations in 8 bits ---- */

static float quantise(const float *x, size_t n, uint8_t *q)
{
    const vf zero_point = v_set1((float)GLA__I8_ZERO_POINT);
    vf top = v_zero(), spoilt = v_zero(), inverse;
    float scale;
    size_t i = 0;

    for (; i < n; i += V_WIDTH) {
        const vf a = n - i < V_WIDTH ? v_load_n(x + i, n - i) : v_load(x + i);

        top = v_max(v_abs(a), top);
        spoilt = v_fma(a, v_zero(), spoilt); /* 0, or NaN */
    }
    scale = v_hmax(top) / 127.0f;
    inverse = v_set1(scale > 0.0f ? 1.0f / scale : 0.0f);
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH)
        v_store_u8(q + i, v_round(v_fma(v_load(x + i), inverse, zero_point)));
    if (i < n) {
        uint8_t last[GLA_SIMD];

        v_store_u8(last, v_round(v_fma(v_load_n(x + i, n - i), inverse, zero_point)));
        memcpy(q + i, last, n - i);
    }
    return scale + v_hsum(spoilt);
}

static void dequantise(const int32_t *acc, const int32_t *zero, float scale_x_,
                       const float *scale_w, size_t n, int add, float *y)
{
    const vf scale_x = v_set1(scale_x_);
    size_t o = 0;

    for (; o + V_WIDTH <= n; o += V_WIDTH) {
        const vf sum = v_mul(v_load_i32_minus(acc + o, zero + o), v_load(scale_w + o));

        v_store(y + o, v_fma(sum, scale_x, add ? v_load(y + o) : v_zero()));
    }
    for (; o < n; o++)
        y[o] = (float)(acc[o] - zero[o]) * scale_w[o] * scale_x_ + (add ? y[o] : 0.0f);
}

static int32_t zero_sum(const int8_t *w, size_t n)
{
    vf s = v_zero(); /* exact: 512 * 128 is small */
    float sum;
    size_t i = 0;

    for (; i + V_WIDTH <= n; i += V_WIDTH)
        s = v_add(s, v_load_i8(w + i));
    sum = v_hsum(s);
    for (; i < n; i++)
        sum += (float)w[i];
    return GLA__I8_ZERO_POINT * (int32_t)sum;
}

const gla__linear_kernels GLA_KERNELS = {
    {NULL, dot_f32, dot_bf16, dot_f16, dot_i8, dot_i4},
    {NULL, expand_f32, expand_bf16, expand_f16, expand_i8, expand_i4},
    {NULL, row_f32, row_bf16, row_f16, row_i8, row_i4},
    quantise,
    dequantise,
    zero_sum,
};
