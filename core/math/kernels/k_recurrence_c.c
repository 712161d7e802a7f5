/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrence from its formula, token by token: what the vector kernels are tested against.
 */
#include "math/kernels/k_recurrence.h"

#include <math.h>
#include <string.h>

/* log_decay is there for every decay but NONE: math/recurrence.c has checked it. */
// NOLINTBEGIN(clang-analyzer-core.NullDereference)
static float factor(const gla__rec *r, const float *log_decay, size_t d, size_t j)
{
    switch (r->decay) {
    case GLA_DECAY_CHANNEL:
        return expf(log_decay[d]);
    case GLA_DECAY_VALUE:
        return expf(log_decay[j]);
    case GLA_DECAY_NONE:
        return 1.0f;
    default:
        return expf(log_decay[0]);
    }
}
// NOLINTEND(clang-analyzer-core.NullDereference)

/* out [V] = x^T S */
static void read_state(const gla__rec *r, const float *x, float *out)
{
    memset(out, 0, r->v_dim * sizeof(*out));
    for (size_t d = 0; d < r->k_dim; d++)
        for (size_t j = 0; j < r->v_dim; j++)
            out[j] += x[d] * r->s[d * r->ld_s + j];
}

static void decay_state(const gla__rec *r, const float *log_decay, float *f)
{
    for (size_t j = 0; r->decay == GLA_DECAY_VALUE && j < r->v_dim; j++)
        f[j] = factor(r, log_decay, 0, j);
    for (size_t d = 0; r->decay != GLA_DECAY_NONE && d < r->k_dim; d++) {
        const float row = r->decay == GLA_DECAY_VALUE ? 1.0f : factor(r, log_decay, d, 0);

        for (size_t j = 0; j < r->v_dim; j++)
            r->s[d * r->ld_s + j] *= r->decay == GLA_DECAY_VALUE ? f[j] : row;
    }
}

/* What o is divided by; moves z on. */
static float normaliser(const gla__rec *r, const float *q, const float *k, const float *log_decay,
                        float beta)
{
    float sum = 0.0f;

    for (size_t d = 0; d < r->k_dim; d++) {
        const float before = r->z[d];

        r->z[d] = factor(r, log_decay, d, 0) * before + beta * k[d];
        sum += q[d] * (r->read_before ? before : r->z[d]);
    }
    sum *= r->scale;
    return r->normaliser == GLA_NORMALISER_SUM ? sum + r->eps : fmaxf(fabsf(sum), r->eps);
}

static void step(const gla__rec *r, size_t t)
{
    const float *q = r->q + t * r->ld_q, *k = r->k + t * r->ld_k, *v = r->v + t * r->ld_v;
    const float *log_decay = r->log_decay ? r->log_decay + t * r->ld_decay : NULL;
    const float beta = r->beta ? r->beta[t * r->ld_beta] : 1.0f;
    float *o = r->o + t * r->ld_o, *w = r->scratch, *f = r->scratch + r->v_dim;
    float bonus = 0.0f, divisor = 1.0f;

    if (r->read_before)
        read_state(r, q, o);
    if (r->write == GLA_WRITE_DPLR)
        read_state(r, r->a + t * r->ld_a, w);
    decay_state(r, log_decay, f);
    if (r->write == GLA_WRITE_DELTA)
        read_state(r, k, w);
    for (size_t d = 0; d < r->k_dim; d++) {
        const float b = r->write == GLA_WRITE_DPLR ? r->b[t * r->ld_b + d] : 0.0f;
        float *s = r->s + d * r->ld_s;

        for (size_t j = 0; j < r->v_dim; j++) {
            if (r->write == GLA_WRITE_DELTA)
                s[j] += k[d] * (beta * (v[j] - w[j]));
            else if (r->write == GLA_WRITE_DPLR)
                s[j] += b * w[j] + k[d] * (beta * v[j]);
            else
                s[j] += k[d] * (beta * v[j]);
        }
    }
    if (!r->read_before)
        read_state(r, q, o);
    for (size_t d = 0; r->read_before && r->bonus && d < r->k_dim; d++)
        bonus += q[d] * r->bonus[d] * k[d];
    if (r->normaliser)
        divisor = normaliser(r, q, k, log_decay, beta);
    for (size_t j = 0; j < r->v_dim; j++)
        o[j] = r->scale * (r->read_before ? o[j] + bonus * v[j] : o[j]) / divisor;
}

void gla_k_recurrence_f32__c(const gla__rec *r, uint32_t chunk)
{
    (void)chunk;
    for (size_t t = 0; t < r->tokens; t++)
        step(r, t);
}
