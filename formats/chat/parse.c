/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/diag.h"
#include "formats/chat/lex.h"

static gla__tpl_node *expression(gla__tpl_lexer *p);

/* ---- help ---- */

static gla__tpl_node *node(gla__tpl_lexer *p, gla__tpl_nkind kind, gla__tpl_node *a,
                           gla__tpl_node *b)
{
    gla__tpl_node *n = gla__tpl_arena_alloc(p->arena, sizeof(*n));

    if (!n) {
        if (!p->st)
            p->st = gla__fail_nomem(p->diag, "chat template");
        return NULL;
    }
    memset(n, 0, sizeof(*n));
    n->kind = kind;
    n->line = p->t.line ? p->t.line : p->line;
    n->a = a;
    n->b = b;
    return n;
}

static bool enter(gla__tpl_lexer *p)
{
    if (++p->depth > GLA__TPL_MAX_DEPTH)
        gla__tpl_lex_fail(p, GLA_E_LIMIT, "template is nested too deeply", (gla__tpl_view){0});
    return !p->st;
}

static bool is(const gla__tpl_lexer *p, gla__tpl_lex_kind kind, const char *text)
{
    return !p->st && p->t.kind == kind && gla__tpl_view_is(p->t.text, text);
}

static bool accept(gla__tpl_lexer *p, gla__tpl_lex_kind kind, const char *text)
{
    if (!is(p, kind, text))
        return false;
    gla__tpl_lex_next(p);
    return true;
}

static void expect(gla__tpl_lexer *p, const char *sign)
{
    if (!accept(p, GLA__TPL_LEX_SIGN, sign) && !p->st)
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "expected", (gla__tpl_view){sign, strlen(sign)});
}

static gla__tpl_view expect_name(gla__tpl_lexer *p)
{
    const gla__tpl_view name = p->t.text;

    if (p->t.kind != GLA__TPL_LEX_NAME) {
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "expected a name", (gla__tpl_view){0});
        return (gla__tpl_view){0};
    }
    gla__tpl_lex_next(p);
    return name;
}

static void expect_end(gla__tpl_lexer *p)
{
    if (p->t.kind != GLA__TPL_LEX_END_OF_TAG)
        gla__tpl_lex_fail(p, GLA_E_UNSUPPORTED, "not supported here:", p->t.text);
}

/* ---- expressions, loosest first ---- */

static void append(gla__tpl_node ***tail, gla__tpl_node *n)
{
    if (n) {
        **tail = n;
        *tail = &n->next;
    }
}

static bool has_name(const gla__tpl_node *list, gla__tpl_view name)
{
    for (; list; list = list->next)
        if (list->text.n == name.n && !memcmp(list->text.p, name.p, name.n))
            return true;
    return false;
}

/* Arguments up to the closing sign. */
static gla__tpl_node *arguments(gla__tpl_lexer *p, const char *close)
{
    gla__tpl_node *first = NULL, **tail = &first;
    bool named = false;

    while (!p->st && !is(p, GLA__TPL_LEX_SIGN, close)) {
        gla__tpl_node *arg = node(p, GLA__TPL_E_ARG, expression(p), NULL);

        if (arg && arg->a && arg->a->kind == GLA__TPL_E_NAME && accept(p, GLA__TPL_LEX_SIGN, "=")) {
            arg->text = arg->a->text;
            arg->a = expression(p);
            named = true;
            if (has_name(first, arg->text))
                gla__tpl_lex_fail(p, GLA_E_CORRUPT, "argument given twice:", arg->text);
        } else if (named) {
            gla__tpl_lex_fail(p, GLA_E_CORRUPT, "an argument without a name behind one with",
                              (gla__tpl_view){0});
        }
        append(&tail, arg);
        if (!accept(p, GLA__TPL_LEX_SIGN, ","))
            break;
    }
    expect(p, close);
    return first;
}

static gla__tpl_node *dictionary(gla__tpl_lexer *p)
{
    gla__tpl_node *first = NULL, **tail = &first;

    while (!p->st && !is(p, GLA__TPL_LEX_SIGN, "}")) {
        gla__tpl_node *pair = node(p, GLA__TPL_E_ARG, expression(p), NULL);

        expect(p, ":");
        if (pair)
            pair->b = expression(p);
        append(&tail, pair);
        if (!accept(p, GLA__TPL_LEX_SIGN, ","))
            break;
    }
    expect(p, "}");
    return node(p, GLA__TPL_E_DICT, first, NULL);
}

