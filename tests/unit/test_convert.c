/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <gla/gla.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "support/failing_memory.h"

#define REFERENCE GLA_SOURCE_DIR "/tests/reference/"

/* ---- folders made for a test ---- */

static char dir[64];

static void make_dir(void)
{
    strcpy(dir, "/tmp/gla-convert-XXXXXX");
    cr_assert(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(convert, .init = make_dir, .fini = remove_dir);

/* "DIR/name"; eight at a time. */
static const char *in_dir(const char *name)
{
    static char paths[8][256];
    static int next;
    char *p = paths[next++ % 8];

    snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
    return p;
}

static void read_file(const char *path, char **data, size_t *n)
{
    gla_diag diag;

    cr_assert_eq(gla__read_all(path, 1u << 30, data, n, &diag), GLA_OK, "%s: %s", path,
                 diag.message);
}

static void expect_same_file(const char *a, const char *b, const char *name)
{
    char path[512], *x, *y;
    size_t n, m;

    snprintf(path, sizeof(path), "%s/%s", a, name);
    read_file(path, &x, &n);
    snprintf(path, sizeof(path), "%s/%s", b, name);
    read_file(path, &y, &m);
    cr_expect(n == m && !memcmp(x, y, n), "%s of %s and %s differ", name, a, b);
    gla__free(x);
    gla__free(y);
}

static char notes[4096];

static void note(void *ctx, const char *text)
{
    (void)ctx;
    if (strlen(notes) + strlen(text) + 2 < sizeof(notes)) {
        strcat(notes, text);
        strcat(notes, "\n");
    }
}

static gla_convert_report convert(const char *src, const char *dst, uint32_t dtype)
{
    const gla_convert_options o = {GLA_SIZED(gla_convert_options), .weights_dtype = dtype,
                                   .note = note};
    gla_convert_report report;
    gla_diag diag;
    char text[700];

    notes[0] = '\0';
    cr_assert_eq(gla_convert(src, dst, &o, &report, sizeof(report), &diag), GLA_OK, "%s",
                 gla_diag_format(&diag, text, sizeof(text)));
    return report;
}

static void convert_back(const char *src, const char *dst)
{
    gla_diag diag;
    char text[700];

    cr_assert_eq(gla_convert_back(src, dst, NULL, NULL, 0, &diag), GLA_OK, "%s",
                 gla_diag_format(&diag, text, sizeof(text)));
}

static void expect_failure(const char *src, gla_status status, const char *part)
{
    gla_diag diag;
    char text[700];

    cr_expect_eq(gla_convert(src, in_dir("out"), NULL, NULL, 0, &diag), status);
    gla_diag_format(&diag, text, sizeof(text));
    cr_expect(strstr(text, part), "\"%s\" is not in \"%s\"", part, text);
    cr_expect_neq(access(in_dir("out"), F_OK), 0, "a failure left a folder");
}

/* ---- small checkpoints, written for a test ---- */

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "wb");
    cr_assert(f);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

/* Tensors "name rows columns" of f32 numbers 0, 1, 2, ... / 64; `end` stands after the header. */
static void write_tensors(const char *folder, const char *name, const char *const *tensors,
                          const char *end)
{
    static float numbers[1 << 16];
    static char header[16384];
    char path[300];
    uint64_t at = 0, size;
    FILE *f;

    strcpy(header, "{");
    for (; *tensors; tensors++) {
        char tensor[128], shape[64];
        unsigned a, b = 1;
        const int n = sscanf(*tensors, "%127s %u %u", tensor, &a, &b);

        snprintf(shape, sizeof(shape), n == 3 ? "%u,%u" : "%u", a, b);
        snprintf(header + strlen(header), sizeof(header) - strlen(header),
                 "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
                 at ? "," : "", tensor, shape, (unsigned long long)at,
                 (unsigned long long)(at + 4ull * a * b));
        at += 4ull * a * b;
    }
    strcat(header, "}");
    strcat(header, end);
    cr_assert_leq(at, sizeof(numbers));
    for (size_t i = 0; i < at / 4; i++)
        numbers[i] = (float)i / 64;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "wb");
    cr_assert(f);
    size = strlen(header);
    cr_assert_eq(fwrite(&size, 8, 1, f), 1);
    cr_assert_eq(fwrite(header, 1, size, f), size);
    cr_assert_eq(fwrite(numbers, 1, at, f), at);
    cr_assert_eq(fclose(f), 0);
}

