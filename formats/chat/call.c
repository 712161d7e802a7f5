/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes, elements, methods and functions of chat templates.
 */
#include "formats/chat/call.h"

#include <string.h>
#include <time.h>

#include "base/diag.h"

/* ---- arguments ---- */

static size_t parameter(const gla__tpl_signature *s, gla__tpl_view name)
{
    for (size_t i = 0; i < s->most; i++)
        if (s->keywords[i] && gla__tpl_view_is(name, s->keywords[i]))
            return i;
    return s->most;
}

bool gla__tpl_bind_args(gla__tpl_run *r, const gla__tpl_signature *s, const gla__tpl_args *a,
                        const gla__tpl_value *given[GLA__TPL_MAX_PARAMETERS])
{
    bool fits = a->n <= s->most;

    memset(given, 0, GLA__TPL_MAX_PARAMETERS * sizeof(*given));
    for (size_t i = 0; i < a->n && i < s->most; i++)
        given[i] = &a->positional[i];
    for (size_t i = 0; i < a->named.n; i++) {
        const gla__tpl_view name = a->named.pairs[i].key;
        const size_t at = parameter(s, name);

        if (at < s->most && !given[at])
            given[at] = &a->named.pairs[i].value;
        else
            gla__tpl_fail(r, GLA_E_UNSUPPORTED, "\"%s\" with %.*s= is not supported", s->name,
                          (int)name.n, name.p);
    }
    for (size_t i = 0; i < s->least; i++)
        fits = fits && given[i];
    if (!fits)
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "\"%s\" with %zu arguments is not supported", s->name,
                      a->n + a->named.n);
    return fits && !r->st;
}

gla__tpl_value gla__tpl_wrong(gla__tpl_run *r, gla__tpl_view what, gla__tpl_value v)
{
    gla__tpl_fail(r, GLA_E_INVALID, "\"%.*s\" of %s is not possible", (int)what.n, what.p,
                  gla__tpl_kind_name(v.kind));
    return gla__tpl_undefined();
}

gla__tpl_view gla__tpl_text_arg(gla__tpl_run *r, const gla__tpl_value *v)
{
    if (v->kind == GLA__TPL_STRING)
        return v->s;
    gla__tpl_fail(r, GLA_E_INVALID, "the argument must be a string, not %s",
                  gla__tpl_kind_name(v->kind));
    return (gla__tpl_view){"", 0};
}

gla__tpl_view gla__tpl_optional_text_arg(gla__tpl_run *r, const gla__tpl_value *v)
{
    return v && v->kind != GLA__TPL_NONE ? gla__tpl_text_arg(r, v) : (gla__tpl_view){NULL, 0};
}

int64_t gla__tpl_int_arg(gla__tpl_run *r, const gla__tpl_value *v, int64_t def)
{
    if (!v)
        return def;
    if (v->kind == GLA__TPL_INT || v->kind == GLA__TPL_BOOL)
        return v->i;
    gla__tpl_fail(r, GLA_E_INVALID, "the argument must be an integer, not %s",
                  gla__tpl_kind_name(v->kind));
    return def;
}

/* ---- attributes ---- */

static bool has_word(const char *words, gla__tpl_view name)
{
    for (const char *p = words; *p; p += strcspn(p, " ")) {
        p += *p == ' ';
        if (strcspn(p, " ") == name.n && name.n && !memcmp(p, name.p, name.n))
            return true;
    }
    return false;
}

/* A method without its call.  Those that change their object do not exist in a template. */
static bool is_method(gla__tpl_vkind kind, gla__tpl_view name, bool *exists)
{
    static const char of_strings[] =
        "capitalize casefold center count encode endswith expandtabs find format format_map index "
        "isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable "
        "isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix "
        "removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines "
        "startswith strip swapcase title translate upper zfill";
    static const char changing[] = "clear pop popitem setdefault update";

    *exists = true;
    switch (kind) {
    case GLA__TPL_STRING:
        return has_word(of_strings, name);
    case GLA__TPL_LIST:
        return has_word("copy count index", name);
    case GLA__TPL_DICT:
        *exists = !has_word(changing, name);
        return !*exists || has_word("copy fromkeys get items keys values", name);
    default:
        return false;
    }
}

