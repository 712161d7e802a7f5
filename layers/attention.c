/* SPDX-License-Identifier: Apache-2.0
 *
 * attention.c - causal softmax attention (Vaswani et al., arXiv 1706.03762) with what published
 * models add: grouped keys (arXiv 2305.13245), rotary positions (arXiv 2104.09864), norms of q and
 * k, sliding windows, biases, an output gate (Qwen3-Next), score soft caps, multipliers
 *
 *   q, k, v = Wq x, Wk x, Wv x ;  q, k = rope(norm(q)), rope(norm(k))
 *   y = Wo ( softmax(scale q k^T) v * sigmoid(g) )
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

static const char *const norms[] = {"none", "head", "whole", NULL};
static const char *const gates[] = {"none", "head", "separate", NULL};
static const char *const rope_types[] = {"default",  "linear",  "llama3", "yarn",
                                         "longrope", "dynamic", "none",   NULL};
enum { NORM_NONE, NORM_HEAD, NORM_WHOLE };
enum { GATE_NONE, GATE_HEAD, GATE_SEPARATE };
enum { ROPE_NONE = 6 };

enum {
    P_HEADS,
    P_KV_HEADS,
    P_HEAD_DIM,
    P_V_HEAD_DIM,
    P_QKV_BIAS,
    P_OUT_BIAS,
    P_QK_NORM,
    P_QK_NORM_EPS,
    P_QK_NORM_OFFSET,
    P_WINDOW,
    P_SCALE,
    P_KEY_MULTIPLIER,
    P_SOFT_CAP,
    P_OUTPUT_GATE,
    P_SINKS,
    P_ROPE_TYPE,
    P_ROPE_THETA,
    P_ROPE_DIMS,
    P_ROPE_INTERLEAVED,
    P_ROPE_FACTOR,
    P_ROPE_LOW_FREQ,
    P_ROPE_HIGH_FREQ,
    P_ROPE_ORIGINAL,
    P_ROPE_MAX,
    P_ROPE_BETA_FAST,
    P_ROPE_BETA_SLOW,
    P_ROPE_MSCALE,
    P_ROPE_MSCALE_ALL,
    P_ROPE_ATTN_FACTOR,
    P_ROPE_SHORT,
    P_ROPE_LONG,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "query heads"),
    [P_KV_HEADS] = GLA_P_INT("kv_heads", 0, 0, 1024, "key and value heads; 0 = heads"),
    [P_HEAD_DIM] = GLA_P_INT("head_dim", 0, 0, 4096, "channels of a head; 0 = d_model / heads"),
    [P_V_HEAD_DIM] = GLA_P_INT("v_head_dim", 0, 0, 4096, "value channels of a head; 0 = head_dim"),
    [P_QKV_BIAS] = GLA_P_BOOL("qkv_bias", 0, "biases of q, k, v"),
    [P_OUT_BIAS] = GLA_P_BOOL("out_bias", 0, "bias of the output projection"),
    [P_QK_NORM] = GLA_P_ENUM("qk_norm", NORM_NONE, norms, "rmsnorm of q and k: per head, or whole"),
    [P_QK_NORM_EPS] = GLA_P_FLOAT("qk_norm_eps", 0, 0, 1, "default: the model's"),
    [P_QK_NORM_OFFSET] = GLA_P_FLOAT("qk_norm_offset", 0, -16, 16, "added to the norm's weight"),
    [P_WINDOW] = GLA_P_INT("window", 0, 0, 1 << 24, "attend to the last so many tokens; 0 = all"),
    [P_SCALE] = GLA_P_FLOAT("scale", 0, 0, 1e6, "of the scores; 0 = 1 / sqrt(head_dim)"),
    [P_KEY_MULTIPLIER] = GLA_P_FLOAT("key_multiplier", 1, -1e6, 1e6, "multiplies the keys"),
    [P_SOFT_CAP] = GLA_P_FLOAT("soft_cap", 0, 0, 1e6, "bounds the scores smoothly; 0 = off"),
    [P_OUTPUT_GATE] =
        GLA_P_ENUM("output_gate", GATE_NONE, gates,
                   "times sigmoid(g): head: q_proj has [q | g] per head; separate: g_proj"),
    [P_SINKS] = GLA_P_BOOL("sinks", 0, "one extra logit per head in the denominator"),
    [P_ROPE_TYPE] = GLA_P_ENUM("rope.type", GLA_ROPE_DEFAULT, rope_types, "rotary positions"),
    [P_ROPE_THETA] = GLA_P_FLOAT("rope.theta", 10000, 1, 1e12, "base of the frequencies"),
    [P_ROPE_DIMS] = GLA_P_INT("rope.dims", 0, 0, 4096, "rotated channels of a head; 0 = all"),
    [P_ROPE_INTERLEAVED] = GLA_P_BOOL("rope.interleaved", 0, "pairs (2i, 2i+1), not halves"),
    [P_ROPE_FACTOR] =
        GLA_P_FLOAT("rope.factor", 0, 0, 1e6, "context extension; 0 = derived (yarn, longrope)"),
    [P_ROPE_LOW_FREQ] = GLA_P_FLOAT("rope.low_freq_factor", 1, 0, 1e6, "llama3"),
    [P_ROPE_HIGH_FREQ] = GLA_P_FLOAT("rope.high_freq_factor", 4, 0, 1e6, "llama3"),
    [P_ROPE_ORIGINAL] =
        GLA_P_FLOAT("rope.original_positions", 0, 0, 1e9, "context before extension"),
    [P_ROPE_MAX] = GLA_P_FLOAT("rope.max_positions", 0, 0, 1e9, "0 = the model's"),
    [P_ROPE_BETA_FAST] = GLA_P_FLOAT("rope.beta_fast", 0, 0, 1e6, "yarn; 0 = 32"),
    [P_ROPE_BETA_SLOW] = GLA_P_FLOAT("rope.beta_slow", 0, 0, 1e6, "yarn; 0 = 1"),
    [P_ROPE_MSCALE] = GLA_P_FLOAT("rope.mscale", 0, 0, 1e6, "yarn"),
    [P_ROPE_MSCALE_ALL] = GLA_P_FLOAT("rope.mscale_all_dim", 0, 0, 1e6, "yarn"),
    [P_ROPE_ATTN_FACTOR] =
        GLA_P_FLOAT("rope.attention_factor", 0, 0, 1e6, "yarn, longrope; 0 = derived"),
    [P_ROPE_SHORT] = GLA_P_LIST("rope.short_factor", "longrope: per frequency"),
    [P_ROPE_LONG] = GLA_P_LIST("rope.long_factor", "longrope: per frequency"),
};

enum { W_Q, W_K, W_V, W_G, N_IN };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, kv_heads, hd, vd; /* hd, vd: channels of a head */
    uint32_t q_head; /* distance of query heads in a row: hd, or 2 hd with a gate */
    uint32_t qc, kc, vc, gc, oc, width;
    uint32_t qk_norm, gate;
    float scale, soft_cap, key_multiplier;
    uint32_t w_in[N_IN], b_in[N_IN], w_qn, w_kn, w_sinks, w_out, b_out;
    uint32_t s_kv, t_in, t_q, t_out;
    gla_linear *in, *out;
    gla_rope *rope;
    gla_norm q_norm, k_norm;
    const float *sinks;
};