static void write_checkpoint(const char *folder, const char *config, const char *const *tensors)
{
    cr_assert_eq(mkdir(folder, 0777), 0);
    write_text(folder, "config.json", config);
    write_tensors(folder, "model.safetensors", tensors, "");
}

#define TINY_GLA                                                                                   \
    "{\"model_type\":\"gla\",\"hidden_size\":32,\"num_hidden_layers\":1,\"num_heads\":2,"          \
    "\"vocab_size\":48,\"intermediate_size\":64"

#define TINY_GLA_MIXER                                                                             \
    "model.layers.0.attn.q_proj.weight 16 32", "model.layers.0.attn.k_proj.weight 16 32",          \
        "model.layers.0.attn.v_proj.weight 32 32", "model.layers.0.attn.g_proj.weight 32 32",      \
        "model.layers.0.attn.gk_proj.0.weight 16 32",                                              \
        "model.layers.0.attn.gk_proj.1.weight 16 16", "model.layers.0.attn.gk_proj.1.bias 16",     \
        "model.layers.0.attn.o_proj.weight 32 32", "model.layers.0.attn_norm.weight 32",           \
        "model.layers.0.mlp_norm.weight 32", "model.norm.weight 32", "lm_head.weight 48 32"

static const char *const ordinary[] = {TINY_GLA_MIXER,
                                       "model.embeddings.weight 48 32",
                                       "model.layers.0.attn.g_norm_swish_gate.weight 16",
                                       "model.layers.0.mlp.gate_proj.weight 64 32",
                                       "model.layers.0.mlp.up_proj.weight 64 32",
                                       "model.layers.0.mlp.down_proj.weight 32 64",
                                       NULL};

/* Everything older at once: embed_tokens, one gate_proj for gate and up, an unused attn.D. */
static const char *const legacy[] = {TINY_GLA_MIXER,
                                     "model.embed_tokens.weight 48 32",
                                     "model.layers.0.attn.g_norm.weight 16",
                                     "model.layers.0.attn.D 2",
                                     "model.layers.0.mlp.gate_proj.weight 128 32",
                                     "model.layers.0.mlp.down_proj.weight 32 64",
                                     NULL};

static gla_weights *open_weights(const char *path)
{
    gla_weights *w;
    gla_diag diag;

    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    return w;
}

static const float *read_f32(const gla_weights *w, const char *name)
{
    static float numbers[1 << 16];
    const gla_tensor_info *info = gla_weights_find(w, name);

    cr_assert(info, "no tensor %s", name);
    cr_assert_eq(info->dtype, GLA_DTYPE_F32);
    cr_assert_leq(info->raw_bytes, sizeof(numbers));
    cr_assert_eq(gla_weights_read(w, info, numbers, NULL), GLA_OK);
    return numbers;
}

/* ---- there and back ---- */

static void expect_round_trip(const char *name)
{
    char src[256];

    snprintf(src, sizeof(src), REFERENCE "%s", name);
    convert(src, in_dir(name), 0);
    convert_back(in_dir(name), in_dir("back"));
    expect_same_file(src, in_dir("back"), "config.json");
    expect_same_file(src, in_dir("back"), "model.safetensors");
}

Test(convert, gla_comes_back_byte_for_byte)
{
    expect_round_trip("gla");
}
Test(convert, a_hybrid_comes_back_byte_for_byte)
{
    expect_round_trip("gla-hybrid-3to1");
}
Test(convert, convolutions_come_back_byte_for_byte)
{
    expect_round_trip("gla-conv-mqa");
}
Test(convert, tied_bf16_comes_back_byte_for_byte)
{
    expect_round_trip("gla-bf16-tied");
}
Test(convert, llama_comes_back_byte_for_byte)
{
    expect_round_trip("llama");
}
Test(convert, qwen2_comes_back_byte_for_byte)
{
    expect_round_trip("qwen2");
}
Test(convert, qwen3_comes_back_byte_for_byte)
{
    expect_round_trip("qwen3");
}
Test(convert, mistral_comes_back_byte_for_byte)
{
    expect_round_trip("mistral-swa");
}
Test(convert, transformer_comes_back_byte_for_byte)
{
    expect_round_trip("transformer-qknorm-swa");
}

