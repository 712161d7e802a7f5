/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "formats/tokenizer/regex.h"

#include <ctype.h>
#include <pcre2.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/text/utf8.h"

#define MAX_PATTERN    (1u << 16)
#define MATCH_LIMIT    5000000 /* backtracking points of one match */
#define HEAP_LIMIT_KIB 65536
#define DEPTH_LIMIT    1000000

struct gla__regex {
    char *literal; /* NULL: a pattern */
    size_t n;
    pcre2_general_context *general;
    pcre2_match_context *limits;
    pcre2_code *code;
};

/* ---- from Oniguruma's language to PCRE2's ---- */

/* White_Space; PCRE2's \s has U+180E as well. */
#define SPACE                                                                                      \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"    \
    "\\x{205f}\\x{3000}"
#define NOT_SPACE                                                                                  \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{"     \
    "1fff}"                                                                                        \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"                 \
    "\\x{3001}-\\x{10ffff}"
/* Alphabetic, marks, digits, connectors; PCRE2's \w has all numbers and no marks. */
#define WORD                                                                                       \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"                    \
    "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
/* Six numbers of Latin-1 that Oniguruma takes along, but not in a class. */
#define LATIN1_NUMBERS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

typedef struct translation {
    const char *s;
    size_t n, i; /* i: next character */
    gla__bytes out;
    gla_diag *diag;
} translation;

static gla_status refuse(const translation *t, const char *what)
{
    return gla__fail(t->diag, GLA_E_UNSUPPORTED, "regex \"%.*s\": %s at character %zu",
                     (int)(t->n < 120 ? t->n : 120), t->s, what, t->i);
}

static gla_status put(translation *t, const char *text)
{
    return gla__bytes_add(&t->out, text, strlen(text));
}

static bool is_category(const char *name)
{
    static const char *const categories[] = {
        "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl",
        "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk",
        "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", "Co", "Cs"};

    for (size_t i = 0; i < sizeof(categories) / sizeof(*categories); i++)
        if (!strcmp(name, categories[i]))
            return true;
    return false;
}

