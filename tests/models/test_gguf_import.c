/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf files converted: those of tests/data/gguf against the logits of their models' authors, and
 * changed ones against these.
 */
#define _GNU_SOURCE /* memmem */
#include <gla/chat.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/gguf_writer.h"
#include "support/golden.h"
#include "support/model_folder.h"
#include "support/temp_file.h"
#include "support/tolerance.h"

#define DATA GLA_SOURCE_DIR "/tests/data/gguf/"

static golden reference(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/tests/reference/%s/golden.safetensors", GLA_SOURCE_DIR, name);
    return golden_read(path);
}

static void collect_note(void *notes, const char *note)
{
    strcat(strcat(notes, note), "\n");
}

/* Converts the file (all numbers F32, so that types cost nothing twice) and compares. */
static double error_of_file(const char *path, const golden *g, char notes[4096])
{
    const gla_convert_options as_f32 = {GLA_SIZED(gla_convert_options),
                                        .weights_dtype = GLA_DTYPE_F32, .note = collect_note,
                                        .ctx = notes};
    const gla_model_options options = {GLA_SIZED(gla_model_options), .kv_dtype = GLA_DTYPE_F32};
    gla_model *m = NULL;
    char folder[64];
    gla_diag diag;
    double error;

    notes[0] = '\0';
    model_folder_make(path, &as_f32, folder);
    cr_assert_eq(gla_model_open(folder, &options, &m, &diag), GLA_OK, "%s: %s", diag.where,
                 diag.message);
    error = golden_error(m, g, 7);
    gla_model_free(m);
    model_folder_remove(folder);
    return error;
}

/* The logits of a file take the place of g's. */
static void take_logits(const char *path, golden *g)
{
    const gla_convert_options as_f32 = {GLA_SIZED(gla_convert_options),
                                        .weights_dtype = GLA_DTYPE_F32};
    const gla_model_options options = {GLA_SIZED(gla_model_options), .kv_dtype = GLA_DTYPE_F32};
    gla_model *m = NULL;
    gla_session *s = NULL;
    char folder[64];
    gla_diag diag;

    model_folder_make(path, &as_f32, folder);
    cr_assert_eq(gla_model_open(folder, &options, &m, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla_session_create(m, NULL, &s, &diag), GLA_OK);
    for (size_t i = 0; i < g->n; i += 7) { /* as error_of_file() feeds them */
        const size_t n = g->n - i < 7 ? g->n - i : 7;
        const gla_feed_item item = {.session = s,
                                    .tokens = g->ids + i,
                                    .n_tokens = n,
                                    .logits = g->logits + i * g->vocab,
                                    .n_logits = n};

        cr_assert_eq(gla_feed(&item, 1, sizeof(item), NULL, NULL, &diag), GLA_OK, "%s",
                     diag.message);
    }
    gla_session_free(s);
    gla_model_free(m);
    model_folder_remove(folder);
}

/* Writes the changed file and compares; removes it. */
static double error_of(const gguf_out *o, const golden *g, char notes[4096])
{
    char path[TEMP_PATH];
    double error;

    gguf_write(o, temp_path(path, "changed.gguf"));
    error = error_of_file(path, g, notes);
    unlink(path);
    return error;
}

/* ---- files as llama.cpp's conversion makes them ---- */

/* Tolerance: what the type of the file's matrices costs (10 bits, 8 bits in blocks of 32), none
 * for F32. */
static const struct gguf_case {
    const char *file, *reference;
    double tolerance;
} cases[] = {{"llama.gguf", "llama", 5e-3},
             {"qwen3.gguf", "qwen3", 0.1},
             {"mamba.gguf", "mamba", GLA_TOL_LOGITS * 9.63},
             {"qwen3next.gguf", "qwen3-next", GLA_TOL_LOGITS},
             {"qwen35.gguf", "qwen3_5", GLA_TOL_LOGITS},
             {"qwen35moe.gguf", "qwen3_5-moe", GLA_TOL_LOGITS}};

Test(gguf_models, agree_with_their_authors_as_their_types_allow)
{
    char path[512], notes[4096];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        golden g = reference(cases[i].reference);

        snprintf(path, sizeof(path), DATA "%s", cases[i].file);
        cr_expect_leq(error_of_file(path, &g, notes), cases[i].tolerance, "%s", cases[i].file);
        cr_expect_null(strstr(notes, "not used"), "%s: %s", cases[i].file, notes);
        cr_expect_null(strstr(notes, "not looked at"), "%s: %s", cases[i].file, notes);
        golden_free(&g);
    }
}

