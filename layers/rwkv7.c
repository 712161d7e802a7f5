/* SPDX-License-Identifier: Apache-2.0
 *
 * rwkv7.c - RWKV-7 time mixing (Peng et al., arXiv 2503.14456): a generalised delta rule
 *
 *   x_j = x + mu_j (x_before - x) for j in r, w, k, v, a, g          state: the last x
 *   r, k, v = Wr x_r, Wk x_k, Wv x_v ;  log w = -e^-0.5 sigmoid(W2 tanh(W1 x_w) + b)
 *   a = sigmoid(A2 A1 x_a + b) ;  g = G2 sigmoid(G1 x_g)
 *   v = v + (v_first - v) sigmoid(V2 V1 x_v + b)     v_first: v of the first block; not in the
 * first kk = l2norm(k * k_k) ;  k = k (1 + (a - 1) k_a) S = diag(w) S - (a kk) (kk^T S_before) + k
 * v^T                   state [H, K, V] y = Wo ( (groupnorm(r^T S) + (sum r k r_k) v) * g )
 */
#include "../tests/support/blocks_v1_0.h"

enum { P_HEADS, P_V_DIM, P_DECAY_RANK, P_A_RANK, P_V_RANK, P_GATE_RANK, P_FIRST, P_NORM_EPS };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20, "all value channels; 0 = d_model"),
    [P_DECAY_RANK] = GLA_P_INT("decay_rank", 64, 1, 65536, "inner width of the decay's map"),
    [P_A_RANK] =
        GLA_P_INT("a_rank", 64, 1, 65536, "inner width of the in-context learning rate's map"),
    [P_V_RANK] = GLA_P_INT("v_rank", 32, 1, 65536, "inner width of the value residual's map"),
    [P_GATE_RANK] = GLA_P_INT("gate_rank", 128, 1, 65536, "inner width of the output gate's map"),
    [P_FIRST] =
        GLA_P_BOOL("first", 0, "gives its value to the later blocks; default: in the first block"),
    [P_NORM_EPS] =
        GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: K times the model's"),
};

enum { X_R, X_W, X_K, X_V, X_A, X_G, N_MIXES };
enum { L_W, L_A, L_V, L_G, N_LORA }; /* low-rank maps */

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, k, v, vc, first;
    uint32_t rank[N_LORA], w_mu[N_MIXES], w_r, w_kp, w_v, w_kk, w_ka, w_rk, w_out, w_norm, b_norm;
    uint32_t w_down[N_LORA], w_up[N_LORA], b_up[N_LORA];
    uint32_t s_state, s_shift, shared_v, t_before, t_mixed, t_low, t_r, t_k, t_v, t_w, t_a, t_g,
        t_kk, t_b, t_o;
    gla_linear *r, *kp, *vp, *out, *down[N_LORA], *up[N_LORA];
    const float *mu[N_MIXES], *k_k, *k_a, *r_k;
    gla_norm norm;
};

