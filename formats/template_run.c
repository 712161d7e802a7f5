/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/diag.h"
#include "formats/template.h"

enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static gla__value eval(gla__run *r, const gla__node *n);
static void exec(gla__run *r, const gla__node *n);

static int quoted(gla__view v)
{
    return (int)(v.n < 64 ? v.n : 64);
}

/* ---- variables ---- */

static gla__value lookup(const gla__run *r, gla__view name)
{
    for (const gla__scope *s = r->scope; s; s = s->parent) {
        const gla__value *v = gla__dict_get(&s->vars, name);

        if (v)
            return *v;
    }
    if (gla__is_function(name))
        return (gla__value){.kind = GLA__FUNCTION, .s = name};
    return gla__undefined();
}

static gla__scope *new_scope(gla__run *r, gla__scope *parent)
{
    gla__scope *s = gla__run_alloc(r, sizeof(*s));

    if (s) {
        memset(s, 0, sizeof(*s));
        s->parent = parent;
    }
    return s;
}

/* ---- calls ---- */

static void eval_args(gla__run *r, const gla__node *n, gla__args *out)
{
    memset(out, 0, sizeof(*out));
    for (; n && !r->st; n = n->next) {
        const gla__value v = eval(r, n->a);

        if (n->text.n)
            gla__dict_set(r, &out->named, n->text, v);
        else if (out->n == sizeof(out->positional) / sizeof(*out->positional))
            gla__run_fail(r, GLA_E_UNSUPPORTED, "more than %zu arguments", out->n);
        else
            out->positional[out->n++] = v;
    }
}

/* Runs a body into a text of its own. */
static gla__value capture(gla__run *r, const gla__node *body)
{
    gla__bytes text = {0}, *out = r->out;

    r->out = &text;
    exec(r, body);
    r->out = out;
    return gla__taken(r, &text);
}

static gla__value call_macro(gla__run *r, const gla__macro *m, const gla__args *args)
{
    gla__scope *outer = r->scope, *inner = new_scope(r, m->scope);
    size_t i = 0, named = 0;
    gla__value result;

    if (!inner)
        return gla__undefined();
    for (const gla__node *p = m->node->a; p && !r->st; p = p->next, i++) {
        const gla__value *given = gla__dict_get(&args->named, p->text);
        gla__value v = gla__undefined();

        if (given)
            v = *given;
        else if (i < args->n)
            v = args->positional[i];
        else if (p->a)
            v = eval(r, p->a);
        named += given != NULL;
        gla__dict_set(r, &inner->vars, p->text, v);
    }
    if (args->n > i || named < args->named.n)
        gla__run_fail(r, GLA_E_INVALID, "macro \"%.*s\" has no such argument",
                      quoted(m->node->text), m->node->text.p);
    r->scope = inner;
    result = capture(r, m->node->b);
    r->scope = outer;
    return result;
}

static gla__value call(gla__run *r, const gla__node *n)
{
    const gla__node *callee = n->a;
    gla__value f;
    gla__args args;

    if (callee->kind == GLA__E_ATTR) {
        const gla__value self = eval(r, callee->a);
        const gla__value *member = NULL;

        eval_args(r, n->b, &args);
        if (r->st)
            return gla__undefined();
        if (self.kind == GLA__NAMESPACE)
            member = gla__dict_get(self.dict, callee->text);
        return member && member->kind == GLA__MACRO
                   ? call_macro(r, member->macro, &args)
                   : gla__call_method(r, self, callee->text, &args);
    }
    eval_args(r, n->b, &args);
    if (r->st)
        return gla__undefined();
    f = eval(r, callee);
    if (f.kind == GLA__MACRO)
        return call_macro(r, f.macro, &args);
    if (f.kind == GLA__FUNCTION)
        return gla__call_function(r, f.s, &args);
    if (callee->kind == GLA__E_NAME && f.kind == GLA__UNDEFINED)
        gla__run_fail(r, GLA_E_UNSUPPORTED, "function \"%.*s\" is not supported",
                      quoted(callee->text), callee->text.p);
    gla__run_fail(r, GLA_E_INVALID, "a %s cannot be called", gla__kind_name(f.kind));
    return gla__undefined();
}

/* ---- elements ---- */

