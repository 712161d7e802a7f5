/* SPDX-License-Identifier: Apache-2.0 */
#include "math/math.h"

void *gla__exec_take(gla__exec *exec, size_t bytes)
{
    const size_t padded = (bytes + 63) & ~(size_t)63;
    char *p;

    if (!exec || padded < bytes || padded > exec->arena_bytes - exec->used)
        return NULL;
    p = exec->arena + exec->used;
    exec->used += padded;
    return p;
}
