/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.h - what a layer said about its failure
 *
 * Kept per thread until the host turns it into a diagnosis:
 *
 *     gla__host_listen();
 *     st = desc->make(layer, &cfg);
 *     if (st)
 *         return gla__host_failed(st, "make", diag);
 */
#ifndef GLA_GRAPH_EXPLAIN_H
#define GLA_GRAPH_EXPLAIN_H

#include <gla/status.h>

/* What a layer's explain() does, for checks of the host. */
__attribute__((format(printf, 1, 2))) void gla__host_explain(const char *format, ...);
/* What was explained on this thread since gla__host_listen(); "" if nothing. */
const char *gla__host_explained(void);
/* Forgets what was explained on this thread. */
void gla__host_listen(void);
/* The diagnosis of a layer's failure: what it explained, else which function failed.  Returns the
 * status, GLA_E_PLUGIN for a value that is none. */
gla_status gla__host_failed(gla_status st, const char *function, gla_diag *diag);

#endif
