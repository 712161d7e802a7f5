/* SPDX-License-Identifier: Apache-2.0
 *
 * mla.c - multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), with the compressed cache
 *
 *   [c | kr] = Wa x ;  c = rmsnorm(c), kr = rope(kr) ;  cached: c and kr, once for all heads
 *   [qn | qr] = Wq x per head ;  qr = rope(qr)
 *   head h has keys [Uk_h c | kr] and values Uv_h c, which are never made:
 *   score = (Uk_h^T qn) . c + qr . kr ;  o_h = Uv_h (softmax(scale score) c) ;  y = Wo o
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

static const char *const rope_types[] = {"default", "none", NULL};
enum { ROPE_DEFAULT, ROPE_NONE };

enum {
    P_HEADS,
    P_Q_RANK,
    P_KV_RANK,
    P_NOPE,
    P_ROPE,
    P_V,
    P_SCALE,
    P_NORM_EPS,
    P_ROPE_TYPE,
    P_ROPE_THETA,
    P_ROPE_INTERLEAVED,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "query heads"),
    [P_Q_RANK] =
        GLA_P_INT("q_rank", 0, 0, 1 << 20, "rank of the compressed query; 0 = not compressed"),
    [P_KV_RANK] = GLA_P_INT_REQ("kv_rank", 1, 4096, "channels of the compressed keys and values"),
    [P_NOPE] = GLA_P_INT_REQ("nope_dim", 1, 4096, "key channels of a head without position"),
    [P_ROPE] = GLA_P_INT("rope_dim", 0, 0, 4096, "key channels shared by all heads, with position"),
    [P_V] = GLA_P_INT_REQ("v_head_dim", 1, 4096, "value channels of a head"),
    [P_SCALE] = GLA_P_FLOAT("scale", 0, 0, 1e6, "of the scores; 0 = 1 / sqrt(nope_dim + rope_dim)"),
    [P_NORM_EPS] =
        GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the compressed vectors' norms; default: the model's"),
    [P_ROPE_TYPE] = GLA_P_ENUM("rope.type", ROPE_DEFAULT, rope_types,
                               "none: rope_dim channels without rotation"),
    [P_ROPE_THETA] = GLA_P_FLOAT("rope.theta", 10000, 1, 1e12, "base of the frequencies"),
    [P_ROPE_INTERLEAVED] = GLA_P_BOOL("rope.interleaved", 0, "pairs (2i, 2i+1), not halves"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, q_rank, rank, nope, rope_dim, v, k; /* k: cached channels, rank + rope_dim */
    float scale;
    uint32_t w_q, w_qa, w_qn, w_kva, w_kvn, w_kvb, w_out;
    uint32_t s_kv, t_qa, t_q, t_k, t_absorbed, t_latent, t_out;
    gla_linear *q, *q_a, *kv_a, *out;
    gla_linear **up; /* [2 * heads]: Uk_h^T, then Uv_h */
    gla_rope *rope;
    gla_norm q_norm, kv_norm;
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    const int64_t q_out = (int64_t)l->heads * (l->nope + l->rope_dim);

    l->w_qa = l->w_qn = GLA_ABSENT;
    if (l->q_rank) {
        l->w_qa = gla_declare_matrix(cfg, "q_a_proj.weight", l->q_rank, l->d);
        l->w_qn = gla_declare_vector(cfg, "q_a_norm.weight", l->q_rank);
        l->w_q = gla_declare_matrix(cfg, "q_b_proj.weight", q_out, l->q_rank);
        l->t_qa = gla_declare_rows(cfg, l->q_rank);
    } else {
        l->w_q = gla_declare_matrix(cfg, "q_proj.weight", q_out, l->d);
    }
    l->w_kva = gla_declare_matrix(cfg, "kv_a_proj.weight", l->k, l->d);
    l->w_kvn = gla_declare_vector(cfg, "kv_a_norm.weight", l->rank);
    l->w_kvb =
        gla_declare_gate(cfg, "kv_b_proj.weight", (int64_t)l->heads * (l->nope + l->v), l->rank);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, (int64_t)l->heads * l->v);
    l->s_kv = gla_declare_kv(cfg, "kv", l->heads, 1, l->k, 0, 0);
    l->t_q = gla_declare_rows(cfg, (size_t)q_out);
    l->t_k = gla_declare_rows(cfg, l->k);
    l->t_absorbed = gla_declare_rows(cfg, (size_t)l->heads * l->k);
    l->t_latent = gla_declare_rows(cfg, (size_t)l->heads * l->rank);
    l->t_out = gla_declare_rows(cfg, (size_t)l->heads * l->v);
}

