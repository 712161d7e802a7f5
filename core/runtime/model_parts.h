/* SPDX-License-Identifier: Apache-2.0
 *
 * model_parts.h - inside of a gla_model, for the rest of the runtime room
 */
#ifndef GLA_RUNTIME_MODEL_PARTS_H
#define GLA_RUNTIME_MODEL_PARTS_H

#include <gla/session.h>
#include <pthread.h>
#include <stdatomic.h>

#include "graph/graph.h"
#include "state/store.h"

enum { GLA__DEFAULT_BATCH_ROWS = 512 };

typedef struct gla__shared gla__shared; /* runtime/sessions.h */

struct gla_model {
    atomic_uint refs;
    gla_arch *arch;
    gla_registry *registry;
    gla_description *description;
    gla__graph *graph;
    gla__state_layout
        layout;    /* the states of a sequence, in the order gla__run.states gives them */
    uint64_t hash; /* of architecture and weights */
    uint32_t max_batch_rows, max_sequences, kv_dtype, recurrence_chunk;
    uint32_t threads; /* of a call; 0: all */
    uint64_t weights_bytes;
    atomic_ullong workspace_bytes; /* living now */
    gla__usage usage;
    pthread_mutex_t lock;      /* of the workspace pool */
    gla__workspace *free_list; /* idle ones */
    gla__shared *shared;       /* of its sessions; NULL before the first */
};

gla_model *gla__model_ref(gla_model *m);
void gla__shared_free(gla__shared *shared); /* may be NULL */

/* Borrows an arena (made on the first use by this many threads at once) and gives it back. */
gla_status gla__workspace_get(gla_model *m, gla__workspace **out, gla_diag *diag);
void gla__workspace_put(gla_model *m, gla__workspace *w);
/* Nothing is allocated.  On failure fixed states of the batch are undefined. */
gla_status gla__model_run(gla_model *m, gla__workspace *w, const gla__run *run, gla_diag *diag);

#endif
