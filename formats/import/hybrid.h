/* SPDX-License-Identifier: Apache-2.0
 *
 * hybrid.h - what transformers' hybrid families have in common
 *
 * Lists of layer types and the blocks made from them, mixtures of experts, Mamba, Mamba-2 as
 * Bamba's relatives spell it, and tensors that are fused, stacked or cut in unfortunate places.
 */
#ifndef GLA_FORMATS_IMPORT_HYBRID_H
#define GLA_FORMATS_IMPORT_HYBRID_H

#include "formats/import/common.h"

/* ---- layers ------------------------------------------------------------------ */

/* Which of the NULL-terminated words layer_types (layers_block_type) gives this layer; def if the
 * config has no such list.  "mamba" and "attention" are read as "linear_attention" and
 * "full_attention", which is how configs spelt them first.  Other words are refused. */
uint32_t gla__layer_type(gla__import *im, uint32_t layer, const char *const *words, uint32_t def);

#define GLA__MAX_KINDS 16

/* Fills im->layers: one block, names[kind], for each kind that kind_of() finds among them, filled
 * by make() when it is met first. */
void gla__hybrid_blocks(gla__import *im, const char *const *names,
                        uint32_t (*kind_of)(gla__import *im, uint32_t layer),
                        void (*make)(gla__import *im, gla_arch_block *b, uint32_t kind));

/* The block of a layer.  Valid until the next block is added. */
const gla_arch_block *gla__block_of(const gla__import *im, uint32_t layer);
bool gla__is_type(const gla_arch_layer *l, const char *type);
/* A parameter that was set before; def if it was left out. */
uint64_t gla__param_of(const gla_arch_layer *l, const char *name, uint64_t def);

/* ---- parameters ------------------------------------------------------------------ */

/* transformers ties some families never, whatever their config says: a head in the source counts.
 */
void gla__never_tied(gla__import *im);

/* Refuses activations other than silu under this key: where the layer has no choice. */
void gla__only_silu(gla__import *im, const char *key);

/* ffn: moe with num_experts, num_experts_per_tok, d_ff_key, hidden_act. */
gla_arch_layer *gla__moe(gla__import *im, gla_arch_block *b, uint32_t experts, uint32_t top_k,
                         const char *d_ff_key, uint32_t d_ff);
/* DeepSeek-V3's router: sigmoid scores, selection bias, groups, a scaling factor. */
void gla__moe_sigmoid(gla__import *im, gla_arch_layer *moe, double scaling);

/* mixer: mamba with expand, state_size, time_step_rank, conv_kernel, use_bias as Mamba and Samba
 * have them; the rank of dt follows the tensors of first_layer. */
void gla__mamba(gla__import *im, gla_arch_block *b, uint32_t first_layer, bool conv_bias);

typedef struct gla__mamba2_defaults {
    uint32_t heads, head_dim, state, groups; /* head_dim 0: follows from mamba_expand */
    const char *out_bias;                    /* NULL: mamba_proj_bias */
} gla__mamba2_defaults;

/* Adds a mixer: mamba2 with mamba_n_heads, mamba_d_head, mamba_d_state, mamba_n_groups,
 * mamba_d_conv, biases, time_step_limit (and Nemotron-H's names of them); its norm is "whole". */
gla_arch_layer *gla__mamba2(gla__import *im, gla_arch_block *b, const gla__mamba2_defaults *d);

/* MLX keeps the taps of a convolution as [C, W, 1], which is published as [C, 1, W]; it changes the
 * weights of some families.  NULL is none. */
bool gla__is_mlx_conv(const gla_tensor_info *taps);

/* ---- tensors ---------------------------------------------------------------------- */

typedef struct gla__name {
    char text[192];
} gla__name;

/* A formatted name, for one use: gla__map(im, gla__name_of("layers.%u.a", i).text, ...). */
__attribute__((format(printf, 1, 2))) gla__name gla__name_of(const char *format, ...);

/* Ours, NULL-terminated, are cut, with these numbers of elements, from theirs, NULL-terminated,
 * joined end to end.  Those of theirs that do not exist count for nothing. */
void gla__map_cut(gla__import *im, const char *our_prefix, const char *const *ours,
                  const uint64_t *elements, const char *source_prefix, const char *const *theirs);

typedef struct gla__fused {
    const char *source, *ours[4]; /* NULL where there are fewer */
    uint64_t rows[4];             /* of each of ours, in one group */
} gla__fused;

/* A matrix of theirs holds, for each group in turn, some rows of each of ours. */
void gla__map_ungrouped(gla__import *im, const char *our_prefix, const char *source_prefix,
                        const gla__fused *f, uint64_t groups);

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
