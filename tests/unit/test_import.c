/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "formats/import/import.h"

static gla_status open_text(const char *json, const gla_weights *w, gla__import **im,
                            gla_diag *diag)
{
    return gla__import_open(json, strlen(json), "config.json", w, im, diag);
}

/* The architecture of a config as YAML contains all of these parts, ended by NULL. */
static void expect_yaml(const char *json, const char *const *parts)
{
    gla__import *im;
    gla_diag diag;
    char *yaml;
    size_t n;

    cr_assert_eq(open_text(json, NULL, &im, &diag), GLA_OK, "%s: %s", diag.where, diag.message);
    cr_assert_eq(gla_arch_print(im->arch, &yaml, &n, &diag), GLA_OK);
    for (; *parts; parts++)
        cr_expect(strstr(yaml, *parts), "\"%s\" is not in:\n%s", *parts, yaml);
    gla_text_free(yaml);
    gla__import_close(im);
}
#define EXPECT_YAML(json, ...) expect_yaml(json, (const char *const[]){__VA_ARGS__, NULL})

/* The names of the blocks, layer by layer. */
static void expect_layers(const char *json, const char *names)
{
    char text[256] = "";
    gla__import *im;

    cr_assert_eq(open_text(json, NULL, &im, NULL), GLA_OK);
    for (uint32_t i = 0; i < im->arch->n_layers; i++) {
        strcat(text, i ? " " : "");
        strcat(text, im->arch->blocks[im->arch->layers[i]].name);
    }
    cr_expect_str_eq(text, names);
    gla__import_close(im);
}

static void expect_refusal(const char *json, const char *where, const char *part)
{
    gla__import *im;
    gla_diag diag;

    cr_assert_eq(open_text(json, NULL, &im, &diag), GLA_E_UNSUPPORTED);
    cr_expect_null(im);
    cr_expect_str_eq(diag.where, where);
    cr_expect(strstr(diag.message, part), "\"%s\" is not in \"%s\"", part, diag.message);
}

/* ---- fla ---- */

Test(import, retnet_has_defaults_of_its_own_and_no_convolution)
{
    EXPECT_YAML("{\"model_type\":\"retnet\",\"use_short_conv\":true}", "d_ff: 2816",
                "{type: retention, heads: 8, k_dim: 2048, v_dim: 4096}");
}

Test(import, hgrn2_counts_heads_by_expand_ratio)
{
    EXPECT_YAML("{\"model_type\":\"hgrn2\",\"hidden_size\":1024,\"num_heads\":4}", "heads: 8");
    EXPECT_YAML("{\"model_type\":\"hgrn2\",\"hidden_size\":1024,\"num_heads\":4,"
                "\"expand_ratio\":null}",
                "heads: 4", "f_dim: 1024");
}

Test(import, mamba_reads_both_spellings_of_its_rank)
{
    EXPECT_YAML("{\"model_type\":\"mamba\",\"time_step_rank\":\"auto\"}", "dt_rank: 48",
                "tie_embeddings: true");
    EXPECT_YAML("{\"model_type\":\"mamba\",\"norm_eps\":1e-5,\"dt_rank\":7}", "dt_rank: 7",
                "d_model: 2048");
}

Test(import, mamba2_norms_groups_as_its_source_does)
{
    EXPECT_YAML("{\"model_type\":\"mamba2\",\"layer_norm_epsilon\":1e-5,\"n_groups\":2}",
                "norm: whole");
    EXPECT_YAML("{\"model_type\":\"mamba2\",\"norm_eps\":1e-5,\"n_groups\":2}", "norm: group");
}

Test(import, deltanet_cannot_have_negative_eigenvalues_without_beta)
{
    expect_refusal("{\"model_type\":\"delta_net\",\"use_beta\":false,\"allow_neg_eigval\":true}",
                   "config.json: allow_neg_eigval", "without use_beta");
}

