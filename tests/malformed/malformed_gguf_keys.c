/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf files that are well-formed and make no sense: tokenizers, models, parts that do not fit
 * together.  Each by name, with the status and words it must give. */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/import/gguf_tokenizer.h"
#include "support/gguf_writer.h"
#include "support/temp_file.h"

/* ---- tokenizers ---- */

/* A fine one, but for the keys in `without`, which the case has put itself. */
static void put_tokenizer(gguf_out *o, const char *model, const char *without)
{
    static const char *const tokens[] = {"<unk>", "a", "b", "ab", "\xe2\x96\x81"};
    static const char *const merges[] = {"a b"};
    static const int32_t types[] = {2, 1, 1, 1, 1};
    static const float scores[] = {0, -3, -2, -1, -4};

    gguf_put_text(o, "general.architecture", "llama");
    if (!strstr(without, "model"))
        gguf_put_text(o, "tokenizer.ggml.model", model);
    if (!strstr(without, "pre"))
        gguf_put_text(o, "tokenizer.ggml.pre", "gpt-2");
    if (!strstr(without, "tokens"))
        gguf_put_texts(o, "tokenizer.ggml.tokens", tokens, 5);
    if (!strstr(without, "token_type"))
        gguf_put_ints(o, "tokenizer.ggml.token_type", types, 5);
    if (!strstr(without, "merges"))
        gguf_put_texts(o, "tokenizer.ggml.merges", merges, 1);
    if (!strstr(without, "scores"))
        gguf_put_floats(o, "tokenizer.ggml.scores", scores, 5);
}

static void expect_tokenizer(gguf_out *o, gla_status status, const char *where, const char *message)
{
    char path[TEMP_PATH], *json;
    gla_weights *w;
    gla_diag diag = {0};
    size_t n;

    gguf_write(o, temp_path(path, "tokenizer.gguf"));
    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    cr_expect_eq(gla__gguf_tokenizer(w, &json, &n, &diag), status, "%s: %s", message, diag.message);
    cr_expect_eq(json == NULL, status != GLA_OK);
    cr_expect(strstr(diag.message, message), "\"%s\" is not in \"%s\"", message, diag.message);
    cr_expect(strstr(diag.where, where), "\"%s\" is not in \"%s\"", where, diag.where);
    cr_expect(status != GLA_E_UNSUPPORTED || strstr(diag.hint, "beside the file"), "%s", diag.hint);
    gla__free(json);
    gla_weights_free(w);
    unlink(path);
    gguf_free(o);
}

#define TOKENS(...)                                                                                \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

Test(malformed_gguf_tokenizer, of_lists_that_are_no_lists_is_refused)
{
    static const char *const keys[] = {"tokens", "token_type", "merges", "scores"};

    for (size_t i = 0; i < 4; i++) {
        const char *model = i < 3 ? "gpt2" : "llama";
        gguf_out o = {0};
        char key[64];

        snprintf(key, sizeof(key), "tokenizer.ggml.%s", keys[i]);
        gguf_put_text(&o, key, "a");
        put_tokenizer(&o, model, keys[i]);
        expect_tokenizer(&o, GLA_E_CORRUPT, key, "");
        gguf_put_u32(&o, key, 5);
        put_tokenizer(&o, model, keys[i]);
        expect_tokenizer(&o, GLA_E_CORRUPT, key, "");
        if (i == 0 || i == 2)
            gguf_put_ints(&o, key, (const int32_t[]){1, 2, 3, 4, 5}, 5);
        else
            gguf_put_texts(&o, key, TOKENS("1", "2", "3", "4", "5"), 5);
        put_tokenizer(&o, model, keys[i]);
        expect_tokenizer(&o, GLA_E_CORRUPT, key, "");
    }
}

Test(malformed_gguf_tokenizer, without_its_lists_is_refused)
{
    gguf_out o = {0};

    put_tokenizer(&o, "gpt2", "");
    expect_tokenizer(&o, GLA_OK, "", "");
    put_tokenizer(&o, "llama", "");
    expect_tokenizer(&o, GLA_OK, "", "");
    put_tokenizer(&o, "gpt2", "tokens");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokenizer.ggml.tokens", "no list of strings");
    put_tokenizer(&o, "gpt2", "merges");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokenizer.ggml.merges", "no list of strings");
    put_tokenizer(&o, "llama", "scores");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokenizer.ggml.scores", "0 scores of 5 tokens");
    put_tokenizer(&o, "gpt2", "token_type"); /* all ordinary */
    expect_tokenizer(&o, GLA_OK, "", "");
}

