/* SPDX-License-Identifier: Apache-2.0
 *
 * recurrence_case.h - random problems for the recurrence core, and their solution in double
 *
 * The solution follows the comment of gla_recurrence in gla/plugin.h, token by token.
 */
#ifndef GLA_TESTS_SUPPORT_RECURRENCE_CASE_H
#define GLA_TESTS_SUPPORT_RECURRENCE_CASE_H

#include "support/batch.h"
#include "support/rng.h"
#include "support/tolerance.h"

enum { CASE_MILD, CASE_STRONG, CASE_EXTREME, CASE_GROWING, CASE_DECAYS };

typedef struct recurrence_case {
    gla_recurrence r;
    uint32_t n_sequences, lengths[TEST_SEQUENCES], rows;
    float *memory; /* all operands */
    size_t used, size;
    double *o; /* [rows, H, V] the solution */
    double *s; /* [n_sequences, H, K, V] */
    double *z; /* [n_sequences, H, K] */
} recurrence_case;

static inline float *case_take(recurrence_case *c, size_t n)
{
    float *p = c->memory + c->used;

    c->used += n;
    return p;
}

static inline uint32_t case_heads(uint32_t given, uint32_t all)
{
    return given ? given : all;
}

static inline float case_log_decay(rng *g, uint32_t kind)
{
    switch (kind) {
    case CASE_STRONG:
        return (float)-rng_between(g, 0, 40);
    case CASE_EXTREME:
        switch (rng_below(g, 6)) {
        case 0:
            return -INFINITY;
        case 1:
            return -1e4f;
        case 2:
            return 0.0f;
        case 3:
            return -90.0f;
        default:
            return (float)-rng_between(g, 0, 1);
        }
    case CASE_GROWING:
        return (float)rng_between(g, -0.2, 0.1);
    default:
        return (float)-rng_between(g, 0, 0.5);
    }
}

/* Rows [rows, heads * dim] of a distance a little larger than that.  unit: each head's vector has
 * length 1 (keys of the delta rule); positive: as after elu + 1 (normalisers). */
static inline float *case_operand(recurrence_case *c, rng *g, uint32_t heads, uint32_t dim,
                                  int unit, int positive, size_t *ld)
{
    float *x;

    *ld = (size_t)heads * dim + rng_below(g, 3);
    x = case_take(c, *ld * c->rows + 1);
    rng_fill_normal(g, x, *ld * c->rows);
    for (size_t i = 0; positive && i < *ld * c->rows; i++)
        x[i] = fabsf(x[i]) + 0.1f;
    for (size_t t = 0; unit && t < c->rows; t++)
        for (uint32_t h = 0; h < heads; h++) {
            float *y = x + t * *ld + (size_t)h * dim;
            double square = 1e-6;

            for (uint32_t d = 0; d < dim; d++)
                square += (double)y[d] * y[d];
            for (uint32_t d = 0; d < dim; d++)
                y[d] = (float)(y[d] / sqrt(square));
        }
    return x;
}

static inline void case_decay(recurrence_case *c, rng *g, uint32_t kind)
{
    gla_recurrence *r = &c->r;
    const uint32_t heads = case_heads(r->decay_heads, r->heads);
    const uint32_t dim = r->decay == GLA_DECAY_CHANNEL ? r->k_dim
                         : r->decay == GLA_DECAY_VALUE ? r->v_dim
                                                       : 1;
    const size_t rows = r->decay == GLA_DECAY_CONST ? 1 : c->rows;
    float *x;

    r->ld_decay = (size_t)(r->decay == GLA_DECAY_CONST ? r->heads : heads) * dim;
    x = case_take(c, r->ld_decay * (rows + 1));
    for (size_t i = 0; i < r->ld_decay * rows; i++)
        x[i] = case_log_decay(g, kind);
    r->log_decay = x;
}

