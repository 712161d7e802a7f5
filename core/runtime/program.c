/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/program.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/arch/form.h"
#include "graph/host.h"
#include "runtime/params.h"
#include "runtime/registry.h"

enum {
    X = GLA__BUFFER_X,
    N = GLA__BUFFER_N,
    Y = GLA__BUFFER_Y,
    Z = GLA__BUFFER_Z,
    S = GLA__BUFFER_S
};

typedef struct builder {
    const gla_arch *arch;
    const gla_registry *registry;
    gla__program *p;
    size_t instances_capacity, steps_capacity;
    double norm_eps;
    bool selected; /* rows are only those whose logits are wanted */
    gla_diag *diag;
} builder;

/* What an instance is made for. */
typedef struct place {
    uint64_t role; /* GLA_LAYER_* */
    uint32_t block, layer_index;
    uint32_t d_in, d_out;
} place;

/* ---- steps ---- */

static gla_status add_step(builder *b, gla__step step)
{
    if (gla__grow((void **)&b->p->steps, &b->steps_capacity, b->p->n_steps, sizeof(step)))
        return gla__fail_nomem(b->diag, "the steps of a model");
    b->p->steps[b->p->n_steps++] = step;
    return GLA_OK;
}

static gla_status combine(builder *b, uint32_t dst, double alpha, uint32_t src, double beta)
{
    return add_step(b, (gla__step){.kind = GLA__STEP_COMBINE,
                                   .dst = dst,
                                   .src = src,
                                   .alpha = (float)alpha,
                                   .beta = (float)beta});
}

/* ---- instances ---- */

static const char *role_name(uint64_t role)
{
    return role == GLA_LAYER_MIXER       ? "mixer"
           : role == GLA_LAYER_FFN       ? "ffn"
           : role == GLA_LAYER_NORM      ? "norm"
           : role == GLA_LAYER_EMBEDDING ? "embedding"
                                         : "head";
}

/* A head is told whether it shares the embedding; nobody else may say so. */
static gla_status set_tied(const builder *b, const gla_layer_desc *desc, gla_param_value *values)
{
    const uint32_t i = gla__param_index(desc, "tied");

    if (i == UINT32_MAX)
        return b->arch->tie_embeddings
                   ? gla__fail(b->diag, GLA_E_SCHEMA, "head '%s' cannot share the embedding",
                               desc->type_id)
                   : GLA_OK;
    if (values[i].is_set && (values[i].i != 0) != (b->arch->tie_embeddings != 0))
        return gla__fail(b->diag, GLA_E_SCHEMA, "head: 'tied' contradicts tie_embeddings");
    values[i].i = b->arch->tie_embeddings != 0;
    return GLA_OK;
}

/* After row selection a layer sees rows of no sequence in particular. */
static gla_status check_stateless(const builder *b, const gla__instance *in)
{
    if (!in->n_states && !in->n_shared)
        return GLA_OK;
    return gla__fail(b->diag, GLA_E_PLUGIN, "%s: a %s may not have states or shared rows", in->name,
                     role_name(in->role));
}

static gla_status create_instance(builder *b, const gla_arch_layer *layer, const place *at,
                                  const char *name, gla__instance *out)
{
    const gla_layer_desc *desc;
    gla_param_value *values = NULL;
    gla_layer_config cfg = {.d_in = at->d_in,
                            .d_out = at->d_out,
                            .d_model = b->arch->d_model,
                            .vocab_size = b->arch->vocab_size,
                            .layer_index = at->layer_index,
                            .n_layers = b->arch->n_layers,
                            .max_positions = b->arch->max_positions,
                            .norm_eps = b->norm_eps};
    gla_status st = gla__registry_require(b->registry, layer, &desc, b->diag);

    if (st)
        return st;
    if (!(desc->flags & at->role)) {
        gla__fail(b->diag, GLA_E_SCHEMA, "'%s' cannot be a %s", layer->type, role_name(at->role));
        gla__at_line(b->diag, layer->line, layer->column);
        return GLA_E_SCHEMA;
    }
    st = gla__params_resolve(desc, layer, &values, b->diag);
    if (!st && at->role == GLA_LAYER_HEAD)
        st = set_tied(b, desc, values);
    if (!st) {
        cfg.params = values;
        st = gla__instance_create(desc, name, &cfg, out, b->diag);
        if (st)
            gla__at_line(b->diag, layer->line, layer->column);
    }
    gla__free(values);
    if (st)
        return st;
    out->role = at->role;
    out->block = at->block;
    return GLA_OK;
}

