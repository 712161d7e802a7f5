/* SPDX-License-Identifier: Apache-2.0
 *
 * from_kla.c - Kalman linear attention as its authors save it: config.json holds {model, mixer}
 */
#include "formats/import/common.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A rank: "full" (all channels), a word for a special one, or a number. */
static int64_t rank_of(gla__import *im, const char *key, int64_t full, const char *word,
                       int64_t special)
{
    if (gla__config_is(im->cfg, key, "full"))
        return full;
    if (gla__config_is(im->cfg, key, word))
        return special;
    return gla__config_int(im->cfg, key, full, 1, GLA__MAX_WIDTH);
}

static double width_of(gla__import *im, const char *key, double wanted)
{
    if (wanted >= 1 && wanted <= GLA__MAX_WIDTH)
        return floor(wanted);
    gla__config_refuse(im->cfg, key, "no sensible width comes out");
    return 1;
}

static void refuse_switches(gla__config *c)
{
    static const char *const ou_zoh[] = {"ou", "zoh", NULL}, *const silu[] = {"silu", NULL};
    static const char *const scalar[] = {"scalar", NULL}, *const swiglu[] = {"swiglu", NULL};
    static const char *const on[] = {"mixer.qk_norm", "mixer.use_conv", "mixer.use_gating",
                                     "mixer.use_lambda_skip", NULL};
    static const char *const off[] = {"mixer.bias", "mixer.zero_process_noise",
                                      "mixer.decode_from_prior", NULL};
    static const char *const absent[] = {"mixer.obs_var_max", "mixer.clip_value",
                                         "model.logit_softcap", NULL};

    gla__config_only(c, "mixer.discretization", ou_zoh);
    gla__config_only(c, "mixer.conv_activation", silu);
    gla__config_only(c, "mixer.gating_activation", silu);
    gla__config_only(c, "mixer.lambda_skip_mode", scalar);
    gla__config_only(c, "model.mlp", swiglu);
    for (uint32_t i = 0; on[i]; i++)
        if (!gla__config_bool(c, on[i], true))
            gla__config_refuse(c, on[i], "off is not supported");
    for (uint32_t i = 0; off[i]; i++)
        if (gla__config_bool(c, off[i], false))
            gla__config_refuse(c, off[i], "not supported");
    for (uint32_t i = 0; absent[i]; i++)
        if (gla__config_has(c, absent[i]))
            gla__config_refuse(c, absent[i], "not supported");
    gla__config_ignore(c,
                       "mixer.dt_min|mixer.dt_max|mixer.dt_init_floor|mixer.process_noise_scale|"
                       "mixer.learnable_process_noise|mixer.lambda_skip_init|mixer.return_variance|"
                       "mixer.backend|mixer.scan_impl|mixer.mobius_impl|mixer.checkpoint_ssm");
}

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch *a = im->arch;
    const int64_t d = gla__config_int(c, "model.d_model", 256, 1, GLA__ARCH_MAX_D_MODEL);
    const double inner =
        width_of(im, "mixer.expand", gla__config_float(c, "mixer.expand", 2) * (double)d);
    const double d_ff =
        width_of(im, "model.mlp_ratio",
                 2 * floor(gla__config_float(c, "model.mlp_ratio", 4) * (double)d) / 3);
    const int64_t dt_rank = gla__config_int(c, "mixer.dt_rank", (d + 7) / 8, 1, GLA__MAX_WIDTH);
    gla_arch_block *b;
    gla_arch_layer *l;

    refuse_switches(c);
    a->vocab_size = (uint32_t)gla__config_int(c, "model.vocab_size", 32000, 1, GLA__ARCH_MAX_VOCAB);
    a->d_model = (uint32_t)d;
    a->tie_embeddings = gla__config_bool(c, "model.tie_embeddings", false);
    gla__set_type(im, &a->norm, "rmsnorm");
    gla__set_number(im, &a->norm, "eps", gla__config_float(c, "model.norm_eps", 1e-5));
    gla__layers_make(im,
                     (uint32_t)gla__config_int(c, "model.n_layers", 12, 1, GLA__ARCH_MAX_LAYERS));
    b = gla__block_add(im, "kla");
    if (!b)
        return;
    l = gla__set_mixer(im, b, "kla");
    gla__set_number(im, l, "inner", inner);
    gla__set_number(im, l, "state", (double)gla__config_int(c, "mixer.d_state", 16, 1, 4096));
    gla__set_unless(im, l, "conv", (double)gla__config_int(c, "mixer.conv_kernel_size", 4, 1, 64),
                    4);
    gla__set_number(im, l, "value_rank",
                    (double)rank_of(im, "mixer.value_rank", (int64_t)inner, "conv", 0));
    gla__set_number(im, l, "var_rank",
                    (double)rank_of(im, "mixer.var_rank", (int64_t)inner, "dt", dt_rank));
    gla__set_unless(im, l, "obs_var_min", gla__config_float(c, "mixer.obs_var_min", 1e-4), 1e-4);
    if (strcmp(gla__config_string(c, "mixer.discretization", "ou"), "ou"))
        gla__set_text(im, l, "discretization", "zoh");
    gla__set_type(im, &b->ffn, "swiglu");
    gla__set_number(im, &b->ffn, "d_ff", d_ff);
}

static void tensors(gla__import *im)
{
    const uint64_t half =
        (uint64_t)gla_arch_param_find(&im->arch->blocks[0].ffn, "d_ff")->number * im->arch->d_model;
    char ours[64], source[64];

    gla__map_prefix(im, "embed.weight", "embedding.weight");
    gla__map_prefix(im, "final_norm.", "norm_f.");
    gla__map_prefix(im, "head.", "lm_head.");
    for (uint32_t i = 0; i < im->n_layers; i++) {
        static const char *const same[] = {"mixer.", "mixer_norm."};

        for (uint32_t k = 0; k < 2; k++) {
            snprintf(ours, sizeof(ours), "layers.%u.%s", i, same[k]);
            snprintf(source, sizeof(source), "blocks.%u.%s", i, same[k]);
            gla__map_prefix(im, ours, source);
        }
        snprintf(ours, sizeof(ours), "layers.%u.ffn_norm.", i);
        snprintf(source, sizeof(source), "blocks.%u.mlp_norm.", i);
        gla__map_prefix(im, ours, source);
        snprintf(source, sizeof(source), "blocks.%u.mlp.w12.weight", i);
        snprintf(ours, sizeof(ours), "layers.%u.ffn.gate_proj.weight", i);
        gla__map_range(im, ours, source, 0, half);
        snprintf(ours, sizeof(ours), "layers.%u.ffn.up_proj.weight", i);
        gla__map_range(im, ours, source, half, half);
        snprintf(source, sizeof(source), "blocks.%u.mlp.w3.weight", i);
        snprintf(ours, sizeof(ours), "layers.%u.ffn.down_proj.weight", i);
        gla__map(im, ours, source);
    }
}

static const char *const model_types[] = {"kla", NULL};
const gla__importer gla__importer_kla = {"kla", model_types, arch, tensors};
