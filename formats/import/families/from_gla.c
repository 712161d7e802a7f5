/* SPDX-License-Identifier: Apache-2.0
 *
 * from_gla.c - flash-linear-attention's GLA, with softmax layers by `attn`
 *
 * gate_logit_normalizer and gate_low_rank_dim are 16 whatever config.json says: the model never
 * passes them on.  use_gk and use_gv are likewise not read by it.
 */
#include "formats/import/fla.h"

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "gla", "gla");
    gla_arch_layer *l;

    gla__config_ignore(c, "use_gk|use_gv|share_conv_kernel");
    if (!b)
        return;
    l = &b->mixers[0];
    gla__fla_heads(im, l, 4, 0.5, 1);
    gla__fla_conv(im, l, 0, gla__config_bool(c, "use_short_conv", false), "q_conv1d.weight");
    gla__set_flag(im, l, "output_gate", gla__config_bool(c, "use_output_gate", true), true);
    gla__fla_feature_map(im, l);
    if (gla__config_has(c, "clamp_min"))
        gla__set_number(im, l, "clamp_min", gla__config_float(c, "clamp_min", 0));
    gla__set_flag(im, l, "norm_weight", gla__config_bool(c, "elementwise_affine", true), true);
}

static void tensors(gla__import *im)
{
    static const char *const renamed[] = {"?g_norm.weight=g_norm_swish_gate.weight", NULL};

    gla__fla_tensors(im, renamed);
}

static const char *const model_types[] = {"gla", NULL};
const gla__importer gla__importer_gla = {"fla/gla", model_types, arch, tensors};
