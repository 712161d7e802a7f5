/* SPDX-License-Identifier: Apache-2.0
 *
 * import.h - importers of published checkpoints: one small file a family
 *
 * An importer turns config.json into an architecture, and says where each of our tensors comes
 * from. Ours is a concatenation of contiguous ranges of published tensors, so that the way back is
 * exact: renaming, splitting fused projections, regrouping interleaved rows, stacking experts are
 * all that. Shapes are not the importer's business: the converter gives each tensor the shape its
 * layer declares and refuses when the number of elements differs.
 *
 * A family is one file formats/import/NAME.c that defines `const gla__importer gla__importer_NAME`.
 */
#ifndef GLA_FORMATS_IMPORT_H
#define GLA_FORMATS_IMPORT_H

#include <gla/arch.h>
#include <gla/weights.h>

#include "formats/config.h"

typedef struct gla__piece {
    char *source;          /* published tensor */
    uint64_t first, count; /* elements */
} gla__piece;

typedef struct gla__mapped {
    char *name; /* ours: "layers.0.mixer.q_proj.weight" */
    gla__piece *pieces;
    uint32_t n_pieces;
} gla__mapped;

typedef struct gla__mapping gla__mapping;

typedef struct gla__importer {
    const char *family;             /* "fla/gla" */
    const char *const *model_types; /* config.json "model_type", NULL-terminated */
    /* Fills arch (made with gla_arch_new).  `source` may be NULL (--arch-only); where config and
     * tensors disagree the tensors decide. */
    gla_status (*arch)(gla__config *cfg, const gla_weights *source, gla_arch *arch, gla_diag *diag);
    gla_status (*tensors)(gla__config *cfg, const gla_arch *arch, gla__mapping *map,
                          gla_diag *diag);
} gla__importer;

/* By model_type; NULL if there is none. */
const gla__importer *gla__importer_find(const char *model_type);
/* i-th of all, NULL past the end. */
const gla__importer *gla__importer_get(uint32_t i);

/* ---- for importers: saying where tensors come from ---------------------- */

/* The published tensor, NULL if absent. */
const gla_tensor_info *gla__map_find(const gla__mapping *m, const char *source);
/* ours = all of source.  Missing sources are collected and reported together at the end. */
gla_status gla__map(gla__mapping *m, const char *ours, const char *source);
/* Appends elements [first, first + count) of source to ours. */
gla_status gla__map_range(gla__mapping *m, const char *ours, const char *source, uint64_t first,
                          uint64_t count);
/* As gla__map for each pair {ours, source} of a table (ended by NULL) under two prefixes; a name
 * that starts with '?' is optional: skipped when the source is absent. */
gla_status gla__map_table(gla__mapping *m, const char *our_prefix, const char *source_prefix,
                          const char *const (*table)[2]);
/* Tensors that the family is known not to use (fnmatch pattern): kept in the file, not reported. */
gla_status gla__map_ignore(gla__mapping *m, const char *pattern);

#endif
