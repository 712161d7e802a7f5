/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/weights.h - files of named tensors: weights.glaw, safetensors (one file or sharded), gguf
 *
 * Implemented by formats/weights; what is about dtypes by core/base.
 *
 * Opening reads and checks the index only; tensors are read when asked for, each by itself, from
 * any number of threads.  Files are hostile: every number is checked against the file's size and
 * gla_limits before memory is taken.  Formats: docs/glaw.md.
 */
#ifndef GLA_WEIGHTS_H
#define GLA_WEIGHTS_H

#include <gla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed but for struct_size = defaults. */
typedef struct gla_limits {
    uint32_t struct_size;
    uint32_t max_layers;      /* 0 = 4096 */
    uint64_t max_index_bytes; /* 0 = default 16 MiB (safetensors: 100 MB) */
    uint64_t max_tensors;     /* 0 = 65,536 (a sharded model of many experts: raise it) */
    uint64_t max_bytes;       /* raw bytes of all tensors; 0 = 80 % of memory for loading, none for
                                 converting */
    uint32_t no_verify;       /* 1: skip checksums */
    uint32_t reserved;
} gla_limits;

/* A view: made by the library alone, and reached through it. */
typedef struct gla_tensor_info {
    const char *name; /* owned by the file object */
    uint32_t dtype;   /* gla_dtype */
    uint32_t ndim;    /* 0: a scalar, one number */
    int64_t dims[GLA_MAX_DIMS];
    uint64_t n_elements;
    uint64_t raw_bytes;    /* as gla_weights_read() gives them (values, then scales if quantised) */
    uint64_t stored_bytes; /* in the file */
} gla_tensor_info;

typedef struct gla_weights gla_weights;

/* path: .glaw, .safetensors, model.safetensors.index.json, .gguf, or a folder with one of them.
 * limits: NULL = defaults. */
GLA_API GLA_NODISCARD gla_status gla_weights_open(const char *path, const gla_limits *limits,
                                                  gla_weights **out, gla_diag *diag);
GLA_API void gla_weights_free(gla_weights *w);
GLA_API uint32_t gla_weights_count(const gla_weights *w);
GLA_API const gla_tensor_info *gla_weights_info(const gla_weights *w,
                                                uint32_t i); /* sorted by name */
GLA_API const gla_tensor_info *gla_weights_find(const gla_weights *w, const char *name);
/* Reads, decompresses and verifies one tensor into dst (info->raw_bytes, 64-byte aligned for best
 * speed), using several threads.  [thread-safe] */
GLA_API GLA_NODISCARD gla_status gla_weights_read(const gla_weights *w, const gla_tensor_info *info,
                                                  void *dst, gla_diag *diag);
/* 64-bit XXH3 over index and checksums: identifies the weights (sessions remember it). */
GLA_API uint64_t gla_weights_hash(const gla_weights *w);

/* "f32", "bf16" ...; "?" if unknown.  And back; 0 if unknown. */
GLA_API const char *gla_dtype_name(uint32_t dtype);
GLA_API uint32_t gla_dtype_parse(const char *name);
/* Bytes of a tensor of n rows of `cols` numbers, scales included; 0 on overflow. */
GLA_API uint64_t gla_dtype_bytes(uint32_t dtype, uint64_t rows, uint64_t cols);

#ifdef __cplusplus
}
#endif
#endif