static gla__value item(gla__run *r, gla__value of, gla__value key)
{
    gla__list *l;

    if (of.kind == GLA__DICT || of.kind == GLA__NAMESPACE) {
        const gla__value *v = key.kind == GLA__STRING ? gla__dict_get(of.dict, key.s) : NULL;

        return v ? *v : gla__undefined();
    }
    if (of.kind == GLA__LOOP && key.kind == GLA__STRING)
        return gla__attribute(r, of, key.s);
    if (of.kind != GLA__LIST && of.kind != GLA__STRING) {
        gla__run_fail(r, GLA_E_INVALID, "a %s has no elements", gla__kind_name(of.kind));
        return gla__undefined();
    }
    if (key.kind != GLA__INT && key.kind != GLA__BOOL)
        return gla__undefined();
    l = gla__items_of(r, of);
    if (!l)
        return gla__undefined();
    if (key.i < 0)
        key.i += (int64_t)l->n;
    return key.i >= 0 && key.i < (int64_t)l->n ? l->items[key.i] : gla__undefined();
}

/* Python's bounds of a slice: def where the bound is none. */
static int64_t bound(gla__run *r, const gla__node *n, int64_t def, int64_t size, bool back)
{
    const gla__value v = n ? eval(r, n) : gla__none();
    const int64_t low = back ? -1 : 0, high = back ? size - 1 : size;

    if (v.kind == GLA__NONE || r->st)
        return def;
    if (v.kind != GLA__INT) {
        gla__run_fail(r, GLA_E_INVALID, "a slice's bounds are integers");
        return def;
    }
    if (v.i < 0)
        return v.i + size < low ? low : v.i + size;
    return v.i > high ? high : v.i;
}

static gla__value slice(gla__run *r, const gla__node *n)
{
    const gla__value of = eval(r, n->a), by = n->d ? eval(r, n->d) : gla__int(1);
    gla__value out;
    gla__bytes text = {0};
    gla__list *l;
    int64_t size, at, stop;

    if (r->st)
        return gla__undefined();
    if ((of.kind != GLA__LIST && of.kind != GLA__STRING) || by.kind != GLA__INT || by.i == 0) {
        gla__run_fail(r, GLA_E_INVALID, "a %s cannot be sliced so", gla__kind_name(of.kind));
        return gla__undefined();
    }
    l = gla__items_of(r, of);
    out = gla__new_list(r);
    if (r->st)
        return gla__undefined();
    size = (int64_t)l->n;
    at = bound(r, n->b, by.i > 0 ? 0 : size - 1, size, by.i < 0);
    stop = bound(r, n->c, by.i > 0 ? size : -1, size, by.i < 0);
    while (gla__run_step(r) && (by.i > 0 ? at < stop : at > stop)) {
        gla__list_add(r, out.list, l->items[at]);
        if (by.i > size || by.i < -size)
            break;
        at += by.i;
    }
    if (of.kind == GLA__LIST || r->st)
        return out;
    for (size_t i = 0; i < out.list->n; i++)
        gla__append(r, &text, out.list->items[i].s.p, out.list->items[i].s.n);
    return gla__taken(r, &text);
}

/* ---- operators ---- */

static bool numeric(gla__value v)
{
    return v.kind == GLA__INT || v.kind == GLA__FLOAT || v.kind == GLA__BOOL;
}

static double real(gla__value v)
{
    return v.kind == GLA__FLOAT ? v.f : (double)v.i;
}

static gla__value cannot(gla__run *r, const gla__node *n, gla__value a, gla__value b)
{
    gla__run_fail(r, GLA_E_INVALID, "%s %.*s %s is not possible", gla__kind_name(a.kind),
                  (int)n->text.n, n->text.p, gla__kind_name(b.kind));
    return gla__undefined();
}

static gla__value joined(gla__run *r, gla__view a, gla__view b)
{
    char *p = a.n > GLA_TPL_MAX_OUTPUT || b.n > GLA_TPL_MAX_OUTPUT
                  ? NULL
                  : gla__run_alloc(r, a.n + b.n + 1);

    if (!p) {
        gla__run_fail(r, GLA_E_LIMIT, "text of the chat template is too long");
        return gla__undefined();
    }
    if (a.n)
        memcpy(p, a.p, a.n);
    if (b.n)
        memcpy(p + a.n, b.p, b.n);
    return gla__string(p, a.n + b.n);
}

