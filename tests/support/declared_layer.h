/* SPDX-License-Identifier: Apache-2.0
 *
 * declared_layer.h - a layer with layer_bytes that declares what a test tells it to
 *
 *     static gla_status two_maps(gla_layer *l, const gla_layer_config *c) { ... declares ... }
 *
 *     declared d;
 *     declared_new(&d, two_maps);                  makes it; weights are 0, 1, 2, ... in each
 *     d.numbers[0][5] = 7;                         of the first weight
 *     declared_bind(&d);
 *     declared_map(&d, d.in.layer->map, x, y);     y = W x + b
 *     declared_free(&d);
 *
 * The object has a place for each thing that the host makes.
 */
#ifndef GLA_TESTS_SUPPORT_DECLARED_LAYER_H
#define GLA_TESTS_SUPPORT_DECLARED_LAYER_H

#include <stdlib.h>
#include <string.h>

#include "graph/host.h"
#include "graph/instance.h"
#include "support/batch.h"

enum { DECLARED_WEIGHTS = 16, DECLARED_NUMBERS = 64 };

struct gla_layer {
    gla_linear *map, *maps[3];
    gla_conv *conv;
    gla_rope *rope;
    const float *numbers, *more;
    float *table;
    uint32_t n_bound;
    float answer; /* of the last bound(): numbers[0], or the table's */
};

typedef struct declared {
    gla_layer_desc desc;
    gla__instance in;
    gla_tensor tensors[DECLARED_WEIGHTS];
    float numbers[DECLARED_WEIGHTS][DECLARED_NUMBERS];
    gla_diag diag;
} declared;

static gla_status declared_forward(const gla_layer *l, const gla_batch *b)
{
    (void)l;
    (void)b;
    return GLA_OK;
}

/* Makes the layer; .in is there if it is GLA_OK. */
static inline gla_status declared_make(declared *d,
                                       gla_status (*make)(gla_layer *, const gla_layer_config *))
{
    const gla_layer_config config = {.d_in = 4, .d_out = 4, .d_model = 4};

    memset(d, 0, sizeof(*d));
    d->desc = (gla_layer_desc){.struct_size = sizeof(d->desc),
                               .type_id = "test.declared/1",
                               .layer_bytes = sizeof(gla_layer),
                               .make = make,
                               .forward = declared_forward,
                               .param_size = sizeof(gla_param_desc),
                               .value_size = sizeof(gla_param_value),
                               .tensor_size = sizeof(gla_tensor)};
    for (uint32_t i = 0; i < DECLARED_WEIGHTS; i++)
        for (uint32_t j = 0; j < DECLARED_NUMBERS; j++)
            d->numbers[i][j] = (float)j;
    return gla__instance_create(&d->desc, "layer", &config, &d->in, &d->diag);
}

static inline gla_status declared_bind(declared *d)
{
    for (uint32_t i = 0; i < d->in.n_weights; i++) {
        const gla_weight_desc *w = &d->in.weights[i];

        d->tensors[i] =
            (gla_tensor){.data = d->numbers[i], .dtype = GLA_DTYPE_F32, .ndim = w->ndim};
        memcpy(d->tensors[i].dims, w->dims, sizeof(w->dims));
    }
    return gla__instance_bind(&d->in, d->tensors, &d->diag);
}

static inline const gla_math *declared_math(void)
{
    return gla__host()->get_extension(gla__host(), GLA_HOST_MATH_ID);
}

/* One row. */
static inline gla_status declared_apply(const gla_linear *map, const float *x, uint32_t in,
                                        float *y, uint32_t out)
{
    test_batch t;
    gla_status st;

    test_batch_init(&t, 1, (uint32_t[]){1}, 0, NULL);
    st = declared_math()->linear(&t.batch, map, 1, x, in, y, out);
    test_batch_free(&t);
    return st;
}

static inline void declared_free(declared *d)
{
    gla__instance_destroy(&d->in);
}

/* ---- what tests declare ---- */

#define DECLARED_MAP(...)                                                                          \
    (const gla_map)                                                                                \
    {                                                                                              \
        .struct_size = sizeof(gla_map), .part_size = sizeof(gla_part), __VA_ARGS__                 \
    }
#define DECLARED_CONV(...)                                                                         \
    (const gla_conv_map)                                                                           \
    {                                                                                              \
        .struct_size = sizeof(gla_conv_map), .part_size = sizeof(gla_part), __VA_ARGS__            \
    }
#define DECLARED_EXPR(...)                                                                         \
    (const gla_expr)                                                                               \
    {                                                                                              \
        .struct_size = sizeof(gla_expr), .name = "w", __VA_ARGS__                                  \
    }
#define DECLARED_VIEW(...)                                                                         \
    (const gla_view)                                                                               \
    {                                                                                              \
        .struct_size = sizeof(gla_view), .role = GLA_WEIGHT_MATRIX, __VA_ARGS__                    \
    }

#endif
