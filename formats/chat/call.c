/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes, elements, methods and functions of chat templates.
 */
#include "formats/chat/call.h"

#include <string.h>
#include <time.h>

#include "base/diag.h"

/* ---- arguments ---- */

static size_t parameter(const gla__signature *s, gla__view name)
{
    for (size_t i = 0; i < s->most; i++)
        if (s->keywords[i] && gla__view_is(name, s->keywords[i]))
            return i;
    return s->most;
}

bool gla__bind_args(gla__run *r, const gla__signature *s, const gla__args *a,
                    const gla__value *given[GLA__TPL_MAX_PARAMETERS])
{
    bool fits = a->n <= s->most;

    memset(given, 0, GLA__TPL_MAX_PARAMETERS * sizeof(*given));
    for (size_t i = 0; i < a->n && i < s->most; i++)
        given[i] = &a->positional[i];
    for (size_t i = 0; i < a->named.n; i++) {
        const gla__view name = a->named.pairs[i].key;
        const size_t at = parameter(s, name);

        if (at < s->most && !given[at])
            given[at] = &a->named.pairs[i].value;
        else
            gla__run_fail(r, GLA_E_UNSUPPORTED, "\"%s\" with %.*s= is not supported", s->name,
                          (int)name.n, name.p);
    }
    for (size_t i = 0; i < s->least; i++)
        fits = fits && given[i];
    if (!fits)
        gla__run_fail(r, GLA_E_UNSUPPORTED, "\"%s\" with %zu arguments is not supported", s->name,
                      a->n + a->named.n);
    return fits && !r->st;
}

gla__value gla__wrong(gla__run *r, gla__view what, gla__value v)
{
    gla__run_fail(r, GLA_E_INVALID, "\"%.*s\" of %s is not possible", (int)what.n, what.p,
                  gla__kind_name(v.kind));
    return gla__undefined();
}

gla__view gla__text_arg(gla__run *r, const gla__value *v)
{
    if (v->kind == GLA__STRING)
        return v->s;
    gla__run_fail(r, GLA_E_INVALID, "the argument must be a string, not %s",
                  gla__kind_name(v->kind));
    return (gla__view){"", 0};
}

gla__view gla__optional_text_arg(gla__run *r, const gla__value *v)
{
    return v && v->kind != GLA__NONE ? gla__text_arg(r, v) : (gla__view){NULL, 0};
}

int64_t gla__int_arg(gla__run *r, const gla__value *v, int64_t def)
{
    if (!v)
        return def;
    if (v->kind == GLA__INT || v->kind == GLA__BOOL)
        return v->i;
    gla__run_fail(r, GLA_E_INVALID, "the argument must be an integer, not %s",
                  gla__kind_name(v->kind));
    return def;
}

/* ---- attributes ---- */

static bool has_word(const char *words, gla__view name)
{
    for (const char *p = words; *p; p += strcspn(p, " ")) {
        p += *p == ' ';
        if (strcspn(p, " ") == name.n && name.n && !memcmp(p, name.p, name.n))
            return true;
    }
    return false;
}

/* A method without its call.  Those that change their object do not exist in a template. */
static bool is_method(gla__vkind kind, gla__view name, bool *exists)
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
    case GLA__STRING:
        return has_word(of_strings, name);
    case GLA__LIST:
        return has_word("copy count index", name);
    case GLA__DICT:
        *exists = !has_word(changing, name);
        return !*exists || has_word("copy fromkeys get items keys values", name);
    default:
        return false;
    }
}

static gla__value loop_attribute(gla__run *r, const gla__loop *l, gla__view name)
{
    const int64_t at = (int64_t)l->at, n = (int64_t)l->items->n;

    if (gla__view_is(name, "index0"))
        return gla__int(at);
    if (gla__view_is(name, "index"))
        return gla__int(at + 1);
    if (gla__view_is(name, "revindex0"))
        return gla__int(n - at - 1);
    if (gla__view_is(name, "revindex"))
        return gla__int(n - at);
    if (gla__view_is(name, "length"))
        return gla__int(n);
    if (gla__view_is(name, "first"))
        return gla__bool(at == 0);
    if (gla__view_is(name, "last"))
        return gla__bool(at == n - 1);
    if (gla__view_is(name, "previtem"))
        return at ? l->items->items[at - 1] : gla__undefined();
    if (gla__view_is(name, "nextitem"))
        return at < n - 1 ? l->items->items[at + 1] : gla__undefined();
    gla__run_fail(r, GLA_E_UNSUPPORTED, "loop.%.*s is not supported", (int)name.n, name.p);
    return gla__undefined();
}

