/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/mamba.h"

#include <math.h>

static uint32_t mamba_inner(gla__import *im)
{
    const double inner = gla__config_float(im->cfg, "expand", 2) * gla__hidden_size(im);

    if (inner >= 1 && inner <= GLA__MAX_WIDTH)
        return (uint32_t)inner;
    gla__config_refuse(im->cfg, "expand", "no sensible width comes out");
    return 1;
}

/* "auto" is hidden_size / 16; flash-linear-attention has read two spellings in its time, so that
 * the tensors decide. */
static uint32_t mamba_dt_rank(gla__import *im, uint32_t inner, uint32_t layer)
{
    gla__config *c = im->cfg;
    const gla_tensor_info *dt =
        gla__source_format(im, "backbone.layers.%u.mixer.dt_proj.weight", layer);
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

void gla__mamba(gla__import *im, gla_arch_block *b, uint32_t first_layer, bool conv_bias)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = gla__set_mixer(im, b, "mamba");
    const uint32_t inner = mamba_inner(im);

    gla__config_ignore(c, "dt_scale|dt_min|dt_max|dt_init_scheme|dt_init_floor|residual_in_fp32");
    gla__config_ignore(c, "time_step_min|time_step_max|time_step_floor|time_step_scale");
    gla__config_ignore(c, "time_step_init_scheme|use_mambapy|use_associative_scan");
    gla__config_ignore(c, "intermediate_size"); /* follows from expand */
    gla__set_number(im, l, "inner", inner);
    gla__set_number(im, l, "state", (double)gla__config_int(c, "state_size", 16, 1, 4096));
    gla__set_number(im, l, "dt_rank", mamba_dt_rank(im, inner, first_layer));
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "conv_kernel", 4, 1, 64));
    gla__set_flag(im, l, "conv_bias", conv_bias, true);
    gla__set_flag(im, l, "in_bias", gla__config_bool(c, "use_bias", false), false);
    gla__set_flag(im, l, "out_bias", gla__config_bool(c, "use_bias", false), false);
}

gla_arch_layer *gla__mamba2(gla__import *im, gla_arch_block *b, const gla__mamba2_defaults *d)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = &b->mixers[b->n_mixers++];
    const int64_t heads = gla__config_int(c, "mamba_n_heads|mamba_num_heads", d->heads, 1, 65536);
    const double inner = gla__config_float(
        c, "mamba_d_ssm", gla__config_float(c, "mamba_expand|expand", 2) * gla__hidden_size(im));
    int64_t head_dim = d->head_dim;

    if (!head_dim && inner >= (double)heads && inner <= GLA__MAX_WIDTH)
        head_dim = (int64_t)inner / heads;
    gla__config_ignore(c, "mamba_chunk_size|chunk_size");
    if (!gla__config_is(c, "mamba_d_head", "auto"))
        head_dim = gla__config_int(c, "mamba_d_head|mamba_head_dim", head_dim, 1, 4096);
    if (!head_dim)
        gla__config_refuse(c, "mamba_d_ssm|mamba_expand|expand",
                           "no sensible width of a head comes out");
    gla__set_type(im, l, "mamba2");
    gla__set_number(im, l, "heads", (double)heads);
    gla__set_number(im, l, "head_dim", (double)head_dim);
    gla__set_number(im, l, "state",
                    (double)gla__config_int(c, "mamba_d_state|ssm_state_size", d->state, 1, 4096));
    gla__set_unless(im, l, "groups",
                    (double)gla__config_int(c, "mamba_n_groups|n_groups", d->groups, 1, 1024), 1);
    gla__set_number(im, l, "conv",
                    (double)gla__config_int(c, "mamba_d_conv|conv_kernel", 4, 1, 64));
    gla__set_flag(im, l, "conv_bias", gla__config_bool(c, "mamba_conv_bias|use_conv_bias", true),
                  true);
    gla__set_flag(im, l, "in_bias", gla__config_bool(c, "mamba_proj_bias", false), false);
    gla__set_flag(im, l, "out_bias",
                  gla__config_bool(c, d->out_bias ? d->out_bias : "mamba_proj_bias", false), false);
    gla__set_unless(im, l, "dt_min", gla__config_float(c, "time_step_limit.0|mamba_dt_limit.0", 0),
                    0);
    gla__set_unless(im, l, "dt_max",
                    gla__config_float(c, "time_step_limit.1|mamba_dt_limit.1", INFINITY), INFINITY);
    return l;
}

bool gla__is_mlx_conv(const gla_tensor_info *taps)
{
    return taps && taps->ndim == 3 && taps->dims[1] > 1 && taps->dims[2] == 1;
}