Test(convert, converting_twice_gives_the_same_bytes)
{
    convert(REFERENCE "gla", in_dir("gla"), 0);
    cr_assert_eq(rename(in_dir("gla"), in_dir("first")), 0);
    convert(REFERENCE "gla", in_dir("gla"), 0);
    expect_same_file(in_dir("first"), in_dir("gla"), "weights.glaw");
    expect_same_file(in_dir("first"), in_dir("gla"), "arch.yaml");
}

/* Tensors without the head, and an index that finds it in the second file. */
static void write_shards(const char *folder)
{
    static const char *const second[] = {"lm_head.weight 48 32", NULL};
    static char index[8192];
    const char *first[32];
    size_t n = 0;

    cr_assert_eq(mkdir(folder, 0777), 0);
    strcpy(index, "{\n  \"metadata\": {\"total_size\": 1},\n  \"weight_map\": {\n");
    for (size_t i = 0; ordinary[i]; i++) {
        const bool head = !strncmp(ordinary[i], "lm_head", 7);

        if (!head)
            first[n++] = ordinary[i];
        snprintf(index + strlen(index), sizeof(index) - strlen(index),
                 "%s    \"%.*s\": \"model-%d.safetensors\"", i ? ",\n" : "",
                 (int)strcspn(ordinary[i], " "), ordinary[i], head ? 2 : 1);
    }
    first[n] = NULL;
    strcat(index, "\n  }\n}\n");
    write_text(folder, "config.json", TINY_GLA "}");
    write_text(folder, "model.safetensors.index.json", index);
    write_tensors(folder, "model-1.safetensors", first, "");
    write_tensors(folder, "model-2.safetensors", second, "      "); /* published ones are padded */
}

Test(convert, shards_come_back_with_their_index)
{
    write_shards(in_dir("src"));
    convert(in_dir("src"), in_dir("out"), 0);
    convert(in_dir("out"), in_dir("again"), 0); /* what is remembered is handed on */
    convert_back(in_dir("again"), in_dir("back"));
    expect_same_file(in_dir("src"), in_dir("back"), "config.json");
    expect_same_file(in_dir("src"), in_dir("back"), "model.safetensors.index.json");
    expect_same_file(in_dir("src"), in_dir("back"), "model-1.safetensors");
    expect_same_file(in_dir("src"), in_dir("back"), "model-2.safetensors");
}

Test(convert, tokenizer_and_its_like_go_along)
{
    write_checkpoint(in_dir("src"), TINY_GLA "}", ordinary);
    write_text(in_dir("src"), "tokenizer.json", "{ }\n");
    write_text(in_dir("src"), "chat_template.jinja", "{{ x }}");
    write_text(in_dir("src"), "README.md", "stays");
    convert(in_dir("src"), in_dir("out"), 0);
    convert_back(in_dir("out"), in_dir("back"));
    expect_same_file(in_dir("src"), in_dir("out"), "tokenizer.json");
    expect_same_file(in_dir("src"), in_dir("back"), "chat_template.jinja");
    cr_expect_neq(access(in_dir("out/README.md"), F_OK), 0);
}

/* ---- older checkpoints ---- */

