/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/chat/template.h"
#include "formats/text/number.h"

/* ---- memory ---- */

struct gla__tpl_arena_block {
    struct gla__tpl_arena_block *next;
    size_t used, size;
    char data[];
};

void *gla__tpl_arena_alloc(gla__tpl_arena *a, size_t n)
{
    struct gla__tpl_arena_block *b = a->blocks;
    void *p;

    if (n > a->limit)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    if (!b || b->size - b->used < n) {
        const size_t size = n > 16000 ? n : 16000;

        if (size > a->limit - a->total)
            return NULL;
        b = gla__alloc(sizeof(*b) + size);
        if (!b)
            return NULL;
        b->next = a->blocks;
        b->used = 0;
        b->size = size;
        a->blocks = b;
        a->total += size;
    }
    p = b->data + b->used;
    b->used += n;
    return p;
}

void gla__tpl_arena_free(gla__tpl_arena *a)
{
    while (a->blocks) {
        struct gla__tpl_arena_block *next = a->blocks->next;

        gla__free(a->blocks);
        a->blocks = next;
    }
    a->total = 0;
}

bool gla__tpl_view_is(gla__tpl_view v, const char *text)
{
    return v.n == strlen(text) && !memcmp(v.p, text, v.n);
}

static bool same_view(gla__tpl_view a, gla__tpl_view b)
{
    return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

/* ---- the run ---- */

void gla__tpl_fail(gla__tpl_run *r, gla_status st, const char *format, ...)
{
    char message[240];
    va_list args;

    if (r->st)
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    r->st = gla__fail(r->diag, st, "%s", message);
    gla__at_line(r->diag, r->line, 0);
}

void *gla__tpl_alloc(gla__tpl_run *r, size_t n)
{
    void *p = r->st ? NULL : gla__tpl_arena_alloc(&r->arena, n);

    if (!p && n <= r->arena.limit - r->arena.total)
        gla__tpl_fail(r, GLA_E_NOMEM, "out of memory for the chat");
    else if (!p)
        gla__tpl_fail(r, GLA_E_LIMIT, "chat template needs more than %zu MiB of memory",
                      r->arena.limit >> 20);
    return p;
}

bool gla__tpl_step(gla__tpl_run *r)
{
    if (++r->steps > GLA__TPL_MAX_STEPS)
        gla__tpl_fail(r, GLA_E_LIMIT, "chat template takes more than %d steps", GLA__TPL_MAX_STEPS);
    return !r->st;
}

void gla__tpl_append(gla__tpl_run *r, gla__bytes *b, const char *p, size_t n)
{
    if (r->st)
        return;
    if (n > GLA__TPL_MAX_OUTPUT - b->n)
        gla__tpl_fail(r, GLA_E_LIMIT, "chat template makes a text of more than %zu MiB",
                      GLA__TPL_MAX_OUTPUT >> 20);
    else if (gla__bytes_add(b, p, n))
        gla__tpl_fail(r, GLA_E_NOMEM, "out of memory for the chat");
}

/* ---- making values ---- */

gla__tpl_value gla__tpl_none(void)
{
    return (gla__tpl_value){.kind = GLA__TPL_NONE};
}

gla__tpl_value gla__tpl_undefined(void)
{
    return (gla__tpl_value){.kind = GLA__TPL_UNDEFINED};
}

gla__tpl_value gla__tpl_bool(bool b)
{
    return (gla__tpl_value){.kind = GLA__TPL_BOOL, .i = b};
}

gla__tpl_value gla__tpl_int(int64_t i)
{
    return (gla__tpl_value){.kind = GLA__TPL_INT, .i = i};
}

gla__tpl_value gla__tpl_string(const char *p, size_t n)
{
    return (gla__tpl_value){.kind = GLA__TPL_STRING, .s = {p, n}};
}

gla__tpl_value gla__tpl_copied(gla__tpl_run *r, const char *p, size_t n)
{
    char *copy = gla__tpl_alloc(r, n + 1);

    if (!copy)
        return gla__tpl_undefined();
    if (n)
        memcpy(copy, p, n);
    return gla__tpl_string(copy, n);
}

gla__tpl_value gla__tpl_taken(gla__tpl_run *r, gla__bytes *b)
{
    const gla__tpl_value v = gla__tpl_copied(r, b->p, b->n);

    gla__bytes_free(b);
    return v;
}

/* Room for one more in an array of the arena. */
static void *grown(gla__tpl_run *r, void *items, size_t n, size_t *capacity, size_t size)
{
    const size_t wanted = *capacity ? *capacity * 2 : 4;
    void *more;

    if (n < *capacity)
        return items;
    if (wanted > GLA__TPL_MAX_MEMORY / size) {
        gla__tpl_fail(r, GLA_E_LIMIT, "chat template makes a list of more than %zu elements", n);
        return NULL;
    }
    more = gla__tpl_alloc(r, wanted * size);
    if (!more)
        return NULL;
    if (n)
        memcpy(more, items, n * size);
    *capacity = wanted;
    return more;
}

gla__tpl_value gla__tpl_new_list(gla__tpl_run *r)
{
    gla__tpl_list *l = gla__tpl_alloc(r, sizeof(*l));

    if (!l)
        return gla__tpl_undefined();
    memset(l, 0, sizeof(*l));
    return (gla__tpl_value){.kind = GLA__TPL_LIST, .list = l};
}

void gla__tpl_list_add(gla__tpl_run *r, gla__tpl_list *l, gla__tpl_value v)
{
    gla__tpl_value *items = r->st ? NULL : grown(r, l->items, l->n, &l->capacity, sizeof(*items));

    if (!items)
        return;
    l->items = items;
    l->items[l->n++] = v;
}

gla__tpl_value gla__tpl_new_dict(gla__tpl_run *r)
{
    gla__tpl_dict *d = gla__tpl_alloc(r, sizeof(*d));

    if (!d)
        return gla__tpl_undefined();
    memset(d, 0, sizeof(*d));
    return (gla__tpl_value){.kind = GLA__TPL_DICT, .dict = d};
}

const gla__tpl_value *gla__tpl_dict_get(const gla__tpl_dict *d, gla__tpl_view key)
{
    for (size_t i = 0; i < d->n; i++)
        if (same_view(d->pairs[i].key, key))
            return &d->pairs[i].value;
    return NULL;
}

void gla__tpl_dict_set(gla__tpl_run *r, gla__tpl_dict *d, gla__tpl_view key, gla__tpl_value v)
{
    struct gla__tpl_pair *pairs;

    if (r->st)
        return;
    for (size_t i = 0; i < d->n; i++) {
        if (same_view(d->pairs[i].key, key)) {
            d->pairs[i].value = v;
            return;
        }
    }
    pairs = grown(r, d->pairs, d->n, &d->capacity, sizeof(*pairs));
    if (!pairs)
        return;
    d->pairs = pairs;
    d->pairs[d->n].key = key;
    d->pairs[d->n++].value = v;
}

/* Nesting is bounded by the JSON reader. */
gla__tpl_value gla__tpl_from_json(gla__tpl_run *r, const json_t *j)
{
    gla__tpl_value v;
    const char *key;
    const json_t *item;
    size_t i;

    switch (json_typeof(j)) {
    case JSON_NULL:
        return gla__tpl_none();
    case JSON_TRUE:
    case JSON_FALSE:
        return gla__tpl_bool(json_is_true(j));
    case JSON_INTEGER:
        return gla__tpl_int(json_integer_value(j));
    case JSON_REAL:
        return (gla__tpl_value){.kind = GLA__TPL_FLOAT, .f = json_real_value(j)};
    case JSON_STRING:
        return gla__tpl_copied(r, json_string_value(j), json_string_length(j));
    case JSON_ARRAY:
        v = gla__tpl_new_list(r);
        json_array_foreach(j, i, item) if (gla__tpl_step(r))
            gla__tpl_list_add(r, v.list, gla__tpl_from_json(r, item));
        return v;
    case JSON_OBJECT:
        break;
    }
    v = gla__tpl_new_dict(r);
    json_object_foreach((json_t *)(uintptr_t)j, key, item)
    {
        const gla__tpl_value k = gla__tpl_copied(r, key, strlen(key));

        if (gla__tpl_step(r))
            gla__tpl_dict_set(r, v.dict, k.s, gla__tpl_from_json(r, item));
    }
    return v;
}

/* ---- asking values ---- */

const char *gla__tpl_kind_name(gla__tpl_vkind k)
{
    static const char *const names[] = {[GLA__TPL_UNDEFINED] = "an undefined value",
                                        [GLA__TPL_NONE] = "none",
                                        [GLA__TPL_BOOL] = "a boolean",
                                        [GLA__TPL_INT] = "an integer",
                                        [GLA__TPL_FLOAT] = "a float",
                                        [GLA__TPL_STRING] = "a string",
                                        [GLA__TPL_LIST] = "a list",
                                        [GLA__TPL_DICT] = "a mapping",
                                        [GLA__TPL_NAMESPACE] = "a namespace",
                                        [GLA__TPL_MACRO] = "a macro",
                                        [GLA__TPL_LOOP] = "a loop",
                                        [GLA__TPL_FUNCTION] = "a function"};

    return names[k];
}

bool gla__tpl_truth(gla__tpl_value v)
{
    switch (v.kind) {
    case GLA__TPL_UNDEFINED:
    case GLA__TPL_NONE:
        return false;
    case GLA__TPL_BOOL:
    case GLA__TPL_INT:
        return v.i != 0;
    case GLA__TPL_FLOAT:
        return v.f > 0 || v.f < 0 || isnan(v.f);
    case GLA__TPL_STRING:
        return v.s.n > 0;
    case GLA__TPL_LIST:
        return v.list->n > 0;
    case GLA__TPL_DICT:
        return v.dict->n > 0;
    default:
        return true;
    }
}

static bool is_number(gla__tpl_value v)
{
    return v.kind == GLA__TPL_INT || v.kind == GLA__TPL_BOOL || v.kind == GLA__TPL_FLOAT;
}

static double as_float(gla__tpl_value v)
{
    return v.kind == GLA__TPL_FLOAT ? v.f : (double)v.i;
}

static bool equal_dicts(gla__tpl_run *r, const gla__tpl_dict *a, const gla__tpl_dict *b)
{
    bool same = a->n == b->n;

    for (size_t i = 0; i < a->n && same; i++) {
        const gla__tpl_value *other = gla__tpl_dict_get(b, a->pairs[i].key);

        same = other && gla__tpl_equal(r, a->pairs[i].value, *other);
    }
    return same;
}

bool gla__tpl_equal(gla__tpl_run *r, gla__tpl_value a, gla__tpl_value b)
{
    if (!gla__tpl_step(r))
        return false;
    if (is_number(a) && is_number(b))
        return a.kind == GLA__TPL_FLOAT || b.kind == GLA__TPL_FLOAT
                   ? !(as_float(a) < as_float(b)) && !(as_float(a) > as_float(b)) &&
                         !isnan(as_float(a)) && !isnan(as_float(b))
                   : a.i == b.i;
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case GLA__TPL_STRING:
    case GLA__TPL_FUNCTION:
        return same_view(a.s, b.s);
    case GLA__TPL_LIST:
        if (a.list->n != b.list->n)
            return false;
        for (size_t i = 0; i < a.list->n; i++)
            if (!gla__tpl_equal(r, a.list->items[i], b.list->items[i]))
                return false;
        return true;
    case GLA__TPL_DICT:
        return equal_dicts(r, a.dict, b.dict);
    case GLA__TPL_NAMESPACE:
        return a.dict == b.dict;
    case GLA__TPL_MACRO:
        return a.macro == b.macro;
    case GLA__TPL_LOOP:
        return a.loop == b.loop;
    default:
        return true; /* none, undefined */
    }
}

