/* SPDX-License-Identifier: Apache-2.0
 *
 * rwkv6.c - RWKV-6 time mixing (Peng et al., arXiv 2404.05892)
 *
 *   d = x_before - x                                                 state: the last x
 *   mu_j = P_j tanh(W0 (x + mu d))_j + b_j ;  x_j = x + mu_j d       for j in r, w, k, v, g
 *   r, k, v, g = Wr x_r, Wk x_k, Wv x_v, Wg x_g ;  log w = -exp(W2 tanh(W1 x_w) + b)
 *   o = r^T (S + diag(u) k v^T) ;  S = diag(w) S + k v^T             state [H, K, V]
 *   y = Wo ( groupnorm(o) * silu(g) )
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

enum { P_HEADS, P_K_DIM, P_V_DIM, P_PROJ_RANK, P_DECAY_RANK, P_NORM_EPS };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_K_DIM] = GLA_P_INT("k_dim", 0, 0, 1 << 20, "all key channels; 0 = d_model / 2"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20, "all value channels; 0 = d_model"),
    [P_PROJ_RANK] = GLA_P_INT("proj_rank", 32, 1, 65536, "inner width of the mixing maps"),
    [P_DECAY_RANK] = GLA_P_INT("decay_rank", 64, 1, 65536, "inner width of the decay's map"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
};

enum { X_R, X_W, X_K, X_V, X_G, N_MIXES };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, k, v, kc, vc, rank, decay_rank;
    uint32_t w_mu, w_mix_in, w_mix_out, w_mix_bias, w_maps[N_MIXES], w_decay_up, b_decay_up,
        w_bonus;
    uint32_t w_norm, b_norm, w_out;
    uint32_t s_state, s_shift, t_before, t_low, t_mu, t_mixed, t_decay_low, t_map[N_MIXES], t_o;
    gla_linear *mix_in, *mix_out[N_MIXES], *maps[N_MIXES], *decay_up, *out;
    const float *mu, *bonus;
    gla_norm norm;
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const names[] = {"r_proj.weight", "w_proj.0.weight", "k_proj.weight",
                                        "v_proj.weight", "g_proj.weight"};
    const uint32_t widths[] = {l->kc, l->decay_rank, l->kc, l->vc, l->vc};

    l->w_mu = gla_declare_vector(cfg, "x_proj.mu", l->d);
    l->w_mix_in = gla_declare_gate(cfg, "x_proj.0.weight", N_MIXES * (int64_t)l->rank, l->d);
    l->w_mix_out = gla_declare_weight(cfg, "x_proj.2.weight", GLA_WEIGHT_VECTOR,
                                      GLA_WEIGHT_SENSITIVE, l->d, N_MIXES * (int64_t)l->rank, 0);
    l->w_mix_bias = gla_declare_weight(cfg, "x_bias", GLA_WEIGHT_VECTOR, 0, N_MIXES, l->d, 0);
    for (uint32_t i = 0; i < N_MIXES; i++) {
        l->w_maps[i] = i == X_W ? gla_declare_gate(cfg, names[i], widths[i], l->d)
                                : gla_declare_matrix(cfg, names[i], widths[i], l->d);
        l->t_map[i] = gla_declare_rows(cfg, i == X_W ? l->kc : widths[i]);
    }
    l->w_decay_up = gla_declare_gate(cfg, "w_proj.2.weight", l->kc, l->decay_rank);
    l->b_decay_up = gla_declare_vector(cfg, "w_proj.2.bias", l->kc);
    l->w_bonus = gla_declare_vector(cfg, "bonus", l->kc);
    l->w_norm = gla_declare_vector(cfg, "g_norm.weight", l->vc);
    l->b_norm = gla_declare_vector(cfg, "g_norm.bias", l->vc);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", cfg->d_out, l->vc);
    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->k, l->v, 7.0 * l->kc * l->v);
    l->s_shift = gla_declare_fixed(cfg, "shift", l->d, 0, 0, 13.0 * l->d);
    l->t_before = gla_declare_rows(cfg, l->d);
    l->t_low = gla_declare_rows(cfg, N_MIXES * (size_t)l->rank);
    l->t_mu = gla_declare_rows(cfg, l->d);
    l->t_mixed = gla_declare_rows(cfg, l->d);
    l->t_decay_low = gla_declare_rows(cfg, l->decay_rank);
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
    l->kc = p[P_K_DIM].i ? (uint32_t)p[P_K_DIM].i : l->d / 2;
    l->vc = p[P_V_DIM].i ? (uint32_t)p[P_V_DIM].i : l->d;
    if (!l->kc || l->kc % l->heads || l->vc % l->heads)
        return gla_host_fail(host, GLA_E_INVALID, "k_dim and v_dim must be multiples of heads");
    l->k = l->kc / l->heads;
    l->v = l->vc / l->heads;
    l->rank = (uint32_t)p[P_PROJ_RANK].i;
    l->decay_rank = (uint32_t)p[P_DECAY_RANK].i;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_LAYER,
        .groups = l->heads,
        .width = l->v,
        .weight_per_group = 1,
        .gate_activation = GLA_ACT_SILU,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
        .ld_gate = l->vc,
    };
    declare(l, cfg);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; i < N_MIXES; i++) {
        l->math->linear_destroy(l->mix_out[i]);
        l->math->linear_destroy(l->maps[i]);
    }
    l->math->linear_destroy(l->mix_in);
    l->math->linear_destroy(l->decay_up);
    l->math->linear_destroy(l->out);
    gla_host_delete(l->host, l);
}

/* P [D, 5, rank] is five maps side by side: each gets its columns. */
static gla_status bind_mixes(gla_layer *l, const float *p, const float *bias)
{
    float *columns = gla_host_new(l->host, (size_t)l->d * l->rank * sizeof(float));
    const gla_tensor part = {
        .data = columns, .dtype = GLA_DTYPE_F32, .ndim = 2, .dims = {l->d, l->rank}};
    const gla_tensor *parts = &part;
    gla_status st = columns ? GLA_OK : GLA_E_NOMEM;

    for (uint32_t i = 0; i < N_MIXES && !st; i++) {
        const float *b = bias + (size_t)i * l->d;
        const gla_linear_spec spec = {(uint32_t)sizeof(spec), 1, &parts, &b, 1, 0};

        for (size_t c = 0; c < (size_t)l->d * l->rank; c++)
            columns[c] = p[(c / l->rank * N_MIXES + i) * l->rank + c % l->rank];
        st = l->math->linear_create(l->host, &spec, &l->mix_out[i]);
    }
    gla_host_delete(l->host, columns);
    return st;
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_mix_in, NULL, &l->mix_in);

    if (!st)
        st = bind_mixes(l, gla_weight_f32(weights, l->w_mix_out),
                        gla_weight_f32(weights, l->w_mix_bias));
    for (uint32_t i = 0; i < N_MIXES && !st; i++)
        st = gla_make_linear(l->host, weights, 1, &l->w_maps[i], NULL, &l->maps[i]);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_decay_up, &l->b_decay_up, &l->decay_up);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    l->mu = gla_weight_f32(weights, l->w_mu);
    l->bonus = gla_weight_f32(weights, l->w_bonus);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    l->norm.bias = gla_weight_f32(weights, l->b_norm);
    return st;
}

