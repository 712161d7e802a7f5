/* SPDX-License-Identifier: Apache-2.0
 *
 * rwkv_ffn.c - channel mixing of RWKV-6 (arXiv 2404.05892) and RWKV-7 (arXiv 2503.14456)
 *
 *   k = Wk (x + mu_k (x_before - x)) ;  y = Wv relu(k)^2        state: the last x
 *   RWKV-6: times sigmoid(Wr (x + mu_r (x_before - x)))
 */
#include <gla/blocks.h>

#include <math.h>

enum { P_D_FF, P_ACTIVATION, P_RECEPTANCE };
static const gla_param_desc params[] = {
    [P_D_FF] = GLA_P_INT_REQ("d_ff", 1, 1 << 24, "inner width"),
    [P_ACTIVATION] = GLA_P_ACT("activation", GLA_ACT_RELU2, "of the inner width"),
    [P_RECEPTANCE] = GLA_P_BOOL("receptance", 0, "gate the output (RWKV-6)")};

struct gla_layer {
    uint32_t d, d_ff, activation, receptance, s_shift, t_before, t_mixed, t_inner, t_gate;
    gla_linear *key, *value, *gate;
    const float *mu_k, *mu_r;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const uint32_t d = c->d_in, gated = gla_u32(&p[P_RECEPTANCE]);
    const double above = 1 - c->layer_index / (double)c->n_layers;
    const gla_init zero = gla_constant(0), ramp = gla_init_of(GLA_INIT_RAMP, 1, -1, pow(above, 4));

    l->d = d;
    l->d_ff = gla_u32(&p[P_D_FF]);
    l->activation = gla_u32(&p[P_ACTIVATION]);
    l->receptance = gated;
    gla_declare_numbers(c, "x_k", d, 0, gated ? &zero : &ramp, &l->mu_k);
    gla_declare_linear(c, "key", l->d_ff, d, 0, &l->key);
    gla_declare_linear(c, "value", c->d_out, l->d_ff, 0, &l->value);
    if (gated) {
        gla_declare_numbers(c, "x_r", d, 0, &zero, &l->mu_r);
        gla_declare_linear(c, "receptance", c->d_out, d, 0, &l->gate);
        l->t_gate = gla_declare_rows(c, c->d_out);
    }
    l->s_shift = gla_declare_fixed(c, "shift", d, 0, 0, 3.0 * d);
    l->t_before = gla_declare_rows(c, d);
    l->t_mixed = gla_declare_rows(c, d);
    l->t_inner = gla_declare_rows(c, l->d_ff);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, d = l->d, f = l->d_ff;
    float *before = b->scratch[l->t_before], *mixed = b->scratch[l->t_mixed],
          *inner = b->scratch[l->t_inner], *gate = b->scratch[l->t_gate];
    gla_status st;

    m->shift(b, l->s_shift, d, b->x, d, before, d);
    m->mix(b, n, d, b->x, d, before, d, l->mu_k, 0, mixed, d);
    m->linear(b, l->key, n, mixed, d, inner, f);
    m->activation(b, l->activation, n, f, inner, f, inner, f);
    st = m->linear(b, l->value, n, inner, f, b->y, d);
    if (!l->receptance)
        return st;
    m->mix(b, n, d, b->x, d, before, d, l->mu_r, 0, mixed, d);
    m->linear(b, l->gate, n, mixed, d, gate, d);
    return m->glu(b, GLA_ACT_SIGMOID, n, d, gate, d, b->y, d, b->y, d);
}

GLA_LAYER_DEFINE(rwkv_ffn, "gla.rwkv_ffn/1", 1, "RWKV channel mixing (arXiv 2404.05892)",
                 .flags = GLA_LAYER_FFN);
