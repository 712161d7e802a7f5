/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte pair encoding: of all neighbours that may merge, the pair that was learnt first (lowest
 * rank), leftmost of equals, until none is left.  A heap of candidates and a linked list of
 * symbols: n log n for a word of n characters, which matters where the whole text is one word.
 */
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/tokenizer/parts.h"

/* ---- tables ---- */

/* Smallest power of two that leaves a third of the table free. */
static size_t table_size(size_t n)
{
    size_t size = 16;

    while (size < n + n / 2)
        size *= 2;
    return size;
}

gla_status gla__vocab_init(gla__vocab *v, size_t capacity)
{
    const size_t size = table_size(capacity);

    v->mask = (uint32_t)(size - 1);
    v->capacity = (uint32_t)capacity;
    v->slots = gla__alloc_array(size, sizeof(*v->slots));
    v->entries = gla__alloc_array(capacity ? capacity : 1, sizeof(*v->entries));
    return v->slots && v->entries ? GLA_OK : GLA_E_NOMEM;
}

void gla__vocab_deinit(gla__vocab *v)
{
    gla__free(v->slots);
    gla__free(v->entries);
    memset(v, 0, sizeof(*v));
}

/* The slot of the text, or the free one where it would go. */
static uint32_t vocab_slot(const gla__vocab *v, const char *text, size_t size)
{
    uint32_t i = (uint32_t)XXH3_64bits(text, size) & v->mask;

    while (v->slots[i]) {
        const struct gla__vocab_entry *e = &v->entries[v->slots[i] - 1];

        if (e->size == size && !memcmp(e->text, text, size))
            break;
        i = (i + 1) & v->mask;
    }
    return i;
}

bool gla__vocab_add(gla__vocab *v, const char *text, size_t size, uint32_t id)
{
    const uint32_t slot = vocab_slot(v, text, size);

    if (v->slots[slot] || v->n == v->capacity)
        return false;
    v->entries[v->n].text = text;
    v->entries[v->n].size = (uint32_t)size;
    v->entries[v->n].id = id;
    v->slots[slot] = ++v->n;
    return true;
}

int32_t gla__vocab_find(const gla__vocab *v, const char *text, size_t size)
{
    uint32_t slot;

    if (!v->slots)
        return -1;
    slot = v->slots[vocab_slot(v, text, size)];
    return slot ? (int32_t)v->entries[slot - 1].id : -1;
}

gla_status gla__merges_init(gla__merges *m, size_t n)
{
    const size_t size = table_size(n);

    m->mask = size - 1;
    m->slots = gla__alloc_array(size, sizeof(*m->slots));
    if (!m->slots)
        return GLA_E_NOMEM;
    for (size_t i = 0; i < size; i++)
        m->slots[i].pair = UINT64_MAX;
    return GLA_OK;
}

void gla__merges_deinit(gla__merges *m)
{
    gla__free(m->slots);
    memset(m, 0, sizeof(*m));
}

