/* SPDX-License-Identifier: Apache-2.0
 *
 * normalise.c - norms of groups of a row, with weight, bias and gate
 */
#include "math/kernels/row_kernels.h"
#include "math/ops.h"

typedef struct norm_call {
    const gla__row_kernels *kernels;
    const gla_norm *n;
    const float *x;
    float *y;
    size_t ld_x, ld_y;
} norm_call;

static void norm_group(const norm_call *c, size_t row, size_t group)
{
    const gla_norm *n = c->n;
    const size_t at = group * n->width, weight_at = n->weight_per_group ? at : 0;
    const float *weight = n->weight ? n->weight + weight_at : NULL,
                *bias = n->bias ? n->bias + weight_at : NULL,
                *gate = n->gate ? n->gate + row * n->ld_gate + at : NULL;
    const float *x = c->x + row * c->ld_x + at;
    float *y = c->y + row * c->ld_y + at;

    if (gate && n->gate_first) {
        c->kernels->glu[n->gate_activation](gate, x, y, n->width);
        x = y;
    }
    c->kernels->norm[n->kind](n, weight, bias, x, y);
    if (gate && !n->gate_first)
        c->kernels->glu[n->gate_activation](gate, y, y, n->width);
}

static void norm_rows(void *arg, uint32_t first, uint32_t last)
{
    const norm_call *c = arg;

    for (size_t r = first; r < last; r++) {
        for (size_t g = 0; g < c->n->groups; g++)
            norm_group(c, r, g);
    }
}

gla_status gla__norm(const gla_batch *b, const gla_norm *given, uint32_t rows, const float *x,
                     size_t ld_x, float *y, size_t ld_y)
{
    gla_norm n;
    norm_call c = {gla__row_kernels_for(gla__cpu_get()->isa), &n, x, y, ld_x, ld_y};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_NORM, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_norm, given, &n);
    if (!st && (n.kind < GLA_NORM_RMS || n.kind >= GLA__NORMS ||
                n.gate_activation >= GLA__ACTIVATIONS || !n.width))
        st = GLA_E_INVALID;
    if (!st)
        gla__split_rows(rows, (size_t)n.groups * n.width, norm_rows, &c);
    return gla__work_end(&work, st);
}
