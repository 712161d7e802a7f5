/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_json.c - "schema": "gla.compare/1", described in docs/compare.md
 */
#include "compare.h"

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

static json_t *json_contexts(const comparison *c, const candidate *x)
{
    json_t *list = json_array();

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        json_t *o = json_object();

        json_object_set_new(o, "tokens", json_count(c->contexts[k]));
        json_object_set_new(o, "kv_bytes", json_count(x->kv_bytes[k]));
        json_object_set_new(o, "state_bytes", json_count(x->description->state_bytes));
        json_object_set_new(o, "flops_per_token", cli_json_number(x->flops[k]));
        json_object_set_new(o, "prefill_tokens_per_s", json_null());
        json_object_set_new(o, "decode_tokens_per_s", json_null());
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
    json_object_set_new(o, "nll", json_null());
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
    json_object_set_new(o, "candidates", list);
    return o;
}
