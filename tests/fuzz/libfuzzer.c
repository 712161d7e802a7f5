/* SPDX-License-Identifier: Apache-2.0
 *
 * With libFuzzer: the target's own seeds go into the folder GLA_FUZZ_SEEDS before it is read. */
#include "fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static uint8_t seed[1 << 20];
    const char *folder = getenv("GLA_FUZZ_SEEDS");
    size_t n;

    (void)argc;
    (void)argv;
    for (uint32_t i = 0; folder && (n = fuzz_seed(i, seed, sizeof(seed))); i++) {
        char path[4096];
        FILE *f;

        snprintf(path, sizeof(path), "%s/seed-%02u", folder, (unsigned)i);
        f = fopen(path, "wb");
        PROMISE(f && fwrite(seed, 1, n, f) == n && !fclose(f));
    }
    return 0;
}
