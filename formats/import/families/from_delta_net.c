/* SPDX-License-Identifier: Apache-2.0
 *
 * from_delta_net.c - flash-linear-attention's DeltaNet
 */
#include "formats/import/fla.h"

#include <string.h>

static void set_qk(gla__import *im, gla_arch_layer *l)
{
    static const char *const activations[] = {"silu", "relu", "elu", "identity", NULL};
    static const char *const norms[] = {"l2", "sum", NULL};
    const char *activation = gla__config_string(im->cfg, "qk_activation", "silu");

    gla__config_only(im->cfg, "qk_activation", activations);
    gla__config_only(im->cfg, "qk_norm", norms);
    if (strcmp(activation, "silu") != 0)
        gla__set_text(im, l, "qk_activation",
                      !strcmp(activation, "elu")    ? "elu1"
                      : !strcmp(activation, "relu") ? "relu"
                                                    : "none");
    gla__set_text(im, l, "qk_norm", gla__config_string(im->cfg, "qk_norm", "l2"));
}

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__fla_blocks(im, &gla__fla_usual, "delta", "deltanet");
    const int64_t heads = gla__config_int(c, "num_heads", 16, 1, GLA__MAX_HEADS);
    const uint32_t k = gla__fla_width(im, "expand_k", 1), v = gla__fla_width(im, "expand_v", 1);
    const bool beta = gla__config_bool(c, "use_beta", true);
    gla_arch_layer *l;

    gla__config_ignore(c, "use_output_norm"); /* the norm is always there */
    if (k % heads || v % heads)
        gla__config_refuse(c, "num_heads", "the key and value channels are no multiple of it");
    if (!beta && gla__config_bool(c, "allow_neg_eigval", false))
        gla__config_refuse(c, "allow_neg_eigval", "not supported without use_beta");
    if (!b)
        return;
    l = &b->mixers[0];
    gla__set_number(im, l, "heads", (double)heads);
    gla__set_number(im, l, "head_k_dim", (double)(k / heads));
    gla__set_number(im, l, "head_v_dim", (double)(v / heads));
    gla__fla_conv(im, l, 4, gla__config_bool(c, "use_short_conv", true), "q_conv1d.weight");
    set_qk(im, l);
    gla__set_flag(im, l, "beta", beta, true);
    gla__set_flag(im, l, "neg_eigval", gla__config_bool(c, "allow_neg_eigval", false), false);
    gla__set_flag(im, l, "output_gate", gla__config_bool(c, "use_gate", false), true);
}

static const char *const model_types[] = {"delta_net", NULL};
const gla__importer gla__importer_delta_net = {"fla/delta_net", model_types, arch,
                                               gla__fla_plain_tensors};
