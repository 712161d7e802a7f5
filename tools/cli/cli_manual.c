/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_manual.c - the man page of a program, in mdoc, from its tables
 */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

#define MANUAL_DATE "December 1, 2026" /* of the last change of what the tables say */
#define COLUMNS     76

static const char *const programs[] = {"gla-bench", "gla-check",   "gla-compare", "gla-convert",
                                       "gla-eval",  "gla-inspect", "gla-run",     NULL};

/* One word of text: nothing in it may act as a request, and - of an option is no hyphen. */
static void print_word(FILE *f, const char *word, size_t n, bool begins_line)
{
    const bool option = n > 1 && word[0] == '-';

    if (begins_line && (word[0] == '.' || word[0] == '\''))
        fputs("\\&", f);
    for (size_t i = 0; i < n; i++)
        if (word[i] == '\\')
            fputs("\\e", f);
        else if (word[i] == '-' && option)
            fputs("\\-", f);
        else
            putc(word[i], f);
}

/* Running text; mdoc wants every sentence to begin a line. */
static void print_text(FILE *f, const char *text)
{
    size_t at = 0;

    while (*text) {
        const size_t n = strcspn(text, " ");

        if (at && at + 1 + n > COLUMNS) {
            putc('\n', f);
            at = 0;
        } else if (at) {
            putc(' ', f);
        }
        print_word(f, text, n, at == 0);
        at += n + 1;
        if (n && strchr(".!?", text[n - 1]) && text[n]) {
            putc('\n', f);
            at = 0;
        }
        text += n;
        text += strspn(text, " ");
    }
    putc('\n', f);
}

/* "-m", "[-n N]", "'N N ...'": from text up to where the blank after it stands. */
static size_t usage_item(const char *text)
{
    const char closing = *text == '[' ? ']' : *text == '\'' || *text == '"' ? *text : ' ';
    const char *end = strchr(text + 1, closing);

    return end && closing != ' ' ? (size_t)(end + 1 - text) + strcspn(end + 1, " ")
                                 : strcspn(text, " ");
}

/* "[-n N]" or "[OPTION]...", n characters of it. */
static void print_optional(FILE *f, const char *item, size_t n)
{
    const size_t inner = strcspn(item, "]") - 1, word = strcspn(item + 1, " ]");

    if (item[1] == '-') {
        fprintf(f, ".Op Fl %.*s", (int)word - 1, item + 2);
        if (word < inner)
            fprintf(f, " Ar %.*s", (int)(inner - word - 1), item + 2 + word);
    } else {
        fprintf(f, ".Op Ar %.*s", (int)inner, item + 1);
    }
    fputs(n > inner + 2 ? " ...\n" : "\n", f);
}

/* One command line, a macro per item. */
static void print_usage(FILE *f, const cli_program *p, const char *usage)
{
    fprintf(f, ".Nm %s\n", p->name);
    while (*usage && *usage != ' ') {
        const size_t n = usage_item(usage);

        if (*usage == '[')
            print_optional(f, usage, n);
        else if (*usage == '-')
            fprintf(f, ".Fl %.*s\n", (int)(n - 1), usage + 1);
        else
            fprintf(f, ".Ar %.*s\n", (int)n, usage);
        usage += n;
        usage += *usage == ' '; /* of two, the second ends the line */
    }
}

static void print_option(FILE *f, const cli_option *o)
{
    fputs(".It", f);
    if (o->letter)
        fprintf(f, " Fl %c ,", o->letter);
    fprintf(f, " Fl -%s", o->name);
    if (o->kind == CLI_TOGGLE)
        fprintf(f, " , Fl -no-%s", o->name);
    if (o->arg)
        fprintf(f, " Ar %s", o->arg);
    putc('\n', f);
    print_text(f, o->help);
    if (o->max > 0)
        fprintf(f, "(%.9g to %.9g)\n", o->min, o->max);
    if (o->def) {
        char text[256];

        snprintf(text, sizeof(text), "[default: %s]", o->def);
        print_text(f, text);
    }
}

static void print_options(FILE *f, const cli_program *p)
{
    bool open = false;

    for (const cli_option *o = p->options; o->help; o++) {
        if (o->kind != CLI_SECTION) {
            print_option(f, o);
            continue;
        }
        if (open)
            fputs(".El\n", f);
        fprintf(f, ".Ss %s\n.Bl -tag -width Ds\n", o->help);
        open = true;
    }
    if (open)
        fputs(".El\n", f);
}

static void print_pairs(FILE *f, const char *heading, const char *macro,
                        const char *const (*pairs)[2])
{
    fprintf(f, ".Sh %s\n.Bl -tag -width Ds\n", heading);
    for (; (*pairs)[0]; pairs++) {
        fprintf(f, ".It %s%s\n", macro, (*pairs)[0]);
        print_text(f, (*pairs)[1]);
    }
    fputs(".El\n", f);
}

static void print_examples(FILE *f, const char *const *lines)
{
    fputs(".Sh EXAMPLES\n.Bd -literal\n", f);
    for (; *lines; lines++) {
        for (const char *word = *lines; *word;) {
            const size_t n = strcspn(word, " ");

            print_word(f, word, n, word == *lines);
            word += n;
            if (*word)
                putc(*word++, f);
        }
        putc('\n', f);
    }
    fputs(".Ed\n", f);
}

void cli__print_manual(const cli_program *p, FILE *f)
{
    const char *const *other;
    size_t n = strlen(p->summary);

    fprintf(f, ".\\\" made by %s --generate man\n.Dd " MANUAL_DATE "\n.Dt ", p->name);
    for (const char *c = p->name; *c; c++)
        putc(toupper((unsigned char)*c), f);
    fprintf(f, " 1\n.Os gla %s\n.Sh NAME\n.Nm %s\n.Nd ", gla_version(), p->name);
    n -= n && p->summary[n - 1] == '.';
    fprintf(f, "%c%.*s\n.Sh SYNOPSIS\n", tolower((unsigned char)p->summary[0]), (int)n - 1,
            p->summary + 1);
    for (const char *const *u = p->usage; *u; u++)
        print_usage(f, p, *u);
    fputs(".Sh DESCRIPTION\n", f);
    if (!p->description)
        print_text(f, p->summary);
    for (const char *const *d = p->description; d && *d; d++) {
        if (d != p->description)
            fputs(".Pp\n", f);
        print_text(f, *d);
    }
    print_options(f, p);
    print_pairs(f, "ENVIRONMENT", "Ev ", cli__environment);
    print_pairs(f, "EXIT STATUS", "", cli__exits(p));
    if (p->examples)
        print_examples(f, p->examples);
    fputs(".Sh SEE ALSO\n", f);
    for (other = programs; *other; other++)
        if (strcmp(*other, p->name) != 0)
            fprintf(f, ".Xr %s 1 ,\n", *other);
    fputs(".Xr gla-arch 5\n", f);
}