Test(convert, old_spellings_convert_and_come_back)
{
    gla_weights *w;
    const float *x;
    float first_up;

    write_checkpoint(in_dir("src"), TINY_GLA "}", legacy);
    cr_expect_eq(convert(in_dir("src"), in_dir("out"), 0).n_unused, 1);
    cr_expect_null(strstr(notes, "not used"), "attn.D is known not to be used: %s", notes);

    w = open_weights(in_dir("src"));
    first_up = read_f32(w, "model.layers.0.mlp.gate_proj.weight")[64 * 32];
    gla_weights_free(w);
    w = open_weights(in_dir("out"));
    x = read_f32(w, "layers.0.ffn.up_proj.weight");
    cr_expect_eq(x[0], first_up);
    cr_expect_eq(gla_weights_find(w, "layers.0.ffn.gate_proj.weight")->n_elements, 64 * 32);
    cr_expect(gla_weights_find(w, "layers.0.mixer.g_norm.weight"));
    cr_expect(gla_weights_find(w, "embed.weight"));
    gla_weights_free(w);

    convert_back(in_dir("out"), in_dir("back"));
    expect_same_file(in_dir("src"), in_dir("back"), "model.safetensors");
}

Test(convert, unused_tensors_are_named_and_come_back)
{
    const char *tensors[32];
    size_t n = 0;

    for (; ordinary[n]; n++)
        tensors[n] = ordinary[n];
    tensors[n++] = "something.else 3 5";
    tensors[n] = NULL;
    write_checkpoint(in_dir("src"), TINY_GLA "}", tensors);
    cr_expect_eq(convert(in_dir("src"), in_dir("out"), 0).n_unused, 1);
    cr_expect(strstr(notes, "something.else"), "%s", notes);
    convert_back(in_dir("out"), in_dir("back"));
    expect_same_file(in_dir("src"), in_dir("back"), "model.safetensors");
}

Test(convert, a_missing_head_is_taken_for_a_tied_one)
{
    const char *tensors[32];
    size_t n = 0;
    gla_arch *arch;

    for (size_t i = 0; ordinary[i]; i++)
        if (strncmp(ordinary[i], "lm_head", 7))
            tensors[n++] = ordinary[i];
    tensors[n] = NULL;
    write_checkpoint(in_dir("src"), TINY_GLA "}", tensors);
    convert(in_dir("src"), in_dir("out"), 0);
    cr_expect(strstr(notes, "lm_head"), "%s", notes);
    cr_assert_eq(gla_arch_read(in_dir("out"), &arch, NULL), GLA_OK);
    cr_expect(arch->tie_embeddings);
    gla_arch_free(arch);
}

/* ---- refusals ---- */

Test(convert, missing_tensors_are_named)
{
    write_checkpoint(in_dir("src"), TINY_GLA "}", ordinary + 2);
    expect_failure(in_dir("src"), GLA_E_SHAPE,
                   "2 tensors are missing: model.layers.0.attn.q_proj.weight, "
                   "model.layers.0.attn.k_proj.weight");
}

Test(convert, wrong_shapes_are_named)
{
    write_checkpoint(in_dir("src"), TINY_GLA ",\"expand_k\":1}", ordinary);
    expect_failure(in_dir("src"), GLA_E_SHAPE,
                   "layers.0.mixer.q_proj.weight: needs [32, 32], but "
                   "model.layers.0.attn.q_proj.weight is [16, 32]");
}

Test(convert, unknown_families_are_named_with_the_known_ones)
{
    write_checkpoint(in_dir("src"), "{\"model_type\":\"qwen4\"}", ordinary);
    expect_failure(in_dir("src"), GLA_E_UNSUPPORTED, "model_type: \"qwen4\" is not known; known: ");
}

Test(convert, unsupported_values_are_named)
{
    write_checkpoint(in_dir("src"), TINY_GLA ",\"hidden_act\":\"gelu\"}", ordinary);
    expect_failure(in_dir("src"), GLA_E_UNSUPPORTED, "hidden_act: \"gelu\": not supported");
}

Test(convert, quantised_checkpoints_are_refused)
{
    write_checkpoint(in_dir("src"), TINY_GLA ",\"quantization_config\":{\"bits\":4}}", ordinary);
    expect_failure(in_dir("src"), GLA_E_UNSUPPORTED, "quantization_config");
}

Test(convert, wrong_paths_are_named)
{
    expect_failure("/nowhere/at/all", GLA_E_IO, "/nowhere/at/all: no such file or folder");
}

