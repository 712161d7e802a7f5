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
#include <gla/blocks.h>

#include <math.h>

enum { P_HEADS, P_K_DIM, P_V_DIM, P_PROJ_RANK, P_DECAY_RANK, P_NORM_EPS };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_K_DIM] = GLA_P_INT("k_dim", 0, 0, 1 << 20, "all key channels; 0 = d_model / 2"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20, "all value channels; 0 = d_model"),
    [P_PROJ_RANK] = GLA_P_INT("proj_rank", 32, 1, 65536, "inner width of the mixing maps"),
    [P_DECAY_RANK] = GLA_P_INT("decay_rank", 64, 1, 65536, "inner width of the decay's map"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's")};

enum { R, W, K, V, G, N_MIXES };

struct gla_layer {
    gla_heads h;
    uint32_t d, rank, width[N_MIXES]; /* of what x_j is mapped to */
    uint32_t s_state, s_shift, t_before, t_low, t_mu, t_mixed, t_map[N_MIXES], t_decay, t_o;
    gla_linear *mix_in, *mix_out[N_MIXES], *map[N_MIXES], *decay;
    const float *mu, *bonus;
    gla_out out;
};

/* mu_j: P [D, 5, rank] is five maps side by side, each of which gets its columns. */
static void declare_mixes(gla_layer *l, const gla_layer_config *c)
{
    const int64_t d = l->d, all = N_MIXES * (int64_t)l->rank;
    const double bound = 0.1767766953 * sqrt(6.0 / (double)(d + all)); /* 2^-2.5 of Xavier's */
    const gla_init xavier = gla_init_of(GLA_INIT_UNIFORM, -bound, bound, 0);
    gla_view view = {.struct_size = sizeof(view), .role = GLA_WEIGHT_VECTOR, .ndim = 2};
    gla_part part = {.name = "x_proj.2", .out = l->d, .flags = GLA_PART_SENSITIVE};

    view.dims[0] = d;
    view.dims[1] = all;
    view.out_stride = (uint64_t)all;
    view.in_stride = 1;
    view.bias_rows = N_MIXES;
    view.bias_size = N_MIXES * (uint64_t)l->d;
    part.bias = "x_bias";
    part.view = &view;
    part.init = &xavier;
    gla_declare_numbers(c, "x_proj.mu", d, 0, NULL, &l->mu);
    gla_declare_linear(c, "x_proj.0", (uint32_t)all, l->d, GLA_PART_SENSITIVE, &l->mix_in);
    for (uint32_t j = 0; j < N_MIXES; j++) {
        view.offset = (uint64_t)j * l->rank;
        view.bias_offset = (uint64_t)j * l->d;
        gla_declare_parts(c, &part, 1, l->rank, &l->mix_out[j]);
    }
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    static const char *const names[] = {"r_proj", "w_proj.0", "k_proj", "v_proj", "g_proj"};
    const gla_param_value *p = c->params;
    const uint32_t d = c->d_in, heads = gla_u32(&p[P_HEADS]);
    const gla_status st = gla_heads_of(c, heads, heads, gla_u32_or(&p[P_K_DIM], d / 2),
                                       gla_u32_or(&p[P_V_DIM], d), &l->h);
    const gla_heads *h = &l->h;
    const gla_init zero = gla_constant(0), up = gla_init_of(GLA_INIT_ORTHOGONAL, 0.1, 0, 0);
    const uint32_t low = gla_u32(&p[P_DECAY_RANK]), width[] = {h->kc, low, h->kc, h->vc, h->vc};
    gla_norm norm = gla_norm_of(GLA_NORM_LAYER, heads, h->v, gla_eps(c, &p[P_NORM_EPS]));

    if (st)
        return st;
    l->d = d;
    l->rank = gla_u32(&p[P_PROJ_RANK]);
    declare_mixes(l, c);
    for (uint32_t j = 0; j < N_MIXES; j++) {
        l->width[j] = width[j];
        gla_declare_linear_from(c, names[j], width[j], d, j == W ? GLA_PART_SENSITIVE : 0,
                                j == W ? &zero : NULL, NULL, &l->map[j]);
        l->t_map[j] = gla_declare_rows(c, width[j]);
    }
    gla_declare_linear_from(c, "w_proj.2", h->kc, low, GLA_PART_SENSITIVE | GLA_PART_BIAS, &up,
                            NULL, &l->decay);
    gla_declare_numbers(c, "bonus", h->kc, 0, NULL, &l->bonus);
    norm.weight_per_group = 1;
    gla_out_declare(c, &l->out, "o_proj", h->oc, 0, &norm, "g_norm.weight");
    gla_norm_declare(c, &l->out.norm, NULL, "g_norm.bias");
    l->out.norm.gate_activation = GLA_ACT_SILU;
    l->s_state = gla_heads_state(c, h, 7);
    l->s_shift = gla_declare_fixed(c, "shift", d, 0, 0, 13.0 * d);
    l->t_before = gla_declare_rows(c, d);
    l->t_low = gla_declare_rows(c, N_MIXES * (size_t)l->rank);
    l->t_mu = gla_declare_rows(c, d);
    l->t_mixed = gla_declare_rows(c, d);
    l->t_decay = gla_declare_rows(c, h->kc);
    l->t_o = gla_declare_rows(c, h->oc);
    return GLA_OK;
}

/* The five mixed inputs through their maps. */
static void project(const gla_layer *l, const gla_batch *b, float *const *x)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, d = l->d, all = N_MIXES * l->rank;
    float *low = b->scratch[l->t_low], *mu = b->scratch[l->t_mu], *mixed = b->scratch[l->t_mixed],
          *before = b->scratch[l->t_before];

    m->shift(b, l->s_shift, d, b->x, d, before, d);
    m->mix(b, n, d, b->x, d, before, d, l->mu, 0, mixed, d);
    m->linear(b, l->mix_in, n, mixed, d, low, all);
    m->activation(b, GLA_ACT_TANH, n, all, low, all, low, all);
    for (uint32_t j = 0; j < N_MIXES; j++) {
        m->linear(b, l->mix_out[j], n, low + (size_t)j * l->rank, all, mu, d);
        m->mix(b, n, d, b->x, d, before, d, mu, d, mixed, d);
        m->linear(b, l->map[j], n, mixed, d, x[j], l->width[j]);
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, kc = l->h.kc, low = l->width[W];
    float *x[N_MIXES], *w = b->scratch[l->t_decay], *o = b->scratch[l->t_o];

    for (uint32_t j = 0; j < N_MIXES; j++)
        x[j] = b->scratch[l->t_map[j]];
    project(l, b, x);
    m->activation(b, GLA_ACT_TANH, n, low, x[W], low, x[W], low);
    m->linear(b, l->decay, n, x[W], low, w, kc);
    m->activation(b, GLA_ACT_EXP, n, kc, w, kc, w, kc);
    m->scale(b, -1, n, kc, w, kc);

    gla_recurrence r =
        gla_heads_recurrence(&l->h, l->s_state, GLA_DECAY_CHANNEL, x[R], x[K], x[V], kc, o);

    r.read_before = 1;
    r.scale = 1;
    r.log_decay = w;
    r.bonus = l->bonus;
    r.ld_v = l->h.vc;
    m->recurrence(b, &r);
    return gla_out_run(m, b, &l->out, o, x[G], l->h.vc);
}

GLA_LAYER_DEFINE(rwkv6, "gla.rwkv6/1", 1, "RWKV-6 time mixing (arXiv 2404.05892)",
                 .flags = GLA_LAYER_MIXER);