typedef struct decay_job {
    float *w; /* [rows, width] */
    uint32_t width;
} decay_job;

static void decay_rows(void *arg, uint32_t first, uint32_t last)
{
    const decay_job *j = arg;

    for (size_t i = (size_t)first * j->width; i < (size_t)last * j->width; i++)
        j->w[i] = -expf(j->w[i]);
}

/* The five mixed inputs through their maps, into t_map. */
static gla_status project(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, d = l->d;
    const uint32_t widths[] = {l->kc, l->decay_rank, l->kc, l->vc, l->vc};
    const size_t ld_low = N_MIXES * (size_t)l->rank;
    float *low = b->scratch[l->t_low], *mu = b->scratch[l->t_mu], *w = b->scratch[l->t_map[X_W]];
    float *decay_low = b->scratch[l->t_decay_low], *mixed = b->scratch[l->t_mixed];
    const float *before = b->scratch[l->t_before];
    decay_job decay = {w, l->kc};
    gla_status st = m->mix(b, n, d, b->x, d, before, d, l->mu, 0, mixed, d);

    if (!st)
        st = m->linear(b, l->mix_in, n, mixed, d, low, ld_low);
    if (!st)
        st = m->activation(b, GLA_ACT_TANH, n, (uint32_t)ld_low, low, ld_low, low, ld_low);
    for (uint32_t i = 0; i < N_MIXES && !st; i++) {
        float *y = i == X_W ? decay_low : b->scratch[l->t_map[i]];

        st = m->linear(b, l->mix_out[i], n, low + (size_t)i * l->rank, ld_low, mu, d);
        if (!st)
            st = m->mix(b, n, d, b->x, d, before, d, mu, d, mixed, d);
        if (!st)
            st = m->linear(b, l->maps[i], n, mixed, d, y, widths[i]);
    }
    if (!st)
        st = m->activation(b, GLA_ACT_TANH, n, l->decay_rank, decay_low, l->decay_rank, decay_low,
                           l->decay_rank);
    if (!st)
        st = m->linear(b, l->decay_up, n, decay_low, l->decay_rank, w, l->kc);
    return st ? st : m->for_rows(b, n, decay_rows, &decay);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, d = l->d;
    float *o = b->scratch[l->t_o];
    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_CHANNEL,
        .write = GLA_WRITE_ADD,
        .read_before = 1,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->v,
        .state = l->s_state,
        .scale = 1,
        .q = b->scratch[l->t_map[X_R]],
        .k = b->scratch[l->t_map[X_K]],
        .v = b->scratch[l->t_map[X_V]],
        .log_decay = b->scratch[l->t_map[X_W]],
        .bonus = l->bonus,
        .ld_q = l->kc,
        .ld_k = l->kc,
        .ld_v = l->vc,
        .ld_decay = l->kc,
        .o = o,
        .ld_o = l->vc,
    };
    gla_norm norm = l->norm;
    gla_status st = m->shift(b, l->s_shift, d, b->x, d, b->scratch[l->t_before], d);

    if (!st)
        st = project(l, b);
    if (!st)
        st = m->recurrence(b, &r);
    norm.gate = b->scratch[l->t_map[X_G]];
    if (!st)
        st = m->norm(b, &norm, n, o, l->vc, o, l->vc);
    return st ? st : m->linear(b, l->out, n, o, l->vc, b->y, d);
}

GLA_LAYER_DEFINE(rwkv6, "gla.rwkv6/1", 1, "RWKV-6 time mixing (arXiv 2404.05892)", GLA_LAYER_MIXER);
