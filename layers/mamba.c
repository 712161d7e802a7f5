/* SPDX-License-Identifier: Apache-2.0
 *
 * mamba.c - Mamba (Gu and Dao, arXiv 2312.00752)
 *
 *   [u | z] = Wi x ;  u = silu(conv(u)) ;  [dt | B | C] = Wx u ;  dt = softplus(Wdt dt + bias)
 *   h_i = exp(-exp(A_log_i) dt_i) h_i + dt_i u_i B              state [N, I]
 *   y = Wo ( (C . h_i + D_i u_i) * silu(z_i) )
 *
 * Jamba normalises dt, B and C before use.
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

enum {
    P_INNER,
    P_STATE,
    P_DT_RANK,
    P_CONV,
    P_CONV_BIAS,
    P_IN_BIAS,
    P_OUT_BIAS,
    P_DT_BIAS,
    P_INNER_NORMS,
    P_NORM_EPS,
};
static const gla_param_desc params[] = {
    [P_INNER] = GLA_P_INT("inner", 0, 0, 1 << 20, "inner channels; 0 = 2 d_model"),
    [P_STATE] = GLA_P_INT("state", 16, 1, 4096, "states of an inner channel"),
    [P_DT_RANK] = GLA_P_INT("dt_rank", 0, 0, 1 << 20, "rank of dt; 0 = ceil(d_model / 16)"),
    [P_CONV] = GLA_P_INT("conv", 4, 1, 64, "width of the short convolution"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 1, "bias of the convolution"),
    [P_IN_BIAS] = GLA_P_BOOL("in_bias", 0, "bias of the input projection"),
    [P_OUT_BIAS] = GLA_P_BOOL("out_bias", 0, "bias of the output projection"),
    [P_DT_BIAS] = GLA_P_BOOL("dt_bias", 1, "bias of dt"),
    [P_INNER_NORMS] = GLA_P_BOOL("inner_norms", 0, "rmsnorm of dt, B and C (Jamba)"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the inner norms; default: the model's"),
};

enum { N_DT, N_B, N_C, N_NORMS };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, inner, n, rank, conv_width;
    uint32_t w_in, b_in, w_conv, b_conv, w_x, w_dt, b_dt, w_a_log, w_d, w_norm[N_NORMS], w_out,
        b_out;
    uint32_t s_state, s_conv, t_in, t_x, t_dt;
    gla_linear *in, *x, *dt, *out;
    gla_conv *conv;
    gla_norm norm[N_NORMS]; /* width 0: none */
    const float *skip;      /* [I] */
    float *a;               /* [N, I]: -exp(A_log) */
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const norm_names[] = {"dt_norm.weight", "b_norm.weight", "c_norm.weight"};
    const gla_param_value *p = cfg->params;
    const uint32_t widths[N_NORMS] = {l->rank, l->n, l->n};

    l->b_in = l->b_conv = l->b_dt = l->b_out = GLA_ABSENT;
    l->w_in = gla_declare_matrix(cfg, "in_proj.weight", 2 * (int64_t)l->inner, l->d);
    if (p[P_IN_BIAS].i)
        l->b_in = gla_declare_vector(cfg, "in_proj.bias", 2 * (int64_t)l->inner);
    l->w_conv = gla_declare_taps(cfg, "conv1d.weight", l->inner, l->conv_width);
    if (p[P_CONV_BIAS].i)
        l->b_conv = gla_declare_vector(cfg, "conv1d.bias", l->inner);
    l->w_x = gla_declare_gate(cfg, "x_proj.weight", l->rank + 2 * (int64_t)l->n, l->inner);
    l->w_dt = gla_declare_gate(cfg, "dt_proj.weight", l->inner, l->rank);
    if (p[P_DT_BIAS].i)
        l->b_dt = gla_declare_vector(cfg, "dt_proj.bias", l->inner);
    l->w_a_log = gla_declare_taps(cfg, "A_log", l->inner, l->n);
    l->w_d = gla_declare_vector(cfg, "D", l->inner);
    for (uint32_t i = 0; i < N_NORMS && p[P_INNER_NORMS].i; i++) {
        l->w_norm[i] = gla_declare_vector(cfg, norm_names[i], widths[i]);
        l->norm[i] = (gla_norm){
            .struct_size = sizeof(gla_norm),
            .kind = GLA_NORM_RMS,
            .groups = 1,
            .width = widths[i],
            .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
        };
    }
    l->w_out = gla_declare_matrix(cfg, "out_proj.weight", l->d, l->inner);
    if (p[P_OUT_BIAS].i)
        l->b_out = gla_declare_vector(cfg, "out_proj.bias", l->d);
    l->s_state = gla_declare_fixed(cfg, "h", l->n, l->inner, 0, 7.0 * l->inner * l->n);
    l->s_conv = gla_declare_fixed(cfg, "conv", l->conv_width - 1, l->inner, 0,
                                  2.0 * l->inner * l->conv_width);
    l->t_in = gla_declare_rows(cfg, 2 * (size_t)l->inner);
    l->t_x = gla_declare_rows(cfg, l->rank + 2 * (size_t)l->n);
    l->t_dt = gla_declare_rows(cfg, l->inner);
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
    l->inner = p[P_INNER].i ? (uint32_t)p[P_INNER].i : 2 * l->d;
    l->n = (uint32_t)p[P_STATE].i;
    l->rank = p[P_DT_RANK].i ? (uint32_t)p[P_DT_RANK].i : (l->d + 15) / 16;
    l->conv_width = (uint32_t)p[P_CONV].i;
    declare(l, cfg);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->x);
    l->math->linear_destroy(l->dt);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l->a);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const float *a_log = gla_weight_f32(weights, l->w_a_log);
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_in, &l->b_in, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_x, NULL, &l->x);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_dt, &l->b_dt, &l->dt);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, &l->b_out, &l->out);
    if (!st)
        st = gla_make_conv(l->host, weights, 1, &l->w_conv, &l->b_conv, GLA_ACT_SILU, &l->conv);
    for (uint32_t i = 0; i < N_NORMS; i++)
        if (l->norm[i].width)
            l->norm[i].weight = gla_weight_f32(weights, l->w_norm[i]);
    l->skip = gla_weight_f32(weights, l->w_d);
    if (st)
        return st;
    l->a = gla_host_new(l->host, (size_t)l->n * l->inner * sizeof(float));
    if (!l->a)
        return GLA_E_NOMEM;
    for (uint32_t n = 0; n < l->n; n++)
        for (uint32_t i = 0; i < l->inner; i++)
            l->a[(size_t)n * l->inner + i] = -expf(a_log[(size_t)i * l->n + n]);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = 2 * (size_t)l->inner, ld_x = l->rank + 2 * (size_t)l->n;
    float *u = b->scratch[l->t_in], *z = u + l->inner; /* [rows, u | z] */
    float *x = b->scratch[l->t_x];                     /* [rows, dt | B | C] */
    float *parts[N_NORMS] = {x, x + l->rank, x + l->rank + l->n};
    float *dt = b->scratch[l->t_dt]; /* [rows, I] */
    const gla_selective_scan scan = {
        .struct_size = sizeof(scan),
        .state = l->s_state,
        .inner = l->inner,
        .n_state = l->n,
        .u = u,
        .dt = dt,
        .b = parts[N_B],
        .c = parts[N_C],
        .a = l->a,
        .d = l->skip,
        .ld_u = ld,
        .ld_dt = l->inner,
        .ld_b = ld_x,
        .ld_c = ld_x,
        .ld_y = ld,
        .y = u,
    };
    gla_status st = m->linear(b, l->in, n, b->x, l->d, u, ld);

    if (!st)
        st = m->conv1d(b, l->conv, l->s_conv, u, ld, u, ld);
    if (!st)
        st = m->linear(b, l->x, n, u, ld, x, ld_x);
    for (uint32_t i = 0; i < N_NORMS && !st; i++)
        if (l->norm[i].width)
            st = m->norm(b, &l->norm[i], n, parts[i], ld_x, parts[i], ld_x);
    if (!st)
        st = m->linear(b, l->dt, n, x, ld_x, dt, l->inner);
    if (!st)
        st = m->activation(b, GLA_ACT_SOFTPLUS, n, l->inner, dt, l->inner, dt, l->inner);
    if (!st)
        st = m->selective_scan(b, &scan);
    if (!st)
        st = m->glu(b, GLA_ACT_SILU, n, l->inner, z, ld, u, ld, u, ld);
    return st ? st : m->linear(b, l->out, n, u, ld, b->y, l->d);
}

GLA_LAYER_DEFINE(mamba, "gla.mamba/1", 1, "Mamba (arXiv 2312.00752)", GLA_LAYER_MIXER);
