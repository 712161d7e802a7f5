/* SPDX-License-Identifier: Apache-2.0
 *
 * validate_bind.h - what the checking proxy sees of a layer: its weights, its object, its calls
 *
 * [control]; forward is [exec].
 */
#ifndef GLA_GRAPH_VALIDATE_BIND_H
#define GLA_GRAPH_VALIDATE_BIND_H

#include "graph/instance.h"

/* Before a layer gets these weights, and after it has made of them what it wants. */
void gla__validate_weights(gla__instance *in, const gla_tensor *weights);
void gla__validate_bound(gla__instance *in);
/* bind() of a layer that makes its own maps, with weights behind the declared ones that show where
 * they get to. */
gla_status gla__validate_bind(gla__instance *in, const gla_tensor *weights);

/* What somebody wrote to since: "the weights", "the layer's own memory", NULL: nothing. */
const char *gla__validate_written(const gla__instance *in);

/* forward(), again and again (validate.h). */
gla_status gla__validate_forward(const gla__instance *in, const gla_batch *batch);

#endif
