/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json files that must be refused, each with a message that names what is wrong.
 */
#include <gla/tokenizer.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

static const struct {
    const char *json;
    gla_status status;
    const char *message;
} cases[] = {
    /* the file */
    {"", GLA_E_CORRUPT, ""},
    {"[]", GLA_E_CORRUPT, "not a tokenizer.json"},
    {"{}", GLA_E_CORRUPT, "not a tokenizer.json"},
    {"{\"model\":7}", GLA_E_CORRUPT, "not a tokenizer.json"},
    {"{" MODEL, GLA_E_CORRUPT, ""},
    /* the model */
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", GLA_E_UNSUPPORTED, "model \"Unigram\""},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", GLA_E_UNSUPPORTED, "\"WordPiece\""},
    {"{\"model\":{\"vocab\":{\"a\":0}}}", GLA_E_UNSUPPORTED, "without a type"},
    {"{\"model\":{\"type\":\"BPE\",\"merges\":[]}}", GLA_E_CORRUPT, "vocab must be an object"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", GLA_E_CORRUPT, "merges must be an array"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"dropout\":0.1}}", GLA_E_UNSUPPORTED,
     "dropout"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"end_of_word_suffix\":\"</w>\"}}",
     GLA_E_UNSUPPORTED, "end_of_word_suffix"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"continuing_subword_prefix\":\"##\"}"
     "}",
     GLA_E_UNSUPPORTED, "continuing_subword_prefix"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"byte_fallback\":\"yes\"}}",
     GLA_E_CORRUPT, "byte_fallback must be a boolean"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"unk_token\":3}}", GLA_E_CORRUPT,
     "unk_token must be a string"},
    /* ids */
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", GLA_E_CORRUPT,
     "token \"a\": its id is not a number"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1.5},\"merges\":[]}}", GLA_E_CORRUPT,
     "token \"a\": its id is not a number"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4294967296},\"merges\":[]}}", GLA_E_LIMIT,
     "token \"a\" has id 4294967296, at most 4194303"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":7,\"b\":7},\"merges\":[]}}", GLA_E_CORRUPT,
     "tokens \"a\" and \"b\" share id 7"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", GLA_E_CORRUPT,
     "duplicate"},
    /* merges */
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", GLA_E_CORRUPT,
     "merge 0 is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}}", GLA_E_CORRUPT,
     "merge 0 is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", GLA_E_CORRUPT,
     "merge 0 is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]}}", GLA_E_CORRUPT,
     "merge 0 is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1},\"merges\":[\"a a\",\"a x\"]}}",
     GLA_E_CORRUPT, "merge 1 needs token \"x\""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"a\"]]}}", GLA_E_CORRUPT,
     "merge 0 needs token \"aa\""},
    /* added tokens */
    {"{\"added_tokens\":{}," MODEL "}", GLA_E_CORRUPT, "added_tokens must be an array"},
    {"{\"added_tokens\":[{\"id\":3}]," MODEL "}", GLA_E_CORRUPT, "added_tokens 0 has no content"},
    {"{\"added_tokens\":[{\"content\":\"x\"}]," MODEL "}", GLA_E_CORRUPT, "its id is not a number"},
    {"{\"added_tokens\":[{\"id\":9999999,\"content\":\"x\"}]," MODEL "}", GLA_E_LIMIT, "9999999"},
    {"{\"added_tokens\":[{\"id\":1,\"content\":\"x\"}]," MODEL "}", GLA_E_CORRUPT,
     "added token \"x\" has id 1, which is \"b\""},
    {"{\"added_tokens\":[{\"id\":5,\"content\":\"b\"}]," MODEL "}", GLA_E_CORRUPT,
     "added token \"b\" has id 5, in the vocabulary it has 1"},
    {"{\"added_tokens\":[{\"id\":3,\"content\":\"x\"},{\"id\":4,\"content\":\"x\"}]," MODEL "}",
     GLA_E_CORRUPT, "added token \"x\" is there twice"},
    /* steps */
    {"{\"normalizer\":{\"type\":\"Precompiled\"}," MODEL "}", GLA_E_UNSUPPORTED,
     "normalizer \"Precompiled\""},
    {"{\"normalizer\":{}," MODEL "}", GLA_E_CORRUPT, "normalizer without a type"},
    {"{\"normalizer\":{\"type\":\"Sequence\"}," MODEL "}", GLA_E_CORRUPT, "normalizers must be"},
    {"{\"normalizer\":{\"type\":\"Prepend\"}," MODEL "}", GLA_E_CORRUPT, "prepend must be"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":\"a\",\"content\":\"b\"}," MODEL "}",
     GLA_E_CORRUPT, "pattern must be"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"b\"}," MODEL
     "}",
     GLA_E_UNSUPPORTED, "pattern of 0 bytes"},
    {"{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}," MODEL "}", GLA_E_UNSUPPORTED,
     "pre_tokenizer \"BertPreTokenizer\""},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Odd\"}"
     "," MODEL "}",
     GLA_E_CORRUPT, "behavior must be"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}," MODEL "}", GLA_E_CORRUPT,
     "replacement must be one character"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"prepend_scheme\":\"x\"}"
     "," MODEL "}",
     GLA_E_CORRUPT, "prepend_scheme must be"},
    {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":1}," MODEL "}", GLA_E_CORRUPT,
     "use_regex must be a boolean"},
    {"{\"post_processor\":{\"type\":\"Odd\"}," MODEL "}", GLA_E_UNSUPPORTED,
     "post_processor \"Odd\""},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{}}," MODEL "}",
     GLA_E_CORRUPT, "special_tokens lacks \"<s>\""},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}," MODEL "}",
     GLA_E_CORRUPT, "one sequence A"},
    {"{\"decoder\":{\"type\":\"WordPiece\"}," MODEL "}", GLA_E_UNSUPPORTED,
     "decoder \"WordPiece\""},
    {"{\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}," MODEL "}",
     GLA_E_CORRUPT, "start must be"},
    {"{\"normalizer\":{\"type\":\"Nmt\"}," MODEL "}", GLA_E_UNSUPPORTED, "normalizer \"Nmt\""},
    {"{\"normalizer\":{\"type\":\"Strip\",\"strip_left\":1}," MODEL "}", GLA_E_CORRUPT,
     "strip_left must be a boolean"},
    {"{\"normalizer\":{\"type\":\"Strip\",\"strip_right\":\"x\"}," MODEL "}", GLA_E_CORRUPT,
     "strip_right must be a boolean"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\",\"Regex\":\"b\"},"
     "\"content\":\"\"}," MODEL "}",
     GLA_E_CORRUPT, "pattern must be"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{},\"content\":\"\"}," MODEL "}",
     GLA_E_CORRUPT, "pattern must be"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"}}," MODEL "}",
     GLA_E_CORRUPT, "content must be a string"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"x*\"},\"content\":\"-\"}"
     "," MODEL "}",
     GLA_E_UNSUPPORTED, "matches nothing at all"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"^\"},\"content\":\"-\"}," MODEL
     "}",
     GLA_E_UNSUPPORTED, "matches nothing at all"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\"},\"content\":\"-\"}," MODEL
     "}",
     GLA_E_LIMIT, "regex of 0 bytes"},
    {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":3}," MODEL "}", GLA_E_CORRUPT,
     "add_prefix_space must be a boolean"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL "}", GLA_E_CORRUPT,
     "replacement must be a string"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\"}," MODEL "}", GLA_E_CORRUPT,
     "replacement must be one character"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"prepend_scheme\":3}," MODEL
     "}",
     GLA_E_CORRUPT, "prepend_scheme must be"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"add_prefix_space\":3}"
     "," MODEL "}",
     GLA_E_CORRUPT, "add_prefix_space must be"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"split\":3}," MODEL "}",
     GLA_E_CORRUPT, "split must be"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"}}," MODEL "}",
     GLA_E_CORRUPT, "behavior must be"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":"
     "\"Removed\",\"invert\":3}," MODEL "}",
     GLA_E_CORRUPT, "invert must be"},
    {"{\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"Odd\"}," MODEL "}", GLA_E_CORRUPT,
     "behavior must be"},
    {"{\"pre_tokenizer\":{\"type\":\"Digits\",\"individual_digits\":\"x\"}," MODEL "}",
     GLA_E_CORRUPT, "individual_digits must be"},
    {"{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}," MODEL "}", GLA_E_UNSUPPORTED,
     "pre_tokenizer \"UnicodeScripts\""},
    {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":{}}," MODEL "}", GLA_E_CORRUPT,
     "pretokenizers must be an array"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"a\"}},{\"Sequence\":{\"id\":\"A\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{"
     "\"a\":{\"ids\":[0]}}}," MODEL "}",
     GLA_E_CORRUPT, "one sequence A"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\"}"
     "}],\"special_tokens\":{\"a\":{\"ids\":[0]}}}," MODEL "}",
     GLA_E_CORRUPT, "one sequence A"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Odd\":1},{\"Sequence\":{"
     "\"id\":\"A\"}}],\"special_tokens\":{\"a\":{\"ids\":[0]}}}," MODEL "}",
     GLA_E_CORRUPT, "one sequence A"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"a\"}}],\"special_tokens\":{\"a\":{\"ids\":[0]}}}," MODEL "}",
     GLA_E_CORRUPT, "one sequence A"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"a\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"a\":{\"ids\":[\"x\"]}}}," MODEL
     "}",
     GLA_E_CORRUPT, "ids must be token ids"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"a\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"a\":{\"ids\":[4194304]}}}," MODEL
     "}",
     GLA_E_CORRUPT, "ids must be token ids"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{}},{"
     "\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"a\":{\"ids\":[0]}}}," MODEL "}",
     GLA_E_CORRUPT, "special_tokens lacks \"\""},
    {"{\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",0],\"sep\":[\"a\"]}," MODEL
     "}",
     GLA_E_CORRUPT, "ids must be token ids"},
    {"{\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",-1],\"sep\":[\"a\",0]}," MODEL
     "}",
     GLA_E_CORRUPT, "ids must be token ids"},
    {"{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\","
     "\"cls\":[\"a\",0],\"sep\":[\"a\",0]},{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",0],"
     "\"sep\":[\"a\",0]}]}," MODEL "}",
     GLA_E_UNSUPPORTED, "behind one that adds tokens"},
    {"{\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":0,\"stop\":0}," MODEL "}",
     GLA_E_CORRUPT, "content must be one character"},
    {"{\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":0}," MODEL "}", GLA_E_CORRUPT,
     "stop must be a number"},
    {"{\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":0,\"stop\":99999999999}," MODEL
     "}",
     GLA_E_CORRUPT, "stop must be a number"},
    {"{\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}," MODEL "}", GLA_E_CORRUPT,
     "replacement must be one character"},
    {"{\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"prepend_scheme\":\"x\"}," MODEL
     "}",
     GLA_E_CORRUPT, "prepend_scheme must be"},
    {"{\"decoder\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":4}," MODEL "}",
     GLA_E_CORRUPT, "content must be a string"},
    {"{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\"},{\"type\":"
     "\"ByteLevel\"}]}," MODEL "}",
     GLA_E_UNSUPPORTED, "decoder \"ByteLevel\""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}", GLA_E_CORRUPT,
     "vocab must be an object"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":{}}}", GLA_E_CORRUPT,
     "merges must be an array"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", GLA_E_CORRUPT,
     "merge 0 is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[1,\"a\"]]}}", GLA_E_CORRUPT,
     "merge 0 is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[5]}}", GLA_E_CORRUPT,
     "merge 0 is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"x a\"]}}", GLA_E_CORRUPT,
     "merge 0 needs token \"x\""},
    {"{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":"
     "\"ByteFallback\"}]}," MODEL "}",
     GLA_E_UNSUPPORTED, "decoder \"ByteFallback\""},
};

