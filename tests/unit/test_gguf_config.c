/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a gguf file as a config.json: one or two of them changed, and what comes of it. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/import/gguf_config.h"
#include "support/gguf_writer.h"
#include "support/temp_file.h"

#define DATA    GLA_SOURCE_DIR "/tests/data/gguf/"
#define U32(v)  GLA__GGUF_U32, NULL, v
#define F32(v)  GLA__GGUF_F32, NULL, v
#define BOOL(v) GLA__GGUF_BOOL, NULL, v
#define TEXT(v) GLA__GGUF_STRING, v, 0

/* A key with a value of any type that is no list. */
typedef struct pair {
    const char *key;
    uint32_t type;
    const char *text;
    double number;
} pair;

static void put_pair(gguf_out *o, const pair *p)
{
    const size_t size = gla__gguf_value_bytes(p->type);
    const float single = (float)p->number;

    if (p->type == GLA__GGUF_STRING) {
        gguf_put_text(o, p->key, p->text);
        return;
    }
    gguf_put_key(o, p->key, p->type);
    if (p->type == GLA__GGUF_F32)
        blob_put(&o->kv, &single, sizeof(single));
    else if (p->type == GLA__GGUF_F64)
        blob_put(&o->kv, &p->number, sizeof(p->number));
    else
        blob_number(&o->kv, p->number < 0 ? (uint64_t)(int64_t)p->number : (uint64_t)p->number,
                    size);
}

static gla_status config_of(const gguf_out *o, char **json, gla_diag *diag)
{
    char path[TEMP_PATH];
    gla_weights *w;
    gla_status st;
    size_t n;

    gguf_write(o, temp_path(path, "config.gguf"));
    cr_assert_eq(gla_weights_open(path, NULL, &w, diag), GLA_OK, "%s", diag->message);
    unlink(path);
    st = gla__gguf_config(w, json, &n, diag);
    gla_weights_free(w);
    return st;
}

/* The config has this part; or there is no config, but a refusal: "KEY: words". */
static void expect(gguf_out *o, const char *part, const char *where, const char *what)
{
    gla_diag diag = {0};
    char *json;
    const gla_status st = config_of(o, &json, &diag);

    if (where) {
        cr_expect_eq(st, GLA_E_UNSUPPORTED, "%s: %s", what, gla_status_name(st));
        cr_expect_str_eq(diag.where, where, "%s: %s", what, diag.where);
        cr_expect(strstr(diag.message, part), "%s: %s", what, diag.message);
    } else {
        cr_expect_eq(st, GLA_OK, "%s: %s: %s", what, diag.where, diag.message);
        cr_expect(json && strstr(json, part), "%s: %s is not in %s", what, part, json);
    }
    gla__free(json);
    gguf_free(o);
}

