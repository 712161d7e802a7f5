/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_tensors.c - where our tensors lie in a gguf file
 *
 *   mamba, delta rules  ssm_a is -exp(A_log)
 *   qwen35, qwen35moe   value head r of key head k stands at r * key_heads + k, so that key heads
 *                       repeat as a whole; ours and the published ones stand at k * per + r
 *   qwen3next           keeps the published order; b and a of each key head are interleaved
 */
#include "formats/import/gguf_config.h"
#include "formats/import/moe.h"
#include "formats/weights/gguf.h"

/* One layer of a gated delta rule. */
typedef struct delta {
    gla__import *im;
    gla__name ours, theirs; /* prefixes: "layers.3.mixer.", "blk.3." */
    uint64_t keys, per;     /* key heads, value heads of each */
    uint64_t k, v;          /* channels of a head */
    bool tiled;
} delta;

static gla__name ours_of(const delta *l, const char *name)
{
    return gla__name_of("%s%s", l->ours.text, name);
}

static gla__name theirs_of(const delta *l, const char *name)
{
    return gla__name_of("%s%s", l->theirs.text, name);
}

/* Value heads of `each` elements, of which the first begins at `first`. */
static void map_value_heads(const delta *l, const char *ours, const char *theirs, uint64_t first,
                            uint64_t each)
{
    const gla__name a = ours_of(l, ours), b = theirs_of(l, theirs);

    for (uint64_t k = 0; l->tiled && k < l->keys; k++)
        for (uint64_t r = 0; r < l->per; r++)
            gla__map_range(l->im, a.text, b.text, first + (r * l->keys + k) * each, each);
    if (!l->tiled)
        gla__map_range(l->im, a.text, b.text, first, l->keys * l->per * each);
}

/* q, k and v are one tensor of `width` elements a channel. */
static void map_qkv(const delta *l, const char *const ours[3], const char *theirs, uint64_t width)
{
    const uint64_t keys = l->keys * l->k * width;
    const gla__name from = theirs_of(l, theirs);

    gla__map_range(l->im, ours_of(l, ours[0]).text, from.text, 0, keys);
    gla__map_range(l->im, ours_of(l, ours[1]).text, from.text, keys, keys);
    map_value_heads(l, ours[2], theirs, 2 * keys, l->v * width);
}

static void map_a(const delta *l)
{
    const gla__name a = theirs_of(l, "ssm_a"), ours = ours_of(l, "A_log");

    for (uint64_t k = 0; k < l->keys; k++)
        for (uint64_t r = 0; r < l->per; r++)
            gla__map_log_negated(l->im, ours.text, a.text,
                                 l->tiled ? r * l->keys + k : k * l->per + r, 1);
}

