/* SPDX-License-Identifier: Apache-2.0
 *
 * rwkv7.c - RWKV-7 time mixing (Peng et al., arXiv 2503.14456): a generalised delta rule
 *
 *   x_j = x + mu_j (x_before - x) for j in r, w, k, v, a, g          state: the last x
 *   r, k, v = Wr x_r, Wk x_k, Wv x_v ;  log w = -e^-0.5 sigmoid(W2 tanh(W1 x_w) + b)
 *   a = sigmoid(A2 A1 x_a + b) ;  g = G2 sigmoid(G1 x_g)
 *   v = v + (v_first - v) sigmoid(V2 V1 x_v + b)     v_first: of the first block; not in that
 *   kk = l2norm(k * k_k) ;  k = k (1 + (a - 1) k_a)
 *   S = diag(w) S - (a kk) (kk^T S_before) + k v^T                   state [H, K, V]
 *   y = Wo ( (groupnorm(r^T S) + (sum r k r_k) v) * g )
 */
#include <gla/blocks.h>

#include <math.h>

enum { P_HEADS, P_V_DIM, P_DECAY_RANK, P_A_RANK, P_V_RANK, P_GATE_RANK, P_FIRST, P_NORM_EPS };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_V_DIM] = GLA_P_INT("v_dim", 0, 0, 1 << 20, "all value channels; 0 = d_model"),
    [P_DECAY_RANK] = GLA_P_INT("decay_rank", 64, 1, 65536, "inner width of the decay's map"),
    [P_A_RANK] = GLA_P_INT("a_rank", 64, 1, 65536, "inner width of the learning rate's map"),
    [P_V_RANK] = GLA_P_INT("v_rank", 32, 1, 65536, "inner width of the value residual's map"),
    [P_GATE_RANK] = GLA_P_INT("gate_rank", 128, 1, 65536, "inner width of the output gate's map"),
    [P_FIRST] = GLA_P_BOOL("first", 0, "gives v to later blocks; default: in the first one"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the norm; default: K times the model's")};

enum { R, W, K, V, A, G, N_MIXES };

struct gla_layer {
    gla_heads h;
    uint32_t d, first, rank[N_MIXES], s_state, s_shift, shared_v;
    uint32_t t_before, t_mixed, t_low[N_MIXES], t[N_MIXES], t_kk, t_s, t_o;
    gla_linear *map[N_MIXES], *out;          /* r, k, v: one map */
    gla_linear *down[N_MIXES], *up[N_MIXES]; /* w, a, g, and what v_first comes by: two */
    const float *mu[N_MIXES], *k_k, *k_a, *r_k;
    gla_norm norm;
};

/* The two maps of x_j, the second one with a bias if it is said how that starts. */
static void declare_low(gla_layer *l, const gla_layer_config *c, uint32_t j, uint32_t rank,
                        uint32_t width, const gla_init *bias)
{
    static const char *const down[] = {"", "w_lora.0", "", "v_lora.0", "a_lora.0", "g_lora.0"};
    static const char *const up[] = {"", "w_lora.2", "", "v_lora.2", "a_lora.2", "g_lora.2"};
    const gla_init zero = gla_constant(0), small = gla_init_of(GLA_INIT_ORTHOGONAL, 0.1, 0, 0);
    const uint32_t flags = GLA_PART_SENSITIVE | (bias ? GLA_PART_BIAS : 0);

    l->rank[j] = rank;
    l->t_low[j] = gla_declare_rows(c, rank);
    gla_declare_linear_from(c, down[j], rank, l->d, GLA_PART_SENSITIVE, &zero, NULL, &l->down[j]);
    gla_declare_linear_from(c, up[j], width, rank, flags, &small, bias, &l->up[j]);
}

/* All start as published, but for the biases' zigzag within a head. */
static void declare_weights(gla_layer *l, const gla_layer_config *c)
{
    static const char *const mu[] = {"x_r", "x_w", "x_k", "x_v", "x_a", "x_g"};
    static const double power[] = {0.2, 0.9, 0.7, 0.7, 0.9, 0.2};
    const gla_param_value *p = c->params;
    const uint32_t d = l->d, vc = l->h.vc;
    const double deep = c->n_layers > 1 ? c->layer_index / (c->n_layers - 1.0) : 0;
    const double above = 1 - c->layer_index / (double)c->n_layers;
    const gla_init w = gla_init_of(GLA_INIT_RAMP, -5.5, 6, 1 + pow(deep, 0.3));
    const gla_init a = gla_init_of(GLA_INIT_RAMP, -0.39, 0.4, 1);
    const gla_init v = gla_init_of(GLA_INIT_RAMP, 0.93, -0.4, 1);
    const gla_init k_k = gla_init_of(GLA_INIT_RAMP, 0.76, -0.1, 1), k_a = gla_constant(1.02);
    const gla_init r_k = gla_constant(-0.04), zero = gla_constant(0);
    const gla_init square = gla_init_of(GLA_INIT_ORTHOGONAL, 1, 0, 0);
    const gla_init small = gla_init_of(GLA_INIT_ORTHOGONAL, 0.1, 0, 0);
    const gla_init norm = gla_constant(pow((c->layer_index + 1.0) / c->n_layers, 0.7));

    for (uint32_t j = 0; j < N_MIXES; j++) {
        const gla_init ramp = gla_init_of(GLA_INIT_RAMP, 1, -1, power[j] * above);

        gla_declare_numbers(c, mu[j], d, 0, &ramp, &l->mu[j]);
    }
    declare_low(l, c, W, gla_u32(&p[P_DECAY_RANK]), d, &w);
    declare_low(l, c, A, gla_u32(&p[P_A_RANK]), d, &a);
    if (!l->first)
        declare_low(l, c, V, gla_u32(&p[P_V_RANK]), vc, &v);
    declare_low(l, c, G, gla_u32(&p[P_GATE_RANK]), vc, NULL);
    gla_declare_linear_from(c, "r_proj", d, d, 0, &square, NULL, &l->map[R]);
    gla_declare_linear_from(c, "k_proj", d, d, 0, &small, NULL, &l->map[K]);
    gla_declare_linear_from(c, "v_proj", vc, d, 0, &square, NULL, &l->map[V]);
    gla_declare_numbers(c, "k_k", d, 0, &k_k, &l->k_k);
    gla_declare_numbers(c, "k_a", d, 0, &k_a, &l->k_a);
    gla_declare_numbers(c, "r_k", d, 0, &r_k, &l->r_k);
    gla_declare_numbers(c, "g_norm.weight", vc, 0, &norm, &l->norm.weight);
    gla_norm_declare(c, &l->norm, NULL, "g_norm.bias");
    gla_declare_linear_from(c, "o_proj", c->d_out, vc, 0, &zero, NULL, &l->out);
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params, *eps = &p[P_NORM_EPS];
    const uint32_t d = c->d_in, heads = gla_u32(&p[P_HEADS]), vc = gla_u32_or(&p[P_V_DIM], d);
    const gla_status st = d % heads || vc % heads
                              ? gla_refuse(c, "d_model and v_dim must be multiples of heads")
                              : gla_heads_of(c, heads, heads, d, vc, &l->h);
    const size_t width[N_MIXES] = {d, d, d, vc, d, vc};

    if (st)
        return st;
    l->d = d;
    l->first = p[P_FIRST].is_set ? gla_u32(&p[P_FIRST]) : c->layer_index == 0;
    l->norm = gla_norm_of(GLA_NORM_LAYER, heads, l->h.v,
                          (float)(eps->is_set ? eps->f : l->h.k * c->norm_eps));
    l->norm.weight_per_group = 1;
    declare_weights(l, c);
    l->s_state = gla_heads_state(c, &l->h, 9);
    l->s_shift = gla_declare_fixed(c, "shift", d, 0, 0, 13.0 * d);
    l->shared_v = (l->first ? c->declare->shared_written : c->declare->shared)(c->declare,
                                                                               "rwkv7.v_first", vc);
    for (uint32_t j = 0; j < N_MIXES; j++)
        l->t[j] = gla_declare_rows(c, width[j]);
    l->t_before = gla_declare_rows(c, d);
    l->t_mixed = gla_declare_rows(c, d);
    l->t_kk = gla_declare_rows(c, d);
    l->t_s = gla_declare_rows(c, heads);
    l->t_o = gla_declare_rows(c, vc);
    return GLA_OK;
}

/* x_j */
static const float *mixed(const gla_layer *l, const gla_batch *b, uint32_t j)
{
    float *y = b->scratch[l->t_mixed];

    b->math->mix(b, b->n_rows, l->d, b->x, l->d, b->scratch[l->t_before], l->d, l->mu[j], 0, y,
                 l->d);
    return y;
}

/* y = up act(down x) */
static void low_rank(const gla_layer *l, const gla_batch *b, uint32_t j, uint32_t act,
                     const float *x, float *y, size_t width)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, rank = l->rank[j];
    float *low = b->scratch[l->t_low[j]];

    m->linear(b, l->down[j], n, x, l->d, low, rank);
    if (act)
        m->activation(b, act, n, rank, low, rank, low, rank);
    m->linear(b, l->up[j], n, low, rank, y, width);
}

