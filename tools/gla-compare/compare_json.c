/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_json.c - "schema": "gla.compare/1", described in docs/compare.md
 */
#include "compare.h"

#include <math.h>

static json_t *json_layers(const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < x->arch->n_layers; i++)
        json_array_append_new(list, json_string(compare_kind_name((block_kind)x->kinds[i])));
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

        json_object_set_new(o, "first", cli_json_count(first));
        json_object_set_new(o, "end", cli_json_count(end < c->window ? end : c->window));
        json_object_set_new(o, "nll", cli_json_number(q->by_position[k]));
        json_array_append_new(list, o);
        first = end;
    }
    return list;
}

static json_t *json_ablation(const quality *q)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < q->n_ablations; i++) {
        const ablation *a = &q->ablations[i];
        json_t *o = json_object();

        json_object_set_new(o, "layer", json_string(a->layer));
        json_object_set_new(o, "type", json_string(a->type));
        json_object_set_new(o, "kind", json_string(compare_kind_name(a->kind)));
        json_object_set_new(o, "nll", cli_json_number(a->nll));
        json_object_set_new(o, "nll_rise", cli_json_number(a->difference));
        json_object_set_new(o, "nll_rise_interval", json_bounds(a->low, a->high));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_recall(const comparison *c, const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < c->n_probes; i++) {
        const recall *r = &x->recall[i];
        json_t *o = json_object();

        if (!r->n) {
            json_decref(o);
            continue;
        }
        json_object_set_new(o, "probe", json_string(c->probes[i].key));
        json_object_set_new(o, "able", json_boolean(r->able));
        json_object_set_new(o, "trials", cli_json_count(r->n));
        json_object_set_new(o, "gain", cli_json_number(r->gain));
        json_object_set_new(o, "gain_interval", json_bounds(r->low, r->high));
        json_object_set_new(o, "probability", cli_json_number(r->probability));
        json_object_set_new(o, "control_probability", cli_json_number(r->control));
        json_object_set_new(o, "accuracy", cli_json_number(r->accuracy));
        json_object_set_new(o, "control_accuracy", cli_json_number(r->control_accuracy));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_changes(const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < x->n_changes; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "block", x->changes[i].block,
                                              "parameter", x->changes[i].parameter, "from",
                                              x->changes[i].from, "to", x->changes[i].to));
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
    if (c->ablate)
        json_object_set_new(o, "ablation", json_ablation(q));
}

static json_t *json_contexts(const comparison *c, const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        json_t *o = json_object();

        json_object_set_new(o, "tokens", cli_json_count(c->contexts[k]));
        json_object_set_new(o, "kv_bytes", cli_json_count(x->kv_bytes[k]));
        json_object_set_new(o, "state_bytes", cli_json_count(x->description->state_bytes));
        json_object_set_new(o, "flops_per_token", cli_json_number(x->flops[k]));
        set_rate(o, "prefill_tokens_per_s", &x->speed[k].prefill);
        set_rate(o, "decode_tokens_per_s", &x->speed[k].decode);
        set_rate(o, "first_token_s", &x->speed[k].first_token);
        set_rate(o, "prefill_joules", &x->speed[k].prefill_joules);
        set_rate(o, "decode_joules", &x->speed[k].decode_joules);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_candidate(const comparison *c, const candidate *x)
{
    const gla_description *d = x->description;
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(x->label));
    json_object_set_new(o, "source", cli_json_text(x->source));
    json_object_set_new(o, "trained", json_boolean(x->trained));
    json_object_set_new(o, "layers", json_layers(x));
    if (c->match)
        json_object_set_new(o, "changes", json_changes(x));
    json_object_set_new(o, "parameters", cli_json_count(d->params));
    json_object_set_new(o, "active_parameters", cli_json_count(d->active_params));
    json_object_set_new(o, "weight_bytes", cli_json_count(x->weight_bytes));
    json_object_set_new(o, "state_bytes", cli_json_count(d->state_bytes));
    json_object_set_new(o, "kv_values_per_token", cli_json_count(d->kv_values_per_token));
    json_object_set_new(o, "crossover_tokens",
                        x->crossover ? cli_json_count(x->crossover) : json_null());
    json_object_set_new(o, "context_fits",
                        c->memory && x->fits != UINT64_MAX ? cli_json_count(x->fits) : json_null());
    json_object_set_new(o, "context_unlimited",
                        c->memory ? json_boolean(x->fits == UINT64_MAX) : json_null());
    json_object_set_new(o, "contexts", json_contexts(c, x));
    json_object_set_new(o, "memory_used_bytes",
                        x->memory_used ? cli_json_count(x->memory_used) : json_null());
    set_quality(o, c, &x->quality);
    json_object_set_new(o, "recall", c->n_probes && x->trained ? json_recall(c, x) : json_null());
    return o;
}

static json_t *json_machine(const comparison *c)
{
    json_t *o = json_object();
    char cpu[256];

    compare_processor(cpu, sizeof(cpu));
    json_object_set_new(o, "cpu", json_string(cpu));
    json_object_set_new(o, "threads", cli_json_count(gla_threads()));
    json_object_set_new(o, "build", json_string(gla_build_info()));
    json_object_set_new(o, "no_joules",
                        c->measured && c->energy[0] ? json_string(c->energy) : json_null());
    return o;
}

static json_t *json_command(const comparison *c)
{
    json_t *list = json_array();

    for (int i = 0; i < c->argc; i++)
        json_array_append_new(list, cli_json_text(c->argv[i]));
    return list;
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
    json_object_set_new(o, "memory_bytes", c->memory ? cli_json_count(c->memory) : json_null());
    json_object_set_new(o, "text", c->text ? cli_json_text(c->text) : json_null());
    json_object_set_new(o, "window", c->text ? cli_json_count(c->window) : json_null());
    json_object_set_new(o, "windows", cli_json_count(c->windows));
    json_object_set_new(o, "tokens", cli_json_count(c->tokens));
    json_object_set_new(o, "rounds", cli_json_count(c->measured ? c->rounds : 0));
    json_object_set_new(o, "threads", cli_json_count(gla_threads()));
    json_object_set_new(o, "decode_tokens", cli_json_count(c->measured ? c->decode_tokens : 0));
    json_object_set_new(o, "whole_prompt_tokens", cli_json_count(c->measured ? c->whole : 0));
    json_object_set_new(o, "trials", cli_json_count(c->n_probes ? c->trials : 0));
    json_object_set_new(o, "match", c->match ? json_string(c->match) : json_null());
    json_object_set_new(o, "machine", json_machine(c));
    json_object_set_new(o, "command", json_command(c));
    json_object_set_new(o, "interrupted", json_boolean(c->interrupted));
    json_object_set_new(o, "candidates", list);
    return o;
}
