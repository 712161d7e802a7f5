/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.c - cuts what is fed into ragged batches and runs them
 *
 * Each batch takes from the items in their order as many tokens as fit: what is left of a long
 * prompt, the single tokens of sessions that decode.  Before a batch runs, everything it needs has
 * been reserved in every session of it.
 */
#include <gla/session.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/parallel.h"
#include "base/sized.h"
#include "runtime/sessions.h"

typedef struct feed {
    gla_model *model;
    gla_feed_item *items; /* the caller's, in structs of ours */
    size_t n_items;
    size_t *done;    /* [n_items] tokens of the item that have run */
    size_t first;    /* items before it are finished */
    double *seconds; /* NULL, or time by kind of work */
    gla__workspace *workspace;
    uint32_t max_sequences, max_rows;
    /* the batch */
    uint32_t n_sequences, n_rows, n_logits;
    uint32_t bypass;      /* the same for all of its sessions */
    size_t *item;         /* [max_sequences] */
    uint32_t *row_offset; /* [max_sequences + 1] */
    uint64_t *position;   /* [max_sequences] */
    void *const **states; /* [max_sequences] */
    int32_t *tokens;      /* [max_rows] */
    uint32_t *logit_rows; /* [max_rows] */
    float **logits;       /* [max_rows] */
} feed;

/* Of the last tokens: those that go to the caller's buffer, and those that are computed. */
static size_t rows_given(const gla_feed_item *item)
{
    return item->logits ? item->n_logits : 0;
}

static size_t rows_wanted(const gla_feed_item *item)
{
    const bool last = item->flags & GLA_FEED_LOGITS && item->n_tokens;

    return rows_given(item) ? item->n_logits : last;
}

static gla_status check_item(const gla_model *m, const gla_feed_item *item, gla_diag *diag)
{
    const uint32_t vocab = gla_model_vocab_size(m);

    if (!item->session || (item->n_tokens && !item->tokens))
        return gla__fail(diag, GLA_E_INVALID, "session or tokens missing");
    if (item->session->model != m)
        return gla__fail(diag, GLA_E_INVALID, "its session belongs to another model");
    if (item->flags & ~GLA_FEED_LOGITS)
        return gla__fail(diag, GLA_E_INVALID, "flags 0x%" PRIx32 ": not known", item->flags);
    if (item->logits && item->n_logits > item->n_tokens)
        return gla__fail(diag, GLA_E_INVALID, "logits of the last %zu tokens wanted, but %zu fed",
                         item->n_logits, item->n_tokens);
    for (size_t i = 0; i < item->n_tokens; i++)
        if (item->tokens[i] < 0 || (uint32_t)item->tokens[i] >= vocab)
            return gla__fail(diag, GLA_E_INVALID,
                             "token %" PRId32 " at %zu is not in the vocabulary of %" PRIu32,
                             item->tokens[i], i, vocab);
    if (atomic_flag_test_and_set(&item->session->feeding))
        return gla__fail(diag, GLA_E_INVALID,
                         "its session is an item before it as well, or fed by another thread");
    return GLA_OK;
}

static gla_status read_items(feed *f, const gla_feed_item *items, size_t item_size, gla_diag *diag)
{
    const char *from = (const char *)items;
    gla_status st = GLA_OK;

    f->items = gla__alloc_array(f->n_items, sizeof(*f->items));
    if (!f->items)
        return gla__fail_nomem(diag, "a batch");
    for (size_t i = 0; i < f->n_items && !st; i++)
        st = gla__read_element(gla_feed_item, reserved, &f->items[i], from + i * item_size,
                               item_size, diag);
    return st;
}

/* Checks all items and marks their sessions, which also finds one that is listed twice. */
static gla_status enter(feed *f, gla_diag *diag)
{
    for (size_t i = 0; i < f->n_items; i++) {
        const gla_status st = check_item(f->model, &f->items[i], diag);

        if (st) {
            gla__at_format(diag, "item %zu", i);
            while (i--)
                atomic_flag_clear(&f->items[i].session->feeding);
            return st;
        }
    }
    return GLA_OK;
}

static void leave(feed *f)
{
    for (size_t i = 0; i < f->n_items; i++)
        atomic_flag_clear(&f->items[i].session->feeding);
}

