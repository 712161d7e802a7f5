/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect_layers.c - layer types and their parameters, from the tables that declare them
 *
 * docs/layers.md and the parameters in docs/arch.schema.json are made of the JSON printed here
 * (docs/generate.sh).
 */
#include "gla-inspect/inspect.h"

#include <gla/plugin.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

static const struct {
    uint64_t flag;
    const char *name, *heading;
} places[] = {{GLA_LAYER_MIXER, "mixer", "Mixers"},
              {GLA_LAYER_FFN, "ffn", "Feed-forward networks"},
              {GLA_LAYER_NORM, "norm", "Norms"},
              {GLA_LAYER_EMBEDDING, "embedding", "Embeddings"},
              {GLA_LAYER_HEAD, "head", "Heads"}};
enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

/* What people write: "gla.attention/1" -> "attention", others without the revision. */
static const char *type_name(const gla_layer_desc *d, char buf[128])
{
    const char *id = strncmp(d->type_id, "gla.", 4) == 0 ? d->type_id + 4 : d->type_id;

    snprintf(buf, 128, "%.*s", (int)strcspn(id, "/"), id);
    return buf;
}

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {"", "integer", "number", "boolean", "word", "list"};

    return kind <= GLA_PARAM_LIST ? names[kind] : "";
}

static bool is_number(const gla_param_desc *p)
{
    return p->kind == GLA_PARAM_INT || p->kind == GLA_PARAM_FLOAT;
}

/* ---- JSON ------------------------------------------------------------------- */

static json_t *default_value(const gla_param_desc *p)
{
    if (p->required || p->kind == GLA_PARAM_LIST)
        return json_null();
    if (p->kind == GLA_PARAM_BOOL)
        return json_boolean(p->def != 0);
    if (p->kind == GLA_PARAM_ENUM)
        return cli_json_text(p->enum_values[(size_t)p->def]);
    return isfinite(p->def) ? cli_json_number(p->def) : json_string(p->def < 0 ? "-.inf" : ".inf");
}

static json_t *json_param(const gla_param_desc *p)
{
    json_t *o = json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", p->name, "kind", kind_name(p->kind),
                          "required", (int)p->required, "default", default_value(p), "help",
                          cli_json_text(p->help ? p->help : ""));
    json_t *words = json_array();

    if (is_number(p)) /* null: as small, or as large, as you like */
        cli_json_add(o, json_pack("{s:o, s:o}", "min", cli_json_number(p->min), "max",
                                  cli_json_number(p->max)));
    for (uint32_t i = 0; p->kind == GLA_PARAM_ENUM && p->enum_values[i]; i++)
        json_array_append_new(words, cli_json_text(p->enum_values[i]));
    if (p->kind == GLA_PARAM_ENUM)
        json_object_set(o, "words", words);
    json_decref(words);
    return o;
}

