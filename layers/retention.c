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
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

typedef enum family { RETENTION, LIGHTNING } family;

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};

enum {
    P_HEADS,
    P_KV_HEADS,
    P_K_DIM,
    P_V_DIM,
    P_CONV,
    P_CONV_BIAS,
    P_FEATURE_MAP,
    P_OUTPUT_GATE,
    P_ROPE_THETA,
    P_NORM_EPS,
    P_NORM_WEIGHT,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "query heads"),
    [P_KV_HEADS] = GLA_P_INT("kv_heads", 0, 0, 1024, "key and value heads; 0 = heads"),
    [P_K_DIM] = GLA_P_INT("k_dim", 0, 0, 1 << 20, "all query channels; 0 = d_model"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20,
                          "all output channels; 0 = 2 d_model (lightning: d_model)"),
    [P_CONV] = GLA_P_INT("conv", 0, 0, 64, "width of the short convolution of q, k, v; 0 = none"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    [P_FEATURE_MAP] = GLA_P_ENUM("feature_map", GLA_ACT_NONE, activations,
                                 "applied to q and k (lightning: to q, k and v, silu)"),
    [P_OUTPUT_GATE] = GLA_P_BOOL("output_gate", 1, "gate the normed output"),
    [P_ROPE_THETA] = GLA_P_FLOAT("rope.theta", 10000, 1, 1e12, "base of the rotary frequencies"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    [P_NORM_WEIGHT] = GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight"),
};

enum { W_Q, W_K, W_V, W_G, N_IN };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    family family;
    uint32_t d, heads, kv_heads, k, v;
    uint32_t channels[N_IN], oc, width, conv_width, feature_map;
    uint32_t w_in[N_IN], w_conv[3], b_conv[3], w_norm, w_out;
    uint32_t s_state, s_conv, t_in, t_out;
    float *log_decay; /* [H] */
    gla_linear *in, *out;
    gla_conv *conv;
    gla_rope *rope;
    gla_norm norm;
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const proj[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight",
                                       "g_proj.weight"};

    for (uint32_t i = 0; i < N_IN; i++) {
        l->w_in[i] =
            l->channels[i] ? gla_declare_matrix(cfg, proj[i], l->channels[i], l->d) : GLA_ABSENT;
        l->width += l->channels[i];
    }
    l->s_conv = gla_declare_convs(cfg, "qkv", l->channels, l->conv_width,
                                  (int)cfg->params[P_CONV_BIAS].i, l->w_conv, l->b_conv);
    l->w_norm = GLA_ABSENT;
    if (cfg->params[P_NORM_WEIGHT].i)
        l->w_norm = gla_declare_vector(cfg, "g_norm.weight", l->norm.width);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->oc);
    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->k, l->v, 5.0 * l->heads * l->k * l->v);
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_out = gla_declare_rows(cfg, l->oc);
}

static gla_status make_decay(gla_layer *l, const gla_layer_config *cfg)
{
    const double depth = 1.0 - cfg->layer_index / (cfg->n_layers - 1 + 1e-5) + 1e-5;

    l->log_decay = gla_host_new(l->host, l->heads * sizeof(float));
    if (!l->log_decay)
        return GLA_E_NOMEM;
    for (uint32_t h = 0; h < l->heads; h++)
        l->log_decay[h] = l->family == RETENTION
                              ? (float)log1p(-exp2(-5.0 - h))
                              : (float)(-exp2(-8.0 * (h + 1) / l->heads) * depth);
    return GLA_OK;
}