Test(malformed_gguf_tokenizer, of_another_kind_is_refused_by_name)
{
    gguf_out o = {0};

    put_tokenizer(&o, "bert", "");
    expect_tokenizer(&o, GLA_E_UNSUPPORTED, "tokenizer.ggml.model", "\"bert\" is not read");
    put_tokenizer(&o, "gpt2", "pre");
    expect_tokenizer(&o, GLA_E_UNSUPPORTED, "tokenizer.ggml.pre",
                     "pre-tokenizer \"\" is not known");
    gguf_put_text(&o, "tokenizer.ggml.pre", "tekken");
    put_tokenizer(&o, "gpt2", "pre");
    expect_tokenizer(&o, GLA_E_UNSUPPORTED, "tokenizer.ggml.pre", "\"tekken\" is not known");
}

Test(malformed_gguf_tokenizer, of_bad_tokens_is_refused)
{
    static char giant[300];
    gguf_out o = {0};

    gguf_put_texts(&o, "tokenizer.ggml.tokens", TOKENS("<unk>", "a", "b", "a", "ab"), 5);
    put_tokenizer(&o, "gpt2", "tokens");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokens", "token 3 is there twice");
    gguf_put_texts(&o, "tokenizer.ggml.tokens", TOKENS("<unk>", "a", "b\xff", "ab", "c"), 5);
    put_tokenizer(&o, "gpt2", "tokens");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokens", "token 2 is not UTF-8");
    gguf_put_list(&o, "tokenizer.ggml.tokens", GLA__GGUF_STRING, 1);
    blob_text(&o.kv, "a\0b", 3);
    put_tokenizer(&o, "gpt2", "tokens token_type");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokens", "token 0 is not UTF-8");
    gguf_put_ints(&o, "tokenizer.ggml.token_type", (const int32_t[]){1, 1}, 2);
    put_tokenizer(&o, "gpt2", "token_type");
    expect_tokenizer(&o, GLA_E_CORRUPT, "token_type", "2 types of 5 tokens");
    memset(giant, 'a', sizeof(giant) - 1);
    gguf_put_texts(&o, "tokenizer.ggml.tokens", TOKENS("<unk>", "a", giant, "ab", "c"), 5);
    put_tokenizer(&o, "llama", "tokens");
    expect_tokenizer(&o, GLA_E_LIMIT, "tokens", "token 2 has 299 bytes, at most 256");
}

Test(malformed_gguf_tokenizer, of_bad_merges_is_refused)
{
    gguf_out o = {0};

    gguf_put_texts(&o, "tokenizer.ggml.merges", TOKENS("a b", "a x"), 2);
    put_tokenizer(&o, "gpt2", "merges");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokenizer.ggml", "merge 1 needs token \"x\"");
    gguf_put_texts(&o, "tokenizer.ggml.merges", TOKENS("b a"), 1);
    put_tokenizer(&o, "gpt2", "merges");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokenizer.ggml", "merge 0 needs token \"ba\"");
    gguf_put_texts(&o, "tokenizer.ggml.merges", TOKENS("ab"), 1);
    put_tokenizer(&o, "gpt2", "merges");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokenizer.ggml", "merge 0 is neither");
    gguf_put_texts(&o, "tokenizer.ggml.merges", TOKENS("a \xff"), 1);
    put_tokenizer(&o, "gpt2", "merges");
    expect_tokenizer(&o, GLA_E_CORRUPT, "tokenizer.ggml.merges", "merge 0 is not UTF-8");
}

Test(malformed_gguf_tokenizer, of_bad_scores_is_refused)
{
    gguf_out o = {0};

    gguf_put_floats(&o, "tokenizer.ggml.scores", (const float[]){1, 2, 3}, 3);
    put_tokenizer(&o, "llama", "scores");
    expect_tokenizer(&o, GLA_E_CORRUPT, "scores", "3 scores of 5 tokens");
    gguf_put_floats(&o, "tokenizer.ggml.scores", (const float[]){-1, -1, -1, -1, -1}, 5);
    put_tokenizer(&o, "llama", "scores");
    expect_tokenizer(&o, GLA_E_CORRUPT, "scores", "all scores are the same");
    gguf_put_floats(&o, "tokenizer.ggml.scores", (const float[]){-1, -2, NAN, -1, -1}, 5);
    put_tokenizer(&o, "llama", "scores");
    expect_tokenizer(&o, GLA_E_CORRUPT, "scores", "not a number");
}

/* Ids of special tokens that are none say nothing. */
Test(malformed_gguf_tokenizer, with_special_ids_past_the_end_goes_without_them)
{
    gguf_out o = {0};

    gguf_put_u32(&o, "tokenizer.ggml.bos_token_id", UINT32_MAX);
    gguf_put_u32(&o, "tokenizer.ggml.unknown_token_id", 5);
    gguf_put_text(&o, "tokenizer.ggml.eos_token_id", "a");
    put_tokenizer(&o, "llama", "");
    expect_tokenizer(&o, GLA_OK, "", "");
}

