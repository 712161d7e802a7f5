/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.h - what all programs share: options, help, errors, progress, JSON, signals
 *
 * A program is one const table of options and one cli_program; these alone make the parser, -h,
 * --help, the man page and the completions (--generate), so that none can lag behind.  Values land
 * where the table points; what the table does not name cannot be given.
 *
 *     static struct { const char *out; uint64_t n; } args = {.n = 128};
 *     static const cli_option options[] = {
 *         CLI_HEADING("Output"),
 *         {'o', "output", "DIR", CLI_STRING, &args.out, .help = "write the model folder here"},
 *         {'n', "tokens", "N", CLI_U64, &args.n, .def = "128", .help = "how many", .max = 1e6},
 *         CLI_COMMON_OPTIONS, CLI_MODEL_OPTIONS, CLI_END};
 *     static const cli_program program = {.name = "gla-x", .summary = "...", .usage = usage,
 *                                         .options = options, .max_operands = 1};
 *
 *     int main(int argc, char **argv)
 *     {
 *         int status;
 *         if (cli_start(&program, argc, argv, &status))
 *             return status;
 *         ...
 *         if (gla_convert(...))
 *             return cli_fail(&diag);
 *         return cli_finish(0);
 *     }
 *
 * stdout carries the result and nothing else; everything else goes to stderr.  Exit status: 0 done,
 * 1 failed, 2 wrong usage, 130 interrupted.  One thread.
 */
#ifndef GLA_CLI_H
#define GLA_CLI_H

#include <gla/gla.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* ---- options ------------------------------------------------------------- */

typedef enum cli_kind {
    CLI_SECTION = 0, /* no option: .help is the heading */
    CLI_FLAG,        /* bool *: --x sets it */
    CLI_TOGGLE,      /* bool *: --x and --no-x */
    CLI_STRING,      /* const char ** */
    CLI_U32,         /* uint32_t *, within [min, max] */
    CLI_U64,         /* uint64_t *, within [min, max] */
    CLI_SIZE,        /* uint64_t *: bytes; K, M, G, T multiply by 1024 */
    CLI_FLOAT,       /* double *, finite, within [min, max] */
    CLI_CHOICE,      /* const char **: one of .choices */
    CLI_LIST,        /* cli_list *: may be given again and again */
    CLI_ACTION       /* not for programs: --help, --version, --generate */
} cli_kind;

typedef struct cli_list {
    const char **items;
    uint32_t n;
} cli_list;

typedef struct cli_option {
    char letter; /* 0: long form only */
    const char *name;
    const char *arg; /* NULL for flags; "DIR" and "FILE..." complete as such */
    cli_kind kind;
    void *to;
    const char *help;           /* lower case, no period; wrapped to the terminal's 80 columns */
    const char *def;            /* shown as [default: ...] */
    double min, max;            /* numbers; 0, 0 = any */
    const char *const *choices; /* NULL-terminated; .help must name them (a test checks) */
    bool *given;                /* set when the option is; may be NULL */
} cli_option;

// clang-format off
#define CLI_HEADING(text) {.help = text}
#define CLI_END           {0, NULL, NULL, CLI_SECTION, NULL, NULL, NULL, 0, 0, NULL, NULL}
// clang-format on

typedef struct cli_program {
    const char *name;
    const char *summary;           /* one sentence */
    const char *const *usage;      /* what follows the name, a line each; NULL-terminated; after
                                      two blanks comes a remark */
    const cli_option *options;     /* ended by CLI_END */
    const char *const *examples;   /* command lines; NULL-terminated; may be NULL */
    const char *const (*exits)[2]; /* {"1", "the logits differ"}, ended by NULL; NULL: as usual */
    uint32_t min_operands, max_operands; /* arguments that are no options */
    const char *operand;                 /* "SRC": for the message when one is missing */
    const char *const *description;      /* paragraphs of the man page; NULL-terminated */
} cli_program;

extern const char *const cli__generated_kinds[];

