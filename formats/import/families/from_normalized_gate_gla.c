/* SPDX-License-Identifier: Apache-2.0
 *
 * from_normalized_gate_gla.c - linear attention whose output gates sum to 1 over the heads
 *
 * No decay, no scale, no output norm; biases everywhere; layer norms and a gelu mlp.
 */
#include <stdio.h>

#include "formats/import/common.h"

static const gla__model_defaults defaults = {
    .vocab_size = 32000, .hidden_size = 512, .layers = 6, .norm_eps = 1e-5};

static void set_mixer(gla__import *im, gla_arch_block *b)
{
    gla_arch_layer *l = gla__set_mixer(im, b, "gla");

    gla__set_number(im, l, "heads",
                    (double)gla__config_int(im->cfg, "n_heads|num_heads", 8, 1, GLA__MAX_HEADS));
    gla__set_number(im, l, "k_dim", gla__hidden_size(im));
    gla__set_number(im, l, "v_dim", gla__hidden_size(im));
    gla__set_text(im, l, "feature_map", "elu1");
    gla__set_text(im, l, "forget", "none");
    gla__set_flag(im, l, "gate_over_heads", true, false);
    gla__set_flag(im, l, "output_norm", false, true);
    gla__set_flag(im, l, "bias", true, false);
    gla__set_number(im, l, "scale", 1);
}

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b;

    gla__model(im, &defaults);
    gla__set_type(im, &im->arch->norm, "layernorm");
    gla__set_number(im, &im->arch->norm, "eps", gla__config_float(c, "layer_norm_eps", 1e-5));
    gla__set_flag(im, &im->arch->norm, "bias", true, false);
    gla__set_type(im, &im->arch->head, "head");
    gla__set_flag(im, &im->arch->head, "bias", true, false);
    b = gla__block_add(im, "gla");
    if (!b)
        return;
    set_mixer(im, b);
    gla__set_type(im, &b->ffn, "mlp");
    gla__set_number(
        im, &b->ffn, "d_ff",
        (double)gla__config_int(c, "d_ff", 4 * (int64_t)gla__hidden_size(im), 1, GLA__MAX_WIDTH));
    gla__set_text(im, &b->ffn, "activation", "gelu");
    gla__set_flag(im, &b->ffn, "bias", true, false);
}

static void tensors(gla__import *im)
{
    static const char *const names[][2] = {
        {"mixer.", "gla."},      {"mixer.o_proj.", "gla.out_proj."}, {"mixer_norm.", "norm1."},
        {"ffn_norm.", "norm2."}, {"ffn.up_proj.", "ffn.0."},         {"ffn.down_proj.", "ffn.3."},
    };

    gla__map_prefix(im, "embed.weight", "embed.weight");
    gla__map_prefix(im, "final_norm.", "norm.");
    gla__map_prefix(im, "head.", "head.");
    for (uint32_t i = 0; i < im->n_layers; i++)
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            char ours[64], source[64];

            snprintf(ours, sizeof(ours), "layers.%u.%s", i, names[k][0]);
            snprintf(source, sizeof(source), "layers.%u.%s", i, names[k][1]);
            gla__map_prefix(im, ours, source);
        }
}

static const char *const model_types[] = {"normalized_gate_gla", NULL};
const gla__importer gla__importer_normalized_gate_gla = {"normalized_gate_gla", model_types, arch,
                                                         tensors};
