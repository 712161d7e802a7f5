/* SPDX-License-Identifier: Apache-2.0
 *
 * from_bamba.c - Bamba: Mamba-2 with softmax attention at attn_layer_indices, half of each head
 * rotated
 */
#include <math.h>

#include "formats/import/hybrid.h"
#include "formats/import/llama.h"
#include "formats/import/mamba.h"

enum { LINEAR, FULL };
static const char *const kinds[] = {"mamba", "full"};

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    double full[GLA__ARCH_MAX_LAYERS];
    const uint32_t n = gla__config_list(im->cfg, "attn_layer_indices", full, GLA__ARCH_MAX_LAYERS);

    for (uint32_t i = 0; i < n; i++)
        if (full[i] >= layer && full[i] <= layer)
            return FULL;
    return LINEAR;
}

/* Half of each head, unless rope_parameters says otherwise: the older keys may say what they want,
 * the code does not read them. */
static void check_rotated(gla__import *im, const gla_arch_layer *attention)
{
    gla__config *c = im->cfg;
    const int64_t dims = (int64_t)gla__param_of(attention, "rope.dims", 0);

    if (!gla__config_has(c, "rope_parameters.partial_rotary_factor") &&
        fabs(gla__config_float(c, "partial_rotary_factor", 0.5) - 0.5) > 0)
        gla__config_refuse(c, "partial_rotary_factor", "Bamba's code rotates half of each head");
    if (dims && gla__config_int(c, "attn_rotary_emb", dims, 0, GLA__MAX_WIDTH) != dims)
        gla__config_refuse(c, "attn_rotary_emb", "Bamba's code rotates half of each head");
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    static const gla__llama_attention attention = {.kv_heads = 8, .rotary = 0.5};
    static const gla__mamba2_defaults mamba = {.heads = 128, .state = 256, .groups = 1};

    if (kind == FULL) {
        gla__llama_attention_set(im, b, &attention);
        check_rotated(im, &b->mixers[0]);
    } else {
        gla__mamba2(im, b, &mamba);
    }
    gla__llama_ffn(im, b, 14336);
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 128000,
                                                 .hidden_size = 4096,
                                                 .layers = 32,
                                                 .max_positions = 262144,
                                                 .norm_eps = 1e-5};
    gla__config *c = im->cfg;

    gla__config_ignore(c, "num_logits_to_keep|z_loss_coefficient|layer_types|layers_block_type");
    gla__config_ignore(c, "attn_rotary_emb|partial_rotary_factor|mamba_dt_rank|use_mamba_kernels");
    gla__only_silu(im, "hidden_act");
    gla__model(im, &defaults);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void tensors(gla__import *im)
{
    static const gla__llama_names names = {
        .ffn = "feed_forward.", .ffn_norm = "pre_ff_layernorm.", .final_norm = "final_layernorm."};

    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++)
        if (gla__is_type(&gla__block_of(im, i)->mixers[0], "mamba2"))
            gla__layer_rule(im, i, "mixer.", "model.", "mamba.");
}

static const char *const model_types[] = {"bamba", NULL};
const gla__importer gla__importer_bamba = {"hf/bamba", model_types, arch, tensors};
