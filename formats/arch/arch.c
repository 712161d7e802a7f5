/* SPDX-License-Identifier: Apache-2.0
 *
 * The architecture as data: making, copying, releasing.  parse.c reads it, print.c
 * prints it. */
#include <gla/arch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "formats/arch/form.h"

/* What gla__grow() has made of an array that now has n elements. */
static size_t grown_capacity(size_t n)
{
    size_t capacity = 8;

    if (!n)
        return 0;
    while (capacity < n)
        capacity *= 2;
    return capacity;
}

/* ---- layers -------------------------------------------------------------- */

static void clear_value(gla_arch_param *p)
{
    gla__free(p->string);
    gla__free(p->list);
    p->string = NULL;
    p->list = NULL;
    p->n_list = 0;
    p->number = 0;
}

static void clear_layer(gla_arch_layer *l)
{
    for (uint32_t i = 0; i < l->n_params; i++) {
        gla__free(l->params[i].name);
        clear_value(&l->params[i]);
    }
    gla__free(l->params);
    gla__free(l->type);
    memset(l, 0, sizeof(*l));
    l->in_multiplier = l->out_multiplier = 1;
}

gla_status gla_arch_layer_init(gla_arch_layer *layer, const char *type, gla_diag *diag)
{
    clear_layer(layer);
    layer->type = gla__strdup(type);
    return type && !layer->type ? gla__fail_nomem(diag, "a layer") : GLA_OK;
}

const gla_arch_param *gla_arch_param_find(const gla_arch_layer *l, const char *name)
{
    for (uint32_t i = 0; i < l->n_params; i++) {
        if (!strcmp(l->params[i].name, name))
            return &l->params[i];
    }
    return NULL;
}

const gla_arch_param *gla_arch_get_param(const gla_arch_layer *l, uint32_t i)
{
    return i < l->n_params ? &l->params[i] : NULL;
}

/* The parameter of that name, made if there is none, without a value; NULL when out of memory. */
static gla_arch_param *param_for(gla_arch_layer *l, const char *name, uint32_t kind)
{
    size_t capacity = grown_capacity(l->n_params);
    gla_arch_param *p;

    for (uint32_t i = 0; i < l->n_params; i++) {
        if (!strcmp(l->params[i].name, name)) {
            clear_value(&l->params[i]);
            l->params[i].kind = kind;
            return &l->params[i];
        }
    }
    if (gla__grow((void **)&l->params, &capacity, l->n_params, sizeof(*l->params)))
        return NULL;
    p = &l->params[l->n_params];
    memset(p, 0, sizeof(*p));
    p->name = gla__strdup(name);
    if (!p->name)
        return NULL;
    p->kind = kind;
    l->n_params++;
    return p;
}

gla_status gla_arch_set_number(gla_arch_layer *l, const char *name, double v, gla_diag *diag)
{
    gla_arch_param *p = param_for(l, name, GLA_ARCH_NUMBER);

    if (!p)
        return gla__fail_nomem(diag, "a parameter");
    p->number = v;
    return GLA_OK;
}

gla_status gla_arch_set_bool(gla_arch_layer *l, const char *name, int v, gla_diag *diag)
{
    gla_arch_param *p = param_for(l, name, GLA_ARCH_BOOL);

    if (!p)
        return gla__fail_nomem(diag, "a parameter");
    p->number = v != 0;
    return GLA_OK;
}

gla_status gla_arch_set_string(gla_arch_layer *l, const char *name, const char *v, gla_diag *diag)
{
    char *copy = gla__strdup(v ? v : "");
    gla_arch_param *p = copy ? param_for(l, name, GLA_ARCH_STRING) : NULL;

    if (!p) {
        gla__free(copy);
        return gla__fail_nomem(diag, "a parameter");
    }
    p->string = copy;
    return GLA_OK;
}

gla_status gla_arch_set_list(gla_arch_layer *l, const char *name, const double *v, uint32_t n,
                             gla_diag *diag)
{
    double *copy = gla__alloc_array(n ? n : 1, sizeof(*copy));
    gla_arch_param *p = copy ? param_for(l, name, GLA_ARCH_LIST) : NULL;

    if (!p) {
        gla__free(copy);
        return gla__fail_nomem(diag, "a parameter");
    }
    if (n)
        memcpy(copy, v, n * sizeof(*copy));
    p->list = copy;
    p->n_list = n;
    return GLA_OK;
}

static gla_status copy_param(gla_arch_layer *to, const gla_arch_param *p, gla_diag *diag)
{
    gla_status st;

    switch (p->kind) {
    case GLA_ARCH_STRING:
        st = gla_arch_set_string(to, p->name, p->string, diag);
        break;
    case GLA_ARCH_LIST:
        st = gla_arch_set_list(to, p->name, p->list, p->n_list, diag);
        break;
    case GLA_ARCH_BOOL:
        st = gla_arch_set_bool(to, p->name, p->number != 0, diag);
        break;
    default:
        st = gla_arch_set_number(to, p->name, p->number, diag);
    }
    if (!st) {
        gla_arch_param *made = &to->params[to->n_params - 1];

        made->line = p->line;
        made->column = p->column;
    }
    return st;
}

