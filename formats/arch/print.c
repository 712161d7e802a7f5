/* SPDX-License-Identifier: Apache-2.0
 *
 * gla_arch -> arch.yaml, the way a person would write it: short mappings on one line, long ones
 * on several, defaults left out, the layers as the shortest pattern. */
#include <gla/weights.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "formats/arch/form.h"
#include "formats/text/number.h"

#define LINE_WIDTH 96

/* ---- text ---------------------------------------------------------------- */

typedef struct text {
    char *data;
    size_t size, capacity;
    bool out_of_memory;
} text;

static void add_bytes(text *t, const char *data, size_t n)
{
    size_t wanted;

    if (t->out_of_memory)
        return;
    if (!gla__add_size(t->size, n, &wanted) || !gla__add_size(wanted, 1, &wanted)) {
        t->out_of_memory = true;
        return;
    }
    if (wanted > t->capacity) {
        const size_t capacity = wanted < 512 ? 1024 : 2 * wanted;
        char *grown = gla__realloc(t->data, t->size, capacity);

        if (!grown) {
            t->out_of_memory = true;
            return;
        }
        t->data = grown;
        t->capacity = capacity;
    }
    if (n)
        memcpy(t->data + t->size, data, n);
    t->size += n;
    t->data[t->size] = '\0';
}

static void add(text *t, const char *s)
{
    add_bytes(t, s, strlen(s));
}

__attribute__((format(printf, 2, 3))) static void add_format(text *t, const char *format, ...)
{
    char buf[256]; /* for short things: numbers and names of at most 63 bytes */
    va_list args;

    va_start(args, format);
    vsnprintf(buf, sizeof(buf), format, args);
    va_end(args);
    add(t, buf);
}

static void add_number(text *t, double v)
{
    char buf[GLA__NUMBER_TEXT];

    gla__format_f64(v, buf);
    add(t, buf);
}

/* True if the text means itself to us and to every other reader of YAML. */
static bool is_plain(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on",
                                        "off",  "y",     "n",    "nan", "inf"};
    char lower[8];
    size_t n = 0;
    double number;

    if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_'))
        return false;
    for (; s[n]; n++) {
        const char c = s[n];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.' || c == '/'))
            return false;
        if (n < sizeof(lower) - 1)
            lower[n] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    if (n < sizeof(lower)) {
        lower[n < sizeof(lower) - 1 ? n : sizeof(lower) - 1] = '\0';
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (!strcmp(lower, words[i]))
                return false;
        }
    }
    return !gla__parse_f64(s, n, &number);
}

/* A reader takes no control characters: they are cleaned, as is what is not UTF-8. */
static void add_string(text *t, const char *s)
{
    const size_t start = t->size;

    if (is_plain(s)) {
        add(t, s);
        return;
    }
    add(t, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            add(t, "\\");
        add_bytes(t, s, 1);
    }
    add(t, "\"");
    if (t->data)
        gla_text_clean(t->data + start);
}

/* ---- entries: "key: value" pairs of a mapping, nested at will ---------------- */

/* A mapping is printed twice: once on one line to see whether it fits, else one entry a line. */
typedef struct mapping {
    text *out;
    uint32_t indent; /* of the entries when on lines of their own */
    bool flow, first;
} mapping;

static void open_mapping(mapping *m, text *out, uint32_t indent, bool flow)
{
    *m = (mapping){out, indent, flow, true};
    add(out, flow ? "{" : "\n");
}

static void add_key(mapping *m, const char *key)
{
    if (m->flow)
        add(m->out, m->first ? "" : ", ");
    else
        add_format(m->out, "%*s", (int)m->indent, "");
    m->first = false;
    add(m->out, key);
    add(m->out, ":");
}

static void end_entry(mapping *m)
{
    if (!m->flow)
        add(m->out, "\n");
}

static void close_mapping(mapping *m)
{
    if (m->flow)
        add(m->out, "}");
}

static void add_list(text *t, const double *list, uint32_t n, uint32_t indent)
{
    size_t line_start = t->size;

    add(t, "[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            add(t, ",");
        if (t->size - line_start > LINE_WIDTH - 40) {
            add_format(t, "\n%*s", (int)indent + 2, "");
            line_start = t->size;
        } else if (i) {
            add(t, " ");
        }
        add_number(t, list[i]);
    }
    add(t, "]");
}

