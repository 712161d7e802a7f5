/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/params.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/arch/words.h"

static const char *kind_name(uint32_t arch_kind)
{
    static const char *const names[] = {"nothing", "a number", "a boolean", "a word", "a list"};

    return arch_kind <= GLA_ARCH_LIST ? names[arch_kind] : names[0];
}

static const char *wanted_name(uint32_t param_kind)
{
    switch (param_kind) {
    case GLA_PARAM_INT:
        return "a whole number";
    case GLA_PARAM_FLOAT:
        return "a number";
    case GLA_PARAM_BOOL:
        return "true or false";
    case GLA_PARAM_ENUM:
        return "a word";
    default:
        return "a list of numbers";
    }
}

static gla_status wrong_kind(const gla_param_desc *p, const gla_arch_param *given, gla_diag *diag)
{
    return gla__fail(diag, GLA_E_SCHEMA, "'%s' is %s, %s expected", p->name, kind_name(given->kind),
                     wanted_name(p->kind));
}

static gla_status set_number(const gla_param_desc *p, double x, gla_param_value *v, gla_diag *diag)
{
    if (p->kind == GLA_PARAM_INT && (x != floor(x) || fabs(x) > 0x1p53))
        return gla__fail(diag, GLA_E_SCHEMA, "'%s' is %.17g, a whole number expected", p->name, x);
    if (!(x >= p->min && x <= p->max))
        return gla__fail(diag, GLA_E_SCHEMA, "'%s' is %.12g, from %.12g to %.12g allowed", p->name,
                         x, p->min, p->max);
    v->f = x;
    v->i = p->kind == GLA_PARAM_INT ? (int64_t)x : 0;
    return GLA_OK;
}

static gla_status set_enum(const gla_param_desc *p, const char *word, gla_param_value *v,
                           gla_diag *diag)
{
    char list[256];
    size_t used = 0;

    list[0] = '\0';
    for (int64_t i = 0; p->enum_values[i]; i++) {
        const int n =
            snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", p->enum_values[i]);

        if (!strcmp(p->enum_values[i], word)) {
            v->i = i;
            return GLA_OK;
        }
        used += n > 0 ? (size_t)n : 0;
        if (used >= sizeof(list))
            used = sizeof(list) - 1;
    }
    return gla__fail(diag, GLA_E_SCHEMA, "'%s' is '%s', one of %s expected", p->name, word, list);
}

static gla_status set_value(const gla_param_desc *p, const gla_arch_param *given,
                            gla_param_value *v, gla_diag *diag)
{
    v->is_set = 1;
    switch (p->kind) {
    case GLA_PARAM_INT:
    case GLA_PARAM_FLOAT:
        if (given->kind != GLA_ARCH_NUMBER)
            return wrong_kind(p, given, diag);
        return set_number(p, given->number, v, diag);
    case GLA_PARAM_BOOL:
        if (given->kind != GLA_ARCH_BOOL)
            return wrong_kind(p, given, diag);
        v->i = given->number != 0;
        return GLA_OK;
    case GLA_PARAM_ENUM:
        if (given->kind != GLA_ARCH_STRING)
            return wrong_kind(p, given, diag);
        return set_enum(p, given->string, v, diag);
    default:
        if (given->kind != GLA_ARCH_LIST)
            return wrong_kind(p, given, diag);
        v->list = given->list;
        v->n_list = given->n_list;
        return GLA_OK;
    }
}

static void set_default(const gla_param_desc *p, gla_param_value *v)
{
    if (p->kind == GLA_PARAM_INT || p->kind == GLA_PARAM_FLOAT)
        v->f = p->def;
    if (p->kind != GLA_PARAM_FLOAT && p->kind != GLA_PARAM_LIST)
        v->i = (int64_t)p->def;
}

uint32_t gla__param_index(const gla_layer_desc *desc, const char *name)
{
    for (uint32_t i = 0; i < desc->n_params; i++)
        if (!strcmp(desc->params[i].name, name))
            return i;
    return UINT32_MAX;
}

/* "a, b, c, ..." of the names that begin with this, without it. */
static void list_names(const char *const *names, uint32_t n, const char *begin, char list[100])
{
    const size_t length = strlen(begin);
    size_t used = 0;

    list[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        if (strncmp(names[i], begin, length) != 0)
            continue;
        if (used + strlen(names[i] + length) + sizeof(", , ...") > 100) {
            snprintf(list + used, 100 - used, ", ...");
            return;
        }
        used +=
            (size_t)snprintf(list + used, 100 - used, "%s%s", used ? ", " : "", names[i] + length);
    }
}

/* What there is instead. */
static void hint_params(const char *type, const char *const *names, uint32_t n, const char *given,
                        gla_diag *diag)
{
    static const char *const of_model[] = {"d_model", "layers", "max_positions", "tie_embeddings",
                                           "weights"};
    char begin[72], list[100];
    const char *near, *how;

    snprintf(begin, sizeof(begin), "%.64s.", given);
    list_names(names, n, begin, list);
    if (list[0]) {
        gla__hint(diag, "it is a mapping of %s", list);
        return;
    }
    near = gla__meant(given, names, n, &how);
    if (near) {
        gla__hint(diag, "did you mean '%s'? gla_registry_find() of %.40s lists them", near, type);
        return;
    }
    near = gla__meant(given, of_model, sizeof(of_model) / sizeof(of_model[0]), &how);
    list_names(names, n, "", list);
    if (near)
        gla__hint(diag, "'%s' says it, for the whole model", near);
    else if (n)
        gla__hint(diag, "it has %s; gla_registry_find() of %.40s lists them", list, type);
}

static gla_status unknown_param(const gla_layer_desc *desc, const gla_arch_layer *layer,
                                const gla_arch_param *given, gla_diag *diag)
{
    const char *names[256]; /* the registry allows no more */

    for (uint32_t i = 0; i < desc->n_params; i++)
        names[i] = desc->params[i].name;
    gla__fail(diag, GLA_E_SCHEMA, "layer type '%s' has no parameter '%s'", layer->type,
              given->name);
    hint_params(layer->type, names, desc->n_params, given->name, diag);
    return GLA_E_SCHEMA;
}

gla_status gla__params_resolve(const gla_layer_desc *desc, const gla_arch_layer *layer,
                               gla_param_value **values, gla_diag *diag)
{
    gla_param_value *v = gla__alloc_array(desc->n_params + 1u, sizeof(*v));
    gla_status st = GLA_OK;
    uint32_t line = layer->line, column = layer->column;

    *values = NULL;
    if (!v)
        return gla__fail_nomem(diag, "parameters");
    for (uint32_t i = 0; i < desc->n_params; i++)
        set_default(&desc->params[i], &v[i]);
    for (uint32_t i = 0; i < layer->n_params && !st; i++) {
        const gla_arch_param *given = &layer->params[i];
        const uint32_t index = gla__param_index(desc, given->name);

        st = index == UINT32_MAX ? unknown_param(desc, layer, given, diag)
                                 : set_value(&desc->params[index], given, &v[index], diag);
        if (st && given->line) {
            line = given->line;
            column = given->column;
        }
    }
    for (uint32_t i = 0; i < desc->n_params && !st; i++)
        if (desc->params[i].required && !v[i].is_set) {
            st = gla__fail(diag, GLA_E_SCHEMA, "layer type '%s' needs '%s' (%s)", layer->type,
                           desc->params[i].name, desc->params[i].help ? desc->params[i].help : "");
        }
    if (st) {
        gla__at_line(diag, line, column);
        gla__free(v);
        return st;
    }
    *values = v;
    return GLA_OK;
}