int gla__tpl_order(gla__tpl_run *r, gla__tpl_value a, gla__tpl_value b)
{
    int c;

    if (a.kind == GLA__TPL_STRING && b.kind == GLA__TPL_STRING) {
        c = memcmp(a.s.p, b.s.p, a.s.n < b.s.n ? a.s.n : b.s.n);
        return c ? c : (a.s.n > b.s.n) - (a.s.n < b.s.n);
    }
    if (!is_number(a) || !is_number(b)) {
        gla__tpl_fail(r, GLA_E_INVALID, "%s cannot be compared with %s", gla__tpl_kind_name(a.kind),
                      gla__tpl_kind_name(b.kind));
        return 0;
    }
    if (a.kind != GLA__TPL_FLOAT && b.kind != GLA__TPL_FLOAT)
        return (a.i > b.i) - (a.i < b.i);
    return (as_float(a) > as_float(b)) - (as_float(a) < as_float(b));
}

static bool has_text(gla__tpl_run *r, gla__tpl_view in, gla__tpl_view text)
{
    if (!text.n)
        return true;
    for (size_t i = 0; i + text.n <= in.n; i++) {
        const char *p = memchr(in.p + i, text.p[0], in.n - text.n - i + 1);

        if (!p || !gla__tpl_step(r))
            return false;
        if (!memcmp(p, text.p, text.n))
            return true;
        i = (size_t)(p - in.p);
    }
    return false;
}

