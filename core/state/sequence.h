/* SPDX-License-Identifier: Apache-2.0
 *
 * sequence.h - the tokens of one text and all states at its end
 *
 * Per-token states have a table of pages each, fixed states lie in one block.  A sequence is driven
 * by one thread at a time.  One step:
 *
 *     gla__sequence_reserve(q, n, diag)      everything the step needs; the only part that may fail
 *     gla__model_run(... q->states ...)      n tokens from q->position on
 *     gla__sequence_advance(q, tokens, n)
 *
 * Logits are kept until the next step, so that a copy, or a file, can go on without computing the
 * last token again.  Tables always hold exactly the pages that the position needs
 * (gla__kv_first_page to the page of the last token), so that what a view shows depends on the
 * position alone.
 */
#ifndef GLA_STATE_SEQUENCE_H
#define GLA_STATE_SEQUENCE_H

#include "math/kv.h"
#include "state/store.h"

typedef struct gla__kv_table {
    uint8_t **pages; /* [n] */
    size_t n, capacity;
    uint64_t first; /* number of pages[0] in the sequence */
    size_t page_bytes;
    uint32_t window; /* 0: all tokens are kept */
    uint32_t entry;  /* index into layout->entries */
} gla__kv_table;

typedef struct gla__sequence {
    gla__store *store;
    uint64_t position;
    uint32_t kv_dtype;
    uint32_t n_tables;
    int32_t *tokens; /* [position] */
    size_t token_capacity;
    float *logits; /* [store->vocab] of the last token if has_logits; NULL until they are kept */
    bool has_logits;
    float *fixed;          /* layout->fixed_bytes */
    gla__kv_table *tables; /* [n_tables] per-token states, in the order of the layout */
    gla__kv_view *views;   /* [n_tables] */
    void **states;         /* [layout->n_entries] for gla__run: float * or gla__kv_view * */
} gla__sequence;

/* Number of the first page that the token at `position` and later ones attend to. */
static inline uint64_t gla__kv_first_page(uint64_t position, uint32_t window)
{
    return window && position + 1 > window ? (position + 1 - window) / GLA__KV_PAGE_TOKENS : 0;
}

/* Pages of `position` tokens, counted from the beginning. */
static inline uint64_t gla__kv_end_page(uint64_t position)
{
    return (position + GLA__KV_PAGE_TOKENS - 1) / GLA__KV_PAGE_TOKENS;
}

/* Pages that a table holds at a position. */
static inline uint64_t gla__kv_pages(uint64_t position, uint32_t window)
{
    const uint64_t end = gla__kv_end_page(position), first = gla__kv_first_page(position, window);

    return end > first ? end - first : 0;
}

/* Arrays that grow have room for 8, 12, 18, 27, ... items, so that what they take follows from the
 * most that they ever held. */
static inline uint64_t gla__room(uint64_t n)
{
    uint64_t room = n ? 8 : 0;

    while (room < n)
        room += room / 2;
    return room;
}

/* Pages that a table has room for when it holds the one of `position`; with a window always the
 * same number, enough for the window and a batch. */
static inline uint64_t gla__kv_room(uint64_t position, uint32_t window, uint32_t max_rows)
{
    const uint64_t windowed = ((uint64_t)window + max_rows) / GLA__KV_PAGE_TOKENS + 2;

    return gla__room(!position ? 0 : window ? windowed : gla__kv_end_page(position));
}

/* At position 0.  On failure *q is zeroed. */
gla_status gla__sequence_init(gla__sequence *q, gla__store *store, uint32_t kv_dtype,
                              gla_diag *diag);
void gla__sequence_deinit(gla__sequence *q); /* also a zeroed one */
void gla__sequence_reset(gla__sequence *q);

/* Room for n more tokens: history, pages, none of them shared.  A failure changes nothing. */
gla_status gla__sequence_reserve(gla__sequence *q, size_t n, gla_diag *diag);
/* n tokens were run: takes them into the history, lets go of pages that left their window. */
void gla__sequence_advance(gla__sequence *q, const int32_t *tokens, size_t n);
/* Room for the logits of the last token; a failure changes nothing. */
gla_status gla__sequence_reserve_logits(gla__sequence *q, gla_diag *diag);
/* What the model said after the last token; room was reserved. */
void gla__sequence_keep_logits(gla__sequence *q, const float *logits);
/* Gives back what was reserved and not used. */
void gla__sequence_trim(gla__sequence *q);

/* Room in history and tables for a position of `n` tokens, without pages. */
gla_status gla__sequence_make_room(gla__sequence *q, uint64_t n, gla_diag *diag);
/* *dst, uninitialised, becomes the same sequence; pages are shared.  On failure it is zeroed. */
gla_status gla__sequence_copy(gla__sequence *dst, const gla__sequence *src, gla_diag *diag);

/* Whether the states at n <= position follow from those at hand: no fixed state, no page of a
 * window gone. */
bool gla__sequence_can_cut(const gla__sequence *q, uint64_t n);
/* Cuts history and the tables that keep all tokens; windowed tables too as far as they have the
 * pages, fixed states not at all. */
void gla__sequence_cut(gla__sequence *q, uint64_t n);

uint64_t gla__sequence_kv_bytes(const gla__sequence *q); /* shared pages counted in full */
/* Tokens, page tables and logits. */
uint64_t gla__sequence_history_bytes(const gla__sequence *q);

#endif
