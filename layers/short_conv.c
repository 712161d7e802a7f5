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
    [P_BIAS] = GLA_P_BOOL("bias", 0, "biases of both projections and the convolution"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, w_in, b_in, w_conv, b_conv, w_out, b_out, s_conv, t_in;
    gla_linear *in, *out;
    gla_conv *conv;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    const uint32_t width = (uint32_t)p[P_CONV].i;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->b_in = l->b_conv = l->b_out = GLA_ABSENT;
    l->w_in = gla_declare_matrix(cfg, "in_proj.weight", 3 * (int64_t)l->d, l->d);
    l->w_conv = gla_declare_taps(cfg, "conv.weight", l->d, width);
    l->w_out = gla_declare_matrix(cfg, "out_proj.weight", l->d, l->d);
    if (p[P_BIAS].i) {
        l->b_in = gla_declare_vector(cfg, "in_proj.bias", 3 * (int64_t)l->d);
        l->b_conv = gla_declare_vector(cfg, "conv.bias", l->d);
        l->b_out = gla_declare_vector(cfg, "out_proj.bias", l->d);
    }
    l->s_conv = gla_declare_fixed(cfg, "conv", width - 1, l->d, 0, 2.0 * l->d * width);
    l->t_in = gla_declare_rows(cfg, 3 * (size_t)l->d);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_in, &l->b_in, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, &l->b_out, &l->out);
    return st ? st
              : gla_make_conv(l->host, weights, 1, &l->w_conv, &l->b_conv, GLA_ACT_NONE, &l->conv);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, d = l->d;
    const size_t ld = 3 * (size_t)d;
    float *gate_in = b->scratch[l->t_in], *gate_out = gate_in + d, *u = gate_out + d;
    gla_status st = m->linear(b, l->in, n, b->x, d, gate_in, ld);

    if (!st)
        st = m->glu(b, GLA_ACT_NONE, n, d, gate_in, ld, u, ld, u, ld);
    if (!st)
        st = m->conv1d(b, l->conv, l->s_conv, u, ld, u, ld);
    if (!st)
        st = m->glu(b, GLA_ACT_NONE, n, d, gate_out, ld, u, ld, u, ld);
    return st ? st : m->linear(b, l->out, n, u, ld, b->y, d);
}

GLA_LAYER_DEFINE(short_conv, "gla.short_conv/1", 1,
                 "gated short convolution (LFM2, arXiv 2511.23404)", GLA_LAYER_MIXER);
