/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad architecture files: each class by name, with the status, place and words it must give. */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What most cases add to. */
#define HEAD   "gla: 1\nvocab_size: 10\nd_model: 4\n" /* 3 lines */
#define BLOCK  "blocks: {a: {mixer: x}}\n"
#define LAYERS "layers: a\n"
#define TAIL   BLOCK LAYERS

typedef struct bad_yaml {
    const char *name, *text;
    gla_status status;
    uint32_t line, column; /* 0: any */
    const char *message, *hint;
} bad_yaml;

static const bad_yaml cases[] = {
    /* the policy of yaml.c */
    {"empty", "", GLA_E_SCHEMA, 0, 0, "the file is empty", ""},
    {"only a comment", "# nothing\n", GLA_E_SCHEMA, 0, 0, "the file is empty", ""},
    {"anchor on a mapping", HEAD "blocks: &b {a: {mixer: x}}\nlayers: a\n", GLA_E_SCHEMA, 4, 9,
     "anchors are not allowed", "name a block"},
    {"anchor on a scalar", "gla: &v 1\n" TAIL, GLA_E_SCHEMA, 1, 6, "anchors", ""},
    {"alias", HEAD "name: *b\n" TAIL, GLA_E_SCHEMA, 4, 7, "aliases are not allowed", ""},
    {"bomb of aliases", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", GLA_E_SCHEMA, 1, 4,
     "anchors", ""},
    {"cycle", "&a [*a]", GLA_E_SCHEMA, 1, 1, "anchors", ""},
    {"merge key", HEAD "<<: {a: 1}\n" TAIL, GLA_E_SCHEMA, 4, 1, "merge keys", ""},
    {"tag on a scalar", HEAD "name: !!str x\n" TAIL, GLA_E_SCHEMA, 4, 7, "tags are not allowed",
     "leave the tag out"},
    {"tag on a mapping", HEAD "norm: !x {type: y}\n" TAIL, GLA_E_SCHEMA, 4, 7, "tags", ""},
    {"%TAG", "%TAG ! tag:x,2000:\n---\n" HEAD TAIL, GLA_E_SCHEMA, 0, 0, "%TAG is not allowed", ""},
    {"second document", HEAD TAIL "---\na: 1\n", GLA_E_SCHEMA, 6, 1, "more than one document",
     "---"},
    {"key is a list", HEAD "? [a]\n: 1\n" TAIL, GLA_E_SCHEMA, 4, 3, "a key must be a word", ""},
    {"key is a mapping", HEAD "? {a: 1}\n: 1\n" TAIL, GLA_E_SCHEMA, 4, 3, "a key must be a word",
     ""},
    {"no key", HEAD "\"\": 1\n" TAIL, GLA_E_SCHEMA, 4, 1, "key is missing", ""},
    {"duplicate key", HEAD "name: a\nname: b\n" TAIL, GLA_E_SCHEMA, 5, 1, "duplicate key \"name\"",
     "line 4"},
    {"duplicate block", HEAD "blocks: {a: {mixer: x}, a: {mixer: y}}\n" LAYERS, GLA_E_SCHEMA, 4, 25,
     "duplicate key \"a\"", ""},
    {"duplicate parameter", HEAD "norm: {type: n, eps: 1, eps: 2}\n" TAIL, GLA_E_SCHEMA, 4, 25,
     "duplicate key \"eps\"", ""},
    {"NUL escape", HEAD "name: \"a\\0b\"\n" TAIL, GLA_E_SCHEMA, 4, 7, "control character", ""},
    {"escape escape", HEAD "name: \"\\e[31m\"\n" TAIL, GLA_E_SCHEMA, 4, 7, "control character", ""},
    {"CSI in one", HEAD "name: \"\\x9b31m\"\n" TAIL, GLA_E_SCHEMA, 4, 7, "control character", ""},
    {"key with an escape", HEAD "\"a\\tb\": 1\n" TAIL, GLA_E_SCHEMA, 4, 1, "control character", ""},
    {"two lines", HEAD "name: |\n  a\n  b\n" TAIL, GLA_E_SCHEMA, 4, 7, "control character", ""},
    {"control character", HEAD "name: a\1b\n" TAIL, GLA_E_SCHEMA, 0, 0, "not valid YAML", ""},
    {"not UTF-8", HEAD "name: \xff\xfe\n" TAIL, GLA_E_SCHEMA, 0, 0, "not valid YAML", ""},
    {"tab as indentation", HEAD "blocks:\n\ta: {mixer: x}\n" LAYERS, GLA_E_SCHEMA, 5, 1,
     "not valid YAML", ""},
    {"unclosed bracket", HEAD "eos_tokens: [1, 2\n" TAIL, GLA_E_SCHEMA, 0, 0, "not valid YAML", ""},
    {"unclosed quote", HEAD "name: \"x\n" TAIL, GLA_E_SCHEMA, 0, 0, "not valid YAML", ""},
    {"wrong indentation", HEAD "blocks:\n  a:\n    mixer: x\n   ffn: y\n" LAYERS, GLA_E_SCHEMA, 7,
     0, "not valid YAML", ""},
    /* the model */
    {"a list", "- 1\n", GLA_E_SCHEMA, 1, 1, "\"gla: 1\" is missing", ""},
    {"a word", "hello", GLA_E_SCHEMA, 1, 1, "\"gla: 1\" is missing", ""},
    {"no version", "vocab_size: 10\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 1, 1, "\"gla: 1\" is missing",
     ""},
    {"next version", "gla: 2\n" TAIL, GLA_E_VERSION, 1, 6,
     "version 2, this program reads version 1", ""},
    {"version is a word", "gla: one\n" TAIL, GLA_E_SCHEMA, 1, 6, "must be the version", ""},
    {"version a list", "gla: [1]\n" TAIL, GLA_E_SCHEMA, 1, 6, "must be the version", ""},
    {"weights a list", HEAD "weights: [f32]\n" TAIL, GLA_E_SCHEMA, 4, 10, "one of the known words",
     "known are f32, bf16"},
    {"unknown key", HEAD "heads: 4\n" TAIL, GLA_E_SCHEMA, 4, 1, "unknown key \"heads\"",
     "did you mean \"head\"?"},
    {"unknown key, nothing near", HEAD "colour: red\n" TAIL, GLA_E_SCHEMA, 4, 1, "unknown key", ""},
    {"no vocab_size", "gla: 1\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 1, 1, "\"vocab_size\" is missing",
     ""},
    {"no d_model", "gla: 1\nvocab_size: 4\n" TAIL, GLA_E_SCHEMA, 1, 1, "\"d_model\" is missing",
     ""},
    {"no blocks", HEAD LAYERS, GLA_E_SCHEMA, 1, 1, "\"blocks\" is missing", ""},
    {"no layers", HEAD BLOCK, GLA_E_SCHEMA, 1, 1, "\"layers\" is missing", ""},
    {"vocab_size 0", "gla: 1\nvocab_size: 0\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "whole number from 1 to 16777216, not \"0\"", ""},
    {"vocab_size 2^24 + 1", "gla: 1\nvocab_size: 16777217\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "not \"16777217\"", ""},
    {"vocab_size 2^64", "gla: 1\nvocab_size: 18446744073709551616\nd_model: 4\n" TAIL, GLA_E_SCHEMA,
     2, 13, "not \"18446744073709551616\"", ""},
    {"vocab_size negative", "gla: 1\nvocab_size: -1\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "not \"-1\"", ""},
    {"vocab_size with sign", "gla: 1\nvocab_size: +1\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "not \"+1\"", ""},
    {"vocab_size a fraction", "gla: 1\nvocab_size: 10.0\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "not \"10.0\"", ""},
    {"vocab_size hexadecimal", "gla: 1\nvocab_size: 0x10\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "not \"0x10\"", ""},
    {"vocab_size in quotes", "gla: 1\nvocab_size: '10'\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "whole number", ""},
    {"vocab_size a list", "gla: 1\nvocab_size: [10]\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 13,
     "not a list", ""},
    {"vocab_size empty", "gla: 1\nvocab_size:\nd_model: 4\n" TAIL, GLA_E_SCHEMA, 2, 0, "not empty",
     ""},
    {"d_model too large", "gla: 1\nvocab_size: 1\nd_model: 1048577\n" TAIL, GLA_E_SCHEMA, 3, 10,
     "from 1 to 1048576", ""},
    {"max_positions too large", HEAD "max_positions: 16777217\n" TAIL, GLA_E_SCHEMA, 4, 16,
     "from 1 to 16777216", ""},
    {"yes is no boolean", HEAD "tie_embeddings: yes\n" TAIL, GLA_E_SCHEMA, 4, 17,
     "true or false, not \"yes\"", ""},
    {"\"true\" in quotes", HEAD "tie_embeddings: \"true\"\n" TAIL, GLA_E_SCHEMA, 4, 17,
     "true or false", ""},
    {"1 is no boolean", HEAD "tie_embeddings: 1\n" TAIL, GLA_E_SCHEMA, 4, 17, "true or false", ""},
    {"name is a list", HEAD "name: [a]\n" TAIL, GLA_E_SCHEMA, 4, 7, "must be text, not a list", ""},
    {"name is empty", HEAD "name: \"\"\n" TAIL, GLA_E_SCHEMA, 4, 7, "must be text, not empty", ""},
    {"bos_token outside the vocabulary", HEAD "bos_token: 10\n" TAIL, GLA_E_SCHEMA, 4, 12,
     "from 0 to 9", ""},
    {"eos_tokens outside the vocabulary", HEAD "eos_tokens: [1, 10]\n" TAIL, GLA_E_SCHEMA, 4, 17,
     "from 0 to 9", ""},
    {"nine eos_tokens", HEAD "eos_tokens: [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" TAIL, GLA_E_LIMIT, 4, 38,
     "more than 8", ""},
    {"eos_tokens a mapping", HEAD "eos_tokens: {a: 1}\n" TAIL, GLA_E_SCHEMA, 4, 13, "not a mapping",
     ""},
    {"weights of no dtype", HEAD "weights: int7\n" TAIL, GLA_E_SCHEMA, 4, 10, "not \"int7\"",
     "did you mean \"int"},
    /* layers */
    {"norm without a type", HEAD "norm: [rmsnorm]\n" TAIL, GLA_E_SCHEMA, 4, 7, "not a list", ""},
    {"mixer without a type", HEAD "blocks: {a: {mixer: {heads: 4}}}\n" LAYERS, GLA_E_SCHEMA, 4, 21,
     "\"type\" is missing", ""},
    {"type is a number-like path", HEAD "blocks: {a: {mixer: {type: \"../x y\"}}}\n" LAYERS,
     GLA_E_SCHEMA, 4, 28, "name of a layer type", ""},
    {"type is a list", HEAD "blocks: {a: {mixer: {type: [x]}}}\n" LAYERS, GLA_E_SCHEMA, 4, 28,
     "name of a layer type", ""},
    {"parameter with a bad name", HEAD "norm: {type: x, \"a b\": 1}\n" TAIL, GLA_E_SCHEMA, 4, 17,
     "is no parameter name", ""},
    {"parameter named by a number", HEAD "norm: {type: x, 3: 1}\n" TAIL, GLA_E_SCHEMA, 4, 17,
     "is no parameter name", ""},
    {"parameter without a value", HEAD "norm: {type: x, eps: }\n" TAIL, GLA_E_SCHEMA, 4, 0,
     "\"eps\" must be a value, not empty", ""},
    {"parameter null", HEAD "norm: {type: x, eps: null}\n" TAIL, GLA_E_SCHEMA, 4, 22,
     "not \"null\"", ""},
    {"parameter an empty mapping", HEAD "norm: {type: x, rope: {}}\n" TAIL, GLA_E_SCHEMA, 4, 23,
     "empty mapping", ""},
    {"parameter said twice, dotted", HEAD "norm: {type: x, r: {t: 1}, r.t: 2}\n" TAIL, GLA_E_SCHEMA,
     4, 28, "duplicate parameter \"r.t\"", ""},
    {"words in a list of numbers", HEAD "norm: {type: x, l: [1, two]}\n" TAIL, GLA_E_SCHEMA, 4, 24,
     "must be a number, not \"two\"", ""},
    {"a number too large", HEAD "norm: {type: x, l: [1e999]}\n" TAIL, GLA_E_SCHEMA, 4, 21,
     "must be a number", ""},
    {"multiplier a word", HEAD "blocks: {a: {mixer: {type: x, in_multiplier: big}}}\n" LAYERS,
     GLA_E_SCHEMA, 4, 46, "must be a number, not \"big\"", ""},
    /* blocks */
    {"blocks a list", HEAD "blocks: [a]\n" LAYERS, GLA_E_SCHEMA, 4, 9, "mapping of named blocks",
     ""},
    {"blocks empty", HEAD "blocks: {}\n" LAYERS, GLA_E_SCHEMA, 4, 9, "mapping of named blocks", ""},
    {"block a word", HEAD "blocks: {a: gla}\n" LAYERS, GLA_E_SCHEMA, 4, 13, "must be a mapping",
     ""},
    {"block empty", HEAD "blocks: {a: {norm_at: pre}}\n" LAYERS, GLA_E_SCHEMA, 4, 10,
     "neither mixer nor ffn", ""},
    {"block name with a blank", HEAD "blocks: {\"a b\": {mixer: x}}\n" LAYERS, GLA_E_SCHEMA, 4, 10,
     "is no block name", ""},
    {"block name a number", HEAD "blocks: {3: {mixer: x}}\n" LAYERS, GLA_E_SCHEMA, 4, 10,
     "is no block name", ""},
    {"unknown key of a block", HEAD "blocks: {a: {mixr: x}}\n" LAYERS, GLA_E_SCHEMA, 4, 14,
     "unknown key \"mixr\"", "did you mean \"mixer\"?"},
    {"unknown norm_at", HEAD "blocks: {a: {mixer: x, norm_at: before}}\n" LAYERS, GLA_E_SCHEMA, 4,
     33, "not \"before\"", "known are pre, post"},
    {"norm_at nearly right", HEAD "blocks: {a: {mixer: x, norm_at: sandwhich}}\n" LAYERS,
     GLA_E_SCHEMA, 4, 33, "not \"sandwhich\"", "did you mean \"sandwich\"?"},
    {"five parallel mixers", HEAD "blocks: {a: {mixer: [x, x, x, x, x]}}\n" LAYERS, GLA_E_SCHEMA, 4,
     21, "there must be 1 to 4", ""},
    {"no parallel mixers", HEAD "blocks: {a: {mixer: []}}\n" LAYERS, GLA_E_SCHEMA, 4, 21,
     "there must be 1 to 4", ""},
    {"multipliers of nothing", HEAD "blocks: {a: {mixer: x, skip_multiplier: {mix: 1}}}\n" LAYERS,
     GLA_E_SCHEMA, 4, 42, "unknown key \"mix\"", "mixer"},
    /* the list of layers */
    {"undefined block", HEAD BLOCK "layers: 3*a + attn\n", GLA_E_SCHEMA, 5, 9,
     "there is no block \"attn\"", "define it under"},
    {"misspelt block", HEAD "blocks: {linear: {mixer: x}}\nlayers: [linear, liner]\n", GLA_E_SCHEMA,
     5, 18, "there is no block \"liner\"", "did you mean \"linear\"?"},
    {"unused block", HEAD "blocks: {a: {mixer: x}, b: {mixer: x}}\n" LAYERS, GLA_E_SCHEMA, 4, 25,
     "block \"b\" is used by no layer", "remove it"},
    {"0 times", HEAD BLOCK "layers: 0*a\n", GLA_E_SCHEMA, 5, 9, "pattern such as", ""},
    {"no name", HEAD BLOCK "layers: 3*\n", GLA_E_SCHEMA, 5, 9, "pattern such as", ""},
    {"no star", HEAD BLOCK "layers: 3 a\n", GLA_E_SCHEMA, 5, 9, "pattern such as", ""},
    {"comma in a pattern", HEAD BLOCK "layers: \"a, a\"\n", GLA_E_SCHEMA, 5, 9, "pattern such as",
     ""},
    {"plus at the end", HEAD BLOCK "layers: a +\n", GLA_E_SCHEMA, 5, 9, "pattern such as", ""},
    {"4097 layers", HEAD BLOCK "layers: 4097*a\n", GLA_E_LIMIT, 5, 9,
     "4097 layers, at most 4096 allowed", ""},
    {"2^64 layers", HEAD BLOCK "layers: 18446744073709551615*a\n", GLA_E_LIMIT, 5, 9,
     "18446744073709551615 layers", ""},
    {"2^64 + 1 layers", HEAD BLOCK "layers: 18446744073709551617*a\n", GLA_E_SCHEMA, 5, 9,
     "pattern such as", ""},
    {"too many by repetition", HEAD BLOCK "layers: {pattern: 3*a, repeat: 1366}\n", GLA_E_LIMIT, 5,
     32, "4098 layers", ""},
    {"too many in terms", HEAD BLOCK "layers: 4000*a + 97*a\n", GLA_E_LIMIT, 5, 9, "4097 layers",
     ""},
    {"repeat 0", HEAD BLOCK "layers: {pattern: a, repeat: 0}\n", GLA_E_SCHEMA, 5, 30, "from 1 to",
     ""},
    {"no pattern", HEAD BLOCK "layers: {repeat: 3}\n", GLA_E_SCHEMA, 5, 9, "\"pattern\" is missing",
     ""},
    {"empty list", HEAD BLOCK "layers: []\n", GLA_E_SCHEMA, 5, 9, "list of block names", ""},
    {"list of lists", HEAD BLOCK "layers: [[a]]\n", GLA_E_SCHEMA, 5, 10, "block name", ""},
    {"override past the end", HEAD BLOCK "layers: {pattern: a, override: {1: a}}\n", GLA_E_SCHEMA,
     5, 33, "they go from 0 to 0", ""},
    {"override negative", HEAD BLOCK "layers: {pattern: a, override: {-1: a}}\n", GLA_E_SCHEMA, 5,
     33, "is no layer number", ""},
    {"override 00", HEAD BLOCK "layers: {pattern: a, override: {00: a}}\n", GLA_E_SCHEMA, 5, 33,
     "is no layer number", ""},
    {"override by no block", HEAD BLOCK "layers: {pattern: a, override: {0: b}}\n", GLA_E_SCHEMA, 5,
     36, "there is no block \"b\"", ""},
    {"override a list", HEAD BLOCK "layers: {pattern: a, override: [a]}\n", GLA_E_SCHEMA, 5, 32,
     "a mapping of layer numbers", ""},
    {"override by a list", HEAD BLOCK "layers: {pattern: a, override: {0: [a]}}\n", GLA_E_SCHEMA, 5,
     36, "a block name", ""},
    {"unknown key of layers", HEAD BLOCK "layers: {patern: a}\n", GLA_E_SCHEMA, 5, 10,
     "unknown key \"patern\"", "did you mean \"pattern\"?"},
};

Test(malformed_yaml, is_refused_with_place_and_reason)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bad_yaml *c = &cases[i];
        gla_arch *a;
        gla_diag diag = {0};
        const gla_status st = gla_arch_parse(c->text, strlen(c->text), "x.yaml", &a, &diag);

        cr_expect_eq(st, c->status, "%s: status %s", c->name, gla_status_name(st));
        cr_expect_null(a, "%s", c->name);
        if (!st)
            continue;
        cr_expect_str_eq(diag.where, "x.yaml", "%s: %s", c->name, diag.where);
        cr_expect(strstr(diag.message, c->message), "%s: message \"%s\"", c->name, diag.message);
        cr_expect(strstr(diag.hint, c->hint), "%s: hint \"%s\"", c->name, diag.hint);
        cr_expect(!c->line || diag.line == c->line, "%s: line %u", c->name, diag.line);
        cr_expect(!c->column || diag.column == c->column, "%s: column %u", c->name, diag.column);
    }
}

