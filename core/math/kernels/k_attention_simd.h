/* SPDX-License-Identifier: Apache-2.0
 *
 * k_attention_simd.h - the loops of k_attention.h for vectors; see simd.h
 *
 * Prefill has many rows a page: keys are transposed and values expanded to f32 once, in a panel,
 * and both products run as blocks of TILE_ROWS x TILE_VECTORS sums in registers.  Decode has a few
 * rows and is bound by memory: it reads the page once, converting as it goes.
 */
#include "math/kernels/k_attention.h"
#include "math/kernels/simd.h"

#define PAGE         GLA__KV_PAGE_TOKENS
#define TILE_ROWS    6u
#define TILE_VECTORS (GLA__SIMD == 16 ? 4u : 2u) /* so that sums and operands fit the registers */
#define DIRECT_ROWS  8u                          /* up to so many, no panel */
#define DIRECT_KEYS  4u
/* Steps of a tile between two times that what is read next is asked for: with numbers of so many
 * bytes read in place, and with a panel, whose tiles are many. */
#define DIRECT_EVERY(bytes) (256u / (TILE_VECTORS * GLA__SIMD * (bytes)))
#define PANEL_EVERY         32u

/* dtype, rows and vectors are constants where these are called. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define UNROLL        _Pragma("GCC unroll 8")

/* ---- loading ---- */

ALWAYS_INLINE vf load(uint32_t dtype, const void *p, size_t at)
{
    if (dtype == GLA_DTYPE_F32)
        return v_load((const float *)p + at);
    if (dtype == GLA_DTYPE_BF16)
        return v_load_bf16((const uint16_t *)p + at);
    return v_load_i8((const int8_t *)p + at);
}

/* The first n < V_WIDTH, then zeros. */
static vf load_tail(uint32_t dtype, const void *p, size_t at, size_t n)
{
    float x[V_WIDTH] = {0};

    for (size_t i = 0; i < n; i++)
        x[i] = dtype == GLA_DTYPE_F32    ? ((const float *)p)[at + i]
               : dtype == GLA_DTYPE_BF16 ? gla__bf16_f32(((const uint16_t *)p)[at + i])
                                         : (float)((const int8_t *)p)[at + i];
    return v_load(x);
}

ALWAYS_INLINE size_t width(uint32_t dtype)
{
    return dtype == GLA_DTYPE_F32 ? 4 : dtype == GLA_DTYPE_BF16 ? 2 : 1;
}

/* Asks for the next line of each stream. */
ALWAYS_INLINE void fetch(gla__soon *soon)
{
    const size_t at = soon->asked;

    if (at >= soon->bytes)
        return;
    UNROLL
    for (int i = 0; i < 4; i++)
        _mm_prefetch(soon->at[i] + at, _MM_HINT_T0);
    soon->asked = at + 64;
}

/* ---- storing ---- */

