/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sized.h"

#include <string.h>

#include "base/diag.h"
#include "base/struct.h"

enum { MOST_BYTES = 4096 }; /* larger is no struct, but a size that nobody set */

gla_status gla__read_given(void *to, size_t size, size_t first, const void *from, size_t given,
                           const char *type, gla_diag *diag)
{
    const unsigned char *bytes = from;

    memset(to, 0, size); /* whatever comes of it */
    if (given < first || given > MOST_BYTES)
        return gla__fail(diag, GLA_E_INVALID,
                         "%s: its size is said to be %zu, at least %zu expected", type, given,
                         first);
    for (size_t i = size; i < given; i++)
        if (bytes[i])
            return gla__fail(diag, GLA_E_UNSUPPORTED,
                             "%s: byte %zu is set, this version of the library knows %zu", type, i,
                             size);
    gla__take(to, size, from, given);
    return GLA_OK;
}

gla_status gla__read_sized(void *to, size_t size, size_t first, const void *from, const char *type,
                           gla_diag *diag)
{
    const uint32_t today = (uint32_t)size;
    uint32_t given;
    gla_status st = GLA_OK;

    memset(to, 0, size);
    if (from) {
        memcpy(&given, from, sizeof(given));
        st = gla__read_given(to, size, first, from, given, type, diag);
        if (st == GLA_E_INVALID)
            gla__hint(diag, "begin its initialiser with GLA_SIZED(%s)", type);
    }
    memcpy(to, &today, sizeof(today));
    return st;
}

void gla__write_struct(void *to, size_t size, const void *from, size_t n)
{
    memcpy(to, from, n < size ? n : size);
    if (size > n)
        memset((char *)to + n, 0, size - n);
}
