/* SPDX-License-Identifier: Apache-2.0
 *
 * fla.h - what all families of flash-linear-attention share
 *
 * Their blocks are alike: rmsnorm, mixer, rmsnorm, swiglu; softmax layers by the key `attn`, under
 * the same tensor names.  An importer says what its own mixer is.
 */
#ifndef GLA_FORMATS_IMPORT_FLA_H
#define GLA_FORMATS_IMPORT_FLA_H

#include "formats/import/common.h"

/* What most of fla's configs default to. */
extern const gla__model_defaults gla__fla_usual;

/* Sizes, norms, tokens, ffn; softmax blocks for the layers of `attn` (one spec or a list); then a
 * block `name` with mixer `type` for the remaining layers, which is returned: NULL when none remain
 * or something went wrong, and the importer has nothing more to do. */
gla_arch_block *gla__fla_blocks(gla__import *im, const gla__model_defaults *d, const char *name,
                                const char *type);
/* A softmax block with the keys under `spec` ("attn.", "" for fla's transformer); biases follow the
 * tensors of first_layer. */
void gla__fla_softmax(gla__import *im, gla_arch_block *b, const char *spec, uint32_t default_heads,
                      uint32_t first_layer);
/* feature_map of q and k by fla's names, "none" if the key is absent. */
void gla__fla_feature_map(gla__import *im, gla_arch_layer *l);
/* key_dim = int(hidden_size * key): a width as fla computes it. */
uint32_t gla__fla_width(gla__import *im, const char *key, double def);
/* The first layer of the block added last: where to look for the family's own tensors. */
uint32_t gla__fla_first(const gla__import *im);
/* heads, kv_heads, k_dim, v_dim from num_heads, num_kv_heads, expand_k, expand_v. */
void gla__fla_heads(gla__import *im, gla_arch_layer *l, uint32_t heads, double expand_k,
                    double expand_v);
/* heads, key_heads, head_k_dim, head_v_dim from num_heads, num_v_heads, head_dim, expand_v; the
 * short convolution, allow_neg_eigval: what delta rules with a gate share. */
void gla__fla_gated_delta(gla__import *im, gla_arch_layer *l, uint32_t key_heads, uint32_t head_dim,
                          double expand_v);
/* `conv`: conv_size if wanted, else 0; def is the layer's default.  Whether `taps`
 * ("q_conv1d.weight") is among the tensors decides. */
void gla__fla_conv(gla__import *im, gla_arch_layer *l, uint32_t def, bool wanted, const char *taps);

/* Prefix rules for everything, and the old spellings: fused gate_proj, embed_tokens.  `renamed`
 * ("ours=source", see gla__map_names) is for the family's own mixer; may be NULL. */
void gla__fla_tensors(gla__import *im, const char *const *renamed);
void gla__fla_plain_tensors(gla__import *im); /* nothing is renamed */

#endif
