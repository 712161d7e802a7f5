/* SPDX-License-Identifier: Apache-2.0
 *
 * mamba2.c - Mamba-2 (Dao and Gu, arXiv 2405.21060): gated linear attention with q = C, k = dt B, v
 * = x
 *
 *   [z | x | B | C | dt] = Wi u ;  x, B, C = silu(conv(x, B, C))
 *   dt = clamp(softplus(dt + bias)) ;  S_h = exp(-exp(A_log_h) dt_h) S_h + dt_h B x_h^T     state
 * [H, N, P] y = C^T S_h + D_h x_h ;  out = Wo rmsnorm( y * silu(z) )
 *
 * Head h reads group h / (H / G) of B and C.
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

static const char *const norms[] = {"none", "whole", "group", NULL};
enum { NORM_NONE, NORM_WHOLE, NORM_GROUP };

enum {
    P_HEADS,
    P_HEAD_DIM,
    P_STATE,
    P_GROUPS,
    P_CONV,
    P_CONV_BIAS,
    P_IN_BIAS,
    P_OUT_BIAS,
    P_DT_MIN,
    P_DT_MAX,
    P_NORM,
    P_NORM_BEFORE_GATE,
    P_NORM_EPS,
    P_MULTIPLIER_Z,
    P_MULTIPLIER_X,
    P_MULTIPLIER_B,
    P_MULTIPLIER_C,
    P_MULTIPLIER_DT,
};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 65536, "value heads"),
    [P_HEAD_DIM] = GLA_P_INT("head_dim", 64, 1, 4096, "value channels of a head"),
    [P_STATE] = GLA_P_INT("state", 128, 1, 4096, "channels of B and C"),
    [P_GROUPS] = GLA_P_INT("groups", 1, 1, 1024, "heads share B and C in so many groups"),
    [P_CONV] = GLA_P_INT("conv", 4, 1, 64, "width of the short convolution"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 1, "bias of the convolution"),
    [P_IN_BIAS] = GLA_P_BOOL("in_bias", 0, "bias of the input projection"),
    [P_OUT_BIAS] = GLA_P_BOOL("out_bias", 0, "bias of the output projection"),
    [P_DT_MIN] = GLA_P_FLOAT("dt_min", 0, 0, INFINITY, "lower bound of dt"),
    [P_DT_MAX] = GLA_P_FLOAT("dt_max", INFINITY, 0, INFINITY, "upper bound of dt"),
    [P_NORM] =
        GLA_P_ENUM("norm", NORM_WHOLE, norms, "rmsnorm of the gated output: whole, or per group"),
    [P_NORM_BEFORE_GATE] = GLA_P_BOOL("norm_before_gate", 0, "norm first, then gate"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    [P_MULTIPLIER_Z] = GLA_P_FLOAT("multiplier.z", 1, -1e6, 1e6, "multiplies z (Falcon-H1)"),
    [P_MULTIPLIER_X] = GLA_P_FLOAT("multiplier.x", 1, -1e6, 1e6, "multiplies x"),
    [P_MULTIPLIER_B] = GLA_P_FLOAT("multiplier.b", 1, -1e6, 1e6, "multiplies B"),
    [P_MULTIPLIER_C] = GLA_P_FLOAT("multiplier.c", 1, -1e6, 1e6, "multiplies C"),
    [P_MULTIPLIER_DT] = GLA_P_FLOAT("multiplier.dt", 1, -1e6, 1e6, "multiplies dt before its bias"),
};

enum { S_Z, S_X, S_B, S_C, S_DT, N_SEGMENTS }; /* of the input projection */

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, p, n, groups, inner, conv_width, norm_kind, scaled;
    uint32_t offset[N_SEGMENTS + 1];
    float multiplier[N_SEGMENTS], dt_min, dt_max;
    uint32_t w_in, b_in, w_conv, b_conv, w_dt, w_a_log, w_d, w_norm, w_out, b_out;
    uint32_t s_state, s_conv, t_in, t_decay, t_out;
    gla_linear *in, *out;
    gla_conv *conv;
    gla_norm norm;
    const float *dt_bias, *skip; /* [H] each */
    float *rate;                 /* [H]: -exp(A_log) */
    float *factors;              /* [width]: the multipliers, NULL: all 1 */
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    const gla_param_value *p = cfg->params;
    const uint32_t conv_channels = l->offset[S_DT] - l->offset[S_X], width = l->offset[N_SEGMENTS];

    l->b_in = l->b_conv = l->b_out = l->w_norm = GLA_ABSENT;
    l->w_in = gla_declare_matrix(cfg, "in_proj.weight", width, l->d);
    if (p[P_IN_BIAS].i)
        l->b_in = gla_declare_vector(cfg, "in_proj.bias", width);
    l->w_conv = gla_declare_taps(cfg, "conv1d.weight", conv_channels, l->conv_width);
    if (p[P_CONV_BIAS].i)
        l->b_conv = gla_declare_vector(cfg, "conv1d.bias", conv_channels);
    l->w_dt = gla_declare_vector(cfg, "dt_bias", l->heads);
    l->w_a_log = gla_declare_vector(cfg, "A_log", l->heads);
    l->w_d = gla_declare_vector(cfg, "D", l->heads);
    if (l->norm_kind)
        l->w_norm = gla_declare_vector(cfg, "norm.weight", l->inner);
    l->w_out = gla_declare_matrix(cfg, "out_proj.weight", l->d, l->inner);
    if (p[P_OUT_BIAS].i)
        l->b_out = gla_declare_vector(cfg, "out_proj.bias", l->d);
    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->n, l->p, 5.0 * l->inner * l->n);
    l->s_conv = gla_declare_fixed(cfg, "conv", l->conv_width - 1, conv_channels, 0,
                                  2.0 * conv_channels * l->conv_width);
    l->t_in = gla_declare_rows(cfg, width);
    l->t_decay = gla_declare_rows(cfg, l->heads);
    l->t_out = gla_declare_rows(cfg, l->inner);
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
    l->p = (uint32_t)p[P_HEAD_DIM].i;
    l->n = (uint32_t)p[P_STATE].i;
    l->groups = (uint32_t)p[P_GROUPS].i;
    if (l->heads % l->groups)
        return gla_host_fail(host, GLA_E_INVALID, "heads must be a multiple of groups");
    l->inner = l->heads * l->p;
    l->conv_width = (uint32_t)p[P_CONV].i;
    l->dt_min = (float)p[P_DT_MIN].f;
    l->dt_max = (float)p[P_DT_MAX].f;
    l->norm_kind = (uint32_t)p[P_NORM].i;
    l->offset[S_X] = l->inner;
    l->offset[S_B] = l->offset[S_X] + l->inner;
    l->offset[S_C] = l->offset[S_B] + l->groups * l->n;
    l->offset[S_DT] = l->offset[S_C] + l->groups * l->n;
    l->offset[N_SEGMENTS] = l->offset[S_DT] + l->heads;
    for (uint32_t i = 0; i < N_SEGMENTS; i++) {
        l->multiplier[i] = (float)p[P_MULTIPLIER_Z + i].f;
        l->scaled |= l->multiplier[i] != 1.0f;
    }
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = l->norm_kind == NORM_GROUP ? l->groups : 1,
        .width = l->norm_kind == NORM_GROUP ? l->inner / l->groups : l->inner,
        .weight_per_group = 1,
        .gate_activation = GLA_ACT_SILU,
        .gate_first = !p[P_NORM_BEFORE_GATE].i,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
        .ld_gate = l->offset[N_SEGMENTS],
    };
    declare(l, cfg);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l->rate);
    gla_host_delete(l->host, l->factors);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const float *a_log = gla_weight_f32(weights, l->w_a_log);
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_in, &l->b_in, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, &l->b_out, &l->out);
    if (!st)
        st = gla_make_conv(l->host, weights, 1, &l->w_conv, &l->b_conv, GLA_ACT_SILU, &l->conv);
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    l->dt_bias = gla_weight_f32(weights, l->w_dt);
    l->skip = gla_weight_f32(weights, l->w_d);
    l->rate = gla_host_new(l->host, l->heads * sizeof(float));
    if (!st && !l->rate)
        st = GLA_E_NOMEM;
    for (uint32_t h = 0; h < l->heads && !st; h++)
        l->rate[h] = -expf(a_log[h]);
    if (st || !l->scaled)
        return st;
    l->factors = gla_host_new(l->host, l->offset[N_SEGMENTS] * sizeof(float));
    if (!l->factors)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < N_SEGMENTS; i++)
        for (uint32_t c = l->offset[i]; c < l->offset[i + 1]; c++)
            l->factors[c] = l->multiplier[i];
    return GLA_OK;
}

