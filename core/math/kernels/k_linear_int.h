/* SPDX-License-Identifier: Apache-2.0
 *
 * k_linear_int.h - dot products of int8 and int4 weights with activations in 8 bits
 *
 * Sums are integers, so their order means nothing: int8 gives the same bits for any number of rows,
 * on any processor with multiply-add, and through oneDNN.  int4 differs in the last bits by vector
 * width, as f32 does.
 */
#include "math/kernels/linear_kernels.h"
#include "math/kernels/simd.h"
#include "math/kernels/simd_bytes.h"

static inline float fma_f32(float a, float b, float c)
{
#if GLA__SIMD == 1
    return a * b + c;
#else
    return __builtin_fmaf(a, b, c);
#endif
}

/* Which of several passes over the same weights this is. */
typedef struct pass {
    size_t i, n;
} pass;

/* Several rows are read at once, but memory gives most when lines are asked for in order: while one
 * block of rows is used, the one after the next is fetched, by each pass its share.  at: bytes of
 * each row read so far. */
V_INLINE void fetch_ahead(const size_t R, const gla__weight_rows *w, size_t first, size_t at,
                          const size_t bytes, pass p)
{
    const char *next = w->data + (first + 2 * R) * w->stride + at * R;

    V_UNROLL
    for (size_t i = 0; i < (bytes * R + 63) / 64; i++) {
        if (p.n == 1 || i % p.n == p.i)
            __builtin_prefetch(next + 64 * i);
    }
}

/* ---- activations in 8 bits ---- */

/* max |x| / 127, or NaN */
static float scale_of(const float *x, size_t n)
{
    vf top = v_zero(), spoilt = v_zero();

    for (size_t i = 0; i < n; i += V_WIDTH) {
        const vf a = n - i < V_WIDTH ? v_load_n(x + i, n - i) : v_load(x + i);

        top = v_max(v_abs(a), top);
        spoilt = v_fma(a, v_zero(), spoilt); /* 0, or NaN */
    }
    return v_hmax(top) / 127.0f + v_hsum(spoilt);
}

/* q = round(x / scale) + 128 */
static void quantise_some(const float *x, size_t n, float scale, uint8_t *q)
{
    const vf offset = v_set1(128.0f), inverse = v_set1(scale > 0.0f ? 1.0f / scale : 0.0f);
    size_t i = 0;

    for (; i + V_WIDTH <= n; i += V_WIDTH)
        v_store_u8(q + i, v_round(v_fma(v_load(x + i), inverse, offset)));
    if (i < n) {
        uint8_t last[GLA__SIMD];

        v_store_u8(last, v_round(v_fma(v_load_n(x + i, n - i), inverse, offset)));
        memcpy(q + i, last, n - i);
    }
}

static void quantise_i8(const float *x, size_t in, void *row)
{
    uint8_t *q = row;
    float *scale = (float *)(void *)(q + gla__x8_scales(in));

    for (size_t i = 0; i < in; i += GLA__I8_BLOCK) {
        const size_t n = in - i < GLA__I8_BLOCK ? in - i : GLA__I8_BLOCK;

        *scale = scale_of(x + i, n);
        quantise_some(x + i, n, *scale++, q + i);
    }
    memset(q + in, 128, gla__x8_scales(in) - in);
}

static void quantise_i4(const float *x, size_t in, void *row)
{
    gla__x4 *to = row;

    memset(to, 0, gla__x4_pitch(in));
    for (size_t g = 0; g < in / GLA__I4_GROUP; g++) {
        gla__x4 *b = &to[g / 8];
        const size_t k = g % 8;
        int8_t *half = b->q + k / 4 * 128 + k % 4 * 16;
        const float scale = scale_of(x + g * GLA__I4_GROUP, GLA__I4_GROUP);
        uint8_t q[GLA__I4_GROUP];
        int32_t sum = 0;

        quantise_some(x + g * GLA__I4_GROUP, GLA__I4_GROUP, scale, q);
        for (size_t i = 0; i < 16; i++) {
            half[i] = (int8_t)(q[i] - 128);
            half[64 + i] = (int8_t)(q[16 + i] - 128);
            sum += half[i] + half[64 + i];
        }
        for (size_t i = 0; i < 4; i++)
            b->scale[4 * k + i] = scale;
        b->sum[2 * k + 1] = scale * (float)sum;
    }
}