/* The shape is in c->r (decay, write, normaliser, read_before, heads, dims), c->lengths. */
static inline void case_operands(recurrence_case *c, rng *g, uint32_t decay_kind)
{
    gla_recurrence *r = &c->r;
    const int delta = r->write != GLA_WRITE_ADD, positive = r->normaliser != 0;
    size_t ld;

    c->rows = 0;
    for (uint32_t s = 0; s < c->n_sequences; s++)
        c->rows += c->lengths[s];
    c->size = (size_t)(c->rows + 2) * r->heads * (7 * (size_t)r->k_dim + 3 * (size_t)r->v_dim + 24);
    c->memory = calloc(c->size, sizeof(float));
    r->struct_size = sizeof(*r);
    r->z_state = 1;
    r->scale = 1.0f / sqrtf((float)r->k_dim);
    r->eps = 1e-6f;
    r->q = case_operand(c, g, case_heads(r->q_heads, r->heads), r->k_dim, 0, positive, &r->ld_q);
    r->k =
        case_operand(c, g, case_heads(r->k_heads, r->heads), r->k_dim, delta, positive, &r->ld_k);
    r->v = case_operand(c, g, case_heads(r->v_heads, r->heads), r->v_dim, 0, 0, &r->ld_v);
    r->ld_o = (size_t)r->heads * r->v_dim + rng_below(g, 2);
    if (r->decay)
        case_decay(c, g, decay_kind);
    if (delta || rng_below(g, 2)) {
        const uint32_t heads = case_heads(r->beta_heads, r->heads);
        float *beta = case_take(c, (size_t)heads * (c->rows + 1));

        for (size_t i = 0; i < (size_t)heads * c->rows; i++)
            beta[i] = (float)rng_unit(g);
        r->beta = beta;
        r->ld_beta = heads;
    }
    if (r->write ==
        GLA_WRITE_DPLR) { /* b (a^T S) takes away what k holds: a = -unit, b = unit / 2 */
        float *a = case_operand(c, g, r->heads, r->k_dim, 1, 0, &ld),
              *b = case_take(c, ld * c->rows);

        for (size_t i = 0; i < ld * c->rows; i++) {
            b[i] = a[i] * 0.5f;
            a[i] = -a[i];
        }
        r->a = a;
        r->b = b;
        r->ld_a = r->ld_b = ld;
    }
    if (r->read_before && rng_below(g, 4)) {
        float *bonus = case_take(c, (size_t)r->heads * r->k_dim);

        rng_fill_normal(g, bonus, (size_t)r->heads * r->k_dim);
        r->bonus = bonus;
    }
}

static inline double case_factor(const gla_recurrence *r, size_t t, uint32_t h, uint32_t d,
                                 uint32_t j)
{
    const uint32_t group = h / (r->heads / case_heads(r->decay_heads, r->heads));

    switch (r->decay) {
    case GLA_DECAY_CONST:
        return exp((double)r->log_decay[h]);
    case GLA_DECAY_HEAD:
        return exp((double)r->log_decay[t * r->ld_decay + group]);
    case GLA_DECAY_CHANNEL:
        return exp((double)r->log_decay[t * r->ld_decay + (size_t)group * r->k_dim + d]);
    case GLA_DECAY_VALUE:
        return exp((double)r->log_decay[t * r->ld_decay + (size_t)group * r->v_dim + j]);
    default:
        return 1.0;
    }
}

