/* SPDX-License-Identifier: Apache-2.0
 *
 * kda.c - flash-linear-attention's Kimi delta attention
 */
#include "formats/import_fla.h"

#include <math.h>

static const gla__model_defaults defaults = {.vocab_size = 32000,
                                             .hidden_size = 2048,
                                             .layers = 24,
                                             .max_positions = 2048,
                                             .norm_eps = 1e-6};

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &defaults, "kda", "kda");
    const int64_t key_heads = gla__config_int(c, "num_heads", 16, 1, GLA__MAX_HEADS);
    const int64_t heads = gla__config_int(c, "num_v_heads", key_heads, 1, GLA__MAX_HEADS);
    const int64_t k = gla__config_int(c, "head_dim", 128, 1, 4096);
    const double v = (double)k * gla__config_float(c, "expand_v", 1);
    gla_arch_layer *l;

    if (!(v >= 1 && v <= 4096))
        gla__config_refuse(c, "expand_v", "no sensible width comes out");
    if (!b)
        return;
    l = &b->mixers[0];
    gla__set_number(im, l, "heads", (double)heads);
    gla__set_unless(im, l, "key_heads", (double)key_heads, (double)heads);
    gla__set_number(im, l, "head_k_dim", (double)k);
    gla__set_number(im, l, "head_v_dim", floor(v));
    gla__fla_conv(im, l, 4, gla__config_bool(c, "use_short_conv", true), "q_conv1d.weight");
    gla__set_flag(im, l, "neg_eigval", gla__config_bool(c, "allow_neg_eigval", false), false);
    gla__set_flag(
        im, l, "gate_bias",
        gla__has_tensor(im, true, "model.layers.%u.attn.g_proj.1.bias", gla__fla_first(im)), false);
    gla__config_ignore(c, "safe_gate"); /* another kernel for the same numbers */
    gla__set_unless(im, l, "decay_lower_bound", gla__config_float(c, "lower_bound", 0), 0);
}

static void tensors(gla__import *im)
{
    gla__fla_tensors(im, NULL);
}

static const char *const model_types[] = {"kda", NULL};
const gla__importer gla__importer_kda = {"fla/kda", model_types, arch, tensors};
