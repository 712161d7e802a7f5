/* SPDX-License-Identifier: Apache-2.0
 *
 * What an importer learns from the tensors beside config.json: spellings of names, projections
 * that are fused or not, and sizes that the config has wrong. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "formats/import/import.h"
#include "support/temp_file.h"

#define MAX_TENSORS 8

/* "2x3x4" as a list of numbers; their product. */
static size_t read_shape(const char *text, char *list, size_t size)
{
    size_t count = 1, used = 0;

    list[0] = '\0';
    for (char *end; *text; text = end + (*end == 'x')) {
        const size_t n = strtoul(text, &end, 10);

        cr_assert_neq(end, text);
        used += (size_t)snprintf(list + used, size - used, "%s%zu", used ? "," : "", n);
        count *= n;
    }
    return count;
}

/* Tensors of U8, "name*shape" or "name" (one element). */
static gla_weights *make_source(const char *const *tensors)
{
    char header[2048] = "{", path[TEMP_PATH], shape[64];
    uint8_t length[8] = {0};
    size_t n = 1, bytes = 0;
    gla_weights *w;
    gla_diag diag;
    FILE *f = fopen(temp_path(path, "source.safetensors"), "wb");

    for (; *tensors; tensors++) {
        const size_t name = strcspn(*tensors, "*");
        const char *given = (*tensors)[name] ? *tensors + name + 1 : "1";
        const size_t count = read_shape(given, shape, sizeof(shape));

        n += (size_t)snprintf(
            header + n, sizeof(header) - n,
            "%s\"%.*s\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
            n > 1 ? "," : "", (int)name, *tensors, shape, bytes, bytes + count);
        bytes += count;
    }
    n += (size_t)snprintf(header + n, sizeof(header) - n, "}");
    length[0] = (uint8_t)n;
    length[1] = (uint8_t)(n >> 8);
    cr_assert(f && fwrite(length, 1, 8, f) == 8 && fwrite(header, 1, n, f) == n);
    for (size_t i = 0; i < bytes; i++)
        fputc(0, f);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    unlink(path);
    return w;
}

static gla__import *open_import(const char *family, const char *more, const gla_weights *w)
{
    char json[512];
    gla__import *im;
    gla_diag diag;

    snprintf(json, sizeof(json),
             "{\"model_type\": \"%s\", \"hidden_size\": 8, \"num_hidden_layers\": 2, "
             "\"vocab_size\": 4%s}",
             family, more);
    cr_assert_eq(gla__import_open(json, strlen(json), "config.json", w, &im, &diag), GLA_OK,
                 "%s: %s: %s", json, diag.where, diag.message);
    return im;
}

/* ---- names ---- */

