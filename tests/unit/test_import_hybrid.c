/* SPDX-License-Identifier: Apache-2.0
 *
 * transformers' hybrid families: what their configs leave unsaid, spell in two ways, or ask for in
 * vain.  That the numbers come out right is tests/models/test_reference.c's business.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "formats/import/import.h"

static gla__import *open_config(const char *json)
{
    gla__import *im;
    gla_diag diag;

    cr_assert_eq(gla__import_open(json, strlen(json), "config.json", NULL, &im, &diag), GLA_OK,
                 "%s: %s", diag.where, diag.message);
    return im;
}

/* One letter a layer: the first of its block's name. */
static void expect_pattern(const char *json, const char *letters)
{
    gla__import *im = open_config(json);
    char text[128] = "";

    for (uint32_t i = 0; i < im->arch->n_layers && i + 1 < sizeof(text); i++)
        text[i] = im->arch->blocks[im->arch->layers[i]].name[0];
    cr_expect_str_eq(text, letters);
    gla__import_close(im);
}

static void expect_parts(const char *json, const char *const *parts)
{
    gla__import *im = open_config(json);
    char *yaml;
    size_t n;

    cr_assert_eq(gla_arch_print(im->arch, &yaml, &n, NULL), GLA_OK);
    for (; *parts; parts++)
        cr_expect(strstr(yaml, *parts), "\"%s\" is not in:\n%s", *parts, yaml);
    gla_text_free(yaml);
    gla__import_close(im);
}
#define EXPECT_PARTS(json, ...) expect_parts(json, (const char *const[]){__VA_ARGS__, NULL})

static void expect_refused(const char *json, const char *where)
{
    gla__import *im;
    gla_diag diag;

    cr_assert_eq(gla__import_open(json, strlen(json), "config.json", NULL, &im, &diag),
                 GLA_E_UNSUPPORTED, "%s", json);
    cr_expect_null(im);
    cr_expect_str_eq(diag.where, where);
}

/* ---- Qwen ---- */

Test(import_hybrid, qwen_layers_follow_from_the_interval)
{
    expect_pattern("{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":8}", "lllflllf");
    expect_pattern("{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":4,"
                   "\"full_attention_interval\":2}",
                   "lflf");
    expect_pattern("{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":3,\"layer_types\":["
                   "\"full_attention\",\"linear_attention\",\"full_attention\"]}",
                   "flf");
}

Test(import_hybrid, qwen_dense_layers_are_listed_or_left_out_by_steps)
{
    static const char *const json[] = {"{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":4,"
                                       "\"mlp_only_layers\":[1]}",
                                       "{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":4,"
                                       "\"decoder_sparse_step\":2}"};
    static const char *const ffn[][4] = {{"moe", "swiglu", "moe", "moe"},
                                         {"swiglu", "moe", "swiglu", "moe"}};

    for (uint32_t c = 0; c < 2; c++) {
        gla__import *im = open_config(json[c]);

        for (uint32_t i = 0; i < 4; i++)
            cr_expect_str_eq(im->arch->blocks[im->arch->layers[i]].ffn.type, ffn[c][i]);
        gla__import_close(im);
    }
}

Test(import_hybrid, qwen3_5_text_lies_inside)
{
    EXPECT_PARTS("{\"model_type\":\"qwen3_5\",\"text_config\":{\"model_type\":\"qwen3_5_text\","
                 "\"hidden_size\":64,\"vocab_size\":99},\"vision_config\":{\"hidden_size\":7}}",
                 "d_model: 64", "vocab_size: 99", "d_ff: 12288", "dims: 64", "output_gate: head");
    EXPECT_PARTS("{\"model_type\":\"qwen3_5_moe\",\"text_config\":{\"model_type\":"
                 "\"qwen3_5_moe_text\"}}",
                 "experts: 256", "top_k: 8", "renormalise: true",
                 "shared: {d_ff: 512, gate: true}");
}

Test(import_hybrid, tokens_outside_of_the_vocabulary_are_left_out)
{
    gla__import *im = open_config("{\"model_type\":\"qwen3_5_text\",\"vocab_size\":4096,"
                                  "\"bos_token_id\":151643,\"eos_token_id\":[151645,7]}");

    cr_expect_eq(im->arch->bos_token, -1);
    cr_assert_eq(im->arch->n_eos, 1);
    cr_expect_eq(im->arch->eos_tokens[0], 7);
    cr_expect_eq(im->n_notes, 2);
    gla__import_close(im);
}

