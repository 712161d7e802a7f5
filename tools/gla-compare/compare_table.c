/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_table.c - the columns of a comparison, and their two plain outputs: table and CSV
 */
#include "compare.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { MAX_COLUMNS = 16 + 8 * MAX_CONTEXTS + MAX_PROBES, CELL = 96 };

typedef enum number_unit {
    UNIT_COUNT,
    UNIT_BYTES,
    UNIT_TOKENS,
    UNIT_NATS,
    UNIT_GAIN, /* nats, roughly; in brackets when weak */
    UNIT_RATE,
    UNIT_SECONDS,
    UNIT_JOULES
} number_unit;

typedef struct column {
    const char *group; /* columns of one group stand in one table */
    char head[32], key[48];
    number_unit unit;
    int better;                   /* -1: less, 1: more, 0: neither */
    double value[MAX_CANDIDATES]; /* NAN: not measured; INFINITY: no limit */
    bool spread;                  /* there are bounds too */
    bool weak[MAX_CANDIDATES];    /* there, but not to be taken for more than noise */
    double low[MAX_CANDIDATES], high[MAX_CANDIDATES];
} column;

typedef struct columns {
    const comparison *c;
    column list[MAX_COLUMNS];
    uint32_t n;
} columns;

/* ---- columns ----------------------------------------------------------------- */

static column *add(columns *t, const char *group, const char *head, const char *key,
                   number_unit unit, int better)
{
    column *x = &t->list[t->n++];

    memset(x, 0, sizeof(*x));
    x->group = group;
    x->unit = unit;
    x->better = better;
    snprintf(x->head, sizeof(x->head), "%s", head);
    snprintf(x->key, sizeof(x->key), "%s", key);
    return x;
}

static column *add_at(columns *t, const char *group, const char *key, uint32_t context,
                      number_unit unit, int better)
{
    const uint64_t tokens = t->c->contexts[context];
    char head[32], full[48];

    compare_format_tokens(head, tokens);
    snprintf(full, sizeof(full), "%s_%llu", key, (unsigned long long)tokens);
    return add(t, group, head, full, unit, better);
}

static void add_static(columns *t)
{
    static const char size[] = "size";
    const comparison *c = t->c;
    column *params = add(t, size, "parameters", "parameters", UNIT_COUNT, 0);
    column *active = add(t, size, "active", "active_parameters", UNIT_COUNT, -1);
    column *weights = add(t, size, "weights", "weight_bytes", UNIT_BYTES, -1);
    column *state = add(t, size, "state", "state_bytes", UNIT_BYTES, -1);
    column *crossover = add(t, size, "KV > state", "crossover_tokens", UNIT_TOKENS, 0);
    column *fits = c->memory ? add(t, size, "fits", "context_fits", UNIT_TOKENS, 1) : NULL;

    for (uint32_t i = 0; i < c->n; i++) {
        const candidate *x = &c->items[i];

        params->value[i] = (double)x->description->params;
        active->value[i] = (double)x->description->active_params;
        weights->value[i] = (double)x->weight_bytes;
        state->value[i] = (double)x->description->state_bytes;
        crossover->value[i] = x->crossover ? (double)x->crossover : NAN;
        if (fits)
            fits->value[i] = x->fits == UINT64_MAX ? INFINITY : (double)x->fits;
    }
}

static void add_by_context(columns *t)
{
    const comparison *c = t->c;

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        column *kv =
            add_at(t, "KV cache of one sequence, by context", "kv_bytes", k, UNIT_BYTES, -1);

        for (uint32_t i = 0; i < c->n; i++)
            kv->value[i] = (double)c->items[i].kv_bytes[k];
    }
    for (uint32_t k = 0; k < c->n_contexts; k++) {
        column *sum =
            add_at(t, "KV cache and state together, by context", "memory_bytes", k, UNIT_BYTES, -1);

        for (uint32_t i = 0; i < c->n; i++)
            sum->value[i] =
                (double)(c->items[i].kv_bytes[k] + c->items[i].description->state_bytes);
    }
    for (uint32_t k = 0; k < c->n_contexts; k++) {
        column *flops =
            add_at(t, "FLOPs for one more token, by context", "flops_per_token", k, UNIT_COUNT, -1);

        for (uint32_t i = 0; i < c->n; i++)
            flops->value[i] = c->items[i].flops[k];
    }
}

