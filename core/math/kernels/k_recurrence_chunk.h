/* SPDX-License-Identifier: Apache-2.0
 *
 * k_recurrence_chunk.h - the chunked form, for k_recurrence_{avx2,avx512}.c
 *
 * With e_t the decay of token t of a chunk (per key channel), P_t = e_1 .. e_t (P_0 = 1) and
 * E_t = e_0 P_t, the chunk of n tokens is
 *
 *   A_ij = scale sum_d (q_i P_i)(k_j / P_j)          j <= i      what token i reads of token j
 *   L_ij = beta_i sum_d (k_i P_i)(k_j / P_j)         j <  i      delta rule only
 *   U    = V                                          or          (I + L) U = beta (V - (K E) S)
 *   O    = scale (Q E) S + A U
 *   S    = E_n S + (K P_n / P)^T U
 *
 * Exactness: the factors are products of at most n decays, never exp() of a difference of sums, so
 * every one of them is right to n roundings.  k / P must not overflow: a chunk ends where P leaves
 * [LOWEST, 1 / LOWEST] in any channel.  The decay of the first token is in E only, so a token that
 * wipes the state (log decay -inf) just begins a chunk.  Where chunks would be too short for this
 * to pay, the recurrent form does the tokens.
 *
 * A scalar decay is not factored: A and L are multiplied by D_ij = e_(j+1) .. e_i, which is at hand
 * without any division, so there every decay is allowed.
 *
 * read_before: row i of A is strictly below the diagonal and has P_(i-1); the diagonal is the
 * bonus. The normaliser is one more column of V that holds ones (beta for the delta rule, whose z
 * is added to all the same).
 *
 * The state is worked on in panels of columns, which stay in the first-level cache from the read to
 * the write.
 */
#ifndef GLA_MATH_KERNELS_K_RECURRENCE_CHUNK_H
#define GLA_MATH_KERNELS_K_RECURRENCE_CHUNK_H

#include "math/kernels/k_recurrence_step.h"

#if GLA__SIMD == 16
#define TILE 8 /* rows of a tile of the products */
#define DOTS 4 /* columns of a tile of A; its rows are 4 */
#else
#define TILE 4
#define DOTS 2
#endif
#define PANEL     2 /* vectors of a panel */
#define WIDTH     (PANEL * V_WIDTH)
#define LOWEST    0x1p-40f
#define WORTH     4 /* tokens: below it a chunk is done by the recurrent form */
#define LD        GLA__REC_CHUNK_MAX
#define ROUND8(n) (((n) + 7) & ~(size_t)7)

typedef struct chunk {
    size_t t, n;      /* tokens [t, t + n) */
    size_t kp;        /* K padded */
    float *qa, *ka;   /* [n to 8, kp] for A: scale q P (scalar decay: scale q), beta k / P */
    float *la;        /* [n to 8, kp] for L: k P */
    float *qs, *ks;   /* [n to 8, kp] for reading S: scale q E, k E */
    float *kw;        /* [n to 8, kp] for writing S: beta k P_n / P */
    float *p;         /* [n, kp] P, where the decay is per channel */
    float *a, *l, *d; /* [n to 8, LD]; d is for scalar decays */
    float *u;         /* [n to 8, WIDTH] */
    float *s;         /* [K, WIDTH] copy of a panel that is not full */
    float *e0, *e;    /* [kp] e_0, E_n */
    float *post;      /* [n to 8] what o is multiplied by */
} chunk;

static void chunk_layout(const gla__rec *r, chunk *c)
{
    const size_t kp = padded(r->k_dim), m = GLA__REC_CHUNK_MAX;
    float *x = r->scratch;

    c->kp = kp;
    c->qa = x;
    c->ka = (x += m * kp);
    c->la = (x += m * kp);
    c->qs = (x += m * kp);
    c->ks = (x += m * kp);
    c->kw = (x += m * kp);
    c->p = (x += m * kp);
    c->a = (x += m * kp);
    c->l = (x += m * LD);
    c->d = (x += m * LD);
    c->u = (x += m * LD);
    c->s = (x += m * WIDTH);
    c->e0 = (x += kp * WIDTH);
    c->e = (x += kp);
    c->post = x + kp;
}

