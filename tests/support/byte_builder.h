/* SPDX-License-Identifier: Apache-2.0
 *
 * byte_builder.h - binary files put together byte by byte, for tests
 *
 *     bytes b = {0};
 *     put_u32(&b, 3); put_text(&b, "key"); ... write_file(path, b.data, b.size);
 */
#ifndef GLA_TESTS_BYTE_BUILDER_H
#define GLA_TESTS_BYTE_BUILDER_H

#include <stdint.h>
#include <string.h>

typedef struct bytes {
    uint8_t data[16384];
    size_t size;
} bytes;

static inline void put(bytes *b, const void *data, size_t n)
{
    if (n > sizeof(b->data) - b->size)
        n = sizeof(b->data) - b->size;
    memcpy(b->data + b->size, data, n);
    b->size += n;
}

static inline void put_number(bytes *b, uint64_t v, size_t n_bytes)
{
    uint8_t le[8];

    for (size_t i = 0; i < 8; i++)
        le[i] = (uint8_t)(v >> (8 * i));
    put(b, le, n_bytes);
}

static inline void put_u32(bytes *b, uint32_t v)
{
    put_number(b, v, 4);
}

static inline void put_u64(bytes *b, uint64_t v)
{
    put_number(b, v, 8);
}

/* Length as u64, then the bytes: a string of gguf. */
static inline void put_text(bytes *b, const char *text)
{
    put_u64(b, strlen(text));
    put(b, text, strlen(text));
}

static inline void pad_to(bytes *b, size_t alignment)
{
    while (b->size % alignment)
        put(b, "", 1);
}

#endif
