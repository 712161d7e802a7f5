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

/* Bytes of a struct in the version of the ABI that introduced it; tests/abi/check_layout.c compares
 * them with the frozen headers. */
#define GLA__FIRST(type) ((size_t)GLA__FIRST_##type)
enum {
    /* 1.0 */
    GLA__FIRST_gla_tensor = 88,
    GLA__FIRST_gla_param_desc = 56,
    GLA__FIRST_gla_param_value = 32,
    GLA__FIRST_gla_weight_desc = 96,
    GLA__FIRST_gla_state_desc = 112,
    GLA__FIRST_gla_batch = 96,
    GLA__FIRST_gla_linear_spec = 32,
    GLA__FIRST_gla_conv_spec = 40,
    GLA__FIRST_gla_rope_spec = 120,
    GLA__FIRST_gla_norm = 72,
    GLA__FIRST_gla_recurrence = 208,
    GLA__FIRST_gla_attention = 104,
    GLA__FIRST_gla_selective_scan = 112,
    GLA__FIRST_gla_scan = 64,
    GLA__FIRST_gla_math = 200,
    GLA__FIRST_gla_layer_desc = 88,
    GLA__FIRST_gla_plugin_entry = 88,
    /* 1.1 */
    GLA__FIRST_gla_init = 32,
    GLA__FIRST_gla_view = 120,
    GLA__FIRST_gla_part = 48,
    GLA__FIRST_gla_map = 40,
    GLA__FIRST_gla_conv_map = 32,
    GLA__FIRST_gla_expr = 168,
    GLA__FIRST_gla_copy = 72,
    GLA__FIRST_gla_factor = 64,
    GLA__FIRST_gla_route = 88,
    GLA__FIRST_gla_operand = 24,
    GLA__FIRST_gla_rows = 56
};

#endif