/* The first n < V_WIDTH + 1 of a, rounded to nearest, ties to even; NaN stays NaN. */
static void store_bf16(uint16_t *p, vf a, size_t n)
{
    uint16_t y[16];
#if GLA__SIMD == 16
    const __m512i u = _mm512_castps_si512(a), last = _mm512_srli_epi32(u, 16);
    const __m512i round =
        _mm512_add_epi32(_mm512_and_si512(last, _mm512_set1_epi32(1)), _mm512_set1_epi32(0x7fff));
    const __m512i r = _mm512_srli_epi32(_mm512_add_epi32(u, round), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_or_si512(last, _mm512_set1_epi32(0x40));

    _mm256_storeu_si256((__m256i *)(void *)y,
                        _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(nan, r, quiet)));
#else
    const __m256i u = _mm256_castps_si256(a), last = _mm256_srli_epi32(u, 16);
    const __m256i round =
        _mm256_add_epi32(_mm256_and_si256(last, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    const __m256i r = _mm256_srli_epi32(_mm256_add_epi32(u, round), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(last, _mm256_set1_epi32(0x40));
    const __m256i z = _mm256_blendv_epi8(r, quiet, nan);

    _mm_storeu_si128((__m128i *)(void *)y,
                     _mm_packus_epi32(_mm256_castsi256_si128(z), _mm256_extracti128_si256(z, 1)));
#endif
    memcpy(p, y, n * sizeof(*y));
}

/* The first n < V_WIDTH + 1 of a, whole numbers in [-127, 127]. */
static void store_i8(int8_t *p, vf a, size_t n)
{
    int8_t y[16];
#if GLA__SIMD == 16
    _mm_storeu_si128((__m128i *)(void *)y, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
#else
    const __m256i z = _mm256_cvtps_epi32(a);
    const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(z), _mm256_extracti128_si256(z, 1));

    _mm_storel_epi64((__m128i *)(void *)y, _mm_packs_epi16(h, h));
#endif
    memcpy(p, y, n);
}

static void quantise(int8_t *y, float *scale, const float *x, size_t n)
{
    const vf low = v_set1(-127), high = v_set1(127);
    vf largest = v_zero(), spoiled = v_zero(), inverse;
    float most;

    for (size_t i = 0; i < n; i += V_WIDTH) {
        const vf a = n - i < V_WIDTH ? v_load_n(x + i, n - i) : v_load(x + i);

        largest = v_max(v_abs(a), largest);
        spoiled = v_fma(a, v_zero(), spoiled);
    }
    most = v_hmax(largest);
    *scale = most / 127 + v_hsum(spoiled);
    inverse = v_set1(most > 0 ? 127 / most : 0);
    for (size_t i = 0; i < n; i += V_WIDTH) {
        const size_t some = n - i < V_WIDTH ? n - i : V_WIDTH;
        const vf a = some < V_WIDTH ? v_load_n(x + i, some) : v_load(x + i);

        store_i8(y + i, v_round(v_min(v_max(v_mul(a, inverse), low), high)), some);
    }
}

static void store(const gla__kv_rows *rows, uint32_t token, const float *x)
{
    const size_t n = rows->dim, at = token * n;

    if (rows->dtype == GLA_DTYPE_I8)
        quantise((int8_t *)rows->data + at, rows->scale + token, x, n);
    else if (rows->dtype == GLA_DTYPE_F32)
        memcpy((float *)rows->data + at, x, n * sizeof(*x));
    else
        for (size_t i = 0; i < n; i += V_WIDTH) {
            const size_t some = n - i < V_WIDTH ? n - i : V_WIDTH;

            store_bf16((uint16_t *)rows->data + at + i,
                       some < V_WIDTH ? v_load_n(x + i, some) : v_load(x + i), some);
        }
}

/* ---- panels ---- */

/* x[i] becomes column i. */
ALWAYS_INLINE void transpose(vf x[V_WIDTH])
{
#if GLA__SIMD == 16
    __m512 y[16];

    UNROLL
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 16; i += 4) {
        x[i] = _mm512_shuffle_ps(y[i], y[i + 2], 0x44);
        x[i + 1] = _mm512_shuffle_ps(y[i], y[i + 2], 0xee);
        x[i + 2] = _mm512_shuffle_ps(y[i + 1], y[i + 3], 0x44);
        x[i + 3] = _mm512_shuffle_ps(y[i + 1], y[i + 3], 0xee);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        y[i] = _mm512_shuffle_f32x4(x[i], x[i + 4], 0x88);
        y[i + 4] = _mm512_shuffle_f32x4(x[i], x[i + 4], 0xdd);
        y[i + 8] = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0x88);
        y[i + 12] = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0xdd);
    }
    UNROLL
    for (int i = 0; i < 8; i++) {
        x[i] = _mm512_shuffle_f32x4(y[i], y[i + 8], 0x88);
        x[i + 8] = _mm512_shuffle_f32x4(y[i], y[i + 8], 0xdd);
    }
#else
    __m256 y[8];

    UNROLL
    for (int i = 0; i < 8; i += 2) {
        y[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
        y[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        x[i] = _mm256_shuffle_ps(y[i], y[i + 2], 0x44);
        x[i + 1] = _mm256_shuffle_ps(y[i], y[i + 2], 0xee);
        x[i + 2] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0x44);
        x[i + 3] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0xee);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        y[i] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x20);
        y[i + 4] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x31);
    }
    UNROLL
    for (int i = 0; i < 8; i++)
        x[i] = y[i];
#endif
}

/* panel [dim][PAGE]: the keys as columns, zeros after n */
ALWAYS_INLINE void transpose_as(uint32_t dtype, const gla__kv_rows *keys, uint32_t n, float *panel)
{
    const uint32_t dim = keys->dim;

    for (uint32_t j = 0; j < PAGE; j += V_WIDTH)
        for (uint32_t i = 0; i < dim; i += V_WIDTH) {
            const uint32_t columns = dim - i < V_WIDTH ? dim - i : (uint32_t)V_WIDTH;
            vf x[V_WIDTH];

            UNROLL
            for (uint32_t t = 0; t < V_WIDTH; t++) {
                const size_t at = (size_t)(j + t) * dim + i;

                x[t] = j + t >= n           ? v_zero()
                       : columns == V_WIDTH ? load(dtype, keys->data, at)
                                            : load_tail(dtype, keys->data, at, columns);
            }
            transpose(x);
            for (uint32_t t = 0; t < columns; t++)
                v_store(panel + (size_t)(i + t) * PAGE + j, x[t]);
        }
}

