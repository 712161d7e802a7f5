/* SPDX-License-Identifier: Apache-2.0 */
#include "state/sequence.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"

#define MAX_TOKENS (UINT64_C(1) << 32)

static gla_status init_tables(gla__sequence *q, gla_diag *diag)
{
    const gla__state_layout *l = q->store->layout;
    uint32_t n = 0;

    q->tables = gla__alloc_array(l->n_per_token, sizeof(*q->tables));
    q->views = gla__alloc_array(l->n_per_token, sizeof(*q->views));
    q->states = gla__alloc_array(l->n_entries, sizeof(*q->states));
    if (!q->tables || !q->views || !q->states)
        return gla__fail_nomem(diag, "a sequence");
    for (uint32_t i = 0; i < l->n_entries; i++) {
        const gla_state_desc *d = &l->entries[i].desc;
        gla__kv_page_layout page;

        if (d->kind == GLA_STATE_FIXED) {
            q->states[i] = (char *)q->fixed + l->entries[i].offset;
            continue;
        }
        gla__kv_page(q->kv_dtype, d->kv_heads, d->k_dim, d->v_dim, &page);
        q->tables[n] = (gla__kv_table){.page_bytes = page.bytes, .window = d->window, .entry = i};
        q->views[n] = (gla__kv_view){.dtype = q->kv_dtype,
                                     .q_heads = d->q_heads,
                                     .kv_heads = d->kv_heads,
                                     .k_dim = d->k_dim,
                                     .v_dim = d->v_dim,
                                     .window = d->window};
        q->states[i] = &q->views[n++];
    }
    q->n_tables = n;
    return GLA_OK;
}

gla_status gla__sequence_init(gla__sequence *q, gla__store *store, uint32_t kv_dtype,
                              gla_diag *diag)
{
    void *fixed;
    gla_status st;

    memset(q, 0, sizeof(*q));
    q->store = store;
    q->kv_dtype = kv_dtype;
    st = gla__store_alloc(store, &store->usage->state, store->layout->fixed_bytes,
                          "the recurrent states of a sequence", &fixed, diag);
    if (st)
        goto fail;
    q->fixed = fixed;
    st = init_tables(q, diag);
    if (st)
        goto fail;
    return GLA_OK;

fail:
    gla__sequence_deinit(q);
    return st;
}

static size_t logits_bytes(const gla__sequence *q)
{
    return q->store->vocab * sizeof(*q->logits);
}

static void free_history(gla__sequence *q, void *p, size_t bytes)
{
    gla__store_free(q->store, &q->store->usage->history, p, bytes);
}

static void release_from(gla__sequence *q, gla__kv_table *t, size_t keep)
{
    if (t->n > keep) {
        gla__pages_release(q->store, t->pages + keep, t->n - keep, GLA__HOLDER_SEQUENCE);
        t->n = keep;
    }
}

void gla__sequence_deinit(gla__sequence *q)
{
    for (uint32_t i = 0; i < q->n_tables; i++) {
        gla__kv_table *t = &q->tables[i];

        release_from(q, t, 0);
        free_history(q, t->pages, t->capacity * sizeof(*t->pages));
    }
    gla__free(q->tables);
    gla__free(q->views);
    gla__free(q->states);
    if (q->store) {
        free_history(q, q->tokens, q->token_capacity * sizeof(*q->tokens));
        free_history(q, q->logits, logits_bytes(q));
        gla__store_free(q->store, &q->store->usage->state, q->fixed, q->store->layout->fixed_bytes);
    }
    memset(q, 0, sizeof(*q));
}

void gla__sequence_reset(gla__sequence *q)
{
    for (uint32_t i = 0; i < q->n_tables; i++) {
        release_from(q, &q->tables[i], 0);
        q->tables[i].first = 0;
    }
    memset(q->fixed, 0, q->store->layout->fixed_bytes);
    q->position = 0;
    q->has_logits = false;
}

/* ---- growing ---- */

static void show_pages(gla__sequence *q)
{
    for (uint32_t i = 0; i < q->n_tables; i++) {
        q->views[i].pages = q->tables[i].pages;
        q->views[i].n_pages = (uint32_t)q->tables[i].n;
        q->views[i].first_token = q->tables[i].first * GLA__KV_PAGE_TOKENS;
    }
}

