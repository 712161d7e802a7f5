/* SPDX-License-Identifier: Apache-2.0
 *
 * from_gated_deltanet.c - flash-linear-attention's Gated DeltaNet
 */
#include "formats/import/fla.h"

static const gla__model_defaults defaults = {.vocab_size = 32000,
                                             .hidden_size = 2048,
                                             .layers = 21,
                                             .max_positions = 2048,
                                             .norm_eps = 1e-6};

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &defaults, "delta", "gated_deltanet");
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__fla_gated_delta(im, l, 6, 256, 2);
    gla__set_flag(im, l, "output_gate", gla__config_bool(c, "use_gate", true), true);
    gla__set_activation(im, l, "gate_activation", "output_gate_activation", "swish", "silu");
}

static const char *const model_types[] = {"gated_deltanet", NULL};
const gla__importer gla__importer_gated_deltanet = {"fla/gated_deltanet", model_types, arch,
                                                    gla__fla_plain_tensors};