gla_status gla_arch_copy_layer(gla_arch_layer *to, const gla_arch_layer *from, gla_diag *diag)
{
    gla_status st = gla_arch_layer_init(to, from->type, diag);

    to->line = from->line;
    to->column = from->column;
    to->in_multiplier = from->in_multiplier;
    to->out_multiplier = from->out_multiplier;
    for (uint32_t i = 0; !st && i < from->n_params; i++)
        st = copy_param(to, &from->params[i], diag);
    return st;
}

/* ---- blocks and the whole ------------------------------------------------- */

static void clear_block(gla_arch_block *b)
{
    gla__free(b->name);
    for (uint32_t i = 0; i < GLA_ARCH_MAX_PARALLEL; i++)
        clear_layer(&b->mixers[i]);
    clear_layer(&b->ffn);
    clear_layer(&b->norm);
    memset(b, 0, sizeof(*b));
}

static void init_multipliers(gla_arch_layer *l)
{
    l->in_multiplier = l->out_multiplier = 1;
}

gla_status gla_arch_add_block(gla_arch *arch, const char *name, gla_arch_block **out,
                              gla_diag *diag)
{
    size_t capacity = grown_capacity(arch->n_blocks);
    gla_arch_block *b;

    *out = NULL;
    for (uint32_t i = 0; i < arch->n_blocks; i++)
        if (!strcmp(arch->blocks[i].name, name))
            return gla__fail(diag, GLA_E_INVALID, "there is a block '%s' already", name);
    if (gla__grow((void **)&arch->blocks, &capacity, arch->n_blocks, sizeof(*arch->blocks)))
        return gla__fail_nomem(diag, "a block");
    b = &arch->blocks[arch->n_blocks];
    memset(b, 0, sizeof(*b));
    b->name = gla__strdup(name);
    if (!b->name)
        return gla__fail_nomem(diag, "a block");
    for (uint32_t i = 0; i < GLA_ARCH_MAX_PARALLEL; i++)
        init_multipliers(&b->mixers[i]);
    init_multipliers(&b->ffn);
    init_multipliers(&b->norm);
    b->mixer_skip = b->mixer_residual = b->ffn_skip = b->ffn_residual = 1;
    arch->n_blocks++;
    *out = b;
    return GLA_OK;
}

gla_status gla_arch_set_layers(gla_arch *arch, const uint32_t *layers, uint32_t n, gla_diag *diag)
{
    uint32_t *copy = gla__alloc_array(n ? n : 1, sizeof(*copy));

    if (!copy)
        return gla__fail_nomem(diag, "the list of layers");
    for (uint32_t i = 0; i < n; i++) {
        if (layers[i] >= arch->n_blocks) {
            gla__free(copy);
            return gla__fail(diag, GLA_E_INVALID,
                             "layer %" PRIu32 " is block %" PRIu32 ", there are %" PRIu32, i,
                             layers[i], arch->n_blocks);
        }
        copy[i] = layers[i];
    }
    gla__free(arch->layers);
    arch->layers = copy;
    arch->n_layers = n;
    return GLA_OK;
}

gla_arch *gla_arch_new(const char *name)
{
    gla_arch *a = gla__alloc_zero(sizeof(*a));

    if (!a)
        return NULL;
    a->bos_token = -1;
    init_multipliers(&a->final_norm);
    init_multipliers(&a->embedding_norm);
    a->name = gla__strdup(name ? name : "");
    if (!a->name || gla_arch_layer_init(&a->norm, "rmsnorm", NULL) ||
        gla_arch_layer_init(&a->embedding, "embedding", NULL) ||
        gla_arch_layer_init(&a->head, "head", NULL)) {
        gla_arch_free(a);
        return NULL;
    }
    return a;
}

void gla_arch_free(gla_arch *arch)
{
    if (!arch)
        return;
    for (uint32_t i = 0; i < arch->n_blocks; i++)
        clear_block(&arch->blocks[i]);
    gla__free(arch->blocks);
    gla__free(arch->layers);
    clear_layer(&arch->norm);
    clear_layer(&arch->final_norm);
    clear_layer(&arch->embedding);
    clear_layer(&arch->embedding_norm);
    clear_layer(&arch->head);
    gla__free(arch->name);
    gla__free(arch->family);
    gla__free(arch->source);
    gla__free(arch);
}

static gla_status copy_text(char **to, const char *from, gla_diag *diag)
{
    char *copy = gla__strdup(from);

    if (from && !copy)
        return gla__fail_nomem(diag, "an architecture");
    gla__free(*to);
    *to = copy;
    return GLA_OK;
}

