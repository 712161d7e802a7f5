/* SPDX-License-Identifier: Apache-2.0
 *
 * from_qwen3_next.c - Qwen3-Next and Qwen3.5: Gated DeltaNet with gated softmax attention
 *
 * Norms are zero-centred but for the one of the recurrent output.  Qwen3-Next keeps q, k, v and z
 * in one projection, and b and a in another, grouped by key head; Qwen3.5 keeps them apart.
 * Qwen3.5's text weights may lie inside a model of images and text.
 */
#include <string.h>

#include "formats/import/hybrid.h"
#include "formats/import/llama.h"
#include "formats/import/mamba.h"
#include "formats/import/moe.h"

enum { FULL = 1, MOE = 2 }; /* bits of a kind */
static const char *const kinds[] = {"linear", "full", "linear_moe", "full_moe"};

static bool is_type(gla__import *im, const char *part)
{
    return strstr(gla__config_string(im->cfg, "model_type", ""), part) != NULL;
}

static int64_t experts(gla__import *im)
{
    const int64_t def = is_type(im, "next") ? 512 : is_type(im, "moe") ? 256 : 0;

    return gla__config_int(im->cfg, "num_experts", def, 0, 1024);
}

static bool is_dense(gla__import *im, uint32_t layer)
{
    const int64_t step =
        gla__config_int(im->cfg, "decoder_sparse_step", 1, 1, GLA__ARCH_MAX_LAYERS);
    double only[GLA__ARCH_MAX_LAYERS];
    const uint32_t n = gla__config_list(im->cfg, "mlp_only_layers", only, GLA__ARCH_MAX_LAYERS);

    for (uint32_t i = 0; i < n; i++)
        if (only[i] >= layer && only[i] <= layer)
            return true;
    return !experts(im) || (layer + 1) % step;
}

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"linear_attention", "full_attention", NULL};
    const int64_t every =
        gla__config_int(im->cfg, "full_attention_interval", 4, 1, GLA__ARCH_MAX_LAYERS);

    return gla__layer_type(im, layer, words, (layer + 1) % every ? 0 : FULL) |
           (is_dense(im, layer) ? 0 : MOE);
}

static void linear(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;
    const int64_t heads = gla__config_int(c, "linear_num_value_heads", 32, 1, GLA__MAX_HEADS);

    gla__set_number(im, l, "heads", (double)heads);
    gla__set_unless(im, l, "key_heads",
                    (double)gla__config_int(c, "linear_num_key_heads", 16, 1, GLA__MAX_HEADS),
                    (double)heads);
    gla__set_number(im, l, "head_k_dim",
                    (double)gla__config_int(c, "linear_key_head_dim", 128, 1, 4096));
    gla__set_number(im, l, "head_v_dim",
                    (double)gla__config_int(c, "linear_value_head_dim", 128, 1, 4096));
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "linear_conv_kernel_dim", 4, 1, 64));
}

static const char *const roots[] = {"model.", "model.language_model.", "language_model.model."};
#define N_ROOTS (sizeof(roots) / sizeof(roots[0]))

static bool is_mlx(const gla__import *im)
{
    for (uint32_t i = 0; i < N_ROOTS * im->n_layers; i++)
        if (gla__is_mlx_conv(gla__source_format(im, "%slayers.%u.linear_attn.conv1d.weight",
                                                roots[i % N_ROOTS], (uint32_t)(i / N_ROOTS))))
            return true;
    return false;
}

/* Zero-centred, as published; MLX and gguf have added the 1 (formats/import/gguf_config.c says so
 * by this key). */
static double norm_offset(gla__import *im)
{
    return gla__config_float(im->cfg, "norm_offset", is_mlx(im) ? 0 : 1);
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    const gla__llama_attention attention = {.heads = 16,
                                            .kv_heads =
                                                is_type(im, "next") || is_type(im, "moe") ? 2 : 4,
                                            .head_dim = 256,
                                            .qk_norm = "head",
                                            .rotary = 0.25};
    gla__config *c = im->cfg;
    gla_arch_layer *l;

    if (kind & FULL) {
        gla__llama_attention_set(im, b, &attention);
        gla__set_unless(im, &b->mixers[0], "qk_norm_offset", norm_offset(im), 0);
        if (gla__config_bool(c, "attn_output_gate", true))
            gla__set_text(im, &b->mixers[0], "output_gate", "head");
    } else {
        linear(im, gla__set_mixer(im, b, "gated_deltanet"));
    }
    if (!(kind & MOE)) {
        gla__llama_ffn(im, b, is_type(im, "next") ? 5632 : 12288);
        return;
    }
    l = gla__moe(im, b, (uint32_t)experts(im), is_type(im, "next") ? 10 : 8,
                 "moe_intermediate_size", 512);
    if (!is_type(im, "next") && !gla__config_bool(c, "norm_topk_prob", true))
        gla__config_refuse(c, "norm_topk_prob", "Qwen3.5's code renormalises always");
    gla__set_flag(im, l, "renormalise", gla__config_bool(c, "norm_topk_prob", true), false);
    gla__set_number(
        im, l, "shared.d_ff",
        (double)gla__config_int(c, "shared_expert_intermediate_size", 512, 1, GLA__MAX_WIDTH));
    gla__set_flag(im, l, "shared.gate", true, false);
}

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla__model_defaults d = {.vocab_size = 248320,
                             .hidden_size = 2048,
                             .layers = 40,
                             .max_positions = 32768,
                             .norm_eps = 1e-6};

    /* of a model of images and text it is the outer one that counts */
    const bool says_tie = gla__config_has(c, "tie_word_embeddings");
    const bool tie = gla__config_bool(c, "tie_word_embeddings", false);

    gla__config_enter(c, "text_config");
    if (is_type(im, "next"))
        d = (gla__model_defaults){.vocab_size = 151936,
                                  .hidden_size = 2048,
                                  .layers = 48,
                                  .max_positions = 32768,
                                  .norm_eps = 1e-6};
    else if (!is_type(im, "moe"))
        d = (gla__model_defaults){.vocab_size = 248320,
                                  .hidden_size = 4096,
                                  .layers = 32,
                                  .max_positions = 32768,
                                  .norm_eps = 1e-6};
    gla__config_ignore(c, "router_aux_loss_coef|mtp_num_hidden_layers|mamba_ssm_dtype");
    gla__config_ignore(c, "mtp_use_dedicated_embeddings|intermediate_size|full_attention_interval");
    gla__config_not(c, "use_sliding_window");
    gla__only_silu(im, "hidden_act");
    gla__model(im, &d);
    if (says_tie)
        im->arch->tie_embeddings = tie || !gla__has_head(im);
    gla__never_bos(im);
    gla__set_unless(im, &im->arch->norm, "offset", norm_offset(im), 0);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

