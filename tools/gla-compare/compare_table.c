/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_table.c - the columns of a comparison, and their two plain outputs: table and CSV
 */
#include "compare.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { MAX_COLUMNS = 16 + 8 * MAX_CONTEXTS, CELL = 96 };

typedef enum number_unit { UNIT_COUNT, UNIT_BYTES, UNIT_TOKENS, UNIT_NATS, UNIT_RATE } number_unit;

typedef struct column {
    const char *group; /* columns of one group stand in one table */
    char head[32], key[48];
    number_unit unit;
    int better;                   /* -1: less, 1: more, 0: neither */
    double value[MAX_CANDIDATES]; /* NAN: not measured; INFINITY: no limit */
    bool spread;                  /* there are bounds too */
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

static void add_rates(columns *t, bool decode)
{
    const comparison *c = t->c;

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        column *x = decode ? add_at(t, "decode tokens/s, by context", "decode_tokens_per_s", k,
                                    UNIT_RATE, 1)
                           : add_at(t, "prefill tokens/s, by length of the prompt",
                                    "prefill_tokens_per_s", k, UNIT_RATE, 1);

        x->spread = true;
        for (uint32_t i = 0; i < c->n; i++) {
            const rate *r = decode ? &c->items[i].decode[k] : &c->items[i].prefill[k];

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

    add_rates(t, false);
    add_rates(t, true);
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

    if (!x->better || isnan(x->value[i]))
        return false;
    for (uint32_t k = 0; k < t->c->n; k++) {
        if (isnan(x->value[k]))
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

void compare_print_table(const comparison *c)
{
    static columns t; /* large */
    char memory[32];

    make_columns(&t, c);
    print_patterns(c);
    for (uint32_t first = 0, end; first < t.n; first = end) {
        for (end = first; end < t.n && t.list[end].group == t.list[first].group; end++)
            ;
        print_group(&t, first, end);
    }
    printf("\n* best of its column.  KV: %s.  KV > state: tokens at which the cache outgrows the "
           "state.\n",
           gla_dtype_name(c->kv_dtype));
    if (c->memory)
        printf("fits: tokens of one sequence beside the weights in %s.\n",
               cli_format_bytes(memory, c->memory));
    if (c->windows)
        printf("quality: %llu tokens in %u windows of %u that do not overlap.\n",
               (unsigned long long)c->tokens, c->windows, c->window);
    if (c->measured)
        printf("speed: medians of %u interleaved rounds [slowest, fastest], %u tokens decoded, "
               "%u threads.\n",
               c->rounds, c->decode_tokens, gla_threads());
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

void compare_write_tables(const comparison *c, FILE *f)
{
    static columns t;

    make_columns(&t, c);
    for (uint32_t first = 0, end; first < t.n; first = end) {
        for (end = first; end < t.n && t.list[end].group == t.list[first].group; end++)
            ;
        write_group(&t, first, end, f);
    }
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