static gla__merge *merge_slot(const gla__merges *m, uint64_t pair)
{
    uint64_t h = pair * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(h ^ h >> 32) & m->mask;

    while (m->slots[i].pair != UINT64_MAX && m->slots[i].pair != pair)
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

void gla__merges_put(gla__merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id)
{
    const uint64_t pair = (uint64_t)left << 32 | right;
    gla__merge *slot = merge_slot(m, pair);

    slot->pair = pair;
    slot->rank = rank;
    slot->id = id;
}

bool gla__merges_has(const gla__merges *m, uint32_t left, uint32_t right)
{
    return merge_slot(m, (uint64_t)left << 32 | right)->pair != UINT64_MAX;
}

/* ---- the heap ---- */

static gla_status heap_push(gla__encoder *e, uint32_t rank, uint32_t position)
{
    const uint64_t key = (uint64_t)rank << 32 | position;
    size_t i = e->n_heap;

    if (gla__grow((void **)&e->heap, &e->heap_capacity, e->n_heap, sizeof(*e->heap)))
        return GLA_E_NOMEM;
    e->n_heap++;
    while (i > 0 && e->heap[(i - 1) / 2] > key) {
        e->heap[i] = e->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    e->heap[i] = key;
    return GLA_OK;
}

static uint64_t heap_pop(gla__encoder *e)
{
    const uint64_t top = e->heap[0], last = e->heap[--e->n_heap];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= e->n_heap)
            break;
        if (child + 1 < e->n_heap && e->heap[child + 1] < e->heap[child])
            child++;
        if (e->heap[child] >= last)
            break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = last;
    return top;
}

/* ---- words ---- */

static const gla__merge *merge_at(const gla__encoder *e, int32_t left)
{
    const gla__symbol *s = &e->symbols[left];
    const gla__merge *m;

    if (s->next < 0)
        return NULL;
    m = merge_slot(&e->t->merges, (uint64_t)s->id << 32 | e->symbols[s->next].id);
    return m->pair == UINT64_MAX ? NULL : m;
}

static gla_status offer(gla__encoder *e, int32_t left)
{
    const gla__merge *m = merge_at(e, left);

    return m ? heap_push(e, m->rank, (uint32_t)left) : GLA_OK;
}

static gla_status merge_all(gla__encoder *e)
{
    gla_status st = GLA_OK;

    e->n_heap = 0;
    for (size_t i = 0; i + 1 < e->n_symbols && !st; i++)
        st = offer(e, (int32_t)i);
    while (!st && e->n_heap) {
        const uint64_t top = heap_pop(e);
        const int32_t left = (int32_t)(uint32_t)top;
        gla__symbol *s = &e->symbols[left];
        const gla__merge *m = s->dead ? NULL : merge_at(e, left);

        if (!m || m->rank != (uint32_t)(top >> 32))
            continue; /* one of the two has merged since */
        e->symbols[s->next].dead = true;
        s->id = m->id;
        s->next = e->symbols[s->next].next;
        if (s->next >= 0)
            e->symbols[s->next].prev = left;
        if (s->prev >= 0)
            st = offer(e, s->prev);
        if (!st)
            st = offer(e, left);
    }
    return st;
}

/* Merges the symbols gathered so far and appends what is left of them. */
static gla_status end_word(gla__encoder *e)
{
    gla_status st = GLA_OK;

    if (!e->n_symbols)
        return GLA_OK;
    e->symbols[e->n_symbols - 1].next = -1;
    st = merge_all(e);
    for (size_t i = 0; i < e->n_symbols && !st; i++)
        if (!e->symbols[i].dead)
            st = gla__encoder_push(e, e->symbols[i].id);
    e->n_symbols = 0;
    return st;
}

static gla_status add_symbol(gla__encoder *e, uint32_t id)
{
    const gla__merges *near = &e->t->neighbours;
    int32_t i;

    if (near->slots && e->n_symbols &&
        !gla__merges_has(near, e->symbols[e->n_symbols - 1].id, id)) {
        gla_status st = end_word(e);

        if (st)
            return st;
    }
    i = (int32_t)e->n_symbols;
    if (gla__grow((void **)&e->symbols, &e->symbols_capacity, e->n_symbols, sizeof(*e->symbols)))
        return GLA_E_NOMEM;
    e->symbols[e->n_symbols++] = (gla__symbol){.id = id, .prev = i - 1, .next = i + 1};
    return GLA_OK;
}

/* <0x..> for each byte of the character; *done false when the vocabulary lacks one. */
static gla_status add_fallback(gla__encoder *e, const char *s, size_t n, bool *done)
{
    gla_status st = GLA_OK;

    *done = false;
    for (size_t i = 0; i < n; i++)
        if (e->t->fallback[(unsigned char)s[i]] < 0)
            return GLA_OK;
    *done = true;
    for (size_t i = 0; i < n && !st; i++)
        st = add_symbol(e, (uint32_t)e->t->fallback[(unsigned char)s[i]]);
    return st;
}

/* A character that is not in the vocabulary.  *pending: an unknown token waits to be added, because
 * the next one may fuse with it; as published, bytes added meanwhile come before it. */
static gla_status add_unknown(gla__encoder *e, const char *s, size_t n, bool *pending)
{
    const gla_tokenizer *t = e->t;
    bool done;
    gla_status st;

    if (t->byte_fallback) {
        st = add_fallback(e, s, n, &done);
        if (st || done)
            return st;
    }
    if (!t->has_unk)
        return GLA_OK;
    if (t->unk < 0)
        return gla__fail(e->diag, GLA_E_CORRUPT,
                         "the text needs unk_token, which is not in the vocabulary");
    if (*pending && !t->fuse_unk)
        return add_symbol(e, (uint32_t)t->unk); /* the one before; this one waits */
    *pending = true;
    return GLA_OK;
}

static gla_status add_known(gla__encoder *e, int32_t id, bool *pending)
{
    if (*pending) {
        gla_status st = add_symbol(e, (uint32_t)e->t->unk);

        if (st)
            return st;
        *pending = false;
    }
    return add_symbol(e, (uint32_t)id);
}

static gla_status map_bytes(gla__encoder *e, const char *s, size_t n)
{
    e->mapped.n = 0;
    return gla__bytes_add_mapped(&e->mapped, s, n);
}

static gla_status add_symbols(gla__encoder *e, const char *s, size_t n, bool bytes)
{
    bool pending = false;
    gla_status st = GLA_OK;

    e->n_symbols = 0;
    for (size_t i = 0; i < n && !st;) {
        size_t size = 1;
        int32_t id;

        if (bytes) {
            id = e->t->byte_ids[(unsigned char)s[i]];
        } else {
            (void)gla__utf8_next(s + i, &size);
            id = gla__vocab_find(&e->t->vocab, s + i, size);
        }
        if (id >= 0) {
            st = add_known(e, id, &pending);
        } else if (bytes) {
            st = map_bytes(e, s + i, 1);
            if (!st)
                st = add_unknown(e, e->mapped.p, e->mapped.n, &pending);
        } else {
            st = add_unknown(e, s + i, size, &pending);
        }
        i += size;
    }
    if (!st && pending)
        st = add_symbol(e, (uint32_t)e->t->unk);
    return st ? st : end_word(e);
}

/* The whole word as one token, if the vocabulary has it: -1 if not. */
static gla_status whole_word(gla__encoder *e, const char *s, size_t n, bool bytes, int32_t *id)
{
    gla_status st = GLA_OK;

    if (bytes) {
        st = map_bytes(e, s, n);
        s = e->mapped.p;
        n = e->mapped.n;
    }
    *id = st ? -1 : gla__vocab_find(&e->t->vocab, s, n);
    return st;
}

gla_status gla__bpe(gla__encoder *e, const char *s, size_t n, bool bytes)
{
    gla_status st;
    int32_t id = -1;

    if (e->t->ignore_merges) {
        st = whole_word(e, s, n, bytes, &id);
        if (st || id >= 0)
            return st ? st : gla__encoder_push(e, (uint32_t)id);
    }
    return add_symbols(e, s, n, bytes);
}
