/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_complete.c - completions for bash, zsh and fish, from the table of options
 */
#include "cli/cli.h"

#include <string.h>

/* What can be completed after an option. */
typedef enum takes {
    TAKES_NOTHING,
    TAKES_TEXT, /* numbers, prompts: nothing to offer */
    TAKES_WORD, /* one of .choices */
    TAKES_FOLDER,
    TAKES_FILE
} takes;

static takes what_it_takes(const cli_option *o)
{
    if (!o->arg)
        return TAKES_NOTHING;
    if (o->choices)
        return TAKES_WORD;
    if (!strcmp(o->arg, "DIR"))
        return TAKES_FOLDER;
    return strncmp(o->arg, "FILE", 4) ? TAKES_TEXT : TAKES_FILE;
}

static const cli_option *first_option(const cli_program *p)
{
    const cli_option *o = p->options;

    while (o->help && o->kind == CLI_SECTION)
        o++;
    return o;
}

static const cli_option *next_option(const cli_option *o)
{
    do
        o++;
    while (o->help && o->kind == CLI_SECTION);
    return o;
}

static void print_words(FILE *f, const char *const *words)
{
    for (const char *const *w = words; *w; w++)
        fprintf(f, "%s%s", w == words ? "" : " ", *w);
}

/* The text with \ before every character of special, and ' as the shell wants it inside of '...'.
 */
static void print_escaped(FILE *f, const char *text, const char *special, const char *quote)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs(quote, f);
            continue;
        }
        if (strchr(special, *text))
            putc('\\', f);
        putc(*text, f);
    }
}

/* gla-run -> gla_run */
static void print_identifier(FILE *f, const char *name)
{
    for (; *name; name++)
        putc(*name == '-' ? '_' : *name, f);
}

/* ---- bash ------------------------------------------------------------------ */

/* "    -m | --model) ...": what stands after this option */
static void print_bash_case(FILE *f, const cli_option *o)
{
    static const char *const offers[] = {
        [TAKES_TEXT] = NULL,
        [TAKES_FOLDER] = "compgen -d -- \"$cur\"",
        [TAKES_FILE] = "compgen -f -- \"$cur\"",
    };
    const takes t = what_it_takes(o);

    if (t == TAKES_NOTHING)
        return;
    fputs("    ", f);
    if (o->letter)
        fprintf(f, "-%c | ", o->letter);
    fprintf(f, "--%s) ", o->name);
    if (t == TAKES_WORD) {
        fputs("mapfile -t COMPREPLY < <(compgen -W '", f);
        print_words(f, o->choices);
        fputs("' -- \"$cur\"); ", f);
    } else if (offers[t]) {
        fprintf(f, "mapfile -t COMPREPLY < <(%s); ", offers[t]);
    }
    fputs("return ;;\n", f);
}

static void print_bash(const cli_program *p, FILE *f)
{
    fputs("_", f);
    print_identifier(f, p->name);
    fputs("()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    COMPREPLY=()\n"
          "    if [[ $cur == = ]]; then\n" /* --kv=: bash makes words of = */
          "        cur=\n"
          "    elif [[ $prev == = ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    case $prev in\n",
          f);
    for (const cli_option *o = first_option(p); o->help; o = next_option(o))
        print_bash_case(f, o);
    fputs("    esac\n    if [[ $cur == -* ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W '",
          f);
    for (const cli_option *o = first_option(p); o->help; o = next_option(o)) {
        if (o->letter)
            fprintf(f, "-%c ", o->letter);
        fprintf(f, "--%s ", o->name);
        if (o->kind == CLI_TOGGLE)
            fprintf(f, "--no-%s ", o->name);
    }
    fputs("' -- \"$cur\")\n", f);
    if (p->max_operands)
        fputs("    else\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n", f);
    fputs("    fi\n}\ncomplete -o filenames -F _", f);
    print_identifier(f, p->name);
    fprintf(f, " %s\n", p->name);
}

/* ---- zsh ------------------------------------------------------------------- */

static void print_zsh_spec(FILE *f, const cli_option *o, const char *prefix, bool by_letter)
{
    const takes t = what_it_takes(o);

    fprintf(f, " \\\n    '%s", o->kind == CLI_LIST ? "*" : "");
    if (by_letter)
        fprintf(f, "-%c%s", o->letter, t ? "+" : "");
    else
        fprintf(f, "--%s%s%s", prefix, o->name, t ? "=" : "");
    putc('[', f);
    print_escaped(f, o->help, "\\[]:", "'\\''");
    putc(']', f);
    if (t) {
        putc(':', f);
        print_escaped(f, o->arg, "\\:", "'\\''");
        putc(':', f);
    }
    if (t == TAKES_WORD) {
        putc('(', f);
        print_words(f, o->choices);
        putc(')', f);
    } else if (t == TAKES_FOLDER || t == TAKES_FILE) {
        fputs(t == TAKES_FOLDER ? "_files -/" : "_files", f);
    }
    putc('\'', f);
}

static void print_zsh(const cli_program *p, FILE *f)
{
    fputs("_arguments -s -S", f);
    for (const cli_option *o = first_option(p); o->help; o = next_option(o)) {
        if (o->letter)
            print_zsh_spec(f, o, "", true);
        print_zsh_spec(f, o, "", false);
        if (o->kind == CLI_TOGGLE)
            print_zsh_spec(f, o, "no-", false);
    }
    if (p->max_operands)
        fprintf(f, " \\\n    '%s:%s:_files'", p->max_operands > 1 ? "*" : "", p->operand);
    putc('\n', f);
}

/* ---- fish ------------------------------------------------------------------ */

static void print_fish_option(const cli_program *p, FILE *f, const cli_option *o,
                              const char *prefix)
{
    static const char *const offers[] = {
        [TAKES_NOTHING] = "",      [TAKES_TEXT] = " -x",
        [TAKES_WORD] = " -x -a '", [TAKES_FOLDER] = " -x -a '(__fish_complete_directories)'",
        [TAKES_FILE] = " -r -F",
    };
    const takes t = what_it_takes(o);

    fprintf(f, "complete -c %s", p->name);
    if (o->letter)
        fprintf(f, " -s %c", o->letter);
    fprintf(f, " -l %s%s%s", prefix, o->name, offers[t]);
    if (t == TAKES_WORD) {
        print_words(f, o->choices);
        putc('\'', f);
    }
    fputs(" -d '", f);
    print_escaped(f, o->help, "\\", "\\'");
    fputs("'\n", f);
}

static void print_fish(const cli_program *p, FILE *f)
{
    if (!p->max_operands)
        fprintf(f, "complete -c %s -f\n", p->name);
    for (const cli_option *o = first_option(p); o->help; o = next_option(o)) {
        print_fish_option(p, f, o, "");
        if (o->kind == CLI_TOGGLE)
            print_fish_option(p, f, o, "no-");
    }
}

void cli__print_completion(const cli_program *p, const char *shell, FILE *f)
{
    if (!strcmp(shell, "zsh"))
        fprintf(f, "#compdef %s\n", p->name);
    fprintf(f, "# made by %s --generate %s\n", p->name, shell);
    if (!strcmp(shell, "bash"))
        print_bash(p, f);
    else if (!strcmp(shell, "zsh"))
        print_zsh(p, f);
    else
        print_fish(p, f);
}