static const struct {
    const char *file, *without;
    pair pairs[3];
    const char *part, *where; /* where NULL: the config has the part */
} cases[] = {
    /* numbers of every type */
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_U8, NULL, 2}},
     "\"num_attention_heads\":2,",
     NULL},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_I8, NULL, 2}},
     "\"num_attention_heads\":2,",
     NULL},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_U16, NULL, 258}},
     "\"num_attention_heads\":258,",
     NULL},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_I16, NULL, 258}},
     "\"num_attention_heads\":258,",
     NULL},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_I32, NULL, 2}},
     "\"num_attention_heads\":2,",
     NULL},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_U64, NULL, 2}},
     "\"num_attention_heads\":2,",
     NULL},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_I64, NULL, 2}},
     "\"num_attention_heads\":2,",
     NULL},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_U64, NULL, 0x1p63}},
     "expected one number",
     "llama.attention.head_count"},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_I8, NULL, -2}},
     "expected one number",
     "llama.attention.head_count"},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", BOOL(1)}},
     "expected one number",
     "llama.attention.head_count"},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", F32(2)}},
     "expected one number",
     "llama.attention.head_count"},
    {"llama",
     "llama.attention.head_count",
     {{"llama.attention.head_count", GLA__GGUF_F64, NULL, 2}},
     "expected one number",
     "llama.attention.head_count"},
    {"llama",
     "llama.rope.freq_base",
     {{"llama.rope.freq_base", F32(0.3)}},
     "\"rope_theta\":0.29999999999999999,",
     NULL}, /* as it was meant */
    {"llama",
     "llama.rope.freq_base",
     {{"llama.rope.freq_base", GLA__GGUF_F64, NULL, 0.3}},
     "\"rope_theta\":0.29999999999999999,",
     NULL},
    {"llama",
     "llama.rope.freq_base",
     {{"llama.rope.freq_base", U32(7)}},
     "\"rope_theta\":7.0,",
     NULL},
    {"llama",
     "llama.rope.freq_base",
     {{"llama.rope.freq_base", BOOL(1)}},
     "expected one number",
     "llama.rope.freq_base"},
    {"llama",
     "llama.rope.freq_base",
     {{"llama.rope.freq_base", TEXT("7")}},
     "expected one number",
     "llama.rope.freq_base"},
    {"llama",
     "llama.rope.freq_base",
     {{"llama.rope.freq_base", F32((double)NAN)}},
     "expected a finite number",
     "llama.rope.freq_base"},
    {"llama",
     "llama.rope.freq_base",
     {{"llama.rope.freq_base", F32((double)INFINITY)}},
     "expected a finite number",
     "llama.rope.freq_base"},
    /* sizes */
    {"llama",
     "llama.embedding_length",
     {{"llama.embedding_length", U32(0)}},
     "no sensible sizes",
     "llama.attention.head_count"},
    {"llama",
     "llama.embedding_length",
     {{"llama.embedding_length", U32(1 << 25)}},
     "no sensible sizes",
     "llama.attention.head_count"},
    {"llama",
     "llama.embedding_length",
     {{"", 0, NULL, 0}},
     "this key is missing",
     "llama.embedding_length"},
    {"mamba",
     "mamba.embedding_length",
     {{"mamba.embedding_length", U32(0)}},
     "0",
     "mamba.embedding_length"},
    /* attention */
    {"llama",
     "llama.attention.head_count_kv",
     {{"llama.attention.head_count", U32(4)}},
     "\"num_key_value_heads\":4,",
     NULL},
    {"llama",
     "llama.attention.key_length llama.rope.dimension_count",
     {{"", 0, NULL, 0}},
     "\"head_dim\":16,",
     NULL},
    {"llama",
     "llama.rope.dimension_count",
     {{"llama.rope.dimension_count", U32(8)}},
     "\"partial_rotary_factor\":0.53125,",
     NULL},
    {"llama",
     "llama.rope.dimension_count",
     {{"llama.rope.dimension_count", U32(99)}},
     "\"partial_rotary_factor\":1.03125,",
     NULL},
    {"llama",
     "llama.attention.value_length",
     {{"llama.attention.value_length", U32(16)}},
     "\"head_dim\":16,",
     NULL},
    {"llama",
     "llama.attention.value_length",
     {{"llama.attention.value_length", U32(8)}},
     "another width than keys",
     "llama.attention.value_length"},
    {"llama", NULL, {{"llama.expert_count", U32(0)}}, "\"model_type\":\"llama\"", NULL},
    {"llama", NULL, {{"llama.expert_count", U32(8)}}, "mixtures of experts", "llama.expert_count"},
    {"llama",
     NULL,
     {{"llama.attention.sliding_window", U32(8)}},
     "\"model_type\":\"mistral\"",
     NULL},
    {"llama", NULL, {{"llama.attention.sliding_window", U32(0)}}, "\"model_type\":\"llama\"", NULL},
    {"qwen3",
     NULL,
     {{"qwen3.attention.sliding_window", U32(8)}},
     "\"use_sliding_window\":true",
     NULL},
    {"mamba",
     "mamba.ssm.dt_b_c_rms",
     {{"mamba.ssm.dt_b_c_rms", BOOL(0)}},
     "\"model_type\":\"mamba\"",
     NULL},
    {"mamba",
     "mamba.ssm.dt_b_c_rms",
     {{"mamba.ssm.dt_b_c_rms", BOOL(1)}},
     "not supported",
     "mamba.ssm.dt_b_c_rms"},
    /* rotary scaling */
    {"llama", NULL, {{"llama.rope.scaling.type", TEXT("none")}}, "\"rope_theta\"", NULL},
    {"llama",
     NULL,
     {{"llama.rope.scaling.type", TEXT("linear")}, {"llama.rope.scaling.factor", F32(2)}},
     "\"rope_scaling\":{\"factor\":2.0,\"rope_type\":\"linear\"}",
     NULL},
    {"llama",
     NULL,
     {{"llama.rope.scaling.type", TEXT("yarn")},
      {"llama.rope.scaling.original_context_length", U32(64)},
      {"llama.rope.scaling.yarn_beta_fast", F32(16)}},
     "\"rope_scaling\":{\"beta_fast\":16.0,\"original_max_position_embeddings\":64,"
     "\"rope_type\":\"yarn\"}",
     NULL},
    {"llama",
     NULL,
     {{"llama.rope.scaling.type", TEXT("longrope")}},
     "of this type is not read",
     "llama.rope.scaling.type"},
    {"llama",
     NULL,
     {{"llama.rope.scaling.type", TEXT("yarn")}, {"llama.rope.scaling.yarn_ext_factor", F32(1)}},
     "this part of yarn is not read",
     "llama.rope.scaling.yarn_ext_factor"},
    {"llama",
     NULL,
     {{"llama.rope.scaling.type", TEXT("linear")}, {"llama.rope.scaling.factor", TEXT("2")}},
     "expected one number",
     "llama.rope.scaling.factor"},
    /* tokens */
    {"llama",
     "tokenizer.ggml.eos_token_id",
     {{"tokenizer.ggml.eos_token_id", U32(2)},
      {"tokenizer.ggml.eot_token_id", U32(3)},
      {"tokenizer.ggml.eom_token_id", U32(4)}},
     "\"eos_token_id\":[2,3,4],",
     NULL},
    {"llama",
     "tokenizer.ggml.eos_token_id",
     {{"tokenizer.ggml.eos_token_id", U32(2)},
      {"tokenizer.ggml.eot_token_id", U32(3)},
      {"tokenizer.ggml.eom_token_id", U32(3)}},
     "\"eos_token_id\":[2,3],",
     NULL},
    {"llama",
     "tokenizer.ggml.eos_token_id",
     {{"tokenizer.ggml.eos_token_id", U32(2)},
      {"tokenizer.ggml.eot_token_id", U32(2)},
      {"tokenizer.ggml.eom_token_id", U32(2)}},
     "\"eos_token_id\":[2],",
     NULL},
    {"llama",
     "tokenizer.ggml.eos_token_id",
     {{"tokenizer.ggml.eos_token_id", U32(0x80000000)}, {"tokenizer.ggml.eot_token_id", U32(3)}},
     "\"eos_token_id\":[3],",
     NULL},
    {"llama",
     "tokenizer.ggml.bos_token_id tokenizer.ggml.add_bos_token",
     {{"tokenizer.ggml.add_bos_token", BOOL(1)}, {"tokenizer.ggml.bos_token_id", U32(5)}},
     "\"bos_token_id\":5,",
     NULL},
    {"llama",
     "tokenizer.ggml.bos_token_id tokenizer.ggml.add_bos_token",
     {{"tokenizer.ggml.add_bos_token", BOOL(1)}, {"tokenizer.ggml.bos_token_id", U32(0x80000000)}},
     "\"attention_bias\":false,\"head_dim\"",
     NULL},
    {"llama",
     "tokenizer.ggml.bos_token_id tokenizer.ggml.add_bos_token",
     {{"tokenizer.ggml.add_bos_token", BOOL(1)}},
     "\"attention_bias\":false,\"head_dim\"",
     NULL},
    /* what is not known goes along */
    {"llama", NULL, {{"llama.odd", U32(1)}, {"llamas", U32(1)}}, "\"llama.odd\":true,\"max_", NULL},
    {"llama",
     NULL,
     {{"llama.rope.scaling.finetuned", BOOL(1)}},
     "\"hidden_size\":64,\"inter",
     NULL},
    {"llama",
     "general.architecture",
     {{"", 0, NULL, 0}},
     "this key is missing",
     "general.architecture"},
    {"llama",
     "general.architecture",
     {{"general.architecture", U32(1)}},
     "this key is missing",
     "general.architecture"},
    {"llama",
     "general.architecture",
     {{"general.architecture", TEXT("llamb")}},
     "\"llamb\" is not read from gguf; known: llama",
     "general.architecture"},
};