static gla_status grow_to(gla__sequence *q, void **array, size_t *capacity, uint64_t wanted,
                          size_t size, gla_diag *diag)
{
    const uint64_t n = gla__room(wanted);
    void *grown;
    size_t bytes;
    gla_status st;

    if (wanted <= *capacity)
        return GLA_OK;
    if (!gla__mul_size((size_t)n, size, &bytes))
        return gla__fail_nomem(diag, "the history of a sequence");
    st = gla__store_alloc(q->store, &q->store->usage->history, bytes, "the history of a sequence",
                          &grown, diag);
    if (st)
        return st;
    if (*array)
        memcpy(grown, *array, *capacity * size);
    free_history(q, *array, *capacity * size);
    *array = grown;
    *capacity = (size_t)n;
    return GLA_OK;
}

gla_status gla__sequence_make_room(gla__sequence *q, uint64_t n, gla_diag *diag)
{
    gla_status st;

    if (n > MAX_TOKENS)
        return gla__fail(diag, GLA_E_LIMIT, "a sequence of more than %" PRIu64 " tokens",
                         MAX_TOKENS);
    st = grow_to(q, (void **)&q->tokens, &q->token_capacity, n, sizeof(*q->tokens), diag);
    for (uint32_t i = 0; !st && i < q->n_tables; i++) {
        gla__kv_table *t = &q->tables[i];
        /* A window also fits as it stands at any position: what restores a snapshot must not
         * fail. */
        const uint64_t room = gla__kv_room(n, t->window, q->store->max_rows);
        const uint64_t needed = gla__kv_end_page(n) - t->first;

        st = grow_to(q, (void **)&t->pages, &t->capacity, needed > room ? needed : room,
                     sizeof(*t->pages), diag);
    }
    return st;
}

gla_status gla__sequence_reserve_logits(gla__sequence *q, gla_diag *diag)
{
    void *p;
    gla_status st;

    if (q->logits)
        return GLA_OK;
    st = gla__store_alloc(q->store, &q->store->usage->history, logits_bytes(q),
                          "the logits of a sequence", &p, diag);
    q->logits = p;
    return st;
}

void gla__sequence_keep_logits(gla__sequence *q, const float *logits)
{
    if (logits != q->logits)
        memcpy(q->logits, logits, logits_bytes(q));
    q->has_logits = true;
}

/* Replaces a page that others hold too by a copy. */
static gla_status own_page(gla__sequence *q, gla__kv_table *t, size_t i, gla_diag *diag)
{
    uint8_t *copy;
    gla_status st;

    if (gla__page_is_own(t->pages[i]))
        return GLA_OK;
    st = gla__page_new(q->store, t->page_bytes, &copy, diag);
    if (st)
        return st;
    memcpy(copy, t->pages[i], t->page_bytes);
    gla__pages_release(q->store, &t->pages[i], 1, GLA__HOLDER_SEQUENCE);
    t->pages[i] = copy;
    return GLA_OK;
}

static gla_status reserve_table(gla__sequence *q, gla__kv_table *t, size_t n, gla_diag *diag)
{
    const uint64_t written = q->position / GLA__KV_PAGE_TOKENS; /* first page to be written */
    const uint64_t end = gla__kv_end_page(q->position + n);
    gla_status st = GLA_OK;

    if (!t->n)
        t->first = gla__kv_first_page(q->position, t->window);
    if (written < t->first + t->n)
        st = own_page(q, t, (size_t)(written - t->first), diag);
    while (!st && t->first + t->n < end) {
        st = gla__page_new(q->store, t->page_bytes, &t->pages[t->n], diag);
        if (!st)
            t->n++;
    }
    return st;
}

gla_status gla__sequence_reserve(gla__sequence *q, size_t n, gla_diag *diag)
{
    uint64_t end;
    gla_status st;

    if (!gla__add_u64(q->position, n, &end))
        end = UINT64_MAX;
    st = gla__sequence_make_room(q, end, diag);
    for (uint32_t i = 0; !st && n && i < q->n_tables; i++)
        st = reserve_table(q, &q->tables[i], n, diag);
    if (st)
        gla__sequence_trim(q);
    show_pages(q);
    return st;
}

