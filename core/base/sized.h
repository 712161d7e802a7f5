/* SPDX-License-Identifier: Apache-2.0
 *
 * sized.h - structs between a program and a library that are not of one version (struct.h has what
 * plugins and the library exchange)
 *
 * What a program fills in begins with its struct_size; the library reads that much of it and no
 * more, into a struct of today's size:
 *
 *     gla_limits limits;
 *     st = gla__read_struct(gla_limits, no_verify, &limits, given, diag);
 *
 * What the library fills in comes with a size, and gla__write_struct() writes no more than that.
 */
#ifndef GLA_BASE_SIZED_H
#define GLA_BASE_SIZED_H

#include <gla/status.h>

/* *to is *from, zero where *from is older, all zero if from is NULL.  last: the last field of the
 * first version.  GLA_E_INVALID for less than that, GLA_E_UNSUPPORTED for a newer one that says
 * something in what it has more. */
#define gla__read_struct(type, last, to, from, diag)                                               \
    gla__read_sized(to, sizeof(type), offsetof(type, last) + sizeof(((type *)0)->last),            \
                    (const type *){from}, #type, diag)
gla_status gla__read_sized(void *to, size_t size, size_t first, const void *from, const char *type,
                           gla_diag *diag);

/* The same for an element of an array, which has no struct_size: given is the size of all. */
#define gla__read_element(type, last, to, from, given, diag)                                       \
    gla__read_given(to, sizeof(type), offsetof(type, last) + sizeof(((type *)0)->last), from,      \
                    given, #type, diag)
gla_status gla__read_given(void *to, size_t size, size_t first, const void *from, size_t given,
                           const char *type, gla_diag *diag);

/* Writes n bytes of *from to *to, which has size bytes: what is too much is left out, what is
 * missing is zero. */
void gla__write_struct(void *to, size_t size, const void *from, size_t n);

#endif
