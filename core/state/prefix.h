/* SPDX-License-Identifier: Apache-2.0
 *
 * prefix.h - the prefix cache: what the sessions of a model have computed, found by its tokens
 *
 * A radix tree over token ids whose edges are blocks of one KV page (64 tokens; a leaf may be
 * shorter).  A node holds the pages of its block in the caches that keep all tokens, and the
 * snapshots taken inside the block.  A lookup matches to the token.  Models without fixed states
 * and windows resume there; others at the nearest snapshot before, and compute the rest again.
 *
 * Nothing here makes a feed fail: what does not fit is not kept.  Least recently used leaves go
 * first when the budget, or anybody's memory, is short.  [thread-safe], except create and destroy.
 */
#ifndef GLA_STATE_PREFIX_H
#define GLA_STATE_PREFIX_H

#include <gla/session.h>

#include "state/snapshot.h"

typedef struct gla__prefix gla__prefix;

/* NULL when out of memory.  The store outlives it. */
gla__prefix *gla__prefix_create(gla__store *store, uint64_t budget);
void gla__prefix_destroy(gla__prefix *p); /* NULL allowed */

/* Keeps q's text up to its position, with `snapshot` (of that position or one before, or NULL). */
void gla__prefix_insert(gla__prefix *p, const gla__sequence *q, gla__snapshot *snapshot);

typedef struct gla__prefix_match {
    uint64_t matched; /* tokens that agree with a cached text */
    uint64_t reused;  /* q's position now */
    uint32_t reason;  /* gla_cache_reason */
} gla__prefix_match;

/* q, at position 0, resumes at the longest cached prefix of tokens[0 .. n); snapshots on the way
 * are added to the ring. */
void gla__prefix_resume(gla__prefix *p, gla__sequence *q, gla__ring *ring, const int32_t *tokens,
                        uint64_t n, gla__prefix_match *out);

/* Lets go of the least recently used until about `bytes` are given back; false: it was empty. */
bool gla__prefix_give(gla__prefix *p, uint64_t bytes);
void gla__prefix_set_budget(gla__prefix *p, uint64_t bytes);
void gla__prefix_stats(gla__prefix *p, gla_cache_stats *out);

#endif
