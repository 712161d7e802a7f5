/* SPDX-License-Identifier: Apache-2.0
 *
 * instance.h - one layer in a model
 *
 * The layer object and what it declared in create(): weights, states, scratch, shared rows.
 * Descriptions and models are made of the same instances, so they cannot disagree.
 *
 * An instance owns its layer and its tables; the descriptor belongs to the registry.
 * [control] but for forward, which is [exec].
 */
#ifndef GLA_GRAPH_INSTANCE_H
#define GLA_GRAPH_INSTANCE_H

#include <gla/plugin.h>
#include <gla/status.h>
#include <stdbool.h>

#include "graph/made.h"

typedef struct gla__scratch {
    size_t per_row, per_sequence, fixed; /* numbers */
} gla__scratch;

typedef struct gla__shared_use {
    char *name;
    size_t per_row;
    uint32_t slot; /* of the graph's shared rows, given by the graph */
    bool written;  /* by this layer */
} gla__shared_use;

typedef struct gla__instance {
    const gla_layer_desc *desc;
    gla_layer *layer;
    char *name;     /* "layers.3.mixer" */
    uint64_t role;  /* GLA_LAYER_MIXER, ...: the place it stands in */
    uint32_t block; /* UINT32_MAX outside of blocks */
    uint32_t d_in, d_out;
    gla_weight_desc *weights; /* .name is full: "layers.3.mixer.q_proj.weight" */
    uint32_t n_weights;
    gla_state_desc *states; /* .name is full */
    uint32_t n_states;
    uint32_t first_state; /* index in the layout of the model */
    gla__made *made;      /* what the layer declared as data, in its order */
    uint32_t n_made;
    gla__scratch *scratch;
    uint32_t n_scratch;
    gla__shared_use *shared;
    uint32_t n_shared;
    float **vectors; /* [n_weights] memory of VECTOR weights, owned; NULL for matrices */
    /* For the checking proxy: all weights are f32; checksums of vectors and object, 0 = not taken. */
    bool exact;
    uint64_t weights_hash, object_hash;
} gla__instance;

/* Calls make() or create().  cfg->declare is filled in here; name is copied.  desc is the registry's
 * copy, which is as long as ours.  On failure *out needs no destroying. */
gla_status gla__instance_create(const gla_layer_desc *desc, const char *name,
                                const gla_layer_config *cfg, gla__instance *out, gla_diag *diag);
/* weights: [n_weights].  For a layer with layer_bytes also again, after weights have changed. */
gla_status gla__instance_bind(gla__instance *in, const gla_tensor *weights, gla_diag *diag);
void gla__instance_destroy(gla__instance *in); /* also a zeroed one */

#endif
