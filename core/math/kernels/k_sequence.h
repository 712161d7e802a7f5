/* SPDX-License-Identifier: Apache-2.0
 *
 * k_sequence.h - convolution and elementwise scans for the width that GLA__SIMD says
 *
 * All three walk over the tokens with a few channels at a time, whose history stays in registers or
 * in the first-level cache.
 */
#include "math/kernels/activations.h"
#include "math/kernels/sequence_kernels.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define WIDE          (GLA__SIMD == 16 ? 4 : 2) /* vectors of channels at a time */

ALWAYS_INLINE vf load_upto(const float *p, size_t n)
{
    return n >= V_WIDTH ? v_load(p) : v_load_n(p, n);
}

ALWAYS_INLINE void store_upto(float *p, vf a, size_t n)
{
    if (n >= V_WIDTH)
        v_store(p, a);
    else
        v_store_n(p, a, n);
}

/* ---- convolution ---- */

/* nv vectors of channels from channel c; the history slides through h.  With one vector only the
 * channels left count. */
ALWAYS_INLINE void conv_columns(const gla__conv_run *r, size_t c, const size_t nv,
                                const size_t width, const uint32_t activation)
{
    const size_t left = nv == 1 ? r->channels - c : nv * V_WIDTH;
    vf h[GLA__CONV_WIDTH_MAX][WIDE];

    for (size_t j = 0; j + 1 < width; j++)
        for (size_t i = 0; i < nv; i++)
            h[j][i] = load_upto(r->state + j * r->ld_taps + c + i * V_WIDTH, left - i * V_WIDTH);
    for (size_t t = 0; t < r->tokens; t++) {
        const float *x = r->x + t * r->ld_x + c;
        float *y = r->y + t * r->ld_y + c;

#pragma GCC unroll 4
        for (size_t i = 0; i < nv; i++) {
            const size_t at = i * V_WIDTH, n = left - at;
            vf sum = load_upto(r->bias + c + at, n);

            h[width - 1][i] = load_upto(x + at, n);
            for (size_t j = 0; j < width; j++)
                sum = v_fma(load_upto(r->taps + j * r->ld_taps + c + at, n), h[j][i], sum);
            for (size_t j = 0; j + 1 < width; j++)
                h[j][i] = h[j + 1][i];
            store_upto(y + at, act(activation, sum), n);
        }
    }
    for (size_t j = 0; j + 1 < width; j++)
        for (size_t i = 0; i < nv; i++)
            store_upto(r->state + j * r->ld_taps + c + i * V_WIDTH, h[j][i], left - i * V_WIDTH);
}

ALWAYS_INLINE void conv_rows(const gla__conv_run *r, const uint32_t activation)
{
    size_t c = 0;

    for (; c + WIDE * V_WIDTH <= r->channels && r->width == 4; c += WIDE * V_WIDTH)
        conv_columns(r, c, WIDE, 4, activation);
    for (; c + WIDE * V_WIDTH <= r->channels && r->width == 3; c += WIDE * V_WIDTH)
        conv_columns(r, c, WIDE, 3, activation);
    for (; c < r->channels; c += V_WIDTH)
        conv_columns(r, c, 1, r->width, activation);
}

/* The common activations are constants, so that the compiler leaves out the others. */
static void conv(const gla__conv_run *r)
{
    if (r->activation == GLA_ACT_NONE)
        conv_rows(r, GLA_ACT_NONE);
    else if (r->activation == GLA_ACT_SILU)
        conv_rows(r, GLA_ACT_SILU);
    else
        conv_rows(r, r->activation);
}

/* ---- Mamba's selective scan ---- */

ALWAYS_INLINE void selective_columns(const gla__selective_run *r, size_t i)
{
    const size_t n = r->channels - i;
    const vf skip = r->d ? load_upto(r->d + i, n) : v_zero();

    for (size_t t = 0; t < r->tokens; t++) {
        const vf u = load_upto(r->u + t * r->ld_u + i, n);
        const vf dt = load_upto(r->dt + t * r->ld_dt + i, n), in = v_mul(dt, u);
        const float *b = r->b + t * r->ld_b, *c = r->c + t * r->ld_c;
        vf y = v_mul(skip, u);

        for (size_t s = 0; s < r->n_state; s++) {
            float *state = r->state + s * r->ld_state + i;
            const vf decay = v_exp(v_mul(dt, load_upto(r->a + s * r->ld_state + i, n)));
            const vf h = v_fma(in, v_set1(b[s]), v_mul(decay, load_upto(state, n)));

            store_upto(state, h, n);
            y = v_fma(v_set1(c[s]), h, y);
        }
        store_upto(r->y + t * r->ld_y + i, y, n);
    }
}

static void selective(const gla__selective_run *r)
{
    for (size_t i = 0; i < r->channels; i += V_WIDTH)
        selective_columns(r, i);
}

/* ---- elementwise scan ---- */

static void scan(const gla__scan_run *r)
{
    for (size_t i = 0; i < r->channels; i += V_WIDTH) {
        const size_t n = r->channels - i;
        vf h = load_upto(r->state + i, n);

        for (size_t t = 0; t < r->tokens; t++) {
            const vf decay = v_exp(load_upto(r->log_decay + t * r->ld_decay + i, n));

            h = v_fma(decay, h, load_upto(r->x + t * r->ld_x + i, n));
            store_upto(r->y + t * r->ld_y + i, h, n);
        }
        store_upto(r->state + i, h, n);
    }
}
