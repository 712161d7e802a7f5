/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/declare.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/struct.h"
#include "base/tensor.h"
#include "graph/explain.h"
#include "graph/host.h"

enum {
    MAX_WEIGHTS = 4096,
    MAX_STATES = 64,
    MAX_SCRATCH = 64,
    MAX_SHARED = 16,
    MAX_MADE = 4096,
    MAX_NAME = 255
};

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

static gla_status check_weight(const gla__declaring *c, const gla_weight_desc *w, gla_diag *diag)
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

static gla_status check_state(const gla__declaring *c, const gla_state_desc *s, gla_diag *diag)
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

/* ---- structs of another version ---- */

static bool check_size(gla__declaring *c, const char *type, size_t size, size_t first)
{
    if (!c->status && size < first)
        c->status = gla__fail(&c->diag, GLA_E_ABI, "%s: size is %zu, its first version has %zu",
                              type, size, first);
    return !c->status;
}

/* A struct that the layer filled in, as we know it; false after an error. */
#define TAKE(c, type, given, size, ours)                                                           \
    (check_size(c, #type, size, GLA__FIRST(type)) &&                                               \
     (gla__take(ours, sizeof(type), given, size), true))

/* ---- weights, states, scratch, shared rows ---- */

/* Room for one more element, or the sticky error. */
static bool make_room(gla__declaring *c, void **array, size_t *capacity, uint32_t n, uint32_t limit,
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

/* The layer's may lie on its stack. */
static gla_status keep_init(gla__declaring *c, gla_weight_desc *w, const gla_init *init)
{
    gla_init *copy = gla__alloc(sizeof(*copy));

    w->init = copy;
    if (!copy)
        return gla__fail_nomem(&c->diag, "a weight");
    (void)TAKE(c, gla_init, init, init->struct_size, copy);
    return c->status;
}

/* Takes *w, whose name is as the layer said it.  Its index; with `again` also that of an earlier
 * declaration of the same. */
static uint32_t add_weight(gla__declaring *c, const gla_weight_desc *w, bool again)
{
    gla__instance *in = c->in;
    char *name;

    if (!make_room(c, (void **)&in->weights, &c->weights_capacity, in->n_weights, MAX_WEIGHTS,
                   sizeof(*in->weights), "weights"))
        return 0;
    c->status = check_weight(c, w, &c->diag);
    if (c->status)
        return 0;
    name = full_name(in->name, w->name);
    if (!name) {
        c->status = gla__fail_nomem(&c->diag, "a weight's name");
        return 0;
    }
    for (uint32_t i = 0; i < in->n_weights; i++) {
        const gla_weight_desc *other = &in->weights[i];

        if (strcmp(other->name, name) != 0)
            continue;
        if (!again || other->role != w->role || other->ndim != w->ndim ||
            memcmp(other->dims, w->dims, w->ndim * sizeof(w->dims[0])) != 0)
            c->status = gla__fail(&c->diag, GLA_E_PLUGIN, "weight '%s' is declared twice%s", name,
                                  again ? ", with another shape" : "");
        gla__free(name);
        return i;
    }
    in->weights[in->n_weights] = *w;
    in->weights[in->n_weights].name = name;
    in->weights[in->n_weights].init = NULL;
    if (w->init && w->init->kind)
        c->status = keep_init(c, &in->weights[in->n_weights], w->init);
    return in->n_weights++;
}

static uint32_t declare_weight(const gla_declare *d, const gla_weight_desc *desc)
{
    gla__declaring *c = d->ctx;
    /* 0: version 1.0, where this field had no name */
    const size_t size = desc->struct_size ? desc->struct_size : GLA__FIRST(gla_weight_desc);
    gla_weight_desc w;

    return TAKE(c, gla_weight_desc, desc, size, &w) ? add_weight(c, &w, false) : 0;
}

static uint32_t declare_state(const gla_declare *d, const gla_state_desc *desc)
{
    gla__declaring *c = d->ctx;
    gla__instance *in = c->in;
    const size_t size = desc->struct_size ? desc->struct_size : GLA__FIRST(gla_state_desc);
    gla_state_desc s;

    if (!TAKE(c, gla_state_desc, desc, size, &s) ||
        !make_room(c, (void **)&in->states, &c->states_capacity, in->n_states, MAX_STATES,
                   sizeof(*in->states), "states"))
        return 0;
    c->status = check_state(c, &s, &c->diag);
    if (c->status)
        return 0;
    s.name = full_name(in->name, s.name);
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
    gla__declaring *c = d->ctx;
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

static uint32_t add_shared(gla__declaring *c, const char *name, size_t per_row, bool written)
{
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
    in->shared[in->n_shared] = (gla__shared_use){copy, per_row, 0, written};
    return in->n_shared++;
}

/* Before 1.1 nobody said who writes. */
static uint32_t declare_shared(const gla_declare *d, const char *name, size_t per_row)
{
    gla__declaring *c = d->ctx;

    return add_shared(c, name, per_row, !c->in->desc->layer_bytes);
}

static uint32_t declare_shared_written(const gla_declare *d, const char *name, size_t per_row)
{
    return add_shared(d->ctx, name, per_row, true);
}

/* ---- what is made of weights ---- */

/* Room for one more, with its place in the layer checked; NULL after an error. */
static gla__made *add_made(gla__declaring *c, uint32_t kind, void *out)
{
    gla__instance *in = c->in;
    const uintptr_t first = (uintptr_t)in->layer, at = (uintptr_t)out;

    if (!make_room(c, (void **)&in->made, &c->made_capacity, in->n_made, MAX_MADE,
                   sizeof(*in->made), "maps, convolutions and numbers"))
        return NULL;
    if (!in->desc->layer_bytes || at < first ||
        at - first > in->desc->layer_bytes - sizeof(void *)) {
        c->status = gla__fail(&c->diag, GLA_E_PLUGIN,
                              "what it declares is to be written outside of the layer object");
        return NULL;
    }
    for (uint32_t i = 0; i < in->n_made; i++)
        if (in->made[i].out == out) {
            c->status = gla__fail(&c->diag, GLA_E_PLUGIN,
                                  "two things that it declares are to be written to one place");
            return NULL;
        }
    in->made[in->n_made] = (gla__made){.kind = kind, .out = out};
    return &in->made[in->n_made];
}

/* True when all numbers of the view lie inside of its weight. */
static bool view_fits(const gla_view *v, uint32_t out, uint32_t in)
{
    uint64_t o, i, last;

    return gla__mul_u64(out - 1, v->out_stride, &o) && gla__mul_u64(in - 1, v->in_stride, &i) &&
           gla__add_u64(o, i, &last) && gla__add_u64(last, v->offset, &last) &&
           last < gla__n_elements(v->ndim, v->dims);
}

/* The shape of a part's weight: the whole that the view says, or what it is by itself. */
static void part_weight(const gla__made *m, const gla_part *p, gla_weight_desc *w)
{
    const int64_t in = m->kind == GLA__MADE_CONV ? m->width : m->in;
    const bool transposed = p->flags & GLA_PART_TRANSPOSED;
    int64_t dims[3] = {m->groups, p->out, in};
    const uint32_t lead = m->groups > 1 ? 0 : 1;

    if (transposed) {
        dims[1] = in;
        dims[2] = p->out;
    }
    w->role = m->kind == GLA__MADE_CONV ? GLA_WEIGHT_VECTOR : GLA_WEIGHT_MATRIX;
    w->ndim = 3 - lead;
    memcpy(w->dims, dims + lead, w->ndim * sizeof(dims[0]));
    w->flags = (p->flags & GLA_PART_SENSITIVE ? GLA_WEIGHT_SENSITIVE : 0) |
               (p->flags & GLA_PART_LOOKUP ? GLA_WEIGHT_LOOKUP : 0);
    w->init = p->init;
}

static gla_status add_part(gla__declaring *c, gla__made *m, const gla_part *p, double active)
{
    static const gla_init zero = {sizeof(zero), GLA_INIT_CONSTANT, 0, 0, 0};
    gla__made_part *part = &m->parts[m->n_parts];
    const bool transposed = p->flags & GLA_PART_TRANSPOSED;
    gla_weight_desc w = {.active = active};
    char name[MAX_NAME + 16];

    *part = (gla__made_part){.bias = UINT32_MAX, .out = p->out, .flags = p->flags};
    if (!p->name || strlen(p->name) > MAX_NAME)
        return gla__fail(&c->diag, GLA_E_PLUGIN, "a part of a map has no valid name");
    if (p->view && (m->kind == GLA__MADE_CONV || m->groups > 1 || transposed))
        return gla__fail(&c->diag, GLA_E_PLUGIN,
                         "part '%s': convolutions, groups and transposed parts take whole weights",
                         p->name);
    if (transposed && m->kind == GLA__MADE_CONV)
        return gla__fail(&c->diag, GLA_E_PLUGIN, "part '%s': taps are not transposed", p->name);
    part_weight(m, p, &w);
    if (p->view) {
        if (!TAKE(c, gla_view, p->view, p->view->struct_size, &part->view))
            return c->status;
        w.role = part->view.role;
        w.ndim = part->view.ndim;
        memcpy(w.dims, part->view.dims, sizeof(w.dims));
    }
    snprintf(name, sizeof(name), "%s%sweight", p->name, p->name[0] ? "." : "");
    w.name = name;
    part->weight = add_weight(c, &w, true);
    if (c->status)
        return c->status;
    if (p->view && !view_fits(&part->view, p->out, m->in))
        return gla__fail(&c->diag, GLA_E_PLUGIN, "a part of weight '%s' reaches beyond it", name);
    if (!(p->flags & GLA_PART_BIAS) && !p->bias)
        return GLA_OK;
    snprintf(name, sizeof(name), "%s%sbias", p->name, p->name[0] ? "." : "");
    w = (gla_weight_desc){.name = p->bias ? p->bias : name,
                          .role = GLA_WEIGHT_VECTOR,
                          .ndim = m->groups > 1 ? 2 : 1,
                          .dims = {m->groups > 1 ? m->groups : p->out, p->out},
                          .active = active,
                          .init = p->bias_init ? p->bias_init : &zero};
    if (part->view.bias_size) {
        const int64_t rows = part->view.bias_rows, size = (int64_t)part->view.bias_size;

        w.ndim = rows ? 2 : 1;
        w.dims[0] = rows ? rows : size;
        w.dims[1] = rows ? size / rows : 0;
        part->bias_offset = part->view.bias_offset;
        if ((rows && size % rows) || part->bias_offset > part->view.bias_size ||
            part->view.bias_size - part->bias_offset < p->out)
            return gla__fail(&c->diag, GLA_E_PLUGIN, "a part of '%s' reaches beyond it", w.name);
    }
    part->bias = add_weight(c, &w, true);
    return c->status;
}

/* The parts that are there; a map without any is not made. */
static void add_parts(gla__declaring *c, gla__made *m, const gla_part *parts, uint32_t n,
                      uint32_t part_size, double active)
{
    const char *at = (const char *)parts;

    m->parts = gla__alloc_array(GLA_MAX_PARTS, sizeof(*m->parts));
    if (!m->parts)
        c->status = gla__fail_nomem(&c->diag, "a map");
    else if (n && !parts)
        c->status = gla__fail(&c->diag, GLA_E_PLUGIN, "a map of %" PRIu32 " parts, %d at most", n,
                              GLA_MAX_PARTS);
    for (uint32_t i = 0; i < n && !c->status; i++, at += part_size) {
        gla_part p;

        gla__take(&p, sizeof(p), at, part_size);
        if (!p.out)
            continue;
        if (m->n_parts == GLA_MAX_PARTS) {
            c->status =
                gla__fail(&c->diag, GLA_E_PLUGIN, "a map has more than %d parts", GLA_MAX_PARTS);
            break;
        }
        c->status = add_part(c, m, &p, active);
        for (uint32_t k = 0; k < m->n_parts && !c->status; k++)
            if (!p.view && m->parts[k].weight == m->parts[m->n_parts].weight)
                c->status = gla__fail(&c->diag, GLA_E_PLUGIN, "a map has part '%s' twice", p.name);
        m->n_parts++;
        if (!c->status && m->n_parts > 1 && (p.flags | m->parts[0].flags) & GLA_PART_TRANSPOSED)
            c->status =
                gla__fail(&c->diag, GLA_E_PLUGIN,
                          "part '%s': a transposed part is the only one of its map", p.name);
    }
    if (m->n_parts)
        c->in->n_made++; /* a failed one is released with the instance */
    else
        gla__free(m->parts);
}

static void declare_linear(const gla_declare *d, const gla_map *given, gla_linear **out)
{
    gla__declaring *c = d->ctx;
    gla_map map;
    gla__made *m;

    if (!TAKE(c, gla_map, given, given->struct_size, &map) ||
        !check_size(c, "gla_part", map.part_size, GLA__FIRST(gla_part)))
        return;
    m = add_made(c, GLA__MADE_LINEAR, out);
    if (!m)
        return;
    m->in = map.in;
    m->groups = map.groups ? map.groups : 1;
    if (!map.in || (m->groups > 1 && map.n_parts != 1)) {
        c->status = gla__fail(&c->diag, GLA_E_PLUGIN,
                              "a map without inputs, or one of groups that has several parts");
        return;
    }
    add_parts(c, m, map.parts, map.n_parts, map.part_size, map.active == 0 ? 1 : map.active);
}

static void declare_conv(const gla_declare *d, const gla_conv_map *given, gla_conv **out)
{
    gla__declaring *c = d->ctx;
    gla_conv_map map;
    gla__made *m;

    if (!TAKE(c, gla_conv_map, given, given->struct_size, &map) ||
        !check_size(c, "gla_part", map.part_size, GLA__FIRST(gla_part)))
        return;
    m = add_made(c, GLA__MADE_CONV, out);
    if (!m)
        return;
    m->groups = 1;
    m->width = map.width;
    m->activation = map.activation;
    add_parts(c, m, map.parts, map.n_parts, map.part_size, 1);
}

static void declare_rope(const gla_declare *d, const gla_rope_spec *spec, gla_rope **out)
{
    gla__declaring *c = d->ctx;
    const gla_math *math = gla__host()->get_extension(gla__host(), GLA_HOST_MATH_ID);
    gla__made *m = add_made(c, GLA__MADE_ROPE, out);

    if (!m)
        return;
    gla__host_listen();
    c->status = math->rope_create(gla__host(), spec, out);
    if (c->status) {
        gla__host_failed(c->status, "rope_create", &c->diag);
        return;
    }
    m->object = *out;
    c->in->n_made++;
}

/* Numbers of an expression, and the last one of the weight that it reads. */
static bool expr_size(const gla_expr *e, uint64_t *n, uint64_t *last)
{
    *n = 1;
    *last = e->offset;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t step;

        if (e->out_dims[i] < 1 || e->stride[i] < 0 ||
            !gla__mul_u64(*n, (uint64_t)e->out_dims[i], n) || *n > UINT32_MAX ||
            !gla__mul_u64((uint64_t)e->out_dims[i] - 1, (uint64_t)e->stride[i], &step) ||
            !gla__add_u64(*last, step, last))
            return false;
    }
    return true;
}

static void declare_numbers(const gla_declare *d, const gla_expr *given, const float **out)
{
    gla__declaring *c = d->ctx;
    gla__made *m = add_made(c, GLA__MADE_NUMBERS, (void *)(uintptr_t)out);
    gla_expr *e;
    uint64_t n, last;

    if (!m || !TAKE(c, gla_expr, given, given->struct_size, &m->expr))
        return;
    e = &m->expr;
    m->weight =
        add_weight(c,
                   &(gla_weight_desc){.name = e->name,
                                      .role = GLA_WEIGHT_VECTOR,
                                      .ndim = e->ndim,
                                      .dims = {e->dims[0], e->dims[1], e->dims[2], e->dims[3],
                                               e->dims[4], e->dims[5], e->dims[6], e->dims[7]},
                                      .active = 1,
                                      .flags = e->flags,
                                      .init = e->init},
                   true);
    e->name = NULL;
    e->init = NULL;
    if (c->status)
        return;
    c->in->n_made++;
    if (!e->out_ndim && !e->act && !e->shift && !e->offset && (!e->scale || e->scale == 1.0f))
        return; /* the weight itself */
    if (!e->scale)
        e->scale = 1;
    if (!e->out_ndim) {
        e->out_dims[0] = (int64_t)gla__n_elements(e->ndim, e->dims);
        e->stride[0] = 1;
    }
    for (uint32_t i = e->out_ndim ? e->out_ndim : 1; i < 3; i++) {
        e->out_dims[i] = 1;
        e->stride[i] = 0;
    }
    if (e->out_ndim > 3 || !expr_size(e, &n, &last) || last >= gla__n_elements(e->ndim, e->dims)) {
        c->status = gla__fail(&c->diag, GLA_E_PLUGIN, "numbers made of '%s' reach beyond it",
                              c->in->weights[m->weight].name);
        return;
    }
    m->n_numbers = (size_t)n;
    m->numbers = gla__alloc_array(m->n_numbers, sizeof(float));
    if (!m->numbers)
        c->status = gla__fail_nomem(&c->diag, "numbers");
}

static void declare_table(const gla_declare *d, size_t n, float **out)
{
    gla__declaring *c = d->ctx;
    gla__made *m =
        n <= GLA__MAX_ELEMENTS / sizeof(float) ? add_made(c, GLA__MADE_TABLE, out) : NULL;

    if (!m) {
        if (!c->status)
            c->status = gla__fail(&c->diag, GLA_E_LIMIT, "a table of %zu numbers", n);
        return;
    }
    m->n_numbers = n;
    m->numbers = gla__alloc_zero(n * sizeof(float) + 1);
    if (!m->numbers)
        c->status = gla__fail_nomem(&c->diag, "a table");
    else
        c->in->n_made++;
    *out = m->numbers;
}

void gla__declare_begin(gla__declaring *d, gla__instance *in)
{
    *d = (gla__declaring){.in = in,
                          .table = {.struct_size = (uint32_t)sizeof(d->table),
                                    .ctx = d,
                                    .weight = declare_weight,
                                    .state = declare_state,
                                    .scratch = declare_scratch,
                                    .shared = declare_shared,
                                    .linear = declare_linear,
                                    .conv = declare_conv,
                                    .rope = declare_rope,
                                    .numbers = declare_numbers,
                                    .table = declare_table,
                                    .shared_written = declare_shared_written}};
}
