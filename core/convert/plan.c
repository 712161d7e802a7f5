/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - which tensors the new file has, from what, as what
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/tensor.h"
#include "convert/conversion.h"

#define SMALL_MATRIX 4096 /* numbers: below, quantising saves nothing worth having */

/* ---- where the numbers come from ---------------------------------------------------- */

static gla__convert_item *add_item(gla__conversion *c, const char *name)
{
    gla__convert_item *item;

    if (gla__grow((void **)&c->items, &c->cap_items, c->n_items, sizeof(*c->items)))
        return NULL;
    item = &c->items[c->n_items++];
    memset(item, 0, sizeof(*item));
    item->out.name = name;
    return item;
}

/* One piece that is all of a tensor of the source. */
static gla_status whole_piece(gla__convert_item *item, const gla_tensor_info *info)
{
    item->own = gla__alloc_array(1, sizeof(*item->own));
    if (!item->own)
        return GLA_E_NOMEM;
    item->own[0] = (gla__piece){.source = info->name, .info = info, .count = info->n_elements};
    item->read = item->own;
    item->n_read = 1;
    return GLA_OK;
}

/* What the file says about the published pieces of one of its tensors; itself if nothing. */
static gla_status published_pieces(const gla_weights *w, gla__convert_item *item,
                                   const gla_tensor_info *info)
{
    const uint32_t n = gla__glaw_n_pieces(w, info);
    gla__piece *own = gla__alloc_array((size_t)n + 1, sizeof(*own));

    if (!own)
        return GLA_E_NOMEM;
    gla__free(item->own);
    item->own = own;
    own[0] = (gla__piece){.source = info->name, .info = info, .count = info->n_elements};
    for (uint32_t i = 0; i < n; i++)
        own[1 + i].source = gla__glaw_piece(w, info, i, &own[1 + i].first, &own[1 + i].count);
    item->read = own;
    item->n_read = 1;
    item->out.pieces = n ? own + 1 : own;
    item->out.n_pieces = n ? n : 1;
    return GLA_OK;
}

static gla_status find_pieces(gla__conversion *c, gla__convert_item *item)
{
    const gla_tensor_info *info;
    const gla__mapped *mapped;
    gla_status st;

    if (c->import) {
        st = gla__mapping_resolve(c->import->map, item->out.name, &mapped, c->diag);
        if (st || !mapped)
            return st;
        item->read = item->out.pieces = mapped->pieces;
        item->n_read = item->out.n_pieces = mapped->n_pieces;
        return GLA_OK;
    }
    info = gla_weights_find(c->weights, item->out.name);
    if (info && published_pieces(c->weights, item, info))
        return gla__fail_nomem(c->diag, "the list of tensors");
    return GLA_OK;
}

/* The published name that is missing, ours if nothing was published; NULL if all is there. */
static const char *missing_source(const gla__convert_item *item)
{
    if (!item->n_read)
        return item->out.name;
    for (uint32_t i = 0; i < item->n_read; i++)
        if (!item->read[i].info)
            return item->read[i].source;
    return NULL;
}

static gla_status wrong_size(gla__conversion *c, const gla__convert_item *item, uint64_t want,
                             uint64_t have)
{
    const gla_tensor_info *info = item->read[0].info;
    char ours[96], theirs[96];
    gla_status st;

    if (item->n_read == 1)
        st = gla__fail(c->diag, GLA_E_SHAPE, "needs %s, but %s is %s",
                       gla__shape_text(item->out.ndim, item->out.dims, ours, sizeof(ours)),
                       info->name, gla__shape_text(info->ndim, info->dims, theirs, sizeof(theirs)));
    else
        st = gla__fail(c->diag, GLA_E_SHAPE,
                       "needs %s, %" PRIu64 " numbers, its %" PRIu32 " pieces have %" PRIu64,
                       gla__shape_text(item->out.ndim, item->out.dims, ours, sizeof(ours)), want,
                       item->n_read, have);
    gla__at(c->diag, item->out.name);
    gla__at(c->diag, c->src);
    return st;
}

/* Whole rows of ours, all of them from this piece. */
static bool columns_fit(const gla__convert_item *item)
{
    const gla__columns *c = &item->read[0].columns;
    uint64_t cols;

    return item->n_read == 1 && item->out.ndim &&
           gla__mul_u64((uint64_t)c->outer * c->inner, c->width, &cols) &&
           cols == (uint64_t)item->out.dims[item->out.ndim - 1];
}

/* Every piece lies within its tensor, together they are as many numbers as the layer wants. */
static gla_status check_pieces(gla__conversion *c, gla__convert_item *item, uint64_t want)
{
    uint64_t have = 0, end;

    item->stored = item->read[0].info->dtype;
    for (uint32_t i = 0; i < item->n_read; i++) {
        const gla__piece *p = &item->read[i];

        if (!gla__add_u64(p->first, p->count, &end) || end > p->info->n_elements ||
            !gla__add_u64(have, p->count, &have) || (p->columns.width && !columns_fit(item)))
            return wrong_size(c, item, want, p->info->n_elements);
        if (!gla__is_float(p->info->dtype) && !gla__is_quantised(p->info->dtype)) {
            gla__fail(c->diag, GLA_E_UNSUPPORTED, "%s has %s numbers, floating point is needed",
                      p->source, gla_dtype_name(p->info->dtype));
            gla__at(c->diag, c->src);
            return GLA_E_UNSUPPORTED;
        }
        if (p->info->dtype != item->stored || p->log_negated)
            item->stored = GLA_DTYPE_F32;
    }
    return have == want ? GLA_OK : wrong_size(c, item, want, have);
}

