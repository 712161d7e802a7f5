/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers and chat templates when the n-th allocation fails, for every n: an error that says so
 * and nothing left behind, or the same result as ever.
 */
#include <gla/arch.h>
#include <gla/chat.h>
#include <gla/gla.h>
#include <gla/tokenizer.h>

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/import/gguf_tokenizer.h"
#include "formats/text/json.h"
#include "support/failing_memory.h"
#include "support/gguf_writer.h"
#include "support/temp_file.h"
#include "support/zst.h"

/* Runs once() again and again, its n-th allocation fails, for n = 1, 2, ... until there is no n-th;
 * once that one alone (which may do no harm), once all from there on.  with_json: jansson's fail
 * too, all from there on, for it overlooks single ones, and some of them it calls bad syntax. */
static void fail_every(gla_status (*once)(void), long at_least, bool with_json)
{
    memory_take_over();
    if (with_json)
        memory_take_over_jansson();
    for (int mode = with_json ? 1 : 0; mode < 2; mode++) {
        long n = 0;
        bool failed;

        do {
            gla_status st;

            memory_arm(++n, mode == 1);
            st = once();
            memory_disarm();
            failed = memory_failed();
            cr_assert(st == GLA_E_NOMEM || (st == GLA_OK && (!failed || !mode)) ||
                          (st && with_json && failed),
                      "allocation %ld: status %d", n, st);
            cr_assert_eq(memory_live(), 0, "allocation %ld: %ld blocks are left", n, memory_live());
        } while (failed);
        cr_assert_gt(n, at_least); /* there was no n-th */
    }
    memory_give_back();
    memory_give_back_jansson();
}

static void fail_every_allocation(gla_status (*once)(void), long at_least)
{
    fail_every(once, at_least, false);
}

static const char tokenizer[] =
    "{\"added_tokens\":[{\"id\":7,\"content\":\"<x>\",\"special\":true},"
    "{\"id\":8,\"content\":\"e\\u0301 \",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
    "{\"type\":\"Prepend\",\"prepend\":\"_\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" +\"},\"content\":\"_\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\w+\"},\"behavior\":\"MergedWithNext\"},"
    "{\"type\":\"Metaspace\",\"replacement\":\"_\"}]},"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},\"content\":\" \"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}]},"
    "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"?\",\"vocab\":{\"?\":0,"
    "\"_\":1,\"a\":2,\"b\":3,\"ab\":4,\"_ab\":5,\"<0xC3>\":6,\"<0xA9>\":9},"
    "\"merges\":[[\"a\",\"b\"],[\"_\",\"ab\"]]}}";

static gla_status tokenize(void)
{
    static const int32_t want[] = {5, 7, 1, 2, 1, 6, 9, 0, 1, 2};
    gla_tokenizer *t;
    int32_t *ids;
    size_t n, size;
    char *text;
    gla_status st = gla_tokenizer_parse(tokenizer, strlen(tokenizer), "t", &t, NULL);

    if (st)
        return st;
    st = gla_tokenizer_encode(t, "ab<x>a e\xcc\x81x a", 13, 0, &ids, &n, NULL);
    if (!st) {
        cr_expect(n == sizeof(want) / sizeof(*want) && !memcmp(ids, want, sizeof(want)));
        st = gla_tokenizer_decode(t, ids, n, GLA_DECODE_SKIP_SPECIAL, &text, &size, NULL);
        if (!st)
            cr_expect_str_eq(text, "ab a \xc3\xa9? a");
        gla_text_free(text);
    }
    gla_ids_free(ids);
    gla_tokenizer_free(t);
    return st;
}

Test(text_memory, tokenizer)
{
    fail_every_allocation(tokenize, 50);
}