/* Makes the instance and the step that runs it: dst = layer(src). */
__attribute__((format(printf, 6, 7))) static gla_status
add_layer(builder *b, const gla_arch_layer *layer, const place *at, uint32_t src, uint32_t dst,
          const char *format, ...)
{
    gla__program *p = b->p;
    gla__step step = {.kind = at->role == GLA_LAYER_HEAD ? GLA__STEP_LOGITS : GLA__STEP_LAYER,
                      .instance = p->n_instances,
                      .src = src,
                      .dst = dst};
    char name[96];
    va_list args;
    gla_status st;

    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    if (gla__grow((void **)&p->instances, &b->instances_capacity, p->n_instances,
                  sizeof(*p->instances)))
        return gla__fail_nomem(b->diag, "the layers of a model");
    st = create_instance(b, layer, at, name, &p->instances[p->n_instances]);
    if (st)
        return st;
    if (at->role == GLA_LAYER_MIXER)
        step.mixer = ++p->n_mixers;
    p->n_instances++;
    if (b->selected)
        st = check_stateless(b, &p->instances[p->n_instances - 1]);
    return st ? st : add_step(b, step);
}

/* ---- blocks ---- */

/* One branch of a block: x = skip * x + residual * f(x), with its norms. */
typedef struct branch {
    const gla_arch_layer *layers;
    uint32_t n_layers;
    uint64_t role;
    const char *name; /* "mixer", "ffn" */
    double skip, residual;
} branch;

static place place_in(const builder *b, uint32_t block, uint64_t role)
{
    return (place){role, block, block, b->arch->d_model, b->arch->d_model};
}

static gla_status add_norm(builder *b, const gla_arch_block *block, uint32_t index, uint32_t src,
                           uint32_t dst, const char *branch_name, const char *suffix)
{
    const place at = place_in(b, index, GLA_LAYER_NORM);

    return add_layer(b, block->norm.type ? &block->norm : &b->arch->norm, &at, src, dst,
                     "layers.%" PRIu32 ".%s_%s", index, branch_name, suffix);
}

/* sum of out_multiplier * layer(in_multiplier * src).  It lies in *out and must still be multiplied
 * by *scale. */
static gla_status add_branch_layers(builder *b, const branch *br, uint32_t index, uint32_t src,
                                    uint32_t *out, double *scale)
{
    const place at = place_in(b, index, br->role);
    const bool several = br->n_layers > 1;
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < br->n_layers && !st; i++) {
        const gla_arch_layer *layer = &br->layers[i];
        const bool scaled = layer->in_multiplier != 1;

        if (scaled)
            st = combine(b, S, 0, src, layer->in_multiplier);
        if (!st && several)
            st = add_layer(b, layer, &at, scaled ? S : src, Y, "layers.%" PRIu32 ".%s.%" PRIu32,
                           index, br->name, i);
        else if (!st)
            st = add_layer(b, layer, &at, scaled ? S : src, Y, "layers.%" PRIu32 ".%s", index,
                           br->name);
        if (!st && several)
            st = combine(b, Z, i ? 1 : 0, Y, layer->out_multiplier);
    }
    *out = several ? Z : Y;
    *scale = several ? 1 : br->layers[0].out_multiplier;
    return st;
}

