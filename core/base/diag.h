/* SPDX-License-Identifier: Apache-2.0
 *
 * diag.h - filling a gla_diag
 *
 * The deepest function that knows what is wrong calls gla__fail() and returns its value; callers
 * add the place with gla__at() as the error passes through.  diag may be NULL everywhere.
 *
 *     return gla__fail(diag, GLA_E_CORRUPT, "index of %" PRIu64 " bytes, file has %" PRIu64, a, b);
 */
#ifndef GLA_BASE_DIAG_H
#define GLA_BASE_DIAG_H

#include <gla/status.h>
#include <stdbool.h>
#include <inttypes.h>

/* GLA_OK or one of the list: what a stranger returns need not be. */
bool gla__is_status(gla_status status);

void gla__diag_clear(gla_diag *diag);
/* Sets status and message, clears the place and the hint; returns status. */
__attribute__((format(printf, 3, 4))) gla_status gla__fail(gla_diag *diag, gla_status status,
                                                           const char *format, ...);
/* Message "out of memory for WHAT". */
gla_status gla__fail_nomem(gla_diag *diag, const char *what);
/* As gla__fail with ": " and the text of errno appended; ENOMEM gives GLA_E_NOMEM, else GLA_E_IO.
 */
gla_status gla__fail_errno(gla_diag *diag, int err, const char *what);
#ifdef __clang_analyzer__ /* clang-tidy sees one file at a time: failing never gives GLA_OK */
#define gla__fail(diag, status, ...)                                                               \
    ((void)(gla__fail)(diag, status, __VA_ARGS__), (status) ? (status) : GLA_E_INVALID)
#define gla__fail_nomem(diag, what)      ((void)(gla__fail_nomem)(diag, what), GLA_E_NOMEM)
#define gla__fail_errno(diag, err, what) ((void)(gla__fail_errno)(diag, err, what), GLA_E_IO)
#endif
/* Prepends to where: "outer: inner". */
void gla__at(gla_diag *diag, const char *outer);
__attribute__((format(printf, 2, 3))) void gla__at_format(gla_diag *diag, const char *format, ...);
void gla__at_line(gla_diag *diag, uint32_t line, uint32_t column);
void gla__at_offset(gla_diag *diag, uint64_t offset);
__attribute__((format(printf, 2, 3))) void gla__hint(gla_diag *diag, const char *format, ...);

/* The one of candidates (n strings) nearest to word in edit distance, NULL if none is close: for
 * "did you mean". */
const char *gla__nearest(const char *word, const char *const *candidates, size_t n);

/* Where something is said. */
typedef struct gla__logger {
    gla_log_fn *fn; /* NULL: through the hook of gla_set_log() */
    void *ctx;
    int32_t level; /* the least that is said */
} gla__logger;
__attribute__((format(printf, 3, 4))) void gla__log_to(const gla__logger *logger, int32_t level,
                                                       const char *format, ...);
/* Says something through the hook of gla_set_log(). */
#define gla__log(level, ...) gla__log_to(NULL, level, __VA_ARGS__)

#endif
