/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - reading config.json with defaults, old spellings and refusals by name
 *
 * Getters return the default when the key is absent or null.  A value of the wrong kind, out of
 * range, or not in the list of what we support is remembered as the first error; importers ask
 * nothing, the converter asks once, at the end, with gla__config_status().  Which keys were asked
 * for is remembered as well, so that what nobody looked at can be reported.
 *
 * `key` may be a path "rope_parameters.rope_theta" (numbers index arrays: "attn.0.layers.3") and
 * may name older spellings: "norm_eps|rms_norm_eps", the first that is present and not null wins.
 * Owned by one thread; strings live as long as the config.
 */
#ifndef GLA_FORMATS_IMPORT_CONFIG_H
#define GLA_FORMATS_IMPORT_CONFIG_H

#include <gla/status.h>
#include <stdbool.h>

typedef struct gla__config gla__config;

/* `name` stands in messages. */
gla_status gla__config_parse(const char *json, size_t size, const char *name, gla__config **out,
                             gla_diag *diag);
void gla__config_free(gla__config *c);
/* The first error. */
gla_status gla__config_status(const gla__config *c, gla_diag *diag);

/* Keys are looked up inside this object from now on, then at the top: for configs that keep the
 * language model under "text_config".  Nothing happens if there is no such object. */
void gla__config_enter(gla__config *c, const char *key);

bool gla__config_has(gla__config *c, const char *key);     /* present and not null */
bool gla__config_is_null(gla__config *c, const char *key); /* present and null */
/* Present and this text: for keys that are a number or "auto". */
bool gla__config_is(gla__config *c, const char *key, const char *text);
int64_t gla__config_int(gla__config *c, const char *key, int64_t def, int64_t min, int64_t max);
/* {"__float__": "Infinity"} is read as infinity. */
double gla__config_float(gla__config *c, const char *key, double def);
bool gla__config_bool(gla__config *c, const char *key, bool def);
const char *gla__config_string(gla__config *c, const char *key, const char *def);
/* Number of elements of an array; 0 if absent or not an array.  Elements: path "layers.3". */
uint32_t gla__config_length(gla__config *c, const char *key);
/* Numbers of an array, at most max; returns how many; an element that is no number, or more than
 * max, is an error. */
uint32_t gla__config_list(gla__config *c, const char *key, double *out, uint32_t max);
/* Formats a key; valid until the fourth call after this one. */
__attribute__((format(printf, 2, 3))) const char *gla__config_key(gla__config *c,
                                                                  const char *format, ...);

/* Records an error: the key, its value and why. */
void gla__config_refuse(gla__config *c, const char *key, const char *why);
/* Refuses unless absent or equal to one of the NULL-terminated values. */
void gla__config_only(gla__config *c, const char *key, const char *const *values);
/* Refuses true: for switches we do not have. */
void gla__config_not(gla__config *c, const char *key);

/* Says that these keys ("a|b") were seen and change nothing. */
void gla__config_ignore(gla__config *c, const char *keys);

/* Keys of the object that is looked into and that nobody asked for, one after the other; NULL at
 * the end.  *cursor is 0 at first. */
const char *gla__config_unread(const gla__config *c, uint32_t *cursor);

#endif
