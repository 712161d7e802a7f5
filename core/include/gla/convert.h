/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/convert.h - published checkpoints into model folders, and back
 *
 * Implemented by core/convert.
 *
 * gla_convert() reads a Hugging Face folder, a .gguf file (of several parts: the first) or a model
 * folder (to re-quantise) and writes a model folder.  The folder is written aside and takes its
 * place as a whole; a failure, cancellation or crash leaves what was there before.
 */
#ifndef GLA_CONVERT_H
#define GLA_CONVERT_H

#include <gla/arch.h>
#include <gla/model.h>
#include <gla/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A remark for the user ("tensor x is not used"). */
typedef void gla_note_fn(void *ctx, const char *note);

/* Zeroed but for struct_size = defaults. */
typedef struct gla_convert_options {
    uint32_t struct_size;
    uint32_t weights_dtype; /* gla_dtype; 0 = as stored */
    int32_t level;          /* zstd level; 0 = default */
    uint32_t overwrite;     /* 1: replace an existing model; files it does not have stay */
    uint32_t quantise_head; /* 1: int8 and int4 for the head (and a tied embedding) as well */
    uint32_t n_keep;
    const char *const *keep;  /* name patterns (fnmatch) kept unquantised besides the defaults */
    const gla_limits *limits; /* NULL: defaults */
    gla_registry *registry;   /* NULL: a new one with GLA_PLUGIN_PATH */
    gla_progress_fn *progress;
    gla_note_fn *note;
    void *ctx;
} gla_convert_options;

typedef struct gla_convert_report {
    uint32_t n_tensors, n_unused, n_quantised, reserved;
    uint64_t raw_bytes, stored_bytes; /* of all tensors: as read, as written */
    double seconds;
    char family[64];
} gla_convert_report;

/* options and report may be NULL; report_size: sizeof(*report). */
GLA_API GLA_NODISCARD gla_status gla_convert(const char *src, const char *dst,
                                             const gla_convert_options *options,
                                             gla_convert_report *report, size_t report_size,
                                             gla_diag *diag);
/* Model folder -> Hugging Face folder: the same config.json and safetensors, byte for byte. */
GLA_API GLA_NODISCARD gla_status gla_convert_back(const char *src, const char *dst,
                                                  const gla_convert_options *options,
                                                  gla_convert_report *report, size_t report_size,
                                                  gla_diag *diag);
/* config.json, a folder with one, or a .gguf file -> architecture, no weights. */
GLA_API GLA_NODISCARD gla_status gla_convert_config(const char *path, gla_arch **out,
                                                    const gla_convert_options *options,
                                                    gla_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