static const struct {
    const char *family, *more, *tensors[MAX_TENSORS];
    const char *ours, *source; /* the first piece; NULL: none is said */
} names[] = {
    /* kimi_linear: as published, in transformers, and with the convolutions in one */
    {"kimi_linear",
     ", \"first_k_dense_replace\": 0",
     {"model.layers.0.block_sparse_moe.gate.weight"},
     "layers.0.ffn.router.weight",
     "model.layers.0.block_sparse_moe.gate.weight"},
    {"kimi_linear",
     "",
     {"model.layers.0.block_sparse_moe.up_proj.weight"},
     "layers.0.ffn.up_proj.weight",
     "model.layers.0.block_sparse_moe.up_proj.weight"},
    {"kimi_linear",
     "",
     {"model.layers.0.mlp.up_proj.weight"},
     "layers.0.ffn.up_proj.weight",
     "model.layers.0.mlp.up_proj.weight"},
    {"kimi_linear",
     ", \"linear_num_heads\": 2, \"linear_head_dim\": 4",
     {"model.layers.0.self_attn.conv1d.weight*96"},
     "layers.0.mixer.k_conv1d.weight",
     "model.layers.0.self_attn.conv1d.weight"},
    /* nemotron_h: two roots, and experts packed or not */
    {"nemotron_h",
     ", \"hybrid_override_pattern\": \"M\"",
     {"backbone.norm_f.weight"},
     "final_norm.weight",
     "backbone.norm_f.weight"},
    {"nemotron_h",
     ", \"hybrid_override_pattern\": \"M\"",
     {"model.norm_f.weight"},
     "final_norm.weight",
     "model.norm_f.weight"},
    {"nemotron_h",
     ", \"hybrid_override_pattern\": \"E\"",
     {"model.layers.0.mixer.experts.up_proj", "model.layers.0.mixer.experts.down_proj"},
     "layers.0.ffn.experts.down_proj.weight",
     "model.layers.0.mixer.experts.down_proj"},
    {"nemotron_h",
     ", \"hybrid_override_pattern\": \"E\"",
     {"model.layers.0.mixer.experts.0.up_proj.weight"},
     "layers.0.ffn.experts.up_proj.weight",
     "model.layers.0.mixer.experts.0.up_proj.weight"},
    /* experts as published, and as transformers 5 keeps them */
    {"granitemoehybrid",
     ", \"mamba_n_heads\": 2",
     {"model.layers.0.block_sparse_moe.input_linear.weight"},
     "layers.0.ffn.experts.down_proj.weight",
     "model.layers.0.block_sparse_moe.output_linear.weight"},
    {"granitemoehybrid",
     ", \"mamba_n_heads\": 2",
     {"model.layers.0.block_sparse_moe.experts.gate_up_proj"},
     "layers.0.ffn.experts.down_proj.weight",
     "model.layers.0.block_sparse_moe.experts.down_proj"},
    {"minimax",
     ", \"num_attention_heads\": 2",
     {"model.layers.0.block_sparse_moe.gate.weight"},
     "layers.0.ffn.router.weight",
     "model.layers.0.block_sparse_moe.gate.weight"},
    {"minimax",
     ", \"num_attention_heads\": 2",
     {"model.layers.0.mlp.gate.weight"},
     "layers.0.ffn.router.weight",
     "model.layers.0.mlp.gate.weight"},
    /* roots of models that also see */
    {"qwen3_5",
     ", \"num_attention_heads\": 2",
     {"model.language_model.embed_tokens.weight", "lm_head.weight"},
     "head.weight",
     "lm_head.weight"},
    {"qwen3_5",
     ", \"num_attention_heads\": 2",
     {"language_model.model.embed_tokens.weight", "language_model.lm_head.weight"},
     "head.weight",
     "language_model.lm_head.weight"},
    {"mamba",
     ", \"tie_word_embeddings\": true",
     {"backbone.embedding.weight"},
     "embed.weight",
     "backbone.embedding.weight"},
    {"mamba",
     ", \"tie_word_embeddings\": true",
     {"backbone.embeddings.weight"},
     "embed.weight",
     "backbone.embeddings.weight"},
    {"gla", "", {"model.embed_tokens.weight"}, "embed.weight", "model.embed_tokens.weight"},
    {"gla", "", {"model.embeddings.weight"}, "embed.weight", "model.embeddings.weight"},
    /* gate and up in one, as until February 2025 */
    {"gla",
     ", \"intermediate_size\": 3",
     {"model.layers.0.mlp.gate_proj.weight*48", "model.layers.0.mlp.down_proj.weight*24"},
     "layers.0.ffn.up_proj.weight",
     "model.layers.0.mlp.gate_proj.weight"},
    {"gla",
     ", \"intermediate_size\": 3",
     {"model.layers.0.mlp.gate_proj.weight*24", "model.layers.0.mlp.down_proj.weight*24"},
     "layers.0.ffn.up_proj.weight",
     "model.layers.0.mlp.up_proj.weight"},
    {"gla",
     ", \"intermediate_size\": 3",
     {"model.layers.0.mlp.gate_proj.weight*48", "model.layers.0.mlp.down_proj.weight*24",
      "model.layers.0.mlp.up_proj.weight"},
     "layers.0.ffn.up_proj.weight",
     "model.layers.0.mlp.up_proj.weight"},
    {"gla",
     "",
     {"model.layers.0.mlp.gate_proj.weight*48"},
     "layers.0.ffn.up_proj.weight",
     "model.layers.0.mlp.up_proj.weight"},
    {"olmo_hybrid",
     ", \"num_attention_heads\": 2",
     {"model.layers.0.input_layernorm.weight"},
     "layers.0.mixer_norm.weight",
     "model.layers.0.input_layernorm.weight"},
    {"olmo_hybrid",
     ", \"num_attention_heads\": 2",
     {"model.norm.weight"},
     "layers.0.mixer_norm.weight",
     "model.layers.0.attention_layer_norm.weight"},
    {"gla", "", {"model.norm.weight"}, "nothing.weight", NULL},
};

Test(import_tensors, names_are_found_in_every_spelling)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        gla_weights *w = make_source(names[i].tensors);
        gla__import *im = open_import(names[i].family, names[i].more, w);
        const gla__mapped *m;

        cr_assert_eq(gla__mapping_resolve(im->map, names[i].ours, &m, NULL), GLA_OK);
        cr_expect_eq(m != NULL, names[i].source != NULL, "%s: %s", names[i].family, names[i].ours);
        if (m && names[i].source)
            cr_expect_str_eq(m->pieces[0].source, names[i].source, "%s of %s: %s", names[i].ours,
                             names[i].family, m->pieces[0].source);
        gla__import_close(im);
        gla_weights_free(w);
    }
}

Test(import_tensors, a_tensor_stored_twice_is_ignored_when_it_is_tied)
{
    static const char *const tensors[] = {"model.norm.weight", NULL};
    static const char twice[] = "model.layers.0.attn.feature_map_k.layer.weight";
    gla_weights *w = make_source(tensors);
    gla__import *im = open_import("linear_attn", ", \"tie_feature_map_qk\": true", w);

    cr_expect(gla__mapping_ignores(im->map, twice));
    gla__import_close(im);
    im = open_import("linear_attn", "", w);
    cr_expect(!gla__mapping_ignores(im->map, twice));
    gla__import_close(im);
    gla_weights_free(w);
}

/* ---- sizes ---- */