static gla__value integers(gla__run *r, const gla__node *n, int64_t a, int64_t b)
{
    int64_t x = 0;
    bool fits = true;

    switch (n->text.p[0]) {
    case '+':
        fits = !__builtin_add_overflow(a, b, &x);
        break;
    case '-':
        fits = !__builtin_sub_overflow(a, b, &x);
        break;
    case '*':
        fits = !__builtin_mul_overflow(a, b, &x);
        break;
    default: /* // and %: rounded down */
        fits = b != 0 && !(a == INT64_MIN && b == -1);
        if (!fits)
            break;
        x = n->text.p[0] == '/' ? a / b : a % b;
        if (a % b != 0 && (a < 0) != (b < 0))
            x += n->text.p[0] == '/' ? -1 : b;
    }
    if (!fits)
        gla__run_fail(r, GLA_E_INVALID, "%lld %.*s %lld has no result", (long long)a,
                      (int)n->text.n, n->text.p, (long long)b);
    return gla__int(x);
}

static gla__value reals(gla__run *r, const gla__node *n, double a, double b)
{
    gla__value v = {.kind = GLA__FLOAT};

    if (gla__view_is(n->text, "+"))
        v.f = a + b;
    else if (gla__view_is(n->text, "-"))
        v.f = a - b;
    else if (gla__view_is(n->text, "*"))
        v.f = a * b;
    else if (!(b > 0 || b < 0))
        gla__run_fail(r, GLA_E_INVALID, "division by zero");
    else if (gla__view_is(n->text, "/"))
        v.f = a / b;
    else if (gla__view_is(n->text, "//"))
        v.f = floor(a / b);
    else
        v.f = a - b * floor(a / b);
    return v;
}

static gla__value arithmetic(gla__run *r, const gla__node *n, gla__value a, gla__value b)
{
    const bool plus = gla__view_is(n->text, "+");
    gla__value out;

    if (plus && a.kind == GLA__STRING && b.kind == GLA__STRING)
        return joined(r, a.s, b.s);
    if (plus && a.kind == GLA__LIST && b.kind == GLA__LIST) {
        out = gla__new_list(r);
        for (size_t i = 0; i < a.list->n && gla__run_step(r); i++)
            gla__list_add(r, out.list, a.list->items[i]);
        for (size_t i = 0; i < b.list->n && gla__run_step(r); i++)
            gla__list_add(r, out.list, b.list->items[i]);
        return out;
    }
    if (gla__view_is(n->text, "*") && a.kind == GLA__STRING && b.kind == GLA__INT) {
        gla__bytes text = {0};

        for (int64_t i = 0; i < b.i && gla__run_step(r); i++)
            gla__append(r, &text, a.s.p, a.s.n);
        return gla__taken(r, &text);
    }
    if (!numeric(a) || !numeric(b))
        return cannot(r, n, a, b);
    if (a.kind != GLA__FLOAT && b.kind != GLA__FLOAT && !gla__view_is(n->text, "/"))
        return integers(r, n, a.i, b.i);
    return reals(r, n, real(a), real(b));
}

/* -1, 0, 1; numbers and strings. */
static int order(gla__run *r, const gla__node *n, gla__value a, gla__value b)
{
    int c;

    if (a.kind == GLA__STRING && b.kind == GLA__STRING) {
        c = memcmp(a.s.p, b.s.p, a.s.n < b.s.n ? a.s.n : b.s.n);
        return c ? c : (a.s.n > b.s.n) - (a.s.n < b.s.n);
    }
    if (!numeric(a) || !numeric(b)) {
        (void)cannot(r, n, a, b);
        return 0;
    }
    if (a.kind != GLA__FLOAT && b.kind != GLA__FLOAT)
        return (a.i > b.i) - (a.i < b.i);
    return (real(a) > real(b)) - (real(a) < real(b));
}

static gla__value binary(gla__run *r, const gla__node *n)
{
    const gla__value a = eval(r, n->a), b = eval(r, n->b);
    const gla__view op = n->text;

    if (r->st)
        return gla__undefined();
    if (gla__view_is(op, "=="))
        return gla__bool(gla__equal(r, a, b));
    if (gla__view_is(op, "!="))
        return gla__bool(!gla__equal(r, a, b));
    if (gla__view_is(op, "in"))
        return gla__bool(gla__contains(r, a, b));
    if (gla__view_is(op, "~")) {
        const gla__view left = gla__text_of(r, a);

        return joined(r, left, gla__text_of(r, b));
    }
    if (gla__view_is(op, "<"))
        return gla__bool(order(r, n, a, b) < 0);
    if (gla__view_is(op, ">"))
        return gla__bool(order(r, n, a, b) > 0);
    if (gla__view_is(op, "<="))
        return gla__bool(order(r, n, a, b) <= 0);
    if (gla__view_is(op, ">="))
        return gla__bool(order(r, n, a, b) >= 0);
    return arithmetic(r, n, a, b);
}