static void declare_maps(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const mu[] = {"x_r", "x_w", "x_k", "x_v", "x_a", "x_g"};
    static const char *const down[] = {"w_lora.0.weight", "a_lora.0.weight", "v_lora.0.weight",
                                       "g_lora.0.weight"};
    static const char *const up[] = {"w_lora.2.weight", "a_lora.2.weight", "v_lora.2.weight",
                                     "g_lora.2.weight"};
    static const char *const bias[] = {"w_lora.2.bias", "a_lora.2.bias", "v_lora.2.bias", NULL};
    const uint32_t widths[] = {l->d, l->d, l->vc, l->vc};

    for (uint32_t i = 0; i < N_MIXES; i++)
        l->w_mu[i] = gla_declare_vector(cfg, mu[i], l->d);
    for (uint32_t i = 0; i < N_LORA; i++) {
        l->w_down[i] = l->w_up[i] = l->b_up[i] = GLA_ABSENT;
        if (i == L_V && l->first)
            continue;
        l->w_down[i] = gla_declare_gate(cfg, down[i], l->rank[i], l->d);
        l->w_up[i] = gla_declare_gate(cfg, up[i], widths[i], l->rank[i]);
        if (bias[i])
            l->b_up[i] = gla_declare_vector(cfg, bias[i], widths[i]);
    }
}

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    uint32_t rank = 0;

    declare_maps(l, cfg);
    for (uint32_t i = 0; i < N_LORA; i++)
        rank = l->rank[i] > rank ? l->rank[i] : rank;
    l->w_r = gla_declare_matrix(cfg, "r_proj.weight", l->d, l->d);
    l->w_kp = gla_declare_matrix(cfg, "k_proj.weight", l->d, l->d);
    l->w_v = gla_declare_matrix(cfg, "v_proj.weight", l->vc, l->d);
    l->w_kk = gla_declare_vector(cfg, "k_k", l->d);
    l->w_ka = gla_declare_vector(cfg, "k_a", l->d);
    l->w_rk = gla_declare_vector(cfg, "r_k", l->d);
    l->w_norm = gla_declare_vector(cfg, "g_norm.weight", l->vc);
    l->b_norm = gla_declare_vector(cfg, "g_norm.bias", l->vc);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", cfg->d_out, l->vc);
    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->k, l->v, 9.0 * l->d * l->v);
    l->s_shift = gla_declare_fixed(cfg, "shift", l->d, 0, 0, 13.0 * l->d);
    l->shared_v = cfg->declare->shared(cfg->declare, "rwkv7.v_first", l->vc);
    l->t_before = gla_declare_rows(cfg, l->d);
    l->t_mixed = gla_declare_rows(cfg, l->d);
    l->t_low = gla_declare_rows(cfg, rank);
    l->t_r = gla_declare_rows(cfg, l->d);
    l->t_k = gla_declare_rows(cfg, l->d);
    l->t_v = gla_declare_rows(cfg, l->vc);
    l->t_w = gla_declare_rows(cfg, l->d);
    l->t_a = gla_declare_rows(cfg, l->d);
    l->t_g = gla_declare_rows(cfg, l->vc);
    l->t_kk = gla_declare_rows(cfg, l->d);
    l->t_b = gla_declare_rows(cfg, l->d);
    l->t_o = gla_declare_rows(cfg, l->vc);
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
    l->vc = p[P_V_DIM].i ? (uint32_t)p[P_V_DIM].i : l->d;
    if (l->d % l->heads || l->vc % l->heads)
        return gla_host_fail(host, GLA_E_INVALID, "d_model and v_dim must be multiples of heads");
    l->k = l->d / l->heads;
    l->v = l->vc / l->heads;
    l->first = p[P_FIRST].is_set ? (uint32_t)p[P_FIRST].i : cfg->layer_index == 0;
    l->rank[L_W] = (uint32_t)p[P_DECAY_RANK].i;
    l->rank[L_A] = (uint32_t)p[P_A_RANK].i;
    l->rank[L_V] = (uint32_t)p[P_V_RANK].i;
    l->rank[L_G] = (uint32_t)p[P_GATE_RANK].i;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_LAYER,
        .groups = l->heads,
        .width = l->v,
        .weight_per_group = 1,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : l->k * cfg->norm_eps),
    };
    declare(l, cfg);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->r);
    l->math->linear_destroy(l->kp);
    l->math->linear_destroy(l->vp);
    l->math->linear_destroy(l->out);
    for (uint32_t i = 0; i < N_LORA; i++) {
        l->math->linear_destroy(l->down[i]);
        l->math->linear_destroy(l->up[i]);
    }
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_r, NULL, &l->r);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_kp, NULL, &l->kp);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_v, NULL, &l->vp);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    for (uint32_t i = 0; i < N_LORA && !st; i++) {
        if (l->w_down[i] == GLA_ABSENT)
            continue;
        st = gla_make_linear(l->host, weights, 1, &l->w_down[i], NULL, &l->down[i]);
        if (!st)
            st = gla_make_linear(l->host, weights, 1, &l->w_up[i], &l->b_up[i], &l->up[i]);
    }
    for (uint32_t i = 0; i < N_MIXES; i++)
        l->mu[i] = gla_weight_f32(weights, l->w_mu[i]);
    l->k_k = gla_weight_f32(weights, l->w_kk);
    l->k_a = gla_weight_f32(weights, l->w_ka);
    l->r_k = gla_weight_f32(weights, l->w_rk);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    l->norm.bias = gla_weight_f32(weights, l->b_norm);
    return st;
}

typedef struct job {
    const gla_layer *l;
    float *r, *k, *v, *a, *g, *kk, *b, *o, *v_first, *v_gate;
} job;

static void residual_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;

    for (size_t i = (size_t)first * j->l->vc; i < (size_t)last * j->l->vc; i++) {
        if (j->l->first)
            j->v_first[i] = j->v[i];
        else
            j->v[i] += j->v_gate[i] * (j->v_first[i] - j->v[i]);
    }
}

/* kk = k k_k, and k with its in-context learning rate */
static void key_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const uint32_t d = j->l->d;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t c = 0; c < d; c++) {
            const size_t i = (size_t)r * d + c;

            j->kk[i] = j->k[i] * j->l->k_k[c];
            j->k[i] *= 1.0f + (j->a[i] - 1.0f) * j->l->k_a[c];
        }
}

/* The two factors of the correction: b = kk a and, in place, -kk. */
static void factor_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;

    for (size_t i = (size_t)first * j->l->d; i < (size_t)last * j->l->d; i++) {
        j->b[i] = j->kk[i] * j->a[i];
        j->kk[i] = -j->kk[i];
    }
}

static void output_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t h = 0; h < l->heads; h++) {
            const size_t in = (size_t)r * l->d + h * l->k, out = (size_t)r * l->vc + h * l->v;
            float dot = 0;

            for (uint32_t c = 0; c < l->k; c++)
                dot += j->r[in + c] * j->k[in + c] * l->r_k[h * l->k + c];
            for (uint32_t c = 0; c < l->v; c++)
                j->o[out + c] = (j->o[out + c] + dot * j->v[out + c]) * j->g[out + c];
        }
}

