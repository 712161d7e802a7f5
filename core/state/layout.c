/* SPDX-License-Identifier: Apache-2.0 */
#include "state/layout.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "math/kv.h"

#define MAX_ENTRIES     65536u
#define MAX_FIXED_BYTES (UINT64_C(1) << 40)
#define MAX_PAGE_VALUES (UINT64_C(1) << 28) /* numbers of one page, keys and values */

/* Bytes of a FIXED state; false when it is not a sensible size. */
static bool fixed_bytes(const gla_state_desc *d, uint64_t *out)
{
    uint64_t n = sizeof(float);

    if (d->ndim > GLA_MAX_DIMS)
        return false;
    for (uint32_t i = 0; i < d->ndim; i++)
        if (d->dims[i] < 0 || !gla__mul_u64(n, (uint64_t)d->dims[i], &n) || n > MAX_FIXED_BYTES)
            return false;
    *out = n;
    return true;
}

static bool page_fits(const gla_state_desc *d)
{
    const uint64_t dims = (uint64_t)d->k_dim + d->v_dim;
    uint64_t n;

    return d->kv_heads && d->k_dim && gla__mul_u64(dims, d->kv_heads, &n) &&
           gla__mul_u64(n, GLA__KV_PAGE_TOKENS, &n) && n <= MAX_PAGE_VALUES;
}

/* Fills the entry's kind-specific part and the layout's totals. */
static gla_status place(gla__state_layout *l, gla__state_entry *e, gla_diag *diag)
{
    uint64_t bytes;

    if (e->desc.kind == GLA_STATE_PER_TOKEN) {
        if (!page_fits(&e->desc))
            return gla__fail(diag, GLA_E_LIMIT,
                             "KV cache of %" PRIu32 " heads, key %" PRIu32 ", value %" PRIu32
                             " is not a usable size",
                             e->desc.kv_heads, e->desc.k_dim, e->desc.v_dim);
        l->n_per_token++;
        return GLA_OK;
    }
    if (e->desc.kind != GLA_STATE_FIXED)
        return gla__fail(diag, GLA_E_PLUGIN, "unknown kind of state %" PRIu32, e->desc.kind);
    if (!fixed_bytes(&e->desc, &bytes) || bytes > MAX_FIXED_BYTES - l->fixed_bytes)
        return gla__fail(diag, GLA_E_LIMIT, "state takes more than %" PRIu64 " bytes a sequence",
                         MAX_FIXED_BYTES);
    e->offset = l->fixed_bytes;
    e->bytes = (size_t)bytes;
    l->fixed_bytes += (size_t)(bytes + 63) / 64 * 64; /* the limit is a multiple too */
    return GLA_OK;
}

gla_status gla__state_layout_add(gla__state_layout *l, const char *name, const gla_state_desc *desc,
                                 uint32_t revision, gla_diag *diag)
{
    /* The array doubles at powers of two: its capacity follows from n_entries. */
    const uint32_t n = l->n_entries;
    gla__state_entry e = {.desc = *desc, .revision = revision};
    gla_status st;

    if (n >= MAX_ENTRIES)
        return gla__fail(diag, GLA_E_LIMIT, "more than %u states", MAX_ENTRIES);
    if ((n & (n - 1)) == 0) {
        gla__state_entry *grown =
            gla__realloc(l->entries, n * sizeof(e), (n ? 2 * n : 1) * sizeof(e));

        if (!grown)
            return gla__fail_nomem(diag, "the state layout");
        l->entries = grown;
    }
    e.desc.name = gla__strdup(name);
    if (!e.desc.name)
        return gla__fail_nomem(diag, "the state layout");
    st = place(l, &e, diag);
    if (st) {
        gla__at(diag, name);
        gla__free((void *)(uintptr_t)e.desc.name);
        return st;
    }
    l->entries[l->n_entries++] = e;
    return GLA_OK;
}

void gla__state_layout_free(gla__state_layout *l)
{
    for (uint32_t i = 0; i < l->n_entries; i++)
        gla__free((void *)(uintptr_t)l->entries[i].desc.name);
    gla__free(l->entries);
    memset(l, 0, sizeof(*l));
}
