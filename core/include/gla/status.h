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
 *
 * And what else all headers of the library share: texts and ids it gives out, how it reports.
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
    uint64_t reserved[8]; /* room for what is added later; 0 */
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

/* ---- what the library gives out and how it reports ---- */

GLA_API void gla_text_free(char *text);
GLA_API void gla_ids_free(int32_t *ids);

/* done of total (tokens, bytes; `what` says of what); return non-zero to cancel: GLA_E_CANCELLED.
 * Called from the thread that called the library. */
typedef int gla_progress_fn(void *ctx, const char *what, uint64_t done, uint64_t total);
/* level: gla_log_level.  From any thread. */
typedef void gla_log_fn(void *ctx, int32_t level, const char *msg);

#ifdef __cplusplus
}
#endif
#endif