/* What the common options fill. */
typedef struct cli_common {
    bool json, quiet, progress, progress_given;
    uint32_t threads;
    cli_list plugins, operands;
} cli_common;
extern cli_common cli;

// clang-format off
#define CLI_COMMON_OPTIONS                                                                         \
    CLI_HEADING("General"),                                                                        \
    {0, "json", NULL, CLI_FLAG, &cli.json, .help = "print the result as one JSON object"},         \
    {'q', "quiet", NULL, CLI_FLAG, &cli.quiet, .help = "no remarks on stderr, errors only"},       \
    {0, "progress", NULL, CLI_TOGGLE, &cli.progress, .help = "show progress on stderr",            \
     .def = "on a terminal", .given = &cli.progress_given},                                        \
    {0, "generate", "KIND", CLI_ACTION, NULL, .choices = cli__generated_kinds,                     \
     .help = "print the man page or a completion script: man, bash, zsh, fish"},                   \
    {'h', "help", NULL, CLI_ACTION, NULL, .help = "-h: short help; --help: all of it"},            \
    {'V', "version", NULL, CLI_ACTION, NULL, .help = "print versions and CPU features"}

/* For programs that compute or open models. */
#define CLI_MODEL_OPTIONS                                                                          \
    {0, "plugin", "FILE.so", CLI_LIST, &cli.plugins,                                               \
     .help = "load layers from this plugin (loading it runs its code)"},                           \
    {'j', "threads", "N", CLI_U32, &cli.threads, .help = "threads to compute with",                \
     .def = "all cores", .min = 1, .max = 256}
// clang-format on

/* Parses the command line, installs the signal handlers, sets the threads.  True: leave with
 * *status (help was asked for, or the usage was wrong). */
bool cli_start(const cli_program *program, int argc, char **argv, int *status);
/* Flushes stdout: status, or 1 when the result could not be made or written. */
int cli_finish(int status);

/* Numbers as the options read them; false when text is not one.  "4G" -> 4294967296. */
bool cli_parse_u64(const char *text, uint64_t *out);
bool cli_parse_size(const char *text, uint64_t *out);
bool cli_parse_float(const char *text, double *out);
#define CLI_MOST_CONTEXT (UINT64_C(1) << 40) /* tokens that a sequence may be said to have */

/* "0,4096,16K" -> numbers (K, M, G as in sizes) up to most, at most max of them; false when
 * malformed or empty. */
bool cli_parse_list(const char *text, uint64_t most, uint64_t *out, uint32_t max, uint32_t *n);

/* ---- saying things ------------------------------------------------------- */

/* One line "gla-x: place: message; hint: ..." on stderr (with --json an object); returns the exit
 * status: 1, or 130 when cancelled by ^C. */
int cli_fail(const gla_diag *diag);
/* The same for what the program itself found; and with a hint, what to do. */
__attribute__((format(printf, 1, 2))) int cli_error(const char *format, ...);
__attribute__((format(printf, 2, 3))) int cli_error_hint(const char *hint, const char *format, ...);
/* "gla-x: ..." and "Try 'gla-x --help'."; returns 2. */
__attribute__((format(printf, 1, 2))) int cli_usage_error(const char *format, ...);
/* Fills *diag with what a program itself found; returns status. */
__attribute__((format(printf, 4, 5))) gla_status
cli_diag(gla_diag *diag, gla_status status, const char *where, const char *format, ...);
/* Adds what to do; returns its status. */
__attribute__((format(printf, 2, 3))) gla_status cli_hint(gla_diag *diag, const char *format, ...);
#ifdef __clang_analyzer__ /* clang-tidy sees one file at a time: no failure looks like success */
#define cli_fail(diag)       ((void)(cli_fail)(diag), 1)
#define cli_error(...)       ((void)(cli_error)(__VA_ARGS__), 1)
#define cli_error_hint(...)  ((void)(cli_error_hint)(__VA_ARGS__), 1)
#define cli_usage_error(...) ((void)(cli_usage_error)(__VA_ARGS__), 2)
#define cli_diag(diag, status, where, ...)                                                         \
    ((void)(cli_diag)(diag, status, where, __VA_ARGS__), (status) ? (status) : GLA_E_INVALID)
