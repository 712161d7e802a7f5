/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json of every family: what is imported is an architecture that prints and reads. */
#include "formats/import/import.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gla__import *im = NULL;
    gla_diag diag = {0};
    const gla_status st =
        gla__import_open((const char *)data, size, "config.json", NULL, &im, &diag);

    fuzz_check_diag(st, &diag);
    PROMISE(!st == (im != NULL));
    if (!st && im->arch) {
        char *text = NULL;
        size_t n = 0;
        gla_arch *copy = NULL;

        PROMISE(!gla_arch_print(im->arch, &text, &n, &diag));
        PROMISE(!gla_arch_parse(text, n, "print", &copy, &diag));
        gla_text_free(text);
        gla_arch_free(copy);
    }
    gla__import_close(im);
    return 0;
}

/* The smallest of each family; tests/reference has the real ones. */
size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    const gla__importer *imp = gla__importer_get(i);
    char text[512];

    if (!imp)
        return 0;
    snprintf(text, sizeof(text),
             "{\"model_type\":\"%s\",\"hidden_size\":64,\"num_hidden_layers\":2,\"num_heads\":2,"
             "\"num_attention_heads\":2,\"num_key_value_heads\":2,\"vocab_size\":61,"
             "\"intermediate_size\":64,\"rms_norm_eps\":1e-6,\"norm_eps\":1e-6}",
             imp->model_types[0]);
    return fuzz_text(text, out, capacity);
}
