/* SPDX-License-Identifier: Apache-2.0
 *
 * from_samba.c - flash-linear-attention's Samba (arXiv 2406.07522): Mamba, and softmax attention in
 * a sliding window by `attn`
 *
 * The ffn's width follows from hidden_ratio alone: intermediate_size is that of the Mamba layers.
 * use_conv_bias is never passed on by the model, so that the tensors decide.
 */
#include "formats/import/fla.h"
#include "formats/import/mamba.h"

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 32000,
                                                 .hidden_size = 2304,
                                                 .layers = 18,
                                                 .max_positions = 2048,
                                                 .norm_eps = 1e-5};
    gla__config *c = im->cfg;
    gla_arch_block *b;

    if (!gla__config_has(c, "attn") && !gla__config_is_null(c, "attn"))
        gla__config_refuse(c, "attn", "say which layers are softmax attention (null: none)");
    b = gla__fla_blocks(im, &defaults, "mamba", "mamba");
    if (b)
        gla__mamba(im, b, gla__fla_first(im),
                   gla__has_tensor(im, gla__config_bool(c, "use_conv_bias", true),
                                   "backbone.layers.%u.mixer.conv1d.bias", gla__fla_first(im)));
}

static const char *const model_types[] = {"samba", NULL};
const gla__importer gla__importer_samba = {"fla/samba", model_types, arch, gla__fla_plain_tensors};
