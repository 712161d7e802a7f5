/* SPDX-License-Identifier: Apache-2.0
 *
 * from_kda.c - flash-linear-attention's Kimi delta attention
 */
#include "formats/import/fla.h"

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "kda", "kda");
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__fla_gated_delta(im, l, 16, 128, 1);
    gla__set_flag(
        im, l, "gate_bias",
        gla__has_tensor(im, true, "model.layers.%u.attn.g_proj.1.bias", gla__fla_first(im)), false);
    gla__config_ignore(c, "safe_gate"); /* another kernel for the same numbers */
    gla__set_unless(im, l, "decay_lower_bound", gla__config_float(c, "lower_bound", 0), 0);
}

static const char *const model_types[] = {"kda", NULL};
const gla__importer gla__importer_kda = {"fla/kda", model_types, arch, gla__fla_plain_tensors};
