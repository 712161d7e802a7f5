/* SPDX-License-Identifier: Apache-2.0
 *
 * simd.h - one vocabulary for vector code of three widths
 *
 * A kernel is written once, in a header k_NAME.h, and compiled three times:
 *
 *     k_NAME_c.c        #define GLA__SIMD 1      plain C, what the others are tested against
 *     k_NAME_avx2.c     #define GLA__SIMD 8
 *     k_NAME_avx512.c   #define GLA__SIMD 16
 *
 * vf is V_WIDTH floats, vm one truth value for each.  Loads and stores are unaligned; those ending
 * in _n touch the first n < V_WIDTH numbers only (the rest reads as 0), so that
 *
 *     for (; i + V_WIDTH <= n; i += V_WIDTH)  body with v_load
 *     if (i < n)                              body with v_load_n(p + i, n - i)
 *
 * needs no scalar tail.  v_min(a, b) and v_max(a, b) return b when a comparison is undefined, so
 * put the constant first to let a NaN through.
 */
#ifndef GLA_MATH_KERNELS_SIMD_H
#define GLA_MATH_KERNELS_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/half.h"

#ifndef GLA__SIMD
#error "define GLA__SIMD as 1, 8 or 16 before including simd.h"
#endif
#define V_WIDTH ((size_t)GLA__SIMD)

/* Kernels written as a function of constants (rows, columns, dtype): inline it, V_UNROLL the loops
 * over the constants, and arrays of vf live in registers. */
#define V_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define V_UNROLL _Pragma("unroll")
#else
#define V_UNROLL _Pragma("GCC unroll 32")
#endif

#if GLA__SIMD == 1

typedef float vf;
typedef int vm;

static inline vf v_set1(float a)
{
    return a;
}
static inline vf v_load(const float *p)
{
    return *p;
}
static inline vf v_load_n(const float *p, size_t n)
{
    return n ? *p : 0.0f;
}
static inline void v_store(float *p, vf a)
{
    *p = a;
}
static inline void v_store_n(float *p, vf a, size_t n)
{
    if (n)
        *p = a;
}
static inline vf v_load_bf16(const uint16_t *p)
{
    return gla__bf16_f32(*p);
}
static inline vf v_load_f16(const uint16_t *p)
{
    return gla__f16_f32(*p);
}
/* all lanes */
static inline vf v_set1_f16(const uint16_t *p)
{
    return gla__f16_f32(*p);
}
/* To the nearest number that f16 holds. */
static inline vf v_round_f16(vf a)
{
    return gla__f16_f32(gla__f32_f16(a));
}
static inline vf v_load_i8(const int8_t *p)
{
    return (float)*p;
}
/* 8 bits of whole numbers 0 .. 255 */
static inline void v_store_u8(uint8_t *p, vf a)
{
    *p = a == a ? (uint8_t)a : 0;
}
/* a - b as f32 */
static inline vf v_load_i32_minus(const int32_t *a, const int32_t *b)
{
    return (float)(*a - *b);
}
static inline vf v_add(vf a, vf b)
{
    return a + b;
}
static inline vf v_sub(vf a, vf b)
{
    return a - b;
}
static inline vf v_mul(vf a, vf b)
{
    return a * b;
}
static inline vf v_div(vf a, vf b)
{
    return a / b;
}
/* a * b + c */
static inline vf v_fma(vf a, vf b, vf c)
{
    return a * b + c;
}
/* c - a * b */
static inline vf v_fnma(vf a, vf b, vf c)
{
    return c - a * b;
}
static inline vf v_min(vf a, vf b)
{
    return a < b ? a : b;
}
static inline vf v_max(vf a, vf b)
{
    return a > b ? a : b;
}
static inline vf v_sqrt(vf a)
{
    return sqrtf(a);
}
static inline vf v_abs(vf a)
{
    return fabsf(a);
}
/* |a| with the sign of s */
static inline vf v_copysign(vf a, vf s)
{
    return copysignf(a, s);
}
static inline vf v_round(vf a)
{
    return rintf(a);
}
static inline vm v_lt(vf a, vf b)
{
    return a < b;
}
static inline vm v_gt(vf a, vf b)
{
    return a > b;
}
static inline vf v_select(vm m, vf yes, vf no)
{
    return m ? yes : no;
}
static inline float v_hsum(vf a)
{
    return a;
}
static inline float v_hmax(vf a)
{
    return a;
}
/* a * 2^n, n a whole number within [-252, 254]; the steps keep denormal results right */
static inline vf v_scale2(vf a, vf n)
{
    const int32_t whole = n == n ? (int32_t)n : 0, half = whole >> 1, rest = whole - half;
    const uint32_t u = (uint32_t)(half + 127) << 23, v = (uint32_t)(rest + 127) << 23;
    float f, g;

    memcpy(&f, &u, sizeof(f));
    memcpy(&g, &v, sizeof(g));
    return a * f * g;
}
/* Weights 0 .. 15 or, with high set, 16 .. 31 of an int4 group of 32; V_WIDTH of them from at. */
static inline vf v_load_i4(const uint8_t *group, size_t at, int high)
{
    return (float)(high ? group[at] >> 4 : group[at] & 15);
}
/* The square r[i][j] becomes r[j][i]. */
static inline void v_transpose(vf *r)
{
    (void)r;
}

