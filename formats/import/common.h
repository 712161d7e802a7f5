/* SPDX-License-Identifier: Apache-2.0
 *
 * common.h - pieces that importers share
 *
 * Building blocks and parameters (errors stick in the import, see import.h), activations by their
 * published names, and what Hugging Face's descendants of Llama have in common: sizes, attention
 * with its many spellings of rotary positions, layer names.
 */
#ifndef GLA_FORMATS_IMPORT_COMMON_H
#define GLA_FORMATS_IMPORT_COMMON_H

#include "formats/arch/form.h"
#include "formats/import/import.h"

#define GLA__MAX_WIDTH (1 << 24)
#define GLA__MAX_HEADS 1024

/* ---- blocks ----------------------------------------------------------------- */

/* A new named block with defaults.  NULL when out of memory; pointers to earlier blocks become
 * invalid. */
gla_arch_block *gla__block_add(gla__import *im, const char *name);
/* Index of the block added last. */
uint32_t gla__block_last(const gla__import *im);
/* A new block that says what block `from` says. */
gla_arch_block *gla__block_copy(gla__import *im, uint32_t from, const char *name);
/* Makes im->layers with n entries, all of them block 0. */
void gla__layers_make(gla__import *im, uint32_t n);

/* ---- parameters ---------------------------------------------------------------- */

void gla__set_type(gla__import *im, gla_arch_layer *layer, const char *type);
/* b->mixers[0] gets this type. */
gla_arch_layer *gla__set_mixer(gla__import *im, gla_arch_block *b, const char *type);
void gla__set_number(gla__import *im, gla_arch_layer *layer, const char *name, double value);
/* Left out where the layer's own default says the same. */
void gla__set_unless(gla__import *im, gla_arch_layer *layer, const char *name, double value,
                     double def);
void gla__set_flag(gla__import *im, gla_arch_layer *layer, const char *name, bool value, bool def);
void gla__set_text(gla__import *im, gla_arch_layer *layer, const char *name, const char *value);
void gla__set_list(gla__import *im, gla_arch_layer *layer, const char *name, const double *values,
                   uint32_t n);

/* Our name of the activation that `key` names ("swish" -> "silu"); refuses the key if there is
 * none. */
const char *gla__activation(gla__import *im, const char *key, const char *def);
/* Sets `name` to it, unless it is the layer's default. */
void gla__set_activation(gla__import *im, gla_arch_layer *layer, const char *name, const char *key,
                         const char *def, const char *layer_def);

/* ---- the model ------------------------------------------------------------------ */

/* What nearly all configs spell alike. */
typedef struct gla__model_defaults {
    uint32_t vocab_size, hidden_size, layers, max_positions;
    double norm_eps;
    bool tie;
    const char *const *hidden_acts; /* fla: what hidden_act may be; NULL: swish, silu */
    const char *norm_eps_keys;      /* NULL: "norm_eps|rms_norm_eps|layer_norm_epsilon" */
} gla__model_defaults;

/* vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, tie_word_embeddings,
 * tokens, rmsnorm with "norm_eps|rms_norm_eps|...", embedding, head; makes im->layers. */
void gla__model(gla__import *im, const gla__model_defaults *d);
/* The source has a head of its own, or there is no source. */
bool gla__has_head(const gla__import *im);
/* The family's tokenizer puts nothing in front of a text, whatever bos_token_id its config has. */
void gla__never_bos(gla__import *im);
uint32_t gla__hidden_size(const gla__import *im);
/* Bias, tying and so on follow the tensors: whether the source has this tensor; `def` without a
 * source. */
__attribute__((format(printf, 3, 4))) bool gla__has_tensor(const gla__import *im, bool def,
                                                           const char *format, ...);

/* ---- Llama and its descendants ----------------------------------------------------- */

typedef struct gla__llama_attention {
    bool always_qkv_bias;               /* of q, k, v; else attention_bias says, of o as well */
    uint32_t heads, kv_heads, head_dim; /* defaults; 0: 32, heads, hidden_size / heads */
    const char *qk_norm;                /* NULL, "head" or "whole" */
    double rope_theta;                  /* default; 0: 10000 */
    double rotary;                      /* default share of a head that rotates; 0: all */
    bool no_rope;
} gla__llama_attention;

/* mixer: attention with num_attention_heads, num_key_value_heads, head_dim, attention_bias, rope.
 */
void gla__llama_attention_set(gla__import *im, gla_arch_block *b, const gla__llama_attention *a);
/* ffn: swiglu with intermediate_size (default d_ff), hidden_act, mlp_bias. */
void gla__llama_ffn(gla__import *im, gla_arch_block *b, uint32_t d_ff);
/* Sliding windows: sliding_window (default_window if the key is absent, none if null), for the
 * layers that layer_types names, else those from max_window_layers (default_from) on.  Makes a
 * second block "window" where only some layers have one.  Call it last; expects one block. */
void gla__llama_windows(gla__import *im, uint32_t default_window, uint32_t default_from);

/* Published names, NULL where they are the usual. */
typedef struct gla__llama_names {
    const char *root;       /* "model." */
    const char *mixer;      /* "self_attn." */
    const char *ffn;        /* "mlp." */
    const char *mixer_norm; /* "input_layernorm." */
    const char *ffn_norm;   /* "post_attention_layernorm." */
    const char *embedding;  /* "embed_tokens.weight" */
    const char *final_norm; /* "norm." */
    const char *head;       /* "lm_head.", without the root */
} gla__llama_names;
/* One rule more: "layers.N." ours from root "layers.N." source. */
void gla__layer_rule(gla__import *im, uint32_t layer, const char *ours, const char *root,
                     const char *source);
/* Prefix rules for embedding, head, norms, mixer and ffn of every layer.  names may be NULL. */
void gla__llama_tensors(gla__import *im, const gla__llama_names *names);
/* The same under "backbone.", as Mamba and Mamba-2 are published. */
void gla__backbone_tensors(gla__import *im);

#endif