gla__value gla__attribute(gla__run *r, gla__value v, gla__view name)
{
    const gla__value *member;
    bool exists;

    if (r->st)
        return gla__undefined();
    if (is_method(v.kind, name, &exists)) /* goes before a key of that name */
        return exists ? (gla__value){.kind = GLA__FUNCTION, .s = name} : gla__undefined();
    switch (v.kind) {
    case GLA__DICT:
    case GLA__NAMESPACE:
        member = gla__dict_get(v.dict, name);
        return member ? *member : gla__undefined();
    case GLA__LOOP:
        return loop_attribute(r, v.loop, name);
    case GLA__MACRO:
        if (gla__view_is(name, "name"))
            return gla__string(v.macro->node->text.p, v.macro->node->text.n);
        return gla__undefined();
    case GLA__UNDEFINED:
        gla__run_fail(r, GLA_E_INVALID, "\"%.*s\" of something that is undefined", (int)name.n,
                      name.p);
        return v;
    default:
        return gla__undefined();
    }
}

gla__value gla__element(gla__run *r, gla__value of, gla__value key)
{
    const bool index = key.kind == GLA__INT || key.kind == GLA__BOOL;
    const gla__value *member;
    gla__list *l;

    if (of.kind == GLA__DICT && key.kind == GLA__STRING) {
        member = gla__dict_get(of.dict, key.s);
        if (member)
            return *member;
    }
    if (key.kind == GLA__STRING)
        return gla__attribute(r, of, key.s);
    if (of.kind == GLA__UNDEFINED)
        gla__run_fail(r, GLA_E_INVALID, "an element of something that is undefined");
    if (!index || (of.kind != GLA__LIST && of.kind != GLA__STRING))
        return gla__undefined();
    l = gla__items_of(r, of);
    if (!l)
        return gla__undefined();
    if (key.i < 0)
        key.i += (int64_t)l->n;
    return key.i >= 0 && key.i < (int64_t)l->n ? l->items[key.i] : gla__undefined();
}

gla__value gla__tpl_pairs(gla__run *r, const gla__dict *d)
{
    const gla__value out = gla__new_list(r);

    for (size_t i = 0; i < d->n && gla__run_step(r); i++) {
        const gla__value pair = gla__new_list(r);

        if (r->st)
            break;
        gla__list_add(r, pair.list, gla__string(d->pairs[i].key.p, d->pairs[i].key.n));
        gla__list_add(r, pair.list, d->pairs[i].value);
        gla__list_add(r, out.list, pair);
    }
    return out;
}

/* ---- methods ---- */

static bool starts(gla__view s, gla__view with)
{
    return s.n >= with.n && !memcmp(s.p, with.p, with.n);
}

static bool ends(gla__view s, gla__view with)
{
    return s.n >= with.n && !memcmp(s.p + s.n - with.n, with.p, with.n);
}

/* One text or a list of them. */
static gla__value has_affix(gla__run *r, gla__view s, const gla__value *v,
                            bool (*has)(gla__view, gla__view))
{
    bool found = false;

    if (v->kind != GLA__LIST)
        return gla__bool(has(s, gla__text_arg(r, v)));
    for (size_t i = 0; i < v->list->n && !found; i++)
        found = has(s, gla__text_arg(r, &v->list->items[i]));
    return gla__bool(found);
}

static gla__value join_strings(gla__run *r, const gla__list *l, gla__view by)
{
    gla__bytes out = {0};

    for (size_t i = 0; l && i < l->n && gla__run_step(r); i++) {
        const gla__view s = gla__text_arg(r, &l->items[i]);

        gla__append(r, &out, by.p, i ? by.n : 0);
        gla__append(r, &out, s.p, s.n);
    }
    return gla__taken(r, &out);
}

