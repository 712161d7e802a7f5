/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/describe.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/sized.h"
#include "base/tensor.h"
#include "runtime/model_parts.h"
#include "runtime/program.h"
#include "state/sequence.h"

#define MOST_CONTEXT (UINT64_C(1) << 48) /* tokens */

/* A KV cache of a layer: what its pages and its cost follow from. */
typedef struct cache {
    uint32_t kv_heads, k_dim, v_dim, window;
    double flops; /* per token and cached token */
} cache;

/* gla_description is what users see; the caches are behind it. */
typedef struct description {
    gla_description pub;
    cache *caches;
    uint32_t n_caches, vocab;
    uint64_t state_block; /* bytes of the fixed states as they lie in memory */
} description;

static const description *inside(const gla_description *d)
{
    return (const description *)(const void *)d;
}

void gla_description_free(gla_description *d)
{
    description *all = (description *)(void *)d;

    if (!d)
        return;
    for (uint32_t i = 0; i < d->n_layers; i++) {
        gla__free(d->layers[i].name);
        gla__free(d->layers[i].type_id);
    }
    for (uint32_t i = 0; i < d->n_weights; i++)
        gla__free(d->weights[i].name);
    gla__free(d->layers);
    gla__free(d->weights);
    gla__free(all->caches);
    gla__free(all);
}

/* ---- counting ---- */

static bool seen_before(const gla_description *d, const char *name)
{
    /* Only a weight from the model's root can be somebody else's, so look at few names. */
    for (uint32_t i = 0; i < d->n_weights; i++)
        if (!strcmp(d->weights[i].name, name))
            return true;
    return false;
}

static bool is_own(const gla__instance *in, const char *weight)
{
    const size_t n = strlen(in->name);

    return !strncmp(weight, in->name, n) && weight[n] == '.';
}

static gla_status add_weight(gla_description *d, const gla__instance *in, const gla_weight_desc *w,
                             gla_layer_info *layer)
{
    gla_weight_info *info = &d->weights[d->n_weights];
    const uint64_t n = gla__n_elements(w->ndim, w->dims);
    const uint64_t active = (uint64_t)((double)n * w->active);

    info->shared_with_previous = !is_own(in, w->name) && seen_before(d, w->name);
    info->name = gla__strdup(w->name);
    if (!info->name)
        return GLA_E_NOMEM;
    info->role = w->role;
    info->flags = w->flags;
    info->ndim = w->ndim;
    memcpy(info->dims, w->dims, sizeof(info->dims));
    info->n_elements = n;
    info->active = w->active;
    info->layer = d->n_layers;
    d->n_weights++;
    if (w->role == GLA_WEIGHT_MATRIX && !(w->flags & GLA_WEIGHT_LOOKUP))
        layer->flops_per_token += 2.0 * (double)n * w->active;
    if (info->shared_with_previous)
        return GLA_OK;
    layer->params += n;
    layer->active_params += active;
    return GLA_OK;
}

static void add_state(description *all, const gla_state_desc *s, gla_layer_info *layer)
{
    if (s->kind == GLA_STATE_FIXED) {
        const uint64_t bytes = sizeof(float) * gla__n_elements(s->ndim, s->dims);

        layer->state_bytes += bytes;
        all->state_block += (bytes + 63) / 64 * 64;
        layer->flops_per_token += s->flops;
        return;
    }
    layer->flops_per_cached_token += s->flops;
    layer->kv_values_per_token += (uint64_t)s->kv_heads * ((uint64_t)s->k_dim + s->v_dim);
    layer->kv_heads_per_token += (uint64_t)s->kv_heads * (s->v_dim ? 2 : 1);
    layer->window = s->window;
    all->caches[all->n_caches++] = (cache){s->kv_heads, s->k_dim, s->v_dim, s->window, s->flops};
}

static gla_status add_layer(description *all, const gla__instance *in)
{
    gla_description *d = &all->pub;
    gla_layer_info *layer = &d->layers[d->n_layers];
    gla_status st = GLA_OK;

    layer->name = gla__strdup(in->name);
    layer->type_id = gla__strdup(in->desc->type_id);
    layer->block = in->block;
    layer->role = (uint32_t)in->role;
    for (uint32_t i = 0; i < in->n_weights && !st; i++)
        st = add_weight(d, in, &in->weights[i], layer);
    for (uint32_t i = 0; i < in->n_states; i++)
        add_state(all, &in->states[i], layer);
    d->n_layers++;
    d->params += layer->params;
    d->active_params += layer->active_params;
    d->flops_per_token += layer->flops_per_token;
    d->state_bytes += layer->state_bytes;
    d->kv_values_per_token += layer->kv_values_per_token;
    d->kv_heads_per_token += layer->kv_heads_per_token;
    return layer->name && layer->type_id ? st : GLA_E_NOMEM;
}

