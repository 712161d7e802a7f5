/* SPDX-License-Identifier: Apache-2.0
 *
 * held.h - what layers have from gla.host.alloc, and whose it is
 *
 * For the checking proxy: forward() must not write to it.  [thread-safe]
 */
#ifndef GLA_GRAPH_HELD_H
#define GLA_GRAPH_HELD_H

#include <stddef.h>
#include <stdint.h>

/* 64-byte aligned, zeroed, or NULL.  owner: a name that stays where it is, NULL: nobody's. */
void *gla__held_alloc(size_t bytes, const char *owner);
void gla__held_free(void *p);
/* A checksum of all that this owner has. */
uint64_t gla__held_hash(const char *owner, uint64_t seed);

#endif