static void add_value(text *t, const gla_arch_param *p, uint32_t indent)
{
    switch (p->kind) {
    case GLA_ARCH_BOOL:
        add(t, p->number != 0 ? "true" : "false");
        break;
    case GLA_ARCH_STRING:
        add_string(t, p->string);
        break;
    case GLA_ARCH_LIST:
        add_list(t, p->list, p->n_list, indent);
        break;
    default:
        add_number(t, p->number);
    }
}

/* Length of the first word of what follows `prefix`, 0 if it is the last one. */
static size_t group_length(const char *name, size_t prefix)
{
    const char *dot = strchr(name + prefix, '.');

    return dot ? (size_t)(dot - name) : 0;
}

static bool starts_with(const char *name, const char *start, size_t n)
{
    return !strncmp(name, start, n) && (name[n] == '.' || !name[n]);
}

/* True if "rope.theta" can be printed as rope: {theta: ...}: "rope" is nothing itself. */
static bool can_nest(const gla_arch_layer *l, const char *name, size_t n)
{
    static const char *const keys[] = {"type", "in_multiplier", "out_multiplier"};

    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
        if (starts_with(name, keys[k], n) && !keys[k][n])
            return false;
    for (uint32_t i = 0; i < l->n_params; i++) {
        if (starts_with(l->params[i].name, name, n) && !l->params[i].name[n])
            return false;
    }
    return true;
}

/* True if what stands from `start` on should rather be on lines of its own. */
static bool too_long(const text *t, size_t start, uint32_t indent)
{
    if (t->out_of_memory)
        return false;
    return t->size - start + indent > LINE_WIDTH || memchr(t->data + start, '\n', t->size - start);
}

static void add_group(mapping *m, const gla_arch_layer *l, const char *of, size_t prefix);

/* The parameters whose names begin with the first `prefix` bytes of `of`, without those.  Names
 * with a further dot are gathered in a nested mapping where the first of them stands.  The depth
 * is bounded by the length of a name (63). */
static void add_params(mapping *m, const gla_arch_layer *l, const char *of, size_t prefix)
{
    for (uint32_t i = 0; i < l->n_params; i++) {
        const gla_arch_param *p = &l->params[i];
        size_t group;
        uint32_t before = 0;
        char key[GLA__ARCH_MAX_NAME + 1];

        if (prefix && strncmp(p->name, of, prefix))
            continue;
        group = group_length(p->name, prefix);
        if (!group || !can_nest(l, p->name, group)) {
            add_key(m, p->name + prefix);
            add(m->out, " ");
            add_value(m->out, p, m->indent);
            end_entry(m);
            continue;
        }
        while (before < i && !starts_with(l->params[before].name, p->name, group))
            before++;
        if (before < i)
            continue; /* printed with the first of its group */
        memcpy(key, p->name + prefix, group - prefix);
        key[group - prefix] = '\0';
        add_key(m, key);
        add_group(m, l, p->name, group + 1);
    }
}

/* The value of a nested mapping: on one line if it fits there. */
static void add_group(mapping *m, const gla_arch_layer *l, const char *of, size_t prefix)
{
    const size_t start = m->out->size;
    mapping inner;

    add(m->out, " ");
    open_mapping(&inner, m->out, 0, true);
    add_params(&inner, l, of, prefix);
    close_mapping(&inner);
    if (!m->flow && too_long(m->out, start, m->indent)) {
        m->out->size = start;
        open_mapping(&inner, m->out, m->indent + 2, false);
        add_params(&inner, l, of, prefix);
        return;
    }
    end_entry(m);
}

static void add_layer_mapping(text *t, const gla_arch_layer *l, const char *default_type,
                              uint32_t indent, bool flow)
{
    mapping m;

    open_mapping(&m, t, indent, flow);
    if (!default_type || strcmp(l->type, default_type)) {
        add_key(&m, "type");
        add(t, " ");
        add_string(t, l->type);
        end_entry(&m);
    }
    if (l->in_multiplier != 1) {
        add_key(&m, "in_multiplier");
        add(t, " ");
        add_number(t, l->in_multiplier);
        end_entry(&m);
    }
    if (l->out_multiplier != 1) {
        add_key(&m, "out_multiplier");
        add(t, " ");
        add_number(t, l->out_multiplier);
        end_entry(&m);
    }
    add_params(&m, l, "", 0);
    close_mapping(&m);
}