static gla__tpl_node *constant(gla__tpl_lexer *p, gla__tpl_value v)
{
    gla__tpl_node *n = node(p, GLA__TPL_E_CONST, NULL, NULL);

    if (n)
        n->value = v;
    gla__tpl_lex_next(p);
    return n;
}

/* NULL: a name like any other. */
static const gla__tpl_value *known_constant(gla__tpl_view name)
{
    static const struct {
        const char *name;
        gla__tpl_value value;
    } words[] = {
        {"true", {.kind = GLA__TPL_BOOL, .i = 1}},  {"True", {.kind = GLA__TPL_BOOL, .i = 1}},
        {"false", {.kind = GLA__TPL_BOOL, .i = 0}}, {"False", {.kind = GLA__TPL_BOOL, .i = 0}},
        {"none", {.kind = GLA__TPL_NONE}},          {"None", {.kind = GLA__TPL_NONE}}};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (gla__tpl_view_is(name, words[i].name))
            return &words[i].value;
    return NULL;
}

static gla__tpl_node *name_or_constant(gla__tpl_lexer *p)
{
    const gla__tpl_value *known = known_constant(p->t.text);
    gla__tpl_node *n;

    if (known)
        return constant(p, *known);
    n = node(p, GLA__TPL_E_NAME, NULL, NULL);
    if (n)
        n->text = p->t.text;
    gla__tpl_lex_next(p);
    return n;
}

/* ( ... ): one expression, or a tuple, which is a list here. */
static gla__tpl_node *parenthesis(gla__tpl_lexer *p)
{
    gla__tpl_node *first = NULL, **tail = &first;
    bool tuple = is(p, GLA__TPL_LEX_SIGN, ")");

    while (!p->st && !is(p, GLA__TPL_LEX_SIGN, ")")) {
        append(&tail, node(p, GLA__TPL_E_ARG, expression(p), NULL));
        if (!accept(p, GLA__TPL_LEX_SIGN, ","))
            break;
        tuple = true;
    }
    expect(p, ")");
    return tuple || !first ? node(p, GLA__TPL_E_LIST, first, NULL) : first->a;
}

static gla__tpl_node *primary(gla__tpl_lexer *p)
{
    gla__tpl_node *n;

    switch (p->t.kind) {
    case GLA__TPL_LEX_NAME:
        return name_or_constant(p);
    case GLA__TPL_LEX_NUMBER:
        return constant(p, p->t.value);
    case GLA__TPL_LEX_TEXT:
        n = constant(p, gla__tpl_string(p->t.text.p, p->t.text.n));
        if (!p->st && p->t.kind == GLA__TPL_LEX_TEXT)
            gla__tpl_lex_fail(p, GLA_E_UNSUPPORTED, "two strings in a row", (gla__tpl_view){0});
        return n;
    case GLA__TPL_LEX_SIGN:
        if (accept(p, GLA__TPL_LEX_SIGN, "("))
            return parenthesis(p);
        if (accept(p, GLA__TPL_LEX_SIGN, "["))
            return node(p, GLA__TPL_E_LIST, arguments(p, "]"), NULL);
        if (accept(p, GLA__TPL_LEX_SIGN, "{"))
            return dictionary(p);
        break;
    case GLA__TPL_LEX_END_OF_TAG:
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "expression without its end", (gla__tpl_view){0});
        return NULL;
    }
    gla__tpl_lex_fail(p, GLA_E_CORRUPT, "unexpected", p->t.text);
    return NULL;
}

static gla__tpl_node *subscript(gla__tpl_lexer *p, gla__tpl_node *of)
{
    gla__tpl_node *n, *start = NULL;

    if (!is(p, GLA__TPL_LEX_SIGN, ":"))
        start = expression(p);
    if (accept(p, GLA__TPL_LEX_SIGN, "]"))
        return node(p, GLA__TPL_E_ITEM, of, start);
    expect(p, ":");
    n = node(p, GLA__TPL_E_SLICE, of, start);
    if (n && !is(p, GLA__TPL_LEX_SIGN, "]") && !is(p, GLA__TPL_LEX_SIGN, ":"))
        n->c = expression(p);
    if (n && accept(p, GLA__TPL_LEX_SIGN, ":") && !is(p, GLA__TPL_LEX_SIGN, "]"))
        n->d = expression(p);
    expect(p, "]");
    return n;
}

