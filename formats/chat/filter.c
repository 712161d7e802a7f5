/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters and tests of chat templates.
 */
#include <math.h>
#include <string.h>

#include "base/diag.h"
#include "formats/chat/call.h"
#include "formats/text/number.h"

/* ---- tests ---- */

/* Tests of the kind alone: bit n for gla__tpl_vkind n. */
static const struct {
    const char *name;
    uint32_t kinds;
} kind_tests[] = {
    {"defined", ~(1u << GLA__TPL_UNDEFINED)},
    {"undefined", 1u << GLA__TPL_UNDEFINED},
    {"none", 1u << GLA__TPL_NONE},
    {"string", 1u << GLA__TPL_STRING},
    {"mapping", 1u << GLA__TPL_DICT},
    {"boolean", 1u << GLA__TPL_BOOL},
    {"integer", 1u << GLA__TPL_INT},
    {"float", 1u << GLA__TPL_FLOAT},
    {"number", 1u << GLA__TPL_INT | 1u << GLA__TPL_FLOAT | 1u << GLA__TPL_BOOL},
    {"callable", 1u << GLA__TPL_MACRO | 1u << GLA__TPL_FUNCTION | 1u << GLA__TPL_LOOP |
                     1u << GLA__TPL_UNDEFINED},
    {"iterable", 1u << GLA__TPL_STRING | 1u << GLA__TPL_LIST | 1u << GLA__TPL_DICT |
                     1u << GLA__TPL_UNDEFINED | 1u << GLA__TPL_LOOP},
    {"sequence",
     1u << GLA__TPL_STRING | 1u << GLA__TPL_LIST | 1u << GLA__TPL_DICT | 1u << GLA__TPL_UNDEFINED},
};

typedef enum comparison { EQUAL, NOT_EQUAL, LESS, GREATER, NOT_GREATER, NOT_LESS } comparison;

static const struct {
    const char *names[3];
    comparison how;
} comparisons[] = {
    {{"eq", "equalto", "=="}, EQUAL}, {{"ne", "!="}, NOT_EQUAL},
    {{"lt", "lessthan", "<"}, LESS},  {{"gt", "greaterthan", ">"}, GREATER},
    {{"le", "<="}, NOT_GREATER},      {{"ge", ">="}, NOT_LESS},
};

static bool compare(gla__tpl_run *r, gla__tpl_value a, gla__tpl_value b, comparison how)
{
    switch (how) {
    case EQUAL:
        return gla__tpl_equal(r, a, b);
    case NOT_EQUAL:
        return !gla__tpl_equal(r, a, b);
    case LESS:
        return gla__tpl_order(r, a, b) < 0;
    case GREATER:
        return gla__tpl_order(r, a, b) > 0;
    case NOT_GREATER:
        return gla__tpl_order(r, a, b) <= 0;
    case NOT_LESS:
        break;
    }
    return gla__tpl_order(r, a, b) >= 0;
}

/* odd, even, divisibleby(num) */
static bool number_test(gla__tpl_run *r, gla__tpl_view name, gla__tpl_value v, int64_t by)
{
    if (v.kind != GLA__TPL_INT && v.kind != GLA__TPL_BOOL)
        (void)gla__tpl_wrong(r, name, v);
    if (by == 0) {
        gla__tpl_fail(r, GLA_E_INVALID, "divisibleby needs a number that is not 0");
        return false;
    }
    if (r->st || by == -1)
        return !r->st;
    return (v.i % by == 0) != gla__tpl_view_is(name, "odd");
}

/* Which comparison it is; their number if none. */
static size_t comparison_of(gla__tpl_view name)
{
    const size_t n = sizeof(comparisons) / sizeof(*comparisons);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3 && comparisons[i].names[k]; k++)
            if (gla__tpl_view_is(name, comparisons[i].names[k]))
                return i;
    return n;
}

