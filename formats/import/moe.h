/* SPDX-License-Identifier: Apache-2.0
 *
 * moe.h - mixtures of experts, by the names that configs and tensors give them
 */
#ifndef GLA_FORMATS_IMPORT_MOE_H
#define GLA_FORMATS_IMPORT_MOE_H

#include "formats/import/common.h"

/* ffn: moe with num_experts, num_experts_per_tok, d_ff_key, hidden_act. */
gla_arch_layer *gla__moe(gla__import *im, gla_arch_block *b, uint32_t experts, uint32_t top_k,
                         const char *d_ff_key, uint32_t d_ff);
/* DeepSeek-V3's router: sigmoid scores, selection bias, groups, a scaling factor. */
void gla__moe_sigmoid(gla__import *im, gla_arch_layer *moe, double scaling);

typedef struct gla__expert_names {
    const char *gate, *up, *down; /* "experts.E." this ".weight"; gate NULL: there is none */
    const char *gate_up,
        *down_packed; /* of all experts, [E, 2 F, D] and [E, D, F]; NULL: no such */
} gla__expert_names;

/* experts.{gate,up,down}_proj.weight of a layer, from one tensor an expert or from packed ones.
 * `source`: "model.layers.3.mlp.". */
void gla__map_experts(gla__import *im, uint32_t layer, const char *source,
                      const gla__expert_names *names);
/* "gate_proj", "up_proj", "down_proj", or packed as transformers keeps them in memory. */
extern const gla__expert_names gla__experts_usual;
/* Mixtral's: w1, w3, w2. */
extern const gla__expert_names gla__experts_mixtral;

#endif