/* Whether what follows a test is its argument. */
static bool begins_argument(const gla__tpl_lexer *p)
{
    if (p->t.kind == GLA__TPL_LEX_SIGN)
        return is(p, GLA__TPL_LEX_SIGN, "[") || is(p, GLA__TPL_LEX_SIGN, "{");
    return p->t.kind != GLA__TPL_LEX_END_OF_TAG && !is(p, GLA__TPL_LEX_NAME, "and") &&
           !is(p, GLA__TPL_LEX_NAME, "or") && !is(p, GLA__TPL_LEX_NAME, "else");
}

static gla__tpl_node *postfix(gla__tpl_lexer *p, gla__tpl_node *n)
{
    while (!p->st) {
        if (accept(p, GLA__TPL_LEX_SIGN, ".")) {
            n = node(p, GLA__TPL_E_ATTR, n, NULL);
            if (n)
                n->text = expect_name(p);
        } else if (accept(p, GLA__TPL_LEX_SIGN, "[")) {
            n = subscript(p, n);
        } else if (accept(p, GLA__TPL_LEX_SIGN, "(")) {
            n = node(p, GLA__TPL_E_CALL, n, NULL);
            if (n)
                n->b = arguments(p, ")");
        } else {
            break;
        }
    }
    return n;
}

static gla__tpl_node *test(gla__tpl_lexer *p, gla__tpl_node *n)
{
    const bool negated = accept(p, GLA__TPL_LEX_NAME, "not");

    n = node(p, GLA__TPL_E_TEST, n, NULL);
    if (!n)
        return NULL;
    n->text = expect_name(p);
    if (accept(p, GLA__TPL_LEX_SIGN, "("))
        n->b = arguments(p, ")");
    else if (is(p, GLA__TPL_LEX_NAME, "is"))
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "tests in a row", (gla__tpl_view){0});
    else if (begins_argument(p))
        n->b = node(p, GLA__TPL_E_ARG, postfix(p, primary(p)), NULL);
    return negated ? node(p, GLA__TPL_E_NOT, n, NULL) : n;
}

static gla__tpl_node *filters(gla__tpl_lexer *p, gla__tpl_node *n)
{
    while (!p->st) {
        if (accept(p, GLA__TPL_LEX_SIGN, "|")) {
            n = node(p, GLA__TPL_E_FILTER, n, NULL);
            if (n)
                n->text = expect_name(p);
            if (n && accept(p, GLA__TPL_LEX_SIGN, "("))
                n->b = arguments(p, ")");
        } else if (accept(p, GLA__TPL_LEX_NAME, "is")) {
            n = test(p, n);
        } else {
            break;
        }
    }
    return n;
}

static gla__tpl_node *unary(gla__tpl_lexer *p, bool with_filters)
{
    gla__tpl_node *n = NULL;

    if (enter(p)) {
        if (accept(p, GLA__TPL_LEX_SIGN, "-"))
            n = node(p, GLA__TPL_E_NEG, unary(p, false), NULL);
        else if (accept(p, GLA__TPL_LEX_SIGN, "+"))
            n = node(p, GLA__TPL_E_POS, unary(p, false), NULL);
        else
            n = primary(p);
        n = postfix(p, n);
        if (with_filters)
            n = filters(p, n);
    }
    p->depth--;
    return n;
}

/* Signs of one strength, all of which group to the left. */
static gla__tpl_node *binary(gla__tpl_lexer *p, int level)
{
    static const char *const signs[][4] = {{"+", "-", NULL}, {"~", NULL}, {"*", "/", "//", "%"}};
    gla__tpl_node *n;

    if (level == 3)
        return unary(p, true);
    n = binary(p, level + 1);
    for (int chain = 0; !p->st; chain++) {
        const char *sign = NULL;

        for (int i = 0; i < 4 && signs[level][i]; i++)
            if (is(p, GLA__TPL_LEX_SIGN, signs[level][i]))
                sign = signs[level][i];
        if (!sign)
            break;
        if (chain > GLA__TPL_MAX_DEPTH / 2) {
            gla__tpl_lex_fail(p, GLA_E_LIMIT, "too many operations in one expression",
                              (gla__tpl_view){0});
            break;
        }
        gla__tpl_lex_next(p);
        n = node(p, GLA__TPL_E_BINARY, n, binary(p, level + 1));
        if (n)
            n->text = (gla__tpl_view){sign, strlen(sign)};
    }
    return n;
}