static gla_status create_rope(gla_layer *l, const gla_layer_config *cfg)
{
    const gla_param_value *p = cfg->params;
    gla_rope_spec spec = {
        .struct_size = sizeof(spec),
        .dims = p[P_ROPE_DIMS].i ? (uint32_t)p[P_ROPE_DIMS].i : l->hd,
        .interleaved = (uint32_t)p[P_ROPE_INTERLEAVED].i,
        .scaling = (uint32_t)p[P_ROPE_TYPE].i,
        .theta = p[P_ROPE_THETA].f,
        .factor = p[P_ROPE_FACTOR].f,
        .low_freq_factor = p[P_ROPE_LOW_FREQ].f,
        .high_freq_factor = p[P_ROPE_HIGH_FREQ].f,
        .original_positions = p[P_ROPE_ORIGINAL].f,
        .max_positions = p[P_ROPE_MAX].f > 0 ? p[P_ROPE_MAX].f : cfg->max_positions,
        .beta_fast = p[P_ROPE_BETA_FAST].f,
        .beta_slow = p[P_ROPE_BETA_SLOW].f,
        .mscale = p[P_ROPE_MSCALE].f,
        .mscale_all_dim = p[P_ROPE_MSCALE_ALL].f,
        .attention_factor = p[P_ROPE_ATTN_FACTOR].f,
        .short_factor = p[P_ROPE_SHORT].list,
        .long_factor = p[P_ROPE_LONG].list,
    };

    if (p[P_ROPE_TYPE].i == ROPE_NONE)
        return GLA_OK;
    if (spec.dims > l->hd || spec.dims % 2)
        return gla_host_fail(l->host, GLA_E_INVALID, "rope.dims must be even and at most head_dim");
    if (spec.scaling == GLA_ROPE_LONGROPE &&
        (p[P_ROPE_SHORT].n_list != spec.dims / 2 || p[P_ROPE_LONG].n_list != spec.dims / 2))
        return gla_host_fail(
            l->host, GLA_E_INVALID,
            "rope.short_factor and rope.long_factor need rope.dims / 2 numbers each");
    return l->math->rope_create(l->host, &spec, &l->rope);
}

