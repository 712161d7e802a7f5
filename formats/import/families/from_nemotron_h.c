/* SPDX-License-Identifier: Apache-2.0
 *
 * from_nemotron_h.c - Nemotron-H: every layer is one of Mamba-2, attention without positions, a
 * plain two-layer network or a mixture of such, each with a norm before it
 */
#include <math.h>
#include <string.h>

#include "formats/import/hybrid.h"
#include "formats/import/llama.h"
#include "formats/import/mamba.h"
#include "formats/import/moe.h"

enum { MAMBA, ATTENTION, MLP, MOE };
static const char *const kinds[] = {"mamba", "full", "mlp", "moe"};

static const char *pattern(gla__import *im)
{
    return gla__config_string(im->cfg, "hybrid_override_pattern", "");
}

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"linear_attention", "full_attention", "mlp", "moe", NULL};
    static const char letters[] = "M*-E";
    const char *letter;

    if (gla__config_has(im->cfg, "layers_block_type|layer_types"))
        return gla__layer_type(im, layer, words, MAMBA);
    letter = layer < strlen(pattern(im)) ? strchr(letters, pattern(im)[layer]) : NULL;
    if (!letter) {
        gla__config_refuse(im->cfg, "hybrid_override_pattern",
                           "expected one of M, *, - and E for each layer");
        return MAMBA;
    }
    return (uint32_t)(letter - letters);
}

/* NVIDIA's code, which reads hybrid_override_pattern, bounds dt by time_step_limit, as
 * gla__mamba2() has it.  transformers, which writes lists of layers, bounds it by time_step_min. */
static void bound_dt(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;
    const bool from_transformers = gla__config_has(c, "layers_block_type|layer_types");
    const double min = gla__config_float(c, "time_step_min|mamba_dt_min", 0.001);

    if (from_transformers) {
        gla__set_number(im, l, "dt_min", min);
        gla__set_number(im, l, "dt_max", INFINITY);
    }
}

static void mamba(gla__import *im, gla_arch_block *b)
{
    static const gla__mamba2_defaults defaults = {
        .heads = 128, .head_dim = 64, .state = 128, .groups = 8};
    gla_arch_layer *l = gla__mamba2(im, b, &defaults);
    const bool bias = gla__config_bool(im->cfg, "use_bias", false);

    gla__set_text(im, l, "norm", "group");
    bound_dt(im, l);
    if (bias) {
        gla__set_flag(im, l, "in_bias", true, false);
        gla__set_flag(im, l, "out_bias", true, false);
    }
}

