/* SPDX-License-Identifier: Apache-2.0 */
#include "ck.h"

#include "math/kernels/sequence_kernels.h"

typedef struct call {
    const gla__sequence_kernels *k;
    gla__conv_run conv;
    gla__selective_run selective;
    gla__scan_run scan;
} call;

static void call_conv(void *arg)
{
    const call *x = arg;

    x->k->conv(&x->conv);
}

static void call_selective(void *arg)
{
    const call *x = arg;

    x->k->selective(&x->selective);
}

static void call_scan(void *arg)
{
    const call *x = arg;

    x->k->scan(&x->scan);
}

static void conv_one(ck *c, size_t T, size_t C, size_t W, uint32_t activation, bool poison)
{
    static const char *const names[] = {GLA_ACTIVATION_NAMES};

    if (ck_case(c, "conv_t%zu_c%zu_w%zu_%s%s", T, C, W, names[activation],
                poison ? "_poison" : "")) {
        float *state = ck_input(c, (W - 1) * C), *input = ck_input(c, T * C);
        call x = {.k = ck_table(c, "sequence"),
                  .conv = {T, C, W, input, C, ck_output(c, T * C), C, ck_input(c, W * C),
                           ck_input(c, C), state, C, activation}};
        double *want = ck_want(c, T * C);

        if (poison)
            ck_poison(c, input, T * C);
        for (size_t t = 0; t < T; t++)
            for (size_t i = 0; i < C; i++) {
                double sum = x.conv.bias[i];

                for (size_t j = 0; j < W; j++)
                    sum += (double)x.conv.taps[j * C + i] *
                           (t + j < W - 1 ? state[(t + j) * C + i]
                                          : x.conv.x[(t + j + 1 - W) * C + i]);
                want[t * C + i] = ck_activation(activation, sum);
            }
        if (ck_run(c, call_conv, &x))
            ck_compare(c, "y", x.conv.y, want, T * C, (double)W + 1);
        ck_bench(c, 2.0 * (double)(T * C * W), 8.0 * (double)(T * C), call_conv, &x);
    }
    ck_end(c);
}

void check_conv(ck *c)
{
    static const size_t channels[] = {1, 7, 16, 65, 130}, tokens[] = {1, 2, 19},
                        widths[] = {1, 3, 4, 9};
    static const uint32_t activations[] = {GLA_ACT_NONE, GLA_ACT_SILU, GLA_ACT_TANH};

    for (int i = 0; ck_benching(c) && i < 2; i++) {
        conv_one(c, 512, 128, 4, activations[i], false);
        conv_one(c, 1, 128, 4, activations[i], false);
    }
    for (size_t i = 0; !ck_benching(c) && i < 5 * 3 * 4 * 3 * 2; i++)
        conv_one(c, tokens[i / 5 % 3], channels[i % 5], widths[i / 15 % 4], activations[i / 60 % 3],
                 i / 180);
}

static void selective_one(ck *c, size_t T, size_t I, size_t N, bool poison)
{
    if (ck_case(c, "selective_t%zu_i%zu_n%zu%s", T, I, N, poison ? "_poison" : "")) {
        float *a = ck_input(c, N * I), *dt = ck_input(c, T * I), *u = ck_input(c, T * I);
        call x = {.k = ck_table(c, "sequence"),
                  .selective = {T, I, N, u, dt, ck_input(c, T * N), ck_input(c, T * N), a,
                                ck_input(c, I), I, I, N, N, I, I, ck_zeros(c, N * I),
                                ck_output(c, T * I)}};
        const gla__selective_run *r = &x.selective;
        double *want = ck_want(c, T * I), *h = ck_want(c, N * I);

        for (size_t i = 0; i < N * I; i++)
            a[i] = -fabsf(a[i]);
        for (size_t i = 0; i < T * I; i++)
            dt[i] = fabsf(dt[i]);
        if (poison)
            ck_poison(c, u, T * I);
        for (size_t t = 0; t < T; t++)
            for (size_t i = 0; i < I; i++) {
                want[t * I + i] = (double)r->d[i] * r->u[t * I + i];
                for (size_t n = 0; n < N; n++) {
                    h[n * I + i] = exp((double)dt[t * I + i] * a[n * I + i]) * h[n * I + i] +
                                   (double)dt[t * I + i] * r->b[t * N + n] * r->u[t * I + i];
                    want[t * I + i] += r->c[t * N + n] * h[n * I + i];
                }
            }
        if (ck_run(c, call_selective, &x))
            ck_compare(c, "y", r->y, want, T * I, (double)(N + T));
        ck_bench(c, 6.0 * (double)(T * I * N), 12.0 * (double)(T * I), call_selective, &x);
    }
    ck_end(c);
}

void check_selective(ck *c)
{
    static const size_t inner[] = {1, 15, 16, 33, 100}, states[] = {1, 4, 16};

    if (ck_benching(c))
        selective_one(c, 512, 128, 16, false);
    for (size_t i = 0; !ck_benching(c) && i < 5 * 3 * 4; i++)
        selective_one(c, i / 15 % 2 ? 1 : 21, inner[i % 5], states[i / 5 % 3], i / 30);
}

static void scan_one(ck *c, size_t T, size_t C, bool poison)
{
    if (ck_case(c, "scan_t%zu_c%zu%s", T, C, poison ? "_poison" : "")) {
        float *decay = ck_input(c, T * C), *input = ck_input(c, T * C);
        call x = {.k = ck_table(c, "sequence"),
                  .scan = {T, C, decay, input, C, C, C, ck_zeros(c, C), ck_output(c, T * C)}};
        double *want = ck_want(c, T * C);

        if (poison)
            ck_poison(c, input, T * C);
        for (size_t i = 0; i < T * C; i++) {
            decay[i] = rng_below(ck_rng(c), 9) ? -fabsf(decay[i]) : -INFINITY;
            want[i] = x.scan.x[i] + (i < C ? 0.0 : exp((double)decay[i]) * want[i - C]);
        }
        if (ck_run(c, call_scan, &x))
            ck_compare(c, "y", x.scan.y, want, T * C, (double)T);
        ck_bench(c, 3.0 * (double)(T * C), 12.0 * (double)(T * C), call_scan, &x);
    }
    ck_end(c);
}

void check_scan(ck *c)
{
    static const size_t channels[] = {1, 15, 16, 33, 100};

    if (ck_benching(c))
        scan_one(c, 512, 128, false);
    for (size_t i = 0; !ck_benching(c) && i < 20; i++)
        scan_one(c, i / 5 % 2 ? 1 : 30, channels[i % 5], i / 10);
}
