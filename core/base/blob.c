/* SPDX-License-Identifier: Apache-2.0 */
#include "base/blob.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/checked.h"

/* Lies in front of the data.  All living blobs are in a small hash table by address, which is what
 * tells a blob from other memory. */
typedef struct blob {
    struct blob *next; /* in its bucket */
    size_t bytes;
    unsigned refs;
} blob;

enum { HEAD_BYTES = 64, N_BUCKETS = 1024 };
_Static_assert(sizeof(blob) <= HEAD_BYTES, "the data must stay 64-byte aligned");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static blob *buckets[N_BUCKETS];

static blob **bucket_of(const void *data)
{
    return &buckets[((uintptr_t)data >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

/* The link that points to the blob of these data, or to NULL at the end of the bucket. */
static blob **find(const void *data)
{
    blob **link = bucket_of(data);

    while (*link && (const char *)*link + HEAD_BYTES != (const char *)data)
        link = &(*link)->next;
    return link;
}

void *gla__blob_new(size_t bytes)
{
    size_t total;
    blob *b, **link;
    char *data;

    if (!gla__add_size(bytes, HEAD_BYTES, &total))
        return NULL;
    b = gla__alloc(total);
    if (!b)
        return NULL;
    data = (char *)b + HEAD_BYTES;
    b->bytes = bytes;
    b->refs = 1;
    pthread_mutex_lock(&lock);
    link = bucket_of(data);
    b->next = *link;
    *link = b;
    pthread_mutex_unlock(&lock);
    return data;
}

bool gla__blob_ref(const void *data)
{
    blob *b;

    pthread_mutex_lock(&lock);
    b = *find(data);
    if (b)
        b->refs++;
    pthread_mutex_unlock(&lock);
    return b != NULL;
}

void gla__blob_unref(const void *data)
{
    blob *b, **link;

    pthread_mutex_lock(&lock);
    link = find(data);
    b = *link;
    if (b && --b->refs == 0)
        *link = b->next;
    else
        b = NULL;
    pthread_mutex_unlock(&lock);
    gla__free(b);
}

size_t gla__blob_bytes(const void *data)
{
    blob *b;
    size_t bytes;

    pthread_mutex_lock(&lock);
    b = *find(data);
    bytes = b ? b->bytes : 0;
    pthread_mutex_unlock(&lock);
    return bytes;
}
