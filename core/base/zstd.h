/* SPDX-License-Identifier: Apache-2.0
 *
 * zstd.h - one zstd frame: bytes to fewer bytes and back
 *
 * Contexts are made when first needed, of the library's own memory, and belong to one worker.
 * A frame from a file is hostile: it must be one, of the size that was expected, with nothing after
 * it.
 */
#ifndef GLA_BASE_ZSTD_H
#define GLA_BASE_ZSTD_H

#include <gla/status.h>

/* Zeroed is empty. */
typedef struct gla__zstd {
    struct ZSTD_CCtx_s *compress;
    struct ZSTD_DCtx_s *decompress;
} gla__zstd;

void gla__zstd_deinit(gla__zstd *z);

/* Room that is enough for any n bytes. */
size_t gla__zstd_bound(size_t n);
/* level 0: for bytes without repetitions worth looking for but an uneven distribution, else zstd's
 * own.  *n_stored is 0 when the frame does not fit in `room`. */
gla_status gla__zstd_encode(gla__zstd *z, int level, const uint8_t *raw, size_t n, uint8_t *stored,
                            size_t room, size_t *n_stored, gla_diag *diag);
/* Exactly n bytes. */
gla_status gla__zstd_decode(gla__zstd *z, const uint8_t *stored, size_t n_stored, uint8_t *raw,
                            size_t n, gla_diag *diag);

#endif