/* Fills p and e0; how many of the n tokens may go together. */
static size_t products_by_channel(const gla__rec *r, const chunk *c, size_t n)
{
    const vf low = v_set1(LOWEST), high = v_set1(1.0f / LOWEST), one = v_set1(1.0f);

    for (size_t i = 0; i < n; i++) {
        const float *g = r->log_decay + (c->t + i) * r->ld_decay;
        float *p = c->p + i * c->kp;
        vf outside = v_zero();

        for (size_t d = 0; d < r->k_dim; d += V_WIDTH) {
            const vf decay = v_exp(load_upto(g + d, r->k_dim - d));
            const vf product = i ? v_mul(v_load(p + d - c->kp), decay) : one;

            v_store(p + d, product);
            if (!i)
                v_store(c->e0 + d, decay);
            outside = v_select(v_gt(product, low), outside, one); /* also for NaN */
            outside = v_select(v_lt(product, high), outside, one);
        }
        if (v_hmax(outside) > 0.0f)
            return i;
    }
    return n;
}

/* Fills d and e0 (one number). */
static void products_of_scalar(const gla__rec *r, const chunk *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const size_t t = c->t + i;
        const float decay = r->decay ? exp_one(r->log_decay[t * r->ld_decay]) : 1.0f;
        float *d = c->d + i * LD;

        for (size_t j = 0; j < i; j++)
            d[j] = c->d[(i - 1) * LD + j] * decay;
        d[i] = 1.0f;
        if (!i)
            c->e0[0] = decay;
    }
}

/* Row i of everything that is made of q and k. */
ALWAYS_INLINE void fill_row(const gla__rec *r, const chunk *c, size_t i, const bool by_channel,
                            const bool delta)
{
    const size_t t = c->t + i, row = i * c->kp, last = c->n - 1;
    const float *q = r->q + t * r->ld_q, *k = r->k + t * r->ld_k;
    const float *d = c->d + i * LD;
    const vf scale = v_set1(r->scale), one = v_set1(1.0f);
    const vf weight = v_set1(delta ? 1.0f : beta_of(r, t));
    const bool before = r->read_before != 0;

    for (size_t x = 0; x < r->k_dim; x += V_WIDTH) {
        const size_t m = r->k_dim - x;
        const vf query = v_mul(scale, load_upto(q + x, m)), key = load_upto(k + x, m);
        const vf e0 = by_channel ? v_load(c->e0 + x) : v_set1(c->e0[0]);
        const vf p = by_channel ? v_load(c->p + row + x) : v_set1(d[0]);
        const vf p_before = !i           ? one
                            : by_channel ? v_load(c->p + row - c->kp + x)
                                         : v_set1(d[-(ptrdiff_t)LD]);
        const vf e = v_mul(e0, p), e_read = !before ? e : i ? v_mul(e0, p_before) : one;
        const vf ka = v_mul(weight, key);

        v_store(c->qs + row + x, v_mul(query, e_read));
        if (by_channel) {
            const vf ratio = v_div(ka, p);

            v_store(c->qa + row + x, v_mul(query, before ? p_before : p));
            v_store(c->ka + row + x, ratio);
            v_store(c->kw + row + x, v_mul(ratio, v_load(c->p + last * c->kp + x)));
        } else {
            v_store(c->qa + row + x, query);
            v_store(c->ka + row + x, ka);
            v_store(c->kw + row + x, v_mul(ka, v_set1(c->d[last * LD + i])));
        }
        if (delta) {
            v_store(c->la + row + x, by_channel ? v_mul(key, p) : key);
            v_store(c->ks + row + x, v_mul(key, e));
        }
        if (i == last)
            v_store(c->e + x, e);
    }
}

