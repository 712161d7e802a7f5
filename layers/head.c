/* SPDX-License-Identifier: Apache-2.0
 *
 * head.c - rows to logits
 *
 *   y = cap(multiplier * (W x + b)),  cap(z) = soft_cap * tanh(z / soft_cap)
 */
#include <gla/blocks.h>

enum { P_TIED, P_BIAS, P_MULTIPLIER, P_SOFT_CAP };
static const gla_param_desc params[] = {
    [P_TIED] = GLA_P_BOOL("tied", 0, "use the embedding's weight (set by tie_embeddings)"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "whether there is a bias"),
    [P_MULTIPLIER] = GLA_P_FLOAT("multiplier", 1, -1e6, 1e6, "multiplies the logits"),
    [P_SOFT_CAP] = GLA_P_FLOAT("soft_cap", 0, 0, 1e6, "bounds the logits smoothly; 0 = off")};

struct gla_layer {
    uint32_t d, n;
    float multiplier, soft_cap;
    gla_linear *map;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const gla_part part = {
        .name = p[P_TIED].i ? "/embed" : "", .out = c->d_out, .bias = p[P_BIAS].i ? "bias" : NULL};

    l->d = c->d_in;
    l->n = c->d_out;
    l->multiplier = (float)p[P_MULTIPLIER].f;
    l->soft_cap = (float)p[P_SOFT_CAP].f;
    gla_declare_parts(c, &part, 1, l->d, &l->map);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t rows = b->n_rows, n = l->n;
    const float inner = l->soft_cap > 0 ? l->multiplier / l->soft_cap : l->multiplier;
    gla_status st = m->linear(b, l->map, rows, b->x, l->d, b->y, n);

    if (inner != 1.0f)
        st = m->scale(b, inner, rows, n, b->y, n);
    if (l->soft_cap > 0) {
        m->activation(b, GLA_ACT_TANH, rows, n, b->y, n, b->y, n);
        st = m->scale(b, l->soft_cap, rows, n, b->y, n);
    }
    return st;
}

GLA_LAYER_DEFINE(head, "gla.head/1", 1, "logits",
                 .flags = GLA_LAYER_HEAD | GLA_LAYER_DETERMINISTIC);