bool gla__tpl_contains(gla__tpl_run *r, gla__tpl_value item, gla__tpl_value in)
{
    switch (in.kind) {
    case GLA__TPL_STRING:
        if (item.kind == GLA__TPL_STRING)
            return has_text(r, in.s, item.s);
        gla__tpl_fail(r, GLA_E_INVALID, "%s cannot be in a string", gla__tpl_kind_name(item.kind));
        return false;
    case GLA__TPL_LIST:
        for (size_t i = 0; i < in.list->n; i++)
            if (gla__tpl_equal(r, in.list->items[i], item))
                return true;
        return false;
    case GLA__TPL_DICT:
        if (item.kind == GLA__TPL_LIST || item.kind == GLA__TPL_DICT)
            gla__tpl_fail(r, GLA_E_INVALID, "%s is no key", gla__tpl_kind_name(item.kind));
        return item.kind == GLA__TPL_STRING && gla__tpl_dict_get(in.dict, item.s);
    case GLA__TPL_UNDEFINED:
        return false;
    default:
        gla__tpl_fail(r, GLA_E_INVALID, "nothing can be in %s", gla__tpl_kind_name(in.kind));
        return false;
    }
}

gla__tpl_list *gla__tpl_items_of(gla__tpl_run *r, gla__tpl_value v)
{
    gla__tpl_value out;
    size_t size;

    if (v.kind == GLA__TPL_LIST)
        return v.list;
    out = gla__tpl_new_list(r);
    if (r->st)
        return NULL;
    if (v.kind == GLA__TPL_STRING) {
        for (size_t i = 0; i < v.s.n && gla__tpl_step(r); i += size) {
            (void)gla__utf8_next(v.s.p + i, &size);
            gla__tpl_list_add(r, out.list, gla__tpl_string(v.s.p + i, size));
        }
    } else if (v.kind == GLA__TPL_DICT) {
        for (size_t i = 0; i < v.dict->n && gla__tpl_step(r); i++)
            gla__tpl_list_add(r, out.list,
                              gla__tpl_string(v.dict->pairs[i].key.p, v.dict->pairs[i].key.n));
    } else if (v.kind != GLA__TPL_UNDEFINED) {
        gla__tpl_fail(r, GLA_E_INVALID, "%s has no elements", gla__tpl_kind_name(v.kind));
    }
    return r->st ? NULL : out.list;
}