static gla_norm qk_norm(const gla_layer *l, const gla_layer_config *cfg, uint32_t heads)
{
    const gla_param_value *p = cfg->params;

    return (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = l->qk_norm == NORM_HEAD ? heads : 1,
        .width = l->qk_norm == NORM_HEAD ? l->hd : heads * l->hd,
        .eps = (float)(p[P_QK_NORM_EPS].is_set ? p[P_QK_NORM_EPS].f : cfg->norm_eps),
        .weight_offset = (float)p[P_QK_NORM_OFFSET].f,
    };
}

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const weight[N_IN] = {"q_proj.weight", "k_proj.weight", "v_proj.weight",
                                             "g_proj.weight"};
    static const char *const bias[N_IN] = {"q_proj.bias", "k_proj.bias", "v_proj.bias",
                                           "g_proj.bias"};
    const gla_param_value *p = cfg->params;
    const uint32_t channels[N_IN] = {l->heads * l->q_head, l->kc, l->vc, l->gc};

    for (uint32_t i = 0; i < N_IN; i++) {
        l->w_in[i] = l->b_in[i] = GLA_ABSENT;
        if (!channels[i])
            continue;
        l->w_in[i] = gla_declare_matrix(cfg, weight[i], channels[i], l->d);
        if (p[P_QKV_BIAS].i && i != W_G)
            l->b_in[i] = gla_declare_vector(cfg, bias[i], channels[i]);
        l->width += channels[i];
    }
    l->w_qn = l->w_kn = GLA_ABSENT;
    if (l->qk_norm) {
        l->q_norm = qk_norm(l, cfg, l->heads);
        l->k_norm = qk_norm(l, cfg, l->kv_heads);
        l->w_qn = gla_declare_vector(cfg, "q_norm.weight", l->q_norm.width);
        l->w_kn = gla_declare_vector(cfg, "k_norm.weight", l->k_norm.width);
    }
    l->w_sinks = p[P_SINKS].i ? gla_declare_vector(cfg, "sinks", l->heads) : GLA_ABSENT;
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->oc);
    l->b_out = p[P_OUT_BIAS].i ? gla_declare_vector(cfg, "o_proj.bias", l->d) : GLA_ABSENT;
    l->s_kv =
        gla_declare_kv(cfg, "kv", l->heads, l->kv_heads, l->hd, l->vd, (uint32_t)p[P_WINDOW].i);
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_q = l->gate == GATE_HEAD ? gla_declare_rows(cfg, 2 * (size_t)l->qc) : GLA_ABSENT;
    l->t_out = gla_declare_rows(cfg, l->oc);
}

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
    l->heads = (uint32_t)p[P_HEADS].i;
    l->kv_heads = p[P_KV_HEADS].i ? (uint32_t)p[P_KV_HEADS].i : l->heads;
    if (!p[P_HEAD_DIM].i && l->d % l->heads)
        return gla_host_fail(host, GLA_E_INVALID, "d_model is no multiple of heads: give head_dim");
    l->hd = p[P_HEAD_DIM].i ? (uint32_t)p[P_HEAD_DIM].i : l->d / l->heads;
    l->vd = p[P_V_HEAD_DIM].i ? (uint32_t)p[P_V_HEAD_DIM].i : l->hd;
    if (l->heads % l->kv_heads)
        return gla_host_fail(host, GLA_E_INVALID, "heads must be a multiple of kv_heads");
    l->qk_norm = (uint32_t)p[P_QK_NORM].i;
    l->gate = (uint32_t)p[P_OUTPUT_GATE].i;
    if (l->gate == GATE_HEAD && l->vd != l->hd)
        return gla_host_fail(host, GLA_E_INVALID, "output_gate: head needs v_head_dim = head_dim");
    l->q_head = l->gate == GATE_HEAD ? 2 * l->hd : l->hd;
    l->qc = l->heads * l->hd;
    l->kc = l->kv_heads * l->hd;
    l->vc = l->kv_heads * l->vd;
    l->oc = l->heads * l->vd;
    l->gc = l->gate == GATE_SEPARATE ? l->oc : 0;
    l->scale = p[P_SCALE].f > 0 ? (float)p[P_SCALE].f : 1.0f / sqrtf((float)l->hd);
    l->soft_cap = (float)p[P_SOFT_CAP].f;
    l->key_multiplier = (float)p[P_KEY_MULTIPLIER].f;
    declare(l, cfg);
    return create_rope(l, cfg);
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    l->math->rope_destroy(l->rope);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, l->b_in, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, &l->b_out, &l->out);
    l->q_norm.weight = gla_weight_f32(weights, l->w_qn);
    l->k_norm.weight = gla_weight_f32(weights, l->w_kn);
    l->sinks = gla_weight_f32(weights, l->w_sinks);
    return st;
}

