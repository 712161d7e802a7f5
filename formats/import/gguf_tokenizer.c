/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_tokenizer.c - tokenizer.json from the keys of a gguf file
 *
 * What gguf does not say is known by the name of the pre-tokenizer: how words are split, whether
 * text is normalised, whether whole words skip the merges.  Sentencepiece keeps no merges but
 * scores: two tokens merge if what they make is a token, the one of the highest score first.
 */
#include "formats/import/gguf_tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/text/json.h"
#include "formats/tokenizer/parts.h"

#define PREFIX     "tokenizer.ggml."
#define MAX_PIECE  256u /* bytes of a sentencepiece token: every cut of it is tried */
#define SPACE_MARK "\xe2\x96\x81"

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

/* ---- pre-tokenizers ---- */

#define ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define REST    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LETTERS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define OTHERS  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"

static const char llama3[] = ENDINGS LETTERS "|\\p{N}{1,3}" OTHERS REST;
static const char qwen2[] = ENDINGS LETTERS "|\\p{N}" OTHERS REST;
static const char qwen35[] = ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                                     "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" REST;

static const struct pre {
    const char *name;
    const char *regex; /* NULL: GPT-2's, which ByteLevel has inside */
    bool nfc, digits;  /* digits: each by itself */
    bool whole_words;  /* that are tokens skip the merges */
    bool adds_bos;     /* when the file does not say */
} pres[] = {
    {.name = "gpt-2"},
    {.name = "phi-2"},
    {.name = "llama-bpe", .regex = llama3, .whole_words = true, .adds_bos = true},
    {.name = "llama-v3", .regex = llama3, .whole_words = true, .adds_bos = true},
    {.name = "llama3", .regex = llama3, .whole_words = true, .adds_bos = true},
    {.name = "qwen2", .regex = qwen2, .nfc = true},
    {.name = "qwen35", .regex = qwen35, .nfc = true},
    {.name = "smollm", .digits = true},
    {.name = "mpt", .nfc = true}, /* GPT-NeoX's, which Mamba uses */
    {.name = "olmo", .nfc = true},
};
#define N_PRES (sizeof(pres) / sizeof(pres[0]))

static bool is_text(const gla__gguf_text *t, const char *s)
{
    return t->size == strlen(s) && !memcmp(t->data, s, t->size);
}

static const struct pre *find_pre(const gla_weights *w)
{
    gla__gguf_text name;

    if (gla__gguf_string(w, PREFIX "pre", &name))
        for (size_t i = 0; i < N_PRES; i++)
            if (is_text(&name, pres[i].name))
                return &pres[i];
    return NULL;
}

bool gla__gguf_adds_bos(const gla_weights *w)
{
    gla__gguf_text model;
    bool adds;

    if (gla__gguf_bool(w, PREFIX "add_bos_token", &adds))
        return adds;
    if (!gla__gguf_string(w, PREFIX "model", &model))
        return true; /* the id alone: somebody meant it */
    return is_text(&model, "llama") || (find_pre(w) && find_pre(w)->adds_bos);
}

/* ---- reading ---- */

typedef struct reading {
    const gla_weights *w;
    gla_diag *diag;
    const struct pre *pre; /* NULL: sentencepiece */
    gla__gguf_text *tokens;
    uint64_t n;
    json_t *vocab, *added, *merges;
    bool space_prefix; /* sentencepiece: texts begin with a space */
} reading;

/* At this key, with the way round. */
static gla_status refuse(const reading *r, gla_status st, const char *key)
{
    gla__at(r->diag, key);
    gla__hint(r->diag, "the model's tokenizer.json beside the file takes its place");
    return st;
}

static gla_status fail_json(const reading *r)
{
    return gla__fail_nomem(r->diag, "tokenizer");
}

static int type_of(const reading *r, uint64_t i)
{
    double type;

    return gla__gguf_number(r->w, PREFIX "token_type", i, &type) ? (int)type : NORMAL;
}

