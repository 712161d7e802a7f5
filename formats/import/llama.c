/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/llama.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/weights/gguf.h"

/* ---- rotary positions ------------------------------------------------------------- */

#define MAX_FACTORS 2048

/* "rope_parameters.factor|rope_scaling.factor" */
static const char *rope_key(gla__import *im, const char *name)
{
    return gla__config_key(im->cfg, "rope_parameters.%s|rope_scaling.%s", name, name);
}

static void rope_number(gla__import *im, gla_arch_layer *l, const char *key, const char *param)
{
    const char *k = rope_key(im, key);

    if (gla__config_has(im->cfg, k))
        gla__set_number(im, l, param, gla__config_float(im->cfg, k, 0));
}

static void rope_factors(gla__import *im, gla_arch_layer *l, const char *key, const char *param)
{
    double *list = gla__alloc_array(MAX_FACTORS, sizeof(*list));
    uint32_t n;

    if (!list) {
        im->status = GLA_E_NOMEM;
        return;
    }
    n = gla__config_list(im->cfg, rope_key(im, key), list, MAX_FACTORS);
    gla__set_list(im, l, param, list, n);
    gla__free(list);
}

/* The position count before extension: given at the top (Phi-3), with the scaling, or the model's.
 */
static void rope_original(gla__import *im, gla_arch_layer *l)
{
    const char *k = rope_key(im, "original_max_position_embeddings");
    double x = gla__config_float(im->cfg, k, im->arch->max_positions);

    x = gla__config_float(im->cfg, "original_max_position_embeddings", x);
    if (x > 0)
        gla__set_number(im, l, "rope.original_positions", x);
}

static void rope_needs(gla__import *im, const char *key)
{
    if (!gla__config_has(im->cfg, rope_key(im, key)))
        gla__config_refuse(im->cfg, rope_key(im, key), "these rotary positions need it");
}

static void rope_scaling(gla__import *im, gla_arch_layer *l, const char *type)
{
    gla__set_text(im, l, "rope.type", type);
    if (strcmp(type, "yarn") && strcmp(type, "longrope")) /* those can derive it */
        rope_needs(im, "factor");
    rope_number(im, l, "factor", "rope.factor");
    if (!strcmp(type, "linear"))
        return;
    rope_original(im, l);
    if (!strcmp(type, "llama3")) {
        rope_needs(im, "low_freq_factor");
        rope_needs(im, "high_freq_factor");
        rope_number(im, l, "low_freq_factor", "rope.low_freq_factor");
        rope_number(im, l, "high_freq_factor", "rope.high_freq_factor");
    } else if (!strcmp(type, "yarn")) {
        rope_number(im, l, "beta_fast", "rope.beta_fast");
        rope_number(im, l, "beta_slow", "rope.beta_slow");
        rope_number(im, l, "mscale", "rope.mscale");
        rope_number(im, l, "mscale_all_dim", "rope.mscale_all_dim");
        rope_number(im, l, "attention_factor", "rope.attention_factor");
        if (!gla__config_bool(im->cfg, rope_key(im, "truncate"), true))
            gla__config_refuse(im->cfg, rope_key(im, "truncate"), "not supported");
    } else if (!strcmp(type, "longrope")) {
        rope_number(im, l, "attention_factor", "rope.attention_factor");
        rope_factors(im, l, "short_factor", "rope.short_factor");
        rope_factors(im, l, "long_factor", "rope.long_factor");
    }
}

/* transformers takes rope_scaling where both are given, which drops what rope_parameters says. */
static void one_rope_only(gla__import *im)
{
    static const char *const keys[] = {"rope_parameters.rope_type|rope_parameters.type",
                                       "rope_scaling.rope_type|rope_scaling.type"};
    const char *const both[] = {gla__config_string(im->cfg, keys[0], "default"),
                                gla__config_string(im->cfg, keys[1], "default")};

    if (gla__config_has(im->cfg, "rope_parameters") && gla__config_has(im->cfg, "rope_scaling") &&
        strcmp(both[0], both[1]))
        gla__config_refuse(im->cfg, "rope_scaling", "rope_parameters says something else");
}