/* ---- as text ---- */

/* The digits of a number without zeros around them; its value is 0.DIGITS * 10^*exponent. */
static size_t digits_of(double f, char digits[GLA__NUMBER_TEXT], int *exponent)
{
    char text[GLA__NUMBER_TEXT];
    size_t n = 0, i;
    bool point = false;
    uint64_t power = 0;

    *exponent = 0;
    gla__format_f64(fabs(f), text); /* the shortest that gives the number back */
    for (i = 0; text[i] && text[i] != 'e'; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        if (n || text[i] != '0')
            digits[n++] = text[i];
        if (!point && n)
            ++*exponent;
        else if (point && !n)
            --*exponent;
    }
    if (text[i] == 'e') {
        const char *sign = &text[i + 1];
        const char *from = *sign == '-' || *sign == '+' ? sign + 1 : sign;

        (void)gla__parse_u64(from, strlen(from), &power);
        *exponent += *sign == '-' ? -(int)power : (int)power;
    }
    while (n && digits[n - 1] == '0')
        n--;
    return n;
}

/* As Python writes it: 0.5, 100.0, 1e-05, 1.5e+16. */
static void print_float(gla__tpl_run *r, gla__bytes *out, double f)
{
    static const char zeros[] = "0000000000000000";
    char digits[GLA__NUMBER_TEXT], text[16];
    size_t n, whole;
    int exponent;

    if (isnan(f) || isinf(f)) {
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "printing infinity is not supported");
        return;
    }
    n = digits_of(f, digits, &exponent);
    if (signbit(f))
        gla__tpl_append(r, out, "-", 1);
    if (n && (exponent < -3 || exponent > 16)) {
        gla__tpl_append(r, out, digits, 1);
        gla__tpl_append(r, out, ".", n > 1 ? 1 : 0);
        gla__tpl_append(r, out, digits + 1, n - 1);
        (void)snprintf(text, sizeof(text), "e%+03d", exponent - 1);
        gla__tpl_append(r, out, text, strlen(text));
        return;
    }
    if (!n || exponent <= 0) {
        gla__tpl_append(r, out, "0.", 2);
        gla__tpl_append(r, out, zeros, n ? (size_t)-exponent : 1);
        gla__tpl_append(r, out, digits, n);
        return;
    }
    whole = (size_t)exponent;
    gla__tpl_append(r, out, digits, n < whole ? n : whole);
    gla__tpl_append(r, out, zeros, n < whole ? whole - n : 0);
    gla__tpl_append(r, out, ".", 1);
    gla__tpl_append(r, out, n > whole ? digits + whole : "0", n > whole ? n - whole : 1);
}

