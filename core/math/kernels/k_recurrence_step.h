/* SPDX-License-Identifier: Apache-2.0
 *
 * k_recurrence_step.h - the recurrent form, for k_recurrence_{avx2,avx512}.c
 *
 * Tokens come in groups.  What a group needs of exp(), of the normaliser and of the bonus is worked
 * out first; then the group passes over the state, a block of columns at a time, so that a block is
 * read from memory once a group.  A block is worked on in a copy where several tokens or a
 * last vector that is not full make that worth while.
 */
#ifndef GLA_MATH_KERNELS_K_RECURRENCE_STEP_H
#define GLA_MATH_KERNELS_K_RECURRENCE_STEP_H

#include "math/kernels/k_recurrence.h"
#include "math/kernels/simd.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define GROUP         16 /* tokens */
#define BLOCK         4  /* vectors of a block of columns */
#define WORTH_PACKING 4  /* tokens */

static inline size_t padded(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static inline vf load_upto(const float *p, size_t n)
{
    return n >= V_WIDTH ? v_load(p) : v_load_n(p, n);
}

static inline void store_upto(float *p, vf a, size_t n)
{
    if (n >= V_WIDTH)
        v_store(p, a);
    else
        v_store_n(p, a, n);
}

static inline float beta_of(const gla__rec *r, size_t t)
{
    return r->beta ? r->beta[t * r->ld_beta] : 1.0f;
}

/* e^x of one number, with the bits v_exp gives in a vector */
static inline float exp_one(float x)
{
    float e[GLA__SIMD];

    v_store(e, v_exp(v_set1(x)));
    return e[0];
}

/* out [K, zero-padded] = the decay of token t; VALUE is applied to columns elsewhere */
static void decay_factors(const gla__rec *r, size_t t, float *out)
{
    const size_t at = t * r->ld_decay;
    const float all = r->decay == GLA_DECAY_HEAD ? exp_one(r->log_decay[at]) : 1.0f;

    for (size_t d = 0; d < r->k_dim; d += V_WIDTH)
        v_store(out + d, r->decay == GLA_DECAY_CHANNEL
                             ? v_exp(load_upto(r->log_decay + at + d, r->k_dim - d))
                             : v_set1(all));
}

/* sum over d of q bonus k: what the token itself adds to o, times v (RWKV-6) */
static float own_share(const gla__rec *r, const float *q, const float *k)
{
    vf sum = v_zero();

    if (!r->bonus)
        return 0.0f;
    for (size_t d = 0; d < r->k_dim; d += V_WIDTH) {
        const size_t n = r->k_dim - d;

        sum =
            v_fma(v_mul(load_upto(q + d, n), load_upto(r->bonus + d, n)), load_upto(k + d, n), sum);
    }
    return v_hsum(sum);
}

static inline float divisor_inverse(const gla__rec *r, float sum)
{
    return 1.0f / (r->normaliser == GLA_NORMALISER_SUM ? sum + r->eps : fmaxf(fabsf(sum), r->eps));
}

/* Moves z on by token t, whose decay is g [K]; what o is multiplied by. */
static float step_z(const gla__rec *r, size_t t, const float *g)
{
    const float *q = r->q + t * r->ld_q, *k = r->k + t * r->ld_k;
    const vf beta = v_set1(beta_of(r, t));
    vf sum = v_zero();

    for (size_t d = 0; d < r->k_dim; d += V_WIDTH) {
        const size_t n = r->k_dim - d;
        const vf before = load_upto(r->z + d, n);
        const vf z = v_fma(beta, load_upto(k + d, n), v_mul(v_load(g + d), before));

        store_upto(r->z + d, z, n);
        sum = v_fma(load_upto(q + d, n), r->read_before ? before : z, sum);
    }
    return divisor_inverse(r, r->scale * v_hsum(sum));
}

typedef struct group {
    float *g;    /* [GROUP, K padded] decay */
    float *c;    /* [GROUP, K padded] what the state is read with before the write */
    float *own;  /* [GROUP] */
    float *post; /* [GROUP] what o is multiplied by */
    float *s;    /* [K, BLOCK V_WIDTH] */
} group;

static void prepare_group(const gla__rec *r, const group *w, size_t t0, size_t n)
{
    const size_t kp = padded(r->k_dim);

    for (size_t i = 0; i < n; i++) {
        const size_t t = t0 + i;
        const float *k = r->k + t * r->ld_k;
        float *g = w->g + i * kp, *c = w->c + i * kp;

        decay_factors(r, t, g);
        for (size_t d = 0; r->write == GLA_WRITE_DELTA && d < r->k_dim; d += V_WIDTH)
            v_store(c + d, v_mul(v_load(g + d), load_upto(k + d, r->k_dim - d)));
        for (size_t d = 0; r->write == GLA_WRITE_DPLR && d < r->k_dim; d += V_WIDTH)
            v_store(c + d, load_upto(r->a + t * r->ld_a + d, r->k_dim - d));
        w->own[i] = r->read_before ? own_share(r, r->q + t * r->ld_q, k) : 0.0f;
        w->post[i] = r->scale * (r->normaliser ? step_z(r, t, g) : 1.0f);
    }
}

/* One token over `nv` vectors of columns at s [K, ld].  v and o: the first `n` numbers count. */
ALWAYS_INLINE void step_columns(const gla__rec *r, const group *w, size_t t, size_t i,
                                size_t column, float *s, size_t ld, size_t n, const int nv,
                                const uint32_t write, const bool by_value, const bool read_before)
{
    const size_t kp = padded(r->k_dim);
    const float *g = w->g + i * kp, *c = w->c + i * kp;
    const float *q = r->q + t * r->ld_q, *k = r->k + t * r->ld_k;
    const float *b = write == GLA_WRITE_DPLR ? r->b + t * r->ld_b : NULL;
    const float *v = r->v + t * r->ld_v + column;
    const vf beta = v_set1(beta_of(r, t)), post = v_set1(w->post[i]);
    vf value[BLOCK], u[BLOCK], seen[BLOCK], o[BLOCK], f[BLOCK];

    for (int x = 0; x < nv; x++) {
        const size_t at = (size_t)x * V_WIDTH;

        value[x] = nv == 1 ? load_upto(v, n) : v_load(v + at);
        seen[x] = o[x] = v_zero();
        if (by_value) {
            const float *e = r->log_decay + t * r->ld_decay + column;

            f[x] = v_exp(nv == 1 ? load_upto(e, n) : v_load(e + at));
        }
    }
    if (write != GLA_WRITE_ADD)
        for (size_t d = 0; d < r->k_dim; d++) {
            const vf cd = v_set1(c[d]);

#pragma GCC unroll 4
            for (int x = 0; x < nv; x++)
                seen[x] = v_fma(cd, v_load(s + d * ld + (size_t)x * V_WIDTH), seen[x]);
        }
    for (int x = 0; x < nv; x++) {
        if (by_value && write == GLA_WRITE_DELTA)
            seen[x] = v_mul(f[x], seen[x]);
        u[x] = v_mul(beta, write == GLA_WRITE_DELTA ? v_sub(value[x], seen[x]) : value[x]);
    }
    for (size_t d = 0; d < r->k_dim; d++) {
        const vf gd = v_set1(g[d]), kd = v_set1(k[d]), qd = v_set1(q[d]);

#pragma GCC unroll 4
        for (int x = 0; x < nv; x++) {
            float *p = s + d * ld + (size_t)x * V_WIDTH;
            vf y = v_load(p);

            if (read_before)
                o[x] = v_fma(qd, y, o[x]);
            y = v_mul(by_value ? f[x] : gd, y);
            if (write == GLA_WRITE_DPLR)
                y = v_fma(v_set1(b[d]), seen[x], y);
            y = v_fma(kd, u[x], y);
            v_store(p, y);
            if (!read_before)
                o[x] = v_fma(qd, y, o[x]);
        }
    }
    for (int x = 0; x < nv; x++) {
        float *out = r->o + t * r->ld_o + column + (size_t)x * V_WIDTH;
        const vf y = read_before ? v_fma(v_set1(w->own[i]), value[x], o[x]) : o[x];

        if (nv == 1)
            store_upto(out, v_mul(post, y), n);
        else
            v_store(out, v_mul(post, y));
    }
}

/* A function for each form: the tokens [t0, t0 + n_tokens) over one block. */
typedef void block_fn(const gla__rec *r, const group *w, size_t t0, size_t n_tokens, size_t column,
                      float *s, size_t ld, size_t n);
#define BLOCK_FUNCTION(name, nv, write, by_value, before)                                          \
    static void name(const gla__rec *r, const group *w, size_t t0, size_t n_tokens, size_t column, \
                     float *s, size_t ld, size_t n)                                                \
    {                                                                                              \
        for (size_t i = 0; i < n_tokens; i++)                                                      \
            step_columns(r, w, t0 + i, i, column, s, ld, n, nv, write, by_value, before);          \
    }
#define BLOCK_FUNCTIONS(kind, write)                                                               \
    BLOCK_FUNCTION(kind##_wide, BLOCK, write, false, false)                                        \
    BLOCK_FUNCTION(kind##_wide_before, BLOCK, write, false, true)                                  \
    BLOCK_FUNCTION(kind##_wide_value, BLOCK, write, true, false)                                   \
    BLOCK_FUNCTION(kind##_wide_value_before, BLOCK, write, true, true)                             \
    BLOCK_FUNCTION(kind##_one, 1, write, false, false)                                             \
    BLOCK_FUNCTION(kind##_one_before, 1, write, false, true)                                       \
    BLOCK_FUNCTION(kind##_one_value, 1, write, true, false)                                        \
    BLOCK_FUNCTION(kind##_one_value_before, 1, write, true, true)
#define BLOCK_NAMES(kind)                                                                          \
    {                                                                                              \
        {{kind##_one, kind##_one_before}, {kind##_one_value, kind##_one_value_before}},            \
        {                                                                                          \
            {kind##_wide, kind##_wide_before},                                                     \
            {                                                                                      \
                kind##_wide_value, kind##_wide_value_before                                        \
            }                                                                                      \
        }                                                                                          \
    }
BLOCK_FUNCTIONS(add, GLA_WRITE_ADD)
BLOCK_FUNCTIONS(delta, GLA_WRITE_DELTA)
BLOCK_FUNCTIONS(dplr, GLA_WRITE_DPLR)
/* [write][wide][by value][read before] */
static block_fn *const block_functions[3][2][2][2] = {BLOCK_NAMES(add), BLOCK_NAMES(delta),
                                                      BLOCK_NAMES(dplr)};

/* Columns [K, n] of the state to a block of their own [K, nv V_WIDTH], the rest of it zero.  A
 * block cut out of wide rows would use only some sets of the first-level cache. */
static void pack_columns(const gla__rec *r, size_t column, size_t n, float *to, size_t nv)
{
    const float *s = r->s + column;

    for (size_t d = 0; d < r->k_dim; d++)
        for (size_t at = 0; at < nv * V_WIDTH; at += V_WIDTH)
            v_store(to + d * nv * V_WIDTH + at,
                    at < n ? load_upto(s + d * r->ld_s + at, n - at) : v_zero());
}

static void unpack_columns(const gla__rec *r, size_t column, size_t n, const float *from, size_t nv)
{
    float *s = r->s + column;

    for (size_t d = 0; d < r->k_dim; d++)
        for (size_t at = 0; at < n; at += V_WIDTH)
            store_upto(s + d * r->ld_s + at, v_load(from + d * nv * V_WIDTH + at), n - at);
}

/* Tokens [first, last). */
static void recurrent(const gla__rec *r, size_t first, size_t last)
{
    const size_t kp = padded(r->k_dim);
    const group w = {.g = r->scratch,
                     .c = r->scratch + GROUP * kp,
                     .own = r->scratch + 2 * GROUP * kp,
                     .post = r->scratch + 2 * GROUP * kp + GROUP,
                     .s = r->scratch + 2 * GROUP * kp + 2 * GROUP};
    const int by_value = r->decay == GLA_DECAY_VALUE, before = r->read_before != 0;
    block_fn *const one = block_functions[r->write][0][by_value][before];
    block_fn *const wide = block_functions[r->write][1][by_value][before];

    for (size_t t = first; t < last; t += GROUP) {
        const size_t n = last - t < GROUP ? last - t : GROUP;
        size_t column = 0;

        prepare_group(r, &w, t, n);
        for (size_t left; column < r->v_dim; column += left) {
            const bool is_wide = r->v_dim - column >= BLOCK * V_WIDTH;
            const size_t nv = is_wide ? BLOCK : 1;

            left = r->v_dim - column < nv * V_WIDTH ? r->v_dim - column : nv * V_WIDTH;
            if (left == nv * V_WIDTH && n < WORTH_PACKING) {
                (is_wide ? wide : one)(r, &w, t, n, column, r->s + column, r->ld_s, left);
                continue;
            }
            pack_columns(r, column, left, w.s, nv);
            (is_wide ? wide : one)(r, &w, t, n, column, w.s, nv * V_WIDTH, left);
            unpack_columns(r, column, left, w.s, nv);
        }
    }
}

#endif