/* ---- int8 ---- */

/* Adds the products of V_BYTES inputs. */
V_INLINE void add_i8(const size_t R, const size_t M, const vb *w, const char *x, size_t pitch,
                     vi sum[4][4], vi *zero)
{
    V_UNROLL
    for (size_t r = 0; r < R; r++)
        zero[r] = vi_zero_i8(zero[r], w[r]);
    V_UNROLL
    for (size_t m = 0; m < M; m++) {
        const vb a = vb_load(x + m * pitch);

        V_UNROLL
        for (size_t r = 0; r < R; r++)
            sum[r][m] = vi_dot_i8(sum[r][m], a, w[r]);
    }
}

/* R rows of w times M rows of x, n <= GLA__I8_BLOCK inputs from `at` on. */
V_INLINE void sums_i8(const size_t R, const size_t M, const gla__weight_rows *w, size_t first,
                      size_t at, size_t n, const char *x, size_t pitch, pass p, int32_t to[4][4])
{
    const char *row = w->data + first * w->stride + at;
    vi sum[4][4], zero[4];
    vb a[4];
    size_t i = 0;

    V_UNROLL
    for (size_t r = 0; r < R; r++) {
        zero[r] = vi_zero();
        V_UNROLL
        for (size_t m = 0; m < M; m++)
            sum[r][m] = vi_zero();
    }
    for (; i + V_BYTES <= n; i += V_BYTES) {
        fetch_ahead(R, w, first, at + i, V_BYTES, p);
        V_UNROLL
        for (size_t r = 0; r < R; r++)
            a[r] = vb_load(row + r * w->stride + i);
        add_i8(R, M, a, x + at + i, pitch, sum, zero);
    }
    if (i < n) { /* x goes on with numbers that the zeros here make harmless */
        V_UNROLL
        for (size_t r = 0; r < R; r++)
            a[r] = vb_load_n(row + r * w->stride + i, n - i);
        add_i8(R, M, a, x + at + i, pitch, sum, zero);
    }
    V_UNROLL
    for (size_t r = 0; r < R; r++) {
        V_UNROLL
        for (size_t m = 0; m < M; m++)
            to[r][m] = vi_hsum(vi_sub(sum[r][m], zero[r]));
    }
}

V_INLINE void dot_block_i8(const size_t R, const size_t M, const gla__weight_rows *w, size_t first,
                           size_t in, const char *x, size_t pitch, pass p, float *y, size_t ld_y)
{
    const char *scales = x + gla__x8_scales(in);
    float total[4][4] = {{0}}, scale[4];

    for (size_t r = 0; r < R; r++)
        memcpy(&scale[r], w->aux + (first + r) * w->aux_stride, sizeof(float));
    for (size_t i = 0, k = 0; i < in; i += GLA__I8_BLOCK, k++) {
        int32_t sum[4][4];

        sums_i8(R, M, w, first, i, in - i < GLA__I8_BLOCK ? in - i : GLA__I8_BLOCK, x, pitch, p,
                sum);
        for (size_t r = 0; r < R; r++) {
            for (size_t m = 0; m < M; m++) {
                const float *of = (const float *)(const void *)(scales + m * pitch);

                total[r][m] = fma_f32((float)sum[r][m] * scale[r], of[k], total[r][m]);
            }
        }
    }
    for (size_t r = 0; r < R; r++) {
        for (size_t m = 0; m < M; m++)
            y[m * ld_y + first + r] = total[r][m];
    }
}

static void zero_sums(const gla__weight_rows *w, size_t n, size_t first, size_t count,
                      int32_t *zero)
{
    const vb one = vb_set1(129); /* what 129 means */

    for (size_t o = 0; o < n; o++) {
        const char *row = w->data + o * w->stride + first;
        vi sum = vi_zero(), taken = vi_zero();

        for (size_t i = 0; i < count; i += V_BYTES) {
            const vb a = count - i < V_BYTES ? vb_load_n(row + i, count - i) : vb_load(row + i);

            sum = vi_dot_i8(sum, one, a);
            taken = vi_zero_i8(taken, a);
        }
        zero[o] = 128 * vi_hsum(vi_sub(sum, taken));
    }
}