#elif GLA__SIMD == 8

#include <immintrin.h>

typedef __m256 vf;
typedef __m256 vm;

static inline __m256i v_mask8(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf v_set1(float a)
{
    return _mm256_set1_ps(a);
}
static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline vf v_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, v_mask8(n));
}
static inline void v_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
static inline void v_store_n(float *p, vf a, size_t n)
{
    _mm256_maskstore_ps(p, v_mask8(n), a);
}
static inline vf v_load_bf16(const uint16_t *p)
{
    const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)p);

    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
static inline vf v_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vf v_set1_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_set1_epi16((int16_t)*p));
}
static inline vf v_round_f16(vf a)
{
    return _mm256_cvtph_ps(_mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
static inline vf v_load_i8(const int8_t *p)
{
    const __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)p);

    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b));
}
static inline void v_store_u8(uint8_t *p, vf a)
{
    const __m256i i = _mm256_cvtps_epi32(a);
    const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));

    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(h, h));
}
static inline vf v_load_i32_minus(const int32_t *a, const int32_t *b)
{
    const __m256i i = _mm256_loadu_si256((const __m256i *)(const void *)a),
                  j = _mm256_loadu_si256((const __m256i *)(const void *)b);

    return _mm256_cvtepi32_ps(_mm256_sub_epi32(i, j));
}
static inline vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
static inline vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static inline vf v_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
static inline vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline vf v_copysign(vf a, vf s)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);

    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, s));
}
static inline vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vm v_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
static inline vm v_gt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
static inline vf v_select(vm m, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, m);
}
static inline float v_hsum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_hmax(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline vf v_scale2(vf a, vf n)
{
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1),
                  rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    const __m256i u = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23),
                  v = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);

    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(u)), _mm256_castsi256_ps(v));
}
static inline vf v_load_i4(const uint8_t *group, size_t at, int high)
{
    const __m256i b =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(group + at)));

    return _mm256_cvtepi32_ps(high ? _mm256_srli_epi32(b, 4)
                                   : _mm256_and_si256(b, _mm256_set1_epi32(15)));
}
V_INLINE void v_transpose(vf *r)
{
    vf a[8], b[8];

    V_UNROLL
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    V_UNROLL
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

#elif GLA__SIMD == 16

#include <immintrin.h>

typedef __m512 vf;
typedef __mmask16 vm;

static inline __mmask16 v_mask16(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}
static inline vf v_set1(float a)
{
    return _mm512_set1_ps(a);
}
static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline vf v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(v_mask16(n), p);
}
static inline void v_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
static inline void v_store_n(float *p, vf a, size_t n)
{
    _mm512_mask_storeu_ps(p, v_mask16(n), a);
}
static inline vf v_load_bf16(const uint16_t *p)
{
    const __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);

    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
