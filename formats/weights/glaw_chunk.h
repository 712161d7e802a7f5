/* SPDX-License-Identifier: Apache-2.0
 *
 * glaw_chunk.h - one chunk of weights.glaw: raw bytes to stored bytes and back
 *
 * A stored chunk is a table of one u32 for each byte plane of its dtype (planes.h), then the
 * planes.  The u32 is the plane's stored size; bit 31 says that it is stored as it is, else it is
 * one zstd frame.  Floats of 2 bytes have 2 planes, of 4 bytes 4, everything else 1.
 *
 * A codec is the contexts and scratch of one worker; a pool hands them out to any thread.
 */
#ifndef GLA_FORMATS_WEIGHTS_GLAW_CHUNK_H
#define GLA_FORMATS_WEIGHTS_GLAW_CHUNK_H

#include <gla/status.h>
#include <pthread.h>

#define GLA__CHUNK_MAX_RAW   (16u << 20) /* that a reader accepts */
#define GLA__CHUNK_RAW       (1u << 20)  /* that our writer makes */
#define GLA__CHUNK_MAX_TABLE 16u         /* bytes of the table of planes */

typedef struct gla__codec gla__codec;
typedef struct gla__codec_pool {
    pthread_mutex_t lock;
    gla__codec *idle;
} gla__codec_pool;

void gla__codec_pool_init(gla__codec_pool *p);
void gla__codec_pool_deinit(gla__codec_pool *p);
gla__codec *gla__codec_take(gla__codec_pool *p); /* NULL when out of memory */
void gla__codec_give(gla__codec_pool *p, gla__codec *c);
/* At least n bytes of the codec's own for a stored chunk; NULL when out of memory. */
uint8_t *gla__codec_buffer(gla__codec *c, size_t n);

uint32_t gla__chunk_planes(uint32_t dtype);
/* Bytes of one number of a chunk: chunks are cut between numbers. */
uint32_t gla__chunk_unit(uint32_t dtype);

/* Encodes into the codec's buffer.  level 0: our own choice for weights, else zstd's. */
gla_status gla__chunk_encode(gla__codec *c, uint32_t dtype, int level, const uint8_t *raw, size_t n,
                             const uint8_t **stored, size_t *n_stored, gla_diag *diag);
gla_status gla__chunk_decode(gla__codec *c, uint32_t dtype, const uint8_t *stored, size_t n_stored,
                             uint8_t *raw, size_t n, gla_diag *diag);

#endif
