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
 *
 * Every published reading of the name is a switch away: the forget gate per channel or per head
 * from one map, or none; normalised over the heads; an input gate 1 - exp(a); a running normaliser;
 * the output gate as a sigmoid normalised over the heads; biases; no output norm. simple_gla is the
 * same with one forget gate a head.
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

typedef enum family { GLA, SIMPLE_GLA } family;

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};
static const char *const forgets[] = {"default", "low_rank", "channel", "head", "none", NULL};
static const char *const normalisers[] = {"none", "sum", "max", NULL};
enum { FORGET_DEFAULT, FORGET_LOW_RANK, FORGET_CHANNEL, FORGET_HEAD, FORGET_NONE };

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
    P_FORGET,
    P_FORGET_OVER_HEADS,
    P_INPUT_GATE,
    P_NORMALISER,
    P_NORMALISER_EPS,
    P_GATE_ACTIVATION,
    P_GATE_OVER_HEADS,
    P_OUTPUT_NORM,
    P_NORM_WEIGHT,
    P_BIAS,
    P_CONV_BIAS,
    P_SCALE,
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
    [P_FORGET] = GLA_P_ENUM("forget", FORGET_DEFAULT, forgets,
                            "forget gate: W1 W0 x per channel, W x per channel or head, none"),
    [P_FORGET_OVER_HEADS] =
        GLA_P_BOOL("forget_over_heads", 0, "forget gates sum to 1 over the heads"),
    [P_INPUT_GATE] = GLA_P_BOOL("input_gate", 0, "k times 1 - forget gate"),
    [P_NORMALISER] = GLA_P_ENUM("normaliser", GLA_NORMALISER_NONE, normalisers,
                                "divide by z.q, or by max(|z.q|, eps)"),
    [P_NORMALISER_EPS] = GLA_P_FLOAT("normaliser_eps", 1e-10, 0, 1e6, "of the normaliser"),
    [P_GATE_ACTIVATION] =
        GLA_P_ENUM("gate_activation", GLA_ACT_SILU, activations, "of the output gate"),
    [P_GATE_OVER_HEADS] =
        GLA_P_BOOL("gate_over_heads", 0, "output gates, sigmoids, sum to 1 over the heads"),
    [P_OUTPUT_NORM] = GLA_P_BOOL("output_norm", 1, "rmsnorm of the output, per head"),
    [P_NORM_WEIGHT] = GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "biases of q, k, v, the output gate and the output"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    [P_SCALE] = GLA_P_FLOAT("scale", 0, 0, 1e6, "of the queries; 0 = 1 / sqrt(K)"),
};

enum { W_Q, W_K, W_V, W_G, W_F, N_IN };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, kv_heads, k, v;      /* k, v: per head */
    uint32_t channels[N_IN], oc, width, ac; /* of the input projection's parts, output, decay */
    uint32_t conv_width, feature_map, forget, forget_over_heads, input_gate, gate_over_heads;
    uint32_t normaliser, output_norm, gate_activation;
    float gate_scale, clamp_min, scale, normaliser_eps;
    uint32_t w_in[N_IN], b_in[N_IN], w_conv[3], b_conv[3], w_up, b_up, w_norm, w_out, b_out;
    uint32_t s_state, s_z, s_conv; /* states */
    uint32_t t_in, t_decay, t_out; /* scratch */
    gla_linear *in, *up, *out;
    gla_conv *conv;
    gla_norm norm;
};

static void declare_inputs(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const weight[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight",
                                         "g_proj.weight", "gk_proj.weight"};
    static const char *const bias[] = {"q_proj.bias", "k_proj.bias", "v_proj.bias", "g_proj.bias",
                                       "gk_proj.bias"};

    l->w_up = l->b_up = GLA_ABSENT;
    for (uint32_t i = 0; i < N_IN; i++) {
        const uint32_t low_rank = i == W_F && l->forget == FORGET_LOW_RANK;

        l->w_in[i] = l->b_in[i] = GLA_ABSENT;
        l->width += l->channels[i];
        if (!l->channels[i])
            continue;
        l->w_in[i] = i == W_F ? gla_declare_gate(cfg, low_rank ? "gk_proj.0.weight" : weight[i],
                                                 l->channels[i], l->d)
                              : gla_declare_matrix(cfg, weight[i], l->channels[i], l->d);
        if (i == W_F ? !low_rank : (int)cfg->params[P_BIAS].i)
            l->b_in[i] = gla_declare_vector(cfg, bias[i], l->channels[i]);
    }
    if (l->forget == FORGET_LOW_RANK) {
        l->w_up = gla_declare_gate(cfg, "gk_proj.1.weight", l->ac, l->channels[W_F]);
        l->b_up = gla_declare_vector(cfg, "gk_proj.1.bias", l->ac);
    }
}

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    declare_inputs(l, cfg);
    l->s_conv = gla_declare_convs(cfg, "qkv", l->channels, l->conv_width,
                                  (int)cfg->params[P_CONV_BIAS].i, l->w_conv, l->b_conv);
    l->w_norm = l->b_out = GLA_ABSENT;
    if (l->output_norm && cfg->params[P_NORM_WEIGHT].i)
        l->w_norm = gla_declare_vector(cfg, "g_norm.weight", l->v);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->oc);
    if (cfg->params[P_BIAS].i)
        l->b_out = gla_declare_vector(cfg, "o_proj.bias", l->d);

    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->k, l->v, 5.0 * l->channels[W_Q] * l->v);
    if (l->normaliser)
        l->s_z = gla_declare_fixed(cfg, "z", l->heads, l->k, 0, 5.0 * l->channels[W_Q]);
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_decay = gla_declare_rows(cfg, l->ac);
    l->t_out = gla_declare_rows(cfg, l->oc);
}

