/* SPDX-License-Identifier: Apache-2.0
 *
 * check_layout.c - the plugin ABI of version 1.0 stays as it is
 *
 * Compiled, never run: today's header must have the sizes, offsets and values of the frozen one.
 * "moved": append to the end instead (docs/abi.md).
 *
 * The same for the library's structs that programs fill in or have filled in.
 */
#include <gla/gla.h>
#include <gla/plugin.h>

#include "base/struct.h"
#include "layout_v1_0.h"
#include "structs_v0_1.h"

#define SAME(type, field, offset)                                                                  \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " moved")

LAYOUT_V1_0(SAME)
STRUCTS_V0_1(SAME)

/* Structs may grow, never shrink. */
#define AT_LEAST(type, size) _Static_assert(sizeof(type) >= (size), #type " became smaller")

SIZES_V1_0(AT_LEAST)
STRUCT_SIZES_V0_1(AT_LEAST)
_Static_assert(sizeof(gla_diag) == 760, "gla_diag is of one size: take of its reserved room");

#define VALUE(name, value) _Static_assert((name) == (value), #name " has another value")

VALUES_V1_0(VALUE)

/* What the library takes for a struct's first size is what the frozen header has, and, as long as 1.1
 * is not frozen, today's. */
#define V1_0(type, size) enum { V1_0_##type = (size) }

SIZES_V1_0(V1_0)

#define FIRST_IN_1_0(type, size) _Static_assert((size) == V1_0_##type, "another size of " #type);
#define FIRST_IN_1_1(type, size) _Static_assert((size) == sizeof(type), "another size of " #type);

GLA__FIRST_IN_1_0(FIRST_IN_1_0)
GLA__FIRST_IN_1_1(FIRST_IN_1_1)
