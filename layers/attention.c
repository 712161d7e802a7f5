/* SPDX-License-Identifier: Apache-2.0
 *
 * attention.c - causal softmax attention (Vaswani et al., arXiv 1706.03762) with what published
 * models add: grouped keys (arXiv 2305.13245), rotary positions (arXiv 2104.09864), norms of q and
 * k, sliding windows, biases, an output gate (Qwen3-Next), score soft caps, multipliers
 *
 *   q, k, v = Wq x, Wk x, Wv x ;  q, k = rope(norm(q)), rope(norm(k))
 *   y = Wo ( softmax(scale q k^T) v * sigmoid(g) )
 */
#include <gla/blocks.h>

#include <math.h>

static const char *const norms[] = {"none", "head", "whole", NULL};
static const char *const gates[] = {"none", "head", "separate", NULL};
static const char *const rope_types[] = {"default",  "linear",  "llama3", "yarn",
                                         "longrope", "dynamic", "none",   NULL};
enum { NORM_NONE, NORM_HEAD, NORM_WHOLE };
enum { GATE_NONE, GATE_HEAD, GATE_SEPARATE };
enum { ROPE_NONE = 6 };

/* clang-format off */
enum {
    P_HEADS, P_KV_HEADS, P_HEAD_DIM, P_V_HEAD_DIM, P_QKV_BIAS, P_OUT_BIAS, P_QK_NORM,
    P_QK_NORM_EPS, P_QK_NORM_OFFSET, P_WINDOW, P_SCALE, P_KEY_MULTIPLIER, P_SOFT_CAP,
    P_OUTPUT_GATE, P_SINKS, P_ROPE_TYPE, P_ROPE_THETA, P_ROPE_DIMS, P_INTERLEAVED, P_FACTOR,
    P_LOW_FREQ, P_HIGH_FREQ, P_ORIGINAL, P_MAX, P_BETA_FAST, P_BETA_SLOW, P_MSCALE, P_MSCALE_ALL,
    P_ATTENTION, P_SHORT, P_LONG
};
/* clang-format on */
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
    [P_INTERLEAVED] = GLA_P_BOOL("rope.interleaved", 0, "pairs (2i, 2i+1), not halves"),
    [P_FACTOR] = GLA_P_FLOAT("rope.factor", 0, 0, 1e6, "extension; 0 = derived (yarn, longrope)"),
    [P_LOW_FREQ] = GLA_P_FLOAT("rope.low_freq_factor", 1, 0, 1e6, "llama3"),
    [P_HIGH_FREQ] = GLA_P_FLOAT("rope.high_freq_factor", 4, 0, 1e6, "llama3"),
    [P_ORIGINAL] = GLA_P_FLOAT("rope.original_positions", 0, 0, 1e9, "context before extension"),
    [P_MAX] = GLA_P_FLOAT("rope.max_positions", 0, 0, 1e9, "0 = the model's"),
    [P_BETA_FAST] = GLA_P_FLOAT("rope.beta_fast", 0, 0, 1e6, "yarn; 0 = 32"),
    [P_BETA_SLOW] = GLA_P_FLOAT("rope.beta_slow", 0, 0, 1e6, "yarn; 0 = 1"),
    [P_MSCALE] = GLA_P_FLOAT("rope.mscale", 0, 0, 1e6, "yarn"),
    [P_MSCALE_ALL] = GLA_P_FLOAT("rope.mscale_all_dim", 0, 0, 1e6, "yarn"),
    [P_ATTENTION] = GLA_P_FLOAT("rope.attention_factor", 0, 0, 1e6, "yarn, longrope; 0 = derived"),
    [P_SHORT] = GLA_P_LIST("rope.short_factor", "longrope: per frequency"),
    [P_LONG] = GLA_P_LIST("rope.long_factor", "longrope: per frequency")};

enum { Q, K, V, G, N_IN };

struct gla_layer {
    gla_heads h;
    uint32_t gate, s_kv, t_q, t_o; /* t_q: [q | g] of GATE_HEAD */
    float scale, soft_cap, key_multiplier;
    gla_in in;
    gla_rope *rope;          /* NULL: none */
    gla_norm q_norm, k_norm; /* width 0: none */
    const float *sinks;      /* [H] or NULL */
    gla_out out;
};

static gla_status declare_rope(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const gla_rope_spec spec = {.struct_size = (uint32_t)sizeof(spec),
                                .dims = gla_u32_or(&p[P_ROPE_DIMS], l->h.k),
                                .interleaved = gla_u32(&p[P_INTERLEAVED]),
                                .scaling = gla_u32(&p[P_ROPE_TYPE]),
                                .theta = p[P_ROPE_THETA].f,
                                .factor = p[P_FACTOR].f,
                                .low_freq_factor = p[P_LOW_FREQ].f,
                                .high_freq_factor = p[P_HIGH_FREQ].f,
                                .original_positions = p[P_ORIGINAL].f,
                                .max_positions = p[P_MAX].f > 0 ? p[P_MAX].f : c->max_positions,
                                .beta_fast = p[P_BETA_FAST].f,
                                .beta_slow = p[P_BETA_SLOW].f,
                                .mscale = p[P_MSCALE].f,
                                .mscale_all_dim = p[P_MSCALE_ALL].f,
                                .attention_factor = p[P_ATTENTION].f,
                                .short_factor = p[P_SHORT].list,
                                .long_factor = p[P_LONG].list};

    if (spec.dims > l->h.k || spec.dims % 2)
        return gla_refuse(c, "rope.dims must be even and at most head_dim");
    if (spec.scaling == GLA_ROPE_LONGROPE &&
        (p[P_SHORT].n_list != spec.dims / 2 || p[P_LONG].n_list != spec.dims / 2))
        return gla_refuse(c,
                          "rope.short_factor and rope.long_factor need rope.dims / 2 numbers each");
    c->declare->rope(c->declare, &spec, &l->rope);
    return GLA_OK;
}

