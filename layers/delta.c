/* SPDX-License-Identifier: Apache-2.0
 *
 * delta.c - the delta rule family: the write corrects what the state already predicts for this key
 *
 *   deltanet        Yang et al., arXiv 2406.06484   no decay
 *   gated_deltanet  Yang et al., arXiv 2412.06464   a = -exp(A_log) softplus(Wa x + dt), per head
 *   kda             Kimi Linear, arXiv 2510.26692   the same per key channel, Wa of low rank
 *
 *   q, k, v = silu(conv(Wq x)), ... ;  q, k = l2norm(q), l2norm(k) ;  beta = sigmoid(Wb x)
 *   S = exp(a) S ;  S = S + k beta (v - S^T k)^T          state [H, K, V]
 *   y = Wo ( rmsnorm(q^T S / sqrt K) * act(gate) )
 *
 * H value heads; q and k may have fewer (value head h uses key head h / (H / key_heads)).
 */
#include <gla/blocks.h>

#include <math.h>

typedef enum family { DELTANET, GATED_DELTANET, KDA } family;

static const char *const qk_norms[] = {"none", "l2", "sum", NULL};
static const uint32_t qk_kinds[] = {0, GLA_NORM_L2, GLA_NORM_L1_MAX};

/* clang-format off */
enum {
    P_HEADS, P_KEY_HEADS, P_K_HEAD, P_V_HEAD, P_CONV, P_CONV_BIAS, P_OUTPUT_GATE, P_GATE_ACTIVATION,
    P_GATE_BIAS, P_BETA, P_NEG_EIGVAL, P_QK_ACTIVATION, P_QK_NORM, P_LOWER_BOUND, P_NORM
};
/* clang-format on */
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "value heads"),
    [P_KEY_HEADS] = GLA_P_INT("key_heads", 0, 0, 1024, "query and key heads; 0 = heads"),
    [P_K_HEAD] = GLA_P_INT_REQ("head_k_dim", 1, 4096, "key channels of a head"),
    [P_V_HEAD] = GLA_P_INT("head_v_dim", 0, 0, 4096, "value channels of a head; 0 = head_k_dim"),
    [P_CONV] = GLA_P_INT("conv", 4, 0, 64, "width of the short convolution of q, k, v; 0 = none"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    [P_OUTPUT_GATE] = GLA_P_BOOL("output_gate", 1, "gate the normed output"),
    [P_GATE_ACTIVATION] = GLA_P_ACT("gate_activation", GLA_ACT_SILU, "of the gate (kda: sigmoid)"),
    [P_GATE_BIAS] = GLA_P_BOOL("gate_bias", 0, "kda: bias of the output gate's second map"),
    [P_BETA] = GLA_P_BOOL("beta", 1, "learned write strength; otherwise 1"),
    [P_NEG_EIGVAL] = GLA_P_BOOL("neg_eigval", 0, "beta in (0, 2): negative eigenvalues"),
    [P_QK_ACTIVATION] = GLA_P_ACT("qk_activation", GLA_ACT_SILU, "of q and k"),
    [P_QK_NORM] = GLA_P_ENUM("qk_norm", 1, qk_norms, "of q and k, per head"),
    [P_LOWER_BOUND] = GLA_P_FLOAT("decay_lower_bound", 0, -1e6, 0,
                                  "kda: a = bound * sigmoid(exp(A_log) (Wa x + dt)); 0 = off")};

enum { Q, K, V, G, B, A, N_IN }; /* kda: G and A are the first of two maps */

struct gla_layer {
    gla_heads h; /* kv_heads: of q and k */
    family family;
    uint32_t decay_channels, s_state, t_a, t_gate, t_o;
    float beta_scale, lower_bound;
    const float *rate; /* [decay_channels]: -exp(A_log), or exp(A_log) with a lower bound */
    gla_in in;
    gla_norm qk_norm;           /* kind 0: none */
    gla_linear *a_up, *gate_up; /* kda: the second maps */
    gla_out out;
};