Test(convert, a_folder_without_a_model_is_refused)
{
    mkdir(in_dir("src"), 0777);
    expect_failure(in_dir("src"), GLA_E_IO, "neither config.json nor arch.yaml");
}

Test(convert, a_truncated_checkpoint_leaves_nothing_behind)
{
    write_checkpoint(in_dir("src"), TINY_GLA "}", ordinary);
    cr_assert_eq(truncate(in_dir("src/model.safetensors"), 5000), 0);
    expect_failure(in_dir("src"), GLA_E_CORRUPT, "model.safetensors");
}

Test(convert, does_not_touch_a_folder_of_others)
{
    gla_convert_options o = {GLA_SIZED(gla_convert_options), .overwrite = 1};
    gla_diag diag;

    mkdir(in_dir("out"), 0777);
    fclose(fopen(in_dir("out/letter.txt"), "w"));
    cr_expect_eq(gla_convert(REFERENCE "gla", in_dir("out"), &o, NULL, 0, &diag), GLA_E_IO);
    cr_expect(strstr(diag.message, "other things"), "%s", diag.message);
    cr_expect_neq(access(in_dir("out/weights.glaw"), F_OK), 0);
}

Test(convert, replaces_a_model_only_when_asked)
{
    gla_convert_options o = {GLA_SIZED(gla_convert_options), .overwrite = 0};
    gla_diag diag;

    convert(REFERENCE "gla", in_dir("out"), 0);
    cr_expect_eq(gla_convert(REFERENCE "llama", in_dir("out"), &o, NULL, 0, &diag), GLA_E_IO);
    cr_expect(strstr(diag.hint, "options.overwrite"));
    o.overwrite = 1;
    cr_expect_eq(gla_convert(REFERENCE "llama", in_dir("out"), &o, NULL, 0, &diag), GLA_OK);
    cr_expect_eq(gla_convert(in_dir("out"), in_dir("out"), &o, NULL, 0, &diag), GLA_E_INVALID);
}

static int cancel_at_half(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    (void)ctx;
    (void)what;
    return done > total / 2;
}

Test(convert, cancelling_leaves_nothing_behind)
{
    const gla_convert_options o = {GLA_SIZED(gla_convert_options), .progress = cancel_at_half};
    gla_diag diag;

    cr_expect_eq(gla_convert(REFERENCE "gla", in_dir("out"), &o, NULL, 0, &diag), GLA_E_CANCELLED);
    cr_expect_neq(access(in_dir("out"), F_OK), 0);
    convert(REFERENCE "gla", in_dir("model"), 0);
    cr_expect_eq(gla_convert_back(in_dir("model"), in_dir("back"), &o, NULL, 0, &diag),
                 GLA_E_CANCELLED);
    cr_expect_neq(access(in_dir("back"), F_OK), 0);
}

Test(convert, there_is_no_way_back_from_hand_made_models)
{
    gla_diag diag;

    cr_expect_eq(gla_convert_back(REFERENCE "gla", in_dir("back"), NULL, NULL, 0, &diag),
                 GLA_E_UNSUPPORTED);
}

/* ---- other dtypes ---- */

Test(convert, bf16_rounds_matrices_and_keeps_vectors)
{
    gla_weights *w;

    convert(REFERENCE "gla", in_dir("out"), GLA_DTYPE_BF16);
    w = open_weights(in_dir("out"));
    cr_expect_eq(gla_weights_find(w, "layers.0.mixer.q_proj.weight")->dtype, GLA_DTYPE_BF16);
    cr_expect_eq(gla_weights_find(w, "layers.0.mixer_norm.weight")->dtype, GLA_DTYPE_F32);
    gla_weights_free(w);
}

Test(convert, f32_from_bf16_comes_back_as_it_was)
{
    convert(REFERENCE "gla-bf16-tied", in_dir("out"), GLA_DTYPE_F32);
    convert_back(in_dir("out"), in_dir("back"));
    expect_same_file(REFERENCE "gla-bf16-tied", in_dir("back"), "model.safetensors");
}

