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
/* Descriptors and parameter tables: after init(). */
gla_status gla__entry_check_layers(const gla_plugin_entry *e, gla_diag *diag);

#endif
