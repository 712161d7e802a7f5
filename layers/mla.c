/* SPDX-License-Identifier: Apache-2.0
 *
 * mla.c - multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), with the compressed cache
 *
 *   [c | kr] = Wa x ;  c = rmsnorm(c), kr = rope(kr) ;  cached: c and kr, once for all heads
 *   [qn | qr] = Wq x per head ;  qr = rope(qr)
 *   head h has keys [Uk_h c | kr] and values Uv_h c, which are never made:
 *   score = (Uk_h^T qn) . c + qr . kr ;  o_h = Uv_h (softmax(scale score) c) ;  y = Wo o
 */
#include <gla/blocks.h>

#include <math.h>

static const char *const rope_types[] = {"default", "none", NULL};
enum { ROPE_DEFAULT, ROPE_NONE };
enum { MAX_HEADS = 1024 };

/* clang-format off */
enum {
    P_HEADS, P_Q_RANK, P_KV_RANK, P_NOPE, P_ROPE, P_V, P_SCALE, P_NORM_EPS, P_ROPE_TYPE,
    P_ROPE_THETA, P_ROPE_INTERLEAVED
};
/* clang-format on */
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, MAX_HEADS, "query heads"),
    [P_Q_RANK] = GLA_P_INT("q_rank", 0, 0, 1 << 20, "rank of the compressed query; 0 = none"),
    [P_KV_RANK] = GLA_P_INT_REQ("kv_rank", 1, 4096, "channels of the compressed keys and values"),
    [P_NOPE] = GLA_P_INT_REQ("nope_dim", 1, 4096, "key channels of a head without position"),
    [P_ROPE] = GLA_P_INT("rope_dim", 0, 0, 4096, "key channels shared by all heads, with position"),
    [P_V] = GLA_P_INT_REQ("v_head_dim", 1, 4096, "value channels of a head"),
    [P_SCALE] = GLA_P_FLOAT("scale", 0, 0, 1e6, "of the scores; 0 = 1 / sqrt(nope_dim + rope_dim)"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the norms; default: the model's"),
    [P_ROPE_TYPE] = GLA_P_ENUM("rope.type", ROPE_DEFAULT, rope_types, "none: without rotation"),
    [P_ROPE_THETA] = GLA_P_FLOAT("rope.theta", 10000, 1, 1e12, "base of the frequencies"),
    [P_ROPE_INTERLEAVED] = GLA_P_BOOL("rope.interleaved", 0, "pairs (2i, 2i+1), not halves")};

struct gla_layer {
    uint32_t d, heads, q_rank, rank, nope, rope_dim, v, k; /* k: cached channels, rank + rope_dim */
    float scale;
    uint32_t s_kv, t_qa, t_q, t_k, t_absorbed, t_latent, t_o;
    gla_linear *q, *q_a, *kv_a, *out;
    gla_linear *key[MAX_HEADS], *value[MAX_HEADS]; /* Uk_h^T, Uv_h */
    gla_rope *rope;
    gla_norm q_norm, kv_norm;
};

/* kv_b_proj holds Uk_h [nope, rank] and Uv_h [v, rank] of each head in turn. */
static void declare_up(gla_layer *l, const gla_layer_config *c)
{
    const uint64_t rank = l->rank, head = (l->nope + l->v) * rank;
    gla_view view = {.struct_size = (uint32_t)sizeof(view),
                     .role = GLA_WEIGHT_MATRIX,
                     .ndim = 2,
                     .dims = {(int64_t)l->heads * (l->nope + l->v), l->rank}};
    gla_part part = {.name = "kv_b_proj", .flags = GLA_PART_SENSITIVE, .view = &view};

    for (uint32_t h = 0; h < l->heads; h++) {
        part.out = l->rank;
        view.offset = h * head;
        view.out_stride = 1;
        view.in_stride = rank;
        gla_declare_parts(c, &part, 1, l->nope, &l->key[h]);
        part.out = l->v;
        view.offset = h * head + l->nope * rank;
        view.out_stride = rank;
        view.in_stride = 1;
        gla_declare_parts(c, &part, 1, l->rank, &l->value[h]);
    }
}