static void dequantise(const int32_t *acc, const int32_t *zero, float scale_x_,
                       const float *scale_w, size_t n, bool add, float *y)
{
    const vf scale_x = v_set1(scale_x_);
    size_t o = 0;

    for (; o + V_WIDTH <= n; o += V_WIDTH) {
        const vf sum = v_mul(v_load_i32_minus(acc + o, zero + o), v_load(scale_w + o));

        v_store(y + o, v_fma(sum, scale_x, add ? v_load(y + o) : v_zero()));
    }
    for (; o < n; o++)
        y[o] = fma_f32((float)(acc[o] - zero[o]) * scale_w[o], scale_x_, add ? y[o] : 0.0f);
}

/* ---- int4 ---- */

/* Adds the products of 256 inputs. */
V_INLINE void add_i4(const size_t R, const size_t M, const uint8_t *const *w,
                     const uint16_t *const *aux, const gla__x4 *const *x, vf sum[4][4])
{
    V_UNROLL
    for (size_t j = 0; j < 128 / V_BYTES; j++) {
        const size_t at = j * V_BYTES / 64 * 128 + j * V_BYTES % 64;
        vb low[4], high[4];
        vf scale[4];

        V_UNROLL
        for (size_t r = 0; r < R; r++) {
            const vb both = vb_load(w[r] + j * V_BYTES);

            low[r] = vb_low(both);
            high[r] = vb_high(both);
            scale[r] = v_i4_scales(aux[r], j);
        }
        V_UNROLL
        for (size_t m = 0; m < M; m++) {
            const vb first = vb_load(x[m]->q + at), second = vb_load(x[m]->q + at + 64);
            const vf scale_x = v_load(x[m]->scale + j * V_WIDTH);

            V_UNROLL
            for (size_t r = 0; r < R; r++) {
                const vi d = vi_dot_i4(vi_dot_i4(vi_zero(), low[r], first), high[r], second);

                sum[r][m] = v_fma(vi_to_f32(d), v_mul(scale[r], scale_x), sum[r][m]);
            }
        }
    }
    V_UNROLL
    for (size_t i = 0; i < 16; i += V_WIDTH) {
        V_UNROLL
        for (size_t r = 0; r < R; r++) {
            const vf pairs = v_load_f16(aux[r] + i);

            V_UNROLL
            for (size_t m = 0; m < M; m++)
                sum[r][m] = v_fma(pairs, v_load(x[m]->sum + i), sum[r][m]);
        }
    }
}

V_INLINE void dot_block_i4(const size_t R, const size_t M, const gla__weight_rows *w, size_t first,
                           size_t in, const char *x_, size_t pitch, pass p, float *y, size_t ld_y)
{
    const size_t whole = in / 256, rest = in % 256;
    const uint8_t *rows[4];
    const uint16_t *aux[4];
    const gla__x4 *x[4];
    vf sum[4][4];

    V_UNROLL
    for (size_t r = 0; r < R; r++) {
        rows[r] = (const uint8_t *)w->data + (first + r) * w->stride;
        aux[r] = (const uint16_t *)(const void *)(w->aux + (first + r) * w->aux_stride);
        V_UNROLL
        for (size_t m = 0; m < M; m++)
            sum[r][m] = v_zero();
    }
    V_UNROLL
    for (size_t m = 0; m < M; m++)
        x[m] = (const gla__x4 *)(const void *)(x_ + m * pitch);
    for (size_t b = 0; b < whole; b++) {
        fetch_ahead(R, w, first, b * 128, 128, p);
        add_i4(R, M, rows, aux, x, sum);
        V_UNROLL
        for (size_t r = 0; r < R; r++) {
            rows[r] += 128;
            aux[r] += 16;
        }
        V_UNROLL
        for (size_t m = 0; m < M; m++)
            x[m]++;
    }
    if (rest) {
        uint8_t last[4][128] = {{0}};
        uint16_t last_aux[4][16] = {{0}};

        for (size_t r = 0; r < R; r++) {
            memcpy(last[r], rows[r], rest / 2);
            memcpy(last_aux[r], aux[r], rest / GLA__I4_GROUP * 4);
            rows[r] = last[r];
            aux[r] = last_aux[r];
        }
        add_i4(R, M, rows, aux, x, sum);
    }
    V_UNROLL
    for (size_t r = 0; r < R; r++) {
        V_UNROLL
        for (size_t m = 0; m < M; m++)
            y[m * ld_y + first + r] = v_hsum(sum[r][m]);
    }
}
