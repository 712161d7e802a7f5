/* SPDX-License-Identifier: Apache-2.0
 *
 * layout.h - which states a sequence of a model has
 *
 * One entry per state declared by a layer, in the order of the layers.  All fixed states of a
 * sequence lie in one block, at `offset`; per-token states are paged, each on its own.
 */
#ifndef GLA_STATE_LAYOUT_H
#define GLA_STATE_LAYOUT_H

#include <gla/plugin.h>
#include <gla/status.h>

typedef struct gla__state_entry {
    gla_state_desc desc; /* desc.name: "layers.3.mixer.S", owned by the layout */
    uint32_t revision;   /* of the layer's state layout */
    uint32_t reserved;
    size_t offset, bytes; /* FIXED: place in the block, 64-byte aligned */
} gla__state_entry;

typedef struct gla__state_layout {
    gla__state_entry *entries;
    uint32_t n_entries;
    uint32_t n_per_token;
    size_t fixed_bytes;
} gla__state_layout;

/* Adds an entry (name copied); GLA_E_NOMEM, GLA_E_LIMIT when sizes overflow. */
gla_status gla__state_layout_add(gla__state_layout *l, const char *name, const gla_state_desc *desc,
                                 uint32_t revision, gla_diag *diag);
void gla__state_layout_free(gla__state_layout *l); /* also a zeroed one */

#endif
