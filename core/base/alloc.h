/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.h - the only place of the library that takes memory
 *
 * Everything goes through one hook (gla_set_allocator), so that tests can fail the n-th allocation
 * and an application can count.  Memory is 64-byte aligned.  gla__free(NULL) is allowed.
 */
#ifndef GLA_BASE_ALLOC_H
#define GLA_BASE_ALLOC_H

#include <stddef.h>

void *gla__alloc(size_t bytes); /* contents undefined; NULL when out of memory */
void *gla__alloc_zero(size_t bytes);
void *gla__alloc_array(size_t count,
                       size_t size); /* zeroed; NULL also when the product overflows */
/* Grows: keeps the first old_bytes, zeroes the rest; on NULL the old block stays. */
void *gla__realloc(void *p, size_t old_bytes, size_t new_bytes);
void gla__free(void *p);
char *gla__strdup(const char *s); /* NULL in: NULL out */
char *gla__strndup(const char *s, size_t n);

/* Makes room for one more element of an array that doubles: 0 or -1 when out of memory.
 *     if (gla__grow((void **)&a, &capacity, n, sizeof(*a))) return GLA_E_NOMEM;  a[n++] = x; */
int gla__grow(void **array, size_t *capacity, size_t n, size_t size);

#endif
