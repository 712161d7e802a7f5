/* SPDX-License-Identifier: Apache-2.0
 *
 * compare.h - the candidates of one comparison and what is known of each
 *
 * main fills a comparison step by step: candidates (compare_candidates.c), what they cost
 * (compare_cost.c), how well they predict a text (compare_quality.c), how fast they are
 * (compare_speed.c).  The outputs read it: columns for the table and CSV (compare_table.c), JSON
 * (compare_json.c), the page (compare_page.c).  What was not measured is NAN and prints as such.
 * One thread; everything is released by compare_free().
 */
#ifndef GLA_COMPARE_H
#define GLA_COMPARE_H

#include "cli/cli.h"

enum {
    MAX_CANDIDATES = 32,
    MAX_CONTEXTS = 16,
};

/* What a block does along the sequence, as gla_describe() tells. */
typedef enum block_kind { BLOCK_PLAIN = 0, BLOCK_LINEAR, BLOCK_SOFTMAX, BLOCK_BOTH } block_kind;

typedef struct candidate {
    char label[64];
    char source[256]; /* folder or arch.yaml it comes from */
    bool trained;     /* there are weights in the folder */
    gla_arch *arch;
    gla_description *description;
    uint8_t *kinds; /* [arch->n_layers] block_kind, from the top */

    uint64_t weight_bytes;
    uint64_t crossover; /* tokens; 0: only one kind of state */
    uint64_t fits;      /* tokens; UINT64_MAX: any context */
    uint64_t kv_bytes[MAX_CONTEXTS];
    double flops[MAX_CONTEXTS]; /* to process the token that follows a context */
} candidate;

typedef struct comparison {
    gla_registry *registry;
    candidate items[MAX_CANDIDATES];
    uint32_t n;
    uint64_t contexts[MAX_CONTEXTS];
    uint32_t n_contexts;
    uint32_t kv_dtype;
    uint32_t weights_dtype; /* 0: as stored, or as arch.yaml says */
    uint64_t memory;        /* --memory; 0: not asked */
} comparison;

/* ---- candidates ---------------------------------------------------------- */

/* Each adds candidates, or returns the exit status after saying what is wrong. */
int compare_add_path(comparison *c, const char *path);
/* mix, mixers: lists as given, NULL = the architecture's own. */
int compare_add_sweep(comparison *c, const char *arch, const char *mix, const char *mixers);
void compare_free(comparison *c);

/* True when layer i of every a + b layers is softmax: b of them, as evenly as whole layers allow,
 * the last of the group always. */
bool compare_mix_is_softmax(uint32_t i, uint32_t linear, uint32_t softmax);

/* ---- cost ---------------------------------------------------------------- */

int compare_cost(comparison *c);

/* ---- outputs ------------------------------------------------------------- */

/* "4k", "1M", "1000": contexts as people write them. */
const char *compare_format_tokens(char buf[32], uint64_t tokens);

void compare_print_table(const comparison *c);
void compare_print_csv(const comparison *c);
json_t *compare_json(const comparison *c);

#endif