static gla__tpl_value loop_attribute(gla__tpl_run *r, const gla__tpl_loop *l, gla__tpl_view name)
{
    const int64_t at = (int64_t)l->at, n = (int64_t)l->items->n;

    if (gla__tpl_view_is(name, "index0"))
        return gla__tpl_int(at);
    if (gla__tpl_view_is(name, "index"))
        return gla__tpl_int(at + 1);
    if (gla__tpl_view_is(name, "revindex0"))
        return gla__tpl_int(n - at - 1);
    if (gla__tpl_view_is(name, "revindex"))
        return gla__tpl_int(n - at);
    if (gla__tpl_view_is(name, "length"))
        return gla__tpl_int(n);
    if (gla__tpl_view_is(name, "first"))
        return gla__tpl_bool(at == 0);
    if (gla__tpl_view_is(name, "last"))
        return gla__tpl_bool(at == n - 1);
    if (gla__tpl_view_is(name, "previtem"))
        return at ? l->items->items[at - 1] : gla__tpl_undefined();
    if (gla__tpl_view_is(name, "nextitem"))
        return at < n - 1 ? l->items->items[at + 1] : gla__tpl_undefined();
    gla__tpl_fail(r, GLA_E_UNSUPPORTED, "loop.%.*s is not supported", (int)name.n, name.p);
    return gla__tpl_undefined();
}

gla__tpl_value gla__tpl_attribute(gla__tpl_run *r, gla__tpl_value v, gla__tpl_view name)
{
    const gla__tpl_value *member;
    bool exists;

    if (r->st)
        return gla__tpl_undefined();
    if (is_method(v.kind, name, &exists)) /* goes before a key of that name */
        return exists ? (gla__tpl_value){.kind = GLA__TPL_FUNCTION, .s = name}
                      : gla__tpl_undefined();
    switch (v.kind) {
    case GLA__TPL_DICT:
    case GLA__TPL_NAMESPACE:
        member = gla__tpl_dict_get(v.dict, name);
        return member ? *member : gla__tpl_undefined();
    case GLA__TPL_LOOP:
        return loop_attribute(r, v.loop, name);
    case GLA__TPL_MACRO:
        if (gla__tpl_view_is(name, "name"))
            return gla__tpl_string(v.macro->node->text.p, v.macro->node->text.n);
        return gla__tpl_undefined();
    case GLA__TPL_UNDEFINED:
        gla__tpl_fail(r, GLA_E_INVALID, "\"%.*s\" of something that is undefined", (int)name.n,
                      name.p);
        return v;
    default:
        return gla__tpl_undefined();
    }
}

gla__tpl_value gla__tpl_element(gla__tpl_run *r, gla__tpl_value of, gla__tpl_value key)
{
    const bool index = key.kind == GLA__TPL_INT || key.kind == GLA__TPL_BOOL;
    const gla__tpl_value *member;
    gla__tpl_list *l;

    if (of.kind == GLA__TPL_DICT && key.kind == GLA__TPL_STRING) {
        member = gla__tpl_dict_get(of.dict, key.s);
        if (member)
            return *member;
    }
    if (key.kind == GLA__TPL_STRING)
        return gla__tpl_attribute(r, of, key.s);
    if (of.kind == GLA__TPL_UNDEFINED)
        gla__tpl_fail(r, GLA_E_INVALID, "an element of something that is undefined");
    if (!index || (of.kind != GLA__TPL_LIST && of.kind != GLA__TPL_STRING))
        return gla__tpl_undefined();
    l = gla__tpl_items_of(r, of);
    if (!l)
        return gla__tpl_undefined();
    if (key.i < 0)
        key.i += (int64_t)l->n;
    return key.i >= 0 && key.i < (int64_t)l->n ? l->items[key.i] : gla__tpl_undefined();
}