/* Rows n .. to a multiple of 8 are zero, so that tiles need no tails. */
static void zero_rows(float *x, size_t n, size_t ld)
{
    memset(x + n * ld, 0, (ROUND8(n) - n) * ld * sizeof(*x));
}

static void fill_rows(const gla__rec *r, const chunk *c)
{
    const bool by_channel = r->decay == GLA_DECAY_CHANNEL, delta = r->write == GLA_WRITE_DELTA;

    for (size_t i = 0; i < c->n; i++) {
        if (by_channel && delta)
            fill_row(r, c, i, true, true);
        else if (by_channel)
            fill_row(r, c, i, true, false);
        else if (delta)
            fill_row(r, c, i, false, true);
        else
            fill_row(r, c, i, false, false);
    }
    zero_rows(c->qa, c->n, c->kp);
    zero_rows(c->ka, c->n, c->kp);
    zero_rows(c->qs, c->n, c->kp);
    if (delta) {
        zero_rows(c->la, c->n, c->kp);
        zero_rows(c->ks, c->n, c->kp);
    }
}

/* out_ij = x_i . y_j for j <= i (and some more) */
static void dot_products(const gla__rec *r, const chunk *c, const float *x, const float *y,
                         float *out)
{
    const size_t kp = c->kp;

    for (size_t i = 0; i < c->n; i += 4)
        for (size_t j = 0; j < i + 4; j += DOTS) {
            vf sum[4][DOTS];

#pragma GCC unroll 4
            for (size_t a = 0; a < 4; a++)
#pragma GCC unroll 4
                for (size_t b = 0; b < DOTS; b++)
                    sum[a][b] = v_zero();
            for (size_t d = 0; d < r->k_dim; d += V_WIDTH) {
                vf right[DOTS];

#pragma GCC unroll 4
                for (size_t b = 0; b < DOTS; b++)
                    right[b] = v_load(y + (j + b) * kp + d);
#pragma GCC unroll 4
                for (size_t a = 0; a < 4; a++) {
                    const vf left = v_load(x + (i + a) * kp + d);

#pragma GCC unroll 4
                    for (size_t b = 0; b < DOTS; b++)
                        sum[a][b] = v_fma(left, right[b], sum[a][b]);
                }
            }
            for (size_t a = 0; a < 4; a++)
                for (size_t b = 0; b < DOTS; b++)
                    out[(i + a) * LD + j + b] = v_hsum(sum[a][b]);
        }
}

static void fill_a(const gla__rec *r, const chunk *c)
{
    const bool before = r->read_before != 0, by_channel = r->decay == GLA_DECAY_CHANNEL;

    dot_products(r, c, c->qa, c->ka, c->a);
    for (size_t i = 0; i < c->n; i++) {
        float *a = c->a + i * LD;
        const float *d = before && i ? c->d + (i - 1) * LD : c->d + i * LD;
        const size_t end = before ? i : i + 1;

        for (size_t j = 0; !by_channel && j < end; j++)
            a[j] *= d[j];
        for (size_t j = end; j < c->n; j++)
            a[j] = 0.0f;
        if (before) {
            const size_t t = c->t + i;

            a[i] = r->scale * own_share(r, r->q + t * r->ld_q, r->k + t * r->ld_k);
        }
    }
}

static void fill_l(const gla__rec *r, const chunk *c)
{
    const bool by_channel = r->decay == GLA_DECAY_CHANNEL;

    dot_products(r, c, c->la, c->ka, c->l);
    for (size_t i = 0; i < c->n; i++) {
        const float beta = beta_of(r, c->t + i);

        for (size_t j = 0; j < i; j++)
            c->l[i * LD + j] *= by_channel ? beta : beta * c->d[i * LD + j];
    }
}