static void expect_refused(const char *json, gla_status status, const char *message)
{
    gla_tokenizer *t = (gla_tokenizer *)1;
    gla_diag diag;

    cr_expect_eq(gla_tokenizer_parse(json, strlen(json), "t.json", &t, &diag), status,
                 "%s: status %d, %s", json, diag.status, diag.message);
    cr_expect_null(t);
    cr_expect_not_null(strstr(diag.message, message), "%s: \"%s\" is not in \"%s\"", json, message,
                       diag.message);
    cr_expect_not_null(strstr(diag.where, "t.json"), "%s: where is \"%s\"", json, diag.where);
}

Test(tokenizer_refuses, files_that_are_wrong_or_not_supported)
{
    gla_tokenizer *t;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect_refused(cases[i].json, cases[i].status, cases[i].message);
    cr_assert_eq(gla_tokenizer_parse("{" MODEL "}", strlen("{" MODEL "}"), "t", &t, NULL), GLA_OK);
    gla_tokenizer_free(t);
}

static const struct {
    const char *regex, *message;
} patterns[] = {
    {"(", "missing closing parenthesis"},
    {"a)", "unmatched closing parenthesis"},
    {"[a", "class without ]"},
    {"[[a]b]", "class within a class"},
    {"[^a&&[b]]", "class within a class"},
    {"[a&&[b]c]", "this kind of intersection"},
    {"(*UTF)a", "(* is not supported"},
    {"(?R)", "this kind of group"},
    {"(?<n>a)", "this kind of group"},
    {"a(?i)b", "this kind of group"},
    {"(?x:a)", "this kind of group"},
    {"(a)\\\\1", "this escape"},
    {"\\\\bword", "this escape"},
    {"\\\\K", "this escape"},
    {"[\\\\W]", "\\W in a class"},
    {"\\\\pL", "\\p without braces"},
    {"\\\\p{Klingon}", "unknown property"},
    {"\\\\p{L", "unfinished property"},
    {"\\\\xff", "single bytes above 7F"},
    {"\\\\u12", "unfinished character code"},
    {"a{2}+", "repeated interval"},
    {"a{2}?", "repeated interval"},
    {"a{,3}", "without its minimum"},
    {"a\\\\", "nothing after the backslash"},
    {"\\\\x", "unfinished character code"},
    {"\\\\x{}", "unfinished character code"},
    {"\\\\x{41", "unfinished character code"},
    {"\\\\x{41x}", "unfinished character code"},
    {"\\\\u", "unfinished character code"},
    {"[\\\\xff]", "single bytes above 7F"},
    {"\\\\x{110000}", "too large"},
    {"\\\\p", "\\p without braces"},
    {"\\\\p{", "unfinished property"},
    {"\\\\p{^", "unfinished property"},
    {"\\\\p{}", "unknown property"},
    {"\\\\p{L-u}", "the name of this property"},
    {"\\\\p{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}", "the name of this property"},
    {"[\\\\A]", "an anchor in a class"},
    {"[\\\\b]", "this escape"},
    {"[\\\\", "nothing after the backslash"},
    {"[", "class without ]"},
    {"[^", "class without ]"},
    {"[]", "class without ]"},
    {"[a&&[b]", "this kind of intersection"},
    {"[a&&[b", "class without ]"},
    {"[a&&b]", "class within a class"},
    {"[[:alpha:]]", "class within a class"},
    {"[z-a]", "range out of order"},
    {"(?", "this kind of group"},
    {"(?<", "this kind of group"},
    {"(?i", "this kind of group"},
    {"(?-i:a)", "this kind of group"},
    {"(?m:.)", "this kind of group"},
    {"(?#x)", "this kind of group"},
    {"a{2,3}+", "repeated interval"},
    {"*", "quantifier does not follow"},
    {"(?<=a+)b", "not fixed length"},
};

