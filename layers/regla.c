/* SPDX-License-Identifier: Apache-2.0
 *
 * regla.c - ReGLA: refined gated linear attention (Lu et al., arXiv 2502.01578)
 *
 *   g = sigmoid(Wg x + bg), r = sigmoid(Wr x + br) ;  F = (1 - r) g^2 + r (1 - (1 - g)^2)
 *   phi(q) = exp(q - max q) per head ;  phi(k) = exp(k - M), M = running maximum of k per head
 *   S = diag(F) S e^(M_before - M) + phi(k) v^T               states [H, K, V] and M [H]
 *   y = Wo rmsnorm(alpha phi(q)^T S),  alpha = 1 / (e sqrt(K (e^2 - 1)))
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

enum { P_HEADS, P_K_HEAD, P_V_HEAD, P_NORM_EPS };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_K_HEAD] = GLA_P_INT_REQ("head_k_dim", 1, 4096, "key channels of a head"),
    [P_V_HEAD] = GLA_P_INT_REQ("head_v_dim", 1, 4096, "value channels of a head"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
};

enum { W_Q, W_K, W_V, W_G, W_R, N_IN };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, heads, k, v, kc, vc, width;
    uint32_t w_in[N_IN], b_in[N_IN], w_norm, w_out, s_state, s_max, t_in, t_out;
    gla_linear *in, *out;
    gla_norm norm;
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const weight[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight",
                                         "g_proj.weight", "r_proj.weight"};

    for (uint32_t i = 0; i < N_IN; i++) {
        const uint32_t channels = i == W_V ? l->vc : l->kc;

        l->w_in[i] = i < W_G ? gla_declare_matrix(cfg, weight[i], channels, l->d)
                             : gla_declare_gate(cfg, weight[i], channels, l->d);
        l->b_in[i] = GLA_ABSENT;
    }
    l->b_in[W_G] = gla_declare_vector(cfg, "g_proj.bias", l->kc);
    l->b_in[W_R] = gla_declare_vector(cfg, "r_proj.bias", l->kc);
    l->w_norm = gla_declare_vector(cfg, "o_norm.weight", l->v);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->vc);
    l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->k, l->v, 5.0 * l->kc * l->v);
    l->s_max = gla_declare_fixed(cfg, "M", l->heads, 0, 0, 1.0 * l->kc);
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_out = gla_declare_rows(cfg, l->vc);
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
    l->k = (uint32_t)p[P_K_HEAD].i;
    l->v = (uint32_t)p[P_V_HEAD].i;
    l->kc = l->heads * l->k;
    l->vc = l->heads * l->v;
    l->width = 4 * l->kc + l->vc;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = l->heads,
        .width = l->v,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
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
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, l->b_in, &l->in);

    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st ? st : gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
}

typedef struct job {
    const gla_layer *l;
    const gla_batch *b;
    float *in; /* [rows, q | k | v | g | r] */
} job;

static float max_of(const float *x, uint32_t n)
{
    float max = x[0];

    for (uint32_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

/* q = phi(q), r = log F, for any row by itself */
static void gate_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        float *q = j->in + (size_t)r * l->width;
        const float *gate = q + 2 * (size_t)l->kc + l->vc;
        float *refine = q + 3 * (size_t)l->kc + l->vc;

        for (uint32_t h = 0; h < l->heads; h++) {
            const float max = max_of(q + (size_t)h * l->k, l->k);

            for (uint32_t i = h * l->k; i < (h + 1) * l->k; i++)
                q[i] = expf(q[i] - max);
        }
        for (uint32_t i = 0; i < l->kc; i++) {
            const float g = 1.0f / (1.0f + expf(-gate[i])), s = 1.0f / (1.0f + expf(-refine[i]));

            refine[i] = logf((1.0f - s) * g * g + s * g * (2.0f - g));
        }
    }
}

/* k = phi(k) and what the rise of the maximum does to the decay, along each sequence. */
static void follow_maximum(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t i = first; i < last; i++) {
        const uint32_t s = i / l->heads, h = i % l->heads;
        float *state = gla_state_f32(j->b, s, l->s_max) + h;
        uint64_t seen = j->b->position[s];

        for (uint32_t r = j->b->row_offset[s]; r < j->b->row_offset[s + 1]; r++, seen++) {
            float *k = j->in + (size_t)r * l->width + l->kc + (size_t)h * l->k;
            float *a = j->in + (size_t)r * l->width + 3 * (size_t)l->kc + l->vc + (size_t)h * l->k;
            const float before = *state, here = max_of(k, l->k);
            const float max = seen && before > here ? before : here;

            for (uint32_t c = 0; c < l->k; c++) {
                k[c] = expf(k[c] - max);
                a[c] += seen ? before - max : 0;
            }
            *state = max;
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    const size_t ld = l->width;
    job j = {l, b, b->scratch[l->t_in]};
    float *o = b->scratch[l->t_out]; /* [rows, vc] */
    const float e = 2.718281828f;
    const gla_recurrence r = {
        .struct_size = sizeof(r),
        .decay = GLA_DECAY_CHANNEL,
        .write = GLA_WRITE_ADD,
        .heads = l->heads,
        .k_dim = l->k,
        .v_dim = l->v,
        .state = l->s_state,
        .scale = 1.0f / (e * sqrtf((float)l->k * (e * e - 1))),
        .q = j.in,
        .k = j.in + l->kc,
        .v = j.in + 2 * (size_t)l->kc,
        .log_decay = j.in + 3 * (size_t)l->kc + l->vc,
        .ld_q = ld,
        .ld_k = ld,
        .ld_v = ld,
        .ld_decay = ld,
        .o = o,
        .ld_o = l->vc,
    };
    gla_status st = m->linear(b, l->in, n, b->x, l->d, j.in, ld);

    if (!st)
        st = m->for_rows(b, n, gate_rows, &j);
    if (!st)
        st = m->for_rows(b, b->n_sequences * l->heads, follow_maximum, &j);
    if (!st)
        st = m->recurrence(b, &r);
    if (!st)
        st = m->norm(b, &l->norm, n, o, l->vc, o, l->vc);
    return st ? st : m->linear(b, l->out, n, o, l->vc, b->y, l->d);
}

GLA_LAYER_DEFINE(regla, "gla.regla/1", 1, "refined gated linear attention (arXiv 2502.01578)",
                 GLA_LAYER_MIXER);