/* ---- tensors ----------------------------------------------------------------------- */

static void linear_tensors(gla__import *im, uint32_t layer, const char *source)
{
    static const char *const renamed[] = {
        "o_norm.weight=norm.weight",       "o_proj.weight=out_proj.weight",
        "?g_proj.weight=in_proj_z.weight", "?b_proj.weight=in_proj_b.weight",
        "?a_proj.weight=in_proj_a.weight", NULL};
    static const char *const taps[] = {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight",
                                       NULL};
    static const char *const qkv[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight", NULL};
    static const char *const conv[] = {"conv1d.weight", NULL};
    static const char *const in[] = {"in_proj_qkv.weight", NULL};
    const gla_arch_layer *l = &gla__block_of(im, layer)->mixers[0];
    const uint64_t heads = gla__param_of(l, "heads", 1), dk = gla__param_of(l, "head_k_dim", 1);
    const uint64_t groups = gla__param_of(l, "key_heads", heads), each = heads / groups;
    const uint64_t dv = each * gla__param_of(l, "head_v_dim", 1);
    const uint64_t w = gla__param_of(l, "conv", 4), d = gla__hidden_size(im);
    const gla__fused qkvz = {"in_proj_qkvz.weight",
                             {"q_proj.weight", "k_proj.weight", "v_proj.weight", "g_proj.weight"},
                             {dk, dk, dv, dv}};
    const gla__fused ba = {"in_proj_ba.weight", {"b_proj.weight", "a_proj.weight"}, {each, each}};
    const gla__name ours = gla__name_of("layers.%u.mixer.", layer);

    gla__map_prefix(im, ours.text, source);
    gla__map_names(im, ours.text, source, renamed);
    gla__map_cut(im, ours.text, taps,
                 (const uint64_t[]){groups * dk * w, groups * dk * w, groups * dv * w}, source,
                 conv);
    if (gla__source_format(im, "%sin_proj_qkvz.weight", source)) {
        gla__map_ungrouped(im, ours.text, source, &qkvz, groups);
        gla__map_ungrouped(im, ours.text, source, &ba, groups);
        return;
    }
    gla__map_cut(im, ours.text, qkv,
                 (const uint64_t[]){groups * dk * d, groups * dk * d, groups * dv * d}, source, in);
}

static void tensors(gla__import *im)
{
    static const char *const renamed[] = {"router.weight=gate.weight",
                                          "shared.gate.weight=shared_expert_gate.weight", NULL};
    gla__llama_names names = {.root = roots[0]};

    for (uint32_t i = 0; i < N_ROOTS; i++)
        if (gla__source_format(im, "%sembed_tokens.weight", roots[i]))
            names.root = roots[i];
    if (gla__source(im, "language_model.lm_head.weight"))
        names.head = "language_model.lm_head.";
    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const gla__name mlp = gla__name_of("%slayers.%u.mlp.", names.root, i);
        const gla__name ours = gla__name_of("layers.%u.ffn.", i);

        if (gla__is_type(&gla__block_of(im, i)->mixers[0], "gated_deltanet"))
            linear_tensors(im, i, gla__name_of("%slayers.%u.linear_attn.", names.root, i).text);
        if (!gla__is_type(&gla__block_of(im, i)->ffn, "moe"))
            continue;
        gla__map_experts(im, i, mlp.text, &gla__experts_usual);
        gla__map_names(im, ours.text, mlp.text, renamed);
        gla__map_prefix(im, gla__name_of("%sshared.", ours.text).text,
                        gla__name_of("%sshared_expert.", mlp.text).text);
    }
    gla__map_ignore(im, "mtp.*");
    gla__map_ignore(im, "*visual.*");
    gla__map_ignore(im, "*vision_tower.*");
}

static const char *const model_types[] = {"qwen3_next",  "qwen3_5",          "qwen3_5_text",
                                          "qwen3_5_moe", "qwen3_5_moe_text", NULL};
const gla__importer gla__importer_qwen3_next = {"hf/qwen3_next", model_types, arch, tensors};