static void add_quality(columns *t)
{
    static const char group[] = "quality on the text, 95 % intervals over its windows";
    const comparison *c = t->c;
    column *nll = add(t, group, "nll", "nll", UNIT_NATS, -1);
    column *perplexity = add(t, group, "perplexity", "perplexity", UNIT_NATS, -1);
    column *difference = add(t, group, "nll against the first", "nll_difference", UNIT_NATS, 0);

    nll->spread = perplexity->spread = difference->spread = true;
    for (uint32_t i = 0; i < c->n; i++) {
        const quality *q = &c->items[i].quality;
        const bool known = !isnan(q->nll);

        nll->value[i] = q->nll;
        nll->low[i] = q->low;
        nll->high[i] = q->high;
        perplexity->value[i] = exp(q->nll);
        perplexity->low[i] = exp(q->low);
        perplexity->high[i] = exp(q->high);
        difference->value[i] = known ? q->difference : NAN;
        difference->low[i] = q->difference_low;
        difference->high[i] = q->difference_high;
    }
}

static void add_recall(columns *t)
{
    static const char *const groups[] = {
        "recall: nats that the right token gains over a shuffled context (brackets: not able)",
        "associative recall among so many pairs: nats gained (brackets: not able)",
    };
    const comparison *c = t->c;

    for (uint32_t k = 0; k < c->n_probes; k++) {
        const probe *p = &c->probes[k];
        char key[48];
        column *x;

        snprintf(key, sizeof(key), "recall_%s", p->key);
        x = add(t, groups[p->kind == PROBE_PAIRS], p->head, key, UNIT_GAIN, 1);
        x->spread = true;
        for (uint32_t i = 0; i < c->n; i++) {
            const recall *r = &c->items[i].recall[k];

            x->value[i] = r->gain;
            x->low[i] = r->low;
            x->high[i] = r->high;
            x->weak[i] = !r->able;
        }
    }
}

/* One column a context, of the rates that lie `offset` bytes into a speed. */
static void add_rates(columns *t, const char *group, const char *key, size_t offset,
                      number_unit unit, int better)
{
    const comparison *c = t->c;

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        column *x = add_at(t, group, key, k, unit, better);

        x->spread = true;
        for (uint32_t i = 0; i < c->n; i++) {
            const rate *r =
                (const rate *)(const void *)((const char *)&c->items[i].speed[k] + offset);

            x->value[i] = r->median;
            x->low[i] = r->low;
            x->high[i] = r->high;
        }
    }
}

static void add_measured(columns *t)
{
    const comparison *c = t->c;
    column *used;

    add_rates(t, "prefill tokens/s, by length of the prompt", "prefill_tokens_per_s",
              offsetof(speed, prefill), UNIT_RATE, 1);
    add_rates(t, "seconds to the first token, by length of the prompt", "first_token_s",
              offsetof(speed, first_token), UNIT_SECONDS, -1);
    add_rates(t, "decode tokens/s, by context", "decode_tokens_per_s", offsetof(speed, decode),
              UNIT_RATE, 1);
    if (!c->energy[0]) {
        add_rates(t, "joules a token of the prompt, by its length", "prefill_joules",
                  offsetof(speed, prefill_joules), UNIT_JOULES, -1);
        add_rates(t, "joules a decoded token, by context", "decode_joules",
                  offsetof(speed, decode_joules), UNIT_JOULES, -1);
    }
    used = add(t, "memory in use at the longest context", "bytes", "memory_used_bytes", UNIT_BYTES,
               -1);
    for (uint32_t i = 0; i < c->n; i++)
        used->value[i] = c->items[i].memory_used ? (double)c->items[i].memory_used : NAN;
}

static void make_columns(columns *t, const comparison *c)
{
    t->c = c;
    t->n = 0;
    add_static(t);
    add_by_context(t);
    if (c->text)
        add_quality(t);
    if (c->n_probes)
        add_recall(t);
    if (c->measured)
        add_measured(t);
}

/* ---- values ------------------------------------------------------------------ */