static gla_norm norm_of(uint32_t width, const gla_layer_config *cfg)
{
    const gla_param_value *eps = &cfg->params[P_NORM_EPS];

    return (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = 1,
        .width = width,
        .eps = (float)(eps->is_set ? eps->f : cfg->norm_eps),
    };
}

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));
    const gla_rope_spec rope = {
        .struct_size = sizeof(rope),
        .dims = (uint32_t)p[P_ROPE].i,
        .interleaved = (uint32_t)p[P_ROPE_INTERLEAVED].i,
        .theta = p[P_ROPE_THETA].f,
        .factor = 1,
    };

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->q_rank = (uint32_t)p[P_Q_RANK].i;
    l->rank = (uint32_t)p[P_KV_RANK].i;
    l->nope = (uint32_t)p[P_NOPE].i;
    l->rope_dim = (uint32_t)p[P_ROPE].i;
    l->v = (uint32_t)p[P_V].i;
    l->k = l->rank + l->rope_dim;
    l->scale =
        p[P_SCALE].f > 0 ? (float)p[P_SCALE].f : 1.0f / sqrtf((float)(l->nope + l->rope_dim));
    l->q_norm = norm_of(l->q_rank, cfg);
    l->kv_norm = norm_of(l->rank, cfg);
    declare(l, cfg);
    if (l->rope_dim && p[P_ROPE_TYPE].i == ROPE_DEFAULT)
        return l->math->rope_create(host, &rope, &l->rope);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; l->up && i < 2 * l->heads; i++)
        l->math->linear_destroy(l->up[i]);
    gla_host_delete(l->host, l->up);
    l->math->linear_destroy(l->q);
    l->math->linear_destroy(l->q_a);
    l->math->linear_destroy(l->kv_a);
    l->math->linear_destroy(l->out);
    l->math->rope_destroy(l->rope);
    gla_host_delete(l->host, l);
}

/* kv_b_proj holds Uk_h [nope, rank] and Uv_h [v, rank] of each head in turn. */
static gla_status bind_up(gla_layer *l, const gla_tensor *kv_b)
{
    const size_t size = kv_b->dtype == GLA_DTYPE_F32 ? 4 : 2;
    gla_status st = GLA_OK;

    if (kv_b->dtype != GLA_DTYPE_F32 && kv_b->dtype != GLA_DTYPE_BF16 &&
        kv_b->dtype != GLA_DTYPE_F16)
        return gla_host_fail(l->host, GLA_E_UNSUPPORTED, "kv_b_proj must be f32, bf16 or f16");
    l->up = gla_host_new(l->host, 2 * (size_t)l->heads * sizeof(*l->up));
    if (!l->up)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < 2 * l->heads && !st; i++) {
        const uint32_t h = i % l->heads, is_value = i / l->heads;
        const size_t row = (size_t)h * (l->nope + l->v) + (is_value ? l->nope : 0);
        const gla_tensor part = {
            .data = (const char *)kv_b->data + row * l->rank * size,
            .dtype = kv_b->dtype,
            .ndim = 2,
            .dims = {is_value ? l->v : l->nope, l->rank},
        };
        const gla_tensor *parts = &part;
        const gla_linear_spec spec = {(uint32_t)sizeof(spec), 1, &parts, NULL, 1, !is_value};

        st = l->math->linear_create(l->host, &spec, &l->up[i]);
    }
    return st;
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_q, NULL, &l->q);

    if (!st && l->q_rank)
        st = gla_make_linear(l->host, weights, 1, &l->w_qa, NULL, &l->q_a);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_kva, NULL, &l->kv_a);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st)
        st = bind_up(l, &weights[l->w_kvb]);
    l->q_norm.weight = gla_weight_f32(weights, l->w_qn);
    l->kv_norm.weight = gla_weight_f32(weights, l->w_kvn);
    return st;
}

