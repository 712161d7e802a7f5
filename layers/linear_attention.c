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
#include <gla/blocks.h>

#include <math.h>

static const char *const maps[] = {"none",     "elu1", "relu", "elementwise_product",
                                   "hedgehog", "t2r",  "dpfp", NULL};
enum { MAP_NONE, MAP_ELU1, MAP_RELU, MAP_PRODUCT, MAP_HEDGEHOG, MAP_T2R, MAP_DPFP };
enum { DPFP_NU = 4 };

/* clang-format off */
enum {
    P_HEADS, P_KV_HEADS, P_K_DIM, P_V_DIM, P_FEATURE_MAP, P_TIE_MAPS, P_NORM_Q, P_NORM_K,
    P_NORMALISER, P_OUTPUT_NORM, P_NORM
};
/* clang-format on */
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
    [P_OUTPUT_NORM] = GLA_P_BOOL("output_norm", 1, "rmsnorm of the output, per head")};

/* q or k: x through a map, and phi of it. */
typedef struct features {
    uint32_t heads, normed;
    uint32_t t_raw, t_mid, t_out; /* [rows, heads, d], [rows, heads, 2 d], [rows, heads, mapped] */
    gla_linear *proj, *map;       /* map, per head: d -> d or 2 d */
} features;

struct gla_layer {
    gla_heads h;
    uint32_t d, kind, mapped; /* channels of a head after the map */
    uint32_t normaliser, s_state, s_z, t_v, t_o;
    features q, k;
    gla_linear *v;
    gla_out out;
};

/* names: of the projection and of the learned maps. */
static void declare(const gla_layer *l, const gla_layer_config *c, features *f, uint32_t heads,
                    const char *const names[4])
{
    const uint32_t d = l->h.k, product = l->kind == MAP_PRODUCT ? d : 0;
    const uint32_t one = l->kind == MAP_HEDGEHOG || l->kind == MAP_T2R ? d : 0;
    const uint32_t bias = l->kind == MAP_T2R ? 0 : GLA_PART_BIAS;
    gla_part parts[3] = {{0}};

    for (uint32_t i = 0; i < 3; i++) {
        parts[i].name = names[1 + i];
        parts[i].out = i < 2 ? product : one;
        parts[i].flags = GLA_PART_SENSITIVE | bias;
    }
    f->heads = heads;
    gla_declare_linear(c, names[0], heads * d, c->d_in, 0, &f->proj);
    gla_declare_parts(c, parts, 3, d, &f->map);
    f->t_raw = gla_declare_rows(c, (size_t)heads * d);
    f->t_mid = gla_declare_rows(c, (size_t)heads * 2 * product);
    f->t_out = gla_declare_rows(c, l->kind <= MAP_RELU ? 0 : (size_t)heads * l->mapped);
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    static const char *const names[][4] = {
        {"q_proj", "feature_map_q.layer1", "feature_map_q.layer2", "feature_map_q.layer"},
        {"k_proj", "feature_map_k.layer1", "feature_map_k.layer2", "feature_map_k.layer"},
        {"k_proj", "feature_map_q.layer1", "feature_map_q.layer2", "feature_map_q.layer"}};
    const gla_param_value *p = c->params, *pn = p + P_NORM;
    const gla_status st =
        gla_heads_of(c, gla_u32(&p[P_HEADS]), gla_u32(&p[P_KV_HEADS]),
                     gla_u32_or(&p[P_K_DIM], c->d_in), gla_u32_or(&p[P_V_DIM], c->d_in), &l->h);
    const gla_heads *h = &l->h;
    const gla_norm norm = gla_norm_of(GLA_NORM_RMS, h->heads, h->v, gla_eps(c, &pn[GLA_N_EPS]));

    if (st)
        return st;
    l->d = c->d_in;
    l->kind = gla_u32(&p[P_FEATURE_MAP]);
    l->mapped = h->k * (l->kind == MAP_HEDGEHOG ? 2 : l->kind == MAP_DPFP ? 2 * DPFP_NU : 1);
    l->normaliser = p[P_NORMALISER].i ? GLA_NORMALISER_SUM : GLA_NORMALISER_NONE;
    l->q.normed = gla_u32(&p[P_NORM_Q]);
    l->k.normed = gla_u32(&p[P_NORM_K]);
    declare(l, c, &l->q, h->heads, names[0]);
    declare(l, c, &l->k, h->kv_heads, names[p[P_TIE_MAPS].i ? 2 : 1]);
    gla_declare_linear(c, "v_proj", h->vc, c->d_in, 0, &l->v);
    gla_out_declare(c, &l->out, "o_proj", h->oc, 0, p[P_OUTPUT_NORM].i ? &norm : NULL,
                    pn[GLA_N_WEIGHT].i ? "norm.weight" : NULL);
    l->s_state =
        gla_declare_fixed(c, "S", h->heads, l->mapped, h->v, 4.0 * h->heads * l->mapped * h->v);
    if (l->normaliser)
        l->s_z = gla_declare_fixed(c, "z", h->heads, l->mapped, 0, 4.0 * h->heads * l->mapped);
    l->t_v = gla_declare_rows(c, h->vc);
    l->t_o = gla_declare_rows(c, h->oc);
    return GLA_OK;
}

/* relu([x, -x])_i */
static float rectified(const float *x, uint32_t d, uint32_t i)
{
    const float r = i < d ? x[i] : -x[i - d];

    return r > 0 ? r : 0;
}

