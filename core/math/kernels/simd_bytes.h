/* SPDX-License-Identifier: Apache-2.0
 *
 * simd_bytes.h - products of 8-bit numbers, for the width that GLA__SIMD says (see simd.h)
 *
 * vb is V_BYTES = 4 * V_WIDTH bytes, vi V_WIDTH 32-bit integers: one for each 4 bytes.  All sums
 * are exact.  The widest kind needs AVX-512 VNNI.  vb_load_n() touches the first n < V_BYTES bytes
 * only; the rest reads as 0.
 */
#ifndef GLA_MATH_KERNELS_SIMD_BYTES_H
#define GLA_MATH_KERNELS_SIMD_BYTES_H

#include "math/kernels/simd.h"

#define V_BYTES (4 * V_WIDTH)

#if GLA__SIMD == 1

typedef struct vb {
    uint8_t at[4];
} vb;
typedef int32_t vi;

static inline vb vb_load(const void *p)
{
    vb a;

    memcpy(&a, p, sizeof(a));
    return a;
}
static inline vb vb_load_n(const void *p, size_t n)
{
    vb a = {{0}};

    memcpy(&a, p, n);
    return a;
}
static inline vb vb_set1(uint8_t a)
{
    return (vb){{a, a, a, a}};
}
/* The lower and the upper 4 bits of each byte, as 0 .. 15. */
static inline vb vb_low(vb a)
{
    for (size_t i = 0; i < 4; i++)
        a.at[i] &= 15;
    return a;
}
static inline vb vb_high(vb a)
{
    for (size_t i = 0; i < 4; i++)
        a.at[i] >>= 4;
    return a;
}
static inline vi vi_zero(void)
{
    return 0;
}
static inline vi vi_sub(vi a, vi b)
{
    return a - b;
}
static inline vf vi_to_f32(vi a)
{
    return (float)a;
}
static inline int32_t vi_hsum(vi a)
{
    return a;
}
/* sum + q . x for q in 0 .. 15 and signed x */
static inline vi vi_dot_i4(vi sum, vb q, vb x)
{
    for (size_t i = 0; i < 4; i++)
        sum += q.at[i] * (int8_t)x.at[i];
    return sum;
}
/* sum + (x - 128) . w, where x lies 128 above what it means and w is signed; or sum + x . w, and
 * vi_zero_i8(sum, w) what is to be taken away then, or zero. */
static inline vi vi_dot_i8(vi sum, vb x, vb w)
{
    for (size_t i = 0; i < 4; i++)
        sum += (x.at[i] - 128) * (int8_t)w.at[i];
    return sum;
}
static inline vi vi_zero_i8(vi sum, vb w)
{
    (void)w;
    return sum;
}
/* aux: pairs {f16 scale, f16 minimum} of int4 groups of 32, 16 bytes each.  The scale of the group
 * that each 4 bytes of the j-th vector of such bytes belong to; j counts within 8 groups. */
static inline vf v_i4_scales(const uint16_t *aux, size_t j)
{
    return gla__f16_f32(aux[2 * (j / 4)]);
}

#elif GLA__SIMD == 8

typedef __m256i vb, vi;

static inline vb vb_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
static inline vb vb_load_n(const void *p, size_t n)
{
    char some[32] = {0};

    memcpy(some, p, n);
    return vb_load(some);
}
static inline vb vb_set1(uint8_t a)
{
    return _mm256_set1_epi8((char)a);
}
static inline vb vb_low(vb a)
{
    return _mm256_and_si256(a, _mm256_set1_epi8(15));
}
static inline vb vb_high(vb a)
{
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
}
static inline vi vi_zero(void)
{
    return _mm256_setzero_si256();
}
static inline vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
static inline vf vi_to_f32(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
static inline int32_t vi_hsum(vi a)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
/* The pairs that vpmaddubsw adds stay within 16 bits: 2 * 15 * 128, and 2 * 128 * 127 below. */
static inline vi vi_dot_i4(vi sum, vb q, vb x)
{
    const __m256i pairs = _mm256_maddubs_epi16(q, x);

    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline vi vi_dot_i8(vi sum, vb x, vb w)
{
    const __m256i meant = _mm256_xor_si256(x, _mm256_set1_epi8(-128)); /* x - 128, above -128 */
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(meant, w));

    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline vi vi_zero_i8(vi sum, vb w)
{
    (void)w;
    return sum;
}
static inline vf v_i4_scales(const uint16_t *aux, size_t j)
{
    const __m256 pairs = v_load_f16(aux + 8 * (j / 2));

    return j % 2 ? _mm256_permutevar8x32_ps(pairs, _mm256_setr_epi32(4, 4, 4, 4, 6, 6, 6, 6))
                 : _mm256_permutevar8x32_ps(pairs, _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2));
}

#elif GLA__SIMD == 16

typedef __m512i vb, vi;

static inline vb vb_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
static inline vb vb_load_n(const void *p, size_t n)
{
    return _mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, p);
}
static inline vb vb_set1(uint8_t a)
{
    return _mm512_set1_epi8((char)a);
}
static inline vb vb_low(vb a)
{
    return _mm512_and_si512(a, _mm512_set1_epi8(15));
}
static inline vb vb_high(vb a)
{
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}
static inline vi vi_zero(void)
{
    return _mm512_setzero_si512();
}
static inline vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
static inline vf vi_to_f32(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
static inline int32_t vi_hsum(vi a)
{
    return _mm512_reduce_add_epi32(a);
}
static inline vi vi_dot_i4(vi sum, vb q, vb x)
{
    return _mm512_dpbusd_epi32(sum, q, x);
}
static inline vi vi_dot_i8(vi sum, vb x, vb w)
{
    return _mm512_dpbusd_epi32(sum, x, w);
}
static inline vi vi_zero_i8(vi sum, vb w)
{
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), w); /* as unsigned: 128 */
}
static inline vf v_i4_scales(const uint16_t *aux, size_t j)
{
    const __m512 pairs = v_load_f16(aux);

    return j % 2 ? _mm512_permutexvar_ps(_mm512_setr_epi32(8, 8, 8, 8, 10, 10, 10, 10, 12, 12, 12,
                                                           12, 14, 14, 14, 14),
                                         pairs)
                 : _mm512_permutexvar_ps(
                       _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6), pairs);
}

#endif

#endif
