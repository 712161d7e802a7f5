/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/instance.h"

#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "graph/declare.h"
#include "graph/explain.h"
#include "graph/host.h"
#include "graph/validate.h"
#include "graph/validate_bind.h"

/* An array at the distance that the plugin was compiled with.  NULL when out of memory. */
static void *restride(const void *from, size_t n, size_t ours, size_t theirs)
{
    char *to = gla__alloc_zero(n * theirs + 1);

    for (size_t i = 0; to && i < n; i++)
        memcpy(to + i * theirs, (const char *)from + i * ours, ours < theirs ? ours : theirs);
    return to;
}

/* make() or create(), with what it declares. */
static gla_status make_layer(gla__instance *in, gla__declaring *d, gla_layer_config *cfg)
{
    const gla_layer_desc *desc = in->desc;
    void *values = restride(cfg->params, desc->n_params, sizeof(gla_param_value), desc->value_size);
    gla_status st;

    if (!values)
        return GLA_E_NOMEM;
    cfg->params = values;
    cfg->declare = &d->table;
    gla__host_listen();
    gla__validate_enter(in->name, desc->type_id, desc->layer_bytes ? "make" : "create");
    st = gla__validate_leave(desc->layer_bytes ? desc->make(in->layer, cfg)
                                               : desc->create(gla__host(), cfg, &in->layer));
    gla__free(values);
    return st;
}

gla_status gla__instance_create(const gla_layer_desc *desc, const char *name,
                                const gla_layer_config *cfg, gla__instance *out, gla_diag *diag)
{
    gla_layer_config config = *cfg;
    gla__declaring d;
    gla_status st;

    memset(out, 0, sizeof(*out));
    out->desc = desc;
    out->d_in = cfg->d_in;
    out->d_out = cfg->d_out;
    out->name = gla__strdup(name);
    if (desc->layer_bytes)
        out->layer = gla__alloc_zero(desc->layer_bytes);
    if (!out->name || (desc->layer_bytes && !out->layer)) {
        gla__instance_destroy(out);
        return gla__fail_nomem(diag, "a layer");
    }
    config.struct_size = (uint32_t)sizeof(config);
    config.host = gla__host();
    config.math = gla__host()->get_extension(gla__host(), GLA_HOST_MATH_ID);
    gla__declare_begin(&d, out);
    st = make_layer(out, &d, &config);
    if (d.status) { /* the cause; what the layer makes of it is a consequence */
        st = d.status;
        if (diag)
            *diag = d.diag;
    } else if (st) {
        st = gla__host_failed(st, desc->layer_bytes ? "make" : "create", diag);
    } else if (!out->layer) {
        st = gla__fail(diag, GLA_E_PLUGIN, "create() succeeded without making a layer");
    }
    if (!st) {
        out->vectors = gla__alloc_array(out->n_weights, sizeof(*out->vectors));
        if (!out->vectors)
            st = gla__fail_nomem(diag, "a layer");
    }
    if (st) {
        gla__at_format(diag, "%s (%s)", name, desc->type_id);
        gla__instance_destroy(out);
    }
    return st;
}

/* What was declared as data, then what the layer makes of it. */
static gla_status bind_made(gla__instance *in, const gla_tensor *weights, const char **function)
{
    gla_status st = GLA_OK;

    *function = "binding its weights";
    for (uint32_t i = 0; i < in->n_made && !st; i++)
        st = gla__made_bind(&in->made[i], in->weights, weights);
    if (st || !in->desc->bound)
        return st;
    *function = "bound";
    gla__validate_enter(in->name, in->desc->type_id, "bound");
    return gla__validate_leave(in->desc->bound(in->layer));
}

static gla_status bind_by_layer(gla__instance *in, const gla_tensor *weights)
{
    void *theirs;
    gla_status st;

    if (gla__validating())
        return gla__validate_bind(in, weights);
    theirs = restride(weights, in->n_weights, sizeof(gla_tensor), in->desc->tensor_size);
    if (!theirs)
        return GLA_E_NOMEM;
    st = in->desc->bind(in->layer, theirs);
    gla__free(theirs);
    return st;
}

gla_status gla__instance_bind(gla__instance *in, const gla_tensor *weights, gla_diag *diag)
{
    const char *function = "bind";
    gla_status st;

    gla__host_listen();
    gla__validate_weights(in, weights);
    st = in->desc->layer_bytes ? bind_made(in, weights, &function) : bind_by_layer(in, weights);
    gla__validate_bound(in);
    if (st) {
        st = gla__host_failed(st, function, diag);
        gla__at_format(diag, "%s (%s)", in->name, in->desc->type_id);
    }
    return st;
}

void gla__instance_destroy(gla__instance *in)
{
    for (uint32_t i = 0; i < in->n_made; i++)
        gla__made_release(&in->made[i]);
    if (in->layer && in->desc->layer_bytes) {
        gla__free(in->layer);
    } else if (in->layer) {
        gla__validate_enter(in->name, in->desc->type_id, "destroy");
        in->desc->destroy(in->layer);
        (void)gla__validate_leave(GLA_OK);
    }
    for (uint32_t i = 0; i < in->n_weights; i++) {
        gla__free((void *)(uintptr_t)in->weights[i].name);
        gla__free((void *)(uintptr_t)in->weights[i].init);
        if (in->vectors)
            gla__free(in->vectors[i]);
    }
    for (uint32_t i = 0; i < in->n_states; i++)
        gla__free((void *)(uintptr_t)in->states[i].name);
    for (uint32_t i = 0; i < in->n_shared; i++)
        gla__free(in->shared[i].name);
    gla__free(in->made);
    gla__free(in->weights);
    gla__free(in->vectors);
    gla__free(in->states);
    gla__free(in->scratch);
    gla__free(in->shared);
    gla__free(in->name);
    memset(in, 0, sizeof(*in));
}
