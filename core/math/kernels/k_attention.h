/* SPDX-License-Identifier: Apache-2.0
 *
 * k_attention.h - the inner loops of attention, one page of keys at a time
 *
 * `rows` are queries (of several tokens and of all query heads that share a key head), the page
 * gives n <= 64 keys and values of one head.  Streaming softmax keeps per row the largest score so
 * far (max), the sum of exp(score - max), and the weighted sum of values (o).
 *
 * Vectors of queries and outputs are padded: ld_q and ld_o are multiples of GLA__ATTENTION_PAD and
 * the padding of q is zero.  Scores are [rows][64].
 */
#ifndef GLA_MATH_K_ATTENTION_H
#define GLA_MATH_K_ATTENTION_H

#include "base/cpu.h"
#include "math/kv.h"

#define GLA__ATTENTION_PAD 16u

/* Memory that is read next, as four streams: a core that asks for several places in turn gets more
 * than from one.  The kernels ask as they go and move `asked` on; a hint. */
typedef struct gla__soon {
    const char *at[4];
    size_t asked, bytes; /* of each */
} gla__soon;

typedef struct gla__attention_kernels {
    /* Converts one key or value into place `token` of the page.  int8: symmetric, x is about
     * scale * [-127, 127]; a NaN or infinity in x makes the scale NaN or infinite, so that it
     * shows.
     */
    void (*store)(const gla__kv_rows *rows, uint32_t token, const float *x);
    /* s[r][j] = q_r . key_j for j < n; the rest of the row may change.
     * panel: scratch of 64 * ld_q numbers. */
    void (*scores)(const float *q, size_t ld_q, uint32_t rows, const gla__kv_rows *keys, uint32_t n,
                   gla__soon *soon, float *panel, float *s);
    /* One row of scores becomes exp(score - max) on [lo, hi) and 0 on the rest of [0, n); lo < hi.
     * cap > 0: the score is cap * tanh(score / cap).  Updates max and sum; returns what the row's
     * former outputs must be multiplied by. */
    float (*softmax)(float *s, uint32_t lo, uint32_t hi, uint32_t n, float cap, float *max,
                     float *sum);
    /* o[r] = o[r] * factor[r] + sum_j p[r][j] value_j over the first `dim` numbers of each value.
     * May change p.  panel: scratch of 64 * ld_o numbers. */
    void (*values)(float *p, uint32_t rows, const gla__kv_rows *values, uint32_t n, uint32_t dim,
                   const float *factor, gla__soon *soon, float *panel, float *o, size_t ld_o);
} gla__attention_kernels;

const gla__attention_kernels *gla__attention_kernels_for(gla__isa isa);
/* gla__attention with these kernels: for tests and for measuring. */
gla_status gla__attention_with(const gla_batch *b, const gla_attention *a,
                               const gla__attention_kernels *kernels);

extern const gla__attention_kernels gla__k_attention__c;
#if defined(__x86_64__)
extern const gla__attention_kernels gla__k_attention__avx2;
extern const gla__attention_kernels gla__k_attention__avx512;
#endif

#endif
