/* SPDX-License-Identifier: Apache-2.0
 *
 * check_model.c - a small model with the layer in it
 */
#include <string.h>

#include "gla-check/check.h"

enum { TEXT = CHECK_TEXT };

static bool varies(const gla_param_desc *p)
{
    return p->kind == GLA_PARAM_BOOL || p->kind == GLA_PARAM_ENUM;
}

static uint32_t n_values(const gla_param_desc *p)
{
    uint32_t n = 2; /* a boolean */

    if (p->kind == GLA_PARAM_ENUM)
        for (n = 0; p->enum_values[n]; n++)
            ;
    return n;
}

uint32_t check_variants(const gla_layer_desc *d)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->n_params; i++)
        if (varies(&d->params[i]))
            n += n_values(&d->params[i]) - (d->params[i].required ? 0 : 1);
    return n < CHECK_MOST_VARIANTS ? n : CHECK_MOST_VARIANTS;
}

static double clamp(double x, const gla_param_desc *p)
{
    return x < p->min ? p->min : x > p->max ? p->max : x;
}

/* "name: value" of the switch that this variant turns. */
void check_variant_name(char *text, size_t size, const gla_layer_desc *d, uint32_t variant)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < d->n_params; i++) {
        const gla_param_desc *p = &d->params[i];
        const uint32_t n = varies(p) ? n_values(p) : 0;

        for (uint32_t v = 0; v < n; v++)
            if ((p->required || v != (uint32_t)p->def) && !--variant) {
                snprintf(text, size, "%.64s: %.64s", p->name,
                         p->kind == GLA_PARAM_ENUM ? p->enum_values[v]
                         : v                       ? "true"
                                                   : "false");
                return;
            }
    }
}

/* Appends ", name: value" for what is required, and for the switch that this variant turns. */
static void write_params(char *text, size_t size, const gla_layer_desc *d, uint32_t variant)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < d->n_params && used + 200 < size; i++) {
        const gla_param_desc *p = &d->params[i];
        const uint32_t n = varies(p) ? n_values(p) : 0;
        uint32_t value = 0;
        bool set = p->required != 0;

        for (uint32_t v = 0; v < n; v++)
            if ((p->required || v != (uint32_t)p->def) && variant && !--variant) {
                value = v;
                set = true;
            }
        if (!set)
            continue;
        used += (size_t)snprintf(text + used, size - used, ", %.64s: ", p->name);
        if (p->kind == GLA_PARAM_BOOL)
            used += (size_t)snprintf(text + used, size - used, "%s", value ? "true" : "false");
        else if (p->kind == GLA_PARAM_ENUM)
            used += (size_t)snprintf(text + used, size - used, "\"%.64s\"", p->enum_values[value]);
        else if (p->kind == GLA_PARAM_LIST)
            used += (size_t)snprintf(text + used, size - used, "[1]");
        else
            used += (size_t)snprintf(text + used, size - used, "%.12g",
                                     clamp(p->kind == GLA_PARAM_INT ? 4 : 1, p));
    }
}

static gla_status make_arch(const check *c, const gla_layer_desc *d, gla_arch **out, gla_diag *diag)
{
    const bool mixer = c->place == GLA_LAYER_MIXER, ffn = c->place == GLA_LAYER_FFN;
    char params[TEXT / 2], layer[TEXT / 2 + 256], place[TEXT / 2 + 300] = "", text[2 * TEXT];
    int n;

    write_params(params, sizeof(params), d, c->variant);
    snprintf(layer, sizeof(layer), "{type: %s%s}", c->type, params);
    if (!mixer && !ffn)
        snprintf(place, sizeof(place), "%s: %s\n",
                 c->place == GLA_LAYER_NORM        ? "norm"
                 : c->place == GLA_LAYER_EMBEDDING ? "embedding"
                                                   : "head",
                 layer);
    n = snprintf(text, sizeof(text),
                 "gla: 1\nname: check\nvocab_size: %d\nd_model: %u\nmax_positions: 4096\n%s"
                 "blocks:\n  a: {mixer: %s, ffn: %s}\nlayers: 2*a\n",
                 CHECK_VOCAB, c->width, place, mixer ? layer : "{type: gla, heads: 2}",
                 ffn ? layer : "{type: mlp, d_ff: 40}");
    return gla_arch_parse(text, (size_t)n, "the model of the check", out, diag);
}

/* The layer, found in a registry that has loaded the plugin. */
static gla_status load(const check *c, gla_registry **r, const gla_layer_desc **d, gla_diag *diag)
{
    gla_status st = gla_registry_create(NULL, r, diag);

    if (!st)
        st = gla_registry_load(*r, c->path, diag);
    *d = st ? NULL : gla_registry_find(*r, c->type);
    if (!st && !*d)
        st = cli_diag(diag, GLA_E_NO_LAYER, c->type, "not there when loaded again");
    return st;
}

gla_status check_model(const check *c, gla_model **out, uint64_t *flags, gla_diag *diag)
{
    gla_model_options o = {GLA_SIZED(gla_model_options), .max_batch_rows = 64,
                           .max_sequences = 4,           .weights_dtype = c->dtype,
                           .kv_dtype = GLA_DTYPE_F32,    .seed = 1};
    const gla_layer_desc *d;
    gla_arch *arch = NULL;
    gla_status st = load(c, &o.registry, &d, diag);

    *out = NULL;
    *flags = 0;
    if (!st) {
        *flags = d->flags;
        check_watch_malloc(d);
        st = make_arch(c, d, &arch, diag);
    }
    if (!st)
        st = gla_model_random(arch, &o, out, diag);
    gla_arch_free(arch);
    gla_registry_free(o.registry);
    return st;
}

/* ---- widths ---- */

/* Tails of vectors: 20 and 52 are no multiple of 8, 24 and 72 none of 16.  Numbers of heads divide
 * them; where they do not, a width that they divide is better than none. */
static const uint32_t widths[] = {20, 52, 24, 72, 48, 112, 64, 128, 256};

/* create() says whether it can be as wide as that. */
static bool takes_width(const check *c, gla_registry *r, const gla_layer_desc *d)
{
    gla_description *made = NULL;
    gla_arch *arch = NULL;
    gla_diag diag;
    const bool ok = !make_arch(c, d, &arch, &diag) && !gla_describe(arch, r, &made, &diag);

    gla_description_free(made);
    gla_arch_free(arch);
    return ok;
}

int check_widths(const check *c)
{
    gla_diag diag = {.offset = UINT64_MAX};
    gla_registry *r = NULL;
    const gla_layer_desc *d;
    uint32_t found = 0;
    check at = *c;

    if (load(c, &r, &d, &diag)) {
        gla_registry_free(r);
        return check_say_diag(&diag);
    }
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]) && found < 2; i++) {
        at.width = widths[i];
        if (takes_width(&at, r, d))
            found += (uint32_t)check_say("%s%u", found ? " " : "", at.width);
    }
    if (!found)
        check_say("%u", widths[0]); /* and the checks say what is wrong */
    gla_registry_free(r);
    return 0;
}
