/* SPDX-License-Identifier: Apache-2.0
 *
 * check_memory.c - a check's memory: counted, refused, and watched while forward() runs
 *
 * What a plugin asks of the host, the host knows.  What it asks of the C library comes here, since
 * a program's own malloc() is everybody's.  Whose call it is, the stack says: the first function on
 * it that is the plugin's or the library's.
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gla-check/check.h"

/* ---- through the library ---- */

static atomic_llong living, asked; /* allocations; asked: from within a plugin's function */
static long long refused;          /* the number of the one that fails; 0 = none */

static void *counted_alloc(void *ctx, size_t bytes, size_t alignment)
{
    void *p;

    (void)ctx;
    if (gla_validate_now()[0] && atomic_fetch_add(&asked, 1) + 1 == refused)
        return NULL;
    p = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (p)
        atomic_fetch_add(&living, 1);
    return p;
}

static void counted_free(void *ctx, void *p)
{
    (void)ctx;
    if (p)
        atomic_fetch_sub(&living, 1);
    free(p);
}

void check_count_memory(void)
{
    gla_set_allocator(counted_alloc, counted_free, NULL);
}

void check_refuse(long long n)
{
    refused = n;
    atomic_store(&asked, 0);
}

long long check_asked(void)
{
    return atomic_load(&asked);
}

long long check_living(void)
{
    return atomic_load(&living);
}

/* ---- past it ---- */

typedef struct range {
    uintptr_t address; /* somewhere in it */
    uintptr_t begin, end;
} range;

static range of_plugin, of_library;
static atomic_bool watching, was_seen;
static char seen[320];

static int find_range(struct dl_phdr_info *object, size_t size, void *arg)
{
    range *r = arg;
    range found = {r->address, UINTPTR_MAX, 0};

    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_LOAD) {
            const uintptr_t begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
            const uintptr_t end = begin + object->dlpi_phdr[i].p_memsz;

            found.begin = begin < found.begin ? begin : found.begin;
            found.end = end > found.end ? end : found.end;
        }
    if (r->address < found.begin || r->address >= found.end)
        return 0;
    *r = found;
    return 1;
}

void check_watch_malloc(const gla_layer_desc *d)
{
    void *frame;

    of_plugin = (range){.address = (uintptr_t)d->forward};
    of_library = (range){.address = (uintptr_t)gla_version()}; /* a text that lies in it */
    dl_iterate_phdr(find_range, &of_plugin);
    dl_iterate_phdr(find_range, &of_library);
    backtrace(&frame, 1); /* loads what it needs, which takes memory */
    atomic_store(&watching, true);
}

const char *check_malloc_seen(void)
{
    return atomic_load(&was_seen) ? seen : "";
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* these have a malloc() of their own */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
enum { FRAMES = 48 };

static bool within(const range *r, const void *address)
{
    return (uintptr_t)address >= r->begin && (uintptr_t)address < r->end;
}

static bool plugin_called(void)
{
    void *frames[FRAMES];
    const int n = backtrace(frames, FRAMES);

    for (int i = 0; i < n; i++) {
        if (within(&of_plugin, frames[i]))
            return true;
        if (within(&of_library, frames[i]))
            return false;
    }
    return false;
}

static void note(const char *function)
{
    static _Thread_local bool inside;
    const char *now;

    if (!atomic_load_explicit(&watching, memory_order_relaxed) || inside)
        return;
    now = gla_validate_now();
    if (!strstr(now, "forward()"))
        return;
    inside = true;
    if (plugin_called() && !atomic_exchange(&was_seen, true))
        snprintf(seen, sizeof(seen), "%s calls %s()", now, function);
    inside = false;
}

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

#define EVERYBODYS __attribute__((visibility("default")))

EVERYBODYS void *malloc(size_t bytes)
{
    note("malloc");
    return __libc_malloc(bytes);
}

EVERYBODYS void *calloc(size_t n, size_t bytes)
{
    note("calloc");
    return __libc_calloc(n, bytes);
}

EVERYBODYS void *realloc(void *p, size_t bytes)
{
    note("realloc");
    return __libc_realloc(p, bytes);
}

EVERYBODYS void *aligned_alloc(size_t alignment, size_t bytes)
{
    note("aligned_alloc");
    return __libc_memalign(alignment, bytes);
}

EVERYBODYS int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    void *p;

    note("posix_memalign");
    if (alignment % sizeof(void *) || !alignment || (alignment & (alignment - 1)))
        return EINVAL;
    p = __libc_memalign(alignment, bytes);
    if (p)
        *out = p;
    return p ? 0 : ENOMEM;
}
#endif
