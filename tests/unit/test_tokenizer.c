/* SPDX-License-Identifier: Apache-2.0
 *
 * Against vectors of the published `tokenizers` package (tests/data/tokenizers/make_vectors.py).
 */
#include <gla/arch.h>
#include <gla/tokenizer.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/zst.h"

#define DATA GLA_SOURCE_DIR "/tests/data/tokenizers/"

/* ---- help ---- */

static gla_tokenizer *parse(const char *json, size_t size, const char *name)
{
    gla_tokenizer *t;
    gla_diag diag;
    char text[800];

    cr_assert_eq(gla_tokenizer_parse(json, size, name, &t, &diag), GLA_OK, "%s",
                 gla_diag_format(&diag, text, sizeof(text)));
    return t;
}

static gla_tokenizer *open_named(const char *name)
{
    char file[64];
    size_t size;
    char *json;
    gla_tokenizer *t;

    snprintf(file, sizeof(file), "%s.json", name);
    json = read_zst(file, &size);
    t = parse(json, size, file);
    free(json);
    return t;
}

static size_t wanted_ids(const json_t *list, int32_t **ids)
{
    const size_t n = json_array_size(list);

    *ids = malloc((n + 1) * sizeof(**ids));
    for (size_t i = 0; i < n; i++)
        (*ids)[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static int check_encode(const gla_tokenizer *t, const char *name, const json_t *vector,
                        const char *key, uint32_t flags)
{
    const json_t *text = json_object_get(vector, "text");
    int32_t *got, *want;
    size_t n_got, n_want = wanted_ids(json_object_get(vector, key), &want);
    gla_diag diag;
    int bad;

    cr_assert_eq(gla_tokenizer_encode(t, json_string_value(text), json_string_length(text), flags,
                                      &got, &n_got, &diag),
                 GLA_OK, "%s: %s", name, diag.message);
    bad = n_got != n_want || memcmp(got, want, n_got * sizeof(*got)) != 0;
    if (bad) {
        size_t i = 0;

        while (i < n_got && i < n_want && got[i] == want[i])
            i++;
        fprintf(stderr, "%s %s: %s\n  differ at id %zu of %zu (%zu expected): %d, expected %d\n",
                name, key, json_dumps(text, JSON_ENCODE_ANY), i, n_got, n_want,
                i < n_got ? got[i] : -1, i < n_want ? want[i] : -1);
    }
    gla_ids_free(got);
    free(want);
    return bad;
}

/* Whole and in pieces, which must be whole characters. */
static int check_decode(const gla_tokenizer *t, const char *name, const json_t *vector,
                        const char *ids_key, const char *key, uint32_t flags)
{
    const json_t *want = json_object_get(vector, key);
    int32_t *ids;
    size_t n = wanted_ids(json_object_get(vector, ids_key), &ids), size, total = 0;
    char *text, *stream;
    const char *piece;
    gla_detokenizer *d;
    int bad;

    cr_assert_eq(gla_tokenizer_decode(t, ids, n, flags, &text, &size, NULL), GLA_OK);
    cr_assert_eq(text[size], '\0');
    bad = size != json_string_length(want) || memcmp(text, json_string_value(want), size) != 0;
    if (bad)
        fprintf(stderr, "%s %s:\n  %s, expected\n  %s\n", name, key,
                json_dumps(json_stringn_nocheck(text, size), JSON_ENCODE_ANY),
                json_dumps(want, JSON_ENCODE_ANY));
    stream = malloc(size + 1);
    cr_assert_eq(gla_detokenizer_create(t, flags, &d, NULL), GLA_OK);
    for (size_t i = 0; i <= n; i++) {
        size_t piece_size;
        json_t *whole;

        cr_assert_eq(i < n ? gla_detokenizer_next(d, ids[i], &piece, &piece_size, NULL)
                           : gla_detokenizer_end(d, &piece, &piece_size, NULL),
                     GLA_OK);
        whole = json_stringn(piece, piece_size); /* NULL unless UTF-8 */
        cr_assert_not_null(whole, "%s: a piece is not UTF-8", name);
        json_decref(whole);
        cr_assert_leq(total + piece_size, size, "%s: streamed more than the whole", name);
        memcpy(stream + total, piece, piece_size);
        total += piece_size;
    }
    cr_assert(total == size && !memcmp(stream, text, size), "%s: streamed text differs", name);
    gla_detokenizer_free(d);
    gla_text_free(text);
    free(stream);
    free(ids);
    return bad;
}

static void check_vectors(const gla_tokenizer *t, const char *name, const json_t *vectors)
{
    size_t i;
    const json_t *v;
    int bad = 0;

    json_array_foreach(vectors, i, v)
    {
        if (json_is_string(json_object_get(v, "text"))) {
            bad += check_encode(t, name, v, "ids", 0);
            bad += check_encode(t, name, v, "special", GLA_ENCODE_SPECIAL);
            bad += check_encode(t, name, v, "plain", GLA_ENCODE_PLAIN);
        }
        bad += check_decode(t, name, v, "ids", "decoded", 0);
        bad += check_decode(t, name, v, "special", "clean", 1);
    }
    cr_assert_geq(i, 400, "%s: only %zu vectors", name, i);
    cr_expect_eq(bad, 0, "%s: %d of %zu vectors", name, bad, i);
}

static void check_real(const char *name)
{
    char file[64];
    gla_tokenizer *t = open_named(name);
    json_t *vectors;

    snprintf(file, sizeof(file), "%s.vectors.json", name);
    vectors = read_json_zst(file);
    check_vectors(t, name, vectors);
    json_decref(vectors);
    gla_tokenizer_free(t);
}

Test(tokenizer, agrees_with_the_package_on_gpt2)
{
    check_real("gpt2");
}

Test(tokenizer, agrees_with_the_package_on_qwen3)
{
    check_real("qwen3");
}

Test(tokenizer, agrees_with_the_package_on_mistral)
{
    check_real("mistral");
}

Test(tokenizer, agrees_with_the_package_on_tiny_hybrid)
{
    check_real("tiny-hybrid");
}

Test(tokenizer, agrees_with_the_package_on_other_forms)
{
    json_t *all = read_json_zst("variants.json");
    const char *name;
    json_t *variant;

    cr_assert_geq(json_object_size(all), 35);
    json_object_foreach(all, name, variant)
    {
        char *json = json_dumps(json_object_get(variant, "tokenizer"), 0);
        gla_tokenizer *t = parse(json, strlen(json), name);

        check_vectors(t, name, json_object_get(variant, "vectors"));
        gla_tokenizer_free(t);
        free(json);
    }
    json_decref(all);
}

/* ---- vectors that others published ---- */

static char *read_text(const char *name, size_t *size)
{
    char path[512];
    FILE *f;
    char *text = malloc(1 << 20);

    snprintf(path, sizeof(path), DATA "%s", name);
    f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    *size = fread(text, 1, (1 << 20) - 1, f);
    text[*size] = '\0';
    fclose(f);
    return text;
}

/* decoded: the key of the text that decoding gives.  gpt2's vectors have been tidied after decoding
 * ("a !!" to "a!!"), which is not the tokenizer's work. */
static void check_published(const char *name, const char *const *models, size_t wanted,
                            const char *decoded)
{
    char file[64];
    gla_tokenizer *t = open_named(name);
    size_t size, n = 0;
    char *text;
    json_t *all;
    int bad = 0;

    snprintf(file, sizeof(file), "%s.published.json", name);
    text = read_text(file, &size);
    all = json_loads(text, JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(all);
    for (size_t i = 0; models[i]; i++) {
        const char *key;
        json_t *v;

        json_object_foreach(json_object_get(all, models[i]), key, v)
        {
            bad += check_encode(t, key, v, "ids", GLA_ENCODE_SPECIAL);
            bad += check_decode(t, key, v, "ids", decoded, 0);
            n++;
        }
    }
    cr_assert_geq(n, wanted);
    cr_expect_eq(bad, 0);
    json_decref(all);
    free(text);
    gla_tokenizer_free(t);
}

Test(tokenizer, agrees_with_published_vectors)
{
    static const char *const gpt2[] = {"Xenova/gpt2", "openai-community/gpt2", NULL};
    static const char *const qwen[] = {"Xenova/Qwen1.5-0.5B-Chat", NULL};

    check_published("gpt2", gpt2, 52, "text");
    check_published("qwen3", qwen, 25, "decoded");
}

/* Texts between separator lines, and their ids on one line each. */
static void check_cases(const char *name)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char file[64];
    gla_tokenizer *t = open_named(name);
    size_t size, n = 0;
    char *texts, *lines, *s, *line;

    snprintf(file, sizeof(file), "%s.cases.inp", name);
    texts = read_text(file, &size);
    snprintf(file, sizeof(file), "%s.cases.out", name);
    lines = read_text(file, &size);
    line = lines;
    for (s = texts; s; n++) {
        char *end = strstr(s, separator), *stop = strchr(line, '\n');
        int32_t *ids;
        size_t n_ids;

        if (!end && !*s)
            break;
        cr_assert_not_null(stop, "%s: no ids for case %zu", name, n);
        cr_assert_eq(
            gla_tokenizer_encode(t, s, end ? (size_t)(end - s) : strlen(s), 0, &ids, &n_ids, NULL),
            GLA_OK);
        for (size_t i = 0; i < n_ids; i++)
            cr_expect_eq(ids[i], (int32_t)strtol(line, &line, 10), "%s: case %zu, id %zu", name, n,
                         i);
        cr_expect_eq(strspn(line, " "), (size_t)(stop - line), "%s: case %zu, more ids", name, n);
        gla_ids_free(ids);
        line = stop + 1;
        s = end ? end + strlen(separator) : NULL;
    }
    cr_assert_geq(n, 40, "%s: %zu cases", name, n);
    free(texts);
    free(lines);
    gla_tokenizer_free(t);
}

Test(tokenizer, agrees_with_published_cases)
{
    check_cases("gpt2");
    check_cases("qwen3");
}

/* ---- what the vectors do not show ---- */

Test(tokenizer, looks_tokens_up)
{
    gla_tokenizer *t = open_named("qwen3");

    cr_expect_eq(gla_tokenizer_vocab_size(t), 151669);
    cr_expect_eq(gla_tokenizer_id(t, "<|im_end|>"), 151645);
    cr_expect_eq(gla_tokenizer_id(t, "Hello"), 9707);
    cr_expect_eq(gla_tokenizer_id(t, "no such token"), -1);
    cr_expect_str_eq(gla_tokenizer_token(t, 151645), "<|im_end|>");
    cr_expect_str_eq(gla_tokenizer_token(t, 9707), "Hello");
    cr_expect_null(gla_tokenizer_token(t, -1));
    cr_expect_null(gla_tokenizer_token(t, 151669));
    cr_expect(gla_tokenizer_is_special(t, 151645));
    cr_expect_not(gla_tokenizer_is_special(t, 151667)); /* <think>: added, but not special */
    cr_expect_not(gla_tokenizer_is_special(t, 9707));
    cr_expect_not(gla_tokenizer_is_special(t, INT32_MAX));
    gla_tokenizer_free(t);
}

Test(tokenizer, refuses_text_that_is_not_utf8)
{
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {{"\x80", 0},       {"abc\xff", 3},        {"0123456789abcdef\xc3", 16},
                 {"a\xc0\xaf", 1},  {"ab\xed\xa0\x80", 2}, {"\xf4\x90\x80\x80", 0},
                 {"é\xe2\x82x", 2}, {"\xf0\x9f\x98", 0}};
    gla_tokenizer *t = open_named("tiny-hybrid");

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int32_t *ids = (int32_t *)1;
        size_t n = 1;
        gla_diag diag;

        cr_expect_eq(
            gla_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), 0, &ids, &n, &diag),
            GLA_E_INVALID);
        cr_expect_eq(diag.offset, cases[i].at, "case %zu: %s", i, diag.message);
        cr_expect_null(ids);
        cr_expect_eq(n, 0);
    }
    gla_tokenizer_free(t);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Words without an end, each of which some step could take quadratic time for. */