static const char chat[] =
    "{% macro m(a, b='\\u00e9') %}{{ a | upper ~ b * 3 }}{% endmacro %}"
    "{% set ns = namespace(n=0) %}{% for x in messages[::-1] if x.role != 'system' %}"
    "{% set ns.n = ns.n + loop.index %}{{ m(x.content) }}{{ x | tojson(indent=1) }}"
    "{{ x.content.split(' ') | map('trim') | join('-') }}{% endfor %}{{ ns.n }}{{ 0.5 + 1 }}"
    "{% set t %}{{ eos_token }}{% endset %}{{ t.replace('s', 'z') }}";

static gla_status render(void)
{
    static const gla_chat_message messages[] = {{"system", "s"}, {"user", "a b"}};
    gla_chat_template *t;
    char *text;
    size_t size;
    gla_status st = gla_chat_template_parse(chat, strlen(chat), "t", "<s>", "</s>", &t, NULL);

    if (st)
        return st;
    st = gla_chat_template_render(t, messages, 2, sizeof(gla_chat_message), 0, NULL, &text, &size,
                                  NULL);
    if (!st)
        cr_expect_str_eq(text, "A B\xc3\xa9\xc3\xa9\xc3\xa9{\n \"role\": \"user\",\n \"content\": "
                               "\"a b\"\n}a-b11.5</z>");
    gla_text_free(text);
    gla_chat_template_free(t);
    return st;
}

Test(text_memory, chat_template)
{
    fail_every_allocation(render, 10);
    fail_every(render, 30, true);
}

static char *expected; /* of the first run, which has all the memory */

/* ---- trees and values in blocks ---- */

/* Every statement, operator, filter and method. */
#define EVERYTHING                                                                                 \
    "{% macro m(a, b='B', c=a) %}{{ a ~ b ~ c }}{% endmacro %}{{ m(1) }}{{ m(1, c=2) }}"           \
    "{% set ns = namespace(n=0, d={'a': [1, 2.5, none], 'b': 'x'}) %}{% set ns.n = ns.n + 1 %}"    \
    "{% for k, v in ns.d.items() if v is not none %}{{ loop.index }}{{ loop.cycle('o', 'e') }}"    \
    "{% if loop.first and not x %}{{ k }}{% elif loop.last or y %}-{{ v }}{% else %}?{% endif %}"  \
    "{% continue %}{% else %}none{% endfor %}{% for i in range(3) %}{% break %}{% endfor %}"       \
    "{% set t %}<{{ 'a b' | upper }}>{% endset %}{{ t }}{{ [1, 2, 3][1:] | length }}"              \
    "{{ 'abcdef'[::-2] }}{{ (-1) | abs + 2 * 3 - 7 // 2 % 4 }}{{ 'a' in 'abc' }}{{ [1] + [2] == "  \
    "[1, 2] }}{{ 'x' if false else 'y' }}{{ ['b', 'a'] | reverse | join(',') }}{{ 'a,b' | "        \
    "replace(',', ';') }}{{ ' a '.strip() ~ 'A'.lower() ~ 'a-b'.split('-') | join('+') }}"         \
    "{{ {'q': [true, none, {'w': 'e'}]} | tojson(indent=1) }}{{ 'ab' | list | map('title') | "     \
    "select('ne', 'A') | list | first }}{{ ['aa', 'b'] | map(attribute='0') | join }}{{ 7 / 2 }}"  \
    "{{ 'l1\\nl2' | indent(2, true) }}{{ 'a' * 3 }}{{ ([1] * 2) | last }}{{ '5' | int }}{# c #}"   \
    "{{ {'z': 1}.keys() | list | tojson }}{{ u | default('d') }}{{ 'abc'.replace('', '.') }}"      \
    "{{ dict(k=1).k }}{{ ','.join(['p', 'q']) }}{{ {'a': 1} | items | "                            \
    "list | length }}{{ 'b' is in ['b'] }}{% generation %}g{% endgeneration %}"

/* Text and lines come in blocks of some thousand bytes: with more and more in front, each piece of
 * work is the one that needs the next block. */
#define PAD 16500

