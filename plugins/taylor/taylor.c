/* SPDX-License-Identifier: Apache-2.0
 *
 * taylor.c - the mixer that docs/plugin-guide.md builds: linear attention whose feature map is the
 * Taylor expansion of the exponential, with a forget gate
 *
 *   phi(x) = [1, x, x_i x_j / sqrt(1 + [i = j])  for i <= j]
 *            so that phi(q) phi(k) = 1 + qk + (qk)^2 / 2, nearly exp(qk)
 *   a = sigmoid(Wa x + b)^(1/16)            one decay per head
 *   S = a S + phi(k) v^T,  z = a z + phi(k)            states, [H, P, V] and [H, P]
 *   y = Wo ( phi(q) S / phi(q) z )
 *
 * H heads, K query and key channels of a head, P = 1 + K + K (K + 1) / 2 features, V = D / H.
 */
#include "../../tests/support/blocks_v1_0.h"

#include <math.h>

enum { P_HEADS, P_KEY_DIM };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_KEY_DIM] = GLA_P_INT("key_dim", 8, 1, 32, "channels of a head's queries and keys"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, k_dim, v_dim, features;
    uint32_t w_in[4], w_out, b_gate; /* weights, by declared index: q, k, v, gate */
    uint32_t s_memory, s_sum;        /* states */
    uint32_t t_in, t_q, t_k, t_o;    /* scratch */
    gla_linear *in, *out;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->heads = (uint32_t)cfg->params[P_HEADS].i;
    l->k_dim = (uint32_t)cfg->params[P_KEY_DIM].i;
    l->v_dim = l->d / l->heads;
    l->features = 1 + l->k_dim + l->k_dim * (l->k_dim + 1) / 2;
    if (l->v_dim * l->heads != l->d)
        return gla_host_fail(host, GLA_E_INVALID, "heads do not divide d_model");

    const uint32_t keys = l->heads * l->k_dim, width = 2 * keys + l->d + l->heads;
    const uint32_t all = l->heads * l->features;

    l->w_in[0] = gla_declare_matrix(cfg, "q_proj.weight", keys, l->d);
    l->w_in[1] = gla_declare_matrix(cfg, "k_proj.weight", keys, l->d);
    l->w_in[2] = gla_declare_matrix(cfg, "v_proj.weight", l->d, l->d);
    l->w_in[3] = gla_declare_gate(cfg, "a_proj.weight", l->heads, l->d);
    l->b_gate = gla_declare_vector(cfg, "a_proj.bias", l->heads);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->d);
    l->s_memory =
        gla_declare_fixed(cfg, "S", l->heads, l->features, l->v_dim, 4.0 * all * l->v_dim);
    l->s_sum = gla_declare_fixed(cfg, "z", l->heads, l->features, 0, 4.0 * all);
    l->t_in = gla_declare_rows(cfg, width); /* q, k, v, gate side by side */
    l->t_q = gla_declare_rows(cfg, all);
    l->t_k = gla_declare_rows(cfg, all);
    l->t_o = gla_declare_rows(cfg, l->d);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const uint32_t biases[4] = {GLA_ABSENT, GLA_ABSENT, GLA_ABSENT, l->b_gate};
    gla_status st = gla_make_linear(l->host, weights, 4, l->w_in, biases, &l->in);

    return st ? st : gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
}

/* phi of one head: x [K] -> y [P] */
static void expand(const float *x, uint32_t k_dim, float *y)
{
    const float scale = 1 / sqrtf(sqrtf((float)k_dim)); /* q and k: together 1 / sqrt K */

    *y++ = 1;
    for (uint32_t i = 0; i < k_dim; i++)
        *y++ = scale * x[i];
    for (uint32_t i = 0; i < k_dim; i++)
        for (uint32_t j = i; j < k_dim; j++)
            *y++ = scale * scale * x[i] * x[j] * (i == j ? 0.70710678f : 1);
}

typedef struct work {
    const gla_layer *l;
    float *in, *q, *k; /* [rows, width], [rows, H * P] */
} work;

/* Rows [first, last): the layer's own arithmetic, on several threads. */
static void expand_rows(void *arg, uint32_t first, uint32_t last)
{
    const work *w = arg;
    const gla_layer *l = w->l;
    const size_t keys = (size_t)l->heads * l->k_dim, width = 2 * keys + l->d + l->heads;

    for (uint32_t r = first; r < last; r++) {
        const size_t row = (size_t)r * l->heads * l->features;
        float *x = w->in + r * width, *gate = x + 2 * keys + l->d;

        for (uint32_t h = 0; h < l->heads; h++) {
            expand(x + h * l->k_dim, l->k_dim, w->q + row + h * l->features);
            expand(x + keys + h * l->k_dim, l->k_dim, w->k + row + h * l->features);
            gate[h] = -log1pf(expf(-gate[h])) / 16; /* log sigmoid */
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const size_t keys = (size_t)l->heads * l->k_dim, width = 2 * keys + l->d + l->heads;
    const size_t all = (size_t)l->heads * l->features;
    float *in = b->scratch[l->t_in];
    work w = {l, in, b->scratch[l->t_q], b->scratch[l->t_k]};
    const gla_recurrence r = {
        .struct_size = (uint32_t)sizeof(r),
        .decay = GLA_DECAY_HEAD,
        .write = GLA_WRITE_ADD,
        .normaliser = GLA_NORMALISER_SUM,
        .heads = l->heads,
        .k_dim = l->features,
        .v_dim = l->v_dim,
        .state = l->s_memory,
        .z_state = l->s_sum,
        .scale = 1,
        .q = w.q,
        .ld_q = all,
        .k = w.k,
        .ld_k = all,
        .v = in + 2 * keys,
        .ld_v = width,
        .log_decay = in + 2 * keys + l->d,
        .ld_decay = width,
        .o = b->scratch[l->t_o],
        .ld_o = l->d,
    };
    gla_status st = m->linear(b, l->in, b->n_rows, b->x, l->d, in, width);

    if (!st)
        st = m->for_rows(b, b->n_rows, expand_rows, &w);
    if (!st)
        st = m->recurrence(b, &r);
    if (!st)
        st = m->linear(b, l->out, b->n_rows, r.o, l->d, b->y, l->d);
    return st;
}

GLA_LAYER_DEFINE(taylor, "org.example.taylor/1", 1, "gated second-order Taylor attention",
                 GLA_LAYER_MIXER | GLA_LAYER_DETERMINISTIC);
