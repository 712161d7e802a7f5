/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/rwkv.h"

#include <math.h>
#include <stdio.h>

static void set_norm(gla__import *im, gla_arch_layer *norm, bool bias)
{
    gla__set_type(im, norm, "layernorm");
    gla__set_number(im, norm, "eps", gla__config_float(im->cfg, "norm_eps", 1e-5));
    gla__set_flag(im, norm, "bias", bias, false);
}

gla_arch_block *gla__rwkv_blocks(gla__import *im, const gla__model_defaults *d, const char *type,
                                 double hidden_ratio, bool receptance)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, d, type, type);
    const bool bias = gla__config_bool(c, "norm_bias", true);
    const double ratio = gla__config_float(c, "hidden_ratio", hidden_ratio);
    const double wanted = 32 * ceil(floor(ratio * gla__hidden_size(im)) / 32);
    int64_t d_ff = wanted >= 32 && wanted <= GLA__MAX_WIDTH ? (int64_t)wanted : 32;

    d_ff = gla__config_int(c, "intermediate_size", d_ff, 1, GLA__MAX_WIDTH);
    set_norm(im, &im->arch->norm, bias);
    if (gla__config_bool(c, "norm_first", true))
        set_norm(im, &im->arch->embedding_norm, bias);
    for (uint32_t i = 0; i < im->arch->n_blocks; i++) {
        gla_arch_layer *ffn = &im->arch->blocks[i].ffn;

        gla__set_type(im, ffn, "rwkv_ffn");
        gla__set_number(im, ffn, "d_ff", (double)d_ff);
        gla__set_flag(im, ffn, "receptance", receptance, false);
    }
    return b;
}

void gla__rwkv_tensors(gla__import *im, const char *const *renamed, const char *const *ffn_renamed)
{
    char ours[64], source[64];

    gla__fla_tensors(im, renamed);
    gla__map_prefix(im, "embed_norm.", "model.layers.0.pre_norm.");
    for (uint32_t i = 0; i < im->n_layers; i++) {
        snprintf(ours, sizeof(ours), "layers.%u.ffn.", i);
        snprintf(source, sizeof(source), "model.layers.%u.ffn.", i);
        gla__map_prefix(im, ours, source);
        gla__map_names(im, ours, source, ffn_renamed);
        snprintf(ours, sizeof(ours), "layers.%u.ffn_norm.", i);
        snprintf(source, sizeof(source), "model.layers.%u.ffn_norm.", i);
        gla__map_prefix(im, ours, source);
    }
}
