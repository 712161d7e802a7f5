/* SPDX-License-Identifier: Apache-2.0
 *
 * from_recurrent_gemma.c - RecurrentGemma: Griffin's recurrence with attention in a window
 *
 * Norms are zero-centred.  The embedding is multiplied by sqrt(hidden_size) rounded to bf16, as in
 * the authors' code.
 */
#include <math.h>
#include <string.h>

#include "formats/import/hybrid.h"
#include "formats/import/llama.h"

enum { RECURRENT, ATTENTION };
static const char *const kinds[] = {"recurrent", "attention"};

/* block_types is repeated. */
static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    gla__config *c = im->cfg;
    const uint32_t n = gla__config_length(c, "block_types");
    const char *key;

    if (!n)
        return layer % 3 == 2 ? ATTENTION : RECURRENT;
    key = gla__config_key(c, "block_types.%u", layer % n);
    if (gla__config_is(c, key, "attention"))
        return ATTENTION;
    if (!gla__config_is(c, key, "recurrent"))
        gla__config_refuse(c, key, "expected recurrent or attention");
    return RECURRENT;
}

static void recurrent(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;

    gla__set_number(im, l, "width",
                    (double)gla__config_int(c, "lru_width", gla__hidden_size(im), 1, 1 << 20));
    gla__set_number(im, l, "heads",
                    (double)gla__config_int(c, "num_attention_heads", 10, 1, GLA__MAX_HEADS));
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "conv1d_width", 4, 1, 64));
    gla__set_activation(im, l, "activation", "hidden_activation", "gelu_pytorch_tanh", "gelu_tanh");
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    static const gla__llama_attention attention = {.heads = 10, .rotary = 0.5};
    gla__config *c = im->cfg;

    if (kind == RECURRENT) {
        recurrent(im, gla__set_mixer(im, b, "rg_lru"));
    } else {
        gla__llama_attention_set(im, b, &attention);
        gla__set_flag(im, &b->mixers[0], "out_bias", true, false);
        gla__set_number(im, &b->mixers[0], "window",
                        (double)gla__config_int(c, "attention_window_size|sliding_window", 2048, 1,
                                                GLA__MAX_WIDTH));
    }
    gla__set_type(im, &b->ffn, "swiglu");
    gla__set_number(im, &b->ffn, "d_ff",
                    (double)(gla__config_int(c, "intermediate_size", 7680, 2, GLA__MAX_WIDTH) / 2));
    gla__set_activation(im, &b->ffn, "activation", "hidden_activation", "gelu_pytorch_tanh",
                        "silu");
    gla__set_flag(im, &b->ffn, "bias", true, false);
}

static double round_to_bf16(double x)
{
    float f = (float)x;
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&f, &bits, sizeof(bits));
    return f;
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 256000,
                                                 .hidden_size = 2560,
                                                 .layers = 26,
                                                 .max_positions = 8192,
                                                 .norm_eps = 1e-6,
                                                 .tie = true};
    gla__config *c = im->cfg;

    gla__config_ignore(c, "w_init_variance_scale|final_w_init_variance_scale|layers_block_type");
    if (!gla__config_bool(c, "embeddings_scale_by_sqrt_dim", true))
        gla__config_refuse(c, "embeddings_scale_by_sqrt_dim", "not supported");
    gla__model(im, &defaults);
    gla__set_number(im, &im->arch->norm, "offset", 1);
    gla__set_type(im, &im->arch->embedding, "embedding");
    gla__set_number(im, &im->arch->embedding, "multiplier",
                    round_to_bf16(sqrt(gla__hidden_size(im))));
    gla__set_type(im, &im->arch->head, "head");
    gla__set_number(im, &im->arch->head, "soft_cap", gla__config_float(c, "logits_soft_cap", 30));
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void tensors(gla__import *im)
{
    static const gla__llama_names names = {.mixer = "temporal_block.",
                                           .ffn = "mlp_block.",
                                           .mixer_norm = "temporal_pre_norm.",
                                           .ffn_norm = "channel_pre_norm.",
                                           .final_norm = "final_norm."};
    static const char *const renamed[] = {
        "x_proj.weight=linear_x.weight",
        "x_proj.bias=linear_x.bias",
        "y_proj.weight=linear_y.weight",
        "y_proj.bias=linear_y.bias",
        "o_proj.weight=linear_out.weight",
        "o_proj.bias=linear_out.bias",
        "conv1d.weight=conv_1d.weight",
        "conv1d.bias=conv_1d.bias",
        "input_gate.weight=rg_lru.input_gate_weight",
        "input_gate.bias=rg_lru.input_gate_bias",
        "recurrent_gate.weight=rg_lru.recurrent_gate_weight",
        "recurrent_gate.bias=rg_lru.recurrent_gate_bias",
        "lambda=rg_lru.recurrent_param",
        NULL,
    };

    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++)
        if (gla__is_type(&gla__block_of(im, i)->mixers[0], "rg_lru"))
            gla__map_names(im, gla__name_of("layers.%u.mixer.", i).text,
                           gla__name_of("model.layers.%u.temporal_block.", i).text, renamed);
}

static const char *const model_types[] = {"recurrent_gemma", NULL};
const gla__importer gla__importer_recurrent_gemma = {"hf/recurrent_gemma", model_types, arch,
                                                     tensors};
