/* SPDX-License-Identifier: Apache-2.0
 *
 * tolerance.h - when two results are equal: the one place that says it
 *
 * The reference is computed in double.  A float result of sums of `terms` products passes when
 *
 *   every number   |got - want| <= rtol (|want| + rms(want)),  rtol = c * terms * eps(float)
 *   the tensor     NMSE = sum (got - want)^2 / sum want^2 <= 1e-7
 *
 * rms stands for the size of the summands: a sum that happens to cancel is as exact as its
 * neighbours, not more.  A tensor of a few numbers does not show it, then the test says it (size).
 * c is GLA_TOL_C unless the test says why.  NaN and infinities must agree.
 */
#ifndef GLA_TESTS_SUPPORT_TOLERANCE_H
#define GLA_TESTS_SUPPORT_TOLERANCE_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#define GLA_TOL_C    4.0
#define GLA_TOL_NMSE 1e-7

/* Of the logits of a model, relative to their spread: the same numbers were summed in two orders,
 * through all layers.  gla-eval --check takes this one too. */
#define GLA_TOL_LOGITS 2e-4

typedef struct tolerance {
    double rtol;  /* of every number */
    double nmse;  /* of the tensor */
    double size;  /* rms counts as at least this much */
    double worst; /* out: largest |got - want| / (|want| + rms) */
    double found; /* out: NMSE */
    char text[160];
} tolerance;

static inline tolerance tolerance_for(double terms)
{
    tolerance t = {.rtol = GLA_TOL_C * terms * FLT_EPSILON, .nmse = GLA_TOL_NMSE};

    return t;
}

static inline int tolerance_same_class(double a, double b)
{
    return isnan(a) ? isnan(b) : isinf(a) ? a == b : isfinite(b);
}

/* 1 when got equals want; else 0 and t->text says where and by how much. */
static inline int tolerance_check(tolerance *t, const float *got, const double *want, size_t n)
{
    double square = 0, error = 0, rms;
    size_t at = 0, bad = n;

    t->worst = t->found = 0;
    t->text[0] = 0;
    for (size_t i = 0; i < n; i++) {
        if (!tolerance_same_class(want[i], got[i]) && bad == n)
            bad = i;
        if (isfinite(want[i]) && isfinite(got[i])) {
            square += want[i] * want[i];
            error += (got[i] - want[i]) * (got[i] - want[i]);
        }
    }
    if (bad < n) {
        snprintf(t->text, sizeof(t->text), "number %zu of %zu is %g, not %g", bad, n,
                 (double)got[bad], want[bad]);
        return 0;
    }
    rms = fmax(n ? sqrt(square / (double)n) : 0, t->size);
    for (size_t i = 0; i < n; i++) {
        const double off = fabs(got[i] - want[i]), size = fabs(want[i]) + rms;

        if (isfinite(want[i]) && off > 0 && off / size > t->worst) {
            t->worst = off / size;
            at = i;
        }
    }
    square = fmax(square, t->size * t->size * (double)n);
    t->found = square > 0 ? error / square : error > 0 ? INFINITY : 0;
    if (t->worst <= t->rtol && t->found <= t->nmse)
        return 1;
    snprintf(t->text, sizeof(t->text),
             "number %zu of %zu: %g, not %g: error %.2g > %.2g, NMSE %.2g", at, n, (double)got[at],
             want[at], t->worst, t->rtol, t->found);
    return 0;
}

#endif