static bool takes(gla__tpl_run *r, gla__tpl_view name, const gla__tpl_args *a, size_t n)
{
    if (a->n != n || a->named.n)
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "test \"%.*s\" with %zu arguments is not supported",
                      (int)name.n, name.p, a->n + a->named.n);
    return !r->st;
}

bool gla__tpl_call_test(gla__tpl_run *r, gla__tpl_view name, gla__tpl_value v,
                        const gla__tpl_args *a)
{
    static const gla__tpl_signature divisible = {"divisibleby", 1, 1, {"num"}};
    const gla__tpl_value *given[GLA__TPL_MAX_PARAMETERS];
    const size_t how = comparison_of(name);

    for (size_t i = 0; i < sizeof(kind_tests) / sizeof(*kind_tests); i++)
        if (gla__tpl_view_is(name, kind_tests[i].name))
            return takes(r, name, a, 0) && kind_tests[i].kinds >> v.kind & 1;
    if (gla__tpl_view_is(name, "true") || gla__tpl_view_is(name, "false"))
        return takes(r, name, a, 0) && v.kind == GLA__TPL_BOOL && (v.i != 0) == (name.n == 4);
    if (gla__tpl_view_is(name, "odd") || gla__tpl_view_is(name, "even"))
        return takes(r, name, a, 0) && number_test(r, name, v, 2);
    if (gla__tpl_view_is(name, divisible.name))
        return gla__tpl_bind_args(r, &divisible, a, given) &&
               number_test(r, name, v, gla__tpl_int_arg(r, given[0], 0));
    if (how < sizeof(comparisons) / sizeof(*comparisons))
        return takes(r, name, a, 1) && compare(r, v, a->positional[0], comparisons[how].how);
    if (gla__tpl_view_is(name, "in"))
        return takes(r, name, a, 1) && gla__tpl_contains(r, v, a->positional[0]);
    gla__tpl_fail(r, GLA_E_UNSUPPORTED, "test \"%.*s\" is not supported", (int)name.n, name.p);
    return false;
}

/* ---- filters of texts; what is no text is printed first ---- */

static gla__tpl_value trim(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_view s =
        gla__tpl_strip(gla__tpl_text_of(r, v), gla__tpl_optional_text_arg(r, given[0]), true, true);

    return gla__tpl_string(s.p, s.n);
}

static gla__tpl_value upper(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    (void)given;
    return gla__tpl_change_case(r, gla__tpl_text_of(r, v), GLA__TPL_UPPER);
}

static gla__tpl_value lower(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    (void)given;
    return gla__tpl_change_case(r, gla__tpl_text_of(r, v), GLA__TPL_LOWER);
}

static gla__tpl_value title(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    (void)given;
    return gla__tpl_change_case(r, gla__tpl_text_of(r, v), GLA__TPL_TITLE_WORDS);
}

static gla__tpl_value capitalize(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    (void)given;
    return gla__tpl_change_case(r, gla__tpl_text_of(r, v), GLA__TPL_CAPITALIZE);
}

static gla__tpl_value string(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_view s = gla__tpl_text_of(r, v);

    (void)given;
    return gla__tpl_string(s.p, s.n);
}

static gla__tpl_value replace(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const bool all = given[2] && given[2]->kind == GLA__TPL_NONE;
    const gla__tpl_view s = gla__tpl_text_of(r, v), old = gla__tpl_text_of(r, *given[0]);

    return gla__tpl_replace(r, s, old, gla__tpl_text_of(r, *given[1]),
                            gla__tpl_int_arg(r, all ? NULL : given[2], -1));
}