/* x + mu (before - x), then a plain map or a low-rank one */
static gla_status mixed_map(const gla_layer *l, const gla_batch *b, uint32_t mix,
                            const gla_linear *map, uint32_t lora, uint32_t inner, float *y,
                            size_t width)
{
    const gla_math *m = l->math;
    float *low = b->scratch[l->t_low], *mixed = b->scratch[l->t_mixed];
    const uint32_t n = b->n_rows, rank = lora < N_LORA ? l->rank[lora] : 0;
    gla_status st =
        m->mix(b, n, l->d, b->x, l->d, b->scratch[l->t_before], l->d, l->mu[mix], 0, mixed, l->d);

    if (!st && map)
        return m->linear(b, map, n, mixed, l->d, y, width);
    if (!st)
        st = m->linear(b, l->down[lora], n, mixed, l->d, low, rank);
    if (!st && inner)
        st = m->activation(b, inner, n, rank, low, rank, low, rank);
    return st ? st : m->linear(b, l->up[lora], n, low, rank, y, width);
}

static gla_status project(const gla_layer *l, const gla_batch *b, job *j, float *w)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, d = l->d, vc = l->vc;
    gla_status st = mixed_map(l, b, X_R, l->r, N_LORA, 0, j->r, d);

    if (!st)
        st = mixed_map(l, b, X_W, NULL, L_W, GLA_ACT_TANH, w, d);
    if (!st)
        st = m->activation(b, GLA_ACT_SIGMOID, n, d, w, d, w, d);
    if (!st)
        st = m->scale(b, -0.6065306597126334f, n, d, w, d);
    if (!st)
        st = mixed_map(l, b, X_K, l->kp, N_LORA, 0, j->k, d);
    if (!st)
        st = mixed_map(l, b, X_A, NULL, L_A, GLA_ACT_NONE, j->a, d);
    if (!st)
        st = m->activation(b, GLA_ACT_SIGMOID, n, d, j->a, d, j->a, d);
    if (!st)
        st = mixed_map(l, b, X_V, l->vp, N_LORA, 0, j->v, vc);
    if (!st && !l->first) {
        st = mixed_map(l, b, X_V, NULL, L_V, GLA_ACT_NONE, j->v_gate, vc);
        if (!st)
            st = m->activation(b, GLA_ACT_SIGMOID, n, vc, j->v_gate, vc, j->v_gate, vc);
    }
    if (!st)
        st = m->for_rows(b, n, residual_rows, j);
    return st ? st : mixed_map(l, b, X_G, NULL, L_G, GLA_ACT_SIGMOID, j->g, vc);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, d = l->d, vc = l->vc;
    float *const *t = b->scratch;
    job j = {.l = l,
             .r = t[l->t_r],
             .k = t[l->t_k],
             .v = t[l->t_v],
             .a = t[l->t_a],
             .g = t[l->t_g],
             .kk = t[l->t_kk],
             .b = t[l->t_b],
             .o = t[l->t_o],
             .v_first = b->shared[l->shared_v],
             .v_gate = t[l->t_o]};
    const gla_norm l2 = {.struct_size = sizeof(l2),
                         .kind = GLA_NORM_L2,
                         .groups = l->heads,
                         .width = l->k,
                         .eps = 1e-12f};
    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_CHANNEL,
        .write = GLA_WRITE_DPLR,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->v,
        .state = l->s_state,
        .scale = 1,
        .q = j.r,
        .k = j.k,
        .v = j.v,
        .log_decay = t[l->t_w],
        .a = j.kk,
        .b = j.b,
        .ld_q = d,
        .ld_k = d,
        .ld_v = vc,
        .ld_decay = d,
        .ld_a = d,
        .ld_b = d,
        .o = j.o,
        .ld_o = vc,
    };
    gla_status st = m->shift(b, l->s_shift, d, b->x, d, t[l->t_before], d);

    if (!st)
        st = project(l, b, &j, t[l->t_w]);
    if (!st)
        st = m->for_rows(b, n, key_rows, &j);
    if (!st)
        st = m->norm(b, &l2, n, j.kk, d, j.kk, d);
    if (!st)
        st = m->for_rows(b, n, factor_rows, &j);
    if (!st)
        st = m->recurrence(b, &r);
    if (!st)
        st = m->norm(b, &l->norm, n, j.o, vc, j.o, vc);
    if (!st)
        st = m->for_rows(b, n, output_rows, &j);
    return st ? st : m->linear(b, l->out, n, j.o, vc, b->y, d);
}

GLA_LAYER_DEFINE(rwkv7, "gla.rwkv7/1", 1, "RWKV-7 time mixing (arXiv 2503.14456)", GLA_LAYER_MIXER);