static gla__value negative(gla__run *r, gla__value v)
{
    if (v.kind == GLA__FLOAT)
        v.f = -v.f;
    else if (numeric(v) && v.i != INT64_MIN)
        v = gla__int(-v.i);
    else
        gla__run_fail(r, GLA_E_INVALID, "a %s has no negative", gla__kind_name(v.kind));
    return v;
}

/* ---- expressions ---- */

static gla__value make_list(gla__run *r, const gla__node *n)
{
    const gla__value v = gla__new_list(r);

    for (n = n->a; n && !r->st; n = n->next)
        gla__list_add(r, v.list, eval(r, n->a));
    return v;
}

static gla__value make_dict(gla__run *r, const gla__node *n)
{
    const gla__value v = gla__new_dict(r);

    for (n = n->a; n && !r->st; n = n->next) {
        const gla__value key = eval(r, n->a), value = eval(r, n->b);

        if (key.kind != GLA__STRING)
            gla__run_fail(r, GLA_E_UNSUPPORTED, "a mapping's keys are strings, not a %s",
                          gla__kind_name(key.kind));
        else
            gla__dict_set(r, v.dict, key.s, value);
    }
    return v;
}

static gla__value eval_kind(gla__run *r, const gla__node *n)
{
    gla__value v;
    gla__args args;

    switch (n->kind) {
    case GLA__E_CONST:
        return n->value;
    case GLA__E_NAME:
        return lookup(r, n->text);
    case GLA__E_LIST:
        return make_list(r, n);
    case GLA__E_DICT:
        return make_dict(r, n);
    case GLA__E_ATTR:
        v = eval(r, n->a);
        return gla__attribute(r, v, n->text);
    case GLA__E_ITEM:
        v = eval(r, n->a);
        return item(r, v, eval(r, n->b));
    case GLA__E_SLICE:
        return slice(r, n);
    case GLA__E_CALL:
        return call(r, n);
    case GLA__E_FILTER:
        v = eval(r, n->a);
        eval_args(r, n->b, &args);
        return r->st ? v : gla__call_filter(r, n->text, v, &args);
    case GLA__E_TEST:
        v = eval(r, n->a);
        eval_args(r, n->b, &args);
        return r->st ? v : gla__bool(gla__call_test(r, n->text, v, &args));
    case GLA__E_NOT:
        return gla__bool(!gla__truth(eval(r, n->a)));
    case GLA__E_NEG:
        return negative(r, eval(r, n->a));
    case GLA__E_AND:
        v = eval(r, n->a);
        return gla__truth(v) ? eval(r, n->b) : v;
    case GLA__E_OR:
        v = eval(r, n->a);
        return gla__truth(v) ? v : eval(r, n->b);
    case GLA__E_COND:
        if (gla__truth(eval(r, n->b)))
            return eval(r, n->a);
        return n->c ? eval(r, n->c) : gla__undefined();
    case GLA__E_BINARY:
        return binary(r, n);
    default:
        return gla__undefined();
    }
}

static gla__value eval(gla__run *r, const gla__node *n)
{
    gla__value v = gla__undefined();

    if (!n || !gla__run_step(r))
        return v;
    if (++r->depth > GLA_TPL_MAX_DEPTH)
        gla__run_fail(r, GLA_E_LIMIT, "chat template is nested deeper than %d", GLA_TPL_MAX_DEPTH);
    else
        v = eval_kind(r, n);
    r->depth--;
    return r->st ? gla__undefined() : v;
}

/* ---- statements ---- */

static void run_set(gla__run *r, const gla__node *n)
{
    const gla__value v = n->c || !n->b ? capture(r, n->c) : eval(r, n->b);
    gla__value target;

    if (r->st)
        return;
    if (n->a->kind == GLA__E_NAME) {
        gla__dict_set(r, &r->scope->vars, n->a->text, v);
        return;
    }
    target = eval(r, n->a->a);
    if (target.kind != GLA__NAMESPACE)
        gla__run_fail(r, GLA_E_INVALID, "only a namespace's attributes can be set, not a %s's",
                      gla__kind_name(target.kind));
    else
        gla__dict_set(r, target.dict, n->a->text, v);
}

static void run_macro(gla__run *r, const gla__node *n)
{
    gla__macro *m = gla__run_alloc(r, sizeof(*m));

    if (!m)
        return;
    m->node = n;
    m->scope = r->scope;
    gla__dict_set(r, &r->scope->vars, n->text, (gla__value){.kind = GLA__MACRO, .macro = m});
}