Test(import_hybrid, what_qwen_cannot_do_is_refused)
{
    expect_refused("{\"model_type\":\"qwen3_next\",\"hidden_act\":\"gelu\"}",
                   "config.json: hidden_act");
    expect_refused("{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":1,"
                   "\"layer_types\":[\"sliding_attention\"]}",
                   "config.json: layer_types.0");
    expect_refused("{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":2,"
                   "\"layer_types\":[\"linear_attention\"]}",
                   "config.json: layer_types.1");
    expect_refused("{\"model_type\":\"qwen3_5\",\"quantization_config\":{\"bits\":4}}",
                   "config.json: quantization_config");
}

/* ---- Kimi, OLMo ---- */

Test(import_hybrid, kimi_counts_layers_from_one_and_the_rest_is_softmax)
{
    expect_pattern("{\"model_type\":\"kimi_linear\",\"num_hidden_layers\":5,"
                   "\"linear_attn_config\":{\"kda_layers\":[1,2,3],\"full_attn_layers\":[4],"
                   "\"num_heads\":8,\"head_dim\":32,\"short_conv_kernel_size\":4}}",
                   "kkkmm");
    EXPECT_PARTS("{\"model_type\":\"kimi_linear\"}", "rope: {type: none}", "score: sigmoid",
                 "scaling: 2.446", "norm_eps: 1.0e-6", "kda_moe");
    expect_refused("{\"model_type\":\"kimi_linear\",\"mla_use_nope\":false}",
                   "config.json: mla_use_nope");
    expect_refused("{\"model_type\":\"kimi_linear\",\"moe_router_activation_func\":\"softmax\"}",
                   "config.json: moe_router_activation_func");
}

Test(import_hybrid, olmo_has_positions_only_if_it_says_so)
{
    EXPECT_PARTS("{\"model_type\":\"olmo_hybrid\",\"rope_parameters\":null}", "rope: {type: none}",
                 "heads: 30", "head_k_dim: 96", "head_v_dim: 192", "neg_eigval: true",
                 "norm_at: post", "3*linear + full");
    EXPECT_PARTS("{\"model_type\":\"olmo_hybrid\",\"rope_parameters\":{\"rope_theta\":5e5}}",
                 "theta: 500000");
}

/* ---- the Mambas ---- */

Test(import_hybrid, sizes_may_be_automatic)
{
    EXPECT_PARTS("{\"model_type\":\"bamba\",\"hidden_size\":256,\"mamba_n_heads\":8,"
                 "\"mamba_d_head\":\"auto\"}",
                 "head_dim: 64");
    EXPECT_PARTS("{\"model_type\":\"jamba\",\"hidden_size\":100,\"mamba_dt_rank\":\"auto\","
                 "\"num_attention_heads\":4}",
                 "dt_rank: 7", "inner: 200", "inner_norms: true");
}

Test(import_hybrid, layers_by_index_and_by_turn)
{
    expect_pattern("{\"model_type\":\"bamba\",\"num_hidden_layers\":5,"
                   "\"attn_layer_indices\":[1,4]}",
                   "mfmmf");
    expect_pattern("{\"model_type\":\"jamba\",\"num_hidden_layers\":9,\"attn_layer_period\":4,"
                   "\"attn_layer_offset\":2}",
                   "mmfmmmfmm");
    expect_pattern("{\"model_type\":\"granitemoehybrid\",\"num_hidden_layers\":3,"
                   "\"layer_types\":[\"mamba\",\"attention\",\"linear_attention\"]}",
                   "mfm");
}

Test(import_hybrid, granite_without_experts_is_dense_and_without_a_word_has_no_positions)
{
    EXPECT_PARTS("{\"model_type\":\"granitemoehybrid\",\"num_local_experts\":0,"
                 "\"shared_intermediate_size\":48,\"logits_scaling\":8,\"residual_multiplier\":0.5,"
                 "\"embedding_multiplier\":12,\"layer_types\":[\"attention\"],"
                 "\"num_hidden_layers\":1,\"attention_multiplier\":0.25}",
                 "{type: swiglu, d_ff: 48}", "multiplier: 0.125", "multiplier: 12",
                 "residual_multiplier: 0.5", "rope: {type: none}", "scale: 0.25");
    EXPECT_PARTS("{\"model_type\":\"granitemoehybrid\",\"position_embedding_type\":\"rope\","
                 "\"layer_types\":[\"attention\"],\"num_hidden_layers\":1}",
                 "rope: {theta: 10000}", "score: softmax_top_k");
    expect_refused("{\"model_type\":\"granitemoehybrid\",\"position_embedding_type\":\"alibi\"}",
                   "config.json: position_embedding_type");
}

