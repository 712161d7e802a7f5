/* SPDX-License-Identifier: Apache-2.0
 *
 * from_falcon_h1.c - Falcon-H1: Mamba-2 and softmax attention side by side in every layer, with a
 * multiplier for everything that is multiplied
 */
#include "formats/import/llama.h"
#include "formats/import/mamba.h"

enum { MAMBA, ATTENTION };

static double multiplier(gla__import *im, const char *key)
{
    return gla__config_float(im->cfg, key, 1);
}

static void mamba(gla__import *im, gla_arch_block *b)
{
    static const gla__mamba2_defaults defaults = {
        .heads = 128, .state = 256, .groups = 1, .out_bias = "projectors_bias"};
    static const char *const names[] = {"multiplier.z", "multiplier.x", "multiplier.b",
                                        "multiplier.c", "multiplier.dt"};
    gla__config *c = im->cfg;
    gla_arch_layer *l = gla__mamba2(im, b, &defaults);

    if (gla__config_bool(c, "mamba_rms_norm", false)) {
        gla__set_text(im, l, "norm", "group");
        gla__set_flag(im, l, "norm_before_gate",
                      gla__config_bool(c, "mamba_norm_before_gate", true), false);
    } else {
        gla__set_text(im, l, "norm", "none");
    }
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        gla__set_unless(im, l, names[i],
                        multiplier(im, gla__config_key(c, "ssm_multipliers.%u", i)), 1);
    l->in_multiplier = multiplier(im, "ssm_in_multiplier");
    l->out_multiplier = multiplier(im, "ssm_out_multiplier");
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 128000,
                                                 .hidden_size = 4096,
                                                 .layers = 32,
                                                 .max_positions = 8192,
                                                 .norm_eps = 1e-5};
    static const gla__llama_attention attention = {.kv_heads = 8};
    gla__config *c = im->cfg;
    gla_arch_block *b;
    gla_arch_layer *mixers;

    gla__config_ignore(c,
                       "num_logits_to_keep|mamba_use_mlp|mlp_expansion_factor|attn_layer_indices");
    gla__config_ignore(c, "mamba_norm_before_gate|mamba_expand|embedding_dim");
    gla__only_silu(im, "hidden_act");
    if (gla__is_mlx_conv(gla__source(im, "model.layers.0.mamba.conv1d.weight")))
        gla__config_refuse(c, "model_type", "MLX has multiplied the weights by the multipliers");
    gla__model(im, &defaults);
    b = gla__block_add(im, "parallel");
    if (!b)
        return;
    mixers = b->mixers;
    gla__llama_attention_set(im, b, &attention);
    mixers[ATTENTION] = mixers[0];
    mixers[MAMBA] = (gla_arch_layer){.in_multiplier = 1, .out_multiplier = 1};
    b->n_mixers = 0;
    mamba(im, b);
    b->n_mixers = 2;
    gla__set_unless(im, &mixers[ATTENTION], "key_multiplier", multiplier(im, "key_multiplier"), 1);
    mixers[ATTENTION].in_multiplier = multiplier(im, "attention_in_multiplier");
    mixers[ATTENTION].out_multiplier = multiplier(im, "attention_out_multiplier");
    gla__llama_ffn(im, b, 14336);
    gla__set_unless(im, &b->ffn, "gate_multiplier", multiplier(im, "mlp_multipliers.0"), 1);
    b->ffn.out_multiplier = multiplier(im, "mlp_multipliers.1");
    gla__set_type(im, &im->arch->embedding, "embedding");
    gla__set_unless(im, &im->arch->embedding, "multiplier", multiplier(im, "embedding_multiplier"),
                    1);
    gla__set_type(im, &im->arch->head, "head");
    gla__set_unless(im, &im->arch->head, "multiplier", multiplier(im, "lm_head_multiplier"), 1);
}

static void tensors(gla__import *im)
{
    static const gla__llama_names names = {
        .ffn = "feed_forward.", .ffn_norm = "pre_ff_layernorm.", .final_norm = "final_layernorm."};

    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        gla__layer_rule(im, i, "mixer.0.", "model.", "mamba.");
        gla__layer_rule(im, i, "mixer.1.", "model.", "self_attn.");
    }
}

static const char *const model_types[] = {"falcon_h1", NULL};
const gla__importer gla__importer_falcon_h1 = {"hf/falcon_h1", model_types, arch, tensors};
