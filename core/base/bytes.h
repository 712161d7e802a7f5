/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes.h - little-endian numbers in bytes, at any alignment
 */
#ifndef GLA_BASE_BYTES_H
#define GLA_BASE_BYTES_H

#include <stdint.h>

static inline uint16_t gla__load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t gla__load_u32(const uint8_t *p)
{
    return gla__load_u16(p) | (uint32_t)gla__load_u16(p + 2) << 16;
}

static inline uint64_t gla__load_u64(const uint8_t *p)
{
    return gla__load_u32(p) | (uint64_t)gla__load_u32(p + 4) << 32;
}

static inline void gla__store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void gla__store_u32(uint8_t *p, uint32_t v)
{
    gla__store_u16(p, (uint16_t)v);
    gla__store_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void gla__store_u64(uint8_t *p, uint64_t v)
{
    gla__store_u32(p, (uint32_t)v);
    gla__store_u32(p + 4, (uint32_t)(v >> 32));
}

#endif