static void read_switches(gla_layer *l, const gla_param_value *p, family f)
{
    l->forget = (uint32_t)p[P_FORGET].i;
    if (l->forget == FORGET_DEFAULT)
        l->forget = f == GLA ? FORGET_LOW_RANK : FORGET_HEAD;
    l->forget_over_heads = (uint32_t)p[P_FORGET_OVER_HEADS].i;
    l->input_gate = (uint32_t)p[P_INPUT_GATE].i;
    l->normaliser = (uint32_t)p[P_NORMALISER].i;
    l->normaliser_eps = (float)p[P_NORMALISER_EPS].f;
    l->gate_over_heads = (uint32_t)p[P_GATE_OVER_HEADS].i;
    l->gate_activation = (uint32_t)p[P_GATE_ACTIVATION].i;
    l->output_norm = (uint32_t)p[P_OUTPUT_NORM].i;
    l->conv_width = (uint32_t)p[P_CONV].i;
    l->feature_map = (uint32_t)p[P_FEATURE_MAP].i;
    l->gate_scale = (float)(1.0 / p[P_GATE_NORMALIZER].f);
    l->clamp_min = (float)p[P_CLAMP_MIN].f;
}

static gla_status create_gla(const gla_host *host, const gla_layer_config *cfg, family f,
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
    l->d = cfg->d_in;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->kv_heads = p[P_KV_HEADS].i ? (uint32_t)p[P_KV_HEADS].i : l->heads;
    qc = p[P_K_DIM].i ? (uint32_t)p[P_K_DIM].i : (uint32_t)(p[P_EXPAND_K].f * l->d);
    l->oc = p[P_V_DIM].i ? (uint32_t)p[P_V_DIM].i : (uint32_t)(p[P_EXPAND_V].f * l->d);
    if (!qc || !l->oc || qc % l->heads || l->oc % l->heads || l->heads % l->kv_heads)
        return gla_host_fail(
            host, GLA_E_INVALID,
            "query and output channels must be multiples of heads, and heads of kv_heads");
    read_switches(l, p, f);
    if (l->forget == FORGET_NONE && (l->input_gate || l->forget_over_heads))
        return gla_host_fail(host, GLA_E_INVALID,
                             "input_gate and forget_over_heads need a forget gate");
    groups = l->heads / l->kv_heads;
    l->k = qc / l->heads;
    l->v = l->oc / l->heads;
    l->scale = p[P_SCALE].f > 0 ? (float)p[P_SCALE].f : 1.0f / sqrtf((float)l->k);
    l->channels[W_Q] = qc;
    l->channels[W_K] = qc / groups;
    l->channels[W_V] = l->oc / groups;
    l->channels[W_G] = p[P_OUTPUT_GATE].i ? l->oc : 0;
    l->ac = l->forget == FORGET_NONE   ? 0
            : l->forget == FORGET_HEAD ? l->kv_heads
                                       : l->channels[W_K];
    l->channels[W_F] = l->forget == FORGET_LOW_RANK ? (uint32_t)p[P_GATE_LOW_RANK].i : l->ac;
    declare(l, cfg);
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = l->heads,
        .width = l->v,
        .gate_activation = l->gate_over_heads ? GLA_ACT_NONE : l->gate_activation,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
        .ld_gate = l->width,
    };
    return GLA_OK;
}

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_gla(host, cfg, GLA, out);
}

static gla_status create_simple(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_gla(host, cfg, SIMPLE_GLA, out);
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
    gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, l->b_in, &l->in);

    if (!st && l->w_up != GLA_ABSENT)
        st = gla_make_linear(l->host, weights, 1, &l->w_up, &l->b_up, &l->up);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, &l->b_out, &l->out);
    if (!st && l->conv_width)
        st = gla_make_conv(l->host, weights, 3, l->w_conv, l->b_conv, GLA_ACT_SILU, &l->conv);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st;
}

typedef struct job {
    const gla_layer *l;
    float *k, *g, *a; /* rows of k and g (distance width) and of the decay (distance ac) */
} job;

/* x = sigmoid(x) / (sum over the heads of sigmoid(x) + 1e-8), for each of `width` channels */
static void share_over_heads(float *x, uint32_t heads, uint32_t width)
{
    for (uint32_t i = 0; i < heads * width; i++)
        x[i] = 1.0f / (1.0f + expf(-x[i]));
    for (uint32_t c = 0; c < width; c++) {
        float sum = 1e-8f;

        for (uint32_t h = 0; h < heads; h++)
            sum += x[h * width + c];
        for (uint32_t h = 0; h < heads; h++)
            x[h * width + c] /= sum;
    }
}

