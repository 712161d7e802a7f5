/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_config.h - gguf files as a source of import
 *
 * The metadata of a gguf file says what a config.json says, in other words.  So it is turned into
 * the config.json of the same model, which the family's usual importer reads; only where the
 * tensors lie, and the conventions in which gguf differs, are told here.
 */
#ifndef GLA_FORMATS_IMPORT_GGUF_CONFIG_H
#define GLA_FORMATS_IMPORT_GGUF_CONFIG_H

#include "formats/import/import.h"

/* The config.json that says what the file's metadata says; gla__free(*json).  Metadata of the
 * architecture that nothing here knows stands in it under its own name, so that it is reported as
 * not looked at. */
gla_status gla__gguf_config(const gla_weights *w, char **json, size_t *size, gla_diag *diag);
/* general.architecture is this. */
bool gla__gguf_is_arch(const gla_weights *w, const char *name);
/* After the family's arch(): what gguf does differently. */
void gla__gguf_arch(gla__import *im);
/* Instead of the family's tensors() (gguf_tensors.c). */
void gla__gguf_tensors(gla__import *im);

#endif
