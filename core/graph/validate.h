/* SPDX-License-Identifier: Apache-2.0
 *
 * validate.h - a checking proxy around every function of every layer (GLA_VALIDATE=1)
 *
 * Off, it costs one test per call.  On, the host stands between a layer and its memory: forward()
 * gets copies with guard bands, filled with NaN where contents are undefined, and is called again
 * and again, with other rubbish in scratch and y, without rows, and in pieces; what comes out must
 * be the same.  The first breach of the contract fails the call with GLA_E_PLUGIN and a message
 * that names the callback, the memory and what to do; it is left to gla__host_explain().
 *
 * Calls are made one at a time, so that what a layer asks of the host during one of them can be
 * told from the others.
 */
#ifndef GLA_GRAPH_VALIDATE_H
#define GLA_GRAPH_VALIDATE_H

#include <gla/plugin.h>
#include <gla/status.h>
#include <stdbool.h>

bool gla__validating(void);

/* Round every call of a plugin's function; nothing when not validating.  leave() returns what the
 * call itself returned, or GLA_E_PLUGIN for what it asked of the host meanwhile. */
void gla__validate_enter(const char *name, const char *type_id, const char *function);
gla_status gla__validate_leave(gla_status returned);

/* The name of the call that runs, as it was given; NULL if there is none, or not validating. */
const char *gla__validate_caller(void);

/* The host's services say what they are asked for: not everything is allowed everywhere. */
void gla__validate_memory_asked(const char *service);
/* bind() was given tensors up to here, n of them declared; those behind it must not be used.  Until
 * leave(). */
void gla__validate_weights_end(const void *end, size_t size, uint32_t n);
void gla__validate_weight_used(const gla_tensor *weight);

#endif
