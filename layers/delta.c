/* SPDX-License-Identifier: Apache-2.0
 *
 * delta.c - the delta rule family: the write corrects what the state already predicts for this key
 *
 *   deltanet        Yang et al., arXiv 2406.06484      no decay
 *   gated_deltanet  Yang et al., arXiv 2412.06464      a = -exp(A_log) softplus(Wa x + dt),
 *                                                     per head
 *   kda             Kimi Linear, arXiv 2510.26692      the same per key channel, Wa of low rank
 *
 *   q, k, v = silu(conv(Wq x)), ... ;  q, k = l2norm(q), l2norm(k) ;  beta = sigmoid(Wb x)
 *   S = exp(a) S ;  S = S + k beta (v - S^T k)^T          state [H, K, V]
 *   y = Wo ( rmsnorm(q^T S / sqrt K) * act(gate) )
 *
 * H value heads; q and k may have fewer (value head h uses key head h / (H / key_heads)).
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

typedef enum family { DELTANET, GATED_DELTANET, KDA } family;

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};
static const char *const qk_norms[] = {"none", "l2", "sum", NULL};
enum { QK_NONE, QK_L2, QK_SUM };

enum {
    P_HEADS,
    P_KEY_HEADS,
    P_K_HEAD,
    P_V_HEAD,
    P_CONV,
    P_CONV_BIAS,
    P_OUTPUT_GATE,
    P_GATE_ACTIVATION,
    P_GATE_BIAS,
    P_BETA,
    P_NEG_EIGVAL,
    P_QK_ACTIVATION,
    P_QK_NORM,
    P_LOWER_BOUND,
    P_NORM_EPS,
    P_NORM_WEIGHT,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "value heads"),
    [P_KEY_HEADS] = GLA_P_INT("key_heads", 0, 0, 1024, "query and key heads; 0 = heads"),
    [P_K_HEAD] = GLA_P_INT_REQ("head_k_dim", 1, 4096, "key channels of a head"),
    [P_V_HEAD] = GLA_P_INT("head_v_dim", 0, 0, 4096, "value channels of a head; 0 = head_k_dim"),
    [P_CONV] = GLA_P_INT("conv", 4, 0, 64, "width of the short convolution of q, k, v; 0 = none"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    [P_OUTPUT_GATE] = GLA_P_BOOL("output_gate", 1, "gate the normed output"),
    [P_GATE_ACTIVATION] = GLA_P_ENUM("gate_activation", GLA_ACT_SILU, activations,
                                     "of the output gate (kda: sigmoid)"),
    [P_GATE_BIAS] = GLA_P_BOOL("gate_bias", 0, "kda: bias of the output gate's second map"),
    [P_BETA] = GLA_P_BOOL("beta", 1, "learned write strength; otherwise 1"),
    [P_NEG_EIGVAL] = GLA_P_BOOL("neg_eigval", 0, "beta in (0, 2): negative eigenvalues"),
    [P_QK_ACTIVATION] = GLA_P_ENUM("qk_activation", GLA_ACT_SILU, activations, "of q and k"),
    [P_QK_NORM] = GLA_P_ENUM("qk_norm", QK_L2, qk_norms, "of q and k, per head"),
    [P_LOWER_BOUND] = GLA_P_FLOAT("decay_lower_bound", 0, -1e6, 0,
                                  "kda: a = bound * sigmoid(exp(A_log) (Wa x + dt)); 0 = off"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    [P_NORM_WEIGHT] = GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight"),
};

enum { W_Q, W_K, W_V, W_G, W_B, W_A, N_IN }; /* kda: W_G and W_A are the low-rank first maps */

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    family family;
    uint32_t d, heads, key_heads, k, v;
    uint32_t kc, vc, conv_width, qk_activation, qk_norm;
    uint32_t channels[N_IN], offset[N_IN], width; /* of the parts of the input projection */
    uint32_t decay_channels;                      /* 0, H or H K */
    float beta_scale, lower_bound;
    uint32_t w_in[N_IN], b_in[N_IN], w_conv[3], b_conv[3];
    uint32_t w_a_up, w_g_up, b_g_up, w_a_log, w_dt, w_norm, w_out;
    uint32_t s_state, s_conv, t_in, t_decay, t_gate, t_out;
    gla_linear *in, *a_up, *g_up, *out;
    gla_conv *conv;
    gla_norm norm;
    float *decay_rate; /* [decay_channels]: -exp(A_log), or exp(A_log) with a lower bound */
};

