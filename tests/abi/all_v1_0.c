/* SPDX-License-Identifier: Apache-2.0
 *
 * all_v1_0.c - a mixer of version 1.0 of the ABI, frozen, that fills in every struct a layer can
 *
 *   q k v = conv(Wi x);  q, k = rope(norm(q)), rope(k)
 *   a = attention(q, k, v);  r = recurrence(q, k, v);  s = selective scan of a;  t = scan of r
 *   y = Wo (t * silu(s)), with a token shift, a mix, a clamp and two scales on the way
 *
 * It makes no sense as a model.  D model, H heads of K = D / H numbers, N states of the scan.
 */
#include "plugin_v1_0.h"

enum { P_HEADS, P_STATES, P_NORMALISER, P_CLAMP, P_FACTORS, P_BONUS };
static const char *const normalisers[] = {"none", "sum", "max", NULL};
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 64, "of attention and recurrence"),
    [P_STATES] = GLA_P_INT("ssm.states", 4, 1, 64, "of the selective scan"),
    [P_NORMALISER] = GLA_P_ENUM("normaliser", 0, normalisers, "of the recurrence"),
    [P_CLAMP] = GLA_P_FLOAT("clamp", 8, 0, 100, "of what goes out"),
    [P_FACTORS] = GLA_P_LIST("factors", "two numbers, of the two halves"),
    [P_BONUS] = GLA_P_BOOL("bonus", 0, "whether the recurrence reads the state before it writes"),
};

