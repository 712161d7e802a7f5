/* SPDX-License-Identifier: Apache-2.0 */
#include "compare_columns.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

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
    const comparison *c = t->c;
    const char *group = c->windows > 1 ? "quality on the text, 95 % intervals over its windows"
                                       : "quality on the text";
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

void columns_make(columns *t, const comparison *c)
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

uint32_t columns_group_end(const columns *t, uint32_t first)
{
    uint32_t end = first;

    while (end < t->n && t->list[end].group == t->list[first].group)
        end++;
    return end;
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

const char *columns_format(char buf[CELL], const column *x, uint32_t i)
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
        snprintf(buf, CELL, v < 100 ? "%.3g [%.3g, %.3g]" : "%.0f [%.0f, %.0f]", v, low, high);
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

bool columns_is_best(const columns *t, const column *x, uint32_t i)
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
