/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters, tests, methods and functions of chat templates.
 */
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "base/diag.h"
#include "formats/number.h"
#include "formats/template.h"

/* ---- arguments ---- */

static const gla__value *argument(const gla__args *a, size_t i, const char *name)
{
    const gla__value *v = gla__dict_get(&a->named, (gla__view){name, strlen(name)});

    return v ? v : i < a->n ? &a->positional[i] : NULL;
}

/* At most `most` arguments, of which these names (NULL-terminated) may be keywords. */
static bool check_args(gla__run *r, gla__view what, const gla__args *a, size_t most,
                       const char *const *names)
{
    if (a->n > most)
        gla__run_fail(r, GLA_E_UNSUPPORTED, "\"%.*s\" with %zu arguments is not supported",
                      (int)what.n, what.p, a->n);
    for (size_t i = 0; i < a->named.n; i++) {
        bool known = false;

        for (size_t k = 0; names && names[k]; k++)
            known |= gla__view_is(a->named.pairs[i].key, names[k]);
        if (!known)
            gla__run_fail(r, GLA_E_UNSUPPORTED, "\"%.*s\" with %.*s= is not supported", (int)what.n,
                          what.p, (int)a->named.pairs[i].key.n, a->named.pairs[i].key.p);
    }
    return !r->st;
}

static gla__value wrong(gla__run *r, gla__view what, gla__value v)
{
    gla__run_fail(r, GLA_E_INVALID, "\"%.*s\" of a %s is not possible", (int)what.n, what.p,
                  gla__kind_name(v.kind));
    return gla__undefined();
}

/* The i-th argument as text; def where there is none. */
static gla__view text_argument(gla__run *r, const gla__args *a, size_t i, const char *name,
                               const char *def)
{
    const gla__value *v = argument(a, i, name);

    if (!v || v->kind == GLA__NONE)
        return (gla__view){def, def ? strlen(def) : 0};
    if (v->kind != GLA__STRING)
        gla__run_fail(r, GLA_E_INVALID, "argument %zu must be a string, not a %s", i + 1,
                      gla__kind_name(v->kind));
    return v->kind == GLA__STRING ? v->s : (gla__view){"", 0};
}

/* ---- work on texts ---- */

/* White_Space and four separators that Python strips too. */
static bool python_space(int32_t c)
{
    return gla__is_space(c) || (c >= 0x1c && c <= 0x1f);
}

static bool one_of(int32_t c, gla__view set)
{
    size_t size;

    for (size_t i = 0; i < set.n; i += size)
        if (gla__utf8_next(set.p + i, &size) == c)
            return true;
    return false;
}

/* chars.p NULL: white space */
static gla__value strip(gla__view s, gla__view chars, bool left, bool right)
{
    size_t size;

    while (left && s.n) {
        const int32_t c = gla__utf8_next(s.p, &size);

        if (!(chars.p ? one_of(c, chars) : python_space(c)))
            break;
        s.p += size;
        s.n -= size;
    }
    while (right && s.n) {
        const int32_t c = gla__utf8_last(s.p, s.n);

        if (!(chars.p ? one_of(c, chars) : python_space(c)))
            break;
        do
            s.n--;
        while (((unsigned char)s.p[s.n] & 0xc0) == 0x80);
    }
    return gla__string(s.p, s.n);
}

typedef enum casing { UPPER, LOWER, TITLE, CAPITALIZE } casing;

static gla__value change_case(gla__run *r, gla__view s, casing how)
{
    gla__bytes out = {0};
    size_t size;
    bool start = true;

    for (size_t i = 0; i < s.n && gla__run_step(r); i += size) {
        const int32_t c = gla__utf8_next(s.p + i, &size);
        const bool up = how == UPPER || (start && how != LOWER);

        if (gla__bytes_add_char(&out, up ? utf8proc_toupper(c) : utf8proc_tolower(c)))
            gla__run_fail(r, GLA_E_NOMEM, "out of memory for the chat");
        start = how == TITLE && utf8proc_toupper(c) == utf8proc_tolower(c);
    }
    return gla__taken(r, &out);
}