/* r, log w, k, v, a, g */
static void project(const gla_layer *l, const gla_batch *b, float *const *x)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, d = l->d, vc = l->h.vc;
    const float *x_v = b->scratch[l->t_mixed];
    float *first = b->shared[l->shared_v], *share = b->scratch[l->t_o];

    m->shift(b, l->s_shift, d, b->x, d, b->scratch[l->t_before], d);
    m->linear(b, l->map[R], n, mixed(l, b, R), d, x[R], d);
    m->linear(b, l->map[K], n, mixed(l, b, K), d, x[K], d);
    low_rank(l, b, W, GLA_ACT_TANH, mixed(l, b, W), x[W], d);
    m->activation(b, GLA_ACT_SIGMOID, n, d, x[W], d, x[W], d);
    m->scale(b, -0.6065306597126334f, n, d, x[W], d);
    low_rank(l, b, A, GLA_ACT_NONE, mixed(l, b, A), x[A], d);
    m->activation(b, GLA_ACT_SIGMOID, n, d, x[A], d, x[A], d);
    low_rank(l, b, G, GLA_ACT_SIGMOID, mixed(l, b, G), x[G], vc);
    m->linear(b, l->map[V], n, mixed(l, b, V), d, x[V], vc);
    if (l->first) {
        gla_copy_groups(b, 1, vc, x[V], vc, 0, first, vc, 0);
    } else {
        low_rank(l, b, V, GLA_ACT_NONE, x_v, share, vc);
        m->activation(b, GLA_ACT_SIGMOID, n, vc, share, vc, share, vc);
        m->mix(b, n, vc, x[V], vc, first, vc, share, vc, x[V], vc);
    }
}

