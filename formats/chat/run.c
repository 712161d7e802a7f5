/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/diag.h"
#include "formats/chat/template.h"

enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static gla__tpl_value eval(gla__tpl_run *r, const gla__tpl_node *n);
static void exec(gla__tpl_run *r, const gla__tpl_node *n);

static int quoted(gla__tpl_view v)
{
    return (int)(v.n < 64 ? v.n : 64);
}

/* ---- variables ---- */

/* Names that Jinja knows and we do not. */
static bool is_foreign(gla__tpl_view name)
{
    static const char *const names[] = {"cycler", "joiner", "kwargs", "lipsum", "self", "varargs"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (gla__tpl_view_is(name, names[i]))
            return true;
    return false;
}

static gla__tpl_value lookup(gla__tpl_run *r, gla__tpl_view name)
{
    for (const gla__tpl_scope *s = r->scope; s; s = s->parent) {
        const gla__tpl_value *v = gla__tpl_dict_get(&s->vars, name);

        if (v)
            return *v;
    }
    if (gla__tpl_is_function(name))
        return (gla__tpl_value){.kind = GLA__TPL_FUNCTION, .s = name};
    if (is_foreign(name))
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "\"%.*s\" is not supported", (int)name.n, name.p);
    return gla__tpl_undefined();
}

static gla__tpl_scope *new_scope(gla__tpl_run *r, gla__tpl_scope *parent)
{
    gla__tpl_scope *s = gla__tpl_alloc(r, sizeof(*s));

    if (s) {
        memset(s, 0, sizeof(*s));
        s->parent = parent;
    }
    return s;
}

/* ---- calls ---- */

static void eval_args(gla__tpl_run *r, const gla__tpl_node *n, gla__tpl_args *out)
{
    memset(out, 0, sizeof(*out));
    for (; n && !r->st; n = n->next) {
        const gla__tpl_value v = eval(r, n->a);

        if (n->text.n)
            gla__tpl_dict_set(r, &out->named, n->text, v);
        else if (out->n == sizeof(out->positional) / sizeof(*out->positional))
            gla__tpl_fail(r, GLA_E_UNSUPPORTED, "more than %zu arguments", out->n);
        else
            out->positional[out->n++] = v;
    }
}

/* Runs a body into a text of its own. */
static gla__tpl_value capture(gla__tpl_run *r, const gla__tpl_node *body)
{
    gla__bytes text = {0}, *out = r->out;

    r->out = &text;
    exec(r, body);
    r->out = out;
    return gla__tpl_taken(r, &text);
}

static gla__tpl_value call_macro(gla__tpl_run *r, const gla__tpl_macro *m,
                                 const gla__tpl_args *args)
{
    gla__tpl_scope *outer = r->scope, *inner = new_scope(r, m->scope);
    size_t i = 0, named = 0;
    gla__tpl_value result;

    if (!inner)
        return gla__tpl_undefined();
    r->scope = inner; /* a default may use the parameters before it */
    for (const gla__tpl_node *p = m->node->a; p && !r->st; p = p->next, i++) {
        const gla__tpl_value *given = gla__tpl_dict_get(&args->named, p->text);
        gla__tpl_value v = gla__tpl_undefined();

        if (i < args->n)
            v = args->positional[i];
        else if (given)
            v = *given;
        else if (p->a)
            v = eval(r, p->a);
        named += i >= args->n && given;
        gla__tpl_dict_set(r, &inner->vars, p->text, v);
    }
    if (args->n > i || named < args->named.n)
        gla__tpl_fail(r, GLA_E_INVALID, "macro \"%.*s\" has no such argument",
                      quoted(m->node->text), m->node->text.p);
    result = capture(r, m->node->b);
    r->scope = outer;
    return result;
}

