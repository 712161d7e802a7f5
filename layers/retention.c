/* SPDX-License-Identifier: Apache-2.0
 *
 * retention.c - linear attention with a constant decay per head
 *
 *   retention  RetNet (Sun et al., arXiv 2307.08621)
 *     q, k = rope(Wq x), rope(Wk x) ;  S = gamma_h S + k v^T, gamma_h = 1 - 2^(-5 - h)
 *     y = Wo ( rmsnorm_head(q^T S / sqrt K) * silu(Wg x) )
 *
 *   lightning  MiniMax-01 (arXiv 2501.08313), Lightning attention 2 (arXiv 2401.04658)
 *     q, k, v = silu(W x) ;  S = exp(-s_h) S + k v^T,
 *     s_h = 2^(-8 (h + 1) / H) (1 - l / (L - 1 + 1e-5) + 1e-5) for block l of L
 *     y = Wo ( rmsnorm_whole(q^T S) * sigmoid(Wg x) )
 */
#include <gla/blocks.h>

#include <math.h>

enum { P_HEADS, P_FEATURE_MAP, P_OUTPUT_GATE, P_ROPE_THETA, P_MORE };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "query heads"),
    [P_FEATURE_MAP] = GLA_P_ACT("feature_map", GLA_ACT_NONE, "of q and k (lightning: and v, silu)"),
    [P_OUTPUT_GATE] = GLA_P_BOOL("output_gate", 1, "gate the normed output"),
    [P_ROPE_THETA] = GLA_P_FLOAT("rope.theta", 10000, 1, 1e12, "base of the rotary frequencies")};

enum { Q, K, V, G, N_IN };

struct gla_layer {
    gla_heads h;
    uint32_t s_state, t_o;
    float scale, *log_decay; /* [H] */
    gla_in in;
    gla_rope *rope; /* lightning: NULL */
    gla_out out;
};

/* What both declare; norm_groups and gate as they have them. */
static void declare(gla_layer *l, const gla_layer_config *c, const gla_in_part *parts,
                    uint32_t norm_groups, uint32_t gate)
{
    const gla_heads *h = &l->h;
    const gla_param_value *ph = c->params + P_MORE;
    const gla_norm norm =
        gla_norm_of(GLA_NORM_RMS, norm_groups, h->oc / norm_groups, gla_eps(c, &ph[GLA_H_EPS]));

    gla_in_declare(
        c, &l->in, parts, N_IN,
        &(gla_in_conv){gla_u32(&ph[GLA_H_CONV]), gla_u32(&ph[GLA_H_CONV_BIAS]), GLA_ACT_SILU});
    gla_out_declare(c, &l->out, "o_proj", h->oc, 0, &norm,
                    ph[GLA_H_WEIGHT].i ? "g_norm.weight" : NULL);
    l->out.norm.gate_activation = gate;
    l->s_state = gla_heads_state(c, h, 5);
    l->t_o = gla_declare_rows(c, h->oc);
    c->declare->table(c->declare, h->heads, &l->log_decay);
}

static gla_status make_retention(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const gla_status st = gla_heads_read(c, gla_u32(&p[P_HEADS]), p + P_MORE, 1, 2, &l->h);
    const gla_heads *h = &l->h;
    const uint32_t phi = gla_u32(&p[P_FEATURE_MAP]);
    const gla_in_part parts[] = {[Q] = {"q_proj", h->qc, phi, GLA_IN_CONV},
                                 [K] = {"k_proj", h->kc, phi, GLA_IN_CONV},
                                 [V] = {"v_proj", h->vc, GLA_ACT_NONE, GLA_IN_CONV},
                                 [G] = {"g_proj", p[P_OUTPUT_GATE].i ? h->oc : 0}};
    const gla_rope_spec rope = {
        .struct_size = sizeof(rope), .dims = h->k, .theta = p[P_ROPE_THETA].f, .factor = 1};

    if (st)
        return st;
    declare(l, c, parts, h->heads, GLA_ACT_SILU);
    c->declare->rope(c->declare, &rope, &l->rope);
    l->scale = 1.0f / sqrtf((float)h->k);
    for (uint32_t i = 0; l->log_decay && i < h->heads; i++)
        l->log_decay[i] = (float)log1p(-exp2(-5.0 - i));
    return GLA_OK;
}

static gla_status make_lightning(gla_layer *l, const gla_layer_config *c)
{
    const double depth = 1.0 - c->layer_index / (c->n_layers - 1 + 1e-5) + 1e-5;
    const gla_param_value *p = c->params;
    const gla_status st = gla_heads_read(c, gla_u32(&p[P_HEADS]), p + P_MORE, 1, 1, &l->h);
    const gla_heads *h = &l->h;
    const uint32_t phi = p[P_FEATURE_MAP].is_set ? gla_u32(&p[P_FEATURE_MAP]) : GLA_ACT_SILU;
    const gla_in_part parts[] = {[Q] = {"q_proj", h->qc, phi, GLA_IN_CONV},
                                 [K] = {"k_proj", h->kc, phi, GLA_IN_CONV},
                                 [V] = {"v_proj", h->vc, phi, GLA_IN_CONV},
                                 [G] = {"g_proj", p[P_OUTPUT_GATE].i ? h->oc : 0}};

    if (st)
        return st;
    declare(l, c, parts, 1, GLA_ACT_SIGMOID);
    l->scale = 1;
    for (uint32_t i = 0; l->log_decay && i < h->heads; i++)
        l->log_decay[i] = (float)(-exp2(-8.0 * (i + 1) / h->heads) * depth);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    float *x[N_IN], *o = b->scratch[l->t_o];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    gla_recurrence r =
        gla_heads_recurrence(&l->h, l->s_state, GLA_DECAY_CONST, x[Q], x[K], x[V], ld, o);

    if (l->rope)
        m->rope(b, l->rope, l->h.heads + l->h.kv_heads, l->h.k, x[Q], ld);
    r.scale = l->scale;
    r.log_decay = l->log_decay;
    r.decay_heads = 0;
    m->recurrence(b, &r);
    return gla_out_run(m, b, &l->out, o, x[G], ld);
}

GLA_LAYER_DESC(retention, "gla.retention/1", 1, "retention (RetNet, arXiv 2307.08621)",
               make_retention, .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_heads));
GLA_LAYER_DESC(lightning, "gla.lightning/1", 1,
               "lightning attention (MiniMax-01, arXiv 2501.08313)", make_lightning,
               .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_heads));
static const gla_layer_desc *const layers[] = {&retention_desc, &lightning_desc};
GLA_PLUGIN_DEFINE(retention, "1.0", "Apache-2.0", NULL, NULL, layers);