/* z is a column of the state whose values are 1 (delta rule: beta, which keys do not hold there) */
static void fill_post(const gla__rec *r, const chunk *c)
{
    const bool delta = r->write == GLA_WRITE_DELTA;

    for (size_t i = 0; i < c->n; i++) {
        vf sum = v_zero();
        float total = 0.0f;

        c->post[i] = 1.0f;
        if (!r->normaliser)
            continue;
        for (size_t d = 0; d < r->k_dim; d += V_WIDTH)
            sum = v_fma(v_load(c->qs + i * c->kp + d), load_upto(r->z + d, r->k_dim - d), sum);
        for (size_t j = 0; j <= i; j++)
            total += c->a[i * LD + j] * (delta ? beta_of(r, c->t + j) : 1.0f);
        c->post[i] = divisor_inverse(r, total + v_hsum(sum));
    }
    for (size_t d = 0; r->normaliser && d < r->k_dim; d += V_WIDTH) {
        vf z = v_mul(v_load(c->e + d), load_upto(r->z + d, r->k_dim - d));

        for (size_t j = 0; j < c->n; j++)
            z = v_fma(v_set1(delta ? beta_of(r, c->t + j) : 1.0f), v_load(c->kw + j * c->kp + d),
                      z);
        store_upto(r->z + d, z, r->k_dim - d);
    }
}

/* sum [rows, PANEL] += x y with x_mp = x[m * xm + p * xp], y [count, ld] */
ALWAYS_INLINE void product(vf sum[][PANEL], const size_t rows, const float *x, size_t xm, size_t xp,
                           const float *y, size_t ld, size_t count)
{
    for (size_t p = 0; p < count; p++) {
        vf right[PANEL];

#pragma GCC unroll 4
        for (size_t b = 0; b < PANEL; b++)
            right[b] = v_load(y + p * ld + b * V_WIDTH);
#pragma GCC unroll 8
        for (size_t m = 0; m < rows; m++) {
            const vf left = v_set1(x[m * xm + p * xp]);

#pragma GCC unroll 4
            for (size_t b = 0; b < PANEL; b++)
                sum[m][b] = v_fma(left, right[b], sum[m][b]);
        }
    }
}

ALWAYS_INLINE void zero_tile(vf sum[TILE][PANEL])
{
#pragma GCC unroll 8
    for (size_t m = 0; m < TILE; m++)
#pragma GCC unroll 4
        for (size_t b = 0; b < PANEL; b++)
            sum[m][b] = v_zero();
}

/* Columns of v, as they are. */
static void fill_u(const gla__rec *r, const chunk *c, size_t column, size_t n)
{
    for (size_t i = 0; i < c->n; i++) {
        const float *v = r->v + (c->t + i) * r->ld_v + column;

        for (size_t b = 0; b < PANEL; b++) {
            const size_t at = b * V_WIDTH;

            v_store(c->u + i * WIDTH + at, at < n ? load_upto(v + at, n - at) : v_zero());
        }
    }
}

/* u = solution of (I + L) u = beta (u - (K E) S) */
static void solve_u(const gla__rec *r, const chunk *c, const float *s, size_t ld)
{
    for (size_t i = 0; i < c->n; i += TILE) {
        vf sum[TILE][PANEL];

        zero_tile(sum);
        product(sum, TILE, c->ks + i * c->kp, c->kp, 1, s, ld, r->k_dim);
#pragma GCC unroll 8
        for (size_t m = 0; m < TILE; m++) {
            const vf beta = v_set1(i + m < c->n ? beta_of(r, c->t + i + m) : 0.0f);

#pragma GCC unroll 4
            for (size_t b = 0; b < PANEL; b++) {
                float *u = c->u + (i + m) * WIDTH + b * V_WIDTH;

                v_store(u, v_mul(beta, v_sub(v_load(u), sum[m][b])));
            }
        }
    }
    for (size_t j = 0; j + 1 < c->n; j++) {
        vf known[PANEL];

#pragma GCC unroll 4
        for (size_t b = 0; b < PANEL; b++)
            known[b] = v_load(c->u + j * WIDTH + b * V_WIDTH);
        for (size_t i = j + 1; i < c->n; i++) {
            const vf l = v_set1(c->l[i * LD + j]);

#pragma GCC unroll 4
            for (size_t b = 0; b < PANEL; b++) {
                float *u = c->u + i * WIDTH + b * V_WIDTH;

                v_store(u, v_fnma(l, known[b], v_load(u)));
            }
        }
    }
}

