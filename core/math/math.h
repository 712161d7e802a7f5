/* SPDX-License-Identifier: Apache-2.0
 *
 * math.h - what the math room gives to the rooms above it
 *
 * Layers see the table (gla/plugin.h, gla_math).  The host also needs to know how much scratch the
 * table's functions take, so that nothing is allocated while a batch runs.
 */
#ifndef GLA_MATH_MATH_H
#define GLA_MATH_MATH_H

#include <gla/plugin.h>
#include <gla/status.h>

/* The table that gla_host's "gla.host.math/1" gives out. */
const gla_math *gla__math_table(void);

/* Largest sizes that a model will ask of the table; the math room says what scratch that takes. */
typedef struct gla__math_needs {
    uint32_t rows, sequences, threads;
    uint32_t linear_in, linear_out;              /* over all linear maps */
    uint32_t heads, k_dim, v_dim;                /* over all recurrences (from declared states) */
    uint32_t attn_heads, attn_k_dim, attn_v_dim; /* over all attentions */
} gla__math_needs;
size_t gla__math_scratch_bytes(const gla__math_needs *needs);

/* What gla_batch.exec points to.  One per running batch. */
typedef struct gla__exec {
    char *arena; /* 64-byte aligned, gla__math_scratch_bytes() */
    size_t arena_bytes, used;
    /* 0 = chosen; 1 = recurrent form; n = chunks of n tokens, 64 at most (tests) */
    uint32_t recurrence_chunk;
    double *seconds; /* NULL, or [GLA__WORK_COUNT] time spent per kind of work (gla-bench) */
    /* The first failure of this forward(): nothing is computed after it.  Who calls forward()
     * clears it before and fails with it after. */
    gla_status failed;
    const gla_state_desc *states; /* [batch.n_states] as declared; NULL: not known */
} gla__exec;

enum {
    GLA__WORK_LINEAR,
    GLA__WORK_RECURRENCE,
    GLA__WORK_ATTENTION,
    GLA__WORK_CONV,
    GLA__WORK_NORM,
    GLA__WORK_ACTIVATION,
    GLA__WORK_COUNT
};

/* y = alpha y + beta x, of n numbers: the sums of a residual stream. */
void gla__combine(size_t n, float alpha, float *y, float beta, const float *x);

/* Scratch for the duration of one table call, 64-byte aligned: `used` starts at 0 and every
 * function of the table leaves it as it found it (gla__work in ops.h).  NULL when the arena is too
 * small, which is a mistake in gla__math_scratch_bytes(). */
void *gla__exec_take(gla__exec *exec, size_t bytes);

/* What the packed weights take in memory of their own, blobs that they keep (base/blob.h) included:
 * for gla_model_memory.  linear_create() gets tensors whose data are blobs: keep a reference where
 * the bytes are used as they are, copy where they are packed; the loader then lets go of them. */
uint64_t gla__linear_bytes(const gla_linear *l);
/* One user more; each calls linear_destroy().  Returns l. */
gla_linear *gla__linear_ref(gla_linear *l);

#endif
