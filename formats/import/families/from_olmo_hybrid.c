/* SPDX-License-Identifier: Apache-2.0
 *
 * from_olmo_hybrid.c - OLMo Hybrid: Gated DeltaNet blocks with norms before their branches, softmax
 * blocks with norms after
 *
 * transformers runs one convolution over q, k and v joined.  Files have it whole, or in three parts
 * that need not end where q and k end.
 */
#include "formats/import/hybrid.h"
#include "formats/import/llama.h"

enum { LINEAR, FULL };
static const char *const kinds[] = {"linear", "full"};

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"linear_attention", "full_attention", NULL};

    return gla__layer_type(im, layer, words, layer % 4 == 3 ? FULL : LINEAR);
}

static void linear(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;
    const int64_t attn = gla__config_int(c, "num_attention_heads", 30, 1, GLA__MAX_HEADS);
    const int64_t key_heads = gla__config_int(c, "linear_num_key_heads", attn, 1, GLA__MAX_HEADS);
    const int64_t heads = gla__config_int(c, "linear_num_value_heads", attn, 1, GLA__MAX_HEADS);
    const int64_t k =
        gla__config_int(c, "linear_key_head_dim",
                        (int64_t)(0.75 * gla__hidden_size(im) / (double)key_heads), 1, 4096);

    gla__set_number(im, l, "heads", (double)heads);
    gla__set_unless(im, l, "key_heads", (double)key_heads, (double)heads);
    gla__set_number(im, l, "head_k_dim", (double)k);
    gla__set_number(im, l, "head_v_dim",
                    (double)gla__config_int(c, "linear_value_head_dim", 2 * k, 1, 4096));
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "linear_conv_kernel_dim", 4, 1, 64));
    gla__set_flag(im, l, "neg_eigval", gla__config_bool(c, "linear_allow_neg_eigval", true), false);
    gla__set_number(im, l, "norm_eps", 1e-5); /* not rms_norm_eps */
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    const gla__llama_attention attention = {
        .heads = 30,
        .qk_norm = "whole",
        .no_rope = !gla__config_has(im->cfg, "rope_parameters.rope_theta|rope_theta"),
    };

    if (kind == LINEAR) {
        linear(im, gla__set_mixer(im, b, "gated_deltanet"));
    } else {
        gla__llama_attention_set(im, b, &attention);
        b->norm_at = GLA_NORM_AT_POST;
    }
    gla__llama_ffn(im, b, 11008);
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 100352,
                                                 .hidden_size = 3840,
                                                 .layers = 32,
                                                 .max_positions = 65536,
                                                 .norm_eps = 1e-6};
    gla__config *c = im->cfg;

    gla__config_ignore(c, "linear_a_log_min|linear_a_log_max|linear_dt_min|linear_dt_max");
    gla__config_ignore(c, "linear_dt_init_floor|rope_parameters");
    gla__only_silu(im, "hidden_act");
    gla__model(im, &defaults);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void linear_tensors(gla__import *im, uint32_t layer)
{
    static const char *const ours[] = {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight",
                                       NULL};
    static const char *const theirs[] = {"conv1d.weight", "q_conv1d.weight", "k_conv1d.weight",
                                         "v_conv1d.weight", NULL};
    const gla_arch_layer *l = &gla__block_of(im, layer)->mixers[0];
    const uint64_t heads = gla__param_of(l, "heads", 1), w = gla__param_of(l, "conv", 4);
    const uint64_t k = gla__param_of(l, "key_heads", heads) * gla__param_of(l, "head_k_dim", 1) * w;
    const uint64_t v = heads * gla__param_of(l, "head_v_dim", 1) * w;

    gla__layer_rule(im, layer, "mixer.", "model.", "linear_attn.");
    gla__map_cut(im, gla__name_of("layers.%u.mixer.", layer).text, ours,
                 (const uint64_t[]){k, k, v},
                 gla__name_of("model.layers.%u.linear_attn.", layer).text, theirs);
}

/* The first of the two names that the layer has. */
static void norm(gla__import *im, uint32_t layer, const char *ours, const char *name,
                 const char *other)
{
    const bool has = gla__source_format(im, "model.layers.%u.%sweight", layer, name) != NULL;

    gla__layer_rule(im, layer, ours, "model.", has ? name : other);
}

static void tensors(gla__import *im)
{
    gla__llama_tensors(im, NULL);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        if (gla__is_type(&gla__block_of(im, i)->mixers[0], "gated_deltanet")) {
            linear_tensors(im, i);
            norm(im, i, "mixer_norm.", "input_layernorm.", "attention_layer_norm.");
            norm(im, i, "ffn_norm.", "post_attention_layernorm.", "feedforward_layer_norm.");
        } else {
            norm(im, i, "mixer_norm.", "post_attention_layernorm.", "feedforward_layer_norm.");
            gla__layer_rule(im, i, "ffn_norm.", "model.", "post_feedforward_layernorm.");
        }
    }
}

static const char *const model_types[] = {"olmo_hybrid", NULL};
const gla__importer gla__importer_olmo_hybrid = {"hf/olmo_hybrid", model_types, arch, tensors};