static inline vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vf v_set1_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_set1_epi16((int16_t)*p));
}
static inline vf v_round_f16(vf a)
{
    return _mm512_cvtph_ps(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
static inline vf v_load_i8(const int8_t *p)
{
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);

    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b));
}
static inline void v_store_u8(uint8_t *p, vf a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}
static inline vf v_load_i32_minus(const int32_t *a, const int32_t *b)
{
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(a), _mm512_loadu_si512(b)));
}
static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
static inline vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
static inline vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
static inline vf v_abs(vf a)
{
    return _mm512_abs_ps(a);
}
static inline vf v_copysign(vf a, vf s)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);

    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, s));
}
static inline vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vm v_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
static inline vm v_gt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
static inline vf v_select(vm m, vf yes, vf no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}
static inline float v_hsum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
static inline float v_hmax(vf a)
{
    return _mm512_reduce_max_ps(a);
}
static inline vf v_scale2(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}
static inline vf v_load_i4(const uint8_t *group, size_t at, int high)
{
    const __m512i b =
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(group + at)));

    return _mm512_cvtepi32_ps(high ? _mm512_srli_epi32(b, 4)
                                   : _mm512_and_si512(b, _mm512_set1_epi32(15)));
}
V_INLINE void v_transpose(vf *r)
{
    vf a[16], b[16];

    V_UNROLL
    for (int i = 0; i < 8; i++) {
        a[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    V_UNROLL
    for (int i = 0; i < 16; i += 4) { /* b[4 q + j]: column j of each 4x4 block of rows 4 q */
        b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    V_UNROLL
    for (int j = 0; j < 4; j++) { /* then the 4x4 blocks of 128 bits */
        const vf even_top = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88),
                 odd_top = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd),
                 even_low = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88),
                 odd_low = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);

        r[j] = _mm512_shuffle_f32x4(even_top, even_low, 0x88);
        r[8 + j] = _mm512_shuffle_f32x4(even_top, even_low, 0xdd);
        r[4 + j] = _mm512_shuffle_f32x4(odd_top, odd_low, 0x88);
        r[12 + j] = _mm512_shuffle_f32x4(odd_top, odd_low, 0xdd);
    }
}

#else
#error "GLA__SIMD must be 1, 8 or 16"
#endif

static inline vf v_zero(void)
{
    return v_set1(0.0f);
}

/* ---- functions, at most 2 units in the last place unless said otherwise ---- */

/* e^x; 0 below -104, infinity above 88.73, denormal results included. */
static inline vf v_exp(vf x)
{
    const vf low = v_set1(-110.0f), high = v_set1(100.0f);
    vf n, r, p;

    x = v_max(low, v_min(high, x)); /* constants first: NaN stays NaN */
    n = v_round(v_mul(x, v_set1(1.44269504f)));
    r = v_fnma(n, v_set1(0.693359375f), x); /* log 2 in two parts, the first exact times n */
    r = v_fnma(n, v_set1(-2.12194440e-4f), r);
    p = v_set1(1.9875691500e-4f);
    p = v_fma(p, r, v_set1(1.3981999507e-3f));
    p = v_fma(p, r, v_set1(8.3334519073e-3f));
    p = v_fma(p, r, v_set1(4.1665795894e-2f));
    p = v_fma(p, r, v_set1(1.6666665459e-1f));
    p = v_fma(p, r, v_set1(5.0000001201e-1f));
    p = v_add(v_fma(p, v_mul(r, r), r), v_set1(1.0f));
    return v_scale2(p, n);
}

/* log(1 + t) for t in [0, 1], by the series of 2 atanh(t / (2 + t)). */
static inline vf v_log1p_unit(vf t)
{
    const vf s = v_div(t, v_add(t, v_set1(2.0f)));
    const vf z = v_mul(s, s);
    vf p = v_set1(1.0f / 17.0f);

    p = v_fma(p, z, v_set1(1.0f / 15.0f));
    p = v_fma(p, z, v_set1(1.0f / 13.0f));
    p = v_fma(p, z, v_set1(1.0f / 11.0f));
    p = v_fma(p, z, v_set1(1.0f / 9.0f));
    p = v_fma(p, z, v_set1(1.0f / 7.0f));
    p = v_fma(p, z, v_set1(1.0f / 5.0f));
    p = v_fma(p, z, v_set1(1.0f / 3.0f));
    p = v_mul(p, z);
    return v_mul(v_set1(2.0f), v_fma(p, s, s));
}