/* ---- models ---- */

#define QWEN35 GLA_SOURCE_DIR "/tests/data/gguf/qwen35.gguf"

static void expect_model(gguf_out *o, const char *where, const char *message)
{
    char path[TEMP_PATH], out[TEMP_PATH];
    gla_diag diag = {0};

    gguf_write(o, temp_path(path, "model.gguf"));
    cr_expect_neq(gla_convert(path, temp_path(out, "model"), NULL, NULL, 0, &diag), GLA_OK, "%s",
                  message);
    cr_expect(strstr(diag.where, where), "\"%s\" is not in \"%s\"", where, diag.where);
    cr_expect(strstr(diag.message, message), "\"%s\" is not in \"%s\"", message, diag.message);
    cr_expect_neq(access(out, F_OK), 0, "%s left a folder", message);
    unlink(path);
    gguf_free(o);
}

static const struct {
    const char *key;
    uint32_t value;
    const char *where, *message;
} numbers[] = {
    {"qwen35.ssm.inner_size", 63, "ssm.inner_size", "must be a multiple"},
    {"qwen35.ssm.inner_size", 0, "ssm.inner_size", "must be a multiple"},
    {"qwen35.ssm.inner_size", UINT32_MAX, "ssm.inner_size", "must be a multiple"},
    {"qwen35.ssm.inner_size", 128, "layers.0.mixer.v_proj.weight", "needs"},
    {"qwen35.ssm.time_step_rank", 0, "ssm.inner_size", "must be a multiple"},
    {"qwen35.ssm.time_step_rank", 2, "", ""},
    {"qwen35.ssm.group_count", 0, "linear_num_key_heads", "expected a number between 1 and"},
    {"qwen35.ssm.group_count", 3, "", "multiple"},
    {"qwen35.ssm.state_size", UINT32_MAX, "linear_key_head_dim", "expected a number between"},
    {"qwen35.ssm.conv_kernel", 65, "linear_conv_kernel_dim", "expected a number between"},
    {"qwen35.attention.head_count", 0, "attention.head_count", "no sensible sizes"},
    {"qwen35.attention.value_length", 16, "attention.value_length", "another width"},
    {"qwen35.block_count", 5, "attention.recurrent_layers", "shorter than the model"},
    {"qwen35.block_count", UINT32_MAX, "nextn_predict_layers", "leaves no layers, or too many"},
    {"qwen35.block_count", 0, "nextn_predict_layers", "leaves no layers, or too many"},
    {"qwen35.nextn_predict_layers", 4, "nextn_predict_layers", "leaves no layers, or too many"},
    {"qwen35.nextn_predict_layers", UINT32_MAX, "nextn_predict_layers", "leaves no layers"},
    {"qwen35.attention.recurrent_layers", 1, "recurrent_layers", "a list of booleans"},
    {"qwen35.expert_count", 2000, "", ""},
};

Test(malformed_gguf_model, of_numbers_that_do_not_fit_is_refused)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        gguf_out o = {0};

        gguf_load(&o, QWEN35, numbers[i].key);
        gguf_put_u32(&o, numbers[i].key, numbers[i].value);
        expect_model(&o, numbers[i].where, numbers[i].message);
    }
}

Test(malformed_gguf_model, of_values_of_another_kind_is_refused)
{
    gguf_out o = {0};

    gguf_load(&o, QWEN35, "qwen35.attention.recurrent_layers");
    gguf_put_texts(&o, "qwen35.attention.recurrent_layers", TOKENS("1", "1", "1", "0"), 4);
    expect_model(&o, "recurrent_layers", "a list of booleans");
    gguf_load(&o, QWEN35, "qwen35.ssm.state_size");
    gguf_put_text(&o, "qwen35.ssm.state_size", "16");
    expect_model(&o, "qwen35.ssm.state_size", "expected one number");
    gguf_load(&o, QWEN35, "qwen35.ssm.group_count");
    gguf_put_ints(&o, "qwen35.ssm.group_count", (const int32_t[]){2, 2, 2, 2}, 4);
    expect_model(&o, "qwen35.ssm.group_count", "expected one number");
    gguf_load(&o, QWEN35, "qwen35.attention.key_length");
    expect_model(&o, "qwen35.attention.key_length", "this key is missing");
}