gla_status gla__describe_program(const gla__program *p, gla_description **out, gla_diag *diag)
{
    description *all = gla__alloc_zero(sizeof(*all));
    size_t n_weights = 0, n_states = 0;
    gla_status st = GLA_OK;

    *out = NULL;
    if (!all)
        return gla__fail_nomem(diag, "a description");
    all->vocab = p->vocab_size;
    for (uint32_t i = 0; i < p->n_instances; i++) {
        n_weights += p->instances[i].n_weights;
        n_states += p->instances[i].n_states;
    }
    all->pub.layers = gla__alloc_array(p->n_instances + 1u, sizeof(*all->pub.layers));
    all->pub.weights = gla__alloc_array(n_weights + 1, sizeof(*all->pub.weights));
    all->caches = gla__alloc_array(n_states + 1, sizeof(*all->caches));
    if (!all->pub.layers || !all->pub.weights || !all->caches)
        st = GLA_E_NOMEM;
    for (uint32_t i = 0; i < p->n_instances && !st; i++)
        st = add_layer(all, &p->instances[i]);
    if (st) {
        gla_description_free(&all->pub);
        return gla__fail_nomem(diag, "a description");
    }
    *out = &all->pub;
    return GLA_OK;
}

gla_status gla_describe(const gla_arch *arch, gla_registry *r, gla_description **out,
                        gla_diag *diag)
{
    gla__program program;
    gla_status st;

    *out = NULL;
    st = gla__program_create(arch, r, &program, diag);
    if (st)
        return st;
    st = gla__describe_program(&program, out, diag);
    gla__program_free(&program);
    return st;
}

/* ---- questions ---- */

const gla_layer_info *gla_description_layer(const gla_description *d, uint32_t i)
{
    return i < d->n_layers ? &d->layers[i] : NULL;
}

const gla_weight_info *gla_description_weight(const gla_description *d, uint32_t i)
{
    return i < d->n_weights ? &d->weights[i] : NULL;
}

/* Far beyond any memory; more would only overflow. */
static uint64_t clamp_context(uint64_t context)
{
    return context < MOST_CONTEXT ? context : MOST_CONTEXT;
}

uint64_t gla_description_kv_bytes(const gla_description *d, uint64_t context, uint32_t kv_dtype)
{
    const description *all = inside(d);
    uint64_t bytes = 0, more;

    if (!context)
        return 0;
    for (uint32_t i = 0; i < all->n_caches; i++) {
        const cache *c = &all->caches[i];
        gla__kv_page_layout page;

        gla__kv_page(kv_dtype, c->kv_heads, c->k_dim, c->v_dim, &page);
        if (!gla__mul_u64(gla__kv_pages(clamp_context(context), c->window), page.bytes, &more) ||
            !gla__add_u64(bytes, more, &bytes))
            return UINT64_MAX;
    }
    return bytes;
}

void gla_description_session(const gla_description *d, uint64_t context, uint32_t kv_dtype,
                             uint32_t max_batch_rows, gla_memory *out, size_t size)
{
    const description *all = inside(d);
    const uint32_t rows = max_batch_rows ? max_batch_rows : GLA__DEFAULT_BATCH_ROWS;

    gla_memory memory = {.kv = gla_description_kv_bytes(d, context, kv_dtype),
                         .state = all->state_block};

    context = clamp_context(context);
    if (context)
        memory.history =
            sizeof(int32_t) * gla__room(context) + sizeof(float) * (uint64_t)all->vocab;
    for (uint32_t i = 0; context && i < all->n_caches; i++)
        memory.history += sizeof(uint8_t *) * gla__kv_room(context, all->caches[i].window, rows);
    gla__write_struct(out, size, &memory, sizeof(memory));
}

double gla_description_flops(const gla_description *d, uint64_t context)
{
    const description *all = inside(d);
    double flops = d->flops_per_token;

    context = clamp_context(context);
    for (uint32_t i = 0; i < all->n_caches; i++) {
        const cache *c = &all->caches[i];
        /* the new token attends to itself as well */
        const uint64_t seen = c->window && context >= c->window ? c->window : context + 1;

        flops += c->flops * (double)seen;
    }
    return flops;
}

uint64_t gla_description_crossover(const gla_description *d, uint32_t kv_dtype)
{
    const uint64_t end = UINT64_C(1) << 40;
    uint64_t low = 0, high = 1; /* KV is at most the state at low, more at high */

    if (!d->state_bytes || !inside(d)->n_caches)
        return 0;
    while (high < end && gla_description_kv_bytes(d, high, kv_dtype) <= d->state_bytes) {
        low = high;
        high *= 2;
    }
    if (high >= end)
        return 0; /* windows keep it below for ever */
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;

        if (gla_description_kv_bytes(d, middle, kv_dtype) <= d->state_bytes)
            low = middle;
        else
            high = middle;
    }
    return high;
}