/* Where text begins in s from `from` on; s.n if nowhere. */
static size_t find(gla__view s, size_t from, gla__view text)
{
    while (text.n <= s.n && from <= s.n - text.n) {
        const char *p = memchr(s.p + from, text.p[0], s.n - text.n - from + 1);

        if (!p)
            break;
        if (!memcmp(p, text.p, text.n))
            return (size_t)(p - s.p);
        from = (size_t)(p - s.p) + 1;
    }
    return s.n;
}

static gla__value replace(gla__run *r, gla__view s, gla__view old, gla__view new, int64_t count)
{
    gla__bytes out = {0};
    size_t at = 0;

    if (!old.n) {
        gla__run_fail(r, GLA_E_UNSUPPORTED, "replacing the empty string");
        return gla__undefined();
    }
    while (count-- && gla__run_step(r)) {
        const size_t found = find(s, at, old);

        if (found == s.n)
            break;
        gla__append(r, &out, s.p + at, found - at);
        gla__append(r, &out, new.p, new.n);
        at = found + old.n;
    }
    gla__append(r, &out, s.p + at, s.n - at);
    return gla__taken(r, &out);
}

/* Python's split(); by.p NULL: at runs of white space. */
static gla__value split(gla__run *r, gla__view s, gla__view by, int64_t most)
{
    const gla__value out = gla__new_list(r);
    size_t at = 0, found, size;

    if (by.p && !by.n) {
        gla__run_fail(r, GLA_E_INVALID, "split at the empty string");
        return out;
    }
    while (by.p && most-- && gla__run_step(r)) {
        found = find(s, at, by);
        if (found == s.n)
            break;
        gla__list_add(r, out.list, gla__string(s.p + at, found - at));
        at = found + by.n;
    }
    if (by.p) {
        gla__list_add(r, out.list, gla__string(s.p + at, s.n - at));
        return out;
    }
    while (gla__run_step(r)) {
        s = strip(s, (gla__view){0}, true, false).s;
        if (!s.n)
            break;
        for (found = 0; found < s.n && most; found += size)
            if (python_space(gla__utf8_next(s.p + found, &size)))
                break;
        if (!most--) /* the rest as it is */
            found = s.n;
        gla__list_add(r, out.list, gla__string(s.p, found));
        s.p += found;
        s.n -= found;
    }
    return out;
}

static gla__value join(gla__run *r, const gla__list *l, gla__view by, const gla__value *attribute)
{
    gla__bytes out = {0};

    for (size_t i = 0; l && i < l->n && gla__run_step(r); i++) {
        gla__value v = l->items[i];

        if (attribute && attribute->kind == GLA__STRING)
            v = gla__attribute(r, v, attribute->s);
        if (i)
            gla__append(r, &out, by.p, by.n);
        gla__print(r, &out, v);
    }
    return gla__taken(r, &out);
}

static gla__value pairs_of(gla__run *r, const gla__dict *d)
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

/* ---- attributes ---- */

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

    if (r->st)
        return gla__undefined();
    switch (v.kind) {
    case GLA__DICT:
    case GLA__NAMESPACE:
        member = gla__dict_get(v.dict, name);
        return member ? *member : gla__undefined();
    case GLA__LOOP:
        return loop_attribute(r, v.loop, name);
    case GLA__UNDEFINED:
        gla__run_fail(r, GLA_E_INVALID, "\"%.*s\" of something that is undefined", (int)name.n,
                      name.p);
        return v;
    default:
        return gla__undefined();
    }
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

/* startswith and endswith take one text or a list of them. */
static gla__value affix(gla__run *r, gla__view s, gla__view name, const gla__args *a,
                        bool (*has)(gla__view, gla__view))
{
    const gla__value *v = argument(a, 0, "prefix");
    bool found = false;

    if (v && v->kind == GLA__LIST) {
        for (size_t i = 0; i < v->list->n; i++)
            found |= v->list->items[i].kind == GLA__STRING && has(s, v->list->items[i].s);
        return gla__bool(found);
    }
    if (!v || v->kind != GLA__STRING)
        return wrong(r, name, v ? *v : gla__undefined());
    return gla__bool(has(s, v->s));
}

