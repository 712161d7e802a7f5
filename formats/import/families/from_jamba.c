/* SPDX-License-Identifier: Apache-2.0
 *
 * from_jamba.c - Jamba: Mamba with norms of dt, B and C, softmax attention without positions, and a
 * mixture of experts in every so many layers
 */
#include "formats/import/hybrid.h"
#include "formats/import/llama.h"
#include "formats/import/moe.h"

enum { FULL = 1, MOE = 2 }; /* bits of a kind */
static const char *const kinds[] = {"mamba", "full", "mamba_moe", "full_moe"};

static bool is_turn(gla__import *im, uint32_t layer, const char *what, int64_t period,
                    int64_t offset)
{
    gla__config *c = im->cfg;

    period = gla__config_int(c, gla__config_key(c, "%s_layer_period", what), period, 1,
                             GLA__ARCH_MAX_LAYERS);
    offset = gla__config_int(c, gla__config_key(c, "%s_layer_offset", what), offset, 0,
                             GLA__ARCH_MAX_LAYERS);
    return layer % period == offset;
}

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"linear_attention", "full_attention", NULL};
    const bool experts = gla__config_int(im->cfg, "num_experts|num_local_experts", 16, 0, 1024) > 1;

    return gla__layer_type(im, layer, words, is_turn(im, layer, "attn", 8, 4)) |
           (is_turn(im, layer, "expert", 2, 1) && experts ? MOE : 0);
}

static void mamba(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;
    const uint32_t d = gla__hidden_size(im), automatic = (d + 15) / 16;
    const bool bias = gla__config_bool(c, "mamba_proj_bias", false);
    int64_t rank = automatic;

    if (!gla__config_is(c, "mamba_dt_rank", "auto"))
        rank = gla__config_int(c, "mamba_dt_rank", automatic, 1, GLA__MAX_WIDTH);
    gla__set_number(im, l, "inner", (double)(d * gla__config_int(c, "mamba_expand", 2, 1, 64)));
    gla__set_number(im, l, "state", (double)gla__config_int(c, "mamba_d_state", 16, 1, 4096));
    gla__set_number(im, l, "dt_rank", (double)rank);
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "mamba_d_conv", 4, 1, 64));
    gla__set_flag(im, l, "conv_bias", gla__config_bool(c, "mamba_conv_bias", true), true);
    gla__set_flag(im, l, "in_bias", bias, false);
    gla__set_flag(im, l, "out_bias", bias, false);
    gla__set_flag(im, l, "inner_norms", gla__config_bool(c, "mamba_inner_layernorms", true), false);
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    static const gla__llama_attention attention = {.kv_heads = 8, .no_rope = true};

    if (kind & FULL)
        gla__llama_attention_set(im, b, &attention);
    else
        mamba(im, gla__set_mixer(im, b, "mamba"));
    if (kind & MOE)
        gla__moe(im, b, 16, 2, "intermediate_size", 14336);
    else
        gla__llama_ffn(im, b, 14336);
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 65536,
                                                 .hidden_size = 4096,
                                                 .layers = 32,
                                                 .max_positions = 262144,
                                                 .norm_eps = 1e-6};
    gla__config *c = im->cfg;

    gla__config_ignore(c, "use_mamba_kernels|use_mambapy|use_associative_scan|num_logits_to_keep");
    gla__config_ignore(c, "router_aux_loss_coef|num_experts_per_tok");
    gla__config_ignore(c, "calc_logits_for_entire_prompt|n_ctx");
    gla__config_ignore(c, "attn_layer_period|attn_layer_offset");
    if (gla__config_has(c, "sliding_window"))
        gla__config_refuse(c, "sliding_window", "not supported");
    gla__only_silu(im, "hidden_act");
    gla__model(im, &defaults);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void tensors(gla__import *im)
{
    static const gla__llama_names names = {
        .ffn = "feed_forward.", .ffn_norm = "pre_ff_layernorm.", .final_norm = "final_layernorm."};
    static const char *const norms[] = {"?dt_norm.weight=dt_layernorm.weight",
                                        "?b_norm.weight=b_layernorm.weight",
                                        "?c_norm.weight=c_layernorm.weight", NULL};

    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const gla_arch_block *b = gla__block_of(im, i);

        if (gla__is_type(&b->mixers[0], "mamba")) {
            gla__layer_rule(im, i, "mixer.", "model.", "mamba.");
            gla__map_names(im, gla__name_of("layers.%u.mixer.", i).text,
                           gla__name_of("model.layers.%u.mamba.", i).text, norms);
        }
        if (gla__is_type(&b->ffn, "moe"))
            gla__map_experts(im, i, gla__name_of("model.layers.%u.feed_forward.", i).text,
                             &gla__experts_usual);
    }
}

static const char *const model_types[] = {"jamba", NULL};
const gla__importer gla__importer_jamba = {"hf/jamba", model_types, arch, tensors};
