/* SPDX-License-Identifier: Apache-2.0
 *
 * gla.c - gated linear attention (Yang et al., arXiv 2312.06635)
 *
 *   q, k, v = Wq x, Wk x, Wv x                 short convolution + silu, feature map: optional
 *   a = log_sigmoid(W1 W0 x + b1) / 16         log decay, one per key channel
 *   S = diag(exp a) S + k v^T                  state [H, K, V]
 *   y = Wo ( rmsnorm(q^T S / sqrt K) * silu(Wg x) )
 *
 * With kv_heads < heads, k, v and a of one group serve heads / kv_heads query heads.  Every
 * published reading of the name is a switch away: the forget gate per channel or per head from one
 * map, or none; normalised over the heads; an input gate 1 - exp(a); a running normaliser; the
 * output gate as a sigmoid normalised over the heads; biases; no output norm.  simple_gla is the
 * same with one forget gate a head.
 */
#include <gla/blocks.h>

#include <math.h>

static const char *const forgets[] = {"default", "low_rank", "channel", "head", "none", NULL};
static const char *const normalisers[] = {"none", "sum", "max", NULL};
enum { FORGET_DEFAULT, FORGET_LOW_RANK, FORGET_CHANNEL, FORGET_HEAD, FORGET_NONE };

/* clang-format off */
enum {
    P_HEADS, P_EXPAND_K, P_EXPAND_V, P_SCALE, P_FEATURE_MAP, P_BIAS, P_FORGET, P_GATE_LOW_RANK,
    P_GATE_NORMALIZER, P_CLAMP_MIN, P_FORGET_OVER_HEADS, P_INPUT_GATE, P_NORMALISER,
    P_NORMALISER_EPS, P_OUTPUT_GATE, P_GATE_ACTIVATION, P_GATE_OVER_HEADS, P_OUTPUT_NORM, P_MORE
};
/* clang-format on */
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT("heads", 4, 1, 1024, "query heads"),
    [P_EXPAND_K] = GLA_P_FLOAT("expand_k", 0.5, 0, 64, "query channels per model channel"),
    [P_EXPAND_V] = GLA_P_FLOAT("expand_v", 1.0, 0, 64, "output channels per model channel"),
    [P_SCALE] = GLA_P_FLOAT("scale", 0, 0, 1e6, "of the queries; 0 = 1 / sqrt(K)"),
    [P_FEATURE_MAP] = GLA_P_ACT("feature_map", GLA_ACT_NONE, "applied to q and k"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "biases of q, k, v, the output gate and the output"),
    [P_FORGET] = GLA_P_ENUM("forget", FORGET_DEFAULT, forgets,
                            "forget gate: W1 W0 x per channel, W x per channel or head, none"),
    [P_GATE_LOW_RANK] = GLA_P_INT("gate_low_rank", 16, 1, 65536, "inner width of the decay's map"),
    [P_GATE_NORMALIZER] = GLA_P_FLOAT("gate_normalizer", 16, 1e-6, 1e6, "divides the log decay"),
    [P_CLAMP_MIN] = GLA_P_FLOAT("clamp_min", -INFINITY, -INFINITY, 0, "least log decay"),
    [P_FORGET_OVER_HEADS] = GLA_P_BOOL("forget_over_heads", 0, "gates sum to 1 over the heads"),
    [P_INPUT_GATE] = GLA_P_BOOL("input_gate", 0, "k times 1 - forget gate"),
    [P_NORMALISER] = GLA_P_ENUM("normaliser", GLA_NORMALISER_NONE, normalisers,
                                "divide by z.q, or by max(|z.q|, eps)"),
    [P_NORMALISER_EPS] = GLA_P_FLOAT("normaliser_eps", 1e-10, 0, 1e6, "of the normaliser"),
    [P_OUTPUT_GATE] = GLA_P_BOOL("output_gate", 1, "multiply by silu(Wg x)"),
    [P_GATE_ACTIVATION] = GLA_P_ACT("gate_activation", GLA_ACT_SILU, "of the output gate"),
    [P_GATE_OVER_HEADS] = GLA_P_BOOL("gate_over_heads", 0, "sigmoids that sum to 1 over the heads"),
    [P_OUTPUT_NORM] = GLA_P_BOOL("output_norm", 1, "rmsnorm of the output, per head")};

enum { Q, K, V, G, F, N_IN };

struct gla_layer {
    gla_heads h;
    uint32_t forget, forget_over_heads, input_gate, gate_over_heads, normaliser,
        ac; /* ac: decays */
    float gate_scale, clamp_min, scale, normaliser_eps;
    uint32_t s_state, s_z, t_decay, t_write, t_o;
    gla_in in;
    gla_linear *up; /* of the low-rank forget gate */
    gla_out out;
};