static void set_rope(gla__import *im, gla_arch_layer *l, uint32_t head_dim, double theta,
                     double partial)
{
    /* mrope: positions of images; for text it is plain rotation */
    static const char *const types[][2] = {{"default", "default"},   {"mrope", "default"},
                                           {"linear", "linear"},     {"dynamic", "dynamic"},
                                           {"llama3", "llama3"},     {"yarn", "yarn"},
                                           {"longrope", "longrope"}, {"su", "longrope"}};
    static const char of_kinds[] =
        "rope_parameters.full_attention|rope_parameters.sliding_attention";
    char type_key[128];
    const char *type, *ours = NULL;
    double dims;

    one_rope_only(im);
    if (gla__config_has(im->cfg, of_kinds))
        gla__config_refuse(im->cfg, of_kinds, "positions by kind of layer are not supported");
    theta = gla__config_float(im->cfg, "rope_theta", theta);
    theta = gla__config_float(im->cfg, rope_key(im, "rope_theta"), theta);
    gla__set_number(im, l, "rope.theta", theta);

    partial = gla__config_float(im->cfg, "partial_rotary_factor", partial);
    partial = gla__config_float(im->cfg, rope_key(im, "partial_rotary_factor"), partial);
    dims = floor(head_dim * partial);
    if (!(dims >= 1 && dims <= head_dim))
        gla__config_refuse(im->cfg, "rope_parameters.partial_rotary_factor|partial_rotary_factor",
                           "expected a part of a head");
    gla__set_unless(im, l, "rope.dims", dims, head_dim);

    snprintf(type_key, sizeof(type_key), "%s|%s", rope_key(im, "rope_type"), rope_key(im, "type"));
    type = gla__config_string(im->cfg, type_key, "default");
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(type, types[i][0]))
            ours = types[i][1];
    if (!ours)
        gla__config_refuse(im->cfg, type_key, "no such rotary positions here");
    else if (strcmp(ours, "default"))
        rope_scaling(im, l, ours);
}

/* Most families' code rotates all of a head and never reads this key; in gguf it means something.
 */
static void rotates_all(gla__import *im)
{
    char key[160];

    snprintf(key, sizeof(key), "%s|partial_rotary_factor", rope_key(im, "partial_rotary_factor"));
    if (gla__config_float(im->cfg, key, 1) < 1 && !(im->source && gla__is_gguf(im->source)))
        gla__config_refuse(im->cfg, key, "this family's code rotates all of a head");
}

/* ---- attention ----------------------------------------------------------------------- */

void gla__llama_attention_set(gla__import *im, gla_arch_block *b, const gla__llama_attention *a)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = gla__set_mixer(im, b, "attention");
    const int64_t heads =
        gla__config_int(c, "num_attention_heads", a->heads ? a->heads : 32, 1, GLA__MAX_HEADS);
    /* null says something else than nothing: as many as heads */
    const bool other = a->kv_heads && !gla__config_is_null(c, "num_key_value_heads");
    const int64_t kv_heads =
        gla__config_int(c, "num_key_value_heads", other ? a->kv_heads : heads, 1, GLA__MAX_HEADS);
    const int64_t usual = gla__hidden_size(im) / heads;
    const int64_t head_dim =
        gla__config_int(c, "head_dim", a->head_dim ? a->head_dim : usual, 1, 4096);
    const bool bias = gla__config_bool(c, "attention_bias", false);

    if (!head_dim)
        gla__config_refuse(c, "num_attention_heads", "hidden_size leaves them no channels");
    gla__set_number(im, l, "heads", (double)heads);
    gla__set_unless(im, l, "kv_heads", (double)kv_heads, (double)heads);
    gla__set_unless(im, l, "head_dim", (double)head_dim,
                    gla__hidden_size(im) % heads ? 0 : (double)usual);
    gla__set_flag(im, l, "qkv_bias", a->always_qkv_bias || bias, false);
    gla__set_flag(im, l, "out_bias", !a->always_qkv_bias && bias, false);
    if (a->qk_norm)
        gla__set_text(im, l, "qk_norm", a->qk_norm);
    if (a->no_rope)
        gla__set_text(im, l, "rope.type", "none");
    else
        set_rope(im, l, (uint32_t)head_dim, a->rope_theta > 0 ? a->rope_theta : 10000,
                 a->rotary > 0 ? a->rotary : 1);
    if (!a->no_rope && !(a->rotary > 0))
        rotates_all(im);
}

void gla__llama_ffn(gla__import *im, gla_arch_block *b, uint32_t d_ff)
{
    gla__set_type(im, &b->ffn, "swiglu");
    gla__set_number(im, &b->ffn, "d_ff",
                    (double)gla__config_int(im->cfg, "intermediate_size", d_ff, 1, GLA__MAX_WIDTH));
    gla__set_activation(im, &b->ffn, "activation", "hidden_act", "silu", "silu");
    gla__set_flag(im, &b->ffn, "bias", gla__config_bool(im->cfg, "mlp_bias", false), false);
}

