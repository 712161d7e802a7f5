/* SPDX-License-Identifier: Apache-2.0
 *
 * gla.c - gated linear attention (Yang et al., arXiv 2312.06635)
 *
 *   q, k, v = Wq x, Wk x, Wv x                 short convolution + silu, feature map: optional
 *   a = log_sigmoid(W1 W0 x + b1) / 16         log decay, one per key channel
 *   S = diag(exp a) S + k v^T                  state [H, K, V]
 *   y = Wo ( rmsnorm(q^T S / sqrt K) * silu(Wg x) )
 *
 * With kv_heads < heads, k, v and a of one group serve heads / kv_heads query heads.
 */
#include <gla/plugin.h>

#include <math.h>

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};

enum {
    P_HEADS,
    P_KV_HEADS,
    P_K_DIM,
    P_V_DIM,
    P_EXPAND_K,
    P_EXPAND_V,
    P_CONV,
    P_OUTPUT_GATE,
    P_GATE_LOW_RANK,
    P_GATE_NORMALIZER,
    P_FEATURE_MAP,
    P_CLAMP_MIN,
    P_NORM_EPS,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT("heads", 4, 1, 1024, "query heads"),
    [P_KV_HEADS] = GLA_P_INT("kv_heads", 0, 0, 1024, "key and value heads; 0 = heads"),
    [P_K_DIM] = GLA_P_INT("k_dim", 0, 0, 1 << 20, "all query channels; 0 = expand_k * d_model"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20, "all output channels; 0 = expand_v * d_model"),
    [P_EXPAND_K] = GLA_P_FLOAT("expand_k", 0.5, 0, 64, "query channels per model channel"),
    [P_EXPAND_V] = GLA_P_FLOAT("expand_v", 1.0, 0, 64, "output channels per model channel"),
    [P_CONV] = GLA_P_INT("conv", 0, 0, 64, "width of the short convolution of q, k, v; 0 = none"),
    [P_OUTPUT_GATE] = GLA_P_BOOL("output_gate", 1, "multiply by silu(Wg x)"),
    [P_GATE_LOW_RANK] =
        GLA_P_INT("gate_low_rank", 16, 1, 65536, "inner width of the decay's projection"),
    [P_GATE_NORMALIZER] = GLA_P_FLOAT("gate_normalizer", 16, 1e-6, 1e6, "divides the log decay"),
    [P_FEATURE_MAP] = GLA_P_ENUM("feature_map", GLA_ACT_NONE, activations, "applied to q and k"),
    [P_CLAMP_MIN] =
        GLA_P_FLOAT("clamp_min", -INFINITY, -INFINITY, 0, "lower bound of the log decay"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
};

enum { W_Q, W_K, W_V, W_G, W_LOW, N_IN };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, kv_heads, k, v;   /* k, v: per head */
    uint32_t qc, kc, vc, oc, low, width; /* channels of q, k, v, output, low rank; all of them */
    uint32_t conv_width, feature_map;
    float gate_scale, clamp_min;
    uint32_t w_in[N_IN], w_conv[3], w_up, b_up, w_norm, w_out;
    uint32_t s_state, s_conv;      /* states */
    uint32_t t_in, t_decay, t_out; /* scratch */
    gla_linear *in, *up, *out;
    gla_conv *conv;
    gla_norm norm;
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const conv_names[3] = {"q_conv1d.weight", "k_conv1d.weight",
                                              "v_conv1d.weight"};
    const uint32_t channels[3] = {l->qc, l->kc, l->vc};