static int64_t int_argument(gla__run *r, const gla__args *a, size_t i, const char *name,
                            int64_t def)
{
    const gla__value *v = argument(a, i, name);

    if (!v)
        return def;
    if (v->kind != GLA__INT)
        gla__run_fail(r, GLA_E_INVALID, "argument %zu must be an integer, not a %s", i + 1,
                      gla__kind_name(v->kind));
    return v->kind == GLA__INT ? v->i : def;
}

static gla__value string_method(gla__run *r, gla__view s, gla__view name, const gla__args *a)
{
    static const char *const keywords[] = {"sep", "maxsplit", NULL};

    if (!check_args(r, name, a, 3, keywords))
        return gla__undefined();
    if (gla__view_is(name, "startswith"))
        return affix(r, s, name, a, starts);
    if (gla__view_is(name, "endswith"))
        return affix(r, s, name, a, ends);
    if (gla__view_is(name, "strip"))
        return strip(s, text_argument(r, a, 0, "chars", NULL), true, true);
    if (gla__view_is(name, "lstrip"))
        return strip(s, text_argument(r, a, 0, "chars", NULL), true, false);
    if (gla__view_is(name, "rstrip"))
        return strip(s, text_argument(r, a, 0, "chars", NULL), false, true);
    if (gla__view_is(name, "split"))
        return split(r, s, text_argument(r, a, 0, "sep", NULL),
                     int_argument(r, a, 1, "maxsplit", -1));
    if (gla__view_is(name, "replace") && a->n >= 2)
        return replace(r, s, text_argument(r, a, 0, "old", ""), text_argument(r, a, 1, "new", ""),
                       int_argument(r, a, 2, "count", -1));
    if (gla__view_is(name, "upper"))
        return change_case(r, s, UPPER);
    if (gla__view_is(name, "lower"))
        return change_case(r, s, LOWER);
    if (gla__view_is(name, "title"))
        return change_case(r, s, TITLE);
    if (gla__view_is(name, "capitalize"))
        return change_case(r, s, CAPITALIZE);
    if (gla__view_is(name, "join") && a->n == 1)
        return join(r, gla__items_of(r, a->positional[0]), s, NULL);
    gla__run_fail(r, GLA_E_UNSUPPORTED, "string method \"%.*s\" is not supported", (int)name.n,
                  name.p);
    return gla__undefined();
}

static gla__value dict_method(gla__run *r, const gla__dict *d, gla__view name, const gla__args *a)
{
    const gla__value out = gla__new_list(r), *v;

    if (!check_args(r, name, a, 2, NULL))
        return gla__undefined();
    if (gla__view_is(name, "items"))
        return pairs_of(r, d);
    if (gla__view_is(name, "get") && a->n) {
        v = a->positional[0].kind == GLA__STRING ? gla__dict_get(d, a->positional[0].s) : NULL;
        return v ? *v : a->n > 1 ? a->positional[1] : gla__none();
    }
    if (gla__view_is(name, "keys") || gla__view_is(name, "values")) {
        for (size_t i = 0; i < d->n && gla__run_step(r); i++)
            gla__list_add(r, out.list,
                          name.n == 4 ? gla__string(d->pairs[i].key.p, d->pairs[i].key.n)
                                      : d->pairs[i].value);
        return out;
    }
    gla__run_fail(r, GLA_E_UNSUPPORTED, "method \"%.*s\" of a mapping is not supported",
                  (int)name.n, name.p);
    return gla__undefined();
}

