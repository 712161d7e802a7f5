/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_output.c - errors, remarks, progress, JSON, signals
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#undef cli_fail /* for the analyser only: cli.h */
#undef cli_error
#undef cli_error_hint
#undef cli_usage_error
#undef cli_diag

/* ---- signals ----------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

void cli__catch_signals(void)
{
    struct sigaction action, before;

    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt;
    action.sa_flags = (int)SA_RESETHAND; /* the second one kills */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!sigaction(SIGHUP, NULL, &before) && before.sa_handler != SIG_IGN) /* nohup */
        sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_DFL; /* some parents pass it on ignored */
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, NULL);
    action.sa_handler =
        SIG_IGN; /* ulimit -f: writing fails instead, and what is half written goes */
    sigaction(SIGXFSZ, &action, NULL);
}

/* A file that is opened must not get the number of a stream that is closed: what is said there
 * would be written into it.  Opened the wrong way round, they still fail. */
void cli__occupy_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

int cli_cancel(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    (void)ctx, (void)what, (void)done, (void)total;
    return cli_interrupted();
}

/* ---- progress ------------------------------------------------------------------ */

static bool line_shown;

double cli_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress_clear(void)
{
    if (line_shown)
        fputs("\r\033[K", stderr);
    line_shown = false;
}

int cli_progress_count(const char *what, uint64_t done, uint64_t total, const char *unit)
{
    static double last;

    if (cli.progress && cli_now() - last > 1.0 / 6) {
        const double percent = total ? 100.0 * (double)done / (double)total : 0.0;
        char a[32], b[32];

        last = cli_now();
        if (unit)
            fprintf(stderr, "\r\033[K%3.0f%%  %llu of %llu %s  %.40s", percent,
                    (unsigned long long)done, (unsigned long long)total, unit, what);
        else
            fprintf(stderr, "\r\033[K%3.0f%%  %s of %s  %.40s", percent, cli_format_bytes(a, done),
                    cli_format_bytes(b, total), what);
        fflush(stderr);
        line_shown = true;
    }
    if (done >= total)
        cli_progress_clear();
    return interrupted;
}

int cli_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    (void)ctx;
    return cli_progress_count(what ? what : "", done, total, NULL);
}

/* "40 s", "3 min", "2.5 h" */
static const char *format_seconds(char buf[32], double seconds)
{
    if (seconds < 99)
        snprintf(buf, 32, "%.0f s", seconds);
    else if (seconds < 5400)
        snprintf(buf, 32, "%.0f min", seconds / 60);
    else
        snprintf(buf, 32, "%.1f h", seconds / 3600);
    return buf;
}

int cli_progress_share(const char *what, double share)
{
    static char task[48];
    static double start, last;
    char left[32];

    if (strncmp(task, what, sizeof(task) - 1) != 0) {
        snprintf(task, sizeof(task), "%s", what);
        start = cli_now();
        last = 0;
    }
    if (!cli.progress || cli_now() - last <= 1.0 / 6)
        return interrupted;
    last = cli_now();
    fprintf(stderr, "\r\033[K%3.0f%%  %s", 100 * share, what);
    if (share > 0.01 && last - start > 2)
        fprintf(stderr, ", about %s left",
                format_seconds(left, (last - start) * (1 - share) / share));
    fflush(stderr);
    line_shown = true;
    return interrupted;
}

/* ---- remarks and errors ---------------------------------------------------------- */

static const char *program_name(void)
{
    return cli__program ? cli__program->name : "gla";
}

/* "gla-x: " and the text, which may have names from files and arguments in it. */
__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list args)
{
    char text[2048];

    vsnprintf(text, sizeof(text), format, args);
    cli_progress_clear();
    fprintf(stderr, "%s: %s\n", program_name(), gla_text_clean(text));
}

void cli_note(const char *format, ...)
{
    va_list args;

    if (cli.quiet)
        return;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void cli_note_fn(void *ctx, const char *note)
{
    (void)ctx;
    cli_note("%s", note);
}

static void print_error(const gla_diag *diag)
{
    gla_diag d = *diag; /* what programs find has not been cleaned yet */
    char line[1024];

    gla_text_clean(d.where);
    gla_text_clean(d.message);
    cli__hint_in_words(&d);
    gla_text_clean(d.hint);
    cli_progress_clear();
    if (cli.json) {
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "schema", "gla.error/1", "status",
                              gla_status_name(d.status), "where", d.where, "message", d.message,
                              "hint", d.hint);

        if (o && !json_dumpf(o, stderr, JSON_SORT_KEYS | JSON_COMPACT))
            putc('\n', stderr);
        else
            fprintf(stderr, "%s: %s\n", program_name(), gla_diag_format(&d, line, sizeof(line)));
        json_decref(o);
        return;
    }
    fprintf(stderr, "%s: %s\n", program_name(), gla_diag_format(&d, line, sizeof(line)));
}

