/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/validate_bind.h"

#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/tensor.h"
#include "graph/explain.h"
#include "graph/held.h"
#include "graph/validate.h"

static uint64_t weights_hash(const gla__instance *in)
{
    uint64_t hash = 1;

    for (uint32_t i = 0; i < in->n_weights; i++)
        if (in->vectors[i]) {
            const gla_weight_desc *w = &in->weights[i];

            hash = XXH3_64bits_withSeed(in->vectors[i],
                                        gla__n_elements(w->ndim, w->dims) * sizeof(float), hash);
        }
    return hash | 1; /* 0: not known */
}

/* The object and the numbers made for it, or what the layer has made of these. */
static uint64_t object_hash(const gla__instance *in)
{
    uint64_t hash = gla__held_hash(in->name, XXH3_64bits(in->layer, in->desc->layer_bytes));

    for (uint32_t i = 0; i < in->n_made; i++)
        if (in->made[i].numbers)
            hash = XXH3_64bits_withSeed(in->made[i].numbers, in->made[i].n_numbers * sizeof(float),
                                        hash);
    return hash | 1;
}

void gla__validate_weights(gla__instance *in, const gla_tensor *weights)
{
    if (!gla__validating())
        return;
    in->exact = true;
    for (uint32_t i = 0; i < in->n_weights; i++)
        in->exact = in->exact && weights[i].dtype == GLA_DTYPE_F32;
    in->weights_hash = weights_hash(in);
}

void gla__validate_bound(gla__instance *in)
{
    in->object_hash = gla__validating() ? object_hash(in) : 0;
}

const char *gla__validate_written(const gla__instance *in)
{
    if (in->weights_hash && in->weights_hash != weights_hash(in))
        return "the weights";
    if (in->object_hash && in->object_hash != object_hash(in))
        return "the layer's own memory";
    return NULL;
}

/* Weights that were not declared: numbers that show wherever they get to. */
enum { NOT_DECLARED = 4096 };
static float not_declared[NOT_DECLARED];

gla_status gla__validate_bind(gla__instance *in, const gla_tensor *weights)
{
    const size_t size = in->desc->tensor_size;
    const size_t n = in->n_weights + (size_t)GLA_MAX_PARTS;
    char *padded = gla__alloc_zero(n * size);
    gla_status st;

    if (!padded)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        gla_tensor t = {.data = not_declared};

        if (i < in->n_weights)
            t = weights[i];
        memcpy(padded + i * size, &t, size < sizeof(t) ? size : sizeof(t));
    }
    gla__validate_enter(in->name, in->desc->type_id, "bind");
    memset(not_declared, 0xff, sizeof(not_declared));
    gla__validate_weights_end(padded + in->n_weights * size, size, in->n_weights);
    st = gla__validate_leave(in->desc->bind(in->layer, (const void *)padded));
    gla__free(padded);
    if (!st && gla__validate_written(in)) {
        gla__host_explain("bind() writes to the weights it was given: they are read only; copy "
                          "them into memory of gla.host.alloc");
        st = GLA_E_PLUGIN;
    }
    return st;
}
