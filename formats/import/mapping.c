/* SPDX-License-Identifier: Apache-2.0
 *
 * mapping.c - where our tensors come from
 *
 * Three kinds of statement: rows (a piece of a published tensor goes to the end of one of ours),
 * prefix rules, patterns of what is not used.  Rows are sorted on the first question; experts make
 * tens of thousands of them.
 */
#include <fnmatch.h>
#include <gla/weights.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/import/common.h"

typedef struct row {
    char *ours, *source;
    uint64_t first, count;
    size_t order;
    bool log_negated;
    gla__columns columns;
} row;

typedef struct rule {
    char *ours, *source;
} rule;

/* An answer given: owned here, so that it lives as long as the mapping. */
typedef struct answer {
    gla__mapped mapped;
    gla__piece *pieces;
    char *name, *source; /* source: of a rule's answer */
} answer;

struct gla__mapping {
    const gla_weights *weights;
    row *rows;
    rule *rules;
    char **ignored;
    answer **answers;
    size_t n_rows, n_rules, n_ignored, n_answers;
    size_t cap_rows, cap_rules, cap_ignored, cap_answers;
    bool sorted;
};

gla__mapping *gla__mapping_new(const gla_weights *source)
{
    gla__mapping *m = gla__alloc_zero(sizeof(*m));

    if (m)
        m->weights = source;
    return m;
}

void gla__mapping_free(gla__mapping *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_rows; i++) {
        gla__free(m->rows[i].ours);
        gla__free(m->rows[i].source);
    }
    for (size_t i = 0; i < m->n_rules; i++) {
        gla__free(m->rules[i].ours);
        gla__free(m->rules[i].source);
    }
    for (size_t i = 0; i < m->n_ignored; i++)
        gla__free(m->ignored[i]);
    for (size_t i = 0; i < m->n_answers; i++) {
        gla__free(m->answers[i]->pieces);
        gla__free(m->answers[i]->name);
        gla__free(m->answers[i]->source);
        gla__free(m->answers[i]);
    }
    gla__free(m->rows);
    gla__free(m->rules);
    gla__free(m->ignored);
    gla__free(m->answers);
    gla__free(m);
}

/* ---- statements ---------------------------------------------------------------- */

const gla_tensor_info *gla__source(const gla__import *im, const char *name)
{
    return im->source ? gla_weights_find(im->source, name) : NULL;
}

const gla_tensor_info *gla__source_format(const gla__import *im, const char *format, ...)
{
    char name[256];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    return gla__source(im, name);
}

/* Both copied, or none and the import fails. */
static bool copy_pair(gla__import *im, const char *ours, const char *source, char **a, char **b)
{
    *a = gla__strdup(ours);
    *b = gla__strdup(source);
    if (*a && *b)
        return true;
    gla__free(*a);
    gla__free(*b);
    im->status = GLA_E_NOMEM;
    return false;
}

void gla__map_prefix(gla__import *im, const char *ours, const char *source)
{
    gla__mapping *m = im->map;
    rule r;

    if (im->status || !copy_pair(im, ours, source, &r.ours, &r.source))
        return;
    if (gla__grow((void **)&m->rules, &m->cap_rules, m->n_rules, sizeof(r))) {
        im->status = GLA_E_NOMEM;
        gla__free(r.ours);
        gla__free(r.source);
        return;
    }
    m->rules[m->n_rules++] = r;
}

static void add_row(gla__import *im, const char *ours, const char *source, row r)
{
    gla__mapping *m = im->map;

    if (im->status || !copy_pair(im, ours, source, &r.ours, &r.source))
        return;
    if (gla__grow((void **)&m->rows, &m->cap_rows, m->n_rows, sizeof(r))) {
        im->status = GLA_E_NOMEM;
        gla__free(r.ours);
        gla__free(r.source);
        return;
    }
    r.order = m->n_rows;
    m->rows[m->n_rows++] = r;
    m->sorted = false;
}

static uint64_t size_of(const gla__import *im, const char *source)
{
    const gla_tensor_info *info = gla__source(im, source);

    return info ? info->n_elements : 0;
}

void gla__map_range(gla__import *im, const char *ours, const char *source, uint64_t first,
                    uint64_t count)
{
    add_row(im, ours, source, (row){.first = first, .count = count});
}

void gla__map(gla__import *im, const char *ours, const char *source)
{
    gla__map_range(im, ours, source, 0, size_of(im, source));
}

void gla__map_log_negated(gla__import *im, const char *ours, const char *source, uint64_t first,
                          uint64_t count)
{
    add_row(im, ours, source, (row){.first = first, .count = count, .log_negated = true});
}

void gla__map_columns(gla__import *im, const char *ours, const char *source,
                      const gla__columns *columns)
{
    add_row(im, ours, source, (row){.count = size_of(im, source), .columns = *columns});
}

void gla__map_names(gla__import *im, const char *our_prefix, const char *source_prefix,
                    const char *const *renamed)
{
    char ours[256], source[256];

    for (; *renamed; renamed++) {
        const char *entry = *renamed;
        const bool optional = *entry == '?';
        const char *equals = strchr(entry, '=');

        if (!equals)
            continue;
        snprintf(ours, sizeof(ours), "%s%.*s", our_prefix, (int)(equals - entry - optional),
                 entry + optional);
        snprintf(source, sizeof(source), "%s%s", source_prefix, equals + 1);
        if (!optional || gla__source(im, source))
            gla__map(im, ours, source);
    }
}

