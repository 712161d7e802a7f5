/* SPDX-License-Identifier: Apache-2.0
 *
 * What an importer cannot do it refuses, and names the key: one small config of each family with
 * one thing changed.  What every family reads alike is in malformed_config.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "formats/import/import.h"

#define HUGE "1e300"
#define NONE "no sensible width"

static const struct refusal {
    const char *family, *more, *key, *words;
} refusals[] = {
    /* what families share */
    {"gla", "\"max_position_embeddings\": 16777217", "max_position_embeddings", "0 and 16777216"},
    {"gla", "\"expand_k\": 0", "expand_k", NONE},
    {"gla", "\"exapnd_v\": " HUGE, "exapnd_v", NONE},
    {"gla", "\"hidden_ratio\": -1", "hidden_ratio", NONE},
    {"gla", "\"hidden_ratio\": " HUGE, "hidden_ratio", NONE},
    {"gla", "\"hidden_ratio\": {\"__float__\": \"NaN\"}", "hidden_ratio", "expected a number"},
    {"gla", "\"hidden_ratio\": {\"__float__\": \"Infinity\"}", "hidden_ratio", NONE},
    {"gla", "\"hidden_ratio\": {\"__float__\": \"-Infinity\"}", "hidden_ratio", NONE},
    {"gla", "\"eos_token_id\": [1, \"a\"]", "eos_token_id", "\"a\": expected a number"},
    {"gla", "\"eos_token_id\": [0,1,2,3,4,5,6,7,8]", "eos_token_id", "list of at most 8 numbers"},
    {"gla", "\"norm_eps\": \"1e-6\"", "norm_eps", "\"1e-6\": expected a number"},
    {"gla", "\"feature_map\": 3", "feature_map", "3: expected a string"},
    {"gla", "\"quantization_config\": {\"bits\": 4}", "quantization_config", "cannot read"},
    {"gated_deltanet", "\"expand_v\": 0", "expand_v", NONE},
    {"kda", "\"expand_v\": " HUGE, "expand_v", NONE},
    {"rwkv6", "\"hidden_act\": \"silu\"", "hidden_act", "what is: sqrelu"},
    {"rwkv7", "\"hidden_ratio\": " HUGE, "hidden_ratio", NONE},
    {"rwkv7", "\"hidden_act\": [\"sqrelu\"]", "hidden_act", "not supported; what is: sqrelu"},
    /* Llama's */
    {"llama", "\"rope_scaling\": {\"type\": \"yarn\", \"truncate\": false}",
     "rope_scaling.truncate", "not supported"},
    {"llama", "\"rope_scaling\": {\"type\": \"linear\"}", "rope_parameters.factor", "need it"},
    {"llama", "\"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 2}",
     "rope_parameters.low_freq_factor", "not given: these rotary positions need it"},
    {"llama", "\"rope_parameters\": {\"rope_theta\": 1e6}, \"rope_scaling\": {\"type\": \"yarn\"}",
     "rope_scaling", "rope_parameters says something else"},
    {"llama", "\"num_attention_heads\": 1, \"partial_rotary_factor\": 0.5", "partial_rotary_factor",
     "0.5: this family's code rotates all of a head"},
    {"llama", "\"num_attention_heads\": 65", "num_attention_heads", "leaves them no channels"},
    {"llama", "\"partial_rotary_factor\": -1", "partial_rotary_factor", "a part of a head"},
    {"llama", "\"partial_rotary_factor\": 0", "partial_rotary_factor", "a part of a head"},
    {"llama", "\"rope_parameters\": {\"partial_rotary_factor\": " HUGE "}",
     "rope_parameters.partial_rotary_factor", "a part of a head"},
    {"mistral", "\"rope_parameters\": {\"sliding_attention\": {\"rope_theta\": 1e6}}",
     "rope_parameters.sliding_attention", "positions by kind of layer"},
    {"llama", "\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": 3}",
     "rope_scaling.short_factor", "expected a list of at most 2048 numbers"},
    {"mistral", "\"layer_types\": [\"full_attention\", \"odd\"]", "layer_types.1",
     "expected full_attention or sliding_attention"},
    {"mistral",
     "\"sliding_window\": null, \"layer_types\": [\"full_attention\", \"sliding_attention\"]",
     "layer_types", "without a sliding_window"},
    /* each family's own */
    {"bamba", "\"mamba_expand\": 0", "mamba_expand", "no sensible width of a head"},
    {"bamba", "\"mamba_expand\": " HUGE, "mamba_expand", "no sensible width of a head"},
    {"bamba", "\"attn_layer_indices\": [1], \"partial_rotary_factor\": 1", "partial_rotary_factor",
     "half of each head"},
    {"bamba", "\"attn_layer_indices\": [1], \"attn_rotary_emb\": 2", "attn_rotary_emb",
     "half of each head"},
    {"bamba", "\"hidden_act\": \"gelu\"", "hidden_act", "not supported"},
    {"delta_net", "\"num_heads\": 3", "num_heads", "no multiple of it"},
    {"delta_net", "\"num_heads\": 2, \"expand_v\": 0.515625", "num_heads", "no multiple of it"},
    {"delta_net", "\"qk_norm\": \"l1\"", "qk_norm", "not supported; what is: l2, sum"},
    {"falcon_h1", "\"mamba_d_ssm\": 3", "mamba_d_ssm", "no sensible width of a head"},
    {"granitemoehybrid", "\"logits_scaling\": 0", "logits_scaling", "a number above 0"},
    {"granitemoehybrid", "\"position_embedding_type\": \"alibi\"", "position_embedding_type",
     "not supported; what is: rope, nope"},
    {"gsa", "\"feature_map\": \"cos\"", "feature_map", "not supported; what is: swish, relu"},
    {"hgrn2", "\"expand_ratio\": null", "expand_ratio", "no multiple of the heads"},
    {"hgrn2", "\"expand_ratio\": null, \"num_heads\": 3", "expand_ratio", "no multiple"},
    {"jamba", "\"sliding_window\": 4096", "sliding_window", "4096: not supported"},
    {"kimi_linear", "\"attention_bias\": true", "attention_bias", "true: not supported"},
    {"kimi_linear", "\"mla_use_nope\": false", "mla_use_nope", "attention with positions"},
    {"kimi_linear", "\"moe_router_activation_func\": \"softmax\"", "moe_router_activation_func",
     "not supported; what is: sigmoid"},
    {"kimi_linear", "\"mlp_layer_types\": [\"dense\", \"odd\"]", "mlp_layer_types.1",
     "not supported; what is: dense, sparse"},
    {"lfm2", "\"block_ffn_dim_multiplier\": 0", "block_ffn_dim_multiplier", NONE},
    {"lfm2", "\"block_ffn_dim_multiplier\": " HUGE, "block_ffn_dim_multiplier", NONE},
    {"lfm2", "\"full_attn_idxs\": [\"a\"]", "full_attn_idxs", "expected a number"},
    {"linear_attn", "\"feature_map\": \"cos\"", "feature_map", "no such feature map"},
    {"mamba", "\"expand\": 0", "expand", NONE},
    {"mamba", "\"expand\": " HUGE, "expand", NONE},
    {"mamba2", "\"expand\": 0.3", "expand", "no multiple of head_dim"},
    {"mamba2", "\"expand\": 1.5", "expand", "no multiple of head_dim"},
    {"mamba2", "\"expand\": " HUGE, "expand", "no multiple of head_dim"},
    {"mamba2", "\"D_has_hdim\": true", "D_has_hdim", "not supported"},
    {"minimax", "\"sliding_window\": 8", "sliding_window", "8: not supported"},
    {"minimax", "\"postnorm\": false", "postnorm", "false: not supported"},
    {"minimax", "\"shared_intermediate_size\": 64", "shared_intermediate_size", "shared experts"},
    {"nemotron_h", "\"hybrid_override_pattern\": \"M?\"", "hybrid_override_pattern",
     "one of M, *, - and E"},
    {"nemotron_h", "\"hybrid_override_pattern\": \"M*\", \"sliding_window\": 8", "sliding_window",
     "8: not supported"},
    {"nemotron_h", "\"hybrid_override_pattern\": \"E\", \"moe_latent_size\": 8", "moe_latent_size",
     "latent space"},
    {"nemotron_h", "\"hybrid_override_pattern\": \"E\", \"mlp_bias\": true", "mlp_bias",
     "true: not supported"},
    {"nemotron_h", "\"layer_types\": []", "layer_types", "no list of layers"},
    {"qwen3_next", "\"use_sliding_window\": true", "use_sliding_window", "not supported"},
    {"qwen3_next", "\"layer_types\": [\"linear_attention\", \"mamba3\"]", "layer_types.1",
     "no such layer in this family"},
    {"qwen3_next", "\"layer_types\": [\"linear_attention\"]", "layer_types.1",
     "a layer without a type"},
    {"qwen3_5_moe", "\"norm_topk_prob\": false", "norm_topk_prob", "renormalises always"},
    {"recurrent_gemma", "\"embeddings_scale_by_sqrt_dim\": false", "embeddings_scale_by_sqrt_dim",
     "false: not supported"},
    {"recurrent_gemma", "\"block_types\": [\"odd\"]", "block_types.0", "recurrent or attention"},
    {"rwkv7", "\"head_dim\": 60", "head_dim", "does not divide hidden_size"},
    {"rwkv7", "\"value_dim\": [64, 32]", "value_dim", "differs from block to block"},
};

