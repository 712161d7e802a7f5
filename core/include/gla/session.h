/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/session.h - one sequence and all its states
 *
 * Implemented by core/runtime.
 *
 * A session is a position in a text: token history, KV caches (paged, shared between forks) and
 * recurrent states, over one immutable model.  Different sessions may be driven by different
 * threads at the same time; one session by one thread at a time.
 *
 *     gla_session_feed(s, prompt, n, GLA_FEED_LOGITS, &diag);      gla_session_logits(s)
 *     gla_session_mark(s, &diag);                     the user's turn ends here
 *     gla_session_feed(s, ...);                       an answer nobody liked
 *     gla_session_truncate(s, n, &diag);              as if it had never been
 *
 * A recurrent state cannot be cut back, so a session keeps snapshots: at a stride, at marks, within
 * a budget.  Coming back to a position replays the tokens after the nearest snapshot before it.
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

#define GLA_SNAPSHOT_NONE UINT32_MAX

/* Zeroed but for struct_size = defaults. */
typedef struct gla_session_options {
    uint32_t struct_size;
    uint32_t kv_dtype;        /* F32, BF16, I8; 0 = the model's default */
    uint32_t prefix_cache;    /* 1: take from the model's prefix cache and give to it */
    uint32_t snapshot_stride; /* tokens between; 0 = 512; GLA_SNAPSHOT_NONE = only marks */
    uint32_t bypass; /* ablation: 1 + number of a mixer, counted in gla_description.layers from 0;
                        it runs, but what it gives is taken as zero.  0 = none.  Such a session
                        uses no prefix cache and cannot be saved */
    uint32_t reserved;
    uint64_t snapshot_bytes; /* budget of this session's snapshots; 0 = 64 MiB, or four of
                                them where that is more */
    uint64_t saved_bytes;    /* budget of those that gla_session_save() takes along, turn ends and
                                the newest first; 0 = room for two, 1 = none */
} gla_session_options;

/* options may be NULL. */
GLA_API GLA_NODISCARD gla_status gla_session_create(gla_model *m,
                                                    const gla_session_options *options,
                                                    gla_session **out, gla_diag *diag);
GLA_API void gla_session_free(gla_session *s);
/* Back to position 0. */
GLA_API void gla_session_reset(gla_session *s);
GLA_API uint64_t gla_session_position(const gla_session *s);
/* The tokens fed so far; valid until the session changes. */
GLA_API const int32_t *gla_session_tokens(const gla_session *s);
/* [vocab_size] after the last token; NULL when it was fed without asking for logits.  Valid until
 * the session changes; forks and files take them along. */
GLA_API const float *gla_session_logits(const gla_session *s);
GLA_API gla_model *gla_session_model(const gla_session *s);

/* Compute the logits of the last token, for gla_session_logits(). */
#define GLA_FEED_LOGITS 1u

/* What to feed to one session and which logits to return.  Grows by the stride that gla_feed() is
 * told. */
typedef struct gla_feed_item {
    gla_session *session;
    const int32_t *tokens;
    size_t n_tokens;
    float *logits;   /* NULL: none here.  Else [n_logits, vocab_size] */
    size_t n_logits; /* of the last n_logits tokens; at most n_tokens */
    uint32_t flags;  /* GLA_FEED_*; with logits of the last token the session has them anyway */
    uint32_t reserved;
} gla_feed_item;

/* Feeds any number of tokens to any number of different sessions of one model as ragged batches:
 * prefill and decode together, weights read once per batch.  item_size: sizeof(*items).  progress
 * (may be NULL) is asked before each batch: "feed", tokens done of all that were given.
 *
 * After a failure each session is at a position it reports, never in between: batches that ran
 * before it count.  Out of memory, over the budget or cancelled, no session goes back behind where
 * it was.  When computing itself fails (a plugin's layer, say), the sessions of that batch are back
 * at their nearest snapshot, or at 0; logits that were to stay with one are not there then.
 *
 * A session at position 0 that uses the prefix cache looks its tokens up when its turn comes, and
 * begins where the cache ends; tokens whose logits are wanted are always computed. */
GLA_API GLA_NODISCARD gla_status gla_feed(const gla_feed_item *items, size_t n_items,
                                          size_t item_size, gla_progress_fn *progress, void *ctx,
                                          gla_diag *diag);
/* One session; flags: GLA_FEED_*.  n 0: nothing happens, logits stay as they are. */
GLA_API GLA_NODISCARD gla_status gla_session_feed(gla_session *s, const int32_t *tokens, size_t n,
                                                  uint32_t flags, gla_diag *diag);

/* A second session at the same position, with the same options and snapshots.  KV pages are shared
 * until one of the two writes; fixed states are copied.  The parent is not touched. */
GLA_API GLA_NODISCARD gla_status gla_session_fork(const gla_session *s, gla_session **out,
                                                  gla_diag *diag);
/* Cuts back to n tokens (n <= position), as if the later ones had never been fed.  KV is cut; fixed
 * states come from the nearest snapshot at or before n, and the tokens after it are computed
 * again. */
GLA_API GLA_NODISCARD gla_status gla_session_truncate(gla_session *s, uint64_t n, gla_diag *diag);

/* ---- snapshots ----------------------------------------------------------- */