static gla__tpl_value call(gla__tpl_run *r, const gla__tpl_node *n)
{
    const gla__tpl_node *callee = n->a;
    gla__tpl_value f;
    gla__tpl_args args;

    if (callee->kind == GLA__TPL_E_ATTR) {
        const gla__tpl_value self = eval(r, callee->a);

        eval_args(r, n->b, &args);
        if (r->st)
            return gla__tpl_undefined();
        f = gla__tpl_undefined();
        if (self.kind == GLA__TPL_NAMESPACE || self.kind == GLA__TPL_DICT)
            f = gla__tpl_attribute(r, self, callee->text);
        return f.kind == GLA__TPL_MACRO ? call_macro(r, f.macro, &args)
                                        : gla__tpl_call_method(r, self, callee->text, &args);
    }
    eval_args(r, n->b, &args);
    if (r->st)
        return gla__tpl_undefined();
    f = eval(r, callee);
    if (f.kind == GLA__TPL_MACRO)
        return call_macro(r, f.macro, &args);
    if (f.kind == GLA__TPL_FUNCTION)
        return gla__tpl_call_function(r, f.s, &args);
    if (callee->kind == GLA__TPL_E_NAME && f.kind == GLA__TPL_UNDEFINED)
        gla__tpl_fail(r, GLA_E_UNSUPPORTED, "function \"%.*s\" is not supported",
                      quoted(callee->text), callee->text.p);
    gla__tpl_fail(r, GLA_E_INVALID, "%s cannot be called", gla__tpl_kind_name(f.kind));
    return gla__tpl_undefined();
}

/* ---- slices ---- */

static bool is_whole(gla__tpl_value v)
{
    return v.kind == GLA__TPL_INT || v.kind == GLA__TPL_BOOL;
}

/* Python's bound of a slice: def where it is none. */
static int64_t bound(gla__tpl_value v, int64_t def, int64_t size, bool back)
{
    const int64_t low = back ? -1 : 0, high = back ? size - 1 : size;

    if (v.kind == GLA__TPL_NONE)
        return def;
    if (v.i < 0)
        return v.i + size < low ? low : v.i + size;
    return v.i > high ? high : v.i;
}

static gla__tpl_value slice(gla__tpl_run *r, const gla__tpl_node *n)
{
    const gla__tpl_node *const parts[] = {n->b, n->c, n->d};
    const gla__tpl_value of = eval(r, n->a);
    gla__tpl_value v[3], out;
    bool sliced = of.kind == GLA__TPL_LIST || of.kind == GLA__TPL_STRING;
    gla__bytes text = {0};
    gla__tpl_list *l;
    int64_t size, at, stop, by;

    for (size_t i = 0; i < 3; i++) {
        v[i] = parts[i] ? eval(r, parts[i]) : gla__tpl_none();
        sliced = sliced && (v[i].kind == GLA__TPL_NONE || is_whole(v[i]));
    }
    by = is_whole(v[2]) ? v[2].i : 1;
    if (!sliced || by == 0)
        gla__tpl_fail(r, GLA_E_INVALID, "%s cannot be sliced so", gla__tpl_kind_name(of.kind));
    if (r->st)
        return gla__tpl_undefined();
    l = gla__tpl_items_of(r, of);
    out = gla__tpl_new_list(r);
    if (r->st)
        return gla__tpl_undefined();
    size = (int64_t)l->n;
    at = bound(v[0], by > 0 ? 0 : size - 1, size, by < 0);
    stop = bound(v[1], by > 0 ? size : -1, size, by < 0);
    while (gla__tpl_step(r) && (by > 0 ? at < stop : at > stop)) {
        gla__tpl_list_add(r, out.list, l->items[at]);
        if (by > size || by < -size)
            break;
        at += by;
    }
    if (of.kind == GLA__TPL_LIST || r->st)
        return out;
    for (size_t i = 0; i < out.list->n; i++)
        gla__tpl_append(r, &text, out.list->items[i].s.p, out.list->items[i].s.n);
    return gla__tpl_taken(r, &text);
}

/* ---- operators ---- */

static bool numeric(gla__tpl_value v)
{
    return v.kind == GLA__TPL_INT || v.kind == GLA__TPL_FLOAT || v.kind == GLA__TPL_BOOL;
}

static double real(gla__tpl_value v)
{
    return v.kind == GLA__TPL_FLOAT ? v.f : (double)v.i;
}