static char padded[PAD + 64], source[PAD + 4096];

static gla_status render_padded(void)
{
    gla_chat_template *t;
    char *text = NULL;
    size_t size;
    gla_status st = gla_chat_template_parse(source, strlen(source), "t", NULL, NULL, &t, NULL);

    if (!st)
        st = gla_chat_template_render(t, NULL, 0, sizeof(gla_chat_message), 0, padded, &text, &size,
                                      NULL);
    if (!st && !expected)
        expected = strdup(text);
    if (!st)
        cr_expect_str_eq(text, expected);
    gla_text_free(text);
    gla_chat_template_free(t);
    return st;
}

static void fill(char *to, const char *head, size_t n, const char *tail)
{
    const size_t at = strlen(head);

    memcpy(to, head, at);
    memset(to + at, 'x', n);
    memcpy(to + at + n, tail, strlen(tail) + 1);
}

static void expect_padded(void)
{
    expected = NULL;
    cr_assert_eq(render_padded(), GLA_OK);
    fail_every_allocation(render_padded, 5);
    free(expected);
}

Test(text_memory, every_node_of_a_template)
{
    strcpy(padded, "{}");
    for (size_t n = 0; n < 16000; n += 112) {
        fill(source, "{% set x = '", n, "' %}" EVERYTHING);
        expect_padded();
    }
}

Test(text_memory, every_value_of_a_template)
{
    strcpy(source, EVERYTHING);
    for (size_t n = 0; n < 16000; n += 112) {
        fill(padded, "{\"pad\": \"", n, "\"}");
        expect_padded();
    }
}

/* ---- what is published ---- */

#define TEMPLATES GLA_SOURCE_DIR "/tests/data/chat/"

static char path[512];
static const char variables[] =
    "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"enable_thinking\": true, \"tools\": "
    "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"x\": [1, 2.5, "
    "null, true]}}}], \"messages\": [{\"role\": \"user\", \"content\": \" a\\nb \"}, {\"role\": "
    "\"assistant\", \"content\": \"<think>\\nc</think>d\"}, {\"role\": \"user\", \"content\": "
    "\"e\"}]}";

/* The same text as ever, or an error. */
static gla_status render_published(void)
{
    gla_chat_template *t;
    char *text;
    size_t size;
    gla_status st = gla_chat_template_open(path, &t, NULL);

    if (st)
        return st;
    st = gla_chat_template_render(t, NULL, 0, sizeof(gla_chat_message), GLA_CHAT_GENERATE,
                                  variables, &text, &size, NULL);
    if (!st && !expected)
        expected = strdup(text);
    if (!st)
        cr_expect_str_eq(text, expected);
    gla_text_free(text);
    gla_chat_template_free(t);
    return st;
}

Test(text_memory, published_templates)
{
    static const char *const names[] = {"chatml",  "gemma",   "llama3",
                                        "mistral", "qwen3.5", "zephyr"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), TEMPLATES "%s.jinja", names[i]);
        cr_assert_eq(render_published(), GLA_OK, "%s", path);
        fail_every_allocation(render_published, 10);
        fail_every(render_published, 30, true);
        free(expected);
        expected = NULL;
    }
}

/* A tokenizer's steps on these words: the real vocabularies would take minutes. */
static const char model[] =
    "{\"type\": \"BPE\", \"unk_token\": \"?\", \"byte_fallback\": true, \"ignore_merges\": true, "
    "\"vocab\": {\"?\": 0, \"a\": 1, \"b\": 2, \"ab\": 3, \"\u0120\": 4, \"\u2581\": 5, \" \": 6, "
    "\"<0xC3>\": 7, \"<0xA9>\": 8, \"\u0120ab\": 9}, \"merges\": [[\"a\", \"b\"], [\"\u0120\", "
    "\"ab\"]]}";
static char *json;
static int32_t *wanted;
static size_t n_wanted;

