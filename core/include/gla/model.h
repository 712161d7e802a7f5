/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/model.h - layer types, and models made of them
 *
 * Implemented by core/runtime.
 *
 * A registry knows the layer types: the built-in ones and those of loaded plugins.  A model is an
 * architecture with its weights packed for this machine.  It is immutable and may be shared by any
 * number of threads; what changes lives in sessions (gla/session.h).
 */
#ifndef GLA_MODEL_H
#define GLA_MODEL_H

#include <gla/arch.h>
#include <gla/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- registry ----------------------------------------------------------- */

typedef struct gla_registry gla_registry;
struct gla_layer_desc; /* what a layer type says of itself: gla/plugin.h */

typedef struct gla_registry_options {
    uint32_t struct_size;
    int32_t log_level; /* gla_log_level: the least that is said */
    /* What this registry, its models and their layers have to say, instead of the hook of
     * gla_set_log(); NULL: that one.  (init() of a plugin is called once for the process, and says
     * it there.) */
    gla_log_fn *log;
    void *log_ctx;
} gla_registry_options;

/* With all built-in layers.  options may be NULL. */
GLA_API GLA_NODISCARD gla_status gla_registry_create(const gla_registry_options *options,
                                                     gla_registry **out, gla_diag *diag);
/* Counted: models keep their registry alive. */
GLA_API void gla_registry_free(gla_registry *r);
/* Loading a plugin is running its code.  path must be absolute or contain a slash.  Every refusal
 * says which check failed.  [control] */
GLA_API GLA_NODISCARD gla_status gla_registry_load(gla_registry *r, const char *path,
                                                   gla_diag *diag);
/* All *.so of the colon-separated folders (or files) of GLA_PLUGIN_PATH (ignored in set-uid
 * programs), then of the folder gla/plugins beside the installed library.  A plugin that is refused
 * is reported through the log and skipped.  [control] */
GLA_API GLA_NODISCARD gla_status gla_registry_load_path(gla_registry *r, gla_diag *diag);
GLA_API uint32_t gla_registry_count(const gla_registry *r);
GLA_API const struct gla_layer_desc *gla_registry_get(const gla_registry *r, uint32_t i);
/* "gla", "gla.gla/1", "org.example.mixer" or "org.example.mixer/2"; NULL if unknown. */
GLA_API const struct gla_layer_desc *gla_registry_find(const gla_registry *r, const char *type);

/* ---- memory -------------------------------------------------------------- */

typedef struct gla_memory {
    uint64_t weights;   /* packed, as they lie in memory */
    uint64_t workspace; /* arenas of running batches */
    uint64_t kv, state; /* of all living sessions (gla_session_memory: of one) */
    uint64_t history;   /* theirs: tokens, page tables, the logits they keep */
    uint64_t cache;     /* prefix cache and snapshots */
} gla_memory;

/* ---- what a model is, without running it -------------------------------- */

/* These three are views: the library makes them, and programs that may meet a newer one reach the
 * elements through gla_description_layer() and gla_description_weight(). */
typedef struct gla_weight_info {
    char *name;           /* full: "layers.3.mixer.q_proj.weight" */
    uint32_t role, flags; /* gla_weight_role; GLA_WEIGHT_* */
    uint32_t ndim;
    int64_t dims[GLA_MAX_DIMS];
    uint64_t n_elements;
    double active;                 /* share used by one token */
    uint32_t layer;                /* index into gla_description.layers */
    uint32_t shared_with_previous; /* 1: the same tensor was listed before (tied) */
    uint32_t dtype; /* of a model's weights, as they lie in memory; 0: gla_describe() */
} gla_weight_info;

typedef struct gla_layer_info {
    char *name; /* "layers.3.mixer" */
    char *type_id;
    uint32_t block; /* block number, UINT32_MAX for embedding, final norm, head */
    uint32_t role;  /* GLA_LAYER_MIXER, ... */
    uint64_t params, active_params;
    double flops_per_token;        /* linear maps and recurrence; attention excluded */
    double flops_per_cached_token; /* attention: per token of context */
    uint64_t state_bytes;          /* fixed, per sequence */
    uint64_t kv_values_per_token;  /* numbers cached per token (times the KV dtype's bytes) */
    uint64_t kv_heads_per_token;   /* scales when KV is int8: one per head, key and value */
    uint32_t window;
} gla_layer_info;

