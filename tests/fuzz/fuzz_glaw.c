/* SPDX-License-Identifier: Apache-2.0
 *
 * glaw, three ways, as the first byte says: the bytes as they are; with the header sealed again; or
 * an index in JSON, NUL, then data, put together into a file whose header and index are right, so
 * that what the index says is all there is to distrust.
 */
#include "formats/weights/glaw.h"

#include <xxhash.h>
#include <zstd.h>

#include "base/bytes.h"
#include "fuzz/weights_target.h"

enum {
    HEADER = 64,
    AT_INDEX = 16,
    AT_STORED = 24,
    AT_RAW = 32,
    AT_INDEX_HASH = 40,
    AT_SIZE = 48,
    AT_HASH = 56
};

static void begin(uint8_t *file)
{
    memset(file, 0, HEADER);
    memcpy(file, "\x89glaw\r\n\x1a", 8);
    gla__store_u32(file + 8, 1);
    gla__store_u32(file + 12, 64);
}

/* Index and data into a file; returns its size. */
static size_t put_together(const uint8_t *index, size_t n_index, const uint8_t *rest, size_t n_rest,
                           uint8_t *file, size_t capacity)
{
    size_t stored;

    begin(file);
    memcpy(file + HEADER, rest, n_rest);
    stored = ZSTD_compress(file + HEADER + n_rest, capacity - HEADER - n_rest, index, n_index, 1);
    PROMISE(!ZSTD_isError(stored));
    gla__store_u64(file + AT_INDEX, HEADER + n_rest);
    gla__store_u64(file + AT_STORED, stored);
    gla__store_u64(file + AT_RAW, n_index);
    gla__store_u64(file + AT_INDEX_HASH, XXH3_64bits(index, n_index));
    gla__store_u64(file + AT_SIZE, HEADER + n_rest + stored);
    gla__store_u64(file + AT_HASH, XXH3_64bits(file, AT_HASH));
    return HEADER + n_rest + stored;
}

static void look_beside(const gla_weights *w)
{
    size_t n;

    (void)gla__glaw_family(w);
    (void)gla__glaw_metadata(w, "a");
    (void)gla__glaw_config(w, &n);
    for (uint32_t i = 0; i < gla__glaw_n_files(w); i++) {
        const char *header = NULL;

        PROMISE(gla__glaw_file(w, i, &header, &n));
    }
    for (uint32_t i = 0; i < gla_weights_count(w); i++) {
        const gla_tensor_info *info = gla_weights_info(w, i);
        uint64_t first, count, sum = 0;

        for (uint32_t p = 0; p < gla__glaw_n_pieces(w, info); p++) {
            PROMISE(gla__glaw_piece(w, info, p, &first, &count));
            sum += count;
        }
        PROMISE(!sum || sum == info->n_elements);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint32_t mode = size ? data[0] % 3 : 0;
    const uint8_t *end;
    uint8_t *file;
    size_t n;
    gla_weights *w;

    if (!size)
        return 0;
    data++;
    size--;
    n = size + HEADER + ZSTD_compressBound(size);
    file = malloc(n);
    PROMISE(file);
    end = memchr(data, 0, size);
    if (mode == 2 && end) {
        n = put_together(data, (size_t)(end - data), end + 1, size - (size_t)(end - data) - 1, file,
                         n);
    } else {
        memcpy(file, data, size);
        n = size;
        if (mode && size >= HEADER)
            gla__store_u64(file + AT_HASH, XXH3_64bits(file, AT_HASH));
    }
    w = fuzz_weights(gla__glaw_open, file, n, mode);
    if (w)
        look_beside(w);
    gla_weights_free(w);
    free(file);
    return 0;
}

#define TENSOR                                                                                     \
    "{\"name\":\"t\",\"dtype\":\"u8\",\"shape\":[8],\"chunks\":[[64,8,4,\"0000000000000000\"],["   \
    "72,8,"                                                                                        \
    "4,\"0000000000000000\"]]}"

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static const char *const indexes[] = {
        "{\"tensors\":[" TENSOR "]}",
        "{\"family\":\"x\",\"metadata\":{\"a\":\"b\"},\"source\":{\"config\":\"{}\",\"files\":[{"
        "\"name\":\"m\",\"header\":\"{}\"}]},\"tensors\":[{\"name\":\"t\",\"dtype\":\"bf16\","
        "\"shape\":["
        "4],\"pieces\":[[\"a\",0,1],[\"b\",9,3]],\"chunks\":[[64,16,8,\"0000000000000000\"]]}]}"};
    static const uint8_t stored[] = {4, 0, 0, 0x80, 'a', 'b', 'c', 'd',
                                     4, 0, 0, 0x80, 'e', 'f', 'g', 'h'};
    static const uint8_t planes[] = {4,   0,   0,   0x80, 4,   0,   0,   0x80,
                                     'a', 'b', 'c', 'd',  'e', 'f', 'g', 'h'};
    const uint8_t *rest = i % 2 ? planes : stored;
    size_t n;

    if (i > 5)
        return 0;
    out[0] = (uint8_t)(i / 2);
    if (out[0] == 2) {
        n = fuzz_text(indexes[i % 2], out + 1, capacity - 64);
        out[1 + n] = 0;
        memcpy(out + 2 + n, rest, 16);
        return n + 18;
    }
    return 1 + put_together((const uint8_t *)indexes[i % 2], strlen(indexes[i % 2]), rest, 16,
                            out + 1, capacity - 1);
}