static gla__tpl_value cannot(gla__tpl_run *r, const gla__tpl_node *n, gla__tpl_value a,
                             gla__tpl_value b)
{
    gla__tpl_fail(r, GLA_E_INVALID, "%s %.*s %s is not possible", gla__tpl_kind_name(a.kind),
                  (int)n->text.n, n->text.p, gla__tpl_kind_name(b.kind));
    return gla__tpl_undefined();
}

static gla__tpl_value joined(gla__tpl_run *r, gla__tpl_view a, gla__tpl_view b)
{
    char *p = a.n > GLA__TPL_MAX_OUTPUT || b.n > GLA__TPL_MAX_OUTPUT
                  ? NULL
                  : gla__tpl_alloc(r, a.n + b.n + 1);

    if (!p) {
        gla__tpl_fail(r, GLA_E_LIMIT, "text of the chat template is too long");
        return gla__tpl_undefined();
    }
    if (a.n)
        memcpy(p, a.p, a.n);
    if (b.n)
        memcpy(p + a.n, b.p, b.n);
    return gla__tpl_string(p, a.n + b.n);
}

static gla__tpl_value integers(gla__tpl_run *r, const gla__tpl_node *n, int64_t a, int64_t b)
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
        gla__tpl_fail(r, GLA_E_INVALID, "%lld %.*s %lld has no result", (long long)a,
                      (int)n->text.n, n->text.p, (long long)b);
    return gla__tpl_int(x);
}

static gla__tpl_value reals(gla__tpl_run *r, const gla__tpl_node *n, double a, double b)
{
    gla__tpl_value v = {.kind = GLA__TPL_FLOAT};

    if (gla__tpl_view_is(n->text, "+"))
        v.f = a + b;
    else if (gla__tpl_view_is(n->text, "-"))
        v.f = a - b;
    else if (gla__tpl_view_is(n->text, "*"))
        v.f = a * b;
    else if (!(b > 0 || b < 0))
        gla__tpl_fail(r, GLA_E_INVALID, "division by zero");
    else if (gla__tpl_view_is(n->text, "/"))
        v.f = a / b;
    else if (gla__tpl_view_is(n->text, "//"))
        v.f = floor(a / b);
    else
        v.f = a - b * floor(a / b);
    return v;
}

static void add_all(gla__tpl_run *r, gla__tpl_list *to, const gla__tpl_list *from)
{
    for (size_t i = 0; i < from->n && gla__tpl_step(r); i++)
        gla__tpl_list_add(r, to, from->items[i]);
}

static bool repeats(gla__tpl_value v)
{
    return v.kind == GLA__TPL_STRING || v.kind == GLA__TPL_LIST;
}

static gla__tpl_value repeated(gla__tpl_run *r, gla__tpl_value v, int64_t times)
{
    gla__bytes text = {0};
    const gla__tpl_value out = v.kind == GLA__TPL_LIST ? gla__tpl_new_list(r) : v;

    for (int64_t i = 0; i < times && gla__tpl_step(r); i++)
        if (v.kind == GLA__TPL_LIST)
            add_all(r, out.list, v.list);
        else
            gla__tpl_append(r, &text, v.s.p, v.s.n);
    return v.kind == GLA__TPL_LIST ? out : gla__tpl_taken(r, &text);
}

static gla__tpl_value arithmetic(gla__tpl_run *r, const gla__tpl_node *n, gla__tpl_value a,
                                 gla__tpl_value b)
{
    const bool plus = gla__tpl_view_is(n->text, "+");
    gla__tpl_value out;

    if (plus && a.kind == GLA__TPL_STRING && b.kind == GLA__TPL_STRING)
        return joined(r, a.s, b.s);
    if (plus && a.kind == GLA__TPL_LIST && b.kind == GLA__TPL_LIST) {
        out = gla__tpl_new_list(r);
        add_all(r, out.list, a.list);
        add_all(r, out.list, b.list);
        return out;
    }
    if (gla__tpl_view_is(n->text, "*") && is_whole(b) && repeats(a))
        return repeated(r, a, b.i);
    if (gla__tpl_view_is(n->text, "*") && is_whole(a) && repeats(b))
        return repeated(r, b, a.i);
    if (!numeric(a) || !numeric(b))
        return cannot(r, n, a, b);
    if (a.kind != GLA__TPL_FLOAT && b.kind != GLA__TPL_FLOAT && !gla__tpl_view_is(n->text, "/"))
        return integers(r, n, a.i, b.i);
    return reals(r, n, real(a), real(b));
}

