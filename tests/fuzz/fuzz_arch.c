/* SPDX-License-Identifier: Apache-2.0
 *
 * arch.yaml: what is read prints as a file that reads the same; what is described is described
 * twice alike. */
#include "fuzz/fuzz.h"

static void check_print(const gla_arch *arch)
{
    char *text, *again;
    size_t n, m;
    gla_arch *copy;
    gla_diag diag = {0};

    PROMISE(!gla_arch_print(arch, &text, &n, &diag));
    PROMISE(!gla_arch_parse(text, n, "print", &copy, &diag));
    PROMISE(!gla_arch_print(copy, &again, &m, &diag));
    PROMISE(n == m && !memcmp(text, again, n));
    gla_text_free(text);
    gla_text_free(again);
    gla_arch_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gla_registry *registry;
    gla_description *d = NULL;
    gla_arch *arch = NULL;
    gla_diag diag = {0};
    gla_status st = gla_arch_parse((const char *)data, size, "input", &arch, &diag);

    fuzz_check_diag(st, &diag);
    PROMISE(!st == (arch != NULL));
    if (st)
        return 0;
    check_print(arch);
    if (!registry)
        PROMISE(!gla_registry_create(NULL, &registry, &diag));
    if (arch->n_layers <= 64) {
        st = gla_describe(arch, registry, &d, &diag);
        fuzz_check_diag(st, &diag);
        PROMISE(!st == (d != NULL));
        gla_description_free(d);
    }
    gla_arch_free(arch);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static const char *const seeds[] = {
        "gla: 1\nname: a\nvocab_size: 61\nd_model: 32\nblocks:\n  x: {mixer: {type: gla, heads: "
        "2}, "
        "ffn: {type: swiglu, d_ff: 48}}\nlayers: 2*x\n",
        "gla: 1\nname: b\nvocab_size: 61\nd_model: 32\nnorm: {type: rmsnorm, eps: 1.0e-6}\n"
        "tie_embeddings: true\nbos_token: 1\neos_tokens: [2, 3]\nweights: int8\nblocks:\n  x:\n"
        "    mixer: [{type: mamba2, heads: 4, head_dim: 16, state: 8}, {type: attention, heads: 2, "
        "rope: {theta: 1.0e4}}]\n    norm_at: sandwich\n    residual_multiplier: {mixer: 0.5}\n"
        "  y: {mixer: {type: attention, heads: 4, window: 16}}\n"
        "layers:\n  pattern: 3*x + y\n  repeat: 2\n  override: {0: y}\n"};

    return i < sizeof(seeds) / sizeof(seeds[0]) ? fuzz_text(seeds[i], out, capacity) : 0;
}
