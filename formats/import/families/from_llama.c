/* SPDX-License-Identifier: Apache-2.0
 *
 * from_llama.c - Llama and its nearest descendants: they differ in biases, norms of q and k,
 * windows
 *
 *   llama     attention_bias (q, k, v and o), mlp_bias
 *   qwen2     biases of q, k, v; a sliding window from layer max_window_layers on, if switched on
 *   qwen3     norms of q and k per head; head_dim need not be hidden_size / heads; windows as qwen2
 *   mistral   a sliding window in every layer
 */
#include <string.h>

#include "formats/import/llama.h"

typedef struct variant {
    const char *model_type;
    gla__model_defaults model;
    gla__llama_attention attention;
    uint32_t d_ff, window_from; /* max_window_layers, where the config does not say */
    bool windows, window_off;   /* has windows; they are off unless use_sliding_window says so */
} variant;

static const variant variants[] = {
    {.model_type = "llama", .model = {32000, 4096, 32, 2048, 1e-6, false, NULL}, .d_ff = 11008},
    {.model_type = "qwen2",
     .model = {151936, 4096, 32, 32768, 1e-6, false, NULL},
     .attention = {.always_qkv_bias = true},
     .d_ff = 22016,
     .window_from = 28,
     .windows = true,
     .window_off = true},
    {.model_type = "qwen3",
     .model = {151936, 4096, 32, 32768, 1e-6, false, NULL},
     .attention = {.kv_heads = 32, .head_dim = 128, .qk_norm = "head"},
     .d_ff = 22016,
     .window_from = 28,
     .windows = true,
     .window_off = true},
    {.model_type = "mistral",
     .model = {32000, 4096, 32, 131072, 1e-6, false, NULL},
     .attention = {.kv_heads = 8},
     .d_ff = 14336,
     .windows = true},
};

static const variant *find(gla__import *im)
{
    const char *type = gla__config_string(im->cfg, "model_type", "llama");

    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        if (!strcmp(variants[i].model_type, type))
            return &variants[i];
    return &variants[0];
}

static void arch(gla__import *im)
{
    const variant *v = find(im);
    gla_arch_block *b;

    gla__model(im, &v->model);
    if (!strncmp(v->model_type, "qwen", 4))
        gla__never_bos(im);
    b = gla__block_add(im, "block");
    if (!b)
        return;
    gla__llama_attention_set(im, b, &v->attention);
    gla__llama_ffn(im, b, v->d_ff);
    if (v->windows && gla__config_bool(im->cfg, "use_sliding_window", !v->window_off))
        gla__llama_windows(im, 4096, v->window_from);
    else
        gla__config_ignore(im->cfg, "sliding_window|max_window_layers|layer_types");
}

static void tensors(gla__import *im)
{
    gla__llama_tensors(im, NULL);
}

static const char *const model_types[] = {"llama", "qwen2", "qwen3", "mistral", NULL};
const gla__importer gla__importer_llama = {"hf/llama", model_types, arch, tensors};
