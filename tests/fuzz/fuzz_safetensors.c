/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors: the length before the header is set right in every second input, so that what is
 * behind it is reached. */
#include "formats/weights/safetensors.h"

#include "base/bytes.h"
#include "fuzz/weights_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gla_weights *w = fuzz_weights(gla__safetensors_open, data, size, 0);

    gla_weights_free(w);
    if (size > 8) { /* the header ends at its last brace */
        uint8_t *sealed = malloc(size);
        size_t end = size;

        PROMISE(sealed);
        memcpy(sealed, data, size);
        while (end > 8 && sealed[end - 1] != '}')
            end--;
        gla__store_u64(sealed, end - 8);
        w = fuzz_weights(gla__safetensors_open, sealed, size, 0);
        gla_weights_free(w);
        free(sealed);
    }
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static const struct {
        const char *header;
        size_t data;
    } seeds[] = {
        {"{}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", 16},
        {"{\"__metadata__\":{\"format\":\"pt\"},\"b.w\":{\"dtype\":\"BF16\",\"shape\":[4],"
         "\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]},"
         "\"c\":{\"dtype\":\"U8\",\"shape\":[0,3],\"data_offsets\":[16,16]}}   ",
         16},
    };
    size_t n;

    if (i >= sizeof(seeds) / sizeof(seeds[0]))
        return 0;
    n = fuzz_text(seeds[i].header, out + 8, capacity - 8);
    gla__store_u64(out, n);
    memset(out + 8 + n, 7, seeds[i].data);
    return 8 + n + seeds[i].data;
}
