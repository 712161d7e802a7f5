/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/entry_check.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/struct.h"

enum {
    MAX_LAYERS = 1024,
    MAX_PARAMS = 256,
    MAX_ENUM = 256,
    MAX_TYPE_ID = 127,
    MAX_LAYER_BYTES = 1 << 20
};

static gla_status check_number(const char *field, uint64_t is, uint64_t want, gla_diag *diag)
{
    if (is == want)
        return GLA_OK;
    return gla__fail(diag, GLA_E_ABI, "%s is %" PRIu64 ", this program has %" PRIu64, field, is,
                     want);
}

static gla_status check_at_least(const char *field, uint64_t is, size_t first, gla_diag *diag)
{
    if (is >= first)
        return GLA_OK;
    return gla__fail(diag, GLA_E_ABI, "%s is %" PRIu64 ", version 1.0 has %zu", field, is, first);
}

gla_status gla__entry_check(const gla_plugin_entry *e, gla_diag *diag)
{
    const struct {
        const char *field;
        uint32_t is;
        size_t first, ours;
    } sizes[] = {
        {"tensor_size", e->tensor_size, GLA__FIRST(gla_tensor), sizeof(gla_tensor)},
        {"batch_size", e->batch_size, GLA__FIRST(gla_batch), sizeof(gla_batch)},
        {"math_size", e->math_size, GLA__FIRST(gla_math), sizeof(gla_math)},
        {"layer_desc_size", e->layer_desc_size, GLA__FIRST(gla_layer_desc), sizeof(gla_layer_desc)},
    };
    gla_status st;

    if (e->magic != GLA_PLUGIN_MAGIC)
        return gla__fail(diag, GLA_E_ABI, "magic is 0x%08" PRIx32 ", a plugin has 0x%08" PRIx32,
                         e->magic, GLA_PLUGIN_MAGIC);
    st = check_at_least("struct_size", e->struct_size, GLA__FIRST(gla_plugin_entry), diag);
    if (!st)
        st = check_number("abi_major", e->abi_major, GLA_ABI_MAJOR, diag);
    if (!st)
        st = check_number("pointer_bytes", e->pointer_bytes, sizeof(void *), diag);
    if (!st)
        st = check_number("max_dims", e->max_dims, GLA_MAX_DIMS, diag);
    /* Within a major these only grow, and by a minor: a plugin that knows more than we do must not
     * rely on it, one that knows less reads the beginning. */
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !st; i++)
        st = e->abi_minor == GLA_ABI_MINOR
                 ? check_number(sizes[i].field, sizes[i].is, sizes[i].ours, diag)
                 : check_at_least(sizes[i].field, sizes[i].is, sizes[i].first, diag);
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

/* A layer owns its object, as in 1.0, or leaves it to the host. */
static gla_status check_functions(const gla_layer_desc *d, gla_diag *diag)
{
    const bool hosts = d->layer_bytes || d->make;
    const struct {
        const char *name;
        bool given, wanted;
    } functions[] = {{"create", d->create != NULL, !hosts},
                     {"destroy", d->destroy != NULL, !hosts},
                     {"bind", d->bind != NULL, !hosts},
                     {"make", d->make != NULL, hosts},
                     {"forward", d->forward != NULL, true}};

    if (hosts && (d->layer_bytes < sizeof(void *) || d->layer_bytes > MAX_LAYER_BYTES))
        return gla__fail(diag, GLA_E_PLUGIN, "layer_bytes is %zu, %zu to %d expected",
                         d->layer_bytes, sizeof(void *), MAX_LAYER_BYTES);
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (functions[i].given != functions[i].wanted)
            return gla__fail(diag, GLA_E_PLUGIN, "function %s %s", functions[i].name,
                             functions[i].wanted
                                 ? "is missing"
                                 : "does not go with layer_bytes: the host owns the object");
    return GLA_OK;
}

static gla_status check_desc(const gla_layer_desc *d, gla_diag *diag)
{
    if (!good_type_id(d->type_id))
        return gla__fail(diag, GLA_E_PLUGIN,
                         "type_id '%s' is not of the form \"org.example.name/1\"",
                         d->type_id ? d->type_id : "");
    if (check_functions(d, diag) || check_params(d, diag)) {
        gla__at(diag, d->type_id);
        return GLA_E_PLUGIN;
    }
    return GLA_OK;
}

/* Our copy of a descriptor, with both tables of parameters in one. */
static gla_status take_desc(const gla_plugin_entry *e, const gla_layer_desc *given,
                            gla_layer_desc *d, gla_diag *diag)
{
    const char *own;
    gla_param_desc *params;
    gla_status st;
    size_t stride;

    gla__take(d, sizeof(*d), given, given->struct_size);
    own = (const char *)d->params;
    d->params = NULL;
    d->struct_size = (uint32_t)sizeof(*d);
    d->tensor_size = d->tensor_size ? d->tensor_size : e->tensor_size;
    d->value_size = d->value_size ? d->value_size : (uint32_t)GLA__FIRST(gla_param_value);
    stride = d->param_size ? d->param_size : GLA__FIRST(gla_param_desc);
    if (d->n_params > MAX_PARAMS || d->n_more > MAX_PARAMS - d->n_params || (d->n_params && !own) ||
        (d->n_more && !d->more))
        return gla__fail(diag, GLA_E_PLUGIN, "n_params is %" PRIu64 ", at most %d allowed",
                         (uint64_t)d->n_params + d->n_more, MAX_PARAMS);
    st = check_at_least("param_size", stride, GLA__FIRST(gla_param_desc), diag);
    if (!st)
        st = check_at_least("value_size", d->value_size, GLA__FIRST(gla_param_value), diag);
    if (!st)
        st = check_at_least("tensor_size", d->tensor_size, GLA__FIRST(gla_tensor), diag);
    if (st)
        return st;
    params = gla__alloc_array(d->n_params + d->n_more + 1u, sizeof(*params));
    if (!params)
        return gla__fail_nomem(diag, "a layer type");
    for (uint32_t i = 0; i < d->n_params; i++)
        gla__take(&params[i], sizeof(*params), own + i * stride, stride);
    for (uint32_t i = 0; i < d->n_more; i++)
        gla__take(&params[d->n_params + i], sizeof(*params), (const char *)d->more + i * stride,
                  stride);
    d->params = params;
    d->n_params += d->n_more;
    d->more = NULL;
    d->n_more = 0;
    d->param_size = (uint32_t)sizeof(*params);
    return GLA_OK;
}

gla_status gla__entry_take_layer(const gla_plugin_entry *e, uint32_t i, gla_layer_desc *out,
                                 gla_diag *diag)
{
    const gla_layer_desc *given = e->layers[i];
    gla_status st;

    *out = (gla_layer_desc){0};
    if (!given)
        st = gla__fail(diag, GLA_E_PLUGIN, "layers[%" PRIu32 "] is NULL", i);
    else if (given->struct_size < GLA__FIRST(gla_layer_desc))
        st = gla__fail(diag, GLA_E_ABI,
                       "layers[%" PRIu32 "]: struct_size is %" PRIu32 ", version 1.0 has %zu", i,
                       given->struct_size, GLA__FIRST(gla_layer_desc));
    else
        st = take_desc(e, given, out, diag);
    if (!st)
        st = check_desc(out, diag);
    if (st) {
        gla__at(diag, e->name);
        gla__entry_free_layer(out);
    }
    return st;
}

void gla__entry_free_layer(gla_layer_desc *d)
{
    gla__free((void *)(uintptr_t)d->params);
    d->params = NULL;
}