static json_t *json_layer(const gla_layer_desc *d)
{
    json_t *in = json_array(), *params = json_array();
    char name[128];

    for (size_t i = 0; i < N_PLACES; i++)
        if (d->flags & places[i].flag)
            json_array_append_new(in, json_string(places[i].name));
    for (uint32_t i = 0; i < d->n_params; i++)
        json_array_append_new(params, json_param(&d->params[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o}", "type", type_name(d, name), "id", d->type_id,
                     "summary", cli_json_text(d->summary ? d->summary : ""), "places", in,
                     "deterministic", (d->flags & GLA_LAYER_DETERMINISTIC) != 0, "parameters",
                     params);
}

/* ---- text ------------------------------------------------------------------- */

enum { INDENT = 26 };

static void print_types(const gla_registry *r)
{
    char name[128];

    for (size_t k = 0; k < N_PLACES; k++) {
        printf("%s%s\n", k ? "\n" : "", places[k].heading);
        for (uint32_t i = 0; i < gla_registry_count(r); i++) {
            const gla_layer_desc *d = gla_registry_get(r, i);

            if (!(d->flags & places[k].flag))
                continue;
            printf("  %-*s ", INDENT - 3, type_name(d, name));
            cli_print_wrapped(stdout, d->summary ? d->summary : "", INDENT, INDENT);
        }
    }
    printf("\ngla-inspect --layer TYPE says which parameters one takes.\n");
}

typedef struct line {
    char text[1024];
    size_t used;
} line;

__attribute__((format(printf, 2, 3))) static void add(line *l, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(l->text + l->used, sizeof(l->text) - l->used, format, args);
    va_end(args);
    l->used += n > 0 ? (size_t)n : 0;
    if (l->used >= sizeof(l->text))
        l->used = sizeof(l->text) - 1;
}

/* "(whole number 1 to 65536)" */
static void add_range(line *l, const gla_param_desc *p)
{
    if (p->kind == GLA_PARAM_LIST)
        add(l, " (list of numbers)");
    for (uint32_t i = 0; p->kind == GLA_PARAM_ENUM && p->enum_values[i]; i++)
        add(l, "%s%s%s", i ? ", " : " (", p->enum_values[i], p->enum_values[i + 1] ? "" : ")");
    if (!is_number(p))
        return;
    add(l, " (%snumber", p->kind == GLA_PARAM_INT ? "whole " : "");
    if (isfinite(p->min))
        add(l, " %s%.9g", isfinite(p->max) ? "" : "from ", p->min);
    if (isfinite(p->max))
        add(l, " %sto %.9g", isfinite(p->min) ? "" : "up ", p->max);
    add(l, ")");
}

/* "[default: 4]", as YAML writes it */
static void add_default(line *l, const gla_param_desc *p)
{
    if (p->required)
        add(l, " [required]");
    else if (p->kind == GLA_PARAM_BOOL)
        add(l, " [default: %s]", p->def != 0 ? "true" : "false");
    else if (p->kind == GLA_PARAM_ENUM)
        add(l, " [default: %s]", p->enum_values[(size_t)p->def]);
    else if (is_number(p) && isfinite(p->def))
        add(l, " [default: %.9g]", p->def);
    else if (is_number(p))
        add(l, " [default: %s.inf]", p->def < 0 ? "-" : "");
}

/* As YAML nests them: a line "rope:" where a mapping begins, its members below. */
static void print_params(const gla_layer_desc *d)
{
    const char *before = "";

    for (uint32_t i = 0; i < d->n_params; i++) {
        const gla_param_desc *p = &d->params[i];
        const char *member = p->name, *dot;
        line l = {.used = 0};
        int depth = 0;

        while ((dot = strchr(member, '.')) != NULL) {
            const size_t n = (size_t)(dot + 1 - p->name);

            depth++;
            if (strncmp(before, p->name, n) != 0)
                printf("%*s%.*s:\n", 2 * depth, "", (int)(dot - member), member);
            member = dot + 1;
        }
        before = p->name;
        add(&l, "%s", p->help ? p->help : "");
        add_range(&l, p);
        add_default(&l, p);
        printf("%*s%-*s ", 2 * depth + 2, "", INDENT - 3 - 2 * depth, member);
        cli_print_wrapped(stdout, l.text, INDENT, INDENT);
    }
}

static void print_layer(const gla_layer_desc *d)
{
    const char *separator = "";
    char name[128];

    printf("%s:", type_name(d, name));
    cli_print_wrapped(stdout, d->summary ? d->summary : "", strlen(name) + 1, 2);
    printf("  %s, ", d->type_id);
    for (size_t i = 0; i < N_PLACES; i++)
        if (d->flags & places[i].flag) {
            printf("%s%s", separator, places[i].name);
            separator = " or ";
        }
    printf(d->n_params ? "\n\n" : ", no parameters\n");
    print_params(d);
}

int inspect_layers(const char *type)
{
    const gla_layer_desc *d = NULL;
    gla_registry *r;
    gla_diag diag;
    int status = 0;

    if (cli_registry(&r, &diag))
        return cli_fail(&diag);
    d = type ? gla_registry_find(r, type) : NULL;
    if (type && !d) {
        cli_diag(&diag, GLA_E_NO_LAYER, "", "there is no layer type '%.200s'", type);
        cli_hint(&diag, "--layers lists them; --plugin FILE loads more");
        status = cli_fail(&diag);
    } else if (cli.json) {
        json_t *list = json_array();

        for (uint32_t i = 0; i < gla_registry_count(r); i++)
            if (!d || d == gla_registry_get(r, i))
                json_array_append_new(list, json_layer(gla_registry_get(r, i)));
        cli_json_print(json_pack("{s:s, s:o}", "schema", "gla.layers/1", "layers", list), 2);
    } else if (d) {
        print_layer(d);
    } else {
        print_types(r);
    }
    gla_registry_free(r);
    return status ? status : cli_finish(0);
}
