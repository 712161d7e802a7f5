/* SPDX-License-Identifier: Apache-2.0
 *
 * runtime/sessions.h - inside of gla_session, for the files of the runtime room that make it up
 *
 * session.c holds the calls of gla/session.h, feed.c cuts what is fed into batches and runs them,
 * rewind.c goes back.  What all sessions of a model share (shared.c) hangs on model->shared and is
 * made with the first of them.
 */
#ifndef GLA_RUNTIME_SESSIONS_H
#define GLA_RUNTIME_SESSIONS_H

#include "runtime/model_parts.h"
#include "state/prefix.h"

/* model->shared */
struct gla__shared {
    gla__store store;
    gla__prefix *prefix;
};

/* What a session was asked for; a fork has the same. */
typedef struct gla__session_settings {
    uint32_t stride; /* 0: the model needs no snapshots */
    uint32_t bypass; /* as in gla_session_options */
    bool prefix_cache;
    uint64_t saved_bytes; /* as in the options */
} gla__session_settings;

struct gla_session {
    gla_model *model; /* counted */
    gla__shared *shared;
    gla__sequence seq;
    gla__ring ring;
    gla__session_settings set;
    atomic_flag feeding; /* listed in the items of a running gla_feed */
    gla__prefix_match match;
    uint64_t asked; /* tokens of the last lookup */
};

/* gla_feed; seconds: NULL, or [GLA__WORK_COUNT] that the time of each kind of work is added to. */
gla_status gla__feed(const gla_feed_item *items, size_t n_items, size_t item_size,
                     gla_progress_fn *progress, void *ctx, double *seconds, gla_diag *diag);

/* What all sessions of m share; made on the first call.  [thread-safe] */
gla_status gla__shared_get(gla_model *m, gla__shared **out, gla_diag *diag);

/* A session without its sequence; gla_session_free() takes it as it is. */
gla_status gla__session_new(gla_model *m, gla_session **out, gla_diag *diag);

/* Room for n more tokens, and for the logits of the last; snapshots of the session give way before
 * it fails. */
gla_status gla__session_reserve(gla_session *s, size_t n, bool logits, gla_diag *diag);
/* Before the first token: resumes at what the prefix cache has of tokens[0 .. n); returns how many
 * tokens that saves. */
uint64_t gla__session_resume(gla_session *s, const int32_t *tokens, uint64_t n);
/* Tokens from the position to the next border at which a snapshot is due; SIZE_MAX: none. */
size_t gla__session_border(const gla_session *s);
/* n tokens were run.  prompt: they are the last of several fed at once. */
void gla__session_advance(gla_session *s, const int32_t *tokens, size_t n, bool prompt);
/* The fixed states are lost: back to the nearest snapshot. */
void gla__session_rollback(gla_session *s);

#endif
