/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/chat/lex.h"

#include <string.h>

#include "base/diag.h"
#include "formats/text/number.h"

void gla__tpl_lex_fail(gla__tpl_lexer *p, gla_status st, const char *what, gla__tpl_view name)
{
    if (p->st)
        return;
    p->st = gla__fail(p->diag, st, "%s%s%.*s%s", what, name.n ? " \"" : "",
                      (int)(name.n < 64 ? name.n : 64), name.n ? name.p : "", name.n ? "\"" : "");
    gla__at_line(p->diag, p->t.line ? p->t.line : p->line, 0);
}

bool gla__tpl_lex_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void gla__tpl_lex_advance(gla__tpl_lexer *p, size_t n)
{
    for (; n && p->at < p->n; n--)
        p->line += p->s[p->at++] == '\n';
}

bool gla__tpl_lex_looking_at(const gla__tpl_lexer *p, const char *text)
{
    const size_t n = strlen(text);

    return p->n - p->at >= n && !memcmp(p->s + p->at, text, n);
}

/* "-%}" takes the white space behind it, "%}" one newline (trim_blocks), "+%}" nothing; there is no
 * "+}}". */
bool gla__tpl_lex_end_of_tag(gla__tpl_lexer *p, const char *close, bool trim)
{
    const bool minus =
        gla__tpl_lex_looking_at(p, "-") && p->n - p->at > 2 && !memcmp(p->s + p->at + 1, close, 2);
    const bool plus = trim && gla__tpl_lex_looking_at(p, "+") && p->n - p->at > 2 &&
                      !memcmp(p->s + p->at + 1, close, 2);

    if (!minus && !plus && !gla__tpl_lex_looking_at(p, close))
        return false;
    gla__tpl_lex_advance(p, minus || plus ? 3 : 2);
    p->line_start = false;
    while (p->at < p->n &&
           (minus ? gla__tpl_lex_is_blank(p->s[p->at]) : trim && !plus && p->s[p->at] == '\n')) {
        p->line_start = p->s[p->at] == '\n';
        gla__tpl_lex_advance(p, 1);
        if (!minus)
            break;
    }
    return true;
}

static size_t hex(const char *s, size_t n, uint32_t *out)
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
        *out = *out * 16 + (uint32_t)digit;
    }
    return i;
}

/* The code of \xHH, \uHHHH, \UHHHHHHHH or of up to three octal digits; returns how much was read,
 * 0: there are not as many digits, or no such character. */
static size_t character_code(const char *s, size_t n, int32_t *out)
{
    const size_t digits = *s == 'x' ? 2 : *s == 'u' ? 4 : *s == 'U' ? 8 : 0;
    uint32_t c = 0;
    size_t i = 0;

    if (digits && (n <= digits || hex(s + 1, digits, &c) != digits || c > 0x10ffff ||
                   (c >= 0xd800 && c <= 0xdfff)))
        return 0;
    for (; !digits && i < n && i < 3 && s[i] >= '0' && s[i] <= '7'; i++)
        c = c * 8 + (uint32_t)(s[i] - '0');
    *out = (int32_t)c;
    return digits ? digits + 1 : i;
}

/* One escape of a string, s[0] is behind the backslash.  Returns how much was read: 0 for one that
 * is none, SIZE_MAX for one that is wrong. */
static size_t unescape(const char *s, size_t n, gla__bytes *out)
{
    static const char from[] = "nrt\\'\"abfv", to[] = "\n\r\t\\'\"\a\b\f\v";
    const char *known = *s ? strchr(from, *s) : NULL;
    int32_t c;
    size_t used;

    if (known) {
        (void)gla__bytes_add(out, to + (known - from), 1);
        return 1;
    }
    if (*s == '\n')
        return 1;
    if ((unsigned char)*s < 0x80 && (!*s || !strchr("xuUN01234567", *s)))
        return 0;
    used = *s == 'N' ? 0 : character_code(s, n, &c);
    if (used)
        (void)gla__bytes_add_char(out, c);
    return used ? used : SIZE_MAX;
}

