/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding: the first byte chooses the tokenizer and flags, the rest is text. */
#include "fuzz/tokenizers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gla_tokenizer *tokenizers[FUZZ_TOKENIZERS];

    if (!tokenizers[0])
        for (int i = 0; i < FUZZ_TOKENIZERS; i++)
            PROMISE(!gla_tokenizer_parse(fuzz_tokenizers[i], strlen(fuzz_tokenizers[i]), "built in",
                                         &tokenizers[i], NULL));
    if (size)
        fuzz_encode(tokenizers[data[0] % FUZZ_TOKENIZERS], (const char *)data + 1, size - 1,
                    data[0] / FUZZ_TOKENIZERS % 4);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static const char *const texts[] = {"Hello, world!  It's 2026.\n\tthe\xc2\xa0"
                                        "end",
                                        "caf\xc3\xa9 e\xcc\x81 \xe4\xbd\xa0\xe5\xa5\xbd "
                                        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",
                                        "<|end|><s> new line  ab abab \xff\xfe \xc3",
                                        "aaaaaaaaaaaaaaaa"};

    if (i >= 12)
        return 0;
    out[0] = (uint8_t)i;
    return 1 + fuzz_text(texts[i % 4], out + 1, capacity - 1);
}
