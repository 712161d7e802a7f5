/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/session.h - one sequence and all its states
 *
 * A session is a position in a text: token history, KV cache (paged, shared between forks) and
 * recurrent states, over one immutable model.  Different sessions may be driven by different
 * threads at the same time; one session by one thread at a time.
 *
 * On failure of any call a session is as it was before, unless the call says otherwise.
 */
#ifndef GLA_SESSION_H
#define GLA_SESSION_H

#include <gla/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gla_session gla_session;

typedef struct gla_session_options {
    uint32_t kv_dtype;     /* F32, BF16, I8; 0 = the model's default */
    uint32_t prefix_cache; /* 1: take from and give to the model's prefix cache */
    uint32_t
        snapshot_stride; /* tokens between snapshots; 0 = 512, GLA_SNAPSHOT_NONE = only marks */
    uint32_t reserved;
    uint64_t snapshot_bytes; /* budget of this session's snapshots; 0 = 64 MiB */
} gla_session_options;
#define GLA_SNAPSHOT_NONE UINT32_MAX

GLA_API GLA_NODISCARD gla_status gla_session_create(gla_model *m,
                                                    const gla_session_options *options,
                                                    gla_session **out, gla_diag *diag);
GLA_API void gla_session_destroy(gla_session *s);
/* Back to position 0. */
GLA_API void gla_session_reset(gla_session *s);
GLA_API uint64_t gla_session_position(const gla_session *s);
/* The tokens fed so far; valid until the session changes. */
GLA_API const int32_t *gla_session_tokens(const gla_session *s);
GLA_API gla_model *gla_session_model(const gla_session *s);

/* What to feed to one session and which logits to return. */
typedef struct gla_feed_item {
    gla_session *session;
    const int32_t *tokens;
    size_t n_tokens;
    float *logits;   /* NULL: none.  Else [n_logits, vocab_size] */
    size_t n_logits; /* of the last n_logits tokens; at most n_tokens */
} gla_feed_item;

/* Feeds any number of tokens to any number of different sessions of one model as ragged batches:
 * prefill and decode together, weights read once per batch.  cancel (may be NULL) is asked between
 * batches.  After a failure each session is at a position it reports, never in between. */
GLA_API GLA_NODISCARD gla_status gla_feed(const gla_feed_item *items, size_t n_items,
                                          int (*cancel)(void *ctx), void *ctx, gla_diag *diag);
/* One session, logits of the last token (may be NULL). */
GLA_API GLA_NODISCARD gla_status gla_session_feed(gla_session *s, const int32_t *tokens, size_t n,
                                                  float *logits, gla_diag *diag);

/* A second session at the same position; KV pages are shared until one of them writes. */
GLA_API GLA_NODISCARD gla_status gla_session_fork(const gla_session *s, gla_session **out,
                                                  gla_diag *diag);
/* Cuts back to n tokens (n <= position).  KV is cut; fixed states are recomputed from the nearest
 * snapshot before n, or from the beginning. */
GLA_API GLA_NODISCARD gla_status gla_session_truncate(gla_session *s, uint64_t n, gla_diag *diag);

/* One file; refused on load when the model, a layer's state revision or a byte differs. */
GLA_API GLA_NODISCARD gla_status gla_session_save(const gla_session *s, const char *path,
                                                  gla_diag *diag);
GLA_API GLA_NODISCARD gla_status gla_session_load(gla_model *m, const char *path, gla_session **out,
                                                  gla_diag *diag);

GLA_API void gla_session_memory(const gla_session *s, gla_memory *out);

#ifdef __cplusplus
}
#endif
#endif