/* Inputs and gates; the published form groups them by key head. */
static void map_projections(const delta *l)
{
    static const char *const qkv[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight"};
    const uint64_t d = gla__hidden_size(l->im), v = l->per * l->v;
    const gla__fused in = {"ssm_in.weight", /* until the end of 2025 */
                           {qkv[0], qkv[1], qkv[2], "g_proj.weight"},
                           {l->k, l->k, v, v}};
    const gla__fused ba = {"ssm_ba.weight", {"b_proj.weight", "a_proj.weight"}, {l->per, l->per}};

    if (gla__source(l->im, theirs_of(l, in.source).text)) {
        gla__map_ungrouped(l->im, l->ours.text, l->theirs.text, &in, l->keys);
    } else {
        map_qkv(l, qkv, "attn_qkv.weight", d);
        map_value_heads(l, "g_proj.weight", "attn_gate.weight", 0, l->v * d);
    }
    if (gla__source(l->im, theirs_of(l, ba.source).text)) {
        gla__map_ungrouped(l->im, l->ours.text, l->theirs.text, &ba, l->keys);
    } else {
        map_value_heads(l, "b_proj.weight", "ssm_beta.weight", 0, d);
        map_value_heads(l, "a_proj.weight", "ssm_alpha.weight", 0, d);
    }
}

static void map_delta(gla__import *im, uint32_t layer)
{
    static const char *const taps[] = {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"};
    const gla_arch_layer *mixer = &gla__block_of(im, layer)->mixers[0];
    const uint64_t heads = gla__param_of(mixer, "heads", 1);
    const uint64_t keys = gla__param_of(mixer, "key_heads", heads);
    const delta l = {.im = im,
                     .ours = gla__name_of("layers.%u.mixer.", layer),
                     .theirs = gla__name_of("blk.%u.", layer),
                     .keys = keys,
                     .per = heads / keys,
                     .k = gla__param_of(mixer, "head_k_dim", 1),
                     .v = gla__param_of(mixer, "head_v_dim", 1),
                     .tiled = !gla__gguf_is_arch(im->source, "qwen3next")};
    const gla__columns columns = {(uint32_t)l.keys, (uint32_t)l.per, l.tiled ? l.v : 0};

    map_projections(&l);
    map_qkv(&l, taps, "ssm_conv1d.weight", gla__param_of(mixer, "conv", 4));
    map_a(&l);
    map_value_heads(&l, "dt_bias", "ssm_dt.bias", 0, 1);
    gla__map_prefix(im, ours_of(&l, "o_norm.").text, theirs_of(&l, "ssm_norm.").text);
    gla__map_columns(im, ours_of(&l, "o_proj.weight").text, theirs_of(&l, "ssm_out.weight").text,
                     &columns);
}

/* q, k and v of softmax may be one tensor. */
static void map_fused_qkv(gla__import *im, uint32_t layer)
{
    const gla_arch_layer *l = &gla__block_of(im, layer)->mixers[0];
    const uint64_t heads = gla__param_of(l, "heads", 1);
    const uint64_t dim = gla__param_of(l, "head_dim", gla__hidden_size(im) / heads);
    const uint64_t gate = gla_arch_param_find(l, "output_gate") ? 2 : 1;
    const uint64_t kv = gla__param_of(l, "kv_heads", heads) * dim;

    for (int bias = 0; bias < 2; bias++) {
        const uint64_t width = bias ? 1 : gla__hidden_size(im);
        const char *const ours[][4] = {{"q_proj.weight", "k_proj.weight", "v_proj.weight", NULL},
                                       {"q_proj.bias", "k_proj.bias", "v_proj.bias", NULL}};
        const char *const theirs[] = {bias ? "attn_qkv.bias" : "attn_qkv.weight", NULL};

        gla__map_cut(im, gla__name_of("layers.%u.mixer.", layer).text, ours[bias],
                     (const uint64_t[]){gate * heads * dim * width, kv * width, kv * width},
                     gla__name_of("blk.%u.", layer).text, theirs);
    }
}

static void map_names(gla__import *im, uint32_t layer)
{
    static const char *const names[][2] = {
        {"mixer_norm.", "attn_norm."},
        {"mixer.q_proj.", "attn_q."},
        {"mixer.k_proj.", "attn_k."},
        {"mixer.v_proj.", "attn_v."},
        {"mixer.o_proj.", "attn_output."},
        {"mixer.q_norm.", "attn_q_norm."},
        {"mixer.k_norm.", "attn_k_norm."},
        {"mixer.in_proj.", "ssm_in."},
        {"mixer.conv1d.", "ssm_conv1d."},
        {"mixer.x_proj.", "ssm_x."},
        {"mixer.dt_proj.", "ssm_dt."},
        {"mixer.D", "ssm_d"},
        {"mixer.out_proj.", "ssm_out."},
        {"ffn.gate_proj.", "ffn_gate."},
        {"ffn.up_proj.", "ffn_up."},
        {"ffn.down_proj.", "ffn_down."},
        {"ffn.router.", "ffn_gate_inp."},
        {"ffn.experts.gate_proj.", "ffn_gate_exps."},
        {"ffn.experts.up_proj.", "ffn_up_exps."},
        {"ffn.experts.down_proj.", "ffn_down_exps."},
        {"ffn.shared.gate.", "ffn_gate_inp_shexp."},
        {"ffn.shared.gate_proj.", "ffn_gate_shexp."},
        {"ffn.shared.up_proj.", "ffn_up_shexp."},
        {"ffn.shared.down_proj.", "ffn_down_shexp."},
    };

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
        gla__map_prefix(im, gla__name_of("layers.%u.%s", layer, names[n][0]).text,
                        gla__name_of("blk.%u.%s", layer, names[n][1]).text);
}

static void map_layer(gla__import *im, uint32_t layer)
{
    const gla__expert_names packed = {.gate_up = "ffn_gate_up_exps.weight",
                                      .down_packed = "ffn_down_exps.weight"};
    const gla_arch_block *b = gla__block_of(im, layer);
    const gla__name theirs = gla__name_of("blk.%u.", layer);
    const bool post = gla__is_type(&b->mixers[0], "gated_deltanet") ||
                      gla__source_format(im, "%spost_attention_norm.weight", theirs.text);

    map_names(im, layer);
    gla__map_prefix(
        im, gla__name_of("layers.%u.ffn_norm.", layer).text,
        gla__name_of("%s%s", theirs.text, post ? "post_attention_norm." : "ffn_norm.").text);
    if (gla__is_type(&b->mixers[0], "gated_deltanet")) {
        map_delta(im, layer);
    } else if (gla__is_type(&b->mixers[0], "mamba")) {
        const gla__name a = gla__name_of("%sssm_a", theirs.text);
        const gla_tensor_info *info = gla__source(im, a.text);

        gla__map_log_negated(im, gla__name_of("layers.%u.mixer.A_log", layer).text, a.text, 0,
                             info ? info->n_elements : 0);
    } else if (gla__source_format(im, "%sattn_qkv.weight", theirs.text)) {
        map_fused_qkv(im, layer);
    }
    if (gla__is_type(&b->ffn, "moe") &&
        gla__source_format(im, "%sffn_gate_up_exps.weight", theirs.text))
        gla__map_experts(im, layer, theirs.text, &packed);
}

void gla__gguf_tensors(gla__import *im)
{
    gla__map_prefix(im, "embed.", "token_embd.");
    gla__map_prefix(im, "final_norm.", "output_norm.");
    gla__map_prefix(im, "head.", "output.");
    for (uint32_t i = 0; i < im->n_layers; i++)
        map_layer(im, i);
    gla__map_ignore(im, "rope_freqs.weight"); /* in the architecture */
    /* layers that predict further tokens */
    for (uint32_t i = im->n_layers; gla__source_format(im, "blk.%u.nextn.eh_proj.weight", i); i++)
        gla__map_ignore(im, gla__name_of("blk.%u.*", i).text);
}
