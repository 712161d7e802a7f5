/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/status.h - what went wrong, where, and why
 *
 * Implemented by core/base.
 *
 * Every function that can fail returns a gla_status (0 = GLA_OK, negative = GLA_E_*, the list is in
 * gla/types.h) and, where it takes one, fills a gla_diag in the caller's storage, so that
 * reporting needs no memory.  The deepest function writes the message, callers only add the place.
 *
 *     gla_diag diag;
 *     if (gla_model_open(path, NULL, &model, &diag))
 *         fprintf(stderr, "%s: %s\n", diag.where, diag.message);
 */
#ifndef GLA_STATUS_H
#define GLA_STATUS_H

#include <gla/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gla_diag {
    gla_status status;
    uint32_t line, column; /* of a text file, 1-based; 0 = none */
    uint64_t offset;       /* of a binary file; UINT64_MAX = none */
    char where[192];   /* file, tensor, layer: "model/weights.glaw: layers.3.mixer.q_proj.weight" */
    char message[320]; /* "shape [512, 512] needs 1048576 bytes, file gives 524288" */
    char hint[160];    /* what to do; empty = none */
} gla_diag;

/* "CORRUPT" and "file is damaged or not of this format"; "unknown" for a value not in the list. */
GLA_API const char *gla_status_name(gla_status status);
GLA_API const char *gla_status_text(gla_status status);

/* Makes a text from a stranger safe to show: what a terminal would take for a command (control
 * characters, line ends too) and what is not UTF-8 becomes '?', in place.  Returns text.  The texts
 * of a gla_diag are so already. */
GLA_API const char *gla_text_clean(char *text);

/* Writes "where:line:column: message (offset n); hint: ..." to buf, always terminated; returns buf.
 */
GLA_API const char *gla_diag_format(const gla_diag *diag, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
