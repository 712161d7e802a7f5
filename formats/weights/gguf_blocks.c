/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_blocks.c - the quantised types of gguf, as ggml defines their blocks
 *
 * "Legacy" types have blocks of 32 numbers, k-quants of 256 in groups of 16 or 32 whose scales (and
 * minima) are small integers themselves.  A number is scale * q - minimum.
 */
#include "base/half.h"
#include "formats/weights/gguf_file.h"

static float half_at(const uint8_t *p)
{
    return gla__f16_f32((uint16_t)(p[0] | p[1] << 8));
}

static uint32_t bit(const uint8_t *bits, size_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

/* ---- blocks of 32 ---- */

/* 16 bytes: low halves are numbers 0 to 15, high halves 16 to 31; a fifth bit of each may follow
 * from elsewhere. */
static void expand_nibbles(const uint8_t *q, const uint8_t *fifth, float scale, int zero, float add,
                           float *out)
{
    for (size_t i = 0; i < 16; i++) {
        const uint32_t low = (q[i] & 15u) | (fifth ? bit(fifth, i) << 4 : 0);
        const uint32_t high = (q[i] >> 4) | (fifth ? bit(fifth, i + 16) << 4 : 0);

        out[i] = scale * (float)((int)low - zero) + add;
        out[i + 16] = scale * (float)((int)high - zero) + add;
    }
}

static void expand_q4_0(const uint8_t *b, float *out)
{
    expand_nibbles(b + 2, NULL, half_at(b), 8, 0, out);
}

static void expand_q4_1(const uint8_t *b, float *out)
{
    expand_nibbles(b + 4, NULL, half_at(b), 0, half_at(b + 2), out);
}

static void expand_q5_0(const uint8_t *b, float *out)
{
    expand_nibbles(b + 6, b + 2, half_at(b), 16, 0, out);
}

static void expand_q5_1(const uint8_t *b, float *out)
{
    expand_nibbles(b + 8, b + 4, half_at(b), 0, half_at(b + 2), out);
}

static void expand_q8_0(const uint8_t *b, float *out)
{
    const float d = half_at(b);

    for (size_t i = 0; i < 32; i++)
        out[i] = d * (float)(int8_t)b[2 + i];
}

/* ---- blocks of 256 ---- */

/* Two bits each, 16 groups of 16: 64 bytes hold two halves of 128 numbers, four to a byte, 32
 * apart. */
static uint32_t two_bits(const uint8_t *q, size_t i)
{
    return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3u;
}

static void expand_q2_k(const uint8_t *b, float *out)
{
    const uint8_t *scales = b, *q = b + 16;
    const float d = half_at(b + 80), dmin = half_at(b + 82);

    for (size_t i = 0; i < 256; i++) {
        const uint8_t s = scales[i / 16];

        out[i] = d * (float)(s & 15) * (float)two_bits(q, i) - dmin * (float)(s >> 4);
    }
}

/* The third bit, where it is not set, means -4.  Scales have 6 bits: the low four of 16, then the
 * high two. */
static void expand_q3_k(const uint8_t *b, float *out)
{
    const uint8_t *third = b, *q = b + 32, *scales = b + 96;
    const float d = half_at(b + 108);

    for (size_t i = 0; i < 256; i++) {
        const size_t g = i / 16;
        const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
        const int high = scales[8 + g % 4] >> g / 4 * 2 & 3;
        const int value = (int)two_bits(q, i) - (third[i % 32] >> i / 32 & 1 ? 0 : 4);

        out[i] = d * (float)((low | high << 4) - 32) * (float)value;
    }
}

/* Scale and minimum of 6 bits of group g of 8: the first four stand in the low bits of 8 bytes; of
 * the others four bits are in the last 4 bytes, and two above the former's. */
static void group_scale(const uint8_t *s, size_t g, float *scale, float *minimum)
{
    const int first = g < 4;

    *scale = (float)(first ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4);
    *minimum = (float)(first ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4);
}

/* Q4_K, and with a fifth bit Q5_K: 8 groups of 32; 32 bytes hold two groups. */
static void expand_q45_k(const uint8_t *b, const uint8_t *fifth, const uint8_t *q, float *out)
{
    const float d = half_at(b), dmin = half_at(b + 2);

    for (size_t g = 0; g < 8; g++) {
        float scale, minimum;

        group_scale(b + 4, g, &scale, &minimum);
        scale *= d;
        minimum *= dmin;
        for (size_t i = 0; i < 32; i++) {
            const uint32_t low = q[g / 2 * 32 + i] >> g % 2 * 4 & 15u;
            const uint32_t high = fifth ? fifth[i] >> g & 1u : 0;

            out[g * 32 + i] = scale * (float)(low | high << 4) - minimum;
        }
    }
}

static void expand_q4_k(const uint8_t *b, float *out)
{
    expand_q45_k(b, NULL, b + 16, out);
}

static void expand_q5_k(const uint8_t *b, float *out)
{
    expand_q45_k(b, b + 16, b + 48, out);
}

/* Halves of 128 numbers: the low four bits of 64 bytes, then their high four; of each number two
 * more bits; 16 scales of 8 bits. */
static void expand_q6_k(const uint8_t *b, float *out)
{
    const uint8_t *low = b, *high = b + 128, *scales = b + 192;
    const float d = half_at(b + 208);

    for (size_t i = 0; i < 256; i++) {
        const size_t half = i / 128, at = i % 128;
        const int four = low[half * 64 + at % 64] >> at / 64 * 4 & 15;
        const int two = (int)two_bits(high, i);

        out[i] = d * (float)(int8_t)scales[i / 16] * (float)((four | two << 4) - 32);
    }
}

/* ---- all of them ---- */

static const gla__gguf_blocks kinds[] = {{2, 32, 18, expand_q4_0},    {3, 32, 20, expand_q4_1},
                                         {6, 32, 22, expand_q5_0},    {7, 32, 24, expand_q5_1},
                                         {8, 32, 34, expand_q8_0},    {10, 256, 84, expand_q2_k},
                                         {11, 256, 110, expand_q3_k}, {12, 256, 144, expand_q4_k},
                                         {13, 256, 176, expand_q5_k}, {14, 256, 210, expand_q6_k}};

const gla__gguf_blocks *gla__gguf_blocks_of(uint32_t type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}
