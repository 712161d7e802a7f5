/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/instance.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "graph/host.h"
#include "graph/validate.h"

enum { MAX_WEIGHTS = 4096, MAX_STATES = 64, MAX_SCRATCH = 64, MAX_SHARED = 16, MAX_NAME = 255 };

/* What create() sees through its declare table. */
typedef struct collector {
    gla__instance *in;
    size_t weights_capacity, states_capacity, scratch_capacity, shared_capacity;
    gla_status status; /* the first error sticks */
    gla_diag diag;
} collector;

/* ---- checks of what a layer declares ---- */

static bool good_name(const char *name)
{
    size_t n = 0;

    if (!name || !name[0])
        return false;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++, n++)
        if (*p <= ' ' || *p == 0x7f)
            return false;
    return n <= MAX_NAME;
}

static gla_status check_dims(const char *what, const char *name, uint32_t ndim, const int64_t *dims,
                             gla_diag *diag)
{
    uint64_t n = 1;

    if (ndim < 1 || ndim > GLA_MAX_DIMS)
        return gla__fail(diag, GLA_E_PLUGIN, "%s '%s' has %" PRIu32 " dimensions, 1 to %d allowed",
                         what, name, ndim, GLA_MAX_DIMS);
    for (uint32_t i = 0; i < ndim; i++) {
        if (dims[i] < 1)
            return gla__fail(diag, GLA_E_PLUGIN, "%s '%s': dimension %" PRIu32 " is %" PRId64, what,
                             name, i, dims[i]);
        if (!gla__mul_u64(n, (uint64_t)dims[i], &n) || n > GLA__MAX_ELEMENTS)
            return gla__fail(diag, GLA_E_LIMIT, "%s '%s' has more than 2^40 numbers", what, name);
    }
    return GLA_OK;
}

static gla_status check_weight(const collector *c, const gla_weight_desc *w, gla_diag *diag)
{
    const char *name = w->name && w->name[0] == '/' ? w->name + 1 : w->name;

    if (!good_name(name))
        return gla__fail(diag, GLA_E_PLUGIN, "weight %" PRIu32 " has no valid name",
                         c->in->n_weights);
    if (w->role != GLA_WEIGHT_MATRIX && w->role != GLA_WEIGHT_VECTOR)
        return gla__fail(diag, GLA_E_PLUGIN, "weight '%s': role %" PRIu32 " is unknown", name,
                         w->role);
    if (w->role == GLA_WEIGHT_MATRIX && w->ndim != 2 && w->ndim != 3)
        return gla__fail(diag, GLA_E_PLUGIN,
                         "matrix '%s' has %" PRIu32
                         " dimensions, [out, in] or [E, out, in] expected",
                         name, w->ndim);
    if (!(w->active > 0 && w->active <= 1))
        return gla__fail(diag, GLA_E_PLUGIN, "weight '%s': active share %g is not in (0, 1]", name,
                         w->active);
    return check_dims("weight", name, w->ndim, w->dims, diag);
}

static gla_status check_state(const collector *c, const gla_state_desc *s, gla_diag *diag)
{
    if (!good_name(s->name))
        return gla__fail(diag, GLA_E_PLUGIN, "state %" PRIu32 " has no valid name",
                         c->in->n_states);
    if (!(s->flops >= 0 && s->flops < 1e18))
        return gla__fail(diag, GLA_E_PLUGIN, "state '%s': flops %g", s->name, s->flops);
    if (s->kind == GLA_STATE_FIXED)
        return check_dims("state", s->name, s->ndim, s->dims, diag);
    if (s->kind != GLA_STATE_PER_TOKEN)
        return gla__fail(diag, GLA_E_PLUGIN, "state '%s': kind %" PRIu32 " is unknown", s->name,
                         s->kind);
    if (s->kv_heads < 1 || s->kv_heads > 65536 || s->k_dim < 1 || s->k_dim > 65536 ||
        s->v_dim > 65536)
        return gla__fail(diag, GLA_E_PLUGIN,
                         "state '%s': %" PRIu32 " heads of %" PRIu32 " + %" PRIu32 " numbers",
                         s->name, s->kv_heads, s->k_dim, s->v_dim);
    if (s->q_heads < 1 || s->q_heads > 65536 || s->q_heads % s->kv_heads)
        return gla__fail(diag, GLA_E_PLUGIN,
                         "state '%s': %" PRIu32 " query heads, a multiple of %" PRIu32 " expected",
                         s->name, s->q_heads, s->kv_heads);
    return GLA_OK;
}