static void declare_decay(gla_layer *l, const gla_layer_config *cfg)
{
    l->w_a_up = l->w_a_log = l->w_dt = GLA_ABSENT;
    if (l->family == DELTANET)
        return;
    if (l->family == KDA) {
        l->w_in[W_A] = gla_declare_gate(cfg, "f_proj.0.weight", l->v, l->d);
        l->w_a_up = gla_declare_gate(cfg, "f_proj.1.weight", l->decay_channels, l->v);
        l->channels[W_A] = l->v;
    } else {
        l->w_in[W_A] = gla_declare_gate(cfg, "a_proj.weight", l->heads, l->d);
        l->channels[W_A] = l->heads;
    }
    l->w_a_log = gla_declare_vector(cfg, "A_log", l->heads);
    l->w_dt = gla_declare_vector(cfg, "dt_bias", l->decay_channels);
    if (l->family == GATED_DELTANET)
        l->b_in[W_A] = l->w_dt;
    l->t_decay = gla_declare_rows(cfg, l->decay_channels);
}

static void declare_gate(gla_layer *l, const gla_layer_config *cfg)
{
    l->w_g_up = l->b_g_up = GLA_ABSENT;
    if (!cfg->params[P_OUTPUT_GATE].i)
        return;
    if (l->family != KDA) {
        l->w_in[W_G] = gla_declare_matrix(cfg, "g_proj.weight", l->vc, l->d);
        l->channels[W_G] = l->vc;
        return;
    }
    l->w_in[W_G] = gla_declare_gate(cfg, "g_proj.0.weight", l->v, l->d);
    l->channels[W_G] = l->v;
    l->w_g_up = gla_declare_gate(cfg, "g_proj.1.weight", l->vc, l->v);
    if (cfg->params[P_GATE_BIAS].i)
        l->b_g_up = gla_declare_vector(cfg, "g_proj.1.bias", l->vc);
    l->t_gate = gla_declare_rows(cfg, l->vc);
}

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const proj[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight"};

    for (uint32_t i = 0; i < N_IN; i++)
        l->w_in[i] = l->b_in[i] = GLA_ABSENT;
    for (uint32_t i = 0; i < 3; i++) {
        l->channels[i] = i == W_V ? l->vc : l->kc;
        l->w_in[i] = gla_declare_matrix(cfg, proj[i], l->channels[i], l->d);
    }
    l->s_conv = gla_declare_convs(cfg, "qkv", l->channels, l->conv_width,
                                  (int)cfg->params[P_CONV_BIAS].i, l->w_conv, l->b_conv);
    if (cfg->params[P_BETA].i) {
        l->w_in[W_B] = gla_declare_gate(cfg, "b_proj.weight", l->heads, l->d);
        l->channels[W_B] = l->heads;
    }
    declare_gate(l, cfg);
    declare_decay(l, cfg);
    l->w_norm = GLA_ABSENT;
    if (cfg->params[P_NORM_WEIGHT].i)
        l->w_norm = gla_declare_vector(cfg, "o_norm.weight", l->v);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->vc);
    for (uint32_t i = 0; i < N_IN; i++) {
        l->offset[i] = l->width;
        l->width += l->channels[i];
    }
    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->k, l->v, 7.0 * l->heads * l->k * l->v);
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_out = gla_declare_rows(cfg, l->vc);
}

