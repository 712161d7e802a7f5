/* SPDX-License-Identifier: Apache-2.0
 *
 * reader.h - what the readers of glaw, safetensors and gguf share
 *
 * A reader's handle begins with a struct gla_weights, and its tensors are an array of structs that
 * begin with a gla_tensor_info, sorted by name.
 */
#ifndef GLA_FORMATS_WEIGHTS_READER_H
#define GLA_FORMATS_WEIGHTS_READER_H

#include <gla/weights.h>

#include "base/bytes.h"
#include "base/io.h"

#define GLA__MAX_TENSOR_NAME 255u

typedef struct gla__weights_ops {
    /* info belongs to this file; dst has info->raw_bytes.  Names neither file nor tensor. */
    gla_status (*read)(const gla_weights *w, const gla_tensor_info *info, void *dst,
                       gla_diag *diag);
    uint64_t (*hash)(const gla_weights *w);
    void (*close)(gla_weights *w); /* also half-built; releases the handle itself */
} gla__weights_ops;

enum gla__format { GLA__SAFETENSORS, GLA__GLAW, GLA__GGUF };

struct gla_weights {
    const gla__weights_ops *ops;
    enum gla__format format;
    char *path;
    void *tensors; /* [n] of `stride` bytes each */
    size_t stride;
    uint32_t n;
};

gla_status gla__glaw_open(const char *path, const gla_limits *limits, gla_weights **out,
                          gla_diag *diag);
/* One file, or the index of several. */
gla_status gla__safetensors_open(const char *path, const gla_limits *limits, gla_weights **out,
                                 gla_diag *diag);
gla_status gla__safetensors_open_sharded(const char *path, const gla_limits *limits,
                                         gla_weights **out, gla_diag *diag);
gla_status gla__gguf_open(const char *path, const gla_limits *limits, gla_weights **out,
                          gla_diag *diag);

/* The caller's limits with the defaults filled in; NULL: all defaults. */
gla_status gla__limits(const gla_limits *given, gla_limits *out, gla_diag *diag);

/* UTF-8 of 1 to 255 bytes without control characters. */
gla_status gla__check_tensor_name(const char *name, size_t n, gla_diag *diag);
/* Computes n_elements from dims; refuses more than 2^40. */
gla_status gla__count_elements(gla_tensor_info *info, gla_diag *diag);
/* Bytes that gla_weights_read() gives; 0 when the dtype cannot have this shape. */
uint64_t gla__info_bytes(const gla_tensor_info *info);
/* Adds to *total and compares with limits->max_bytes. */
gla_status gla__count_bytes(uint64_t bytes, const gla_limits *limits, uint64_t *total,
                            gla_diag *diag);
/* Sorts w->tensors by name and refuses two of one name. */
gla_status gla__sort_tensors(gla_weights *w, gla_diag *diag);

/* As gla__at(), unless the place begins with the path already (gla__file_read() names it). */
void gla__at_file(gla_diag *diag, const char *path);

/* size bytes at offset, by several threads.  Names no file in the diagnosis. */
gla_status gla__read_parallel(const gla__file *file, uint64_t offset, uint64_t size, void *dst,
                              gla_diag *diag);
/* Continues a hash with the first and last 4096 of these bytes. */
uint64_t gla__hash_sample(const gla__file *file, uint64_t offset, uint64_t size, uint64_t seed);

#endif
