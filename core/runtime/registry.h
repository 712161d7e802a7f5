/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.h - layer types, for the rest of the runtime room
 *
 * Every entry passes the same checks, built in or loaded; a refusal names the field.
 */
#ifndef GLA_RUNTIME_REGISTRY_H
#define GLA_RUNTIME_REGISTRY_H

#include <gla/model.h>
#include <gla/plugin.h>

#include "base/diag.h"

gla_registry *gla__registry_ref(gla_registry *r);
/* Without any layer. */
gla_status gla__registry_create_empty(const gla_registry_options *options, gla_registry **out,
                                      gla_diag *diag);
/* What its layers are given, and where it says things. */
const gla_host *gla__registry_host(const gla_registry *r);
const gla__logger *gla__registry_logger(const gla_registry *r);
/* Checks the entry, calls its init() and adds its layers; a type that is already there is skipped
 * with a warning.  The entry must live for ever. */
gla_status gla__registry_add(gla_registry *r, const gla_plugin_entry *entry, gla_diag *diag);

/* GLA_E_NO_LAYER with the nearest known type as a hint; line and column from the architecture. */
gla_status gla__registry_require(const gla_registry *r, const gla_arch_layer *layer,
                                 const gla_layer_desc **out, gla_diag *diag);

#endif