Test(malformed_gguf_model, of_tensors_that_do_not_fit_is_refused)
{
    gguf_out o = {0};
    gguf_out_tensor *t;

    gguf_load(&o, QWEN35, NULL);
    gguf_remove(&o, "blk.0.ssm_alpha.weight");
    expect_model(&o, "", "blk.0.ssm_alpha.weight");
    gguf_load(&o, QWEN35, NULL);
    t = gguf_find(&o, "blk.0.ssm_out.weight");
    t->dims[1] /= 2;
    t->size /= 2;
    expect_model(&o, "layers.0.mixer.o_proj.weight", "needs [64, 64]");
    gguf_load(&o, QWEN35, NULL);
    gguf_remove(&o, "blk.0.ssm_a");
    gguf_add(&o, "blk.0.ssm_a", 0, 4); /* zeros: no exponential is */
    expect_model(&o, "layers.0.mixer.A_log", "blk.0.ssm_a: -exp(A_log) is below 0, not 0");
    gguf_load(&o, QWEN35, NULL);
    gguf_remove(&o, "blk.1.ssm_dt.bias");
    gguf_add(&o, "blk.1.ssm_dt.bias", 0, 3);
    expect_model(&o, "layers.1.mixer.dt_bias", "");
}

/* ---- parts ---- */

/* Two parts of two tensors each; the case changes what they say. */
typedef struct parts {
    uint32_t no[2], count[2], total;
    const char *second_tensor, *name[2];
} parts;

static gla_status open_parts(const parts *c, bool second, gla_diag *diag)
{
    char path[2][TEMP_PATH];
    gla_weights *w = NULL;
    gla_status st;

    for (uint32_t i = 0; i < 2; i++) {
        gguf_out o = {0};

        gguf_put_u32(&o, "split.no", c->no[i]);
        gguf_put_u32(&o, "split.count", c->count[i]);
        gguf_put_u32(&o, "split.tensors.count", c->total);
        gguf_add(&o, i ? "c" : "a", 0, 4);
        gguf_add(&o, i ? c->second_tensor : "b", 0, 4);
        gguf_write(&o, temp_path(path[i], c->name[i]));
        gguf_free(&o);
    }
    st = gla_weights_open(path[second], NULL, &w, diag);
    cr_expect_eq(st != GLA_OK, w == NULL);
    if (w)
        cr_expect_eq(gla_weights_count(w), 4);
    gla_weights_free(w);
    unlink(path[0]);
    unlink(path[1]);
    return st;
}

#define NAMES                                                                                      \
    {                                                                                              \
        "p-00001-of-00002.gguf", "p-00002-of-00002.gguf"                                           \
    }

static const struct {
    const char *what;
    parts parts;
    gla_status status;
    const char *where, *message;
    bool second;
} splits[] = {
    {"fine", {{0, 1}, {2, 2}, 4, "d", NAMES}, GLA_OK, "", "", false},
    {"the second part",
     {{0, 1}, {2, 2}, 4, "d", NAMES},
     GLA_E_UNSUPPORTED,
     "00002.gguf",
     "this is part 2 of 2",
     true},
    {"count differs",
     {{0, 1}, {2, 3}, 4, "d", NAMES},
     GLA_E_CORRUPT,
     "p-00002",
     "split.count is not 2",
     false},
    {"twice the first",
     {{0, 0}, {2, 2}, 4, "d", NAMES},
     GLA_E_CORRUPT,
     "p-00002",
     "split.no is not 1",
     false},
    {"a tensor twice",
     {{0, 1}, {2, 2}, 4, "a", NAMES},
     GLA_E_CORRUPT,
     "p-00001",
     "two tensors named \"a\"",
     false},
    {"total differs",
     {{0, 1}, {2, 2}, 5, "d", NAMES},
     GLA_E_CORRUPT,
     "p-00001",
     "split.tensors.count is 5, the parts have 4",
     false},
    {"a part is missing",
     {{0, 1}, {2, 2}, 4, "d", {"p-00001-of-00002.gguf", "q-00002-of-00002.gguf"}},
     GLA_E_IO,
     "p-00002-of-00002.gguf",
     "",
     false},
    {"another name",
     {{0, 1}, {2, 2}, 4, "d", {"p.gguf", "q.gguf"}},
     GLA_E_UNSUPPORTED,
     "p.gguf",
     "the first of 2 parts",
     false},
    {"more than there are files",
     {{0, 1}, {513, 2}, 4, "d", NAMES},
     GLA_E_LIMIT,
     "p-00001",
     "split.count is 513, at most 512",
     false},
    {"2^32 - 1 parts",
     {{0, 1}, {UINT32_MAX, 2}, 4, "d", NAMES},
     GLA_E_LIMIT,
     "p-00001",
     "at most 512",
     false},
};

Test(malformed_gguf_parts, that_disagree_are_refused)
{
    for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
        gla_diag diag = {0};
        const gla_status st = open_parts(&splits[i].parts, splits[i].second, &diag);

        cr_expect_eq(st, splits[i].status, "%s: %s: %s", splits[i].what, diag.where, diag.message);
        cr_expect(strstr(diag.message, splits[i].message), "%s: %s", splits[i].what, diag.message);
        cr_expect(strstr(diag.where, splits[i].where), "%s: %s", splits[i].what, diag.where);
    }
}
