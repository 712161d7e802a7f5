/* SPDX-License-Identifier: Apache-2.0 */
#include "state/prefix.h"

#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"

#define BLOCK     GLA__KV_PAGE_TOKENS
#define MAX_TREES 3u    /* one for each KV dtype: neither pages nor states can be exchanged */
#define GHOSTS    4096u /* evicted blocks that are remembered, to say why a lookup missed */

typedef struct node node;
struct node {
    node *parent;
    node **children; /* [n_children], sorted by tokens; none is a prefix of another */
    size_t n_children, capacity;
    node *newer, *older; /* all nodes by use; a parent is newer than its children */
    gla__snapshot **snapshots;
    size_t n_snapshots, snapshot_capacity; /* ascending positions inside (start, start + n] */
    uint64_t start;                        /* position of tokens[0] */
    uint64_t hash;                         /* of the text up to the end of the block */
    uint32_t n, tree;
    int32_t tokens[BLOCK];
    uint8_t *pages[]; /* of the caches that keep all tokens, in the order of the layout */
};

struct gla__prefix {
    gla__store *store;
    pthread_mutex_t lock; /* taken before the store's, never by who holds that */
    node *trees[MAX_TREES];
    node *newest, *oldest;
    size_t n_full; /* caches that keep all tokens */
    size_t node_bytes;
    bool needs_snapshot;
    gla_cache_stats stats;
    uint64_t ghosts[GHOSTS];
    size_t next_ghost;
};

/* ---- life ---- */

gla__prefix *gla__prefix_create(gla__store *store, uint64_t budget)
{
    const gla__state_layout *l = store->layout;
    gla__prefix *p = gla__alloc_zero(sizeof(*p));

    if (!p)
        return NULL;
    p->store = store;
    for (uint32_t i = 0; i < l->n_entries; i++)
        if (l->entries[i].desc.kind == GLA_STATE_PER_TOKEN && !l->entries[i].desc.window)
            p->n_full++;
    p->node_bytes = sizeof(node) + p->n_full * sizeof(uint8_t *);
    p->needs_snapshot = gla__snapshot_needed(l);
    p->stats.budget = budget;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static uint32_t tree_of(uint32_t kv_dtype)
{
    return kv_dtype == GLA_DTYPE_F32 ? 0 : kv_dtype == GLA_DTYPE_BF16 ? 1 : 2;
}

/* The root of a tree is a node without tokens, outside the list of use. */
static node *root_of(gla__prefix *p, uint32_t tree, bool make)
{
    if (!p->trees[tree] && make) {
        p->trees[tree] = gla__alloc_zero(p->node_bytes);
        if (p->trees[tree])
            p->trees[tree]->tree = tree;
    }
    return p->trees[tree];
}

static void unlink_use(gla__prefix *p, node *n)
{
    *(n->newer ? &n->newer->older : &p->newest) = n->older;
    *(n->older ? &n->older->newer : &p->oldest) = n->newer;
    n->newer = n->older = NULL;
}

static void link_newest(gla__prefix *p, node *n)
{
    n->older = p->newest;
    n->newer = NULL;
    *(p->newest ? &p->newest->newer : &p->oldest) = n;
    p->newest = n;
}

/* From a node up to the root, so that parents end up newer. */
static void touch(gla__prefix *p, node *n)
{
    for (; n->parent; n = n->parent) {
        unlink_use(p, n);
        link_newest(p, n);
    }
}

static uint64_t pages_bytes(const gla__prefix *p, const node *n)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < p->n_full; i++)
        bytes += gla__page_bytes(n->pages[i]);
    return bytes;
}

