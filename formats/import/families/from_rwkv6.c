/* SPDX-License-Identifier: Apache-2.0
 *
 * from_rwkv6.c - flash-linear-attention's RWKV-6
 */
#include "formats/import/rwkv.h"

static const char *const acts[] = {"sqrelu", NULL};
static const gla__model_defaults defaults = {.vocab_size = 32000,
                                             .hidden_size = 2048,
                                             .layers = 24,
                                             .max_positions = 2048,
                                             .norm_eps = 1e-5,
                                             .hidden_acts = acts};

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__rwkv_blocks(im, &defaults, "rwkv6", 3.5, true);
    gla_arch_layer *l;

    if (!b)
        return;
    l = &b->mixers[0];
    gla__set_number(im, l, "heads", (double)gla__config_int(c, "num_heads", 4, 1, GLA__MAX_HEADS));
    gla__set_number(im, l, "k_dim", gla__fla_width(im, "expand_k", 0.5));
    gla__set_number(im, l, "v_dim", gla__fla_width(im, "expand_v", 1));
    gla__set_number(im, l, "proj_rank",
                    (double)gla__config_int(c, "proj_low_rank_dim", 32, 1, 65536));
    gla__set_number(im, l, "decay_rank",
                    (double)gla__config_int(c, "gate_low_rank_dim", 64, 1, 65536));
}

static void tensors(gla__import *im)
{
    static const char *const renamed[] = {"x_proj.0.weight=x_proj.0.linear.weight",
                                          "x_proj.mu=x_proj.0.mu",
                                          "r_proj.weight=r_proj.linear.weight",
                                          "k_proj.weight=k_proj.linear.weight",
                                          "v_proj.weight=v_proj.linear.weight",
                                          "g_proj.weight=g_proj.linear.weight",
                                          "w_proj.0.weight=w_proj.linear.lora.0.weight",
                                          "w_proj.2.weight=w_proj.linear.lora.2.weight",
                                          "w_proj.2.bias=w_proj.linear.lora.2.bias",
                                          NULL};
    static const char *const ffn[] = {"x_k=key.mu", "x_r=receptance.mu",
                                      "key.weight=key.linear.weight",
                                      "receptance.weight=receptance.linear.weight", NULL};

    gla__rwkv_tensors(im, renamed, ffn);
}

static const char *const model_types[] = {"rwkv6", NULL};
const gla__importer gla__importer_rwkv6 = {"fla/rwkv6", model_types, arch, tensors};