gla__value gla__call_method(gla__run *r, gla__value self, gla__view name, const gla__args *args)
{
    if (self.kind == GLA__STRING)
        return string_method(r, self.s, name, args);
    if (self.kind == GLA__DICT)
        return dict_method(r, self.dict, name, args);
    if (self.kind == GLA__LOOP && gla__view_is(name, "cycle") && args->n)
        return args->positional[self.loop->at % args->n];
    gla__run_fail(r, GLA_E_UNSUPPORTED, "method \"%.*s\" of a %s is not supported", (int)name.n,
                  name.p, gla__kind_name(self.kind));
    return gla__undefined();
}

/* ---- functions ---- */

static gla__value range(gla__run *r, const gla__args *a)
{
    const gla__value out = gla__new_list(r);
    const int64_t first = int_argument(r, a, 0, "start", 0);
    const int64_t from = a->n > 1 ? first : 0;
    const int64_t to = a->n > 1 ? int_argument(r, a, 1, "stop", 0) : first;
    const int64_t by = int_argument(r, a, 2, "step", 1);

    if (by == 0 || a->n == 0)
        gla__run_fail(r, GLA_E_INVALID, "range() needs bounds, and a step that is not 0");
    for (int64_t i = from; (by > 0 ? i < to : i > to) && gla__run_step(r);) {
        gla__list_add(r, out.list, gla__int(i));
        if (__builtin_add_overflow(i, by, &i))
            break;
    }
    return out;
}

