/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/types.h - what the headers of the library and of plugins both need
 *
 * Status, number types, levels of the log: plain values, pinned in files and in the plugin ABI.
 * Nothing here is of the library alone, so a plugin needs this file and gla/plugin.h.
 */
#ifndef GLA_TYPES_H
#define GLA_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GLA_API       __attribute__((visibility("default")))
#define GLA_NODISCARD __attribute__((warn_unused_result))
#define GLA_MAX_DIMS  8

/* Structs that may grow begin with their size, and their initialisers with it:
 *     gla_model_options o = {GLA_SIZED(gla_model_options), .threads = 4};
 * (C++ before C++20: make it {} and set struct_size.) */
#define GLA_SIZED(type) .struct_size = (uint32_t)sizeof(type)

/* 0 is success, negative is an error.  Values are pinned and never reused. */
typedef int32_t gla_status;
#define GLA_STATUS_MAP(XX)                                                                         \
    XX(INVALID, -1, "invalid argument")                                                            \
    XX(UNSUPPORTED, -2, "not supported")                                                           \
    XX(NOMEM, -10, "out of memory")                                                                \
    XX(LIMIT, -11, "input exceeds a configured limit")                                             \
    XX(IO, -20, "input/output error")                                                              \
    XX(CORRUPT, -30, "file is damaged or not of this format")                                      \
    XX(CHECKSUM, -31, "checksum does not match")                                                   \
    XX(VERSION, -32, "version not supported")                                                      \
    XX(SCHEMA, -40, "architecture file is not valid")                                              \
    XX(NO_LAYER, -41, "no plugin provides this layer type")                                        \
    XX(SHAPE, -42, "tensor shape or type does not fit")                                            \
    XX(ABI, -50, "plugin was built for another ABI")                                               \
    XX(PLUGIN, -51, "plugin failed or broke its contract")                                         \
    XX(MISMATCH, -52, "state belongs to another model or layout")                                  \
    XX(CANCELLED, -60, "cancelled")
enum {
    GLA_OK = 0,
#define GLA_STATUS_ENUM(name, value, text) GLA_E_##name = value,
    GLA_STATUS_MAP(GLA_STATUS_ENUM)
#undef GLA_STATUS_ENUM
};

/* Values are stored in files: append only. */
typedef enum gla_dtype {
    GLA_DTYPE_F32 = 1,
    GLA_DTYPE_BF16 = 2,
    GLA_DTYPE_F16 = 3,
    GLA_DTYPE_I8 = 4, /* int8, one f32 scale per row (output channel)                         */
    GLA_DTYPE_I4 = 5, /* groups of 32 along a row: 4-bit values with f16 scale and f16 minimum */
    GLA_DTYPE_F64 = 6,
    GLA_DTYPE_I32 = 16,
    GLA_DTYPE_U8 = 17,
    GLA_DTYPE_I64 = 18,
    GLA_DTYPE_I16 = 19,
    GLA_DTYPE_BOOL = 20
} gla_dtype;

typedef enum gla_log_level {
    GLA_LOG_DEBUG,
    GLA_LOG_INFO,
    GLA_LOG_WARN,
    GLA_LOG_ERROR,
    GLA_LOG_HOST_MISBEHAVING,
    GLA_LOG_PLUGIN_MISBEHAVING
} gla_log_level;

/* ---- what layers and weights are: said by a layer, and read in a gla_description ---- */

#define GLA_LAYER_MIXER         (UINT64_C(1) << 0) /* may stand under mixer: */
#define GLA_LAYER_FFN           (UINT64_C(1) << 1) /* may stand under ffn: */
#define GLA_LAYER_NORM          (UINT64_C(1) << 2) /* may stand under norm: */
#define GLA_LAYER_EMBEDDING     (UINT64_C(1) << 3) /* tokens -> rows */
#define GLA_LAYER_HEAD          (UINT64_C(1) << 4) /* rows -> logits */
#define GLA_LAYER_DETERMINISTIC (UINT64_C(1) << 8) /* bitwise equal for any number of threads */

typedef enum gla_weight_role {
    /* [out, in] or [E, out, in]; any dtype; opaque, goes to linear_create() */
    GLA_WEIGHT_MATRIX = 1,
    /* any shape; the host gives it as dense f32 whatever the file holds */
    GLA_WEIGHT_VECTOR = 2
} gla_weight_role;

/* keep in high precision when quantising (gates, decays, routers) */
#define GLA_WEIGHT_SENSITIVE 1u
/* read by row, not multiplied: costs no FLOPs (embedding) */
#define GLA_WEIGHT_LOOKUP 2u

#ifdef __cplusplus
}
#endif
#endif