/* Binds the loop's names to one element. */
static void bind(gla__run *r, const gla__node *names, gla__value v)
{
    size_t i = 0;

    if (!names->next) {
        gla__dict_set(r, &r->scope->vars, names->text, v);
        return;
    }
    for (; names && !r->st; names = names->next, i++) {
        if (v.kind != GLA__LIST || i >= v.list->n || (!names->next && i + 1 != v.list->n))
            gla__run_fail(r, GLA_E_INVALID, "the loop's element does not have as many parts");
        else
            gla__dict_set(r, &r->scope->vars, names->text, v.list->items[i]);
    }
}

static const gla__list *filtered(gla__run *r, const gla__node *n, const gla__list *all)
{
    const gla__value kept = gla__new_list(r);
    gla__scope *outer = r->scope;

    for (size_t i = 0; i < all->n && gla__run_step(r); i++) {
        r->scope = new_scope(r, outer);
        if (!r->scope)
            break;
        bind(r, n->a, all->items[i]);
        if (gla__truth(eval(r, n->e)))
            gla__list_add(r, kept.list, all->items[i]);
    }
    r->scope = outer;
    return r->st ? NULL : kept.list;
}

static void run_for(gla__run *r, const gla__node *n)
{
    gla__scope *outer = r->scope;
    const gla__list *items = gla__items_of(r, eval(r, n->b));
    gla__loop *loop = gla__run_alloc(r, sizeof(*loop));

    if (items && n->e && !r->st)
        items = filtered(r, n, items);
    if (r->st || !items || !loop)
        return;
    if (!items->n)
        exec(r, n->d);
    loop->items = items;
    for (size_t i = 0; i < items->n && gla__run_step(r); i++) {
        r->scope = new_scope(r, outer);
        if (!r->scope)
            break;
        loop->at = i;
        gla__dict_set(r, &r->scope->vars, (gla__view){"loop", 4},
                      (gla__value){.kind = GLA__LOOP, .loop = loop});
        bind(r, n->a, items->items[i]);
        exec(r, n->c);
        if (r->flow == FLOW_BREAK) {
            r->flow = FLOW_ON;
            break;
        }
        r->flow = FLOW_ON;
    }
    r->scope = outer;
}

static void run_if(gla__run *r, const gla__node *n)
{
    while (n && n->kind == GLA__S_IF) {
        r->line = n->line;
        if (gla__truth(eval(r, n->a))) {
            exec(r, n->b);
            return;
        }
        if (!n->c || n->c->kind != GLA__S_IF || n->c->next) {
            exec(r, n->c);
            return;
        }
        n = n->c; /* elif */
    }
}

static void run_one(gla__run *r, const gla__node *n)
{
    switch (n->kind) {
    case GLA__S_TEXT:
        gla__append(r, r->out, n->text.p, n->text.n);
        break;
    case GLA__S_PRINT: {
        const gla__value v = eval(r, n->a);

        if (!r->st)
            gla__print(r, r->out, v);
        break;
    }
    case GLA__S_IF:
        run_if(r, n);
        break;
    case GLA__S_FOR:
        run_for(r, n);
        break;
    case GLA__S_SET:
        run_set(r, n);
        break;
    case GLA__S_MACRO:
        run_macro(r, n);
        break;
    case GLA__S_BREAK:
        r->flow = FLOW_BREAK;
        break;
    case GLA__S_CONTINUE:
        r->flow = FLOW_CONTINUE;
        break;
    default:
        break;
    }
}

static void exec(gla__run *r, const gla__node *n)
{
    if (++r->depth > GLA_TPL_MAX_DEPTH)
        gla__run_fail(r, GLA_E_LIMIT, "chat template is nested deeper than %d", GLA_TPL_MAX_DEPTH);
    for (; n && r->flow == FLOW_ON && gla__run_step(r); n = n->next) {
        r->line = n->line;
        run_one(r, n);
    }
    r->depth--;
}

gla_status gla__template_run(const gla__node *body, const json_t *variables, int64_t now,
                             gla__bytes *out, gla_diag *diag)
{
    gla__run r = {.diag = diag, .now = now, .out = out, .arena.limit = GLA_TPL_MAX_MEMORY};
    gla__value all;

    all = gla__from_json(&r, variables);
    r.scope = new_scope(&r, NULL);
    if (!r.st) {
        r.scope->vars = *all.dict;
        r.scope = new_scope(&r, r.scope);
    }
    if (!r.st)
        exec(&r, body);
    gla__arena_free(&r.arena);
    return r.st;
}