static gla_status create_delta(const gla_host *host, const gla_layer_config *cfg, family f,
                               gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->family = f;
    l->d = cfg->d_in;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->key_heads = p[P_KEY_HEADS].i ? (uint32_t)p[P_KEY_HEADS].i : l->heads;
    if (l->heads % l->key_heads)
        return gla_host_fail(host, GLA_E_INVALID, "heads must be a multiple of key_heads");
    l->k = (uint32_t)p[P_K_HEAD].i;
    l->v = p[P_V_HEAD].i ? (uint32_t)p[P_V_HEAD].i : l->k;
    l->kc = l->key_heads * l->k;
    l->vc = l->heads * l->v;
    l->conv_width = (uint32_t)p[P_CONV].i;
    l->qk_activation = (uint32_t)p[P_QK_ACTIVATION].i;
    l->qk_norm = (uint32_t)p[P_QK_NORM].i;
    l->beta_scale = p[P_NEG_EIGVAL].i ? 2.0f : 1.0f;
    l->lower_bound = (float)p[P_LOWER_BOUND].f;
    l->decay_channels = f == DELTANET ? 0 : f == KDA ? l->heads * l->k : l->heads;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = l->heads,
        .width = l->v,
        .gate_activation = f != KDA || p[P_GATE_ACTIVATION].is_set
                               ? (uint32_t)p[P_GATE_ACTIVATION].i
                               : GLA_ACT_SIGMOID,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
    };
    declare(l, cfg);
    return GLA_OK;
}

static gla_status create_deltanet(const gla_host *host, const gla_layer_config *cfg,
                                  gla_layer **out)
{
    return create_delta(host, cfg, DELTANET, out);
}

static gla_status create_gated(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_delta(host, cfg, GATED_DELTANET, out);
}

static gla_status create_kda(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_delta(host, cfg, KDA, out);
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->a_up);
    l->math->linear_destroy(l->g_up);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l->decay_rate);
    gla_host_delete(l->host, l);
}

static gla_status bind_decay(gla_layer *l, const gla_tensor *weights)
{
    const float *a_log = gla_weight_f32(weights, l->w_a_log);
    const uint32_t per_head = l->decay_channels / l->heads;

    if (!a_log)
        return GLA_OK;
    l->decay_rate = gla_host_new(l->host, l->decay_channels * sizeof(float));
    if (!l->decay_rate)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < l->decay_channels; i++)
        l->decay_rate[i] = expf(a_log[i / per_head]) * (l->lower_bound < 0 ? 1.0f : -1.0f);
    return l->family == KDA ? gla_make_linear(l->host, weights, 1, &l->w_a_up, &l->w_dt, &l->a_up)
                            : GLA_OK;
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, l->b_in, &l->in);

    if (!st && l->w_g_up != GLA_ABSENT)
        st = gla_make_linear(l->host, weights, 1, &l->w_g_up, &l->b_g_up, &l->g_up);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st && l->conv_width)
        st = gla_make_conv(l->host, weights, 3, l->w_conv, l->b_conv, GLA_ACT_NONE, &l->conv);
    if (!st)
        st = bind_decay(l, weights);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st;
}

typedef struct sum_job {
    float *x; /* [rows, heads * k] at distance ld */
    size_t ld;
    uint32_t heads, k;
} sum_job;

/* x = x / max(sum |x|, 1e-6), per head */
static void sum_rows(void *arg, uint32_t first, uint32_t last)
{
    const sum_job *j = arg;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t h = 0; h < j->heads; h++) {
            float *x = j->x + r * j->ld + (size_t)h * j->k, sum = 0;

            for (uint32_t i = 0; i < j->k; i++)
                sum += fabsf(x[i]);
            for (uint32_t i = 0; i < j->k; i++)
                x[i] /= sum > 1e-6f ? sum : 1e-6f;
        }
}

/* Convolution, activations and norms of q, k, v, in place. */
static gla_status prepare(const gla_layer *l, const gla_batch *b, float *q, size_t ld)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    float *v = q + l->offset[W_V];
    gla_status st = GLA_OK;

    if (l->conv)
        st = m->conv1d(b, l->conv, l->s_conv, q, ld, q, ld);
    if (!st)
        st = m->activation(b, l->qk_activation, n, 2 * l->kc, q, ld, q, ld);
    if (!st)
        st = m->activation(b, GLA_ACT_SILU, n, l->vc, v, ld, v, ld);
    if (!st && l->qk_norm == QK_L2) {
        const gla_norm norm = {.struct_size = sizeof(norm),
                               .kind = GLA_NORM_L2,
                               .groups = 2 * l->key_heads,
                               .width = l->k,
                               .eps = 1e-6f};

        st = m->norm(b, &norm, n, q, ld, q, ld);
    } else if (!st && l->qk_norm == QK_SUM) {
        sum_job job = {q, ld, 2 * l->key_heads, l->k};

        st = m->for_rows(b, n, sum_rows, &job);
    }
    return st;
}