typedef struct job {
    const gla_layer *l;
    const float *q;  /* [rows, heads, nope | rope] */
    float *absorbed; /* [rows, heads, rank | rope] */
} job;

static void copy_rope_part(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;
    const uint32_t q = l->nope + l->rope_dim;

    for (size_t i = (size_t)first * l->heads; i < (size_t)last * l->heads; i++)
        for (uint32_t c = 0; c < l->rope_dim; c++)
            j->absorbed[i * l->k + l->rank + c] = j->q[i * q + l->nope + c];
}

/* Queries against the compressed keys: [rows, heads, Uk^T qn | rope(qr)]. */
static gla_status queries(const gla_layer *l, const gla_batch *b, float *absorbed)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, head = l->nope + l->rope_dim;
    const size_t ld = (size_t)l->heads * head, ld_a = (size_t)l->heads * l->k;
    const float *x = l->q_rank ? b->scratch[l->t_qa] : b->x;
    float *q = b->scratch[l->t_q];
    job j = {l, q, absorbed};
    gla_status st = GLA_OK;

    if (l->q_rank) {
        float *low = b->scratch[l->t_qa];

        st = m->linear(b, l->q_a, n, b->x, l->d, low, l->q_rank);
        if (!st)
            st = m->norm(b, &l->q_norm, n, low, l->q_rank, low, l->q_rank);
    }
    if (!st)
        st = m->linear(b, l->q, n, x, l->q_rank ? l->q_rank : l->d, q, ld);
    for (uint32_t h = 0; h < l->heads && !st; h++) {
        if (l->rope)
            st = m->rope(b, l->rope, 1, l->rope_dim, q + h * head + l->nope, ld);
        if (!st)
            st = m->linear(b, l->up[h], n, q + h * head, ld, absorbed + (size_t)h * l->k, ld_a);
    }
    return st ? st : m->for_rows(b, n, copy_rope_part, &j);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld_z = (size_t)l->heads * l->rank, ld_o = (size_t)l->heads * l->v;
    float *q = b->scratch[l->t_absorbed], *k = b->scratch[l->t_k];
    float *latent = b->scratch[l->t_latent], *o = b->scratch[l->t_out];
    gla_status st = m->linear(b, l->kv_a, n, b->x, l->d, k, l->k);

    if (!st)
        st = m->norm(b, &l->kv_norm, n, k, l->k, k, l->k);
    if (!st && l->rope)
        st = m->rope(b, l->rope, 1, l->rope_dim, k + l->rank, l->k);
    if (!st)
        st = queries(l, b, q);
    if (st)
        return st;

    const gla_attention a = {
        .struct_size = sizeof(a),
        .state = l->s_kv,
        .heads = l->heads,
        .scale = l->scale,
        .q = q,
        .k = k,
        .o = latent,
        .v_out_dim = l->rank,
        .ld_q = (size_t)l->heads * l->k,
        .ld_k = l->k,
        .ld_o = ld_z,
    };
    st = m->attention(b, &a);
    for (uint32_t h = 0; h < l->heads && !st; h++)
        st = m->linear(b, l->up[l->heads + h], n, latent + (size_t)h * l->rank, ld_z,
                       o + (size_t)h * l->v, ld_o);
    return st ? st : m->linear(b, l->out, n, o, ld_o, b->y, l->d);
}

GLA_LAYER_DEFINE(mla, "gla.mla/1", 1, "multi-head latent attention (arXiv 2405.04434)",
                 GLA_LAYER_MIXER);