/* The token that a key names; NULL if there is none. */
static const gla__gguf_text *special(const reading *r, const char *key, uint64_t *id)
{
    return gla__gguf_u64(r->w, key, id) && *id < r->n ? &r->tokens[*id] : NULL;
}

static gla_status read_tokens(reading *r)
{
    uint64_t n;

    gla_status st = gla__gguf_strings(r->w, PREFIX "tokens", &r->tokens, &r->n, r->diag);

    if (st)
        return st == GLA_E_NOMEM ? st : refuse(r, st, PREFIX "tokens");
    if (r->n > GLA__TOK_MAX_ID)
        return refuse(r,
                      gla__fail(r->diag, GLA_E_LIMIT, "%" PRIu64 " tokens, at most %u", r->n,
                                GLA__TOK_MAX_ID),
                      PREFIX "tokens");
    if (!gla__gguf_has(r->w, PREFIX "token_type"))
        return GLA_OK; /* all are ordinary */
    n = 0;
    gla__gguf_length(r->w, PREFIX "token_type", &n);
    if (n != r->n)
        return refuse(
            r,
            gla__fail(r->diag, GLA_E_CORRUPT, "%" PRIu64 " types of %" PRIu64 " tokens", n, r->n),
            PREFIX "token_type");
    return GLA_OK;
}

static gla_status add_token(reading *r, uint64_t i)
{
    const gla__gguf_text *t = &r->tokens[i];
    const int type = type_of(r, i);
    const bool is_special = type == CONTROL || type == UNKNOWN;
    const char *why = NULL;

    if (type == UNUSED || !t->size)
        return GLA_OK; /* a row of the embedding that no text leads to */
    if (memchr(t->data, '\0', t->size) || gla__utf8_valid(t->data, t->size) != t->size)
        why = "is not UTF-8";
    else if (json_object_getn(r->vocab, t->data, t->size))
        why = "is there twice";
    if (why)
        return refuse(r, gla__fail(r->diag, GLA_E_CORRUPT, "token %" PRIu64 " %s", i, why),
                      PREFIX "tokens");
    if (json_object_setn_new(r->vocab, t->data, t->size, json_integer((json_int_t)i)))
        return fail_json(r);
    if (!is_special && type != USER_DEFINED)
        return GLA_OK;
    return json_array_append_new(r->added, json_pack("{s:I, s:s%, s:b, s:b, s:b, s:b, s:b}", "id",
                                                     (json_int_t)i, "content", t->data, t->size,
                                                     "single_word", 0, "lstrip", 0, "rstrip", 0,
                                                     "normalized", 0, "special", is_special))
               ? fail_json(r)
               : GLA_OK;
}

/* As the file has them. */
static gla_status read_merges(reading *r)
{
    gla__gguf_text *list;
    uint64_t n;
    gla_status st = gla__gguf_strings(r->w, PREFIX "merges", &list, &n, r->diag);

    if (st)
        return st == GLA_E_NOMEM ? st : refuse(r, st, PREFIX "merges");
    for (uint64_t i = 0; !st && i < n; i++)
        if (gla__utf8_valid(list[i].data, list[i].size) != list[i].size)
            st = refuse(r, gla__fail(r->diag, GLA_E_CORRUPT, "merge %" PRIu64 " is not UTF-8", i),
                        PREFIX "merges");
        else if (json_array_append_new(r->merges, json_stringn(list[i].data, list[i].size)))
            st = fail_json(r);
    gla__free(list);
    return st;
}

/* ---- merges of sentencepiece ---- */

typedef struct merge {
    double score;
    uint32_t id, left, right;
} merge;

