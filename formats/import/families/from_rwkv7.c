/* SPDX-License-Identifier: Apache-2.0
 *
 * from_rwkv7.c - flash-linear-attention's RWKV-7
 *
 * The inner widths of the low-rank maps follow from the width where config.json leaves them out.
 */
#include "formats/import/rwkv.h"

#include <math.h>

static const char *const acts[] = {"sqrelu", NULL};
static const gla__model_defaults defaults = {.vocab_size = 32000,
                                             .hidden_size = 2048,
                                             .layers = 24,
                                             .max_positions = 2048,
                                             .norm_eps = 1e-5,
                                             .hidden_acts = acts};

static void set_rank(gla__import *im, gla_arch_layer *l, const char *ours, const char *key,
                     double factor)
{
    const double rank = round(factor * sqrt(gla__hidden_size(im)) / 32) * 32;

    gla__set_number(
        im, l, ours,
        (double)gla__config_int(im->cfg, key, rank < 32 ? 32 : (int64_t)rank, 1, 65536));
}

static void arch(gla__import *im)
{
    gla__config *c = im->cfg;
    gla_arch_block *b = gla__rwkv_blocks(im, &defaults, "rwkv7", 4, false);
    const uint32_t d = gla__hidden_size(im);
    gla_arch_layer *l;
    int64_t heads, head_dim, v_dim;

    if (!b)
        return;
    l = &b->mixers[0];
    head_dim = gla__config_int(c, "head_dim", 0, 0, GLA__MAX_WIDTH);
    heads = gla__config_int(c, "num_heads", 0, 0, GLA__MAX_HEADS);
    if (!head_dim)
        head_dim = heads && d % heads == 0 ? d / heads : 64;
    if (d % head_dim)
        gla__config_refuse(c, "head_dim", "does not divide hidden_size");
    gla__set_number(im, l, "heads", (double)(d / head_dim));
    v_dim = gla__config_int(c, gla__config_length(c, "value_dim") ? "value_dim.0" : "value_dim", d,
                            1, GLA__MAX_WIDTH);
    gla__set_unless(im, l, "v_dim", (double)v_dim, d);
    for (uint32_t i = 1; i < gla__config_length(c, "value_dim"); i++)
        if (gla__config_int(c, gla__config_key(c, "value_dim.%u", i), v_dim, 1, GLA__MAX_WIDTH) !=
            v_dim)
            gla__config_refuse(c, "value_dim", "differs from block to block");
    set_rank(im, l, "decay_rank", "decay_low_rank_dim", 2.5 * (double)head_dim / 64);
    set_rank(im, l, "a_rank", "a_low_rank_dim", 2.5 * (double)head_dim / 64);
    set_rank(im, l, "v_rank", "v_low_rank_dim", 1.7 * (double)head_dim / 64);
    set_rank(im, l, "gate_rank", "gate_low_rank_dim", 5);
}

static void tensors(gla__import *im)
{
    static const char *const renamed[] = {
        "w_lora.0.weight=w_lora.lora.0.weight", "w_lora.2.weight=w_lora.lora.2.weight",
        "w_lora.2.bias=w_lora.lora.2.bias",     "a_lora.0.weight=a_lora.lora.0.weight",
        "a_lora.2.weight=a_lora.lora.2.weight", "a_lora.2.bias=a_lora.lora.2.bias",
        "v_lora.0.weight=v_lora.lora.0.weight", "v_lora.2.weight=v_lora.lora.2.weight",
        "v_lora.2.bias=v_lora.lora.2.bias",     "g_lora.0.weight=g_lora.lora.0.weight",
        "g_lora.2.weight=g_lora.lora.2.weight", NULL};
    static const char *const ffn[] = {NULL};

    gla__rwkv_tensors(im, renamed, ffn);
}

static const char *const model_types[] = {"rwkv7", NULL};
const gla__importer gla__importer_rwkv7 = {"fla/rwkv7", model_types, arch, tensors};