Test(import_hybrid, falcon_multiplies_everything)
{
    EXPECT_PARTS("{\"model_type\":\"falcon_h1\",\"ssm_multipliers\":[1,2,3,4,5],"
                 "\"mlp_multipliers\":[0.5,0.25],\"key_multiplier\":0.75,"
                 "\"ssm_in_multiplier\":1.5,\"attention_out_multiplier\":0.875,"
                 "\"mamba_rms_norm\":true,\"lm_head_multiplier\":0.0625}",
                 "x: 2", "dt: 5", "gate_multiplier: 0.5", "key_multiplier: 0.75",
                 "in_multiplier: 1.5", "out_multiplier: 0.875", "out_multiplier: 0.25",
                 "norm: group", "norm_before_gate: true", "multiplier: 0.0625");
    EXPECT_PARTS("{\"model_type\":\"falcon_h1\"}", "norm: none");
    EXPECT_PARTS("{\"model_type\":\"falcon_h1\",\"mamba_proj_bias\":true}",
                 "in_bias: true, norm: none");
    EXPECT_PARTS("{\"model_type\":\"falcon_h1\",\"projectors_bias\":true}",
                 "out_bias: true, norm: none");
}

Test(import_hybrid, nemotron_bounds_dt_as_the_writer_of_its_config_does)
{
    EXPECT_PARTS("{\"model_type\":\"nemotron_h\",\"hybrid_override_pattern\":\"M\","
                 "\"time_step_min\":0.25,\"time_step_limit\":[0.0,{\"__float__\":\"Infinity\"}]}",
                 "conv: 4, norm: group}");
    EXPECT_PARTS("{\"model_type\":\"nemotron_h\",\"layers_block_type\":[\"mamba\"],"
                 "\"time_step_min\":0.25,\"time_step_limit\":[0.0,1.0]}",
                 "dt_min: 0.25");
}

Test(import_hybrid, nemotron_spells_its_layers_in_letters)
{
    expect_pattern("{\"model_type\":\"nemotron_h\",\"num_hidden_layers\":52,"
                   "\"hybrid_override_pattern\":\"M-M*ME\"}",
                   "mmmfmm");
    EXPECT_PARTS("{\"model_type\":\"nemotron_h\",\"hybrid_override_pattern\":\"M-E\","
                 "\"time_step_min\":0.25,\"time_step_limit\":[0.0,1.0]}",
                 "dt_max: 1", "norm: group", "gated: false", "activation: relu2", "type: mlp");
    expect_refused("{\"model_type\":\"nemotron_h\",\"hybrid_override_pattern\":\"MXM\"}",
                   "config.json: hybrid_override_pattern");
    expect_refused("{\"model_type\":\"nemotron_h\",\"hybrid_override_pattern\":\"E\","
                   "\"moe_latent_size\":64}",
                   "config.json: moe_latent_size");
    expect_refused("{\"model_type\":\"nemotron_h\"}", "config.json: layers_block_type");
}

/* ---- the others ---- */

Test(import_hybrid, minimax_weighs_both_terms_of_its_sums)
{
    EXPECT_PARTS("{\"model_type\":\"minimax\",\"num_hidden_layers\":2,"
                 "\"linear_attn_alpha_factor\":3,\"full_attn_beta_factor\":0.5,"
                 "\"head_dim\":128,\"rotary_dim\":64}",
                 "norm_at: residual", "dims: 64", "type: lightning");
    expect_refused("{\"model_type\":\"minimax\",\"postnorm\":false}", "config.json: postnorm");
    expect_refused("{\"model_type\":\"minimax\",\"shared_intermediate_size\":9}",
                   "config.json: shared_intermediate_size");
}

Test(import_hybrid, lfm2_adjusts_its_inner_width)
{
    EXPECT_PARTS("{\"model_type\":\"lfm2\",\"block_ff_dim\":12288}", "d_ff: 8192");
    EXPECT_PARTS("{\"model_type\":\"lfm2\",\"intermediate_size\":100,"
                 "\"block_auto_adjust_ff_dim\":false}",
                 "d_ff: 100");
    expect_pattern("{\"model_type\":\"lfm2\",\"num_hidden_layers\":4,\"full_attn_idxs\":[0,2]}",
                   "fcfc");
}

Test(import_hybrid, recurrent_gemma_rounds_its_multiplier_as_its_authors_do)
{
    EXPECT_PARTS("{\"model_type\":\"recurrent_gemma\"}", "multiplier: 50.5", "soft_cap: 30",
                 "offset: 1", "window: 2048", "d_ff: 3840", "dims: 128", "heads: 10",
                 "out_bias: true");
    expect_pattern("{\"model_type\":\"recurrent_gemma\",\"num_hidden_layers\":5,"
                   "\"block_types\":[\"attention\",\"recurrent\"]}",
                   "arara");
    expect_refused("{\"model_type\":\"recurrent_gemma\",\"block_types\":[\"mamba\"]}",
                   "config.json: block_types.0");
}
