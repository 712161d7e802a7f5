/* SPDX-License-Identifier: Apache-2.0
 *
 * from_mamba2.c - Mamba-2 as transformers and flash-linear-attention publish it
 *
 * Both say model_type mamba2.  With several groups transformers normalises the whole gated output,
 * flash-linear-attention (and mamba_ssm) each group by itself.  transformers never reads
 * norm_before_gate; it once wrote true into every config, Codestral's for one.
 */
#include <math.h>

#include "formats/import/llama.h"

static void set_dt_limits(gla__import *im, gla_arch_layer *l)
{
    gla__config *c = im->cfg;

    gla__set_unless(im, l, "dt_min", gla__config_float(c, "time_step_limit.0|dt_limit.0", 0), 0);
    gla__set_unless(im, l, "dt_max", gla__config_float(c, "time_step_limit.1|dt_limit.1", INFINITY),
                    INFINITY);
}

static void set_norm(gla__import *im, gla_arch_layer *l, bool fla, int64_t groups)
{
    gla__config *c = im->cfg;
    const bool has = gla__has_tensor(im, gla__config_bool(c, "rmsnorm|rms_norm", true),
                                     "backbone.layers.0.mixer.norm.weight");

    gla__set_text(im, l, "norm", !has ? "none" : fla && groups > 1 ? "group" : "whole");
    if (fla)
        gla__set_flag(im, l, "norm_before_gate", gla__config_bool(c, "norm_before_gate", false),
                      false);
    else if (has && groups > 1)
        gla__note(im,
                  "the gated output is normalised as a whole, as transformers does; mamba_ssm "
                  "normalises each of the %d groups (norm: group in arch.yaml)",
                  (int)groups);
    gla__config_not(c, "D_has_hdim");
}

static void arch(gla__import *im)
{
    static const char *const activations[] = {"silu", "swish", NULL};
    gla__config *c = im->cfg;
    const bool fla = gla__config_has(c, "norm_eps");
    const gla__model_defaults defaults = {
        .vocab_size = fla ? 32000 : 32768,
        .hidden_size = fla ? 2048 : 4096,
        .layers = fla ? 48 : 64,
        .norm_eps = 1e-5,
    };
    gla_arch_block *b;
    gla_arch_layer *l;
    int64_t groups, head_dim;
    double inner;

    gla__config_ignore(c, "dt_min|dt_max|dt_init_floor|residual_in_fp32|chunk_size|conv_init");
    gla__config_ignore(c, "time_step_min|time_step_max|time_step_floor|time_step_rank");
    gla__config_ignore(c, "A_init_range|norm_before_gate");
    gla__model(im, &defaults);
    gla__config_only(c, "hidden_act", activations);
    head_dim = gla__config_int(c, "head_dim", 64, 1, 4096);
    groups = gla__config_int(c, "n_groups", fla ? 1 : 8, 1, 1024);
    inner = floor(gla__config_float(c, "expand", 2) * gla__hidden_size(im));
    if (!(inner >= (double)head_dim && inner <= GLA__MAX_WIDTH) || (int64_t)inner % head_dim) {
        gla__config_refuse(c, "expand", "expand * hidden_size is no multiple of head_dim");
        inner = (double)head_dim;
    }
    b = gla__block_add(im, "mamba2");
    if (!b)
        return;
    l = gla__set_mixer(im, b, "mamba2");
    gla__set_number(im, l, "heads",
                    (double)gla__config_int(c, "num_heads", (int64_t)inner / head_dim, 1, 65536));
    gla__set_number(im, l, "head_dim", (double)head_dim);
    gla__set_number(im, l, "state", (double)gla__config_int(c, "state_size", 128, 1, 4096));
    gla__set_unless(im, l, "groups", (double)groups, 1);
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "conv_kernel", 4, 1, 64));
    gla__set_flag(im, l, "conv_bias", gla__config_bool(c, "use_conv_bias", true), true);
    gla__set_flag(im, l, "in_bias", gla__config_bool(c, "use_bias", false), false);
    gla__set_flag(im, l, "out_bias", gla__config_bool(c, "use_bias", false), false);
    set_dt_limits(im, l);
    set_norm(im, l, fla, groups);
}

static const char *const model_types[] = {"mamba2", NULL};
const gla__importer gla__importer_mamba2 = {"mamba2", model_types, arch, gla__backbone_tensors};