/* ---- types ---- */

/* The same numbers, once packed and once as F32. */
static void expect_type_costs_nothing(const char *file, const char *name, uint32_t type)
{
    char path[TEMP_PATH], notes[4096], source[512];
    gguf_out packed = {0}, plain = {0};
    golden g = reference(name);

    snprintf(source, sizeof(source), DATA "%s", file);
    gguf_load(&packed, source, NULL);
    for (uint32_t i = 0; i < packed.n; i++)
        if (packed.tensors[i].n_dims > 1 && packed.tensors[i].dims[0] % 32 == 0)
            gguf_retype(&packed.tensors[i], type);
    gguf_write(&packed, temp_path(path, "packed.gguf"));
    gguf_load(&plain, path, NULL);
    take_logits(path, &g);
    cr_expect_eq(error_of(&plain, &g, notes), 0, "%s, type %u", file, type);
    unlink(path);
    gguf_free(&packed);
    gguf_free(&plain);
    golden_free(&g);
}

Test(gguf_models, of_packed_types_are_those_of_their_numbers)
{
    static const uint32_t types[] = {GGUF_F16, GGUF_BF16, GGUF_Q8_0, GGUF_Q4_0};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        expect_type_costs_nothing("qwen35.gguf", "qwen3_5", types[i]);
        expect_type_costs_nothing("qwen3next.gguf", "qwen3-next", types[i]);
    }
}

/* What packing costs, so that the test above is not one of two equal mistakes. */
Test(gguf_models, of_packed_types_stay_near)
{
    static const struct {
        uint32_t type;
        double tolerance;
    } types[] = {{GGUF_F16, 5e-3}, {GGUF_BF16, 0.1}, {GGUF_Q8_0, 0.2}};
    golden g = reference("llama");
    char notes[4096];

    for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
        gguf_out o = {0};

        gguf_load(&o, DATA "llama.gguf", NULL);
        for (uint32_t i = 0; i < o.n; i++)
            if (o.tensors[i].n_dims > 1)
                gguf_retype(&o.tensors[i], types[k].type);
        cr_expect_leq(error_of(&o, &g, notes), types[k].tolerance, "type %u", types[k].type);
        gguf_free(&o);
    }
    golden_free(&g);
}

/* ---- other layouts of the same model ---- */

/* Puts `from` behind `to` and takes its place: attn_q + attn_k + attn_v, say. */
static void fuse(gguf_out *o, const char *layer, const char *const *parts, const char *name)
{
    char from[64], to[64];

    snprintf(to, sizeof(to), "%s%s.weight", layer, parts[0]);
    for (size_t i = 1; parts[i]; i++) {
        snprintf(from, sizeof(from), "%s%s.weight", layer, parts[i]);
        gguf_append_rows(gguf_find(o, to), gguf_find(o, from), 0, gguf_find(o, from)->dims[1]);
        gguf_remove(o, from);
    }
    snprintf(gguf_find(o, to)->name, sizeof(from), "%s%s.weight", layer, name);
}

