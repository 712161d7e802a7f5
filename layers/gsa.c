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

#include <math.h>

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};

enum {
    P_HEADS,
    P_KV_HEADS,
    P_K_DIM,
    P_V_DIM,
    P_SLOTS,
    P_CONV,
    P_CONV_BIAS,
    P_FEATURE_MAP,
    P_GATE_NORMALIZER,
    P_SCALE,
    P_NORM_EPS,
    P_NORM_WEIGHT,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "query heads"),
    [P_KV_HEADS] = GLA_P_INT("kv_heads", 0, 0, 1024, "key, value and slot heads; 0 = heads"),
    [P_K_DIM] = GLA_P_INT("k_dim", 0, 0, 1 << 20, "all query channels; 0 = d_model"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20, "all output channels; 0 = d_model"),
    [P_SLOTS] = GLA_P_INT("slots", 64, 1, 4096, "slots of a head"),
    [P_CONV] = GLA_P_INT("conv", 0, 0, 64, "width of the short convolution of q, k, v; 0 = none"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    [P_FEATURE_MAP] = GLA_P_ENUM("feature_map", GLA_ACT_SILU, activations, "of q and k"),
    [P_GATE_NORMALIZER] = GLA_P_FLOAT("gate_normalizer", 8, 1e-6, 1e6, "divides the log decay"),
    [P_SCALE] = GLA_P_FLOAT("scale", 1, 0, 1e6, "of the slot scores"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    [P_NORM_WEIGHT] = GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight"),
};

enum { W_Q, W_K, W_V, W_F, N_IN };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, kv_heads, k, v, slots, channels[N_IN], oc, width, conv_width, feature_map;
    float gate_scale, scale;
    uint32_t w_in[N_IN], w_conv[3], b_conv[3], w_norm, w_out;
    uint32_t s_keys, s_values, s_conv, t_in, t_write, t_slots, t_out;
    gla_linear *in, *out;
    gla_conv *conv;
    gla_norm norm;
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const proj[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight",
                                       "f_proj.weight"};

    for (uint32_t i = 0; i < N_IN; i++) {
        l->w_in[i] = i == W_F ? gla_declare_gate(cfg, proj[i], l->channels[i], l->d)
                              : gla_declare_matrix(cfg, proj[i], l->channels[i], l->d);
        l->width += l->channels[i];
    }
    l->s_conv = gla_declare_convs(cfg, "qkv", l->channels, l->conv_width,
                                  (int)cfg->params[P_CONV_BIAS].i, l->w_conv, l->b_conv);
    l->w_norm = GLA_ABSENT;
    if (cfg->params[P_NORM_WEIGHT].i)
        l->w_norm = gla_declare_vector(cfg, "g_norm.weight", l->oc);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->oc);
    l->s_keys =
        gla_declare_fixed(cfg, "K", l->heads, l->k, l->slots, 5.0 * l->heads * l->k * l->slots);
    l->s_values =
        gla_declare_fixed(cfg, "V", l->heads, l->slots, l->v, 5.0 * l->heads * l->v * l->slots);
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_write = gla_declare_rows(cfg, l->channels[W_F]);
    l->t_slots = gla_declare_rows(cfg, (size_t)l->heads * l->slots);
    l->t_out = gla_declare_rows(cfg, l->oc);
}

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));
    uint32_t qc, groups;

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->kv_heads = p[P_KV_HEADS].i ? (uint32_t)p[P_KV_HEADS].i : l->heads;
    qc = p[P_K_DIM].i ? (uint32_t)p[P_K_DIM].i : l->d;
    l->oc = p[P_V_DIM].i ? (uint32_t)p[P_V_DIM].i : l->d;
    if (qc % l->heads || l->oc % l->heads || l->heads % l->kv_heads)
        return gla_host_fail(host, GLA_E_INVALID,
                             "k_dim and v_dim must be multiples of heads, and heads of kv_heads");
    groups = l->heads / l->kv_heads;
    l->k = qc / l->heads;
    l->v = l->oc / l->heads;
    l->slots = (uint32_t)p[P_SLOTS].i;
    l->channels[W_Q] = qc;
    l->channels[W_K] = qc / groups;
    l->channels[W_V] = l->oc / groups;
    l->channels[W_F] = l->kv_heads * l->slots;
    l->conv_width = (uint32_t)p[P_CONV].i;
    l->feature_map = (uint32_t)p[P_FEATURE_MAP].i;
    l->gate_scale = (float)(1.0 / p[P_GATE_NORMALIZER].f);
    l->scale = (float)p[P_SCALE].f;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = 1,
        .width = l->oc,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
    };
    declare(l, cfg);
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
    gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, NULL, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st && l->conv_width)
        st = gla_make_conv(l->host, weights, 3, l->w_conv, l->b_conv, GLA_ACT_SILU, &l->conv);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st;
}