/* The highest score first; of one token's cuts the one whose parts come first. */
static int by_score(const void *a, const void *b)
{
    const merge *x = a, *y = b;

    if (x->score < y->score || x->score > y->score)
        return x->score > y->score ? -1 : 1;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

typedef struct merge_list {
    merge *items;
    size_t n, capacity;
} merge_list;

/* Every cut of a token into two others. */
static gla_status add_cuts(const gla__gguf_text *t, uint32_t id, double score,
                           const gla__vocab *words, merge_list *list)
{
    for (size_t cut = 1; cut < t->size; cut++) {
        int32_t left, right;

        if (gla__utf8_inside(t->data[cut]))
            continue;
        left = gla__vocab_find(words, t->data, cut);
        right = left < 0 ? -1 : gla__vocab_find(words, t->data + cut, t->size - cut);
        if (right < 0)
            continue;
        if (gla__grow((void **)&list->items, &list->capacity, list->n, sizeof(*list->items)))
            return GLA_E_NOMEM;
        list->items[list->n++] = (merge){score, id, (uint32_t)left, (uint32_t)right};
    }
    return GLA_OK;
}

static gla_status find_words(const reading *r, gla__vocab *words)
{
    if (gla__vocab_init(words, (size_t)r->n))
        return fail_json(r);
    for (uint64_t i = 0; i < r->n; i++) {
        const gla__gguf_text *t = &r->tokens[i];

        if (type_of(r, i) != NORMAL || !t->size)
            continue;
        if (t->size > MAX_PIECE)
            return refuse(r,
                          gla__fail(r->diag, GLA_E_LIMIT,
                                    "token %" PRIu64 " has %zu bytes, at most %u", i, t->size,
                                    MAX_PIECE),
                          PREFIX "tokens");
        (void)gla__vocab_add(words, t->data, t->size, (uint32_t)i);
    }
    return GLA_OK;
}

/* Scores that are all the same were not known to whoever wrote the file. */
static gla_status check_scores(const reading *r)
{
    uint64_t n = 0;
    double first = 0, score;
    bool differ = false, numbers = true;

    gla__gguf_length(r->w, PREFIX "scores", &n);
    gla__gguf_number(r->w, PREFIX "scores", 0, &first);
    for (uint64_t i = 0; i < n && gla__gguf_number(r->w, PREFIX "scores", i, &score); i++) {
        differ |= score < first || score > first;
        numbers &= isfinite(score) != 0;
    }
    if (n == r->n && differ && numbers)
        return GLA_OK;
    if (n != r->n)
        gla__fail(r->diag, GLA_E_CORRUPT, "%" PRIu64 " scores of %" PRIu64 " tokens", n, r->n);
    else
        gla__fail(r->diag, GLA_E_CORRUPT, numbers ? "all scores are the same" : "not a number");
    return refuse(r, GLA_E_CORRUPT, PREFIX "scores");
}

static gla_status make_merges(reading *r)
{
    gla__vocab words = {0};
    merge_list list = {0};
    gla_status st = check_scores(r);

    if (!st)
        st = find_words(r, &words);
    for (uint32_t i = 0; !st && i < words.n; i++) {
        const struct gla__vocab_entry *e = &words.entries[i];
        double score = 0;

        gla__gguf_number(r->w, PREFIX "scores", e->id, &score);
        if (add_cuts(&r->tokens[e->id], e->id, score, &words, &list))
            st = fail_json(r);
    }
    if (!st && list.n)
        qsort(list.items, list.n, sizeof(*list.items), by_score);
    for (size_t i = 0; !st && i < list.n; i++) {
        const gla__gguf_text *a = &r->tokens[list.items[i].left];
        const gla__gguf_text *b = &r->tokens[list.items[i].right];

        if (json_array_append_new(r->merges,
                                  json_pack("[s%, s%]", a->data, a->size, b->data, b->size)))
            st = fail_json(r);
    }
    gla__vocab_deinit(&words);
    gla__free(list.items);
    return st;
}

/* ---- the steps; NULL when memory ran out ---- */

/* What has been changed: NULL if that failed. */
static json_t *unless(bool failed, json_t *value)
{
    if (!failed)
        return value;
    json_decref(value);
    return NULL;
}

static json_t *byte_level(bool regex)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 0, "use_regex", regex);
}

