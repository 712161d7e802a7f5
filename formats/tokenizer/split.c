/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-tokenizers: each step cuts a piece into smaller ones, or changes its text, and hands on what
 * comes of it.  A step sees one piece alone, never its neighbours.
 */
#include <string.h>

#include "base/diag.h"
#include "formats/tokenizer/parts.h"

/* ---- from matches and gaps to pieces ---- */

typedef struct splitter {
    gla__encoder *e;
    uint32_t next; /* step that takes the pieces */
    const gla__pre *step;
    const char *s;
    bool head;
    bool have, last_match; /* a piece waits, for something may be merged into it */
    size_t start, end;
} splitter;

static gla_status flush(splitter *p)
{
    const bool have = p->have;

    p->have = false;
    if (!have || p->start == p->end)
        return GLA_OK;
    return gla__pretokenize(p->e, p->next, p->s + p->start, p->end - p->start,
                            p->head && p->start == 0);
}

/* Whether a span of this kind becomes part of the piece that waits. */
static bool merges(const splitter *p, bool match)
{
    switch (p->step->behavior) {
    case GLA__CONTIGUOUS:
        return match == p->last_match;
    case GLA__MERGED_WITH_PREVIOUS:
        return match && !p->last_match;
    case GLA__MERGED_WITH_NEXT:
        return !match && p->last_match;
    case GLA__ISOLATED:
    case GLA__REMOVED:
        break;
    }
    return false;
}

static gla_status span(splitter *p, size_t start, size_t end, bool match)
{
    gla_status st;

    match = match != p->step->invert;
    if (p->step->behavior == GLA__REMOVED && match)
        return flush(p);
    if (p->have && merges(p, match)) {
        p->end = end;
        p->last_match = match;
        return GLA_OK;
    }
    st = flush(p);
    p->have = true;
    p->start = start;
    p->end = end;
    p->last_match = match;
    return st;
}

static gla_status split_regex(splitter *p, size_t n)
{
    gla__finder f = gla__find(p->step->regex, p->s, n);
    size_t done = 0, start = 0, end = 0;
    bool found;
    gla_status st;

    for (;;) {
        st = gla__find_next(&f, &p->e->scratch, &found, &start, &end, p->e->diag);
        if (st || !found)
            break;
        if (done != start)
            st = span(p, done, start, false);
        if (!st)
            st = span(p, start, end, true);
        if (st)
            break;
        done = end;
    }
    if (!st && done != n)
        st = span(p, done, n, false);
    return st ? st : flush(p);
}

static bool in_class(gla__pre_kind kind, int32_t c)
{
    return kind == GLA__PRE_DIGITS        ? gla__is_number(c)
           : kind == GLA__PRE_PUNCTUATION ? gla__is_punctuation(c)
                                          : gla__is_space(c);
}

static gla_status split_class(splitter *p, size_t n)
{
    size_t done = 0, size;
    gla_status st = GLA_OK;

    for (size_t i = 0; i < n && !st; i += size) {
        if (!in_class(p->step->kind, gla__utf8_next(p->s + i, &size)))
            continue;
        if (done != i)
            st = span(p, done, i, false);
        if (!st)
            st = span(p, i, i + size, true);
        done = i + size;
    }
    if (!st && done != n)
        st = span(p, done, n, false);
    return st ? st : flush(p);
}

/* ---- steps that change the text ---- */

static gla_status metaspace(const gla__pre *step, gla__bytes *out, const char *s, size_t n,
                            bool head)
{
    const bool marked =
        n && (s[0] == ' ' || (n >= step->size && !memcmp(s, step->text, step->size)));
    gla_status st = GLA_OK;

    if (!marked &&
        (step->prepend == GLA__PREPEND_ALWAYS || (step->prepend == GLA__PREPEND_FIRST && head)))
        st = gla__bytes_add(out, step->text, step->size);
    for (size_t i = 0; i < n && !st;) {
        const char *blank = memchr(s + i, ' ', n - i);
        const size_t until = blank ? (size_t)(blank - s) : n;

        st = gla__bytes_add(out, s + i, until - i);
        if (!st && blank)
            st = gla__bytes_add(out, step->text, step->size);
        i = until + (blank ? 1 : 0);
    }
    return st;
}

static gla_status change(gla__encoder *e, uint32_t i, const char *s, size_t n, bool head)
{
    const gla__pre *step = &e->t->pres[i];
    gla__bytes *out = &e->texts[i];
    gla_status st;

    out->n = 0;
    if (step->kind == GLA__PRE_METASPACE) {
        st = metaspace(step, out, s, n, head);
    } else if (step->kind == GLA__PRE_BYTES) {
        st = gla__bytes_add_mapped(out, s, n);
    } else {
        st = gla__bytes_add(out, " ", 1);
        if (!st)
            st = gla__bytes_add(out, s, n);
    }
    return st ? st : gla__pretokenize(e, i + 1, out->p, out->n, head);
}

gla_status gla__pretokenize(gla__encoder *e, uint32_t i, const char *s, size_t n, bool head)
{
    const gla__pre *step = &e->t->pres[i];
    splitter p = {.e = e, .next = i + 1, .s = s, .head = head};

    if (!n)
        return GLA_OK;
    if (n > GLA__TOK_MAX_TEXT)
        return gla__fail(e->diag, GLA_E_LIMIT, "a piece of %zu bytes, at most %u", n,
                         GLA__TOK_MAX_TEXT);
    if (i == e->t->n_pres)
        return gla__bpe(e, s, n, false);
    p.step = step;
    switch (step->kind) {
    case GLA__PRE_SPLIT:
        return split_regex(&p, n);
    case GLA__PRE_DIGITS:
    case GLA__PRE_PUNCTUATION:
    case GLA__PRE_WHITESPACE:
        return split_class(&p, n);
    case GLA__PRE_BYTES:
        if (i + 1 == e->t->n_pres) /* the usual end: no need to write the characters out */
            return gla__bpe(e, s, n, true);
        return change(e, i, s, n, head);
    case GLA__PRE_PREFIX_SPACE:
        if (s[0] == ' ')
            return gla__pretokenize(e, i + 1, s, n, head);
        return change(e, i, s, n, head);
    case GLA__PRE_METASPACE:
        return change(e, i, s, n, head);
    }
    return GLA_OK;
}
