/* SPDX-License-Identifier: Apache-2.0
 *
 * linear_attention.c - linear attention without decay (Katharopoulos et al., arXiv 2006.16236)
 *
 *   q, k = phi(Wq x), phi(Wk x) ;  S = S + k v^T ;  z = z + k
 *   y = Wo rmsnorm( scale q^T S / (scale q.z + 1e-10) )         the division by z: optional
 *
 * Feature maps phi, per head of d channels: activations (elu1, relu, none), or
 *   elementwise_product  (W1 x + b1) * (W2 x + b2)
 *   hedgehog             softmax([2 (W x + b), -2 (W x + b)])        2 d channels  arXiv 2402.04347
 *   t2r                  relu(W x)                                                 arXiv 2103.13076
 *   dpfp                 r = relu([x, -x]);  r * roll(r, j), j = 1..4  8 d channels
 *                                                                              arXiv 2102.11174
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

static const char *const maps[] = {"none",     "elu1", "relu", "elementwise_product",
                                   "hedgehog", "t2r",  "dpfp", NULL};
enum { MAP_NONE, MAP_ELU1, MAP_RELU, MAP_PRODUCT, MAP_HEDGEHOG, MAP_T2R, MAP_DPFP };
enum { DPFP_NU = 4 };

enum {
    P_HEADS,
    P_KV_HEADS,
    P_K_DIM,
    P_V_DIM,
    P_FEATURE_MAP,
    P_TIE_MAPS,
    P_NORM_Q,
    P_NORM_K,
    P_NORMALISER,
    P_OUTPUT_NORM,
    P_NORM_EPS,
    P_NORM_WEIGHT,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "query heads"),
    [P_KV_HEADS] = GLA_P_INT("kv_heads", 0, 0, 1024, "key and value heads; 0 = heads"),
    [P_K_DIM] = GLA_P_INT("k_dim", 0, 0, 1 << 20, "all query channels; 0 = d_model"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20, "all output channels; 0 = d_model"),
    [P_FEATURE_MAP] = GLA_P_ENUM("feature_map", MAP_PRODUCT, maps, "of q and k"),
    [P_TIE_MAPS] = GLA_P_BOOL("tie_feature_maps", 0, "one learned map for q and k"),
    [P_NORM_Q] = GLA_P_BOOL("norm_q", 0, "divide q by its sum"),
    [P_NORM_K] = GLA_P_BOOL("norm_k", 0, "divide k by its sum"),
    [P_NORMALISER] = GLA_P_BOOL("normaliser", 0, "divide by the running sum of the keys"),
    [P_OUTPUT_NORM] = GLA_P_BOOL("output_norm", 1, "rmsnorm of the output, per head"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    [P_NORM_WEIGHT] = GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight"),
};

/* One feature map: of q, or of k. */
typedef struct feature_map {
    uint32_t heads, w[2], b[2]; /* weights of the learned maps */
    uint32_t t_raw, t_mid,
        t_out;       /* scratch: [rows, heads, d], [rows, heads, 2 d], [rows, heads, mapped] */
    gla_linear *map; /* per head: d -> d or 2 d */
} feature_map;

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, kv_heads, k, v, oc,
        mapped; /* k: channels of a head before the map, mapped: after */
    uint32_t kind, norm_q, norm_k, normaliser, output_norm;
    uint32_t w_q, w_k, w_v, w_norm, w_out;
    feature_map q, kf;
    uint32_t s_state, s_z, t_v, t_out;
    gla_linear *wq, *wk, *wv, *out;
    gla_norm norm;
};

