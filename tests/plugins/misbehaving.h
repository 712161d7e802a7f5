/* SPDX-License-Identifier: Apache-2.0
 *
 * misbehaving.h - a good layer, for plugins that are wrong in one place
 *
 * Each plugin of this folder includes it, spoils one field of `good_entry` or `good_desc`, and
 * exports the result:
 *
 *     #define ENTRY_MAGIC 7
 *     #include "misbehaving.h"
 */
#ifndef GLA_TESTS_PLUGINS_MISBEHAVING_H
#define GLA_TESTS_PLUGINS_MISBEHAVING_H

#include "../support/blocks_v1_0.h"

#ifndef TYPE_ID
#define TYPE_ID "test.plugin/1"
#endif
#ifndef ENTRY_MAGIC
#define ENTRY_MAGIC GLA_PLUGIN_MAGIC
#endif
#ifndef ENTRY_SIZE
#define ENTRY_SIZE sizeof(gla_plugin_entry)
#endif
#ifndef ENTRY_MAJOR
#define ENTRY_MAJOR GLA_ABI_MAJOR
#endif
#ifndef ENTRY_MINOR
#define ENTRY_MINOR GLA_ABI_MINOR
#endif
#ifndef BATCH_SIZE
#define BATCH_SIZE sizeof(gla_batch)
#endif
#ifndef DESC_SIZE
#define DESC_SIZE sizeof(gla_layer_desc)
#endif
#ifndef FORWARD
#define FORWARD forward
#endif
#ifndef INIT
#define INIT NULL
#endif

struct gla_layer {
    const gla_host *host;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    (void)cfg;
    *out = gla_host_new(host, sizeof(**out));
    if (!*out)
        return GLA_E_NOMEM;
    (*out)->host = host;
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (l)
        gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    (void)l;
    (void)weights;
    return GLA_OK;
}

/* Some plugins leave it out. */
__attribute__((unused)) static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    (void)l;
    (void)b;
    return GLA_OK;
}

static const gla_layer_desc desc = {(uint32_t)(DESC_SIZE),
                                    1,
                                    TYPE_ID,
                                    "a layer of the tests",
                                    GLA_LAYER_MIXER,
                                    NULL,
                                    0,
                                    0,
                                    create,
                                    destroy,
                                    bind,
                                    FORWARD,
                                    NULL};
static const gla_layer_desc *const layers[] = {&desc};

extern GLA_PLUGIN_EXPORT const gla_plugin_entry gla_plugin_entry_v1;
const gla_plugin_entry gla_plugin_entry_v1 = {ENTRY_MAGIC,
                                              (uint32_t)(ENTRY_SIZE),
                                              ENTRY_MAJOR,
                                              ENTRY_MINOR,
                                              (uint8_t)sizeof(void *),
                                              GLA_MAX_DIMS,
                                              {0, 0},
                                              (uint32_t)sizeof(gla_tensor),
                                              (uint32_t)(BATCH_SIZE),
                                              (uint32_t)sizeof(gla_math),
                                              (uint32_t)sizeof(gla_layer_desc),
                                              "misbehaving",
                                              "1.0",
                                              "Apache-2.0",
                                              INIT,
                                              NULL,
                                              layers,
                                              1,
                                              0};

#endif
