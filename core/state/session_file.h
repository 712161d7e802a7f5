/* SPDX-License-Identifier: Apache-2.0
 *
 * session_file.h - a sequence in a file (docs/session-file.md)
 *
 * Files are hostile: every number is checked against the layout of the model at hand and the size
 * of the file before memory is taken.
 */
#ifndef GLA_STATE_SESSION_FILE_H
#define GLA_STATE_SESSION_FILE_H

#include "state/sequence.h"

/* model_hash: of the model that q belongs to. */
gla_status gla__session_file_save(const gla__sequence *q, uint64_t model_hash, const char *path,
                                  gla_diag *diag);
/* *q, uninitialised, becomes the saved sequence; tokens are below `vocab`.  On failure it is
 * zeroed. GLA_E_MISMATCH: of another model or layout; GLA_E_CORRUPT, GLA_E_CHECKSUM, GLA_E_VERSION.
 */
gla_status gla__session_file_load(gla__sequence *q, gla__store *store, uint64_t model_hash,
                                  uint32_t vocab, const char *path, gla_diag *diag);

#endif