static gla__tpl_value binary(gla__tpl_run *r, const gla__tpl_node *n)
{
    const gla__tpl_value a = eval(r, n->a), b = eval(r, n->b);
    const gla__tpl_view op = n->text;

    if (r->st)
        return gla__tpl_undefined();
    if (gla__tpl_view_is(op, "=="))
        return gla__tpl_bool(gla__tpl_equal(r, a, b));
    if (gla__tpl_view_is(op, "!="))
        return gla__tpl_bool(!gla__tpl_equal(r, a, b));
    if (gla__tpl_view_is(op, "in"))
        return gla__tpl_bool(gla__tpl_contains(r, a, b));
    if (gla__tpl_view_is(op, "~")) {
        const gla__tpl_view left = gla__tpl_text_of(r, a);

        return joined(r, left, gla__tpl_text_of(r, b));
    }
    if (gla__tpl_view_is(op, "<"))
        return gla__tpl_bool(gla__tpl_order(r, a, b) < 0);
    if (gla__tpl_view_is(op, ">"))
        return gla__tpl_bool(gla__tpl_order(r, a, b) > 0);
    if (gla__tpl_view_is(op, "<="))
        return gla__tpl_bool(gla__tpl_order(r, a, b) <= 0);
    if (gla__tpl_view_is(op, ">="))
        return gla__tpl_bool(gla__tpl_order(r, a, b) >= 0);
    return arithmetic(r, n, a, b);
}

static gla__tpl_value with_sign(gla__tpl_run *r, gla__tpl_value v, bool negative)
{
    if (!numeric(v) || (negative && is_whole(v) && v.i == INT64_MIN))
        gla__tpl_fail(r, GLA_E_INVALID, "%s cannot have this sign", gla__tpl_kind_name(v.kind));
    else if (v.kind == GLA__TPL_FLOAT)
        v.f = negative ? -v.f : v.f;
    else
        v = gla__tpl_int(negative ? -v.i : v.i);
    return v;
}

/* ---- expressions ---- */

static gla__tpl_value make_list(gla__tpl_run *r, const gla__tpl_node *n)
{
    const gla__tpl_value v = gla__tpl_new_list(r);

    for (n = n->a; n && !r->st; n = n->next)
        gla__tpl_list_add(r, v.list, eval(r, n->a));
    return v;
}

static gla__tpl_value make_dict(gla__tpl_run *r, const gla__tpl_node *n)
{
    const gla__tpl_value v = gla__tpl_new_dict(r);

    for (n = n->a; n && !r->st; n = n->next) {
        const gla__tpl_value key = eval(r, n->a), value = eval(r, n->b);

        if (key.kind != GLA__TPL_STRING)
            gla__tpl_fail(r, GLA_E_UNSUPPORTED, "a mapping's keys are strings, not %s",
                          gla__tpl_kind_name(key.kind));
        else
            gla__tpl_dict_set(r, v.dict, key.s, value);
    }
    return v;
}