const char *compare_format_tokens(char buf[32], uint64_t tokens)
{
    const uint64_t k = 1024;

    if (tokens && tokens % (k * k) == 0)
        snprintf(buf, 32, "%lluM", (unsigned long long)(tokens / (k * k)));
    else if (tokens && tokens % k == 0)
        snprintf(buf, 32, "%lluk", (unsigned long long)(tokens / k));
    else
        snprintf(buf, 32, "%llu", (unsigned long long)tokens);
    return buf;
}

static const char *format_value(char buf[CELL], const column *x, uint32_t i)
{
    const double v = x->value[i], low = x->low[i], high = x->high[i];

    if (isnan(v)) {
        snprintf(buf, CELL, "-");
        return buf;
    }
    switch (x->unit) {
    case UNIT_COUNT:
        return cli_format_count(buf, v);
    case UNIT_BYTES:
        return cli_format_bytes(buf, (uint64_t)v);
    case UNIT_TOKENS:
        snprintf(buf, CELL, isinf(v) ? "any" : "%.0f", v);
        break;
    case UNIT_NATS:
        snprintf(buf, CELL, isnan(low) ? "%.4f" : "%.4f [%.3f, %.3f]", v, low, high);
        break;
    case UNIT_GAIN:
        snprintf(buf, CELL, x->weak[i] ? "(%.2f)" : "%.2f [%.1f, %.1f]", v, low, high);
        break;
    case UNIT_SECONDS:
        snprintf(buf, CELL, v < 10 ? "%.3f [%.3f, %.3f]" : "%.1f [%.1f, %.1f]", v, low, high);
        break;
    case UNIT_JOULES:
        snprintf(buf, CELL, "%.3g [%.3g, %.3g]", v, low, high);
        break;
    case UNIT_RATE:
        snprintf(buf, CELL, v < 100 ? "%.1f [%.1f, %.1f]" : "%.0f [%.0f, %.0f]", v, low, high);
        break;
    }
    return buf;
}

/* The best of a column, unless all are equal. */
static bool is_best(const columns *t, const column *x, uint32_t i)
{
    bool differs = false;

    if (!x->better || isnan(x->value[i]) || x->weak[i])
        return false;
    for (uint32_t k = 0; k < t->c->n; k++) {
        if (isnan(x->value[k]) || x->weak[k])
            continue;
        if (x->value[k] != x->value[i])
            differs = true;
        if (x->better < 0 ? x->value[k] < x->value[i] : x->value[k] > x->value[i])
            return false;
    }
    return differs;
}

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

static bool is_same(const change *a, const change *b)
{
    return !strcmp(a->parameter, b->parameter) && a->from == b->from && a->to == b->to;
}

/* "d_ff 2816 -> 2912 (lin, attn)"; the changes of several blocks that are the same stand once. */
static void change_text(const candidate *x, char *buf, size_t size)
{
    buf[0] = '\0';
    for (uint32_t i = 0; i < x->n_changes; i++) {
        const change *a = &x->changes[i];
        bool first = true;

        for (uint32_t k = 0; k < i; k++)
            first = first && !is_same(a, &x->changes[k]);
        if (!first)
            continue;
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%s %.0f -> %.0f (", buf[0] ? ", " : "",
                 a->parameter, a->from, a->to);
        for (uint32_t k = i; k < x->n_changes; k++)
            if (is_same(a, &x->changes[k]))
                snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", k == i ? "" : ", ",
                         x->changes[k].block);
        snprintf(buf + strlen(buf), size - strlen(buf), ")");
    }
    if (!buf[0])
        snprintf(buf, size, "as it was");
}