Test(tokenizer_refuses, patterns_that_mean_something_else_here)
{
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        char json[512];

        snprintf(json, sizeof(json),
                 "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},"
                 "\"behavior\":\"Isolated\"}," MODEL "}",
                 patterns[i].regex);
        expect_refused(json, GLA_E_UNSUPPORTED, patterns[i].message);
    }
}

/* head, then n times unit with commas, then tail */
static char *repeat(const char *head, const char *unit, size_t n, const char *comma,
                    const char *tail)
{
    char *s = malloc(strlen(head) + n * (strlen(unit) + strlen(comma)) + strlen(tail) + 1);
    char *p = s + sprintf(s, "%s", head);

    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "%s%s", i ? comma : "", unit);
    sprintf(p, "%s", tail);
    return s;
}

Test(tokenizer_refuses, too_much_of_anything)
{
    char *nested = repeat("{\"normalizer\":", "{\"type\":\"Sequence\",\"normalizers\":[", 12, "",
                          "]}]}]}]}]}]}]}]}]}]}]}]}," MODEL "}");
    char *many = repeat("{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[",
                        "{\"type\":\"WhitespaceSplit\"}", 65, ",", "]}," MODEL "}");
    char *ids = repeat(
        "{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[",
        "{\"SpecialToken\":{\"id\":\"a\"}}", 65, ",",
        ",{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"a\":{\"ids\":[0]}}}," MODEL "}");

    expect_refused(nested, GLA_E_LIMIT, "Sequences nest deeper than 8");
    expect_refused(many, GLA_E_LIMIT, "more than 64 pre-tokenizers");
    expect_refused(ids, GLA_E_LIMIT, "more than 64 ids");
    free(nested);
    free(many);
    free(ids);
}

