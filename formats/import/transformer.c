/* SPDX-License-Identifier: Apache-2.0
 *
 * transformer.c - flash-linear-attention's softmax transformer
 */
#include "formats/import_fla.h"

static const gla__model_defaults defaults = {.vocab_size = 32000,
                                             .hidden_size = 2048,
                                             .layers = 24,
                                             .max_positions = 2048,
                                             .norm_eps = 1e-6};

static void arch(gla__import *im)
{
    gla_arch_block *b = gla__fla_blocks(im, &defaults, "attn", "attention");

    gla__config_ignore(im->cfg, "elementwise_affine"); /* the blocks' norms always have weights */
    if (b)
        gla__fla_softmax(im, b, "", 32, 0);
}

static void tensors(gla__import *im)
{
    gla__fla_tensors(im, NULL);
}

static const char *const model_types[] = {"transformer", NULL};
const gla__importer gla__importer_transformer = {"fla/transformer", model_types, arch, tensors};
