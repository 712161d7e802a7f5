/* SPDX-License-Identifier: Apache-2.0
 *
 * Published tokenizers, written into a gguf file as llama.cpp's conversion does it and read again:
 * text must become the same tokens, and tokens the same text.
 */
#include "formats/import/gguf_tokenizer.h"

#include <gla/tokenizer.h>
#include <string.h>

#include "base/alloc.h"
#include "support/gguf_writer.h"
#include "support/temp_file.h"
#include "support/zst.h"

/* ---- from tokenizer.json to gguf ---- */

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

typedef struct source {
    json_t *root, *vocab, *merges, *added;
    const char **tokens; /* [n] */
    int32_t *types;
    float *scores;
    uint64_t n;
} source;

static void place(source *s, const char *token, uint64_t id, int32_t type)
{
    cr_assert_lt(id, s->n);
    s->tokens[id] = token;
    s->types[id] = type;
}

/* Three more rows than tokens, as models have. */
static void read_source(source *s, const char *name, bool sentencepiece)
{
    char file[64];
    const char *token;
    json_t *v;
    size_t i;

    snprintf(file, sizeof(file), "%s.json", name);
    s->root = read_json_zst(file);
    s->vocab = json_object_get(json_object_get(s->root, "model"), "vocab");
    s->merges = json_object_get(json_object_get(s->root, "model"), "merges");
    s->added = json_object_get(s->root, "added_tokens");
    s->n = json_object_size(s->vocab) + json_array_size(s->added) + 3;
    s->tokens = calloc(s->n, sizeof(*s->tokens));
    s->types = calloc(s->n, sizeof(*s->types));
    s->scores = calloc(s->n, sizeof(*s->scores));
    for (i = 0; i < s->n; i++)
        place(s, "[PAD]", i, UNUSED);
    json_object_foreach(s->vocab, token, v)
        place(s, token, (uint64_t)json_integer_value(v),
              sentencepiece && strlen(token) == 6 && !strncmp(token, "<0x", 3) ? BYTE : NORMAL);
    json_array_foreach(s->added, i, v)
    {
        token = json_string_value(json_object_get(v, "content"));
        place(s, token, (uint64_t)json_integer_value(json_object_get(v, "id")),
              !strcmp(token, "<unk>")                       ? UNKNOWN
              : json_is_true(json_object_get(v, "special")) ? CONTROL
                                                            : USER_DEFINED);
    }
}

static void free_source(source *s)
{
    json_decref(s->root);
    free(s->tokens);
    free(s->types);
    free(s->scores);
}

static void put_common(gguf_out *o, const source *s, const char *model)
{
    gguf_put_text(o, "general.architecture", "llama");
    gguf_put_text(o, "tokenizer.ggml.model", model);
    gguf_put_texts(o, "tokenizer.ggml.tokens", s->tokens, s->n);
    gguf_put_ints(o, "tokenizer.ggml.token_type", s->types, s->n);
}

/* The two sides of a merge: "a b" or ["a", "b"]. */
static void merge_text(const json_t *merge, const char *between, char text[1024])
{
    const char *s = json_string_value(merge), *blank = s ? strchr(s, ' ') : NULL;

    if (s)
        snprintf(text, 1024, "%.*s%s%s", (int)(blank - s), s, between, blank + 1);
    else
        snprintf(text, 1024, "%s%s%s", json_string_value(json_array_get(merge, 0)), between,
                 json_string_value(json_array_get(merge, 1)));
}

static void put_merges(gguf_out *o, const source *s)
{
    char text[1024];

    gguf_put_list(o, "tokenizer.ggml.merges", GLA__GGUF_STRING, json_array_size(s->merges));
    for (size_t i = 0; i < json_array_size(s->merges); i++) {
        merge_text(json_array_get(s->merges, i), " ", text);
        blob_text(&o->kv, text, strlen(text));
    }
}

/* Sentencepiece gives its tokens falling scores in the order in which they were learnt. */
static void put_scores(gguf_out *o, source *s)
{
    float next = 0;
    char text[1024];

    for (uint64_t i = 0; i < s->n; i++)
        s->scores[i] = 1;
    for (size_t i = 0; i < json_array_size(s->merges); i++) {
        uint64_t id;

        merge_text(json_array_get(s->merges, i), "", text);
        id = (uint64_t)json_integer_value(json_object_get(s->vocab, text));
        if (s->scores[id] > 0)
            s->scores[id] = next--;
    }
    gguf_put_floats(o, "tokenizer.ggml.scores", s->scores, s->n);
}

/* ---- and back ---- */

static char *read_back(const gguf_out *o, size_t *size, char **config)
{
    char path[TEMP_PATH], *json;
    gla_weights *w;
    gla_diag diag;

    gguf_write(o, temp_path(path, "tokenizer.gguf"));
    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla__gguf_tokenizer(w, &json, size, &diag), GLA_OK, "%s: %s", diag.where,
                 diag.message);
    cr_assert_eq(gla__gguf_tokenizer_config(w, config, size, &diag), GLA_OK);
    *size = strlen(json);
    gla_weights_free(w);
    unlink(path);
    return json;
}