static gla_status add_branch(builder *b, const gla_arch_block *block, uint32_t index,
                             const branch *br)
{
    const bool before = block->norm_at == GLA_NORM_AT_PRE ||
                        block->norm_at == GLA_NORM_AT_SANDWICH ||
                        block->norm_at == GLA_NORM_AT_RESIDUAL;
    const bool sandwich = block->norm_at == GLA_NORM_AT_SANDWICH;
    uint32_t out = X;
    double scale = 1;
    gla_status st = GLA_OK;

    if (before)
        st = add_norm(b, block, index, X, N, br->name, "norm");
    if (!st && block->norm_at == GLA_NORM_AT_RESIDUAL)
        st = combine(b, X, 0, N, 1); /* the normed rows go on */
    if (!st)
        st = add_branch_layers(b, br, index, before ? N : X, &out, &scale);
    if (!st && (sandwich || block->norm_at == GLA_NORM_AT_POST)) {
        if (scale != 1)
            st = combine(b, out, 0, out, scale);
        if (!st)
            st = add_norm(b, block, index, out, N, br->name, sandwich ? "post_norm" : "norm");
        out = N;
        scale = 1;
    }
    return st ? st : combine(b, X, br->skip, out, br->residual * scale);
}

static gla_status select_rows(builder *b)
{
    b->selected = true;
    return add_step(b, (gla__step){.kind = GLA__STEP_SELECT});
}

/* The last ffn works per token, so it need only see the rows whose logits are wanted - unless it
 * keeps a state (RWKV's looks at the token before). */
static gla_status add_last_ffn(builder *b, const gla_arch_block *block, uint32_t index,
                               const branch *ffn)
{
    const uint32_t first_step = b->p->n_steps, first = b->p->n_instances;
    bool stateless = true;
    gla_status st = add_branch(b, block, index, ffn);

    for (uint32_t i = first; i < b->p->n_instances; i++)
        stateless = stateless && !b->p->instances[i].n_states && !b->p->instances[i].n_shared;
    if (st || !stateless)
        return st;
    st = select_rows(b);
    if (st)
        return st;
    memmove(&b->p->steps[first_step + 1], &b->p->steps[first_step],
            (b->p->n_steps - 1 - first_step) * sizeof(*b->p->steps));
    b->p->steps[first_step] = (gla__step){.kind = GLA__STEP_SELECT};
    return GLA_OK;
}

static gla_status add_block(builder *b, uint32_t index)
{
    const gla_arch_block *block = &b->arch->blocks[b->arch->layers[index]];
    const branch mixer = {block->mixers, block->n_mixers,   GLA_LAYER_MIXER,
                          "mixer",       block->mixer_skip, block->mixer_residual};
    const branch ffn = {&block->ffn, 1, GLA_LAYER_FFN, "ffn", block->ffn_skip, block->ffn_residual};
    gla_status st = GLA_OK;

    if (block->n_mixers)
        st = add_branch(b, block, index, &mixer);
    if (st || !block->ffn.type)
        return st;
    return index + 1 == b->arch->n_layers ? add_last_ffn(b, block, index, &ffn)
                                          : add_branch(b, block, index, &ffn);
}

/* ---- the whole ---- */

static gla_status add_begin(builder *b)
{
    const gla_arch *a = b->arch;
    const place embed = {GLA_LAYER_EMBEDDING, UINT32_MAX, 0, a->d_model, a->d_model};
    const place norm = {GLA_LAYER_NORM, UINT32_MAX, 0, a->d_model, a->d_model};
    const bool normed = a->embedding_norm.type && strcmp(a->embedding_norm.type, "none");
    gla_status st = add_layer(b, &a->embedding, &embed, X, normed ? N : X, "embed");

    if (!st && normed)
        st = add_layer(b, &a->embedding_norm, &norm, N, X, "embed_norm");
    return st;
}