typedef struct job {
    const gla_layer *l;
    const float *decay; /* [rows, kv_heads * slots], distance width */
    float *write;       /* 1 - exp(decay) */
} job;

static void write_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const uint32_t n = j->l->channels[W_F];

    for (uint32_t r = first; r < last; r++)
        for (uint32_t c = 0; c < n; c++)
            j->write[(size_t)r * n + c] = -expm1f(j->decay[(size_t)r * j->l->width + c]);
}

/* q, k, v and the log decay, in place */
static gla_status prepare(const gla_layer *l, const gla_batch *b, float *q, float *v, float *f)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, slots = l->channels[W_F];
    const size_t ld = l->width;
    gla_status st = GLA_OK;

    if (l->conv)
        st = m->conv1d(b, l->conv, l->s_conv, q, ld, q, ld);
    if (!st)
        st = m->activation(b, l->feature_map, n, l->channels[W_Q] + l->channels[W_K], q, ld, q, ld);
    if (!st)
        st = m->activation(b, GLA_ACT_SILU, n, l->channels[W_V], v, ld, v, ld);
    if (!st)
        st = m->activation(b, GLA_ACT_LOG_SIGMOID, n, slots, f, ld, f, ld);
    return st ? st : m->scale(b, l->gate_scale, n, slots, f, ld);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, slots = l->channels[W_F];
    const size_t ld = l->width, ld_p = (size_t)l->heads * l->slots;
    float *q = b->scratch[l->t_in]; /* [rows, q | k | v | f] */
    float *k = q + l->channels[W_Q], *v = k + l->channels[W_K], *f = v + l->channels[W_V];
    float *p = b->scratch[l->t_slots], *o = b->scratch[l->t_out];
    const gla_norm softmax = {.struct_size = sizeof(softmax),
                              .kind = GLA_NORM_SOFTMAX,
                              .groups = l->heads,
                              .width = l->slots};
    job j = {l, f, b->scratch[l->t_write]};
    gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_VALUE,
        .write = GLA_WRITE_ADD,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->slots,
        .k_heads = l->kv_heads,
        .v_heads = l->kv_heads,
        .decay_heads = l->kv_heads,
        .state = l->s_keys,
        .scale = l->scale,
        .q = q,
        .k = k,
        .v = j.write,
        .log_decay = f,
        .ld_q = ld,
        .ld_k = ld,
        .ld_v = slots,
        .ld_decay = ld,
        .o = p,
        .ld_o = ld_p,
    };
    gla_status st = m->linear(b, l->in, n, b->x, l->d, q, ld);

    if (!st)
        st = prepare(l, b, q, v, f);
    if (!st)
        st = m->for_rows(b, n, write_rows, &j);
    if (!st)
        st = m->recurrence(b, &r);
    if (!st)
        st = m->norm(b, &softmax, n, p, ld_p, p, ld_p);
    if (st)
        return st;
    r.decay = GLA_DECAY_CHANNEL;
    r.k_dim = l->slots;
    r.v_dim = l->v;
    r.state = l->s_values;
    r.scale = 1;
    r.q = p;
    r.k = j.write;
    r.v = v;
    r.ld_q = ld_p;
    r.ld_k = slots;
    r.ld_v = ld;
    r.o = o;
    r.ld_o = l->oc;
    st = m->recurrence(b, &r);
    if (!st)
        st = m->activation(b, GLA_ACT_SILU, n, l->oc, o, l->oc, o, l->oc);
    if (!st)
        st = m->norm(b, &l->norm, n, o, l->oc, o, l->oc);
    return st ? st : m->linear(b, l->out, n, o, l->oc, b->y, l->d);
}

GLA_LAYER_DEFINE(gsa, "gla.gsa/1", 1, "gated slot attention (arXiv 2409.07146)", GLA_LAYER_MIXER);