enum { WIDTH = 3 }; /* of the convolution */

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, h, k, n, normaliser, read_before;
    float clamp, factors[2];
    uint32_t w_in, w_in_bias, w_conv, w_conv_bias, w_norm, w_decay, w_a, w_mu, w_out, w_bc;
    uint32_t s_conv, s_kv, s_matrix, s_sum, s_ssm, s_scan, s_shift;
    uint32_t t_in, t_a, t_r, t_bc, t_dt;
    gla_linear *in, *bc, *out;
    gla_conv *conv;
    gla_rope *rope;
    float *a, *log_decay;
    const float *norm, *mu;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    gla_layer *l = gla_host_new(host, sizeof(*l));
    const gla_param_value *p = cfg->params;
    gla_state_desc kv = {"kv", GLA_STATE_PER_TOKEN, 0, {0}, 0, 0, 0, 16, 0, 0, 0};
    gla_rope_spec rope = {.struct_size = (uint32_t)sizeof(rope), .theta = 1e4};

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->h = (uint32_t)p[P_HEADS].i;
    l->k = l->d / l->h;
    l->n = (uint32_t)p[P_STATES].i;
    l->normaliser = (uint32_t)p[P_NORMALISER].i;
    l->read_before = (uint32_t)p[P_BONUS].i;
    l->clamp = (float)p[P_CLAMP].f;
    if (p[P_FACTORS].n_list != 2)
        return gla_host_fail(host, GLA_E_INVALID, "factors: two numbers expected");
    l->factors[0] = (float)p[P_FACTORS].list[0];
    l->factors[1] = (float)p[P_FACTORS].list[1];
    l->w_in = gla_declare_matrix(cfg, "qkv.weight", 3 * l->d, l->d);
    l->w_in_bias = gla_declare_vector(cfg, "qkv.bias", 3 * l->d);
    l->w_conv = gla_declare_weight(cfg, "conv.weight", GLA_WEIGHT_VECTOR, 0, 3 * l->d, WIDTH, 0);
    l->w_conv_bias = gla_declare_vector(cfg, "conv.bias", 3 * l->d);
    l->w_norm = gla_declare_vector(cfg, "q_norm.weight", l->k);
    l->w_decay = gla_declare_vector(cfg, "decay", l->d);
    l->w_a = gla_declare_weight(cfg, "a", GLA_WEIGHT_VECTOR, 0, l->n, l->d, 0);
    l->w_mu = gla_declare_vector(cfg, "mu", l->d);
    l->w_bc = gla_declare_matrix(cfg, "bc.weight", 2 * l->n, l->d);
    l->w_out = gla_declare_matrix(cfg, "out.weight", l->d, l->d);
    l->s_conv = gla_declare_fixed(cfg, "conv", WIDTH - 1, 3 * l->d, 0, 0);
    kv.kv_heads = kv.q_heads = l->h;
    kv.k_dim = kv.v_dim = l->k;
    l->s_kv = cfg->declare->state(cfg->declare, &kv);
    l->s_matrix = gla_declare_fixed(cfg, "S", l->h, l->k, l->k, 4.0 * l->d * l->k);
    l->s_sum = gla_declare_fixed(cfg, "z", l->h, l->k, 0, 2.0 * l->d);
    l->s_ssm = gla_declare_fixed(cfg, "ssm", l->n, l->d, 0, 6.0 * l->n * l->d);
    l->s_scan = gla_declare_fixed(cfg, "scan", l->d, 0, 0, 2.0 * l->d);
    l->s_shift = gla_declare_fixed(cfg, "shift", l->d, 0, 0, 0);
    l->t_in = gla_declare_rows(cfg, 3 * (size_t)l->d);
    l->t_a = gla_declare_rows(cfg, l->d);
    l->t_r = gla_declare_rows(cfg, l->d);
    l->t_bc = gla_declare_rows(cfg, 2 * (size_t)l->n);
    l->t_dt = gla_declare_rows(cfg, l->d);
    rope.dims = l->k;
    return l->math->rope_create(host, &rope, &l->rope);
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->bc);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    l->math->rope_destroy(l->rope);
    gla_host_delete(l->host, l->a);
    gla_host_delete(l->host, l->log_decay);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const float *taps = gla_weight_f32(weights, l->w_conv);
    const float *bias = gla_weight_f32(weights, l->w_conv_bias);
    const float *a = gla_weight_f32(weights, l->w_a), *decay = gla_weight_f32(weights, l->w_decay);
    const uint32_t channels = 3 * l->d;
    const gla_conv_spec conv = {.struct_size = (uint32_t)sizeof(conv),
                                .n_parts = 1,
                                .width = WIDTH,
                                .activation = GLA_ACT_SILU,
                                .weights = &taps,
                                .biases = &bias,
                                .channels = &channels};
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_in, &l->w_in_bias, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_bc, NULL, &l->bc);
    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st)
        st = l->math->conv_create(l->host, &conv, &l->conv);
    if (st)
        return st;
    l->a = gla_host_new(l->host, (size_t)l->n * l->d * sizeof(float));
    l->log_decay = gla_host_new(l->host, l->d * sizeof(float));
    if (!l->a || !l->log_decay)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < l->n * l->d; i++)
        l->a[i] = -0.5f - a[i];
    for (uint32_t i = 0; i < l->d; i++)
        l->log_decay[i] = -0.5f + decay[i];
    l->norm = gla_weight_f32(weights, l->w_norm);
    l->mu = gla_weight_f32(weights, l->w_mu);
    return GLA_OK;
}

static gla_status attend_and_recur(const gla_layer *l, const gla_batch *b, float *qkv, float *bc)
{
    const size_t d = l->d, ld = 3 * d;
    const gla_math *m = l->math;
    const gla_norm norm = {.struct_size = (uint32_t)sizeof(norm),
                           .kind = GLA_NORM_RMS,
                           .groups = l->h,
                           .width = l->k,
                           .eps = 1e-5f,
                           .weight_offset = 1,
                           .weight = l->norm};
    const gla_attention attention = {.struct_size = (uint32_t)sizeof(attention),
                                     .state = l->s_kv,
                                     .heads = l->h,
                                     .scale = 0.5f,
                                     .q = qkv,
                                     .k = qkv + d,
                                     .v = qkv + 2 * d,
                                     .o = b->scratch[l->t_a],
                                     .ld_q = ld,
                                     .ld_k = ld,
                                     .ld_v = ld,
                                     .ld_o = d};
    const gla_recurrence recurrence = {.struct_size = (uint32_t)sizeof(recurrence),
                                       .decay = GLA_DECAY_CONST,
                                       .write = GLA_WRITE_ADD,
                                       .normaliser = l->normaliser,
                                       .read_before = l->read_before,
                                       .heads = l->h,
                                       .k_dim = l->k,
                                       .v_dim = l->k,
                                       .state = l->s_matrix,
                                       .z_state = l->s_sum,
                                       .scale = 0.5f,
                                       .eps = 1,
                                       .q = qkv,
                                       .k = qkv + d,
                                       .v = qkv + 2 * d,
                                       .log_decay = l->log_decay,
                                       .ld_q = ld,
                                       .ld_k = ld,
                                       .ld_v = ld,
                                       .ld_o = d,
                                       .o = b->scratch[l->t_r]};
    gla_status st = m->norm(b, &norm, b->n_rows, qkv, ld, qkv, ld);

    if (!st)
        st = m->rope(b, l->rope, l->h, l->k, qkv, ld);
    if (!st)
        st = m->rope(b, l->rope, l->h, l->k, qkv + d, ld);
    if (!st)
        st = m->attention(b, &attention);
    if (!st)
        st = m->recurrence(b, &recurrence);
    return st ? st : m->linear(b, l->bc, b->n_rows, qkv + 2 * d, ld, bc, 2 * (size_t)l->n);
}