void gla__map_cut(gla__import *im, const char *our_prefix, const char *const *ours,
                  const uint64_t *elements, const char *source_prefix, const char *const *theirs)
{
    uint64_t used = 0; /* of *theirs */

    for (; *ours; ours++, elements++) {
        const gla__name name = gla__name_of("%s%s", our_prefix, *ours);

        for (uint64_t left = *elements; left && *theirs;) {
            const gla__name source = gla__name_of("%s%s", source_prefix, *theirs);
            const gla_tensor_info *info = gla__source(im, source.text);
            const uint64_t rest = info ? info->n_elements - used : 0;
            const uint64_t n = left < rest ? left : rest;

            if (n)
                gla__map_range(im, name.text, source.text, used, n);
            left -= n;
            used += n;
            if (n == rest) {
                theirs++;
                used = 0;
            }
        }
    }
}

void gla__map_ungrouped(gla__import *im, const char *our_prefix, const char *source_prefix,
                        const gla__fused *f, uint64_t groups)
{
    const gla__name from = gla__name_of("%s%s", source_prefix, f->source);
    const uint64_t width = im->arch->d_model;
    uint64_t at = 0;

    for (uint64_t g = 0; g < groups; g++)
        for (uint32_t i = 0; i < 4 && f->ours[i]; i++) {
            gla__map_range(im, gla__name_of("%s%s", our_prefix, f->ours[i]).text, from.text,
                           at * width, f->rows[i] * width);
            at += f->rows[i];
        }
}

void gla__map_ignore(gla__import *im, const char *pattern)
{
    gla__mapping *m = im->map;
    char *copy = gla__strdup(pattern);

    if (!copy || gla__grow((void **)&m->ignored, &m->cap_ignored, m->n_ignored, sizeof(copy))) {
        gla__free(copy);
        im->status = GLA_E_NOMEM;
        return;
    }
    m->ignored[m->n_ignored++] = copy;
}

/* ---- answers --------------------------------------------------------------------- */

bool gla__mapping_ignores(const gla__mapping *m, const char *source)
{
    for (size_t i = 0; i < m->n_ignored; i++)
        if (!fnmatch(m->ignored[i], source, 0))
            return true;
    return false;
}

static int compare_rows(const void *a, const void *b)
{
    const row *x = a, *y = b;
    const int c = strcmp(x->ours, y->ours);

    if (c)
        return c;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The first row of ours; n_rows if there is none. */
static size_t find_row(gla__mapping *m, const char *ours)
{
    size_t low = 0, high = m->n_rows;

    if (!m->sorted && m->n_rows)
        qsort(m->rows, m->n_rows, sizeof(*m->rows), compare_rows);
    m->sorted = true;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (strcmp(m->rows[middle].ours, ours) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->n_rows && !strcmp(m->rows[low].ours, ours) ? low : m->n_rows;
}

/* The longest prefix wins, the later one among equals. */
static const rule *find_rule(const gla__mapping *m, const char *ours)
{
    const rule *best = NULL;
    size_t best_length = 0;

    for (size_t i = 0; i < m->n_rules; i++) {
        const size_t n = strlen(m->rules[i].ours);

        if (n >= best_length && !strncmp(m->rules[i].ours, ours, n)) {
            best = &m->rules[i];
            best_length = n;
        }
    }
    return best;
}

static gla_status fill_from_rows(gla__mapping *m, answer *a, size_t first)
{
    size_t n = 0;

    while (first + n < m->n_rows && !strcmp(m->rows[first + n].ours, a->name))
        n++;
    a->pieces = gla__alloc_array(n, sizeof(*a->pieces));
    if (!a->pieces)
        return GLA_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const row *r = &m->rows[first + i];

        a->pieces[i] = (gla__piece){.source = r->source,
                                    .first = r->first,
                                    .count = r->count,
                                    .log_negated = r->log_negated,
                                    .columns = r->columns};
    }
    a->mapped.n_pieces = (uint32_t)n;
    return GLA_OK;
}

static gla_status fill_from_rule(answer *a, const rule *r)
{
    const char *rest = a->name + strlen(r->ours);
    const size_t n = strlen(r->source) + strlen(rest) + 1;

    a->source = gla__alloc(n);
    a->pieces = gla__alloc_array(1, sizeof(*a->pieces));
    if (!a->source || !a->pieces)
        return GLA_E_NOMEM;
    snprintf(a->source, n, "%s%s", r->source, rest);
    a->pieces[0].source = a->source;
    a->mapped.n_pieces = 1;
    return GLA_OK;
}

gla_status gla__mapping_resolve(gla__mapping *m, const char *ours, const gla__mapped **out,
                                gla_diag *diag)
{
    const size_t first = find_row(m, ours);
    const rule *r = first < m->n_rows ? NULL : find_rule(m, ours);
    answer *a;

    *out = NULL;
    if (first == m->n_rows && !r)
        return GLA_OK;
    if (gla__grow((void **)&m->answers, &m->cap_answers, m->n_answers, sizeof(a)))
        return gla__fail_nomem(diag, "the list of tensors");
    a = gla__alloc_zero(sizeof(*a));
    if (!a)
        return gla__fail_nomem(diag, "the list of tensors");
    m->answers[m->n_answers++] = a;
    a->name = gla__strdup(ours);
    if (!a->name || (r ? fill_from_rule(a, r) : fill_from_rows(m, a, first)))
        return gla__fail_nomem(diag, "the list of tensors");
    a->mapped.name = a->name;
    a->mapped.pieces = a->pieces;
    for (uint32_t i = 0; i < a->mapped.n_pieces; i++) {
        gla__piece *p = &a->pieces[i];

        p->info = m->weights ? gla_weights_find(m->weights, p->source) : NULL;
        if (r && p->info)
            p->count = p->info->n_elements;
    }
    *out = &a->mapped;
    return GLA_OK;
}