static gla__tpl_value indent(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    gla__tpl_view by;
    gla__bytes blanks = {0};
    const int64_t width =
        given[0] && given[0]->kind == GLA__TPL_STRING ? 0 : gla__tpl_int_arg(r, given[0], 4);

    if (v.kind != GLA__TPL_STRING)
        return gla__tpl_wrong(r, (gla__tpl_view){"indent", 6}, v);
    for (int64_t i = 0; i < width && gla__tpl_step(r); i++)
        gla__tpl_append(r, &blanks, " ", 1);
    by = gla__tpl_text_of(r, gla__tpl_taken(r, &blanks));
    if (given[0] && given[0]->kind == GLA__TPL_STRING)
        by = given[0]->s;
    return gla__tpl_indent(r, v.s, by, given[1] && gla__tpl_truth(*given[1]),
                           given[2] && gla__tpl_truth(*given[2]));
}

static gla__tpl_value length(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    int64_t n = 0;

    (void)given;
    switch (v.kind) {
    case GLA__TPL_STRING:
        for (size_t i = 0; i < v.s.n; i++)
            n += !gla__utf8_inside(v.s.p[i]);
        return gla__tpl_int(n);
    case GLA__TPL_LIST:
        return gla__tpl_int((int64_t)v.list->n);
    case GLA__TPL_DICT:
        return gla__tpl_int((int64_t)v.dict->n);
    case GLA__TPL_UNDEFINED:
        return gla__tpl_int(0);
    default:
        return gla__tpl_wrong(r, (gla__tpl_view){"length", 6}, v);
    }
}

/* separators=(comma, colon) */
static void read_separators(gla__tpl_run *r, const gla__tpl_value *pair, gla__tpl_json_form *form)
{
    const gla__tpl_list *l = pair->kind == GLA__TPL_LIST ? pair->list : NULL;

    if (!l || l->n != 2 || l->items[0].kind != GLA__TPL_STRING ||
        l->items[1].kind != GLA__TPL_STRING) {
        gla__tpl_fail(r, GLA_E_INVALID, "tojson: separators must be two strings");
        return;
    }
    form->comma = l->items[0].s;
    form->colon = l->items[1].s;
}

/* As transformers sets it up: it never escapes, and its first parameter is ensure_ascii. */
static gla__tpl_value to_json(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_value *indent = given[1], *separators = given[2];
    gla__tpl_json_form form = {
        .indent = -1, .colon = {": ", 2}, .sorted = given[3] && gla__tpl_truth(*given[3])};
    gla__bytes out = {0};

    if (given[0] && gla__tpl_truth(*given[0]))
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "tojson with ensure_ascii is not supported");
    if (indent && indent->kind == GLA__TPL_INT && indent->i >= 0 && indent->i <= 16)
        form.indent = (int)indent->i;
    else if (indent && indent->kind != GLA__TPL_NONE)
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16");
    form.comma = form.indent < 0 ? (gla__tpl_view){", ", 2} : (gla__tpl_view){",", 1};
    if (separators && separators->kind != GLA__TPL_NONE)
        read_separators(r, separators, &form);
    gla__tpl_to_json(r, &out, v, &form);
    return gla__tpl_taken(r, &out);
}

/* ---- filters of numbers ---- */

static gla__tpl_value too_large(gla__tpl_run *r, const char *what)
{
    gla__tpl_fail(r, GLA_E_UNSUPPORTED, "%s: the number is too large", what);
    return gla__tpl_undefined();
}

static gla__tpl_value whole(gla__tpl_run *r, double f)
{
    return f > -9.2e18 && f < 9.2e18 ? gla__tpl_int((int64_t)f) : too_large(r, "int");
}

/* The digits of an integer as Python reads it: single underscores may stand between them. */
static bool plain_digits(gla__tpl_view s, char digits[64], size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < s.n; i++) {
        const bool digit = s.p[i] >= '0' && s.p[i] <= '9';

        if (!digit && (s.p[i] != '_' || !i || i + 1 == s.n || s.p[i - 1] == '_'))
            return false;
        if (digit && *n < 64)
            digits[(*n)++] = s.p[i];
    }
    return s.n > 0;
}