/* The long names that occur; every other name is taken for a script. */
static const char *long_name(const char *name)
{
    static const char *const names[][2] = {
        {"Letter", "L"}, {"Mark", "M"},      {"Number", "N"}, {"Punctuation", "P"},
        {"Symbol", "S"}, {"Separator", "Z"}, {"Other", "C"},  {"Alphabetic", "Alphabetic"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!strcasecmp(name, names[i][0]))
            return names[i][1];
    return NULL;
}

/* \p{Name}, \p{^Name}, \P{Name}; t->i is after the p. */
static gla_status property(translation *t, bool negated)
{
    char name[40];
    size_t n = 0;
    const char *known;
    gla_status st;

    if (t->i >= t->n || t->s[t->i] != '{')
        return refuse(t, "\\p without braces is not supported");
    t->i++;
    if (t->i < t->n && t->s[t->i] == '^') {
        negated = !negated;
        t->i++;
    }
    while (t->i < t->n && t->s[t->i] != '}') {
        const char c = t->s[t->i];

        if (n + 1 == sizeof(name) || !(isalnum((unsigned char)c) || c == '_'))
            return refuse(t, "the name of this property is not supported");
        name[n++] = c;
        t->i++;
    }
    if (t->i >= t->n)
        return refuse(t, "unfinished property");
    t->i++;
    name[n] = '\0';
    known = is_category(name) ? name : long_name(name);
    st = put(t, negated ? "\\P{" : "\\p{");
    if (!st && !known)
        st = put(t, "sc:"); /* plain \p{Han} would mean script extensions */
    if (!st)
        st = put(t, known ? known : name);
    return st ? st : put(t, "}");
}

/* \xHH, \x{H...}, \uHHHH to \x{...}; t->i is after the letter. */
static gla_status code_point(translation *t, char letter)
{
    char text[16];
    size_t n = 0;
    const bool braces = letter == 'x' && t->i < t->n && t->s[t->i] == '{';
    const size_t limit = braces ? 6 : letter == 'u' ? 4 : 2;
    gla_status st;

    if (braces)
        t->i++;
    while (n < limit && t->i < t->n && isxdigit((unsigned char)t->s[t->i]))
        text[n++] = t->s[t->i++];
    text[n] = '\0';
    if (n == 0 || (letter == 'u' && n != 4))
        return refuse(t, "unfinished character code");
    if (letter == 'x' && !braces && n == 2 && text[0] >= '8')
        return refuse(t, "single bytes above 7F are not supported");
    if (braces && (t->i >= t->n || t->s[t->i++] != '}'))
        return refuse(t, "unfinished character code");
    st = put(t, "\\x{");
    if (!st)
        st = put(t, text);
    return st ? st : put(t, "}");
}

/* What follows a backslash; in_class: between brackets. */
static gla_status escape(translation *t, bool in_class)
{
    char c, two[3] = "\\";

    if (t->i >= t->n)
        return refuse(t, "nothing after the backslash");
    c = t->s[t->i++];
    two[1] = c;
    switch (c) {
    case 's':
        return put(t, in_class ? SPACE : "[" SPACE "]");
    case 'S':
        return put(t, in_class ? NOT_SPACE : "[^" SPACE "]");
    case 'w':
        return put(t, in_class ? WORD : "[" WORD LATIN1_NUMBERS "]");
    case 'W':
        return in_class ? refuse(t, "\\W in a class is not supported")
                        : put(t, "[^" WORD LATIN1_NUMBERS "]");
    case 'd':
        return put(t, "\\p{Nd}");
    case 'D':
        return put(t, "\\P{Nd}");
    case 'h':
        return put(t, in_class ? "0-9a-fA-F" : "[0-9a-fA-F]");
    case 'v':
        return put(t, "\\x{b}");
    case 'p':
    case 'P':
        return property(t, c == 'P');
    case 'x':
    case 'u':
        return code_point(t, c);
    case 'n':
    case 'r':
    case 't':
    case 'f':
    case 'a':
    case 'e':
        return put(t, two);
    case 'A':
    case 'z':
    case 'Z':
        return in_class ? refuse(t, "an anchor in a class is not supported") : put(t, two);
    default:
        if (isalnum((unsigned char)c)) {
            t->i--;
            return refuse(t, "this escape is not supported");
        }
        t->i--; /* the character itself, of one byte or more */
        return put(t, (unsigned char)c < 0x80 ? (t->i++, two) : "");
    }
}

static gla_status character_class(translation *t, bool inner);

/* [A&&[B]] has the characters that are in both: (?:(?=[B])[A]).  A begins at `start` in the output,
 * t->i is after "&&[". */
static gla_status intersection(translation *t, size_t start)
{
    gla__bytes left = {0};
    gla_status st = put(t, "]");

    if (!st)
        st = gla__bytes_add(&left, t->out.p + start, t->out.n - start);
    t->out.n = start;
    if (!st)
        st = put(t, "(?:(?=");
    if (!st)
        st = character_class(t, true);
    if (!st)
        st = put(t, ")");
    if (!st)
        st = gla__bytes_add(&t->out, left.p, left.n);
    gla__bytes_free(&left);
    if (st)
        return st;
    if (t->i >= t->n || t->s[t->i] != ']')
        return refuse(t, "this kind of intersection is not supported");
    t->i++;
    return put(t, ")");
}

/* t->i is after the "[".  inner: it stands in another class. */
static gla_status character_class(translation *t, bool inner)
{
    const size_t start = t->out.n;
    gla_status st = put(t, "[");
    bool first = true, negated = false;

    if (!st && t->i < t->n && t->s[t->i] == '^') {
        st = put(t, "^");
        negated = true;
        t->i++;
    }
    for (; !st; first = false) {
        if (t->i >= t->n)
            return refuse(t, "class without ]");
        if (t->s[t->i] == ']' && !first) {
            t->i++;
            return put(t, "]");
        }
        if (!inner && !negated && t->n - t->i > 3 && !memcmp(t->s + t->i, "&&[", 3)) {
            t->i += 3;
            return intersection(t, start);
        }
        if (t->s[t->i] == '[' || (t->s[t->i] == '&' && t->i + 1 < t->n && t->s[t->i + 1] == '&'))
            return refuse(t, "this class within a class is not supported");
        if (t->s[t->i] == '\\') {
            t->i++;
            st = escape(t, true);
        } else {
            st = gla__bytes_add(&t->out, t->s + t->i++, 1);
        }
    }
    return st;
}

/* After "(": plain groups, (?: (?= (?! (?> (?<= (?<! and (?i: or a leading (?i). */
static gla_status group(translation *t)
{
    const size_t left = t->n - t->i;
    const char *s = t->s + t->i;

    if (left && *s == '*')
        return refuse(t, "(* is not supported");
    if (!left || *s != '?')
        return put(t, "(");
    if (left >= 2 && strchr(":=!>", s[1])) {
        t->i += 2;
        return gla__bytes_add(&t->out, s - 1, 3);
    }
    if (left >= 3 && s[1] == '<' && (s[2] == '=' || s[2] == '!')) {
        t->i += 3;
        return gla__bytes_add(&t->out, s - 1, 4);
    }
    if (left >= 3 && s[1] == 'i' && (s[2] == ':' || (s[2] == ')' && t->i == 1))) {
        t->i += 3;
        return gla__bytes_add(&t->out, s - 1, 4);
    }
    return refuse(t, "this kind of group is not supported");
}

/* "{2,3}" is an interval in both languages; but Oniguruma repeats the whole when + follows, and
 * takes "{2}?" for an option. */
static gla_status interval(translation *t)
{
    size_t i = t->i;
    bool comma = false;

    while (i < t->n && isdigit((unsigned char)t->s[i]))
        i++;
    if (i < t->n && t->s[i] == ',') {
        if (i == t->i)
            return refuse(t, "an interval without its minimum is not supported");
        comma = true;
        i++;
        while (i < t->n && isdigit((unsigned char)t->s[i]))
            i++;
    }
    if (i > t->i && i + 1 < t->n && t->s[i] == '}' &&
        (t->s[i + 1] == '+' || (t->s[i + 1] == '?' && !comma)))
        return refuse(t, "a repeated interval is not supported");
    return put(t, "{");
}

static gla_status translate(translation *t)
{
    gla_status st = GLA_OK;

    while (t->i < t->n && !st) {
        const char c = t->s[t->i++];

        switch (c) {
        case '\\':
            st = escape(t, false);
            break;
        case '[':
            st = character_class(t, false);
            break;
        case '(':
            st = group(t);
            break;
        case '{':
            st = interval(t);
            break;
        default:
            st = gla__bytes_add(&t->out, &c, 1);
        }
    }
    return st;
}

/* ---- compiling ---- */

static void *pcre_alloc(PCRE2_SIZE n, void *ctx)
{
    (void)ctx;
    return gla__alloc(n);
}

static void pcre_free(void *p, void *ctx)
{
    (void)ctx;
    gla__free(p);
}

static gla_status compile(gla__regex *re, const translation *t)
{
    const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    pcre2_compile_context *ctx;
    PCRE2_SIZE offset;
    PCRE2_UCHAR message[128] = "";
    int error = 0;

    re->general = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    re->limits = re->general ? pcre2_match_context_create(re->general) : NULL;
    ctx = re->general ? pcre2_compile_context_create(re->general) : NULL;
    if (!re->limits || !ctx) {
        pcre2_compile_context_free(ctx);
        return gla__fail_nomem(t->diag, "regex");
    }
    pcre2_set_match_limit(re->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(re->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(re->limits, HEAP_LIMIT_KIB);
    pcre2_set_newline(ctx, PCRE2_NEWLINE_LF);
    re->code = pcre2_compile((PCRE2_SPTR)t->out.p, t->out.n, options, &error, &offset, ctx);
    pcre2_compile_context_free(ctx);
    if (!re->code && error == PCRE2_ERROR_HEAP_FAILED)
        return gla__fail_nomem(t->diag, "regex");
    if (!re->code) {
        pcre2_get_error_message(error, message, sizeof(message));
        return gla__fail(t->diag, GLA_E_UNSUPPORTED, "regex \"%.*s\": %s",
                         (int)(t->n < 120 ? t->n : 120), t->s, (const char *)message);
    }
    (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE); /* without it: slower, the same */
    return GLA_OK;
}

gla_status gla__regex_compile(const char *pattern, size_t n, gla__regex **out, gla_diag *diag)
{
    translation t = {.s = pattern, .n = n, .diag = diag};
    gla_status st;
    gla__regex *re;

    *out = NULL;
    if (n == 0 || n > MAX_PATTERN)
        return gla__fail(diag, GLA_E_LIMIT, "regex of %zu bytes, 1 to %u are supported", n,
                         MAX_PATTERN);
    re = gla__alloc_zero(sizeof(*re));
    st = re ? translate(&t) : GLA_E_NOMEM;
    if (st == GLA_E_NOMEM)
        st = gla__fail_nomem(diag, "regex");
    if (!st)
        st = compile(re, &t);
    gla__bytes_free(&t.out);
    if (st) {
        gla__regex_free(re);
        return st;
    }
    *out = re;
    return GLA_OK;
}

gla_status gla__regex_literal(const char *text, size_t n, gla__regex **out, gla_diag *diag)
{
    gla__regex *re;

    *out = NULL;
    if (n == 0 || n > MAX_PATTERN)
        return gla__fail(diag, GLA_E_UNSUPPORTED, "pattern of %zu bytes, 1 to %u are supported", n,
                         MAX_PATTERN);
    re = gla__alloc_zero(sizeof(*re));
    if (re) {
        re->literal = gla__strndup(text, n);
        re->n = n;
    }
    if (!re || !re->literal) {
        gla__regex_free(re);
        return gla__fail_nomem(diag, "pattern");
    }
    *out = re;
    return GLA_OK;
}

void gla__regex_free(gla__regex *re)
{
    if (!re)
        return;
    pcre2_code_free(re->code);
    pcre2_match_context_free(re->limits);
    pcre2_general_context_free(re->general);
    gla__free(re->literal);
    gla__free(re);
}

const char *gla__regex_text(const gla__regex *re, size_t *n)
{
    *n = re->n;
    return re->literal;
}

bool gla__regex_may_be_empty(const gla__regex *re)
{
    uint32_t empty = 0;

    if (re->code)
        (void)pcre2_pattern_info(re->code, PCRE2_INFO_MATCHEMPTY, &empty);
    return empty != 0;
}

void gla__regex_scratch_deinit(gla__regex_scratch *s)
{
    pcre2_match_data_free(s->match);
    s->match = NULL;
}

/* ---- matching ---- */

gla__finder gla__find(const gla__regex *re, const char *text, size_t n)
{
    return (gla__finder){.re = re, .text = text, .n = n};
}

static bool find_literal(const gla__finder *f, size_t *start, size_t *end)
{
    const gla__regex *re = f->re;
    size_t from = f->from;

    while (re->n <= f->n && from <= f->n - re->n) {
        const char *p = memchr(f->text + from, re->literal[0], f->n - re->n - from + 1);

        if (!p)
            return false;
        from = (size_t)(p - f->text);
        if (!memcmp(p, re->literal, re->n)) {
            *start = from;
            *end = from + re->n;
            return true;
        }
        from++;
    }
    return false;
}

/* One search from f->from; the span in the match data. */
static gla_status search(gla__finder *f, gla__regex_scratch *scratch, bool *found, size_t *start,
                         size_t *end, gla_diag *diag)
{
    const gla__regex *re = f->re;
    PCRE2_UCHAR message[128] = "";
    int rc;

    if (!scratch->match)
        scratch->match = pcre2_match_data_create(1, re->general);
    if (!scratch->match)
        return gla__fail_nomem(diag, "regex match");
    rc = pcre2_match(re->code, (PCRE2_SPTR)f->text, f->n, f->from, PCRE2_NO_UTF_CHECK,
                     scratch->match, re->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter has its own, larger memory */
        rc = pcre2_match(re->code, (PCRE2_SPTR)f->text, f->n, f->from,
                         PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch->match, re->limits);
    *found = rc >= 0;
    if (rc >= 0) {
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(scratch->match);

        *start = span[0];
        *end = span[1];
        return GLA_OK;
    }
    if (rc == PCRE2_ERROR_NOMATCH)
        return GLA_OK;
    pcre2_get_error_message(rc, message, sizeof(message));
    return gla__fail(diag, rc == PCRE2_ERROR_NOMEMORY ? GLA_E_NOMEM : GLA_E_LIMIT,
                     "regex of the tokenizer on %zu bytes of text: %s", f->n,
                     (const char *)message);
}

gla_status gla__find_next(gla__finder *f, gla__regex_scratch *scratch, bool *found, size_t *start,
                          size_t *end, gla_diag *diag)
{
    gla_status st;

    for (;;) {
        *found = false;
        if (f->from > f->n)
            return GLA_OK;
        if (f->re->literal) {
            *found = find_literal(f, start, end);
        } else {
            st = search(f, scratch, found, start, end, diag);
            if (st)
                return st;
        }
        if (!*found)
            return GLA_OK;
        if (*start != *end || !f->any || f->last_end != *end)
            break;
        /* an empty match right behind the last one does not count */
        if (f->from < f->n) {
            size_t size;

            (void)gla__utf8_next(f->text + f->from, &size);
            f->from += size;
        } else {
            f->from++;
        }
    }
    f->from = f->last_end = *end;
    f->any = true;
    return GLA_OK;
}
