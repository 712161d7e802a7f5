/* SPDX-License-Identifier: Apache-2.0
 *
 * made.h - what the host makes for a layer out of its weights: packed maps, convolutions, numbers
 *
 * A layer declares them as data (gla_declare.linear, ...), so they can be made again when a weight
 * has changed, shown, and refused by name.
 */
#ifndef GLA_GRAPH_MADE_H
#define GLA_GRAPH_MADE_H

#include <gla/plugin.h>

typedef enum gla__made_kind {
    GLA__MADE_LINEAR,
    GLA__MADE_CONV,
    GLA__MADE_ROPE,
    GLA__MADE_NUMBERS,
    GLA__MADE_TABLE
} gla__made_kind;

typedef struct gla__made_part {
    uint32_t weight, bias; /* indices of the instance's weights; UINT32_MAX: no bias */
    uint32_t out, flags;
    gla_view view;        /* struct_size 0: the whole weight */
    uint64_t bias_offset; /* in the bias' numbers */
} gla__made_part;

typedef struct gla__made {
    uint32_t kind; /* gla__made_kind */
    void *out;     /* the pointer in the layer object that is filled in: gla_linear **, ... */
    void *object;  /* LINEAR, CONV, ROPE: what was put there, owned; the layer may not replace it */
    gla__made_part *parts; /* LINEAR, CONV: [n_parts], owned */
    uint32_t n_parts;
    uint32_t in, groups;        /* LINEAR */
    uint32_t width, activation; /* CONV */
    gla_expr expr;              /* NUMBERS; its name is not kept */
    uint32_t weight;            /* NUMBERS */
    float *numbers;             /* NUMBERS that are not the weight itself, TABLE: owned */
    size_t n_numbers;
} gla__made;

/* Makes or makes again; tensors [n_weights] of the instance.  What fails is explained, and what there
 * was stays. */
gla_status gla__made_bind(gla__made *m, const gla_weight_desc *weights, const gla_tensor *tensors);
void gla__made_release(gla__made *m);

#endif
