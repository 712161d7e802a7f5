/* SPDX-License-Identifier: Apache-2.0
 *
 * from_hgrn.c - flash-linear-attention's HGRN
 */
#include "formats/import/fla.h"

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "hgrn", "hgrn");
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__set_number(im, l, "f_dim", gla__fla_width(im, "expand_ratio", 1));
    gla__fla_conv(im, l, 0, gla__config_bool(c, "use_short_conv", false), "f_conv1d.weight");
    gla__set_flag(
        im, l, "lower_bound",
        gla__has_tensor(im, gla__config_bool(c, "use_lower_bound", true), "model.lower_bounds"),
        true);
    gla__set_flag(im, l, "norm_weight", gla__config_bool(c, "elementwise_affine", true), true);
}

static void tensors(gla__import *im)
{
    gla__map_prefix(im, "lower_bounds", "model.lower_bounds");
    gla__fla_tensors(im, NULL);
}

static const char *const model_types[] = {"hgrn", NULL};
const gla__importer gla__importer_hgrn = {"fla/hgrn", model_types, arch, tensors};