static void moe(gla__import *im, gla_arch_block *b)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = gla__moe(im, b, 8, 2, "moe_intermediate_size", 7688);

    gla__moe_sigmoid(im, l, 1);
    gla__set_flag(im, l, "gated", false, true);
    gla__set_activation(im, l, "activation", "mlp_hidden_act", "relu2", "silu");
    gla__set_number(
        im, l, "shared.d_ff",
        (double)gla__config_int(c, "moe_shared_expert_intermediate_size", 7688, 1, GLA__MAX_WIDTH));
    if (gla__config_has(c, "moe_latent_size"))
        gla__config_refuse(c, "moe_latent_size", "experts in a latent space are not supported");
    gla__config_not(c, "mlp_bias");
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    static const gla__llama_attention attention = {.kv_heads = 8, .head_dim = 128, .no_rope = true};
    gla__config *c = im->cfg;

    if (kind == MAMBA) {
        mamba(im, b);
    } else if (kind == ATTENTION) {
        gla__llama_attention_set(im, b, &attention);
    } else if (kind == MOE) {
        moe(im, b);
    } else {
        gla__set_type(im, &b->ffn, "mlp");
        gla__set_number(im, &b->ffn, "d_ff",
                        (double)gla__config_int(c, "intermediate_size", 21504, 1, GLA__MAX_WIDTH));
        gla__set_activation(im, &b->ffn, "activation", "mlp_hidden_act", "relu2", "silu");
        gla__set_flag(im, &b->ffn, "bias", gla__config_bool(c, "mlp_bias", false), false);
    }
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 131072,
                                                 .hidden_size = 4096,
                                                 .layers = 52,
                                                 .max_positions = 4096,
                                                 .norm_eps = 1e-5,
                                                 .norm_eps_keys =
                                                     "layer_norm_epsilon|norm_eps|rms_norm_eps"};
    gla__config *c = im->cfg;
    uint32_t layers = gla__config_length(c, "layers_block_type|layer_types");

    gla__config_ignore(c, "num_logits_to_keep|use_mamba_kernels|mamba_ssm_cache_dtype|expand");
    gla__config_ignore(c, "time_step_max|time_step_floor|residual_in_fp32|n_group");
    gla__config_ignore(c, "moe_shared_expert_overlap|moe_shared_expert_intermediate_size");
    gla__config_ignore(c,
                       "moe_intermediate_size|n_routed_experts|n_shared_experts|moe_latent_size");
    gla__config_ignore(c, "num_experts_per_tok|norm_topk_prob|routed_scaling_factor|topk_group");
    gla__config_ignore(c, "num_nextn_predict_layers|intermediate_size|mlp_hidden_act|mlp_bias");
    gla__config_ignore(c, "rope_theta|attention_head_dim|hybrid_override_pattern");
    gla__config_ignore(c, "mtp_layers_block_type");
    gla__config_ignore(c, "mtp_hybrid_override_pattern");
    if (gla__config_has(c, "sliding_window"))
        gla__config_refuse(c, "sliding_window", "not supported");
    gla__only_silu(im, "mamba_hidden_act");
    gla__model(im, &defaults);
    gla__never_tied(im);
    if (!layers)
        layers = (uint32_t)strlen(pattern(im));
    if (!layers || layers > GLA__ARCH_MAX_LAYERS)
        gla__config_refuse(c, "layers_block_type|layer_types|hybrid_override_pattern",
                           "no list of layers");
    else
        gla__layers_make(im, layers);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void tensors(gla__import *im)
{
    static const gla__expert_names experts = {NULL, "up_proj", "down_proj", NULL, NULL};
    static const char *const router[] = {"router.weight=gate.weight",
                                         "router.bias=gate.e_score_correction_bias", NULL};
    gla__llama_names names = {.root = gla__source(im, "backbone.norm_f.weight") ? "backbone."
                                                                                : "model.",
                              .mixer = "mixer.",
                              .ffn = "mixer.",
                              .mixer_norm = "norm.",
                              .ffn_norm = "norm.",
                              .embedding = "embeddings.weight",
                              .final_norm = "norm_f."};

    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const gla__name ours = gla__name_of("layers.%u.ffn.", i);
        const gla__name source = gla__name_of("%slayers.%u.mixer.", names.root, i);

        if (!gla__is_type(&gla__block_of(im, i)->ffn, "moe"))
            continue;
        gla__map_names(im, ours.text, source.text, router);
        gla__map_prefix(im, gla__name_of("%sshared.", ours.text).text,
                        gla__name_of("%sshared_experts.", source.text).text);
        if (gla__source_format(im, "%sexperts.up_proj", source.text)) {
            gla__map(im, gla__name_of("%sexperts.up_proj.weight", ours.text).text,
                     gla__name_of("%sexperts.up_proj", source.text).text);
            gla__map(im, gla__name_of("%sexperts.down_proj.weight", ours.text).text,
                     gla__name_of("%sexperts.down_proj", source.text).text);
        } else {
            gla__map_experts(im, i, source.text, &experts);
        }
    }
    gla__map_ignore(im, "mtp.*");
}

static const char *const model_types[] = {"nemotron_h", NULL};
const gla__importer gla__importer_nemotron_h = {"hf/nemotron_h", model_types, arch, tensors};
