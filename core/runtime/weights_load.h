/* SPDX-License-Identifier: Apache-2.0
 *
 * weights_load.h - the weights of a model, from a file or from a random generator, into its layers
 *
 * Layer by layer: read what it declares, bind, let go of what was packed.  A tensor that several
 * layers declare (a tied embedding) is read and packed once.
 */
#ifndef GLA_RUNTIME_WEIGHTS_LOAD_H
#define GLA_RUNTIME_WEIGHTS_LOAD_H

#include <gla/model.h>
#include <stdbool.h>

#include "graph/graph.h"

/* Where tensors come from. */
typedef struct gla__weight_source {
    const gla_weights *file; /* NULL: random */
    uint64_t seed;           /* random */
    uint32_t dtype;          /* random: of matrices where the block has no wish of its own */
    bool dtype_for_all;      /* random: blocks are not asked */
    const gla_arch *arch;
} gla__weight_source;

typedef struct gla__load_result {
    uint64_t bytes; /* packed, as they lie in memory */
    bool all_f32;   /* every matrix that is multiplied is f32 */
} gla__load_result;

/* Binds every instance.  options: limits and progress.  description is that of the program: what
 * dtype each weight turned out to have is filled in. */
gla_status gla__weights_load(gla__program *p, const gla__weight_source *source,
                             const gla_model_options *options, gla_description *description,
                             gla__load_result *out, gla_diag *diag);

#endif
