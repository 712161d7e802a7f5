/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_table.c - the two plain outputs: the table on the terminal, and CSV
 */
#include "compare_columns.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- table ------------------------------------------------------------------- */

/* One sign a block; long models are shown by their first layers. */
static void pattern(const candidate *x, char *buf, size_t size)
{
    static const char *const sign[] = {"·", "░", "█", "◆"};
    const uint32_t shown = x->arch->n_layers > 32 ? 32 : x->arch->n_layers;

    buf[0] = '\0';
    for (uint32_t i = 0; i < shown; i++)
        strncat(buf, sign[x->kinds[i]], size - strlen(buf) - 1);
    if (shown < x->arch->n_layers)
        strncat(buf, "…", size - strlen(buf) - 1);
}

static int label_width(const comparison *c)
{
    int width = 9;

    for (uint32_t i = 0; i < c->n; i++)
        width = (int)strlen(c->items[i].label) > width ? (int)strlen(c->items[i].label) : width;
    return width;
}

static void print_patterns(const comparison *c)
{
    char text[256];

    printf("%-*s  %-6s  layers: ░ recurrent  █ softmax  ◆ both  · neither\n", label_width(c),
           "candidate", "blocks");
    for (uint32_t i = 0; i < c->n; i++) {
        pattern(&c->items[i], text, sizeof(text));
        printf("%-*s  %-6u  %s\n", label_width(c), c->items[i].label, c->items[i].arch->n_layers,
               text);
    }
}

static void print_changes(const comparison *c)
{
    char text[1024];

    printf("\nwidths moved until the %s are those of %s\n",
           strcmp(c->match, "state") ? "parameters" : "state bytes", c->items[0].label);
    for (uint32_t i = 1; i < c->n; i++) {
        compare_change_text(&c->items[i], text, sizeof(text));
        printf("%-*s  %s\n", label_width(c), c->items[i].label, text);
    }
}

/* ---- layers left out ----------------------------------------------------------- */

static double most_rise(const quality *q)
{
    double most = 0;

    for (uint32_t i = 0; i < q->n_ablations; i++)
        most = q->ablations[i].difference > most ? q->ablations[i].difference : most;
    return most;
}

static void print_ablation(const candidate *x)
{
    const quality *q = &x->quality;
    const double most = most_rise(q);

    printf("\n%s: nll %.4f; with the output of one mixer left out it rises by\n", x->label, q->nll);
    for (uint32_t i = 0; i < q->n_ablations; i++) {
        const ablation *a = &q->ablations[i];
        const int length = most > 0 ? (int)(30 * a->difference / most + 0.5) : 0;
        char range[48] = "";

        if (!isnan(a->low))
            snprintf(range, sizeof(range), "[%.3f, %.3f]", a->low, a->high);
        printf("%-20s  %-24s  %-9s  %8.4f  %-18s", a->layer, a->type, compare_kind_name(a->kind),
               a->difference, range);
        for (int k = 0; k < length; k++)
            fputs("█", stdout);
        putchar('\n');
    }
}

/* Columns [first, end): one group. */
static void print_group(const columns *t, uint32_t first, uint32_t end)
{
    const bool bold = isatty(STDOUT_FILENO);
    const int label = label_width(t->c);
    int width[MAX_COLUMNS];
    char buf[CELL];

    printf("\n%-*s", label, first ? t->list[first].group : "candidate");
    if (first)
        printf("\n%-*s", label, "candidate");
    for (uint32_t k = first; k < end; k++) {
        width[k] = (int)strlen(t->list[k].head);
        for (uint32_t i = 0; i < t->c->n; i++) {
            const int n = (int)strlen(columns_format(buf, &t->list[k], i));

            width[k] = n > width[k] ? n : width[k];
        }
        printf("  %*s ", width[k], t->list[k].head);
    }
    printf("\n");
    for (uint32_t i = 0; i < t->c->n; i++) {
        printf("%-*s", label, t->c->items[i].label);
        for (uint32_t k = first; k < end; k++) {
            const bool best = columns_is_best(t, &t->list[k], i);

            printf("  %s%*s%s%s", best && bold ? "\033[1m" : "", width[k],
                   columns_format(buf, &t->list[k], i), best ? "*" : " ",
                   best && bold ? "\033[0m" : "");
        }
        printf("\n");
    }
}

