/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/fla.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/import/llama.h"

#define UNASSIGNED UINT32_MAX

const gla__model_defaults gla__fla_usual = {.vocab_size = 32000,
                                            .hidden_size = 2048,
                                            .layers = 24,
                                            .max_positions = 2048,
                                            .norm_eps = 1e-6};

static bool is_samba(gla__import *im)
{
    return gla__config_is(im->cfg, "model_type", "samba");
}

/* Where a family keeps its tensors. */
static gla__llama_names names_of(gla__import *im)
{
    gla__llama_names n = {
        .root = "model.", .mixer = "attn.", .mixer_norm = "attn_norm.", .ffn_norm = "mlp_norm."};

    if (is_samba(im)) {
        n.root = "backbone.";
        n.mixer = "mixer.";
        n.mixer_norm = "mixer_norm.";
        n.final_norm = "norm_f.";
    }
    n.embedding = gla__source_format(im, "%sembed_tokens.weight", n.root) ? "embed_tokens.weight"
                                                                          : "embeddings.weight";
    return n;
}

/* ---- architecture ---------------------------------------------------------------- */

uint32_t gla__fla_width(gla__import *im, const char *key, double def)
{
    const double x = gla__config_float(im->cfg, key, def) * gla__hidden_size(im);

    /* 0.29 * 100 is 28.999999999999996 */
    if (x >= 1 && x <= GLA__MAX_WIDTH)
        return (uint32_t)(fabs(x - round(x)) <= 1e-9 * x ? round(x) : x);
    gla__config_refuse(im->cfg, key, "no sensible width comes out");
    return 1;
}

uint32_t gla__fla_first(const gla__import *im)
{
    for (uint32_t i = 0; i < im->n_layers; i++)
        if (im->layers[i] == gla__block_last(im))
            return i;
    return 0;
}

void gla__fla_heads(gla__import *im, gla_arch_layer *l, uint32_t heads, double expand_k,
                    double expand_v)
{
    const int64_t given = gla__config_int(im->cfg, "num_heads", heads, 1, GLA__MAX_HEADS);

    gla__set_number(im, l, "heads", (double)given);
    gla__set_unless(im, l, "kv_heads",
                    (double)gla__config_int(im->cfg, "num_kv_heads", given, 1, GLA__MAX_HEADS),
                    (double)given);
    gla__set_number(im, l, "k_dim", gla__fla_width(im, "expand_k|exapnd_k", expand_k));
    gla__set_number(im, l, "v_dim", gla__fla_width(im, "expand_v|exapnd_v", expand_v));
}

void gla__fla_conv(gla__import *im, gla_arch_layer *l, uint32_t def, bool wanted, const char *taps)
{
    const int64_t width = gla__config_int(im->cfg, "conv_size", 4, 1, 64);
    const gla__llama_names at = names_of(im);
    const bool has = gla__has_tensor(im, wanted, "%slayers.%u.%s%s", at.root, gla__fla_first(im),
                                     at.mixer, taps);

    if (has != wanted)
        gla__note(im, "config.json asks for %s short convolution, the tensors have %s: they decide",
                  wanted ? "a" : "no", has ? "one" : "none");
    gla__set_unless(im, l, "conv", has ? (double)width : 0, def);
}

void gla__fla_gated_delta(gla__import *im, gla_arch_layer *l, uint32_t key_heads, uint32_t head_dim,
                          double expand_v)
{
    gla__config *c = im->cfg;
    const int64_t keys = gla__config_int(c, "num_heads", key_heads, 1, GLA__MAX_HEADS);
    const int64_t heads = gla__config_int(c, "num_v_heads", keys, 1, GLA__MAX_HEADS);
    const int64_t k = gla__config_int(c, "head_dim", head_dim, 1, 4096);
    const double v = (double)k * gla__config_float(c, "expand_v", expand_v);

    if (!(v >= 1 && v <= 4096))
        gla__config_refuse(c, "expand_v", "no sensible width comes out");
    gla__set_number(im, l, "heads", (double)heads);
    gla__set_unless(im, l, "key_heads", (double)keys, (double)heads);
    gla__set_number(im, l, "head_k_dim", (double)k);
    gla__set_number(im, l, "head_v_dim", floor(v));
    gla__fla_conv(im, l, 4, gla__config_bool(c, "use_short_conv", true), "q_conv1d.weight");
    gla__set_flag(im, l, "neg_eigval", gla__config_bool(c, "allow_neg_eigval", false), false);
}