/* A_log, and the second map of the kda's decay, whose bias is dt. */
static void declare_decay(gla_layer *l, const gla_layer_config *c, family f, const gla_init *dt)
{
    const int bounded = l->lower_bound < 0;
    const gla_init a_log =
        bounded ? gla_constant(0) : gla_init_of(GLA_INIT_LOG_UNIFORM, f == KDA, 16, 0);
    const gla_part up = {
        "f_proj.1", f == KDA ? l->h.qc : 0, GLA_PART_SENSITIVE, "dt_bias", NULL, NULL, dt};
    gla_expr rate = {.struct_size = sizeof(rate), .act = GLA_ACT_EXP, .name = "A_log", .ndim = 1};

    l->decay_channels = f == KDA ? l->h.qc : l->h.heads;
    rate.out_ndim = 2; /* each head's for its channels */
    rate.dims[0] = rate.out_dims[0] = l->h.heads;
    rate.out_dims[1] = l->decay_channels / l->h.heads;
    rate.stride[0] = 1;
    rate.scale = bounded ? 1 : -1;
    rate.init = &a_log;
    c->declare->numbers(c->declare, &rate, &l->rate);
    gla_declare_parts(c, &up, 1, l->h.v, &l->a_up);
    l->t_a = gla_declare_rows(c, up.out);
}

static gla_status make(gla_layer *l, const gla_layer_config *c, family f)
{
    const gla_param_value *p = c->params, *pn = p + P_NORM;
    const uint32_t heads = gla_u32(&p[P_HEADS]), keys = gla_u32_or(&p[P_KEY_HEADS], heads);
    const uint32_t k = gla_u32(&p[P_K_HEAD]), v = gla_u32_or(&p[P_V_HEAD], k);
    const uint32_t phi = gla_u32(&p[P_QK_ACTIVATION]), kda = f == KDA;
    const uint32_t gate = p[P_OUTPUT_GATE].i ? heads * v : 0, a = kda ? v : f ? heads : 0;
    const gla_heads *h = &l->h;
    const gla_status st = heads % keys ? gla_refuse(c, "heads must be a multiple of key_heads")
                                       : gla_heads_of(c, heads, keys, heads * k, heads * v, &l->h);

    if (st)
        return st;

    const gla_init dt = gla_init_of(GLA_INIT_STEP, 1e-3, 0.1, 1e-4);
    const gla_in_part parts[N_IN] = {
        [Q] = {"q_proj", h->kc, phi, GLA_IN_CONV},
        [K] = {"k_proj", h->kc, phi, GLA_IN_CONV},
        [V] = {"v_proj", h->oc, GLA_ACT_SILU, GLA_IN_CONV},
        [G] = {kda ? "g_proj.0" : "g_proj", gate && kda ? v : gate, GLA_ACT_NONE,
               kda ? GLA_PART_SENSITIVE : 0},
        [B] = {"b_proj", p[P_BETA].i ? heads : 0, GLA_ACT_SIGMOID, GLA_PART_SENSITIVE},
        [A] = {kda ? "f_proj.0" : "a_proj", a, GLA_ACT_NONE, GLA_PART_SENSITIVE,
               kda ? NULL : "dt_bias", &dt}};
    const gla_in_conv conv = {gla_u32(&p[P_CONV]), gla_u32(&p[P_CONV_BIAS]), GLA_ACT_NONE};
    const gla_norm norm = gla_norm_of(GLA_NORM_RMS, heads, v, gla_eps(c, &pn[GLA_N_EPS]));

    l->family = f;
    l->beta_scale = p[P_NEG_EIGVAL].i ? 2 : 1;
    l->lower_bound = (float)p[P_LOWER_BOUND].f;
    l->qk_norm = gla_norm_of(qk_kinds[p[P_QK_NORM].i], 2 * keys, k, 1e-6f);
    gla_in_declare(c, &l->in, parts, N_IN, &conv);
    if (f != DELTANET)
        declare_decay(l, c, f, &dt);
    gla_declare_linear(c, "g_proj.1", kda ? gate : 0, v,
                       GLA_PART_SENSITIVE | (p[P_GATE_BIAS].i ? GLA_PART_BIAS : 0), &l->gate_up);
    gla_out_declare(c, &l->out, "o_proj", h->oc, 0, &norm,
                    pn[GLA_N_WEIGHT].i ? "o_norm.weight" : NULL);
    l->out.norm.gate_activation =
        kda && !p[P_GATE_ACTIVATION].is_set ? GLA_ACT_SIGMOID : gla_u32(&p[P_GATE_ACTIVATION]);
    l->s_state = gla_heads_state(c, h, 7);
    l->t_gate = gla_declare_rows(c, kda ? gate : 0);
    l->t_o = gla_declare_rows(c, h->oc);
    return GLA_OK;
}

