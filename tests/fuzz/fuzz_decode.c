/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding: the first byte chooses the tokenizer, then ids of two bytes; stream = whole. */
#include "fuzz/tokenizers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gla_tokenizer *tokenizers[FUZZ_TOKENIZERS];
    int32_t ids[512];
    size_t n = 0;

    if (!tokenizers[0])
        for (int i = 0; i < FUZZ_TOKENIZERS; i++)
            PROMISE(!gla_tokenizer_parse(fuzz_tokenizers[i], strlen(fuzz_tokenizers[i]), "built in",
                                         &tokenizers[i], NULL));
    if (!size)
        return 0;
    for (size_t i = 1; i + 1 < size && n < 512; i += 2) /* -16 and up: wrong ones too */
        ids[n++] = data[i + 1] < 0xf0 ? data[i] % 12 - 1 : (int32_t)((uint32_t)data[i] << 24);
    fuzz_decode(tokenizers[data[0] % FUZZ_TOKENIZERS], ids, n, data[0] >> 7);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    if (i >= 6 || capacity < 64)
        return 0;
    for (uint32_t k = 0; k < 33; k++)
        out[k] = (uint8_t)(k ? (k * (7 + i)) % 240 : i);
    return 33;
}