Test(gguf_config, follows_the_keys)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gguf_out o = {0};
        char path[512], what[128];

        snprintf(path, sizeof(path), DATA "%s.gguf", cases[i].file);
        snprintf(what, sizeof(what), "case %zu, %s", i, cases[i].pairs[0].key);
        gguf_load(&o, path, cases[i].without);
        for (size_t k = 0; k < 3 && cases[i].pairs[k].key && cases[i].pairs[k].key[0]; k++)
            put_pair(&o, &cases[i].pairs[k]);
        expect(&o, cases[i].part, cases[i].where, what);
    }
}

/* ---- tensors that say something of the config ---- */

static gguf_out_tensor *load_with(gguf_out *o, const char *file, const char *tensor, uint64_t n)
{
    gguf_load(o, file, NULL);
    return gguf_add(o, tensor, 0, n);
}

Test(gguf_config, takes_rotary_factors_from_their_tensor)
{
    static const float factors[] = {1, 1.5f, 2, 8}, odd[] = {1, NAN};
    gguf_out o = {0};
    gguf_out_tensor *t = load_with(&o, DATA "llama.gguf", "rope_freqs.weight", 4);

    memcpy(t->data, factors, sizeof(factors));
    expect(&o,
           "\"rope_scaling\":{\"attention_factor\":1.0,\"long_factor\":[1.0,1.5,2.0,8.0],"
           "\"rope_type\":\"longrope\",\"short_factor\":[1.0,1.5,2.0,8.0]}",
           NULL, "factors");
    t = load_with(&o, DATA "llama.gguf", "rope_freqs.weight", 2);
    memcpy(t->data, odd, sizeof(odd));
    expect(&o, "expected finite numbers", "rope_freqs.weight", "no number");
    t = load_with(&o, DATA "llama.gguf", "rope_freqs.weight", 4);
    gguf_retype(t, GGUF_F16);
    expect(&o, "at most 2048 factors, F32", "rope_freqs.weight", "another type");
    load_with(&o, DATA "llama.gguf", "rope_freqs.weight", 2049);
    expect(&o, "at most 2048 factors, F32", "rope_freqs.weight", "too many");
}

Test(gguf_config, sees_biases_in_the_tensors)
{
    gguf_out o = {0};

    load_with(&o, DATA "llama.gguf", "blk.1.attn_q.bias", 64);
    expect(&o, "\"attention_bias\":true", NULL, "q");
    load_with(&o, DATA "llama.gguf", "blk.0.attn_qkv.bias", 128);
    expect(&o, "\"attention_bias\":true", NULL, "q, k and v in one");
    load_with(&o, DATA "qwen35.gguf", "blk.0.attn_qkv.bias", 128);
    expect(&o, "\"attention_bias\":false", NULL, "of a recurrence");
}

Test(gguf_config, needs_the_embedding)
{
    gguf_out o = {0};

    gguf_load(&o, DATA "llama.gguf", NULL);
    gguf_remove(&o, "token_embd.weight");
    expect(&o, "this tensor is missing, or no matrix", "token_embd.weight", "none");
    gguf_load(&o, DATA "llama.gguf", NULL);
    gguf_find(&o, "token_embd.weight")->n_dims = 3;
    gguf_find(&o, "token_embd.weight")->dims[2] = 1;
    expect(&o, "this tensor is missing, or no matrix", "token_embd.weight", "a cube");
}
