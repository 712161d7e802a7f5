/* SPDX-License-Identifier: Apache-2.0
 *
 * activation.c - elementwise functions and gated products
 */
#include "math/kernels/row_kernels.h"
#include "math/ops.h"

typedef struct element_call {
    const gla__row_kernels *kernels;
    const float *x, *up; /* up: NULL without a product; ld_up 0: the same for all rows */
    const float *other;  /* to be mixed in by up */
    float *y;
    size_t ld_x, ld_up, ld_other, ld_y, width;
    uint32_t act;
    float low, high; /* clamp; scale by low */
} element_call;

static void act_rows(void *arg, uint32_t first, uint32_t last)
{
    const element_call *c = arg;

    for (size_t r = first; r < last; r++) {
        const float *x = c->x + r * c->ld_x;
        float *y = c->y + r * c->ld_y;

        if (c->up)
            c->kernels->glu[c->act](x, c->up + r * c->ld_up, y, c->width);
        else
            c->kernels->act[c->act](x, y, c->width);
    }
}

static void scale_rows(void *arg, uint32_t first, uint32_t last)
{
    const element_call *c = arg;

    for (size_t r = first; r < last; r++)
        c->kernels->mul(c->low, c->y + r * c->ld_y, c->y + r * c->ld_y, c->width);
}

static void clamp_rows(void *arg, uint32_t first, uint32_t last)
{
    const element_call *c = arg;

    for (size_t r = first; r < last; r++)
        c->kernels->clamp(c->low, c->high, c->y + r * c->ld_y, c->width);
}

static void mix_rows(void *arg, uint32_t first, uint32_t last)
{
    const element_call *c = arg;

    for (size_t r = first; r < last; r++) {
        const float *x = c->x + r * c->ld_x, *other = c->other + r * c->ld_other;
        const float *mu = c->up + r * c->ld_up;
        float *y = c->y + r * c->ld_y;

        for (size_t i = 0; i < c->width; i++)
            y[i] = x[i] + mu[i] * (other[i] - x[i]);
    }
}

static gla_status run(const gla_batch *b, const element_call *given, uint32_t rows,
                      void (*fn)(void *arg, uint32_t first, uint32_t last))
{
    element_call c = *given;
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_ACTIVATION, &work);

    c.kernels = gla__row_kernels_for(gla__cpu_get()->isa);
    if (!st && c.act >= GLA__ACTIVATIONS)
        st = GLA_E_INVALID;
    if (!st)
        gla__split_rows(rows, c.width, fn, &c);
    return gla__work_end(&work, st);
}

gla_status gla__activate(const gla_batch *b, uint32_t act, uint32_t rows, uint32_t width,
                         const float *x, size_t ld_x, float *y, size_t ld_y)
{
    const element_call c = {.x = x, .y = y, .ld_x = ld_x, .ld_y = ld_y, .width = width, .act = act};

    return run(b, &c, rows, act_rows);
}

gla_status gla__glu(const gla_batch *b, uint32_t act, uint32_t rows, uint32_t width,
                    const float *gate, size_t ld_gate, const float *up, size_t ld_up, float *y,
                    size_t ld_y)
{
    const element_call c = {.x = gate,
                            .up = up,
                            .y = y,
                            .ld_x = ld_gate,
                            .ld_up = ld_up,
                            .ld_y = ld_y,
                            .width = width,
                            .act = act};

    return run(b, &c, rows, act_rows);
}

gla_status gla__scale(const gla_batch *b, float factor, uint32_t rows, uint32_t width, float *x,
                      size_t ld_x)
{
    const element_call c = {.y = x, .ld_y = ld_x, .width = width, .low = factor};

    return run(b, &c, rows, scale_rows);
}

gla_status gla__scale_channels(const gla_batch *b, const float *factors, uint32_t rows,
                               uint32_t width, float *x, size_t ld_x)
{
    const element_call c = {.x = x,
                            .up = factors,
                            .y = x,
                            .ld_x = ld_x,
                            .ld_y = ld_x,
                            .width = width,
                            .act = GLA_ACT_NONE};

    return run(b, &c, rows, act_rows);
}

gla_status gla__clamp(const gla_batch *b, float low, float high, uint32_t rows, uint32_t width,
                      float *x, size_t ld_x)
{
    const element_call c = {.y = x, .ld_y = ld_x, .width = width, .low = low, .high = high};

    return run(b, &c, rows, clamp_rows);
}

gla_status gla__mix(const gla_batch *b, uint32_t rows, uint32_t width, const float *x, size_t ld_x,
                    const float *other, size_t ld_other, const float *mu, size_t ld_mu, float *y,
                    size_t ld_y)
{
    const element_call c = {.x = x,
                            .up = mu,
                            .other = other,
                            .y = y,
                            .ld_x = ld_x,
                            .ld_up = ld_mu,
                            .ld_other = ld_other,
                            .ld_y = ld_y,
                            .width = width};

    return run(b, &c, rows, mix_rows);
}

const gla__row_kernels *gla__row_kernels_for(gla__isa isa)
{
    return GLA__FOR_ISA(isa, &gla_k_row__c, &gla_k_row__avx2, &gla_k_row__avx512);
}
