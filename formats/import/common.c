/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/common.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/weights/gguf.h"

/* ---- blocks -------------------------------------------------------------------- */

static void stick(gla__import *im, gla_status st)
{
    if (st && !im->status)
        im->status = st;
}

gla_arch_block *gla__block_add(gla__import *im, const char *name)
{
    gla_arch_block *b;

    stick(im, gla_arch_add_block(im->arch, name, &b, NULL));
    return b;
}

uint32_t gla__block_last(const gla__import *im)
{
    return im->arch->n_blocks ? im->arch->n_blocks - 1 : 0;
}

gla_arch_block *gla__block_copy(gla__import *im, uint32_t from, const char *name)
{
    gla_arch_block *b;

    stick(im, gla_arch_copy_block(im->arch, &im->arch->blocks[from], name, &b, NULL));
    return b;
}

void gla__layers_make(gla__import *im, uint32_t n)
{
    gla__free(im->layers);
    im->layers = gla__alloc_array(n ? n : 1, sizeof(*im->layers));
    im->n_layers = im->layers ? n : 0;
    if (!im->layers)
        stick(im, GLA_E_NOMEM);
}

const gla_arch_block *gla__block_of(const gla__import *im, uint32_t layer)
{
    return &im->arch->blocks[im->layers[layer]];
}

bool gla__is_type(const gla_arch_layer *l, const char *type)
{
    return l->type && !strcmp(l->type, type);
}

uint64_t gla__param_of(const gla_arch_layer *l, const char *name, uint64_t def)
{
    const gla_arch_param *p = gla_arch_param_find(l, name);

    return p ? (uint64_t)p->number : def;
}

/* ---- parameters -------------------------------------------------------------------- */

void gla__set_type(gla__import *im, gla_arch_layer *layer, const char *type)
{
    stick(im, gla_arch_layer_init(layer, type, NULL));
}

gla_arch_layer *gla__set_mixer(gla__import *im, gla_arch_block *b, const char *type)
{
    if (!b->n_mixers)
        b->n_mixers = 1;
    gla__set_type(im, &b->mixers[0], type);
    return &b->mixers[0];
}

void gla__set_number(gla__import *im, gla_arch_layer *layer, const char *name, double value)
{
    stick(im, gla_arch_set_number(layer, name, value, NULL));
}

void gla__set_unless(gla__import *im, gla_arch_layer *layer, const char *name, double value,
                     double def)
{
    if (value < def || value > def)
        gla__set_number(im, layer, name, value);
}

void gla__set_flag(gla__import *im, gla_arch_layer *layer, const char *name, bool value, bool def)
{
    if (value != def)
        stick(im, gla_arch_set_bool(layer, name, value, NULL));
}

void gla__set_text(gla__import *im, gla_arch_layer *layer, const char *name, const char *value)
{
    stick(im, gla_arch_set_string(layer, name, value, NULL));
}

void gla__set_list(gla__import *im, gla_arch_layer *layer, const char *name, const double *values,
                   uint32_t n)
{
    stick(im, gla_arch_set_list(layer, name, values, n, NULL));
}

const char *gla__activation(gla__import *im, const char *key, const char *def)
{
    static const char *const names[][2] = {
        {"silu", "silu"},           {"swish", "silu"},
        {"sigmoid", "sigmoid"},     {"relu", "relu"},
        {"relu2", "relu2"},         {"sqrelu", "relu2"},
        {"gelu", "gelu"},           {"gelu_python", "gelu"},
        {"gelu_new", "gelu_tanh"},  {"gelu_pytorch_tanh", "gelu_tanh"},
        {"gelu_tanh", "gelu_tanh"}, {"gelu_fast", "gelu_tanh"},
        {"tanh", "tanh"},           {"softplus", "softplus"},
        {"linear", "none"},
    };
    const char *given = gla__config_string(im->cfg, key, def);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i][0], given))
            return names[i][1];
    gla__config_refuse(im->cfg, key, "no such activation here");
    return "silu";
}

void gla__set_activation(gla__import *im, gla_arch_layer *layer, const char *name, const char *key,
                         const char *def, const char *layer_def)
{
    const char *activation = gla__activation(im, key, def);

    if (strcmp(activation, layer_def))
        gla__set_text(im, layer, name, activation);
}

void gla__only_silu(gla__import *im, const char *key)
{
    static const char *const silu[] = {"silu", "swish", NULL};

    gla__config_only(im->cfg, key, silu);
}

