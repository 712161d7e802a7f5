/* SPDX-License-Identifier: Apache-2.0
 *
 * What chat templates do with texts, as Python's str does it.
 */
#include <string.h>
#include <utf8proc.h>

#include "formats/chat/call.h"

/* ---- ends ---- */

/* White_Space and four separators that Python strips too. */
static bool python_space(int32_t c)
{
    return gla__is_space(c) || (c >= 0x1c && c <= 0x1f);
}

static bool one_of(int32_t c, gla__tpl_view set)
{
    size_t size;

    for (size_t i = 0; i < set.n; i += size)
        if (gla__utf8_next(set.p + i, &size) == c)
            return true;
    return false;
}

gla__tpl_view gla__tpl_strip(gla__tpl_view s, gla__tpl_view chars, bool left, bool right)
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
        while (gla__utf8_inside(s.p[s.n]));
    }
    return s;
}

/* ---- upper and lower case ---- */

static bool is_cased(int32_t c)
{
    const utf8proc_category_t k = utf8proc_category(c);

    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT ||
           c == 0xaa || c == 0xba || utf8proc_tolower(c) != c || utf8proc_toupper(c) != c;
}

/* What may stand between the letters of a word: marks, format characters, apostrophes, points. */
static bool is_passed_over(int32_t c)
{
    static const char signs[] = "'.:\u00b7\u2018\u2019\u2024\u2027";

    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return one_of(c, (gla__tpl_view){signs, sizeof(signs) - 1});
    }
}

/* Whether the capital sigma at `at` ends a word: behind a letter, and none follows. */
static bool ends_word(gla__tpl_view s, size_t at)
{
    size_t size, i = at;
    int32_t c = 0;

    while (i) {
        c = gla__utf8_last(s.p, i);
        do
            i--;
        while (gla__utf8_inside(s.p[i]));
        if (!is_passed_over(c))
            break;
    }
    if (!is_cased(c))
        return false;
    for (i = at + 2; i < s.n; i += size) {
        c = gla__utf8_next(s.p + i, &size);
        if (!is_passed_over(c))
            return !is_cased(c);
    }
    return true;
}

/* What is one character in lower case but several in upper case has a case folding of as many;
 * the upper case of a word's first letter has only the first of them as a capital. */
