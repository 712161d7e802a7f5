/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h - the gla_host that layers see
 *
 * One for each registry, without state but for where its log goes.
 *
 * A bind scope is open (on its thread) while the layers of a model get their weights.  It counts
 * what they pack, and lets two layers that make the same linear map of one tensor share it: a tied
 * head and embedding are packed once.
 */
#ifndef GLA_GRAPH_HOST_H
#define GLA_GRAPH_HOST_H

#include <gla/plugin.h>
#include <gla/status.h>

#include "base/diag.h"

/* The one that gla__host_use() has said on this thread, else one that says things to all. */
const gla_host *gla__host(void);
/* A host whose log() says things to *logger, which stays where it is. */
gla_host gla__host_of(const gla__logger *logger);
/* gla__host() of this thread from now on; NULL: the one for all.  Returns what it was before. */
const gla_host *gla__host_use(const gla_host *host);

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
