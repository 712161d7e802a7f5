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
#include <gla/blocks.h>

/* clang-format off */
enum {
    P_INNER, P_STATE, P_DT_RANK, P_CONV, P_CONV_BIAS, P_IN_BIAS, P_OUT_BIAS, P_DT_BIAS,
    P_INNER_NORMS, P_NORM_EPS
};
/* clang-format on */
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
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the inner norms; default: the model's")};

enum { DT, B, C, N_SELECT };

struct gla_layer {
    uint32_t d, inner, n, s_state, s_conv, t_in, t_select, t_dt;
    uint32_t at[N_SELECT + 1]; /* columns of dt, B and C */
    gla_linear *in, *select, *dt, *out;
    gla_conv *conv;
    gla_norm norm[N_SELECT]; /* width 0: none */
    const float *a, *skip;   /* [N, I]: -exp(A_log); [I]: D */
};

/* dt between 0.001 and 0.1 at first, A = -1 .. -N, D = 1. */
static void declare_dynamics(gla_layer *l, const gla_layer_config *c, uint32_t rank)
{
    const gla_init step = {(uint32_t)sizeof(step), GLA_INIT_STEP, 1e-3, 0.1, 1e-4};
    const gla_init fan_in = {(uint32_t)sizeof(fan_in), GLA_INIT_FAN_IN, 1, 0, 0};
    const gla_init arange = {(uint32_t)sizeof(arange), GLA_INIT_LOG_ARANGE, 0, 0, 0};
    const gla_init one = gla_constant(1);
    const gla_part dt = {.name = "dt_proj",
                         .out = l->inner,
                         .flags = GLA_PART_SENSITIVE | (c->params[P_DT_BIAS].i ? GLA_PART_BIAS : 0),
                         .init = &fan_in,
                         .bias_init = &step};
    const gla_expr a = {.struct_size = (uint32_t)sizeof(a),
                        .act = GLA_ACT_EXP,
                        .name = "A_log",
                        .ndim = 2,
                        .dims = {l->inner, l->n},
                        .out_ndim = 2,
                        .out_dims = {l->n, l->inner},
                        .stride = {1, l->n},
                        .scale = -1,
                        .init = &arange};

    gla_declare_parts(c, &dt, 1, rank, &l->dt);
    c->declare->numbers(c->declare, &a, &l->a);
    gla_declare_numbers(c, "D", l->inner, 0, &one, &l->skip);
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    static const char *const norms[] = {"dt_norm.weight", "b_norm.weight", "c_norm.weight"};
    const gla_param_value *p = c->params;
    const uint32_t width = gla_u32(&p[P_CONV]), d = c->d_in;
    const uint32_t inner = gla_u32_or(&p[P_INNER], 2 * d), n = gla_u32(&p[P_STATE]);
    const uint32_t rank = gla_u32_or(&p[P_DT_RANK], (d + 15) / 16), *at = l->at;

    l->d = d;
    l->inner = inner;
    l->n = n;
    l->at[B] = rank;
    l->at[C] = rank + n;
    l->at[N_SELECT] = rank + 2 * n;
    gla_declare_linear(c, "in_proj", 2 * inner, d, p[P_IN_BIAS].i ? GLA_PART_BIAS : 0, &l->in);
    gla_declare_conv(c, "conv1d", inner, width, p[P_CONV_BIAS].i ? GLA_PART_BIAS : 0, GLA_ACT_SILU,
                     &l->conv);
    gla_declare_linear(c, "x_proj", at[N_SELECT], inner, GLA_PART_SENSITIVE, &l->select);
    declare_dynamics(l, c, rank);
    for (uint32_t i = 0; i < N_SELECT && p[P_INNER_NORMS].i; i++) {
        l->norm[i] = gla_norm_of(GLA_NORM_RMS, 1, at[i + 1] - at[i], gla_eps(c, &p[P_NORM_EPS]));
        gla_norm_declare(c, &l->norm[i], norms[i], NULL);
    }
    gla_declare_linear(c, "out_proj", d, inner, p[P_OUT_BIAS].i ? GLA_PART_BIAS : 0, &l->out);
    l->s_state = gla_declare_fixed(c, "h", n, inner, 0, 7.0 * inner * n);
    l->s_conv = gla_declare_conv_state(c, inner, width);
    l->t_in = gla_declare_rows(c, 2 * (size_t)inner);
    l->t_select = gla_declare_rows(c, at[N_SELECT]);
    l->t_dt = gla_declare_rows(c, inner);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, inner = l->inner;
    const size_t ld = 2 * (size_t)inner, ld_x = l->at[N_SELECT];
    float *u = b->scratch[l->t_in], *z = u + inner; /* [rows, u | z] */
    float *x = b->scratch[l->t_select];             /* [rows, dt | B | C] */
    float *dt = b->scratch[l->t_dt];                /* [rows, I] */
    const gla_selective_scan scan = {.struct_size = (uint32_t)sizeof(scan),
                                     .state = l->s_state,
                                     .inner = inner,
                                     .n_state = l->n,
                                     .u = u,
                                     .dt = dt,
                                     .b = x + l->at[B],
                                     .c = x + l->at[C],
                                     .a = l->a,
                                     .d = l->skip,
                                     .ld_u = ld,
                                     .ld_dt = inner,
                                     .ld_b = ld_x,
                                     .ld_c = ld_x,
                                     .ld_y = ld,
                                     .y = u};

    m->linear(b, l->in, n, b->x, l->d, u, ld);
    m->conv1d(b, l->conv, l->s_conv, u, ld, u, ld);
    m->linear(b, l->select, n, u, ld, x, ld_x);
    for (uint32_t i = 0; i < N_SELECT; i++)
        if (l->norm[i].width)
            m->norm(b, &l->norm[i], n, x + l->at[i], ld_x, x + l->at[i], ld_x);
    m->linear(b, l->dt, n, x, ld_x, dt, inner);
    m->activation(b, GLA_ACT_SOFTPLUS, n, inner, dt, inner, dt, inner);
    m->selective_scan(b, &scan);
    m->glu(b, GLA_ACT_SILU, n, inner, z, ld, u, ld, u, ld);
    return m->linear(b, l->out, n, u, ld, b->y, l->d);
}

GLA_LAYER_DEFINE(mamba, "gla.mamba/1", 1, "Mamba (arXiv 2312.00752)", .flags = GLA_LAYER_MIXER);