/* ---- what they become ----------------------------------------------------------------- */

static bool matches_keep(const gla_convert_options *o, const char *name)
{
    for (uint32_t i = 0; i < o->n_keep; i++)
        if (!fnmatch(o->keep[i], name, 0))
            return true;
    return false;
}

/* What the block says, or the options. */
static uint32_t wanted_dtype(const gla__conversion *c, const gla_weight_info *w)
{
    const uint32_t block = c->description->layers[w->layer].block;
    uint32_t dtype = 0;

    if (block < c->arch->n_layers)
        dtype = c->arch->blocks[c->arch->layers[block]].weights_dtype;
    return dtype ? dtype : c->options.weights_dtype;
}

static gla__kept why_kept(const gla__conversion *c, const gla_weight_info *w)
{
    const bool head = c->description->layers[w->layer].role == GLA_LAYER_HEAD;
    const bool tied = (w->flags & GLA_WEIGHT_LOOKUP) && c->arch->tie_embeddings;

    if (w->role != GLA_WEIGHT_MATRIX)
        return GLA__KEPT_VECTOR;
    if (w->flags & GLA_WEIGHT_SENSITIVE)
        return GLA__KEPT_SENSITIVE;
    if (matches_keep(&c->options, w->name))
        return GLA__KEPT_PATTERN;
    if ((head || tied) && c->options.quantise_head)
        return GLA__KEPT_NOT;
    if (w->flags & GLA_WEIGHT_LOOKUP)
        return GLA__KEPT_LOOKUP;
    if (head)
        return GLA__KEPT_HEAD;
    return w->n_elements < SMALL_MATRIX ? GLA__KEPT_SMALL : GLA__KEPT_NOT;
}

/* Higher precision beside quantised matrices: 16 bits are enough for a matrix, vectors and gates
 * stay as they are. */
static uint32_t kept_dtype(const gla__convert_item *item)
{
    const bool exact = item->kept == GLA__KEPT_VECTOR || item->kept == GLA__KEPT_SENSITIVE ||
                       item->kept == GLA__KEPT_PATTERN;

    if (gla__is_quantised(item->stored))
        return GLA_DTYPE_BF16;
    return exact || item->stored == GLA_DTYPE_F16 ? item->stored : GLA_DTYPE_BF16;
}

static void choose_dtype(const gla__conversion *c, gla__convert_item *item,
                         const gla_weight_info *w)
{
    const uint32_t wanted = wanted_dtype(c, w);

    item->out.dtype = item->stored;
    if (!wanted)
        return;
    if (!gla__is_quantised(wanted)) {
        /* vectors cost nothing: they are never made less exact */
        if (w->role == GLA_WEIGHT_MATRIX || wanted == GLA_DTYPE_F32)
            item->out.dtype = wanted;
        return;
    }
    item->kept = why_kept(c, w);
    if (item->kept) {
        item->out.dtype = kept_dtype(item);
        return;
    }
    item->out.dtype = wanted;
    if (wanted == GLA_DTYPE_I4 && w->dims[w->ndim - 1] % GLA__I4_GROUP)
        item->out.dtype = GLA_DTYPE_I8;
}

/* ---- declared tensors -------------------------------------------------------------------- */

typedef struct missing_list {
    char text[220];
    size_t used;
    uint32_t n;
} missing_list;

static void note_missing(missing_list *m, const char *name)
{
    if (m->used < sizeof(m->text))
        m->used += (size_t)snprintf(m->text + m->used, sizeof(m->text) - m->used, "%s%s",
                                    m->n ? ", " : "", name);
    m->n++;
}

static gla_status plan_declared(gla__conversion *c)
{
    missing_list missing = {.n = 0};

    for (uint32_t i = 0; i < c->description->n_weights; i++) {
        const gla_weight_info *w = &c->description->weights[i];
        gla__convert_item *item;
        const char *absent;
        gla_status st;

        if (w->shared_with_previous)
            continue;
        item = add_item(c, w->name);
        if (!item)
            return gla__fail_nomem(c->diag, "the list of tensors");
        item->out.ndim = w->ndim;
        memcpy(item->out.dims, w->dims, sizeof(item->out.dims));
        st = find_pieces(c, item);
        if (st)
            return st;
        absent = missing_source(item);
        if (absent) {
            note_missing(&missing, absent);
            continue;
        }
        st = check_pieces(c, item, w->n_elements);
        if (st)
            return st;
        choose_dtype(c, item, w);
    }
    if (!missing.n)
        return GLA_OK;
    gla__fail(c->diag, GLA_E_SHAPE, "%" PRIu32 " tensor%s missing: %s", missing.n,
              missing.n == 1 ? " is" : "s are", missing.text);
    gla__at(c->diag, c->src);
    return GLA_E_SHAPE;
}

