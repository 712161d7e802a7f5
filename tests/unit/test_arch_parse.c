/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/arch_block.h"

static const char design_example[] =
    "gla: 1\n"
    "name: hybrid-400m\n"
    "vocab_size: 32000\n"
    "d_model: 1024\n"
    "norm: {type: rmsnorm, eps: 1.0e-6}\n"
    "tie_embeddings: true\n"
    "blocks:\n"
    "  lin:  {mixer: {type: gla, heads: 4, expand_k: 0.5}, ffn: {type: swiglu, d_ff: 2816}}\n"
    "  attn: {mixer: {type: attention, heads: 16, kv_heads: 4, rope: {theta: 10000}}, ffn: {type: "
    "swiglu, d_ff: 2816}}\n"
    "layers:\n"
    "  pattern: [lin, lin, lin, attn]       # or \"3*lin + attn\"\n"
    "  repeat: 6\n"
    "  override: {0: attn}\n";

static gla_arch *parse(const char *text)
{
    gla_arch *a;
    gla_diag diag;
    char formatted[512];
    const gla_status st = gla_arch_parse(text, strlen(text), "x.yaml", &a, &diag);

    cr_assert_eq(st, GLA_OK, "%s", gla_diag_format(&diag, formatted, sizeof(formatted)));
    return a;
}

/* The example with `layers` (and what stands after it) replaced. */
static gla_arch *parse_layers(const char *layers)
{
    char text[2048];

    snprintf(text, sizeof(text), "%.*s%s",
             (int)(strstr(design_example, "layers:") - design_example), design_example, layers);
    return parse(text);
}

Test(arch_parse, reads_the_example_of_the_design)
{
    gla_arch *a = parse(design_example);
    const gla_arch_layer *attn = &a->blocks[1].mixers[0];

    cr_assert_str_eq(a->name, "hybrid-400m");
    cr_assert_str_eq(a->source, "x.yaml");
    cr_assert_eq(a->vocab_size, 32000);
    cr_assert_eq(a->d_model, 1024);
    cr_assert(a->tie_embeddings);
    cr_assert_eq(a->bos_token, -1);
    cr_assert_str_eq(a->norm.type, "rmsnorm");
    cr_assert_float_eq(gla_arch_param_find(&a->norm, "eps")->number, 1e-6, 1e-20);
    cr_assert_null(a->final_norm.type);
    cr_assert_eq(a->n_blocks, 2);
    cr_assert_str_eq(attn->type, "attention");
    cr_assert_eq(gla_arch_param_find(attn, "rope.theta")->number, 10000);
    cr_assert_eq(gla_arch_param_find(attn, "rope.theta")->line, 9);
    cr_assert_str_eq(a->blocks[0].ffn.type, "swiglu");
    cr_assert_eq(a->n_layers, 24);
    for (uint32_t i = 0; i < 24; i++)
        cr_assert_eq(a->layers[i], (uint32_t)(i % 4 == 3 || i == 0));
    gla_arch_free(a);
}

Test(arch_parse, takes_patterns_in_every_spelling)
{
    static const char *const spellings[] = {
        "layers: 2*lin + attn + lin\n",
        "layers: [lin, lin, attn, lin]\n",
        "layers: [2*lin, attn, lin]\n",
        "layers:\n- 2 * lin\n- attn + lin\n",
        "layers: {pattern: lin, repeat: 4, override: {2: attn}}\n",
        "layers: {pattern: \"lin+lin\", repeat: 2, override: {2: attn}}\n",
    };

    for (size_t s = 0; s < sizeof(spellings) / sizeof(spellings[0]); s++) {
        gla_arch *a = parse_layers(spellings[s]);

        cr_expect_eq(a->n_layers, 4, "%s", spellings[s]);
        for (uint32_t i = 0; i < 4; i++)
            cr_expect_eq(a->layers[i], (uint32_t)(i == 2), "%s", spellings[s]);
        gla_arch_free(a);
    }
}

