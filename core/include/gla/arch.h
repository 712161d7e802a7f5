/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/arch.h - the architecture of a model as plain data
 *
 * Implemented by formats/arch.
 *
 * What arch.yaml says (docs/arch-yaml.md has the schema).  gla_arch_read() parses and checks the
 * form; whether a layer type exists and takes the parameters given is checked by the registry when
 * a model is made (gla_model_create) or described (gla_describe).  Importers of published
 * checkpoints build the same structure and gla_arch_write() prints it.
 *
 * The structs are views of it: programs that may meet a newer library reach the elements of arrays
 * through gla_arch_get_block() and its like.
 *
 * Ownership: a gla_arch owns everything it points to; gla_arch_free() releases it.  All strings are
 * UTF-8.  Not changed after creation by anyone but its builder, so it may be shared by threads.
 */
#ifndef GLA_ARCH_H
#define GLA_ARCH_H

#include <gla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gla_arch_kind {
    GLA_ARCH_NUMBER = 1, /* .number; integers up to 2^53 are exact */
    GLA_ARCH_BOOL,       /* .number 0 or 1 */
    GLA_ARCH_STRING,     /* .string */
    GLA_ARCH_LIST        /* .list of .n_list numbers */
} gla_arch_kind;

/* One parameter of a layer.  A nested mapping gives dotted names: rope: {theta: 1e4} ->
 * "rope.theta". */
typedef struct gla_arch_param {
    char *name;
    uint32_t kind; /* gla_arch_kind */
    uint32_t n_list;
    double number;
    char *string;
    double *list;
    uint32_t line, column; /* in arch.yaml; 0 when built by an importer */
} gla_arch_param;

/* A layer: type plus parameters.  type "gla" means "gla.gla/<highest revision>". */
typedef struct gla_arch_layer {
    char *type; /* NULL: absent */
    gla_arch_param *params;
    uint32_t n_params;
    uint32_t line, column;
    double in_multiplier; /* y = out_multiplier * layer(in_multiplier * x); 1 by default */
    double out_multiplier;
} gla_arch_layer;

/* Where a block normalises, for each of its two branches f:
 *   PRE       x + f(norm(x))
 *   POST      x + norm(f(x))                        (OLMo 2)
 *   SANDWICH  x + post_norm(f(norm(x)))             (Gemma 2)
 *   RESIDUAL  n = norm(x); n + f(n)                 (MiniMax)
 *   NONE      x + f(x) */
typedef enum gla_arch_norm_at {
    GLA_NORM_AT_PRE = 0,
    GLA_NORM_AT_POST,
    GLA_NORM_AT_SANDWICH,
    GLA_NORM_AT_RESIDUAL,
    GLA_NORM_AT_NONE
} gla_arch_norm_at;

#define GLA_ARCH_MAX_PARALLEL 4

/* A block: mixer branch, then ffn branch; either may be absent.
 * Several mixers stand in parallel: they read the same normed input and their outputs are added.
 * Each branch: x = skip_multiplier * x + residual_multiplier * branch(x). */
typedef struct gla_arch_block {
    char *name;
    gla_arch_layer mixers[GLA_ARCH_MAX_PARALLEL];
    uint32_t n_mixers;
    gla_arch_layer ffn;                /* ffn.type NULL: none */
    uint32_t norm_at;                  /* gla_arch_norm_at */
    gla_arch_layer norm;               /* type NULL: the model's norm */
    double mixer_skip, mixer_residual; /* multipliers, 1 by default */
    double ffn_skip, ffn_residual;
    uint32_t
        weights_dtype; /* gla_dtype wanted when weights are made or quantised; 0 = as the model */
    uint32_t line, column;
} gla_arch_block;

typedef struct gla_arch {
    char *name;
    char *family; /* where it was imported from ("fla/gla"); NULL or "" by hand */
    uint32_t vocab_size, d_model;
    uint32_t max_positions; /* context length it was trained for; 0 = not said */
    uint32_t tie_embeddings;
    gla_arch_layer norm;           /* type "rmsnorm" | "layernorm" | a plugin's; params eps, ... */
    gla_arch_layer final_norm;     /* type NULL: as norm; type "none": no final norm */
    gla_arch_layer embedding;      /* type "embedding"; params multiplier ... */
    gla_arch_layer embedding_norm; /* type NULL: none (RWKV has one) */
    gla_arch_layer head;           /* type "head"; params bias, multiplier, soft_cap ... */
    int32_t bos_token, eos_tokens[8]; /* -1 / count 0: not said */
    uint32_t n_eos;
    uint32_t weights_dtype; /* gla_dtype for weights made in memory; 0 = bf16 */
    gla_arch_block *blocks; /* the named ones */
    uint32_t n_blocks;
    uint32_t *layers; /* [n_layers] index into blocks: the expanded list */
    uint32_t n_layers;
    char *source; /* path it was read from, for messages; may be NULL */
} gla_arch;