/* panel [n][ld]: the first dim numbers of each value, zeros up to a full vector */
ALWAYS_INLINE void expand_as(uint32_t dtype, const gla__kv_rows *values, uint32_t n, uint32_t dim,
                             float *panel, size_t ld)
{
    for (uint32_t j = 0; j < n; j++) {
        const size_t at = (size_t)j * values->dim;
        uint32_t i = 0;

        for (; i + V_WIDTH <= dim; i += V_WIDTH)
            v_store(panel + j * ld + i, load(dtype, values->data, at + i));
        if (i < dim)
            v_store(panel + j * ld + i, load_tail(dtype, values->data, at + i, dim - i));
    }
}

/* ---- products ---- */

/* c[r][] = c[r][] * factor[r] + sum over t < k of a[r][t] b[t][], without factor 0 + ...
 * Asks for four lines of what is read next after each `every` steps. */
ALWAYS_INLINE void tile(uint32_t dtype, uint32_t rows, uint32_t vectors, const float *a,
                        size_t ld_a, const void *b, size_t at, size_t ld_b, uint32_t k,
                        const float *factor, gla__soon *soon, uint32_t every, float *c, size_t ld_c)
{
    vf sum[TILE_ROWS][TILE_VECTORS], x[TILE_VECTORS];

    UNROLL
    for (uint32_t r = 0; r < rows; r++)
        UNROLL
    for (uint32_t v = 0; v < vectors; v++)
        sum[r][v] =
            factor ? v_mul(v_set1(factor[r]), v_load(c + r * ld_c + v * V_WIDTH)) : v_zero();
    for (uint32_t t = 0; t < k; t++, at += ld_b) {
        if (t % every == 0)
            fetch(soon);
        UNROLL
        for (uint32_t v = 0; v < vectors; v++)
            x[v] = load(dtype, b, at + v * V_WIDTH);
        UNROLL
        for (uint32_t r = 0; r < rows; r++) {
            const vf y = v_set1(a[r * ld_a + t]);

            UNROLL
            for (uint32_t v = 0; v < vectors; v++)
                sum[r][v] = v_fma(y, x[v], sum[r][v]);
        }
    }
    UNROLL
    for (uint32_t r = 0; r < rows; r++)
        UNROLL
    for (uint32_t v = 0; v < vectors; v++)
        v_store(c + r * ld_c + v * V_WIDTH, sum[r][v]);
}

/* tile() for any number of rows */
ALWAYS_INLINE void column(uint32_t dtype, uint32_t rows, uint32_t vectors, const float *a,
                          size_t ld_a, const void *b, size_t at, size_t ld_b, uint32_t k,
                          const float *factor, gla__soon *soon, uint32_t every, float *c,
                          size_t ld_c)
{
#define TILE(n) tile(dtype, n, vectors, a, ld_a, b, at, ld_b, k, factor, soon, every, c, ld_c)
    for (; rows >= TILE_ROWS; rows -= TILE_ROWS) {
        TILE(TILE_ROWS);
        a += TILE_ROWS * ld_a;
        c += TILE_ROWS * ld_c;
        factor = factor ? factor + TILE_ROWS : NULL;
    }
    switch (rows) {
    case 5:
        TILE(5);
        break;
    case 4:
        TILE(4);
        break;
    case 3:
        TILE(3);
        break;
    case 2:
        TILE(2);
        break;
    case 1:
        TILE(1);
        break;
    default:
        break;
    }
#undef TILE
}

/* y[t] = the sum of the numbers of x[t], for four of them */
ALWAYS_INLINE void store_sums(float *y, const vf x[4])
{
#if GLA__SIMD == 16
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
    const __m512 all =
        _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
#else
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(x[0], x[1]), _mm256_unpackhi_ps(x[0], x[1]));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(x[2], x[3]), _mm256_unpackhi_ps(x[2], x[3]));
    const __m256 half =
        _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
#endif
    _mm_storeu_ps(y, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}

