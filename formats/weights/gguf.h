/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf.h - what a .gguf file says besides its tensors
 *
 * Versions 2 and 3, little-endian; one file, or parts NAME-00001-of-0000N.gguf, opened by the
 * first.  Tensors are read with gla_weights_open() and appear row-major
 * ([out, in]: gguf counts its dimensions from the fastest).  Q4_0 to Q8_0 and k-quants appear as
 * F32, to the bit what ggml makes of them; other quantised types are refused by name.
 * Texts are borrowed from w, not NUL-terminated, and UTF-8 is not promised.
 */
#ifndef GLA_FORMATS_WEIGHTS_GGUF_H
#define GLA_FORMATS_WEIGHTS_GGUF_H

#include <gla/weights.h>
#include <stdbool.h>

typedef struct gla__gguf_text {
    const char *data;
    size_t size;
} gla__gguf_text;

bool gla__is_gguf(const gla_weights *w);
bool gla__gguf_has(const gla_weights *w, const char *key);
/* All: false when the key is absent or its value is of another kind. */
bool gla__gguf_u64(const gla_weights *w, const char *key, uint64_t *out); /* an integer >= 0 */
bool gla__gguf_f64(const gla_weights *w, const char *key, double *out);   /* any number */
bool gla__gguf_bool(const gla_weights *w, const char *key, bool *out);
bool gla__gguf_string(const gla_weights *w, const char *key, gla__gguf_text *out);
/* An array of numbers or booleans; element i of it. */
bool gla__gguf_length(const gla_weights *w, const char *key, uint64_t *n);
bool gla__gguf_number(const gla_weights *w, const char *key, uint64_t i, double *out);
/* An array of strings; *list is released with gla__free(). */
gla_status gla__gguf_strings(const gla_weights *w, const char *key, gla__gguf_text **list,
                             uint64_t *n, gla_diag *diag);
/* Key i of n in alphabetical order; NULL past the end. */
const char *gla__gguf_key(const gla_weights *w, uint32_t i);

#endif