/* What is no number is the default. */
static gla__tpl_value text_to_int(gla__tpl_run *r, gla__tpl_view s, gla__tpl_value def)
{
    const gla__tpl_view trimmed = gla__tpl_strip(s, (gla__tpl_view){0}, true, true);
    gla__tpl_view t = trimmed;
    char digits[64];
    size_t n, size;
    uint64_t i;
    double f;
    const bool negative = t.n && *t.p == '-', sign = negative || (t.n && *t.p == '+');

    t.p += sign;
    t.n -= sign;
    if (plain_digits(t, digits, &n)) {
        if (!gla__parse_u64(digits, n, &i) || i > INT64_MAX)
            return too_large(r, "int");
        return gla__tpl_int(negative ? -(int64_t)i : (int64_t)i);
    }
    for (size_t k = 0; k < t.n; k += size) {
        const int32_t c = gla__utf8_next(t.p + k, &size);

        if ((c >= 0x80 && gla__is_number(c)) || (c == '_' && gla__is_number(*t.p))) {
            gla__tpl_fail(r, GLA_E_UNSUPPORTED, "int of \"%.*s\" is not supported",
                          (int)(t.n < 64 ? t.n : 64), t.p);
            return gla__tpl_undefined();
        }
    }
    if (memchr(t.p, 'n', t.n) || !gla__parse_f64(trimmed.p, trimmed.n, &f)) /* .inf */
        return def;
    return whole(r, f);
}

static gla__tpl_value to_int(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_value def = given[0] ? *given[0] : gla__tpl_int(0);

    switch (v.kind) {
    case GLA__TPL_BOOL:
    case GLA__TPL_INT:
        return gla__tpl_int(v.i);
    case GLA__TPL_FLOAT:
        return whole(r, v.f);
    case GLA__TPL_STRING:
        return text_to_int(r, v.s, def);
    case GLA__TPL_UNDEFINED:
        return gla__tpl_wrong(r, (gla__tpl_view){"int", 3}, v);
    default:
        return def;
    }
}

static gla__tpl_value absolute(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    (void)given;
    if (v.kind == GLA__TPL_FLOAT)
        v.f = fabs(v.f);
    else if (v.kind != GLA__TPL_INT && v.kind != GLA__TPL_BOOL)
        return gla__tpl_wrong(r, (gla__tpl_view){"abs", 3}, v);
    else if (v.i == INT64_MIN)
        return too_large(r, "abs");
    else
        v = gla__tpl_int(v.i < 0 ? -v.i : v.i);
    return v;
}

/* ---- filters of anything ---- */

static gla__tpl_value or_default(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    (void)r;
    if (v.kind == GLA__TPL_UNDEFINED ||
        (given[1] && gla__tpl_truth(*given[1]) && !gla__tpl_truth(v)))
        return given[0] ? *given[0] : gla__tpl_string("", 0);
    return v;
}

/* "a.b.0" of a value; an integer is an element, none the value itself. */
static gla__tpl_value follow(gla__tpl_run *r, gla__tpl_value v, gla__tpl_value path)
{
    uint64_t index;

    if (path.kind == GLA__TPL_NONE)
        return v;
    if (path.kind != GLA__TPL_STRING)
        return gla__tpl_element(r, v, path);
    for (gla__tpl_view rest = path.s; !r->st;) {
        const char *point = memchr(rest.p, '.', rest.n);
        const size_t n = point ? (size_t)(point - rest.p) : rest.n;

        v = gla__tpl_element(r, v,
                             gla__parse_u64(rest.p, n, &index) && index <= INT64_MAX
                                 ? gla__tpl_int((int64_t)index)
                                 : gla__tpl_string(rest.p, n));
        if (!point)
            break;
        rest = (gla__tpl_view){point + 1, rest.n - n - 1};
    }
    return v;
}