/* How the two agree at the beginning: tokens. */
static uint32_t common(const int32_t *a, const int32_t *b, uint64_t n)
{
    uint32_t i = 0;

    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static int compare(const node *n, const int32_t *tokens, uint64_t count)
{
    const uint64_t shorter = n->n < count ? n->n : count;
    const uint32_t i = common(n->tokens, tokens, shorter);

    if (i < shorter)
        return n->tokens[i] < tokens[i] ? -1 : 1;
    return n->n < count ? -1 : n->n > count;
}

/* Where among the children the tokens would stand. */
static size_t place_of(const node *parent, const int32_t *tokens, uint64_t count)
{
    size_t low = 0, high = parent->n_children;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (compare(parent->children[middle], tokens, count) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The child that agrees with the most tokens, and with how many.  It stands beside the place where
 * the tokens would. */
static node *best_child(const node *parent, const int32_t *tokens, uint64_t count, uint32_t *agree)
{
    const size_t at = place_of(parent, tokens, count);
    node *best = NULL;

    *agree = 0;
    for (size_t i = at ? at - 1 : 0; i < parent->n_children && i <= at; i++) {
        node *child = parent->children[i];
        const uint32_t n = common(child->tokens, tokens, child->n < count ? child->n : count);

        if (n > *agree) {
            *agree = n;
            best = child;
        }
    }
    return best;
}

/* ---- giving back ---- */

static void free_node(gla__prefix *p, node *n)
{
    for (size_t i = 0; i < n->n_snapshots; i++) {
        p->stats.bytes -= n->snapshots[i]->bytes;
        gla__snapshot_unref(n->snapshots[i]);
    }
    p->stats.snapshots -= n->n_snapshots;
    gla__free(n->snapshots);
    gla__free(n->children);
    if (!n->n) { /* a root */
        gla__free(n);
        return;
    }
    p->stats.bytes -= p->node_bytes + pages_bytes(p, n);
    p->stats.blocks--;
    gla__pages_release(p->store, n->pages, p->n_full, GLA__HOLDER_CACHE);
    gla__store_free(p->store, &p->store->usage->cache, n, p->node_bytes);
}

/* The oldest node is a leaf: its children would be older. */
static void evict_oldest(gla__prefix *p)
{
    node *n = p->oldest, *parent = n->parent;
    const size_t at = place_of(parent, n->tokens, n->n);

    parent->n_children--;
    memmove(parent->children + at, parent->children + at + 1,
            (parent->n_children - at) * sizeof(node *));
    unlink_use(p, n);
    p->ghosts[p->next_ghost++ % GHOSTS] = n->hash;
    p->stats.evictions++;
    free_node(p, n);
}

bool gla__prefix_give(gla__prefix *p, uint64_t bytes)
{
    bool gave = false;
    uint64_t target;

    pthread_mutex_lock(&p->lock);
    target = p->stats.bytes > bytes ? p->stats.bytes - bytes : 0;
    while (p->oldest && (!gave || p->stats.bytes > target)) {
        evict_oldest(p);
        gave = true;
    }
    pthread_mutex_unlock(&p->lock);
    return gave;
}

static void keep_budget(gla__prefix *p)
{
    while (p->oldest && p->stats.bytes > p->stats.budget)
        evict_oldest(p);
}

void gla__prefix_set_budget(gla__prefix *p, uint64_t bytes)
{
    pthread_mutex_lock(&p->lock);
    p->stats.budget = bytes;
    keep_budget(p);
    pthread_mutex_unlock(&p->lock);
}

void gla__prefix_destroy(gla__prefix *p)
{
    if (!p)
        return;
    gla__prefix_set_budget(p, 0);
    for (uint32_t i = 0; i < MAX_TREES; i++)
        if (p->trees[i])
            free_node(p, p->trees[i]);
    pthread_mutex_destroy(&p->lock);
    gla__free(p);
}

/* ---- inserting ---- */

/* The pages of q that hold block number `block`. */
static void pages_of(const gla__sequence *q, uint64_t block, uint8_t **out)
{
    for (uint32_t i = 0; i < q->n_tables; i++)
        if (!q->tables[i].window)
            *out++ = q->tables[i].pages[block];
}

/* (Re)fills the node with the block of q; what it held before has been released. */
static void fill_node(gla__prefix *p, node *n, const gla__sequence *q, uint32_t count)
{
    n->n = count;
    memcpy(n->tokens, q->tokens + n->start, count * sizeof(*n->tokens));
    n->hash = XXH3_64bits_withSeed(n->tokens, count * sizeof(*n->tokens), n->parent->hash);
    pages_of(q, n->start / BLOCK, n->pages);
    gla__pages_hold(p->store, n->pages, p->n_full, GLA__HOLDER_CACHE);
    p->stats.bytes += pages_bytes(p, n);
}

static bool is_above(const node *above, const node *n)
{
    for (; n; n = n->parent)
        if (n == above)
            return true;
    return false;
}

/* Memory for a node below `parent`; what was used longest ago makes room for it. */
static node *alloc_node(gla__prefix *p, node *parent)
{
    node *n;

    touch(p, parent);
    while (!(n = gla__store_try(p->store, &p->store->usage->cache, p->node_bytes))) {
        if (!p->oldest || is_above(p->oldest, parent))
            return NULL;
        evict_oldest(p);
    }
    return n;
}

static node *add_node(gla__prefix *p, node *parent, const gla__sequence *q, uint64_t start,
                      uint32_t count)
{
    node *n = alloc_node(p, parent);
    size_t at;

    if (!n)
        return NULL;
    if (gla__grow((void **)&parent->children, &parent->capacity, parent->n_children,
                  sizeof(node *))) {
        gla__store_free(p->store, &p->store->usage->cache, n, p->node_bytes);
        return NULL;
    }
    at = place_of(parent, q->tokens + start, count); /* after evictions */
    n->parent = parent;
    n->start = start;
    n->tree = parent->tree;
    fill_node(p, n, q, count);
    memmove(parent->children + at + 1, parent->children + at,
            (parent->n_children - at) * sizeof(node *));
    parent->children[at] = n;
    parent->n_children++;
    p->stats.bytes += p->node_bytes;
    p->stats.blocks++;
    link_newest(p, n);
    return n;
}

/* A leaf that ends inside its block goes on: the longer text takes its place. */
static void extend_node(gla__prefix *p, node *n, const gla__sequence *q, uint32_t count)
{
    p->stats.bytes -= pages_bytes(p, n);
    gla__pages_release(p->store, n->pages, p->n_full, GLA__HOLDER_CACHE);
    fill_node(p, n, q, count);
}

static void add_snapshot(gla__prefix *p, node *n, gla__snapshot *snapshot)
{
    size_t i = n->n_snapshots;

    while (i && n->snapshots[i - 1]->position > snapshot->position)
        i--;
    if (i && n->snapshots[i - 1]->position == snapshot->position)
        return;
    if (gla__grow((void **)&n->snapshots, &n->snapshot_capacity, n->n_snapshots,
                  sizeof(gla__snapshot *)))
        return;
    memmove(n->snapshots + i + 1, n->snapshots + i, (n->n_snapshots - i) * sizeof(gla__snapshot *));
    n->snapshots[i] = gla__snapshot_ref(snapshot);
    n->n_snapshots++;
    p->stats.snapshots++;
    p->stats.bytes += snapshot->bytes;
}

/* The node of the block of q that begins at `start`, made or extended as needed. */
static node *reach(gla__prefix *p, node *parent, const gla__sequence *q, uint64_t start)
{
    const uint64_t left = q->position - start;
    const uint32_t count = left < BLOCK ? (uint32_t)left : BLOCK;
    uint32_t agree;
    node *n = best_child(parent, q->tokens + start, count, &agree);

    if (n && agree == count)
        return n;
    if (n && agree == n->n) {
        extend_node(p, n, q, count);
        return n;
    }
    return add_node(p, parent, q, start, count);
}

void gla__prefix_insert(gla__prefix *p, const gla__sequence *q, gla__snapshot *snapshot)
{
    node *n;

    pthread_mutex_lock(&p->lock);
    n = p->stats.budget ? root_of(p, tree_of(q->kv_dtype), true) : NULL;
    for (uint64_t start = 0; n && start < q->position; start += BLOCK) {
        node *next = reach(p, n, q, start);

        if (!next)
            break;
        n = next;
        if (snapshot && snapshot->position > start && snapshot->position <= start + BLOCK)
            add_snapshot(p, n, snapshot);
    }
    if (n) {
        touch(p, n);
        keep_budget(p);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- looking up ---- */

/* Follows the tokens as far as they agree; returns the last node with an agreeing token, or the
 * root. */
static node *match(node *root, const int32_t *tokens, uint64_t n, uint64_t *matched)
{
    node *at = root;

    *matched = 0;
    while (*matched < n && *matched % BLOCK == 0) {
        uint32_t agree;
        node *child = best_child(at, tokens + *matched, n - *matched, &agree);

        if (!child)
            break;
        at = child;
        *matched += agree;
        if (agree < child->n)
            break;
    }
    return at;
}

/* The last snapshot at or before `limit` on the way from the root to n. */
static gla__snapshot *snapshot_before(const node *n, uint64_t limit)
{
    for (; n; n = n->parent)
        for (size_t i = n->n_snapshots; i--;)
            if (n->snapshots[i]->position <= limit)
                return n->snapshots[i];
    return NULL;
}

/* Was the block after the match cached once? */
static bool is_ghost(const gla__prefix *p, const node *at, uint64_t matched, const int32_t *tokens,
                     uint64_t n)
{
    uint64_t hash;

    if (matched % BLOCK || n - matched < BLOCK)
        return false;
    hash = XXH3_64bits_withSeed(tokens + matched, BLOCK * sizeof(*tokens), at->hash);
    for (size_t i = 0; i < GHOSTS; i++)
        if (p->ghosts[i] == hash)
            return true;
    return false;
}

static bool in_other_tree(const gla__prefix *p, uint32_t tree, const int32_t *tokens, uint64_t n)
{
    uint64_t matched;

    for (uint32_t i = 0; i < MAX_TREES; i++)
        if (i != tree && p->trees[i]) {
            match(p->trees[i], tokens, n, &matched);
            if (matched)
                return true;
        }
    return false;
}

static uint32_t why_not(const gla__prefix *p, uint32_t tree, const node *at, uint64_t matched,
                        const int32_t *tokens, uint64_t n)
{
    if (at && is_ghost(p, at, matched, tokens, n))
        return GLA_CACHE_EVICTED;
    if (matched)
        return GLA_CACHE_NO_SNAPSHOT;
    if (in_other_tree(p, tree, tokens, n))
        return GLA_CACHE_KV_DTYPE;
    return p->stats.blocks ? GLA_CACHE_NO_MATCH : GLA_CACHE_EMPTY;
}

/* Puts the pages up to `position` into the full tables of q; n is the last node on the way. */
static void adopt_pages(gla__prefix *p, gla__sequence *q, const node *n, uint64_t position)
{
    while (n->parent && n->start >= position)
        n = n->parent;
    for (; n->parent; n = n->parent) {
        const uint64_t block = n->start / BLOCK;
        size_t j = 0;

        for (uint32_t i = 0; i < q->n_tables; i++)
            if (!q->tables[i].window)
                q->tables[i].pages[block] = n->pages[j++];
        gla__pages_hold(p->store, n->pages, p->n_full, GLA__HOLDER_SEQUENCE);
    }
    for (uint32_t i = 0; i < q->n_tables; i++)
        if (!q->tables[i].window)
            q->tables[i].n = (size_t)gla__kv_end_page(position);
}

/* q has room. */
static void adopt(gla__prefix *p, gla__sequence *q, gla__ring *ring, const node *n,
                  const gla__snapshot *snapshot, const int32_t *tokens, uint64_t position)
{
    adopt_pages(p, q, n, position);
    memcpy(q->tokens, tokens, position * sizeof(*tokens));
    q->position = position;
    if (!snapshot)
        return;
    gla__snapshot_restore(q, snapshot);
    for (; n; n = n->parent)
        for (size_t i = n->n_snapshots; i--;)
            if (n->snapshots[i]->position <= position)
                gla__ring_add(ring, n->snapshots[i], false);
}

static void count(gla_cache_stats *s, uint64_t asked, const gla__prefix_match *m)
{
    s->lookups++;
    s->hits += m->reused > 0;
    s->tokens_asked += asked;
    s->tokens_matched += m->matched;
    s->tokens_reused += m->reused;
    s->tokens_replayed += m->matched - m->reused;
    s->by_reason[m->reason]++;
}

void gla__prefix_resume(gla__prefix *p, gla__sequence *q, gla__ring *ring, const int32_t *tokens,
                        uint64_t n, gla__prefix_match *out)
{
    const uint32_t tree = tree_of(q->kv_dtype);
    /* The tokens will be fed anyway; under the lock, memory could not be asked back from the cache.
     */
    const bool room = !gla__sequence_make_room(q, n, NULL);
    const gla__snapshot *snapshot = NULL;
    uint64_t position;
    node *root, *at = NULL;

    memset(out, 0, sizeof(*out));
    pthread_mutex_lock(&p->lock);
    root = root_of(p, tree, false);
    if (root)
        at = match(root, tokens, n, &out->matched);
    position = out->matched;
    if (position && p->needs_snapshot) {
        snapshot = snapshot_before(at, position);
        position = snapshot ? snapshot->position : 0;
    }
    if (!at || !position) {
        out->reason = why_not(p, tree, at, out->matched, tokens, n);
    } else if (!room) {
        out->reason = GLA_CACHE_NO_MEMORY;
    } else {
        adopt(p, q, ring, at, snapshot, tokens, position);
        out->reason = position < out->matched ? GLA_CACHE_HIT_REPLAY : GLA_CACHE_HIT;
    }
    out->reused = q->position;
    if (at)
        touch(p, at);
    count(&p->stats, n, out);
    pthread_mutex_unlock(&p->lock);
}

void gla__prefix_stats(gla__prefix *p, gla_cache_stats *out)
{
    pthread_mutex_lock(&p->lock);
    *out = p->stats;
    pthread_mutex_unlock(&p->lock);
}