static void expect_same(const gla_tokenizer *a, const gla_tokenizer *b, const char *text, size_t n,
                        uint32_t flags)
{
    int32_t *x, *y;
    size_t n_x, n_y, n_s, n_t;
    char *s, *t;

    cr_assert_eq(gla_tokenizer_encode(a, text, n, flags, &x, &n_x, NULL), GLA_OK);
    cr_assert_eq(gla_tokenizer_encode(b, text, n, flags, &y, &n_y, NULL), GLA_OK);
    cr_expect(n_x == n_y && !memcmp(x, y, n_x * sizeof(*x)), "\"%.60s\", flags %u", text, flags);
    for (uint32_t skip = 0; skip <= GLA_DECODE_SKIP_SPECIAL; skip++) {
        cr_assert_eq(gla_tokenizer_decode(a, x, n_x, skip, &s, &n_s, NULL), GLA_OK);
        cr_assert_eq(gla_tokenizer_decode(b, x, n_x, skip, &t, &n_t, NULL), GLA_OK);
        cr_expect(n_s == n_t && !memcmp(s, t, n_s), "\"%.60s\" decoded", text);
        gla_text_free(s);
        gla_text_free(t);
    }
    gla_ids_free(x);
    gla_ids_free(y);
}

/* Over every text of the vectors that the published package made. */
static void expect_same_tokens(const source *s, const char *name, const gguf_out *o,
                               const char *config_part)
{
    gla_tokenizer *ours, *theirs;
    size_t size, i;
    char file[64], *config, *back = read_back(o, &size, &config);
    char *published = json_dumps(s->root, JSON_COMPACT);
    json_t *vectors, *v, *list;
    gla_diag diag;
    uint32_t n = 0;

    cr_assert_eq(gla_tokenizer_parse(back, size, "back", &ours, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla_tokenizer_parse(published, strlen(published), name, &theirs, &diag), GLA_OK);
    snprintf(file, sizeof(file), "%s.vectors.json", name);
    vectors = read_json_zst(file);
    list = json_is_array(vectors) ? vectors : json_object_get(vectors, "vectors");
    json_array_foreach(list, i, v)
    {
        const json_t *text = json_object_get(v, "text");

        for (uint32_t flags = 0; text && flags < 4; flags++)
            expect_same(theirs, ours, json_string_value(text), json_string_length(text), flags);
        n += text != NULL;
    }
    cr_expect_gt(n, 50, "%s", name);
    cr_expect(strstr(config, config_part), "%s", config);
    gla_tokenizer_free(ours);
    gla_tokenizer_free(theirs);
    json_decref(vectors);
    free(published);
    gla__free(back);
    gla__free(config);
}

static void check_bpe(const char *name, const char *pre, const char *end)
{
    gguf_out o = {0};
    source s;
    uint32_t id = 0;

    read_source(&s, name, false);
    put_common(&o, &s, "gpt2");
    gguf_put_text(&o, "tokenizer.ggml.pre", pre);
    put_merges(&o, &s);
    while (s.types[id] == UNUSED || strcmp(s.tokens[id], end))
        id++;
    gguf_put_u32(&o, "tokenizer.ggml.eos_token_id", id);
    expect_same_tokens(&s, name, &o, end);
    gguf_free(&o);
    free_source(&s);
}

Test(tokenizer_gguf, gives_the_tokens_of_gpt2)
{
    check_bpe("gpt2", "gpt-2", "<|endoftext|>");
}

Test(tokenizer_gguf, gives_the_tokens_of_qwen)
{
    check_bpe("qwen3", "qwen2", "<|im_end|>");
}

Test(tokenizer_gguf, gives_the_tokens_of_sentencepiece)
{
    gguf_out o = {0};
    source s;

    read_source(&s, "mistral", true);
    put_common(&o, &s, "llama");
    put_scores(&o, &s);
    gguf_put_u32(&o, "tokenizer.ggml.bos_token_id", 1);
    gguf_put_u32(&o, "tokenizer.ggml.eos_token_id", 2);
    gguf_put_u32(&o, "tokenizer.ggml.unknown_token_id", 0);
    expect_same_tokens(&s, "mistral", &o, "\"bos_token\":\"<s>\"");
    gguf_free(&o);
    free_source(&s);
}

/* ---- small ones ---- */

/* Byte-level tokens of a few letters. */
static void put_small(gguf_out *o, const char *pre)
{
    static const char *const tokens[] = {"a", "b", "c", "ab", "1", "2", "12", "</s>", "<s>", "abc"};
    static const int32_t types[] = {1, 1, 1, 1, 1, 1, 1, 3, 3, 1};
    static const char *const merges[] = {"a b", "1 2"};

    gguf_put_text(o, "tokenizer.ggml.model", "gpt2");
    gguf_put_text(o, "tokenizer.ggml.pre", pre);
    gguf_put_texts(o, "tokenizer.ggml.tokens", tokens, 10);
    gguf_put_ints(o, "tokenizer.ggml.token_type", types, 10);
    gguf_put_texts(o, "tokenizer.ggml.merges", merges, 2);
    gguf_put_u32(o, "tokenizer.ggml.bos_token_id", 8);
    gguf_put_u32(o, "tokenizer.ggml.eos_token_id", 7);
}

static void expect_ids(gguf_out *o, const char *text, const int32_t *want, size_t n_want)
{
    size_t size, n;
    char *config, *json = read_back(o, &size, &config);
    gla_tokenizer *t;
    int32_t *ids;

    cr_assert_eq(gla_tokenizer_parse(json, size, "small", &t, NULL), GLA_OK);
    cr_assert_eq(gla_tokenizer_encode(t, text, strlen(text), GLA_ENCODE_SPECIAL, &ids, &n, NULL),
                 GLA_OK);
    cr_expect(n == n_want && !memcmp(ids, want, n * sizeof(*ids)), "%s: %zu ids", text, n);
    gla_ids_free(ids);
    gla_tokenizer_free(t);
    gla__free(json);
    gla__free(config);
    gguf_free(o);
}
#define EXPECT_IDS(o, text, ...)                                                                   \
    expect_ids(o, text, (const int32_t[]){__VA_ARGS__},                                            \
               sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

Test(tokenizer_gguf, knows_a_pre_tokenizer_by_its_name)
{
    gguf_out o = {0};

    put_small(&o, "gpt-2");
    EXPECT_IDS(&o, "abc12", 3, 2, 6);
    put_small(&o, "smollm"); /* each digit by itself */
    EXPECT_IDS(&o, "abc12", 3, 2, 4, 5);
    put_small(&o, "qwen2");
    EXPECT_IDS(&o, "abc12", 3, 2, 4, 5);
    put_small(&o, "qwen35");
    EXPECT_IDS(&o, "abc12", 3, 2, 4, 5);
    put_small(&o, "llama-bpe"); /* digits by three, words that are tokens whole, <s> in front */
    EXPECT_IDS(&o, "abc12", 8, 9, 6);
}

Test(tokenizer_gguf, puts_the_tokens_around_that_the_file_asks_for)
{
    gguf_out o = {0};

    put_small(&o, "gpt-2");
    gguf_put_bool(&o, "tokenizer.ggml.add_bos_token", true);
    gguf_put_bool(&o, "tokenizer.ggml.add_eos_token", true);
    EXPECT_IDS(&o, "ab", 8, 3, 7);
    put_small(&o, "llama-bpe");
    gguf_put_bool(&o, "tokenizer.ggml.add_bos_token", false);
    EXPECT_IDS(&o, "ab", 3);
}

Test(tokenizer_gguf, of_sentencepiece_may_go_without_a_first_space)
{
    static const char *const tokens[] = {"<unk>", "\xe2\x96\x81", "a",
                                         "\xe2\x96\x81"
                                         "a"};
    static const int32_t types[] = {2, 1, 1, 1};
    static const float scores[] = {0, -3, -2, -1};
    gguf_out o = {0};

    for (int prefix = 1; prefix >= 0; prefix--) {
        gguf_put_text(&o, "tokenizer.ggml.model", "llama");
        gguf_put_texts(&o, "tokenizer.ggml.tokens", tokens, 4);
        gguf_put_ints(&o, "tokenizer.ggml.token_type", types, 4);
        gguf_put_floats(&o, "tokenizer.ggml.scores", scores, 4);
        gguf_put_bool(&o, "tokenizer.ggml.add_space_prefix", prefix != 0);
        if (prefix)
            EXPECT_IDS(&o, "a a", 3, 3);
        else
            EXPECT_IDS(&o, "a a", 2, 3);
    }
}

Test(tokenizer_gguf, is_absent_where_the_file_has_none)
{
    gguf_out o = {0};
    char path[TEMP_PATH], *json;
    gla_weights *w;
    size_t n;

    gguf_put_text(&o, "tokenizer.ggml.model", "none");
    gguf_write(&o, temp_path(path, "none.gguf"));
    cr_assert_eq(gla_weights_open(path, NULL, &w, NULL), GLA_OK);
    cr_expect_eq(gla__gguf_tokenizer(w, &json, &n, NULL), GLA_OK);
    cr_expect_null(json);
    cr_expect_eq(gla__gguf_tokenizer_config(w, &json, &n, NULL), GLA_OK);
    cr_expect_null(json);
    gla_weights_free(w);
    unlink(path);
    gguf_free(&o);
}
