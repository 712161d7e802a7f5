/* SPDX-License-Identifier: Apache-2.0
 *
 * ops.h - the functions behind the math table, one file each, and what they share
 *
 * table.c puts them together.  Each function of the table opens a gla__work, which counts its time
 * and remembers how much scratch was taken, and closes it on every way out:
 *
 *     gla_status gla__norm(const gla_batch *b, ...)
 *     {
 *         gla__work work = gla__work_begin(b, GLA__WORK_NORM);
 *         float *t = gla__exec_take(work.exec, bytes);
 *         ...
 *         gla__work_end(&work);
 *         return GLA_OK;
 *     }
 *
 * A function called by another one of the table (also through for_rows) is counted with its
 * caller.  What a function takes from the arena must be covered by its file's scratch function.
 */
#ifndef GLA_MATH_OPS_H
#define GLA_MATH_OPS_H

#include <stdio.h>

#include "base/clock.h"
#include "math/math.h"

/* ---- shared by all functions of the table ---- */

typedef struct gla__work {
    gla__exec *exec;
    double *seconds; /* NULL: not asked for, or counted by the caller */
    size_t used;
    double start;
    uint32_t kind; /* GLA__WORK_* */
} gla__work;

static inline gla__work gla__work_begin(const gla_batch *b, uint32_t kind)
{
    gla__work w = {b->exec, NULL, 0, 0, kind};

    if (!w.exec)
        return w;
    w.used = w.exec->used;
    w.seconds = w.exec->seconds;
    w.exec->seconds = NULL; /* so that calls inside do not count again */
    if (w.seconds)
        w.start = gla__clock_seconds();
    return w;
}

static inline void gla__work_end(gla__work *w)
{
    if (!w->exec)
        return;
    w->exec->used = w->used;
    w->exec->seconds = w->seconds;
    if (w->seconds)
        w->seconds[w->kind] += gla__clock_seconds() - w->start;
}

/* What a layer fills in grows in later versions of the ABI; its size says which fields it has. */
static inline gla_status gla__check_size(const gla_host *h, const char *type, uint32_t size,
                                         size_t wanted)
{
    char text[128];

    if (size >= wanted)
        return GLA_OK;
    snprintf(text, sizeof(text), "%s: struct_size is %u, version 1.0 has %zu", type, size, wanted);
    if (h && h->explain)
        h->explain(h, text);
    return GLA_E_ABI;
}

/* ---- scratch that the functions of one file take at most, in bytes ---- */

size_t gla__linear_scratch(const gla__math_needs *needs);
size_t gla__recurrence_scratch(const gla__math_needs *needs);
size_t gla__attention_scratch(const gla__math_needs *needs);

/* ---- the table; see gla_math in gla/plugin.h ---- */

gla_status gla__linear_create(const gla_host *h, const gla_linear_spec *spec, gla_linear **out);
void gla__linear_destroy(gla_linear *l);
gla_status gla__conv_create(const gla_host *h, const gla_conv_spec *spec, gla_conv **out);
void gla__conv_destroy(gla_conv *c);
gla_status gla__rope_create(const gla_host *h, const gla_rope_spec *spec, gla_rope **out);
void gla__rope_destroy(gla_rope *r);

gla_status gla__linear(const gla_batch *b, const gla_linear *l, uint32_t rows, const float *x,
                       size_t ld_x, float *y, size_t ld_y);
gla_status gla__linear_grouped(const gla_batch *b, const gla_linear *l, const uint32_t *offset,
                               const float *x, size_t ld_x, float *y, size_t ld_y);
gla_status gla__gather(const gla_batch *b, const gla_linear *l, uint32_t rows, const int32_t *ids,
                       float *y, size_t ld_y);
gla_status gla__conv1d(const gla_batch *b, const gla_conv *c, uint32_t state, const float *x,
                       size_t ld_x, float *y, size_t ld_y);
gla_status gla__recurrence(const gla_batch *b, const gla_recurrence *r);
gla_status gla__attention(const gla_batch *b, const gla_attention *a);
gla_status gla__selective_scan(const gla_batch *b, const gla_selective_scan *s);
gla_status gla__shift(const gla_batch *b, uint32_t state, uint32_t width, const float *x,
                      size_t ld_x, float *y, size_t ld_y);
gla_status gla__scan(const gla_batch *b, const gla_scan *s);
gla_status gla__rope_apply(const gla_batch *b, const gla_rope *r, uint32_t heads, uint32_t head_dim,
                           float *x, size_t ld_x);
gla_status gla__norm(const gla_batch *b, const gla_norm *n, uint32_t rows, const float *x,
                     size_t ld_x, float *y, size_t ld_y);
gla_status gla__activate(const gla_batch *b, uint32_t act, uint32_t rows, uint32_t width,
                         const float *x, size_t ld_x, float *y, size_t ld_y);
gla_status gla__glu(const gla_batch *b, uint32_t act, uint32_t rows, uint32_t width,
                    const float *gate, size_t ld_gate, const float *up, size_t ld_up, float *y,
                    size_t ld_y);
gla_status gla__scale(const gla_batch *b, float factor, uint32_t rows, uint32_t width, float *x,
                      size_t ld_x);
gla_status gla__scale_channels(const gla_batch *b, const float *factors, uint32_t rows,
                               uint32_t width, float *x, size_t ld_x);
gla_status gla__clamp(const gla_batch *b, float low, float high, uint32_t rows, uint32_t width,
                      float *x, size_t ld_x);
gla_status gla__mix(const gla_batch *b, uint32_t rows, uint32_t width, const float *x, size_t ld_x,
                    const float *other, size_t ld_other, const float *mu, size_t ld_mu, float *y,
                    size_t ld_y);
gla_status gla__for_rows(const gla_batch *b, uint32_t rows,
                         void (*fn)(void *arg, uint32_t first, uint32_t last), void *arg);

#endif