/* "layers.3.mixer" + "q_proj.weight"; a leading '/' means the root. */
static char *full_name(const char *instance, const char *name)
{
    size_t n;
    char *text;

    if (name[0] == '/')
        return gla__strdup(name + 1);
    n = strlen(instance) + strlen(name) + 2;
    text = gla__alloc(n);
    if (text)
        snprintf(text, n, "%s.%s", instance, name);
    return text;
}

/* ---- the declare table ---- */

/* Room for one more element, or the sticky error. */
static bool make_room(collector *c, void **array, size_t *capacity, uint32_t n, uint32_t limit,
                      size_t size, const char *what)
{
    if (c->status)
        return false;
    if (n >= limit)
        c->status = gla__fail(&c->diag, GLA_E_LIMIT, "more than %" PRIu32 " %s", limit, what);
    else if (gla__grow(array, capacity, n, size))
        c->status = gla__fail_nomem(&c->diag, what);
    return !c->status;
}

static uint32_t declare_weight(const gla_declare *d, const gla_weight_desc *desc)
{
    collector *c = d->ctx;
    gla__instance *in = c->in;
    gla_weight_desc w = *desc;

    if (!make_room(c, (void **)&in->weights, &c->weights_capacity, in->n_weights, MAX_WEIGHTS,
                   sizeof(*in->weights), "weights"))
        return 0;
    c->status = check_weight(c, desc, &c->diag);
    if (c->status)
        return 0;
    w.name = full_name(in->name, desc->name);
    if (!w.name) {
        c->status = gla__fail_nomem(&c->diag, "a weight's name");
        return 0;
    }
    for (uint32_t i = 0; i < in->n_weights; i++)
        if (!strcmp(in->weights[i].name, w.name)) {
            c->status = gla__fail(&c->diag, GLA_E_PLUGIN, "weight '%s' is declared twice", w.name);
            gla__free((void *)(uintptr_t)w.name);
            return 0;
        }
    in->weights[in->n_weights] = w;
    return in->n_weights++;
}

static uint32_t declare_state(const gla_declare *d, const gla_state_desc *desc)
{
    collector *c = d->ctx;
    gla__instance *in = c->in;
    gla_state_desc s = *desc;

    if (!make_room(c, (void **)&in->states, &c->states_capacity, in->n_states, MAX_STATES,
                   sizeof(*in->states), "states"))
        return 0;
    c->status = check_state(c, desc, &c->diag);
    if (c->status)
        return 0;
    s.name = full_name(in->name, desc->name);
    if (!s.name) {
        c->status = gla__fail_nomem(&c->diag, "a state's name");
        return 0;
    }
    for (uint32_t i = 0; i < in->n_states; i++)
        if (!strcmp(in->states[i].name, s.name)) {
            c->status = gla__fail(&c->diag, GLA_E_PLUGIN, "state '%s' is declared twice", s.name);
            gla__free((void *)(uintptr_t)s.name);
            return 0;
        }
    in->states[in->n_states] = s;
    return in->n_states++;
}