typedef struct gla_description {
    gla_layer_info *layers;
    uint32_t n_layers;
    gla_weight_info *weights;
    uint32_t n_weights;
    uint64_t params, active_params;
    double flops_per_token;
    uint64_t state_bytes;
    uint64_t kv_values_per_token, kv_heads_per_token;
} gla_description;

/* Checks the architecture against the registry and says what it consists of. */
GLA_API GLA_NODISCARD gla_status gla_describe(const gla_arch *arch, gla_registry *r,
                                              gla_description **out, gla_diag *diag);
GLA_API void gla_description_free(gla_description *d);
/* NULL beyond the last. */
GLA_API const gla_layer_info *gla_description_layer(const gla_description *d, uint32_t i);
GLA_API const gla_weight_info *gla_description_weight(const gla_description *d, uint32_t i);
/* Bytes of KV cache of one sequence of `context` tokens, windows honoured, as the runtime pages it;
 * UINT64_MAX if they are too many to count.  Here and below a context above 2^48 counts as 2^48. */
GLA_API uint64_t gla_description_kv_bytes(const gla_description *d, uint64_t context,
                                          uint32_t kv_dtype);
/* What gla_session_memory() says of a session that was fed `context` tokens and then asked for
 * logits: kv, state and history.  max_batch_rows as in gla_model_options.  size: sizeof(*out). */
GLA_API void gla_description_session(const gla_description *d, uint64_t context, uint32_t kv_dtype,
                                     uint32_t max_batch_rows, gla_memory *out, size_t size);
/* FLOPs to process one more token at a context. */
GLA_API double gla_description_flops(const gla_description *d, uint64_t context);
/* Context at which KV outgrows the fixed state; 0 = no KV or no state. */
GLA_API uint64_t gla_description_crossover(const gla_description *d, uint32_t kv_dtype);

/* ---- model --------------------------------------------------------------- */

typedef struct gla_model gla_model;

/* Zeroed but for struct_size = defaults. */
typedef struct gla_model_options {
    uint32_t struct_size;
    uint32_t max_batch_rows; /* tokens computed at once (prefill chunk); 0 = 512 */
    uint32_t max_sequences;  /* sequences in one batch; 0 = 64 */
    uint32_t threads;        /* that one call uses; 0 = gla_threads() */
    /* default of sessions: F32, BF16 or I8; 0 = F32 for f32 weights, else BF16 */
    uint32_t kv_dtype;
    uint32_t recurrence_chunk; /* 0 = chosen; 1 = token by token; for tests */
    uint32_t weights_dtype;    /* gla_model_random: dtype of matrices; 0 = the architecture's */
    uint32_t reserved;
    uint64_t seed;            /* gla_model_random */
    gla_registry *registry;   /* NULL: a new one with GLA_PLUGIN_PATH */
    const gla_limits *limits; /* NULL: defaults */
    gla_progress_fn *progress;
    void *ctx;
} gla_model_options;

/* Opens a model folder (arch.yaml, weights.glaw).  options may be NULL. */
GLA_API GLA_NODISCARD gla_status gla_model_open(const char *path, const gla_model_options *options,
                                                gla_model **out, gla_diag *diag);
/* From an architecture and any file that has its tensors.  Copies arch; weights are needed during
 * the call only. */
GLA_API GLA_NODISCARD gla_status gla_model_create(const gla_arch *arch, const gla_weights *weights,
                                                  const gla_model_options *options, gla_model **out,
                                                  gla_diag *diag);
/* Random weights, for measuring and for tests. */
GLA_API GLA_NODISCARD gla_status gla_model_random(const gla_arch *arch,
                                                  const gla_model_options *options, gla_model **out,
                                                  gla_diag *diag);
/* Counted: sessions keep their model alive. */
GLA_API void gla_model_free(gla_model *m);

GLA_API const gla_arch *gla_model_arch(const gla_model *m);
GLA_API const gla_description *gla_model_description(const gla_model *m);
GLA_API uint32_t gla_model_vocab_size(const gla_model *m);
GLA_API uint64_t gla_model_hash(const gla_model *m);

/* size: sizeof(*out). */
GLA_API void gla_model_memory(const gla_model *m, gla_memory *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