static gla__tpl_node *comparison(gla__tpl_lexer *p)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};
    gla__tpl_node *n = binary(p, 0);
    const char *sign = NULL;
    bool negated = false;

    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs) && !sign; i++)
        if (accept(p, GLA__TPL_LEX_SIGN, signs[i]))
            sign = signs[i];
    if (!sign && accept(p, GLA__TPL_LEX_NAME, "not")) {
        negated = true;
        if (!is(p, GLA__TPL_LEX_NAME, "in"))
            gla__tpl_lex_fail(p, GLA_E_CORRUPT, "expected \"in\" after \"not\"",
                              (gla__tpl_view){0});
    }
    if (!sign && accept(p, GLA__TPL_LEX_NAME, "in"))
        sign = "in";
    if (!sign)
        return n;
    n = node(p, GLA__TPL_E_BINARY, n, binary(p, 0));
    if (n)
        n->text = (gla__tpl_view){sign, strlen(sign)};
    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
        if (is(p, GLA__TPL_LEX_SIGN, signs[i]))
            gla__tpl_lex_fail(p, GLA_E_UNSUPPORTED, "chained comparison", p->t.text);
    return negated ? node(p, GLA__TPL_E_NOT, n, NULL) : n;
}

static gla__tpl_node *negation(gla__tpl_lexer *p)
{
    gla__tpl_node *n = NULL;

    if (enter(p))
        n = accept(p, GLA__TPL_LEX_NAME, "not") ? node(p, GLA__TPL_E_NOT, negation(p), NULL)
                                                : comparison(p);
    p->depth--;
    return n;
}

static gla__tpl_node *conjunction(gla__tpl_lexer *p)
{
    gla__tpl_node *n = negation(p);

    while (accept(p, GLA__TPL_LEX_NAME, "and"))
        n = node(p, GLA__TPL_E_AND, n, negation(p));
    return n;
}

static gla__tpl_node *disjunction(gla__tpl_lexer *p)
{
    gla__tpl_node *n = conjunction(p);

    while (accept(p, GLA__TPL_LEX_NAME, "or"))
        n = node(p, GLA__TPL_E_OR, n, conjunction(p));
    return n;
}

static gla__tpl_node *expression(gla__tpl_lexer *p)
{
    gla__tpl_node *n = NULL;

    if (enter(p)) {
        n = disjunction(p);
        if (accept(p, GLA__TPL_LEX_NAME, "if")) {
            n = node(p, GLA__TPL_E_COND, n, disjunction(p));
            if (n && accept(p, GLA__TPL_LEX_NAME, "else"))
                n->c = expression(p);
        }
    }
    p->depth--;
    return n;
}

/* ---- statements ---- */

static gla__tpl_node *body(gla__tpl_lexer *p, const char *const *ends);

/* The tag that ended a body is p->t, its name; this takes it. */
static bool took(gla__tpl_lexer *p, const char *name)
{
    return accept(p, GLA__TPL_LEX_NAME, name);
}

static gla__tpl_node *if_statement(gla__tpl_lexer *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const end[] = {"endif", NULL};
    gla__tpl_node *first = node(p, GLA__TPL_S_IF, expression(p), NULL), *n = first;

    expect_end(p);
    while (n && !p->st) {
        n->b = body(p, ends);
        if (!took(p, "elif"))
            break;
        n->c = node(p, GLA__TPL_S_IF, expression(p), NULL);
        n = n->c;
        expect_end(p);
    }
    if (n && took(p, "else")) {
        expect_end(p);
        n->c = body(p, end);
    }
    (void)took(p, "endif");
    expect_end(p);
    return first;
}

/* A name that is given a value here. */
static gla__tpl_view target_name(gla__tpl_lexer *p)
{
    const gla__tpl_view name = expect_name(p);

    if (known_constant(name))
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "cannot be set:", name);
    return name;
}