static void read_panel(const gla__rec *r, const chunk *c, size_t column, size_t n, const float *s,
                       size_t ld)
{
    for (size_t i = 0; i < c->n; i += TILE) {
        vf sum[TILE][PANEL];

        zero_tile(sum);
        product(sum, TILE, c->qs + i * c->kp, c->kp, 1, s, ld, r->k_dim);
        product(sum, TILE, c->a + i * LD, LD, 1, c->u, WIDTH, i + TILE < c->n ? i + TILE : c->n);
#pragma GCC unroll 8
        for (size_t m = 0; m < TILE; m++) {
            float *o = r->o + (c->t + i + m) * r->ld_o + column;

            if (i + m >= c->n)
                continue;
#pragma GCC unroll 4
            for (size_t b = 0; b < PANEL; b++)
                if (b * V_WIDTH < n)
                    store_upto(o + b * V_WIDTH, v_mul(v_set1(c->post[i + m]), sum[m][b]),
                               n - b * V_WIDTH);
        }
    }
}

ALWAYS_INLINE void write_rows(const chunk *c, float *s, size_t ld, size_t d, const size_t rows)
{
    vf sum[TILE][PANEL];

#pragma GCC unroll 8
    for (size_t m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (size_t b = 0; b < PANEL; b++)
            sum[m][b] = v_mul(v_set1(c->e[d + m]), v_load(s + (d + m) * ld + b * V_WIDTH));
    product(sum, rows, c->kw + d, 1, c->kp, c->u, WIDTH, c->n);
#pragma GCC unroll 8
    for (size_t m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (size_t b = 0; b < PANEL; b++)
            v_store(s + (d + m) * ld + b * V_WIDTH, sum[m][b]);
}

static void run_panel(const gla__rec *r, const chunk *c, size_t column, size_t n, float *s,
                      size_t ld)
{
    size_t d = 0;

    fill_u(r, c, column, n);
    if (r->write == GLA_WRITE_DELTA)
        solve_u(r, c, s, ld);
    read_panel(r, c, column, n, s, ld);
    for (; d + TILE <= r->k_dim; d += TILE)
        write_rows(c, s, ld, d, TILE);
    for (; d < r->k_dim; d++)
        write_rows(c, s, ld, d, 1);
}

/* At most n tokens from t; how many were done. */
static size_t run_chunk(const gla__rec *r, chunk *c, size_t t, size_t n)
{
    c->t = t;
    c->n = n;
    if (r->decay == GLA_DECAY_CHANNEL)
        c->n = products_by_channel(r, c, n);
    else
        products_of_scalar(r, c, n);
    if (c->n < (n < WORTH ? n : WORTH)) {
        recurrent(r, t, t + n);
        return n;
    }
    fill_rows(r, c);
    fill_a(r, c);
    if (r->write == GLA_WRITE_DELTA)
        fill_l(r, c);
    fill_post(r, c);
    for (size_t column = 0; column < r->v_dim; column += WIDTH) {
        const size_t left = r->v_dim - column < WIDTH ? r->v_dim - column : WIDTH;

        if (left == WIDTH) {
            run_panel(r, c, column, left, r->s + column, r->ld_s);
            continue;
        }
        pack_columns(r, column, left, c->s, PANEL);
        run_panel(r, c, column, left, c->s, WIDTH);
        unpack_columns(r, column, left, c->s, PANEL);
    }
    return c->n;
}

static void chunked(const gla__rec *r, size_t size)
{
    chunk c;

    chunk_layout(r, &c);
    for (size_t t = 0; t < r->tokens;)
        t += run_chunk(r, &c, t, r->tokens - t < size ? r->tokens - t : size);
}

#endif