static gla_status tokenize_published(void)
{
    static const char words[] = "ab  ab<s>Ab1 e\xcc\x81\n\xc3\xa9 THE 'll ab.\xe4\xb8\x80";
    gla_tokenizer *t;
    int32_t *ids;
    size_t n, size;
    char *text;
    gla_status st = gla_tokenizer_parse(json, strlen(json), "t", &t, NULL);

    if (st)
        return st;
    st = gla_tokenizer_encode(t, words, sizeof(words) - 1, GLA_ENCODE_SPECIAL, &ids, &n, NULL);
    if (!st && !wanted) {
        n_wanted = n;
        wanted = malloc((n + 1) * sizeof(*wanted));
        memcpy(wanted, ids, n * sizeof(*wanted));
    }
    if (!st)
        cr_expect(n == n_wanted && !memcmp(ids, wanted, n * sizeof(*ids)));
    if (!st)
        st = gla_tokenizer_decode(t, ids, n, GLA_DECODE_SKIP_SPECIAL, &text, &size, NULL);
    if (!st) {
        if (!expected)
            expected = strdup(text);
        cr_expect_str_eq(text, expected);
        gla_text_free(text);
    }
    gla_ids_free(ids);
    gla_tokenizer_free(t);
    return st;
}

Test(text_memory, published_forms_of_tokenizers)
{
    json_t *all = read_json_zst("variants.json"), *variant;
    const char *name;

    json_object_foreach(all, name, variant)
    {
        json_t *root = json_object_get(variant, "tokenizer");
        json_t *added = json_loads("[{\"id\": 10, \"content\": \"<s>\", \"special\": true},"
                                   "{\"id\": 11, \"content\": \"THE\", \"normalized\": true}]",
                                   0, NULL);

        json_object_set_new(root, "model", json_loads(model, 0, NULL));
        json_object_set_new(root, "added_tokens", added);
        json = json_dumps(root, 0);
        cr_assert_eq(tokenize_published(), GLA_OK, "%s", name);
        fail_every_allocation(tokenize_published, 15);
        fail_every(tokenize_published, 30, true);
        free(json);
        free(wanted);
        free(expected);
        wanted = NULL;
        expected = NULL;
    }
    json_decref(all);
}

/* ---- JSON, and tokenizers out of gguf ---- */

static gla_status print_json(void)
{
    static const char text[] = "{\"a\": [Infinity, -Infinity, NaN, \"Infinity \\\" NaN\"], \"b\": "
                               "{\"c\": null, \"d\": \"0123456789012345678901234567890\"}}";
    json_t *root;
    char *printed;
    size_t size;
    gla_status st = gla__json_parse(text, strlen(text), 1 << 20, "t", &root, NULL);

    if (st)
        return st;
    st = gla__json_print(root, &printed, &size, NULL);
    if (!st)
        cr_expect_str_eq(printed,
                         "{\"a\":[{\"__float__\":\"Infinity\"},{\"__float__\":\"-Infinity\"},"
                         "{\"__float__\":\"NaN\"},\"Infinity \\\" NaN\"],\"b\":{\"c\":null,"
                         "\"d\":\"0123456789012345678901234567890\"}}");
    gla__free(printed);
    json_decref(root);
    return st;
}

Test(text_memory, json)
{
    fail_every_allocation(print_json, 3);
    fail_every(print_json, 10, true);
}

static const gla_weights *weights;

static gla_status read_from_gguf(void)
{
    char *config;
    size_t size;
    gla_status st = gla__gguf_tokenizer(weights, &json, &size, NULL);

    if (st)
        return st;
    if (!expected)
        expected = strdup(json);
    cr_expect_str_eq(json, expected);
    gla__free(json);
    st = gla__gguf_tokenizer_config(weights, &config, &size, NULL);
    if (!st)
        cr_expect_str_eq(config, "{\"add_bos_token\":true,\"bos_token\":\"<s>\",\"eos_token\":"
                                 "\"</s>\",\"unk_token\":\"<unk>\"}");
    gla__free(config);
    return st;
}