Test(import, gla_defaults_are_those_of_fla)
{
    EXPECT_YAML("{\"model_type\":\"gla\"}", "family: fla/gla", "vocab_size: 32000", "d_model: 2048",
                "eps: 1.0e-6", "{type: gla, heads: 4, k_dim: 1024, v_dim: 2048}", "d_ff: 5632",
                "layers: 24*gla");
}

Test(import, gla_switches)
{
    EXPECT_YAML("{\"model_type\":\"gla\",\"num_heads\":8,\"num_kv_heads\":2,\"expand_k\":1,"
                "\"expand_v\":2,\"feature_map\":\"gelu\",\"use_short_conv\":true,\"conv_size\":3,"
                "\"use_output_gate\":false,\"clamp_min\":-1.5,\"elementwise_affine\":false}",
                "heads: 8", "kv_heads: 2", "k_dim: 2048", "v_dim: 4096", "feature_map: gelu_tanh",
                "conv: 3", "output_gate: false", "clamp_min: -1.5", "norm_weight: false");
}

Test(import, widths_that_are_nearly_whole)
{
    EXPECT_YAML("{\"model_type\":\"gla\",\"hidden_size\":100,\"num_heads\":1,\"expand_k\":0.29}",
                "k_dim: 29,");
}

Test(import, gla_never_reads_the_gate_sizes_of_its_config)
{
    gla__import *im;

    cr_assert_eq(open_text("{\"model_type\":\"gla\",\"gate_logit_normalizer\":8,"
                           "\"gate_low_rank_dim\":32}",
                           NULL, &im, NULL),
                 GLA_OK);
    cr_expect_null(gla_arch_param_find(&im->arch->blocks[0].mixers[0], "gate_normalizer"));
    cr_expect_null(gla_arch_param_find(&im->arch->blocks[0].mixers[0], "gate_low_rank"));
    gla__import_close(im);
}

Test(import, old_spelling_of_the_epsilon)
{
    EXPECT_YAML("{\"model_type\":\"gla\",\"rms_norm_eps\":1e-5}", "eps: 1.0e-5");
}

Test(import, softmax_layers_of_one_spec)
{
    EXPECT_YAML("{\"model_type\":\"gla\",\"num_hidden_layers\":4,\"attn\":{\"layers\":[1,3],"
                "\"num_heads\":8,\"num_kv_heads\":2,\"window_size\":64,\"qkv_bias\":true}}",
                "heads: 8", "kv_heads: 2", "window: 64", "qkv_bias: true");
    expect_layers("{\"model_type\":\"gla\",\"num_hidden_layers\":4,"
                  "\"attn\":{\"layers\":[3,1],\"num_heads\":8}}",
                  "gla attn gla attn");
}

Test(import, softmax_layers_of_several_specs)
{
    expect_layers("{\"model_type\":\"gla\",\"num_hidden_layers\":4,\"attn\":["
                  "{\"layers\":[0],\"num_heads\":8},{\"layers\":[3],\"num_heads\":16}]}",
                  "attn gla gla attn2");
}

Test(import, a_model_of_softmax_layers_only_has_no_other_block)
{
    gla__import *im;

    cr_assert_eq(open_text("{\"model_type\":\"gla\",\"num_hidden_layers\":2,"
                           "\"attn\":{\"layers\":[0,1],\"num_heads\":4}}",
                           NULL, &im, NULL),
                 GLA_OK);
    cr_expect_eq(im->arch->n_blocks, 1);
    gla__import_close(im);
}

Test(import, wrong_specs_are_named)
{
    expect_refusal("{\"model_type\":\"gla\",\"num_hidden_layers\":4,"
                   "\"attn\":{\"layers\":[4],\"num_heads\":4}}",
                   "config.json: attn.layers.0", "expected a number between 0 and 3");
    expect_refusal("{\"model_type\":\"gla\",\"attn\":[{\"layers\":[1],\"num_heads\":4},"
                   "{\"layers\":[2,1],\"num_heads\":4}]}",
                   "config.json: attn.1.layers.1", "twice");
    expect_refusal("{\"model_type\":\"gla\",\"attn\":{\"layers\":[1]}}",
                   "config.json: attn.num_heads", "not given");
    expect_refusal("{\"model_type\":\"gla\",\"attn\":{\"num_heads\":4}}",
                   "config.json: attn.layers", "not given");
}