typedef struct split_job {
    const gla_layer *l;
    const float *from; /* [rows, heads, q | g] */
    float *to;         /* [rows, q of all heads | g of all heads] */
} split_job;

static void split_rows(void *arg, uint32_t first, uint32_t last)
{
    const split_job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        const float *from = j->from + (size_t)r * l->width;
        float *to = j->to + (size_t)r * 2 * l->qc;

        for (uint32_t h = 0; h < l->heads; h++)
            for (uint32_t i = 0; i < l->hd; i++) {
                to[h * l->hd + i] = from[h * 2 * l->hd + i];
                to[l->qc + h * l->hd + i] = from[h * 2 * l->hd + l->hd + i];
            }
    }
}

/* Norm and rope of `heads` heads in place. */
static gla_status position(const gla_layer *l, const gla_batch *b, const gla_norm *norm,
                           uint32_t heads, float *x, size_t ld)
{
    gla_status st = GLA_OK;

    if (l->qk_norm)
        st = l->math->norm(b, norm, b->n_rows, x, ld, x, ld);
    if (!st && l->rope)
        st = l->math->rope(b, l->rope, heads, l->hd, x, ld);
    return st;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = l->width;
    float *in = b->scratch[l->t_in]; /* [rows, q (and gate) | k | v | g] */
    float *q = in, *k = in + (size_t)l->heads * l->q_head, *v = k + l->kc, *g = v + l->vc;
    float *o = b->scratch[l->t_out]; /* [rows, oc] */
    size_t ld_q = ld, ld_g = ld;
    gla_status st = m->linear(b, l->in, n, b->x, l->d, in, ld);

    if (!st && l->gate == GATE_HEAD) {
        split_job job = {l, in, b->scratch[l->t_q]};

        st = m->for_rows(b, n, split_rows, &job);
        q = job.to;
        g = job.to + l->qc;
        ld_q = ld_g = 2 * (size_t)l->qc;
    }
    if (!st && l->key_multiplier != 1.0f)
        st = m->scale(b, l->key_multiplier, n, l->kc, k, ld);
    if (!st)
        st = position(l, b, &l->q_norm, l->heads, q, ld_q);
    if (!st)
        st = position(l, b, &l->k_norm, l->kv_heads, k, ld);
    if (st)
        return st;

    const gla_attention a = {
        .struct_size = sizeof(a),
        .state = l->s_kv,
        .heads = l->heads,
        .scale = l->scale,
        .soft_cap = l->soft_cap,
        .sinks = l->sinks,
        .q = q,
        .k = k,
        .v = v,
        .o = o,
        .ld_q = ld_q,
        .ld_k = ld,
        .ld_v = ld,
        .ld_o = l->oc,
    };
    st = m->attention(b, &a);
    if (!st && l->gate)
        st = m->glu(b, GLA_ACT_SIGMOID, n, l->oc, g, ld_g, o, l->oc, o, l->oc);
    return st ? st : m->linear(b, l->out, n, o, l->oc, b->y, l->d);
}

GLA_LAYER_DEFINE(attention, "gla.attention/1", 1, "causal softmax attention (arXiv 1706.03762)",
                 GLA_LAYER_MIXER);
