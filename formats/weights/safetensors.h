/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors.h - the published format: headers as they stand, and writing one back
 *
 * Reading tensors is gla_weights_open(); a sharded checkpoint (model.safetensors.index.json) is one
 * gla_weights too.  Here is what the way back needs: each file's name and the text of its header,
 * where each tensor's bytes lie, and a writer that puts bytes under a header given as text.
 */
#ifndef GLA_FORMATS_WEIGHTS_SAFETENSORS_H
#define GLA_FORMATS_WEIGHTS_SAFETENSORS_H

#include <gla/weights.h>
#include <stdbool.h>

#define GLA__SAFETENSORS_MAX_HEADER UINT64_C(100000000)

bool gla__is_safetensors(const gla_weights *w);
/* Number of files; 0 for other formats. */
uint32_t gla__safetensors_n_files(const gla_weights *w);
/* Name of file i within its folder, and its header without the length before it; owned by w. */
const char *gla__safetensors_file(const gla_weights *w, uint32_t i, const char **header,
                                  size_t *size);
/* Reads elements [first, first + count) of a tensor.  [thread-safe] */
gla_status gla__safetensors_read_range(const gla_weights *w, const gla_tensor_info *info,
                                       uint64_t first, uint64_t count, void *dst, gla_diag *diag);

/* What a header says, without a file: for writing one back. */
typedef struct gla__st_entry {
    gla_tensor_info info;
    uint64_t begin; /* of its bytes, after the header */
    uint32_t file;
} gla__st_entry;

/* Checks a header for `data` bytes of tensors after it (UINT64_MAX: as many as it says, which go to
 * *data_bytes).  *entries [n] in the order of their bytes; release with
 * gla__safetensors_free_entries(). */
gla_status gla__safetensors_parse_header(const char *text, size_t size, uint64_t data,
                                         const gla_limits *limits, gla__st_entry **entries,
                                         uint32_t *n, uint64_t *data_bytes, gla_diag *diag);
void gla__safetensors_free_entries(gla__st_entry *entries, uint32_t n);

/* Writes path aside: length, header, then the tensors' bytes in any order, then renames.
 *     create; write_at ... ; finish;  close always */
typedef struct gla__st_writer gla__st_writer;
gla_status gla__safetensors_create(const char *path, const char *header, size_t size,
                                   gla__st_writer **out, gla_diag *diag);
gla_status gla__safetensors_write_at(gla__st_writer *w, uint64_t begin, const void *data, size_t n,
                                     gla_diag *diag);
/* Refuses when not all bytes that the header promises were written. */
gla_status gla__safetensors_finish(gla__st_writer *w, gla_diag *diag);
void gla__safetensors_close(gla__st_writer **w);

#endif