gla__tpl_value gla__tpl_pairs(gla__tpl_run *r, const gla__tpl_dict *d)
{
    const gla__tpl_value out = gla__tpl_new_list(r);

    for (size_t i = 0; i < d->n && gla__tpl_step(r); i++) {
        const gla__tpl_value pair = gla__tpl_new_list(r);

        if (r->st)
            break;
        gla__tpl_list_add(r, pair.list, gla__tpl_string(d->pairs[i].key.p, d->pairs[i].key.n));
        gla__tpl_list_add(r, pair.list, d->pairs[i].value);
        gla__tpl_list_add(r, out.list, pair);
    }
    return out;
}

/* ---- methods ---- */

static bool starts(gla__tpl_view s, gla__tpl_view with)
{
    return s.n >= with.n && !memcmp(s.p, with.p, with.n);
}

static bool ends(gla__tpl_view s, gla__tpl_view with)
{
    return s.n >= with.n && !memcmp(s.p + s.n - with.n, with.p, with.n);
}

/* One text or a list of them. */
static gla__tpl_value has_affix(gla__tpl_run *r, gla__tpl_view s, const gla__tpl_value *v,
                                bool (*has)(gla__tpl_view, gla__tpl_view))
{
    bool found = false;

    if (v->kind != GLA__TPL_LIST)
        return gla__tpl_bool(has(s, gla__tpl_text_arg(r, v)));
    for (size_t i = 0; i < v->list->n && !found; i++)
        found = has(s, gla__tpl_text_arg(r, &v->list->items[i]));
    return gla__tpl_bool(found);
}

static gla__tpl_value join_strings(gla__tpl_run *r, const gla__tpl_list *l, gla__tpl_view by)
{
    gla__bytes out = {0};

    for (size_t i = 0; l && i < l->n && gla__tpl_step(r); i++) {
        const gla__tpl_view s = gla__tpl_text_arg(r, &l->items[i]);

        gla__tpl_append(r, &out, by.p, i ? by.n : 0);
        gla__tpl_append(r, &out, s.p, s.n);
    }
    return gla__tpl_taken(r, &out);
}

enum { STARTS, ENDS, STRIP, LSTRIP, RSTRIP, SPLIT, REPLACE, UPPER, LOWER, TITLE, CAPITAL, JOIN };

static const gla__tpl_signature string_methods[] = {
    [STARTS] = {"startswith", 1, 1, {NULL}},  [ENDS] = {"endswith", 1, 1, {NULL}},
    [STRIP] = {"strip", 0, 1, {NULL}},        [LSTRIP] = {"lstrip", 0, 1, {NULL}},
    [RSTRIP] = {"rstrip", 0, 1, {NULL}},      [SPLIT] = {"split", 0, 2, {"sep", "maxsplit"}},
    [REPLACE] = {"replace", 2, 3, {NULL}},    [UPPER] = {"upper", 0, 0, {NULL}},
    [LOWER] = {"lower", 0, 0, {NULL}},        [TITLE] = {"title", 0, 0, {NULL}},
    [CAPITAL] = {"capitalize", 0, 0, {NULL}}, [JOIN] = {"join", 1, 1, {NULL}},
};

static gla__tpl_value stripped(gla__tpl_run *r, gla__tpl_view s, const gla__tpl_value *chars,
                               bool left, bool right)
{
    const gla__tpl_view v = gla__tpl_strip(s, gla__tpl_optional_text_arg(r, chars), left, right);

    return gla__tpl_string(v.p, v.n);
}

