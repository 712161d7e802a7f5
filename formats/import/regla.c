/* SPDX-License-Identifier: Apache-2.0
 *
 * regla.c - ReGLA checkpoints: flash-linear-attention's blocks around the mixer
 */
#include "formats/import_fla.h"

static const gla__model_defaults defaults = {.vocab_size = 32000,
                                             .hidden_size = 2048,
                                             .layers = 24,
                                             .max_positions = 2048,
                                             .norm_eps = 1e-6};

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &defaults, "regla", "regla");
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__set_number(im, l, "heads", (double)gla__config_int(c, "num_heads", 4, 1, GLA__MAX_HEADS));
    gla__set_number(im, l, "head_k_dim", (double)gla__config_int(c, "head_k_dim", 128, 1, 4096));
    gla__set_number(im, l, "head_v_dim", (double)gla__config_int(c, "head_v_dim", 128, 1, 4096));
}

static void tensors(gla__import *im)
{
    gla__fla_tensors(im, NULL);
}

static const char *const model_types[] = {"regla", NULL};
const gla__importer gla__importer_regla = {"regla", model_types, arch, tensors};
