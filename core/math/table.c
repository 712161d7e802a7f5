/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the math table and the scratch that it needs
 */
#include "math/ops.h"

static const gla_math table = {
    .struct_size = sizeof(gla_math),
    .linear_create = gla__linear_create,
    .linear_destroy = gla__linear_destroy,
    .conv_create = gla__conv_create,
    .conv_destroy = gla__conv_destroy,
    .rope_create = gla__rope_create,
    .rope_destroy = gla__rope_destroy,
    .linear = gla__linear,
    .linear_grouped = gla__linear_grouped,
    .gather = gla__gather,
    .conv1d = gla__conv1d,
    .recurrence = gla__recurrence,
    .attention = gla__attention,
    .selective_scan = gla__selective_scan,
    .scan = gla__scan,
    .rope = gla__rope_apply,
    .norm = gla__norm,
    .activation = gla__activate,
    .glu = gla__glu,
    .scale = gla__scale,
    .scale_channels = gla__scale_channels,
    .clamp = gla__clamp,
    .for_rows = gla__for_rows,
    .shift = gla__shift,
    .mix = gla__mix,
    .copy = gla__copy,
    .add = gla__add,
    .mul = gla__mul,
    .route = gla__route,
    .permute = gla__permute,
    .combine_rows = gla__combine_rows,
    .rows = gla__rows,
};

const gla_math *gla__math_table(void)
{
    return &table;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Each function gives back what it took, so the largest decides; with room for rounding up. */
size_t gla__math_scratch_bytes(const gla__math_needs *needs)
{
    const size_t sequence = larger(gla__recurrence_scratch(needs), gla__attention_scratch(needs));
    const size_t most = larger(gla__linear_scratch(needs), sequence);

    return most + 4096;
}
