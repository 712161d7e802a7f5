/* SPDX-License-Identifier: Apache-2.0
 *
 * compare.h - the candidates of one comparison and what is known of each
 *
 * main fills a comparison step by step: candidates (compare_candidates.c, compare_sweep.c,
 * compare_match.c), what they cost (compare_cost.c), how well they predict a text and which of
 * their layers that is owed to (compare_quality.c), what they can find again (compare_recall.c),
 * how fast they are (compare_speed.c).  The outputs read it: columns for table, CSV and page
 * (compare_columns.h), JSON (compare_json.c), pictures (compare_plot.c draws, compare_pictures.c
 * says what).  What was not measured is NAN and prints as such.  One thread; everything is released
 * by compare_free().
 */
#ifndef GLA_COMPARE_H
#define GLA_COMPARE_H

#include "cli/model_args.h"

enum {
    MAX_CANDIDATES = 32,
    MAX_CONTEXTS = 16,
    MAX_ROUNDS = 32,
    MAX_CHANGES = 16,
    MAX_PROBES = 16,
    POSITION_BINS = 24, /* of the place in the window: below 16, below 32, below 64, ... */
};

/* What a block does along the sequence, as gla_describe() tells. */
typedef enum block_kind { BLOCK_PLAIN = 0, BLOCK_LINEAR, BLOCK_SOFTMAX, BLOCK_BOTH } block_kind;

/* A width that --match moved. */
typedef struct change {
    char block[48], parameter[32];
    double from, to;
} change;

/* A mixer left out: what that does to the nll. */
typedef struct ablation {
    char layer[64];     /* "layers.3.mixer" */
    char type[64];      /* "gla" */
    block_kind kind;    /* of this mixer alone */
    double *window_sum; /* [windows] nats */
    double nll, difference, low, high;
} ablation;

/* How well it predicts the text. */
typedef struct quality {
    double nll, low, high; /* nats per token, 95 % interval; NAN: not measured */
    double difference, difference_low, difference_high; /* against the first one measured */
    double by_position[POSITION_BINS];
    double *window_sum; /* [windows] nats */
    ablation *ablations;
    uint32_t n_ablations;
} quality;

/* One question to memory, as compare_recall.c asks it. */
typedef struct probe {
    enum { PROBE_COPY, PROBE_INDUCTION, PROBE_PAIRS, PROBE_NEEDLE } kind;
    uint32_t size;          /* tokens to copy, tokens of context, pairs, per cent of depth */
    char head[32], key[32]; /* as columns are called */
} probe;

/* Nats that the right tokens gain over the same question with a shuffled context. */
typedef struct recall {
    double gain, low, high;            /* mean over trials, 95 % interval; NAN: not measured */
    double probability, control;       /* of the right token, geometric means */
    double accuracy, control_accuracy; /* share of right tokens that rank first */
    bool able;                         /* low > 0 and gain >= ln 2 */
    uint32_t n;                        /* trials */
    double *gains;                     /* [n] */
} recall;

/* Samples of rounds and what they come to. */
typedef struct rate {
    double sample[MAX_ROUNDS];
    uint32_t n;
    double median, low, high; /* NAN: not measured */
} rate;

/* At one context. */
typedef struct speed {
    rate prefill, decode;               /* tokens/s */
    rate first_token;                   /* seconds from a prompt of this length to its logits */
    rate prefill_joules, decode_joules; /* per token */
} speed;

typedef struct candidate {
    char label[64];
    char source[256]; /* folder or arch.yaml it comes from */
    bool trained;     /* there are weights in the folder */
    gla_arch *arch;
    gla_description *description;
    uint8_t *kinds; /* [arch->n_layers] block_kind, from the top */
    change changes[MAX_CHANGES];
    uint32_t n_changes;

    uint64_t weight_bytes;
    uint64_t crossover; /* tokens; 0: only one kind of state */
    uint64_t fits;      /* tokens; UINT64_MAX: any context */
    uint64_t kv_bytes[MAX_CONTEXTS];
    double flops[MAX_CONTEXTS]; /* to process the token that follows a context */

    cli_model open; /* when something is measured */
    quality quality;
    recall recall[MAX_PROBES];
    speed speed[MAX_CONTEXTS];
    uint64_t memory_used; /* weights, workspace, KV, state at the longest context; 0: unknown */
} candidate;

