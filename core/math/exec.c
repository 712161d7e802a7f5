/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "math/ops.h"

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

static gla_status no_such_state(const gla_batch *b, const char *op, uint32_t index,
                                const char *wanted)
{
    char text[128];

    snprintf(text, sizeof(text), "%s: state %" PRIu32 " is none that the layer declared%s", op,
             index, wanted);
    return gla_host_fail(b->host, GLA_E_INVALID, text);
}

gla_status gla__check_state(const gla_batch *b, const char *op, uint32_t index, uint32_t kind,
                            uint64_t numbers)
{
    const gla__exec *exec = b->exec;
    const gla_state_desc *s;
    uint64_t declared = 1;
    char text[64];

    if (index >= b->n_states)
        return no_such_state(b, op, index, "");
    if (!exec || !exec->states)
        return GLA_OK;
    s = &exec->states[index];
    if (s->kind != kind)
        return no_such_state(b, op, index, kind == GLA_STATE_FIXED ? " as FIXED" : " as PER_TOKEN");
    /* sizes were checked when the state was declared */
    for (uint32_t i = 0; i < s->ndim && kind == GLA_STATE_FIXED; i++)
        declared *= (uint64_t)s->dims[i];
    snprintf(text, sizeof(text), " with %" PRIu64 " numbers", numbers);
    return declared >= numbers ? GLA_OK : no_such_state(b, op, index, text);
}
