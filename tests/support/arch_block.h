/* SPDX-License-Identifier: Apache-2.0
 *
 * arch_block.h - adding a block to an architecture where it cannot fail
 */
#ifndef GLA_TESTS_ARCH_BLOCK_H
#define GLA_TESTS_ARCH_BLOCK_H

#include <criterion/criterion.h>
#include <gla/arch.h>

static inline gla_arch_block *add_block(gla_arch *a, const char *name)
{
    gla_arch_block *b;
    gla_diag diag;

    cr_assert_eq(gla_arch_add_block(a, name, &b, &diag), GLA_OK, "%s", diag.message);
    return b;
}

#endif