static void read_string(gla__tpl_lexer *p)
{
    const char quote = p->s[p->at];
    gla__bytes text = {0};
    size_t i = p->at + 1, end = i, size;

    while (end < p->n && p->s[end] != quote)
        end += p->s[end] == '\\' ? 2 : 1;
    if (end >= p->n) {
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "string without its end", (gla__tpl_view){0});
        return;
    }
    text.capacity = end - i; /* what an escape stands for is never longer: it need not grow */
    text.p = gla__tpl_arena_alloc(p->arena, text.capacity + 1);
    if (!text.p) {
        p->st = gla__fail_nomem(p->diag, "chat template");
        return;
    }
    while (i < end) {
        const size_t used = p->s[i] == '\\' ? unescape(p->s + i + 1, end - i - 1, &text) : 0;

        if (used == SIZE_MAX) {
            (void)gla__utf8_next(p->s + i + 1, &size);
            gla__tpl_lex_fail(p, GLA_E_UNSUPPORTED,
                              "escape is not supported:", (gla__tpl_view){p->s + i, size + 1});
            return;
        }
        if (!used) /* an escape that is none keeps its backslash */
            (void)gla__bytes_add(&text, p->s + i, 1);
        i += 1 + used;
    }
    p->t.kind = GLA__TPL_LEX_TEXT;
    p->t.text = (gla__tpl_view){text.p, text.n};
    gla__tpl_lex_advance(p, end + 1 - p->at);
}

static bool digit_at(const gla__tpl_lexer *p, size_t at)
{
    return at < p->n && p->s[at] >= '0' && p->s[at] <= '9';
}

static size_t digits_from(const gla__tpl_lexer *p, size_t at)
{
    while (digit_at(p, at))
        at++;
    return at;
}

/* 12, 1.5, 1e-3 */
static void read_number(gla__tpl_lexer *p)
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
    p->t.kind = GLA__TPL_LEX_NUMBER;
    p->t.text = (gla__tpl_view){p->s + p->at, end - p->at};
    if (real && gla__parse_f64(p->t.text.p, p->t.text.n, &f))
        p->t.value = (gla__tpl_value){.kind = GLA__TPL_FLOAT, .f = f};
    else if (!real && gla__parse_u64(p->t.text.p, p->t.text.n, &i) && i <= INT64_MAX &&
             (*p->t.text.p != '0' || i == 0))
        p->t.value = (gla__tpl_value){.kind = GLA__TPL_INT, .i = (int64_t)i};
    else
        gla__tpl_lex_fail(p, GLA_E_UNSUPPORTED, "number is not supported:", p->t.text);
    if (end < p->n && name_char(p->s[end]))
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, "a name cannot begin with", p->t.text);
    gla__tpl_lex_advance(p, end - p->at);
}

static void read_sign(gla__tpl_lexer *p)
{
    static const char *const two[] = {"==", "!=", "<=", ">=", "//", "**"};
    size_t n = 1;
    const char c = p->s[p->at];

    for (size_t i = 0; i < sizeof(two) / sizeof(*two); i++)
        if (gla__tpl_lex_looking_at(p, two[i]))
            n = 2;
    p->t.kind = GLA__TPL_LEX_SIGN;
    if (n == 1 && !strchr("+-*/%~|.,:()[]{}<>=", c)) {
        (void)gla__utf8_next(p->s + p->at, &n);
        gla__tpl_lex_fail(p, GLA_E_UNSUPPORTED, "character is not supported",
                          (gla__tpl_view){p->s + p->at, n});
    }
    p->t.text = (gla__tpl_view){p->s + p->at, n};
    p->braces += (c == '{') - (c == '}');
    gla__tpl_lex_advance(p, n);
}

void gla__tpl_lex_next(gla__tpl_lexer *p)
{
    while (p->at < p->n && gla__tpl_lex_is_blank(p->s[p->at]))
        gla__tpl_lex_advance(p, 1);
    p->t = (gla__tpl_lex_token){.kind = GLA__TPL_LEX_END_OF_TAG, .line = p->line};
    if (p->at >= p->n) {
        gla__tpl_lex_fail(p, GLA_E_CORRUPT, p->variable ? "{{ without }}" : "{% without %}",
                          (gla__tpl_view){0});
        return;
    }
    if (p->braces <= 0 && gla__tpl_lex_end_of_tag(p, p->variable ? "}}" : "%}", !p->variable))
        return;
    if (p->s[p->at] == '"' || p->s[p->at] == '\'') {
        read_string(p);
    } else if (p->s[p->at] >= '0' && p->s[p->at] <= '9') {
        read_number(p);
    } else if (name_char(p->s[p->at])) {
        const size_t start = p->at;

        while (p->at < p->n && name_char(p->s[p->at]))
            p->at++;
        p->t.kind = GLA__TPL_LEX_NAME;
        p->t.text = (gla__tpl_view){p->s + start, p->at - start};
    } else {
        read_sign(p);
    }
}