static gla_status add_end(builder *b)
{
    const gla_arch *a = b->arch;
    const gla_arch_layer *final = a->final_norm.type ? &a->final_norm : &a->norm;
    const uint32_t last = a->n_layers ? a->n_layers - 1 : 0;
    const place norm = {GLA_LAYER_NORM, UINT32_MAX, last, a->d_model, a->d_model};
    const place head = {GLA_LAYER_HEAD, UINT32_MAX, last, a->d_model, a->vocab_size};
    const bool normed = strcmp(final->type, "none") != 0;
    gla_status st = b->selected ? GLA_OK : select_rows(b);

    if (!st && normed)
        st = add_layer(b, final, &norm, X, N, "final_norm");
    return st ? st : add_layer(b, &a->head, &head, normed ? N : X, Y, "head");
}

/* The model's epsilon: what its norm says, or that norm's default. */
static gla_status find_eps(builder *b)
{
    const gla_layer_desc *desc;
    gla_param_value *values;
    uint32_t i;
    gla_status st = gla__registry_require(b->registry, &b->arch->norm, &desc, b->diag);

    b->norm_eps = 1e-6;
    if (st)
        return st;
    st = gla__params_resolve(desc, &b->arch->norm, &values, b->diag);
    if (st)
        return st;
    i = gla__param_index(desc, "eps");
    if (i != UINT32_MAX && desc->params[i].kind == GLA_PARAM_FLOAT && values[i].f > 0)
        b->norm_eps = values[i].f;
    gla__free(values);
    return GLA_OK;
}

static gla_status check_arch(const builder *b)
{
    const gla_arch *a = b->arch;
    const struct {
        const char *name, *type;
    } needed[] = {{"norm", a->norm.type}, {"embedding", a->embedding.type}, {"head", a->head.type}};

    if (!a->d_model || !a->vocab_size || a->d_model > GLA__ARCH_MAX_D_MODEL ||
        a->vocab_size > GLA__ARCH_MAX_VOCAB)
        return gla__fail(b->diag, GLA_E_SCHEMA,
                         "d_model %" PRIu32 " and vocab_size %" PRIu32 " are not sizes of a model",
                         a->d_model, a->vocab_size);
    if (!a->n_layers)
        return gla__fail(b->diag, GLA_E_SCHEMA, "the architecture has no layers");
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!needed[i].type)
            return gla__fail(b->diag, GLA_E_SCHEMA, "the architecture has no %s", needed[i].name);
    if (!gla__arch_is_sound(a))
        return gla__fail(b->diag, GLA_E_SCHEMA,
                         "a count or an index goes beyond the architecture's arrays");
    return GLA_OK;
}

gla_status gla__program_create(const gla_arch *arch, const gla_registry *r, gla__program *out,
                               gla_diag *diag)
{
    builder b = {.arch = arch, .registry = r, .p = out, .diag = diag};
    const gla_host *host = gla__host_use(gla__registry_host(r));
    gla_status st;

    memset(out, 0, sizeof(*out));
    out->d_model = arch->d_model;
    out->vocab_size = arch->vocab_size;
    st = check_arch(&b);
    if (!st)
        st = find_eps(&b);
    if (!st)
        st = add_begin(&b);
    for (uint32_t i = 0; i < arch->n_layers && !st; i++)
        st = add_block(&b, i);
    if (!st)
        st = add_end(&b);
    if (st) {
        gla__program_free(out);
        if (arch->source)
            gla__at(diag, arch->source);
    }
    gla__host_use(host);
    return st;
}

gla_status gla__program_layout(gla__program *p, gla__state_layout *out, gla_diag *diag)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < p->n_instances; i++) {
        gla__instance *in = &p->instances[i];

        in->first_state = out->n_entries;
        for (uint32_t j = 0; j < in->n_states; j++) {
            const gla_state_desc *s = &in->states[j];
            const gla_status st = gla__state_layout_add(out, s->name, s, in->desc->revision, diag);

            if (st) {
                gla__state_layout_free(out);
                return st;
            }
        }
    }
    return GLA_OK;
}
