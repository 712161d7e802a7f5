/* SPDX-License-Identifier: Apache-2.0
 *
 * struct.h - structs whose other side may be older or newer than we are
 *
 * A struct of the plugin ABI grows at its end.  Whoever filled one in said how long it is to them
 * (struct_size): we take what both know, and what they do not know is zero.
 *
 *     gla_norm n;
 *     if (given->struct_size < GLA__FIRST(gla_norm)) ...   GLA_E_ABI
 *     gla__take(&n, sizeof(n), given, given->struct_size);
 */
#ifndef GLA_BASE_STRUCT_H
#define GLA_BASE_STRUCT_H

#include <stddef.h>
#include <string.h>

static inline void gla__take(void *ours, size_t our_size, const void *given, size_t given_size)
{
    memset(ours, 0, our_size);
    memcpy(ours, given, given_size < our_size ? given_size : our_size);
}

/* Bytes of a struct in the version of the ABI that introduced it: who fills in fewer is refused.
 * tests/abi/check_layout.c compares them with the frozen headers. */
#define GLA__FIRST_IN_1_0(XX)                                                                      \
    XX(gla_tensor, 88)                                                                             \
    XX(gla_param_desc, 56)                                                                         \
    XX(gla_param_value, 32)                                                                        \
    XX(gla_weight_desc, 96)                                                                        \
    XX(gla_state_desc, 112)                                                                        \
    XX(gla_batch, 96)                                                                              \
    XX(gla_linear_spec, 32)                                                                        \
    XX(gla_conv_spec, 40)                                                                          \
    XX(gla_rope_spec, 120)                                                                         \
    XX(gla_norm, 72)                                                                               \
    XX(gla_recurrence, 208)                                                                        \
    XX(gla_attention, 104)                                                                         \
    XX(gla_selective_scan, 112)                                                                    \
    XX(gla_scan, 64)                                                                               \
    XX(gla_math, 200)                                                                              \
    XX(gla_layer_desc, 88)                                                                         \
    XX(gla_plugin_entry, 88)
#define GLA__FIRST_IN_1_1(XX)                                                                      \
    XX(gla_init, 32)                                                                               \
    XX(gla_view, 120)                                                                              \
    XX(gla_part, 48)                                                                               \
    XX(gla_map, 40)                                                                                \
    XX(gla_conv_map, 32)                                                                           \
    XX(gla_expr, 168)                                                                              \
    XX(gla_copy, 72)                                                                               \
    XX(gla_factor, 64)                                                                             \
    XX(gla_route, 88)                                                                              \
    XX(gla_operand, 24)                                                                            \
    XX(gla_rows, 56)

enum {
#define GLA__FIRST_SIZE(type, size) GLA__FIRST_##type = size,
    GLA__FIRST_IN_1_0(GLA__FIRST_SIZE) GLA__FIRST_IN_1_1(GLA__FIRST_SIZE)
#undef GLA__FIRST_SIZE
};
#define GLA__FIRST(type) ((size_t)GLA__FIRST_##type)

#endif