GLA_LAYER_MAKE(make_deltanet, DELTANET);
GLA_LAYER_MAKE(make_gated, GATED_DELTANET);
GLA_LAYER_MAKE(make_kda, KDA);

/* What a, the sum of Wa x and dt, says: the log decay. */
static void decay(const gla_layer *l, const gla_batch *b, float *a, size_t ld)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, width = l->decay_channels;

    if (l->lower_bound < 0) {
        m->scale_channels(b, l->rate, n, width, a, ld);
        m->activation(b, GLA_ACT_SIGMOID, n, width, a, ld, a, ld);
        m->scale(b, l->lower_bound, n, width, a, ld);
    } else {
        m->activation(b, GLA_ACT_SOFTPLUS, n, width, a, ld, a, ld);
        m->scale_channels(b, l->rate, n, width, a, ld);
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    static const gla_decay decays[] = {GLA_DECAY_NONE, GLA_DECAY_HEAD, GLA_DECAY_CHANNEL};
    const gla_math *m = b->math;
    const gla_heads *h = &l->h;
    const uint32_t n = b->n_rows;
    float *x[N_IN], *o = b->scratch[l->t_o];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    size_t ld_a = ld, ld_gate = ld;

    if (l->qk_norm.kind)
        m->norm(b, &l->qk_norm, n, x[Q], ld, x[Q], ld);
    if (x[B] && l->beta_scale != 1.0f)
        m->scale(b, l->beta_scale, n, h->heads, x[B], ld);
    if (l->a_up) {
        m->linear(b, l->a_up, n, x[A], ld, b->scratch[l->t_a], ld_a = l->decay_channels);
        x[A] = b->scratch[l->t_a];
    }
    if (x[A])
        decay(l, b, x[A], ld_a);

    gla_recurrence r =
        gla_heads_recurrence(h, l->s_state, decays[l->family], x[Q], x[K], x[V], ld, o);

    r.write = GLA_WRITE_DELTA;
    r.q_heads = h->kv_heads;
    r.v_heads = r.decay_heads = h->heads;
    r.scale = 1.0f / sqrtf((float)h->k);
    r.log_decay = x[A];
    r.beta = x[B];
    r.ld_decay = ld_a;
    m->recurrence(b, &r);
    if (l->gate_up) {
        m->linear(b, l->gate_up, n, x[G], ld, b->scratch[l->t_gate], ld_gate = h->oc);
        x[G] = b->scratch[l->t_gate];
    }
    return gla_out_run(m, b, &l->out, o, x[G], ld_gate);
}

GLA_LAYER_DESC(deltanet, "gla.deltanet/1", 1, "DeltaNet (arXiv 2406.06484)", make_deltanet,
               .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_norm));
GLA_LAYER_DESC(gated_deltanet, "gla.gated_deltanet/1", 1, "Gated DeltaNet (arXiv 2412.06464)",
               make_gated, .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_norm));
GLA_LAYER_DESC(kda, "gla.kda/1", 1, "Kimi delta attention (arXiv 2510.26692)", make_kda,
               .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_norm));
static const gla_layer_desc *const layers[] = {&deltanet_desc, &gated_deltanet_desc, &kda_desc};
GLA_PLUGIN_DEFINE(delta, "1.0", "Apache-2.0", NULL, NULL, layers);