/* s = sum r k r_k, of each head */
static void dot_rows(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const gla_heads *h = arg;

    for (size_t i = (size_t)first * h->heads; i < (size_t)last * h->heads; i++) {
        const float *r = at[0] + i * h->k, *k = at[1] + i * h->k;
        const float *r_k = at[2] + i % h->heads * h->k;
        float sum = 0;

        for (uint32_t c = 0; c < h->k; c++)
            sum += r[c] * k[c] * r_k[c];
        at[3][i] = sum;
    }
}

static void dot_vjp(const void *arg, const float *const *saved, const float *const *out,
                    float *const *grad, uint32_t first, uint32_t last)
{
    const gla_heads *h = arg;

    (void)out;
    for (size_t i = (size_t)first * h->heads; i < (size_t)last * h->heads; i++) {
        const size_t at = i * h->k, head = i % h->heads * h->k;
        const float *r = saved[0] + at, *k = saved[1] + at, *r_k = saved[2] + head;

        for (uint32_t c = 0; c < h->k; c++) {
            grad[0][at + c] += grad[3][i] * k[c] * r_k[c];
            grad[1][at + c] += grad[3][i] * r[c] * r_k[c];
            grad[2][head + c] += grad[3][i] * r[c] * k[c];
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const gla_heads *h = &l->h;
    const uint32_t n = b->n_rows, d = l->d, vc = h->vc;
    const gla_norm l2 = gla_norm_of(GLA_NORM_L2, h->heads, h->k, 1e-12f);
    float *x[N_MIXES], *kk = b->scratch[l->t_kk], *ka = b->scratch[l->t_mixed],
                       *s = b->scratch[l->t_s], *o = b->scratch[l->t_o];

    for (uint32_t j = 0; j < N_MIXES; j++)
        x[j] = b->scratch[l->t[j]];
    project(l, b, x);

    const gla_factor key = {sizeof(key), n, d, 1, x[K], l->k_k, kk, d, 0, d};
    m->mul(b, &key); /* kk = k k_k */
    m->norm(b, &l2, n, kk, d, kk, d);
    m->glu(b, GLA_ACT_NONE, n, d, x[K], d, x[A], d, ka, d);
    m->mix(b, n, d, x[K], d, ka, d, l->k_a, 0, x[K], d);    /* k = k + k_a (k a - k) */
    m->glu(b, GLA_ACT_NONE, n, d, kk, d, x[A], d, x[A], d); /* a = a kk */
    m->scale(b, -1, n, d, kk, d);

    gla_recurrence r =
        gla_heads_recurrence(h, l->s_state, GLA_DECAY_CHANNEL, x[R], x[K], x[V], d, o);

    r.write = GLA_WRITE_DPLR;
    r.scale = 1;
    r.log_decay = x[W];
    r.a = kk;
    r.b = x[A];
    r.ld_v = vc;
    m->recurrence(b, &r);
    m->norm(b, &l->norm, n, o, vc, o, vc);
    GLA_ROWS(b, *h, dot_rows, dot_vjp, {x[R], d, d, GLA_USE_READ}, {x[K], d, d, GLA_USE_READ},
             {l->r_k, 0, d, GLA_USE_READ}, {s, h->heads, h->heads, GLA_USE_WRITE});
    gla_add_groups(b, h->heads, h->v, x[V], vc, s, h->heads, o, vc); /* o = o + s v */
    m->glu(b, GLA_ACT_NONE, n, vc, x[G], vc, o, vc, o, vc);
    return m->linear(b, l->out, n, o, vc, b->y, d);
}

GLA_LAYER_DEFINE(rwkv7, "gla.rwkv7/1", 1, "RWKV-7 time mixing (arXiv 2503.14456)",
                 .flags = GLA_LAYER_MIXER);