int cli_fail(const gla_diag *diag)
{
    print_error(diag);
    return diag->status == GLA_E_CANCELLED && interrupted ? 130 : 1;
}

__attribute__((format(printf, 4, 0))) static gla_status
fill_diag(gla_diag *diag, gla_status status, const char *where, const char *format, va_list args)
{
    memset(diag, 0, sizeof(*diag));
    diag->status = status;
    diag->offset = UINT64_MAX;
    snprintf(diag->where, sizeof(diag->where), "%s", where);
    vsnprintf(diag->message, sizeof(diag->message), format, args);
    return status;
}

gla_status cli_diag(gla_diag *diag, gla_status status, const char *where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill_diag(diag, status, where, format, args);
    va_end(args);
    return status;
}

int cli_error(const char *format, ...)
{
    gla_diag diag;
    va_list args;

    va_start(args, format);
    fill_diag(&diag, GLA_E_INVALID, "", format, args);
    va_end(args);
    return cli_fail(&diag);
}

int cli_error_hint(const char *hint, const char *format, ...)
{
    gla_diag diag;
    va_list args;

    va_start(args, format);
    fill_diag(&diag, GLA_E_INVALID, "", format, args);
    va_end(args);
    cli_hint(&diag, "%s", hint);
    return cli_fail(&diag);
}

int cli_usage_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
    fprintf(stderr, "Try '%s --help'.\n", program_name());
    return 2;
}

static bool result_lost; /* by cli_json_add(), cli_json_print() */

int cli_finish(int status)
{
    cli_progress_clear();
    if (fflush(stdout) || ferror(stdout))
        return cli_error("standard output: %s", strerror(errno));
    return result_lost ? cli_error("out of memory for the result") : status;
}

/* ---- registry ---------------------------------------------------------------------- */

/* A plugin that was found and skipped, say: nobody would know why its layers are missing. */
static void log_note(void *ctx, int32_t level, const char *message)
{
    (void)ctx;
    (void)level;
    cli_note("%s", message);
}

/* The library wants a slash in a path, so that nobody takes it for a name to be searched. */
static gla_status load_plugin(gla_registry *r, const char *path, gla_diag *diag)
{
    char here[4096];

    if (!strchr(path, '/') && snprintf(here, sizeof(here), "./%s", path) < (int)sizeof(here))
        path = here;
    return gla_registry_load(r, path, diag);
}

gla_status cli_registry(gla_registry **out, gla_diag *diag)
{
    gla_status st;

    gla_set_log(log_note, NULL, GLA_LOG_WARN);
    st = gla_registry_create(NULL, out, diag);

    if (!st)
        st = gla_registry_load_path(*out, diag);
    for (uint32_t i = 0; !st && i < cli.plugins.n; i++)
        st = load_plugin(*out, cli.plugins.items[i], diag);
    if (st) {
        gla_registry_free(*out);
        *out = NULL;
    }
    return st;
}

/* ---- results ------------------------------------------------------------------------- */

json_t *cli_json_number(double x)
{
    if (!isfinite(x))
        return json_null();
    if (x == floor(x) && fabs(x) < 9007199254740992.0)
        return json_integer((json_int_t)x);
    return json_real(x);
}

json_t *cli_json_count(uint64_t n)
{
    return n <= INT64_MAX ? json_integer((json_int_t)n) : json_real((double)n);
}

json_t *cli_json_text(const char *text)
{
    json_t *v = json_string(text);
    char *copy = v ? NULL : strdup(text);

    if (copy)
        v = json_string(gla_text_clean(copy));
    free(copy);
    return v;
}

void cli_json_add(json_t *object, json_t *members)
{
    if (json_object_update(object, members))
        result_lost = true;
    json_decref(members);
}

void cli_json_print(json_t *object, int indent)
{
    if (json_dumpf(object, stdout,
                   JSON_SORT_KEYS | JSON_REAL_PRECISION(9) | JSON_INDENT((size_t)indent)))
        result_lost = true;
    putchar('\n');
    json_decref(object);
}

const char *cli_format_bytes(char buf[32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)bytes;
    int u = 0;

    for (; x >= 1024 && u < 4; u++)
        x /= 1024;
    snprintf(buf, 32, u && x < 100 ? "%.3g %s" : "%.0f %s", x, units[u]);
    return buf;
}

const char *cli_format_count(char buf[32], double n)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    int u = 0;

    for (; fabs(n) >= 1000 && u < 5; u++)
        n /= 1000;
    snprintf(buf, 32, u && fabs(n) < 100 ? "%.3g%s" : "%.0f%s", n, units[u]);
    return buf;
}
