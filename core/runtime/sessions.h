/* SPDX-License-Identifier: Apache-2.0
 *
 * runtime/sessions.h - inside of gla_session, for the files of the runtime room that make it up
 *
 * session.c holds the calls of gla/session.h, feed.c cuts what is fed into batches and runs them.
 * What all sessions of a model share hangs on model->sessions and is made with the first of them.
 */
#ifndef GLA_RUNTIME_SESSIONS_H
#define GLA_RUNTIME_SESSIONS_H

#include "runtime/model.h"
#include "state/sequence.h"

/* model->sessions */
typedef struct gla__shared {
    gla__store store;
} gla__shared;

struct gla_session {
    gla_model *model; /* counted */
    gla__shared *shared;
    gla__sequence seq;
    bool feeding; /* listed in the items of a running gla_feed */
};

/* What all sessions of m share; made on the first call.  [thread-safe] */
gla_status gla__shared_get(gla_model *m, gla__shared **out, gla_diag *diag);

#endif
