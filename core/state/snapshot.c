/* SPDX-License-Identifier: Apache-2.0 */
#include "state/snapshot.h"

#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"

bool gla__snapshot_needed(const gla__state_layout *layout)
{
    if (layout->fixed_bytes)
        return true;
    for (uint32_t i = 0; i < layout->n_entries; i++)
        if (layout->entries[i].desc.window)
            return true;
    return false;
}

/* ---- one snapshot ---- */

/* Where the pages of the windows of q stand at the snapshot's position; none is there yet. */
static gla_status make_windows(gla__snapshot *p, const gla__sequence *q, gla_diag *diag)
{
    size_t n = 0;

    p->windows = gla__alloc_array(q->n_tables, sizeof(*p->windows));
    if (!p->windows)
        return gla__fail_nomem(diag, "a snapshot");
    p->n_tables = q->n_tables;
    for (uint32_t i = 0; i < q->n_tables; i++) {
        const uint32_t window = q->tables[i].window;

        p->windows[i].first = gla__kv_first_page(p->position, window);
        p->windows[i].start = n;
        n += window ? (size_t)gla__kv_pages(p->position, window) : 0;
    }
    p->pages = gla__alloc_array(n, sizeof(*p->pages));
    return p->pages ? GLA_OK : gla__fail_nomem(diag, "a snapshot");
}

static gla_status new_snapshot(const gla__sequence *q, uint64_t position, gla__snapshot **out,
                               gla_diag *diag)
{
    gla__store *store = q->store;
    const size_t bytes = store->layout->fixed_bytes;
    gla__snapshot *p = gla__alloc_zero(sizeof(*p));
    void *fixed;
    gla_status st;

    *out = NULL;
    if (!p)
        return gla__fail_nomem(diag, "a snapshot");
    atomic_init(&p->refs, 1);
    p->position = position;
    p->store = store;
    p->bytes = bytes;
    st = gla__store_alloc(store, &store->usage->cache, bytes, "a snapshot", &fixed, diag);
    p->fixed = fixed;
    if (!st)
        st = make_windows(p, q, diag);
    if (st) {
        gla__snapshot_unref(p);
        return st;
    }
    *out = p;
    return GLA_OK;
}

gla_status gla__snapshot_take(const gla__sequence *q, gla__snapshot **out, gla_diag *diag)
{
    gla_status st = new_snapshot(q, q->position, out, diag);

    if (st)
        return st;
    for (uint32_t i = 0; i < q->n_tables; i++) {
        const gla__kv_table *t = &q->tables[i];
        gla__snapshot_window *w = &(*out)->windows[i];

        if (!t->window || !t->n)
            continue;
        w->n = t->n;
        memcpy((*out)->pages + w->start, t->pages, t->n * sizeof(*t->pages));
        gla__pages_hold(q->store, t->pages, t->n, GLA__HOLDER_CACHE);
        (*out)->bytes += t->n * t->page_bytes;
    }
    memcpy((*out)->fixed, q->fixed, q->store->layout->fixed_bytes);
    return GLA_OK;
}

/* The next page of a window, held by the snapshot alone. */
static gla_status add_page(gla__snapshot *p, gla__snapshot_window *w, size_t bytes, gla_diag *diag)
{
    uint8_t *page;
    const gla_status st = gla__page_new(p->store, bytes, &page, diag);

    if (st)
        return st;
    gla__pages_hold(p->store, &page, 1, GLA__HOLDER_CACHE);
    gla__pages_release(p->store, &page, 1, GLA__HOLDER_SEQUENCE);
    p->pages[w->start + w->n++] = page;
    p->bytes += bytes;
    return GLA_OK;
}

gla_status gla__snapshot_blank(const gla__sequence *q, uint64_t position, gla__snapshot **out,
                               gla_diag *diag)
{
    gla_status st = new_snapshot(q, position, out, diag);

    for (uint32_t i = 0; !st && i < q->n_tables; i++) {
        const gla__kv_table *t = &q->tables[i];
        const uint64_t n = t->window ? gla__kv_pages(position, t->window) : 0;

        while (!st && (*out)->windows[i].n < n)
            st = add_page(*out, &(*out)->windows[i], t->page_bytes, diag);
    }
    if (st) {
        gla__snapshot_unref(*out);
        *out = NULL;
    }
    return st;
}

gla__snapshot *gla__snapshot_ref(gla__snapshot *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void gla__snapshot_unref(gla__snapshot *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < p->n_tables; i++)
        gla__pages_release(p->store, p->pages + p->windows[i].start, p->windows[i].n,
                           GLA__HOLDER_CACHE);
    gla__store_free(p->store, &p->store->usage->cache, p->fixed, p->store->layout->fixed_bytes);
    gla__free(p->windows);
    gla__free(p->pages);
    gla__free(p);
}

/* The table gets the pages of the snapshot; gla__sequence_make_room() made room for a window. */
static void restore_window(gla__sequence *q, gla__kv_table *t, const gla__snapshot *p, uint32_t i)
{
    const gla__snapshot_window *w = &p->windows[i];

    gla__pages_hold(q->store, p->pages + w->start, w->n, GLA__HOLDER_SEQUENCE);
    gla__pages_release(q->store, t->pages, t->n, GLA__HOLDER_SEQUENCE);
    if (w->n)
        memcpy(t->pages, p->pages + w->start, w->n * sizeof(*t->pages));
    t->n = w->n;
    t->first = w->first;
}

