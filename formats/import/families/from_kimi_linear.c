/* SPDX-License-Identifier: Apache-2.0
 *
 * from_kimi_linear.c - Kimi Linear: KDA with multi-head latent attention without positions
 *
 * Published configs number the layers of linear_attn_config from 1; transformers writes
 * layer_types and mlp_layer_types instead.  Tensors have the published names or those that
 * transformers gives them in memory.
 */
#include "formats/import/hybrid.h"
#include "formats/import/llama.h"
#include "formats/import/moe.h"

enum { FULL = 1, MOE = 2 }; /* bits of a kind */
static const char *const kinds[] = {"kda", "mla", "kda_moe", "mla_moe"};

/* A layer in neither of the two lists is softmax, as in the authors' code. */
static bool is_full(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"linear_attention", "full_attention", NULL};
    gla__config *c = im->cfg;
    double kda[GLA__ARCH_MAX_LAYERS];
    uint32_t n;

    if (!gla__config_has(c, "linear_attn_config.kda_layers"))
        return gla__layer_type(im, layer, words, layer && layer % 4 == 0) == FULL;
    n = gla__config_list(c, "linear_attn_config.kda_layers", kda, GLA__ARCH_MAX_LAYERS);
    for (uint32_t i = 0; i < n; i++)
        if (kda[i] >= layer + 1 && kda[i] <= layer + 1)
            return false;
    return true;
}

static bool is_moe(gla__import *im, uint32_t layer)
{
    gla__config *c = im->cfg;
    const char *key = gla__config_key(c, "mlp_layer_types.%u", layer);
    static const char *const words[] = {"dense", "sparse", NULL};

    if (gla__config_has(c, "mlp_layer_types")) {
        gla__config_only(c, key, words);
        return gla__config_is(c, key, "sparse");
    }
    return layer >= gla__config_int(c, "first_k_dense_replace", 1, 0, GLA__ARCH_MAX_LAYERS) &&
           layer % gla__config_int(c, "moe_layer_freq", 1, 1, GLA__ARCH_MAX_LAYERS) == 0;
}

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    return (is_full(im, layer) ? FULL : 0) | (is_moe(im, layer) ? MOE : 0);
}

static void kda(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;

    gla__set_number(im, l, "heads",
                    (double)gla__config_int(c, "linear_attn_config.num_heads|linear_num_heads", 32,
                                            1, GLA__MAX_HEADS));
    gla__set_number(
        im, l, "head_k_dim",
        (double)gla__config_int(c, "linear_attn_config.head_dim|linear_head_dim", 128, 1, 4096));
    gla__set_number(
        im, l, "conv",
        (double)gla__config_int(
            c, "linear_attn_config.short_conv_kernel_size|linear_conv_kernel_dim", 4, 1, 64));
}