static void declare(gla_layer *l, const gla_layer_config *c)
{
    const uint32_t q_out = l->heads * (l->nope + l->rope_dim);

    if (l->q_rank) {
        gla_declare_linear(c, "q_a_proj", l->q_rank, l->d, 0, &l->q_a);
        gla_norm_declare(c, &l->q_norm, "q_a_norm.weight", NULL);
        gla_declare_linear(c, "q_b_proj", q_out, l->q_rank, 0, &l->q);
        l->t_qa = gla_declare_rows(c, l->q_rank);
    } else {
        gla_declare_linear(c, "q_proj", q_out, l->d, 0, &l->q);
    }
    gla_declare_linear(c, "kv_a_proj", l->k, l->d, 0, &l->kv_a);
    gla_norm_declare(c, &l->kv_norm, "kv_a_norm.weight", NULL);
    declare_up(l, c);
    gla_declare_linear(c, "o_proj", l->d, l->heads * l->v, 0, &l->out);
    l->s_kv = gla_declare_kv(c, "kv", l->heads, 1, l->k, 0, 0);
    l->t_q = gla_declare_rows(c, q_out);
    l->t_k = gla_declare_rows(c, l->k);
    l->t_absorbed = gla_declare_rows(c, (size_t)l->heads * l->k);
    l->t_latent = gla_declare_rows(c, (size_t)l->heads * l->rank);
    l->t_o = gla_declare_rows(c, (size_t)l->heads * l->v);
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const gla_rope_spec rope = {.struct_size = (uint32_t)sizeof(rope),
                                .dims = gla_u32(&p[P_ROPE]),
                                .interleaved = gla_u32(&p[P_ROPE_INTERLEAVED]),
                                .theta = p[P_ROPE_THETA].f,
                                .factor = 1};

    l->d = c->d_in;
    l->heads = gla_u32(&p[P_HEADS]);
    l->q_rank = gla_u32(&p[P_Q_RANK]);
    l->rank = gla_u32(&p[P_KV_RANK]);
    l->nope = gla_u32(&p[P_NOPE]);
    l->rope_dim = gla_u32(&p[P_ROPE]);
    l->v = gla_u32(&p[P_V]);
    l->k = l->rank + l->rope_dim;
    l->scale =
        p[P_SCALE].f > 0 ? (float)p[P_SCALE].f : 1.0f / sqrtf((float)(l->nope + l->rope_dim));
    l->q_norm = gla_norm_of(GLA_NORM_RMS, 1, l->q_rank, gla_eps(c, &p[P_NORM_EPS]));
    l->kv_norm = gla_norm_of(GLA_NORM_RMS, 1, l->rank, gla_eps(c, &p[P_NORM_EPS]));
    declare(l, c);
    if (l->rope_dim && p[P_ROPE_TYPE].i == ROPE_DEFAULT)
        c->declare->rope(c->declare, &rope, &l->rope);
    return GLA_OK;
}

/* Queries against the compressed keys: [rows, heads, Uk^T qn | rope(qr)]. */
static void queries(const gla_layer *l, const gla_batch *b, float *absorbed)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, head = l->nope + l->rope_dim;
    const size_t ld = (size_t)l->heads * head, ld_a = (size_t)l->heads * l->k;
    float *q = b->scratch[l->t_q];

    if (l->q_rank) {
        float *low = b->scratch[l->t_qa];

        m->linear(b, l->q_a, n, b->x, l->d, low, l->q_rank);
        m->norm(b, &l->q_norm, n, low, l->q_rank, low, l->q_rank);
        m->linear(b, l->q, n, low, l->q_rank, q, ld);
    } else {
        m->linear(b, l->q, n, b->x, l->d, q, ld);
    }
    for (uint32_t h = 0; h < l->heads; h++) {
        if (l->rope)
            m->rope(b, l->rope, 1, l->rope_dim, q + h * head + l->nope, ld);
        m->linear(b, l->key[h], n, q + h * head, ld, absorbed + (size_t)h * l->k, ld_a);
    }
    if (l->rope_dim)
        gla_copy_groups(b, l->heads, l->rope_dim, q + l->nope, ld, head, absorbed + l->rank, ld_a,
                        l->k);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows;
    const size_t ld_z = (size_t)l->heads * l->rank, ld_o = (size_t)l->heads * l->v;
    float *q = b->scratch[l->t_absorbed], *k = b->scratch[l->t_k];
    float *latent = b->scratch[l->t_latent], *o = b->scratch[l->t_o];
    gla_attention a = gla_attention_of(l->s_kv, l->heads, l->scale, q, (size_t)l->heads * l->k, k,
                                       NULL, l->k, latent, ld_z);

    a.v_out_dim = l->rank;
    m->linear(b, l->kv_a, n, b->x, l->d, k, l->k);
    m->norm(b, &l->kv_norm, n, k, l->k, k, l->k);
    if (l->rope)
        m->rope(b, l->rope, 1, l->rope_dim, k + l->rank, l->k);
    queries(l, b, q);
    m->attention(b, &a);
    for (uint32_t h = 0; h < l->heads; h++)
        m->linear(b, l->value[h], n, latent + (size_t)h * l->rank, ld_z, o + (size_t)h * l->v,
                  ld_o);
    return m->linear(b, l->out, n, o, ld_o, b->y, l->d);
}

GLA_LAYER_DEFINE(mla, "gla.mla/1", 1, "multi-head latent attention (arXiv 2405.04434)",
                 .flags = GLA_LAYER_MIXER);
