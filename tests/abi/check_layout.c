/* SPDX-License-Identifier: Apache-2.0
 *
 * check_layout.c - the plugin ABI of version 1.0 stays as it is
 *
 * Compiled, never run: today's header must have the sizes and offsets of plugin_v1_0.h, which is a
 * copy of the header as it was released.  "moved": append to the end instead.  (Until 1.0 is
 * released: copy the header and run make_layout.py again.)
 *
 * The same for the library's structs that programs fill in or have filled in.
 */
#include <gla/gla.h>
#include <gla/plugin.h>

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