/* Whether some stretch of a prompt is not computed. */
static bool has_gap(const comparison *c)
{
    for (uint32_t k = 0; k < c->n_contexts; k++)
        if (c->contexts[k] - (k ? c->contexts[k - 1] : 0) > c->whole)
            return true;
    return false;
}

static void print_remarks(const comparison *c)
{
    char memory[32], windows[160];

    printf("\n* best of its column.  KV: %s.  KV > state: tokens at which the cache outgrows the "
           "state.\n",
           gla_dtype_name(c->kv_dtype));
    if (c->memory)
        printf("fits: tokens of one sequence beside the weights in %s.\n",
               cli_format_bytes(memory, c->memory));
    if (c->windows)
        printf("quality: %s.\n", compare_windows_text(c, windows, sizeof(windows)));
    if (c->n_probes)
        printf(
            "recall: %u trials of each question; able: the right token gains at least ln 2 nats, "
            "and the interval lies above 0.\n",
            c->trials);
    if (c->measured)
        printf("speed: medians of %u interleaved rounds [slowest, fastest], %u tokens decoded, "
               "%u threads.\n",
               c->rounds, c->decode_tokens, gla_threads());
    if (c->measured && has_gap(c))
        printf("prompts: of each stretch above %llu tokens both ends are computed, the middle "
               "follows from them.\n",
               (unsigned long long)c->whole);
    if (c->measured && c->energy[0])
        printf("joules: not known: %s.\n", c->energy);
}

void compare_print_table(const comparison *c)
{
    static columns t; /* large */

    columns_make(&t, c);
    print_patterns(c);
    if (c->match)
        print_changes(c);
    for (uint32_t first = 0, end; first < t.n; first = end) {
        end = columns_group_end(&t, first);
        print_group(&t, first, end);
    }
    for (uint32_t i = 0; i < c->n; i++)
        if (c->items[i].quality.n_ablations && c->windows)
            print_ablation(&c->items[i]);
    print_remarks(c);
}
/* ---- CSV --------------------------------------------------------------------- */

/* Quoted when it must be; quotes doubled.  A name that a spreadsheet would compute gets a mark of
 * text in front. */
static void print_cell(const char *text)
{
    const bool quote = strpbrk(text, ",\"\r\n") != NULL;

    if (quote)
        putchar('"');
    if (*text && strchr("=+-@", *text))
        putchar('\'');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    if (quote)
        putchar('"');
}

static void print_number(double v)
{
    if (isnan(v))
        putchar(',');
    else if (isinf(v))
        printf(",inf");
    else
        printf(v == floor(v) ? ",%.0f" : ",%.9g", v);
}

void compare_print_csv(const comparison *c)
{
    static columns t;

    columns_make(&t, c);
    printf("candidate,source");
    for (uint32_t k = 0; k < t.n; k++) {
        printf(",%s", t.list[k].key);
        if (t.list[k].spread)
            printf(",%s_low,%s_high", t.list[k].key, t.list[k].key);
    }
    printf("\n");
    for (uint32_t i = 0; i < c->n; i++) {
        print_cell(c->items[i].label);
        putchar(',');
        print_cell(c->items[i].source);
        for (uint32_t k = 0; k < t.n; k++) {
            const column *x = &t.list[k];

            print_number(x->value[i]);
            if (x->spread)
                print_number(isnan(x->value[i]) ? NAN : x->low[i]);
            if (x->spread)
                print_number(isnan(x->value[i]) ? NAN : x->high[i]);
        }
        printf("\n");
    }
}
