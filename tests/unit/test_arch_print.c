/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <string.h>

#include "support/arch_block.h"

static void prints_itself(const char *text)
{
    gla_arch *a;
    gla_diag diag;
    char *printed;
    size_t size;

    cr_assert_eq(gla_arch_parse(text, strlen(text), "x.yaml", &a, &diag), GLA_OK, "%s",
                 diag.message);
    cr_assert_eq(gla_arch_print(a, &printed, &size, &diag), GLA_OK);
    cr_assert_str_eq(printed, text);
    cr_assert_eq(size, strlen(text));
    gla_text_free(printed);
    gla_arch_free(a);
}

Test(arch_print, writes_as_a_person_would)
{
    prints_itself("gla: 1\n"
                  "name: tiny-hybrid\n"
                  "family: fla/gla\n"
                  "vocab_size: 4096\n"
                  "d_model: 256\n"
                  "max_positions: 2048\n"
                  "tie_embeddings: true\n"
                  "bos_token: 0\n"
                  "eos_tokens: [0]\n"
                  "norm: {type: rmsnorm, eps: 1.0e-6}\n"
                  "blocks:\n"
                  "  lin:\n"
                  "    mixer: {type: gla, heads: 4, expand_k: 0.5, clamp_min: -2.5}\n"
                  "    ffn: {type: swiglu, d_ff: 1024}\n"
                  "  attn:\n"
                  "    mixer: {type: attention, heads: 4, kv_heads: 2, rope: {theta: 10000}}\n"
                  "    ffn: {type: swiglu, d_ff: 1024}\n"
                  "layers:\n"
                  "  pattern: 3*lin + attn\n"
                  "  repeat: 2\n");
}

Test(arch_print, puts_long_mappings_on_lines_of_their_own)
{
    prints_itself(
        "gla: 1\n"
        "name: \"no\"\n"
        "vocab_size: 10\n"
        "d_model: 4\n"
        "embedding: {multiplier: 5.66}\n"
        "norm: rmsnorm\n"
        "final_norm: none\n"
        "blocks:\n"
        "  a-1:\n"
        "    mixer:\n"
        "      - type: mamba2\n"
        "        in_multiplier: 0.25\n"
        "        a_rather_long_parameter_name: a_rather_long_word\n"
        "        another_long_name: [1, 2.5, -3.0e-8]\n"
        "        flag: false\n"
        "      - {type: attention, out_multiplier: 0.5}\n"
        "    ffn:\n"
        "      type: moe\n"
        "      experts: {n: 8, top_k: 2, shared: {n: 1, gate: true}, text: \"with blanks\"}\n"
        "      a_rather_long_parameter_name: a_rather_long_word_that_needs_room\n"
        "    norm_at: sandwich\n"
        "    norm: layernorm\n"
        "    skip_multiplier: {mixer: 2, ffn: 1}\n"
        "    residual_multiplier: 0.22\n"
        "    weights: int4\n"
        "layers: a-1\n");
}

/* The layers as letters: "aab" -> what stands after "layers:". */
static void expect_pattern(const char *layers, const char *pattern)
{
    gla_arch *a = gla_arch_new("x");
    uint32_t index[64];
    gla_diag diag;
    char *text;
    size_t size;

    a->vocab_size = a->d_model = 1;
    for (const char *name = "abc"; *name; name++) {
        const char word[2] = {*name, 0};
        gla_arch_block *b = add_block(a, word);

        cr_assert_eq(gla_arch_layer_init(&b->ffn, "mlp", NULL), GLA_OK);
    }
    for (size_t i = 0; layers[i]; i++)
        index[i] = (uint32_t)(layers[i] - 'a');
    cr_assert_eq(gla_arch_set_layers(a, index, (uint32_t)strlen(layers), NULL), GLA_OK);
    cr_assert_eq(gla_arch_print(a, &text, &size, &diag), GLA_OK);
    cr_expect_str_eq(strstr(text, "layers:") + 7, pattern, "%s: %s", layers, text);
    gla_text_free(text);
    gla_arch_free(a);
}

Test(arch_print, finds_the_shortest_pattern)
{
    expect_pattern("a", " a\n");
    expect_pattern("aaaaaaaa", " 8*a\n");
    expect_pattern("aaab", " 3*a + b\n");
    expect_pattern("abab", "\n  pattern: a + b\n  repeat: 2\n");
    expect_pattern("aaabaaab", "\n  pattern: 3*a + b\n  repeat: 2\n");
    expect_pattern("caabcaabcaab", "\n  pattern: c + 2*a + b\n  repeat: 3\n");
    expect_pattern("caabaaabaaab", "\n  pattern: 3*a + b\n  repeat: 3\n  override: {0: c}\n");
    expect_pattern("aaaaaaaaab", " 9*a + b\n");
    expect_pattern("abcabcabcabb", "\n  pattern: a + b + c\n  repeat: 4\n  override: {11: b}\n");
}