Test(import, transformer_of_fla)
{
    EXPECT_YAML("{\"model_type\":\"transformer\",\"num_heads\":16,\"num_kv_heads\":4,"
                "\"qk_norm\":true,\"rope_theta\":500000,\"window_size\":128}",
                "heads: 16", "kv_heads: 4", "qk_norm: head", "qk_norm_eps: 1.0e-5",
                "rope: {theta: 500000}", "window: 128");
}

Test(import, what_fla_cannot_do_is_refused)
{
    expect_refusal("{\"model_type\":\"gla\",\"hidden_act\":\"relu\"}", "config.json: hidden_act",
                   "\"relu\": not supported");
    expect_refusal("{\"model_type\":\"gla\",\"feature_map\":\"cos\"}", "config.json: feature_map",
                   "no such feature map");
    expect_refusal("{\"model_type\":\"gla\",\"attnres_block_size\":4}",
                   "config.json: attnres_block_size", "4: not supported");
}

/* ---- Llama's family ---- */

#define LLAMA                                                                                      \
    "{\"model_type\":\"llama\",\"hidden_size\":64,\"num_attention_heads\":4,"                      \
    "\"num_hidden_layers\":4"

Test(import, rotary_positions_in_old_and_new_spelling)
{
    static const char *const parts[] = {"type: llama3",
                                        "theta: 500000",
                                        "factor: 8",
                                        "low_freq_factor: 1",
                                        "high_freq_factor: 4",
                                        "original_positions: 8192",
                                        NULL};
    expect_yaml(LLAMA ",\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\","
                      "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                      "\"original_max_position_embeddings\":8192}}",
                parts);
    expect_yaml(LLAMA ",\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":500000.0,"
                      "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                      "\"original_max_position_embeddings\":8192}}",
                parts);
}

Test(import, rotary_positions_of_every_type)
{
    EXPECT_YAML(LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", "type: linear",
                "factor: 2");
    EXPECT_YAML(LLAMA ",\"max_position_embeddings\":100,"
                      "\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}",
                "type: dynamic", "original_positions: 100");
    EXPECT_YAML(LLAMA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"beta_fast\":16,"
                      "\"mscale\":0.7,\"original_max_position_embeddings\":50}}",
                "type: yarn", "beta_fast: 16", "mscale: 0.7", "original_positions: 50");
    EXPECT_YAML(LLAMA ",\"original_max_position_embeddings\":40,\"rope_scaling\":"
                      "{\"type\":\"longrope\",\"short_factor\":[1,1.5],\"long_factor\":[2,3]}}",
                "type: longrope", "short_factor: [1, 1.5]", "long_factor: [2, 3]",
                "original_positions: 40");
    expect_refusal(LLAMA ",\"rope_scaling\":{\"type\":\"spiral\"}}",
                   "config.json: rope_scaling.type", "\"spiral\": no such rotary positions");
}

#define NEXT                                                                                       \
    "{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":1,\"layer_types\":[\"full_attention\"]," \
    "\"head_dim\":16"

Test(import, part_of_a_head_is_rotated)
{
    EXPECT_YAML(NEXT "}", "dims: 4");
    EXPECT_YAML(NEXT ",\"partial_rotary_factor\":0.5}", "dims: 8");
    EXPECT_YAML(NEXT ",\"partial_rotary_factor\":0.99}", "dims: 15");
    EXPECT_YAML(NEXT ",\"partial_rotary_factor\":0.5,"
                     "\"rope_parameters\":{\"partial_rotary_factor\":0.75}}",
                "dims: 12");
}

Test(import, llama_biases)
{
    EXPECT_YAML(LLAMA ",\"attention_bias\":true,\"mlp_bias\":true,\"intermediate_size\":128}",
                "qkv_bias: true", "out_bias: true", "{type: swiglu, d_ff: 128, bias: true}");
}

