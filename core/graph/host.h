/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h - the gla_host that layers see
 *
 * One for the whole process, without state of its own.
 *
 * A bind scope is open (on its thread) while the layers of a model get their weights.  It counts
 * what they pack, and lets two layers that make the same linear map of one tensor share it: a tied
 * head and embedding are packed once.
 */
#ifndef GLA_GRAPH_HOST_H
#define GLA_GRAPH_HOST_H

#include <gla/plugin.h>
#include <gla/status.h>

const gla_host *gla__host(void);

typedef struct gla__bind_scope {
    uint64_t packed_bytes; /* of all linear maps made inside */
    struct {
        const gla_tensor *tensor; /* NULL: not read yet */
        gla_linear *linear;
    } * shared; /* one entry per tensor that several layers declare */
    uint32_t n_shared;
} gla__bind_scope;

/* NULL ends it.  Maps made of *scope->shared[i].tensor alone are made once. */
void gla__host_bind_scope(gla__bind_scope *scope);

#endif