/* s[r][j + t] = q_r . key_(j + t) for four rows at most and four keys, without a panel.  A key
 * after the last one is the last one again. */
ALWAYS_INLINE void dots(uint32_t dtype, uint32_t rows, const float *q, size_t ld_q,
                        const gla__kv_rows *keys, uint32_t j, uint32_t n, float *s)
{
    const uint32_t dim = keys->dim;
    vf sum[4][DIRECT_KEYS];
    size_t at[DIRECT_KEYS];
    uint32_t i = 0;

    UNROLL
    for (uint32_t t = 0; t < DIRECT_KEYS; t++)
        at[t] = (size_t)(j + t < n ? j + t : n - 1) * dim;
    UNROLL
    for (uint32_t r = 0; r < rows; r++)
        UNROLL
    for (uint32_t t = 0; t < DIRECT_KEYS; t++)
        sum[r][t] = v_zero();
    for (; i + V_WIDTH <= dim; i += V_WIDTH)
        UNROLL
    for (uint32_t t = 0; t < DIRECT_KEYS; t++) {
        const vf x = load(dtype, keys->data, at[t] + i);

        UNROLL
        for (uint32_t r = 0; r < rows; r++)
            sum[r][t] = v_fma(v_load(q + r * ld_q + i), x, sum[r][t]);
    }
    if (i < dim)
        UNROLL
    for (uint32_t t = 0; t < DIRECT_KEYS; t++) {
        const vf x = load_tail(dtype, keys->data, at[t] + i, dim - i);

        UNROLL
        for (uint32_t r = 0; r < rows; r++)
            sum[r][t] = v_fma(v_load(q + r * ld_q + i), x, sum[r][t]);
    }
    UNROLL
    for (uint32_t r = 0; r < rows; r++)
        store_sums(s + r * PAGE + j, sum[r]);
}

ALWAYS_INLINE void dots_of_keys(uint32_t dtype, uint32_t rows, const float *q, size_t ld_q,
                                const gla__kv_rows *keys, uint32_t j, uint32_t n, float *s)
{
    for (; rows >= 4; rows -= 4, q += 4 * ld_q, s += 4 * PAGE)
        dots(dtype, 4, q, ld_q, keys, j, n, s);
    if (rows == 3)
        dots(dtype, 3, q, ld_q, keys, j, n, s);
    else if (rows == 2)
        dots(dtype, 2, q, ld_q, keys, j, n, s);
    else if (rows == 1)
        dots(dtype, 1, q, ld_q, keys, j, n, s);
}

ALWAYS_INLINE void scores_as(uint32_t dtype, const float *q, size_t ld_q, uint32_t rows,
                             const gla__kv_rows *keys, uint32_t n, gla__soon *soon, float *panel,
                             float *s)
{
    const size_t bytes = DIRECT_KEYS * keys->dim * width(dtype);

    if (rows > DIRECT_ROWS) {
        transpose_as(dtype, keys, n, panel);
        return;
    }
    for (uint32_t j = 0; j < n; j += DIRECT_KEYS) {
        for (size_t i = 0; i < bytes; i += sizeof(soon->at) / sizeof(soon->at[0]) * 64)
            fetch(soon);
        dots_of_keys(dtype, rows, q, ld_q, keys, j, n, s);
    }
}

/* Asks as fast as it reads, or slowly when data is a panel. */
ALWAYS_INLINE void values_as(uint32_t dtype, const float *p, uint32_t rows, const void *data,
                             size_t ld, uint32_t n, uint32_t dim, const float *factor,
                             gla__soon *soon, uint32_t every, float *o, size_t ld_o)
{
    uint32_t i = 0;

    for (; i + TILE_VECTORS * V_WIDTH <= dim; i += (uint32_t)(TILE_VECTORS * V_WIDTH))
        column(dtype, rows, TILE_VECTORS, p, PAGE, data, i, ld, n, factor, soon, every, o + i,
               ld_o);
    for (; i < dim; i += (uint32_t)V_WIDTH)
        column(dtype, rows, 1, p, PAGE, data, i, ld, n, factor, soon, every, o + i, ld_o);
}

/* ---- the table ---- */

static void multiply_columns(float *s, uint32_t rows, const float *scale, uint32_t n)
{
    for (uint32_t r = 0; r < rows; r++, s += PAGE) {
        uint32_t j = 0;

        for (; j + V_WIDTH <= n; j += V_WIDTH)
            v_store(s + j, v_mul(v_load(s + j), v_load(scale + j)));
        if (j < n)
            v_store_n(s + j, v_mul(v_load_n(s + j, n - j), v_load_n(scale + j, n - j)), n - j);
    }
}

