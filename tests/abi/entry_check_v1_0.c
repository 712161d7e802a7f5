/* SPDX-License-Identifier: Apache-2.0
 *
 * entry_check_v1_0.c PLUGIN.so [MESSAGE] - what a host of version 1.0 said of a plugin
 *
 * core/runtime/entry_check.c as it was in version 1.0 (commit 066d746), frozen, below a shim of
 * what it took from core/base.  Without MESSAGE the plugin must be accepted, with it refused in
 * exactly these words.
 */
#include "plugin_v1_0.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- the shim ---- */

typedef struct gla_diag {
    char where[256], message[256];
} gla_diag;

__attribute__((format(printf, 3, 4))) static gla_status gla__fail(gla_diag *diag, gla_status status,
                                                                  const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(diag->message, sizeof(diag->message), format, args);
    va_end(args);
    return status;
}

static void gla__at(gla_diag *diag, const char *outer)
{
    const size_t n = strlen(outer), rest = strlen(diag->where);

    if (n + 2 + rest >= sizeof(diag->where))
        return;
    memmove(diag->where + n + 2, diag->where, rest + 1);
    memcpy(diag->where, outer, n);
    memcpy(diag->where + n, ": ", 2);
}

/* ---- version 1.0's ---- */

enum { MAX_LAYERS = 1024, MAX_PARAMS = 256, MAX_ENUM = 256, MAX_TYPE_ID = 127 };

static gla_status check_number(const char *field, uint64_t is, uint64_t want, gla_diag *diag)
{
    if (is == want)
        return GLA_OK;
    return gla__fail(diag, GLA_E_ABI, "%s is %" PRIu64 ", this program has %" PRIu64, field, is,
                     want);
}

static gla_status gla__entry_check(const gla_plugin_entry *e, gla_diag *diag)
{
    gla_status st;

    if (e->magic != GLA_PLUGIN_MAGIC)
        return gla__fail(diag, GLA_E_ABI, "magic is 0x%08" PRIx32 ", a plugin has 0x%08" PRIx32,
                         e->magic, GLA_PLUGIN_MAGIC);
    if (e->struct_size < sizeof(*e))
        return gla__fail(diag, GLA_E_ABI, "struct_size is %" PRIu32 ", version 1.0 has %zu",
                         e->struct_size, sizeof(*e));
    st = check_number("abi_major", e->abi_major, GLA_ABI_MAJOR, diag);
    if (!st)
        st = check_number("pointer_bytes", e->pointer_bytes, sizeof(void *), diag);
    if (!st)
        st = check_number("max_dims", e->max_dims, GLA_MAX_DIMS, diag);
    /* Within a major these only grow, and by a minor: a plugin that knows more than we do must not
     * rely on it, one that knows less reads the beginning. */
    if (!st && e->abi_minor == GLA_ABI_MINOR) {
        st = check_number("tensor_size", e->tensor_size, sizeof(gla_tensor), diag);
        if (!st)
            st = check_number("batch_size", e->batch_size, sizeof(gla_batch), diag);
        if (!st)
            st = check_number("math_size", e->math_size, sizeof(gla_math), diag);
        if (!st)
            st = check_number("layer_desc_size", e->layer_desc_size, sizeof(gla_layer_desc), diag);
    }
    if (st)
        return st;
    if (!e->name || !e->name[0])
        return gla__fail(diag, GLA_E_PLUGIN, "name is missing");
    if (!e->layers || !e->n_layers || e->n_layers > MAX_LAYERS)
        return gla__fail(diag, GLA_E_PLUGIN, "layers: %" PRIu32 " of them, 1 to %d expected",
                         e->n_layers, MAX_LAYERS);
    return GLA_OK;
}

/* "org.example.name/1": two or more words of [a-z0-9_-] with dots between, a revision from 1. */
static bool good_type_id(const char *id)
{
    const char *slash = id ? strchr(id, '/') : NULL;
    bool dot = false, word = false;

    if (!slash || strlen(id) > MAX_TYPE_ID)
        return false;
    for (const char *p = id; p < slash; p++) {
        if (*p == '.') {
            if (!word)
                return false;
            dot = true;
            word = false;
        } else if ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '-') {
            word = true;
        } else {
            return false;
        }
    }
    if (!dot || !word || slash[1] < '1' || slash[1] > '9' || strlen(slash + 1) > 6)
        return false;
    return strspn(slash + 1, "0123456789") == strlen(slash + 1);
}

static gla_status check_range(const gla_param_desc *p, gla_diag *diag)
{
    if (!(p->min <= p->max))
        return gla__fail(diag, GLA_E_PLUGIN, "param %s: min %g is above max %g", p->name, p->min,
                         p->max);
    if (!p->required && !(p->def >= p->min && p->def <= p->max))
        return gla__fail(diag, GLA_E_PLUGIN, "param %s: default %g is not in [%g, %g]", p->name,
                         p->def, p->min, p->max);
    return GLA_OK;
}