static void declare_map(gla_layer *l, const gla_layer_config *cfg, feature_map *f,
                        const char *const *names, uint32_t heads, const feature_map *tied)
{
    f->heads = heads;
    for (uint32_t i = 0; i < 2; i++)
        f->w[i] = f->b[i] = GLA_ABSENT;
    if (tied) {
        for (uint32_t i = 0; i < 2; i++) {
            f->w[i] = tied->w[i];
            f->b[i] = tied->b[i];
        }
    } else if (l->kind == MAP_PRODUCT) {
        for (uint32_t i = 0; i < 2; i++) {
            f->w[i] = gla_declare_gate(cfg, names[2 * i], l->k, l->k);
            f->b[i] = gla_declare_vector(cfg, names[2 * i + 1], l->k);
        }
    } else if (l->kind == MAP_HEDGEHOG || l->kind == MAP_T2R) {
        f->w[0] = gla_declare_gate(cfg, names[4], l->k, l->k);
        if (l->kind == MAP_HEDGEHOG)
            f->b[0] = gla_declare_vector(cfg, names[5], l->k);
    }
    f->t_raw = gla_declare_rows(cfg, (size_t)heads * l->k);
    f->t_mid = gla_declare_rows(cfg, (size_t)heads * 2 * l->k);
    f->t_out = gla_declare_rows(cfg, (size_t)heads * l->mapped);
}

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const q_names[] = {
        "feature_map_q.layer1.weight", "feature_map_q.layer1.bias",  "feature_map_q.layer2.weight",
        "feature_map_q.layer2.bias",   "feature_map_q.layer.weight", "feature_map_q.layer.bias"};
    static const char *const k_names[] = {
        "feature_map_k.layer1.weight", "feature_map_k.layer1.bias",  "feature_map_k.layer2.weight",
        "feature_map_k.layer2.bias",   "feature_map_k.layer.weight", "feature_map_k.layer.bias"};

    l->w_q = gla_declare_matrix(cfg, "q_proj.weight", (int64_t)l->heads * l->k, l->d);
    l->w_k = gla_declare_matrix(cfg, "k_proj.weight", (int64_t)l->kv_heads * l->k, l->d);
    l->w_v = gla_declare_matrix(cfg, "v_proj.weight", (int64_t)l->kv_heads * l->v, l->d);
    declare_map(l, cfg, &l->q, q_names, l->heads, NULL);
    declare_map(l, cfg, &l->kf, k_names, l->kv_heads, cfg->params[P_TIE_MAPS].i ? &l->q : NULL);
    l->w_norm = GLA_ABSENT;
    if (l->output_norm && cfg->params[P_NORM_WEIGHT].i)
        l->w_norm = gla_declare_vector(cfg, "norm.weight", l->v);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->oc);
    l->s_state =
        gla_declare_fixed(cfg, "S", l->heads, l->mapped, l->v, 4.0 * l->heads * l->mapped * l->v);
    if (l->normaliser)
        l->s_z = gla_declare_fixed(cfg, "z", l->heads, l->mapped, 0, 4.0 * l->heads * l->mapped);
    l->t_v = gla_declare_rows(cfg, (size_t)l->kv_heads * l->v);
    l->t_out = gla_declare_rows(cfg, l->oc);
}

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));
    uint32_t qc;

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
    l->k = qc / l->heads;
    l->v = l->oc / l->heads;
    l->kind = (uint32_t)p[P_FEATURE_MAP].i;
    l->mapped = l->kind == MAP_HEDGEHOG ? 2 * l->k
                : l->kind == MAP_DPFP   ? 2 * DPFP_NU * l->k
                                        : l->k;
    l->norm_q = (uint32_t)p[P_NORM_Q].i;
    l->norm_k = (uint32_t)p[P_NORM_K].i;
    l->normaliser = (uint32_t)p[P_NORMALISER].i;
    l->output_norm = (uint32_t)p[P_OUTPUT_NORM].i;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = l->heads,
        .width = l->v,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
    };
    declare(l, cfg);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->wq);
    l->math->linear_destroy(l->wk);
    l->math->linear_destroy(l->wv);
    l->math->linear_destroy(l->out);
    l->math->linear_destroy(l->q.map);
    l->math->linear_destroy(l->kf.map);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_q, NULL, &l->wq);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_k, NULL, &l->wk);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_v, NULL, &l->wv);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st && l->q.w[0] != GLA_ABSENT)
        st = gla_make_linear(l->host, weights, 2, l->q.w, l->q.b, &l->q.map);
    if (!st && l->kf.w[0] != GLA_ABSENT)
        st = gla_make_linear(l->host, weights, 2, l->kf.w, l->kf.b, &l->kf.map);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st;
}

typedef struct expand_job {
    const float *x; /* [rows, d] */
    float *y;       /* [rows, mapped] */
    uint32_t d, kind;
} expand_job;

/* The maps that write more channels than they read: [2x, -2x], or dpfp. */
static void expand_rows(void *arg, uint32_t first, uint32_t last)
{
    const expand_job *j = arg;
    const uint32_t d = j->d;

    for (uint32_t r = first; r < last; r++) {
        const float *x = j->x + (size_t)r * d;

        if (j->kind == MAP_HEDGEHOG) {
            float *y = j->y + (size_t)r * 2 * d;

            for (uint32_t i = 0; i < d; i++) {
                y[i] = 2 * x[i];
                y[d + i] = -2 * x[i];
            }
            continue;
        }
        for (uint32_t shift = 1; shift <= DPFP_NU; shift++) {
            float *y = j->y + ((size_t)r * DPFP_NU + shift - 1) * 2 * d;

            for (uint32_t i = 0; i < 2 * d; i++) {
                const uint32_t from = (i + 2 * d - shift % (2 * d)) % (2 * d);
                const float a = i < d ? x[i] : -x[i - d], b = from < d ? x[from] : -x[from - d];

                y[i] = (a > 0 ? a : 0) * (b > 0 ? b : 0);
            }
        }
    }
}