static gla__value date(gla__run *r, const gla__args *a)
{
    const gla__view format = text_argument(r, a, 0, "format", "");
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

bool gla__is_function(gla__view name)
{
    static const char *const names[] = {"raise_exception", "namespace", "dict", "range",
                                        "strftime_now"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (gla__view_is(name, names[i]))
            return true;
    return false;
}

gla__value gla__call_function(gla__run *r, gla__view name, const gla__args *a)
{
    gla__value v = gla__undefined();
    gla__view text;

    if (gla__view_is(name, "range"))
        return range(r, a);
    if (gla__view_is(name, "strftime_now"))
        return date(r, a);
    if (gla__view_is(name, "raise_exception")) {
        text = text_argument(r, a, 0, "message", "");
        gla__run_fail(r, GLA_E_INVALID, "the chat template refuses: %.*s",
                      (int)(text.n < 180 ? text.n : 180), text.p);
        return v;
    }
    if (a->n)
        return wrong(r, name, a->positional[0]);
    v = gla__new_dict(r);
    for (size_t i = 0; i < a->named.n && !r->st; i++)
        gla__dict_set(r, v.dict, a->named.pairs[i].key, a->named.pairs[i].value);
    if (!r->st && gla__view_is(name, "namespace"))
        v.kind = GLA__NAMESPACE;
    return v;
}

/* ---- tests ---- */

static bool number_test(gla__run *r, gla__view name, gla__value v, const gla__args *a)
{
    int64_t by = 2;

    if (v.kind != GLA__INT)
        (void)wrong(r, name, v);
    if (gla__view_is(name, "divisibleby"))
        by = int_argument(r, a, 0, "num", 0);
    if (by == 0) {
        gla__run_fail(r, GLA_E_INVALID, "divisibleby needs a number that is not 0");
        return false;
    }
    if (r->st || by == -1)
        return !r->st;
    return (v.i % by == 0) != gla__view_is(name, "odd");
}

/* Tests of the kind alone: bit n for gla__vkind n. */
static const struct {
    const char *name;
    uint32_t kinds;
} kind_tests[] = {
    {"defined", ~(1u << GLA__UNDEFINED)},
    {"undefined", 1u << GLA__UNDEFINED},
    {"none", 1u << GLA__NONE},
    {"string", 1u << GLA__STRING},
    {"mapping", 1u << GLA__DICT},
    {"boolean", 1u << GLA__BOOL},
    {"integer", 1u << GLA__INT},
    {"float", 1u << GLA__FLOAT},
    {"number", 1u << GLA__INT | 1u << GLA__FLOAT | 1u << GLA__BOOL},
    {"callable", 1u << GLA__MACRO | 1u << GLA__FUNCTION},
    {"iterable", 1u << GLA__STRING | 1u << GLA__LIST | 1u << GLA__DICT | 1u << GLA__UNDEFINED},
    {"sequence", 1u << GLA__STRING | 1u << GLA__LIST | 1u << GLA__DICT | 1u << GLA__UNDEFINED},
};

bool gla__call_test(gla__run *r, gla__view name, gla__value v, const gla__args *a)
{
    for (size_t i = 0; i < sizeof(kind_tests) / sizeof(*kind_tests); i++)
        if (gla__view_is(name, kind_tests[i].name))
            return kind_tests[i].kinds >> v.kind & 1;
    if (gla__view_is(name, "true") || gla__view_is(name, "false"))
        return v.kind == GLA__BOOL && (v.i != 0) == (name.n == 4);
    if (gla__view_is(name, "odd") || gla__view_is(name, "even") ||
        gla__view_is(name, "divisibleby"))
        return number_test(r, name, v, a);
    if (a->n == 1 && (gla__view_is(name, "equalto") || gla__view_is(name, "eq")))
        return gla__equal(r, v, a->positional[0]);
    if (a->n == 1 && gla__view_is(name, "ne"))
        return !gla__equal(r, v, a->positional[0]);
    if (a->n == 1 && gla__view_is(name, "in"))
        return gla__contains(r, v, a->positional[0]);
    gla__run_fail(r, GLA_E_UNSUPPORTED, "test \"%.*s\" is not supported", (int)name.n, name.p);
    return false;
}

/* ---- filters ---- */

static gla__value length(gla__run *r, gla__view name, gla__value v)
{
    int64_t n = 0;

    switch (v.kind) {
    case GLA__STRING:
        for (size_t i = 0; i < v.s.n; i++)
            n += ((unsigned char)v.s.p[i] & 0xc0) != 0x80;
        return gla__int(n);
    case GLA__LIST:
        return gla__int((int64_t)v.list->n);
    case GLA__DICT:
        return gla__int((int64_t)v.dict->n);
    case GLA__UNDEFINED:
        return gla__int(0);
    default:
        return wrong(r, name, v);
    }
}

static gla__value to_json(gla__run *r, gla__value v, const gla__args *a)
{
    const gla__value *indent = argument(a, 0, "indent");
    gla__bytes out = {0};
    int spaces = -1;

    if (indent && indent->kind == GLA__INT && indent->i >= 0 && indent->i <= 16)
        spaces = (int)indent->i;
    else if (indent && indent->kind != GLA__NONE)
        gla__run_fail(r, GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16");
    gla__to_json(r, &out, v, spaces);
    return gla__taken(r, &out);
}

static gla__value reversed(gla__run *r, gla__value v)
{
    const gla__list *l = gla__items_of(r, v);
    const gla__value out = gla__new_list(r);

    for (size_t i = l ? l->n : 0; i-- && gla__run_step(r);)
        gla__list_add(r, out.list, l->items[i]);
    return v.kind == GLA__STRING ? join(r, out.list, (gla__view){"", 0}, NULL) : out;
}

/* The rest of the arguments, from the i-th on. */
static gla__args tail_of(const gla__args *a, size_t i)
{
    gla__args t = {0};

    for (; i < a->n; i++)
        t.positional[t.n++] = a->positional[i];
    return t;
}

/* map(attribute=...) or map("filter", ...) */
static gla__value map(gla__run *r, gla__value v, const gla__args *a)
{
    const gla__value *attribute = gla__dict_get(&a->named, (gla__view){"attribute", 9});
    const gla__list *l = gla__items_of(r, v);
    const gla__value out = gla__new_list(r);
    const gla__args rest = tail_of(a, 1);

    if (!attribute && (!a->n || a->positional[0].kind != GLA__STRING))
        return wrong(r, (gla__view){"map", 3}, gla__undefined());
    for (size_t i = 0; l && i < l->n && gla__run_step(r); i++)
        gla__list_add(r, out.list,
                      attribute ? gla__attribute(r, l->items[i], gla__text_of(r, *attribute))
                                : gla__call_filter(r, a->positional[0].s, l->items[i], &rest));
    return out;
}

/* select, reject, selectattr, rejectattr; without a test: whether it is true. */
static gla__value select_items(gla__run *r, gla__view name, gla__value v, const gla__args *a)
{
    const bool wanted = name.p[0] == 's', by_attribute = ends(name, (gla__view){"attr", 4});
    const size_t test = by_attribute ? 1 : 0;
    const gla__list *l = gla__items_of(r, v);
    const gla__value out = gla__new_list(r);
    const gla__args rest = tail_of(a, test + 1);

    for (size_t i = 0; i <= test && (i < a->n || i < test); i++)
        if (i >= a->n || a->positional[i].kind != GLA__STRING)
            return wrong(r, name, gla__undefined());
    for (size_t i = 0; l && i < l->n && gla__run_step(r); i++) {
        const gla__value of =
            by_attribute ? gla__attribute(r, l->items[i], a->positional[0].s) : l->items[i];
        const bool yes =
            a->n > test ? gla__call_test(r, a->positional[test].s, of, &rest) : gla__truth(of);

        if (yes == wanted)
            gla__list_add(r, out.list, l->items[i]);
    }
    return out;
}

/* What is no number is 0. */
static gla__value to_int(gla__value v)
{
    gla__view s;
    uint64_t i;
    bool negative;

    if (v.kind == GLA__FLOAT && v.f > -9e18 && v.f < 9e18)
        return gla__int((int64_t)v.f);
    if (v.kind == GLA__BOOL || v.kind == GLA__INT)
        return gla__int(v.i);
    if (v.kind != GLA__STRING)
        return gla__int(0);
    s = strip(v.s, (gla__view){0}, true, true).s;
    negative = s.n && *s.p == '-';
    if (negative) {
        s.p++;
        s.n--;
    }
    if (!gla__parse_u64(s.p, s.n, &i) || i > INT64_MAX)
        return gla__int(0);
    return gla__int(negative ? -(int64_t)i : (int64_t)i);
}

static gla__value indented(gla__run *r, gla__value v, const gla__args *a)
{
    const gla__view s = gla__text_of(r, v);
    const int64_t width = int_argument(r, a, 0, "width", 4);
    const gla__value *first = argument(a, 1, "first"), *blank = argument(a, 2, "blank");
    gla__bytes out = {0};
    size_t at = 0;

    while (gla__run_step(r)) {
        const char *stop = memchr(s.p + at, '\n', s.n - at);
        const size_t end = stop ? (size_t)(stop - s.p) : s.n;

        if ((at || (first && gla__truth(*first))) && (end > at || (blank && gla__truth(*blank))))
            for (int64_t i = 0; i < width && gla__run_step(r); i++)
                gla__append(r, &out, " ", 1);
        gla__append(r, &out, s.p + at, end - at + (stop ? 1 : 0));
        if (!stop)
            break;
        at = end + 1;
    }
    return gla__taken(r, &out);
}

static gla__value edge(gla__run *r, gla__value v, bool last)
{
    const gla__list *l = gla__items_of(r, v);

    if (!l || !l->n)
        return gla__undefined();
    return l->items[last ? l->n - 1 : 0];
}

static gla__value text_filter(gla__run *r, gla__view name, gla__value v, const gla__args *a,
                              bool *known)
{
    const gla__view s = v.kind == GLA__STRING ? v.s : (gla__view){0};
    const bool text = v.kind == GLA__STRING;

    *known = true;
    if (gla__view_is(name, "trim"))
        return strip(text ? s : gla__text_of(r, v), text_argument(r, a, 0, "chars", NULL), true,
                     true);
    if (gla__view_is(name, "upper"))
        return change_case(r, text ? s : gla__text_of(r, v), UPPER);
    if (gla__view_is(name, "lower"))
        return change_case(r, text ? s : gla__text_of(r, v), LOWER);
    if (gla__view_is(name, "title"))
        return change_case(r, text ? s : gla__text_of(r, v), TITLE);
    if (gla__view_is(name, "capitalize"))
        return change_case(r, text ? s : gla__text_of(r, v), CAPITALIZE);
    if (gla__view_is(name, "replace") && a->n >= 2)
        return replace(r, text ? s : gla__text_of(r, v), gla__text_of(r, a->positional[0]),
                       gla__text_of(r, a->positional[1]), int_argument(r, a, 2, "count", -1));
    if (gla__view_is(name, "indent"))
        return indented(r, v, a);
    if (gla__view_is(name, "string") || gla__view_is(name, "safe")) {
        const gla__view t = text ? s : gla__text_of(r, v);

        return gla__string(t.p, t.n);
    }
    *known = false;
    return v;
}

static gla__value list_filter(gla__run *r, gla__view name, gla__value v, const gla__args *a,
                              bool *known)
{
    gla__value out;

    *known = true;
    if (gla__view_is(name, "join"))
        return join(r, gla__items_of(r, v), text_argument(r, a, 0, "d", ""),
                    argument(a, 1, "attribute"));
    if (gla__view_is(name, "first") || gla__view_is(name, "last"))
        return edge(r, v, name.n == 4);
    if (gla__view_is(name, "list")) {
        const gla__list *l = gla__items_of(r, v);

        out = gla__new_list(r);
        for (size_t i = 0; l && i < l->n && gla__run_step(r); i++)
            gla__list_add(r, out.list, l->items[i]);
        return out;
    }
    if (gla__view_is(name, "reverse"))
        return reversed(r, v);
    if (gla__view_is(name, "items")) {
        if (v.kind == GLA__UNDEFINED)
            return gla__new_list(r);
        return v.kind == GLA__DICT ? pairs_of(r, v.dict) : wrong(r, name, v);
    }
    if (gla__view_is(name, "map"))
        return map(r, v, a);
    if (gla__view_is(name, "select") || gla__view_is(name, "reject") ||
        gla__view_is(name, "selectattr") || gla__view_is(name, "rejectattr"))
        return select_items(r, name, v, a);
    *known = false;
    return v;
}

gla__value gla__call_filter(gla__run *r, gla__view name, gla__value v, const gla__args *a)
{
    static const char *const keywords[] = {"default_value", "boolean", "attribute", "indent",
                                           "width",         "first",   "blank",     "d",
                                           "chars",         "count",   NULL};
    const gla__value *flag, *def;
    gla__value out;
    bool known;

    /* transformers never escapes: what it is told so is already so */
    if (a->named.n && gla__view_is(name, "tojson")) {
        static const char *const options[] = {"indent", "ensure_ascii", NULL};

        flag = gla__dict_get(&a->named, (gla__view){"ensure_ascii", 12});
        if (!check_args(r, name, a, 0, options))
            return gla__undefined();
        if (flag && gla__truth(*flag))
            gla__run_fail(r, GLA_E_UNSUPPORTED, "tojson with ensure_ascii is not supported");
    } else if (!check_args(r, name, a, 8, keywords)) {
        return gla__undefined();
    }
    if (gla__view_is(name, "tojson"))
        return to_json(r, v, a);
    if (gla__view_is(name, "length") || gla__view_is(name, "count"))
        return length(r, name, v);
    if (gla__view_is(name, "default") || gla__view_is(name, "d")) {
        def = argument(a, 0, "default_value");
        flag = argument(a, 1, "boolean");
        if (v.kind == GLA__UNDEFINED || (flag && gla__truth(*flag) && !gla__truth(v)))
            return def ? *def : gla__string("", 0);
        return v;
    }
    if (gla__view_is(name, "int"))
        return to_int(v);
    if (gla__view_is(name, "abs") && v.kind == GLA__INT && v.i != INT64_MIN)
        return gla__int(v.i < 0 ? -v.i : v.i);
    out = text_filter(r, name, v, a, &known);
    if (!known)
        out = list_filter(r, name, v, a, &known);
    if (!known)
        gla__run_fail(r, GLA_E_UNSUPPORTED, "filter \"%.*s\" is not supported", (int)name.n,
                      name.p);
    return r->st ? gla__undefined() : out;
}