Test(arch_parse, reads_everything_a_published_hybrid_needs)
{
    gla_arch *a = parse("gla: 1\n"
                        "vocab_size: 100\nd_model: 64\nmax_positions: 2048\n"
                        "bos_token: 1\neos_tokens: [2, 3]\nweights: int8\n"
                        "norm: {type: layernorm, bias: true}\n"
                        "final_norm: none\n"
                        "embedding: {multiplier: 12}\n"
                        "embedding_norm: layernorm\n"
                        "head: {soft_cap: 30, bias: false}\n"
                        "blocks:\n"
                        "  both:\n"
                        "    mixer:\n"
                        "    - {type: mamba2, in_multiplier: 0.5}\n"
                        "    - {type: gla.attention/1, out_multiplier: 2, norm: none}\n"
                        "    norm_at: sandwich\n"
                        "    norm: {type: rmsnorm, offset: 1}\n"
                        "    skip_multiplier: {ffn: 3}\n"
                        "    residual_multiplier: 0.22\n"
                        "    ffn: {type: moe, scales: [1, 2.5, -.inf], name: \"12\"}\n"
                        "    weights: f32\n"
                        "layers: both\n");
    const gla_arch_block *b = &a->blocks[0];

    cr_assert_eq(a->max_positions, 2048);
    cr_assert_eq(a->bos_token, 1);
    cr_assert_eq(a->n_eos, 2);
    cr_assert_eq(a->eos_tokens[1], 3);
    cr_assert_eq(a->weights_dtype, GLA_DTYPE_I8);
    cr_assert_eq(gla_arch_param_find(&a->norm, "bias")->kind, GLA_ARCH_BOOL);
    cr_assert_str_eq(a->final_norm.type, "none");
    cr_assert_str_eq(a->embedding.type, "embedding");
    cr_assert_str_eq(a->embedding_norm.type, "layernorm");
    cr_assert_eq(gla_arch_param_find(&a->head, "soft_cap")->number, 30);
    cr_assert_eq(b->n_mixers, 2);
    cr_assert_eq(b->mixers[0].in_multiplier, 0.5);
    cr_assert_eq(b->mixers[0].out_multiplier, 1);
    cr_assert_eq(b->mixers[1].out_multiplier, 2);
    cr_assert_str_eq(gla_arch_param_find(&b->mixers[1], "norm")->string, "none");
    cr_assert_eq(b->norm_at, GLA_NORM_AT_SANDWICH);
    cr_assert_eq(gla_arch_param_find(&b->norm, "offset")->number, 1);
    cr_assert_eq(b->mixer_skip, 1);
    cr_assert_eq(b->ffn_skip, 3);
    cr_assert_eq(b->mixer_residual, 0.22);
    cr_assert_eq(b->ffn_residual, 0.22);
    cr_assert_eq(gla_arch_param_find(&b->ffn, "scales")->n_list, 3);
    cr_assert(isinf(gla_arch_param_find(&b->ffn, "scales")->list[2]));
    cr_assert_str_eq(gla_arch_param_find(&b->ffn, "name")->string, "12");
    cr_assert_eq(b->weights_dtype, GLA_DTYPE_F32);
    gla_arch_free(a);
}