static void print_int(gla__tpl_run *r, gla__bytes *out, int64_t i)
{
    char text[24];
    const int n = snprintf(text, sizeof(text), "%" PRId64, i);

    gla__tpl_append(r, out, text, (size_t)n);
}

void gla__tpl_print(gla__tpl_run *r, gla__bytes *out, gla__tpl_value v)
{
    switch (v.kind) {
    case GLA__TPL_UNDEFINED:
        return;
    case GLA__TPL_NONE:
        gla__tpl_append(r, out, "None", 4);
        return;
    case GLA__TPL_BOOL:
        gla__tpl_append(r, out, v.i ? "True" : "False", v.i ? 4 : 5);
        return;
    case GLA__TPL_INT:
        print_int(r, out, v.i);
        return;
    case GLA__TPL_FLOAT:
        print_float(r, out, v.f);
        return;
    case GLA__TPL_STRING:
        gla__tpl_append(r, out, v.s.p, v.s.n);
        return;
    default:
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "printing %s is not supported, only through tojson",
                      gla__tpl_kind_name(v.kind));
    }
}

gla__tpl_view gla__tpl_text_of(gla__tpl_run *r, gla__tpl_value v)
{
    gla__bytes b = {0};

    if (v.kind == GLA__TPL_STRING)
        return v.s;
    gla__tpl_print(r, &b, v);
    v = gla__tpl_taken(r, &b);
    return v.kind == GLA__TPL_STRING ? v.s : (gla__tpl_view){"", 0};
}

