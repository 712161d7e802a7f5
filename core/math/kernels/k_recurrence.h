/* SPDX-License-Identifier: Apache-2.0
 *
 * k_recurrence.h - kernels of the recurrence core: one head of one sequence, one thread
 *
 * gla__rec is one head's part of a gla_recurrence, or some of its columns: the columns of the state
 * do not depend on each other, so v, o and s may begin anywhere in V.  The normaliser belongs to
 * the whole head; with one, all columns must come in one call.
 *
 * The C kernel is the formula, token by token.  The vector kernels have two forms:
 *   recurrent  a block of columns stays in the first-level cache while tokens pass over it
 *   chunked    `chunk` tokens at once as small matrix products; taken for the forms that
 *              gla__rec_has_chunks() names, and only where the decays allow it
 */
#ifndef GLA_MATH_KERNELS_K_RECURRENCE_H
#define GLA_MATH_KERNELS_K_RECURRENCE_H

#include <gla/plugin.h>
#include <stdbool.h>

#define GLA__REC_CHUNK_MAX 64 /* tokens of a chunk at most */

/* Tokens of a chunk, the best as measured (PERFORMANCE.md): more only where the state is so large
 * that passing over it counts. */
static inline uint32_t gla__rec_chunk(size_t k_dim, size_t v_dim)
{
    return k_dim * v_dim > 128 * 256 ? 32 : 16;
}

typedef struct gla__rec {
    uint32_t decay; /* gla_decay; CONST is HEAD with ld_decay 0 */
    uint32_t write, normaliser, read_before;
    size_t tokens, k_dim, v_dim; /* v_dim: columns of this call */
    float scale, eps;
    const float *q, *k, *v, *log_decay, *beta, *a, *b, *bonus; /* at the first token, this head */
    size_t ld_q, ld_k, ld_v, ld_decay, ld_beta, ld_a, ld_b, ld_o;
    float *o;
    float *s; /* [K, ld_s] */
    size_t ld_s;
    float *z;       /* [K] or NULL */
    float *scratch; /* 64-byte aligned, gla__rec_scratch(K, V) numbers */
} gla__rec;

/* Numbers of scratch that one call takes, whatever the form. */
static inline size_t gla__rec_scratch(size_t k_dim, size_t v_dim)
{
    const size_t k = (k_dim + 15) & ~(size_t)15, v = (v_dim + 15) & ~(size_t)15;
    const size_t c = GLA__REC_CHUNK_MAX;

    /* seven arrays [C, K], three [C, C], 32 columns of v and of the state, single rows */
    return 7 * c * k + 3 * c * c + 32 * c + 32 * k + 2 * k + c + 2 * v;
}

static inline bool gla__rec_has_chunks(const gla__rec *r)
{
    return r->decay != GLA_DECAY_VALUE && r->write != GLA_WRITE_DPLR &&
           !(r->read_before && (r->write != GLA_WRITE_ADD || r->normaliser));
}

/* chunk 1: recurrent form. */
typedef void gla__rec_fn(const gla__rec *r, uint32_t chunk);
gla__rec_fn gla_k_recurrence_f32__c, gla_k_recurrence_f32__avx2, gla_k_recurrence_f32__avx512;

#endif
