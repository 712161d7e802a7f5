/* SPDX-License-Identifier: Apache-2.0
 *
 * run.h - what the ways to use gla-run share
 *
 *     run_text.c      one text is continued (-p, -f, --resume)
 *     run_batch.c     many texts are continued together (--sessions)
 *     chat_loop.c     turns from stdin, answers to stdout (--chat); run_chat.c is the chat itself,
 *                     run_chat_commands.c has /undo, ...
 *     run_generate.c  what all of them do: read prompts, write tokens
 *
 * After ^C nothing fails: what was written so far stands, stop is "interrupted", sessions can be
 * saved.  One thread.
 */
#ifndef GLA_RUN_H
#define GLA_RUN_H

#include "cli/model_args.h"

#define RUN_MAX_STOPS 64

typedef struct run_args {
    const char *model, *prompt, *file, *kv, *save, *resume, *sessions, *template, *system,
        *check_plugin;
    uint32_t n, top_k;
    uint32_t stride;                 /* UINT32_MAX: not given */
    uint64_t snapshot_bytes, memory; /* 0: not given */
    uint64_t seed;
    double temp, top_p;
    bool greedy, bos, echo, ignore_eos, chat;
} run_args;
extern run_args run_arg;

typedef struct run {
    cli_model m;
    int32_t stops[RUN_MAX_STOPS]; /* tokens that end a text */
    uint32_t n_stops;
    double prefill_seconds, decode_seconds;
    bool context_noted; /* that a text is longer than the model was trained for */
} run;

/* A prompt and what is written after it.  The session belongs to the caller. */
typedef struct continuation {
    gla_session *session;
    gla_sampler *sampler;
    gla_detokenizer *detokenizer;
    float *logits;   /* [vocab] of the next token */
    int32_t *prompt; /* taken over: free() */
    size_t n_prompt;
    size_t n_skip; /* tokens of the prompt that the session has already */
    int32_t *out;  /* [run_arg.n] */
    size_t n_out;
    char *text; /* what was written; NULL while empty */
    size_t text_size, text_capacity;
    bool stream;      /* also to stdout, as it comes */
    const char *stop; /* NULL while going on; "length", "eos", "interrupted" */
} continuation;

/* Model, tokenizer and stop tokens. */
gla_status run_open(run *r, gla_diag *diag);
void run_close(run *r);
gla_status run_session(const run *r, bool prefix_cache, gla_session **out, gla_diag *diag);

/* Takes the prompt on success only. */
gla_status continuation_init(const run *r, continuation *c, gla_session *session, int32_t *prompt,
                             size_t n_prompt, uint64_t seed, gla_diag *diag);
void continuation_deinit(continuation *c);

/* Reads the first n[i] tokens of the prompts (n NULL: all of them, and the logits) as one batch. */
gla_status run_read(run *r, continuation *list, size_t n_list, const size_t *n, gla_diag *diag);
/* Writes up to run_arg.n tokens after each, all together.  feed_last: the sessions take the last
 * token in as well, so that they end exactly where their texts end. */
gla_status run_write(run *r, continuation *list, size_t n_list, bool feed_last, gla_diag *diag);

/* To stdout.  Models write whatever they were trained to: on a terminal nothing of it is a command.
 */
void run_print(const char *text, size_t size);

/* The three ways; each returns the exit status. */
int run_text(run *r);
int run_batch(run *r);
int run_chat(run *r);

/* Tokens that two texts begin with alike. */
size_t run_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);

/* For --json: a text with its ids, and what is the same in all three results (seed, speeds,
 * versions, ...). */
json_t *run_json_text(const continuation *c);
json_t *run_json_memory(const gla_memory *memory);
/* What the prefix cache had, of one session or of all; why each lookup ended as it did. */
json_t *run_json_prefix(const gla_cache_stats *stats);
json_t *run_json_snapshots(const gla_session *s);
json_t *run_json(const run *r, const char *schema, uint64_t n_read, uint64_t n_written);

#endif
