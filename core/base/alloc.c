/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <gla/gla.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

static void *default_alloc(void *ctx, size_t bytes, size_t alignment)
{
    (void)ctx;
    return aligned_alloc(alignment, bytes);
}

static void default_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

static struct {
    gla_alloc_fn *alloc;
    gla_free_fn *free;
    void *ctx;
} hook = {default_alloc, default_free, NULL};

void gla_set_allocator(gla_alloc_fn *alloc, gla_free_fn *release, void *ctx)
{
    hook.alloc = alloc ? alloc : default_alloc;
    hook.free = alloc ? release : default_free;
    hook.ctx = ctx;
}

void *gla__alloc(size_t bytes)
{
    size_t padded;

    if (!gla__align_up_size(bytes ? bytes : 1, 64, &padded))
        return NULL;
    return hook.alloc(hook.ctx, padded, 64);
}

void *gla__alloc_zero(size_t bytes)
{
    void *p = gla__alloc(bytes);

    if (p)
        memset(p, 0, bytes);
    return p;
}

void *gla__alloc_array(size_t count, size_t size)
{
    size_t bytes;

    if (!gla__mul_size(count, size, &bytes))
        return NULL;
    return gla__alloc_zero(bytes);
}

void *gla__realloc(void *p, size_t old_bytes, size_t new_bytes)
{
    char *q = gla__alloc(new_bytes);
    const size_t kept = old_bytes < new_bytes ? old_bytes : new_bytes;

    if (!q)
        return NULL;
    if (p && kept)
        memcpy(q, p, kept);
    memset(q + kept, 0, new_bytes - kept);
    gla__free(p);
    return q;
}

void gla__free(void *p)
{
    if (p)
        hook.free(hook.ctx, p);
}

char *gla__strdup(const char *s)
{
    return s ? gla__strndup(s, strlen(s)) : NULL;
}

char *gla__strndup(const char *s, size_t n)
{
    char *copy;

    if (n == SIZE_MAX)
        return NULL;
    copy = gla__alloc(n + 1);
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

int gla__grow(void **array, size_t *capacity, size_t n, size_t size)
{
    size_t wanted, bytes;
    void *p;

    if (n < *capacity)
        return 0;
    if (!gla__mul_size(*capacity, 2, &wanted))
        return -1;
    if (wanted < 8)
        wanted = 8;
    if (!gla__mul_size(wanted, size, &bytes))
        return -1;
    p = gla__realloc(*array, *capacity * size, bytes);
    if (!p)
        return -1;
    *array = p;
    *capacity = wanted;
    return 0;
}

void gla_text_free(char *text)
{
    gla__free(text);
}

void gla_ids_free(int32_t *ids)
{
    gla__free(ids);
}