enum { STARTS, ENDS, STRIP, LSTRIP, RSTRIP, SPLIT, REPLACE, UPPER, LOWER, TITLE, CAPITAL, JOIN };

static const gla__signature string_methods[] = {
    [STARTS] = {"startswith", 1, 1, {NULL}},  [ENDS] = {"endswith", 1, 1, {NULL}},
    [STRIP] = {"strip", 0, 1, {NULL}},        [LSTRIP] = {"lstrip", 0, 1, {NULL}},
    [RSTRIP] = {"rstrip", 0, 1, {NULL}},      [SPLIT] = {"split", 0, 2, {"sep", "maxsplit"}},
    [REPLACE] = {"replace", 2, 3, {NULL}},    [UPPER] = {"upper", 0, 0, {NULL}},
    [LOWER] = {"lower", 0, 0, {NULL}},        [TITLE] = {"title", 0, 0, {NULL}},
    [CAPITAL] = {"capitalize", 0, 0, {NULL}}, [JOIN] = {"join", 1, 1, {NULL}},
};

static gla__value stripped(gla__run *r, gla__view s, const gla__value *chars, bool left, bool right)
{
    const gla__view v = gla__tpl_strip(s, gla__optional_text_arg(r, chars), left, right);

    return gla__string(v.p, v.n);
}

static gla__value call_string(gla__run *r, gla__view s, size_t which, gla__given given)
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
        return gla__tpl_split(r, s, gla__optional_text_arg(r, given[0]),
                              gla__int_arg(r, given[1], -1));
    case REPLACE:
        return gla__tpl_replace(r, s, gla__text_arg(r, given[0]), gla__text_arg(r, given[1]),
                                gla__int_arg(r, given[2], -1));
    case UPPER:
        return gla__tpl_change_case(r, s, GLA__UPPER);
    case LOWER:
        return gla__tpl_change_case(r, s, GLA__LOWER);
    case TITLE:
        return gla__tpl_change_case(r, s, GLA__TITLE);
    case CAPITAL:
        return gla__tpl_change_case(r, s, GLA__CAPITALIZE);
    default: /* JOIN */
        return join_strings(r, gla__items_of(r, *given[0]), s);
    }
}

enum { ITEMS, GET, KEYS, VALUES };

static const gla__signature dict_methods[] = {
    [ITEMS] = {"items", 0, 0, {NULL}},
    [GET] = {"get", 1, 2, {NULL}},
    [KEYS] = {"keys", 0, 0, {NULL}},
    [VALUES] = {"values", 0, 0, {NULL}},
};

static gla__value call_dict(gla__run *r, const gla__dict *d, size_t which, gla__given given)
{
    const gla__value *found;
    gla__value out;

    if (which == ITEMS)
        return gla__tpl_pairs(r, d);
    if (which == GET && (given[0]->kind == GLA__LIST || given[0]->kind == GLA__DICT))
        return gla__wrong(r, (gla__view){"get", 3}, *given[0]);
    if (which == GET) {
        found = given[0]->kind == GLA__STRING ? gla__dict_get(d, given[0]->s) : NULL;
        return found ? *found : given[1] ? *given[1] : gla__none();
    }
    out = gla__new_list(r);
    for (size_t i = 0; i < d->n && gla__run_step(r); i++)
        gla__list_add(r, out.list,
                      which == KEYS ? gla__string(d->pairs[i].key.p, d->pairs[i].key.n)
                                    : d->pairs[i].value);
    return out;
}

gla__value gla__call_method(gla__run *r, gla__value self, gla__view name, const gla__args *args)
{
    const bool string = self.kind == GLA__STRING;
    const gla__signature *all = string ? string_methods : dict_methods;
    const size_t n = string                   ? sizeof(string_methods) / sizeof(*all)
                     : self.kind == GLA__DICT ? sizeof(dict_methods) / sizeof(*all)
                                              : 0;
    const gla__value *given[GLA__TPL_MAX_PARAMETERS];

    for (size_t i = 0; i < n; i++) {
        if (!gla__view_is(name, all[i].name))
            continue;
        if (!gla__bind_args(r, &all[i], args, given))
            return gla__undefined();
        return string ? call_string(r, self.s, i, given) : call_dict(r, self.dict, i, given);
    }
    if (self.kind == GLA__LOOP && gla__view_is(name, "cycle") && args->n && !args->named.n)
        return args->positional[self.loop->at % args->n];
    gla__run_fail(r, GLA_E_UNSUPPORTED, "method \"%.*s\" of %s is not supported", (int)name.n,
                  name.p, gla__kind_name(self.kind));
    return gla__undefined();
}