typedef struct comparison {
    int argc;
    char **argv; /* the command; the array is owned */
    gla_registry *registry;
    candidate items[MAX_CANDIDATES];
    uint32_t n;
    uint64_t contexts[MAX_CONTEXTS];
    uint32_t n_contexts;
    uint32_t kv_dtype;
    uint32_t weights_dtype; /* 0: as stored, or as arch.yaml says */
    uint64_t memory;        /* --memory; 0: not asked */
    const char *match;      /* --match; NULL: widths stay */

    const char *text; /* --text; NULL: quality was not asked for */
    bool ablate;
    uint32_t window;  /* tokens; 0: at most 1024, and no more than every candidate was made for */
    uint32_t windows; /* that all candidates have been through */
    uint64_t tokens;  /* predicted in them */

    probe probes[MAX_PROBES];
    uint32_t n_probes; /* 0: not asked for */
    uint32_t trials, needle_tokens;

    bool measured;
    uint32_t rounds, decode_tokens;
    uint64_t whole;   /* prompts are computed whole up to so many tokens between two contexts */
    char energy[128]; /* why there are no joules; "": there are */
    bool interrupted; /* what is there is what was measured until then */
} comparison;

/* ---- candidates ---------------------------------------------------------- */

/* Each adds candidates, or returns the exit status after saying what is wrong. */
int compare_add_path(comparison *c, const char *path);
/* mix, mixers: lists as given, NULL = the architecture's own.  name: stands in the labels too. */
int compare_add_sweep(comparison *c, const char *arch, const char *mix, const char *mixers,
                      bool name);
/* Takes the architecture over, also when it fails. */
int compare_add(comparison *c, gla_arch *arch, const char *label, const char *source, bool trained);
/* Describes it again: arch has changed. */
int compare_describe(comparison *c, candidate *x);
block_kind compare_block_kind(const gla_description *d, uint32_t block);
void compare_free(comparison *c);

/* True when layer i of every a + b layers is softmax: b of them, as evenly as whole layers allow,
 * the last of the group always. */
bool compare_mix_is_softmax(uint32_t i, uint32_t linear, uint32_t softmax);

/* Scales widths of all candidates until they have what the first one has (c->match). */
int compare_match(comparison *c);
/* "d_ff 2816 -> 2912 (lin, attn)" */
void compare_change_text(const candidate *x, char *buf, size_t size);

/* ---- cost ---------------------------------------------------------------- */

int compare_cost(comparison *c);

/* ---- measuring ----------------------------------------------------------- */

/* Opens the folders; bare architectures get random weights, when `bare` asks for it. */
int compare_open(comparison *c, bool bare);
int compare_quality(comparison *c);
/* "49482 tokens in 49 windows of 1024 that do not overlap", for people */
const char *compare_windows_text(const comparison *c, char *buf, size_t size);
int compare_recall(comparison *c);
int compare_speed(comparison *c);

/* ---- statistics ---------------------------------------------------------- */

/* splitmix64; core/base has the library's, which programs do not see */
uint64_t compare_random(uint64_t *state);
int compare_by_value(const void *a, const void *b); /* doubles, for qsort */
/* 95 % interval of sum(a - b) / sum(weight), resampling the n parts with a fixed seed: the same
 * parts are drawn each time.  b may be NULL, weight too (1 each); NAN when n < 2. */
void compare_interval(const double *a, const double *b, const double *weight, uint32_t n,
                      double *low, double *high);

/* ---- energy -------------------------------------------------------------- */

/* Joules all processor packages have used, by the machine's own counters (RAPL); NAN: it has none
 * that this user may read, and why is in `reason`. */
double compare_joules(char *reason, size_t size);

/* ---- outputs ------------------------------------------------------------- */

/* The processor as Linux calls it; empty when it does not say. */
void compare_processor(char *buf, size_t size);

/* "4k", "1M", "1000": contexts as people write them. */
const char *compare_format_tokens(char buf[32], uint64_t tokens);
const char *compare_kind_name(block_kind kind); /* "recurrent", "softmax", ... */

void compare_print_table(const comparison *c);
void compare_print_csv(const comparison *c);
json_t *compare_json(const comparison *c);

/* With &, <, > and quotes as HTML wants them. */
void compare_escape(FILE *f, const char *text);

/* ---- pictures ------------------------------------------------------------ */

typedef struct compare_picture {
    const char *name, *title;
    /* One <svg>; alone: with its own style.  False: nothing to draw, and nothing is written. */
    bool (*draw)(const comparison *c, FILE *f, bool alone);
    /* Whether what it shows was asked for; NULL: always. */
    bool (*wanted)(const comparison *c);
} compare_picture;

extern const compare_picture compare_pictures[]; /* ended by name NULL */
void compare_plot_style(FILE *f);

/* Exit status; what is wrong has been said. */
int compare_write_plots(const comparison *c, const char *dir);
int compare_write_page(const comparison *c, const char *path);

#endif