/* 1 / (1 + e^-x), 3 ulp */
static inline vf v_sigmoid(vf x)
{
    const vf one = v_set1(1.0f);

    return v_div(one, v_add(one, v_exp(v_sub(v_zero(), x))));
}

/* log(1 + e^x), 3 ulp; to the last bit x for large x */
static inline vf v_softplus(vf x)
{
    return v_add(v_max(v_zero(), x), v_log1p_unit(v_exp(v_sub(v_zero(), v_abs(x)))));
}

static inline vf v_tanh(vf x)
{
    const vf a = v_abs(x), z = v_mul(x, x), one = v_set1(1.0f);
    const vf e = v_exp(v_add(a, a));
    const vf far = v_sub(one, v_div(v_set1(2.0f), v_add(e, one)));
    vf p = v_set1(-5.70498872745e-3f);

    p = v_fma(p, z, v_set1(2.06390887954e-2f));
    p = v_fma(p, z, v_set1(-5.37397155531e-2f));
    p = v_fma(p, z, v_set1(1.33314422036e-1f));
    p = v_fma(p, z, v_set1(-3.33332819422e-1f));
    p = v_fma(v_mul(p, z), x, x);
    return v_select(v_lt(a, v_set1(0.625f)), p, v_copysign(far, x));
}

/* The normal distribution: erfc(-x / sqrt 2) / 2.  Relative error below 1e-6 for |x| < 3, growing
 * as x^2 in the far tail, where the value is tiny. */
static inline vf v_normal_cdf(vf x)
{
    const vf a = v_abs(x), one = v_set1(1.0f), half = v_set1(0.5f);
    const vf z = v_mul(a, v_set1(0.70710678f)), q = v_mul(z, z);
    const vf w = v_div(one, v_max(v_set1(0.5f), z)), w2 = v_mul(w, w);
    vf near = v_set1(7.853861353153693e-5f), mid = v_set1(2.326819970068386e-2f),
       far = v_set1(-1.047766399936249e+1f), tail, lower;

    near = v_fma(near, q, v_set1(-8.010193625184903e-4f));
    near = v_fma(near, q, v_set1(5.188327685732524e-3f));
    near = v_fma(near, q, v_set1(-2.685381193529856e-2f));
    near = v_fma(near, q, v_set1(1.128358514861418e-1f));
    near = v_fma(near, q, v_set1(-3.761262582423300e-1f));
    near = v_fma(near, q, v_set1(1.128379165726710e+0f));
    near = v_mul(near, z); /* erf z, z < 1 */

    mid = v_fma(mid, w2, v_set1(-1.387039388740657e-1f));
    mid = v_fma(mid, w2, v_set1(3.687424674597105e-1f));
    mid = v_fma(mid, w2, v_set1(-5.824733027278666e-1f));
    mid = v_fma(mid, w2, v_set1(6.210004621745983e-1f));
    mid = v_fma(mid, w2, v_set1(-4.944515323274145e-1f));
    mid = v_fma(mid, w2, v_set1(3.404879937665872e-1f));
    mid = v_fma(mid, w2, v_set1(-2.741127028184656e-1f));
    mid = v_fma(mid, w2, v_set1(5.638259427386472e-1f));

    far = v_fma(far, w2, v_set1(1.297719955372516e+1f));
    far = v_fma(far, w2, v_set1(-7.495518717768503e+0f));
    far = v_fma(far, w2, v_set1(2.921019019210786e+0f));
    far = v_fma(far, w2, v_set1(-1.015265279202700e+0f));
    far = v_fma(far, w2, v_set1(4.218463358204948e-1f));
    far = v_fma(far, w2, v_set1(-2.820767439740514e-1f));
    far = v_fma(far, w2, v_set1(5.641895067754075e-1f));

    tail = v_select(v_lt(z, v_set1(2.0f)), mid, far); /* erfc z = e^-z^2 / z * tail, z >= 1 */
    tail = v_mul(v_mul(v_exp(v_sub(v_zero(), q)), w), tail);
    tail = v_select(v_lt(z, one), v_sub(one, near), tail);
    tail = v_mul(half, tail); /* of |x|: the upper tail */
    lower = v_sub(one, tail);
    /* no comparison is true of NaN; z is NaN and so are tail and lower */
    return v_select(v_gt(x, v_zero()), lower, tail);
}

#endif
