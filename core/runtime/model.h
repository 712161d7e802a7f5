/* SPDX-License-Identifier: Apache-2.0
 *
 * runtime/model.h - inside of a gla_model, for the rest of the runtime room
 */
#ifndef GLA_RUNTIME_MODEL_H
#define GLA_RUNTIME_MODEL_H

#include <gla/gla.h>
#include <pthread.h>
#include <stdatomic.h>

#include "state/layout.h"

typedef struct gla__workspace gla__workspace; /* arena of one running batch */
struct gla__graph;

struct gla_model {
    atomic_uint refs;
    gla_arch *arch;
    gla_registry *registry;
    gla_description *description;
    struct gla__graph *graph;
    gla__state_layout
        layout;    /* the states of a sequence, in the order gla__run.states gives them */
    uint64_t hash; /* of architecture and weights */
    uint32_t max_batch_rows, max_sequences, kv_dtype, recurrence_chunk;
    uint64_t weights_bytes;
    atomic_ullong workspace_bytes, kv_bytes, state_bytes, cache_bytes; /* living now */
    pthread_mutex_t lock;                                              /* of the workspace pool */
    gla__workspace *free_list;
    void *sessions; /* the session code's own (prefix cache, page pool); see session.c */
    void (*sessions_free)(void *sessions);
};

gla_model *gla__model_ref(gla_model *m);
void gla__model_unref(gla_model *m);

/* One ragged batch: at most max_batch_rows rows of at most max_sequences sequences. */
typedef struct gla__run {
    uint32_t n_sequences, n_rows;
    const uint32_t *row_offset; /* [n_sequences + 1] */
    const uint64_t *position;   /* [n_sequences] */
    const int32_t *tokens;      /* [n_rows] */
    void *const *const *states; /* [n_sequences][layout.n_entries]: float * or gla__kv_view * */
    uint32_t n_logits;
    const uint32_t *logit_rows; /* [n_logits], ascending */
    float *const *logits;       /* [n_logits] -> [vocab_size] each */
    double *seconds;            /* NULL or [GLA__WORK_COUNT] */
    uint32_t bypass;            /* 1 + index of a mixer branch to leave out (ablation); 0 = none */
} gla__run;

/* Borrows an arena (made on the first use by this many threads at once) and gives it back. */
gla_status gla__workspace_get(gla_model *m, gla__workspace **out, gla_diag *diag);
void gla__workspace_put(gla_model *m, gla__workspace *w);
/* Nothing is allocated.  On failure fixed states of the batch are undefined. */
gla_status gla__model_run(gla_model *m, gla__workspace *w, const gla__run *run, gla_diag *diag);

#endif