void gla__sequence_trim(gla__sequence *q)
{
    for (uint32_t i = 0; i < q->n_tables; i++) {
        gla__kv_table *t = &q->tables[i];
        const uint64_t end = gla__kv_end_page(q->position);

        release_from(q, t, end > t->first ? (size_t)(end - t->first) : 0);
    }
}

/* Lets go of pages that no later token attends to. */
static void drop_passed(gla__sequence *q, gla__kv_table *t)
{
    const uint64_t first = gla__kv_first_page(q->position, t->window);
    const size_t passed = first <= t->first         ? 0
                          : first - t->first < t->n ? (size_t)(first - t->first)
                                                    : t->n;

    if (!passed)
        return;
    gla__pages_release(q->store, t->pages, passed, GLA__HOLDER_SEQUENCE);
    t->n -= passed;
    memmove(t->pages, t->pages + passed, t->n * sizeof(*t->pages));
    t->first = first;
}

void gla__sequence_advance(gla__sequence *q, const int32_t *tokens, size_t n)
{
    memcpy(q->tokens + q->position, tokens, n * sizeof(*tokens));
    q->position += n;
    q->has_logits = false;
    for (uint32_t i = 0; i < q->n_tables; i++)
        drop_passed(q, &q->tables[i]);
    gla__sequence_trim(q);
}

/* ---- forking and cutting ---- */

gla_status gla__sequence_copy(gla__sequence *dst, const gla__sequence *src, gla_diag *diag)
{
    gla_status st = gla__sequence_init(dst, src->store, src->kv_dtype, diag);

    if (st)
        return st;
    for (uint32_t i = 0; i < src->n_tables; i++)
        dst->tables[i].first = src->tables[i].first;
    st = gla__sequence_make_room(dst, src->position, diag);
    if (!st && src->has_logits)
        st = gla__sequence_reserve_logits(dst, diag);
    if (st) {
        gla__sequence_deinit(dst);
        return st;
    }
    for (uint32_t i = 0; i < src->n_tables; i++) {
        const gla__kv_table *from = &src->tables[i];

        if (from->n)
            memcpy(dst->tables[i].pages, from->pages, from->n * sizeof(*from->pages));
        dst->tables[i].n = from->n;
        gla__pages_hold(src->store, from->pages, from->n, GLA__HOLDER_SEQUENCE);
    }
    if (src->position)
        memcpy(dst->tokens, src->tokens, src->position * sizeof(*src->tokens));
    memcpy(dst->fixed, src->fixed, src->store->layout->fixed_bytes);
    dst->position = src->position;
    if (src->has_logits)
        gla__sequence_keep_logits(dst, src->logits);
    return GLA_OK;
}

bool gla__sequence_can_cut(const gla__sequence *q, uint64_t n)
{
    if (n == q->position || n == 0)
        return true;
    if (q->store->layout->fixed_bytes)
        return false;
    for (uint32_t i = 0; i < q->n_tables; i++)
        if (q->tables[i].first > gla__kv_first_page(n, q->tables[i].window))
            return false;
    return true;
}

void gla__sequence_cut(gla__sequence *q, uint64_t n)
{
    q->has_logits = q->has_logits && n == q->position;
    q->position = n;
    gla__sequence_trim(q);
}

uint64_t gla__sequence_kv_bytes(const gla__sequence *q)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < q->n_tables; i++)
        for (size_t j = 0; j < q->tables[i].n; j++)
            bytes += gla__page_bytes(q->tables[i].pages[j]);
    return bytes;
}

uint64_t gla__sequence_history_bytes(const gla__sequence *q)
{
    uint64_t bytes = q->token_capacity * sizeof(*q->tokens) + (q->logits ? logits_bytes(q) : 0);

    for (uint32_t i = 0; i < q->n_tables; i++)
        bytes += q->tables[i].capacity * sizeof(*q->tables[i].pages);
    return bytes;
}
