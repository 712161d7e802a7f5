/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON: what is read, printed and read again is the same; so is its second print. */
#include "formats/text/json.h"

#include "base/alloc.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = NULL, *again = NULL;
    size_t n = 0, m = 0;
    json_t *a = NULL, *b = NULL;
    gla_diag diag = {0};
    gla_status st = gla__json_parse((const char *)data, size, 1 << 20, "input", &a, &diag);

    fuzz_check_diag(st, &diag);
    PROMISE(!st == (a != NULL));
    if (!st && !gla__json_print(a, &text, &n, &diag)) {
        PROMISE(!gla__json_parse(text, n, UINT64_MAX, "print", &b, &diag));
        PROMISE(!gla__json_print(b, &again, &m, &diag));
        PROMISE(n == m && !memcmp(text, again, n));
    }
    gla__free(text);
    gla__free(again);
    json_decref(a);
    json_decref(b);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static const char *const seeds[] = {
        "{}",
        "[]",
        "{\"a\":1,\"b\":[1.5,-2e10,true,false,null,\"x\\u00e9\\n\"],\"c\":{\"d\":{}}}",
        "[[[[[[[[[[1]]]]]]]]]]",
        "{\"a\":\"\\ud83d\\ude00\",\"a\":2}",
        "[9223372036854775807,1e308]"};

    return i < sizeof(seeds) / sizeof(seeds[0]) ? fuzz_text(seeds[i], out, capacity) : 0;
}
