/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the math table and the scratch that it needs
 */
#include "math/ops.h"

static const gla_math table = {
    .struct_size = sizeof(gla_math),
    .linear_create = gla__linear_create,
    .linear_destroy = gla__linear_destroy,
    .linear = gla__linear,
    .linear_grouped = gla__linear_grouped,
    .gather = gla__gather,
    .norm = gla__norm,
    .activation = gla__activate,
    .glu = gla__glu,
    .for_rows = gla__for_rows,
};

const gla_math *gla__math_table(void)
{
    return &table;
}

/* Each function gives back what it took, so the largest decides; with room for rounding up. */
size_t gla__math_scratch_bytes(const gla__math_needs *needs)
{
    return gla__linear_scratch(needs) + 4096;
}