static void declare_norm(const gla_layer *l, const gla_layer_config *c, uint32_t heads,
                         const char *weight, gla_norm *norm)
{
    const gla_param_value *p = c->params;
    const uint32_t groups = p[P_QK_NORM].i == NORM_HEAD ? heads : 1;

    if (p[P_QK_NORM].i == NORM_NONE)
        return;
    *norm =
        gla_norm_of(GLA_NORM_RMS, groups, heads / groups * l->h.k, gla_eps(c, &p[P_QK_NORM_EPS]));
    norm->weight_offset = (float)p[P_QK_NORM_OFFSET].f;
    gla_norm_declare(c, norm, weight, NULL);
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const uint32_t heads = gla_u32(&p[P_HEADS]), d = c->d_in;
    const uint32_t k = gla_u32_or(&p[P_HEAD_DIM], d / heads), v = gla_u32_or(&p[P_V_HEAD_DIM], k);
    const uint32_t bias = p[P_QKV_BIAS].i ? GLA_PART_BIAS : 0;
    const gla_heads *h = &l->h;
    gla_status st;

    if (!p[P_HEAD_DIM].i && d % heads)
        return gla_refuse(c, "d_model is no multiple of heads: give head_dim");
    st = gla_heads_of(c, heads, gla_u32(&p[P_KV_HEADS]), heads * k, heads * v, &l->h);
    if (st)
        return st;
    l->gate = gla_u32(&p[P_OUTPUT_GATE]);
    if (l->gate == GATE_HEAD && v != k)
        return gla_refuse(c, "output_gate: head needs v_head_dim = head_dim");
    l->scale = p[P_SCALE].f > 0 ? (float)p[P_SCALE].f : 1.0f / sqrtf((float)k);
    l->soft_cap = (float)p[P_SOFT_CAP].f;
    l->key_multiplier = (float)p[P_KEY_MULTIPLIER].f;

    const gla_in_part parts[N_IN] = {
        [Q] = {"q_proj", l->gate == GATE_HEAD ? 2 * h->qc : h->qc, GLA_ACT_NONE, bias},
        [K] = {"k_proj", h->kc, GLA_ACT_NONE, bias},
        [V] = {"v_proj", h->vc, GLA_ACT_NONE, bias},
        [G] = {"g_proj", l->gate == GATE_SEPARATE ? h->oc : 0}};

    gla_in_declare(c, &l->in, parts, N_IN, NULL);
    declare_norm(l, c, h->heads, "q_norm.weight", &l->q_norm);
    declare_norm(l, c, h->kv_heads, "k_norm.weight", &l->k_norm);
    if (p[P_SINKS].i)
        gla_declare_numbers(c, "sinks", heads, 0, NULL, &l->sinks);
    gla_out_declare(c, &l->out, "o_proj", h->oc, p[P_OUT_BIAS].i ? GLA_PART_BIAS : 0, NULL, NULL);
    l->out.norm.gate_activation = GLA_ACT_SIGMOID;
    l->s_kv = gla_declare_kv(c, "kv", heads, h->kv_heads, k, v, gla_u32(&p[P_WINDOW]));
    if (l->gate == GATE_HEAD)
        l->t_q = gla_declare_rows(c, 2 * (size_t)h->qc);
    l->t_o = gla_declare_rows(c, h->oc);
    return p[P_ROPE_TYPE].i == ROPE_NONE ? GLA_OK : declare_rope(l, c);
}

/* Norm and rope of `heads` heads in place. */
static void place(const gla_layer *l, const gla_batch *b, const gla_norm *norm, uint32_t heads,
                  float *x, size_t ld)
{
    if (norm->width)
        b->math->norm(b, norm, b->n_rows, x, ld, x, ld);
    if (l->rope)
        b->math->rope(b, l->rope, heads, l->h.k, x, ld);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const gla_heads *h = &l->h;
    float *x[N_IN], *o = b->scratch[l->t_o];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    size_t ld_q = ld;

    if (l->gate == GATE_HEAD) { /* [q g] per head -> [q of all heads | g of all heads] */
        float *qg = b->scratch[l->t_q];

        ld_q = 2 * (size_t)h->qc;
        gla_copy_groups(b, h->heads, h->k, x[Q], ld, 2 * h->k, qg, ld_q, h->k);
        gla_copy_groups(b, h->heads, h->k, x[Q] + h->k, ld, 2 * h->k, qg + h->qc, ld_q, h->k);
        x[Q] = qg;
        x[G] = qg + h->qc;
    }
    if (l->key_multiplier != 1.0f)
        m->scale(b, l->key_multiplier, b->n_rows, h->kc, x[K], ld);
    place(l, b, &l->q_norm, h->heads, x[Q], ld_q);
    place(l, b, &l->k_norm, h->kv_heads, x[K], ld);

    gla_attention a =
        gla_attention_of(l->s_kv, h->heads, l->scale, x[Q], ld_q, x[K], x[V], ld, o, h->oc);

    a.soft_cap = l->soft_cap;
    a.sinks = l->sinks;
    m->attention(b, &a);
    return gla_out_run(m, b, &l->out, o, x[G], l->gate == GATE_HEAD ? ld_q : ld);
}

GLA_LAYER_DEFINE(attention, "gla.attention/1", 1, "causal softmax attention (arXiv 1706.03762)",
                 .flags = GLA_LAYER_MIXER);
