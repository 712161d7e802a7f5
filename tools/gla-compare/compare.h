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

#include "cli/model_args.h"

enum {
    MAX_CANDIDATES = 32,
    MAX_CONTEXTS = 16,
    MAX_ROUNDS = 32,
    POSITION_BINS = 24, /* of the place in the window: below 16, below 32, below 64, ... */
};

/* What a block does along the sequence, as gla_describe() tells. */
typedef enum block_kind { BLOCK_PLAIN = 0, BLOCK_LINEAR, BLOCK_SOFTMAX, BLOCK_BOTH } block_kind;

/* How well it predicts the text. */
typedef struct quality {
    double nll, low, high; /* nats per token, 95 % interval; NAN: not measured */
    double difference, difference_low, difference_high; /* against the first one measured */
    double by_position[POSITION_BINS];
    double *window_sum; /* [windows] nats */
} quality;

/* Samples of rounds and what they come to. */
typedef struct rate {
    double sample[MAX_ROUNDS];
    uint32_t n;
    double median, low, high; /* tokens/s; NAN: not measured */
} rate;

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

    cli_model open; /* when something is measured */
    quality quality;
    rate prefill[MAX_CONTEXTS], decode[MAX_CONTEXTS];
    uint64_t
        memory_used; /* weights, workspace, KV, state at the longest context; 0: not measured */
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

    const char *text; /* --text; NULL: quality was not asked for */
    uint32_t window;  /* tokens; 0: at most 1024, and no more than every candidate was made for */
    uint32_t windows; /* that all candidates have been through */
    uint64_t tokens;  /* predicted in them */
    bool measured;
    uint32_t rounds, decode_tokens;
    bool interrupted; /* what is there is what was measured until then */
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

/* ---- measuring ----------------------------------------------------------- */

/* Opens the folders; bare architectures get random weights, when `bare` asks for it. */
int compare_open(comparison *c, bool bare);
int compare_quality(comparison *c);
int compare_speed(comparison *c);

/* ---- outputs ------------------------------------------------------------- */

/* "4k", "1M", "1000": contexts as people write them. */
const char *compare_format_tokens(char buf[32], uint64_t tokens);

void compare_print_table(const comparison *c);
void compare_print_csv(const comparison *c);
json_t *compare_json(const comparison *c);

/* The same tables as HTML. */
void compare_write_tables(const comparison *c, FILE *f);
/* With &, <, > and quotes as HTML wants them. */
void compare_escape(FILE *f, const char *text);

/* ---- pictures ------------------------------------------------------------ */

typedef struct compare_picture {
    const char *name, *title;
    /* One <svg>; alone: with its own style.  False: nothing to draw, and nothing is written. */
    bool (*draw)(const comparison *c, FILE *f, bool alone);
    bool needs_text, needs_speed;
} compare_picture;

extern const compare_picture compare_pictures[]; /* ended by name NULL */
bool compare_has_picture(const comparison *c, const compare_picture *p);
void compare_plot_style(FILE *f);

/* Exit status; what is wrong has been said. */
int compare_write_plots(const comparison *c, const char *dir);
int compare_write_page(const comparison *c, const char *path, int argc, char **argv);

#endif