/* Byte pairs with merges, and sentencepiece, of which some cuts have the same score. */
Test(text_memory, tokenizers_in_gguf)
{
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "b", "ab", "ba", "aba", "aa"};
    static const int32_t types[] = {2, 3, 3, 1, 1, 1, 1, 1, 4};
    static const float scores[] = {0, 0, 0, -3, -3, -1, -1, -2, 0};
    static const char *const merges[] = {"a b", "b a"};

    for (int pieces = 0; pieces < 2; pieces++) {
        gguf_out o = {0};
        char file[TEMP_PATH];
        gla_weights *w;

        gguf_put_text(&o, "general.architecture", "llama");
        gguf_put_text(&o, "tokenizer.ggml.model", pieces ? "llama" : "gpt2");
        gguf_put_text(&o, "tokenizer.ggml.pre", "smollm");
        gguf_put_texts(&o, "tokenizer.ggml.tokens", tokens, 9);
        gguf_put_ints(&o, "tokenizer.ggml.token_type", types, 9);
        gguf_put_floats(&o, "tokenizer.ggml.scores", scores, 9);
        gguf_put_texts(&o, "tokenizer.ggml.merges", merges, 2);
        gguf_put_u32(&o, "tokenizer.ggml.unknown_token_id", 0);
        gguf_put_u32(&o, "tokenizer.ggml.bos_token_id", 1);
        gguf_put_u32(&o, "tokenizer.ggml.eos_token_id", 2);
        gguf_put_bool(&o, "tokenizer.ggml.add_bos_token", true);
        gguf_put_bool(&o, "tokenizer.ggml.add_eos_token", true);
        gguf_write(&o, temp_path(file, "memory.gguf"));
        cr_assert_eq(gla_weights_open(file, NULL, &w, NULL), GLA_OK);
        weights = w;
        expected = NULL;
        cr_assert_eq(read_from_gguf(), GLA_OK);
        fail_every_allocation(read_from_gguf, 15);
        fail_every(read_from_gguf, 60, true);
        free(expected);
        gla_weights_free(w);
        unlink(file);
        gguf_free(&o);
    }
}

static gla_status open_tiny_hybrid(void)
{
    gla_tokenizer *t;
    gla_status st = gla_tokenizer_open(GLA_SOURCE_DIR "/models/tiny-hybrid", &t, NULL);

    gla_tokenizer_free(t);
    return st;
}

Test(text_memory, tokenizer_of_a_folder)
{
    fail_every_allocation(open_tiny_hybrid, 10);
}

/* A detokenizer that has lost text says so from then on; it can still be destroyed. */
Test(text_memory, detokenizer)
{
    gla_tokenizer *t;
    gla_detokenizer *d;
    const char *text;
    long n = 1;
    size_t size;

    cr_assert_eq(gla_tokenizer_parse(tokenizer, strlen(tokenizer), "t", &t, NULL), GLA_OK);
    memory_take_over();
    do {
        bool lost = false;

        memory_arm(++n, false);
        cr_assert_eq(gla_detokenizer_create(t, 0, &d, NULL), GLA_OK);
        for (int32_t id = 0; id < 10; id++) {
            const gla_status st = gla_detokenizer_next(d, id, &text, &size, NULL);

            lost |= st != GLA_OK;
            cr_expect_eq(st, lost ? GLA_E_NOMEM : GLA_OK, "token %d", id);
            cr_expect(!lost || size == 0);
        }
        cr_expect_eq(gla_detokenizer_end(d, &text, &size, NULL) == GLA_OK,
                     !lost && !memory_failed());
        gla_detokenizer_free(d);
    } while (memory_failed());
    memory_give_back();
    cr_expect_gt(n, 5); /* there was no n-th */
    gla_tokenizer_free(t);
}