/* phi of the projected rows f->t_raw, and their division by the sum.  *out: [rows, heads * mapped].
 */
static gla_status apply_map(const gla_layer *l, const gla_batch *b, const feature_map *f,
                            uint32_t normed, float **out)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows * f->heads, d = l->k; /* a head is a row here */
    const size_t d2 = 2 * (size_t)d;
    float *raw = b->scratch[f->t_raw], *mid = b->scratch[f->t_mid];
    const gla_norm softmax = {
        .struct_size = sizeof(softmax), .kind = GLA_NORM_SOFTMAX, .groups = 1, .width = l->mapped};
    const gla_norm sum = {.struct_size = sizeof(sum),
                          .kind = GLA_NORM_SUM,
                          .groups = 1,
                          .width = l->mapped,
                          .eps = 1e-4f};
    expand_job job = {raw, b->scratch[f->t_out], d, l->kind};
    gla_status st = GLA_OK;

    *out = l->kind <= MAP_RELU ? raw : job.y;
    switch (l->kind) {
    case MAP_ELU1:
        st = m->activation(b, GLA_ACT_ELU1, n, d, raw, d, raw, d);
        break;
    case MAP_RELU:
        st = m->activation(b, GLA_ACT_RELU, n, d, raw, d, raw, d);
        break;
    case MAP_PRODUCT:
        st = m->linear(b, f->map, n, raw, d, mid, d2);
        if (!st)
            st = m->glu(b, GLA_ACT_NONE, n, d, mid, d2, mid + d, d2, *out, d);
        break;
    case MAP_T2R:
        st = m->linear(b, f->map, n, raw, d, *out, d);
        if (!st)
            st = m->activation(b, GLA_ACT_RELU, n, d, *out, d, *out, d);
        break;
    case MAP_HEDGEHOG:
        job.x = mid;
        st = m->linear(b, f->map, n, raw, d, mid, d);
        if (!st)
            st = m->for_rows(b, n, expand_rows, &job);
        if (!st)
            st = m->norm(b, &softmax, n, *out, d2, *out, d2);
        break;
    case MAP_DPFP:
        st = m->for_rows(b, n, expand_rows, &job);
        break;
    default:
        break;
    }
    if (!st && normed)
        st = m->norm(b, &sum, n, *out, l->mapped, *out, l->mapped);
    return st;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld_q = (size_t)l->heads * l->mapped, ld_k = (size_t)l->kv_heads * l->mapped;
    const size_t ld_v = (size_t)l->kv_heads * l->v;
    float *q, *k, *v = b->scratch[l->t_v], *o = b->scratch[l->t_out];
    gla_status st =
        m->linear(b, l->wq, n, b->x, l->d, b->scratch[l->q.t_raw], (size_t)l->heads * l->k);

    if (!st)
        st =
            m->linear(b, l->wk, n, b->x, l->d, b->scratch[l->kf.t_raw], (size_t)l->kv_heads * l->k);
    if (!st)
        st = m->linear(b, l->wv, n, b->x, l->d, v, ld_v);
    if (!st)
        st = apply_map(l, b, &l->q, l->norm_q, &q);
    if (!st)
        st = apply_map(l, b, &l->kf, l->norm_k, &k);
    if (st)
        return st;

    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_NONE,
        .write = GLA_WRITE_ADD,
        .normaliser = l->normaliser ? GLA_NORMALISER_SUM : GLA_NORMALISER_NONE,
        .heads = l->heads,
        .k_dim = l->mapped,
        .v_dim = l->v,
        .k_heads = l->kv_heads,
        .v_heads = l->kv_heads,
        .state = l->s_state,
        .z_state = l->s_z,
        .scale = 1.0f / sqrtf((float)l->mapped),
        .eps = 1e-10f,
        .q = q,
        .k = k,
        .v = v,
        .ld_q = ld_q,
        .ld_k = ld_k,
        .ld_v = ld_v,
        .o = o,
        .ld_o = l->oc,
    };
    st = m->recurrence(b, &r);
    if (!st && l->output_norm)
        st = m->norm(b, &l->norm, n, o, l->oc, o, l->oc);
    return st ? st : m->linear(b, l->out, n, o, l->oc, b->y, l->d);
}

GLA_LAYER_DEFINE(linear_attention, "gla.linear_attention/1", 1,
                 "linear attention (arXiv 2006.16236)", GLA_LAYER_MIXER);
