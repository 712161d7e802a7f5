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
#include <gla/blocks.h>

#include <math.h>

enum { P_HEADS, P_KEY_DIM };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_KEY_DIM] = GLA_P_INT("key_dim", 8, 1, 32, "channels of a head's queries and keys")};

enum { Q, K, V, A, N_IN };

struct gla_layer {
    uint32_t heads, k_dim, v_dim, features;
    uint32_t s_memory, s_sum; /* states, by declared index */
    uint32_t t_q, t_k, t_o;   /* scratch, likewise */
    gla_in in;
    gla_out out;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const uint32_t d = c->d_in, heads = gla_u32(&c->params[P_HEADS]);

    l->heads = heads;
    l->k_dim = gla_u32(&c->params[P_KEY_DIM]);
    l->v_dim = d / heads;
    l->features = 1 + l->k_dim + l->k_dim * (l->k_dim + 1) / 2;
    if (l->v_dim * heads != d)
        return gla_host_fail(c->host, GLA_E_INVALID, "heads do not divide d_model");

    const uint32_t all = heads * l->features;
    const gla_in_part parts[] = {
        [Q] = {"q_proj", heads * l->k_dim},
        [K] = {"k_proj", heads * l->k_dim},
        [V] = {"v_proj", d},
        [A] = {"a_proj", heads, GLA_ACT_LOG_SIGMOID, GLA_PART_BIAS | GLA_PART_SENSITIVE}};

    gla_in_declare(c, &l->in, parts, N_IN, NULL);
    gla_out_declare(c, &l->out, "o_proj", d, 0, NULL, NULL);
    l->s_memory = gla_declare_fixed(c, "S", heads, l->features, l->v_dim, 4.0 * all * l->v_dim);
    l->s_sum = gla_declare_fixed(c, "z", heads, l->features, 0, 4.0 * all);
    l->t_q = gla_declare_rows(c, all);
    l->t_k = gla_declare_rows(c, all);
    l->t_o = gla_declare_rows(c, d);
    return GLA_OK;
}

/* One row: x [H, K] -> y [H, P], of which row r begins at r * ld. */
typedef struct expansion {
    uint32_t heads, k_dim;
    size_t ld_x, ld_y;
} expansion;

/* phi of rows [first, last): the layer's own arithmetic, on several threads. */
static void expand(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const expansion *e = arg;
    const float scale = 1 / sqrtf(sqrtf((float)e->k_dim)); /* q and k: together 1 / sqrt K */

    for (uint32_t r = first; r < last; r++) {
        const float *x = at[0] + r * e->ld_x;
        float *y = at[1] + r * e->ld_y;

        for (uint32_t h = 0; h < e->heads; h++, x += e->k_dim) {
            *y++ = 1;
            for (uint32_t i = 0; i < e->k_dim; i++)
                *y++ = scale * x[i];
            for (uint32_t i = 0; i < e->k_dim; i++)
                for (uint32_t j = i; j < e->k_dim; j++)
                    *y++ = scale * scale * x[i] * x[j] * (i == j ? 0.70710678f : 1);
        }
    }
}

/* Its derivative: adds to the gradient of x what that of y says. */
static void expand_vjp(const void *arg, const float *const *saved, const float *const *out,
                       float *const *grad, uint32_t first, uint32_t last)
{
    const expansion *e = arg;
    const float scale = 1 / sqrtf(sqrtf((float)e->k_dim));

    (void)out;
    for (uint32_t r = first; r < last; r++) {
        const float *x = saved[0] + r * e->ld_x, *dy = grad[1] + r * e->ld_y;
        float *dx = grad[0] + r * e->ld_x;

        for (uint32_t h = 0; h < e->heads; h++, x += e->k_dim, dx += e->k_dim) {
            dy++; /* of the 1 */
            for (uint32_t i = 0; i < e->k_dim; i++)
                dx[i] += scale * *dy++;
            for (uint32_t i = 0; i < e->k_dim; i++)
                for (uint32_t j = i; j < e->k_dim; j++, dy++) {
                    const float g = scale * scale * (i == j ? 0.70710678f : 1) * *dy;

                    dx[i] += g * x[j];
                    dx[j] += g * x[i];
                }
        }
    }
}

static void expand_rows(const gla_layer *l, const gla_batch *b, const float *x, size_t ld, float *y)
{
    const expansion e = {l->heads, l->k_dim, ld, (size_t)l->heads * l->features};

    GLA_ROWS(b, e, expand, expand_vjp, {x, ld, l->heads * l->k_dim, GLA_USE_READ},
             {y, e.ld_y, (uint32_t)e.ld_y, GLA_USE_WRITE});
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const size_t all = (size_t)l->heads * l->features;
    float *x[N_IN], *q = b->scratch[l->t_q], *k = b->scratch[l->t_k], *o = b->scratch[l->t_o];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    const gla_recurrence r = {.struct_size = (uint32_t)sizeof(r),
                              .decay = GLA_DECAY_HEAD,
                              .write = GLA_WRITE_ADD,
                              .normaliser = GLA_NORMALISER_SUM,
                              .heads = l->heads,
                              .k_dim = l->features,
                              .v_dim = l->v_dim,
                              .state = l->s_memory,
                              .z_state = l->s_sum,
                              .scale = 1,
                              .q = q,
                              .ld_q = all,
                              .k = k,
                              .ld_k = all,
                              .v = x[V],
                              .ld_v = ld,
                              .log_decay = x[A],
                              .ld_decay = ld,
                              .o = o,
                              .ld_o = l->out.width};

    m->scale(b, 1.0f / 16, b->n_rows, l->heads, x[A], ld);
    expand_rows(l, b, x[Q], ld, q);
    expand_rows(l, b, x[K], ld, k);
    m->recurrence(b, &r);
    return gla_out_run(m, b, &l->out, o, NULL, 0);
}

GLA_LAYER_DEFINE(taylor, "org.example.taylor/1", 1, "gated second-order Taylor attention",
                 .flags = GLA_LAYER_MIXER | GLA_LAYER_DETERMINISTIC);