static gla__tpl_node *for_statement(gla__tpl_lexer *p)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const end[] = {"endfor", NULL};
    gla__tpl_node *n = node(p, GLA__TPL_S_FOR, NULL, NULL), **tail;

    if (!n)
        return NULL;
    tail = &n->a;
    do {
        gla__tpl_node *name = node(p, GLA__TPL_E_NAME, NULL, NULL);

        if (name)
            name->text = target_name(p);
        if (name && gla__tpl_view_is(name->text, "loop"))
            gla__tpl_lex_fail(p, GLA_E_CORRUPT, "cannot be set:", name->text);
        append(&tail, name);
    } while (accept(p, GLA__TPL_LEX_SIGN, ","));
    if (!accept(p, GLA__TPL_LEX_NAME, "in"))
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "expected", (gla__tpl_view){"in", 2});
    n->b = disjunction(p); /* "if" belongs to the loop */
    if (accept(p, GLA__TPL_LEX_NAME, "if"))
        n->e = expression(p);
    expect_end(p);
    n->c = body(p, ends);
    if (took(p, "else")) {
        expect_end(p);
        n->d = body(p, end);
    }
    (void)took(p, "endfor");
    expect_end(p);
    return n;
}

static gla__tpl_node *set_statement(gla__tpl_lexer *p)
{
    static const char *const end[] = {"endset", NULL};
    gla__tpl_node *target = node(p, GLA__TPL_E_NAME, NULL, NULL), *n;

    if (!target)
        return NULL;
    target->text = target_name(p);
    if (accept(p, GLA__TPL_LEX_SIGN, ".")) {
        target = node(p, GLA__TPL_E_ATTR, target, NULL);
        if (target)
            target->text = expect_name(p);
    }
    n = node(p, GLA__TPL_S_SET, target, NULL);
    if (n && accept(p, GLA__TPL_LEX_SIGN, "=")) {
        n->b = expression(p);
    } else if (n && p->t.kind == GLA__TPL_LEX_END_OF_TAG) {
        n->c = body(p, end);
        (void)took(p, "endset");
    }
    expect_end(p);
    return n;
}

/* Names, the later ones with defaults. */
static gla__tpl_node *parameters(gla__tpl_lexer *p)
{
    gla__tpl_node *first = NULL, **tail = &first;
    bool defaults = false;

    while (!p->st && !is(p, GLA__TPL_LEX_SIGN, ")")) {
        gla__tpl_node *n = node(p, GLA__TPL_E_ARG, NULL, NULL);

        if (first)
            expect(p, ",");
        if (!n)
            break;
        n->text = target_name(p);
        if (accept(p, GLA__TPL_LEX_SIGN, "=")) {
            n->a = expression(p);
            defaults = true;
        } else if (defaults) {
            gla__tpl_lex_fail(p, GLA_E_CORRUPT, "this parameter needs a default:", n->text);
        }
        if (has_name(first, n->text))
            gla__tpl_lex_fail(p, GLA_E_CORRUPT, "parameter twice:", n->text);
        append(&tail, n);
    }
    expect(p, ")");
    return first;
}

static gla__tpl_node *macro_statement(gla__tpl_lexer *p)
{
    static const char *const end[] = {"endmacro", NULL};
    gla__tpl_node *n = node(p, GLA__TPL_S_MACRO, NULL, NULL);

    if (!n)
        return NULL;
    n->text = target_name(p);
    expect(p, "(");
    n->a = parameters(p);
    expect_end(p);
    n->b = body(p, end);
    (void)took(p, "endmacro");
    expect_end(p);
    return n;
}

static gla__tpl_node *statement(gla__tpl_lexer *p)
{
    static const char *const end[] = {"endgeneration", NULL};
    gla__tpl_node *n;

    if (took(p, "if"))
        return if_statement(p);
    if (took(p, "for"))
        return for_statement(p);
    if (took(p, "set"))
        return set_statement(p);
    if (took(p, "macro"))
        return macro_statement(p);
    if (took(p, "generation")) { /* marks the assistant's text for training */
        expect_end(p);
        n = body(p, end);
        (void)took(p, "endgeneration");
        expect_end(p);
        return n;
    }
    if (is(p, GLA__TPL_LEX_NAME, "break") || is(p, GLA__TPL_LEX_NAME, "continue")) {
        n = node(p, p->t.text.n == 5 ? GLA__TPL_S_BREAK : GLA__TPL_S_CONTINUE, NULL, NULL);
        gla__tpl_lex_next(p);
        expect_end(p);
        return n;
    }
    gla__tpl_lex_fail(p, GLA_E_UNSUPPORTED, "statement is not supported:", p->t.text);
    return NULL;
}