/* Each of the kinds, when there is no room for it any more. */
Test(tokenizer_refuses, more_steps_than_there_is_room_for)
{
    static const struct {
        const char *list, *parts, *first, *unit, *message;
    } lists[] = {
        {"normalizer", "normalizers", "NFC\"}", "Lowercase\"}", "more than 64 normalizers"},
        {"decoder", "decoders", "ByteFallback\"}", "Fuse\"}", "more than 64 decoders"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}", "Whitespace\"}",
         "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}", "Digits\"}",
         "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}", "Punctuation\"}",
         "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}",
         "Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Removed\"}",
         "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}",
         "Metaspace\",\"replacement\":\"_\"}", "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "Metaspace\",\"replacement\":\"_\"}",
         "Metaspace\",\"replacement\":\"_\"}", "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}",
         "ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}",
         "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}",
         "ByteLevel\",\"add_prefix_space\":true,\"use_regex\":false}",
         "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "Metaspace\",\"replacement\":\"_\"}",
         "ByteLevel\",\"add_prefix_space\":true,\"use_regex\":false}",
         "more than 64 pre-tokenizers"},
        {"pre_tokenizer", "pretokenizers", "WhitespaceSplit\"}",
         "ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}",
         "more than 64 pre-tokenizers"},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        char head[256], unit[256], *json;

        snprintf(head, sizeof(head), "{\"%s\":{\"type\":\"Sequence\",\"%s\":[{\"type\":\"%s,",
                 lists[i].list, lists[i].parts, lists[i].first);
        snprintf(unit, sizeof(unit), "{\"type\":\"%s", lists[i].unit);
        json = repeat(head, unit, 64, ",", "]}," MODEL "}");
        expect_refused(json, GLA_E_LIMIT, lists[i].message);
        free(json);
    }
}