static gla_status check_enum(const gla_param_desc *p, gla_diag *diag)
{
    uint32_t n = 0;

    while (p->enum_values && n < MAX_ENUM && p->enum_values[n])
        n++;
    if (!n || n == MAX_ENUM)
        return gla__fail(diag, GLA_E_PLUGIN, "param %s: enum_values has no values or no end",
                         p->name);
    if (!p->required && !(p->def >= 0 && p->def < n && p->def == floor(p->def)))
        return gla__fail(diag, GLA_E_PLUGIN,
                         "param %s: default %g is none of its %" PRIu32 " values", p->name, p->def,
                         n);
    return GLA_OK;
}

static gla_status check_params(const gla_layer_desc *d, gla_diag *diag)
{
    if (d->n_params > MAX_PARAMS || (d->n_params && !d->params))
        return gla__fail(diag, GLA_E_PLUGIN, "n_params is %" PRIu32 ", at most %d allowed",
                         d->n_params, MAX_PARAMS);
    for (uint32_t i = 0; i < d->n_params; i++) {
        const gla_param_desc *p = &d->params[i];
        gla_status st = GLA_OK;

        if (!p->name || !p->name[0] || strlen(p->name) > MAX_TYPE_ID)
            return gla__fail(diag, GLA_E_PLUGIN, "param %" PRIu32 " has no name", i);
        for (uint32_t j = 0; j < i; j++)
            if (!strcmp(d->params[j].name, p->name))
                return gla__fail(diag, GLA_E_PLUGIN, "param %s is there twice", p->name);
        switch (p->kind) {
        case GLA_PARAM_INT:
        case GLA_PARAM_FLOAT:
            st = check_range(p, diag);
            break;
        case GLA_PARAM_ENUM:
            st = check_enum(p, diag);
            break;
        case GLA_PARAM_BOOL:
        case GLA_PARAM_LIST:
            break;
        default:
            st = gla__fail(diag, GLA_E_PLUGIN, "param %s: kind %" PRIu32 " is unknown", p->name,
                           p->kind);
        }
        if (st)
            return st;
    }
    return GLA_OK;
}

static gla_status check_desc(const gla_layer_desc *d, gla_diag *diag)
{
    const struct {
        const char *name;
        bool missing;
    } functions[] = {{"create", !d->create},
                     {"destroy", !d->destroy},
                     {"bind", !d->bind},
                     {"forward", !d->forward}};

    if (!good_type_id(d->type_id))
        return gla__fail(diag, GLA_E_PLUGIN,
                         "type_id '%s' is not of the form \"org.example.name/1\"",
                         d->type_id ? d->type_id : "");
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (functions[i].missing) {
            gla__fail(diag, GLA_E_PLUGIN, "function %s is missing", functions[i].name);
            gla__at(diag, d->type_id);
            return GLA_E_PLUGIN;
        }
    if (check_params(d, diag)) {
        gla__at(diag, d->type_id);
        return GLA_E_PLUGIN;
    }
    return GLA_OK;
}

static gla_status gla__entry_check_layers(const gla_plugin_entry *e, gla_diag *diag)
{
    for (uint32_t i = 0; i < e->n_layers; i++) {
        const gla_layer_desc *d = e->layers[i];
        gla_status st = GLA_OK;

        if (!d)
            st = gla__fail(diag, GLA_E_PLUGIN, "layers[%" PRIu32 "] is NULL", i);
        else if (d->struct_size < sizeof(*d))
            st = gla__fail(diag, GLA_E_ABI,
                           "layers[%" PRIu32 "]: struct_size is %" PRIu32 ", version 1.0 has %zu",
                           i, d->struct_size, sizeof(*d));
        else
            st = check_desc(d, diag);
        if (st) {
            gla__at(diag, e->name);
            return st;
        }
    }
    return GLA_OK;
}

int main(int argc, char **argv)
{
    char said[600];
    gla_diag diag = {{0}, {0}};
    void *file = argc == 2 || argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    const gla_plugin_entry *entry = file ? dlsym(file, GLA_PLUGIN_ENTRY_SYMBOL) : NULL;
    gla_status st;

    if (!entry) {
        fprintf(stderr, "no plugin: %s\n", argc > 1 ? argv[1] : "");
        return 2;
    }
    st = gla__entry_check(entry, &diag);
    if (!st)
        st = gla__entry_check_layers(entry, &diag);
    snprintf(said, sizeof(said), "%s%s", diag.where, diag.message);
    printf("%s: %s\n", argv[1], st ? said : "accepted");
    return argc == 3 ? !st || strcmp(said, argv[2]) != 0 : st != GLA_OK;
}
