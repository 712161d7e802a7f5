/* SPDX-License-Identifier: Apache-2.0
 *
 * yaml.h - YAML under our policy, as a small tree
 *
 * One document of mappings, lists and scalars; scalars stay text, the reader's schema gives them a
 * type.  Refused, with line and column: anchors, aliases, tags, merge keys, keys that are not
 * scalars, duplicate keys, more than the limits below.  Nothing is ever expanded, so memory is
 * linear in the size of the text.
 *
 * A gla__yaml_doc owns its nodes.
 */
#ifndef GLA_FORMATS_TEXT_YAML_H
#define GLA_FORMATS_TEXT_YAML_H

#include <gla/status.h>
#include <stdbool.h>

#define GLA__YAML_MAX_FILE   (1u << 20)
#define GLA__YAML_MAX_DEPTH  32u
#define GLA__YAML_MAX_EVENTS 100000u
#define GLA__YAML_MAX_SCALAR (64u << 10)
#define GLA__YAML_MAX_KEYS   4096u /* of one mapping */

typedef enum gla__yaml_kind { GLA__YAML_SCALAR, GLA__YAML_LIST, GLA__YAML_MAP } gla__yaml_kind;

typedef struct gla__yaml {
    uint32_t kind;  /* gla__yaml_kind */
    bool plain;     /* a scalar without quotes */
    uint32_t count; /* of children */
    uint32_t line, column;
    char *text; /* of a scalar, NUL-terminated, without NUL inside */
    size_t length;
    char *key; /* child of a mapping */
    uint32_t key_line, key_column, key_hash;
    struct gla__yaml *first, *last, *next; /* children; the next child of the same parent */
} gla__yaml;

typedef struct gla__yaml_doc {
    gla__yaml *root;
    gla__yaml **nodes;
    size_t n_nodes, capacity;
} gla__yaml_doc;

/* doc is released with gla__yaml_free() whatever this returns. */
gla_status gla__yaml_parse(const char *text, size_t size, gla__yaml_doc *doc, gla_diag *diag);
void gla__yaml_free(gla__yaml_doc *doc);
/* Value of a key of a mapping, NULL if absent. */
const gla__yaml *gla__yaml_get(const gla__yaml *map, const char *key);
/* "a mapping", "a list", "text" */
const char *gla__yaml_kind_name(const gla__yaml *node);

#endif
