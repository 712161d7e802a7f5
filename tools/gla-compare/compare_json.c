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

/* Under the key the median of the rounds or null, under KEY_spread the slowest and fastest. */
static void set_rate(json_t *o, const char *key, const rate *r)
{
    char spread[64];

    snprintf(spread, sizeof(spread), "%s_spread", key);
    json_object_set_new(o, key, cli_json_number(r->median));
    if (!isnan(r->median))
        json_object_set_new(o, spread, json_pack("[f, f]", r->low, r->high));
}

static json_t *json_bounds(double low, double high)
{
    return json_pack("[o, o]", cli_json_number(low), cli_json_number(high));
}

static json_t *json_positions(const comparison *c, const quality *q)
{
    json_t *list = json_array();
    uint64_t first = 0;

    for (uint32_t k = 0; k < POSITION_BINS && first < c->window; k++) {
        const uint64_t end = UINT64_C(16) << k;

        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o}", "first", cli_json_count(first), "end",
                                        cli_json_count(end < c->window ? end : c->window), "nll",
                                        cli_json_number(q->by_position[k])));
        first = end;
    }
    return list;
}

static json_t *json_ablation(const quality *q)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < q->n_ablations; i++) {
        const ablation *a = &q->ablations[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "layer", a->layer,
                                              "type", a->type, "kind", compare_kind_name(a->kind),
                                              "nll", cli_json_number(a->nll), "nll_rise",
                                              cli_json_number(a->difference), "nll_rise_interval",
                                              json_bounds(a->low, a->high)));
    }
    return list;
}

static json_t *json_recall(const comparison *c, const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < c->n_probes; i++) {
        const recall *r = &x->recall[i];

        if (r->n)
            json_array_append_new(
                list,
                json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "probe",
                          c->probes[i].key, "able", (int)r->able, "trials", cli_json_count(r->n),
                          "gain", cli_json_number(r->gain), "gain_interval",
                          json_bounds(r->low, r->high), "probability",
                          cli_json_number(r->probability), "control_probability",
                          cli_json_number(r->control), "accuracy", cli_json_number(r->accuracy),
                          "control_accuracy", cli_json_number(r->control_accuracy)));
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
    cli_json_add(o, json_pack("{s:o, s:o}", "nll", cli_json_number(q->nll), "perplexity",
                              cli_json_number(exp(q->nll))));
    if (isnan(q->nll))
        return;
    cli_json_add(o, json_pack("{s:o, s:o, s:o, s:o}", "nll_interval", json_bounds(q->low, q->high),
                              "nll_difference", cli_json_number(q->difference),
                              "nll_difference_interval",
                              json_bounds(q->difference_low, q->difference_high), "nll_by_position",
                              json_positions(c, q)));
    if (c->ablate)
        json_object_set_new(o, "ablation", json_ablation(q));
}

static json_t *json_contexts(const comparison *c, const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "tokens", cli_json_count(c->contexts[k]),
                              "kv_bytes", cli_json_count(x->kv_bytes[k]), "state_bytes",
                              cli_json_count(x->description->state_bytes), "flops_per_token",
                              cli_json_number(x->flops[k]));

        set_rate(o, "prefill_tokens_per_s", &x->speed[k].prefill);
        set_rate(o, "decode_tokens_per_s", &x->speed[k].decode);
        set_rate(o, "first_token_s", &x->speed[k].first_token);
        set_rate(o, "prefill_joules", &x->speed[k].prefill_joules);
        set_rate(o, "decode_joules", &x->speed[k].decode_joules);
        json_array_append_new(list, o);
    }
    return list;
}

/* null: not asked for, or there is none */
static json_t *json_count_if(bool known, uint64_t n)
{
    return known ? cli_json_count(n) : json_null();
}

static json_t *json_candidate(const comparison *c, const candidate *x)
{
    const gla_description *d = x->description;
    json_t *o = json_pack("{s:o, s:o, s:b, s:o, s:o, s:o}", "name", cli_json_text(x->label),
                          "source", cli_json_text(x->source), "trained", (int)x->trained, "layers",
                          json_layers(x), "contexts", json_contexts(c, x), "recall",
                          c->n_probes && x->trained ? json_recall(c, x) : json_null());

    cli_json_add(
        o, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "parameters", cli_json_count(d->params),
                     "active_parameters", cli_json_count(d->active_params), "weight_bytes",
                     cli_json_count(x->weight_bytes), "state_bytes", cli_json_count(d->state_bytes),
                     "kv_values_per_token", cli_json_count(d->kv_values_per_token),
                     "crossover_tokens", json_count_if(x->crossover, x->crossover)));
    cli_json_add(o, json_pack("{s:o, s:o, s:o}", "context_fits",
                              json_count_if(c->memory && x->fits != UINT64_MAX, x->fits),
                              "context_unlimited",
                              c->memory ? json_boolean(x->fits == UINT64_MAX) : json_null(),
                              "memory_used_bytes", json_count_if(x->memory_used, x->memory_used)));
    if (c->match)
        json_object_set_new(o, "changes", json_changes(x));
    set_quality(o, c, &x->quality);
    return o;
}

static json_t *json_machine(const comparison *c)
{
    char cpu[256];

    compare_processor(cpu, sizeof(cpu));
    return json_pack("{s:o, s:o, s:s, s:o}", "cpu", cli_json_text(cpu), "threads",
                     cli_json_count(gla_threads()), "build", gla_build_info(), "no_joules",
                     c->measured && c->energy[0] ? cli_json_text(c->energy) : json_null());
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
    json_t *list = json_array(), *o;

    for (uint32_t i = 0; i < c->n; i++)
        json_array_append_new(list, json_candidate(c, &c->items[i]));
    o = json_pack("{s:s, s:o, s:o, s:o, s:b}", "schema", "gla.compare/1", "candidates", list,
                  "machine", json_machine(c), "command", json_command(c), "interrupted",
                  (int)c->interrupted);
    cli_json_add(o, json_pack("{s:s, s:s?, s:o, s:o, s:o, s:s?}", "kv_dtype",
                              gla_dtype_name(c->kv_dtype), "weights_dtype",
                              c->weights_dtype ? gla_dtype_name(c->weights_dtype) : NULL,
                              "memory_bytes", json_count_if(c->memory, c->memory), "text",
                              c->text ? cli_json_text(c->text) : json_null(), "window",
                              json_count_if(c->text, c->window), "match", c->match));
    cli_json_add(o, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "windows",
                              cli_json_count(c->windows), "tokens", cli_json_count(c->tokens),
                              "rounds", cli_json_count(c->measured ? c->rounds : 0), "threads",
                              cli_json_count(gla_threads()), "decode_tokens",
                              cli_json_count(c->measured ? c->decode_tokens : 0),
                              "whole_prompt_tokens", cli_json_count(c->measured ? c->whole : 0),
                              "trials", cli_json_count(c->n_probes ? c->trials : 0)));
    return o;
}
