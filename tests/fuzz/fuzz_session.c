/* SPDX-License-Identifier: Apache-2.0
 *
 * Session files of a small hybrid model.  The bits of the first byte say which checksums are set
 * right again: 1 of the header, 2 of the index, 4 of the one chunk there is, so that what they
 * protect is reached.  What is loaded can be fed.
 */
#include <stdbool.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "support/feed.h"

enum { HEADER = 72, AT_INDEX_BYTES = 40, AT_INDEX_HASH = 48, AT_HASH = 64, CHUNK = 24 };

static gla_model *model(void)
{
    static const char text[] =
        "gla: 1\nname: fuzz\nvocab_size: 17\nd_model: 8\nblocks:\n"
        "  a: {mixer: {type: gla, heads: 1}}\n  b: {mixer: {type: attention, heads: 2}}\n"
        "  c: {mixer: {type: attention, heads: 1, window: 70}}\nlayers: a + b + c\n";
    static gla_model *m;

    if (!m) {
        const gla_model_options o = {GLA_SIZED(gla_model_options), .weights_dtype = GLA_DTYPE_F32,
                                     .max_batch_rows = 16, .seed = 1};
        gla_arch *arch;

        gla_set_threads(1);
        PROMISE(!gla_arch_parse(text, sizeof(text) - 1, "fuzz", &arch, NULL));
        PROMISE(!gla_model_random(arch, &o, &m, NULL));
        gla_arch_free(arch);
    }
    return m;
}

/* The last entry of the index: stored bytes, their checksum, that of the raw bytes. */
static void seal_chunk(uint8_t *entry, const uint8_t *stored, size_t n)
{
    static uint8_t raw[1 << 20];
    const size_t size = ZSTD_decompress(raw, sizeof(raw), stored, n);

    gla__store_u32(entry, (uint32_t)n);
    gla__store_u64(entry + 8, XXH3_64bits(stored, n));
    gla__store_u64(entry + 16,
                   ZSTD_isError(size) ? XXH3_64bits(stored, n) : XXH3_64bits(raw, size));
}

static void seal(uint8_t *file, size_t size, uint32_t which)
{
    const uint64_t n = size > HEADER ? gla__load_u64(file + AT_INDEX_BYTES) : 0;
    const bool whole = size > HEADER && n <= size - HEADER;

    if (which & 4 && whole && n >= CHUNK)
        seal_chunk(file + HEADER + n - CHUNK, file + HEADER + n, size - HEADER - n);
    if (which & 2 && whole)
        gla__store_u64(file + AT_INDEX_HASH, XXH3_64bits(file + HEADER, n));
    if (which & 1 && size > HEADER)
        gla__store_u64(file + AT_HASH, XXH3_64bits(file, AT_HASH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gla_session *s = NULL;
    gla_diag diag = {0};
    float logits[17];
    uint8_t *file;
    gla_status st;

    if (!size)
        return 0;
    file = malloc(size);
    PROMISE(file);
    memcpy(file, data + 1, size - 1);
    seal(file, size - 1, data[0]);
    fuzz_file(file, size - 1);
    st = gla_session_load(model(), FUZZ_FILE, NULL, &s, &diag);
    fuzz_check_diag(st, &diag);
    PROMISE(!st == (s != NULL));
    if (!st && gla_session_position(s) < 4096) {
        for (uint64_t i = 0; i < gla_session_position(s); i++)
            PROMISE(gla_session_tokens(s)[i] >= 0 && gla_session_tokens(s)[i] < 17);
        st = feed_logits(s, (const int32_t[]){3, 4}, 2, logits, &diag);
        fuzz_check_diag(st, &diag);
    }
    gla_session_free(s);
    free(file);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static const uint32_t lengths[] = {0, 3, 75}, dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_I8};
    const gla_session_options o = {GLA_SIZED(gla_session_options), .kv_dtype = dtypes[i % 2]};
    gla_session *s = NULL;
    const uint8_t *file;
    int32_t ids[80];
    float logits[17];
    size_t n;

    if (i >= 12)
        return 0;
    fuzz_file(NULL, 0);
    for (int k = 0; k < 80; k++)
        ids[k] = k * 5 % 17;
    PROMISE(!gla_session_create(model(), &o, &s, NULL));
    PROMISE(!feed_logits(s, ids, lengths[i / 2 % 3], i > 8 ? logits : NULL, NULL));
    if (i % 2) {
        PROMISE(!gla_session_mark(s, NULL));
        PROMISE(!gla_session_feed(s, ids, 2, 0, NULL));
    }
    PROMISE(!gla_session_save(s, "/fuzz/saved", NULL));
    gla_session_free(s);
    file = fuzz_written(&n);
    PROMISE(n > HEADER);
    PROMISE(n < capacity);
    out[0] = i < 6 ? 7 : 1;
    memcpy(out + 1, file, n);
    return n + 1;
}
