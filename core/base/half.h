/* SPDX-License-Identifier: Apache-2.0
 *
 * half.h - bf16 and f16 numbers, one at a time
 *
 * The exact meaning of the 16-bit types; kernels have vector forms of the same.  Conversion to
 * 16 bits rounds to nearest, ties to even; NaN stays NaN.
 */
#ifndef GLA_BASE_HALF_H
#define GLA_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float gla__bits_f32(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline uint32_t gla__f32_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline float gla__bf16_f32(uint16_t h)
{
    return gla__bits_f32((uint32_t)h << 16);
}

static inline uint16_t gla__f32_bf16(float x)
{
    const uint32_t bits = gla__f32_bits(x);

    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u); /* NaN: keep it one */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline float gla__f16_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 0x1fu;
    const uint32_t fraction = h & 0x3ffu;

    if (exponent == 0x1f)
        return gla__bits_f32(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) { /* zero and denormals: fraction * 2^-24, exact */
        const float x = (float)fraction * 0x1p-24f;

        return sign ? -x : x;
    }
    return gla__bits_f32(sign | (exponent + 112u) << 23 | fraction << 13);
}

static inline uint16_t gla__f32_f16(float x)
{
    const uint32_t bits = gla__f32_bits(x), sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: the sum leaves the rounded fraction at the end */
        const float shifted = gla__bits_f32(magnitude) + 0.5f;

        return (uint16_t)(sign | (gla__f32_bits(shifted) - 0x3f000000u));
    }
    return (uint16_t)(sign | ((magnitude + 0xfffu + (magnitude >> 13 & 1u)) - 0x38000000u) >> 13);
}

#endif
