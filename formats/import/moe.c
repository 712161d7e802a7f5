/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/moe.h"

gla_arch_layer *gla__moe(gla__import *im, gla_arch_block *b, uint32_t experts, uint32_t top_k,
                         const char *d_ff_key, uint32_t d_ff)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = &b->ffn;

    gla__set_type(im, l, "moe");
    gla__set_number(im, l, "experts",
                    (double)gla__config_int(c, "num_experts|num_local_experts|n_routed_experts",
                                            experts, 1, 1024));
    gla__set_number(
        im, l, "top_k",
        (double)gla__config_int(c, "num_experts_per_tok|num_experts_per_token", top_k, 1, 64));
    gla__set_number(im, l, "d_ff", (double)gla__config_int(c, d_ff_key, d_ff, 1, GLA__MAX_WIDTH));
    gla__set_activation(im, l, "activation", "mlp_hidden_act|hidden_act", "silu", "silu");
    return l;
}

void gla__moe_sigmoid(gla__import *im, gla_arch_layer *moe, double scaling)
{
    gla__config *c = im->cfg;

    gla__set_text(im, moe, "score", "sigmoid");
    gla__set_flag(im, moe, "selection_bias", true, false);
    gla__set_flag(im, moe, "renormalise",
                  gla__config_bool(c, "norm_topk_prob|moe_renormalize", true), false);
    gla__set_unless(im, moe, "groups",
                    (double)gla__config_int(c, "n_group|num_expert_group", 1, 1, 64), 1);
    gla__set_unless(im, moe, "top_groups", (double)gla__config_int(c, "topk_group", 1, 1, 64), 1);
    gla__set_unless(im, moe, "scaling", gla__config_float(c, "routed_scaling_factor", scaling), 1);
}

const gla__expert_names gla__experts_usual = {"gate_proj", "up_proj", "down_proj",
                                              "experts.gate_up_proj", "experts.down_proj"};
const gla__expert_names gla__experts_mixtral = {"w1", "w3", "w2", "experts.gate_up_proj",
                                                "experts.down_proj"};

static void map_packed(gla__import *im, uint32_t layer, const char *source,
                       const gla__expert_names *names, const gla_arch_layer *moe)
{
    const uint64_t experts = gla__param_of(moe, "experts", 1);
    const uint64_t size = gla__param_of(moe, "d_ff", 1) * gla__hidden_size(im);
    const gla__name gate = gla__name_of("layers.%u.ffn.experts.gate_proj.weight", layer);
    const gla__name up = gla__name_of("layers.%u.ffn.experts.up_proj.weight", layer);
    const gla__name packed = gla__name_of("%s%s", source, names->gate_up);

    for (uint64_t e = 0; e < experts; e++) {
        gla__map_range(im, gate.text, packed.text, 2 * e * size, size);
        gla__map_range(im, up.text, packed.text, (2 * e + 1) * size, size);
    }
    gla__map(im, gla__name_of("layers.%u.ffn.experts.down_proj.weight", layer).text,
             gla__name_of("%s%s", source, names->down_packed).text);
}

void gla__map_experts(gla__import *im, uint32_t layer, const char *source,
                      const gla__expert_names *names)
{
    static const char *const ours[] = {"gate_proj", "up_proj", "down_proj"};
    const char *const theirs[] = {names->gate, names->up, names->down};
    const gla_arch_layer *moe = &gla__block_of(im, layer)->ffn;
    const uint64_t experts = gla__param_of(moe, "experts", 1);

    if (names->gate_up && gla__source_format(im, "%s%s", source, names->gate_up)) {
        map_packed(im, layer, source, names, moe);
        return;
    }
    for (uint32_t i = 0; i < 3; i++)
        for (uint64_t e = 0; e < experts && theirs[i]; e++)
            gla__map(im, gla__name_of("layers.%u.ffn.experts.%s.weight", layer, ours[i]).text,
                     gla__name_of("%sexperts.%u.%s.weight", source, (uint32_t)e, theirs[i]).text);
}
