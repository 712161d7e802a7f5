/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json: whatever is accepted encodes and decodes. */
#include "fuzz/tokenizers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "The ab caf\xc3\xa9 isn't 12345 \xf0\x9f\x98\x80\n\n  <|end|> new line e\xcc\x81";
    gla_tokenizer *t = NULL;
    gla_diag diag = {0};
    const gla_status st = gla_tokenizer_parse((const char *)data, size, "input", &t, &diag);

    fuzz_check_diag(st, &diag);
    PROMISE(!st == (t != NULL));
    if (st)
        return 0;
    fuzz_encode(t, text, sizeof(text) - 1, GLA_ENCODE_SPECIAL);
    fuzz_encode(t, text, sizeof(text) - 1, GLA_ENCODE_PLAIN);
    for (uint32_t i = 0; i < gla_tokenizer_vocab_size(t) && i < 64; i++)
        if (gla_tokenizer_token(t, (int32_t)i))
            fuzz_decode(t, (const int32_t[]){(int32_t)i, (int32_t)i}, 2, 0);
    gla_tokenizer_free(t);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    return i < FUZZ_TOKENIZERS ? fuzz_text(fuzz_tokenizers[i], out, capacity) : 0;
}
