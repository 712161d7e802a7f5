/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - reading config.json with defaults, old spellings and refusals by name
 *
 * Getters return the default when the key is absent or null.  A value of the wrong kind, out of
 * range, or not in the list of what we support is remembered as the first error; importers ask
 * once, at the end, with gla__config_status().
 */
#ifndef GLA_FORMATS_CONFIG_H
#define GLA_FORMATS_CONFIG_H

#include <gla/status.h>
#include <stdbool.h>

typedef struct gla__config gla__config;

gla_status gla__config_parse(const char *json, size_t size, const char *name, gla__config **out,
                             gla_diag *diag);
void gla__config_free(gla__config *c);
gla_status gla__config_status(const gla__config *c, gla_diag *diag);

/* `key` may be a path "rope_parameters.rope_theta" and may name older spellings: "a|b|c", first
 * found. */
bool gla__config_has(gla__config *c, const char *key); /* present and not null */
int64_t gla__config_int(gla__config *c, const char *key, int64_t def, int64_t min, int64_t max);
/* {"__float__": "Infinity"} is read as infinity. */
double gla__config_float(gla__config *c, const char *key, double def);
bool gla__config_bool(gla__config *c, const char *key, bool def);
const char *gla__config_string(gla__config *c, const char *key, const char *def);
/* Number of elements of an array; 0 if absent or not an array.  Elements: path "layers.3". */
uint32_t gla__config_length(gla__config *c, const char *key);
/* Records an error: the key, its value and why. */
void gla__config_refuse(gla__config *c, const char *key, const char *why);
/* Refuses unless absent or equal to one of the NULL-terminated values. */
void gla__config_only(gla__config *c, const char *key, const char *const *values);

#endif