/* One token of one head in double. */
static inline void case_solve_step(const gla_recurrence *r, size_t t, uint32_t h, double *s,
                                   double *z, double *o)
{
    const uint32_t K = r->k_dim, V = r->v_dim;
    const float *q =
        r->q + t * r->ld_q + (size_t)(h / (r->heads / case_heads(r->q_heads, r->heads))) * K;
    const float *k =
        r->k + t * r->ld_k + (size_t)(h / (r->heads / case_heads(r->k_heads, r->heads))) * K;
    const float *v =
        r->v + t * r->ld_v + (size_t)(h / (r->heads / case_heads(r->v_heads, r->heads))) * V;
    const double beta =
        r->beta ? r->beta[t * r->ld_beta + h / (r->heads / case_heads(r->beta_heads, r->heads))]
                : 1.0;
    double own = 0, norm = 0;

    for (uint32_t d = 0; d < K; d++)
        own += r->bonus ? (double)q[d] * r->bonus[(size_t)h * K + d] * k[d] : 0;
    for (uint32_t d = 0; r->normaliser && d < K; d++) {
        const double before = z[d];

        z[d] = case_factor(r, t, h, d, 0) * before + beta * k[d];
        norm += q[d] * (r->read_before ? before : z[d]);
    }
    norm *= r->scale;
    for (uint32_t j = 0; j < V; j++) {
        double read = 0, seen = 0;

        for (uint32_t d = 0; d < K; d++) {
            double *x = s + (size_t)d * V + j;

            if (r->read_before)
                read += q[d] * *x;
            if (r->write == GLA_WRITE_DPLR)
                seen += r->a[t * r->ld_a + (size_t)h * K + d] * *x;
            *x *= case_factor(r, t, h, d, j);
            if (r->write == GLA_WRITE_DELTA)
                seen += k[d] * *x;
        }
        for (uint32_t d = 0; d < K; d++) {
            double *x = s + (size_t)d * V + j;

            *x += k[d] * beta * (r->write == GLA_WRITE_DELTA ? v[j] - seen : v[j]);
            if (r->write == GLA_WRITE_DPLR)
                *x += r->b[t * r->ld_b + (size_t)h * K + d] * seen;
            if (!r->read_before)
                read += q[d] * *x;
        }
        o[j] = r->scale * (r->read_before ? read + own * v[j] : read);
        if (r->normaliser == GLA_NORMALISER_SUM)
            o[j] /= norm + r->eps;
        else if (r->normaliser == GLA_NORMALISER_MAX)
            o[j] /= fmax(fabs(norm), r->eps);
    }
}

static inline void case_solve(recurrence_case *c)
{
    const gla_recurrence *r = &c->r;
    const size_t K = r->k_dim, V = r->v_dim;
    size_t row = 0;

    c->o = calloc((size_t)c->rows * r->heads * V + 1, sizeof(double));
    c->s = calloc(c->n_sequences * r->heads * K * V + 1, sizeof(double));
    c->z = calloc(c->n_sequences * r->heads * K + 1, sizeof(double));
    for (uint32_t s = 0; s < c->n_sequences; s++)
        for (uint32_t t = 0; t < c->lengths[s]; t++, row++)
            for (uint32_t h = 0; h < r->heads; h++)
                case_solve_step(r, row, h, c->s + (s * r->heads + h) * K * V,
                                c->z + (s * r->heads + h) * K, c->o + (row * r->heads + h) * V);
}

/* A random problem; `form` counts through all combinations of decay, write, normaliser and
 * read_before. */
static inline void case_random(recurrence_case *c, rng *g, uint32_t form, uint32_t decay_kind)
{
    static const uint32_t dims[] = {1, 3, 8, 15, 16, 17, 24, 32, 33, 40, 64, 72};
    static const uint32_t heads[] = {1, 2, 4};
    gla_recurrence *r = &c->r;

    memset(c, 0, sizeof(*c));
    r->decay = form % 5;
    r->write = form / 5 % 3;
    r->normaliser = r->decay == GLA_DECAY_VALUE ? 0 : form / 15 % 3;
    r->read_before = form / 45 % 2;
    r->heads = heads[rng_below(g, 3)];
    r->k_dim = dims[rng_below(g, 12)];
    r->v_dim = dims[rng_below(g, 12)];
    r->q_heads = r->heads % 2 == 0 && rng_below(g, 2) ? r->heads / 2 : 0;
    r->k_heads = rng_below(g, 3) ? 0 : 1;
    r->v_heads = r->heads % 2 == 0 && rng_below(g, 3) == 0 ? 2 : 0;
    r->decay_heads = rng_below(g, 3) ? r->heads : 1;
    r->beta_heads = rng_below(g, 3) ? 0 : 1;
    c->n_sequences = 1 + rng_below(g, 3);
    for (uint32_t s = 0; s < c->n_sequences; s++)
        c->lengths[s] = rng_below(g, 4) ? rng_below(g, 36) : rng_below(g, 110);
    case_operands(c, g, decay_kind);
}

static inline void case_free(recurrence_case *c)
{
    free(c->memory);
    free(c->o);
    free(c->s);
    free(c->z);
}

/* What rounding may do: sums over K, carried over the tokens. */
static inline tolerance case_tolerance(const recurrence_case *c)
{
    uint32_t longest = 1;

    for (uint32_t s = 0; s < c->n_sequences; s++)
        longest = c->lengths[s] > longest ? c->lengths[s] : longest;
    return tolerance_for((double)c->r.k_dim + longest);
}

#endif