Test(convert, int4_leaves_gates_embedding_and_head_alone)
{
    gla_convert_report r = convert(REFERENCE "gla-hybrid-3to1", in_dir("out"), GLA_DTYPE_I4);
    gla_weights *w = open_weights(in_dir("out"));

    cr_expect_gt(r.n_quantised, 0);
    cr_expect_eq(gla_weights_find(w, "layers.0.ffn.up_proj.weight")->dtype, GLA_DTYPE_I4);
    cr_expect_eq(gla_weights_find(w, "layers.0.mixer.gk_proj.0.weight")->dtype, GLA_DTYPE_F32);
    cr_expect_eq(gla_weights_find(w, "embed.weight")->dtype, GLA_DTYPE_BF16);
    cr_expect_eq(gla_weights_find(w, "head.weight")->dtype, GLA_DTYPE_BF16);
    cr_expect(strstr(notes, "gates and decays"), "%s", notes);
    gla_weights_free(w);
}

Test(convert, a_model_folder_is_quantised_again)
{
    gla_weights *a, *b;

    convert(REFERENCE "gla", in_dir("f32"), 0);
    convert(in_dir("f32"), in_dir("int8"), GLA_DTYPE_I8);
    convert(REFERENCE "gla", in_dir("direct"), GLA_DTYPE_I8);
    a = open_weights(in_dir("int8"));
    b = open_weights(in_dir("direct"));
    cr_assert_eq(gla_weights_count(a), gla_weights_count(b));
    cr_expect_eq(gla_weights_hash(a), gla_weights_hash(b));
    gla_weights_free(a);
    gla_weights_free(b);
    convert(in_dir("f32"), in_dir("again"), 0);
    expect_same_file(in_dir("f32"), in_dir("again"), "weights.glaw");
}

Test(convert, patterns_keep_tensors_as_they_are)
{
    const char *const keep[] = {"layers.0.*"};
    const gla_convert_options o = {GLA_SIZED(gla_convert_options), .weights_dtype = GLA_DTYPE_I8,
                                   .keep = keep, .n_keep = 1};
    gla_weights *w;

    cr_assert_eq(gla_convert(REFERENCE "gla", in_dir("out"), &o, NULL, 0, NULL), GLA_OK);
    w = open_weights(in_dir("out"));
    cr_expect_eq(gla_weights_find(w, "layers.0.ffn.up_proj.weight")->dtype, GLA_DTYPE_F32);
    cr_expect_eq(gla_weights_find(w, "layers.1.ffn.up_proj.weight")->dtype, GLA_DTYPE_I8);
    gla_weights_free(w);
}

Test(convert, the_head_is_quantised_when_asked_for)
{
    const gla_convert_options o = {GLA_SIZED(gla_convert_options), .weights_dtype = GLA_DTYPE_I8,
                                   .quantise_head = 1};
    gla_weights *w;

    cr_assert_eq(gla_convert(REFERENCE "gla", in_dir("out"), &o, NULL, 0, NULL), GLA_OK);
    w = open_weights(in_dir("out"));
    cr_expect_eq(gla_weights_find(w, "head.weight")->dtype, GLA_DTYPE_I8);
    cr_expect_eq(gla_weights_find(w, "embed.weight")->dtype, GLA_DTYPE_BF16);
    gla_weights_free(w);
}

Test(convert, dequantised_files_have_the_published_layout)
{
    gla_weights *a, *b;
    const float *x;
    static float before[64 * 256];
    double error = 0, power = 0;

    convert(REFERENCE "gla", in_dir("int8"), GLA_DTYPE_I8);
    convert_back(in_dir("int8"), in_dir("back"));
    a = open_weights(REFERENCE "gla");
    b = open_weights(in_dir("back"));
    memcpy(before, read_f32(a, "model.layers.1.mlp.down_proj.weight"), sizeof(before));
    x = read_f32(b, "model.layers.1.mlp.down_proj.weight");
    for (int i = 0; i < 64 * 256; i++) {
        error += (double)(x[i] - before[i]) * (double)(x[i] - before[i]);
        power += (double)before[i] * (double)before[i];
    }
    cr_expect_lt(error, 1e-4 * power);
    cr_expect_gt(error, 0);
    gla_weights_free(a);
    gla_weights_free(b);
}

