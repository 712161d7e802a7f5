/* SPDX-License-Identifier: Apache-2.0
 *
 * The architecture as data: making, copying, releasing.  parse.c reads it, print.c
 * prints it. */
#include <gla/arch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "formats/arch/form.h"

void gla_text_free(char *text)
{
    gla__free(text);
}

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

gla_status gla_arch_layer_init(gla_arch_layer *layer, const char *type)
{
    clear_layer(layer);
    layer->type = gla__strdup(type);
    return type && !layer->type ? GLA_E_NOMEM : GLA_OK;
}

const gla_arch_param *gla_arch_param_find(const gla_arch_layer *l, const char *name)
{
    for (uint32_t i = 0; i < l->n_params; i++) {
        if (!strcmp(l->params[i].name, name))
            return &l->params[i];
    }
    return NULL;
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

gla_status gla_arch_set_number(gla_arch_layer *l, const char *name, double v)
{
    gla_arch_param *p = param_for(l, name, GLA_ARCH_NUMBER);

    if (!p)
        return GLA_E_NOMEM;
    p->number = v;
    return GLA_OK;
}

gla_status gla_arch_set_bool(gla_arch_layer *l, const char *name, int v)
{
    gla_arch_param *p = param_for(l, name, GLA_ARCH_BOOL);

    if (!p)
        return GLA_E_NOMEM;
    p->number = v != 0;
    return GLA_OK;
}

gla_status gla_arch_set_string(gla_arch_layer *l, const char *name, const char *v)
{
    char *copy = gla__strdup(v ? v : "");
    gla_arch_param *p = copy ? param_for(l, name, GLA_ARCH_STRING) : NULL;

    if (!p) {
        gla__free(copy);
        return GLA_E_NOMEM;
    }
    p->string = copy;
    return GLA_OK;
}

gla_status gla_arch_set_list(gla_arch_layer *l, const char *name, const double *v, uint32_t n)
{
    double *copy = gla__alloc_array(n ? n : 1, sizeof(*copy));
    gla_arch_param *p = copy ? param_for(l, name, GLA_ARCH_LIST) : NULL;

    if (!p) {
        gla__free(copy);
        return GLA_E_NOMEM;
    }
    if (n)
        memcpy(copy, v, n * sizeof(*copy));
    p->list = copy;
    p->n_list = n;
    return GLA_OK;
}

static gla_status copy_param(gla_arch_layer *to, const gla_arch_param *p)
{
    gla_status st;

    switch (p->kind) {
    case GLA_ARCH_STRING:
        st = gla_arch_set_string(to, p->name, p->string);
        break;
    case GLA_ARCH_LIST:
        st = gla_arch_set_list(to, p->name, p->list, p->n_list);
        break;
    case GLA_ARCH_BOOL:
        st = gla_arch_set_bool(to, p->name, p->number != 0);
        break;
    default:
        st = gla_arch_set_number(to, p->name, p->number);
    }
    if (!st) {
        gla_arch_param *made = &to->params[to->n_params - 1];

        made->line = p->line;
        made->column = p->column;
    }
    return st;
}

gla_status gla_arch_copy_layer(gla_arch_layer *to, const gla_arch_layer *from)
{
    gla_status st = gla_arch_layer_init(to, from->type);

    to->line = from->line;
    to->column = from->column;
    to->in_multiplier = from->in_multiplier;
    to->out_multiplier = from->out_multiplier;
    for (uint32_t i = 0; !st && i < from->n_params; i++)
        st = copy_param(to, &from->params[i]);
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

gla_arch_block *gla_arch_add_block(gla_arch *arch, const char *name)
{
    size_t capacity = grown_capacity(arch->n_blocks);
    gla_arch_block *b;

    if (gla__grow((void **)&arch->blocks, &capacity, arch->n_blocks, sizeof(*arch->blocks)))
        return NULL;
    b = &arch->blocks[arch->n_blocks];
    memset(b, 0, sizeof(*b));
    b->name = gla__strdup(name);
    if (!b->name)
        return NULL;
    for (uint32_t i = 0; i < GLA_ARCH_MAX_PARALLEL; i++)
        init_multipliers(&b->mixers[i]);
    init_multipliers(&b->ffn);
    init_multipliers(&b->norm);
    b->mixer_skip = b->mixer_residual = b->ffn_skip = b->ffn_residual = 1;
    arch->n_blocks++;
    return b;
}

gla_status gla_arch_set_layers(gla_arch *arch, const uint32_t *layers, uint32_t n)
{
    uint32_t *copy = gla__alloc_array(n ? n : 1, sizeof(*copy));

    if (!copy)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        if (layers[i] >= arch->n_blocks) {
            gla__free(copy);
            return GLA_E_INVALID;
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
    if (!a->name || gla_arch_layer_init(&a->norm, "rmsnorm") ||
        gla_arch_layer_init(&a->embedding, "embedding") || gla_arch_layer_init(&a->head, "head")) {
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

static gla_status copy_text(char **to, const char *from)
{
    char *copy = gla__strdup(from);

    if (from && !copy)
        return GLA_E_NOMEM;
    gla__free(*to);
    *to = copy;
    return GLA_OK;
}

gla_arch_block *gla_arch_copy_block(gla_arch *arch, const gla_arch_block *from, const char *name)
{
    const gla_arch_block source = *from; /* adding a block may move those of arch */
    gla_arch_block *b = gla_arch_add_block(arch, name);
    gla_status st = GLA_OK;

    if (!b)
        return NULL;
    for (uint32_t i = 0; !st && i < source.n_mixers; i++) {
        st = gla_arch_copy_layer(&b->mixers[i], &source.mixers[i]);
        b->n_mixers = i + 1;
    }
    if (!st)
        st = gla_arch_copy_layer(&b->ffn, &source.ffn);
    if (!st)
        st = gla_arch_copy_layer(&b->norm, &source.norm);
    b->norm_at = source.norm_at;
    b->mixer_skip = source.mixer_skip;
    b->mixer_residual = source.mixer_residual;
    b->ffn_skip = source.ffn_skip;
    b->ffn_residual = source.ffn_residual;
    b->weights_dtype = source.weights_dtype;
    b->line = source.line;
    b->column = source.column;
    return st ? NULL : b;
}

static gla_status copy_parts(gla_arch *to, const gla_arch *from)
{
    gla_status st = copy_text(&to->family, from->family);

    if (!st)
        st = copy_text(&to->source, from->source);
    if (!st)
        st = gla_arch_copy_layer(&to->norm, &from->norm);
    if (!st)
        st = gla_arch_copy_layer(&to->final_norm, &from->final_norm);
    if (!st)
        st = gla_arch_copy_layer(&to->embedding, &from->embedding);
    if (!st)
        st = gla_arch_copy_layer(&to->embedding_norm, &from->embedding_norm);
    if (!st)
        st = gla_arch_copy_layer(&to->head, &from->head);
    for (uint32_t i = 0; !st && i < from->n_blocks; i++)
        st = gla_arch_copy_block(to, &from->blocks[i], from->blocks[i].name) ? GLA_OK : GLA_E_NOMEM;
    if (!st)
        st = gla_arch_set_layers(to, from->layers, from->n_layers);
    return st;
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

gla_status gla_arch_copy(const gla_arch *arch, gla_arch **out)
{
    gla_arch *a;
    gla_status st;

    *out = NULL;
    if (!gla__arch_is_sound(arch))
        return GLA_E_INVALID;
    a = gla_arch_new(arch->name);
    st = a ? copy_parts(a, arch) : GLA_E_NOMEM;
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
