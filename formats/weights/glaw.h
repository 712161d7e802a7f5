/* SPDX-License-Identifier: Apache-2.0
 *
 * glaw.h - weights.glaw: what it says besides its tensors, and writing one
 *
 * Reading tensors is gla_weights_open() and gla_weights_read() (gla/weights.h); docs/glaw.md
 * describes the bytes.  Besides tensors the file remembers where they came from, so that the way
 * back to the published files is exact: the text of config.json, the name and header of each
 * safetensors file, and per tensor the pieces of published tensors it is made of.
 *
 *     st = gla__glaw_create(path, 0, &w, diag);
 *     st = gla__glaw_set_family(w, "fla/gla", diag);
 *     st = gla__glaw_begin(w, &tensor, diag);        tensors in any order
 *     st = gla__glaw_write(w, bytes, n, diag);       as often as you like
 *     st = gla__glaw_end(w, diag);
 *     st = gla__glaw_finish(w, diag);                the file appears at path now, not before
 *     gla__glaw_close(&w);                           always; without finish: nothing happened
 *
 * The bytes of the file depend on the calls only, not on threads.  A writer is used by one thread.
 */
#ifndef GLA_FORMATS_WEIGHTS_GLAW_H
#define GLA_FORMATS_WEIGHTS_GLAW_H

#include <gla/weights.h>
#include <stdbool.h>

#include "formats/weights/piece.h"

/* ---- reading what stands beside the tensors; strings live as long as w ---- */

bool gla__is_glaw(const gla_weights *w);
/* All of these: NULL, 0 or "" when the file does not say, or is no glaw. */
const char *gla__glaw_family(const gla_weights *w);
const char *gla__glaw_metadata(const gla_weights *w, const char *key);
const char *gla__glaw_config(const gla_weights *w, size_t *size); /* text of config.json */
uint32_t gla__glaw_n_files(const gla_weights *w);
/* Name and safetensors header (without its length) of published file i. */
const char *gla__glaw_file(const gla_weights *w, uint32_t i, const char **header, size_t *size);
uint32_t gla__glaw_n_pieces(const gla_weights *w, const gla_tensor_info *info);
/* Piece i: elements [*first, *first + *count) of the published tensor named. */
const char *gla__glaw_piece(const gla_weights *w, const gla_tensor_info *info, uint32_t i,
                            uint64_t *first, uint64_t *count);

/* ---- writing --------------------------------------------------------------- */

typedef struct gla__glaw_writer gla__glaw_writer;

typedef struct gla__glaw_tensor {
    const char *name;
    uint32_t dtype, ndim;
    int64_t dims[GLA_MAX_DIMS];
    const gla__piece *pieces; /* may be NULL */
    uint32_t n_pieces;
} gla__glaw_tensor;

/* level: 0 = the default, else of zstd (1 to 22: smaller and slower). */
gla_status gla__glaw_create(const char *path, int level, gla__glaw_writer **out, gla_diag *diag);
gla_status gla__glaw_set_family(gla__glaw_writer *w, const char *family, gla_diag *diag);
gla_status gla__glaw_set_metadata(gla__glaw_writer *w, const char *key, const char *value,
                                  gla_diag *diag);
gla_status gla__glaw_set_config(gla__glaw_writer *w, const char *text, size_t size, gla_diag *diag);
gla_status gla__glaw_add_file(gla__glaw_writer *w, const char *name, const char *header,
                              size_t size, gla_diag *diag);

/* Bytes of a tensor are those gla_weights_read() gives: values row by row, then for I8 the f32
 * scales [rows], for I4 per group {f16 scale, f16 minimum} [rows][cols / 32]. */
gla_status gla__glaw_begin(gla__glaw_writer *w, const gla__glaw_tensor *t, gla_diag *diag);
gla_status gla__glaw_write(gla__glaw_writer *w, const void *data, size_t n, gla_diag *diag);
gla_status gla__glaw_end(gla__glaw_writer *w, gla_diag *diag);
/* begin, write all of it, end. */
gla_status gla__glaw_add(gla__glaw_writer *w, const gla__glaw_tensor *t, const void *data,
                         gla_diag *diag);
gla_status gla__glaw_finish(gla__glaw_writer *w, gla_diag *diag);
void gla__glaw_close(gla__glaw_writer **w);

#endif
