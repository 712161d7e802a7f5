/* SPDX-License-Identifier: Apache-2.0
 *
 * llama.h - what Hugging Face's descendants of Llama have in common
 *
 * Sizes, attention with its many spellings of rotary positions, sliding windows, layer names.
 */
#ifndef GLA_FORMATS_IMPORT_LLAMA_H
#define GLA_FORMATS_IMPORT_LLAMA_H

#include "formats/import/common.h"

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
