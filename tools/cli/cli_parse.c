/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- numbers --------------------------------------------------------------- */

/* Digits only; *end is what follows them. */
static bool parse_digits(const char *text, const char **end, uint64_t *out)
{
    uint64_t x = 0;

    *end = text;
    for (; **end >= '0' && **end <= '9'; (*end)++)
        if (__builtin_mul_overflow(x, UINT64_C(10), &x) ||
            __builtin_add_overflow(x, (uint64_t)(**end - '0'), &x))
            return false;
    *out = x;
    return *end != text;
}

/* A number with an optional K, M, G or T (also k, Ki, KiB, KB: all 1024). */
static bool parse_size_prefix(const char *text, const char **end, uint64_t *out)
{
    static const char units[] = "KMGT";
    const char *unit;

    if (!parse_digits(text, end, out))
        return false;
    unit = **end ? strchr(units, **end == 'k' ? 'K' : **end) : NULL;
    if (!unit)
        return true;
    for (const char *u = units; u <= unit; u++)
        if (__builtin_mul_overflow(*out, UINT64_C(1024), out))
            return false;
    (*end)++;
    if (**end == 'i')
        (*end)++;
    if (**end == 'B')
        (*end)++;
    return true;
}

bool cli_parse_u64(const char *text, uint64_t *out)
{
    const char *end;

    return parse_digits(text, &end, out) && !*end;
}

bool cli_parse_size(const char *text, uint64_t *out)
{
    const char *end;

    return parse_size_prefix(text, &end, out) && !*end;
}