/* ---- the model ----------------------------------------------------------------------- */

uint32_t gla__hidden_size(const gla__import *im)
{
    return im->arch->d_model;
}

bool gla__has_tensor(const gla__import *im, bool def, const char *format, ...)
{
    char name[256];
    va_list args;

    if (!im->source)
        return def;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    return gla_weights_find(im->source, name) != NULL;
}

/* Tiny test models keep the token ids of the large model whose config they took. */
static bool is_token(gla__import *im, const char *key, double id)
{
    if (id < 0 || id < im->arch->vocab_size)
        return id >= 0;
    gla__note(im, "%s %.0f is outside of the vocabulary: leaving it out", key, id);
    return false;
}

static int32_t token(gla__import *im, const char *key)
{
    const int64_t id = gla__config_int(im->cfg, key, -1, -1, INT32_MAX);

    return is_token(im, key, (double)id) ? (int32_t)id : -1;
}

/* One number, or a list of them. */
static void read_eos(gla__import *im)
{
    double list[8];
    int32_t one;

    if (gla__config_length(im->cfg, "eos_token_id")) {
        const uint32_t n = gla__config_list(im->cfg, "eos_token_id", list, 8);

        for (uint32_t i = 0; i < n; i++)
            if (is_token(im, "eos_token_id", list[i]))
                im->arch->eos_tokens[im->arch->n_eos++] = (int32_t)list[i];
        return;
    }
    one = token(im, "eos_token_id");
    im->arch->n_eos = one >= 0;
    im->arch->eos_tokens[0] = one;
}

bool gla__has_head(const gla__import *im)
{
    static const char *const names[] = {"lm_head.weight", "language_model.lm_head.weight",
                                        "head.weight", "output.weight" /* gguf */};
    bool has = !im->source;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        has = has || gla_weights_find(im->source, names[i]);
    return has;
}

void gla__model(gla__import *im, const gla__model_defaults *d)
{
    gla_arch *a = im->arch;
    gla__config *c = im->cfg;
    const char *eps_keys =
        d->norm_eps_keys ? d->norm_eps_keys : "norm_eps|rms_norm_eps|layer_norm_epsilon";
    bool tie;

    a->vocab_size =
        (uint32_t)gla__config_int(c, "vocab_size", d->vocab_size, 1, GLA__ARCH_MAX_VOCAB);
    a->d_model = (uint32_t)gla__config_int(c, "hidden_size|d_model|n_embd", d->hidden_size, 1,
                                           GLA__ARCH_MAX_D_MODEL);
    a->max_positions = (uint32_t)gla__config_int(c, "max_position_embeddings", d->max_positions, 0,
                                                 GLA__ARCH_MAX_POSITIONS);
    a->bos_token = token(im, "bos_token_id");
    read_eos(im);
    gla__set_type(im, &a->norm, "rmsnorm");
    gla__set_number(im, &a->norm, "eps", gla__config_float(c, eps_keys, d->norm_eps));
    tie = gla__config_bool(c, "tie_embedding|tie_word_embeddings", d->tie);
    if (!tie && !gla__has_head(im)) {
        gla__note(im, "config.json says tie_word_embeddings false, but there is no lm_head.weight: "
                      "the head uses the embedding");
        tie = true;
    }
    a->tie_embeddings = tie;
    gla__layers_make(im, (uint32_t)gla__config_int(c, "num_hidden_layers|n_layer|n_layers",
                                                   d->layers, 1, GLA__ARCH_MAX_LAYERS));
}

void gla__never_bos(gla__import *im)
{
    if (!im->source || !gla__is_gguf(im->source)) /* gguf says it of each model */
        im->arch->bos_token = -1;
}

/* ---- texts ----------------------------------------------------------------------------- */

gla__name gla__name_of(const char *format, ...)
{
    gla__name name;
    va_list args;

    va_start(args, format);
    vsnprintf(name.text, sizeof(name.text), format, args);
    va_end(args);
    return name;
}

void gla__note(gla__import *im, const char *format, ...)
{
    char text[256], *copy;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    copy = gla__strdup(text);
    if (!copy || gla__grow((void **)&im->notes, &im->cap_notes, im->n_notes, sizeof(copy))) {
        gla__free(copy);
        im->status = GLA_E_NOMEM;
        return;
    }
    im->notes[im->n_notes++] = copy;
}