static gla_status parse_text(const char *text, size_t n, gla_diag *diag)
{
    gla_arch *a;
    const gla_status st = gla_arch_parse(text, n, "x.yaml", &a, diag);

    cr_expect_eq(st != GLA_OK, a == NULL);
    gla_arch_free(a);
    return st;
}

/* A text made of a beginning, a middle n times, and an end. */
static char *repeat(const char *begin, const char *middle, size_t n, const char *end)
{
    const size_t size = strlen(begin) + n * strlen(middle) + strlen(end);
    char *text = malloc(size + 1);
    char *at = text;

    at += sprintf(at, "%s", begin);
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "%s", middle);
    sprintf(at, "%s", end);
    return text;
}

static void expect_repeated(const char *begin, const char *middle, size_t n, const char *end,
                            gla_status status, const char *message)
{
    char *text = repeat(begin, middle, n, end);
    gla_diag diag = {0};

    cr_expect_eq(parse_text(text, strlen(text), &diag), status, "%s %zu times: %s", middle, n,
                 diag.message);
    if (status)
        cr_expect(strstr(diag.message, message), "%s", diag.message);
    free(text);
}

Test(malformed_yaml, keeps_its_limits_on_both_sides)
{
    expect_repeated("name: ", "[", 64000, "", GLA_E_LIMIT, "nested more than 32 levels");
    expect_repeated("", "- ", 64000, "x", GLA_E_LIMIT, "nested more than 32 levels");
    expect_repeated("", "{a: ", 33, "", GLA_E_LIMIT, "nested more than 32 levels");
    expect_repeated(HEAD "eos_tokens: [", "1,", 99995, "1]\n" TAIL, GLA_E_LIMIT,
                    "more than 100000 YAML elements");
    expect_repeated(HEAD "name: ", "x", 65536, "\n" TAIL, GLA_OK, "");
    expect_repeated(HEAD "name: ", "x", 65537, "\n" TAIL, GLA_E_LIMIT, "more than 65536 bytes");
    expect_repeated(HEAD TAIL "#", "x", (1u << 20) - strlen(HEAD TAIL "#"), "", GLA_OK, "");
    expect_repeated(HEAD TAIL "#", "x", (1u << 20) - strlen(HEAD TAIL "#") + 1, "", GLA_E_LIMIT,
                    "at most 1048576 allowed");
    expect_repeated(HEAD "norm: {type: x, ", "a", 63, ": 1}\n" TAIL, GLA_OK, "");
    expect_repeated(HEAD "norm: {type: x, ", "a", 64, ": 1}\n" TAIL, GLA_E_SCHEMA,
                    "is no parameter name");
    expect_repeated(HEAD "blocks: {", "a", 64, ": {mixer: x}}\n" LAYERS, GLA_E_SCHEMA,
                    "is no block name");
}

