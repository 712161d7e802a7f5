/* SPDX-License-Identifier: Apache-2.0
 *
 * blob.h - counted memory for the weights of a model
 *
 * The loader reads a tensor into a blob and gives it to bind(); whoever wants to go on using those
 * bytes instead of a packed copy of them takes a reference, the others need not care: the loader
 * drops its own reference as soon as the layer is bound, so a model never lies in memory twice.
 *
 *     if (gla__blob_ref(tensor->data))  keep the pointer, gla__blob_unref() when done
 *     else                              not a blob (a test's array): copy
 *
 * [thread-safe]
 */
#ifndef GLA_BASE_BLOB_H
#define GLA_BASE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64-byte aligned, contents undefined, one reference; NULL when out of memory. */
void *gla__blob_new(size_t bytes);
/* data: the start of a blob.  True if it is one, and now has one reference more. */
bool gla__blob_ref(const void *data);
/* Frees it with the last reference.  NULL and memory that is no blob: nothing happens. */
void gla__blob_unref(const void *data);
/* Size of a blob, 0 if it is none. */
size_t gla__blob_bytes(const void *data);

#endif