/* gate and up of each expert in turn. */
static void fuse_experts(gguf_out *o, const char *layer)
{
    char a[64], b[64];
    gguf_out_tensor *gate, *up, *both;

    snprintf(a, sizeof(a), "%sffn_gate_exps.weight", layer);
    snprintf(b, sizeof(b), "%sffn_up_exps.weight", layer);
    both = gguf_add(o, "both", 0, gguf_find(o, a)->dims[0]);
    both->dims[1] = both->n = both->size = 0;
    gate = gguf_find(o, a);
    up = gguf_find(o, b);
    for (uint64_t e = 0; e < gate->dims[2]; e++) {
        gguf_append_rows(both, gate, e * gate->dims[1], gate->dims[1]);
        gguf_append_rows(both, up, e * gate->dims[1], gate->dims[1]);
    }
    both->n_dims = 3;
    both->dims[1] = 2 * gate->dims[1];
    both->dims[2] = gate->dims[2];
    gguf_remove(o, a);
    gguf_remove(o, b);
    snprintf(gguf_find(o, "both")->name, sizeof(a), "%sffn_gate_up_exps.weight", layer);
}

Test(gguf_models, may_have_fused_projections)
{
    static const char *const qkv[] = {"attn_q", "attn_k", "attn_v", NULL};
    golden g = reference("qwen3_5-moe");
    gguf_out o = {0};
    char layer[16], notes[4096];

    take_logits(DATA "qwen35moe.gguf", &g);
    gguf_load(&o, DATA "qwen35moe.gguf", NULL);
    fuse(&o, "blk.3.", qkv, "attn_qkv");
    for (int i = 0; i < 4; i++) {
        snprintf(layer, sizeof(layer), "blk.%d.", i);
        fuse_experts(&o, layer);
    }
    cr_expect_eq(error_of(&o, &g, notes), 0);
    cr_expect_null(strstr(notes, "not used"), "%s", notes);
    gguf_free(&o);
    golden_free(&g);
}

/* Until the end of 2025 q, k, v and z of each key head stood together, as published. */
Test(gguf_models, of_qwen3next_may_have_the_published_projection)
{
    const uint64_t keys = 2, k = 16, v = 32; /* channels of a key head's q, k and v, z */
    golden g = reference("qwen3-next");
    gguf_out o = {0};
    char qkv[64], z[64], notes[4096];

    take_logits(DATA "qwen3next.gguf", &g);
    gguf_load(&o, DATA "qwen3next.gguf", NULL);
    for (int i = 0; i < 3; i++) {
        gguf_out_tensor *in = gguf_add(&o, "in", 0, 64);

        in->n_dims = 2;
        in->dims[1] = in->n = in->size = 0;
        snprintf(qkv, sizeof(qkv), "blk.%d.attn_qkv.weight", i);
        snprintf(z, sizeof(z), "blk.%d.attn_gate.weight", i);
        for (uint64_t h = 0; h < keys; h++) {
            gguf_append_rows(in, gguf_find(&o, qkv), h * k, k);
            gguf_append_rows(in, gguf_find(&o, qkv), keys * k + h * k, k);
            gguf_append_rows(in, gguf_find(&o, qkv), 2 * keys * k + h * v, v);
            gguf_append_rows(in, gguf_find(&o, z), h * v, v);
        }
        snprintf(in->name, sizeof(in->name), "blk.%d.ssm_in.weight", i);
        gguf_remove(&o, qkv);
        gguf_remove(&o, z);
    }
    cr_expect_eq(error_of(&o, &g, notes), 0);
    cr_expect_null(strstr(notes, "not used"), "%s", notes);
    gguf_free(&o);
    golden_free(&g);
}

/* A layer behind the model's own that predicts one token further. */
Test(gguf_models, leave_layers_for_further_tokens_out)
{
    golden g = reference("qwen3_5");
    gguf_out o = {0};
    char notes[4096];

    take_logits(DATA "qwen35.gguf", &g);
    gguf_load(&o, DATA "qwen35.gguf", "qwen35.block_count");
    gguf_put_u32(&o, "qwen35.block_count", 5);
    gguf_put_u32(&o, "qwen35.nextn_predict_layers", 1);
    gguf_add(&o, "blk.4.attn_norm.weight", 0, 64);
    gguf_add(&o, "blk.4.nextn.eh_proj.weight", 64, 128);
    cr_expect_eq(error_of(&o, &g, notes), 0);
    cr_expect_null(strstr(notes, "not used"), "%s", notes);
    gguf_free(&o);
    golden_free(&g);
}