static json_t *pre_tokenizer(const reading *r)
{
    if (!r->pre)
        return json_null();
    if (r->pre->regex)
        return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}", "type", "Sequence",
                         "pretokenizers", "type", "Split", "pattern", "Regex", r->pre->regex,
                         "behavior", "Isolated", "invert", 0, byte_level(false));
    if (r->pre->digits)
        return json_pack("{s:s, s:[{s:s, s:b}, o]}", "type", "Sequence", "pretokenizers", "type",
                         "Digits", "individual_digits", 1, byte_level(true));
    return byte_level(true);
}

static json_t *normalizer(const reading *r)
{
    json_t *spaces;

    if (r->pre)
        return r->pre->nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
    spaces = json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", " ",
                       "content", SPACE_MARK);
    if (!r->space_prefix)
        return spaces;
    return json_pack("{s:s, s:[{s:s, s:s}, o]}", "type", "Sequence", "normalizers", "type",
                     "Prepend", "prepend", SPACE_MARK, spaces);
}

static json_t *decoder(const reading *r)
{
    json_t *list;
    bool failed = false;

    if (r->pre)
        return byte_level(true);
    list = json_pack("[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}]", "type", "Replace", "pattern", "String",
                     SPACE_MARK, "content", " ", "type", "ByteFallback", "type", "Fuse");
    if (r->space_prefix)
        failed = json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip",
                                                       "content", " ", "start", 1, "stop", 0));
    return json_pack("{s:s, s:o}", "type", "Sequence", "decoders", unless(failed, list));
}

/* Puts the token in front of the sequences, or behind them, if it is to be there; -1: no memory. */
static int wrap(const reading *r, const char *key, bool wanted, bool front, json_t *template)
{
    uint64_t id;
    const gla__gguf_text *t = wanted ? special(r, key, &id) : NULL;
    json_t *single = json_object_get(template, "single");

    if (!t)
        return 0;
    if (json_array_insert_new(
            single, front ? 0 : json_array_size(single),
            json_pack("{s:{s:s%, s:i}}", "SpecialToken", "id", t->data, t->size, "type_id", 0)))
        return -1;
    return json_object_setn_new(json_object_get(template, "special_tokens"), t->data, t->size,
                                json_pack("{s:s%, s:[I], s:[s%]}", "id", t->data, t->size, "ids",
                                          (json_int_t)id, "tokens", t->data, t->size));
}

static json_t *post_processor(const reading *r)
{
    json_t *template = json_pack("{s:s, s:[{s:{s:s, s:i}}], s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}],"
                                 " s:{}}",
                                 "type", "TemplateProcessing", "single", "Sequence", "id", "A",
                                 "type_id", 0, "pair", "Sequence", "id", "A", "type_id", 0,
                                 "Sequence", "id", "B", "type_id", 1, "special_tokens");
    bool eos = false;

    gla__gguf_bool(r->w, PREFIX "add_eos_token", &eos);
    return unless(wrap(r, PREFIX "bos_token_id", gla__gguf_adds_bos(r->w), true, template) ||
                      wrap(r, PREFIX "eos_token_id", eos, false, template),
                  template);
}

static json_t *model_of(const reading *r)
{
    json_t *model =
        json_pack("{s:s, s:n, s:b, s:b, s:b, s:O, s:O}", "type", "BPE", "dropout", "fuse_unk",
                  !r->pre, "byte_fallback", !r->pre, "ignore_merges", r->pre && r->pre->whole_words,
                  "vocab", r->vocab, "merges", r->merges);
    uint64_t id = 0;
    const gla__gguf_text *unk = special(r, PREFIX "unknown_token_id", &id);

    if (!unk && !r->pre && r->n && type_of(r, 0) == UNKNOWN)
        unk = &r->tokens[0];
    if (!unk || r->pre)
        return model;
    return unless(json_object_set_new(model, "unk_token", json_stringn(unk->data, unk->size)),
                  model);
}