bool cli_parse_float(const char *text, double *out)
{
    char *end;

    /* strtod would take leading blanks, hexadecimal, "inf" and "nan" */
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

bool cli_parse_list(const char *text, uint64_t most, uint64_t *out, uint32_t max, uint32_t *n)
{
    for (*n = 0; *n < max; text++) {
        if (!parse_size_prefix(text, &text, &out[*n]) || out[(*n)++] > most)
            return false;
        if (*text != ',')
            return !*text;
    }
    return false;
}

/* ---- options --------------------------------------------------------------- */

static bool append(cli_list *list, const char *item)
{
    const char **items = realloc(list->items, (list->n + 1) * sizeof(*items));

    if (!items)
        return false;
    items[list->n++] = item;
    list->items = items;
    return true;
}

static int bad_value(const cli_option *o, const char *value, const char *expected)
{
    return cli_usage_error("--%s: '%s' is not %s", o->name, value, expected);
}

static bool in_range(const cli_option *o, double x)
{
    return (o->min == 0 && o->max == 0) || (x >= o->min && x <= o->max);
}

static int out_of_range(const cli_option *o, const char *value)
{
    return cli_usage_error("--%s: %s is not between %.9g and %.9g", o->name, value, o->min, o->max);
}

static int set_number(const cli_option *o, const char *value)
{
    const bool size = o->kind == CLI_SIZE;
    uint64_t x;

    if (size ? !cli_parse_size(value, &x) : !cli_parse_u64(value, &x))
        return bad_value(o, value, size ? "a size such as 512M or 4G" : "a whole number");
    if (!in_range(o, (double)x))
        return out_of_range(o, value);
    if (o->kind == CLI_U32 && x > UINT32_MAX)
        return bad_value(o, value, "a number below 2^32");
    if (o->kind == CLI_U32)
        *(uint32_t *)o->to = (uint32_t)x;
    else
        *(uint64_t *)o->to = x;
    return 0;
}

static int set_float(const cli_option *o, const char *value)
{
    double x;

    if (!cli_parse_float(value, &x))
        return bad_value(o, value, "a number");
    if (!in_range(o, x))
        return out_of_range(o, value);
    *(double *)o->to = x;
    return 0;
}

static int set_choice(const cli_option *o, const char *value)
{
    char all[160] = "";
    size_t used = 0;

    for (const char *const *c = o->choices; *c; c++) {
        if (!strcmp(*c, value)) {
            *(const char **)o->to = *c;
            return 0;
        }
        if (used + strlen(*c) + 3 < sizeof(all))
            used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", used ? ", " : "", *c);
    }
    return cli_usage_error("--%s: '%s' is not one of %s", o->name, value, all);
}

static int set_option(const cli_option *o, const char *value, bool negated)
{
    if (o->given)
        *o->given = true;
    switch (o->kind) {
    case CLI_FLAG:
    case CLI_TOGGLE:
        *(bool *)o->to = !negated;
        return 0;
    case CLI_STRING:
        *(const char **)o->to = value;
        return 0;
    case CLI_U32:
    case CLI_U64:
    case CLI_SIZE:
        return set_number(o, value);
    case CLI_FLOAT:
        return set_float(o, value);
    case CLI_CHOICE:
        return set_choice(o, value);
    case CLI_LIST:
        return append(o->to, value) ? 0 : cli_error("out of memory");
    case CLI_SECTION:
    case CLI_ACTION:
        break;
    }
    return 0;
}

/* ---- getopt_long's view of the table ---------------------------------------- */

#define MAX_OPTIONS 64
#define NEGATED     0x10000 /* val = table index + 0x100, with this for --no-x */

typedef struct getopt_table {
    struct option options[2 * MAX_OPTIONS + 1];
    char negated[MAX_OPTIONS][32];
    char letters[2 * MAX_OPTIONS + 2];
} getopt_table;

/* False: it has no room for all of them. */
static bool make_table(const cli_option *options, getopt_table *t)
{
    char *letter = t->letters;
    int n = 0, i;

    memset(t, 0, sizeof(*t));
    *letter++ = ':'; /* tells a missing value from an unknown option */
    for (i = 0; i < MAX_OPTIONS && options[i].help; i++) {
        const cli_option *o = &options[i];

        if (!o->name)
            continue;
        t->options[n++] =
            (struct option){o->name, o->arg ? required_argument : no_argument, NULL, i + 0x100};
        if (o->kind == CLI_TOGGLE) {
            snprintf(t->negated[i], sizeof(t->negated[i]), "no-%s", o->name);
            t->options[n++] =
                (struct option){t->negated[i], no_argument, NULL, (i + 0x100) | NEGATED};
        }
        if (o->letter) {
            *letter++ = o->letter;
            if (o->arg)
                *letter++ = ':';
        }
    }
    return !options[i].help;
}

static int option_of_letter(const cli_option *options, int letter)
{
    for (int i = 0; options[i].help; i++)
        if (options[i].letter == letter)
            return i;
    return -1;
}

/* argv[optind - 1] is what getopt_long did not like. */
static int bad_option(const getopt_table *t, char **argv, int code)
{
    const char *given = argv[optind - 1];

    if (code == ':')
        return optopt >= 0x100
                   ? cli_usage_error("--%s needs a value",
                                     cli__program->options[(optopt & 0xffff) - 0x100].name)
                   : cli_usage_error("-%c needs a value", optopt);
    if (optopt >= 0x100)
        return cli_usage_error("%s takes no value", given);
    if (optopt)
        return cli_usage_error("unknown option -%c", optopt);
    for (const struct option *o = t->options; o->name; o++)
        if (!strncmp(o->name, given + 2, strcspn(given + 2, "=")))
            return cli_usage_error("option %s is ambiguous", given);
    return cli_usage_error("unknown option %s", given);
}

const char *const cli__generated_kinds[] = {"man", "bash", "zsh", "fish", NULL};

/* --help, --version, --generate */
static int act(const cli_program *p, const cli_option *o, bool by_letter)
{
    const char *kind = NULL;

    if (o->choices) {
        const cli_option choice = {.name = o->name, .to = &kind, .choices = o->choices};
        const int st = set_choice(&choice, optarg);

        if (st)
            return st;
    }
    if (kind && !strcmp(kind, "man"))
        cli__print_manual(p, stdout);
    else if (kind)
        cli__print_completion(p, kind, stdout);
    else if (o->letter == 'V')
        printf("%s %s\n%s\n", p->name, gla_version(), gla_build_info());
    else
        cli__print_help(p, !by_letter, stdout);
    return cli_finish(0);
}

static int parse_options(const cli_program *p, int argc, char **argv, bool *stop)
{
    getopt_table t;
    int code, long_index, st;

    if (!make_table(p->options, &t))
        return cli_error("more than %d lines in the table of options", MAX_OPTIONS);
    opterr = 0;
    while ((code = getopt_long(argc, argv, t.letters, t.options, &long_index)) != -1) {
        const bool by_letter = code < 0x100;
        const cli_option *o;
        int i;

        if (code == '?' || code == ':')
            return bad_option(&t, argv, code);
        i = by_letter ? option_of_letter(p->options, code) : (code & 0xffff) - 0x100;
        if (i < 0)
            return cli_usage_error("unknown option -%c", code);
        o = &p->options[i];
        if (o->kind == CLI_ACTION) {
            *stop = true;
            return act(p, o, by_letter);
        }
        st = set_option(o, optarg, (code & NEGATED) != 0);
        if (st)
            return st;
    }
    for (int i = optind; i < argc; i++)
        if (!append(&cli.operands, argv[i]))
            return cli_error("out of memory");
    return 0;
}

static int check_operands(const cli_program *p)
{
    const char *hint =
        option_of_letter(p->options, 'm') < 0 || p->max_operands ? "" : "; is it the model? -m DIR";

    if (cli.operands.n < p->min_operands)
        return cli_usage_error("%s is missing", p->operand ? p->operand : "an argument");
    if (cli.operands.n > p->max_operands)
        return cli_usage_error("'%s' is one argument too many%s",
                               cli.operands.items[p->max_operands], hint);
    return 0;
}

bool cli_start(const cli_program *program, int argc, char **argv, int *status)
{
    bool stop = false;

    cli__program = program;
    cli__occupy_streams();
    cli__catch_signals();
    *status = parse_options(program, argc, argv, &stop);
    if (!*status && !stop)
        *status = check_operands(program);
    if (*status || stop)
        return true;
    if (!cli.progress_given) {
        const char *term = getenv("TERM");

        cli.progress =
            isatty(STDERR_FILENO) && term && strcmp(term, "dumb") && !cli.quiet && !cli.json;
    }
    if (cli.threads)
        gla_set_threads(cli.threads);
    return false;
}