static gla__tpl_value join(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_list *l = gla__tpl_items_of(r, v);
    gla__tpl_view by = {"", 0};
    gla__bytes out = {0};

    if (given[0])
        by = gla__tpl_text_of(r, *given[0]);
    for (size_t i = 0; l && i < l->n && gla__tpl_step(r); i++) {
        const gla__tpl_value item = given[1] ? follow(r, l->items[i], *given[1]) : l->items[i];

        gla__tpl_append(r, &out, by.p, i ? by.n : 0);
        gla__tpl_print(r, &out, item);
    }
    return gla__tpl_taken(r, &out);
}

static gla__tpl_value first(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_list *l = gla__tpl_items_of(r, v);

    (void)given;
    return l && l->n ? l->items[0] : gla__tpl_undefined();
}

static gla__tpl_value last(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_list *l = gla__tpl_items_of(r, v);

    (void)given;
    return l && l->n ? l->items[l->n - 1] : gla__tpl_undefined();
}

static gla__tpl_value list(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    const gla__tpl_list *l = gla__tpl_items_of(r, v);
    const gla__tpl_value out = gla__tpl_new_list(r);

    (void)given;
    for (size_t i = 0; l && i < l->n && gla__tpl_step(r); i++)
        gla__tpl_list_add(r, out.list, l->items[i]);
    return out;
}

static gla__tpl_value reverse(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    static const gla__tpl_value *const nothing[GLA__TPL_MAX_PARAMETERS] = {NULL};
    const gla__tpl_list *l = gla__tpl_items_of(r, v);
    const gla__tpl_value out = gla__tpl_new_list(r);

    (void)given;
    for (size_t i = l ? l->n : 0; i-- && gla__tpl_step(r);)
        gla__tpl_list_add(r, out.list, l->items[i]);
    return v.kind == GLA__TPL_STRING ? join(r, out, nothing) : out;
}

static gla__tpl_value items(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given)
{
    (void)given;
    if (v.kind == GLA__TPL_UNDEFINED)
        return gla__tpl_new_list(r);
    return v.kind == GLA__TPL_DICT ? gla__tpl_pairs(r, v.dict)
                                   : gla__tpl_wrong(r, (gla__tpl_view){"items", 5}, v);
}

static const struct {
    gla__tpl_signature s;
    gla__tpl_value (*run)(gla__tpl_run *r, gla__tpl_value v, gla__tpl_given given);
} filters[] = {
    {{"abs", 0, 0, {NULL}}, absolute},
    {{"capitalize", 0, 0, {NULL}}, capitalize},
    {{"count", 0, 0, {NULL}}, length},
    {{"d", 0, 2, {"default_value", "boolean"}}, or_default},
    {{"default", 0, 2, {"default_value", "boolean"}}, or_default},
    {{"first", 0, 0, {NULL}}, first},
    {{"indent", 0, 3, {"width", "first", "blank"}}, indent},
    {{"int", 0, 1, {"default"}}, to_int},
    {{"items", 0, 0, {NULL}}, items},
    {{"join", 0, 2, {"d", "attribute"}}, join},
    {{"last", 0, 0, {NULL}}, last},
    {{"length", 0, 0, {NULL}}, length},
    {{"list", 0, 0, {NULL}}, list},
    {{"lower", 0, 0, {NULL}}, lower},
    {{"replace", 2, 3, {"old", "new", "count"}}, replace},
    {{"reverse", 0, 0, {NULL}}, reverse},
    {{"safe", 0, 0, {NULL}}, string},
    {{"string", 0, 0, {NULL}}, string},
    {{"title", 0, 0, {NULL}}, title},
    {{"tojson", 0, 4, {"ensure_ascii", "indent", "separators", "sort_keys"}}, to_json},
    {{"trim", 0, 1, {"chars"}}, trim},
    {{"upper", 0, 0, {NULL}}, upper},
};

/* ---- filters that take a filter or a test ---- */

/* The arguments from the i-th on. */
static gla__tpl_args tail_of(const gla__tpl_args *a, size_t i)
{
    gla__tpl_args t = {0};

    for (; i < a->n; i++)
        t.positional[t.n++] = a->positional[i];
    return t;
}

