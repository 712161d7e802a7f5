/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.h - what the files of gla-bench share
 *
 * A bench is a plan (what to measure, with what each item costs by the model's own account) whose
 * items collect one sample a round; the report takes medians.  Every round measures the machine's
 * limits beside the model, and a fraction compares samples of the same round: what else runs on the
 * machine meanwhile disturbs both.
 *
 *   gla-bench.c       options, opening the model, rounds
 *   bench_account.c   bytes and FLOPs, from gla_description
 *   bench_measure.c   one sample of each item
 *   bench_sessions.c  fork, rollback, second turns, files (--sessions)
 *   bench_shared.c    many prompts and sessions that begin alike (--sessions)
 *   bench_report.c    table and JSON
 */
#ifndef GLA_TOOLS_BENCH_H
#define GLA_TOOLS_BENCH_H

#include "cli/cli.h"

enum {
    MAX_ENTRIES = 16, /* lengths, depths, batch sizes: of each */
    MAX_ROUNDS = 64,
    MAX_SHAPES = 6, /* matrix shapes multiplied for each number of rows: the heaviest */
    MAX_GEMMS = MAX_ENTRIES * MAX_SHAPES,
    MAX_DECODES = MAX_ENTRIES * MAX_ENTRIES,
    MAX_BATCH = 64,   /* sequences that the model computes at once */
    PROMPTS = 64,     /* that begin alike */
    TAIL_TOKENS = 32, /* of each of them, its own */
    TURN_TOKENS = 64, /* of a second turn */
    BATCH_ROWS = 512  /* tokens that the model computes at once */
};

typedef struct series {
    uint32_t n;
    double values[MAX_ROUNDS];
} series;

void series_add(series *s, double x);
/* NaN when empty. */
double series_median(const series *s);
double series_min(const series *s);
double series_max(const series *s);

/* Where the time went; the rest is wall - sum of seconds. */
typedef struct work_time {
    double wall, seconds[GLA_WORK_COUNT];
} work_time;

/* Product of rows with a matrix of the model. */
typedef struct gemm_item {
    uint32_t tokens;         /* of a batch */
    uint32_t rows;           /* that meet the matrix: fewer than tokens if it is an expert's */
    uint32_t out, in, dtype; /* dtype: F32 or I8, the arithmetic */
    double flops_per_token;  /* of all linear maps of this shape together */
    series rate;             /* FLOP/s */
} gemm_item;

typedef struct prefill_item {
    uint64_t tokens;
    uint32_t batch;      /* tokens at once; its gemm_items are those with as many */
    double linear_flops; /* of one token, without the head */
    double flops;        /* of the whole prompt, attention and head included */
    series rate;         /* tokens/s */
    series fraction;     /* time that the linear maps would take at the GEMM's rate / time taken */
    work_time work;
} prefill_item;

/* Bytes that one step must read. */
typedef struct traffic {
    double weights, state, kv;
} traffic;

typedef struct decode_item {
    uint64_t depth;
    uint32_t batch;
    uint32_t base;  /* index of the session at this depth */
    traffic bytes;  /* of a step: one token of each session */
    double flops;   /* of one token */
    series rate;    /* tokens/s of all sessions together */
    series reading; /* bytes/s */
    series fraction;
    work_time work;
} decode_item;

typedef struct rollback_item {
    uint64_t tokens, replayed;
    series seconds;
} rollback_item;

typedef struct session_item {
    uint64_t depth;
    series fork_seconds, save_seconds, load_seconds;
    series turn_seconds;   /* to the first token of a second turn, in the living session */
    series cached_seconds; /* the same in a new session, through the prefix cache */
    double recompute_seconds;
    uint64_t fork_bytes, file_bytes, reused;
    rollback_item rollbacks[3];
    uint32_t n_rollbacks;
} session_item;

/* PROMPTS prompts that share their first tokens and then differ, one after the other. */
typedef struct shared_item {
    uint64_t tokens; /* shared */
    uint32_t stride;
    double first_seconds; /* until the first token after the first prompt, which computes all */
    series seconds;       /* the others */
    uint64_t reused_least, reused_most, hits; /* of the others */
} shared_item;

/* Sessions that hold the same prompt and a token of their own. */
typedef struct many_item {
    uint64_t tokens; /* of the prompt */
    uint32_t wanted, reached;
    double seconds;
    uint64_t bytes, bytes_unshared; /* of all; if each had its own */
    uint64_t limit;                 /* bytes that they might take */
} many_item;

typedef struct bench {
    /* asked for */
    const char *name;
    uint32_t kv_dtype, rounds, decode_tokens;
    bool random, with_sessions;
    uint64_t read_bytes;
    /* the model */
    gla_model *model;
    gla_session_options session;
    int32_t *tokens; /* [n_tokens] random ids */
    uint64_t n_tokens;
    float *logits; /* [largest batch, vocabulary] */
    void *memory;  /* [read_bytes] to be read */
    double load_seconds, first_token_seconds;
    uint64_t peak_bytes;
    gla_memory held; /* at the end, all depths and the largest batch included */
    /* measured */
    series reading; /* bytes/s */
    gemm_item gemms[MAX_GEMMS];
    prefill_item prefills[MAX_ENTRIES];
    decode_item decodes[MAX_DECODES];
    session_item sessions[MAX_ENTRIES];
    shared_item shared[MAX_ENTRIES];
    many_item many;
    uint64_t depths[MAX_ENTRIES];
    gla_session *bases[MAX_ENTRIES];  /* [n_depths] */
    double base_seconds[MAX_ENTRIES]; /* that computing them took, all tokens */
    uint32_t n_gemms, n_prefills, n_decodes, n_sessions, n_shared, n_depths;
    uint32_t done; /* rounds */
} bench;

/* A line on stderr, if progress is wanted. */
__attribute__((format(printf, 1, 2))) void bench_progress(const char *format, ...);

/* ---- accounts ---- */

/* Fills in bytes and FLOPs of the items and adds the gemm_items that they need. */
void bench_account(bench *b);

/* ---- samples ---- */

gla_status bench_reading(bench *b, gla_diag *diag);
gla_status bench_gemm(gemm_item *g, gla_diag *diag);
gla_status bench_prefill(bench *b, prefill_item *p, gla_diag *diag);
gla_status bench_decode(bench *b, decode_item *d, gla_diag *diag);
/* Feeds tokens up to each depth, once. */
gla_status bench_bases(bench *b, gla_diag *diag);
/* All rounds of one depth. */
gla_status bench_sessions(bench *b, session_item *s, uint32_t base, gla_diag *diag);
/* Of the first of the shared prompts also b->many. */
gla_status bench_shared(bench *b, uint32_t item, gla_diag *diag);
/* KV, states, histories, snapshots and prefix cache. */
uint64_t bench_living_bytes(const bench *b);

/* ---- results ---- */

void bench_report(const bench *b);
void bench_report_json(const bench *b, bool interrupted);

#endif