Test(gguf_models, say_their_layers_by_interval_as_well)
{
    golden g = reference("qwen3_5");
    gguf_out o = {0};
    char notes[4096];

    take_logits(DATA "qwen35.gguf", &g);
    gguf_load(&o, DATA "qwen35.gguf", "qwen35.attention.recurrent_layers");
    cr_expect_eq(error_of(&o, &g, notes), 0);
    gguf_free(&o);
    golden_free(&g);
}

/* ---- parts ---- */

static void write_parts(const gguf_out *o, char paths[3][TEMP_PATH])
{
    const uint32_t first[] = {0, 0, o->n / 2, o->n}; /* the first part has no tensors */

    for (uint32_t i = 0; i < 3; i++) {
        char name[64];
        gguf_out keys = {0};

        snprintf(name, sizeof(name), "parts-%05u-of-00003.gguf", i + 1);
        if (!i)
            blob_put(&keys.kv, o->kv.p, o->kv.n);
        keys.n_kv = i ? 0 : o->n_kv;
        gguf_put_u32(&keys, "split.no", i);
        gguf_put_u32(&keys, "split.count", 3);
        gguf_put_u32(&keys, "split.tensors.count", o->n);
        gguf_write_some(o, &keys.kv, keys.n_kv, first[i], first[i + 1] - first[i],
                        temp_path(paths[i], name));
        gguf_free(&keys);
    }
}

Test(gguf_models, may_come_in_parts)
{
    golden g = reference("qwen3_5");
    gguf_out o = {0};
    char paths[3][TEMP_PATH], notes[4096];
    gla_arch *arch;
    gla_diag diag;

    take_logits(DATA "qwen35.gguf", &g);
    gguf_load(&o, DATA "qwen35.gguf", NULL);
    write_parts(&o, paths);
    cr_expect_eq(error_of_file(paths[0], &g, notes), 0);
    cr_assert_eq(gla_convert_config(paths[0], &arch, NULL, &diag), GLA_OK, "%s", diag.message);
    cr_expect_str_eq(strchr(arch->name, '-') + 1, "parts"); /* PID-parts */
    gla_arch_free(arch);
    for (int i = 0; i < 3; i++)
        unlink(paths[i]);
    gguf_free(&o);
    golden_free(&g);
}

/* ---- the architecture alone ---- */

Test(gguf_models, give_the_architecture_alone)
{
    gla_arch *arch;
    gla_diag diag;
    char *yaml;
    size_t n;

    cr_assert_eq(gla_convert_config(DATA "qwen35moe.gguf", &arch, NULL, &diag), GLA_OK, "%s: %s",
                 diag.where, diag.message);
    cr_assert_eq(gla_arch_print(arch, &yaml, &n, &diag), GLA_OK);
    cr_expect(strstr(yaml, "family: gguf/qwen35moe\n"), "%s", yaml);
    cr_expect(strstr(yaml, "norm: {type: rmsnorm, eps: 1.0e-6}\n"), "%s", yaml);
    cr_expect(strstr(yaml, "layers: 3*linear_moe + full_moe\n"), "%s", yaml);
    cr_expect(strstr(yaml, "heads: 6, key_heads: 2, head_k_dim: 16, head_v_dim: 8"), "%s", yaml);
    gla_text_free(yaml);
    gla_arch_free(arch);
}

/* ---- what else is inside ---- */

static void expect_file(const char *folder, const char *name, const char *want)
{
    char path[TEMP_PATH];
    uint8_t *data;
    size_t n;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    data = read_file(path, &n);
    cr_assert_not_null(data, "%s", path);
    data[n] = '\0';
    cr_expect(strstr((char *)data, want), "%s: %s is not in %s", name, want, (char *)data);
    free(data);
}

