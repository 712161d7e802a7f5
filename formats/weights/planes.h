/* SPDX-License-Identifier: Apache-2.0
 *
 * planes.h - floats taken apart by byte, so that the exponents stand alone
 *
 * A number is rotated left by one bit: the sign goes to the bottom and the exponent fills the top
 * byte (of bf16 and f32; of f16 with three bits of the fraction).  Plane i then holds byte i of
 * every number, the lowest first.  Trained weights have few different exponents: that plane
 * compresses to a third, the others are noise.
 */
#ifndef GLA_FORMATS_WEIGHTS_PLANES_H
#define GLA_FORMATS_WEIGHTS_PLANES_H

#include <stddef.h>
#include <stdint.h>

typedef struct gla__planes {
    /* numbers: n of them, of 2 or 4 bytes, anyhow aligned; planes: 2 or 4 pointers to n bytes */
    void (*split2)(const uint8_t *numbers, size_t n, uint8_t *const *planes);
    void (*split4)(const uint8_t *numbers, size_t n, uint8_t *const *planes);
    void (*merge2)(const uint8_t *const *planes, size_t n, uint8_t *numbers);
    void (*merge4)(const uint8_t *const *planes, size_t n, uint8_t *numbers);
} gla__planes;

/* For this processor (GLA_CPU lowers it). */
const gla__planes *gla__planes_get(void);

extern const gla__planes gla__planes_c, gla__planes_avx2, gla__planes_avx512;

#endif
