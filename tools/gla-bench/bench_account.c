/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_account.c - what the model must read and compute, from its own description
 */
#include <math.h>
#include <string.h>

#include "bench.h"

static double bytes_per_number(uint32_t dtype)
{
    return dtype == GLA_DTYPE_F32 ? 4 : dtype == GLA_DTYPE_BF16 ? 2 : 1;
}

/* Bytes of a weight that a step of `batch` tokens reads.  Of a lookup table a row a token; of
 * experts those that are chosen at least once, when every choice is equally likely. */
static double weight_bytes(const gla_weight_info *w, uint32_t batch)
{
    const uint64_t cols = (uint64_t)w->dims[w->ndim - 1], rows = w->n_elements / cols;
    const double all = (double)gla_dtype_bytes(w->dtype, rows, cols);

    if (w->flags & GLA_WEIGHT_LOOKUP)
        return all * fmin(1, (double)batch / (double)rows);
    return all * (1 - pow(1 - w->active, batch));
}

/* A fixed state is counted once, as read, though it is written as well: the limit is a rate of
 * reading. */
static traffic step_traffic(const gla_description *d, uint32_t kv_dtype, uint64_t context,
                            uint32_t batch)
{
    traffic t = {.state = (double)d->state_bytes * batch};

    for (uint32_t i = 0; i < d->n_weights; i++)
        t.weights += weight_bytes(&d->weights[i], batch);
    for (uint32_t i = 0; i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];
        const uint64_t seen = l->window && context > l->window ? l->window : context;
        const double token = (double)l->kv_values_per_token * bytes_per_number(kv_dtype) +
                             (kv_dtype == GLA_DTYPE_I8 ? 4.0 * (double)l->kv_heads_per_token : 0);

        t.kv += token * (double)seen * batch;
    }
    return t;
}

static double head_flops(const gla_description *d)
{
    double flops = 0;

    for (uint32_t i = 0; i < d->n_layers; i++)
        if (d->layers[i].role & GLA_LAYER_HEAD)
            flops += d->layers[i].flops_per_token;
    return flops;
}

/* A matrix that prefill multiplies every token with: not the head, which the last one alone needs.
 */
static bool is_multiplied(const gla_description *d, const gla_weight_info *w)
{
    return w->role == GLA_WEIGHT_MATRIX && !(w->flags & GLA_WEIGHT_LOOKUP) && w->ndim >= 2 &&
           !(d->layers[w->layer].role & GLA_LAYER_HEAD);
}

static double linear_flops(const gla_weight_info *w)
{
    return 2.0 * (double)w->n_elements * w->active;
}

static gemm_item gemm_of(const gla_weight_info *w, uint32_t tokens)
{
    return (gemm_item){.tokens = tokens,
                       .rows = (uint32_t)fmax(1, round(tokens * w->active)),
                       .out = (uint32_t)w->dims[w->ndim - 2],
                       .in = (uint32_t)w->dims[w->ndim - 1],
                       .dtype = w->dtype == GLA_DTYPE_I8 ? GLA_DTYPE_I8 : GLA_DTYPE_F32,
                       .flops_per_token = linear_flops(w)};
}

static bool same_shape(const gemm_item *a, const gemm_item *b)
{
    return a->rows == b->rows && a->out == b->out && a->in == b->in && a->dtype == b->dtype;
}

/* The heaviest shapes of the model for batches of so many tokens; the others hardly matter. */
static void add_gemms(bench *b, uint32_t tokens)
{
    const gla_description *d = gla_model_description(b->model);
    gemm_item *list = b->gemms + b->n_gemms, others[64];
    uint32_t n = 0, kept = 0;

    for (uint32_t i = 0; i < b->n_gemms; i++)
        if (b->gemms[i].tokens == tokens)
            return;
    for (uint32_t i = 0; i < d->n_weights; i++) {
        const gla_weight_info *w = &d->weights[i];
        gemm_item g;
        uint32_t at = 0;

        if (!is_multiplied(d, w))
            continue;
        g = gemm_of(w, tokens);
        while (at < n && !same_shape(&others[at], &g))
            at++;
        if (at < n)
            others[at].flops_per_token += g.flops_per_token;
        else if (n < sizeof(others) / sizeof(others[0]))
            others[n++] = g;
    }
    for (; kept < MAX_SHAPES && kept < n; kept++) {
        uint32_t heaviest = kept;

        for (uint32_t i = kept + 1; i < n; i++)
            if (others[i].flops_per_token > others[heaviest].flops_per_token)
                heaviest = i;
        list[kept] = others[heaviest];
        others[heaviest] = others[kept];
    }
    b->n_gemms += kept;
}

static void account_prefill(bench *b, prefill_item *p)
{
    const gla_description *d = gla_model_description(b->model);
    const double head = head_flops(d);

    p->batch = p->tokens < BATCH_ROWS ? (uint32_t)p->tokens : BATCH_ROWS;
    for (uint32_t i = 0; i < d->n_weights; i++)
        if (is_multiplied(d, &d->weights[i]))
            p->linear_flops += linear_flops(&d->weights[i]);
    p->flops = head;
    for (uint64_t i = 0; i < p->tokens; i++)
        p->flops += gla_description_flops(d, i) - head;
    add_gemms(b, p->batch);
}

void bench_account(bench *b)
{
    const gla_description *d = gla_model_description(b->model);

    for (uint32_t i = 0; i < b->n_prefills; i++)
        account_prefill(b, &b->prefills[i]);
    for (uint32_t i = 0; i < b->n_decodes; i++) {
        decode_item *e = &b->decodes[i];
        const uint64_t middle = e->depth + 1 + b->decode_tokens / 2;

        e->bytes = step_traffic(d, b->kv_dtype, middle, e->batch);
        e->flops = gla_description_flops(d, middle);
    }
}
