/* SPDX-License-Identifier: Apache-2.0
 *
 * ops.h - the functions behind the math table, one file each, and what they share
 *
 * table.c puts them together.  Each function of the table opens a gla__work, which counts its time
 * and remembers how much scratch was taken, and closes it with what came of it.  The first failure
 * of a layer's forward() sticks: after it nothing is opened without failing at once.
 *
 *     gla_status gla__norm(const gla_batch *b, const gla_norm *given, ...)
 *     {
 *         gla_norm n;
 *         gla__work work;
 *         gla_status st = gla__work_begin(b, GLA__WORK_NORM, &work);
 *
 *         if (!st)
 *             st = GLA__TAKE(b->host, gla_norm, given, &n);
 *         if (!st)
 *             ...
 *         return gla__work_end(&work, st);
 *     }
 *
 * A function called by another one of the table is counted with its caller.  What a function takes
 * from the arena must be covered by its file's scratch function.
 */
#ifndef GLA_MATH_OPS_H
#define GLA_MATH_OPS_H

#include <stdio.h>

#include "base/clock.h"
#include "base/struct.h"
#include "math/math.h"

/* ---- shared by all functions of the table ---- */

typedef struct gla__work {
    gla__exec *exec;
    double *seconds; /* NULL: not asked for, or counted by the caller */
    size_t used;
    double start;
    uint32_t kind; /* GLA__WORK_* */
} gla__work;

/* Fails with what has failed before.  Close it in any case. */
static inline gla_status gla__work_begin(const gla_batch *b, uint32_t kind, gla__work *w)
{
    *w = (gla__work){.exec = b->exec, .kind = kind};
    if (!w->exec)
        return GLA_OK;
    w->used = w->exec->used;
    w->seconds = w->exec->seconds;
    w->exec->seconds = NULL; /* so that calls inside do not count again */
    if (w->seconds)
        w->start = gla__clock_seconds();
    return w->exec->failed;
}

/* Returns st, and keeps it if it is a failure. */
static inline gla_status gla__work_end(gla__work *w, gla_status st)
{
    if (!w->exec)
        return st;
    w->exec->used = w->used;
    w->exec->seconds = w->seconds;
    if (w->seconds)
        w->seconds[w->kind] += gla__clock_seconds() - w->start;
    if (st)
        w->exec->failed = st;
    return st;
}

/* What a layer filled in, as we know it: fields that its version lacks are 0. */
#define GLA__TAKE(host, type, given, ours)                                                         \
    gla__take_checked(host, #type, GLA__FIRST(type), given, (given)->struct_size, ours,            \
                      sizeof(type))
static inline gla_status gla__take_checked(const gla_host *h, const char *type, size_t least,
                                           const void *given, uint32_t given_size, void *ours,
                                           size_t our_size)
{
    char text[128];

    gla__take(ours, our_size, given, given_size);
    if (given_size >= least)
        return GLA_OK;
    snprintf(text, sizeof(text), "%s: struct_size is %u, its first version has %zu", type,
             given_size, least);
    if (h && h->explain)
        h->explain(h, text);
    return GLA_E_ABI;
}

/* GLA_OK if the layer has declared such a state: PER_TOKEN, or FIXED of so many numbers at least.
 */
gla_status gla__check_state(const gla_batch *b, const char *op, uint32_t index, uint32_t kind,
                            uint64_t numbers);

/* Rows in parts, as for_rows() does for layers, of so many numbers each: few of them are not worth
 * waking other threads. */
void gla__split_rows(uint32_t rows, size_t numbers,
                     void (*fn)(void *arg, uint32_t first, uint32_t last), void *arg);

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
gla_status gla__rows(const gla_batch *b, const gla_rows *r);
gla_status gla__copy(const gla_batch *b, const gla_copy *c);
gla_status gla__add(const gla_batch *b, const gla_factor *f);
gla_status gla__mul(const gla_batch *b, const gla_factor *f);
gla_status gla__route(const gla_batch *b, const gla_route *r);
gla_status gla__permute(const gla_batch *b, uint32_t rows, uint32_t k, uint32_t width,
                        const uint32_t *slot, const float *x, size_t ld_x, float *y, size_t ld_y);
gla_status gla__combine_rows(const gla_batch *b, uint32_t rows, uint32_t k, uint32_t width,
                             const uint32_t *slot, const float *weight, const float *x, size_t ld_x,
                             float *y, size_t ld_y);

#endif