/* map(attribute=..., default=...) or map("filter", ...) */
static gla__tpl_value map(gla__tpl_run *r, gla__tpl_value v, const gla__tpl_args *a)
{
    static const gla__tpl_signature by_attribute = {"map", 0, 2, {"attribute", "default"}};
    const gla__tpl_value *given[GLA__TPL_MAX_PARAMETERS] = {NULL};
    const gla__tpl_list *l = gla__tpl_truth(v) ? gla__tpl_items_of(r, v) : NULL;
    const gla__tpl_value out = gla__tpl_new_list(r);
    const gla__tpl_args rest = tail_of(a, 1);

    if (!a->n && !gla__tpl_bind_args(r, &by_attribute, a, given))
        return out;
    if (!given[0] && (!a->n || a->named.n || a->positional[0].kind != GLA__TPL_STRING))
        return gla__tpl_wrong(r, (gla__tpl_view){"map", 3}, gla__tpl_undefined());
    for (size_t i = 0; l && i < l->n && gla__tpl_step(r); i++) {
        gla__tpl_value item = given[0]
                                  ? follow(r, l->items[i], *given[0])
                                  : gla__tpl_call_filter(r, a->positional[0].s, l->items[i], &rest);

        if (given[1] && item.kind == GLA__TPL_UNDEFINED)
            item = *given[1];
        gla__tpl_list_add(r, out.list, item);
    }
    return out;
}

/* select, reject, selectattr, rejectattr; without a test: whether it is true. */
static gla__tpl_value select_items(gla__tpl_run *r, gla__tpl_view name, gla__tpl_value v,
                                   const gla__tpl_args *a)
{
    const bool wanted = name.p[0] == 's', by_attribute = name.n > 6;
    const size_t test = by_attribute ? 1 : 0;
    const gla__tpl_list *l = gla__tpl_truth(v) ? gla__tpl_items_of(r, v) : NULL;
    const gla__tpl_value out = gla__tpl_new_list(r);
    const gla__tpl_args rest = tail_of(a, test + 1);

    if (a->named.n || a->n < test || (a->n > test && a->positional[test].kind != GLA__TPL_STRING))
        return gla__tpl_wrong(r, name, gla__tpl_undefined());
    for (size_t i = 0; l && i < l->n && gla__tpl_step(r); i++) {
        const gla__tpl_value of =
            by_attribute ? follow(r, l->items[i], a->positional[0]) : l->items[i];
        const bool yes = a->n > test ? gla__tpl_call_test(r, a->positional[test].s, of, &rest)
                                     : gla__tpl_truth(of);

        if (yes == wanted)
            gla__tpl_list_add(r, out.list, l->items[i]);
    }
    return out;
}

gla__tpl_value gla__tpl_call_filter(gla__tpl_run *r, gla__tpl_view name, gla__tpl_value v,
                                    const gla__tpl_args *a)
{
    const gla__tpl_value *given[GLA__TPL_MAX_PARAMETERS];
    gla__tpl_value out = gla__tpl_undefined();

    for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
        if (!gla__tpl_view_is(name, filters[i].s.name))
            continue;
        if (gla__tpl_bind_args(r, &filters[i].s, a, given))
            out = filters[i].run(r, v, given);
        return r->st ? gla__tpl_undefined() : out;
    }
    if (gla__tpl_view_is(name, "map"))
        out = map(r, v, a);
    else if (gla__tpl_view_is(name, "select") || gla__tpl_view_is(name, "reject") ||
             gla__tpl_view_is(name, "selectattr") || gla__tpl_view_is(name, "rejectattr"))
        out = select_items(r, name, v, a);
    else
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "filter \"%.*s\" is not supported", (int)name.n,
                      name.p);
    return r->st ? gla__tpl_undefined() : out;
}