static void share_forget_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        float *a = j->a + (size_t)r * l->ac;

        share_over_heads(a, l->kv_heads, l->ac / l->kv_heads);
        for (uint32_t c = 0; c < l->ac; c++)
            a[c] = logf(a[c]);
    }
}

static void share_gate_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;

    for (uint32_t r = first; r < last; r++)
        share_over_heads(j->g + (size_t)r * j->l->width, j->l->heads, j->l->v);
}

static void input_gate_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;
    const uint32_t per_gate = l->channels[W_K] / l->ac;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t c = 0; c < l->channels[W_K]; c++)
            j->k[(size_t)r * l->width + c] *= -expm1f(j->a[(size_t)r * l->ac + c / per_gate]);
}

/* a [rows, ac] = max(log_sigmoid(f) / normaliser, clamp_min), f from the projected rows at `from`
 */
static gla_status decay(const gla_layer *l, const gla_batch *b, const float *from, job *j)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, ac = l->ac;
    gla_status st = l->up ? m->linear(b, l->up, n, from, l->width, j->a, ac)
                          : m->activation(b, GLA_ACT_NONE, n, ac, from, l->width, j->a, ac);

    if (!st && l->forget_over_heads) {
        st = m->for_rows(b, n, share_forget_rows, j);
    } else if (!st) {
        st = m->activation(b, GLA_ACT_LOG_SIGMOID, n, ac, j->a, ac, j->a, ac);
        if (!st)
            st = m->scale(b, l->gate_scale, n, ac, j->a, ac);
    }
    if (!st && l->clamp_min > -INFINITY)
        st = m->clamp(b, l->clamp_min, INFINITY, n, ac, j->a, ac);
    if (!st && l->input_gate)
        st = m->for_rows(b, n, input_gate_rows, j);
    return st;
}

/* Norm and output gate of o, in place. */
static gla_status finish(const gla_layer *l, const gla_batch *b, job *j, float *o)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    gla_norm norm = l->norm;
    gla_status st = GLA_OK;

    norm.gate = l->channels[W_G] ? j->g : NULL;
    if (norm.gate && l->gate_over_heads)
        st = m->for_rows(b, n, share_gate_rows, j);
    if (!st && l->output_norm)
        st = m->norm(b, &norm, n, o, l->oc, o, l->oc);
    else if (!st && norm.gate)
        st = m->glu(b, norm.gate_activation, n, l->oc, j->g, l->width, o, l->oc, o, l->oc);
    return st;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    static const uint32_t decays[] = {0, GLA_DECAY_CHANNEL, GLA_DECAY_CHANNEL, GLA_DECAY_HEAD,
                                      GLA_DECAY_NONE};
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, qk = l->channels[W_Q] + l->channels[W_K];
    const size_t ld = l->width;
    float *q = b->scratch[l->t_in]; /* [rows, q | k | v | g | f] */
    float *k = q + l->channels[W_Q], *v = k + l->channels[W_K], *g = v + l->channels[W_V];
    float *o = b->scratch[l->t_out]; /* [rows, oc] */
    job j = {l, k, g, b->scratch[l->t_decay]};
    gla_status st = m->linear(b, l->in, n, b->x, l->d, q, ld);

    if (!st && l->conv)
        st = m->conv1d(b, l->conv, l->s_conv, q, ld, q, ld);
    if (!st && l->feature_map)
        st = m->activation(b, l->feature_map, n, qk, q, ld, q, ld);
    if (!st && l->ac)
        st = decay(l, b, q + ld - l->channels[W_F], &j);
    if (st)
        return st;

    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = decays[l->forget],
        .write = GLA_WRITE_ADD,
        .normaliser = l->normaliser,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->v,
        .k_heads = l->kv_heads,
        .v_heads = l->kv_heads,
        .decay_heads = l->kv_heads,
        .state = l->s_state,
        .z_state = l->s_z,
        .scale = l->scale,
        .eps = l->normaliser_eps,
        .q = q,
        .k = k,
        .v = v,
        .log_decay = j.a,
        .ld_q = ld,
        .ld_k = ld,
        .ld_v = ld,
        .ld_decay = l->ac,
        .o = o,
        .ld_o = l->oc,
    };
    st = m->recurrence(b, &r);
    if (!st)
        st = finish(l, b, &j, o);
    return st ? st : m->linear(b, l->out, n, o, l->oc, b->y, l->d);
}

GLA_LAYER_DESC(gla, "gla.gla/1", 1, "gated linear attention (arXiv 2312.06635)", GLA_LAYER_MIXER,
               create);
GLA_LAYER_DESC(simple_gla, "gla.simple_gla/1", 1,
               "gated linear attention, one gate a head (arXiv 2312.06635)", GLA_LAYER_MIXER,
               create_simple);
static const gla_layer_desc *const layers[] = {&gla_desc, &simple_gla_desc};
GLA_PLUGIN_DEFINE(gla, "1.0", "Apache-2.0", NULL, NULL, layers);