/* Takes a snapshot here (the end of a turn): coming back replays nothing.  Kept in preference to
 * those at a stride, and given to the prefix cache if the session uses it. */
GLA_API GLA_NODISCARD gla_status gla_session_mark(gla_session *s, gla_diag *diag);

typedef struct gla_snapshot_info {
    uint32_t stride;       /* tokens; GLA_SNAPSHOT_NONE; 0 = the model needs no snapshots */
    uint32_t count;        /* held now */
    uint64_t bytes;        /* they keep alive; shared with forks and the prefix cache */
    uint64_t budget;       /* bytes */
    uint64_t worst_replay; /* most tokens that gla_session_truncate() would compute again now */
} gla_snapshot_info;
/* Over the budget snapshots thin out, the further back the wider apart.  size: sizeof(*out), here
 * and below. */
GLA_API void gla_session_snapshots(const gla_session *s, gla_snapshot_info *out, size_t size);
/* Tokens that gla_session_truncate(s, n) would compute again. */
GLA_API uint64_t gla_session_replay(const gla_session *s, uint64_t n);

/* ---- prefix cache -------------------------------------------------------- */

/* How a lookup ended.  Values are stable. */
typedef enum gla_cache_reason {
    GLA_CACHE_NOT_ASKED = 0,   /* the session does not use the cache, or was not fed from 0 */
    GLA_CACHE_HIT = 1,         /* resumed where the match ends */
    GLA_CACHE_HIT_REPLAY = 2,  /* resumed at the snapshot before; the rest is computed again */
    GLA_CACHE_EMPTY = 3,       /* nothing is cached */
    GLA_CACHE_NO_MATCH = 4,    /* no cached text begins with these tokens */
    GLA_CACHE_NO_SNAPSHOT = 5, /* a text matches, but no snapshot was taken in that part of it */
    GLA_CACHE_EVICTED = 6,     /* it was cached, and gave way */
    GLA_CACHE_KV_DTYPE = 7,    /* it is cached, with another KV dtype */
    GLA_CACHE_NO_MEMORY = 8    /* there was no memory to take it over */
} gla_cache_reason;
#define GLA_CACHE_REASON_COUNT 9
#define GLA_CACHE_REASON_ROOM  32 /* for what later versions have */
/* One line for people. */
GLA_API const char *gla_cache_reason_text(uint32_t reason);

typedef struct gla_cache_stats {
    uint64_t lookups, hits;
    uint64_t tokens_asked;      /* of all lookups */
    uint64_t tokens_matched;    /* agreed with a cached text */
    uint64_t tokens_reused;     /* were not computed */
    uint64_t tokens_replayed;   /* matched, but computed again: they lie after the last snapshot */
    uint64_t evictions;         /* blocks of up to 64 tokens */
    uint64_t blocks, snapshots; /* held now */
    uint64_t bytes, budget; /* held now: pages, snapshots, tokens; shared ones counted in full */
    uint64_t by_reason[GLA_CACHE_REASON_ROOM]; /* lookups by gla_cache_reason */
} gla_cache_stats;
/* Of the model's prefix cache since it was made. [thread-safe] */
GLA_API void gla_model_cache_stats(gla_model *m, gla_cache_stats *out, size_t size);
/* Of one session: its last lookup.  lookups, hits and the token counts are filled, the rest is 0.
 */
GLA_API void gla_session_cache_stats(const gla_session *s, gla_cache_stats *out, size_t size);
/* Bytes that the prefix cache may hold; 512 MiB at first, 0 empties it.  [thread-safe] */
GLA_API GLA_NODISCARD gla_status gla_model_cache_set_budget(gla_model *m, uint64_t bytes,
                                                            gla_diag *diag);

/* ---- memory -------------------------------------------------------------- */

/* Bytes that KV, states, histories, snapshots and prefix cache of all sessions together may take
 * (UINT64_MAX, the default: no limit).  At the limit the prefix cache gives way first, then the
 * snapshots of the session that asks; then the call fails with GLA_E_LIMIT.  Lowering it takes
 * nothing from living sessions.  [thread-safe] */
GLA_API GLA_NODISCARD gla_status gla_model_set_budget(gla_model *m, uint64_t bytes, gla_diag *diag);

/* kv: pages, shared ones counted in full; cache: snapshots. */
GLA_API void gla_session_memory(const gla_session *s, gla_memory *out, size_t size);

/* ---- files --------------------------------------------------------------- */

/* Writes tokens, KV, states, the logits of the last token if the session has them, and a few
 * snapshots to one file (docs/session-file.md), aside and renamed when complete: a failure leaves
 * the file that was there. */
GLA_API GLA_NODISCARD gla_status gla_session_save(const gla_session *s, const char *path,
                                                  gla_diag *diag);
/* A session as it was saved: it goes on, bit for bit, as if it had never stopped.  options as for
 * gla_session_create(), NULL = defaults; kv_dtype is the file's if not given.  With prefix_cache,
 * what was loaded is given to the model's prefix cache.  The loaded position becomes a mark.
 * Refused, with the reason, when the model, a layer's state revision or shape, the KV dtype, or a
 * byte differs. */
GLA_API GLA_NODISCARD gla_status gla_session_load(gla_model *m, const char *path,
                                                  const gla_session_options *options,
                                                  gla_session **out, gla_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