Test(import, qwen2_has_biases_of_q_k_v_only)
{
    gla__import *im;

    cr_assert_eq(open_text("{\"model_type\":\"qwen2\"}", NULL, &im, NULL), GLA_OK);
    cr_expect(gla_arch_param_find(&im->arch->blocks[0].mixers[0], "qkv_bias"));
    cr_expect_null(gla_arch_param_find(&im->arch->blocks[0].mixers[0], "out_bias"));
    cr_expect_null(gla_arch_param_find(&im->arch->blocks[0].mixers[0], "window"));
    gla__import_close(im);
}

Test(import, qwen3_head_size_is_its_own)
{
    EXPECT_YAML("{\"model_type\":\"qwen3\",\"hidden_size\":64,\"num_attention_heads\":4,"
                "\"num_key_value_heads\":2}",
                "head_dim: 128", "qk_norm: head", "kv_heads: 2");
}

Test(import, windows_from_a_layer_on)
{
    EXPECT_YAML("{\"model_type\":\"qwen2\",\"num_hidden_layers\":4,\"use_sliding_window\":true,"
                "\"sliding_window\":16,\"max_window_layers\":3}",
                "window: 16", "layers: 3*block + window");
}

Test(import, windows_begin_at_layer_28_where_nothing_is_said)
{
    EXPECT_YAML("{\"model_type\":\"qwen3\",\"num_hidden_layers\":30,\"use_sliding_window\":true,"
                "\"sliding_window\":16}",
                "layers: 28*block + 2*window");
}

Test(import, windows_by_layer_types)
{
    expect_layers("{\"model_type\":\"qwen3\",\"num_hidden_layers\":3,\"use_sliding_window\":true,"
                  "\"sliding_window\":16,\"max_window_layers\":0,\"layer_types\":"
                  "[\"sliding_attention\",\"full_attention\",\"sliding_attention\"]}",
                  "window block window");
}

Test(import, mistral_without_a_word_has_a_window_and_null_means_none)
{
    gla__import *im;

    EXPECT_YAML("{\"model_type\":\"mistral\"}", "window: 4096", "kv_heads: 8");
    cr_assert_eq(open_text("{\"model_type\":\"mistral\",\"sliding_window\":null}", NULL, &im, NULL),
                 GLA_OK);
    cr_expect_null(gla_arch_param_find(&im->arch->blocks[0].mixers[0], "window"));
    gla__import_close(im);
}

Test(import, several_end_tokens)
{
    EXPECT_YAML(LLAMA ",\"eos_token_id\":[3,5]}", "eos_tokens: [3, 5]");
}

/* ---- switches of single families ---- */

#define KLA(mixer)                                                                                 \
    "\"model\": {\"d_model\": 64, \"n_layers\": 2}, \"mixer\": {\"dt_rank\": 5" mixer "}"

#define ROPE(type)                                                                                 \
    "\"rope_scaling\": {\"type\": \"" type                                                         \
    "\", \"original_max_position_embeddings\": 16, \"factor\": "