static char *many_keys(const char *begin, size_t n, const char *end)
{
    char *text = malloc(strlen(begin) + n * 16 + strlen(end) + 1);
    char *at = text + sprintf(text, "%s", begin);

    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "k%zu: 1, ", i);
    sprintf(at, "%s", end);
    return text;
}

Test(malformed_yaml, limits_the_keys_of_a_mapping_and_a_layer)
{
    static const struct {
        size_t n;
        gla_status status;
    } ways[] = {{1024, GLA_OK}, {1025, GLA_E_LIMIT}, {4097, GLA_E_LIMIT}, {40000, GLA_E_LIMIT}};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        char *text = many_keys(HEAD "norm: {type: x, ", ways[i].n, "}\n" TAIL);
        gla_diag diag = {0};

        cr_expect_eq(parse_text(text, strlen(text), &diag), ways[i].status, "%zu: %s", ways[i].n,
                     diag.message);
        free(text);
    }
}

static const char whole[] =
    "gla: 1\nname: x\nvocab_size: 100\nd_model: 64\nmax_positions: 99\n"
    "eos_tokens: [2, 3]\nnorm: {type: rmsnorm, eps: 1.0e-6}\n"
    "blocks:\n  both:\n    mixer:\n    - {type: mamba2, in_multiplier: 0.5}\n"
    "    - {type: attention, rope: {theta: 10000, l: [1, 2]}}\n    norm_at: sandwich\n"
    "    residual_multiplier: {mixer: 2}\n    ffn: swiglu\n  one: {ffn: \"mlp\"}\n"
    "layers: {pattern: 2*both + one, repeat: 3, override: {1: one}}\n";

Test(malformed_yaml, every_truncation_gives_a_status)
{
    size_t accepted = 0;

    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        char *text = malloc(n + 1); /* exactly n bytes, so that a sanitizer sees a read past them */
        gla_diag diag;
        gla_status st;

        memcpy(text, whole, n);
        st = parse_text(text, n, &diag);
        accepted += st == GLA_OK;
        cr_expect(st == GLA_OK || st == GLA_E_SCHEMA, "%zu bytes: %s", n, gla_status_name(st));
        free(text);
    }
    cr_expect_eq(accepted, 1, "only the last line break may be missing: %zu", accepted);
}

Test(malformed_yaml, every_bit_flip_gives_a_status)
{
    char text[sizeof(whole)];

    for (size_t bit = 0; bit < 8 * (sizeof(whole) - 1); bit++) {
        gla_diag diag;
        gla_status st;

        memcpy(text, whole, sizeof(whole));
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        st = parse_text(text, sizeof(whole) - 1, &diag);
        cr_expect(st == GLA_OK || st == GLA_E_SCHEMA || st == GLA_E_LIMIT || st == GLA_E_VERSION,
                  "bit %zu: %s", bit, gla_status_name(st));
    }
}
