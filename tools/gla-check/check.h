/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h - what the parts of gla-check share
 *
 *     gla-check.c      starts the checks, each in a process of its own, and reports
 *     check_child.c    that process: what it says, its crashes
 *     check_memory.c   its memory: counted, refused, and watched while forward() runs
 *     check_model.c    the small models that have the layer in them
 *     check_rules.c    the checks
 *
 * The parent never loads the plugin.
 */
#ifndef GLA_CHECK_H
#define GLA_CHECK_H

#include "cli/cli.h"
#include <gla/plugin.h>

enum {
    CHECK_VOCAB = 61,
    CHECK_PROMPT = 100,
    CHECK_MOST_VARIANTS = 48,
    CHECK_MOST_WIDTHS = 8,
    CHECK_TEXT = 4096
};

/* One check of one layer type in one place. */
typedef struct check {
    const char *path; /* of the plugin */
    char type[160];
    uint64_t place; /* one of GLA_LAYER_* */
    uint32_t variant;
    uint32_t dtype;
    uint32_t widths[CHECK_MOST_WIDTHS], n_widths; /* d_model of the models */
    uint32_t width;                               /* of the one that is made now */
    const char *name;                             /* "keeps its contract", ... */
    int (*fn)(const struct check *c);
} check;

/* ---- the child ---- */

/* Turns this process into a check's: what it has to say goes to fd, crashes too. */
void check_begin(int fd);
/* What is said from here on is of a model of this width. */
void check_at_width(uint32_t width);
/* Both return 1, the exit status of a check that failed. */
__attribute__((format(printf, 1, 2))) int check_say(const char *format, ...);
int check_say_diag(const gla_diag *diag);

/* ---- memory ---- */

/* The library allocates from here on through functions that count, and that refuse the plugin's
 * nth allocation from now on when n is not 0. */
void check_count_memory(void);
void check_refuse(long long n);
long long check_asked(void);  /* allocations from within the plugin's functions since then */
long long check_living(void); /* allocations that were not freed */

/* Notes what forward() of this layer takes from malloc() and its kin from here on. */
void check_watch_malloc(const gla_layer_desc *d);
/* "layers.0.mixer (org.example.ema/1): forward() calls malloc()"; "" when it did not. */
const char *check_malloc_seen(void);

/* ---- models ---- */

/* Besides the defaults: each other value of each switch of a layer, 1 .. check_variants(). */
uint32_t check_variants(const gla_layer_desc *d);
void check_variant_name(char *text, size_t size, const gla_layer_desc *d, uint32_t variant);

/* Loads the plugin and makes a model of c->width. */
gla_status check_model(const check *c, gla_model **out, uint64_t *flags, gla_diag *diag);

/* ---- what a child does: 0, or 1 after saying what is wrong ---- */

/* Says which layers there are: a line "type flags" each, then one "=name" a variant. */
int check_loads(const check *c);
/* Says the widths to check at: two that the layer takes, no multiple of a vector if it can be. */
int check_widths(const check *c);
int check_runs(const check *c);
int check_memory(const check *c);
int check_threads(const check *c);
int check_sessions(const check *c);

#endif