#endif
/* A remark on stderr, unless --quiet. */
__attribute__((format(printf, 1, 2))) void cli_note(const char *format, ...);
/* As gla_note_fn; ctx is not used. */
void cli_note_fn(void *ctx, const char *note);

/* As the library's progress functions: done of total bytes; ctx is not used.  A line on stderr at
 * most 6 times a second, if it is a terminal; non-zero after ^C. */
int cli_progress(void *ctx, const char *what, uint64_t done, uint64_t total);
/* The same for what the program itself counts: unit "tokens", say. */
int cli_progress_count(const char *what, uint64_t done, uint64_t total, const char *unit);
void cli_progress_clear(void);
/* The same for work that is no bytes: `share` of it, 0 to 1, is done.  Says when the rest will be,
 * going by how long the work of that name has taken so far. */
int cli_progress_share(const char *what, double share);

/* True after the first SIGINT, SIGTERM or SIGHUP; the second one kills. */
bool cli_interrupted(void);
/* The same as a gla_progress_fn; nothing is shown. */
int cli_cancel(void *ctx, const char *what, uint64_t done, uint64_t total);

/* Seconds from an arbitrary start, for durations. */
double cli_now(void);

/* ---- registry ------------------------------------------------------------ */

/* Built-in layers, GLA_PLUGIN_PATH, then every --plugin. */
gla_status cli_registry(gla_registry **out, gla_diag *diag);

/* ---- results ------------------------------------------------------------- */

/* A number for JSON: null when it is not finite. */
json_t *cli_json_number(double x);
/* An integer where JSON's readers have one that large, else a real. */
json_t *cli_json_count(uint64_t n);
/* A path or an argument, which need not be UTF-8: cleaned then. */
json_t *cli_json_text(const char *text);
/* Adds the members of another object and releases it.  One that could not be made fails the program
 * at its end: see cli_finish(). */
void cli_json_add(json_t *object, json_t *members);
/* Prints and releases: keys sorted, reals with 9 digits, a newline.  indent 0: one line. */
void cli_json_print(json_t *object, int indent);

/* Prints words from column `at`, continuing lines at `indent`, 80 columns wide. */
void cli_print_wrapped(FILE *f, const char *text, size_t at, size_t indent);
/* Into the caller's buffer, returned: "14.8 MiB", "7.78 M". */
const char *cli_format_bytes(char buf[32], uint64_t bytes);
const char *cli_format_count(char buf[32], double n);

/* ---- files ------------------------------------------------------------------------------- */

/* A file being written: aside, and put in place when complete, so that a failure leaves what was
 * there.  What is no regular file, /dev/stdout say, is written as it is. */
typedef struct cli_file {
    FILE *f;
    char *path, *aside;
} cli_file;

/* False: errno says why; the file is closed then. */
bool cli_file_open(cli_file *out, const char *path);
bool cli_file_close(cli_file *out);
/* Asked before the work whose result is to be written there: 0, or the exit status after an error.
 */
int cli_check_output(const char *path);

/* ---- between the files of cli/ ------------------------------------------- */

extern const cli_program *cli__program;
/* The library's hint, in names of its API, becomes one of this program's options; or goes. */
void cli__hint_in_words(gla_diag *diag);
void cli__print_help(const cli_program *p, bool full, FILE *f);
void cli__catch_signals(void);
void cli__occupy_streams(void);
const char *const (*cli__exits(const cli_program *p))[2];
extern const char *const cli__environment[][2]; /* {variable, meaning}, ended by NULL */
/* "bash", "zsh" or "fish" */
void cli__print_completion(const cli_program *p, const char *shell, FILE *f);
void cli__print_manual(const cli_program *p, FILE *f);

#endif
