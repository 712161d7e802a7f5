/* SPDX-License-Identifier: Apache-2.0
 *
 * graph.h - running a model: instances in order, buffers, one ragged batch at a time
 *
 * A program says what to run: the instances of the layers, and steps over a few buffers of rows. A
 * graph is a program with its memory planned: everything a batch needs lies in one workspace, so
 * nothing is allocated while it runs.  Buffers are laid out anew for the rows of each batch, so
 * that a single token touches little memory.
 *
 * Graphs are immutable and shared by threads; each running batch has a workspace of its own.
 */
#ifndef GLA_GRAPH_GRAPH_H
#define GLA_GRAPH_GRAPH_H

#include <stdbool.h>

#include "graph/instance.h"

/* All [rows, D]. */
typedef enum gla__buffer {
    GLA__BUFFER_X, /* the residual stream */
    GLA__BUFFER_N, /* normed rows */
    GLA__BUFFER_Y, /* what a layer gave */
    GLA__BUFFER_Z, /* sum of parallel mixers */
    GLA__BUFFER_S, /* scaled input */
    GLA__BUFFER_COUNT
} gla__buffer;

typedef enum gla__step_kind {
    GLA__STEP_LAYER,   /* dst = instance(src) */
    GLA__STEP_COMBINE, /* dst = alpha * dst + beta * src; alpha 0: dst is not read */
    GLA__STEP_SELECT,  /* X = the rows whose logits are wanted; the run ends here if there are none
                        */
    GLA__STEP_LOGITS   /* the caller's logits = instance(src) */
} gla__step_kind;

typedef struct gla__step {
    uint32_t kind;
    uint32_t instance;
    uint32_t src, dst; /* gla__buffer */
    float alpha, beta;
    uint32_t mixer; /* LAYER: 1 + number of this mixer in the model; 0 = not a mixer */
} gla__step;

typedef struct gla__program {
    gla__instance *instances;
    gla__step *steps;
    uint32_t n_instances, n_steps;
    uint32_t d_model, vocab_size;
    uint32_t n_mixers;
} gla__program;
void gla__program_free(gla__program *p); /* also a half-built or zeroed one */

/* One ragged batch: at most max_rows rows of at most max_sequences sequences. */
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
    uint32_t bypass; /* 1 + number of a mixer whose output is taken as zero (ablation); it runs, so
                        that its states and what it shares with later layers are there */
} gla__run;

typedef struct gla__graph gla__graph;
typedef struct gla__workspace gla__workspace;

/* Takes *program on success (and zeroes it). */
gla_status gla__graph_create(gla__program *program, uint32_t max_rows, uint32_t max_sequences,
                             uint32_t recurrence_chunk, gla__graph **out, gla_diag *diag);
void gla__graph_destroy(gla__graph *g); /* NULL allowed */
const gla__program *gla__graph_program(const gla__graph *g);

gla_status gla__workspace_create(const gla__graph *g, gla__workspace **out, gla_diag *diag);
void gla__workspace_destroy(gla__workspace *w); /* NULL allowed */
uint64_t gla__workspace_bytes(const gla__workspace *w);
/* False when more threads are in use than it was made for. */
bool gla__workspace_fits(const gla__workspace *w);
/* For a list of idle ones. */
gla__workspace **gla__workspace_next(gla__workspace *w);

/* [exec] */
gla_status gla__graph_run(const gla__graph *g, gla__workspace *w, const gla__run *run,
                          gla_diag *diag);

#endif
