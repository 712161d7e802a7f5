/* SPDX-License-Identifier: Apache-2.0
 *
 * checked.h - arithmetic that says when it does not fit
 *
 * Every number that comes from a file goes through these until it has been compared with a limit.
 * True means the result is valid.
 */
#ifndef GLA_BASE_CHECKED_H
#define GLA_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool gla__mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool gla__add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool gla__mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool gla__add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* alignment: a power of two */
static inline bool gla__align_up_u64(uint64_t x, uint64_t alignment, uint64_t *out)
{
    uint64_t sum;

    if (!gla__add_u64(x, alignment - 1, &sum))
        return false;
    *out = sum & ~(alignment - 1);
    return true;
}

static inline bool gla__align_up_size(size_t x, size_t alignment, size_t *out)
{
    size_t sum;

    if (!gla__add_size(x, alignment - 1, &sum))
        return false;
    *out = sum & ~(alignment - 1);
    return true;
}

static inline bool gla__to_size(uint64_t x, size_t *out)
{
    *out = (size_t)x;
    return *out == x;
}

#endif
