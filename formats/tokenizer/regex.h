/* SPDX-License-Identifier: Apache-2.0
 *
 * regex.h - patterns of tokenizer.json: Oniguruma's language, matched by PCRE2
 *
 * Published tokenizers are written for Oniguruma (Ruby's syntax).  A pattern is rewritten where
 * PCRE2 would understand something else (\s, \w, \h, scripts, ^ and $ at lines) and refused by name
 * where we do not know it to mean the same.  Matching is bounded in steps and memory.  A compiled
 * pattern is immutable; the scratch belongs to one thread.
 *
 * Not libonig itself, which needs no rewriting: its memory comes from malloc and not from the
 * library's hook, limits of its parser are those of the whole process, and its development has
 * ended.
 */
#ifndef GLA_FORMATS_TOKENIZER_REGEX_H
#define GLA_FORMATS_TOKENIZER_REGEX_H

#include <gla/status.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct gla__regex gla__regex;
typedef struct gla__regex_scratch {
    void *match; /* pcre2_match_data */
} gla__regex_scratch;

gla_status gla__regex_compile(const char *pattern, size_t n, gla__regex **out, gla_diag *diag);
/* The text itself, not a pattern. */
gla_status gla__regex_literal(const char *text, size_t n, gla__regex **out, gla_diag *diag);
void gla__regex_free(gla__regex *re);
/* The text of a literal; NULL for a pattern. */
const char *gla__regex_text(const gla__regex *re, size_t *n);

bool gla__regex_may_be_empty(const gla__regex *re); /* a match of no characters */

void gla__regex_scratch_deinit(gla__regex_scratch *s);

/* Walks through the matches of one text, as Oniguruma's find_iter does. */
typedef struct gla__finder {
    const gla__regex *re;
    const char *text;
    size_t n, from, last_end;
    bool any;
} gla__finder;

gla__finder gla__find(const gla__regex *re, const char *text, size_t n);
/* *found false: no more. */
gla_status gla__find_next(gla__finder *f, gla__regex_scratch *scratch, bool *found, size_t *start,
                          size_t *end, gla_diag *diag);

#endif