static gla__tpl_value call_string(gla__tpl_run *r, gla__tpl_view s, size_t which,
                                  gla__tpl_given given)
{
    switch (which) {
    case STARTS:
        return has_affix(r, s, given[0], starts);
    case ENDS:
        return has_affix(r, s, given[0], ends);
    case STRIP:
        return stripped(r, s, given[0], true, true);
    case LSTRIP:
        return stripped(r, s, given[0], true, false);
    case RSTRIP:
        return stripped(r, s, given[0], false, true);
    case SPLIT:
        return gla__tpl_split(r, s, gla__tpl_optional_text_arg(r, given[0]),
                              gla__tpl_int_arg(r, given[1], -1));
    case REPLACE:
        return gla__tpl_replace(r, s, gla__tpl_text_arg(r, given[0]),
                                gla__tpl_text_arg(r, given[1]), gla__tpl_int_arg(r, given[2], -1));
    case UPPER:
        return gla__tpl_change_case(r, s, GLA__TPL_UPPER);
    case LOWER:
        return gla__tpl_change_case(r, s, GLA__TPL_LOWER);
    case TITLE:
        return gla__tpl_change_case(r, s, GLA__TPL_TITLE);
    case CAPITAL:
        return gla__tpl_change_case(r, s, GLA__TPL_CAPITALIZE);
    default: /* JOIN */
        return join_strings(r, gla__tpl_items_of(r, *given[0]), s);
    }
}

enum { ITEMS, GET, KEYS, VALUES };

static const gla__tpl_signature dict_methods[] = {
    [ITEMS] = {"items", 0, 0, {NULL}},
    [GET] = {"get", 1, 2, {NULL}},
    [KEYS] = {"keys", 0, 0, {NULL}},
    [VALUES] = {"values", 0, 0, {NULL}},
};

static gla__tpl_value call_dict(gla__tpl_run *r, const gla__tpl_dict *d, size_t which,
                                gla__tpl_given given)
{
    const gla__tpl_value *found;
    gla__tpl_value out;

    if (which == ITEMS)
        return gla__tpl_pairs(r, d);
    if (which == GET && (given[0]->kind == GLA__TPL_LIST || given[0]->kind == GLA__TPL_DICT))
        return gla__tpl_wrong(r, (gla__tpl_view){"get", 3}, *given[0]);
    if (which == GET) {
        found = given[0]->kind == GLA__TPL_STRING ? gla__tpl_dict_get(d, given[0]->s) : NULL;
        return found ? *found : given[1] ? *given[1] : gla__tpl_none();
    }
    out = gla__tpl_new_list(r);
    for (size_t i = 0; i < d->n && gla__tpl_step(r); i++)
        gla__tpl_list_add(r, out.list,
                          which == KEYS ? gla__tpl_string(d->pairs[i].key.p, d->pairs[i].key.n)
                                        : d->pairs[i].value);
    return out;
}

gla__tpl_value gla__tpl_call_method(gla__tpl_run *r, gla__tpl_value self, gla__tpl_view name,
                                    const gla__tpl_args *args)
{
    const bool string = self.kind == GLA__TPL_STRING;
    const gla__tpl_signature *all = string ? string_methods : dict_methods;
    const size_t n = string                       ? sizeof(string_methods) / sizeof(*all)
                     : self.kind == GLA__TPL_DICT ? sizeof(dict_methods) / sizeof(*all)
                                                  : 0;
    const gla__tpl_value *given[GLA__TPL_MAX_PARAMETERS];

    for (size_t i = 0; i < n; i++) {
        if (!gla__tpl_view_is(name, all[i].name))
            continue;
        if (!gla__tpl_bind_args(r, &all[i], args, given))
            return gla__tpl_undefined();
        return string ? call_string(r, self.s, i, given) : call_dict(r, self.dict, i, given);
    }
    if (self.kind == GLA__TPL_LOOP && gla__tpl_view_is(name, "cycle") && args->n && !args->named.n)
        return args->positional[self.loop->at % args->n];
    gla__tpl_fail(r, GLA_E_UNSUPPORTED, "method \"%.*s\" of %s is not supported", (int)name.n,
                  name.p, gla__tpl_kind_name(self.kind));
    return gla__tpl_undefined();
}

/* ---- functions ---- */

enum { RAISE, NAMESPACE, DICT, RANGE, STRFTIME };