static uint32_t min_u32(size_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

static gla_status make_arrays(feed *f, gla_diag *diag)
{
    size_t total = 0;

    for (size_t i = 0; i < f->n_items && total < f->model->max_batch_rows; i++)
        total += f->items[i].n_tokens < f->model->max_batch_rows ? f->items[i].n_tokens
                                                                 : f->model->max_batch_rows;
    f->max_rows = min_u32(total, f->model->max_batch_rows);
    f->max_sequences = min_u32(f->n_items, f->model->max_sequences);
    f->done = gla__alloc_array(f->n_items, sizeof(*f->done));
    f->item = gla__alloc_array(f->max_sequences, sizeof(*f->item));
    f->row_offset = gla__alloc_array((size_t)f->max_sequences + 1, sizeof(*f->row_offset));
    f->position = gla__alloc_array(f->max_sequences, sizeof(*f->position));
    f->states = gla__alloc_array(f->max_sequences, sizeof(*f->states));
    f->tokens = gla__alloc_array(f->max_rows, sizeof(*f->tokens));
    f->logit_rows = gla__alloc_array(f->max_rows, sizeof(*f->logit_rows));
    f->logits = gla__alloc_array(f->max_rows, sizeof(*f->logits));
    if (!f->done || !f->item || !f->row_offset || !f->position || !f->states || !f->tokens ||
        !f->logit_rows || !f->logits)
        return gla__fail_nomem(diag, "a batch");
    return GLA_OK;
}

static void free_arrays(feed *f)
{
    gla__free(f->items);
    gla__free(f->done);
    gla__free(f->item);
    gla__free(f->row_offset);
    gla__free(f->position);
    gla__free((void *)f->states);
    gla__free(f->tokens);
    gla__free(f->logit_rows);
    gla__free(f->logits);
}

/* Takes the next n tokens of item i into the batch. */
static gla_status take(feed *f, size_t i, uint32_t n, gla_diag *diag)
{
    const gla_feed_item *item = &f->items[i];
    const size_t done = f->done[i], vocab = gla_model_vocab_size(f->model);
    const size_t first_logit = item->n_tokens - rows_wanted(item);
    const uint32_t s = f->n_sequences;
    const bool keeps = first_logit < item->n_tokens && done + n == item->n_tokens;
    const gla_status st = gla__session_reserve(item->session, n, keeps, diag);

    if (st)
        return st;
    f->item[s] = i;
    f->position[s] = item->session->seq.position;
    f->states[s] = item->session->seq.states;
    memcpy(f->tokens + f->n_rows, item->tokens + done, n * sizeof(*f->tokens));
    for (uint32_t t = 0; t < n; t++) {
        if (done + t < first_logit)
            continue;
        f->logit_rows[f->n_logits] = f->n_rows + t;
        f->logits[f->n_logits++] = rows_given(item)
                                       ? item->logits + (done + t - first_logit) * vocab
                                       : item->session->seq.logits;
    }
    f->n_rows += n;
    f->row_offset[++f->n_sequences] = f->n_rows;
    return GLA_OK;
}

/* How many tokens of item i go into this batch: up to the end, the room or the next snapshot. */
static uint32_t next_tokens(feed *f, size_t i)
{
    const gla_feed_item *item = &f->items[i];
    size_t n;

    if (!f->done[i] && item->n_tokens)
        f->done[i] =
            gla__session_resume(item->session, item->tokens, item->n_tokens - rows_wanted(item));
    n = item->n_tokens - f->done[i];
    if (n > gla__session_border(item->session))
        n = gla__session_border(item->session);
    return min_u32(n, f->max_rows - f->n_rows);
}

/* Fills the batch; an empty one means that everything has run. */
static gla_status fill(feed *f, gla_diag *diag)
{
    f->n_sequences = f->n_rows = f->n_logits = 0;
    f->row_offset[0] = 0;
    while (f->first < f->n_items && f->done[f->first] == f->items[f->first].n_tokens)
        f->first++;
    for (size_t i = f->first;
         i < f->n_items && f->n_rows < f->max_rows && f->n_sequences < f->max_sequences; i++) {
        const uint32_t bypass = f->items[i].session->set.bypass;
        uint32_t n;
        gla_status st;

        if (f->n_sequences && bypass != f->bypass)
            continue;
        n = next_tokens(f, i);
        if (!n)
            continue;
        f->bypass = bypass;
        st = take(f, i, n, diag);
        if (st)
            return st;
    }
    return GLA_OK;
}

/* Sessions of a batch that did not run: gives back what was reserved for it. */
static void drop_batch(feed *f)
{
    for (uint32_t s = 0; s < f->n_sequences; s++)
        gla__sequence_trim(&f->items[f->item[s]].session->seq);
}

static gla_status run_filled(feed *f, gla_diag *diag)
{
    const gla__run run = {.n_sequences = f->n_sequences,
                          .n_rows = f->n_rows,
                          .row_offset = f->row_offset,
                          .position = f->position,
                          .tokens = f->tokens,
                          .states = f->states,
                          .n_logits = f->n_logits,
                          .logit_rows = f->logit_rows,
                          .logits = f->logits,
                          .seconds = f->seconds,
                          .bypass = f->bypass};
    const size_t vocab = gla_model_vocab_size(f->model);
    gla_status st;

    for (uint32_t s = 0; s < f->n_sequences; s++) {
        const gla_feed_item *item = &f->items[f->item[s]];

        if (rows_wanted(item) && !rows_given(item)) /* the run may write there, and fail then */
            item->session->seq.has_logits = false;
    }
    st = gla__model_run(f->model, f->workspace, &run, diag);
    for (uint32_t s = 0; s < f->n_sequences; s++) {
        const size_t i = f->item[s];
        const uint32_t first = f->row_offset[s], n = f->row_offset[s + 1] - first;
        const gla_feed_item *item = &f->items[i];
        gla_session *session = item->session;

        if (st) {
            gla__session_rollback(session);
            continue;
        }
        f->done[i] += n;
        gla__session_advance(session, f->tokens + first, n,
                             item->n_tokens > 1 && f->done[i] == item->n_tokens);
        if (rows_wanted(item) && f->done[i] == item->n_tokens)
            gla__sequence_keep_logits(&session->seq,
                                      rows_given(item) ? item->logits + (item->n_logits - 1) * vocab
                                                       : session->seq.logits);
    }
    return st;
}

static bool cancelled(const feed *f, gla_progress_fn *progress, void *ctx)
{
    uint64_t done = 0, total = 0;

    for (size_t i = 0; progress && i < f->n_items; i++) {
        done += f->done[i];
        total += f->items[i].n_tokens;
    }
    return progress && progress(ctx, "feed", done, total);
}

static gla_status run_all(feed *f, gla_progress_fn *progress, void *ctx, gla_diag *diag)
{
    for (;;) {
        gla_status st;

        if (cancelled(f, progress, ctx))
            return gla__fail(diag, GLA_E_CANCELLED, "cancelled");
        st = fill(f, diag);
        if (st) {
            drop_batch(f);
            return st;
        }
        if (!f->n_rows)
            return GLA_OK;
        st = run_filled(f, diag);
        if (st)
            return st;
    }
}

static gla_status run(feed *f, gla_progress_fn *progress, void *ctx, gla_diag *diag)
{
    const uint32_t threads = gla__parallel_use(f->model->threads);
    gla_status st = make_arrays(f, diag);

    if (!st)
        st = gla__workspace_get(f->model, &f->workspace, diag);
    if (!st) {
        st = run_all(f, progress, ctx, diag);
        gla__workspace_put(f->model, f->workspace);
    }
    gla__parallel_use(threads);
    return st;
}

gla_status gla__feed(const gla_feed_item *items, size_t n_items, size_t item_size,
                     gla_progress_fn *progress, void *ctx, double *seconds, gla_diag *diag)
{
    feed f = {.n_items = n_items, .seconds = seconds};
    gla_status st;

    if (!n_items)
        return GLA_OK;
    if (!items || !items[0].session)
        return gla__fail(diag, GLA_E_INVALID, "no session to feed");
    f.model = items[0].session->model;
    st = read_items(&f, items, item_size, diag);
    if (!st)
        st = enter(&f, diag);
    if (!st) {
        st = run(&f, progress, ctx, diag);
        leave(&f);
    }
    free_arrays(&f);
    return st;
}

gla_status gla_feed(const gla_feed_item *items, size_t n_items, size_t item_size,
                    gla_progress_fn *progress, void *ctx, gla_diag *diag)
{
    return gla__feed(items, n_items, item_size, progress, ctx, NULL, diag);
}

gla_status gla_session_feed(gla_session *s, const int32_t *tokens, size_t n, uint32_t flags,
                            gla_diag *diag)
{
    const gla_feed_item item = {.session = s, .tokens = tokens, .n_tokens = n, .flags = flags};

    return gla_feed(&item, 1, sizeof(item), NULL, NULL, diag);
}
