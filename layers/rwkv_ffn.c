/* SPDX-License-Identifier: Apache-2.0
 *
 * rwkv_ffn.c - channel mixing of RWKV-6 (arXiv 2404.05892) and RWKV-7 (arXiv 2503.14456)
 *
 *   k = Wk (x + mu_k (x_before - x)) ;  y = Wv relu(k)^2        state: the last x
 *   RWKV-6: times sigmoid(Wr (x + mu_r (x_before - x)))
 */
#include "../tests/support/blocks_v1_0.h"

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};

enum { P_D_FF, P_ACTIVATION, P_RECEPTANCE };
static const gla_param_desc params[] = {
    [P_D_FF] = GLA_P_INT_REQ("d_ff", 1, 1 << 24, "inner width"),
    [P_ACTIVATION] = GLA_P_ENUM("activation", GLA_ACT_RELU2, activations, "of the inner width"),
    [P_RECEPTANCE] = GLA_P_BOOL("receptance", 0, "gate the output (RWKV-6)"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, d_ff, activation, receptance;
    uint32_t w_mu_k, w_mu_r, w_key, w_value, w_receptance, s_shift, t_before, t_mixed, t_inner,
        t_gate;
    gla_linear *key, *value, *gate;
    const float *mu_k, *mu_r;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->d_ff = (uint32_t)p[P_D_FF].i;
    l->activation = (uint32_t)p[P_ACTIVATION].i;
    l->receptance = (uint32_t)p[P_RECEPTANCE].i;
    l->w_mu_k = gla_declare_vector(cfg, "x_k", l->d);
    l->w_key = gla_declare_matrix(cfg, "key.weight", l->d_ff, l->d);
    l->w_value = gla_declare_matrix(cfg, "value.weight", cfg->d_out, l->d_ff);
    l->w_mu_r = GLA_ABSENT;
    if (l->receptance) {
        l->w_mu_r = gla_declare_vector(cfg, "x_r", l->d);
        l->w_receptance = gla_declare_matrix(cfg, "receptance.weight", cfg->d_out, l->d);
        l->t_gate = gla_declare_rows(cfg, cfg->d_out);
    }
    l->s_shift = gla_declare_fixed(cfg, "shift", l->d, 0, 0, 3.0 * l->d);
    l->t_before = gla_declare_rows(cfg, l->d);
    l->t_mixed = gla_declare_rows(cfg, l->d);
    l->t_inner = gla_declare_rows(cfg, l->d_ff);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->key);
    l->math->linear_destroy(l->value);
    l->math->linear_destroy(l->gate);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_key, NULL, &l->key);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_value, NULL, &l->value);
    if (!st && l->receptance)
        st = gla_make_linear(l->host, weights, 1, &l->w_receptance, NULL, &l->gate);
    l->mu_k = gla_weight_f32(weights, l->w_mu_k);
    l->mu_r = gla_weight_f32(weights, l->w_mu_r);
    return st;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, d = l->d, f = l->d_ff;
    float *before = b->scratch[l->t_before], *mixed = b->scratch[l->t_mixed],
          *inner = b->scratch[l->t_inner];
    gla_status st = m->shift(b, l->s_shift, d, b->x, d, before, d);

    if (!st)
        st = m->mix(b, n, d, b->x, d, before, d, l->mu_k, 0, mixed, d);
    if (!st)
        st = m->linear(b, l->key, n, mixed, d, inner, f);
    if (!st)
        st = m->activation(b, l->activation, n, f, inner, f, inner, f);
    if (!st)
        st = m->linear(b, l->value, n, inner, f, b->y, d);
    if (st || !l->receptance)
        return st;
    st = m->mix(b, n, d, b->x, d, before, d, l->mu_r, 0, mixed, d);
    if (!st)
        st = m->linear(b, l->gate, n, mixed, d, b->scratch[l->t_gate], d);
    return st ? st : m->glu(b, GLA_ACT_SIGMOID, n, d, b->scratch[l->t_gate], d, b->y, d, b->y, d);
}

GLA_LAYER_DEFINE(rwkv_ffn, "gla.rwkv_ffn/1", 1, "RWKV channel mixing (arXiv 2404.05892)",
                 GLA_LAYER_FFN);