static void json_string_to(gla__tpl_run *r, gla__bytes *out, gla__tpl_view s)
{
    size_t from = 0;

    gla__tpl_append(r, out, "\"", 1);
    for (size_t i = 0; i < s.n && gla__tpl_step(r); i++) {
        static const char codes[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
        const unsigned char c = (unsigned char)s.p[i];
        const char *known = c ? strchr(codes, c) : NULL;
        char text[8];

        if (!known && c >= 0x20)
            continue;
        if (known)
            (void)snprintf(text, sizeof(text), "\\%c", letters[known - codes]);
        else
            (void)snprintf(text, sizeof(text), "\\u%04x", c);
        gla__tpl_append(r, out, s.p + from, i - from);
        gla__tpl_append(r, out, text, strlen(text));
        from = i + 1;
    }
    gla__tpl_append(r, out, s.p + from, s.n - from);
    gla__tpl_append(r, out, "\"", 1);
}

static void json_newline(gla__tpl_run *r, gla__bytes *out, const gla__tpl_json_form *form,
                         int depth)
{
    if (form->indent < 0)
        return;
    gla__tpl_append(r, out, "\n", 1);
    for (int i = 0; i < form->indent * depth && !r->st; i++)
        gla__tpl_append(r, out, " ", 1);
}

static int by_key(const void *a, const void *b)
{
    const gla__tpl_view x = ((const struct gla__tpl_pair *)a)->key,
                        y = ((const struct gla__tpl_pair *)b)->key;
    const int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

    return order ? order : (x.n > y.n) - (x.n < y.n);
}

static const struct gla__tpl_pair *sorted_pairs(gla__tpl_run *r, const gla__tpl_dict *d)
{
    struct gla__tpl_pair *pairs = d->n ? gla__tpl_alloc(r, d->n * sizeof(*pairs)) : NULL;

    if (!pairs)
        return d->pairs;
    memcpy(pairs, d->pairs, d->n * sizeof(*pairs));
    qsort(pairs, d->n, sizeof(*pairs), by_key);
    return pairs;
}

static void json_value(gla__tpl_run *r, gla__bytes *out, gla__tpl_value v,
                       const gla__tpl_json_form *form, int depth)
{
    const bool list = v.kind == GLA__TPL_LIST;
    const struct gla__tpl_pair *pairs;
    size_t n;

    if (!gla__tpl_step(r))
        return;
    if (v.kind == GLA__TPL_STRING) {
        json_string_to(r, out, v.s);
        return;
    }
    if (v.kind == GLA__TPL_NONE || v.kind == GLA__TPL_BOOL) {
        const char *word = v.kind == GLA__TPL_NONE ? "null" : v.i ? "true" : "false";

        gla__tpl_append(r, out, word, strlen(word));
        return;
    }
    if (!list && v.kind != GLA__TPL_DICT) {
        if (v.kind == GLA__TPL_INT || v.kind == GLA__TPL_FLOAT)
            gla__tpl_print(r, out, v);
        else
            gla__tpl_fail(r, GLA_E_INVALID, "tojson of %s", gla__tpl_kind_name(v.kind));
        return;
    }
    n = list ? v.list->n : v.dict->n;
    pairs = list ? NULL : form->sorted ? sorted_pairs(r, v.dict) : v.dict->pairs;
    gla__tpl_append(r, out, list ? "[" : "{", 1);
    for (size_t i = 0; i < n && !r->st; i++) {
        if (i)
            gla__tpl_append(r, out, form->comma.p, form->comma.n);
        json_newline(r, out, form, depth + 1);
        if (!list) {
            json_string_to(r, out, pairs[i].key);
            gla__tpl_append(r, out, form->colon.p, form->colon.n);
        }
        json_value(r, out, list ? v.list->items[i] : pairs[i].value, form, depth + 1);
    }
    if (n)
        json_newline(r, out, form, depth);
    gla__tpl_append(r, out, list ? "]" : "}", 1);
}

void gla__tpl_to_json(gla__tpl_run *r, gla__bytes *out, gla__tpl_value v,
                      const gla__tpl_json_form *form)
{
    json_value(r, out, v, form, 0);
}
