/* SPDX-License-Identifier: Apache-2.0
 *
 * from_minimax.c - MiniMax-Text-01: lightning attention, softmax attention, a mixture of experts
 *
 * Norms make the residual stream anew, and both terms of each sum have a factor.
 */
#include "formats/import/hybrid.h"
#include "formats/import/llama.h"
#include "formats/import/moe.h"

enum { LINEAR, FULL };
static const char *const kinds[] = {"lightning", "full"};

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"linear_attention", "full_attention", NULL};

    return gla__layer_type(im, layer, words, (layer + 1) % 2 ? FULL : LINEAR);
}

static void lightning(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;
    const int64_t heads = gla__config_int(c, "num_attention_heads", 32, 1, GLA__MAX_HEADS);
    const int64_t head = gla__config_int(c, "head_dim", gla__hidden_size(im) / heads, 1, 4096);

    gla__set_number(im, l, "heads", (double)heads);
    gla__set_number(im, l, "k_dim", (double)(heads * head));
    gla__set_number(im, l, "v_dim", (double)(heads * head));
    gla__set_activation(im, l, "feature_map", "hidden_act", "silu", "silu");
    gla__set_number(im, l, "norm_eps", 1e-6); /* not rms_norm_eps */
}

/* rotary_dim: transformers does not read it, the authors' code does. */
static void softmax(gla__import *im, gla_arch_block *b)
{
    static const gla__llama_attention attention = {
        .kv_heads = 8, .rope_theta = 1000000, .rotary = 1};
    const int64_t head_dim =
        gla__config_int(im->cfg, "head_dim",
                        gla__hidden_size(im) /
                            gla__config_int(im->cfg, "num_attention_heads", 32, 1, GLA__MAX_HEADS),
                        1, 4096);
    const int64_t rotary = gla__config_int(im->cfg, "rotary_dim", head_dim, 2, 4096);

    gla__llama_attention_set(im, b, &attention);
    if (rotary < head_dim)
        gla__set_number(im, &b->mixers[0], "rope.dims", (double)rotary);
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    gla__config *c = im->cfg;
    const char *which = kind == FULL ? "full" : "linear";

    if (kind == FULL)
        softmax(im, b);
    else
        lightning(im, gla__set_mixer(im, b, "lightning"));
    gla__set_flag(im, gla__moe(im, b, 8, 2, "intermediate_size", 14336), "renormalise", true,
                  false);
    b->norm_at = GLA_NORM_AT_RESIDUAL;
    b->mixer_skip = gla__config_float(c, gla__config_key(c, "%s_attn_alpha_factor", which), 1);
    b->mixer_residual = gla__config_float(c, gla__config_key(c, "%s_attn_beta_factor", which), 1);
    b->ffn_skip = gla__config_float(c, "mlp_alpha_factor", 1);
    b->ffn_residual = gla__config_float(c, "mlp_beta_factor", 1);
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 32000,
                                                 .hidden_size = 4096,
                                                 .layers = 32,
                                                 .max_positions = 131072,
                                                 .norm_eps = 1e-5};
    gla__config *c = im->cfg;

    gla__config_ignore(c, "block_size|router_aux_loss_coef|router_jitter_noise|shared_moe_mode");
    gla__config_ignore(c, "full_attn_alpha_factor|full_attn_beta_factor|linear_attn_alpha_factor");
    gla__config_ignore(c, "linear_attn_beta_factor|rotary_dim|rope_parameters|rope_theta");
    gla__config_ignore(c, "num_key_value_heads");
    if (!gla__config_bool(c, "postnorm", true))
        gla__config_refuse(c, "postnorm", "not supported");
    if (gla__config_int(c, "shared_intermediate_size", 0, 0, GLA__MAX_WIDTH))
        gla__config_refuse(c, "shared_intermediate_size", "shared experts are not supported here");
    if (gla__config_int(c, "sliding_window", 0, 0, GLA__MAX_WIDTH))
        gla__config_refuse(c, "sliding_window", "not supported");
    gla__model(im, &defaults);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

/* qkv_proj has the rows of q, k and v for each head in turn. */
static void lightning_tensors(gla__import *im, uint32_t layer)
{
    static const char *const ours[] = {"q_proj", "k_proj", "v_proj"};
    static const char *const renamed[] = {"g_proj.weight=output_gate.weight",
                                          "o_proj.weight=out_proj.weight",
                                          "g_norm.weight=norm.weight", NULL};
    const gla_arch_layer *l = &gla__block_of(im, layer)->mixers[0];
    const uint64_t heads = gla__param_of(l, "heads", 1);
    const uint64_t n = gla__param_of(l, "k_dim", 1) / heads * gla__hidden_size(im);
    const gla__name source = gla__name_of("model.layers.%u.self_attn.", layer);
    const gla__name qkv = gla__name_of("%sqkv_proj.weight", source.text);

    gla__map_names(im, gla__name_of("layers.%u.mixer.", layer).text, source.text, renamed);
    for (uint64_t i = 0; i < 3 * heads; i++)
        gla__map_range(im, gla__name_of("layers.%u.mixer.%s.weight", layer, ours[i % 3]).text,
                       qkv.text, i * n, n);
}

static void tensors(gla__import *im)
{
    static const char *const router[] = {"router.weight=gate.weight", NULL};

    gla__llama_tensors(im, NULL);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const bool published =
            gla__source_format(im, "model.layers.%u.block_sparse_moe.gate.weight", i) != NULL;
        const gla__name ffn =
            gla__name_of("model.layers.%u.%s.", i, published ? "block_sparse_moe" : "mlp");

        gla__map_names(im, gla__name_of("layers.%u.ffn.", i).text, ffn.text, router);
        gla__map_experts(im, i, ffn.text, &gla__experts_mixtral);
        if (gla__is_type(&gla__block_of(im, i)->mixers[0], "lightning"))
            lightning_tensors(im, i);
    }
    /* follow from the layer's number and block_size */
    gla__map_ignore(im, "*.slope_rate");
    gla__map_ignore(im, "*_decay");
}

static const char *const model_types[] = {"minimax", NULL};
const gla__importer gla__importer_minimax = {"hf/minimax", model_types, arch, tensors};
