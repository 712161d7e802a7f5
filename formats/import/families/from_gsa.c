/* SPDX-License-Identifier: Apache-2.0
 *
 * from_gsa.c - flash-linear-attention's gated slot attention
 *
 * use_output_gate, use_norm and use_rope are never read by the model.
 */
#include "formats/import/fla.h"

static void arch(gla__import *im)
{
    static const char *const maps[] = {"swish", "relu", NULL};
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "gsa", "gsa");
    gla_arch_layer *l;
    uint32_t heads, slots; /* null: as many slots as a head has key channels */

    gla__config_ignore(c,
                       "use_output_gate|use_norm|use_rope|share_conv_kernel|clamp_min|clamp_max");
    gla__config_only(c, "feature_map", maps);
    if (!b)
        return;
    l = &b->mixers[0];
    gla__fla_heads(im, l, 4, 1, 1);
    heads = (uint32_t)gla__config_int(c, "num_heads", 4, 1, GLA__MAX_HEADS);
    slots = gla__config_is_null(c, "num_slots") ? gla__fla_width(im, "expand_k|exapnd_k", 1) / heads
                                                : 64;
    gla__set_number(im, l, "slots", (double)gla__config_int(c, "num_slots", slots, 1, 4096));
    gla__set_number(im, l, "gate_normalizer", gla__config_float(c, "gate_logit_normalizer", 8));
    gla__fla_conv(im, l, 0, gla__config_bool(c, "use_short_conv", false), "q_conv1d.weight");
    gla__set_activation(im, l, "feature_map", "feature_map", "swish", "silu");
    gla__set_number(im, l, "norm_eps", 1e-5); /* whatever the config's norm_eps is */
    gla__set_flag(im, l, "norm_weight", gla__config_bool(c, "elementwise_affine", true), true);
}

static const char *const model_types[] = {"gsa", NULL};
const gla__importer gla__importer_gsa = {"fla/gsa", model_types, arch, gla__fla_plain_tensors};