static uint32_t declare_scratch(const gla_declare *d, size_t per_row, size_t per_sequence,
                                size_t fixed)
{
    collector *c = d->ctx;
    gla__instance *in = c->in;

    if (!make_room(c, (void **)&in->scratch, &c->scratch_capacity, in->n_scratch, MAX_SCRATCH,
                   sizeof(*in->scratch), "scratch buffers"))
        return 0;
    if (per_row > GLA__MAX_ELEMENTS || per_sequence > GLA__MAX_ELEMENTS ||
        fixed > GLA__MAX_ELEMENTS) {
        c->status =
            gla__fail(&c->diag, GLA_E_LIMIT, "scratch of %zu * rows + %zu * sequences + %zu",
                      per_row, per_sequence, fixed);
        return 0;
    }
    in->scratch[in->n_scratch] = (gla__scratch){per_row, per_sequence, fixed};
    return in->n_scratch++;
}

static uint32_t declare_shared(const gla_declare *d, const char *name, size_t per_row)
{
    collector *c = d->ctx;
    gla__instance *in = c->in;
    char *copy;

    if (!make_room(c, (void **)&in->shared, &c->shared_capacity, in->n_shared, MAX_SHARED,
                   sizeof(*in->shared), "shared rows"))
        return 0;
    if (!good_name(name) || per_row < 1 || per_row > GLA__MAX_ELEMENTS) {
        c->status = gla__fail(&c->diag, GLA_E_PLUGIN, "shared rows '%s' of %zu numbers",
                              name ? name : "", per_row);
        return 0;
    }
    copy = gla__strdup(name);
    if (!copy) {
        c->status = gla__fail_nomem(&c->diag, "the name of shared rows");
        return 0;
    }
    in->shared[in->n_shared] = (gla__shared_use){copy, per_row, 0};
    return in->n_shared++;
}

/* ---- life ---- */

gla_status gla__instance_create(const gla_layer_desc *desc, const char *name,
                                const gla_layer_config *cfg, gla__instance *out, gla_diag *diag)
{
    collector c = {.in = out};
    const gla_declare declare = {(uint32_t)sizeof(declare),
                                 0,
                                 &c,
                                 declare_weight,
                                 declare_state,
                                 declare_scratch,
                                 declare_shared};
    gla_layer_config config = *cfg;
    gla_status st;

    memset(out, 0, sizeof(*out));
    out->desc = desc;
    out->d_in = cfg->d_in;
    out->d_out = cfg->d_out;
    out->name = gla__strdup(name);
    if (!out->name)
        return gla__fail_nomem(diag, "a layer's name");
    config.struct_size = (uint32_t)sizeof(config);
    config.declare = &declare;
    gla__host_listen();
    gla__validate_enter(name, desc->type_id, "create");
    st = gla__validate_leave(desc->create(gla__host(), &config, &out->layer));
    if (c.status) { /* the cause; what create() makes of it is a consequence */
        st = c.status;
        if (diag)
            *diag = c.diag;
    } else if (st) {
        st = gla__host_failed(st, "create", diag);
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

gla_status gla__instance_bind(gla__instance *in, const gla_tensor *weights, gla_diag *diag)
{
    gla_status st;

    gla__host_listen();
    st = gla__validating() ? gla__validate_bind(in, weights) : in->desc->bind(in->layer, weights);
    if (st) {
        st = gla__host_failed(st, "bind", diag);
        gla__at_format(diag, "%s (%s)", in->name, in->desc->type_id);
    }
    return st;
}

void gla__instance_destroy(gla__instance *in)
{
    if (in->layer) {
        gla__validate_enter(in->name, in->desc->type_id, "destroy");
        in->desc->destroy(in->layer);
        (void)gla__validate_leave(GLA_OK);
    }
    for (uint32_t i = 0; i < in->n_weights; i++) {
        gla__free((void *)(uintptr_t)in->weights[i].name);
        if (in->vectors)
            gla__free(in->vectors[i]);
    }
    for (uint32_t i = 0; i < in->n_states; i++)
        gla__free((void *)(uintptr_t)in->states[i].name);
    for (uint32_t i = 0; i < in->n_shared; i++)
        gla__free(in->shared[i].name);
    gla__free(in->weights);
    gla__free(in->vectors);
    gla__free(in->states);
    gla__free(in->scratch);
    gla__free(in->shared);
    gla__free(in->name);
    memset(in, 0, sizeof(*in));
}