static void add_rectified(float *dx, const float *x, uint32_t d, uint32_t i, float dr)
{
    if (i < d)
        dx[i] += x[i] > 0 ? dr : 0;
    else
        dx[i - d] -= x[i - d] < 0 ? dr : 0;
}

/* x [rows, heads, d] -> y [rows, heads, 8 d]: products of channels at a distance of 1 to 4. */
typedef struct dpfp {
    uint32_t heads, d;
} dpfp;

static void dpfp_rows(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const dpfp *p = arg;
    const uint32_t d = p->d, all = 2 * d;

    for (size_t h = (size_t)first * p->heads; h < (size_t)last * p->heads; h++) {
        const float *x = at[0] + h * d;
        float *y = at[1] + h * DPFP_NU * all;

        for (uint32_t shift = 1; shift <= DPFP_NU; shift++)
            for (uint32_t i = 0; i < all; i++)
                *y++ = rectified(x, d, i) * rectified(x, d, (i + all - shift % all) % all);
    }
}

static void dpfp_vjp(const void *arg, const float *const *saved, const float *const *out,
                     float *const *grad, uint32_t first, uint32_t last)
{
    const dpfp *p = arg;
    const uint32_t d = p->d, all = 2 * d;

    (void)out;
    for (size_t h = (size_t)first * p->heads; h < (size_t)last * p->heads; h++) {
        const float *x = saved[0] + h * d, *dy = grad[1] + h * DPFP_NU * all;
        float *dx = grad[0] + h * d;

        for (uint32_t shift = 1; shift <= DPFP_NU; shift++)
            for (uint32_t i = 0; i < all; i++, dy++) {
                const uint32_t j = (i + all - shift % all) % all;

                add_rectified(dx, x, d, i, *dy * rectified(x, d, j));
                add_rectified(dx, x, d, j, *dy * rectified(x, d, i));
            }
    }
}

/* phi of x's projection: [rows, heads * mapped]. */
static float *mapped(const gla_layer *l, const gla_batch *b, const features *f)
{
    const gla_math *m = b->math;
    const uint32_t d = l->h.k, n = b->n_rows * f->heads; /* a head is a row after the projection */
    const size_t d2 = 2 * (size_t)d, ld = (size_t)f->heads * d;
    const dpfp expand = {f->heads, d};
    float *raw = b->scratch[f->t_raw], *mid = b->scratch[f->t_mid],
          *y = l->kind <= MAP_RELU ? raw : b->scratch[f->t_out];
    const gla_norm softmax = gla_norm_of(GLA_NORM_SOFTMAX, 1, l->mapped, 0);
    const gla_norm sum = gla_norm_of(GLA_NORM_SUM, 1, l->mapped, 1e-4f);
    const gla_copy negative = {sizeof(negative), n, 1, d, y, y + d, d2, d2, 0, 0, -2, 0};

    m->linear(b, f->proj, b->n_rows, b->x, l->d, raw, ld);
    switch (l->kind) {
    case MAP_ELU1:
        m->activation(b, GLA_ACT_ELU1, n, d, raw, d, raw, d);
        break;
    case MAP_RELU:
        m->activation(b, GLA_ACT_RELU, n, d, raw, d, raw, d);
        break;
    case MAP_PRODUCT:
        m->linear(b, f->map, n, raw, d, mid, d2);
        m->glu(b, GLA_ACT_NONE, n, d, mid, d2, mid + d, d2, y, d);
        break;
    case MAP_T2R:
        m->linear(b, f->map, n, raw, d, y, d);
        m->activation(b, GLA_ACT_RELU, n, d, y, d, y, d);
        break;
    case MAP_HEDGEHOG:
        m->linear(b, f->map, n, raw, d, y, d2);
        m->copy(b, &negative);
        m->scale(b, 2, n, d, y, d2);
        m->norm(b, &softmax, n, y, d2, y, d2);
        break;
    case MAP_DPFP:
        GLA_ROWS(b, expand, dpfp_rows, dpfp_vjp, {raw, ld, (uint32_t)ld, GLA_USE_READ},
                 {y, ld * 2 * DPFP_NU, (uint32_t)ld * 2 * DPFP_NU, GLA_USE_WRITE});
        break;
    }
    if (f->normed)
        m->norm(b, &sum, n, y, l->mapped, y, l->mapped);
    return y;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const gla_heads *h = &l->h;
    float *v = b->scratch[l->t_v], *o = b->scratch[l->t_o];
    const float *q = mapped(l, b, &l->q), *k = mapped(l, b, &l->k);
    gla_recurrence r = gla_heads_recurrence(h, l->s_state, GLA_DECAY_NONE, q, k, v, h->vc, o);

    m->linear(b, l->v, b->n_rows, b->x, l->d, v, h->vc);
    r.normaliser = l->normaliser;
    r.k_dim = l->mapped;
    r.z_state = l->s_z;
    r.scale = 1.0f / sqrtf((float)l->mapped);
    r.eps = 1e-10f;
    r.ld_q = (size_t)h->heads * l->mapped;
    r.ld_k = (size_t)h->kv_heads * l->mapped;
    m->recurrence(b, &r);
    return gla_out_run(m, b, &l->out, o, NULL, 0);
}

GLA_LAYER_DEFINE(linear_attention, "gla.linear_attention/1", 1,
                 "linear attention (arXiv 2006.16236)", .flags = GLA_LAYER_MIXER,
                 GLA_MORE(gla_params_norm));