void gla__snapshot_restore(gla__sequence *q, const gla__snapshot *p)
{
    if (!p) {
        gla__sequence_reset(q);
        return;
    }
    for (uint32_t i = 0; i < q->n_tables; i++)
        if (q->tables[i].window)
            restore_window(q, &q->tables[i], p, i);
    memcpy(q->fixed, p->fixed, q->store->layout->fixed_bytes);
    gla__sequence_cut(q, p->position);
}

gla_status gla__snapshot_resume(gla__sequence *dst, const gla__sequence *src,
                                const gla__snapshot *p, gla_diag *diag)
{
    const uint64_t position = p ? p->position : 0;
    gla_status st = gla__sequence_init(dst, src->store, src->kv_dtype, diag);

    if (st || !p)
        return st;
    st = gla__sequence_make_room(dst, position, diag);
    if (st) {
        gla__sequence_deinit(dst);
        return st;
    }
    if (position)
        memcpy(dst->tokens, src->tokens, position * sizeof(*src->tokens));
    for (uint32_t i = 0; i < src->n_tables; i++) {
        const gla__kv_table *from = &src->tables[i];
        gla__kv_table *to = &dst->tables[i];

        if (from->window)
            continue;
        to->n = (size_t)gla__kv_end_page(position);
        if (to->n)
            memcpy(to->pages, from->pages, to->n * sizeof(*to->pages));
        gla__pages_hold(dst->store, to->pages, to->n, GLA__HOLDER_SEQUENCE);
    }
    gla__snapshot_restore(dst, p);
    return GLA_OK;
}

/* ---- the ring ---- */

static void remove_slot(gla__ring *r, size_t i)
{
    r->bytes -= r->slots[i].snapshot->bytes;
    gla__snapshot_unref(r->slots[i].snapshot);
    r->n--;
    memmove(r->slots + i, r->slots + i + 1, (r->n - i) * sizeof(*r->slots));
}

void gla__ring_clear(gla__ring *r)
{
    const uint64_t budget = r->budget;

    while (r->n)
        remove_slot(r, r->n - 1);
    gla__free(r->slots);
    memset(r, 0, sizeof(*r));
    r->budget = budget;
}

/* How far slot i is worth keeping: the gap that its removal leaves, beside its distance from the
 * newest.  Equal worth everywhere means distances that grow geometrically with age. */
static double worth(const gla__ring *r, size_t i)
{
    const uint64_t here = r->slots[i].snapshot->position;
    const uint64_t before = i ? r->slots[i - 1].snapshot->position : 0;
    const uint64_t after = r->slots[i + 1].snapshot->position;
    const uint64_t newest = r->slots[r->n - 1].snapshot->position;
    const double w = (double)(after - before) / (double)(newest - here);

    return r->slots[i].mark ? 4 * w : w;
}

bool gla__ring_give(gla__ring *r)
{
    size_t least = 0;

    if (!r->n)
        return false;
    for (size_t i = 1; i + 1 < r->n; i++)
        if (worth(r, i) < worth(r, least))
            least = i;
    remove_slot(r, least);
    return true;
}

/* Index of the first slot after position n. */
static size_t slots_until(const gla__ring *r, uint64_t n)
{
    size_t low = 0, high = r->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (r->slots[middle].snapshot->position <= n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool gla__ring_add(gla__ring *r, gla__snapshot *p, bool mark)
{
    const size_t i = slots_until(r, p->position);

    if (i && r->slots[i - 1].snapshot->position == p->position) {
        r->slots[i - 1].mark |= mark;
        return true;
    }
    if (p->bytes > r->budget ||
        gla__grow((void **)&r->slots, &r->capacity, r->n, sizeof(*r->slots)))
        return false;
    memmove(r->slots + i + 1, r->slots + i, (r->n - i) * sizeof(*r->slots));
    r->slots[i] = (gla__ring_slot){gla__snapshot_ref(p), mark};
    r->n++;
    r->bytes += p->bytes;
    while (r->bytes > r->budget)
        gla__ring_give(r);
    return true;
}

bool gla__ring_copy(gla__ring *dst, const gla__ring *src)
{
    if (src->n) {
        dst->slots = gla__alloc_array(src->n, sizeof(*dst->slots));
        if (!dst->slots)
            return false;
        memcpy(dst->slots, src->slots, src->n * sizeof(*dst->slots));
        for (size_t i = 0; i < src->n; i++)
            gla__snapshot_ref(dst->slots[i].snapshot);
    }
    dst->n = dst->capacity = src->n;
    dst->bytes = src->bytes;
    dst->budget = src->budget;
    return true;
}

void gla__ring_cut(gla__ring *r, uint64_t n)
{
    while (r->n && r->slots[r->n - 1].snapshot->position > n)
        remove_slot(r, r->n - 1);
}

gla__snapshot *gla__ring_find(const gla__ring *r, uint64_t n)
{
    const size_t i = slots_until(r, n);

    return i ? r->slots[i - 1].snapshot : NULL;
}

uint64_t gla__ring_worst_replay(const gla__ring *r, uint64_t position)
{
    uint64_t worst = 0, last = 0;

    for (size_t i = 0; i <= r->n; i++) {
        /* the farthest position from `last` is the one just before the next snapshot */
        const uint64_t next = i < r->n ? r->slots[i].snapshot->position : position;

        if (next > last && next - last - 1 > worst)
            worst = next - last - 1;
        last = next;
    }
    return worst;
}
