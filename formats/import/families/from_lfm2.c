/* SPDX-License-Identifier: Apache-2.0
 *
 * from_lfm2.c - LFM2: gated short convolutions with softmax attention
 */
#include "formats/import/hybrid.h"
#include "formats/import/llama.h"

enum { CONV, FULL };
static const char *const kinds[] = {"conv", "full"};

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"conv", "full_attention", NULL};
    gla__config *c = im->cfg;
    double full[GLA__ARCH_MAX_LAYERS];
    uint32_t n;

    if (!gla__config_has(c, "full_attn_idxs"))
        return gla__layer_type(im, layer, words, FULL);
    n = gla__config_list(c, "full_attn_idxs", full, GLA__ARCH_MAX_LAYERS);
    for (uint32_t i = 0; i < n; i++)
        if (full[i] >= layer && full[i] <= layer)
            return gla__layer_type(im, layer, words, FULL);
    return gla__layer_type(im, layer, words, CONV);
}

/* int(multiplier * int(2/3 width)), up to a multiple of block_multiple_of. */
static uint32_t inner_width(gla__import *im)
{
    gla__config *c = im->cfg;
    const int64_t width =
        gla__config_int(c, "block_ff_dim|intermediate_size", 12288, 1, GLA__MAX_WIDTH);
    const int64_t multiple = gla__config_int(c, "block_multiple_of", 256, 1, GLA__MAX_WIDTH);
    const double scaled =
        gla__config_float(c, "block_ffn_dim_multiplier", 1) * (double)(2 * width / 3);

    gla__config_ignore(c, "block_ff_dim|intermediate_size");
    if (!gla__config_bool(c, "block_auto_adjust_ff_dim", true))
        return (uint32_t)width;
    if (!(scaled >= 1 && scaled <= GLA__MAX_WIDTH)) {
        gla__config_refuse(c, "block_ffn_dim_multiplier", "no sensible width comes out");
        return 1;
    }
    return (uint32_t)(multiple * (((int64_t)scaled + multiple - 1) / multiple));
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    static const gla__llama_attention attention = {
        .kv_heads = 8, .qk_norm = "head", .rope_theta = 1000000};
    gla__config *c = im->cfg;

    if (kind == FULL) {
        gla__llama_attention_set(im, b, &attention);
    } else {
        gla_arch_layer *l = gla__set_mixer(im, b, "short_conv");

        gla__set_number(im, l, "conv", (double)gla__config_int(c, "conv_L_cache", 3, 1, 64));
        gla__set_flag(im, l, "bias", gla__config_bool(c, "conv_bias", false), false);
    }
    gla__set_type(im, &b->ffn, "swiglu");
    gla__set_number(im, &b->ffn, "d_ff", inner_width(im));
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 65536,
                                                 .hidden_size = 2560,
                                                 .layers = 32,
                                                 .max_positions = 128000,
                                                 .norm_eps = 1e-5,
                                                 .tie = true};
    gla__config *c = im->cfg;

    gla__config_ignore(c, "conv_dim|conv_dim_out|conv_use_xavier_init|block_dim|block_norm_eps");
    gla__config_ignore(c, "block_mlp_init_scale|block_out_init_scale|block_use_swiglu|num_heads");
    gla__config_ignore(c, "block_use_xavier_init|use_pos_enc|full_attn_idxs");
    gla__model(im, &defaults);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void tensors(gla__import *im)
{
    static const gla__llama_names names = {.ffn = "feed_forward.",
                                           .mixer_norm = "operator_norm.",
                                           .ffn_norm = "ffn_norm.",
                                           .final_norm = "embedding_norm."};
    static const char *const attention[] = {"q_norm.weight=q_layernorm.weight",
                                            "k_norm.weight=k_layernorm.weight",
                                            "o_proj.weight=out_proj.weight", NULL};
    static const char *const ffn[] = {"gate_proj.weight=w1.weight", "up_proj.weight=w3.weight",
                                      "down_proj.weight=w2.weight", NULL};

    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const gla__name mixer = gla__name_of("layers.%u.mixer.", i);

        gla__map_names(im, gla__name_of("layers.%u.ffn.", i).text,
                       gla__name_of("model.layers.%u.feed_forward.", i).text, ffn);
        if (gla__is_type(&gla__block_of(im, i)->mixers[0], "short_conv"))
            gla__layer_rule(im, i, "mixer.", "model.", "conv.");
        else
            gla__map_names(im, mixer.text, gla__name_of("model.layers.%u.self_attn.", i).text,
                           attention);
    }
}

static const char *const model_types[] = {"lfm2", NULL};
const gla__importer gla__importer_lfm2 = {"hf/lfm2", model_types, arch, tensors};