#define HEADS  ", \"num_attention_heads\": 2"
#define UNTIED "d_model: 8\nmax_positions: 32768\n"

/* What the config says and the tensors do not: they decide, and it is said. */
static const struct {
    const char *family, *more, *tensors[MAX_TENSORS];
    const char *note, *yaml;
} sizes[] = {
    {"gla",
     ", \"use_short_conv\": true",
     {"model.norm.weight"},
     "asks for a short convolution, the tensors have none",
     "{type: gla, heads: 4"},
    {"gla",
     "",
     {"model.layers.0.attn.q_conv1d.weight"},
     "asks for no short convolution, the tensors have one",
     "conv: 4"},
    {"gla",
     "",
     {"model.layers.0.mlp.down_proj.weight*24"},
     "gives the ffn 256 channels, the tensors have 3",
     "d_ff: 3"},
    {"gla", "", {"model.layers.0.mlp.down_proj.weight*25"}, NULL, "d_ff: 256"},
    {"mamba",
     ", \"tie_word_embeddings\": true",
     {"backbone.layers.0.mixer.dt_proj.weight*48"},
     "gives dt rank 1, the tensors have 3",
     "dt_rank: 3"},
    {"mamba",
     ", \"tie_word_embeddings\": true",
     {"backbone.layers.0.mixer.dt_proj.weight*47"},
     NULL,
     "dt_rank: 1"},
    /* MLX adds the 1 of zero-centred norms; its convolutions tell it */
    {"qwen3_5",
     HEADS,
     {"language_model.model.layers.0.linear_attn.conv1d.weight*8x4x1"},
     NULL,
     "norm: {type: rmsnorm, eps: 1.0e-6}"},
    {"qwen3_5",
     HEADS,
     {"language_model.model.layers.0.linear_attn.conv1d.weight*8x1x4"},
     NULL,
     "norm: {type: rmsnorm, eps: 1.0e-6, offset: 1}"},
    {"qwen3_5", HEADS, {"language_model.lm_head.weight"}, NULL, UNTIED},
    /* of a model of images and text the outer word counts */
    {"qwen3_5",
     HEADS ", \"tie_word_embeddings\": false, \"text_config\": {\"tie_word_embeddings\": true}",
     {"lm_head.weight"},
     NULL,
     UNTIED},
    {"llama",
     ", \"num_attention_heads\": 2",
     {"model.norm.weight"},
     "there is no lm_head.weight",
     "tie_embeddings: true"},
    {"hgrn2",
     ", \"expand_ratio\": 4, \"num_heads\": 3",
     {"lm_head.weight"},
     "num_heads 3, the model has hidden_size / expand_ratio: 2",
     "heads: 2"},
    {"llama",
     ", \"num_attention_heads\": 2, \"bos_token_id\": 4, \"eos_token_id\": [1, 9]",
     {"lm_head.weight"},
     "bos_token_id 4 is outside of the vocabulary",
     "eos_tokens: [1]"},
};

Test(import_tensors, decide_where_the_config_differs_and_it_is_said)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        gla_weights *w = make_source(sizes[i].tensors);
        gla__import *im = open_import(sizes[i].family, sizes[i].more, w);
        char *yaml, notes[2048] = "";
        size_t n;

        for (size_t k = 0; k < im->n_notes; k++)
            strcat(notes, im->notes[k]);
        cr_assert_eq(gla_arch_print(im->arch, &yaml, &n, NULL), GLA_OK);
        if (sizes[i].note)
            cr_expect(strstr(notes, sizes[i].note), "\"%s\" is not in \"%s\"", sizes[i].note,
                      notes);
        else
            cr_expect_null(strstr(notes, "the tensors have"), "%s", notes);
        cr_expect(strstr(yaml, sizes[i].yaml), "\"%s\" is not in\n%s", sizes[i].yaml, yaml);
        gla_text_free(yaml);
        gla__import_close(im);
        gla_weights_free(w);
    }
}

static void expect_refusal(const char *json, const gla_weights *w, const char *where)
{
    gla__import *im;
    gla_diag diag;

    cr_expect_eq(gla__import_open(json, strlen(json), "c", w, &im, &diag), GLA_E_UNSUPPORTED);
    cr_expect_str_eq(diag.where, where);
}

Test(import_tensors, of_another_quantisation_are_refused)
{
    static const char json[] = "{\"model_type\": \"gla\", \"quantization\": {\"bits\": 4}}";
    static const char *const tensors[] = {"model.norm.weight", NULL};
    gla_weights *w = make_source(tensors);
    gla__import *im;

    expect_refusal(json, w, "c: quantization");
    cr_expect_eq(gla__import_open(json, sizeof(json) - 1, "c", NULL, &im, NULL), GLA_OK);
    gla__import_close(im);
    gla_weights_free(w);
}

Test(import_tensors, that_mlx_has_multiplied_are_refused)
{
    static const char *const tensors[] = {"model.layers.0.mamba.conv1d.weight*8x4x1", NULL};
    gla_weights *w = make_source(tensors);

    expect_refusal("{\"model_type\": \"falcon_h1\"}", w, "c: model_type");
    gla_weights_free(w);
}