static gla__tpl_value eval_kind(gla__tpl_run *r, const gla__tpl_node *n)
{
    gla__tpl_value v;
    gla__tpl_args args;

    switch (n->kind) {
    case GLA__TPL_E_CONST:
        return n->value;
    case GLA__TPL_E_NAME:
        return lookup(r, n->text);
    case GLA__TPL_E_LIST:
        return make_list(r, n);
    case GLA__TPL_E_DICT:
        return make_dict(r, n);
    case GLA__TPL_E_ATTR:
        v = eval(r, n->a);
        return gla__tpl_attribute(r, v, n->text);
    case GLA__TPL_E_ITEM:
        v = eval(r, n->a);
        return gla__tpl_element(r, v, eval(r, n->b));
    case GLA__TPL_E_SLICE:
        return slice(r, n);
    case GLA__TPL_E_CALL:
        return call(r, n);
    case GLA__TPL_E_FILTER:
        v = eval(r, n->a);
        eval_args(r, n->b, &args);
        return r->st ? v : gla__tpl_call_filter(r, n->text, v, &args);
    case GLA__TPL_E_TEST:
        v = eval(r, n->a);
        eval_args(r, n->b, &args);
        return r->st ? v : gla__tpl_bool(gla__tpl_call_test(r, n->text, v, &args));
    case GLA__TPL_E_NOT:
        return gla__tpl_bool(!gla__tpl_truth(eval(r, n->a)));
    case GLA__TPL_E_NEG:
    case GLA__TPL_E_POS:
        return with_sign(r, eval(r, n->a), n->kind == GLA__TPL_E_NEG);
    case GLA__TPL_E_AND:
        v = eval(r, n->a);
        return gla__tpl_truth(v) ? eval(r, n->b) : v;
    case GLA__TPL_E_OR:
        v = eval(r, n->a);
        return gla__tpl_truth(v) ? v : eval(r, n->b);
    case GLA__TPL_E_COND:
        if (gla__tpl_truth(eval(r, n->b)))
            return eval(r, n->a);
        return n->c ? eval(r, n->c) : gla__tpl_undefined();
    case GLA__TPL_E_BINARY:
        return binary(r, n);
    default:
        return gla__tpl_undefined();
    }
}

static gla__tpl_value eval(gla__tpl_run *r, const gla__tpl_node *n)
{
    gla__tpl_value v = gla__tpl_undefined();

    if (!n || !gla__tpl_step(r))
        return v;
    if (++r->depth > GLA__TPL_MAX_DEPTH)
        gla__tpl_fail(r, GLA_E_LIMIT, "chat template is nested deeper than %d", GLA__TPL_MAX_DEPTH);
    else
        v = eval_kind(r, n);
    r->depth--;
    return r->st ? gla__tpl_undefined() : v;
}

/* ---- statements ---- */

static void run_set(gla__tpl_run *r, const gla__tpl_node *n)
{
    const gla__tpl_value v = n->c || !n->b ? capture(r, n->c) : eval(r, n->b);
    gla__tpl_value target;

    if (r->st)
        return;
    if (n->a->kind == GLA__TPL_E_NAME) {
        gla__tpl_dict_set(r, &r->scope->vars, n->a->text, v);
        return;
    }
    target = eval(r, n->a->a);
    if (target.kind != GLA__TPL_NAMESPACE)
        gla__tpl_fail(r, GLA_E_INVALID, "only a namespace's attributes can be set, not %s's",
                      gla__tpl_kind_name(target.kind));
    else
        gla__tpl_dict_set(r, target.dict, n->a->text, v);
}

static void run_macro(gla__tpl_run *r, const gla__tpl_node *n)
{
    gla__tpl_macro *m = gla__tpl_alloc(r, sizeof(*m));

    if (!m)
        return;
    m->node = n;
    m->scope = r->scope;
    gla__tpl_dict_set(r, &r->scope->vars, n->text,
                      (gla__tpl_value){.kind = GLA__TPL_MACRO, .macro = m});
}

/* Binds the loop's names to one element. */
static void bind(gla__tpl_run *r, const gla__tpl_node *names, gla__tpl_value v)
{
    const gla__tpl_list *l;
    size_t i = 0;

    if (!names->next) {
        gla__tpl_dict_set(r, &r->scope->vars, names->text, v);
        return;
    }
    l = gla__tpl_items_of(r, v);
    for (; names && !r->st; names = names->next, i++) {
        if (i >= l->n || (!names->next && i + 1 != l->n))
            gla__tpl_fail(r, GLA_E_INVALID, "the loop's element does not have as many parts");
        else
            gla__tpl_dict_set(r, &r->scope->vars, names->text, l->items[i]);
    }
}

static const gla__tpl_list *filtered(gla__tpl_run *r, const gla__tpl_node *n,
                                     const gla__tpl_list *all)
{
    const gla__tpl_value kept = gla__tpl_new_list(r);
    gla__tpl_scope *outer = r->scope;

    for (size_t i = 0; i < all->n && gla__tpl_step(r); i++) {
        r->scope = new_scope(r, outer);
        if (!r->scope)
            break;
        bind(r, n->a, all->items[i]);
        if (gla__tpl_truth(eval(r, n->e)))
            gla__tpl_list_add(r, kept.list, all->items[i]);
    }
    r->scope = outer;
    return r->st ? NULL : kept.list;
}

