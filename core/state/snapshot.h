/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.h - the states of a sequence frozen at a position, and the ring of them that it keeps
 *
 * A snapshot holds what a later position does not: a copy of the fixed states and the pages of
 * windowed caches.  Pages of caches that keep all tokens are not in it; whoever restores has them.
 * Snapshots are immutable and counted, so forks and the prefix cache share them.  [thread-safe]
 *
 * A ring keeps the snapshots of one sequence, sorted by position, within a budget of bytes.  Over
 * the budget it thins out: the further back, the wider apart, so that cutting back a little replays
 * little and cutting back far still does not begin at 0.  Marks (turn ends) stay longer.  A ring
 * belongs to one thread at a time.
 */
#ifndef GLA_STATE_SNAPSHOT_H
#define GLA_STATE_SNAPSHOT_H

#include "state/sequence.h"

typedef struct gla__snapshot_window {
    uint64_t first;  /* number of the first page */
    size_t start, n; /* in gla__snapshot.pages */
} gla__snapshot_window;

typedef struct gla__snapshot {
    atomic_uint refs;
    uint32_t n_tables;
    uint64_t position;
    uint64_t bytes; /* what it keeps alive: fixed states and pages */
    gla__store *store;
    float *fixed;                  /* layout->fixed_bytes */
    gla__snapshot_window *windows; /* [n_tables]; n is 0 for tables that keep all tokens */
    uint8_t **pages;
} gla__snapshot;

/* Whether positions of this layout need snapshots to be come back to. */
bool gla__snapshot_needed(const gla__state_layout *layout);

/* Freezes q. */
gla_status gla__snapshot_take(const gla__sequence *q, gla__snapshot **out, gla_diag *diag);
/* What q was at a position, all zero: for who loads it. */
gla_status gla__snapshot_blank(const gla__sequence *q, uint64_t position, gla__snapshot **out,
                               gla_diag *diag);
gla__snapshot *gla__snapshot_ref(gla__snapshot *p);
void gla__snapshot_unref(gla__snapshot *p); /* NULL allowed */

/* Brings q, which has reached p->position with its history and full tables, back to it; p NULL:
 * to 0.  Cannot fail. */
void gla__snapshot_restore(gla__sequence *q, const gla__snapshot *p);
/* *dst, uninitialised, becomes what src was at p (NULL: at 0).  On failure it is zeroed. */
gla_status gla__snapshot_resume(gla__sequence *dst, const gla__sequence *src,
                                const gla__snapshot *p, gla_diag *diag);

typedef struct gla__ring_slot {
    gla__snapshot *snapshot;
    bool mark;
} gla__ring_slot;

typedef struct gla__ring {
    gla__ring_slot *slots; /* [n], ascending positions */
    size_t n, capacity;
    uint64_t bytes, budget;
} gla__ring;

void gla__ring_clear(gla__ring *r); /* the budget stays */
/* Takes a reference of its own; one at the same position is kept, and becomes a mark if asked.
 * False when there is no memory or it alone is over the budget. */
bool gla__ring_add(gla__ring *r, gla__snapshot *p, bool mark);
bool gla__ring_copy(gla__ring *dst, const gla__ring *src); /* into an empty one */
/* Forgets what lies after position n. */
void gla__ring_cut(gla__ring *r, uint64_t n);
/* Forgets the one least worth having; false when there is none. */
bool gla__ring_give(gla__ring *r);
/* The last one at or before n; NULL: none.  Not counted for the caller. */
gla__snapshot *gla__ring_find(const gla__ring *r, uint64_t n);
/* The most tokens that cutting back to any position up to `position` replays. */
uint64_t gla__ring_worst_replay(const gla__ring *r, uint64_t position);

#endif