#define KLA(model, mixer)                                                                          \
    "\"model\": {\"d_model\": 64, \"n_layers\": 1" model "}, \"mixer\": {\"d_state\": 16" mixer "}"

static const struct refusal of_kla[] = {
    {"kla", KLA("", ", \"expand\": 0"), "mixer.expand", NONE},
    {"kla", KLA("", ", \"expand\": " HUGE), "mixer.expand", NONE},
    {"kla", KLA(", \"mlp_ratio\": 0", ""), "model.mlp_ratio", NONE},
    {"kla", KLA(", \"mlp_ratio\": " HUGE, ""), "model.mlp_ratio", NONE},
    {"kla", KLA("", ", \"value_rank\": \"odd\""), "mixer.value_rank",
     "\"odd\": expected a whole number"},
    {"kla", KLA("", ", \"var_rank\": \"conv\""), "mixer.var_rank",
     "\"conv\": expected a whole number"},
    {"kla", KLA("", ", \"value_rank\": 0"), "mixer.value_rank", "expected a number between 1"},
    {"kla", KLA("", ", \"qk_norm\": false"), "mixer.qk_norm", "off is not supported"},
    {"kla", KLA("", ", \"use_conv\": false"), "mixer.use_conv", "off is not supported"},
    {"kla", KLA("", ", \"bias\": true"), "mixer.bias", "not supported"},
    {"kla", KLA("", ", \"decode_from_prior\": true"), "mixer.decode_from_prior", "not supported"},
    {"kla", KLA("", ", \"clip_value\": 1"), "mixer.clip_value", "not supported"},
    {"kla", KLA(", \"logit_softcap\": 30", ""), "model.logit_softcap", "not supported"},
    {"kla", KLA("", ", \"discretization\": \"euler\""), "mixer.discretization", "ou, zoh"},
    {"kla", KLA(", \"mlp\": \"gelu\"", ""), "model.mlp", "not supported; what is: swiglu"},
};

