/* SPDX-License-Identifier: Apache-2.0
 *
 * from_hgrn2.c - flash-linear-attention's HGRN2
 *
 * num_heads counts only where expand_ratio is null.
 */
#include "formats/import/fla.h"

/* Heads, and channels of the forget gate that each has. */
static void set_heads(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;
    const int64_t d = gla__hidden_size(im), given = gla__config_int(c, "num_heads", 0, 0, 1024);
    const int64_t ratio = gla__config_is_null(c, "expand_ratio") && given
                              ? d / given
                              : gla__config_int(c, "expand_ratio", 128, 1, d);
    const int64_t heads = gla__config_is_null(c, "expand_ratio") && given ? given : d / ratio;

    if (heads < 1 || d % heads) {
        gla__config_refuse(c, "expand_ratio", "hidden_size is no multiple of the heads");
        return;
    }
    if (given && given != heads)
        gla__note(im, "config.json says num_heads %d, the model has hidden_size / expand_ratio: %d",
                  (int)given, (int)heads);
    gla__set_number(im, l, "heads", (double)heads);
    gla__set_number(im, l, "f_dim", (double)(heads * ratio));
}

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "hgrn2", "hgrn2");
    gla_arch_layer *l;

    gla__config_ignore(c, "num_heads|expand_ratio");
    if (!b)
        return;
    l = &b->mixers[0];
    set_heads(im, l);
    gla__fla_conv(im, l, 0, gla__config_bool(c, "use_short_conv", false), "q_conv1d.weight");
    gla__set_flag(
        im, l, "lower_bound",
        gla__has_tensor(im, gla__config_bool(c, "use_lower_bound", true), "model.lower_bounds"),
        true);
    gla__set_number(im, l, "norm_eps", 1e-5); /* whatever the config's norm_eps is */
    gla__set_flag(im, l, "norm_weight", gla__config_bool(c, "elementwise_affine", true), true);
}

static void tensors(gla__import *im)
{
    gla__map_prefix(im, "lower_bounds", "model.lower_bounds");
    gla__fla_tensors(im, NULL);
}

static const char *const model_types[] = {"hgrn2", NULL};
const gla__importer gla__importer_hgrn2 = {"fla/hgrn2", model_types, arch, tensors};
