/* SPDX-License-Identifier: Apache-2.0
 *
 * shared.c - what the sessions of a model share: pages, prefix cache, one budget
 */
#include <gla/session.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/sized.h"
#include "runtime/sessions.h"

#define DEFAULT_CACHE_BYTES (UINT64_C(512) << 20)

void gla__shared_free(gla__shared *shared)
{
    if (!shared)
        return;
    gla__prefix_destroy(shared->prefix);
    gla__store_deinit(&shared->store);
    gla__free(shared);
}

static bool reclaim(void *ctx, uint64_t bytes)
{
    gla__shared *shared = ctx;

    return gla__prefix_give(shared->prefix, bytes);
}

static gla__shared *shared_new(gla_model *m)
{
    gla__shared *shared = gla__alloc_zero(sizeof(*shared));

    if (!shared)
        return NULL;
    gla__store_init(&shared->store, &m->layout, &m->usage, m->arch->vocab_size, m->max_batch_rows);
    shared->prefix = gla__prefix_create(&shared->store, DEFAULT_CACHE_BYTES);
    if (!shared->prefix) {
        gla__shared_free(shared);
        return NULL;
    }
    shared->store.reclaim = reclaim;
    shared->store.reclaim_ctx = shared;
    return shared;
}

gla_status gla__shared_get(gla_model *m, gla__shared **out, gla_diag *diag)
{
    gla_status st = GLA_OK;

    pthread_mutex_lock(&m->lock);
    if (!m->shared) {
        m->shared = shared_new(m);
        if (!m->shared)
            st = gla__fail_nomem(diag, "the sessions of a model");
    }
    *out = m->shared;
    pthread_mutex_unlock(&m->lock);
    return st;
}

void gla_model_cache_stats(gla_model *m, gla_cache_stats *out, size_t size)
{
    gla_cache_stats stats = {0};
    gla__shared *shared;

    if (!gla__shared_get(m, &shared, NULL))
        gla__prefix_stats(shared->prefix, &stats);
    gla__write_struct(out, size, &stats, sizeof(stats));
}

const char *gla_cache_reason_text(uint32_t reason)
{
    static const char *const text[GLA_CACHE_REASON_COUNT] = {
        "the prefix cache was not asked",
        "resumed where the cached text ends",
        "resumed at the last snapshot of the cached text",
        "the prefix cache is empty",
        "no cached text begins with these tokens",
        "no snapshot was taken in the part that matches",
        "the text was cached and gave way to newer ones",
        "the text is cached with another KV dtype",
        "no memory to take the cached text over",
    };

    return reason < GLA_CACHE_REASON_COUNT ? text[reason] : "unknown";
}

gla_status gla_model_cache_set_budget(gla_model *m, uint64_t bytes, gla_diag *diag)
{
    gla__shared *shared;
    const gla_status st = gla__shared_get(m, &shared, diag);

    if (!st)
        gla__prefix_set_budget(shared->prefix, bytes);
    return st;
}

gla_status gla_model_set_budget(gla_model *m, uint64_t bytes, gla_diag *diag)
{
    gla__shared *shared;
    const gla_status st = gla__shared_get(m, &shared, diag);

    if (!st)
        atomic_store(&shared->store.budget, bytes);
    return st;
}