static void expect_refusal(const struct refusal *r, const char *sizes)
{
    char json[1024], where[128];
    gla__import *im;
    gla_diag diag = {0};
    gla_status st;

    snprintf(json, sizeof(json), "{\"model_type\": \"%s\", %s%s}", r->family, sizes, r->more);
    snprintf(where, sizeof(where), "config.json: %s", r->key);
    st = gla__import_open(json, strlen(json), "config.json", NULL, &im, &diag);
    cr_expect_eq(st, GLA_E_UNSUPPORTED, "%s: %s", json, gla_status_name(st));
    cr_expect_null(im);
    cr_expect_str_eq(diag.where, where, "%s: %s: %s", json, diag.where, diag.message);
    cr_expect(strstr(diag.message, r->words), "%s: \"%s\"", json, diag.message);
    gla__import_close(im);
}

Test(import_refuses, what_it_cannot_do_by_name)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        expect_refusal(&refusals[i],
                       "\"hidden_size\": 64, \"num_hidden_layers\": 2, \"vocab_size\": 61, ");
    for (size_t i = 0; i < sizeof(of_kla) / sizeof(of_kla[0]); i++)
        expect_refusal(&of_kla[i], "");
    expect_refusal(
        &(struct refusal){"gla", "\"hidden_size\": 1048577", "hidden_size", "1 and 1048576"}, "");
}

Test(import_refuses, an_unknown_family_with_a_hint)
{
    static const char gal[] = "{\"model_type\": \"gal\"}";
    gla__import *im;
    gla_diag diag;

    cr_expect_eq(gla__import_open(gal, sizeof(gal) - 1, "config.json", NULL, &im, &diag),
                 GLA_E_UNSUPPORTED);
    cr_expect(strstr(diag.message, "\"gal\" is not known; known: bamba, "), "%s", diag.message);
    cr_expect(strstr(diag.message, " more"), "%s", diag.message);
    cr_expect_str_eq(diag.hint, "did you mean \"gla\"?");
}
