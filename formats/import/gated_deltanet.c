/* SPDX-License-Identifier: Apache-2.0
 *
 * gated_deltanet.c - flash-linear-attention's Gated DeltaNet
 */
#include "formats/import_fla.h"

#include <math.h>

static const gla__model_defaults defaults = {.vocab_size = 32000,
                                             .hidden_size = 2048,
                                             .layers = 21,
                                             .max_positions = 2048,
                                             .norm_eps = 1e-6};

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &defaults, "delta", "gated_deltanet");
    const int64_t key_heads = gla__config_int(c, "num_heads", 6, 1, GLA__MAX_HEADS);
    const int64_t heads = gla__config_int(c, "num_v_heads", key_heads, 1, GLA__MAX_HEADS);
    const int64_t k = gla__config_int(c, "head_dim", 256, 1, 4096);
    const double v = (double)k * gla__config_float(c, "expand_v", 2);
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
    gla__set_flag(im, l, "output_gate", gla__config_bool(c, "use_gate", true), true);
    gla__set_activation(im, l, "gate_activation", "output_gate_activation", "swish", "silu");
}

static void tensors(gla__import *im)
{
    gla__fla_tensors(im, NULL);
}

static const char *const model_types[] = {"gated_deltanet", NULL};
const gla__importer gla__importer_gated_deltanet = {"fla/gated_deltanet", model_types, arch,
                                                    tensors};