static gla_status print(const reading *r, char **json, size_t *size)
{
    json_t *root = json_pack("{s:s, s:n, s:n, s:O, s:o, s:o, s:o, s:o, s:o}", "version", "1.0",
                             "truncation", "padding", "added_tokens", r->added, "normalizer",
                             normalizer(r), "pre_tokenizer", pre_tokenizer(r), "post_processor",
                             post_processor(r), "decoder", decoder(r), "model", model_of(r));
    gla_tokenizer *t = NULL;
    gla_status st = root ? gla__json_print(root, json, size, r->diag) : fail_json(r);

    json_decref(root);
    if (!st)
        st = gla_tokenizer_parse(*json, *size, "tokenizer.ggml", &t, r->diag);
    gla_tokenizer_free(t);
    if (st) {
        gla__free(*json);
        *json = NULL;
    }
    return st;
}

/* ---- the whole ---- */

static gla_status refuse_pre(const reading *r)
{
    gla__gguf_text name = {"", 0};
    gla_status st;

    gla__gguf_string(r->w, PREFIX "pre", &name);
    st = gla__fail(r->diag, GLA_E_UNSUPPORTED, "pre-tokenizer \"%.*s\" is not known here",
                   name.size < 64 ? (int)name.size : 64, name.data);
    return refuse(r, st, PREFIX "pre");
}

static gla_status read_all(reading *r, const gla__gguf_text *model)
{
    gla_status st;

    if (is_text(model, "gpt2")) {
        r->pre = find_pre(r->w);
        if (!r->pre)
            return refuse_pre(r);
    } else if (!is_text(model, "llama")) {
        st = gla__fail(r->diag, GLA_E_UNSUPPORTED,
                       "tokenizer \"%.*s\" is not read from gguf; gpt2 and llama are",
                       model->size < 64 ? (int)model->size : 64, model->data);
        return refuse(r, st, PREFIX "model");
    }
    r->space_prefix = true;
    gla__gguf_bool(r->w, PREFIX "add_space_prefix", &r->space_prefix);
    st = read_tokens(r);
    for (uint64_t i = 0; !st && i < r->n; i++)
        st = add_token(r, i);
    if (!st)
        st = r->pre ? read_merges(r) : make_merges(r);
    return st;
}

gla_status gla__gguf_tokenizer(const gla_weights *w, char **json, size_t *size, gla_diag *diag)
{
    reading r = {.w = w, .diag = diag};
    gla__gguf_text model;
    gla_status st;

    *json = NULL;
    *size = 0;
    if (!gla__gguf_string(w, PREFIX "model", &model) || is_text(&model, "none") ||
        is_text(&model, "no_vocab"))
        return GLA_OK;
    r.vocab = json_object();
    r.added = json_array();
    r.merges = json_array();
    st = r.vocab && r.added && r.merges ? read_all(&r, &model) : fail_json(&r);
    if (!st)
        st = print(&r, json, size);
    gla__free(r.tokens);
    json_decref(r.vocab);
    json_decref(r.added);
    json_decref(r.merges);
    return st;
}

gla_status gla__gguf_tokenizer_config(const gla_weights *w, char **json, size_t *size,
                                      gla_diag *diag)
{
    static const char *const names[][2] = {{PREFIX "bos_token_id", "bos_token"},
                                           {PREFIX "eos_token_id", "eos_token"},
                                           {PREFIX "unknown_token_id", "unk_token"},
                                           {PREFIX "padding_token_id", "pad_token"}};
    reading r = {.w = w, .diag = diag};
    json_t *config;
    bool failed = false;
    gla_status st;

    *json = NULL;
    *size = 0;
    st = gla__gguf_strings(w, PREFIX "tokens", &r.tokens, &r.n, NULL);
    if (st)
        return st == GLA_E_NOMEM ? fail_json(&r) : GLA_OK;
    config = json_pack("{s:b}", "add_bos_token", gla__gguf_adds_bos(w));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint64_t id;
        const gla__gguf_text *t = special(&r, names[i][0], &id);

        if (t && gla__utf8_valid(t->data, t->size) == t->size)
            failed |= json_object_set_new(config, names[i][1], json_stringn(t->data, t->size)) != 0;
    }
    config = unless(failed, config);
    st = config ? gla__json_print(config, json, size, diag) : fail_json(&r);
    json_decref(config);
    gla__free(r.tokens);
    return st;
}