static void print_changes(const comparison *c)
{
    char text[1024];

    printf("\nwidths moved until the %s are those of %s\n",
           strcmp(c->match, "state") ? "parameters" : "state bytes", c->items[0].label);
    for (uint32_t i = 1; i < c->n; i++) {
        change_text(&c->items[i], text, sizeof(text));
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
            const int n = (int)strlen(format_value(buf, &t->list[k], i));

            width[k] = n > width[k] ? n : width[k];
        }
        printf("  %*s ", width[k], t->list[k].head);
    }
    printf("\n");
    for (uint32_t i = 0; i < t->c->n; i++) {
        printf("%-*s", label, t->c->items[i].label);
        for (uint32_t k = first; k < end; k++) {
            const bool best = is_best(t, &t->list[k], i);

            printf("  %s%*s%s%s", best && bold ? "\033[1m" : "", width[k],
                   format_value(buf, &t->list[k], i), best ? "*" : " ",
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
    char memory[32];

    printf("\n* best of its column.  KV: %s.  KV > state: tokens at which the cache outgrows the "
           "state.\n",
           gla_dtype_name(c->kv_dtype));
    if (c->memory)
        printf("fits: tokens of one sequence beside the weights in %s.\n",
               cli_format_bytes(memory, c->memory));
    if (c->windows)
        printf("quality: %llu tokens in %u windows of %u that do not overlap.\n",
               (unsigned long long)c->tokens, c->windows, c->window);
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

    make_columns(&t, c);
    print_patterns(c);
    if (c->match)
        print_changes(c);
    for (uint32_t first = 0, end; first < t.n; first = end) {
        for (end = first; end < t.n && t.list[end].group == t.list[first].group; end++)
            ;
        print_group(&t, first, end);
    }
    for (uint32_t i = 0; i < c->n; i++)
        if (c->items[i].quality.n_ablations && c->windows)
            print_ablation(&c->items[i]);
    print_remarks(c);
}
/* ---- HTML -------------------------------------------------------------------- */

static void write_group(const columns *t, uint32_t first, uint32_t end, FILE *f)
{
    char buf[CELL];

    fprintf(f, "<h2>%c%s</h2>\n<div class=\"scroll\"><table><tr><th>candidate</th>",
            toupper((unsigned char)t->list[first].group[0]), t->list[first].group + 1);
    for (uint32_t k = first; k < end; k++) {
        fputs("<th>", f);
        compare_escape(f, t->list[k].head);
        fputs("</th>", f);
    }
    fputs("</tr>\n", f);
    for (uint32_t i = 0; i < t->c->n; i++) {
        fputs("<tr><th>", f);
        compare_escape(f, t->c->items[i].label);
        fputs("</th>", f);
        for (uint32_t k = first; k < end; k++)
            fprintf(f, "<td%s>%s</td>", is_best(t, &t->list[k], i) ? " class=\"best\"" : "",
                    format_value(buf, &t->list[k], i));
        fputs("</tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

static void write_changes(const comparison *c, FILE *f)
{
    char text[1024];

    fprintf(f, "<h2>Widths moved until the %s are those of ",
            strcmp(c->match, "state") ? "parameters" : "state bytes");
    compare_escape(f, c->items[0].label);
    fputs("</h2>\n<div class=\"scroll\"><table>\n", f);
    for (uint32_t i = 1; i < c->n; i++) {
        change_text(&c->items[i], text, sizeof(text));
        fputs("<tr><th>", f);
        compare_escape(f, c->items[i].label);
        fputs("</th><td>", f);
        compare_escape(f, text);
        fputs("</td></tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

static void write_ablation(const candidate *x, FILE *f)
{
    fputs("<h2>", f);
    compare_escape(f, x->label);
    fprintf(f,
            ": one mixer left out at a time</h2>\n<div class=\"scroll\"><table><tr><th>layer</th>"
            "<th>type</th><th>kind</th><th>nll</th><th>rise</th></tr>\n");
    for (uint32_t i = 0; i < x->quality.n_ablations; i++) {
        const ablation *a = &x->quality.ablations[i];

        fputs("<tr><th>", f);
        compare_escape(f, a->layer);
        fputs("</th><td>", f);
        compare_escape(f, a->type);
        fprintf(f, "</td><td>%s</td><td>%.4f</td><td>%.4f", compare_kind_name(a->kind), a->nll,
                a->difference);
        if (!isnan(a->low))
            fprintf(f, " [%.3f, %.3f]", a->low, a->high);
        fputs("</td></tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

void compare_write_tables(const comparison *c, FILE *f)
{
    static columns t;

    make_columns(&t, c);
    if (c->match)
        write_changes(c, f);
    for (uint32_t first = 0, end; first < t.n; first = end) {
        for (end = first; end < t.n && t.list[end].group == t.list[first].group; end++)
            ;
        write_group(&t, first, end, f);
    }
    for (uint32_t i = 0; i < c->n; i++)
        if (c->items[i].quality.n_ablations && c->windows)
            write_ablation(&c->items[i], f);
}

/* ---- CSV --------------------------------------------------------------------- */

/* Quoted when it must be; quotes doubled. */
static void print_cell(const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
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

    make_columns(&t, c);
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