/* One key more, and what of the architecture it changes. */
static const struct {
    const char *family, *more, *yaml;
} switches[] = {
    {"delta_net", "\"qk_activation\": \"elu\"", "qk_activation: elu1"},
    {"delta_net", "\"qk_activation\": \"relu\"", "qk_activation: relu"},
    {"delta_net", "\"qk_activation\": \"identity\"", "qk_activation: none"},
    {"delta_net", "\"use_beta\": false", "beta: false"},
    {"granitemoehybrid", "\"num_local_experts\": 0", "ffn: {type: swiglu, d_ff: 1024}"},
    {"hgrn2", "\"expand_ratio\": 16, \"num_heads\": 2", "heads: 4, f_dim: 64"},
    {"jamba", "\"num_experts\": 1", "layers: 2*mamba\n"},
    {"jamba", "\"num_experts\": 4", "layers: mamba + mamba_moe\n"},
    {"kimi_linear", "\"moe_layer_freq\": 2, \"first_k_dense_replace\": 0",
     "layers: kda_moe + kda\n"},
    {"kimi_linear", "\"mlp_layer_types\": [\"sparse\", \"dense\"]", "layers: kda_moe + kda\n"},
    {"kla", KLA(""), "value_rank: 128, var_rank: 128"},
    {"kla", KLA(", \"value_rank\": 8, \"var_rank\": \"dt\""), "value_rank: 8, var_rank: 5"},
    {"kla", KLA(", \"value_rank\": \"conv\", \"var_rank\": \"full\""),
     "value_rank: 0, var_rank: 128"},
    {"kla", KLA(", \"discretization\": \"zoh\""), "discretization: zoh"},
    {"lfm2", "\"block_auto_adjust_ff_dim\": false, \"intermediate_size\": 100", "d_ff: 100"},
    {"llama", "\"rope_scaling\": {\"type\": \"su\", \"attention_factor\": 2}",
     "attention_factor: 2\n"},
    {"gsa", "\"num_slots\": null, \"num_heads\": 2", "slots: 32"},
    {"lfm2", "\"tie_embedding\": false, \"tie_word_embeddings\": true",
     "norm: {type: rmsnorm, eps: 1.0e-5}\nblocks"},
    {"llama", ROPE("yarn") "null}", "type: yarn, original_positions: 16}"},
    {"llama", ROPE("yarn") "2}, \"original_max_position_embeddings\": 8",
     "factor: 2, original_positions: 8}"},
    {"mamba2", "\"rms_norm\": false", "norm: none"},
    {"mamba2", "\"norm_eps\": 1e-5, \"norm_before_gate\": true", "norm_before_gate: true"},
    {"mamba2", "\"norm_before_gate\": true", "norm: whole}"},
    {"minimax", "\"head_dim\": 16, \"rotary_dim\": 8, \"partial_rotary_factor\": 0.5",
     "rope: {theta: 1000000, dims: 8}"},
    {"mistral", "\"num_key_value_heads\": null", "heads: 32, rope: {theta: 10000}, window"},
    {"nemotron_h",
     "\"hybrid_override_pattern\": \"M\", \"rms_norm_eps\": 1, \"layer_norm_epsilon\": 0.25",
     "norm: {type: rmsnorm, eps: 0.25}"},
    {"qwen2", "\"attention_bias\": false", "qkv_bias: true"},
    {"mistral", "\"use_sliding_window\": false", "{type: attention, heads: 32, kv_heads: 8"},
    {"qwen3_next", "\"attn_output_gate\": false, \"full_attention_interval\": 1",
     "qk_norm_offset: 1\n    ffn"},
    {"recurrent_gemma", "\"block_types\": [\"attention\"]", "layers: 2*attention\n"},
    {"rwkv6", "\"norm_first\": false", "norm: {type: layernorm, eps: 1.0e-5, bias: true}\nblocks"},
    {"rwkv7", "\"num_heads\": 4", "heads: 4"},
    {"rwkv7", "\"num_heads\": 3", "heads: 1"},
    {"rwkv7", "\"hidden_ratio\": 0.1", "d_ff: 32"},
    {"rwkv7", "\"value_dim\": [32, 32]", "v_dim: 32"},
};

Test(import, switches_change_the_architecture)
{
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        char json[512];

        snprintf(json, sizeof(json), "{\"model_type\": \"%s\", %s%s}", switches[i].family,
                 "\"hidden_size\": 64, \"num_hidden_layers\": 2, \"vocab_size\": 61, ",
                 switches[i].more);
        EXPECT_YAML(json, switches[i].yaml);
    }
}

/* ---- all ---- */

