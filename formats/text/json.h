/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h - the one way to read and print JSON
 *
 * jansson behind our rules: the size is checked before anything else, nesting stays within
 * GLA__JSON_MAX_DEPTH, duplicate keys, bad UTF-8, NUL and trailing text are refused, and an error
 * names the line and column.  Infinity, -Infinity and NaN, which Python writes although JSON has no
 * such numbers, arrive as {"__float__": "Infinity"}: the form transformers 5 writes.
 * Objects keep the order of the text (json_object_foreach).
 *
 *     json_t *root;
 *     st = gla__json_read(path, 1 << 20, &root, diag);
 *     ... json_object_get(root, "model_type") ...
 *     json_decref(root);
 *
 * jansson's own memory does not come from gla__alloc(): its allocator is one for the whole process
 * and may belong to the application.  Its parser (2.14) does not stand it
 * when memory runs out in the middle of a text; everything else of it does.
 */
#ifndef GLA_FORMATS_TEXT_JSON_H
#define GLA_FORMATS_TEXT_JSON_H

#include <gla/status.h>
#include <jansson.h>

#define GLA__JSON_MAX_DEPTH 64

/* The root is an object or an array.  `name` stands in messages.  *out is NULL on failure, else
 * released with json_decref(). */
gla_status gla__json_parse(const char *text, size_t size, uint64_t limit, const char *name,
                           json_t **out, gla_diag *diag);
gla_status gla__json_read(const char *path, uint64_t limit, json_t **out, gla_diag *diag);

/* An integer that is not negative: 0, or -1 if it is anything else. */
int gla__json_u64(const json_t *value, uint64_t *out);

/* Sorted keys, no blanks, always the same text for the same value; gla__free(*text). */
gla_status gla__json_print(const json_t *value, char **text, size_t *size, gla_diag *diag);

#endif