static gla_status create_const_decay(const gla_host *host, const gla_layer_config *cfg, family f,
                                     gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));
    uint32_t qc, groups;

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->family = f;
    l->d = cfg->d_in;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->kv_heads = p[P_KV_HEADS].i ? (uint32_t)p[P_KV_HEADS].i : l->heads;
    qc = p[P_K_DIM].i ? (uint32_t)p[P_K_DIM].i : l->d;
    l->oc = p[P_V_DIM].i ? (uint32_t)p[P_V_DIM].i : (f == RETENTION ? 2 : 1) * l->d;
    if (qc % l->heads || l->oc % l->heads || l->heads % l->kv_heads)
        return gla_host_fail(host, GLA_E_INVALID,
                             "k_dim and v_dim must be multiples of heads, and heads of kv_heads");
    groups = l->heads / l->kv_heads;
    l->k = qc / l->heads;
    l->v = l->oc / l->heads;
    l->channels[W_Q] = qc;
    l->channels[W_K] = qc / groups;
    l->channels[W_V] = l->oc / groups;
    l->channels[W_G] = p[P_OUTPUT_GATE].i ? l->oc : 0;
    l->conv_width = (uint32_t)p[P_CONV].i;
    l->feature_map =
        p[P_FEATURE_MAP].is_set || f == RETENTION ? (uint32_t)p[P_FEATURE_MAP].i : GLA_ACT_SILU;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = f == RETENTION ? l->heads : 1,
        .width = f == RETENTION ? l->v : l->oc,
        .gate_activation = f == RETENTION ? GLA_ACT_SILU : GLA_ACT_SIGMOID,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
    };
    declare(l, cfg);
    if (f == RETENTION) {
        const gla_rope_spec rope = {
            .struct_size = sizeof(rope), .dims = l->k, .theta = p[P_ROPE_THETA].f, .factor = 1};
        const gla_status st = l->math->rope_create(host, &rope, &l->rope);

        if (st)
            return st;
    }
    return make_decay(l, cfg);
}

static gla_status create_retention(const gla_host *host, const gla_layer_config *cfg,
                                   gla_layer **out)
{
    return create_const_decay(host, cfg, RETENTION, out);
}

static gla_status create_lightning(const gla_host *host, const gla_layer_config *cfg,
                                   gla_layer **out)
{
    return create_const_decay(host, cfg, LIGHTNING, out);
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    l->math->rope_destroy(l->rope);
    gla_host_delete(l->host, l->log_decay);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, NULL, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st && l->conv_width)
        st = gla_make_conv(l->host, weights, 3, l->w_conv, l->b_conv, GLA_ACT_SILU, &l->conv);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st;
}

/* Convolution, feature map and positions of q, k, v, in place. */
static gla_status prepare(const gla_layer *l, const gla_batch *b, float *q, size_t ld)
{
    const gla_math *m = l->math;
    const uint32_t qk = l->channels[W_Q] + l->channels[W_K];
    const uint32_t mapped = l->family == LIGHTNING ? qk + l->channels[W_V] : qk;
    gla_status st = GLA_OK;

    if (l->conv)
        st = m->conv1d(b, l->conv, l->s_conv, q, ld, q, ld);
    if (!st && l->feature_map)
        st = m->activation(b, l->feature_map, b->n_rows, mapped, q, ld, q, ld);
    if (!st && l->rope)
        st = m->rope(b, l->rope, l->heads + l->kv_heads, l->k, q, ld);
    return st;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = l->width;
    float *q = b->scratch[l->t_in]; /* [rows, q | k | v | g] */
    float *k = q + l->channels[W_Q], *v = k + l->channels[W_K], *g = v + l->channels[W_V];
    float *o = b->scratch[l->t_out]; /* [rows, oc] */
    gla_norm norm = l->norm;
    gla_status st = m->linear(b, l->in, n, b->x, l->d, q, ld);

    if (!st)
        st = prepare(l, b, q, ld);
    if (st)
        return st;

    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_CONST,
        .write = GLA_WRITE_ADD,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->v,
        .k_heads = l->kv_heads,
        .v_heads = l->kv_heads,
        .state = l->s_state,
        .scale = l->family == RETENTION ? 1.0f / sqrtf((float)l->k) : 1.0f,
        .q = q,
        .k = k,
        .v = v,
        .log_decay = l->log_decay,
        .ld_q = ld,
        .ld_k = ld,
        .ld_v = ld,
        .o = o,
        .ld_o = l->oc,
    };
    st = m->recurrence(b, &r);
    norm.gate = l->channels[W_G] ? g : NULL;
    norm.ld_gate = ld;
    if (!st)
        st = m->norm(b, &norm, n, o, l->oc, o, l->oc);
    return st ? st : m->linear(b, l->out, n, o, l->oc, b->y, l->d);
}

GLA_LAYER_DESC(retention, "gla.retention/1", 1, "retention (RetNet, arXiv 2307.08621)",
               GLA_LAYER_MIXER, create_retention);
GLA_LAYER_DESC(lightning, "gla.lightning/1", 1,
               "lightning attention (MiniMax-01, arXiv 2501.08313)", GLA_LAYER_MIXER,
               create_lightning);
static const gla_layer_desc *const layers[] = {&retention_desc, &lightning_desc};
GLA_PLUGIN_DEFINE(retention, "1.0", "Apache-2.0", NULL, NULL, layers);
