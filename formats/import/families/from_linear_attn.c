/* SPDX-License-Identifier: Apache-2.0
 *
 * from_linear_attn.c - flash-linear-attention's linear attention
 */
#include "formats/import/fla.h"

#include <string.h>

static void set_feature_map(gla__import *im, gla_arch_layer *l)
{
    static const char *const names[][2] = {{"elementwise_product", "elementwise_product"},
                                           {"hedgehog", "hedgehog"},
                                           {"t2r", "t2r"},
                                           {"dpfp", "dpfp"},
                                           {"elu", "elu1"},
                                           {"relu", "relu"},
                                           {"identity", "none"},
                                           {NULL, NULL}};
    const char *given = gla__config_string(im->cfg, "feature_map", "elementwise_product");

    for (size_t i = 0; names[i][0]; i++)
        if (!strcmp(given, names[i][0])) {
            gla__set_text(im, l, "feature_map", names[i][1]);
            return;
        }
    gla__config_refuse(im->cfg, "feature_map", "no such feature map here");
}

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "linear", "linear_attention");
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__fla_heads(im, l, 4, 1, 1);
    set_feature_map(im, l);
    gla__set_flag(im, l, "tie_feature_maps", gla__config_bool(c, "tie_feature_map_qk", false),
                  false);
    gla__set_flag(im, l, "norm_q", gla__config_bool(c, "norm_q", false), false);
    gla__set_flag(im, l, "norm_k", gla__config_bool(c, "norm_k", false), false);
    gla__set_flag(im, l, "normaliser", gla__config_bool(c, "norm_feature_map", false), false);
    gla__set_flag(im, l, "norm_weight", gla__config_bool(c, "elementwise_affine", true), true);
}

static void tensors(gla__import *im)
{
    gla__fla_tensors(im, NULL);
    if (gla__config_bool(im->cfg, "tie_feature_map_qk", false))
        gla__map_ignore(im, "*.attn.feature_map_k.*"); /* the same tensor once more */
}

static const char *const model_types[] = {"linear_attn", NULL};
const gla__importer gla__importer_linear_attn = {"fla/linear_attn", model_types, arch, tensors};