static void run_for(gla__tpl_run *r, const gla__tpl_node *n)
{
    gla__tpl_scope *outer = r->scope;
    const gla__tpl_list *items = gla__tpl_items_of(r, eval(r, n->b));
    gla__tpl_loop *loop = gla__tpl_alloc(r, sizeof(*loop));
    bool ended = false;
    int flow;

    if (items && n->e && !r->st)
        items = filtered(r, n, items);
    if (r->st || !items || !loop)
        return;
    loop->items = items;
    for (size_t i = 0; i < items->n && gla__tpl_step(r); i++) {
        r->scope = new_scope(r, outer);
        if (!r->scope)
            break;
        loop->at = i;
        gla__tpl_dict_set(r, &r->scope->vars, (gla__tpl_view){"loop", 4},
                          (gla__tpl_value){.kind = GLA__TPL_LOOP, .loop = loop});
        bind(r, n->a, items->items[i]);
        exec(r, n->c);
        flow = r->flow;
        r->flow = FLOW_ON;
        ended |= flow == FLOW_ON;
        if (flow == FLOW_BREAK)
            break;
    }
    r->scope = outer;
    if (!ended) /* as Jinja: no body got to its end */
        exec(r, n->d);
}

static void run_if(gla__tpl_run *r, const gla__tpl_node *n)
{
    while (n && n->kind == GLA__TPL_S_IF) {
        r->line = n->line;
        if (gla__tpl_truth(eval(r, n->a))) {
            exec(r, n->b);
            return;
        }
        if (!n->c || n->c->kind != GLA__TPL_S_IF || n->c->next) {
            exec(r, n->c);
            return;
        }
        n = n->c; /* elif */
    }
}

static void run_one(gla__tpl_run *r, const gla__tpl_node *n)
{
    switch (n->kind) {
    case GLA__TPL_S_TEXT:
        gla__tpl_append(r, r->out, n->text.p, n->text.n);
        break;
    case GLA__TPL_S_PRINT: {
        const gla__tpl_value v = eval(r, n->a);

        if (!r->st)
            gla__tpl_print(r, r->out, v);
        break;
    }
    case GLA__TPL_S_IF:
        run_if(r, n);
        break;
    case GLA__TPL_S_FOR:
        run_for(r, n);
        break;
    case GLA__TPL_S_SET:
        run_set(r, n);
        break;
    case GLA__TPL_S_MACRO:
        run_macro(r, n);
        break;
    case GLA__TPL_S_BREAK:
        r->flow = FLOW_BREAK;
        break;
    case GLA__TPL_S_CONTINUE:
        r->flow = FLOW_CONTINUE;
        break;
    default:
        break;
    }
}

static void exec(gla__tpl_run *r, const gla__tpl_node *n)
{
    if (++r->depth > GLA__TPL_MAX_DEPTH)
        gla__tpl_fail(r, GLA_E_LIMIT, "chat template is nested deeper than %d", GLA__TPL_MAX_DEPTH);
    for (; n && r->flow == FLOW_ON && gla__tpl_step(r); n = n->next) {
        r->line = n->line;
        run_one(r, n);
    }
    r->depth--;
}

gla_status gla__tpl_render(const gla__tpl_node *body, const json_t *variables, int64_t now,
                           gla__bytes *out, gla_diag *diag)
{
    gla__tpl_run r = {.diag = diag, .now = now, .out = out, .arena.limit = GLA__TPL_MAX_MEMORY};
    gla__tpl_value all;

    all = gla__tpl_from_json(&r, variables);
    r.scope = new_scope(&r, NULL);
    if (!r.st) {
        r.scope->vars = *all.dict;
        r.scope = new_scope(&r, r.scope);
    }
    if (!r.st)
        exec(&r, body);
    gla__tpl_arena_free(&r.arena);
    return r.st;
}
