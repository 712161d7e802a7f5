/* SPDX-License-Identifier: Apache-2.0
 *
 * kla.c - Kalman linear attention (arXiv 2602.10743): a scalar Kalman filter per channel m and
 * state s, in information form
 *
 *   [z | gate] = Wi x ;  z = silu(conv(z)) ;  [v | c | k | q] = Ws z, v and c expanded if of low
 * rank k, q = k / max(|k|, 1e-12), ... ;  lv = 1 / (softplus(c) + var_min) ;  phi = lv k^2 d = a^2
 * + p lam ;  lam = lam / d + phi ;  eta = (a / d) eta + v lv k       states [S, M], lam_0 = 1 y =
 * Wo ( (sum_s q eta / lam + skip z) * silu(gate) )
 *
 * a = exp(-exp(lambda_log) delta); p is the process noise over a step of delta ("ou": of an
 * Ornstein-Uhlenbeck process, "zoh": held).
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

static const char *const discretizations[] = {"ou", "zoh", NULL};
enum { OU, ZOH };

enum { P_INNER, P_STATE, P_CONV, P_V_RANK, P_VAR_RANK, P_VAR_MIN, P_DISCRETIZATION };
static const gla_param_desc params[] = {
    [P_INNER] = GLA_P_INT("inner", 0, 0, 1 << 20, "channels M; 0 = 2 d_model"),
    [P_STATE] = GLA_P_INT("state", 16, 1, 4096, "states S of a channel"),
    [P_CONV] = GLA_P_INT("conv", 4, 1, 64, "width of the short convolution"),
    [P_V_RANK] = GLA_P_INT("value_rank", 0, 0, 1 << 20,
                           "0: v = z; M: v as sensed; else expanded from so many"),
    [P_VAR_RANK] =
        GLA_P_INT("var_rank", 0, 0, 1 << 20, "0 or M: c as sensed; else expanded from so many"),
    [P_VAR_MIN] = GLA_P_FLOAT("obs_var_min", 1e-4, 0, 1e6, "smallest variance of an observation"),
    [P_DISCRETIZATION] = GLA_P_ENUM("discretization", OU, discretizations, "of the process noise"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, m, s, v_rank, var_rank, sensed, discretization;
    float var_min;
    uint32_t w_in, w_conv, b_conv, w_sensor, w_v, w_c, w_delta, w_lambda, w_noise, w_skip, w_out;
    uint32_t s_lam, s_eta, s_conv, t_in, t_sensed, t_v, t_c, t_o;
    gla_linear *in, *sensor, *v_expand, *c_expand, *out;
    gla_conv *conv;
    const float *skip;
    float *a, *p; /* [S, M] */
};

static void declare(gla_layer *l, const gla_layer_config *cfg, uint32_t conv)
{
    l->w_in = gla_declare_matrix(cfg, "in_proj.weight", 2 * (int64_t)l->m, l->d);
    l->w_conv = gla_declare_taps(cfg, "conv.weight", l->m, conv);
    l->b_conv = gla_declare_vector(cfg, "conv.bias", l->m);
    l->w_sensor = gla_declare_gate(cfg, "sensor_proj.weight", l->sensed, l->m);
    l->w_v = l->v_rank && l->v_rank != l->m
                 ? gla_declare_gate(cfg, "value_expand.weight", l->m, l->v_rank)
                 : GLA_ABSENT;
    l->w_c = l->var_rank != l->m ? gla_declare_gate(cfg, "var_expand.weight", l->m, l->var_rank)
                                 : GLA_ABSENT;
    l->w_delta = gla_declare_taps(cfg, "delta", l->m, l->s);
    l->w_lambda = gla_declare_taps(cfg, "lambda_log", l->m, l->s);
    l->w_noise = gla_declare_taps(cfg, "process_noise", l->m, l->s);
    l->w_skip = gla_declare_vector(cfg, "lambda_skip", 1);
    l->w_out = gla_declare_matrix(cfg, "out_proj.weight", cfg->d_out, l->m);
    l->s_lam = gla_declare_fixed(cfg, "lam", l->s, l->m, 0, 6.0 * l->s * l->m);
    l->s_eta = gla_declare_fixed(cfg, "eta", l->s, l->m, 0, 6.0 * l->s * l->m);
    l->s_conv = gla_declare_fixed(cfg, "conv", conv - 1, l->m, 0, 2.0 * l->m * conv);
    l->t_in = gla_declare_rows(cfg, 2 * (size_t)l->m);
    l->t_sensed = gla_declare_rows(cfg, l->sensed);
    l->t_v = gla_declare_rows(cfg, l->m);
    l->t_c = gla_declare_rows(cfg, l->m);
    l->t_o = gla_declare_rows(cfg, l->m);
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
    l->m = p[P_INNER].i ? (uint32_t)p[P_INNER].i : 2 * l->d;
    l->s = (uint32_t)p[P_STATE].i;
    l->v_rank = (uint32_t)p[P_V_RANK].i;
    l->var_rank = p[P_VAR_RANK].i ? (uint32_t)p[P_VAR_RANK].i : l->m;
    l->sensed = l->v_rank + l->var_rank + 2 * l->s;
    l->var_min = (float)p[P_VAR_MIN].f;
    l->discretization = (uint32_t)p[P_DISCRETIZATION].i;
    declare(l, cfg, (uint32_t)p[P_CONV].i);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->sensor);
    l->math->linear_destroy(l->v_expand);
    l->math->linear_destroy(l->c_expand);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l->a);
    gla_host_delete(l->host, l->p);
    gla_host_delete(l->host, l);
}