    l->w_in[W_Q] = gla_declare_matrix(cfg, "q_proj.weight", l->qc, l->d);
    l->w_in[W_K] = gla_declare_matrix(cfg, "k_proj.weight", l->kc, l->d);
    l->w_in[W_V] = gla_declare_matrix(cfg, "v_proj.weight", l->vc, l->d);
    l->w_in[W_G] = GLA_ABSENT;
    if (cfg->params[P_OUTPUT_GATE].i)
        l->w_in[W_G] = gla_declare_matrix(cfg, "g_proj.weight", l->oc, l->d);
    l->w_in[W_LOW] = gla_declare_gate(cfg, "gk_proj.0.weight", l->low, l->d);
    l->w_up = gla_declare_gate(cfg, "gk_proj.1.weight", l->kc, l->low);
    l->b_up = gla_declare_vector(cfg, "gk_proj.1.bias", l->kc);
    for (uint32_t i = 0; i < 3 && l->conv_width; i++)
        l->w_conv[i] = gla_declare_taps(cfg, conv_names[i], channels[i], l->conv_width);
    l->w_norm = gla_declare_vector(cfg, "g_norm.weight", l->v);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->oc);

    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->k, l->v, 5.0 * l->qc * l->v);
    if (l->conv_width) {
        const uint32_t c = l->qc + l->kc + l->vc;

        l->s_conv =
            gla_declare_fixed(cfg, "conv", l->conv_width - 1, c, 0, 2.0 * c * l->conv_width);
    }
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_decay = gla_declare_rows(cfg, l->kc);
    l->t_out = gla_declare_rows(cfg, l->oc);
}

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));
    uint32_t groups;

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->kv_heads = p[P_KV_HEADS].i ? (uint32_t)p[P_KV_HEADS].i : l->heads;
    l->qc = p[P_K_DIM].i ? (uint32_t)p[P_K_DIM].i : (uint32_t)(p[P_EXPAND_K].f * l->d);
    l->oc = p[P_V_DIM].i ? (uint32_t)p[P_V_DIM].i : (uint32_t)(p[P_EXPAND_V].f * l->d);
    if (!l->qc || !l->oc || l->qc % l->heads || l->oc % l->heads || l->heads % l->kv_heads)
        return gla_host_fail(
            host, GLA_E_INVALID,
            "query and output channels must be multiples of heads, and heads of kv_heads");
    groups = l->heads / l->kv_heads;
    l->k = l->qc / l->heads;
    l->v = l->oc / l->heads;
    l->kc = l->qc / groups;
    l->vc = l->oc / groups;
    l->low = (uint32_t)p[P_GATE_LOW_RANK].i;
    l->conv_width = (uint32_t)p[P_CONV].i;
    l->feature_map = (uint32_t)p[P_FEATURE_MAP].i;
    l->gate_scale = (float)(1.0 / p[P_GATE_NORMALIZER].f);
    l->clamp_min = (float)p[P_CLAMP_MIN].f;
    l->width = l->qc + l->kc + l->vc + (p[P_OUTPUT_GATE].i ? l->oc : 0) + l->low;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = l->heads,
        .width = l->v,
        .gate_activation = GLA_ACT_SILU,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
        .ld_gate = l->width,
    };
    declare(l, cfg);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->up);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, NULL, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_up, &l->b_up, &l->up);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st && l->conv_width)
        st = gla_make_conv(l->host, weights, 3, l->w_conv, NULL, GLA_ACT_SILU, &l->conv);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st;
}

/* a [rows, kc] = max(log_sigmoid(W1 low + b1) / normaliser, clamp_min) */
static gla_status decay(const gla_layer *l, const gla_batch *b, const float *low, float *a)
{
    const gla_math *m = l->math;
    gla_status st = m->linear(b, l->up, b->n_rows, low, l->width, a, l->kc);

    if (!st)
        st = m->activation(b, GLA_ACT_LOG_SIGMOID, b->n_rows, l->kc, a, l->kc, a, l->kc);
    if (!st)
        st = m->scale(b, l->gate_scale, b->n_rows, l->kc, a, l->kc);
    if (!st && l->clamp_min > -INFINITY)
        st = m->clamp(b, l->clamp_min, 0, b->n_rows, l->kc, a, l->kc);
    return st;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = l->width;
    float *q = b->scratch[l->t_in]; /* [rows, q | k | v | g | low] */
    float *k = q + l->qc, *v = k + l->kc, *g = v + l->vc, *low = q + l->width - l->low;
    float *a = b->scratch[l->t_decay]; /* [rows, kc] */
    float *o = b->scratch[l->t_out];   /* [rows, oc] */
    gla_norm norm = l->norm;
    gla_status st = m->linear(b, l->in, n, b->x, l->d, q, ld);

    if (!st && l->conv)
        st = m->conv1d(b, l->conv, l->s_conv, q, ld, q, ld);
    if (!st && l->feature_map)
        st = m->activation(b, l->feature_map, n, l->qc + l->kc, q, ld, q, ld);
    if (!st)
        st = decay(l, b, low, a);
    if (st)
        return st;

    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_CHANNEL,
        .write = GLA_WRITE_ADD,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->v,
        .k_heads = l->kv_heads,
        .v_heads = l->kv_heads,
        .decay_heads = l->kv_heads,
        .state = l->s_state,
        .scale = 1.0f / sqrtf((float)l->k),
        .q = q,
        .k = k,
        .v = v,
        .log_decay = a,
        .ld_q = ld,
        .ld_k = ld,
        .ld_v = ld,
        .ld_decay = l->kc,
        .o = o,
        .ld_o = l->oc,
    };
    st = m->recurrence(b, &r);
    norm.gate = l->w_in[W_G] == GLA_ABSENT ? NULL : g;
    if (!st)
        st = m->norm(b, &norm, n, o, l->oc, o, l->oc);
    return st ? st : m->linear(b, l->out, n, o, l->oc, b->y, l->d);
}

GLA_LAYER_DEFINE(gla, "gla.gla/1", 1, "gated linear attention (arXiv 2312.06635)", GLA_LAYER_MIXER);
