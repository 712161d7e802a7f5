/* SPDX-License-Identifier: Apache-2.0
 *
 * from_regla.c - ReGLA checkpoints: flash-linear-attention's blocks around the mixer
 */
#include "formats/import/fla.h"

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "regla", "regla");
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__set_number(im, l, "heads", (double)gla__config_int(c, "num_heads", 4, 1, GLA__MAX_HEADS));
    gla__set_number(im, l, "head_k_dim", (double)gla__config_int(c, "head_k_dim", 128, 1, 4096));
    gla__set_number(im, l, "head_v_dim", (double)gla__config_int(c, "head_v_dim", 128, 1, 4096));
}

static const char *const model_types[] = {"regla", NULL};
const gla__importer gla__importer_regla = {"regla", model_types, arch, gla__fla_plain_tensors};
