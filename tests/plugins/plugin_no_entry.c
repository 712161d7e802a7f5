/* SPDX-License-Identifier: Apache-2.0 */
/* A library, but no plugin. */
__attribute__((visibility("default"))) int gla_plugin_entry;
