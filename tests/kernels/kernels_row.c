/* SPDX-License-Identifier: Apache-2.0 */
#include "ck.h"

#include "math/kernels/row_kernels.h"

typedef struct call {
    const gla__row_kernels *k;
    uint32_t kind;
    const float *x, *up, *weight, *bias;
    const uint32_t *slot;
    float *y;
    size_t n;
    gla_norm norm;
} call;

/* ---- activations ---- */

static const char *const activations[] = {GLA_ACTIVATION_NAMES};

double ck_activation(uint32_t kind, double x)
{
    switch (kind) {
    case GLA_ACT_SILU:
        return x < -700 ? (isinf(x) ? NAN : 0) : x / (1 + exp(-x));
    case GLA_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case GLA_ACT_RELU:
        return x < 0 ? 0 : x;
    case GLA_ACT_RELU2:
        return x < 0 ? 0 : x * x;
    case GLA_ACT_GELU:
        return x < -30 ? 0 : x * 0.5 * erfc(-x * 0.70710678118654752);
    case GLA_ACT_GELU_TANH:
        return x < -30 ? 0 : x / (1 + exp(-2 * 0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case GLA_ACT_TANH:
        return tanh(x);
    case GLA_ACT_SOFTPLUS:
        return x > 20 ? x : log1p(exp(x));
    case GLA_ACT_LOG_SIGMOID:
        return fmin(x, 0) + (isnan(x) ? x : -log1p(exp(-fabs(x))));
    case GLA_ACT_EXP:
        return exp(x);
    case GLA_ACT_ELU1:
        return x > 0 ? x + 1 : exp(x);
    case GLA_ACT_SQUARE:
        return x * x;
    case GLA_ACT_ONE_MINUS_EXP:
        return -expm1(x);
    default:
        return x;
    }
}

static void call_activation(void *arg)
{
    const call *x = arg;

    x->k->act[x->kind](x->x, x->y, x->n);
}

static void call_glu(void *arg)
{
    const call *x = arg;

    x->k->glu[x->kind](x->x, x->up, x->y, x->n);
}

static void call_clamp(void *arg)
{
    const call *x = arg;

    x->k->clamp(-1, 0.5f, x->y, x->n);
}

static void call_mul(void *arg)
{
    const call *x = arg;

    x->k->mul(0.75f, x->x, x->y, x->n);
}

static void call_add(void *arg)
{
    const call *x = arg;

    x->k->add(0.75f, x->x, x->y, x->n);
}

static void call_add_each(void *arg)
{
    const call *x = arg;

    x->k->add_each(x->up, x->x, x->y, x->n);
}

/* The size of the numbers varies: tails and saturation too. */
static float *inputs(ck *c, size_t n, bool poison)
{
    float *x = ck_input(c, n);

    for (size_t i = 0; i < n; i++)
        x[i] *= i % 7 == 3 ? 12 : i % 7 == 5 ? 0.01f : 1;
    if (poison)
        ck_poison(c, x, n);
    return x;
}

static void activation_one(ck *c, uint32_t kind, size_t n, bool glu, bool poison)
{
    if (ck_case(c, "%s_%s_n%zu%s", glu ? "glu" : "act", activations[kind], n,
                poison ? "_poison" : "")) {
        call x = {.k = ck_table(c, "row"), .kind = kind, .n = n, .x = inputs(c, n, poison)};
        double *want = ck_want(c, n);

        x.up = ck_input(c, n);
        x.y = ck_output(c, n);
        for (size_t i = 0; i < n; i++)
            want[i] = ck_activation(kind, x.x[i]) * (glu ? x.up[i] : 1);
        /* four terms: exp() and a division, each about right to the last bit */
        if (ck_run(c, glu ? call_glu : call_activation, &x))
            ck_compare(c, "y", x.y, want, n, 4);
        ck_bench(c, (double)n, (glu ? 12.0 : 8.0) * (double)n, glu ? call_glu : call_activation,
                 &x);
    }
    ck_end(c);
}

static void clamp_one(ck *c, size_t n, bool poison)
{
    if (ck_case(c, "clamp_n%zu%s", n, poison ? "_poison" : "")) {
        call x = {.k = ck_table(c, "row"), .n = n, .y = inputs(c, n, poison)};
        double *want = ck_want(c, n);

        for (size_t i = 0; i < n; i++)
            want[i] = x.y[i] < -1 ? -1 : x.y[i] > 0.5f ? 0.5 : x.y[i];
        if (ck_run(c, call_clamp, &x))
            ck_compare(c, "y", x.y, want, n, 1);
    }
    ck_end(c);
}

/* y = f x or y += f x */
static void factor_one(ck *c, const char *name, void (*fn)(void *arg), size_t n, bool poison)
{
    if (ck_case(c, "%s_n%zu%s", name, n, poison ? "_poison" : "")) {
        call x = {.k = ck_table(c, "row"), .n = n, .x = inputs(c, n, poison)};
        double *want = ck_want(c, n);

        x.up = ck_input(c, n);
        x.y = ck_input(c, n);
        for (size_t i = 0; i < n; i++)
            want[i] = (fn == call_mul ? 0 : x.y[i]) +
                      (double)(fn == call_add_each ? x.up[i] : 0.75f) * x.x[i];
        if (ck_run(c, fn, &x))
            ck_compare(c, "y", x.y, want, n, 2);
        ck_bench(c, 2.0 * (double)n, (fn == call_mul ? 8.0 : 12.0) * (double)n, fn, &x);
    }
    ck_end(c);
}

void check_activations(ck *c)
{
    static const size_t sizes[] = {1, 7, 8, 15, 16, 33, 100};

    for (uint32_t kind = 0; kind < GLA__ACTIVATIONS; kind++) {
        if (ck_benching(c)) {
            activation_one(c, kind, 1024, false, false);
            activation_one(c, kind, 1024, true, false);
            continue;
        }
        for (size_t i = 0; i < 7 * 4; i++)
            activation_one(c, kind, sizes[i % 7], i / 7 % 2, i / 14);
    }
    for (size_t i = 0; !ck_benching(c) && i < 7 * 2; i++)
        clamp_one(c, sizes[i % 7], i / 7);
}

void check_factors(ck *c)
{
    static const size_t sizes[] = {1, 7, 8, 15, 16, 33, 100, 1024};

    for (size_t i = ck_benching(c) ? 7 : 0; i < 8 * (ck_benching(c) ? 1 : 2); i++) {
        factor_one(c, "mul", call_mul, sizes[i % 8], i / 8);
        factor_one(c, "add", call_add, sizes[i % 8], i / 8);
        factor_one(c, "add_each", call_add_each, sizes[i % 8], i / 8);
    }
}

/* ---- weighted sums of rows ---- */

enum { SORTED_ROWS = 20 };

static void call_combine(void *arg)
{
    const call *x = arg;

    x->k->combine(x->kind, x->slot, x->weight, x->x, x->n, x->y, x->n);
}

static void combine_one(ck *c, size_t k, size_t n, bool poison)
{
    if (ck_case(c, "combine_k%zu_n%zu%s", k, n, poison ? "_poison" : "")) {
        float *rows = ck_input(c, SORTED_ROWS * n);
        uint32_t slot[SORTED_ROWS];
        call x = {.k = ck_table(c, "row"), .kind = (uint32_t)k, .n = n, .x = rows, .slot = slot};
        double *want = ck_want(c, n);

        x.weight = ck_input(c, k);
        x.y = ck_output(c, n);
        if (poison)
            ck_poison(c, rows, SORTED_ROWS * n);
        for (size_t i = 0; i < k; i++) {
            slot[i] = rng_below(ck_rng(c), SORTED_ROWS);
            for (size_t j = 0; j < n; j++)
                want[j] += (double)x.weight[i] * rows[slot[i] * n + j];
        }
        if (ck_run(c, call_combine, &x))
            ck_compare(c, "y", x.y, want, n, (double)k);
        ck_bench(c, 2.0 * (double)(k * n), 4.0 * (double)((k + 1) * n), call_combine, &x);
    }
    ck_end(c);
}

void check_combine(ck *c)
{
    static const size_t sizes[] = {1, 7, 8, 15, 16, 33, 100}, choices[] = {1, 2, 8};

    if (ck_benching(c))
        combine_one(c, 8, 1024, false);
    for (size_t i = 0; !ck_benching(c) && i < 7 * 3 * 2; i++)
        combine_one(c, choices[i / 7 % 3], sizes[i % 7], i / 21);
}

/* ---- norms ---- */

static const char *const norms[] = {"", "rms", "layer", "l2", "sum", "l2_max", "softmax", "l1_max"};

static void solve(const call *x, double *want)
{
    const size_t n = x->n;
    double sum = 0, square = 0, sizes = 0, around = 0, exps = 0, top = -INFINITY, mean = 0,
           factor = 1;

    for (size_t i = 0; i < n; i++) {
        sum += x->x[i];
        square += (double)x->x[i] * x->x[i];
        sizes += fabs((double)x->x[i]);
        top = x->x[i] > top ? x->x[i] : top;
    }
    for (size_t i = 0; i < n; i++) {
        around += (x->x[i] - sum / (double)n) * (x->x[i] - sum / (double)n);
        exps += exp(x->x[i] - top);
    }
    switch (x->kind) {
    case GLA_NORM_RMS:
        factor = 1 / sqrt(square / (double)n + (double)x->norm.eps);
        break;
    case GLA_NORM_LAYER:
        mean = sum / (double)n;
        factor = 1 / sqrt(around / (double)n + (double)x->norm.eps);
        break;
    case GLA_NORM_L2:
        factor = 1 / sqrt(square + (double)x->norm.eps);
        break;
    case GLA_NORM_SUM:
        factor = 1 / (sum + (double)x->norm.eps);
        break;
    case GLA_NORM_L2_MAX:
        factor = sqrt(square) < x->norm.eps ? 1 / (double)x->norm.eps : 1 / sqrt(square);
        break;
    case GLA_NORM_L1_MAX:
        factor = sizes < x->norm.eps ? 1 / (double)x->norm.eps : 1 / sizes;
        break;
    default:
        factor = 1 / exps;
    }
    for (size_t i = 0; i < n; i++) {
        const double value = x->kind == GLA_NORM_SOFTMAX ? exp(x->x[i] - top) : x->x[i] - mean;

        want[i] = value * factor;
        want[i] *= x->weight ? (double)x->norm.weight_offset + x->weight[i] : 1;
        want[i] += x->bias ? x->bias[i] : 0;
    }
}

static void call_norm(void *arg)
{
    const call *x = arg;

    x->k->norm[x->kind](&x->norm, x->weight, x->bias, x->x, x->y);
}

static void norm_one(ck *c, uint32_t kind, size_t n, bool affine, bool poison)
{
    if (ck_case(c, "norm_%s_n%zu%s%s", norms[kind], n, affine ? "_affine" : "",
                poison ? "_poison" : "")) {
        float *input = ck_input(c, n);
        call x = {.k = ck_table(c, "row"), .kind = kind, .n = n, .x = input};
        double *want = ck_want(c, n);

        x.norm = (gla_norm){.kind = kind, .width = (uint32_t)n, .eps = 1e-5f, .weight_offset = 1};
        x.weight = affine ? ck_input(c, n) : NULL;
        x.bias = affine ? ck_input(c, n) : NULL;
        x.y = ck_output(c, n);
        for (size_t i = 0; kind == GLA_NORM_SUM && i < n; i++)
            input[i] = fabsf(input[i]);
        if (poison)
            ck_poison(c, input, n);
        solve(&x, want);
        if (poison && ck_run(c, call_norm, &x))
            ck_shows(c, "y", x.y, want, n);
        else if (ck_run(c, call_norm, &x))
            ck_compare(c, "y", x.y, want, n, 8);
        ck_bench(c, 4.0 * (double)n, 8.0 * (double)n, call_norm, &x);
    }
    ck_end(c);
}

void check_norms(ck *c)
{
    static const size_t sizes[] = {1, 7, 8, 15, 16, 33, 100, 1024};

    for (uint32_t kind = GLA_NORM_RMS; kind < GLA__NORMS; kind++) {
        if (ck_benching(c))
            norm_one(c, kind, 1024, true, false);
        for (size_t i = 0; !ck_benching(c) && i < 8 * 4; i++)
            norm_one(c, kind, sizes[i % 8], i / 8 % 2, i / 16);
    }
}