static void scores(const float *q, size_t ld_q, uint32_t rows, const gla__kv_rows *keys, uint32_t n,
                   gla__soon *soon, float *panel, float *s)
{
    if (keys->dtype == GLA_DTYPE_F32)
        scores_as(GLA_DTYPE_F32, q, ld_q, rows, keys, n, soon, panel, s);
    else if (keys->dtype == GLA_DTYPE_BF16)
        scores_as(GLA_DTYPE_BF16, q, ld_q, rows, keys, n, soon, panel, s);
    else
        scores_as(GLA_DTYPE_I8, q, ld_q, rows, keys, n, soon, panel, s);
    if (rows > DIRECT_ROWS)
        for (uint32_t j = 0; j < n; j += (uint32_t)(TILE_VECTORS * V_WIDTH))
            column(GLA_DTYPE_F32, rows, TILE_VECTORS, q, ld_q, panel, j, PAGE, keys->dim, NULL,
                   soon, PANEL_EVERY, s + j, PAGE);
    if (keys->scale)
        multiply_columns(s, rows, keys->scale, n);
}

static float softmax(float *s, uint32_t lo, uint32_t hi, uint32_t n, float cap, float *max,
                     float *sum)
{
    vf x[PAGE / V_WIDTH], largest = v_set1(*max), total = v_zero();
    const vf none = v_set1(-INFINITY);
    float index[V_WIDTH], factor;
    (void)n; /* the whole page is written */

    for (uint32_t t = 0; t < V_WIDTH; t++)
        index[t] = (float)t;
    for (uint32_t j = 0; j < PAGE / V_WIDTH; j++) {
        const vf place = v_add(v_load(index), v_set1((float)(j * V_WIDTH)));

        x[j] = v_load(s + j * V_WIDTH);
        if (cap > 0)
            x[j] = v_mul(v_set1(cap), v_tanh(v_div(x[j], v_set1(cap))));
        x[j] = v_select(v_lt(place, v_set1((float)lo)), none, x[j]);
        x[j] = v_select(v_lt(place, v_set1((float)hi)), x[j], none);
        largest = v_max(x[j], largest);
    }
    factor = v_hmax(largest);
    largest = v_set1(factor);
    for (uint32_t j = 0; j < PAGE / V_WIDTH; j++) {
        x[j] = v_exp(v_sub(x[j], largest));
        total = v_add(total, x[j]);
        v_store(s + j * V_WIDTH, x[j]);
    }
    {
        const float former = *max;

        *max = factor;
        factor = former == factor ? 1 : expf(former - factor);
    }
    *sum = *sum * factor + v_hsum(total);
    return factor;
}

static void values(float *p, uint32_t rows, const gla__kv_rows *v, uint32_t n, uint32_t dim,
                   const float *factor, gla__soon *soon, float *panel, float *o, size_t ld_o)
{
    const int direct = rows <= DIRECT_ROWS && dim % V_WIDTH == 0;

    if (v->scale)
        multiply_columns(p, rows, v->scale, n);
    if (v->dtype == GLA_DTYPE_F32 && dim % V_WIDTH == 0) {
        values_as(GLA_DTYPE_F32, p, rows, v->data, v->dim, n, dim, factor, soon,
                  direct ? DIRECT_EVERY(4) : PANEL_EVERY, o, ld_o);
    } else if (direct && v->dtype == GLA_DTYPE_BF16) {
        values_as(GLA_DTYPE_BF16, p, rows, v->data, v->dim, n, dim, factor, soon, DIRECT_EVERY(2),
                  o, ld_o);
    } else if (direct) {
        values_as(GLA_DTYPE_I8, p, rows, v->data, v->dim, n, dim, factor, soon, DIRECT_EVERY(1), o,
                  ld_o);
    } else {
        if (v->dtype == GLA_DTYPE_F32)
            expand_as(GLA_DTYPE_F32, v, n, dim, panel, ld_o);
        else if (v->dtype == GLA_DTYPE_BF16)
            expand_as(GLA_DTYPE_BF16, v, n, dim, panel, ld_o);
        else
            expand_as(GLA_DTYPE_I8, v, n, dim, panel, ld_o);
        values_as(GLA_DTYPE_F32, p, rows, panel, ld_o, n, dim, factor, soon, PANEL_EVERY, o, ld_o);
    }
}
