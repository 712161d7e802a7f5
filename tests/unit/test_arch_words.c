/* SPDX-License-Identifier: Apache-2.0
 *
 * test_arch_words.c - names of config.json, papers and other toolkits hint at ours
 */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <stdio.h>
#include <string.h>

/* The hint for a file with this in its block. */
static void hint_for(const char *block, char hint[160])
{
    gla_registry *registry;
    gla_description *d = NULL;
    gla_arch *arch = NULL;
    gla_diag diag;
    char text[1024];
    const int n =
        snprintf(text, sizeof(text),
                 "gla: 1\nvocab_size: 10\nd_model: 64\nlayers: a\nblocks: {a: {%s}}\n", block);

    cr_assert_eq(gla_registry_create(NULL, &registry, &diag), GLA_OK);
    cr_assert(gla_arch_parse(text, (size_t)n, "x", &arch, &diag) ||
                  gla_describe(arch, registry, &d, &diag),
              "%s is no mistake", block);
    snprintf(hint, 160, "%s", diag.hint);
    gla_arch_free(arch);
    gla_registry_free(registry);
}

static void expect_hint(const char *block, const char *wanted)
{
    char hint[160];

    hint_for(block, hint);
    cr_expect_str_eq(hint, wanted, "%s: %s", block, hint);
}

/* One parameter of a layer type, given under a name of others. */
static void expect_meant(const char *place, const char *type, const char *given, const char *meant)
{
    char block[160], wanted[160];

    snprintf(block, sizeof(block), "%s: {type: %s, %s: 4}", place, type, given);
    snprintf(wanted, sizeof(wanted), "did you mean '%s'? gla_registry_find() of %s lists them",
             meant, type);
    expect_hint(block, wanted);
}

Test(arch_words, parameters_of_others_hint_at_ours)
{
    static const char *const cases[][4] = {
        {"mixer", "attention", "num_heads", "heads"},
        {"mixer", "attention", "num_attention_heads", "heads"},
        {"mixer", "attention", "num_key_value_heads", "kv_heads"},
        {"mixer", "attention", "sliding_window", "window"},
        {"mixer", "attention", "rope_theta", "rope.theta"},
        {"mixer", "attention", "rope.base", "rope.theta"},
        {"mixer", "attention", "partial_rotary_factor", "rope.dims"},
        {"mixer", "attention", "attn_logit_softcapping", "soft_cap"},
        {"mixer", "attention", "attention_bias", "qkv_bias"},
        {"mixer", "gla", "num_heads", "heads"},
        {"mixer", "gla", "head_dim", "k_dim"},
        {"mixer", "gla", "conv_size", "conv"},
        {"mixer", "gla", "gate_logit_normalizer", "gate_normalizer"},
        {"mixer", "gla", "expandK", "expand_k"},
        {"mixer", "gated_deltanet", "num_v_heads", "heads"},
        {"mixer", "gated_deltanet", "linear_num_key_heads", "key_heads"},
        {"mixer", "gated_deltanet", "head_dim", "head_k_dim"},
        {"mixer", "gated_deltanet", "expand_v", "head_v_dim"},
        {"mixer", "kda", "expand_k", "head_k_dim"},
        {"mixer", "gsa", "num_slots", "slots"},
        {"mixer", "mamba", "d_inner", "inner"},
        {"mixer", "mamba", "expand", "inner"},
        {"mixer", "mamba", "conv_kernel", "conv"},
        {"mixer", "mamba2", "d_state", "state"},
        {"mixer", "mamba2", "n_groups", "groups"},
        {"mixer", "mla", "kv_lora_rank", "kv_rank"},
        {"mixer", "rwkv7", "decay_low_rank_dim", "decay_rank"},
        {"ffn", "swiglu", "intermediate_size", "d_ff"},
        {"ffn", "mlp", "hidden_act", "activation"},
        {"ffn", "moe", "num_experts_per_tok", "top_k"},
        {"ffn", "moe", "num_local_experts", "experts"},
        {"ffn", "moe", "n_shared_experts", "shared.d_ff"},
        {"ffn", "moe", "norm_topk_prob", "renormalise"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_meant(cases[i][0], cases[i][1], cases[i][2], cases[i][3]);
}

Test(arch_words, what_is_no_parameter_is_said_to_be_elsewhere)
{
    expect_hint("mixer: {type: attention, hidden_size: 64}",
                "'d_model' says it, for the whole model");
    expect_hint("mixer: {type: gla, max_position_embeddings: 64}",
                "'max_positions' says it, for the whole model");
    expect_hint("ffn: {type: moe, shared: 1}", "it is a mapping of d_ff, gate");
    expect_hint("mixer: {type: mla, rope: 10000}", "it is a mapping of type, theta, interleaved");
}

/* Nothing like it: what there is, as much as there is room for. */
Test(arch_words, a_strange_parameter_is_answered_by_a_list)
{
    char hint[160];

    expect_hint("mixer: {type: short_conv, colour_of_the_door: 4}",
                "it has conv, bias; gla_registry_find() of short_conv lists them");
    hint_for("mixer: {type: gated_deltanet, colour_of_the_door: 4}", hint);
    cr_expect(!strncmp(hint, "it has heads, key_heads, ", 25), "%s", hint);
    cr_expect(strstr(hint, ", ...; gla_registry_find() of gated_deltanet lists them"), "%s", hint);
}

Test(arch_words, types_of_others_hint_at_ours)
{
    expect_hint("mixer: GLA", "did you mean 'gla'?");
    expect_hint("mixer: softmax", "did you mean 'attention'?");
    expect_hint("mixer: swa", "did you mean 'attention' with window: N?");
    expect_hint("mixer: GatedDeltaNet", "did you mean 'gated_deltanet'?");
    expect_hint("mixer: mamba_2", "did you mean 'mamba2'?");
    expect_hint("mixer: retnet", "did you mean 'retention'?");
    expect_hint("mixer: atention", "did you mean 'attention'?");
    expect_hint("ffn: geglu", "did you mean 'swiglu' with activation: gelu?");
    expect_hint("ffn: {type: feed_forward, d_ff: 4}", "did you mean 'mlp'?");
    expect_hint("mixer: gla, norm: RMSNorm", "did you mean 'rmsnorm'?");
    expect_hint("mixer: quantum",
                "load the plugin that has it with gla_registry_load() or GLA_PLUGIN_PATH");
}

Test(arch_words, keys_of_config_json_hint_at_ours)
{
    static const char *const cases[][2] = {{"hidden_size", "d_model"},
                                           {"num_hidden_layers", "layers"},
                                           {"max_position_embeddings", "max_positions"},
                                           {"tie_word_embeddings", "tie_embeddings"},
                                           {"eos_token_id", "eos_tokens"},
                                           {"rms_norm_eps", "norm"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gla_arch *arch;
        gla_diag diag;
        char text[64], wanted[64];
        const int n = snprintf(text, sizeof(text), "gla: 1\n%s: 4\n", cases[i][0]);

        cr_expect_eq(gla_arch_parse(text, (size_t)n, "x", &arch, &diag), GLA_E_SCHEMA);
        snprintf(wanted, sizeof(wanted), "did you mean \"%s\"?", cases[i][1]);
        cr_expect_str_eq(diag.hint, wanted, "%s", cases[i][0]);
    }
    expect_hint("attn: gla", "did you mean \"mixer\"?");
    expect_hint("mixer: gla, mlp: swiglu", "did you mean \"ffn\"?");
}