/* The value of a key at the end of the current line: a word, {...}, or a mapping on lines of its
 * own.  Ends with a line break. */
static void add_layer(text *t, const gla_arch_layer *l, const char *default_type, uint32_t indent)
{
    const size_t start = t->size;

    if (!l->n_params && l->in_multiplier == 1 && l->out_multiplier == 1) {
        add(t, " ");
        add_string(t, l->type);
        add(t, "\n");
        return;
    }
    add(t, " ");
    add_layer_mapping(t, l, default_type, 0, true);
    if (too_long(t, start, indent)) {
        t->size = start;
        add_layer_mapping(t, l, default_type, indent + 2, false);
        return;
    }
    add(t, "\n");
}

/* ---- blocks -------------------------------------------------------------- */

static void add_multiplier(text *t, const char *key, double mixer, double ffn)
{
    if (mixer == 1 && ffn == 1)
        return;
    add_format(t, "    %s: ", key);
    if (mixer == ffn) {
        add_number(t, mixer);
        add(t, "\n");
        return;
    }
    add(t, "{mixer: ");
    add_number(t, mixer);
    add(t, ", ffn: ");
    add_number(t, ffn);
    add(t, "}\n");
}

/* "- {type: ...}" or "- type: ..." on several lines. */
static void add_parallel(text *t, const gla_arch_layer *l)
{
    size_t start;

    add(t, "      -");
    start = t->size;
    add_layer(t, l, NULL, 6);
    /* a mapping on lines of its own begins beside the dash */
    if (!t->out_of_memory && t->data[start] == '\n') {
        memmove(t->data + start, t->data + start + 8, t->size - start - 7);
        t->size -= 8;
        t->data[start] = ' ';
    }
}

static void add_block(text *t, const gla_arch_block *b)
{
    add_format(t, "  %s:\n", b->name);
    if (b->n_mixers == 1) {
        add(t, "    mixer:");
        add_layer(t, &b->mixers[0], NULL, 4);
    } else if (b->n_mixers) {
        add(t, "    mixer:\n");
        for (uint32_t i = 0; i < b->n_mixers; i++)
            add_parallel(t, &b->mixers[i]);
    }
    if (b->ffn.type) {
        add(t, "    ffn:");
        add_layer(t, &b->ffn, NULL, 4);
    }
    if (b->norm_at != GLA_NORM_AT_PRE)
        add_format(t, "    norm_at: %s\n", gla__norm_at_names[b->norm_at]);
    if (b->norm.type) {
        add(t, "    norm:");
        add_layer(t, &b->norm, NULL, 4);
    }
    add_multiplier(t, "skip_multiplier", b->mixer_skip, b->ffn_skip);
    add_multiplier(t, "residual_multiplier", b->mixer_residual, b->ffn_residual);
    if (b->weights_dtype)
        add_format(t, "    weights: %s\n", gla_dtype_name(b->weights_dtype));
}

/* ---- the layers as a pattern ------------------------------------------------ */

typedef struct pattern {
    uint32_t period; /* n_layers is a multiple of it */
    uint32_t *base;  /* [period] */
    uint32_t n_overrides;
} pattern;

/* base[i] = the commonest block among layers i, i + period, ...; the first of equals. */
static void find_base(const gla_arch *a, pattern *p, uint32_t *counts)
{
    p->n_overrides = 0;
    for (uint32_t i = 0; i < p->period; i++) {
        uint32_t best = a->layers[i];

        for (uint32_t j = i; j < a->n_layers; j += p->period)
            counts[a->layers[j]] = 0;
        for (uint32_t j = i; j < a->n_layers; j += p->period)
            counts[a->layers[j]]++;
        for (uint32_t j = i; j < a->n_layers; j += p->period) {
            if (counts[a->layers[j]] > counts[best])
                best = a->layers[j];
        }
        p->base[i] = best;
        p->n_overrides += a->n_layers / p->period - counts[best];
    }
}

