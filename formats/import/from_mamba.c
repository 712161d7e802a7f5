/* SPDX-License-Identifier: Apache-2.0
 *
 * from_mamba.c - Mamba as transformers and flash-linear-attention publish it
 *
 * Both say model_type mamba.  Theirs differ in the name of the norm's epsilon, of the rank of dt,
 * and in whether the embedding is tied when the config does not say.
 */
#include "formats/import_common.h"

static uint32_t inner_width(gla__import *im)
{
    const double inner = gla__config_float(im->cfg, "expand", 2) * gla__hidden_size(im);

    if (inner >= 1 && inner <= GLA__MAX_WIDTH)
        return (uint32_t)inner;
    gla__config_refuse(im->cfg, "expand", "no sensible width comes out");
    return 1;
}

/* "auto" is hidden_size / 16; flash-linear-attention has read two spellings in its time, so that
 * the tensors decide. */
static uint32_t dt_rank(gla__import *im, uint32_t inner)
{
    gla__config *c = im->cfg;
    const gla_tensor_info *dt = gla__source(im, "backbone.layers.0.mixer.dt_proj.weight");
    const uint32_t automatic = (gla__hidden_size(im) + 15) / 16;
    int64_t rank = automatic;

    if (!gla__config_is(c, "time_step_rank|dt_rank", "auto"))
        rank = gla__config_int(c, "time_step_rank|dt_rank", automatic, 1, GLA__MAX_WIDTH);
    if (dt && dt->n_elements / inner != (uint64_t)rank && dt->n_elements % inner == 0 &&
        dt->n_elements / inner <= GLA__MAX_WIDTH) {
        gla__note(im, "config.json gives dt rank %d, the tensors have %d: taking that", (int)rank,
                  (int)(dt->n_elements / inner));
        rank = (int64_t)(dt->n_elements / inner);
    }
    return (uint32_t)rank;
}

static void arch(gla__import *im)
{
    static const char *const activations[] = {"silu", "swish", NULL};
    gla__config *c = im->cfg;
    const bool fla = gla__config_has(c, "norm_eps");
    const gla__model_defaults defaults = {
        .vocab_size = fla ? 32000 : 50280,
        .hidden_size = fla ? 2048 : 768,
        .layers = fla ? 48 : 32,
        .norm_eps = 1e-5,
        .tie = !gla__has_tensor(im, fla, "lm_head.weight"),
    };
    gla_arch_block *b;
    gla_arch_layer *l;
    uint32_t inner;

    gla__config_ignore(c, "dt_scale|dt_min|dt_max|dt_init_scheme|dt_init_floor|residual_in_fp32");
    gla__config_ignore(c, "time_step_min|time_step_max|time_step_floor|time_step_scale");
    gla__config_ignore(c, "time_step_init_scheme|use_mambapy|use_associative_scan");
    gla__config_ignore(c, "intermediate_size"); /* follows from expand */
    gla__model(im, &defaults);
    gla__config_only(c, "hidden_act", activations);
    b = gla__block_add(im, "mamba");
    if (!b)
        return;
    l = gla__set_mixer(im, b, "mamba");
    inner = inner_width(im);
    gla__set_number(im, l, "inner", inner);
    gla__set_number(im, l, "state", (double)gla__config_int(c, "state_size", 16, 1, 4096));
    gla__set_number(im, l, "dt_rank", dt_rank(im, inner));
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "conv_kernel", 4, 1, 64));
    gla__set_flag(im, l, "conv_bias", gla__config_bool(c, "use_conv_bias", true), true);
    gla__set_flag(im, l, "in_bias", gla__config_bool(c, "use_bias", false), false);
    gla__set_flag(im, l, "out_bias", gla__config_bool(c, "use_bias", false), false);
}

static const char *const model_types[] = {"mamba", NULL};
const gla__importer gla__importer_mamba = {"mamba", model_types, arch, gla__backbone_tensors};