Test(import, keys_that_nobody_read_are_listed)
{
    gla__import *im;
    uint32_t cursor = 0;

    cr_assert_eq(open_text("{\"model_type\":\"gla\",\"use_magic\":1,\"torch_dtype\":\"float32\","
                           "\"nothing\":null,\"initializer_range\":0.02}",
                           NULL, &im, NULL),
                 GLA_OK);
    cr_expect_str_eq(gla__import_unread(im, &cursor), "use_magic");
    cr_expect_null(gla__import_unread(im, &cursor));
    gla__import_close(im);
}

Test(import, a_config_without_model_type)
{
    gla__import *im;
    gla_diag diag;

    cr_expect_eq(open_text("{}", NULL, &im, &diag), GLA_E_UNSUPPORTED);
    cr_expect(strstr(diag.message, "model_type"));
}

Test(import, every_importer_is_found_by_its_types)
{
    uint32_t n = 0;

    for (; gla__importer_get(n); n++)
        for (const char *const *type = gla__importer_get(n)->model_types; *type; type++)
            cr_expect_eq(gla__importer_find(*type), gla__importer_get(n), "%s", *type);
    cr_expect_gt(n, 2);
}

/* ---- mapping ---- */

static const gla__mapped *resolve(gla__import *im, const char *ours)
{
    const gla__mapped *mapped;

    cr_assert_eq(gla__mapping_resolve(im->map, ours, &mapped, NULL), GLA_OK);
    return mapped;
}

static gla__import *open_mapping(void)
{
    gla__import *im;
    gla_weights *w;

    cr_assert_eq(gla_weights_open(GLA_SOURCE_DIR "/tests/reference/gla", NULL, &w, NULL), GLA_OK);
    cr_assert_eq(open_text("{\"model_type\":\"gla\",\"num_hidden_layers\":2,\"hidden_size\":64}", w,
                           &im, NULL),
                 GLA_OK);
    return im;
}

static void close_mapping(gla__import *im)
{
    gla_weights *w = (gla_weights *)(uintptr_t)im->source;

    gla__import_close(im);
    gla_weights_free(w);
}

Test(import, prefixes_lead_to_published_names)
{
    gla__import *im = open_mapping();
    const gla__mapped *m = resolve(im, "layers.1.mixer.q_proj.weight");

    cr_assert(m && m->n_pieces == 1);
    cr_expect_str_eq(m->pieces[0].source, "model.layers.1.attn.q_proj.weight");
    cr_expect_eq(m->pieces[0].count, 32 * 64);
    cr_expect_null(resolve(im, "nothing.of.ours"));
    close_mapping(im);
}

Test(import, renames_come_before_prefixes)
{
    gla__import *im = open_mapping();

    cr_expect_str_eq(resolve(im, "layers.0.mixer.g_norm.weight")->pieces[0].source,
                     "model.layers.0.attn.g_norm_swish_gate.weight");
    close_mapping(im);
}

Test(import, absent_sources_are_told_apart)
{
    gla__import *im = open_mapping();
    const gla__mapped *m = resolve(im, "layers.7.mixer.q_proj.weight");

    cr_expect_null(m, "there are two layers only");
    m = resolve(im, "layers.1.mixer.nonsense");
    cr_assert(m);
    cr_expect_null(m->pieces[0].info);
    close_mapping(im);
}

Test(import, ranges_are_stacked_in_order)
{
    gla__import *im = open_mapping();
    const gla__mapped *m;

    gla__map_range(im, "stack", "model.norm.weight", 32, 16);
    gla__map_range(im, "other", "model.norm.weight", 0, 1);
    gla__map_range(im, "stack", "model.norm.weight", 0, 8);
    m = resolve(im, "stack");
    cr_assert_eq(m->n_pieces, 2);
    cr_expect_eq(m->pieces[0].first, 32);
    cr_expect_eq(m->pieces[1].count, 8);
    close_mapping(im);
}

Test(import, what_a_family_does_not_use_is_known)
{
    gla__import *im = open_mapping();

    cr_expect(gla__mapping_ignores(im->map, "model.layers.3.attn.D"));
    cr_expect(!gla__mapping_ignores(im->map, "model.layers.3.attn.q_proj.weight"));
    close_mapping(im);
}