/* Inner width of the ffn: given, or 2/3 of ratio * hidden_size, a multiple of 256 above. */
static uint32_t inner_width(gla__import *im)
{
    const uint32_t d = gla__hidden_size(im);
    /* RetNet alone has another default */
    const double def = gla__config_is(im->cfg, "model_type", "retnet") ? 2 : 4;
    const double ratio = gla__config_float(im->cfg, "hidden_ratio", def);
    const double wanted = floor(d * ratio * 2 / 3);
    const gla_tensor_info *down =
        gla__source_format(im, "%slayers.0.mlp.down_proj.weight", names_of(im).root);
    uint32_t n = 256;

    if (wanted >= 0 && wanted <= GLA__MAX_WIDTH)
        n = 256 * (uint32_t)ceil(wanted / 256);
    else
        gla__config_refuse(im->cfg, "hidden_ratio", "no sensible width comes out");
    if (is_samba(im))
        gla__config_ignore(im->cfg, "intermediate_size"); /* of its Mamba layers */
    else
        n = (uint32_t)gla__config_int(im->cfg, "intermediate_size", n, 1, GLA__MAX_WIDTH);
    if (down && down->n_elements / d != n && down->n_elements % d == 0 &&
        down->n_elements / d <= GLA__MAX_WIDTH) {
        gla__note(im, "config.json gives the ffn %u channels, the tensors have %u: taking those", n,
                  (uint32_t)(down->n_elements / d));
        n = (uint32_t)(down->n_elements / d);
    }
    return n;
}

static void set_ffn(gla__import *im, gla_arch_block *b)
{
    gla__set_type(im, &b->ffn, "swiglu");
    gla__set_number(im, &b->ffn, "d_ff", inner_width(im));
}

/* One softmax block: the keys of a spec, or, with an empty prefix, of fla's own transformer. */
void gla__fla_softmax(gla__import *im, gla_arch_block *b, const char *spec, uint32_t default_heads,
                      uint32_t first_layer)
{
    gla__config *c = im->cfg;
    const gla__llama_names at = names_of(im);
    gla_arch_layer *l = gla__set_mixer(im, b, "attention");
    const int64_t heads = gla__config_int(c, gla__config_key(c, "%snum_heads", spec), default_heads,
                                          1, GLA__MAX_HEADS);
    const int64_t kv_heads =
        gla__config_int(c, gla__config_key(c, "%snum_kv_heads", spec), heads, 1, GLA__MAX_HEADS);
    const bool bias =
        gla__config_bool(c, gla__config_key(c, "%sqkv_bias|%sattention_bias", spec, spec), false);
    const int64_t window =
        gla__config_int(c, gla__config_key(c, "%swindow_size", spec), 0, 0, 1 << 24);

    gla__set_number(im, l, "heads", (double)heads);
    gla__set_unless(im, l, "kv_heads", (double)kv_heads, (double)heads);
    gla__set_flag(
        im, l, "qkv_bias",
        gla__has_tensor(im, bias, "%slayers.%u.%sq_proj.bias", at.root, first_layer, at.mixer),
        false);
    if (!*spec && gla__config_bool(c, "qk_norm", false)) { /* a spec's is never read */
        gla__set_text(im, l, "qk_norm", "head");
        gla__set_number(im, l, "qk_norm_eps", 1e-5); /* fla's default, whatever norm_eps is */
    }
    gla__set_unless(im, l, "window", (double)window, 0);
    gla__set_number(im, l, "rope.theta",
                    gla__config_float(c, gla__config_key(c, "%srope_theta", spec), 10000));
    set_ffn(im, b);
}

/* The layers of one spec get a block of their own. */
static void add_spec(gla__import *im, const char *spec, uint32_t number)
{
    gla__config *c = im->cfg;
    const char *list = gla__config_key(c, "%slayers", spec);
    const uint32_t n = gla__config_length(c, list);
    uint32_t first = 0;
    gla_arch_block *b;
    char name[24];

    if (!gla__config_has(c, list))
        gla__config_refuse(c, list, "an attn spec says which layers it is for");
    if (!n)
        return;
    if (!gla__config_has(c, gla__config_key(c, "%snum_heads", spec)))
        gla__config_refuse(c, gla__config_key(c, "%snum_heads", spec), "an attn spec needs it");
    snprintf(name, sizeof(name), number ? "attn%u" : "attn", number + 1);
    b = gla__block_add(im, name);
    for (uint32_t i = 0; b && i < n; i++) {
        const char *key = gla__config_key(c, "%slayers.%u", spec, i);
        const int64_t layer = gla__config_int(c, key, -1, 0, (int64_t)im->n_layers - 1);

        if (layer < 0)
            return; /* refused */
        if (im->layers[layer] != UNASSIGNED)
            gla__config_refuse(c, key, "this layer is in the list of an attn spec twice");
        im->layers[layer] = gla__block_last(im);
        if (!i)
            first = (uint32_t)layer;
    }
    if (b)
        gla__fla_softmax(im, b, spec, 1, first);
}