/* ---- sliding windows --------------------------------------------------------------------- */

static bool layer_has_window(gla__import *im, uint32_t layer, uint32_t from)
{
    const char *key, *type;

    if (!gla__config_has(im->cfg, "layer_types"))
        return layer >= from;
    key = gla__config_key(im->cfg, "layer_types.%u", layer);
    type = gla__config_string(im->cfg, key, "");
    if (!strcmp(type, "sliding_attention"))
        return true;
    if (strcmp(type, "full_attention"))
        gla__config_refuse(im->cfg, key, "expected full_attention or sliding_attention");
    return false;
}

void gla__llama_windows(gla__import *im, uint32_t default_window, uint32_t default_from)
{
    gla__config *c = im->cfg;
    const bool off = gla__config_is_null(c, "sliding_window") ||
                     !gla__config_bool(c, "use_sliding_window", true);
    const int64_t window =
        off ? 0 : gla__config_int(c, "sliding_window", default_window, 0, 1 << 24);
    const uint32_t from =
        (uint32_t)gla__config_int(c, "max_window_layers", default_from, 0, GLA__ARCH_MAX_LAYERS);
    uint32_t with = 0;

    for (uint32_t i = 0; i < im->n_layers; i++) {
        im->layers[i] = layer_has_window(im, i, from);
        with += im->layers[i];
    }
    if (!window && with && gla__config_has(c, "layer_types"))
        gla__config_refuse(c, "layer_types", "sliding_attention without a sliding_window");
    if (window && with == im->n_layers && im->arch->n_blocks)
        gla__set_number(im, &im->arch->blocks[0].mixers[0], "window", (double)window);
    if (window && with && with < im->n_layers) {
        gla_arch_block *b = gla__block_copy(im, 0, "window");

        if (b)
            gla__set_number(im, &b->mixers[0], "window", (double)window);
        return;
    }
    for (uint32_t i = 0; i < im->n_layers; i++)
        im->layers[i] = 0;
}

/* ---- tensors ------------------------------------------------------------------------------- */

static const char *or_usual(const char *name, const char *usual)
{
    return name ? name : usual;
}

void gla__layer_rule(gla__import *im, uint32_t layer, const char *ours, const char *root,
                     const char *source)
{
    char a[128], b[128];

    snprintf(a, sizeof(a), "layers.%u.%s", layer, ours);
    snprintf(b, sizeof(b), "%slayers.%u.%s", root, layer, source);
    gla__map_prefix(im, a, b);
}

void gla__llama_tensors(gla__import *im, const gla__llama_names *names)
{
    static const gla__llama_names usual = {0};
    const gla__llama_names *n = names ? names : &usual;
    const char *root = or_usual(n->root, "model.");
    char name[128];

    snprintf(name, sizeof(name), "%s%s", root, or_usual(n->embedding, "embed_tokens.weight"));
    gla__map_prefix(im, "embed.weight", name);
    snprintf(name, sizeof(name), "%s%s", root, or_usual(n->final_norm, "norm."));
    gla__map_prefix(im, "final_norm.", name);
    gla__map_prefix(im, "head.", or_usual(n->head, "lm_head."));
    for (uint32_t i = 0; i < im->n_layers; i++) {
        gla__layer_rule(im, i, "mixer.", root, or_usual(n->mixer, "self_attn."));
        gla__layer_rule(im, i, "ffn.", root, or_usual(n->ffn, "mlp."));
        gla__layer_rule(im, i, "mixer_norm.", root, or_usual(n->mixer_norm, "input_layernorm."));
        gla__layer_rule(im, i, "ffn_norm.", root,
                        or_usual(n->ffn_norm, "post_attention_layernorm."));
    }
    gla__map_ignore(im, "*rotary_emb.inv_freq");
}

void gla__backbone_tensors(gla__import *im)
{
    const gla__llama_names names = {
        .root = "backbone.",
        .mixer = "mixer.",
        .mixer_norm = "norm.",
        .embedding =
            gla__source(im, "backbone.embedding.weight") ? "embedding.weight" : "embeddings.weight",
        .final_norm = "norm_f.",
    };

    gla__llama_tensors(im, &names);
}
