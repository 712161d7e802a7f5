/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/diag.h"
#include "formats/number.h"
#include "formats/template.h"

typedef enum token_kind { END_OF_TAG, NAME, TEXT, NUMBER, SIGN } token_kind;

typedef struct token {
    token_kind kind;
    gla__view text; /* of a string: without quotes, escapes undone */
    gla__value value;
    uint32_t line;
} token;

typedef struct parser {
    gla__arena *arena;
    const char *s;
    size_t n, at;
    uint32_t line;
    bool line_start; /* the text that follows begins a line */
    bool variable;   /* in {{ }}, not in {% %} */
    int braces;      /* open ones of the expression */
    int depth;
    token t; /* the next token of the tag */
    gla_status st;
    gla_diag *diag;
} parser;

static gla__node *expression(parser *p);

/* ---- help ---- */

static void fail(parser *p, gla_status st, const char *what, gla__view name)
{
    if (p->st)
        return;
    p->st = gla__fail(p->diag, st, "%s%s%.*s%s", what, name.n ? " \"" : "",
                      (int)(name.n < 64 ? name.n : 64), name.n ? name.p : "", name.n ? "\"" : "");
    gla__at_line(p->diag, p->t.line ? p->t.line : p->line, 0);
}

static gla__node *node(parser *p, gla__nkind kind, gla__node *a, gla__node *b)
{
    gla__node *n = gla__arena_alloc(p->arena, sizeof(*n));

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

static bool enter(parser *p)
{
    if (++p->depth > GLA_TPL_MAX_DEPTH)
        fail(p, GLA_E_LIMIT, "template is nested too deeply", (gla__view){0});
    return !p->st;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void advance(parser *p, size_t n)
{
    for (; n && p->at < p->n; n--)
        p->line += p->s[p->at++] == '\n';
}

static bool looking_at(const parser *p, const char *text)
{
    const size_t n = strlen(text);

    return p->n - p->at >= n && !memcmp(p->s + p->at, text, n);
}

/* ---- tokens of a tag ---- */

/* "-%}" takes the white space behind it, "%}" one newline (trim_blocks), "+%}" nothing. */
static bool end_of_tag(parser *p, const char *close, bool trim)
{
    const bool minus =
        looking_at(p, "-") && p->n - p->at > 2 && !memcmp(p->s + p->at + 1, close, 2);
    const bool plus = looking_at(p, "+") && p->n - p->at > 2 && !memcmp(p->s + p->at + 1, close, 2);

    if (!minus && !plus && !looking_at(p, close))
        return false;
    advance(p, minus || plus ? 3 : 2);
    p->line_start = false;
    while (p->at < p->n && (minus ? is_blank(p->s[p->at]) : trim && !plus && p->s[p->at] == '\n')) {
        p->line_start = p->s[p->at] == '\n';
        advance(p, 1);
        if (!minus)
            break;
    }
    return true;
}

static size_t hex(const char *s, size_t n, int32_t *out)
{
    size_t i;

    *out = 0;
    for (i = 0; i < n; i++) {
        const char c = s[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;

        if (digit < 0)
            break;
        *out = *out * 16 + digit;
    }
    return i;
}

/* One escape of a string, s[0] is behind the backslash; returns how much was read, 0: unknown. */
static size_t unescape(const char *s, size_t n, gla__bytes *out)
{
    static const char from[] = "nrt\\'\"abfv", to[] = "\n\r\t\\'\"\a\b\f\v";
    const char *known = n && *s ? strchr(from, *s) : NULL;
    int32_t c;

    if (known) {
        (void)gla__bytes_add(out, to + (known - from), 1);
        return 1;
    }
    if (n >= 3 && *s == 'x' && hex(s + 1, 2, &c) == 2) {
        (void)gla__bytes_add_char(out, c);
        return 3;
    }
    if (n >= 5 && *s == 'u' && hex(s + 1, 4, &c) == 4 && (c < 0xd800 || c > 0xdfff)) {
        (void)gla__bytes_add_char(out, c);
        return 5;
    }
    return 0;
}

static void read_string(parser *p)
{
    const char quote = p->s[p->at];
    gla__bytes text = {0};
    size_t i = p->at + 1;
    char *copy;

    while (i < p->n && p->s[i] != quote) {
        size_t used = 0;

        if (p->s[i] == '\\' && i + 1 < p->n)
            used = unescape(p->s + i + 1, p->n - i - 1, &text);
        else if (gla__bytes_add(&text, p->s + i, 1))
            break;
        if (p->s[i] == '\\' && !used) { /* an escape that is none: both characters stay */
            (void)gla__bytes_add(&text, p->s + i, 2);
            used = 1;
        }
        i += 1 + used;
    }
    if (i >= p->n)
        fail(p, GLA_E_CORRUPT, "string without its end", (gla__view){0});
    copy = gla__arena_alloc(p->arena, text.n + 1);
    if (!copy && !p->st)
        p->st = gla__fail_nomem(p->diag, "chat template");
    if (copy && text.n)
        memcpy(copy, text.p, text.n);
    p->t.kind = TEXT;
    p->t.text = (gla__view){copy ? copy : "", copy ? text.n : 0};
    gla__bytes_free(&text);
    advance(p, i + 1 - p->at);
}

static bool digit_at(const parser *p, size_t at)
{
    return at < p->n && p->s[at] >= '0' && p->s[at] <= '9';
}

static size_t digits_from(const parser *p, size_t at)
{
    while (digit_at(p, at))
        at++;
    return at;
}

/* 12, 1.5, 1e-3 */
static void read_number(parser *p)
{
    uint64_t i;
    double f;
    size_t end = digits_from(p, p->at), exponent;
    bool real = false;

    if (end < p->n && p->s[end] == '.' && digit_at(p, end + 1)) {
        real = true;
        end = digits_from(p, end + 1);
    }
    exponent = end + 1;
    if (exponent < p->n && (p->s[exponent] == '+' || p->s[exponent] == '-'))
        exponent++;
    if (end < p->n && (p->s[end] == 'e' || p->s[end] == 'E') && digit_at(p, exponent)) {
        real = true;
        end = digits_from(p, exponent);
    }
    p->t.kind = NUMBER;
    p->t.text = (gla__view){p->s + p->at, end - p->at};
    if (real && gla__parse_f64(p->t.text.p, p->t.text.n, &f))
        p->t.value = (gla__value){.kind = GLA__FLOAT, .f = f};
    else if (!real && gla__parse_u64(p->t.text.p, p->t.text.n, &i) && i <= INT64_MAX)
        p->t.value = (gla__value){.kind = GLA__INT, .i = (int64_t)i};
    else
        fail(p, GLA_E_UNSUPPORTED, "number is not supported:", p->t.text);
    if (end < p->n && name_char(p->s[end]))
        fail(p, GLA_E_CORRUPT, "a name cannot begin with", p->t.text);
    advance(p, end - p->at);
}

static void read_sign(parser *p)
{
    static const char *const two[] = {"==", "!=", "<=", ">=", "//", "**"};
    size_t n = 1;
    const char c = p->s[p->at];

    for (size_t i = 0; i < sizeof(two) / sizeof(*two); i++)
        if (looking_at(p, two[i]))
            n = 2;
    p->t.kind = SIGN;
    p->t.text = (gla__view){p->s + p->at, n};
    if (n == 1 && !strchr("+-*/%~|.,:()[]{}<>=", c))
        fail(p, GLA_E_UNSUPPORTED, "character is not supported", p->t.text);
    p->braces += (c == '{') - (c == '}');
    advance(p, n);
}

static void next(parser *p)
{
    while (p->at < p->n && is_blank(p->s[p->at]))
        advance(p, 1);
    p->t = (token){.kind = END_OF_TAG, .line = p->line};
    if (p->at >= p->n) {
        fail(p, GLA_E_CORRUPT, p->variable ? "{{ without }}" : "{% without %}", (gla__view){0});
        return;
    }
    if (p->braces <= 0 && end_of_tag(p, p->variable ? "}}" : "%}", !p->variable))
        return;
    if (p->s[p->at] == '"' || p->s[p->at] == '\'') {
        read_string(p);
    } else if (p->s[p->at] >= '0' && p->s[p->at] <= '9') {
        read_number(p);
    } else if (name_char(p->s[p->at])) {
        const size_t start = p->at;

        while (p->at < p->n && name_char(p->s[p->at]))
            p->at++;
        p->t.kind = NAME;
        p->t.text = (gla__view){p->s + start, p->at - start};
    } else {
        read_sign(p);
    }
}

static bool is(const parser *p, token_kind kind, const char *text)
{
    return !p->st && p->t.kind == kind && gla__view_is(p->t.text, text);
}

static bool accept(parser *p, token_kind kind, const char *text)
{
    if (!is(p, kind, text))
        return false;
    next(p);
    return true;
}

static void expect(parser *p, const char *sign)
{
    if (!accept(p, SIGN, sign) && !p->st)
        fail(p, GLA_E_CORRUPT, "expected", (gla__view){sign, strlen(sign)});
}

static gla__view expect_name(parser *p)
{
    const gla__view name = p->t.text;

    if (p->t.kind != NAME) {
        fail(p, GLA_E_CORRUPT, "expected a name", (gla__view){0});
        return (gla__view){0};
    }
    next(p);
    return name;
}

static void expect_end(parser *p)
{
    if (p->t.kind != END_OF_TAG)
        fail(p, GLA_E_UNSUPPORTED, "not supported here:", p->t.text);
}

/* ---- expressions, loosest first ---- */

static void append(gla__node ***tail, gla__node *n)
{
    if (n) {
        **tail = n;
        *tail = &n->next;
    }
}

/* Arguments up to the closing sign. */
static gla__node *arguments(parser *p, const char *close)
{
    gla__node *first = NULL, **tail = &first;

    while (!p->st && !is(p, SIGN, close)) {
        gla__node *arg = node(p, GLA__E_ARG, expression(p), NULL);

        if (arg && arg->a && arg->a->kind == GLA__E_NAME && accept(p, SIGN, "=")) {
            arg->text = arg->a->text;
            arg->a = expression(p);
        }
        append(&tail, arg);
        if (!accept(p, SIGN, ","))
            break;
    }
    expect(p, close);
    return first;
}

static gla__node *dictionary(parser *p)
{
    gla__node *first = NULL, **tail = &first;

    while (!p->st && !is(p, SIGN, "}")) {
        gla__node *pair = node(p, GLA__E_ARG, expression(p), NULL);

        expect(p, ":");
        if (pair)
            pair->b = expression(p);
        append(&tail, pair);
        if (!accept(p, SIGN, ","))
            break;
    }
    expect(p, "}");
    return node(p, GLA__E_DICT, first, NULL);
}

static gla__node *constant(parser *p, gla__value v)
{
    gla__node *n = node(p, GLA__E_CONST, NULL, NULL);

    if (n)
        n->value = v;
    next(p);
    return n;
}

static gla__node *name_or_constant(parser *p)
{
    static const struct {
        const char *name;
        gla__value value;
    } words[] = {{"true", {.kind = GLA__BOOL, .i = 1}},  {"True", {.kind = GLA__BOOL, .i = 1}},
                 {"false", {.kind = GLA__BOOL, .i = 0}}, {"False", {.kind = GLA__BOOL, .i = 0}},
                 {"none", {.kind = GLA__NONE}},          {"None", {.kind = GLA__NONE}}};
    gla__node *n;

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (gla__view_is(p->t.text, words[i].name))
            return constant(p, words[i].value);
    n = node(p, GLA__E_NAME, NULL, NULL);
    if (n)
        n->text = p->t.text;
    next(p);
    return n;
}

/* ( ... ): one expression, or a tuple, which is a list here. */
static gla__node *parenthesis(parser *p)
{
    gla__node *first = NULL, **tail = &first;
    bool tuple = is(p, SIGN, ")");

    while (!p->st && !is(p, SIGN, ")")) {
        append(&tail, node(p, GLA__E_ARG, expression(p), NULL));
        if (!accept(p, SIGN, ","))
            break;
        tuple = true;
    }
    expect(p, ")");
    return tuple || !first ? node(p, GLA__E_LIST, first, NULL) : first->a;
}

static gla__node *primary(parser *p)
{
    gla__node *n;

    switch (p->t.kind) {
    case NAME:
        return name_or_constant(p);
    case NUMBER:
        return constant(p, p->t.value);
    case TEXT:
        n = constant(p, gla__string(p->t.text.p, p->t.text.n));
        if (!p->st && p->t.kind == TEXT)
            fail(p, GLA_E_UNSUPPORTED, "two strings in a row", (gla__view){0});
        return n;
    case SIGN:
        if (accept(p, SIGN, "("))
            return parenthesis(p);
        if (accept(p, SIGN, "["))
            return node(p, GLA__E_LIST, arguments(p, "]"), NULL);
        if (accept(p, SIGN, "{"))
            return dictionary(p);
        break;
    case END_OF_TAG:
        fail(p, GLA_E_CORRUPT, "expression without its end", (gla__view){0});
        return NULL;
    }
    fail(p, GLA_E_CORRUPT, "unexpected", p->t.text);
    return NULL;
}

static gla__node *subscript(parser *p, gla__node *of)
{
    gla__node *n, *start = NULL;

    if (!is(p, SIGN, ":"))
        start = expression(p);
    if (accept(p, SIGN, "]"))
        return node(p, GLA__E_ITEM, of, start);
    expect(p, ":");
    n = node(p, GLA__E_SLICE, of, start);
    if (n && !is(p, SIGN, "]") && !is(p, SIGN, ":"))
        n->c = expression(p);
    if (n && accept(p, SIGN, ":") && !is(p, SIGN, "]"))
        n->d = expression(p);
    expect(p, "]");
    return n;
}

/* Names that may follow a test without being its argument. */
static bool ends_test(const parser *p)
{
    static const char *const words[] = {"and", "or", "not", "is", "in", "if", "else"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (is(p, NAME, words[i]))
            return true;
    return p->t.kind != NAME && p->t.kind != TEXT && p->t.kind != NUMBER;
}

static gla__node *postfix(parser *p, gla__node *n)
{
    while (!p->st) {
        if (accept(p, SIGN, ".")) {
            n = node(p, GLA__E_ATTR, n, NULL);
            if (n)
                n->text = expect_name(p);
        } else if (accept(p, SIGN, "[")) {
            n = subscript(p, n);
        } else if (accept(p, SIGN, "(")) {
            n = node(p, GLA__E_CALL, n, NULL);
            if (n)
                n->b = arguments(p, ")");
        } else {
            break;
        }
    }
    return n;
}

static gla__node *test(parser *p, gla__node *n)
{
    const bool negated = accept(p, NAME, "not");

    n = node(p, GLA__E_TEST, n, NULL);
    if (!n)
        return NULL;
    n->text = expect_name(p);
    if (accept(p, SIGN, "("))
        n->b = arguments(p, ")");
    else if (is(p, SIGN, "[") || !ends_test(p))
        n->b = node(p, GLA__E_ARG, postfix(p, primary(p)), NULL);
    return negated ? node(p, GLA__E_NOT, n, NULL) : n;
}

static gla__node *filters(parser *p, gla__node *n)
{
    while (!p->st) {
        if (accept(p, SIGN, "|")) {
            n = node(p, GLA__E_FILTER, n, NULL);
            if (n)
                n->text = expect_name(p);
            if (n && accept(p, SIGN, "("))
                n->b = arguments(p, ")");
        } else if (accept(p, NAME, "is")) {
            n = test(p, n);
        } else {
            break;
        }
    }
    return n;
}

static gla__node *unary(parser *p, bool with_filters)
{
    gla__node *n = NULL;

    if (enter(p)) {
        if (accept(p, SIGN, "-"))
            n = node(p, GLA__E_NEG, unary(p, false), NULL);
        else if (accept(p, SIGN, "+"))
            n = unary(p, false);
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
static gla__node *binary(parser *p, int level)
{
    static const char *const signs[][4] = {{"+", "-", NULL}, {"~", NULL}, {"*", "/", "//", "%"}};
    gla__node *n;

    if (level == 3)
        return unary(p, true);
    n = binary(p, level + 1);
    for (int chain = 0; !p->st; chain++) {
        const char *sign = NULL;

        for (int i = 0; i < 4 && signs[level][i]; i++)
            if (is(p, SIGN, signs[level][i]))
                sign = signs[level][i];
        if (!sign)
            break;
        if (chain > GLA_TPL_MAX_DEPTH / 2) {
            fail(p, GLA_E_LIMIT, "too many operations in one expression", (gla__view){0});
            break;
        }
        next(p);
        n = node(p, GLA__E_BINARY, n, binary(p, level + 1));
        if (n)
            n->text = (gla__view){sign, strlen(sign)};
    }
    return n;
}

static gla__node *comparison(parser *p)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};
    gla__node *n = binary(p, 0);
    const char *sign = NULL;
    bool negated = false;

    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs) && !sign; i++)
        if (accept(p, SIGN, signs[i]))
            sign = signs[i];
    if (!sign && accept(p, NAME, "not")) {
        negated = true;
        if (!is(p, NAME, "in"))
            fail(p, GLA_E_CORRUPT, "expected \"in\" after \"not\"", (gla__view){0});
    }
    if (!sign && accept(p, NAME, "in"))
        sign = "in";
    if (!sign)
        return n;
    n = node(p, GLA__E_BINARY, n, binary(p, 0));
    if (n)
        n->text = (gla__view){sign, strlen(sign)};
    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
        if (is(p, SIGN, signs[i]))
            fail(p, GLA_E_UNSUPPORTED, "chained comparison", p->t.text);
    return negated ? node(p, GLA__E_NOT, n, NULL) : n;
}

static gla__node *negation(parser *p)
{
    gla__node *n = NULL;

    if (enter(p))
        n = accept(p, NAME, "not") ? node(p, GLA__E_NOT, negation(p), NULL) : comparison(p);
    p->depth--;
    return n;
}

static gla__node *conjunction(parser *p)
{
    gla__node *n = negation(p);

    while (accept(p, NAME, "and"))
        n = node(p, GLA__E_AND, n, negation(p));
    return n;
}

static gla__node *disjunction(parser *p)
{
    gla__node *n = conjunction(p);

    while (accept(p, NAME, "or"))
        n = node(p, GLA__E_OR, n, conjunction(p));
    return n;
}

static gla__node *expression(parser *p)
{
    gla__node *n = NULL;

    if (enter(p)) {
        n = disjunction(p);
        if (accept(p, NAME, "if")) {
            n = node(p, GLA__E_COND, n, disjunction(p));
            if (n && accept(p, NAME, "else"))
                n->c = expression(p);
        }
    }
    p->depth--;
    return n;
}

/* ---- statements ---- */

static gla__node *body(parser *p, const char *const *ends);

/* The tag that ended a body is p->t, its name; this takes it. */
static bool took(parser *p, const char *name)
{
    return accept(p, NAME, name);
}

static gla__node *if_statement(parser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const end[] = {"endif", NULL};
    gla__node *first = node(p, GLA__S_IF, expression(p), NULL), *n = first;

    expect_end(p);
    while (n && !p->st) {
        n->b = body(p, ends);
        if (!took(p, "elif"))
            break;
        n->c = node(p, GLA__S_IF, expression(p), NULL);
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

static gla__node *for_statement(parser *p)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const end[] = {"endfor", NULL};
    gla__node *n = node(p, GLA__S_FOR, NULL, NULL), **tail;

    if (!n)
        return NULL;
    tail = &n->a;
    do {
        gla__node *name = node(p, GLA__E_NAME, NULL, NULL);

        if (name)
            name->text = expect_name(p);
        append(&tail, name);
    } while (accept(p, SIGN, ","));
    if (!accept(p, NAME, "in"))
        fail(p, GLA_E_CORRUPT, "expected", (gla__view){"in", 2});
    n->b = disjunction(p); /* "if" belongs to the loop */
    if (accept(p, NAME, "if"))
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

static gla__node *set_statement(parser *p)
{
    static const char *const end[] = {"endset", NULL};
    gla__node *target = node(p, GLA__E_NAME, NULL, NULL), *n;

    if (!target)
        return NULL;
    target->text = expect_name(p);
    if (accept(p, SIGN, ".")) {
        target = node(p, GLA__E_ATTR, target, NULL);
        if (target)
            target->text = expect_name(p);
    }
    n = node(p, GLA__S_SET, target, NULL);
    if (n && accept(p, SIGN, "=")) {
        n->b = expression(p);
    } else if (n && p->t.kind == END_OF_TAG) {
        n->c = body(p, end);
        (void)took(p, "endset");
    }
    expect_end(p);
    return n;
}

static gla__node *macro_statement(parser *p)
{
    static const char *const end[] = {"endmacro", NULL};
    gla__node *n = node(p, GLA__S_MACRO, NULL, NULL);

    if (!n)
        return NULL;
    n->text = expect_name(p);
    expect(p, "(");
    n->a = arguments(p, ")");
    for (gla__node *arg = n->a; arg; arg = arg->next) {
        if (arg->text.n)
            continue; /* name = default */
        if (arg->a && arg->a->kind != GLA__E_NAME)
            fail(p, GLA_E_CORRUPT, "a macro's parameters are names", (gla__view){0});
        else if (arg->a)
            arg->text = arg->a->text;
        arg->a = NULL;
    }
    expect_end(p);
    n->b = body(p, end);
    (void)took(p, "endmacro");
    expect_end(p);
    return n;
}

static gla__node *statement(parser *p)
{
    static const char *const end[] = {"endgeneration", NULL};
    gla__node *n;

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
    if (is(p, NAME, "break") || is(p, NAME, "continue")) {
        n = node(p, p->t.text.n == 5 ? GLA__S_BREAK : GLA__S_CONTINUE, NULL, NULL);
        next(p);
        expect_end(p);
        return n;
    }
    fail(p, GLA_E_UNSUPPORTED, "statement is not supported:", p->t.text);
    return NULL;
}

/* ---- text and tags ---- */

/* Text up to the next tag, as it is left by the tags' white space rules; NULL if nothing is. */
static gla__node *text(parser *p)
{
    size_t end = p->at, stop;
    const size_t start = p->at;
    gla__node *n;

    while (end < p->n && !(p->s[end] == '{' && end + 1 < p->n && strchr("{%#", p->s[end + 1])))
        end++;
    stop = end;
    if (end < p->n && end + 2 < p->n && p->s[end + 2] == '-') {
        while (stop > start && is_blank(p->s[stop - 1]))
            stop--;
    } else if (end < p->n && p->s[end + 1] != '{' && !(end + 2 < p->n && p->s[end + 2] == '+')) {
        size_t line = end;

        while (line > start && is_blank(p->s[line - 1]) && p->s[line - 1] != '\n')
            line--; /* lstrip_blocks: the tag is the first thing of its line */
        if (line == start ? p->line_start : p->s[line - 1] == '\n')
            stop = line;
    }
    n = stop > start ? node(p, GLA__S_TEXT, NULL, NULL) : NULL;
    if (n)
        n->text = (gla__view){p->s + start, stop - start};
    advance(p, end - p->at);
    p->line_start = false;
    return n;
}

static void comment(parser *p)
{
    while (p->at < p->n && !looking_at(p, "#}") && !looking_at(p, "-#}") && !looking_at(p, "+#}"))
        advance(p, 1);
    if (!end_of_tag(p, "#}", true))
        fail(p, GLA_E_CORRUPT, "{# without #}", (gla__view){0});
}

/* Opens a tag: its first token is p->t. */
static void open_tag(parser *p, bool variable)
{
    advance(p, 2);
    if (p->at < p->n && (p->s[p->at] == '-' || (p->s[p->at] == '+' && !variable)))
        advance(p, 1);
    p->variable = variable;
    p->braces = 0;
    next(p);
}

static bool one_of(const parser *p, const char *const *names)
{
    for (; names && *names; names++)
        if (is(p, NAME, *names))
            return true;
    return false;
}

/* Statements up to one of the ends, which is left in p->t; ends NULL: to the end of the text. */
static gla__node *body(parser *p, const char *const *ends)
{
    gla__node *first = NULL, **tail = &first;

    if (!enter(p))
        return NULL;
    while (!p->st) {
        gla__node *n = text(p);

        append(&tail, n);
        p->t.line = 0;
        if (p->at >= p->n) {
            if (ends)
                fail(p, GLA_E_CORRUPT, "the template ends without",
                     (gla__view){*ends, strlen(*ends)});
            break;
        }
        if (p->s[p->at + 1] == '#') {
            advance(p, 2);
            comment(p);
        } else if (p->s[p->at + 1] == '{') {
            open_tag(p, true);
            append(&tail, node(p, GLA__S_PRINT, expression(p), NULL));
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

gla_status gla__template_parse(gla__arena *arena, const char *source, size_t n,
                               const gla__node **out, gla_diag *diag)
{
    parser p = {.arena = arena, .s = source, .n = n, .line = 1, .line_start = true, .diag = diag};

    *out = NULL;
    if (n > GLA_TPL_MAX_SOURCE)
        return gla__fail(diag, GLA_E_LIMIT, "chat template of %zu bytes, at most %u", n,
                         GLA_TPL_MAX_SOURCE);
    if (p.n && source[p.n - 1] == '\n')
        p.n--; /* as Jinja does */
    *out = body(&p, NULL);
    return p.st;
}
