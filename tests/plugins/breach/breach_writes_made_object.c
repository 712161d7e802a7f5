/* SPDX-License-Identifier: Apache-2.0
 *
 * breach_writes_made_object.c - remembers something in an object that the host owns
 */
#include <gla/plugin.h>
#include <string.h>

struct gla_layer {
    uint32_t d, rows;
};

static gla_status make(gla_layer *l, const gla_layer_config *cfg)
{
    l->d = cfg->d_in;
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    *(uint32_t *)(uintptr_t)&l->rows = b->n_rows;
    memcpy(b->y, b->x, (size_t)b->n_rows * l->d * sizeof(float));
    return GLA_OK;
}

static const gla_layer_desc desc = {.struct_size = (uint32_t)sizeof(desc),
                                    .revision = 1,
                                    .type_id = "test.breach/1",
                                    .summary = "breaks its contract",
                                    .flags = GLA_LAYER_MIXER | GLA_LAYER_DETERMINISTIC,
                                    .forward = forward,
                                    .layer_bytes = sizeof(gla_layer),
                                    .make = make};
static const gla_layer_desc *const layers[] = {&desc};
GLA_PLUGIN_DEFINE(breach, "1.0", "Apache-2.0", NULL, NULL, layers);