gla_arch_block *gla__fla_blocks(gla__import *im, const gla__model_defaults *d, const char *name,
                                const char *type)
{
    static const char *const activations[] = {"swish", "silu", NULL};
    gla__config *c = im->cfg;
    const uint32_t n_specs = gla__config_length(c, "attn");
    gla_arch_block *b = NULL;

    gla__model(im, d);
    gla__config_only(c, "hidden_act", d->hidden_acts ? d->hidden_acts : activations);
    if (gla__config_has(c, "attnres_block_size"))
        gla__config_refuse(c, "attnres_block_size", "not supported");
    for (uint32_t i = 0; i < im->n_layers; i++)
        im->layers[i] = UNASSIGNED;
    for (uint32_t i = 0; i < n_specs; i++) {
        char spec[24];

        snprintf(spec, sizeof(spec), "attn.%u.", i);
        add_spec(im, spec, i);
    }
    if (gla__config_has(c, "attn.layers") || gla__config_has(c, "attn.num_heads"))
        add_spec(im, "attn.", 0);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        if (im->layers[i] != UNASSIGNED)
            continue;
        if (!b)
            b = gla__block_add(im, name);
        im->layers[i] = gla__block_last(im);
    }
    if (b) {
        gla__set_mixer(im, b, type);
        set_ffn(im, b);
    }
    return b;
}

void gla__fla_feature_map(gla__import *im, gla_arch_layer *l)
{
    /* fla's gelu is the tanh form */
    static const char *const names[][2] = {
        {"relu", "relu"},  {"sigmoid", "sigmoid"}, {"logsigmoid", "log_sigmoid"}, {"silu", "silu"},
        {"swish", "silu"}, {"sqrelu", "relu2"},    {"gelu", "gelu_tanh"},         {NULL, NULL}};
    const char *given = gla__config_string(im->cfg, "feature_map", NULL);

    if (!given)
        return;
    for (size_t i = 0; names[i][0]; i++)
        if (!strcmp(given, names[i][0])) {
            gla__set_text(im, l, "feature_map", names[i][1]);
            return;
        }
    gla__config_refuse(im->cfg, "feature_map", "no such feature map here");
}

/* ---- tensors -------------------------------------------------------------------------- */

/* Until February 2025 gate_proj was [gate; up] in one. */
static void split_fused_gate(gla__import *im, const char *root, uint32_t layer)
{
    const gla_tensor_info *gate =
        gla__source_format(im, "%slayers.%u.mlp.gate_proj.weight", root, layer);
    const gla_tensor_info *down =
        gla__source_format(im, "%slayers.%u.mlp.down_proj.weight", root, layer);
    char ours[64];

    if (!gate || !down || gate->n_elements != 2 * down->n_elements ||
        gla__source_format(im, "%slayers.%u.mlp.up_proj.weight", root, layer))
        return;
    snprintf(ours, sizeof(ours), "layers.%u.ffn.gate_proj.weight", layer);
    gla__map_range(im, ours, gate->name, 0, down->n_elements);
    snprintf(ours, sizeof(ours), "layers.%u.ffn.up_proj.weight", layer);
    gla__map_range(im, ours, gate->name, down->n_elements, down->n_elements);
}

void gla__fla_tensors(gla__import *im, const char *const *renamed)
{
    const gla__llama_names names = names_of(im);
    char ours[96], source[96];

    gla__llama_tensors(im, &names);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        split_fused_gate(im, names.root, i);
        snprintf(ours, sizeof(ours), "layers.%u.mixer.", i);
        snprintf(source, sizeof(source), "%slayers.%u.%s", names.root, i, names.mixer);
        if (renamed && !gla__is_type(&gla__block_of(im, i)->mixers[0], "attention"))
            gla__map_names(im, ours, source, renamed);
    }
    gla__map_ignore(im, "*.rotary.inv_freq");
    gla__map_ignore(im, "*.attn.D"); /* left over from an early Gated DeltaNet */
}

void gla__fla_plain_tensors(gla__import *im)
{
    gla__fla_tensors(im, NULL);
}