/* a and p of every channel and state, stored [M, S] in checkpoints, [S, M] here */
static gla_status bind_dynamics(gla_layer *l, const gla_tensor *weights)
{
    const float *delta = gla_weight_f32(weights, l->w_delta),
                *lambda = gla_weight_f32(weights, l->w_lambda);
    const float *noise = gla_weight_f32(weights, l->w_noise);

    l->a = gla_host_new(l->host, (size_t)l->s * l->m * sizeof(float));
    l->p = gla_host_new(l->host, (size_t)l->s * l->m * sizeof(float));
    if (!l->a || !l->p)
        return GLA_E_NOMEM;
    for (uint32_t m = 0; m < l->m; m++)
        for (uint32_t s = 0; s < l->s; s++) {
            const size_t from = (size_t)m * l->s + s, to = (size_t)s * l->m + m;
            const double d = delta[from], step = (d > 20 ? d : log1p(exp(d))) + 1e-7;
            const double rate = exp((double)lambda[from]), p = fmax(noise[from], 1e-7);

            l->a[to] = (float)exp(-rate * step);
            l->p[to] = (float)(l->discretization == OU ? p / (2 * rate) * -expm1(-2 * rate * step)
                                                       : p * step);
        }
    return GLA_OK;
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_in, NULL, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_sensor, NULL, &l->sensor);
    if (!st && l->w_v != GLA_ABSENT)
        st = gla_make_linear(l->host, weights, 1, &l->w_v, NULL, &l->v_expand);
    if (!st && l->w_c != GLA_ABSENT)
        st = gla_make_linear(l->host, weights, 1, &l->w_c, NULL, &l->c_expand);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st)
        st = gla_make_conv(l->host, weights, 1, &l->w_conv, &l->b_conv, GLA_ACT_SILU, &l->conv);
    l->skip = gla_weight_f32(weights, l->w_skip);
    return st ? st : bind_dynamics(l, weights);
}

typedef struct job {
    const gla_layer *l;
    const gla_batch *b;
    const float *z, *v, *c, *k,
        *q; /* rows; z with distance 2 M, v and c with their own, k and q sensed */
    size_t ld_v, ld_c;
    float *y; /* [rows, M] */
} job;

enum { BLOCK = 64 }; /* channels filtered together */