static const gla__tpl_signature functions[] = {
    [RAISE] = {"raise_exception", 1, 1, {"message"}},
    [NAMESPACE] = {"namespace", 0, 0, {NULL}}, /* and any keywords */
    [DICT] = {"dict", 0, 0, {NULL}},
    [RANGE] = {"range", 1, 3, {NULL}},
    [STRFTIME] = {"strftime_now", 1, 1, {NULL}},
};
#define N_FUNCTIONS (sizeof(functions) / sizeof(*functions))

static gla__tpl_value range(gla__tpl_run *r, gla__tpl_given given)
{
    const gla__tpl_value out = gla__tpl_new_list(r);
    const int64_t first = gla__tpl_int_arg(r, given[0], 0);
    const int64_t from = given[1] ? first : 0;
    const int64_t to = gla__tpl_int_arg(r, given[1], first);
    const int64_t by = gla__tpl_int_arg(r, given[2], 1);

    if (by == 0)
        gla__tpl_fail(r, GLA_E_INVALID, "range() needs a step that is not 0");
    for (int64_t i = from; (by > 0 ? i < to : i > to) && gla__tpl_step(r);) {
        gla__tpl_list_add(r, out.list, gla__tpl_int(i));
        if (__builtin_add_overflow(i, by, &i))
            break;
    }
    return out;
}

static gla__tpl_value date(gla__tpl_run *r, gla__tpl_view format)
{
    const time_t now = r->now ? (time_t)r->now : time(NULL);
    char text[256], copy[128];
    struct tm parts;
    size_t n;

    if (format.n >= sizeof(copy) || !localtime_r(&now, &parts)) {
        gla__tpl_fail(r, GLA_E_INVALID, "strftime_now: format is too long");
        return gla__tpl_undefined();
    }
    memcpy(copy, format.p, format.n);
    copy[format.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = strftime(text, sizeof(text), copy, &parts);
#pragma GCC diagnostic pop
    return gla__tpl_copied(r, text, n);
}

/* Of its keywords. */
static gla__tpl_value new_dict(gla__tpl_run *r, const char *name, const gla__tpl_args *a,
                               gla__tpl_vkind kind)
{
    gla__tpl_value v = gla__tpl_new_dict(r);

    if (a->n)
        return gla__tpl_wrong(r, (gla__tpl_view){name, strlen(name)}, a->positional[0]);
    for (size_t i = 0; i < a->named.n && !r->st; i++)
        gla__tpl_dict_set(r, v.dict, a->named.pairs[i].key, a->named.pairs[i].value);
    if (!r->st)
        v.kind = kind;
    return v;
}

static size_t function_of(gla__tpl_view name)
{
    size_t i = 0;

    while (i < N_FUNCTIONS && !gla__tpl_view_is(name, functions[i].name))
        i++;
    return i;
}

bool gla__tpl_is_function(gla__tpl_view name)
{
    return function_of(name) < N_FUNCTIONS;
}

gla__tpl_value gla__tpl_call_function(gla__tpl_run *r, gla__tpl_view name, const gla__tpl_args *a)
{
    const size_t which = function_of(name);
    const gla__tpl_value *given[GLA__TPL_MAX_PARAMETERS];
    gla__tpl_view text;

    if (which == N_FUNCTIONS) {
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "method \"%.*s\" kept for later is not supported",
                      (int)name.n, name.p);
        return gla__tpl_undefined();
    }
    if (which == NAMESPACE || which == DICT)
        return new_dict(r, functions[which].name, a,
                        which == DICT ? GLA__TPL_DICT : GLA__TPL_NAMESPACE);
    if (!gla__tpl_bind_args(r, &functions[which], a, given) || !given[0]) /* all need one */
        return gla__tpl_undefined();
    if (which == RANGE)
        return range(r, given);
    if (which == STRFTIME)
        return date(r, gla__tpl_text_arg(r, given[0]));
    text = gla__tpl_text_of(r, *given[0]);
    gla__tpl_fail(r, GLA_E_INVALID, "the chat template refuses: %.*s",
                  (int)(text.n < 180 ? text.n : 180), text.p);
    return gla__tpl_undefined();
}
