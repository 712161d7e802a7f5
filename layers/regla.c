/* SPDX-License-Identifier: Apache-2.0
 *
 * regla.c - ReGLA: refined gated linear attention (Lu et al., arXiv 2502.01578)
 *
 *   g = sigmoid(Wg x + bg), r = sigmoid(Wr x + br) ;  F = (1 - r) g^2 + r (1 - (1 - g)^2)
 *   phi(q) = exp(q - max q) per head ;  phi(k) = exp(k - M), M = running maximum of k per head
 *   S = diag(F) S e^(M_before - M) + phi(k) v^T               states [H, K, V] and M [H]
 *   y = Wo rmsnorm(alpha phi(q)^T S),  alpha = 1 / (e sqrt(K (e^2 - 1)))
 */
#include <gla/blocks.h>

#include <math.h>

enum { P_HEADS, P_K_HEAD, P_V_HEAD, P_NORM_EPS };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, 1024, "heads"),
    [P_K_HEAD] = GLA_P_INT_REQ("head_k_dim", 1, 4096, "key channels of a head"),
    [P_V_HEAD] = GLA_P_INT_REQ("head_v_dim", 1, 4096, "value channels of a head"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's")};

enum { Q, K, V, G, R, N_IN };

struct gla_layer {
    gla_heads h;
    uint32_t s_state, s_max, t_o;
    gla_in in;
    gla_out out;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const uint32_t heads = gla_u32(&p[P_HEADS]);
    const gla_status st = gla_heads_of(c, heads, heads, heads * gla_u32(&p[P_K_HEAD]),
                                       heads * gla_u32(&p[P_V_HEAD]), &l->h);
    const gla_heads *h = &l->h;
    const uint32_t gate = GLA_PART_SENSITIVE | GLA_PART_BIAS;
    const gla_in_part parts[] = {[Q] = {"q_proj", h->qc},
                                 [K] = {"k_proj", h->kc},
                                 [V] = {"v_proj", h->vc},
                                 [G] = {"g_proj", h->kc, GLA_ACT_NONE, gate},
                                 [R] = {"r_proj", h->kc, GLA_ACT_NONE, gate}};
    const gla_norm norm = gla_norm_of(GLA_NORM_RMS, heads, h->v, gla_eps(c, &p[P_NORM_EPS]));

    if (st)
        return st;
    gla_in_declare(c, &l->in, parts, N_IN, NULL);
    gla_out_declare(c, &l->out, "o_proj", h->oc, 0, &norm, "o_norm.weight");
    l->s_state = gla_heads_state(c, h, 5);
    l->s_max = gla_declare_fixed(c, "M", heads, 0, 0, 1.0 * h->kc);
    l->t_o = gla_declare_rows(c, h->oc);
    return GLA_OK;
}

/* ---- gates, of any row by itself ---- */

typedef struct gates {
    uint32_t heads, k;
    size_t ld;
} gates;

static uint32_t place_of_max(const float *x, uint32_t n)
{
    uint32_t at = 0;

    for (uint32_t i = 1; i < n; i++)
        at = x[i] > x[at] ? i : at;
    return at;
}

/* q = phi(q) ;  r = log F */
static void gate_rows(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const gates *a = arg;
    const uint32_t kc = a->heads * a->k;

    for (size_t row = first * a->ld; row < last * a->ld; row += a->ld) {
        float *q = at[0] + row, *r = at[2] + row;

        for (uint32_t h = 0; h < kc; h += a->k) {
            const float max = q[h + place_of_max(q + h, a->k)];

            for (uint32_t i = h; i < h + a->k; i++)
                q[i] = expf(q[i] - max);
        }
        for (uint32_t i = 0; i < kc; i++) {
            const float g = gla_sigmoid(at[1][row + i]), s = gla_sigmoid(r[i]);

            r[i] = logf((1.0f - s) * g * g + s * g * (2.0f - g));
        }
    }
}

/* dq_i = p_i dp_i, less their sum where q is largest.  With F / g = (1 - r) g + r (2 - g):
 *   dg = 2 (g (1 - r) + r (1 - g)) (1 - g) g / F da,  dr = 2 (1 - g) r (1 - r) g / F da */
static void gate_vjp(const void *arg, const float *const *saved, const float *const *out,
                     float *const *grad, uint32_t first, uint32_t last)
{
    const gates *a = arg;
    const uint32_t kc = a->heads * a->k;

    for (size_t row = first * a->ld; row < last * a->ld; row += a->ld) {
        const float *phi = out[0] + row;
        float *dq = grad[0] + row, *dg = grad[1] + row, *dr = grad[2] + row;

        for (uint32_t h = 0; h < kc; h += a->k) {
            float sum = 0;

            for (uint32_t i = h; i < h + a->k; i++)
                sum += dq[i] *= phi[i];
            dq[h + place_of_max(saved[0] + row + h, a->k)] -= sum;
        }
        for (uint32_t i = 0; i < kc; i++) {
            const float g = gla_sigmoid(saved[1][row + i]), s = gla_sigmoid(saved[2][row + i]);
            const float d = 2 * (1 - g) * dr[i] / ((1 - s) * g + s * (2 - g));

            dg[i] += d * (g * (1 - s) + s * (1 - g));
            dr[i] = d * s * (1 - s);
        }
    }
}

/* ---- the maximum, along each sequence ---- */

typedef struct follow {
    const gla_layer *l;
    gla_batch b;
    size_t ld;
} follow;

/* k = phi(k), and what the rise of the maximum does to the decay: for a head of a sequence. */
static void follow_maximum(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const follow *f = arg;
    const uint32_t heads = f->l->h.heads, n = f->l->h.k;

    for (uint32_t i = first; i < last; i++) {
        const uint32_t s = i / heads, h = i % heads;
        float *state = gla_state_f32(&f->b, s, f->l->s_max) + h;
        uint64_t seen = f->b.position[s];

        for (size_t r = f->b.row_offset[s]; r < f->b.row_offset[s + 1]; r++, seen++) {
            float *k = at[0] + r * f->ld + (size_t)h * n, *a = at[1] + r * f->ld + (size_t)h * n;
            const float before = *state, here = k[place_of_max(k, n)];
            const float max = seen && before > here ? before : here;

            for (uint32_t c = 0; c < n; c++) {
                k[c] = expf(k[c] - max);
                a[c] += seen ? before - max : 0;
            }
            *state = max;
        }
    }
}

/* The maximum is taken as a constant: a factor of S and of q S, which the norm takes away. */
static void follow_vjp(const void *arg, const float *const *saved, const float *const *out,
                       float *const *grad, uint32_t first, uint32_t last)
{
    const follow *f = arg;
    const uint32_t heads = f->l->h.heads, n = f->l->h.k;

    (void)saved;
    for (uint32_t i = first; i < last; i++) {
        const uint32_t s = i / heads, h = i % heads;

        for (size_t r = f->b.row_offset[s]; r < f->b.row_offset[s + 1]; r++)
            for (size_t c = r * f->ld + (size_t)h * n; c < r * f->ld + (size_t)(h + 1) * n; c++)
                grad[0][c] *= out[0][c];
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const gla_heads *h = &l->h;
    const float e = 2.718281828f;
    float *x[N_IN], *o = b->scratch[l->t_o];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    const gates g = {h->heads, h->k, ld};
    const follow f = {l, *b, ld};
    gla_recurrence r =
        gla_heads_recurrence(h, l->s_state, GLA_DECAY_CHANNEL, x[Q], x[K], x[V], ld, o);

    GLA_ROWS(b, g, gate_rows, gate_vjp, {x[Q], ld, h->qc, GLA_USE_READ_WRITE},
             {x[G], ld, h->kc, GLA_USE_READ}, {x[R], ld, h->kc, GLA_USE_READ_WRITE});
    GLA_PIECES(b, b->n_sequences * h->heads, f, follow_maximum, follow_vjp,
               {x[K], ld, h->kc, GLA_USE_READ_WRITE}, {x[R], ld, h->kc, GLA_USE_READ_WRITE});
    r.scale = 1.0f / (e * sqrtf((float)h->k * (e * e - 1)));
    r.log_decay = x[R];
    m->recurrence(b, &r);
    return gla_out_run(m, b, &l->out, o, NULL, 0);
}

GLA_LAYER_DEFINE(regla, "gla.regla/1", 1, "refined gated linear attention (arXiv 2502.01578)",
                 .flags = GLA_LAYER_MIXER);