Test(tokenizer, long_words_take_no_more_than_their_share)
{
    static const char *const names[] = {"gpt2", "qwen3", "mistral"};
    static const char *const units[] = {"a", "xyzzy", "é", "\xcc\x81\xcc\xa3", " ", "\n",
                                        "1", "<",     "'"};
    const size_t size = 400000;
    char *text = malloc(size);

    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        gla_tokenizer *t = open_named(names[k]);

        for (size_t u = 0; u < sizeof(units) / sizeof(*units); u++) {
            const size_t unit = strlen(units[u]);
            const double start = seconds();
            size_t n = 0, n_ids, decoded_size;
            int32_t *ids;
            char *decoded;
            gla_diag diag;

            for (; n + unit <= size; n += unit)
                memcpy(text + n, units[u], unit);
            cr_assert_eq(gla_tokenizer_encode(t, text, n, 0, &ids, &n_ids, &diag), GLA_OK,
                         "%s, \"%s\": %s", names[k], units[u], diag.message);
            cr_assert_eq(gla_tokenizer_decode(t, ids, n_ids, 0, &decoded, &decoded_size, NULL),
                         GLA_OK);
            if (strcmp(names[k], "qwen3") != 0 || unit != 4) /* NFC moves the marks */
                cr_assert(decoded_size == n && !memcmp(decoded, text, n), "%s, \"%s\"", names[k],
                          units[u]);
            cr_assert_lt(seconds() - start, 5.0, "%s, \"%s\"", names[k], units[u]);
            gla_text_free(decoded);
            gla_ids_free(ids);
        }
        gla_tokenizer_free(t);
    }
    free(text);
}