Test(gguf_models, bring_tokenizer_and_chat_template_unless_others_lie_beside)
{
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "b", "ab"};
    static const int32_t types[] = {2, 3, 3, 1, 1, 1};
    static const float scores[] = {0, 0, 0, -2, -3, -1};
    static const char other[] = "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"z\": 0}, "
                                "\"merges\": []}}";
    char folder[] = "/tmp/gla-test-XXXXXX", file[64], beside[64], out[64], out2[64];
    gla_chat_template *chat;
    gla_diag diag;
    gguf_out o = {0};

    cr_assert_not_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/m.gguf", folder);
    snprintf(beside, sizeof(beside), "%s/tokenizer.json", folder);
    gguf_load(&o, DATA "llama.gguf", NULL);
    gguf_put_text(&o, "tokenizer.ggml.model", "llama");
    gguf_put_texts(&o, "tokenizer.ggml.tokens", tokens, 6);
    gguf_put_ints(&o, "tokenizer.ggml.token_type", types, 6);
    gguf_put_floats(&o, "tokenizer.ggml.scores", scores, 6);
    gguf_put_u32(&o, "tokenizer.ggml.bos_token_id", 1);
    gguf_put_u32(&o, "tokenizer.ggml.eos_token_id", 2);
    gguf_put_text(&o, "tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}");
    gguf_write(&o, file);
    model_folder_make(file, NULL, out);
    expect_file(out, "tokenizer.json", "\"merges\":[[\"a\",\"b\"]]");
    expect_file(out, "tokenizer_config.json", "\"eos_token\":\"</s>\"");
    expect_file(out, "arch.yaml", "bos_token: 1\neos_tokens: [2]\n");
    cr_expect_eq(gla_chat_template_open(out, &chat, &diag), GLA_OK, "%s", diag.message);
    gla_chat_template_free(chat);
    cr_assert(write_file(beside, other, strlen(other)));
    model_folder_make(file, NULL, out2);
    expect_file(out2, "tokenizer.json", other);
    expect_file(out2, "chat_template.jinja", "bos_token");
    model_folder_remove(out);
    model_folder_remove(out2);
    model_folder_remove(folder);
    gguf_free(&o);
}

/* ---- refusals ---- */

/* llama.gguf with one text of its head replaced by another of the same length. */
static void expect_gguf_refused(const char *from, const char *to, const char *where)
{
    char path[64] = "/tmp/gla-test-XXXXXX", file[96], folder[96];
    char *data = malloc(1 << 20), *at;
    FILE *f = fopen(DATA "llama.gguf", "rb");
    gla_diag diag;
    size_t n;

    cr_assert(f && data && mkdtemp(path));
    n = fread(data, 1, 1 << 20, f);
    fclose(f);
    at = memmem(data, n, from, strlen(from));
    cr_assert_not_null(at, "%s", from);
    memcpy(at, to, strlen(from));
    snprintf(file, sizeof(file), "%s/x.gguf", path);
    snprintf(folder, sizeof(folder), "%s/out", path);
    f = fopen(file, "wb");
    cr_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
    cr_expect_neq(gla_convert(file, folder, NULL, NULL, 0, &diag), GLA_OK, "%s", to);
    cr_expect(strstr(diag.where, where) || strstr(diag.message, where), "%s: %s: %s", to,
              diag.where, diag.message);
    unlink(file);
    rmdir(path);
    free(data);
}

Test(gguf_models, that_cannot_be_read_are_refused_by_name)
{
    expect_gguf_refused("llama", "gemma", "gemma"); /* the architecture stands first */
    expect_gguf_refused("llama.block_count", "llama.block_kount", "llama.block_count");
    expect_gguf_refused("blk.1.attn_k.weight", "blk.1.attn_x.weight", "blk.1.attn_k.weight");
}
