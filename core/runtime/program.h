/* SPDX-License-Identifier: Apache-2.0
 *
 * program.h - an architecture becomes instances and steps
 *
 * The one place that knows how a block is put together and what its parts are called.  Descriptions
 * and models are both made from here.
 *
 *     embed [embed_norm] { mixer_norm mixer... ffn_norm ffn }... final_norm head
 */
#ifndef GLA_RUNTIME_PROGRAM_H
#define GLA_RUNTIME_PROGRAM_H

#include <gla/model.h>

#include "graph/graph.h"
#include "state/layout.h"

/* Checks the architecture against the registry, which outlives the program: it has the descriptors.
 * Errors have the place in arch.yaml. */
gla_status gla__program_create(const gla_arch *arch, const gla_registry *r, gla__program *out,
                               gla_diag *diag);
/* The states of a sequence, and instance.first_state. */
gla_status gla__program_layout(gla__program *p, gla__state_layout *out, gla_diag *diag);

#endif