/* ---- the rest ------------------------------------------------------------------------------ */

typedef struct range {
    const gla_tensor_info *info;
    uint64_t first, count;
} range;

static int compare_ranges(const void *a, const void *b)
{
    const range *x = a, *y = b;

    if (x->info != y->info)
        return x->info < y->info ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* All pieces read so far, sorted by tensor and place. */
static gla_status list_ranges(const gla__conversion *c, range **out, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < c->n_items; i++)
        *n += c->items[i].n_read;
    *out = gla__alloc_array(*n ? *n : 1, sizeof(**out));
    if (!*out)
        return GLA_E_NOMEM;
    *n = 0;
    for (size_t i = 0; i < c->n_items; i++)
        for (uint32_t p = 0; p < c->items[i].n_read; p++) {
            const gla__piece *piece = &c->items[i].read[p];

            (*out)[(*n)++] = (range){piece->info, piece->first, piece->count};
        }
    if (*n)
        qsort(*out, *n, sizeof(**out), compare_ranges);
    return GLA_OK;
}

/* Whether every number of the tensor is in one of the ranges. */
static bool covered(const range *ranges, size_t n, const gla_tensor_info *info)
{
    uint64_t reached = 0;
    size_t low = 0, high = n;
    bool any;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (ranges[middle].info < info)
            low = middle + 1;
        else
            high = middle;
    }
    any = low < n && ranges[low].info == info;
    for (; low < n && ranges[low].info == info && ranges[low].first <= reached; low++)
        if (ranges[low].first + ranges[low].count > reached)
            reached = ranges[low].first + ranges[low].count;
    return any && reached == info->n_elements;
}

static bool name_taken(const gla__conversion *c, const char *name)
{
    for (size_t i = 0; i < c->n_items; i++)
        if (!c->items[i].unused && !strcmp(c->items[i].out.name, name))
            return true;
    return false;
}

static gla_status add_unused(gla__conversion *c, const gla_tensor_info *info)
{
    const bool taken = name_taken(c, info->name);
    gla__convert_item *item = add_item(c, info->name);
    gla_status st;

    if (!item)
        return GLA_E_NOMEM;
    item->unused = true;
    if (taken) {
        const size_t n = strlen(info->name) + sizeof("unused.");

        item->own_name = gla__alloc(n);
        if (!item->own_name)
            return GLA_E_NOMEM;
        snprintf(item->own_name, n, "unused.%s", info->name);
        item->out.name = item->own_name;
    }
    item->stored = item->out.dtype = info->dtype;
    item->out.ndim = info->ndim;
    memcpy(item->out.dims, info->dims, sizeof(item->out.dims));
    if (!c->import)
        return published_pieces(c->weights, item, info);
    st = whole_piece(item, info);
    item->out.pieces = item->own;
    item->out.n_pieces = 1;
    return st;
}

static gla_status plan_unused(gla__conversion *c)
{
    missing_list unused = {.n = 0};
    range *ranges = NULL;
    size_t n;
    gla_status st = list_ranges(c, &ranges, &n);

    for (uint32_t i = 0; !st && i < gla_weights_count(c->weights); i++) {
        const gla_tensor_info *info = gla_weights_info(c->weights, i);

        if (covered(ranges, n, info))
            continue;
        st = add_unused(c, info);
        c->report.n_unused++;
        if (!c->import || !gla__mapping_ignores(c->import->map, info->name))
            note_missing(&unused, info->name);
    }
    gla__free(ranges);
    if (st)
        return gla__fail_nomem(c->diag, "the list of tensors");
    if (unused.n)
        gla__convert_note(&c->options, "%" PRIu32 " tensor%s not used, kept for the way back: %s",
                          unused.n, unused.n == 1 ? " is" : "s are", unused.text);
    return GLA_OK;
}

/* A slip of the pen, and what was to be kept would be quantised without a word. */
static void note_idle_patterns(const gla__conversion *c)
{
    for (uint32_t k = 0; k < c->options.n_keep; k++) {
        size_t i = 0;

        while (i < c->n_items && fnmatch(c->options.keep[k], c->items[i].out.name, 0))
            i++;
        if (i == c->n_items)
            gla__convert_note(&c->options, "no tensor is called '%s': nothing is kept for it",
                              c->options.keep[k]);
    }
}

gla_status gla__convert_plan(gla__conversion *c)
{
    gla_status st = plan_declared(c);

    if (!st)
        st = plan_unused(c);
    if (!st)
        note_idle_patterns(c);
    for (size_t i = 0; i < c->n_items; i++)
        for (uint32_t p = 0; !st && p < c->items[i].n_read; p++)
            c->total +=
                gla_dtype_bytes(c->items[i].read[p].info->dtype, 1, c->items[i].read[p].count);
    return st;
}
