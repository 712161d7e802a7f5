/* SPDX-License-Identifier: Apache-2.0
 *
 * mamba2.c - Mamba-2 (Dao and Gu, arXiv 2405.21060): gated linear attention with q = C, k = dt B,
 * v = x
 *
 *   [z | x | B | C | dt] = Wi u ;  x, B, C = silu(conv(x, B, C))
 *   dt = clamp(softplus(dt + bias)) ;  S_h = exp(-exp(A_log_h) dt_h) S_h + dt_h B x_h^T
 *   y = C^T S_h + D_h x_h ;  out = Wo rmsnorm( y * silu(z) )          state [H, N, P]
 *
 * Head h reads group h / (H / G) of B and C.
 */
#include <gla/blocks.h>

#include <math.h>

static const char *const norms[] = {"none", "whole", "group", NULL};
enum { NORM_NONE, NORM_WHOLE, NORM_GROUP };

/* clang-format off */
enum {
    P_HEADS, P_HEAD_DIM, P_STATE, P_GROUPS, P_CONV, P_CONV_BIAS, P_IN_BIAS, P_OUT_BIAS, P_DT_MIN,
    P_DT_MAX, P_NORM, P_NORM_BEFORE_GATE, P_NORM_EPS, P_MULTIPLIER_Z, P_MULTIPLIER_X,
    P_MULTIPLIER_B, P_MULTIPLIER_C, P_MULTIPLIER_DT
};
/* clang-format on */
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
    [P_NORM] = GLA_P_ENUM("norm", NORM_WHOLE, norms, "rmsnorm of the output: whole, or per group"),
    [P_NORM_BEFORE_GATE] = GLA_P_BOOL("norm_before_gate", 0, "norm first, then gate"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    [P_MULTIPLIER_Z] = GLA_P_FLOAT("multiplier.z", 1, -1e6, 1e6, "multiplies z (Falcon-H1)"),
    [P_MULTIPLIER_X] = GLA_P_FLOAT("multiplier.x", 1, -1e6, 1e6, "multiplies x"),
    [P_MULTIPLIER_B] = GLA_P_FLOAT("multiplier.b", 1, -1e6, 1e6, "multiplies B"),
    [P_MULTIPLIER_C] = GLA_P_FLOAT("multiplier.c", 1, -1e6, 1e6, "multiplies C"),
    [P_MULTIPLIER_DT] = GLA_P_FLOAT("multiplier.dt", 1, -1e6, 1e6, "of dt before its bias")};

enum { Z, X, B, C, DT, N_IN }; /* of the input projection */

struct gla_layer {
    uint32_t d, heads, p, n, groups, inner, s_state, s_conv, t_in, t_decay, t_o;
    uint32_t at[N_IN + 1]; /* columns of the input projection */
    float dt_min, dt_max;
    gla_linear *in;
    gla_conv *conv;
    float *factors;                     /* [at[N_IN]]: the multipliers; NULL: all 1 */
    const float *dt_bias, *rate, *skip; /* [H] each; rate = -exp(A_log) */
    gla_out out;
};

