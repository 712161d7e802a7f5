/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_help.c - -h and --help from the table of options
 */
#include "cli/cli.h"

#include <string.h>

#define COLUMNS 80
#define INDENT  28 /* where the text of an option begins */

void cli_print_wrapped(FILE *f, const char *text, size_t at, size_t indent)
{
    while (*text) {
        const size_t word = strcspn(text, " ");

        if (at > indent && at + 1 + word > COLUMNS) {
            fprintf(f, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            putc(' ', f);
            at++;
        }
        fwrite(text, 1, word, f);
        at += word;
        text += word;
        text += strspn(text, " ");
    }
    putc('\n', f);
}

static uint32_t option_label(const cli_option *o, char *buf, uint32_t size)
{
    const char letter[] = {'-', o->letter, ',', ' ', 0};
    const int n = snprintf(buf, size, "%s--%s%s%s%s", o->letter ? letter : "    ",
                           o->kind == CLI_TOGGLE ? "[no-]" : "", o->name, o->arg ? " " : "",
                           o->arg ? o->arg : "");

    return n < 0 ? 0 : (uint32_t)n;
}

static void print_option(FILE *f, const cli_option *o)
{
    char label[96], text[512], range[64] = "";
    const uint32_t n = option_label(o, label, sizeof(label));

    if (o->max > 0)
        snprintf(range, sizeof(range), " (%.9g to %.9g)", o->min, o->max);
    snprintf(text, sizeof(text), "%s%s%s%s%s", o->help, range, o->def ? " [default: " : "",
             o->def ? o->def : "", o->def ? "]" : "");
    fprintf(f, "  %s", label);
    if (n + 2 >= INDENT) {
        putc('\n', f);
        fprintf(f, "%*s", INDENT, "");
    } else {
        fprintf(f, "%*s", (int)(INDENT - 2 - n), "");
    }
    cli_print_wrapped(f, text, INDENT, INDENT);
}

const char *const cli__environment[][2] = {
    {"GLA_PLUGIN_PATH", "folders and files of plugins, separated by colons"},
    {"GLA_NUM_THREADS", "threads to compute with, if --threads is not given"},
    {"GLA_CPU", "c, avx2 or avx512: use no newer instructions than these"},
    {"GLA_VALIDATE", "1: check every layer's use of memory and state (slow)"},
    {NULL, NULL}};

const char *const (*cli__exits(const cli_program *p))[2]
{
    static const char *const usual[][2] = {
        {"0", "done"}, {"1", "failed"}, {"2", "wrong usage"}, {"130", "interrupted"}, {NULL, NULL}};

    return p->exits ? p->exits : usual;
}

static void print_pairs(FILE *f, const char *heading, const char *const (*pairs)[2])
{
    fprintf(f, "\n%s:\n", heading);
    for (; (*pairs)[0]; pairs++) {
        fprintf(f, "  %-*s", INDENT - 2, (*pairs)[0]);
        cli_print_wrapped(f, (*pairs)[1], INDENT, INDENT);
    }
}

void cli__print_help(const cli_program *p, bool full, FILE *f)
{
    fprintf(f, "%s:", p->name);
    cli_print_wrapped(f, p->summary, strlen(p->name) + 1, 0);
    fputs("\nUsage:\n", f);
    for (const char *const *u = p->usage; *u; u++)
        fprintf(f, "  %s %s\n", p->name, *u);
    for (const cli_option *o = p->options; o->help; o++) {
        if (o->kind == CLI_SECTION)
            fprintf(f, "\n%s:\n", o->help);
        else
            print_option(f, o);
    }
    if (!full)
        return;
    if (p->examples)
        fputs("\nExamples:\n", f);
    for (const char *const *e = p->examples; e && *e; e++)
        fprintf(f, "  %s\n", *e);
    print_pairs(f, "Exit status", cli__exits(p));
    print_pairs(f, "Environment", cli__environment);
}