static void declare(gla_layer *l, const gla_layer_config *c)
{
    const gla_heads *h = &l->h;
    const gla_param_value *p = c->params, *ph = p + P_MORE;
    const uint32_t bias = p[P_BIAS].i ? GLA_PART_BIAS : 0, low = l->forget == FORGET_LOW_RANK;
    const uint32_t phi = gla_u32(&p[P_FEATURE_MAP]);
    const gla_in_part parts[] = {
        [Q] = {"q_proj", h->qc, phi, bias | GLA_IN_CONV},
        [K] = {"k_proj", h->kc, phi, bias | GLA_IN_CONV},
        [V] = {"v_proj", h->vc, GLA_ACT_NONE, bias | GLA_IN_CONV},
        [G] = {"g_proj", p[P_OUTPUT_GATE].i ? h->oc : 0, GLA_ACT_NONE, bias},
        [F] = {low ? "gk_proj.0" : "gk_proj", low ? gla_u32(&p[P_GATE_LOW_RANK]) : l->ac,
               GLA_ACT_NONE, GLA_PART_SENSITIVE | (low ? 0 : GLA_PART_BIAS)}};
    const gla_in_conv conv = {gla_u32(&ph[GLA_H_CONV]), gla_u32(&ph[GLA_H_CONV_BIAS]),
                              GLA_ACT_SILU};
    const gla_norm norm = gla_norm_of(GLA_NORM_RMS, h->heads, h->v, gla_eps(c, &ph[GLA_H_EPS]));

    gla_in_declare(c, &l->in, parts, N_IN, &conv);
    if (low)
        gla_declare_linear(c, "gk_proj.1", l->ac, parts[F].out, GLA_PART_SENSITIVE | GLA_PART_BIAS,
                           &l->up);
    gla_out_declare(c, &l->out, "o_proj", h->oc, bias, p[P_OUTPUT_NORM].i ? &norm : NULL,
                    ph[GLA_H_WEIGHT].i ? "g_norm.weight" : NULL);
    l->out.norm.gate_activation =
        l->gate_over_heads ? GLA_ACT_NONE : gla_u32(&p[P_GATE_ACTIVATION]);
    l->s_state = gla_heads_state(c, h, 5);
    if (l->normaliser)
        l->s_z = gla_declare_fixed(c, "z", h->heads, h->k, 0, 5.0 * h->qc);
    l->t_decay = gla_declare_rows(c, l->ac);
    if (l->input_gate)
        l->t_write = gla_declare_rows(c, l->ac);
    l->t_o = gla_declare_rows(c, h->oc);
}

static gla_status make(gla_layer *l, const gla_layer_config *c, uint32_t forget)
{
    const gla_param_value *p = c->params;
    const gla_status st = gla_heads_read(c, gla_u32(&p[P_HEADS]), p + P_MORE, p[P_EXPAND_K].f,
                                         p[P_EXPAND_V].f, &l->h);

    if (st)
        return st;
    l->forget = gla_u32_or(&p[P_FORGET], forget);
    l->forget_over_heads = gla_u32(&p[P_FORGET_OVER_HEADS]);
    l->input_gate = gla_u32(&p[P_INPUT_GATE]);
    l->gate_over_heads = gla_u32(&p[P_GATE_OVER_HEADS]);
    l->normaliser = gla_u32(&p[P_NORMALISER]);
    l->normaliser_eps = (float)p[P_NORMALISER_EPS].f;
    l->gate_scale = (float)(1.0 / p[P_GATE_NORMALIZER].f);
    l->clamp_min = (float)p[P_CLAMP_MIN].f;
    l->scale = p[P_SCALE].f > 0 ? (float)p[P_SCALE].f : 1.0f / sqrtf((float)l->h.k);
    l->ac = l->forget == FORGET_NONE ? 0 : l->forget == FORGET_HEAD ? l->h.kv_heads : l->h.kc;
    if (!l->ac && (l->input_gate || l->forget_over_heads))
        return gla_refuse(c, "input_gate and forget_over_heads need a forget gate");
    declare(l, c);
    return GLA_OK;
}

GLA_LAYER_MAKE(make_gla, FORGET_LOW_RANK);
GLA_LAYER_MAKE(make_simple, FORGET_HEAD);

/* y = sigmoid(x) / (sum over the heads of sigmoid(x) + 1e-8), or its log, for each channel. */
typedef struct share {
    uint32_t heads, width, log;
    size_t ld;
} share;

