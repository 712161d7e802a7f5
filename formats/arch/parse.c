/* SPDX-License-Identifier: Apache-2.0
 *
 * arch.yaml -> gla_arch.  yaml.c makes a tree, here it gets its meaning; docs/arch-yaml.md has the
 * schema. */
#include <gla/weights.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/io.h"
#include "formats/arch/form.h"
#include "formats/arch/words.h"
#include "formats/text/number.h"
#include "formats/text/yaml.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *const gla__norm_at_names[5] = {"pre", "post", "sandwich", "residual", "none"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool gla__is_block_name(const char *text, size_t n)
{
    if (!n || n > GLA__ARCH_MAX_NAME || !is_letter(text[0]))
        return false;
    for (size_t i = 1; i < n; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '-')
            return false;
    }
    return true;
}

bool gla__is_param_name(const char *text)
{
    bool word_start = true;
    size_t n = 0;

    for (; text[n]; n++) {
        if (n >= GLA__ARCH_MAX_NAME)
            return false;
        if (word_start ? !is_letter(text[n])
                       : !is_letter(text[n]) && !is_digit(text[n]) && text[n] != '.')
            return false;
        word_start = text[n] == '.';
    }
    return n && !word_start;
}

/* ---- places -------------------------------------------------------------- */

static gla_status at_value(const gla__yaml *n, gla_status st, gla_diag *diag)
{
    gla__at_line(diag, n->line, n->column);
    return st;
}

static gla_status at_key(const gla__yaml *n, gla_status st, gla_diag *diag)
{
    gla__at_line(diag, n->key_line, n->key_column);
    return st;
}

static gla_status expected(const gla__yaml *n, const char *what, gla_diag *diag)
{
    const bool scalar = n->kind == GLA__YAML_SCALAR;
    const bool empty = scalar && !n->length;

    return at_value(n,
                    gla__fail(diag, GLA_E_SCHEMA, "%s%s%s must be %s, not %s%.60s%s",
                              n->key ? "\"" : "", n->key ? n->key : "this", n->key ? "\"" : "",
                              what, scalar && !empty ? "\"" : "",
                              empty    ? "empty"
                              : scalar ? n->text
                                       : gla__yaml_kind_name(n),
                              scalar && !empty ? "\"" : ""),
                    diag);
}

static void suggest(const char *word, const char *const *known, size_t n, gla_diag *diag)
{
    const char *how, *meant = gla__meant(word, known, n, &how);

    if (meant)
        gla__hint(diag, "did you mean \"%s\"?", meant);
}

/* A mapping whose keys are all known. */
static gla_status check_map(const gla__yaml *map, const char *const *known, size_t n,
                            gla_diag *diag)
{
    if (map->kind != GLA__YAML_MAP)
        return expected(map, "a mapping", diag);
    for (const gla__yaml *c = map->first; c; c = c->next) {
        size_t i = 0;

        while (i < n && strcmp(known[i], c->key))
            i++;
        if (i == n) {
            gla__fail(diag, GLA_E_SCHEMA, "unknown key \"%.100s\"", c->key);
            suggest(c->key, known, n, diag);
            return at_key(c, GLA_E_SCHEMA, diag);
        }
    }
    return GLA_OK;
}

/* ---- values: absent leaves *out alone -------------------------------------- */

static gla_status read_u32(const gla__yaml *n, uint32_t min, uint32_t max, uint32_t *out,
                           gla_diag *diag)
{
    uint64_t v;
    char what[64];

    if (!n)
        return GLA_OK;
    if (n->kind != GLA__YAML_SCALAR || !n->plain || !gla__parse_u64(n->text, n->length, &v) ||
        v < min || v > max) {
        snprintf(what, sizeof(what), "a whole number from %" PRIu32 " to %" PRIu32, min, max);
        return expected(n, what, diag);
    }
    *out = (uint32_t)v;
    return GLA_OK;
}

static gla_status read_double(const gla__yaml *n, double *out, gla_diag *diag)
{
    double v;

    if (!n)
        return GLA_OK;
    if (n->kind != GLA__YAML_SCALAR || !n->plain || !gla__parse_f64(n->text, n->length, &v))
        return expected(n, "a number", diag);
    *out = v;
    return GLA_OK;
}

static bool is_word(const gla__yaml *n, const char *word)
{
    return n->kind == GLA__YAML_SCALAR && n->plain && !strcmp(n->text, word);
}