/* A log-uniform in -1 .. -16 and dt in 0.001 .. 0.1 at first, D = 1. */
static void declare(gla_layer *l, const gla_layer_config *c)
{
    const gla_init step = {(uint32_t)sizeof(step), GLA_INIT_STEP, 1e-3, 0.1, 1e-4};
    const gla_init rate = {(uint32_t)sizeof(rate), GLA_INIT_LOG_UNIFORM, 1, 16, 0};
    const gla_init one = gla_constant(1);
    const gla_param_value *p = c->params;
    const uint32_t channels = l->at[DT] - l->at[X], width = gla_u32(&p[P_CONV]);
    const uint32_t kind = gla_u32(&p[P_NORM]), groups = kind == NORM_GROUP ? l->groups : 1;
    gla_norm norm =
        gla_norm_of(GLA_NORM_RMS, groups, l->inner / groups, gla_eps(c, &p[P_NORM_EPS]));

    norm.weight_per_group = 1;
    norm.gate_first = !p[P_NORM_BEFORE_GATE].i;
    gla_declare_linear(c, "in_proj", l->at[N_IN], l->d, p[P_IN_BIAS].i ? GLA_PART_BIAS : 0, &l->in);
    gla_declare_conv(c, "conv1d", channels, width, p[P_CONV_BIAS].i ? GLA_PART_BIAS : 0,
                     GLA_ACT_SILU, &l->conv);
    gla_declare_numbers(c, "dt_bias", l->heads, 0, &step, &l->dt_bias);
    gla_declare_derived(c, "A_log", l->heads, GLA_ACT_EXP, -1, &rate, &l->rate);
    gla_declare_numbers(c, "D", l->heads, 0, &one, &l->skip);
    gla_out_declare(c, &l->out, "out_proj", l->inner, p[P_OUT_BIAS].i ? GLA_PART_BIAS : 0,
                    kind == NORM_NONE ? NULL : &norm, "norm.weight");
    l->out.norm.gate_activation = GLA_ACT_SILU;
    l->s_state = gla_declare_fixed(c, "S", l->heads, l->n, l->p, 5.0 * l->inner * l->n);
    l->s_conv = gla_declare_conv_state(c, channels, width);
    l->t_in = gla_declare_rows(c, l->at[N_IN]);
    l->t_decay = gla_declare_rows(c, l->heads);
    l->t_o = gla_declare_rows(c, l->inner);
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    uint32_t scaled = 0;

    l->d = c->d_in;
    l->heads = gla_u32(&p[P_HEADS]);
    l->p = gla_u32(&p[P_HEAD_DIM]);
    l->n = gla_u32(&p[P_STATE]);
    l->groups = gla_u32(&p[P_GROUPS]);
    if (l->heads % l->groups)
        return gla_refuse(c, "heads must be a multiple of groups");
    l->inner = l->heads * l->p;
    l->dt_min = (float)p[P_DT_MIN].f;
    l->dt_max = (float)p[P_DT_MAX].f;

    const uint32_t width[N_IN] = {l->inner, l->inner, l->groups * l->n, l->groups * l->n, l->heads};

    for (uint32_t i = 0; i < N_IN; i++) {
        l->at[i + 1] = l->at[i] + width[i];
        scaled |= p[P_MULTIPLIER_Z + i].f != 1;
    }
    declare(l, c);
    if (scaled)
        c->declare->table(c->declare, l->at[N_IN], &l->factors);
    for (uint32_t i = 0; i < N_IN && l->factors; i++)
        for (uint32_t k = l->at[i]; k < l->at[i + 1]; k++)
            l->factors[k] = (float)p[P_MULTIPLIER_Z + i].f;
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, heads = l->heads;
    const size_t ld = l->at[N_IN];
    float *z = b->scratch[l->t_in], *x = z + l->at[X], *dt = z + l->at[DT];
    float *decay = b->scratch[l->t_decay], *o = b->scratch[l->t_o];
    const gla_factor rate = {sizeof(rate), n, heads, 1, dt, l->rate, decay, ld, 0, heads};
    const gla_heads h = {
        .heads = heads, .kv_heads = l->groups, .k = l->n, .v = l->p, .oc = l->inner};
    gla_recurrence r =
        gla_heads_recurrence(&h, l->s_state, GLA_DECAY_HEAD, z + l->at[C], z + l->at[B], x, ld, o);

    m->linear(b, l->in, n, b->x, l->d, z, ld);
    if (l->factors)
        m->scale_channels(b, l->factors, n, (uint32_t)ld, z, ld);
    m->conv1d(b, l->conv, l->s_conv, x, ld, x, ld);
    gla_add_groups(b, heads, 1, l->dt_bias, 0, NULL, 0, dt, ld);
    m->activation(b, GLA_ACT_SOFTPLUS, n, heads, dt, ld, dt, ld);
    if (l->dt_min > 0 || l->dt_max < INFINITY)
        m->clamp(b, l->dt_min, l->dt_max, n, heads, dt, ld);
    m->mul(b, &rate);
    r.q_heads = l->groups;
    r.v_heads = r.decay_heads = heads;
    r.scale = 1;
    r.log_decay = decay;
    r.ld_decay = heads;
    r.beta = dt;
    m->recurrence(b, &r);
    gla_add_groups(b, heads, l->p, x, ld, l->skip, 0, o, l->inner);
    return gla_out_run(m, b, &l->out, o, z, ld);
}

GLA_LAYER_DEFINE(mamba2, "gla.mamba2/1", 1, "Mamba-2 (arXiv 2405.21060)", .flags = GLA_LAYER_MIXER);