/* ---- failures of the machine ---- */

static int countdown; /* the call of the disk that fails; counted over all threads */

static bool fails(void)
{
    return __atomic_sub_fetch(&countdown, 1, __ATOMIC_RELAXED) == 0;
}

static gla__io plain_io;

static int failing_open(const char *path, int flags, unsigned mode)
{
    errno = EIO;
    return fails() ? -1 : plain_io.open(path, flags, mode);
}

static ssize_t failing_pread(int fd, void *buf, size_t n, off_t offset)
{
    errno = EIO;
    return fails() ? -1 : plain_io.pread(fd, buf, n, offset);
}

static ssize_t failing_write(int fd, const void *buf, size_t n)
{
    errno = ENOSPC;
    return fails() ? -1 : plain_io.write(fd, buf, n);
}

static ssize_t failing_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    errno = ENOSPC;
    return fails() ? -1 : plain_io.pwrite(fd, buf, n, offset);
}

static int failing_fsync(int fd)
{
    (void)fd; /* not done: a hundred of them would take most of the time */
    errno = EIO;
    return fails() ? -1 : 0;
}

static int failing_rename(const char *from, const char *to)
{
    errno = EACCES;
    return fails() ? -1 : plain_io.rename(from, to);
}

static uint32_t n_entries(const char *folder)
{
    DIR *d = opendir(folder);
    uint32_t n = 0;

    cr_assert(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Converts again and again, each time with another call or allocation that fails (in steps of a few
 * per cent later on), until none is reached.  Returns how often that made the conversion fail. */
static uint32_t try_failures(const char *src, bool back, gla_status expected)
{
    const uint32_t before = n_entries(dir);
    const char *out = in_dir("out");
    uint32_t failures = 0;

    for (int n = 1;; n += 1 + n / 16) {
        char command[300];
        gla_diag diag;
        gla_status st;

        countdown = n;
        memory_arm(n, false);
        st = back ? gla_convert_back(src, out, NULL, NULL, 0, &diag)
                  : gla_convert(src, out, NULL, NULL, 0, &diag);
        const bool reached = countdown <= 0 || memory_failed();
        countdown = 0;
        memory_disarm();
        cr_assert_eq(memory_live(), 0, "failure %d leaves %ld blocks", n, memory_live());
        cr_assert(!st || reached, "fails by itself: %s: %s", diag.where, diag.message);
        if (st) {
            cr_assert_eq(st, expected, "call %d: status %d: %s", n, st, diag.message);
            cr_assert_eq(n_entries(dir), before, "call %d left something", n);
            failures++;
            continue;
        }
        snprintf(command, sizeof(command), "rm -r %s", out);
        cr_assert_eq(system(command), 0);
        if (!reached)
            return failures;
    }
}

Test(convert, every_failed_allocation_is_reported_and_leaves_nothing, .timeout = 100)
{
    write_checkpoint(in_dir("src"), TINY_GLA "}", legacy);
    convert(in_dir("src"), in_dir("model"), 0);
    memory_take_over();
    cr_expect_gt(try_failures(in_dir("src"), false, GLA_E_NOMEM), 40);
    cr_expect_gt(try_failures(in_dir("model"), true, GLA_E_NOMEM), 20);
    memory_give_back();
}

Test(convert, every_failed_call_of_the_disk_is_reported_and_leaves_nothing, .timeout = 100)
{
    gla__io failing;

    write_checkpoint(in_dir("src"), TINY_GLA "}", legacy);
    write_text(in_dir("src"), "tokenizer.json", "{}");
    convert(in_dir("src"), in_dir("model"), 0);
    plain_io = failing = gla__io_get();
    failing.open = failing_open;
    failing.pread = failing_pread;
    failing.write = failing_write;
    failing.pwrite = failing_pwrite;
    failing.fsync = failing_fsync;
    failing.rename = failing_rename;
    gla__io_set(&failing);
    cr_expect_gt(try_failures(in_dir("src"), false, GLA_E_IO), 20);
    cr_expect_gt(try_failures(in_dir("model"), true, GLA_E_IO), 15);
    gla__io_set(NULL);
}