/* One token: channels [first, last) of the filters. */
static void filter_token(const job *j, uint32_t row, uint32_t first, uint32_t last, float *lam,
                         float *eta)
{
    const gla_layer *l = j->l;
    const float *k = j->k + (size_t)row * l->sensed, *q = j->q + (size_t)row * l->sensed;
    const float *v = j->v + row * j->ld_v, *c = j->c + row * j->ld_c,
                *z = j->z + (size_t)row * 2 * l->m;
    float *y = j->y + (size_t)row * l->m, precision[BLOCK];

    for (uint32_t i = first; i < last; i++) {
        const float softplus = c[i] > 20 ? c[i] : log1pf(expf(c[i]));

        precision[i - first] = 1.0f / (softplus + l->var_min);
        y[i] = l->skip[0] * z[i];
    }
    for (uint32_t s = 0; s < l->s; s++) {
        const float *a = l->a + (size_t)s * l->m, *p = l->p + (size_t)s * l->m;
        float *lam_s = lam + (size_t)s * l->m, *eta_s = eta + (size_t)s * l->m;

        for (uint32_t i = first; i < last; i++) {
            const float weighted = precision[i - first] * k[s];
            const float d = 1.0f / (a[i] * a[i] + p[i] * lam_s[i]);

            lam_s[i] = lam_s[i] * d + weighted * k[s];
            eta_s[i] = a[i] * d * eta_s[i] + v[i] * weighted;
            y[i] += q[s] * eta_s[i] / lam_s[i];
        }
    }
}

/* Work i: one block of channels of one sequence. */
static void filter_blocks(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;
    const uint32_t blocks = (l->m + BLOCK - 1) / BLOCK;

    for (uint32_t i = first; i < last; i++) {
        const uint32_t seq = i / blocks, from = i % blocks * BLOCK;
        const uint32_t to = from + BLOCK < l->m ? from + BLOCK : l->m;
        float *lam = gla_state_f32(j->b, seq, l->s_lam), *eta = gla_state_f32(j->b, seq, l->s_eta);

        if (j->b->position[seq] == 0) /* the prior: precision 1 */
            for (uint32_t s = 0; s < l->s; s++)
                for (uint32_t c = from; c < to; c++)
                    lam[(size_t)s * l->m + c] = 1;
        for (uint32_t r = j->b->row_offset[seq]; r < j->b->row_offset[seq + 1]; r++)
            filter_token(j, r, from, to, lam, eta);
    }
}

/* v, c, k and q of every row. */
static gla_status sense(const gla_layer *l, const gla_batch *b, job *j)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    float *sensed = b->scratch[l->t_sensed], *c = sensed + l->v_rank, *k = c + l->var_rank;
    const gla_norm l2 = {.struct_size = sizeof(l2),
                         .kind = GLA_NORM_L2_MAX,
                         .groups = 2,
                         .width = l->s,
                         .eps = 1e-12f};
    gla_status st = m->linear(b, l->sensor, n, j->z, 2 * (size_t)l->m, sensed, l->sensed);

    if (!st)
        st = m->norm(b, &l2, n, k, l->sensed, k, l->sensed);
    j->k = k;
    j->q = k + l->s;
    j->v = l->v_rank ? sensed : j->z;
    j->ld_v = l->v_rank ? l->sensed : 2 * (size_t)l->m;
    j->c = c;
    j->ld_c = l->sensed;
    if (!st && l->v_expand) {
        st = m->linear(b, l->v_expand, n, sensed, l->sensed, b->scratch[l->t_v], l->m);
        j->v = b->scratch[l->t_v];
        j->ld_v = l->m;
    }
    if (!st && l->c_expand) {
        st = m->linear(b, l->c_expand, n, c, l->sensed, b->scratch[l->t_c], l->m);
        j->c = b->scratch[l->t_c];
        j->ld_c = l->m;
    }
    return st;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = 2 * (size_t)l->m;
    float *z = b->scratch[l->t_in], *gate = z + l->m, *y = b->scratch[l->t_o];
    job j = {.l = l, .b = b, .z = z, .y = y};
    gla_status st = m->linear(b, l->in, n, b->x, l->d, z, ld);

    if (!st)
        st = m->conv1d(b, l->conv, l->s_conv, z, ld, z, ld);
    if (!st)
        st = sense(l, b, &j);
    if (!st)
        st = m->for_rows(b, b->n_sequences * ((l->m + BLOCK - 1) / BLOCK), filter_blocks, &j);
    if (!st)
        st = m->glu(b, GLA_ACT_SILU, n, l->m, gate, ld, y, l->m, y, l->m);
    return st ? st : m->linear(b, l->out, n, y, l->m, b->y, l->d);
}

GLA_LAYER_DEFINE(kla, "gla.kla/1", 1, "Kalman linear attention (arXiv 2602.10743)",
                 GLA_LAYER_MIXER);
