/* SPDX-License-Identifier: Apache-2.0
 *
 * chunks.h - memory as a stream of compressed, checksummed chunks of a file
 *
 * The stream is the segments one after the other, cut into chunks of 1 MiB.  Each chunk is a zstd
 * frame of its own, or stored as it is when that is not smaller, and has a place in a table with
 * the hashes of both forms.  Several chunks are worked on at once.
 */
#ifndef GLA_STATE_CHUNKS_H
#define GLA_STATE_CHUNKS_H

#include "base/io.h"

#define GLA__CHUNK_BYTES  (UINT64_C(1) << 20)
#define GLA__CHUNK_RECORD 24u /* bytes of a place in the table */

typedef struct gla__segment {
    uint8_t *data; /* NULL when reading: its bytes are skipped */
    size_t bytes;
} gla__segment;

/* Appends all segments to the file; table: [chunks * GLA__CHUNK_RECORD]. */
gla_status gla__chunks_write(gla__writer *w, const gla__segment *segments, size_t n, uint8_t *table,
                             gla_diag *diag);
/* Bytes that the chunks of the table take in the file, for a stream of `raw` bytes.  GLA_E_CORRUPT
 * when a record cannot be. */
gla_status gla__chunks_check(const uint8_t *table, uint64_t raw, uint64_t *stored, gla_diag *diag);
/* Fills all segments from the chunks at `offset`; the table has been checked. */
gla_status gla__chunks_read(const gla__file *f, uint64_t offset, const uint8_t *table,
                            const gla__segment *segments, size_t n, gla_diag *diag);

static inline uint64_t gla__chunk_count(uint64_t raw)
{
    return raw / GLA__CHUNK_BYTES + (raw % GLA__CHUNK_BYTES != 0);
}

#endif
