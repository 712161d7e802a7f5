/* SPDX-License-Identifier: Apache-2.0
 *
 * entry_check.h - is this plugin entry one that we can use
 *
 * Data only: nothing of the plugin is called.  Every refusal names the field and both values.
 */
#ifndef GLA_RUNTIME_ENTRY_CHECK_H
#define GLA_RUNTIME_ENTRY_CHECK_H

#include <gla/plugin.h>
#include <gla/status.h>

/* Magic, sizes, version: before init(). */
gla_status gla__entry_check(const gla_plugin_entry *e, gla_diag *diag);
/* After init(): checks layer i and gives our copy of its descriptor, which is as long as ours and has
 * all its parameters in one table. */
gla_status gla__entry_take_layer(const gla_plugin_entry *e, uint32_t i, gla_layer_desc *out,
                                 gla_diag *diag);
void gla__entry_free_layer(gla_layer_desc *d); /* what take_layer() allocated; not d itself */

#endif
