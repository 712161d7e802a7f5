/* SPDX-License-Identifier: Apache-2.0
 *
 * gsa.c - gated slot attention (Zhang et al., arXiv 2409.07146): two gated recurrences over M slots
 *
 *   q, k = phi(Wq x), phi(Wk x) ;  v = silu(Wv x) ;  a = log_sigmoid(Wf x) / 8 ;  s = 1 - exp(a)
 *   A = A diag(exp a) + k s^T                 state [H, K, M]      p = softmax(q^T A)
 *   B = diag(exp a) B + s v^T                 state [H, M, V]      o = p^T B
 *   y = Wo rmsnorm(silu(o))
 */
#include <gla/blocks.h>

enum { P_HEADS, P_SLOTS, P_FEATURE_MAP, P_GATE_NORMALIZER, P_SCALE, P_MORE };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "query heads"),
    [P_SLOTS] = GLA_P_INT("slots", 64, 1, 4096, "slots of a head"),
    [P_FEATURE_MAP] = GLA_P_ACT("feature_map", GLA_ACT_SILU, "of q and k"),
    [P_GATE_NORMALIZER] = GLA_P_FLOAT("gate_normalizer", 8, 1e-6, 1e6, "divides the log decay"),
    [P_SCALE] = GLA_P_FLOAT("scale", 1, 0, 1e6, "of the slot scores")};

enum { Q, K, V, F, N_IN };

struct gla_layer {
    gla_heads h;
    uint32_t slots, s_keys, s_values, t_write, t_p, t_o;
    float gate_scale, scale;
    gla_in in;
    gla_out out;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params, *ph = p + P_MORE;
    const uint32_t phi = gla_u32(&p[P_FEATURE_MAP]);
    const gla_status st = gla_heads_read(c, gla_u32(&p[P_HEADS]), ph, 1, 1, &l->h);
    const gla_heads *h = &l->h;

    if (st)
        return st;
    l->slots = gla_u32(&p[P_SLOTS]);
    l->gate_scale = (float)(1 / p[P_GATE_NORMALIZER].f);
    l->scale = (float)p[P_SCALE].f;

    const gla_in_part parts[N_IN] = {
        [Q] = {"q_proj", h->qc, phi, GLA_IN_CONV},
        [K] = {"k_proj", h->kc, phi, GLA_IN_CONV},
        [V] = {"v_proj", h->vc, GLA_ACT_SILU, GLA_IN_CONV},
        [F] = {"f_proj", h->kv_heads * l->slots, GLA_ACT_LOG_SIGMOID, GLA_PART_SENSITIVE}};
    const gla_in_conv conv = {gla_u32(&ph[GLA_H_CONV]), gla_u32(&ph[GLA_H_CONV_BIAS]),
                              GLA_ACT_SILU};
    const gla_norm norm = gla_norm_of(GLA_NORM_RMS, 1, h->oc, gla_eps(c, &ph[GLA_H_EPS]));

    gla_in_declare(c, &l->in, parts, N_IN, &conv);
    gla_out_declare(c, &l->out, "o_proj", h->oc, 0, &norm,
                    ph[GLA_H_WEIGHT].i ? "g_norm.weight" : NULL);
    l->s_keys = gla_declare_fixed(c, "K", h->heads, h->k, l->slots, 5.0 * h->qc * l->slots);
    l->s_values = gla_declare_fixed(c, "V", h->heads, l->slots, h->v, 5.0 * h->oc * l->slots);
    l->t_write = gla_declare_rows(c, parts[F].out);
    l->t_p = gla_declare_rows(c, (size_t)h->heads * l->slots);
    l->t_o = gla_declare_rows(c, h->oc);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const gla_heads *h = &l->h;
    const uint32_t n = b->n_rows, f = h->kv_heads * l->slots;
    const size_t ld_p = (size_t)h->heads * l->slots;
    const gla_norm softmax = gla_norm_of(GLA_NORM_SOFTMAX, h->heads, l->slots, 0);
    float *x[N_IN], *write = b->scratch[l->t_write], *p = b->scratch[l->t_p],
                    *o = b->scratch[l->t_o];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    gla_recurrence keys =
        gla_heads_recurrence(h, l->s_keys, GLA_DECAY_VALUE, x[Q], x[K], write, ld, p);
    gla_recurrence values =
        gla_heads_recurrence(h, l->s_values, GLA_DECAY_CHANNEL, p, write, x[V], ld, o);

    m->scale(b, l->gate_scale, n, f, x[F], ld);
    m->activation(b, GLA_ACT_ONE_MINUS_EXP, n, f, x[F], ld, write, f);

    keys.v_dim = l->slots;
    keys.scale = l->scale;
    keys.log_decay = x[F];
    keys.ld_v = f;
    keys.ld_o = ld_p;
    m->recurrence(b, &keys);
    m->norm(b, &softmax, n, p, ld_p, p, ld_p);

    values.k_dim = l->slots;
    values.scale = 1;
    values.log_decay = x[F];
    values.ld_q = ld_p;
    values.ld_k = f;
    m->recurrence(b, &values);
    m->activation(b, GLA_ACT_SILU, n, h->oc, o, h->oc, o, h->oc);
    return gla_out_run(m, b, &l->out, o, NULL, 0);
}

GLA_LAYER_DEFINE(gsa, "gla.gsa/1", 1, "gated slot attention (arXiv 2409.07146)",
                 .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_heads));
