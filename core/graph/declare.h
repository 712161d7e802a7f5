/* SPDX-License-Identifier: Apache-2.0
 *
 * declare.h - what a layer declares while it is made
 *
 *     gla__declaring d;
 *     gla__declare_begin(&d, instance, abi_1_1);
 *     config.declare = &d.table;
 *     ... make(layer, &config) ...
 *     if (d.status) ...                  the first error; d.diag says which
 */
#ifndef GLA_GRAPH_DECLARE_H
#define GLA_GRAPH_DECLARE_H

#include "graph/instance.h"

typedef struct gla__declaring {
    gla_declare table;
    gla__instance *in;
    size_t weights_capacity, states_capacity, scratch_capacity, shared_capacity, made_capacity;
    gla_status status; /* the first error sticks */
    gla_diag diag;
} gla__declaring;

/* The instance has its name and, for a layer with layer_bytes, its layer. */
void gla__declare_begin(gla__declaring *d, gla__instance *in);

#endif