Test(arch_parse, takes_scalars_as_the_schema_says_not_as_yaml_does)
{
    gla_arch *a = parse("gla: 1\nvocab_size: 10\nd_model: 4\nname: no\n"
                        "blocks: {a: {mixer: {type: x, a: no, b: 0x10, c: 1_000, d: 1e3, e: 010, "
                        "f: True, g: '3', h: 1.5.2, i: 0.5e-3}}}\n"
                        "layers: a\n");
    const gla_arch_layer *m = &a->blocks[0].mixers[0];

    cr_assert_str_eq(a->name, "no");
    cr_assert_str_eq(gla_arch_param_find(m, "a")->string, "no");
    cr_assert_str_eq(gla_arch_param_find(m, "b")->string, "0x10");
    cr_assert_str_eq(gla_arch_param_find(m, "c")->string, "1_000");
    cr_assert_eq(gla_arch_param_find(m, "d")->number, 1000);
    cr_assert_eq(gla_arch_param_find(m, "e")->number, 10);
    cr_assert_str_eq(gla_arch_param_find(m, "f")->string, "True");
    cr_assert_str_eq(gla_arch_param_find(m, "g")->string, "3");
    cr_assert_str_eq(gla_arch_param_find(m, "h")->string, "1.5.2");
    cr_assert_eq(gla_arch_param_find(m, "i")->number, 0.0005);
    gla_arch_free(a);
}

Test(arch_parse, names_a_text_of_no_file)
{
    gla_arch *a;
    gla_diag diag;

    cr_assert_eq(gla_arch_parse("gla: 2\n", 7, NULL, &a, &diag), GLA_E_VERSION);
    cr_assert_str_eq(diag.where, "arch.yaml");
    cr_assert_eq(gla_arch_parse("gla: 2\n", 7, NULL, &a, NULL), GLA_E_VERSION);
}

Test(arch_parse, reads_the_file_of_a_model_folder)
{
    gla_arch *a;
    gla_diag diag;

    cr_assert_eq(gla_arch_read(GLA_SOURCE_DIR "/no-such-folder", &a, &diag), GLA_E_IO);
    cr_assert_null(a);
    cr_assert(strstr(diag.where, "no-such-folder"));
    cr_assert_eq(gla_arch_read(GLA_SOURCE_DIR "/tests/reference/gla", &a, &diag), GLA_E_IO);
    cr_assert(strstr(diag.hint, "gla_convert()"), "%s", diag.hint);
    cr_assert_eq(gla_arch_read(GLA_SOURCE_DIR "/tests", &a, &diag), GLA_E_IO);
    cr_assert_not(strstr(diag.hint, "gla_convert()"), "%s", diag.hint);
}

Test(arch_build, replaces_parameters_and_copies_deeply)
{
    gla_arch *a = gla_arch_new("made"), *b;
    const uint32_t layers[] = {0, 1, 0};
    const double list[] = {1, 2};

    add_block(a, "one");
    add_block(a, "two");
    for (uint32_t i = 0; i < 2; i++) {
        gla_arch_layer *m = &a->blocks[i].mixers[0];

        a->blocks[i].n_mixers = 1;
        cr_assert_eq(gla_arch_layer_init(m, "gla", NULL), GLA_OK);
        cr_assert_eq(gla_arch_set_string(m, "x", "text", NULL), GLA_OK);
        cr_assert_eq(gla_arch_set_number(m, "x", 3, NULL), GLA_OK);
        cr_assert_eq(gla_arch_set_list(m, "y", list, 2, NULL), GLA_OK);
        cr_assert_eq(m->n_params, 2);
    }
    cr_assert_eq(gla_arch_set_layers(a, layers, 3, NULL), GLA_OK);
    cr_assert_eq(gla_arch_copy(a, &b, NULL), GLA_OK);
    gla_arch_free(a);
    cr_assert_eq(b->n_layers, 3);
    cr_assert_eq(b->layers[1], 1);
    cr_assert_eq(gla_arch_param_find(&b->blocks[1].mixers[0], "x")->number, 3);
    cr_assert_eq(gla_arch_param_find(&b->blocks[1].mixers[0], "y")->list[1], 2);
    gla_arch_free(b);
}

Test(arch_build, refuses_a_layer_of_no_block)
{
    gla_arch *a = gla_arch_new("made");
    const uint32_t layer = 0;

    cr_assert_eq(gla_arch_set_layers(a, &layer, 1, NULL), GLA_E_INVALID);
    gla_arch_free(a);
}
