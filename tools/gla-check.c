/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-check - does a plugin keep the contract of gla/plugin.h
 *
 * Every check is a process of its own, with the checking proxy on (gla_set_validate), so that a
 * plugin that crashes or hangs ends one check and names the function it was in.
 */
#include "gla-check/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT = CHECK_TEXT, LIST = 1 << 16, MOST_WIDTH = 1 << 14 };

static const char *width_arg;
static uint64_t widths[CHECK_MOST_WIDTHS]; /* that were asked for */
static uint32_t n_widths;

static const char *const usage[] = {"[OPTION]... FILE.so", NULL};
static const char *const examples[] = {
    "gla-check ./mine.so",
    "gla-check ./mine.so --width 96,768",
    "gla-check ./mine.so --json",
    NULL,
};
static const cli_option options[] = {
    CLI_HEADING("Checking"),
    {0, "width", "N,...", CLI_STRING, &width_arg, .help = "check in models of these d_model",
     .def = "20,52, or the next that the layer takes"},
    CLI_COMMON_OPTIONS,
    CLI_END,
};
static const char *const(exits[])[2] = {{"0", "every check passed"},
                                        {"1", "a check failed"},
                                        {"2", "wrong usage"},
                                        {"130", "interrupted"},
                                        {NULL, NULL}};
static const char *const description[] = {
    "Runs every layer of a plugin in small models, in each place that it says it can stand in, "
    "with every value of its switches, and says where it breaks the contract of gla/plugin.h: "
    "memory that it reads, writes or asks for and must not, numbers that depend on more than the "
    "input, chunked form unlike recurrent form, allocations that fail, states that are forked, cut "
    "back, saved and loaded.",
    "Each check is a process of its own, so that a crash ends one of them. The models are narrow "
    "and of two widths that are no multiple of a vector, as far as the layer takes such: what a "
    "layer gets wrong is mostly the end of a row.",
    NULL,
};
static const cli_program program = {
    .name = "gla-check",
    .summary = "Runs the layers of a plugin and says where they break their contract.",
    .usage = usage,
    .options = options,
    .examples = examples,
    .exits = exits,
    .min_operands = 1,
    .max_operands = 1,
    .operand = "FILE.so",
    .description = description,
};

typedef struct report {
    json_t *checks;
    uint32_t n, failed;
} report;

static const char *place_name(uint64_t place)
{
    return place == GLA_LAYER_MIXER       ? "mixer"
           : place == GLA_LAYER_FFN       ? "ffn"
           : place == GLA_LAYER_NORM      ? "norm"
           : place == GLA_LAYER_EMBEDDING ? "embedding"
           : place == GLA_LAYER_HEAD      ? "head"
                                          : "";
}

/* In the child. */
static int run_at_each_width(const check *c)
{
    check at = *c;
    int status = 0;

    for (uint32_t i = 0; i < c->n_widths && !status; i++) {
        at.width = c->widths[i];
        check_at_width(at.width);
        status = c->fn(&at);
        if (status)
            check_say(" (d_model %u)", at.width);
    }
    return c->n_widths ? status : c->fn(c);
}

/* Runs a check in a child; text receives what it said. */
static bool run_child(const check *c, char *text, size_t size)
{
    size_t used = 0;
    int fd[2], status = 0;
    ssize_t n;
    pid_t pid;

    snprintf(text, size, "cannot start a process: %s", strerror(errno));
    if (pipe(fd))
        return false;
    fflush(stdout);
    pid = fork();
    if (!pid) {
        close(fd[0]);
        check_begin(fd[1]);
        _exit(run_at_each_width(c));
    }
    close(fd[1]);
    while (pid > 0 && used + 1 < size &&
           ((n = read(fd[0], text + used, size - 1 - used)) > 0 || (n < 0 && errno == EINTR)))
        used += n > 0 ? (size_t)n : 0;
    close(fd[0]);
    if (pid < 0)
        return false;
    text[used] = '\0';
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        snprintf(text + used, size - used, "%sends the process with signal %d", used ? "; " : "",
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) && !used)
        snprintf(text, size, "ends the process with exit status %d", WEXITSTATUS(status));
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void add_result(report *r, const check *c, bool ok, const char *message)
{
    char label[256];

    r->n++;
    r->failed += !ok;
    snprintf(label, sizeof(label), "%s%s%s: %s", c->type, c->type[0] ? " as " : "",
             c->type[0] ? place_name(c->place) : "the plugin", c->name);
    if (!cli.json) {
        printf("%-4s %s%s%s\n", ok ? "ok" : "FAIL", label, ok ? "" : ": ", ok ? "" : message);
        return;
    }
    json_array_append_new(r->checks,
                          json_pack("{s:s, s:s, s:s, s:b, s:o}", "layer", c->type, "place",
                                    place_name(c->place), "check", c->name, "ok", (int)ok,
                                    "message", cli_json_text(ok ? "" : message)));
}