/* Reads arch.yaml (path of the file, or of a model folder).  *out is NULL on failure. */
GLA_API GLA_NODISCARD gla_status gla_arch_read(const char *path, gla_arch **out, gla_diag *diag);
/* Parses text; `name` stands in messages. */
GLA_API GLA_NODISCARD gla_status gla_arch_parse(const char *text, size_t size, const char *name,
                                                gla_arch **out, gla_diag *diag);
/* Prints as YAML that parses to the same architecture.  *text is released with gla_text_free(). */
GLA_API GLA_NODISCARD gla_status gla_arch_print(const gla_arch *arch, char **text, size_t *size,
                                                gla_diag *diag);
GLA_API void gla_arch_free(gla_arch *arch);

/* ---- looking ------------------------------------------------------------ */

/* NULL beyond the last, or if there is none of that name. */
GLA_API const gla_arch_block *gla_arch_get_block(const gla_arch *arch, uint32_t i);
/* The block of layer i of the expanded list. */
GLA_API const gla_arch_block *gla_arch_get_layer(const gla_arch *arch, uint32_t i);
GLA_API const gla_arch_layer *gla_arch_get_mixer(const gla_arch_block *block, uint32_t i);
GLA_API const gla_arch_param *gla_arch_get_param(const gla_arch_layer *l, uint32_t i);
GLA_API const gla_arch_param *gla_arch_param_find(const gla_arch_layer *l, const char *name);
/* 1 if the token ends a text. */
GLA_API int gla_arch_is_eos(const gla_arch *arch, int32_t token);

/* ---- building (importers, sweeps) -------------------------------------- */

/* An architecture with defaults and no blocks; NULL when out of memory. */
GLA_API gla_arch *gla_arch_new(const char *name);
GLA_API GLA_NODISCARD gla_status gla_arch_copy(const gla_arch *arch, gla_arch **out,
                                               gla_diag *diag);
/* Adds a block with defaults under a name that none has yet.  Pointers to earlier blocks become
 * invalid. */
GLA_API GLA_NODISCARD gla_status gla_arch_add_block(gla_arch *arch, const char *name,
                                                    gla_arch_block **out, gla_diag *diag);
/* Adds a block like another one, of this architecture or not, under a name of its own. */
GLA_API GLA_NODISCARD gla_status gla_arch_copy_block(gla_arch *arch, const gla_arch_block *from,
                                                     const char *name, gla_arch_block **out,
                                                     gla_diag *diag);
/* Sets the expanded list: layers[i] is an index into blocks.  Copies. */
GLA_API GLA_NODISCARD gla_status gla_arch_set_layers(gla_arch *arch, const uint32_t *layers,
                                                     uint32_t n, gla_diag *diag);
/* Sets type (copied) and clears the parameters. */
GLA_API GLA_NODISCARD gla_status gla_arch_layer_init(gla_arch_layer *layer, const char *type,
                                                     gla_diag *diag);
/* Type, parameters and multipliers of another layer in place of its own. */
GLA_API GLA_NODISCARD gla_status gla_arch_copy_layer(gla_arch_layer *to, const gla_arch_layer *from,
                                                     gla_diag *diag);
/* Adds or replaces a parameter. */
GLA_API GLA_NODISCARD gla_status gla_arch_set_number(gla_arch_layer *l, const char *name, double v,
                                                     gla_diag *diag);
GLA_API GLA_NODISCARD gla_status gla_arch_set_bool(gla_arch_layer *l, const char *name, int v,
                                                   gla_diag *diag);
GLA_API GLA_NODISCARD gla_status gla_arch_set_string(gla_arch_layer *l, const char *name,
                                                     const char *v, gla_diag *diag);
GLA_API GLA_NODISCARD gla_status gla_arch_set_list(gla_arch_layer *l, const char *name,
                                                   const double *v, uint32_t n, gla_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