static void mla(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;

    gla__set_number(im, l, "heads",
                    (double)gla__config_int(c, "num_attention_heads", 32, 1, GLA__MAX_HEADS));
    gla__set_unless(im, l, "q_rank",
                    (double)gla__config_int(c, "q_lora_rank", 0, 1, GLA__MAX_WIDTH), 0);
    gla__set_number(im, l, "kv_rank", (double)gla__config_int(c, "kv_lora_rank", 512, 1, 4096));
    gla__set_number(im, l, "nope_dim",
                    (double)gla__config_int(c, "qk_nope_head_dim", 128, 1, 4096));
    gla__set_number(im, l, "rope_dim", (double)gla__config_int(c, "qk_rope_head_dim", 64, 0, 4096));
    gla__set_number(im, l, "v_head_dim", (double)gla__config_int(c, "v_head_dim", 128, 1, 4096));
    gla__set_number(im, l, "norm_eps", 1e-6); /* not rms_norm_eps */
    gla__set_text(im, l, "rope.type", "none");
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l;
    int64_t d_ff;

    if (kind & FULL)
        mla(im, gla__set_mixer(im, b, "mla"));
    else
        kda(im, gla__set_mixer(im, b, "kda"));
    if (!(kind & MOE)) {
        gla__llama_ffn(im, b, 9216);
        return;
    }
    l = gla__moe(im, b, 256, 8, "moe_intermediate_size", 1024);
    gla__moe_sigmoid(im, l, 2.446);
    d_ff = gla__config_int(c, "moe_intermediate_size", 1024, 1, GLA__MAX_WIDTH);
    gla__set_unless(
        im, l, "shared.d_ff",
        (double)(d_ff * gla__config_int(c, "num_shared_experts|n_shared_experts", 1, 0, 64)), 0);
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 163840,
                                                 .hidden_size = 2304,
                                                 .layers = 27,
                                                 .max_positions = 1048576,
                                                 .norm_eps = 1e-5};
    static const char *const sigmoid[] = {"sigmoid", NULL};
    gla__config *c = im->cfg;

    gla__config_ignore(c, "head_dim|qk_head_dim|num_key_value_heads|rope_theta|rope_scaling");
    gla__config_ignore(c, "rope_parameters|num_nextn_predict_layers|use_grouped_topk");
    gla__config_ignore(c, "first_k_dense_replace|moe_layer_freq|intermediate_size");
    gla__config_ignore(c, "num_attention_heads|kv_lora_rank|q_lora_rank|v_head_dim");
    gla__config_ignore(c, "qk_nope_head_dim|qk_rope_head_dim|moe_intermediate_size|num_experts");
    gla__config_only(c, "moe_router_activation_func", sigmoid);
    gla__config_not(c, "attention_bias");
    if (!gla__config_bool(c, "mla_use_nope", true))
        gla__config_refuse(c, "mla_use_nope", "attention with positions is not supported here");
    gla__only_silu(im, "hidden_act");
    gla__model(im, &defaults);
    gla__never_tied(im);
    im->arch->max_positions =
        (uint32_t)gla__config_int(c, "model_max_length|max_position_embeddings",
                                  defaults.max_positions, 0, GLA__ARCH_MAX_POSITIONS);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void kda_tensors(gla__import *im, uint32_t layer, const gla__name *source)
{
    static const char *const renamed[] = {
        "?f_proj.0.weight=f_a_proj.weight",
        "?f_proj.1.weight=f_b_proj.weight",
        "?f_proj.0.weight=forget_gate.f_a_proj.weight",
        "?f_proj.1.weight=forget_gate.f_b_proj.weight",
        "?A_log=forget_gate.A_log",
        "?dt_bias=forget_gate.dt_bias",
        "g_proj.0.weight=g_a_proj.weight",
        "g_proj.1.weight=g_b_proj.weight",
        NULL,
    };
    static const char *const taps[] = {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight",
                                       NULL};
    static const char *const conv[] = {"conv1d.weight", NULL};
    const gla_arch_layer *l = &gla__block_of(im, layer)->mixers[0];
    const uint64_t n = gla__param_of(l, "heads", 1) * gla__param_of(l, "head_k_dim", 1) *
                       gla__param_of(l, "conv", 4);
    const gla__name ours = gla__name_of("layers.%u.mixer.", layer);

    gla__map_names(im, ours.text, source->text, renamed);
    if (gla__source_format(im, "%sconv1d.weight", source->text))
        gla__map_cut(im, ours.text, taps, (const uint64_t[]){n, n, n}, source->text, conv);
}

static void moe_tensors(gla__import *im, uint32_t layer, const gla__name *source)
{
    static const char *const renamed[] = {"router.weight=gate.weight",
                                          "router.bias=gate.e_score_correction_bias", NULL};
    const gla__name ours = gla__name_of("layers.%u.ffn.", layer);

    gla__map_names(im, ours.text, source->text, renamed);
    gla__map_prefix(im, gla__name_of("%sshared.", ours.text).text,
                    gla__name_of("%sshared_experts.", source->text).text);
    gla__map_experts(im, layer, source->text, &gla__experts_mixtral);
}

static void tensors(gla__import *im)
{
    static const char *const latent[] = {"kv_a_proj.weight=kv_a_proj_with_mqa.weight",
                                         "kv_a_norm.weight=kv_a_layernorm.weight",
                                         "?q_a_norm.weight=q_a_layernorm.weight", NULL};

    gla__llama_tensors(im, NULL);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const gla_arch_block *b = gla__block_of(im, i);
        const bool sparse =
            gla__source_format(im, "model.layers.%u.block_sparse_moe.gate.weight", i) ||
            gla__source_format(im, "model.layers.%u.block_sparse_moe.up_proj.weight", i);
        const gla__name attn = gla__name_of("model.layers.%u.self_attn.", i);
        const gla__name ffn =
            gla__name_of("model.layers.%u.%s.", i, sparse ? "block_sparse_moe" : "mlp");

        gla__map_prefix(im, gla__name_of("layers.%u.ffn.", i).text, ffn.text);
        if (gla__is_type(&b->mixers[0], "mla"))
            gla__map_names(im, gla__name_of("layers.%u.mixer.", i).text, attn.text, latent);
        else
            kda_tensors(im, i, &attn);
        if (gla__is_type(&b->ffn, "moe"))
            moe_tensors(im, i, &ffn);
    }
    gla__map_ignore(im, "model.mtp.*");
}

static const char *const model_types[] = {"kimi_linear", NULL};
const gla__importer gla__importer_kimi_linear = {"hf/kimi_linear", model_types, arch, tensors};