/* False: it failed, or nothing more is to be checked. */
static bool run_one(report *r, const check *c)
{
    char text[TEXT];
    const bool ok = run_child(c, text, sizeof(text));

    if (cli_interrupted())
        return false;
    add_result(r, c, ok, text);
    return ok;
}

/* Those that were asked for, else those that the layer takes.  A crash leaves the first, and the
 * check tells of it. */
static void find_widths(check *c)
{
    char text[TEXT], *at = text;
    check takes = *c;

    c->n_widths = n_widths;
    for (uint32_t i = 0; i < n_widths; i++)
        c->widths[i] = (uint32_t)widths[i];
    if (n_widths)
        return;
    takes.fn = check_widths;
    if (!run_child(&takes, text, sizeof(text)))
        snprintf(text, sizeof(text), "20");
    while (*at && c->n_widths < 2)
        c->widths[c->n_widths++] = (uint32_t)strtoul(at, &at, 10);
    if (c->widths[0] % 16 == 0)
        cli_note("%s as %s takes d_model %u and no narrower: the ends of rows are not checked, "
                 "unless --width says where",
                 c->type, place_name(c->place), c->widths[0]);
}

/* One layer in one place. */
static void check_layer(report *r, check *c, const char *const *variants, uint32_t n_variants)
{
    static const struct {
        const char *name;
        int (*fn)(const check *c);
        uint32_t dtype;
    } checks[] = {{"keeps its contract", check_runs, GLA_DTYPE_F32},
                  {"takes bf16 weights", check_runs, GLA_DTYPE_BF16},
                  {"takes int8 weights", check_runs, GLA_DTYPE_I8},
                  {"survives failed allocations", check_memory, GLA_DTYPE_F32},
                  {"does not depend on threads", check_threads, GLA_DTYPE_F32},
                  {"keeps sequences in states", check_sessions, GLA_DTYPE_F32}};

    find_widths(c);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && !cli_interrupted(); i++) {
        c->name = checks[i].name;
        c->fn = checks[i].fn;
        c->dtype = checks[i].dtype;
        if (!run_one(r, c) && !i)
            return; /* the others would say it again */
    }
    for (uint32_t v = 0; v < n_variants && !cli_interrupted(); v++) {
        char name[200];

        snprintf(name, sizeof(name), "keeps it with %s", variants[v]);
        c->name = name;
        c->fn = check_runs;
        c->dtype = GLA_DTYPE_F32;
        c->variant = v + 1;
        run_one(r, c);
    }
}

/* What check_loads() said. */
static void check_layers(report *r, const char *path, char *list)
{
    const char *variants[CHECK_MOST_VARIANTS];
    char *rest = NULL, *line = strtok_r(list, "\n", &rest);

    while (line) {
        unsigned long long flags = 0;
        char type[160] = "";
        uint32_t n = 0;

        if (sscanf(line, "%159s %llu", type, &flags) != 2)
            return;
        while ((line = strtok_r(NULL, "\n", &rest)) && line[0] == '=')
            if (n < CHECK_MOST_VARIANTS)
                variants[n++] = line + 1;
        for (uint64_t place = GLA_LAYER_MIXER; place <= GLA_LAYER_HEAD; place <<= 1)
            if (flags & place && !cli_interrupted()) {
                check c = {.path = path, .place = place};

                snprintf(c.type, sizeof(c.type), "%s", type);
                check_layer(r, &c, variants, n);
            }
    }
}

static int check_plugin(const char *file)
{
    static char text[LIST];
    char path[4096];
    report r = {.checks = json_array()};
    check loads = {.path = path, .name = "loads", .fn = check_loads};
    bool ok;

    snprintf(path, sizeof(path), "%s%s", strchr(file, '/') ? "" : "./", file);
    ok = run_child(&loads, text, sizeof(text));
    add_result(&r, &loads, ok, text);
    if (ok)
        check_layers(&r, path, text);
    if (cli.json) {
        cli_json_print(json_pack("{s:s, s:o, s:b, s:o}", "schema", "gla.check-plugin/1", "plugin",
                                 cli_json_text(file), "ok", !r.failed, "checks", r.checks),
                       2);
    } else {
        printf("%s: %u of %u checks passed\n", file, (unsigned)(r.n - r.failed), (unsigned)r.n);
        json_decref(r.checks);
    }
    return cli_finish(cli_interrupted() ? 130 : r.failed ? 1 : 0);
}

int main(int argc, char **argv)
{
    int status;

    if (cli_start(&program, argc, argv, &status))
        return status;
    if (width_arg && !cli_parse_list(width_arg, MOST_WIDTH, widths, CHECK_MOST_WIDTHS, &n_widths))
        return cli_usage_error("--width: '%s' is no list of up to %d numbers up to %d", width_arg,
                               CHECK_MOST_WIDTHS, MOST_WIDTH);
    return check_plugin(cli.operands.items[0]);
}
