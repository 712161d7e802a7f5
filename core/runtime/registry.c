/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/sized.h"
#include "formats/arch/words.h"
#include "graph/explain.h"
#include "graph/host.h"
#include "graph/validate.h"
#include "runtime/entry_check.h"

#define XX(name) extern const gla_plugin_entry gla_plugin_entry_v1_##name;
#include "builtin_layers.inc"
#undef XX

static const gla_plugin_entry *const builtin[] = {
#define XX(name) &gla_plugin_entry_v1_##name,
#include "builtin_layers.inc"
#undef XX
    NULL};

struct gla_registry {
    atomic_uint refs;
    gla__logger logger;
    gla_host host;           /* says things to the logger */
    gla_layer_desc **layers; /* ours: copies of those of the plugins */
    uint32_t n_layers;
    size_t capacity;
    struct in_use **used; /* [n_used] plugins with init() or deinit() */
    size_t n_used, used_capacity;
};

gla_status gla__registry_create_empty(const gla_registry_options *options, gla_registry **out,
                                      gla_diag *diag)
{
    gla_registry_options o;
    const gla_status st = gla__read_struct(gla_registry_options, log_ctx, &o, options, diag);

    *out = st ? NULL : gla__alloc_zero(sizeof(**out));
    if (!*out)
        return st ? st : gla__fail_nomem(diag, "a registry");
    atomic_init(&(*out)->refs, 1);
    (*out)->logger = (gla__logger){o.log, o.log_ctx, o.log_level};
    (*out)->host = gla__host_of(&(*out)->logger);
    return GLA_OK;
}

gla_status gla_registry_create(const gla_registry_options *options, gla_registry **out,
                               gla_diag *diag)
{
    gla_registry *r;
    gla_status st;

    *out = NULL;
    st = gla__registry_create_empty(options, &r, diag);
    if (st)
        return st;
    for (size_t i = 0; builtin[i]; i++) {
        st = gla__registry_add(r, builtin[i], diag);
        if (st) {
            gla_registry_free(r);
            return st;
        }
    }
    *out = r;
    return GLA_OK;
}

gla_registry *gla__registry_ref(gla_registry *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

const gla_host *gla__registry_host(const gla_registry *r)
{
    return &r->host;
}

const gla__logger *gla__registry_logger(const gla_registry *r)
{
    return &r->logger;
}

/* ---- init() and deinit(): once, however many registries have the plugin ---- */

typedef struct in_use {
    struct in_use *next;
    const gla_plugin_entry *entry;
    size_t registries;
} in_use;

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static in_use *all_in_use;

/* The one of this entry, after init() if it is the first. */
static gla_status begin_use(const gla_plugin_entry *entry, in_use **out, gla_diag *diag)
{
    gla_status st = GLA_OK;
    in_use *i;

    for (i = all_in_use; i && i->entry != entry; i = i->next)
        ;
    *out = i ? i : gla__alloc_zero(sizeof(*i));
    if (i || !*out)
        return i ? GLA_OK : gla__fail_nomem(diag, "a plugin");
    gla__host_listen();
    if (entry->init) {
        gla__validate_enter(entry->name, "plugin", "init");
        st = gla__validate_leave(entry->init(gla__host()));
    }
    if (st) {
        gla__free(*out);
        return gla__host_failed(st, "init", diag);
    }
    **out = (in_use){all_in_use, entry, 0};
    all_in_use = *out;
    return GLA_OK;
}

static void end_use(in_use *used)
{
    for (in_use **i = &all_in_use; *i; i = &(*i)->next)
        if (*i == used) {
            *i = used->next;
            break;
        }
    if (used->entry->deinit) {
        gla__validate_enter(used->entry->name, "plugin", "deinit");
        used->entry->deinit();
        (void)gla__validate_leave(GLA_OK);
    }
    gla__free(used);
}

static gla_status acquire(gla_registry *r, const gla_plugin_entry *entry, gla_diag *diag)
{
    gla_status st;
    in_use *used;

    if (gla__grow((void **)&r->used, &r->used_capacity, r->n_used, sizeof(*r->used)))
        return gla__fail_nomem(diag, "a registry");
    pthread_mutex_lock(&init_lock);
    st = begin_use(entry, &used, diag);
    if (!st) {
        used->registries++;
        r->used[r->n_used++] = used;
    }
    pthread_mutex_unlock(&init_lock);
    if (st)
        gla__at(diag, entry->name);
    return st;
}

static void release(in_use *used)
{
    pthread_mutex_lock(&init_lock);
    if (--used->registries == 0)
        end_use(used);
    pthread_mutex_unlock(&init_lock);
}

/* All but the first n. */
static void forget_layers(gla_registry *r, uint32_t n)
{
    while (r->n_layers > n) {
        gla_layer_desc *d = r->layers[--r->n_layers];

        gla__entry_free_layer(d);
        gla__free(d);
    }
}

void gla_registry_free(gla_registry *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) > 1)
        return;
    while (r->n_used)
        release(r->used[--r->n_used]);
    gla__free(r->used);
    forget_layers(r, 0);
    gla__free(r->layers);
    gla__free(r);
}