Test(arch_print, leaves_out_blocks_without_layers)
{
    gla_arch *a = gla_arch_new("x"), *b;
    const uint32_t layer = 1;
    gla_diag diag;
    char *text;
    size_t size;

    a->vocab_size = a->d_model = 1;
    cr_assert_eq(gla_arch_layer_init(&add_block(a, "one")->ffn, "mlp", NULL), GLA_OK);
    cr_assert_eq(gla_arch_layer_init(&add_block(a, "two")->ffn, "mlp", NULL), GLA_OK);
    cr_assert_eq(gla_arch_set_layers(a, &layer, 1, NULL), GLA_OK);
    cr_assert_eq(gla_arch_print(a, &text, &size, &diag), GLA_OK);
    cr_assert_eq(gla_arch_parse(text, size, "x", &b, &diag), GLA_OK);
    cr_assert_eq(b->n_blocks, 1);
    cr_assert_str_eq(b->blocks[0].name, "two");
    gla_text_free(text);
    gla_arch_free(a);
    gla_arch_free(b);
}

Test(arch_print, refuses_names_that_would_not_read_back)
{
    gla_arch *a = gla_arch_new("x");
    const uint32_t layer = 0;
    gla_diag diag;
    char *text;
    size_t size;

    cr_assert_eq(gla_arch_print(a, &text, &size, &diag), GLA_E_INVALID);
    cr_assert_eq(gla_arch_layer_init(&add_block(a, "a b")->ffn, "mlp", NULL), GLA_OK);
    cr_assert_eq(gla_arch_set_layers(a, &layer, 1, NULL), GLA_OK);
    cr_assert_eq(gla_arch_print(a, &text, &size, &diag), GLA_E_INVALID);
    cr_assert(strstr(diag.message, "a b"));
    gla_arch_free(a);
    a = gla_arch_new(NULL);
    cr_assert_eq(gla_arch_layer_init(&add_block(a, "b")->ffn, "mlp", NULL), GLA_OK);
    cr_assert_eq(gla_arch_set_layers(a, &layer, 1, NULL), GLA_OK);
    cr_assert_eq(gla_arch_set_string(&a->blocks[0].ffn, "no name", NULL, NULL), GLA_OK);
    cr_assert_eq(gla_arch_print(a, &text, &size, &diag), GLA_E_INVALID);
    cr_assert(strstr(diag.message, "\"no name\" is no parameter name"), "%s", diag.message);
    a->blocks[0].ffn.n_params = 0;
    a->blocks[0].norm_at = 99;
    cr_assert_eq(gla_arch_print(a, &text, &size, &diag), GLA_E_INVALID);
    cr_assert(strstr(diag.message, "norm_at 99"), "%s", diag.message);
    a->blocks[0].norm_at = 0;
    a->blocks[0].ffn.n_params = 1; /* for gla_arch_free() */
    gla_arch_free(a);
}

