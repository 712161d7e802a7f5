/* SPDX-License-Identifier: Apache-2.0
 *
 * planes_body.h - the one source of planes_c.c, planes_avx2.c and planes_avx512.c
 *
 * Plain loops that the compiler turns into vectors of the width its options allow; PLANES_TABLE is
 * the name of the table to define.
 */
#include "formats/weights/planes.h"

#ifndef __clang__ /* which does it at -O2 */
#pragma GCC optimize("O3")
#endif

typedef uint16_t number16 __attribute__((aligned(1), may_alias));
typedef uint32_t number32 __attribute__((aligned(1), may_alias));

static void split2(const uint8_t *numbers, size_t n, uint8_t *const *planes)
{
    const number16 *x = (const number16 *)numbers;
    uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1];

    for (size_t i = 0; i < n; i++) {
        const uint16_t v = (uint16_t)(x[i] << 1 | x[i] >> 15);

        p0[i] = (uint8_t)v;
        p1[i] = (uint8_t)(v >> 8);
    }
}

static void merge2(const uint8_t *const *planes, size_t n, uint8_t *numbers)
{
    const uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1];
    number16 *restrict x = (number16 *)numbers;

    for (size_t i = 0; i < n; i++) {
        const uint16_t v = (uint16_t)(p0[i] | p1[i] << 8);

        x[i] = (uint16_t)(v >> 1 | v << 15);
    }
}

static void split4(const uint8_t *numbers, size_t n, uint8_t *const *planes)
{
    const number32 *x = (const number32 *)numbers;
    uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1];
    uint8_t *restrict p2 = planes[2], *restrict p3 = planes[3];

    for (size_t i = 0; i < n; i++) {
        const uint32_t v = x[i] << 1 | x[i] >> 31;

        p0[i] = (uint8_t)v;
        p1[i] = (uint8_t)(v >> 8);
        p2[i] = (uint8_t)(v >> 16);
        p3[i] = (uint8_t)(v >> 24);
    }
}

static void merge4(const uint8_t *const *planes, size_t n, uint8_t *numbers)
{
    const uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1];
    const uint8_t *restrict p2 = planes[2], *restrict p3 = planes[3];
    number32 *restrict x = (number32 *)numbers;

    for (size_t i = 0; i < n; i++) {
        const uint32_t v =
            (uint32_t)p0[i] | (uint32_t)p1[i] << 8 | (uint32_t)p2[i] << 16 | (uint32_t)p3[i] << 24;

        x[i] = v >> 1 | v << 31;
    }
}

const gla__planes PLANES_TABLE = {split2, split4, merge2, merge4};