static gla_status copy_layers(gla_arch_block *to, const gla_arch_block *from, gla_diag *diag)
{
    gla_status st = GLA_OK;

    for (uint32_t i = 0; !st && i < from->n_mixers; i++)
        st = gla_arch_copy_layer(&to->mixers[i], &from->mixers[i], diag);
    if (!st)
        st = gla_arch_copy_layer(&to->ffn, &from->ffn, diag);
    if (!st)
        st = gla_arch_copy_layer(&to->norm, &from->norm, diag);
    return st;
}

gla_status gla_arch_copy_block(gla_arch *arch, const gla_arch_block *from, const char *name,
                               gla_arch_block **out, gla_diag *diag)
{
    const gla_arch_block source = *from; /* adding a block may move those of arch */
    gla_arch_block *b;
    gla_status st = gla_arch_add_block(arch, name, out, diag);

    if (st)
        return st;
    b = *out;
    st = copy_layers(b, &source, diag);
    if (st) {
        clear_block(b);
        arch->n_blocks--;
        *out = NULL;
        return st;
    }
    b->n_mixers = source.n_mixers;
    b->norm_at = source.norm_at;
    b->mixer_skip = source.mixer_skip;
    b->mixer_residual = source.mixer_residual;
    b->ffn_skip = source.ffn_skip;
    b->ffn_residual = source.ffn_residual;
    b->weights_dtype = source.weights_dtype;
    b->line = source.line;
    b->column = source.column;
    return GLA_OK;
}

static gla_status copy_parts(gla_arch *to, const gla_arch *from, gla_diag *diag)
{
    const struct {
        gla_arch_layer *to;
        const gla_arch_layer *from;
    } layers[] = {{&to->norm, &from->norm},
                  {&to->final_norm, &from->final_norm},
                  {&to->embedding, &from->embedding},
                  {&to->embedding_norm, &from->embedding_norm},
                  {&to->head, &from->head}};
    gla_status st = copy_text(&to->family, from->family, diag);
    gla_arch_block *made;

    if (!st)
        st = copy_text(&to->source, from->source, diag);
    for (size_t i = 0; !st && i < sizeof(layers) / sizeof(layers[0]); i++)
        st = gla_arch_copy_layer(layers[i].to, layers[i].from, diag);
    for (uint32_t i = 0; !st && i < from->n_blocks; i++)
        st = gla_arch_copy_block(to, &from->blocks[i], from->blocks[i].name, &made, diag);
    return st ? st : gla_arch_set_layers(to, from->layers, from->n_layers, diag);
}

const gla_arch_block *gla_arch_get_block(const gla_arch *arch, uint32_t i)
{
    return i < arch->n_blocks ? &arch->blocks[i] : NULL;
}

const gla_arch_block *gla_arch_get_layer(const gla_arch *arch, uint32_t i)
{
    return i < arch->n_layers ? gla_arch_get_block(arch, arch->layers[i]) : NULL;
}

const gla_arch_layer *gla_arch_get_mixer(const gla_arch_block *block, uint32_t i)
{
    return i < block->n_mixers ? &block->mixers[i] : NULL;
}

int gla_arch_is_eos(const gla_arch *arch, int32_t token)
{
    for (uint32_t i = 0; i < arch->n_eos; i++)
        if (arch->eos_tokens[i] == token)
            return 1;
    return 0;
}

bool gla__arch_is_sound(const gla_arch *arch)
{
    for (uint32_t i = 0; i < arch->n_blocks; i++)
        if (arch->blocks[i].n_mixers > GLA_ARCH_MAX_PARALLEL)
            return false;
    for (uint32_t i = 0; i < arch->n_layers; i++)
        if (arch->layers[i] >= arch->n_blocks)
            return false;
    return arch->n_eos <= sizeof(arch->eos_tokens) / sizeof(arch->eos_tokens[0]);
}

gla_status gla_arch_copy(const gla_arch *arch, gla_arch **out, gla_diag *diag)
{
    gla_arch *a;
    gla_status st;

    *out = NULL;
    if (!gla__arch_is_sound(arch))
        return gla__fail(diag, GLA_E_INVALID,
                         "a count or an index goes beyond the architecture's arrays");
    a = gla_arch_new(arch->name);
    st = a ? copy_parts(a, arch, diag) : gla__fail_nomem(diag, "an architecture");
    if (st) {
        gla_arch_free(a);
        return st;
    }
    a->vocab_size = arch->vocab_size;
    a->d_model = arch->d_model;
    a->max_positions = arch->max_positions;
    a->tie_embeddings = arch->tie_embeddings;
    a->bos_token = arch->bos_token;
    a->n_eos = arch->n_eos;
    memcpy(a->eos_tokens, arch->eos_tokens, sizeof(a->eos_tokens));
    a->weights_dtype = arch->weights_dtype;
    *out = a;
    return GLA_OK;
}