Test(arch_print, leaves_a_dotted_name_flat_where_its_word_is_a_key)
{
    static const char text[] = "gla: 1\nname: a\nvocab_size: 9\nd_model: 8\n"
                               "norm: {type.inf: 1, in_multiplier.x: 2, eps: 3}\n"
                               "blocks: {b: {mixer: {type: x, type.y: 4, a.b: 5}}}\nlayers: b\n";
    gla_arch *a, *again;
    gla_diag diag;
    char *printed;
    size_t size;

    cr_assert_eq(gla_arch_parse(text, strlen(text), "a", &a, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla_arch_print(a, &printed, &size, &diag), GLA_OK);
    cr_expect(strstr(printed, "type.inf: 1") && strstr(printed, "type.y: 4"), "%s", printed);
    cr_expect(strstr(printed, "a: {b: 5}"), "%s", printed);
    cr_assert_eq(gla_arch_parse(printed, size, "p", &again, &diag), GLA_OK, "%s", diag.message);
    gla_text_free(printed);
    gla_arch_free(a);
    gla_arch_free(again);
}

/* Of a folder with such a name, say: what is printed can be read again. */
Test(arch_print, cleans_what_no_reader_takes)
{
    gla_arch *a = gla_arch_new("tab\t, \033[31m, \xff, \xc2");
    const uint32_t layer = 0;
    gla_arch *again;
    gla_diag diag;
    char *printed;
    size_t size;

    add_block(a, "b");
    cr_assert_eq(gla_arch_layer_init(&a->blocks[0].mixers[0], "x", NULL), GLA_OK);
    a->blocks[0].n_mixers = 1;
    cr_assert_eq(gla_arch_set_layers(a, &layer, 1, NULL), GLA_OK);
    a->vocab_size = a->d_model = 8;
    cr_assert_eq(gla_arch_print(a, &printed, &size, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla_arch_parse(printed, size, "p", &again, &diag), GLA_OK, "%s", diag.message);
    cr_expect_str_eq(again->name, "tab?, ?[31m, ?, ?");
    gla_text_free(printed);
    gla_arch_free(a);
    gla_arch_free(again);
}

Test(arch_print, builders_say_what_is_wrong)
{
    gla_arch *a = gla_arch_new("a");
    const uint32_t layers[] = {0, 1};
    gla_arch_block *b;
    gla_diag diag;

    add_block(a, "b");
    cr_expect_eq(gla_arch_add_block(a, "b", &b, &diag), GLA_E_INVALID);
    cr_expect_str_eq(diag.message, "there is a block 'b' already");
    cr_expect_null(b);
    cr_expect_eq(gla_arch_copy_block(a, &a->blocks[0], "b", &b, &diag), GLA_E_INVALID);
    cr_expect_eq(gla_arch_set_layers(a, layers, 2, &diag), GLA_E_INVALID);
    cr_expect_str_eq(diag.message, "layer 1 is block 1, there are 1");
    cr_expect_eq(a->n_blocks, 1);
    gla_arch_free(a);
}

Test(arch_print, is_looked_at_through_functions)
{
    gla_arch *a = gla_arch_new("a");
    const uint32_t layers[] = {1, 0};
    gla_arch_layer *mixer;

    add_block(a, "one");
    mixer = &add_block(a, "two")->mixers[0];
    cr_assert_eq(gla_arch_layer_init(mixer, "x", NULL), GLA_OK);
    cr_assert_eq(gla_arch_set_number(mixer, "heads", 3, NULL), GLA_OK);
    a->blocks[1].n_mixers = 1;
    cr_assert_eq(gla_arch_set_layers(a, layers, 2, NULL), GLA_OK);
    a->eos_tokens[0] = 7;
    a->n_eos = 1;
    cr_expect_str_eq(gla_arch_get_block(a, 0)->name, "one");
    cr_expect_str_eq(gla_arch_get_layer(a, 0)->name, "two");
    cr_expect_str_eq(gla_arch_get_mixer(gla_arch_get_layer(a, 0), 0)->type, "x");
    cr_expect_str_eq(gla_arch_get_param(mixer, 0)->name, "heads");
    cr_expect_null(gla_arch_get_block(a, 2));
    cr_expect_null(gla_arch_get_layer(a, 2));
    cr_expect_null(gla_arch_get_mixer(gla_arch_get_layer(a, 1), 0));
    cr_expect_null(gla_arch_get_param(mixer, 1));
    cr_expect(gla_arch_is_eos(a, 7) && !gla_arch_is_eos(a, 8));
    gla_arch_free(a);
}

Test(arch_print, counts_and_indices_beyond_the_arrays_are_refused)
{
    gla_arch *a = gla_arch_new("a"), *copy;
    const uint32_t layer = 0;
    gla_diag diag;
    char *printed;
    size_t size;

    add_block(a, "b");
    cr_assert_eq(gla_arch_set_layers(a, &layer, 1, NULL), GLA_OK);
    a->blocks[0].n_mixers = GLA_ARCH_MAX_PARALLEL + 1;
    cr_expect_eq(gla_arch_copy(a, &copy, NULL), GLA_E_INVALID);
    cr_expect_null(copy);
    cr_expect_eq(gla_arch_print(a, &printed, &size, &diag), GLA_E_INVALID);
    a->blocks[0].n_mixers = 0;
    a->n_eos = 9;
    cr_expect_eq(gla_arch_copy(a, &copy, NULL), GLA_E_INVALID);
    cr_expect_eq(gla_arch_print(a, &printed, &size, &diag), GLA_E_INVALID);
    a->n_eos = 0;
    a->layers[0] = 55;
    cr_expect_eq(gla_arch_copy(a, &copy, NULL), GLA_E_INVALID);
    cr_expect_eq(gla_arch_print(a, &printed, &size, &diag), GLA_E_INVALID);
    gla_arch_free(a);
}
