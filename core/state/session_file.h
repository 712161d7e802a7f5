/* SPDX-License-Identifier: Apache-2.0
 *
 * session_file.h - a sequence and some of its snapshots in a file (docs/session-file.md)
 *
 * Files are hostile: every number is checked against the layout of the model at hand and the size
 * of the file before memory is taken.
 */
#ifndef GLA_STATE_SESSION_FILE_H
#define GLA_STATE_SESSION_FILE_H

#include "state/snapshot.h"

/* model_hash: of the model that q belongs to.  Snapshots of the ring that lie before q's position
 * go along while they fit into snapshot_bytes: marks first, the newest first. */
gla_status gla__session_file_save(const gla__sequence *q, const gla__ring *ring,
                                  uint64_t snapshot_bytes, uint64_t model_hash, const char *path,
                                  gla_diag *diag);
/* *q, uninitialised, becomes the saved sequence, and the ring, empty with its budget, gets the
 * snapshots that there is memory for.  kv_dtype: 0 = as the file has it.  On failure *q is zeroed.
 * GLA_E_MISMATCH: of another model or layout, or with another KV dtype; GLA_E_CORRUPT,
 * GLA_E_CHECKSUM, GLA_E_VERSION. */
gla_status gla__session_file_load(gla__sequence *q, gla__ring *ring, gla__store *store,
                                  uint64_t model_hash, uint32_t kv_dtype, const char *path,
                                  gla_diag *diag);

#endif