/* ---- functions ---- */

enum { RAISE, NAMESPACE, DICT, RANGE, STRFTIME };

static const gla__signature functions[] = {
    [RAISE] = {"raise_exception", 1, 1, {"message"}},
    [NAMESPACE] = {"namespace", 0, 0, {NULL}}, /* and any keywords */
    [DICT] = {"dict", 0, 0, {NULL}},
    [RANGE] = {"range", 1, 3, {NULL}},
    [STRFTIME] = {"strftime_now", 1, 1, {NULL}},
};
#define N_FUNCTIONS (sizeof(functions) / sizeof(*functions))

static gla__value range(gla__run *r, gla__given given)
{
    const gla__value out = gla__new_list(r);
    const int64_t first = gla__int_arg(r, given[0], 0);
    const int64_t from = given[1] ? first : 0;
    const int64_t to = gla__int_arg(r, given[1], first);
    const int64_t by = gla__int_arg(r, given[2], 1);

    if (by == 0)
        gla__run_fail(r, GLA_E_INVALID, "range() needs a step that is not 0");
    for (int64_t i = from; (by > 0 ? i < to : i > to) && gla__run_step(r);) {
        gla__list_add(r, out.list, gla__int(i));
        if (__builtin_add_overflow(i, by, &i))
            break;
    }
    return out;
}

static gla__value date(gla__run *r, gla__view format)
{
    const time_t now = r->now ? (time_t)r->now : time(NULL);
    char text[256], copy[128];
    struct tm parts;
    size_t n;

    if (format.n >= sizeof(copy) || !localtime_r(&now, &parts)) {
        gla__run_fail(r, GLA_E_INVALID, "strftime_now: format is too long");
        return gla__undefined();
    }
    memcpy(copy, format.p, format.n);
    copy[format.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = strftime(text, sizeof(text), copy, &parts);
#pragma GCC diagnostic pop
    return gla__copied(r, text, n);
}

/* Of its keywords. */
static gla__value new_dict(gla__run *r, const char *name, const gla__args *a, gla__vkind kind)
{
    gla__value v = gla__new_dict(r);

    if (a->n)
        return gla__wrong(r, (gla__view){name, strlen(name)}, a->positional[0]);
    for (size_t i = 0; i < a->named.n && !r->st; i++)
        gla__dict_set(r, v.dict, a->named.pairs[i].key, a->named.pairs[i].value);
    if (!r->st)
        v.kind = kind;
    return v;
}

static size_t function_of(gla__view name)
{
    size_t i = 0;

    while (i < N_FUNCTIONS && !gla__view_is(name, functions[i].name))
        i++;
    return i;
}

bool gla__is_function(gla__view name)
{
    return function_of(name) < N_FUNCTIONS;
}

gla__value gla__call_function(gla__run *r, gla__view name, const gla__args *a)
{
    const size_t which = function_of(name);
    const gla__value *given[GLA__TPL_MAX_PARAMETERS];
    gla__view text;

    if (which == N_FUNCTIONS) {
        gla__run_fail(r, GLA_E_UNSUPPORTED, "method \"%.*s\" kept for later is not supported",
                      (int)name.n, name.p);
        return gla__undefined();
    }
    if (which == NAMESPACE || which == DICT)
        return new_dict(r, functions[which].name, a, which == DICT ? GLA__DICT : GLA__NAMESPACE);
    if (!gla__bind_args(r, &functions[which], a, given) || !given[0]) /* all need one */
        return gla__undefined();
    if (which == RANGE)
        return range(r, given);
    if (which == STRFTIME)
        return date(r, gla__text_arg(r, given[0]));
    text = gla__text_of(r, *given[0]);
    gla__run_fail(r, GLA_E_INVALID, "the chat template refuses: %.*s",
                  (int)(text.n < 180 ? text.n : 180), text.p);
    return gla__undefined();
}
