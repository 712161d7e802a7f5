/* SPDX-License-Identifier: Apache-2.0
 *
 * from_transformer.c - flash-linear-attention's softmax transformer
 */
#include "formats/import/fla.h"

static void arch(gla__import *im)
{
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "attn", "attention");

    gla__config_ignore(im->cfg, "elementwise_affine"); /* the blocks' norms always have weights */
    if (b)
        gla__fla_softmax(im, b, "", 32, 0);
}

static const char *const model_types[] = {"transformer", NULL};
const gla__importer gla__importer_transformer = {"fla/transformer", model_types, arch,
                                                 gla__fla_plain_tensors};
