/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "formats/tokenizer/parts.h"

/* ---- Unicode normalisation forms ---- */

/* Marks between two starters go by combining class, equals in their old order.  utf8proc's own sort
 * takes quadratic time on a long run of marks; this one is a merge sort. */
static void sort_marks(int32_t *c, int32_t *work, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            const size_t middle = at + width < n ? at + width : n;
            const size_t end = at + 2 * width < n ? at + 2 * width : n;
            size_t i = at, j = middle;

            for (size_t k = at; k < end; k++) {
                const bool left =
                    j == end || (i < middle && utf8proc_get_property(c[i])->combining_class <=
                                                   utf8proc_get_property(c[j])->combining_class);

                work[k] = left ? c[i++] : c[j++];
            }
        }
        memcpy(c, work, n * sizeof(*c));
    }
}

static void order_marks(int32_t *c, int32_t *work, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;

        while (end < n && utf8proc_get_property(c[end])->combining_class)
            end++;
        if (end - i > 1)
            sort_marks(c + i, work, end - i);
        i = end + 1;
    }
}

/* *count: how many code points; out may be NULL. */
static size_t decompose(const char *s, size_t n, int option, int32_t *out, size_t capacity)
{
    size_t count = 0, size;
    int boundary = 0;

    for (size_t i = 0; i < n; i += size) {
        const int32_t c = gla__utf8_next(s + i, &size);
        const size_t left = out ? capacity - count : 0;
        const utf8proc_ssize_t got =
            utf8proc_decompose_char(c, out ? out + count : NULL, (utf8proc_ssize_t)left,
                                    (utf8proc_option_t)option, &boundary);

        count += got > 0 ? (size_t)got : 0;
    }
    return count;
}

static bool is_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false;
    return true;
}

static gla_status unicode_form(gla__bytes *out, int option, const char *s, size_t n)
{
    const size_t count = decompose(s, n, option, NULL, 0);
    /* room for the end mark that utf8proc_reencode() writes */
    int32_t *c = gla__alloc_array(count + 1, sizeof(*c));
    int32_t *work = gla__alloc_array(count + 1, sizeof(*work));
    utf8proc_ssize_t size;
    gla_status st = c && work ? GLA_OK : GLA_E_NOMEM;

    if (!st) {
        (void)decompose(s, n, option, c, count);
        order_marks(c, work, count);
        size = utf8proc_reencode(c, (utf8proc_ssize_t)count, (utf8proc_option_t)option);
        st = size < 0 ? GLA_E_INVALID : gla__bytes_add(out, (const char *)c, (size_t)size);
    }
    gla__free(c);
    gla__free(work);
    return st;
}

/* ---- the other normalizers ---- */

static gla_status lowercase(gla__bytes *out, const char *s, size_t n)
{
    gla_status st = GLA_OK;
    size_t size;

    for (size_t i = 0; i < n && !st; i += size) {
        const int32_t c = gla__utf8_next(s + i, &size);

        if (c == 0x130) /* the only character whose lower case is two: i and a dot above */
            st = gla__bytes_add(out, "i\xcc\x87", 3);
        else
            st = gla__bytes_add_char(out, utf8proc_tolower(c));
    }
    return st;
}

static gla_status strip_accents(gla__bytes *out, const char *s, size_t n)
{
    gla_status st = GLA_OK;
    size_t size;

    for (size_t i = 0; i < n && !st; i += size)
        if (!gla__is_mark(gla__utf8_next(s + i, &size)))
            st = gla__bytes_add(out, s + i, size);
    return st;
}

static void strip(const gla__normal *step, const char **s, size_t *n, bool *head)
{
    size_t size;

    while (step->left && *n && gla__is_space(gla__utf8_next(*s, &size))) {
        *s += size;
        *n -= size;
        *head = false;
    }
    while (step->right && *n && gla__is_space(gla__utf8_last(*s, *n))) {
        do
            --*n;
        while (gla__utf8_inside((*s)[*n]));
    }
}

gla_status gla__replace_all(const gla__regex *re, gla__regex_scratch *scratch, const char *s,
                            size_t n, const char *with, size_t with_n, gla__bytes *out,
                            gla_diag *diag)
{
    gla__finder f = gla__find(re, s, n);
    size_t done = 0, start = 0, end = 0;
    bool found;
    gla_status st;

    for (;;) {
        st = gla__find_next(&f, scratch, &found, &start, &end, diag);
        if (st || !found)
            break;
        st = gla__bytes_add(out, s + done, start - done);
        if (!st)
            st = gla__bytes_add(out, with, with_n);
        if (st)
            break;
        done = end;
    }
    return st ? st : gla__bytes_add(out, s + done, n - done);
}

static gla_status run(const gla__normal *step, gla__bytes *out, gla__regex_scratch *scratch,
                      const char *s, size_t n, gla_diag *diag)
{
    gla_status st;

    out->n = 0;
    switch (step->kind) {
    case GLA__NORMAL_FORM:
        return unicode_form(out, step->option, s, n);
    case GLA__NORMAL_LOWERCASE:
        return lowercase(out, s, n);
    case GLA__NORMAL_STRIP_ACCENTS:
        return strip_accents(out, s, n);
    case GLA__NORMAL_PREPEND:
        st = gla__bytes_add(out, step->text, n ? step->size : 0);
        return st ? st : gla__bytes_add(out, s, n);
    case GLA__NORMAL_REPLACE:
        return gla__replace_all(step->regex, scratch, s, n, step->text, step->size, out, diag);
    case GLA__NORMAL_BYTES:
        return gla__bytes_add_mapped(out, s, n);
    case GLA__NORMAL_STRIP: /* needs no copy */
        break;
    }
    return GLA_OK;
}

gla_status gla__normalize(const gla_tokenizer *t, gla__bytes work[2], gla__regex_scratch *scratch,
                          const char *s, size_t n, const char **out, size_t *out_n, bool *head,
                          gla_diag *diag)
{
    unsigned which = 0;
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < t->n_normals && !st; i++) {
        const gla__normal *step = &t->normals[i];

        if (step->kind == GLA__NORMAL_STRIP) {
            strip(step, &s, &n, head);
            continue;
        }
        if (step->kind == GLA__NORMAL_FORM && is_ascii(s, n))
            continue;
        which ^= 1; /* s may lie in the other one */
        st = run(step, &work[which], scratch, s, n, diag);
        s = work[which].p;
        n = work[which].n;
        if (!st && n > GLA__TOK_MAX_TEXT)
            st = gla__fail(diag, GLA_E_LIMIT, "normalized text of %zu bytes, at most %u", n,
                           GLA__TOK_MAX_TEXT);
    }
    *out = s;
    *out_n = n;
    return st;
}