static gla_status read_bool(const gla__yaml *n, uint32_t *out, gla_diag *diag)
{
    if (!n)
        return GLA_OK;
    if (!is_word(n, "true") && !is_word(n, "false"))
        return expected(n, "true or false", diag);
    *out = n->text[0] == 't';
    return GLA_OK;
}

static gla_status read_text(const gla__yaml *n, char **out, gla_diag *diag)
{
    char *copy;

    if (!n)
        return GLA_OK;
    if (n->kind != GLA__YAML_SCALAR || !n->length)
        return expected(n, "text", diag);
    copy = gla__strdup(n->text);
    if (!copy)
        return gla__fail_nomem(diag, "text");
    gla__free(*out);
    *out = copy;
    return GLA_OK;
}

static gla_status read_choice(const gla__yaml *n, const char *const *names, size_t count,
                              uint32_t *out, gla_diag *diag)
{
    gla_status st;

    if (!n)
        return GLA_OK;
    for (size_t i = 0; i < count; i++) {
        if (n->kind == GLA__YAML_SCALAR && !strcmp(n->text, names[i])) {
            *out = (uint32_t)i;
            return GLA_OK;
        }
    }
    st = expected(n, "one of the known words", diag);
    if (n->kind == GLA__YAML_SCALAR)
        suggest(n->text, names, count, diag);
    if (diag && !diag->hint[0]) {
        char list[sizeof(diag->hint)] = "";

        for (size_t i = 0, used = 0; i < count && used < sizeof(list); i++)
            used +=
                (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
        gla__hint(diag, "known are %s", list);
    }
    return st;
}

static gla_status read_weights_dtype(const gla__yaml *n, uint32_t *out, gla_diag *diag)
{
    static const char *const names[] = {"f32", "bf16", "f16", "int8", "int4"};
    uint32_t i = 0;
    gla_status st = read_choice(n, names, COUNT(names), &i, diag);

    if (!st && n)
        *out = gla_dtype_parse(names[i]);
    return st;
}

/* ---- layers -------------------------------------------------------------- */

static gla_status read_list_param(gla_arch_layer *l, const char *name, const gla__yaml *n,
                                  gla_diag *diag)
{
    double *list = gla__alloc_array(n->count ? n->count : 1, sizeof(*list));
    gla_status st = list ? GLA_OK : gla__fail_nomem(diag, "a list");
    uint32_t count = 0;

    for (const gla__yaml *c = n->first; !st && c; c = c->next)
        st = read_double(c, &list[count++], diag);
    if (!st)
        st = gla_arch_set_list(l, name, list, count, diag);
    gla__free(list);
    return st;
}

static gla_status read_scalar_param(gla_arch_layer *l, const char *name, const gla__yaml *n,
                                    gla_diag *diag)
{
    double number;

    if (n->plain && (!n->length || is_word(n, "null") || is_word(n, "~")))
        return expected(n, "a value", diag);
    if (is_word(n, "true") || is_word(n, "false"))
        return gla_arch_set_bool(l, name, n->text[0] == 't', diag);
    if (n->plain && gla__parse_f64(n->text, n->length, &number))
        return gla_arch_set_number(l, name, number, diag);
    return gla_arch_set_string(l, name, n->text, diag);
}

/* One value of a layer's mapping, or, for a nested mapping, its values under dotted names.  The
 * depth of recursion is the depth of the YAML: at most 32, and a name has at most 63 bytes. */
static gla_status read_param(gla_arch_layer *l, const char *prefix, const gla__yaml *n,
                             gla_diag *diag)
{
    char name[2 * GLA__ARCH_MAX_NAME + 2];
    gla_status st;

    if (snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", n->key) >
            (int)GLA__ARCH_MAX_NAME ||
        !gla__is_param_name(name))
        return at_key(n,
                      gla__fail(diag, GLA_E_SCHEMA,
                                "\"%.70s\" is no parameter name (letters, digits and '_', at most "
                                "63)",
                                name),
                      diag);
    if (n->kind == GLA__YAML_MAP) {
        if (!n->count)
            return at_value(n, gla__fail(diag, GLA_E_SCHEMA, "\"%s\" is an empty mapping", name),
                            diag);
        st = GLA_OK;
        for (const gla__yaml *c = n->first; !st && c; c = c->next)
            st = read_param(l, name, c, diag);
        return st;
    }
    if (gla_arch_param_find(l, name))
        return at_key(n, gla__fail(diag, GLA_E_SCHEMA, "duplicate parameter \"%s\"", name), diag);
    if (l->n_params >= GLA__ARCH_MAX_PARAMS)
        return at_key(n, gla__fail(diag, GLA_E_LIMIT, "more than 1024 parameters"), diag);
    st = n->kind == GLA__YAML_LIST ? read_list_param(l, name, n, diag)
                                   : read_scalar_param(l, name, n, diag);
    if (!st) {
        l->params[l->n_params - 1].line = n->key_line;
        l->params[l->n_params - 1].column = n->key_column;
    }
    return st;
}

typedef enum layer_place { IN_BLOCK, ELSEWHERE } layer_place;

static bool is_type_name(const gla__yaml *n)
{
    if (n->kind != GLA__YAML_SCALAR || !n->length || n->length > 255)
        return false;
    for (size_t i = 0; i < n->length; i++) {
        const char c = n->text[i];

        if (!is_letter(c) && !is_digit(c) && c != '.' && c != '/' && c != '-')
            return false;
    }
    return true;
}

/* `type`, or {type: ..., parameters}.  Only in blocks are there multipliers. */
static gla_status read_layer(const gla__yaml *n, const char *default_type, layer_place place,
                             gla_arch_layer *l, gla_diag *diag)
{
    const gla__yaml *type;
    gla_status st = GLA_OK;

    if (!n)
        return GLA_OK;
    if (n->kind == GLA__YAML_LIST)
        return expected(n, "a type or a mapping {type: ..., parameters}", diag);
    type = n->kind == GLA__YAML_MAP ? gla__yaml_get(n, "type") : n;
    if (type && !is_type_name(type))
        return expected(type, "the name of a layer type", diag);
    if (!type && !default_type)
        return at_value(n, gla__fail(diag, GLA_E_SCHEMA, "\"type\" is missing"), diag);
    st = gla_arch_layer_init(l, type ? type->text : default_type, diag);
    if (st)
        return st;
    l->line = n->line;
    l->column = n->column;
    for (const gla__yaml *c = n->first; !st && c; c = c->next) {
        if (c == type)
            continue;
        if (place == IN_BLOCK && !strcmp(c->key, "in_multiplier"))
            st = read_double(c, &l->in_multiplier, diag);
        else if (place == IN_BLOCK && !strcmp(c->key, "out_multiplier"))
            st = read_double(c, &l->out_multiplier, diag);
        else
            st = read_param(l, "", c, diag);
    }
    return st;
}

/* ---- blocks -------------------------------------------------------------- */

static gla_status read_mixers(const gla__yaml *n, gla_arch_block *b, gla_diag *diag)
{
    gla_status st = GLA_OK;

    if (!n)
        return GLA_OK;
    if (n->kind != GLA__YAML_LIST) {
        b->n_mixers = 1;
        return read_layer(n, NULL, IN_BLOCK, &b->mixers[0], diag);
    }
    if (!n->count || n->count > GLA_ARCH_MAX_PARALLEL)
        return at_value(n,
                        gla__fail(diag, GLA_E_SCHEMA,
                                  "%" PRIu32 " parallel mixers: there must be 1 to %d", n->count,
                                  GLA_ARCH_MAX_PARALLEL),
                        diag);
    for (const gla__yaml *c = n->first; !st && c; c = c->next)
        st = read_layer(c, NULL, IN_BLOCK, &b->mixers[b->n_mixers++], diag);
    return st;
}

/* A number for both branches, or {mixer: x, ffn: y}. */
static gla_status read_multiplier(const gla__yaml *n, double *mixer, double *ffn, gla_diag *diag)
{
    static const char *const keys[] = {"mixer", "ffn"};
    gla_status st;

    if (!n)
        return GLA_OK;
    if (n->kind == GLA__YAML_SCALAR) {
        st = read_double(n, mixer, diag);
        *ffn = *mixer;
        return st;
    }
    st = check_map(n, keys, COUNT(keys), diag);
    if (!st)
        st = read_double(gla__yaml_get(n, "mixer"), mixer, diag);
    if (!st)
        st = read_double(gla__yaml_get(n, "ffn"), ffn, diag);
    return st;
}

static gla_status read_block(const gla__yaml *n, gla_arch *arch, gla_diag *diag)
{
    static const char *const keys[] = {
        "mixer", "ffn", "norm", "norm_at", "skip_multiplier", "weights", "residual_multiplier"};
    gla_arch_block *b;
    gla_status st;

    if (!gla__is_block_name(n->key, strlen(n->key)))
        return at_key(n,
                      gla__fail(diag, GLA_E_SCHEMA,
                                "\"%.70s\" is no block name (a letter, then letters, digits, '_' "
                                "and '-', at most 63)",
                                n->key),
                      diag);
    st = check_map(n, keys, COUNT(keys), diag);
    if (!st)
        st = gla_arch_add_block(arch, n->key, &b, diag);
    if (st)
        return st;
    b->line = n->key_line;
    b->column = n->key_column;
    st = read_mixers(gla__yaml_get(n, "mixer"), b, diag);
    if (!st)
        st = read_layer(gla__yaml_get(n, "ffn"), NULL, IN_BLOCK, &b->ffn, diag);
    if (!st)
        st = read_layer(gla__yaml_get(n, "norm"), NULL, ELSEWHERE, &b->norm, diag);
    if (!st)
        st = read_choice(gla__yaml_get(n, "norm_at"), gla__norm_at_names, 5, &b->norm_at, diag);
    if (!st)
        st = read_multiplier(gla__yaml_get(n, "skip_multiplier"), &b->mixer_skip, &b->ffn_skip,
                             diag);
    if (!st)
        st = read_multiplier(gla__yaml_get(n, "residual_multiplier"), &b->mixer_residual,
                             &b->ffn_residual, diag);
    if (!st)
        st = read_weights_dtype(gla__yaml_get(n, "weights"), &b->weights_dtype, diag);
    if (!st && !b->n_mixers && !b->ffn.type)
        st = at_key(n,
                    gla__fail(diag, GLA_E_SCHEMA, "block \"%s\" has neither mixer nor ffn", n->key),
                    diag);
    return st;
}

static gla_status read_blocks(const gla__yaml *n, gla_arch *arch, gla_diag *diag)
{
    gla_status st = GLA_OK;

    if (n->kind != GLA__YAML_MAP || !n->count)
        return expected(n, "a mapping of named blocks", diag);
    for (const gla__yaml *c = n->first; !st && c; c = c->next)
        st = read_block(c, arch, diag);
    return st;
}

/* ---- the list of layers ---------------------------------------------------- */

typedef struct layer_list {
    uint32_t *items; /* [GLA__ARCH_MAX_LAYERS] */
    uint32_t n;
} layer_list;

static gla_status find_block(const gla_arch *arch, const gla__yaml *n, const char *name,
                             size_t length, uint32_t *out, gla_diag *diag)
{
    const char *nearest = NULL;
    char word[GLA__ARCH_MAX_NAME + 1];

    for (uint32_t i = 0; i < arch->n_blocks; i++) {
        if (strlen(arch->blocks[i].name) == length && !memcmp(arch->blocks[i].name, name, length)) {
            *out = i;
            return GLA_OK;
        }
    }
    snprintf(word, sizeof(word), "%.*s", (int)(length > 63 ? 63 : length), name);
    gla__fail(diag, GLA_E_SCHEMA, "there is no block \"%s\"", word);
    for (uint32_t i = 0; i < arch->n_blocks && !nearest; i++) {
        const char *candidate = arch->blocks[i].name;

        nearest = gla__nearest(word, &candidate, 1);
    }
    if (nearest)
        gla__hint(diag, "did you mean \"%s\"?", nearest);
    else
        gla__hint(diag, "define it under \"blocks\"");
    return at_value(n, GLA_E_SCHEMA, diag);
}

static gla_status too_many_layers(const gla__yaml *n, uint64_t count, gla_diag *diag)
{
    return at_value(n,
                    gla__fail(diag, GLA_E_LIMIT, "%" PRIu64 " layers, at most %u allowed", count,
                              GLA__ARCH_MAX_LAYERS),
                    diag);
}

/* "3*lin + attn": terms joined by '+', each a name or COUNT*name. */
static gla_status read_pattern_text(const gla__yaml *n, const gla_arch *arch, layer_list *list,
                                    gla_diag *diag)
{
    const char *p = n->text;
    gla_status st;

    for (;;) {
        const char *start;
        uint64_t count = 1;
        uint32_t block;

        p += strspn(p, " ");
        start = p;
        p += strspn(p, "0123456789");
        if (p > start) {
            const bool ok = gla__parse_u64(start, (size_t)(p - start), &count) && count;

            p += strspn(p, " ");
            if (!ok || *p++ != '*')
                return expected(n, "a pattern such as 3*lin + attn", diag);
            p += strspn(p, " ");
        }
        start = p;
        while (is_letter(*p) || is_digit(*p) || *p == '-')
            p++;
        if (!gla__is_block_name(start, (size_t)(p - start)))
            return expected(n, "a pattern such as 3*lin + attn", diag);
        st = find_block(arch, n, start, (size_t)(p - start), &block, diag);
        if (st)
            return st;
        if (count > GLA__ARCH_MAX_LAYERS - list->n)
            return too_many_layers(n, count > GLA__ARCH_MAX_LAYERS ? count : list->n + count, diag);
        for (uint64_t i = 0; i < count; i++)
            list->items[list->n++] = block;
        p += strspn(p, " ");
        if (!*p)
            return GLA_OK;
        if (*p++ != '+')
            return expected(n, "a pattern such as 3*lin + attn", diag);
    }
}

static gla_status read_pattern(const gla__yaml *n, const gla_arch *arch, layer_list *list,
                               gla_diag *diag)
{
    gla_status st = GLA_OK;

    if (n->kind == GLA__YAML_SCALAR)
        return read_pattern_text(n, arch, list, diag);
    if (n->kind != GLA__YAML_LIST || !n->count)
        return expected(n, "a list of block names or a pattern such as 3*lin + attn", diag);
    for (const gla__yaml *c = n->first; !st && c; c = c->next) {
        if (c->kind != GLA__YAML_SCALAR)
            return expected(c, "a block name", diag);
        st = read_pattern_text(c, arch, list, diag);
    }
    return st;
}

static gla_status read_overrides(const gla__yaml *n, const gla_arch *arch, layer_list *list,
                                 gla_diag *diag)
{
    gla_status st = GLA_OK;

    if (!n)
        return GLA_OK;
    if (n->kind != GLA__YAML_MAP)
        return expected(n, "a mapping of layer numbers to block names", diag);
    for (const gla__yaml *c = n->first; !st && c; c = c->next) {
        uint64_t i;

        if (!gla__parse_u64(c->key, strlen(c->key), &i) || i >= list->n ||
            (c->key[0] == '0' && c->key[1]))
            return at_key(c,
                          gla__fail(diag, GLA_E_SCHEMA,
                                    "\"%.40s\" is no layer number: they go from 0 to %" PRIu32,
                                    c->key, list->n - 1),
                          diag);
        if (c->kind != GLA__YAML_SCALAR)
            return expected(c, "a block name", diag);
        st = find_block(arch, c, c->text, c->length, &list->items[i], diag);
    }
    return st;
}

static gla_status read_layers_map(const gla__yaml *n, const gla_arch *arch, layer_list *list,
                                  gla_diag *diag)
{
    static const char *const keys[] = {"pattern", "repeat", "override"};
    const gla__yaml *pattern;
    uint32_t repeat = 1, period;
    gla_status st = check_map(n, keys, COUNT(keys), diag);

    if (st)
        return st;
    pattern = gla__yaml_get(n, "pattern");
    if (!pattern)
        return at_value(n, gla__fail(diag, GLA_E_SCHEMA, "\"pattern\" is missing"), diag);
    st = read_pattern(pattern, arch, list, diag);
    if (!st)
        st = read_u32(gla__yaml_get(n, "repeat"), 1, GLA__ARCH_MAX_LAYERS, &repeat, diag);
    if (st)
        return st;
    period = list->n;
    if (repeat > GLA__ARCH_MAX_LAYERS / period)
        return too_many_layers(gla__yaml_get(n, "repeat"), (uint64_t)repeat * period, diag);
    for (; list->n < repeat * period; list->n++)
        list->items[list->n] = list->items[list->n - period];
    return read_overrides(gla__yaml_get(n, "override"), arch, list, diag);
}

static gla_status check_blocks_used(const gla_arch *arch, gla_diag *diag)
{
    for (uint32_t b = 0; b < arch->n_blocks; b++) {
        uint32_t i = 0;

        while (i < arch->n_layers && arch->layers[i] != b)
            i++;
        if (i == arch->n_layers) {
            gla__fail(diag, GLA_E_SCHEMA, "block \"%s\" is used by no layer", arch->blocks[b].name);
            gla__hint(diag, "use it under \"layers\" or remove it");
            gla__at_line(diag, arch->blocks[b].line, arch->blocks[b].column);
            return GLA_E_SCHEMA;
        }
    }
    return GLA_OK;
}

static gla_status read_layers(const gla__yaml *n, gla_arch *arch, gla_diag *diag)
{
    layer_list list = {gla__alloc_array(GLA__ARCH_MAX_LAYERS, sizeof(uint32_t)), 0};
    gla_status st;

    if (!list.items)
        return gla__fail_nomem(diag, "layers");
    st = n->kind == GLA__YAML_MAP ? read_layers_map(n, arch, &list, diag)
                                  : read_pattern(n, arch, &list, diag);
    if (!st)
        st = gla_arch_set_layers(arch, list.items, list.n, diag);
    gla__free(list.items);
    return st ? st : check_blocks_used(arch, diag);
}

/* ---- the file ------------------------------------------------------------ */

static const char *const top_keys[] = {
    "gla",       "name",           "family",     "vocab_size", "d_model", "max_positions",
    "norm",      "tie_embeddings", "final_norm", "embedding",  "head",    "embedding_norm",
    "bos_token", "eos_tokens",     "weights",    "blocks",     "layers"};

static gla_status read_version(const gla__yaml *root, gla_diag *diag)
{
    const gla__yaml *n = root->kind == GLA__YAML_MAP ? gla__yaml_get(root, "gla") : NULL;
    uint64_t version;

    if (!n) {
        gla__fail(diag, GLA_E_SCHEMA, "not an architecture file: \"gla: 1\" is missing");
        return at_value(root, GLA_E_SCHEMA, diag);
    }
    if (n->kind != GLA__YAML_SCALAR || !gla__parse_u64(n->text, n->length, &version))
        return expected(n, "the version of the schema: 1", diag);
    if (version != GLA__ARCH_VERSION) {
        gla__fail(diag, GLA_E_VERSION, "schema version %" PRIu64 ", this program reads version %d",
                  version, GLA__ARCH_VERSION);
        return at_value(n, GLA_E_VERSION, diag);
    }
    return GLA_OK;
}

static gla_status read_eos(const gla__yaml *n, gla_arch *arch, gla_diag *diag)
{
    const gla__yaml *c = n && n->kind == GLA__YAML_LIST ? n->first : n;
    const uint32_t max = arch->vocab_size - 1;
    gla_status st = GLA_OK;

    for (; !st && c; c = n->kind == GLA__YAML_LIST ? c->next : NULL) {
        uint32_t token = 0;

        if (arch->n_eos == COUNT(arch->eos_tokens))
            return at_value(c, gla__fail(diag, GLA_E_LIMIT, "more than 8 end tokens"), diag);
        st = read_u32(c, 0, max, &token, diag);
        arch->eos_tokens[arch->n_eos++] = (int32_t)token;
    }
    return st;
}

static gla_status read_numbers(const gla__yaml *root, gla_arch *a, gla_diag *diag)
{
    static const char *const required[] = {"vocab_size", "d_model", "blocks", "layers"};
    const gla__yaml *bos = gla__yaml_get(root, "bos_token");
    uint32_t token = 0;
    gla_status st;

    for (size_t i = 0; i < COUNT(required); i++) {
        if (!gla__yaml_get(root, required[i])) {
            gla__fail(diag, GLA_E_SCHEMA, "\"%s\" is missing", required[i]);
            return at_value(root, GLA_E_SCHEMA, diag);
        }
    }
    st = read_u32(gla__yaml_get(root, "vocab_size"), 1, GLA__ARCH_MAX_VOCAB, &a->vocab_size, diag);
    if (!st)
        st = read_u32(gla__yaml_get(root, "d_model"), 1, GLA__ARCH_MAX_D_MODEL, &a->d_model, diag);
    if (!st)
        st = read_u32(gla__yaml_get(root, "max_positions"), 1, GLA__ARCH_MAX_POSITIONS,
                      &a->max_positions, diag);
    if (!st)
        st = read_bool(gla__yaml_get(root, "tie_embeddings"), &a->tie_embeddings, diag);
    if (!st)
        st = read_u32(bos, 0, a->vocab_size - 1, &token, diag);
    if (!st && bos)
        a->bos_token = (int32_t)token;
    if (!st)
        st = read_eos(gla__yaml_get(root, "eos_tokens"), a, diag);
    if (!st)
        st = read_weights_dtype(gla__yaml_get(root, "weights"), &a->weights_dtype, diag);
    return st;
}

static gla_status read_arch(const gla__yaml *root, gla_arch *a, gla_diag *diag)
{
    gla_status st = read_version(root, diag);

    if (!st)
        st = check_map(root, top_keys, COUNT(top_keys), diag);
    if (!st)
        st = read_text(gla__yaml_get(root, "name"), &a->name, diag);
    if (!st)
        st = read_text(gla__yaml_get(root, "family"), &a->family, diag);
    if (!st)
        st = read_numbers(root, a, diag);
    if (!st)
        st = read_layer(gla__yaml_get(root, "norm"), "rmsnorm", ELSEWHERE, &a->norm, diag);
    if (!st)
        st = read_layer(gla__yaml_get(root, "final_norm"), NULL, ELSEWHERE, &a->final_norm, diag);
    if (!st)
        st = read_layer(gla__yaml_get(root, "embedding"), "embedding", ELSEWHERE, &a->embedding,
                        diag);
    if (!st)
        st = read_layer(gla__yaml_get(root, "embedding_norm"), NULL, ELSEWHERE, &a->embedding_norm,
                        diag);
    if (!st)
        st = read_layer(gla__yaml_get(root, "head"), "head", ELSEWHERE, &a->head, diag);
    if (!st)
        st = read_blocks(gla__yaml_get(root, "blocks"), a, diag);
    if (!st)
        st = read_layers(gla__yaml_get(root, "layers"), a, diag);
    return st;
}

gla_status gla_arch_parse(const char *text, size_t size, const char *name, gla_arch **out,
                          gla_diag *diag)
{
    gla__yaml_doc doc = {0};
    gla_arch *a = gla_arch_new("");
    gla_status st;

    *out = NULL;
    if (!a)
        return gla__fail_nomem(diag, "an architecture");
    st = gla__yaml_parse(text, size, &doc, diag);
    if (!st)
        st = read_arch(doc.root, a, diag);
    gla__yaml_free(&doc);
    if (!st) {
        a->source = gla__strdup(name);
        if (name && !a->source)
            st = gla__fail_nomem(diag, "a path");
    }
    if (st) {
        gla__at(diag, name ? name : "arch.yaml");
        gla_arch_free(a);
        return st;
    }
    *out = a;
    return GLA_OK;
}

/* What a beginner has is a checkpoint, or a part of one. */
bool gla__arch_hint(const char *path, gla_diag *diag)
{
    const char *ending = gla__is_dir(path) ? NULL : strrchr(path, '.');
    char *config = gla__is_dir(path) ? gla__path_join(path, "config.json") : NULL;
    const bool is_checkpoint = config && gla__exists(config);

    gla__free(config);
    if (diag && diag->hint[0])
        return true; /* there is a better one */
    if (is_checkpoint)
        gla__hint(diag, "this is a published checkpoint: gla_convert() makes a model folder of it");
    else if (ending && !strcmp(ending, ".gguf"))
        gla__hint(diag, "gla_convert() makes a model folder of a gguf file");
    else if (ending && (!strcmp(ending, ".json") || !strcmp(ending, ".safetensors")))
        gla__hint(diag, "gla_convert() makes a model folder of the folder that it is in");
    else
        return false;
    return true;
}

gla_status gla_arch_read(const char *path, gla_arch **out, gla_diag *diag)
{
    char *file = gla__is_dir(path) ? gla__path_join(path, "arch.yaml") : gla__strdup(path);
    char *text;
    size_t size;
    gla_status st;

    *out = NULL;
    if (!file)
        return gla__fail_nomem(diag, "a path");
    st = gla__read_all(file, GLA__YAML_MAX_FILE, &text, &size, diag);
    if (!st)
        st = gla_arch_parse(text, size, file, out, diag);
    if (st && (!gla__is_dir(path) || !gla__exists(file)))
        gla__arch_hint(path, diag);
    gla__free(text);
    gla__free(file);
    return st;
}