Test(tokenizer, streams_two_texts_one_after_the_other)
{
    gla_tokenizer *t = open_named("mistral");
    gla_detokenizer *d;
    const char *text;
    size_t size;
    const int32_t hello = gla_tokenizer_id(t, "▁Hello"), byte = gla_tokenizer_id(t, "<0xE2>");

    cr_assert_eq(gla_detokenizer_create(t, GLA_DECODE_SKIP_SPECIAL, &d, NULL), GLA_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(gla_detokenizer_next(d, 1, &text, &size, NULL), GLA_OK); /* <s> is skipped */
        cr_expect_str_eq(text, "");
        cr_assert_eq(gla_detokenizer_next(d, hello, &text, &size, NULL), GLA_OK);
        cr_expect_str_eq(text, "Hello"); /* the first blank goes */
        cr_assert_eq(gla_detokenizer_next(d, hello, &text, &size, NULL), GLA_OK);
        cr_expect_str_eq(text, " Hello");
        cr_assert_eq(gla_detokenizer_next(d, byte, &text, &size, NULL), GLA_OK);
        cr_expect_str_eq(text, "");
        cr_assert_eq(gla_detokenizer_next(d, 1000000, &text, &size, NULL),
                     GLA_OK); /* no such token */
        cr_assert_eq(gla_detokenizer_end(d, &text, &size, NULL), GLA_OK);
        cr_expect_str_eq(text, "\xef\xbf\xbd");
    }
    gla_detokenizer_free(d);
    gla_detokenizer_free(NULL);
    gla_tokenizer_free(t);
}

