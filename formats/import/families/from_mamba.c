/* SPDX-License-Identifier: Apache-2.0
 *
 * from_mamba.c - Mamba as transformers and flash-linear-attention publish it
 *
 * Both say model_type mamba.  Theirs differ in the name of the norm's epsilon, of the rank of dt,
 * and in whether the embedding is tied when the config does not say.
 */
#include "formats/import/llama.h"
#include "formats/import/mamba.h"

static void arch(gla__import *im)
{
    static const char *const activations[] = {"silu", "swish", NULL};
    gla__config *c = im->cfg;
    const bool fla = gla__config_has(c, "norm_eps");
    const gla__model_defaults defaults = {
        .vocab_size = fla ? 32000 : 50280,
        .hidden_size = fla ? 2048 : 768,
        .layers = fla ? 48 : 32,
        .norm_eps = 1e-5,
        .tie = !gla__has_tensor(im, fla, "lm_head.weight"),
    };
    gla_arch_block *b;

    gla__model(im, &defaults);
    gla__config_only(c, "hidden_act", activations);
    b = gla__block_add(im, "mamba");
    if (b)
        gla__mamba(im, b, 0, gla__config_bool(c, "use_conv_bias", true));
}

static const char *const model_types[] = {"mamba", NULL};
const gla__importer gla__importer_mamba = {"mamba", model_types, arch, gla__backbone_tensors};