static uint32_t count_runs(const uint32_t *items, uint32_t n)
{
    uint32_t runs = n > 0;

    for (uint32_t i = 1; i < n; i++)
        runs += items[i] != items[i - 1];
    return runs;
}

/* What a reader has to take in: the terms of the pattern, the repeat, the exceptions. */
static uint32_t cost_of(const gla_arch *a, const pattern *p)
{
    return 2 * count_runs(p->base, p->period) + (p->period < a->n_layers) + 3 * p->n_overrides;
}

static uint32_t find_period(const gla_arch *a, pattern *p, uint32_t *counts)
{
    uint32_t best = a->n_layers, best_cost = UINT32_MAX;

    for (uint32_t period = 1; period <= a->n_layers; period++) {
        if (a->n_layers % period)
            continue;
        p->period = period;
        find_base(a, p, counts);
        if (cost_of(a, p) < best_cost) {
            best_cost = cost_of(a, p);
            best = period;
        }
    }
    return best;
}

static void add_terms(text *t, const gla_arch *a, const uint32_t *items, uint32_t n, bool list)
{
    size_t line_start = t->size;

    for (uint32_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && items[i + run] == items[i]; run++)
            ;
        if (i)
            add(t, list ? ", " : " + ");
        if (list && t->size - line_start > LINE_WIDTH - 30) {
            add(t, "\n            ");
            line_start = t->size;
        }
        if (run > 1)
            add_format(t, "%" PRIu32 "*", run);
        add(t, a->blocks[items[i]].name);
    }
}

static void add_pattern(text *t, const gla_arch *a, const pattern *p)
{
    const size_t start = t->size;

    add(t, " ");
    add_terms(t, a, p->base, p->period, false);
    if (t->size - start > LINE_WIDTH - 10) {
        t->size = start;
        add(t, " [");
        add_terms(t, a, p->base, p->period, true);
        add(t, "]");
    }
    add(t, "\n");
}

static void add_overrides(text *t, const gla_arch *a, const pattern *p)
{
    size_t line_start = t->size;
    bool first = true;

    if (!p->n_overrides)
        return;
    add(t, "  override: {");
    for (uint32_t i = 0; i < a->n_layers; i++) {
        if (a->layers[i] == p->base[i % p->period])
            continue;
        if (!first)
            add(t, ", ");
        if (t->size - line_start > LINE_WIDTH - 30) {
            add(t, "\n             ");
            line_start = t->size;
        }
        add_format(t, "%" PRIu32 ": %s", i, a->blocks[a->layers[i]].name);
        first = false;
    }
    add(t, "}\n");
}

static gla_status add_layers(text *t, const gla_arch *a, gla_diag *diag)
{
    pattern p = {0, gla__alloc_array(a->n_layers, sizeof(uint32_t)), 0};
    uint32_t *counts = gla__alloc_array(a->n_blocks, sizeof(uint32_t));
    gla_status st = GLA_OK;

    if (!p.base || !counts) {
        st = gla__fail_nomem(diag, "the pattern of layers");
        goto out;
    }
    p.period = find_period(a, &p, counts);
    find_base(a, &p, counts);
    add(t, "layers:");
    if (p.period == a->n_layers) {
        add_pattern(t, a, &p);
    } else {
        add(t, "\n  pattern:");
        add_pattern(t, a, &p);
        add_format(t, "  repeat: %" PRIu32 "\n", a->n_layers / p.period);
        add_overrides(t, a, &p);
    }
out:
    gla__free(p.base);
    gla__free(counts);
    return st;
}

/* ---- the whole ------------------------------------------------------------- */

static gla_status check_layer(const gla_arch_layer *l, const char *place, gla_diag *diag)
{
    for (uint32_t i = 0; i < l->n_params; i++) {
        if (!gla__is_param_name(l->params[i].name))
            return gla__fail(diag, GLA_E_INVALID, "%s: \"%.70s\" is no parameter name", place,
                             l->params[i].name);
    }
    return GLA_OK;
}