typedef struct job {
    const gla_layer *l;
    float *in, *decay, *o;
} job;

/* dt in place; log decay. */
static void step_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        float *dt = j->in + (size_t)r * l->offset[N_SEGMENTS] + l->offset[S_DT];
        float *a = j->decay + (size_t)r * l->heads;

        for (uint32_t h = 0; h < l->heads; h++) {
            const float x = dt[h] + l->dt_bias[h];
            const float softplus = x > 20 ? x : log1pf(expf(x));

            dt[h] = softplus < l->dt_min ? l->dt_min : softplus > l->dt_max ? l->dt_max : softplus;
            a[h] = l->rate[h] * dt[h];
        }
    }
}

/* o += D x, per head */
static void skip_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        const float *x = j->in + (size_t)r * l->offset[N_SEGMENTS] + l->offset[S_X];
        float *o = j->o + (size_t)r * l->inner;

        for (uint32_t h = 0; h < l->heads; h++)
            for (uint32_t i = h * l->p; i < (h + 1) * l->p; i++)
                o[i] += l->skip[h] * x[i];
    }
}

static gla_status recur(const gla_layer *l, const gla_batch *b, const job *j)
{
    const size_t ld = l->offset[N_SEGMENTS];
    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_HEAD,
        .write = GLA_WRITE_ADD,
        .heads = l->heads,
        .k_dim = l->n,
        .v_dim = l->p,
        .q_heads = l->groups,
        .k_heads = l->groups,
        .state = l->s_state,
        .scale = 1.0f,
        .q = j->in + l->offset[S_C],
        .k = j->in + l->offset[S_B],
        .v = j->in + l->offset[S_X],
        .log_decay = j->decay,
        .beta = j->in + l->offset[S_DT],
        .ld_q = ld,
        .ld_k = ld,
        .ld_v = ld,
        .ld_decay = l->heads,
        .ld_beta = ld,
        .o = j->o,
        .ld_o = l->inner,
    };

    return l->math->recurrence(b, &r);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = l->offset[N_SEGMENTS];
    job j = {l, b->scratch[l->t_in], b->scratch[l->t_decay], b->scratch[l->t_out]};
    float *xbc = j.in + l->offset[S_X];
    gla_norm norm = l->norm;
    gla_status st = m->linear(b, l->in, n, b->x, l->d, j.in, ld);

    if (!st && l->factors)
        st = m->scale_channels(b, l->factors, n, (uint32_t)ld, j.in, ld);
    if (!st)
        st = m->conv1d(b, l->conv, l->s_conv, xbc, ld, xbc, ld);
    if (!st)
        st = m->for_rows(b, n, step_rows, &j);
    if (!st)
        st = recur(l, b, &j);
    if (!st)
        st = m->for_rows(b, n, skip_rows, &j);
    norm.gate = j.in;
    if (!st && l->norm_kind)
        st = m->norm(b, &norm, n, j.o, l->inner, j.o, l->inner);
    else if (!st)
        st = m->glu(b, GLA_ACT_SILU, n, l->inner, j.in, ld, j.o, l->inner, j.o, l->inner);
    return st ? st : m->linear(b, l->out, n, j.o, l->inner, b->y, l->d);
}

GLA_LAYER_DEFINE(mamba2, "gla.mamba2/1", 1, "Mamba-2 (arXiv 2405.21060)", GLA_LAYER_MIXER);