static size_t raised(int32_t c, bool title, int32_t out[4])
{
    const int32_t plain = title ? utf8proc_totitle(c) : utf8proc_toupper(c);
    const utf8proc_category_t k = utf8proc_category(c);
    int boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(c, out, 4, UTF8PROC_CASEFOLD, &boundary);

    if (n < 2 || k == UTF8PROC_CATEGORY_LU || (title && plain != c && c != 0xdf)) {
        out[0] = plain;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        if (!title || i == 0 || c == 0x149)
            out[i] = utf8proc_toupper(out[i]);
    return (size_t)n;
}

static size_t lowered(gla__tpl_view s, size_t at, int32_t c, int32_t out[4])
{
    out[0] = c == 0x3a3 && ends_word(s, at) ? 0x3c2 : utf8proc_tolower(c);
    if (c != 0x130)
        return 1;
    out[0] = 'i'; /* the only capital whose lower case is two: i and a dot above */
    out[1] = 0x307;
    return 2;
}

gla__tpl_value gla__tpl_change_case(gla__tpl_run *r, gla__tpl_view s, gla__tpl_casing how)
{
    gla__bytes out = {0};
    size_t size;
    bool start = true;

    for (size_t i = 0; i < s.n && gla__tpl_step(r); i += size) {
        const int32_t c = gla__utf8_next(s.p + i, &size);
        int32_t made[4];
        const size_t n = how == GLA__TPL_UPPER || (start && how != GLA__TPL_LOWER)
                             ? raised(c, how == GLA__TPL_TITLE || how == GLA__TPL_CAPITALIZE, made)
                             : lowered(s, i, c, made);

        for (size_t k = 0; k < n; k++)
            if (gla__bytes_add_char(&out, made[k]))
                gla__tpl_fail(r, GLA_E_NOMEM, "out of memory for the chat");
        start = (how == GLA__TPL_TITLE && !is_cased(c)) ||
                (how == GLA__TPL_TITLE_WORDS &&
                 (python_space(c) || one_of(c, (gla__tpl_view){"-({[<", 5})));
    }
    return gla__tpl_taken(r, &out);
}

/* ---- parts ---- */

/* Where text begins in s from `from` on; s.n if nowhere. */
static size_t find(gla__tpl_view s, size_t from, gla__tpl_view text)
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

/* Before each character, and at the end. */
static gla__tpl_value put_between(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view new,
                                  int64_t count)
{
    gla__bytes out = {0};
    size_t at = 0, size;

    while (count-- && gla__tpl_step(r)) {
        gla__tpl_append(r, &out, new.p, new.n);
        if (at == s.n)
            break;
        (void)gla__utf8_next(s.p + at, &size);
        gla__tpl_append(r, &out, s.p + at, size);
        at += size;
    }
    gla__tpl_append(r, &out, s.p + at, s.n - at);
    return gla__tpl_taken(r, &out);
}

gla__tpl_value gla__tpl_replace(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view old,
                                gla__tpl_view new, int64_t count)
{
    gla__bytes out = {0};
    size_t at = 0;

    if (!old.n)
        return put_between(r, s, new, count);
    while (count-- && gla__tpl_step(r)) {
        const size_t found = find(s, at, old);

        if (found == s.n)
            break;
        gla__tpl_append(r, &out, s.p + at, found - at);
        gla__tpl_append(r, &out, new.p, new.n);
        at = found + old.n;
    }
    gla__tpl_append(r, &out, s.p + at, s.n - at);
    return gla__tpl_taken(r, &out);
}

static gla__tpl_value split_at(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view by, int64_t most)
{
    const gla__tpl_value out = gla__tpl_new_list(r);
    size_t at = 0;

    if (!by.n)
        gla__tpl_fail(r, GLA_E_INVALID, "split at the empty string");
    while (most-- && gla__tpl_step(r)) {
        const size_t found = find(s, at, by);

        if (found == s.n)
            break;
        gla__tpl_list_add(r, out.list, gla__tpl_string(s.p + at, found - at));
        at = found + by.n;
    }
    gla__tpl_list_add(r, out.list, gla__tpl_string(s.p + at, s.n - at));
    return out;
}

gla__tpl_value gla__tpl_split(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view by, int64_t most)
{
    gla__tpl_value out;
    size_t found, size;

    if (by.p)
        return split_at(r, s, by, most);
    out = gla__tpl_new_list(r);
    while (gla__tpl_step(r)) {
        s = gla__tpl_strip(s, (gla__tpl_view){0}, true, false);
        if (!s.n)
            break;
        for (found = 0; found < s.n && most; found += size)
            if (python_space(gla__utf8_next(s.p + found, &size)))
                break;
        if (!most--) /* the rest as it is */
            found = s.n;
        gla__tpl_list_add(r, out.list, gla__tpl_string(s.p, found));
        s.p += found;
        s.n -= found;
    }
    return out;
}

/* ---- lines ---- */

/* The line from `at` on, as str.splitlines() sees it; false: it is the last one.  A \r at the end
 * would be one with the newline that Jinja puts behind the text. */
static bool next_line(gla__tpl_view s, size_t at, size_t *end, size_t *next)
{
    size_t size;

    for (; at < s.n; at += size) {
        const int32_t c = gla__utf8_next(s.p + at, &size);

        if ((c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
            c == 0x2029) {
            *end = at;
            *next = at + size + (c == '\r' && at + 1 < s.n && s.p[at + 1] == '\n');
            return c != '\r' || *next < s.n || *next > at + 1;
        }
    }
    *end = *next = s.n;
    return false;
}

gla__tpl_value gla__tpl_indent(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view by, bool first,
                               bool blank)
{
    gla__bytes out = {0};
    size_t at = 0, next = 0, end;
    bool more;

    do {
        more = next_line(s, at, &end, &next);
        if (at ? end > at || blank : first)
            gla__tpl_append(r, &out, by.p, by.n);
        gla__tpl_append(r, &out, s.p + at, end - at);
        if (more)
            gla__tpl_append(r, &out, "\n", 1);
        at = next;
    } while (more && gla__tpl_step(r));
    return gla__tpl_taken(r, &out);
}