/* What a program built may be wrong where a parsed file cannot. */
static gla_status check(const gla_arch *a, gla_diag *diag)
{
    gla_status st;

    if (!a->n_layers || a->n_layers > GLA__ARCH_MAX_LAYERS)
        return gla__fail(diag, GLA_E_INVALID, "an architecture of %" PRIu32 " layers", a->n_layers);
    if (!gla__arch_is_sound(a))
        return gla__fail(diag, GLA_E_INVALID,
                         "a count or an index goes beyond the architecture's arrays");
    for (uint32_t i = 0; i < a->n_blocks; i++) {
        const gla_arch_block *b = &a->blocks[i];

        if (!gla__is_block_name(b->name, strlen(b->name)))
            return gla__fail(diag, GLA_E_INVALID, "\"%.70s\" is no block name", b->name);
        if (b->norm_at > GLA_NORM_AT_NONE)
            return gla__fail(diag, GLA_E_INVALID, "block \"%s\": norm_at %" PRIu32, b->name,
                             b->norm_at);
        for (uint32_t j = 0; j < b->n_mixers; j++) {
            st = check_layer(&b->mixers[j], b->name, diag);
            if (st)
                return st;
        }
        st = check_layer(&b->ffn, b->name, diag);
        if (st)
            return st;
    }
    return GLA_OK;
}

static void add_tokens(text *t, const gla_arch *a)
{
    if (a->bos_token >= 0)
        add_format(t, "bos_token: %" PRId32 "\n", a->bos_token);
    if (!a->n_eos)
        return;
    add(t, "eos_tokens: [");
    for (uint32_t i = 0; i < a->n_eos; i++)
        add_format(t, "%s%" PRId32, i ? ", " : "", a->eos_tokens[i]);
    add(t, "]\n");
}

static void add_named_layer(text *t, const char *key, const gla_arch_layer *l,
                            const char *default_type)
{
    if (!l->type || (default_type && !strcmp(l->type, default_type) && !l->n_params))
        return;
    add(t, key);
    add(t, ":");
    add_layer(t, l, default_type, 0);
}

static void add_top(text *t, const gla_arch *a)
{
    add_format(t, "gla: %d\n", GLA__ARCH_VERSION);
    if (a->name && a->name[0]) {
        add(t, "name: ");
        add_string(t, a->name);
        add(t, "\n");
    }
    if (a->family && a->family[0]) {
        add(t, "family: ");
        add_string(t, a->family);
        add(t, "\n");
    }
    add_format(t, "vocab_size: %" PRIu32 "\nd_model: %" PRIu32 "\n", a->vocab_size, a->d_model);
    if (a->max_positions)
        add_format(t, "max_positions: %" PRIu32 "\n", a->max_positions);
    if (a->tie_embeddings)
        add(t, "tie_embeddings: true\n");
    add_tokens(t, a);
    if (a->weights_dtype)
        add_format(t, "weights: %s\n", gla_dtype_name(a->weights_dtype));
    add_named_layer(t, "embedding", &a->embedding, "embedding");
    add_named_layer(t, "embedding_norm", &a->embedding_norm, NULL);
    add_named_layer(t, "norm", &a->norm, NULL);
    add_named_layer(t, "final_norm", &a->final_norm, NULL);
    add_named_layer(t, "head", &a->head, "head");
}

static bool is_used(const gla_arch *a, uint32_t block)
{
    for (uint32_t i = 0; i < a->n_layers; i++) {
        if (a->layers[i] == block)
            return true;
    }
    return false;
}

gla_status gla_arch_print(const gla_arch *arch, char **out, size_t *size, gla_diag *diag)
{
    text t = {0};
    gla_status st = check(arch, diag);

    *out = NULL;
    *size = 0;
    if (st)
        return st;
    add_top(&t, arch);
    add(&t, "blocks:\n");
    for (uint32_t i = 0; i < arch->n_blocks; i++) {
        if (is_used(arch, i)) /* the reader refuses the others */
            add_block(&t, &arch->blocks[i]);
    }
    st = add_layers(&t, arch, diag);
    if (!st && t.out_of_memory)
        st = gla__fail_nomem(diag, "arch.yaml");
    if (st) {
        gla__free(t.data);
        return st;
    }
    *out = t.data;
    *size = t.size;
    return GLA_OK;
}
