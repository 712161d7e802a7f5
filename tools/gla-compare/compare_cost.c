/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_cost.c - what needs no running: from the layers' own accounting
 */
#include "compare.h"

#include <string.h>

/* The rule of gla-convert and gla_model_random(): vectors are f32; quantised types leave gates,
 * embedding, head and small matrices in bf16, int4 takes int8 where rows are no multiple of 32. */
static uint32_t weight_dtype(const gla_description *d, const gla_weight_info *w, uint32_t wanted)
{
    const bool head = d->layers[w->layer].role == GLA_LAYER_HEAD;

    if (w->role != GLA_WEIGHT_MATRIX)
        return GLA_DTYPE_F32;
    if (wanted != GLA_DTYPE_I8 && wanted != GLA_DTYPE_I4)
        return wanted;
    if ((w->flags & (GLA_WEIGHT_SENSITIVE | GLA_WEIGHT_LOOKUP)) || head || w->n_elements < 4096)
        return GLA_DTYPE_BF16;
    return wanted == GLA_DTYPE_I4 && w->dims[w->ndim - 1] % 32 ? GLA_DTYPE_I8 : wanted;
}

static uint64_t described_bytes(const candidate *x, uint32_t dtype)
{
    const gla_description *d = x->description;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < d->n_weights; i++) {
        const gla_weight_info *w = &d->weights[i];
        const uint32_t block = d->layers[w->layer].block;
        const uint64_t cols = w->ndim ? (uint64_t)w->dims[w->ndim - 1] : 1;
        uint32_t wanted = dtype;

        if (w->shared_with_previous || !w->n_elements)
            continue;
        if (!wanted && block < x->arch->n_layers)
            wanted = x->arch->blocks[x->arch->layers[block]].weights_dtype;
        if (!wanted)
            wanted = x->arch->weights_dtype ? x->arch->weights_dtype : GLA_DTYPE_BF16;
        sum += gla_dtype_bytes(weight_dtype(d, w, wanted), w->n_elements / cols, cols);
    }
    return sum;
}

static int stored_bytes(candidate *x)
{
    gla_weights *w;
    gla_diag diag;

    if (gla_weights_open(x->source, NULL, &w, &diag))
        return cli_fail(&diag);
    for (uint32_t i = 0; i < gla_weights_count(w); i++)
        x->weight_bytes += gla_weights_info(w, i)->raw_bytes;
    gla_weights_free(w);
    return 0;
}

/* Most tokens of one sequence that fit beside the weights; above 2^40 it is "any". */
static uint64_t context_that_fits(const comparison *c, const candidate *x)
{
    const uint64_t fixed = x->weight_bytes + x->description->state_bytes;
    uint64_t low = 0, high = UINT64_C(1) << 40;

    if (fixed > c->memory)
        return 0;
    if (gla_description_kv_bytes(x->description, high, c->kv_dtype) <= c->memory - fixed)
        return UINT64_MAX;
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;

        if (gla_description_kv_bytes(x->description, middle, c->kv_dtype) <= c->memory - fixed)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int compare_cost(comparison *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        candidate *x = &c->items[i];
        int status = 0;

        if (x->trained && !c->weights_dtype)
            status = stored_bytes(x);
        else
            x->weight_bytes = described_bytes(x, c->weights_dtype);
        if (status)
            return status;
        x->crossover = gla_description_crossover(x->description, c->kv_dtype);
        x->fits = c->memory ? context_that_fits(c, x) : 0;
        for (uint32_t k = 0; k < c->n_contexts; k++) {
            x->kv_bytes[k] = gla_description_kv_bytes(x->description, c->contexts[k], c->kv_dtype);
            x->flops[k] = gla_description_flops(x->description, c->contexts[k]);
        }
    }
    return 0;
}
