/* SPDX-License-Identifier: Apache-2.0
 *
 * linear_parts.h - what linear.c makes and linear_run.c multiplies
 *
 * A linear map is a list of matrices over the same inputs, whose outputs lie side by side; or one
 * matrix for each group (expert).
 */
#ifndef GLA_MATH_LINEAR_PARTS_H
#define GLA_MATH_LINEAR_PARTS_H

#include <stdatomic.h>

#include "math/kernels/linear_kernels.h"
#include "math/math.h"

typedef struct gla__linear_part {
    uint32_t dtype;
    size_t out, first_out; /* rows of this part, rows of the parts before */
    gla__weight_rows rows; /* of the first group */
    const void *blob;      /* that rows lie in, held; or NULL */
    void *copy;            /* of rows that lie in no blob; or NULL */
    void *scales;          /* I8: copy of scales that did not lie on a float's place; or NULL */
    const float *bias;     /* [groups, out] or NULL */
} gla__linear_part;

struct gla_linear {
    atomic_uint refs; /* besides the first */
    const gla__linear_kernels *kernels;
    size_t in, out, groups;
    uint64_t bytes; /* own memory, and blobs held */
    uint32_t n_parts;
    bool has[GLA__WEIGHT_DTYPES]; /* parts of this dtype */
    float *biases;
    void *transposed;
    gla__linear_part parts[];
};

/* The rows of one group from output o on. */
static inline gla__weight_rows gla__linear_rows(const gla__linear_part *p, size_t group, size_t o)
{
    const size_t row = group * p->out + o;
    gla__weight_rows w = p->rows;

    w.data += row * w.stride;
    if (w.aux)
        w.aux += row * w.aux_stride;
    return w;
}

#endif
