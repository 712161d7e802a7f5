/* SPDX-License-Identifier: Apache-2.0
 *
 * import.h - importers of published checkpoints: one small file a family
 *
 * An importer turns config.json into an architecture, and says where our tensors come from: each
 * is a concatenation of contiguous ranges of published tensors, so that the way back is exact
 * (gguf, from which there is no way back, may also take a logarithm and reorder columns).
 * Renaming, splitting fused projections, regrouping interleaved rows, stacking experts are all
 * that.  Shapes are not the importer's business: the converter asks for the tensors that the layers
 * declare, gives them the declared shape and refuses when the number of elements differs.
 *
 * A family is one file formats/import/families/from_NAME.c that defines
 * `const gla__importer gla__importer_NAME`; the build finds it.  What such a file looks like:
 *
 *     static void arch(gla__import *im)
 *     {
 *         gla_arch_block *b = gla__fla_blocks(im, &defaults, "retention", "retention");
 *
 *         if (!b)
 *             return;                                  every layer is softmax, or an error stuck
 *         gla__set_number(im, &b->mixers[0], "heads",
 *                         (double)gla__config_int(im->cfg, "num_heads", 8, 1, GLA__MAX_HEADS));
 *         gla__config_not(im->cfg, "use_something");   refused by name when true
 *     }
 *
 *     static void tensors(gla__import *im)
 *     {
 *         static const char *const renamed[] = {"?g_norm.weight=g_norm_swish_gate.weight", NULL};
 *         gla__fla_tensors(im, renamed);
 *     }
 *
 * Nothing returns a status: the first error (no memory, a refused value) sticks and is reported
 * when the importer is through; numbers read after it are defaults, so that nothing goes wrong
 * meanwhile.  Shared pieces: common.h (blocks, parameters), llama.h (attention as Llama's
 * descendants spell it), fla.h (everything of flash-linear-attention), hybrid.h, moe.h, mamba.h.
 */
#ifndef GLA_FORMATS_IMPORT_IMPORT_H
#define GLA_FORMATS_IMPORT_IMPORT_H

#include <gla/arch.h>
#include <gla/weights.h>

#include "formats/import/config.h"
#include "formats/weights/piece.h"

typedef struct gla__mapped {
    const char *name; /* ours: "layers.0.mixer.q_proj.weight" */
    const gla__piece *pieces;
    uint32_t n_pieces;
} gla__mapped;

typedef struct gla__mapping gla__mapping;

/* One import under way: what both functions of an importer get. */
typedef struct gla__import {
    const struct gla__importer *importer;
    gla__config *cfg;
    const gla_weights *source; /* NULL: only the architecture is wanted (--arch-only) */
    gla_arch *arch;
    uint32_t *layers; /* [arch->n_layers] index into arch->blocks; see gla__layers_make() */
    uint32_t n_layers;
    gla__mapping *map;
    gla_status status; /* sticks */
    char **notes;      /* remarks for the user, see gla__note() */
    size_t n_notes, cap_notes;
} gla__import;

typedef struct gla__importer {
    const char *family;             /* "fla/gla" */
    const char *const *model_types; /* config.json "model_type", NULL-terminated */
    /* Fills im->arch and im->layers.  im->source may be NULL; where config and tensors disagree
     * the tensors decide. */
    void (*arch)(gla__import *im);
    /* Fills im->map. */
    void (*tensors)(gla__import *im);
} gla__importer;

/* By model_type; NULL if there is none. */
const gla__importer *gla__importer_find(const char *model_type);
/* i-th of all, NULL past the end. */
const gla__importer *gla__importer_get(uint32_t i);

/* ---- for the converter --------------------------------------------------- */

/* Parses config.json, finds the importer, makes the architecture and, with a source, the mapping.
 * `name` stands in messages.  source may be NULL; else it must outlive *out. */
gla_status gla__import_open(const char *json, size_t size, const char *name,
                            const gla_weights *source, gla__import **out, gla_diag *diag);
void gla__import_close(gla__import *im);
/* Keys of config.json that the importer did not look at and that are not known to be without
 * meaning for the result, one after the other; NULL at the end.  *cursor is 0 at first. */
const char *gla__import_unread(const gla__import *im, uint32_t *cursor);

/* Where our tensor comes from; *out is NULL if the importer does not say.  The result lives as
 * long as the import. */
gla_status gla__mapping_resolve(gla__mapping *m, const char *ours, const gla__mapped **out,
                                gla_diag *diag);
/* The family is known not to use this published tensor. */
bool gla__mapping_ignores(const gla__mapping *m, const char *source);

/* ---- for importers: saying where tensors come from ----------------------- */

/* The published tensor, NULL if absent. */
const gla_tensor_info *gla__source(const gla__import *im, const char *name);
__attribute__((format(printf, 2, 3))) const gla_tensor_info *
gla__source_format(const gla__import *im, const char *format, ...);

/* Every tensor of ours whose name starts with `ours` comes from the published tensor with that part
 * replaced by `source`, unless something more particular is said.  Whole names work as well:
 *     gla__map_prefix(im, "layers.3.mixer.", "model.layers.3.attn.");
 *     gla__map_prefix(im, "embed.weight", "model.embeddings.weight"); */
void gla__map_prefix(gla__import *im, const char *ours, const char *source);
/* Appends all of source to ours (again and again: stacks, experts for instance). */
void gla__map(gla__import *im, const char *ours, const char *source);
/* Appends elements [first, first + count) of source to ours. */
void gla__map_range(gla__import *im, const char *ours, const char *source, uint64_t first,
                    uint64_t count);
/* As gla__map_range(), with the one change of values that there is: log(-x). */
void gla__map_log_negated(gla__import *im, const char *ours, const char *source, uint64_t first,
                          uint64_t count);
/* All of source, a matrix, with its columns in another order: the only piece of ours. */
void gla__map_columns(gla__import *im, const char *ours, const char *source,
                      const gla__columns *columns);
/* Renames under two prefixes: entries "ours=source", ended by NULL.  An entry that starts with '?'
 * counts only if the source has it (older and newer names of one tensor). */
void gla__map_names(gla__import *im, const char *our_prefix, const char *source_prefix,
                    const char *const *renamed);
/* Ours, NULL-terminated, are cut, with these numbers of elements, from theirs, NULL-terminated,
 * joined end to end.  Those of theirs that do not exist count for nothing. */
void gla__map_cut(gla__import *im, const char *our_prefix, const char *const *ours,
                  const uint64_t *elements, const char *source_prefix, const char *const *theirs);

typedef struct gla__fused {
    const char *source, *ours[4]; /* NULL where there are fewer */
    uint64_t rows[4];             /* of each of ours, in one group */
} gla__fused;

/* A matrix of theirs holds, for each group in turn, some rows of each of ours. */
void gla__map_ungrouped(gla__import *im, const char *our_prefix, const char *source_prefix,
                        const gla__fused *f, uint64_t groups);

/* Published tensors that the family is known not to use (fnmatch pattern): kept in the file, not
 * reported. */
void gla__map_ignore(gla__import *im, const char *pattern);

/* Inside: the mapping's life. */
gla__mapping *gla__mapping_new(const gla_weights *source);
void gla__mapping_free(gla__mapping *m);

#endif