/* The two scans: s over what attention gave, t over what the recurrence gave. */
static gla_status scan(const gla_layer *l, const gla_batch *b, const float *bc)
{
    const size_t d = l->d;
    const gla_math *m = l->math;
    float *a = b->scratch[l->t_a], *r = b->scratch[l->t_r], *dt = b->scratch[l->t_dt];
    const gla_selective_scan ssm = {.struct_size = (uint32_t)sizeof(ssm),
                                    .state = l->s_ssm,
                                    .inner = l->d,
                                    .n_state = l->n,
                                    .u = a,
                                    .dt = dt,
                                    .b = bc,
                                    .c = bc + l->n,
                                    .a = l->a,
                                    .ld_u = d,
                                    .ld_dt = d,
                                    .ld_b = 2 * (size_t)l->n,
                                    .ld_c = 2 * (size_t)l->n,
                                    .ld_y = d,
                                    .y = a};
    const gla_scan plain = {.struct_size = (uint32_t)sizeof(plain),
                            .state = l->s_scan,
                            .width = l->d,
                            .log_decay = l->log_decay,
                            .x = r,
                            .ld_x = d,
                            .ld_y = d,
                            .y = r};
    gla_status st = m->activation(b, GLA_ACT_SOFTPLUS, b->n_rows, l->d, a, d, dt, d);

    if (!st)
        st = m->selective_scan(b, &ssm);
    return st ? st : m->scan(b, &plain);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const size_t d = l->d, ld = 3 * d;
    const uint32_t n = b->n_rows, half = l->d / 2;
    float *qkv = b->scratch[l->t_in], *bc = b->scratch[l->t_bc];
    float *a = b->scratch[l->t_a], *r = b->scratch[l->t_r], *before = b->scratch[l->t_dt];
    gla_status st = m->linear(b, l->in, n, b->x, d, qkv, ld);

    if (!st)
        st = m->conv1d(b, l->conv, l->s_conv, qkv, ld, qkv, ld);
    if (!st)
        st = attend_and_recur(l, b, qkv, bc);
    if (!st)
        st = scan(l, b, bc);
    if (!st)
        st = m->shift(b, l->s_shift, l->d, a, d, before, d);
    if (!st)
        st = m->mix(b, n, l->d, a, d, before, d, l->mu, 0, a, d);
    if (!st)
        st = m->clamp(b, -l->clamp, l->clamp, n, l->d, r, d);
    if (!st)
        st = m->scale(b, l->factors[0], n, half, r, d);
    if (!st)
        st = m->scale(b, l->factors[1], n, l->d - half, r + half, d);
    if (!st)
        st = m->scale_channels(b, l->mu, n, l->d, r, d);
    if (!st)
        st = m->glu(b, GLA_ACT_SILU, n, l->d, a, d, r, d, a, d);
    return st ? st : m->linear(b, l->out, n, a, d, b->y, d);
}

GLA_LAYER_DEFINE(all, "org.example.all/1", 1, "every struct of version 1.0 once",
                 GLA_LAYER_MIXER | GLA_LAYER_DETERMINISTIC);
