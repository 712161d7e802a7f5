/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise.c - rows copied, added, and multiplied with a factor for each group of numbers
 */
#include "base/parallel.h"
#include "math/kernels/row_kernels.h"
#include "math/ops.h"

/* ---- the residual stream ---- */

enum { PIECE = 16384 }; /* numbers of one piece of work: they stay in the cache for a second look */

typedef struct combine_call {
    const gla__row_kernels *kernels;
    const float *x;
    float *y, alpha, beta;
    size_t n;
} combine_call;

static void combine_piece(void *arg, uint32_t i)
{
    const combine_call *c = arg;
    const size_t first = (size_t)i * PIECE, left = c->n - first, n = left < PIECE ? left : PIECE;
    const float *x = c->x + first;
    float *y = c->y + first;

    if (c->alpha == 0) {
        c->kernels->mul(c->beta, x, y, n);
        return;
    }
    if (c->alpha != 1)
        c->kernels->mul(c->alpha, y, y, n);
    c->kernels->add(c->beta, x, y, n);
}

void gla__combine(size_t n, float alpha, float *y, float beta, const float *x)
{
    combine_call c = {gla__row_kernels_for(gla__cpu_get()->isa), x, y, alpha, beta, n};

    gla__parallel_for((uint32_t)((n + PIECE - 1) / PIECE), combine_piece, &c);
}

/* ---- copy ---- */

typedef struct copy_call {
    const gla__row_kernels *kernels;
    gla_copy c;
} copy_call;

static void copy_rows(void *arg, uint32_t first, uint32_t last)
{
    const copy_call *call = arg;
    const gla_copy *c = &call->c;

    for (size_t r = first; r < last; r++)
        for (size_t g = 0; g < c->groups; g++)
            call->kernels->mul(c->scale, c->x + r * c->ld_x + g * c->stride_x,
                               c->y + r * c->ld_y + g * c->stride_y, c->width);
}

gla_status gla__copy(const gla_batch *b, const gla_copy *given)
{
    copy_call call = {.kernels = gla__row_kernels_for(gla__cpu_get()->isa)};
    gla_copy *c = &call.c;
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_ACTIVATION, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_copy, given, c);
    if (!st && (!c->x || !c->y || !c->groups))
        st = gla_host_fail(b->host, GLA_E_INVALID, "copy: x, y or groups is missing");
    if (c->scale == 0)
        c->scale = 1;
    if (!st)
        gla__split_rows(c->rows, (size_t)c->groups * c->width, copy_rows, &call);
    return gla__work_end(&work, st);
}

/* ---- add and multiply ---- */

typedef struct factor_call {
    /* of y and x with a factor for each number, and with one for all n */
    void (*each)(const float *factor, const float *x, float *y, size_t n);
    void (*all)(float factor, const float *x, float *y, size_t n);
    gla_factor f;
} factor_call;

static void factor_rows(void *arg, uint32_t first, uint32_t last)
{
    const factor_call *c = arg;
    const gla_factor *f = &c->f;

    for (size_t r = first; r < last; r++) {
        const float *x = f->x + r * f->ld_x, *factor = f->f + r * f->ld_f;
        float *y = f->y + r * f->ld_y;

        if (f->width == 1)
            c->each(factor, x, y, f->groups);
        for (size_t g = 0; g < f->groups && f->width > 1; g++)
            c->all(factor[g], x + g * f->width, y + g * f->width, f->width);
    }
}

/* c has what is done. */
static gla_status run(const gla_batch *b, const gla_factor *given, const char *missing,
                      factor_call *c)
{
    static const float one = 1;
    gla_factor *f = &c->f;
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_ACTIVATION, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_factor, given, f);
    if (!st && (!f->x || !f->y || !f->groups))
        st = gla_host_fail(b->host, GLA_E_INVALID, missing);
    if (!st && !f->f) { /* one group with the factor 1 */
        f->width *= f->groups;
        f->groups = 1;
        f->f = &one;
        f->ld_f = 0;
    }
    if (!st)
        gla__split_rows(f->rows, (size_t)f->groups * f->width, factor_rows, c);
    return gla__work_end(&work, st);
}

gla_status gla__add(const gla_batch *b, const gla_factor *f)
{
    const gla__row_kernels *kernels = gla__row_kernels_for(gla__cpu_get()->isa);
    factor_call c = {.each = kernels->add_each, .all = kernels->add};

    return run(b, f, "add: x, y or groups is missing", &c);
}

gla_status gla__mul(const gla_batch *b, const gla_factor *f)
{
    const gla__row_kernels *kernels = gla__row_kernels_for(gla__cpu_get()->isa);
    factor_call c = {.each = kernels->glu[GLA_ACT_NONE], .all = kernels->mul};

    return run(b, f, "mul: x, y or groups is missing", &c);
}
