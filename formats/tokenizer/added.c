/* SPDX-License-Identifier: Apache-2.0
 *
 * Added tokens in a text: leftmost, of equals the longest, with the published rules for the blanks
 * and words beside them.
 */
#include <string.h>

#include "base/alloc.h"
#include "formats/tokenizer/parts.h"

void gla__trie_deinit(gla__trie *t)
{
    gla__free(t->nodes);
    memset(t, 0, sizeof(*t));
}

static gla_status new_node(gla__trie *t, unsigned char byte, uint32_t *out)
{
    if (t->n == UINT32_MAX || gla__grow((void **)&t->nodes, &t->capacity, t->n, sizeof(*t->nodes)))
        return GLA_E_NOMEM;
    t->nodes[t->n] = (struct gla__trie_node){.token = -1, .byte = byte};
    *out = (uint32_t)t->n++;
    return GLA_OK;
}

static uint32_t child_of(const gla__trie *t, uint32_t node, unsigned char byte)
{
    uint32_t c = t->nodes[node].child;

    while (c && t->nodes[c].byte != byte)
        c = t->nodes[c].sibling;
    return c;
}

gla_status gla__trie_add(gla__trie *t, const char *text, size_t size, int32_t token)
{
    uint32_t node = 0, next;
    gla_status st;

    if (!size)
        return GLA_OK;
    if (!t->n) {
        st = new_node(t, 0, &node);
        if (st)
            return st;
    }
    t->first[(unsigned char)text[0]] = true;
    for (size_t i = 0; i < size; i++, node = next) {
        next = child_of(t, node, (unsigned char)text[i]);
        if (next)
            continue;
        st = new_node(t, (unsigned char)text[i], &next);
        if (st)
            return st;
        t->nodes[next].sibling = t->nodes[node].child;
        t->nodes[node].child = next;
    }
    if (t->nodes[node].token < 0)
        t->nodes[node].token = token;
    return GLA_OK;
}

/* The longest token that begins at s: its index, -1 if none. */
static int32_t match_here(const gla__trie *t, const char *s, size_t n, size_t *size)
{
    uint32_t node = 0;
    int32_t token = -1;

    for (size_t i = 0; i < n; i++) {
        node = child_of(t, node, (unsigned char)s[i]);
        if (!node)
            break;
        if (t->nodes[node].token >= 0) {
            token = t->nodes[node].token;
            *size = i + 1;
        }
    }
    return token;
}

static bool stands_alone(const char *s, size_t n, size_t start, size_t stop)
{
    size_t size;

    return (start == 0 || !gla__is_word(gla__utf8_last(s, start))) &&
           (stop == n || !gla__is_word(gla__utf8_next(s + stop, &size)));
}

static size_t blanks_before(const char *s, size_t start)
{
    while (start > 0 && gla__is_space(gla__utf8_last(s, start))) {
        start--;
        while (gla__utf8_inside(s[start]))
            start--;
    }
    return start;
}

static size_t blanks_after(const char *s, size_t n, size_t stop)
{
    size_t size;

    while (stop < n && gla__is_space(gla__utf8_next(s + stop, &size)))
        stop += size;
    return stop;
}

gla_status gla__added_split(gla__encoder *e, const gla__trie *trie, const char *s, size_t n,
                            bool head, gla__gap_fn gap)
{
    size_t done = 0, size = 0;
    gla_status st = GLA_OK;

    for (size_t i = 0; trie->n && i < n && !st;) {
        const gla__added *a;
        size_t start = i, stop;
        int32_t token;

        if (!trie->first[(unsigned char)s[i]]) {
            i++;
            continue;
        }
        token = match_here(trie, s + i, n - i, &size);
        if (token < 0) {
            i++;
            continue;
        }
        a = &e->t->added[token];
        i = stop = start + size;
        if ((e->plain && a->special) || (a->single_word && !stands_alone(s, n, start, stop)))
            continue;
        if (a->lstrip) {
            start = blanks_before(s, start);
            start = start < done ? done : start;
        }
        if (a->rstrip)
            stop = blanks_after(s, n, stop);
        if (done < start)
            st = gap(e, s + done, start - done, head && done == 0);
        if (!st)
            st = gla__encoder_push(e, a->id);
        done = stop;
    }
    if (!st && done < n)
        st = gap(e, s + done, n - done, head && done == 0);
    return st;
}