/* ---- layers ---- */

static bool has_type(const gla_registry *r, const char *type_id)
{
    for (uint32_t i = 0; i < r->n_layers; i++)
        if (!strcmp(r->layers[i]->type_id, type_id))
            return true;
    return false;
}

static gla_status add_layer(gla_registry *r, const gla_plugin_entry *entry, uint32_t i,
                            gla_diag *diag)
{
    gla_layer_desc desc, *copy;
    gla_status st = gla__entry_take_layer(entry, i, &desc, diag);

    if (st)
        return st;
    if (has_type(r, desc.type_id)) {
        gla__log_to(&r->logger, GLA_LOG_WARN, "%s: layer type %s exists already; the first stays",
                    entry->name, desc.type_id);
        gla__entry_free_layer(&desc);
        return GLA_OK;
    }
    copy = gla__alloc(sizeof(*copy));
    if (!copy || gla__grow((void **)&r->layers, &r->capacity, r->n_layers, sizeof(*r->layers))) {
        gla__free(copy);
        gla__entry_free_layer(&desc);
        return gla__fail_nomem(diag, "a registry");
    }
    *copy = desc;
    r->layers[r->n_layers++] = copy;
    return GLA_OK;
}

gla_status gla__registry_add(gla_registry *r, const gla_plugin_entry *entry, gla_diag *diag)
{
    const uint32_t before = r->n_layers;
    gla_status st = gla__entry_check(entry, diag);

    if (!st && (entry->init || entry->deinit))
        st = acquire(r, entry, diag);
    for (uint32_t i = 0; !st && i < entry->n_layers; i++)
        st = add_layer(r, entry, i, diag);
    if (st) /* all of its layers, or none */
        forget_layers(r, before);
    return st;
}

uint32_t gla_registry_count(const gla_registry *r)
{
    return r->n_layers;
}

const gla_layer_desc *gla_registry_get(const gla_registry *r, uint32_t i)
{
    return i < r->n_layers ? r->layers[i] : NULL;
}

/* The number after the slash; type ids have been checked to have one. */
static uint32_t revision_of(const char *type_id)
{
    uint32_t n = 0;

    for (const char *p = strchr(type_id, '/') + 1; *p; p++)
        n = n * 10 + (uint32_t)(*p - '0');
    return n;
}

const gla_layer_desc *gla_registry_find(const gla_registry *r, const char *type)
{
    const gla_layer_desc *best = NULL;
    char full[256];
    size_t n;

    /* A name without a dot is one of ours. */
    n = (size_t)snprintf(full, sizeof(full), "%s%s", strchr(type, '.') ? "" : "gla.", type);
    if (n >= sizeof(full))
        return NULL;
    for (uint32_t i = 0; i < r->n_layers; i++) {
        const char *id = r->layers[i]->type_id;

        if (strcmp(id, full) == 0)
            return r->layers[i];
        if (!strncmp(id, full, n) && id[n] == '/' &&
            (!best || revision_of(id) > revision_of(best->type_id)))
            best = r->layers[i];
    }
    return best;
}

/* "gla.attention/1" -> "attention", others without the revision: what people write. */
static void short_name(const char *type_id, char *buf, size_t size)
{
    const char *begin = strncmp(type_id, "gla.", 4) == 0 ? type_id + 4 : type_id;

    snprintf(buf, size, "%.*s", (int)(strchr(begin, '/') - begin), begin);
}

static void hint_nearest(const gla_registry *r, const char *type, gla_diag *diag)
{
    char(*names)[128] = gla__alloc_array(r->n_layers + 1u, sizeof(*names));
    const char **list = gla__alloc_array(r->n_layers + 1u, sizeof(*list));
    const char *near = NULL, *how = "";

    if (names && list) {
        for (uint32_t i = 0; i < r->n_layers; i++) {
            short_name(r->layers[i]->type_id, names[i], sizeof(names[i]));
            list[i] = names[i];
        }
        near = gla__meant(type, list, r->n_layers, &how);
    }
    if (near)
        gla__hint(diag, "did you mean '%s'%s%s?", near, *how ? " with " : "", how);
    else
        gla__hint(diag, "load the plugin that has it with gla_registry_load() or GLA_PLUGIN_PATH");
    gla__free(names);
    gla__free(list);
}

gla_status gla__registry_require(const gla_registry *r, const gla_arch_layer *layer,
                                 const gla_layer_desc **out, gla_diag *diag)
{
    *out = gla_registry_find(r, layer->type);
    if (*out)
        return GLA_OK;
    gla__fail(diag, GLA_E_NO_LAYER, "there is no layer type '%s'", layer->type);
    gla__at_line(diag, layer->line, layer->column);
    hint_nearest(r, layer->type, diag);
    return GLA_E_NO_LAYER;
}
