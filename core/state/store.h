/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h - the memory that the sequences of one model live in
 *
 * KV pages (reference counted, shared by sequences, snapshots and the prefix cache), blocks of
 * fixed state, and what sequences remember beside them (tokens, page tables, logits).  Every byte
 * is charged to one of the model's counters and to one budget.  When the
 * budget or the machine has no more, reclaim() is asked to give something back (the prefix cache
 * does) before an allocation fails.
 *
 * A page is known by the address of its data.  Pages that a sequence uses count as kv, those that
 * only snapshots and the cache still hold count as cache.  A page may be written by its holder when
 * gla__page_is_own() says that there is no other.
 *
 * Everything here is [thread-safe].
 */
#ifndef GLA_STATE_STORE_H
#define GLA_STATE_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "state/layout.h"

/* Bytes living now, as gla_memory has them. */
typedef struct gla__usage {
    atomic_ullong kv, state, history, cache;
} gla__usage;

typedef struct gla__store {
    const gla__state_layout *layout;
    gla__usage *usage;
    uint32_t vocab, max_rows; /* of the model: numbers of a row of logits, tokens of a batch */
    atomic_ullong used;       /* all of usage together */
    atomic_ullong budget;     /* UINT64_MAX: none */
    pthread_mutex_t lock;     /* of who holds which page */
    /* Gives back about `bytes`; false when there is nothing left to give. */
    bool (*reclaim)(void *ctx, uint64_t bytes);
    void *reclaim_ctx;
} gla__store;

/* budget none, reclaim NULL.  layout and usage outlive the store. */
void gla__store_init(gla__store *s, const gla__state_layout *layout, gla__usage *usage,
                     uint32_t vocab, uint32_t max_rows);
void gla__store_deinit(gla__store *s);

/* Zeroed memory counted in *counter (one of usage).  GLA_E_LIMIT when the budget has no
 * room, GLA_E_NOMEM when the machine has none; `what` stands in the message. */
gla_status gla__store_alloc(gla__store *s, atomic_ullong *counter, size_t bytes, const char *what,
                            void **out, gla_diag *diag);
/* The same, but at once NULL instead of asking reclaim(): for the prefix cache itself. */
void *gla__store_try(gla__store *s, atomic_ullong *counter, size_t bytes);
/* bytes: as allocated.  NULL allowed. */
void gla__store_free(gla__store *s, atomic_ullong *counter, void *p, size_t bytes);

typedef enum gla__holder { GLA__HOLDER_SEQUENCE, GLA__HOLDER_CACHE } gla__holder;

/* A zeroed page of `bytes`, held once by a sequence. */
gla_status gla__page_new(gla__store *s, size_t bytes, uint8_t **out, gla_diag *diag);
void gla__pages_hold(gla__store *s, uint8_t *const *pages, size_t n, gla__holder holder);
void gla__pages_release(gla__store *s, uint8_t *const *pages, size_t n, gla__holder holder);
bool gla__page_is_own(const uint8_t *page); /* nobody else holds it */
size_t gla__page_bytes(const uint8_t *page);

#endif