/* ---- text and tags ---- */

/* Text up to the next tag, as it is left by the tags' white space rules; NULL if nothing is. */
static gla__tpl_node *text(gla__tpl_lexer *p)
{
    size_t end = p->at, stop;
    const size_t start = p->at;
    gla__tpl_node *n;

    while (end < p->n && !(p->s[end] == '{' && end + 1 < p->n && strchr("{%#", p->s[end + 1])))
        end++;
    stop = end;
    if (end < p->n && end + 2 < p->n && p->s[end + 2] == '-') {
        while (stop > start && gla__tpl_lex_is_blank(p->s[stop - 1]))
            stop--;
    } else if (end < p->n && p->s[end + 1] != '{' && !(end + 2 < p->n && p->s[end + 2] == '+')) {
        size_t line = end;

        while (line > start && gla__tpl_lex_is_blank(p->s[line - 1]) && p->s[line - 1] != '\n')
            line--; /* lstrip_blocks: the tag is the first thing of its line */
        if (line == start ? p->line_start : p->s[line - 1] == '\n')
            stop = line;
    }
    n = stop > start ? node(p, GLA__TPL_S_TEXT, NULL, NULL) : NULL;
    if (n)
        n->text = (gla__tpl_view){p->s + start, stop - start};
    gla__tpl_lex_advance(p, end - p->at);
    p->line_start = false;
    return n;
}

static void comment(gla__tpl_lexer *p)
{
    while (p->at < p->n && !gla__tpl_lex_looking_at(p, "#}") &&
           !gla__tpl_lex_looking_at(p, "-#}") && !gla__tpl_lex_looking_at(p, "+#}"))
        gla__tpl_lex_advance(p, 1);
    if (!gla__tpl_lex_end_of_tag(p, "#}", true))
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "{# without #}", (gla__tpl_view){0});
}

/* Opens a tag: its first token is p->t. */
static void open_tag(gla__tpl_lexer *p, bool variable)
{
    gla__tpl_lex_advance(p, 2);
    if (p->at < p->n && (p->s[p->at] == '-' || (p->s[p->at] == '+' && !variable)))
        gla__tpl_lex_advance(p, 1);
    p->variable = variable;
    p->braces = 0;
    gla__tpl_lex_next(p);
}

static bool one_of(const gla__tpl_lexer *p, const char *const *names)
{
    for (; names && *names; names++)
        if (is(p, GLA__TPL_LEX_NAME, *names))
            return true;
    return false;
}

/* Statements up to one of the ends, which is left in p->t; ends NULL: to the end of the text. */
static gla__tpl_node *body(gla__tpl_lexer *p, const char *const *ends)
{
    gla__tpl_node *first = NULL, **tail = &first;

    if (!enter(p))
        return NULL;
    while (!p->st) {
        gla__tpl_node *n = text(p);

        append(&tail, n);
        p->t.line = 0;
        if (p->at >= p->n) {
            if (ends)
                gla__tpl_lex_fail(p, GLA_E_CORRUPT, "the template ends without",
                                  (gla__tpl_view){*ends, strlen(*ends)});
            break;
        }
        if (p->s[p->at + 1] == '#') {
            gla__tpl_lex_advance(p, 2);
            comment(p);
        } else if (p->s[p->at + 1] == '{') {
            open_tag(p, true);
            append(&tail, node(p, GLA__TPL_S_PRINT, expression(p), NULL));
            expect_end(p);
        } else {
            open_tag(p, false);
            if (one_of(p, ends))
                break;
            append(&tail, statement(p));
            while (*tail) /* a generation block is several statements */
                tail = &(*tail)->next;
        }
    }
    p->depth--;
    return first;
}

gla_status gla__tpl_parse(gla__tpl_arena *arena, const char *source, size_t n,
                          const gla__tpl_node **out, gla_diag *diag)
{
    gla__tpl_lexer p = {
        .arena = arena, .s = source, .n = n, .line = 1, .line_start = true, .diag = diag};

    *out = NULL;
    if (n > GLA__TPL_MAX_SOURCE)
        return gla__fail(diag, GLA_E_LIMIT, "chat template of %zu bytes, at most %u", n,
                         GLA__TPL_MAX_SOURCE);
    if (p.n && source[p.n - 1] == '\n')
        p.n--; /* as Jinja does */
    *out = body(&p, NULL);
    return p.st;
}
