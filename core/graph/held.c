/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/held.h"

#include <pthread.h>
#include <xxhash.h>

#include "base/alloc.h"

/* Stands before what was asked for, and is as long as its alignment. */
typedef struct held {
    _Alignas(64) struct held *next;
    struct held **at; /* that points here */
    const char *owner;
    size_t bytes;
} held;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static held *all;

void *gla__held_alloc(size_t bytes, const char *owner)
{
    held *h = bytes <= SIZE_MAX - sizeof(*h) ? gla__alloc_zero(sizeof(*h) + bytes) : NULL;

    if (!h)
        return NULL;
    h->owner = owner;
    h->bytes = bytes;
    pthread_mutex_lock(&lock);
    h->next = all;
    h->at = &all;
    if (all)
        all->at = &h->next;
    all = h;
    pthread_mutex_unlock(&lock);
    return h + 1;
}

void gla__held_free(void *p)
{
    held *h = p ? (held *)p - 1 : NULL;

    if (!h)
        return;
    pthread_mutex_lock(&lock);
    *h->at = h->next;
    if (h->next)
        h->next->at = h->at;
    pthread_mutex_unlock(&lock);
    gla__free(h);
}

uint64_t gla__held_hash(const char *owner, uint64_t seed)
{
    pthread_mutex_lock(&lock);
    for (const held *h = all; h; h = h->next)
        if (h->owner == owner)
            seed = XXH3_64bits_withSeed(h + 1, h->bytes, seed);
    pthread_mutex_unlock(&lock);
    return seed;
}
