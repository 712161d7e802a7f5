/* SPDX-License-Identifier: Apache-2.0
 *
 * from_retnet.c - flash-linear-attention's RetNet
 *
 * The model never passes use_short_conv on, so that the tensors alone say whether there is one.
 */
#include "formats/import/fla.h"

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "retention", "retention");
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__fla_heads(im, l, 8, 1, 2);
    gla__fla_conv(im, l, 0, im->source && gla__config_bool(c, "use_short_conv", false),
                  "q_conv1d.weight");
    gla__fla_feature_map(im, l);
    gla__set_flag(im, l, "output_gate", gla__config_bool(c, "use_output_gate", true), true);
    gla__set_flag(im, l, "norm_weight", gla__config_bool(c, "elementwise_affine", true), true);
}

static void tensors(gla__import *im)
{
    static const char *const renamed[] = {"?g_norm.weight=g_norm_swish_gate.weight", NULL};

    gla__fla_tensors(im, renamed);
}

static const char *const model_types[] = {"retnet", NULL};
const gla__importer gla__importer_retnet = {"fla/retnet", model_types, arch, tensors};