static void share_rows(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const share *s = arg;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t c = 0; c < s->width; c++) {
            float *x = at[0] + r * s->ld + c, sum = 1e-8f;

            for (uint32_t h = 0; h < s->heads; h++)
                sum += x[h * s->width] = gla_sigmoid(x[h * s->width]);
            for (uint32_t h = 0; h < s->heads; h++) {
                x[h * s->width] /= sum;
                if (s->log)
                    x[h * s->width] = logf(x[h * s->width]);
            }
        }
}

/* With s = sigmoid(x), S their sum and y = s / S:  dx = s (1 - s) (dy - sum_h dy y) / S. */
static void share_vjp(const void *arg, const float *const *saved, const float *const *out,
                      float *const *grad, uint32_t first, uint32_t last)
{
    const share *s = arg;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t c = 0; c < s->width; c++) {
            const size_t at = r * s->ld + c;
            const float *x = saved[0] + at, *y = out[0] + at;
            float *g = grad[0] + at, sum = 1e-8f, dot = 0;

            for (uint32_t h = 0, i = 0; h < s->heads; h++, i += s->width) {
                sum += gla_sigmoid(x[i]);
                dot += s->log ? g[i] : g[i] * y[i];
            }
            for (uint32_t h = 0, i = 0; h < s->heads; h++, i += s->width) {
                const float z = gla_sigmoid(x[i]), dy = s->log ? g[i] * sum / z : g[i];

                g[i] = z * (1 - z) * (dy - dot) / sum;
            }
        }
}

static void share_over_heads(const gla_batch *b, float *x, size_t ld, uint32_t heads,
                             uint32_t width, uint32_t log)
{
    const share arg = {heads, width, log, ld};

    GLA_ROWS(b, arg, share_rows, share_vjp, {x, ld, heads * width, GLA_USE_READ_WRITE});
}

/* a [rows, ac] = max(log_sigmoid(f) / normaliser, clamp_min) of the projected rows f */
static void decay(const gla_layer *l, const gla_batch *b, const float *f, size_t ld, float *a)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, ac = l->ac;

    if (l->up)
        m->linear(b, l->up, n, f, ld, a, ac);
    else
        m->activation(b, GLA_ACT_NONE, n, ac, f, ld, a, ac);
    if (l->forget_over_heads) {
        share_over_heads(b, a, ac, l->h.kv_heads, ac / l->h.kv_heads, 1);
    } else {
        m->activation(b, GLA_ACT_LOG_SIGMOID, n, ac, a, ac, a, ac);
        m->scale(b, l->gate_scale, n, ac, a, ac);
    }
    if (l->clamp_min > -INFINITY)
        m->clamp(b, l->clamp_min, INFINITY, n, ac, a, ac);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    static const uint32_t decays[] = {0, GLA_DECAY_CHANNEL, GLA_DECAY_CHANNEL, GLA_DECAY_HEAD,
                                      GLA_DECAY_NONE};
    const gla_math *m = b->math;
    float *x[N_IN], *a = b->scratch[l->t_decay], *o = b->scratch[l->t_o],
                    *write = b->scratch[l->t_write];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    gla_recurrence r =
        gla_heads_recurrence(&l->h, l->s_state, decays[l->forget], x[Q], x[K], x[V], ld, o);

    if (l->ac)
        decay(l, b, x[F], ld, a);
    if (l->input_gate) { /* k *= 1 - exp(a), a per channel or per head */
        m->activation(b, GLA_ACT_ONE_MINUS_EXP, b->n_rows, l->ac, a, l->ac, write, l->ac);
        gla_mul_groups(b, l->ac, l->h.kc / l->ac, x[K], ld, write, l->ac);
    }
    r.normaliser = l->normaliser;
    r.z_state = l->s_z;
    r.scale = l->scale;
    r.eps = l->normaliser_eps;
    r.log_decay = a;
    r.ld_decay = l->ac;
    m->recurrence(b, &r);
    if (x[G] && l->gate_over_heads)
        share_over_heads(b, x[G], ld, l->h.heads, l->h.v, 0);
    return gla_out_run(m, b, &l->out, o, x[G], ld);
}

GLA_LAYER_DESC(gla, "gla.gla/1", 1, "gated linear attention (arXiv 2312.06635)", make_gla,
               .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_heads));
GLA_LAYER_DESC(simple_gla, "gla.simple_gla/1", 1,
               "gated linear attention, one gate a head (arXiv 2312.06635)", make_simple,
               .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_heads));
static const gla_layer_desc *const layers[] = {&gla_desc, &simple_gla_desc};
GLA_PLUGIN_DEFINE(gla, "1.0", "Apache-2.0", NULL, NULL, layers);
