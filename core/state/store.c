/* SPDX-License-Identifier: Apache-2.0 */
#include "state/store.h"

#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"

/* Stands in front of the data of a page, in the same allocation. */
typedef struct page_head {
    _Alignas(64) atomic_uint holders; /* all of them */
    unsigned sequences;               /* of those, sequences; under the store's lock */
    size_t bytes;                     /* of the data */
} page_head;

static page_head *head_of(uint8_t *page)
{
    return (page_head *)(void *)page - 1;
}

static const page_head *const_head_of(const uint8_t *page)
{
    return (const page_head *)(const void *)page - 1;
}

void gla__store_init(gla__store *s, const gla__state_layout *layout, gla__usage *usage,
                     uint32_t vocab, uint32_t max_rows)
{
    memset(s, 0, sizeof(*s));
    s->layout = layout;
    s->usage = usage;
    s->vocab = vocab;
    s->max_rows = max_rows;
    atomic_init(&s->used, 0);
    atomic_init(&s->budget, UINT64_MAX);
    pthread_mutex_init(&s->lock, NULL);
}

void gla__store_deinit(gla__store *s)
{
    pthread_mutex_destroy(&s->lock);
}

static bool charge(gla__store *s, size_t bytes)
{
    const unsigned long long before = atomic_fetch_add(&s->used, bytes);

    if (before + bytes <= atomic_load(&s->budget))
        return true;
    atomic_fetch_sub(&s->used, bytes);
    return false;
}

/* `uncounted` bytes come on top: bookkeeping that the counters leave out, so that kv is what a
 * model's description predicts. */
static void *try_alloc(gla__store *s, atomic_ullong *counter, size_t bytes, size_t uncounted)
{
    void *p;

    if (!charge(s, bytes))
        return NULL;
    p = gla__alloc_zero(bytes + uncounted);
    if (!p) {
        atomic_fetch_sub(&s->used, bytes);
        return NULL;
    }
    atomic_fetch_add(counter, bytes);
    return p;
}

static gla_status alloc_or_reclaim(gla__store *s, atomic_ullong *counter, size_t bytes,
                                   size_t uncounted, const char *what, void **out, gla_diag *diag)
{
    do {
        *out = try_alloc(s, counter, bytes, uncounted);
        if (*out)
            return GLA_OK;
    } while (s->reclaim && s->reclaim(s->reclaim_ctx, bytes));

    if (atomic_load(&s->used) + bytes <= atomic_load(&s->budget))
        return gla__fail_nomem(diag, what);
    gla__fail(diag, GLA_E_LIMIT, "%s of %zu bytes: %llu of the budget of %llu bytes are in use",
              what, bytes, atomic_load(&s->used), atomic_load(&s->budget));
    gla__hint(diag, "raise the budget, or end sessions that are not needed");
    return GLA_E_LIMIT;
}

void *gla__store_try(gla__store *s, atomic_ullong *counter, size_t bytes)
{
    return try_alloc(s, counter, bytes, 0);
}

gla_status gla__store_alloc(gla__store *s, atomic_ullong *counter, size_t bytes, const char *what,
                            void **out, gla_diag *diag)
{
    return alloc_or_reclaim(s, counter, bytes, 0, what, out, diag);
}

void gla__store_free(gla__store *s, atomic_ullong *counter, void *p, size_t bytes)
{
    if (!p)
        return;
    gla__free(p);
    atomic_fetch_sub(counter, bytes);
    atomic_fetch_sub(&s->used, bytes);
}

gla_status gla__page_new(gla__store *s, size_t bytes, uint8_t **out, gla_diag *diag)
{
    page_head *head;
    void *p;
    gla_status st;

    *out = NULL;
    st = alloc_or_reclaim(s, &s->usage->kv, bytes, sizeof(page_head), "a KV page", &p, diag);
    if (st)
        return st;
    head = p;
    atomic_init(&head->holders, 1);
    head->sequences = 1;
    head->bytes = bytes;
    *out = (uint8_t *)(head + 1);
    return GLA_OK;
}

/* Moves the bytes of a page between the counters as its first sequence comes or its last goes. */
static void recount(atomic_ullong *from, atomic_ullong *to, const page_head *head)
{
    atomic_fetch_add(to, head->bytes);
    atomic_fetch_sub(from, head->bytes);
}

void gla__pages_hold(gla__store *s, uint8_t *const *pages, size_t n, gla__holder holder)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        page_head *head = head_of(pages[i]);

        atomic_fetch_add(&head->holders, 1);
        if (holder == GLA__HOLDER_SEQUENCE && head->sequences++ == 0)
            recount(&s->usage->cache, &s->usage->kv, head);
    }
    pthread_mutex_unlock(&s->lock);
}

void gla__pages_release(gla__store *s, uint8_t *const *pages, size_t n, gla__holder holder)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        page_head *head = head_of(pages[i]);

        if (holder == GLA__HOLDER_SEQUENCE && --head->sequences == 0)
            recount(&s->usage->kv, &s->usage->cache, head);
        if (atomic_fetch_sub(&head->holders, 1) == 1)
            gla__store_free(s, &s->usage->cache, head, head->bytes);
    }
    pthread_mutex_unlock(&s->lock);
}

bool gla__page_is_own(const uint8_t *page)
{
    return atomic_load(&const_head_of(page)->holders) == 1;
}

size_t gla__page_bytes(const uint8_t *page)
{
    return const_head_of(page)->bytes;
}
