/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_json.c - "schema": "gla.compare/1", described in docs/compare.md
 */
#include "compare.h"

#include <math.h>

static json_t *json_count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *json_layers(const candidate *x)
{
    static const char *const names[] = {"neither", "recurrent", "softmax", "both"};
    json_t *list = json_array();

    for (uint32_t i = 0; i < x->arch->n_layers; i++)
        json_array_append_new(list, json_string(names[x->kinds[i]]));
    return list;
}

/* null, or the median of the rounds and the slowest and fastest. */
static void set_rate(json_t *o, const char *key, const rate *r)
{
    char spread[64];

    json_object_set_new(o, key, cli_json_number(r->median));
    if (isnan(r->median))
        return;
    snprintf(spread, sizeof(spread), "%s_spread", key);
    json_object_set_new(o, spread, json_pack("[f, f]", r->low, r->high));
}

static json_t *json_bounds(double low, double high)
{
    json_t *list = json_array();

    json_array_append_new(list, cli_json_number(low));
    json_array_append_new(list, cli_json_number(high));
    return list;
}

static json_t *json_positions(const comparison *c, const quality *q)
{
    json_t *list = json_array();
    uint64_t first = 0;

    for (uint32_t k = 0; k < POSITION_BINS && first < c->window; k++) {
        const uint64_t end = UINT64_C(16) << k;
        json_t *o = json_object();

        json_object_set_new(o, "first", json_count(first));
        json_object_set_new(o, "end", json_count(end < c->window ? end : c->window));
        json_object_set_new(o, "nll", cli_json_number(q->by_position[k]));
        json_array_append_new(list, o);
        first = end;
    }
    return list;
}

static void set_quality(json_t *o, const comparison *c, const quality *q)
{
    json_object_set_new(o, "nll", cli_json_number(q->nll));
    json_object_set_new(o, "perplexity", cli_json_number(exp(q->nll)));
    if (isnan(q->nll))
        return;
    json_object_set_new(o, "nll_interval", json_bounds(q->low, q->high));
    json_object_set_new(o, "nll_difference", cli_json_number(q->difference));
    json_object_set_new(o, "nll_difference_interval",
                        json_bounds(q->difference_low, q->difference_high));
    json_object_set_new(o, "nll_by_position", json_positions(c, q));
}

static json_t *json_contexts(const comparison *c, const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        json_t *o = json_object();

        json_object_set_new(o, "tokens", json_count(c->contexts[k]));
        json_object_set_new(o, "kv_bytes", json_count(x->kv_bytes[k]));
        json_object_set_new(o, "state_bytes", json_count(x->description->state_bytes));
        json_object_set_new(o, "flops_per_token", cli_json_number(x->flops[k]));
        set_rate(o, "prefill_tokens_per_s", &x->prefill[k]);
        set_rate(o, "decode_tokens_per_s", &x->decode[k]);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_candidate(const comparison *c, const candidate *x)
{
    const gla_description *d = x->description;
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(x->label));
    json_object_set_new(o, "source", json_string(x->source));
    json_object_set_new(o, "trained", json_boolean(x->trained));
    json_object_set_new(o, "layers", json_layers(x));
    json_object_set_new(o, "parameters", json_count(d->params));
    json_object_set_new(o, "active_parameters", json_count(d->active_params));
    json_object_set_new(o, "weight_bytes", json_count(x->weight_bytes));
    json_object_set_new(o, "state_bytes", json_count(d->state_bytes));
    json_object_set_new(o, "kv_values_per_token", json_count(d->kv_values_per_token));
    json_object_set_new(o, "crossover_tokens",
                        x->crossover ? json_count(x->crossover) : json_null());
    json_object_set_new(o, "context_fits",
                        c->memory && x->fits != UINT64_MAX ? json_count(x->fits) : json_null());
    json_object_set_new(o, "context_unlimited",
                        c->memory ? json_boolean(x->fits == UINT64_MAX) : json_null());
    json_object_set_new(o, "contexts", json_contexts(c, x));
    json_object_set_new(o, "memory_used_bytes",
                        x->memory_used ? json_count(x->memory_used) : json_null());
    set_quality(o, c, &x->quality);
    return o;
}

json_t *compare_json(const comparison *c)
{
    json_t *o = json_object(), *list = json_array();

    for (uint32_t i = 0; i < c->n; i++)
        json_array_append_new(list, json_candidate(c, &c->items[i]));
    json_object_set_new(o, "schema", json_string("gla.compare/1"));
    json_object_set_new(o, "kv_dtype", json_string(gla_dtype_name(c->kv_dtype)));
    json_object_set_new(o, "weights_dtype",
                        c->weights_dtype ? json_string(gla_dtype_name(c->weights_dtype))
                                         : json_null());
    json_object_set_new(o, "memory_bytes", c->memory ? json_count(c->memory) : json_null());
    json_object_set_new(o, "text", c->text ? json_string(c->text) : json_null());
    json_object_set_new(o, "window", c->text ? json_count(c->window) : json_null());
    json_object_set_new(o, "windows", json_count(c->windows));
    json_object_set_new(o, "tokens", json_count(c->tokens));
    json_object_set_new(o, "rounds", json_count(c->measured ? c->rounds : 0));
    json_object_set_new(o, "threads", json_count(gla_threads()));
    json_object_set_new(o, "interrupted", json_boolean(c->interrupted));
    json_object_set_new(o, "candidates", list);
    return o;
}
