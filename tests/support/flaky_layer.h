/* SPDX-License-Identifier: Apache-2.0
 *
 * flaky_layer.h - a mixer "test.flaky" that fails when it is told to
 */
#ifndef GLA_TESTS_SUPPORT_FLAKY_LAYER_H
#define GLA_TESTS_SUPPORT_FLAKY_LAYER_H

#ifndef GLA_PLUGIN_STATIC
#define GLA_PLUGIN_STATIC
#endif
#include "blocks_v1_0.h"
#include <string.h>

#include "runtime/registry.h"

/* Calls of forward() that still succeed. */
static int flaky_calls = 1 << 30;

struct gla_layer {
    const gla_host *host;
    size_t width;
};

static gla_status flaky_create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    *out = gla_host_new(host, sizeof(**out));
    if (!*out)
        return GLA_E_NOMEM;
    (*out)->host = host;
    (*out)->width = cfg->d_out;
    return GLA_OK;
}

static void flaky_destroy(gla_layer *l)
{
    if (l)
        gla_host_delete(l->host, l);
}

static gla_status flaky_bind(gla_layer *l, const gla_tensor *weights)
{
    (void)l;
    (void)weights;
    return GLA_OK;
}

static gla_status flaky_forward(const gla_layer *l, const gla_batch *b)
{
    if (flaky_calls-- <= 0)
        return gla_host_fail(b->host, GLA_E_PLUGIN, "flaky today");
    memset(b->y, 0, b->n_rows * l->width * sizeof(float));
    return GLA_OK;
}

static const gla_layer_desc flaky_desc = {.struct_size = sizeof(gla_layer_desc),
                                          .revision = 1,
                                          .type_id = "test.flaky/1",
                                          .summary = "fails when it is told to",
                                          .flags = GLA_LAYER_MIXER,
                                          .create = flaky_create,
                                          .destroy = flaky_destroy,
                                          .bind = flaky_bind,
                                          .forward = flaky_forward};
static const gla_layer_desc *const flaky_layers[] = {&flaky_desc};
GLA_PLUGIN_DEFINE(test_flaky, "1.0", "Apache-2.0", NULL, NULL, flaky_layers);

/* The built-in layers and this one; gla_registry_free(). */
static inline gla_registry *flaky_registry(void)
{
    gla_registry *r;

    if (gla_registry_create(NULL, &r, NULL))
        return NULL;
    if (gla__registry_add(r, &GLA_PLUGIN_SYMBOL(test_flaky), NULL)) {
        gla_registry_free(r);
        return NULL;
    }
    return r;
}

#endif