Test(tokenizer, decodes_an_empty_token)
{
    static const char json[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\":0,\"_a\":1},\"merges\":[]},"
        "\"decoder\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},\"content\":\" \"}}";
    static const int32_t ids[] = {0, 1, 0};
    gla_tokenizer *t;
    char *text;
    size_t n;

    cr_assert_eq(gla_tokenizer_parse(json, strlen(json), "t", &t, NULL), GLA_OK);
    cr_assert_eq(gla_tokenizer_decode(t, ids, 3, 0, &text, &n, NULL), GLA_OK);
    cr_expect_str_eq(text, " a");
    gla_text_free(text);
    gla_tokenizer_free(t);
}

static gla_tokenizer *parse_text(const char *json)
{
    return parse(json, strlen(json), "t");
}

static void expect_decoded(const gla_tokenizer *t, const int32_t *ids, size_t n, const char *want)
{
    char *text;
    size_t size;

    cr_assert_eq(gla_tokenizer_decode(t, ids, n, 0, &text, &size, NULL), GLA_OK);
    cr_expect_str_eq(text, want);
    gla_text_free(text);
}

/* Digits of either case; what only looks like a byte is text. */
Test(tokenizer, decodes_byte_tokens)
{
    static const int32_t bytes[] = {0, 1}, cut[] = {0, 6}, words[] = {2, 3, 4, 5, 6};
    gla_tokenizer *t =
        parse_text("{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},"
                   "{\"type\":\"Fuse\"}]},\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":"
                   "{\"<0xc3>\":0,\"<0xA9>\":1,\"<0xZ9>\":2,\"<0x4g>\":3,\"<0x41)\":4,\"<0y41>\":5,"
                   "\"<0x7e>\":6}}}");

    expect_decoded(t, bytes, 2, "\xc3\xa9");
    expect_decoded(t, cut, 2, "\xef\xbf\xbd\xef\xbf\xbd");
    expect_decoded(t, words, 5, "<0xZ9><0x4g><0x41)<0y41>~");
    gla_tokenizer_free(t);
}

Test(tokenizer, says_when_a_decoder_never_ends)
{
    gla_tokenizer *t = parse_text(
        "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":"
        "\"Replace\","
        "\"pattern\":{\"Regex\":\"(a+)+[bd]\"},\"content\":\"\"}]},\"model\":{\"type\":\"BPE\","
        "\"merges\":[],\"vocab\":{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":0,\"c\":1}}}");
    static const int32_t ids[] = {0, 1};
    gla_diag diag;
    char *text;
    size_t size;

    cr_expect_eq(gla_tokenizer_decode(t, ids, 2, 0, &text, &size, &diag), GLA_E_LIMIT);
    cr_expect_str_eq(diag.message, "the decoder's pattern needs too many steps");
    cr_expect_null(text);
    gla_tokenizer_free(t);
    gla_tokenizer_free(NULL);
}

/* Forms of older files: features that are off, a version among the merges, no flags. */
Test(tokenizer, reads_older_forms)
{
    static const char *const models[] = {
        "\"merges\":[\"#version: 0.2\",\"a b\"]",
        "\"merges\":[\"a b\"],\"dropout\":false,\"unk_token\":null,\"byte_fallback\":null",
        "\"merges\":[[\"a\",\"b\"]],\"dropout\":0,\"end_of_word_suffix\":\"\"",
        "\"type\":\"BPE\",\"merges\":[\"a b\"],\"dropout\":0.0,\"continuing_subword_prefix\":null",
    };

    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
        char json[512];
        gla_tokenizer *t;
        int32_t *ids;
        size_t n;

        snprintf(json, sizeof(json),
                 "{\"added_tokens\":[{\"id\":3,\"content\":\"\"},{\"id\":4,\"content\":\"<x>\"}],"
                 "\"pre_tokenizer\":null,\"model\":{%s,\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}}}",
                 models[i]);
        t = parse_text(json);
        cr_assert_eq(gla_tokenizer_encode(t, "ab<x>b", 6, 0, &ids, &n, NULL), GLA_OK);
        cr_expect(n == 3 && ids[0] == 2 && ids[1] == 4 && ids[2] == 1, "%s", models[i]);
        gla_ids_free(ids);
        gla_tokenizer_free(t);
    }
}

Test(tokenizer, bounds_the_text)
{
    gla_tokenizer *t = open_named("tiny-hybrid");
    gla_diag diag;
    int32_t *ids;
    size_t n;

    cr_expect_eq(gla_tokenizer_encode(t, "", ((size_t)1 << 30) + 1, 0, &ids, &n, &diag),
                 GLA_E_LIMIT); /* before it looks at it */
    cr_expect_null(ids);
    cr_expect_not(gla_tokenizer_is_special(t, -1));
    gla_tokenizer_free(t);
}
