/* SPDX-License-Identifier: Apache-2.0
 *
 * conversion.h - inside of gla_convert(): one conversion under way
 *
 * open.c reads what the source is, plan.c lists every tensor of the new file with where its numbers
 * come from and what they become, write.c does it.
 * Everything here belongs to one thread.
 */
#ifndef GLA_CONVERT_CONVERSION_H
#define GLA_CONVERT_CONVERSION_H

#include <gla/convert.h>
#include <stdbool.h>

#include "formats/import/import.h"
#include "formats/weights/glaw.h"

/* Why a tensor is not quantised although int8 or int4 was asked for. */
typedef enum gla__kept {
    GLA__KEPT_NOT = 0, /* it is quantised, or nothing was asked for */
    GLA__KEPT_VECTOR,
    GLA__KEPT_SENSITIVE,
    GLA__KEPT_LOOKUP,
    GLA__KEPT_HEAD,
    GLA__KEPT_SMALL,
    GLA__KEPT_PATTERN,
    GLA__KEPT_COUNT
} gla__kept;

typedef struct gla__convert_item {
    gla__glaw_tensor out;
    const gla__piece *read; /* where the numbers lie in the source */
    uint32_t n_read;
    uint32_t stored; /* dtype of the pieces; F32 where they differ */
    gla__kept kept;  /* see above */
    bool unused;     /* no layer declares it: kept so that the way back is complete */
    gla__piece *own; /* pieces that this item owns */
    char *own_name;
} gla__convert_item;

/* A small file that the source has inside. */
typedef struct gla__inner_file {
    const char *name;
    char *data;
    size_t size;
} gla__inner_file;

typedef struct gla__conversion {
    const char *src, *dst;
    char *folder; /* of a source that is a file; NULL: src is the folder */
    gla_convert_options options;
    gla_limits limits; /* options.limits */
    gla_diag *diag;
    gla_registry *registry;
    gla_weights *weights;
    char *config; /* text of config.json; NULL for model folders */
    size_t config_size;
    gla__inner_file inner[3]; /* of gguf: what does not lie beside the file; data NULL: none */
    gla__import *import;      /* NULL for model folders */
    gla_arch *arch;           /* the import's, or read from arch.yaml */
    gla_description *description;
    gla__convert_item *items;
    size_t n_items, cap_items;
    uint64_t total, done; /* bytes to read and read, for the progress */
    gla_convert_report report;
} gla__conversion;

/* The caller's options with their defaults; *limits, as converting needs them, becomes theirs. */
gla_status gla__convert_options(const gla_convert_options *given, gla_convert_options *o,
                                gla_limits *limits, gla_diag *diag);
__attribute__((format(printf, 2, 3))) void gla__convert_note(const gla_convert_options *o,
                                                             const char *format, ...);
/* GLA_E_CANCELLED when the caller says so. */
gla_status gla__convert_progress(const gla_convert_options *o, const char *what, uint64_t done,
                                 uint64_t total, gla_diag *diag);
/* config.json of a folder, or the file itself; *text is NUL-terminated. */
gla_status gla__convert_read_config(const char *path, char **text, size_t *size, gla_diag *diag);
/* Name of a model: the last part of the path, without "config.json" and ".json". */
char *gla__convert_name(const char *path);

gla_status gla__convert_open(gla__conversion *c);
gla_status gla__convert_plan(gla__conversion *c);
gla_status gla__convert_write(gla__conversion *c);
void gla__convert_deinit(gla__conversion *c);

/* ---- folders --------------------------------------------------------------- */

/* Files that go along unchanged, both ways; NULL-terminated. */
extern const char *const gla__convert_companions[];

/* The folder that a conversion makes.  It is written aside, beside its final place, and renamed or
 * exchanged as a whole: whatever fails, the place holds nothing, the old model or the new one.  A
 * folder that exists and is empty is written into. */
typedef struct gla__output {
    char *dst;     /* the place */
    char *path;    /* where to write now */
    bool aside;    /* path is not dst */
    bool replaces; /* dst exists */
} gla__output;

/* Checks that nothing is destroyed that is not ours: `mark` is the file by which a folder of ours
 * is known.  A zeroed gla__output; gla__output_close() also after a failure. */
gla_status gla__output_open(gla__output *o, const char *src, const char *dst, const char *mark,
                            bool overwrite, gla_diag *diag);
/* Puts the folder in its place if st is GLA_OK, else removes it; returns what came of it. */
gla_status gla__output_close(gla__output *o, gla_status st, gla_diag *diag);
/* Small files, written aside first and renamed together at the end. */
typedef struct gla__staged gla__staged;
gla_status gla__staged_create(const char *dst, gla__staged **out, gla_diag *diag);
gla_status gla__staged_add(gla__staged *s, const char *name, const void *data, size_t n,
                           gla_diag *diag);
/* Every companion that src has. */
gla_status gla__staged_copy(gla__staged *s, const char *src, gla_diag *diag);
/* One file of src's, at most max bytes, which may be missing if it is optional. */
gla_status gla__staged_copy_file(gla__staged *s, const char *src, const char *name, uint64_t max,
                                 bool optional, gla_diag *diag);
gla_status gla__staged_commit(gla__staged *s, gla_diag *diag);
void gla__staged_free(gla__staged *s); /* without a commit nothing stays */

#endif
