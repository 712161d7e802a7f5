/* SPDX-License-Identifier: Apache-2.0 */
#include "ck.h"

#include "math/kernels/k_recurrence.h"

typedef struct call {
    gla__rec_fn *fn;
    gla__rec r;
    uint32_t chunk;
} call;

static void call_kernel(void *arg)
{
    const call *x = arg;

    x->fn(&x->r, x->chunk);
}

typedef struct form {
    const char *name;
    uint32_t decay, write, normaliser, read_before;
} form;

static const form forms[] = {
    {"linear", GLA_DECAY_NONE, GLA_WRITE_ADD, 0, 0},
    {"linear_sum", GLA_DECAY_NONE, GLA_WRITE_ADD, GLA_NORMALISER_SUM, 0},
    {"retnet", GLA_DECAY_HEAD, GLA_WRITE_ADD, 0, 0},
    {"gla", GLA_DECAY_CHANNEL, GLA_WRITE_ADD, 0, 0},
    {"value", GLA_DECAY_VALUE, GLA_WRITE_ADD, 0, 0},
    {"rwkv6", GLA_DECAY_CHANNEL, GLA_WRITE_ADD, 0, 1},
    {"delta", GLA_DECAY_NONE, GLA_WRITE_DELTA, 0, 0},
    {"gdn", GLA_DECAY_HEAD, GLA_WRITE_DELTA, 0, 0},
    {"kda", GLA_DECAY_CHANNEL, GLA_WRITE_DELTA, 0, 0},
    {"rwkv7", GLA_DECAY_CHANNEL, GLA_WRITE_DPLR, 0, 0},
};

/* Length 1 each, as the delta rule wants its keys. */
static void normalise(float *x, size_t rows, size_t dim)
{
    for (size_t t = 0; t < rows; t++) {
        double square = 1e-6;

        for (size_t d = 0; d < dim; d++)
            square += (double)x[t * dim + d] * x[t * dim + d];
        for (size_t d = 0; d < dim; d++)
            x[t * dim + d] = (float)(x[t * dim + d] / sqrt(square));
    }
}

/* Rows are dense, so that one number too many is noticed. */
static gla__rec make(ck *c, const form *f, size_t T, size_t K, size_t V)
{
    const bool delta = f->write != GLA_WRITE_ADD;
    const size_t wide = f->decay == GLA_DECAY_CHANNEL ? K : f->decay == GLA_DECAY_VALUE ? V : 1;
    float *q = ck_input(c, T * K), *k = ck_input(c, T * K), *g = ck_input(c, T * wide);
    float *beta = ck_input(c, T), *a = ck_input(c, T * K), *b = ck_input(c, T * K);
    const gla__rec r = {.decay = f->decay,
                        .write = f->write,
                        .normaliser = f->normaliser,
                        .read_before = f->read_before,
                        .tokens = T,
                        .k_dim = K,
                        .v_dim = V,
                        .scale = 1 / sqrtf((float)K),
                        .eps = 1e-6f,
                        .q = q,
                        .k = k,
                        .v = ck_input(c, T * V),
                        .log_decay = f->decay ? g : NULL,
                        .beta = delta ? beta : NULL,
                        .a = a,
                        .b = b,
                        .bonus = f->read_before ? ck_input(c, K) : NULL,
                        .ld_q = K,
                        .ld_k = K,
                        .ld_v = V,
                        .ld_decay = wide,
                        .ld_beta = 1,
                        .ld_a = K,
                        .ld_b = K,
                        .ld_o = V,
                        .o = ck_output(c, T * V),
                        .s = ck_input(c, K * V),
                        .ld_s = V,
                        .z = f->normaliser ? ck_zeros(c, K) : NULL,
                        .scratch = ck_zeros(c, gla__rec_scratch(K, V))};

    normalise(k, delta ? T : 0, K);
    normalise(a, T, K);
    for (size_t i = 0; i < T * wide; i++) /* now and then what wipes the state */
        g[i] = rng_below(ck_rng(c), ck_benching(c) ? ~0u : 40) ? -0.1f * fabsf(g[i]) : -1e4f;
    for (size_t i = 0; i < T; i++)
        beta[i] = 1 / (1 + expf(-beta[i]));
    for (size_t i = 0; i < T * K; i++) {
        b[i] = -0.5f * a[i];
        q[i] = f->normaliser ? fabsf(q[i]) + 0.1f : q[i];
        k[i] = f->normaliser ? fabsf(k[i]) + 0.1f : k[i];
    }
    return r;
}

static double decay_of(const gla__rec *r, size_t t, size_t d, size_t j)
{
    const size_t at = r->decay == GLA_DECAY_CHANNEL ? d : r->decay == GLA_DECAY_VALUE ? j : 0;

    return r->decay ? exp((double)r->log_decay[t * r->ld_decay + at]) : 1.0;
}