/* (a+)+[bd] tries every way to divide the a's: without a limit, for ever. */
Test(tokenizer_refuses, patterns_that_never_end)
{
    static const char json[] = "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":"
                               "\"(a+)+[bd]\"},\"behavior\":\"Isolated\"}," MODEL "}";
    gla_tokenizer *t;
    gla_diag diag;
    int32_t *ids;
    size_t n;

    cr_assert_eq(gla_tokenizer_parse(json, strlen(json), "t", &t, NULL), GLA_OK);
    cr_expect_eq(gla_tokenizer_encode(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 46, 0,
                                      &ids, &n, &diag),
                 GLA_OK);
    gla_ids_free(ids);
    cr_expect_eq(gla_tokenizer_encode(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", 46, 0,
                                      &ids, &n, &diag),
                 GLA_E_LIMIT);
    cr_expect_not_null(strstr(diag.message, "match limit exceeded"), "%s", diag.message);
    cr_expect_null(ids);
    gla_tokenizer_free(t);
}

Test(tokenizer_refuses, unknown_characters_without_a_token_for_them)
{
    static const char json[] = "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"vocab\":"
                               "{\"a\":3},\"merges\":[]}}";
    gla_tokenizer *t;
    gla_diag diag;
    int32_t *ids;
    size_t n;

    cr_assert_eq(gla_tokenizer_parse(json, strlen(json), "t", &t, NULL), GLA_OK);
    cr_expect_eq(gla_tokenizer_vocab_size(t), 4); /* ids may have gaps */
    cr_expect_null(gla_tokenizer_token(t, 1));
    cr_expect_eq(gla_tokenizer_encode(t, "ax", 2, 0, &ids, &n, &diag), GLA_E_CORRUPT);
    cr_expect_not_null(strstr(diag.message, "unk_token"));
    cr_expect_eq(gla_tokenizer_encode(t, "a", 1, 0, &ids, &n, &diag), GLA_OK);
    gla_ids_free(ids);
    gla_tokenizer_free(t);
}
