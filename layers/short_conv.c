/* SPDX-License-Identifier: Apache-2.0
 *
 * short_conv.c - doubly gated short convolution (LFM2, arXiv 2511.23404)
 *
 *   [B | C | u] = Wi x ;  y = Wo ( C * conv(B * u) )          state: the last W - 1 of B * u
 */
#include <gla/blocks.h>

enum { P_CONV, P_BIAS };
static const gla_param_desc params[] = {
    [P_CONV] = GLA_P_INT("conv", 3, 1, 64, "width of the convolution"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "biases of both projections and the convolution")};

struct gla_layer {
    uint32_t d, s_conv, t_in;
    gla_linear *in, *out;
    gla_conv *conv;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const uint32_t width = gla_u32(&c->params[P_CONV]);
    const uint32_t flags = c->params[P_BIAS].i ? GLA_PART_BIAS : 0;

    l->d = c->d_in;
    gla_declare_linear(c, "in_proj", 3 * l->d, l->d, flags, &l->in);
    gla_declare_conv(c, "conv", l->d, width, flags, GLA_ACT_NONE, &l->conv);
    gla_declare_linear(c, "out_proj", l->d, l->d, flags, &l->out);
    l->s_conv = gla_declare_conv_state(c, l->d, width);
    l->t_in = gla_declare_rows(c, 3 * (size_t)l->d);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, d = l->d;
    const size_t ld = 3 * (size_t)d;
    float *gate_in = b->scratch[l->t_in], *gate_out = gate_in + d, *u = gate_out + d;

    m->linear(b, l->in, n, b->x, d, gate_in, ld);
    m->glu(b, GLA_ACT_NONE, n, d, gate_in, ld, u, ld, u, ld);
    m->conv1d(b, l->conv, l->s_conv, u, ld, u, ld);
    m->glu(b, GLA_ACT_NONE, n, d, gate_out, ld, u, ld, u, ld);
    return m->linear(b, l->out, n, u, ld, b->y, d);
}

GLA_LAYER_DEFINE(short_conv, "gla.short_conv/1", 1,
                 "gated short convolution (LFM2, arXiv 2511.23404)", .flags = GLA_LAYER_MIXER);