/* One column after the other, in double; s [K, V] and z [K] move on. */
static void solve(const gla__rec *r, double *s, double *z, double *o)
{
    const size_t K = r->k_dim, V = r->v_dim;

    for (size_t t = 0; t < r->tokens; t++) {
        const float *q = r->q + t * K, *k = r->k + t * K, *v = r->v + t * V;
        const double beta = r->beta ? r->beta[t] : 1.0;
        double own = 0, norm = r->normaliser ? r->eps : 1.0;

        for (size_t d = 0; d < K; d++)
            own += r->bonus ? (double)q[d] * r->bonus[d] * k[d] : 0.0;
        for (size_t d = 0; r->normaliser && d < K; d++) {
            z[d] = decay_of(r, t, d, 0) * z[d] + beta * k[d];
            norm += r->scale * q[d] * z[d];
        }
        for (size_t j = 0; j < V; j++) {
            double before = 0, seen = 0, after = 0;

            for (size_t d = 0; d < K; d++) {
                const double decayed = decay_of(r, t, d, j) * s[d * V + j];

                before += q[d] * s[d * V + j];
                seen +=
                    r->write == GLA_WRITE_DPLR ? r->a[t * K + d] * s[d * V + j] : k[d] * decayed;
                s[d * V + j] = decayed;
            }
            for (size_t d = 0; d < K; d++) {
                s[d * V + j] += k[d] * beta * (r->write == GLA_WRITE_DELTA ? v[j] - seen : v[j]);
                s[d * V + j] += r->write == GLA_WRITE_DPLR ? r->b[t * K + d] * seen : 0.0;
                after += q[d] * s[d * V + j];
            }
            o[t * V + j] = r->scale * (r->read_before ? before + own * v[j] : after) / norm;
        }
    }
}

static void damage(ck *c, const gla__rec *r)
{
    const float *const operands[] = {r->q, r->k, r->v};
    const uint32_t i = rng_below(ck_rng(c), 3);

    ck_poison(c, (float *)(uintptr_t)operands[i], r->tokens * (i == 2 ? r->v_dim : r->k_dim));
}

static void check_one(ck *c, const form *f, size_t T, size_t K, size_t V, uint32_t chunk,
                      bool poison)
{
    if (ck_case(c, "recurrence_%s_k%zu_v%zu_t%zu_chunk%u%s", f->name, K, V, T, chunk,
                poison ? "_poison" : "")) {
        call x = {(gla__rec_fn *)ck_function(c, "recurrence"), make(c, f, T, K, V), chunk};
        const double step = f->write == GLA_WRITE_ADD ? 5.0 : 7.0;
        double *s = ck_want(c, K * V), *z = ck_want(c, K), *o = ck_want(c, T * V);

        for (size_t i = 0; i < K * V; i++)
            s[i] = x.r.s[i];
        if (poison)
            damage(c, &x.r);
        solve(&x.r, s, z, o);
        if (poison && ck_run(c, call_kernel, &x)) {
            ck_shows(c, "o", x.r.o, o, T * V);
            ck_shows(c, "state", x.r.s, s, K * V);
        } else if (ck_run(c, call_kernel, &x)) {
            ck_compare(c, "o", x.r.o, o, T * V, (double)(K + T));
            ck_compare(c, "state", x.r.s, s, K * V, (double)(K + T));
        }
        /* as if token by token: so forms can be compared */
        ck_bench(c, step * (double)(T * K * V), 8.0 * (double)(K * V), call_kernel, &x);
    }
    ck_end(c);
}

void check_recurrence(ck *c)
{
    static const size_t dims[][2] = {{1, 1},  {3, 16},  {8, 15},  {16, 33},
                                     {31, 7}, {64, 65}, {128, 64}};
    static const size_t tokens[] = {1, 2, 15, 16, 37};
    static const uint32_t chunks[] = {1, 4, 16, 64};

    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        const gla__rec shape = {.decay = forms[f].decay,
                                .write = forms[f].write,
                                .normaliser = forms[f].normaliser,
                                .read_before = forms[f].read_before};
        const bool has_chunks = gla__rec_has_chunks(&shape);

        if (ck_benching(c)) {
            check_one(c, &forms[f], 1, 128, 128, 1, false);
            check_one(c, &forms[f], 512, 128, 128, 1, false);
            for (uint32_t n = 8; has_chunks && n <= 64; n *= 2)
                check_one(c, &forms[f], 512, 128, 128, n, false);
            continue;
        }
        for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
            for (size_t t = 0; t < sizeof(tokens) / sizeof(tokens[0]); t++)
                for (size_t n = 0; n < (has_chunks ? 8u : 2u); n++)
                    check_one(c, &forms[f], tokens[t], dims[d][0], dims[d][1], chunks[n / 2],
                              n % 2);
    }
}