/* log decay [rows, decay_channels] */
static gla_status decay(const gla_layer *l, const gla_batch *b, const float *in, float *a)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, c = l->decay_channels;
    const float *first = in + l->offset[W_A];
    gla_status st = l->family == KDA ? m->linear(b, l->a_up, n, first, l->width, a, c)
                                     : m->activation(b, GLA_ACT_NONE, n, c, first, l->width, a, c);

    if (!st && l->lower_bound < 0) {
        st = m->scale_channels(b, l->decay_rate, n, c, a, c);
        if (!st)
            st = m->activation(b, GLA_ACT_SIGMOID, n, c, a, c, a, c);
        return st ? st : m->scale(b, l->lower_bound, n, c, a, c);
    }
    if (!st)
        st = m->activation(b, GLA_ACT_SOFTPLUS, n, c, a, c, a, c);
    return st ? st : m->scale_channels(b, l->decay_rate, n, c, a, c);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    static const gla_decay decays[] = {GLA_DECAY_NONE, GLA_DECAY_HEAD, GLA_DECAY_CHANNEL};
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = l->width;
    float *in = b->scratch[l->t_in]; /* [rows, q | k | v | gate | beta | decay] */
    float *beta = in + l->offset[W_B], *gate = in + l->offset[W_G], *o = b->scratch[l->t_out];
    float *a = l->decay_channels ? b->scratch[l->t_decay] : NULL;
    const int has_beta = l->w_in[W_B] != GLA_ABSENT;
    gla_norm norm = l->norm;
    gla_status st = m->linear(b, l->in, n, b->x, l->d, in, ld);

    if (!st)
        st = prepare(l, b, in, ld);
    if (!st && has_beta)
        st = m->activation(b, GLA_ACT_SIGMOID, n, l->heads, beta, ld, beta, ld);
    if (!st && has_beta && l->beta_scale != 1.0f)
        st = m->scale(b, l->beta_scale, n, l->heads, beta, ld);
    if (!st && a)
        st = decay(l, b, in, a);
    if (st)
        return st;

    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = decays[l->family],
        .write = GLA_WRITE_DELTA,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->v,
        .q_heads = l->key_heads,
        .k_heads = l->key_heads,
        .state = l->s_state,
        .scale = 1.0f / sqrtf((float)l->k),
        .q = in,
        .k = in + l->offset[W_K],
        .v = in + l->offset[W_V],
        .log_decay = a,
        .beta = has_beta ? beta : NULL,
        .ld_q = ld,
        .ld_k = ld,
        .ld_v = ld,
        .ld_decay = l->decay_channels,
        .ld_beta = ld,
        .o = o,
        .ld_o = l->vc,
    };
    st = m->recurrence(b, &r);
    norm.gate = l->w_in[W_G] == GLA_ABSENT ? NULL : gate;
    norm.ld_gate = ld;
    if (!st && l->g_up) {
        norm.gate = b->scratch[l->t_gate];
        norm.ld_gate = l->vc;
        st = m->linear(b, l->g_up, n, gate, ld, b->scratch[l->t_gate], l->vc);
    }
    if (!st)
        st = m->norm(b, &norm, n, o, l->vc, o, l->vc);
    return st ? st : m->linear(b, l->out, n, o, l->vc, b->y, l->d);
}

GLA_LAYER_DESC(deltanet, "gla.deltanet/1", 1, "DeltaNet (arXiv 2406.06484)", GLA_LAYER_MIXER,
               create_deltanet);
GLA_LAYER_DESC(gated_deltanet, "gla.gated_deltanet/1", 1, "Gated DeltaNet (arXiv 2412.06464)",
               GLA_LAYER_MIXER, create_gated);
GLA_LAYER_DESC(kda, "gla.kda/1", 1, "Kimi delta attention (arXiv 2510.26692)", GLA_LAYER_MIXER,
               create_kda);
static const gla_layer_desc *const layers[] = {&deltanet_desc, &gated_deltanet_desc, &kda_desc};
GLA_PLUGIN_DEFINE(delta, "1.0", "Apache-2.0", NULL, NULL, layers);
