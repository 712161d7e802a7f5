/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalizers, pre-tokenizers, post-processors and decoders of tokenizer.json, Sequences flattened.
 * Whatever is not known to behave as published is refused by its name.
 */
#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/text/json.h"
#include "formats/tokenizer/parts.h"

#define MAX_DEPTH 8 /* Sequences in Sequences */

/* \w of Rust's regex crate, in which Whitespace is \w+|[^\w\s]+: other numbers than Oniguruma's,
 * and the joiners. */
#define RUST_WORD                                                                                  \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"                    \
    "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}\\x{200c}\\x{200d}"

typedef struct reader {
    gla_tokenizer *t;
    gla_diag *diag;
} reader;

typedef gla_status (*read_fn)(reader *r, const json_t *part, const char *type);

static const char GPT2_PATTERN[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- fields ---- */

static gla_status bad(reader *r, const char *type, const char *key, const char *expected)
{
    return gla__fail(r->diag, GLA_E_CORRUPT, "%s: %s must be %s", type, key, expected);
}

static gla_status unsupported(reader *r, const char *what, const char *type)
{
    return gla__fail(r->diag, GLA_E_UNSUPPORTED, "%s \"%.64s\" is not supported", what, type);
}

static gla_status get_bool(reader *r, const json_t *part, const char *type, const char *key,
                           bool def, bool *out)
{
    const json_t *v = json_object_get(part, key);

    *out = v && !json_is_null(v) ? json_is_true(v) : def;
    return !v || json_is_null(v) || json_is_boolean(v) ? GLA_OK : bad(r, type, key, "a boolean");
}

/* A string; the copy is the caller's. */
static gla_status get_text(reader *r, const json_t *part, const char *type, const char *key,
                           char **out, size_t *size)
{
    const json_t *v = json_object_get(part, key);

    if (!json_is_string(v))
        return bad(r, type, key, "a string");
    *size = json_string_length(v);
    *out = gla__strndup(json_string_value(v), *size);
    return *out ? GLA_OK : gla__fail_nomem(r->diag, "tokenizer");
}

static gla_status get_char(reader *r, const json_t *part, const char *type, const char *key,
                           char **out, size_t *size)
{
    size_t first = 0;
    gla_status st = get_text(r, part, type, key, out, size);

    if (st)
        return st;
    if (*size)
        (void)gla__utf8_next(*out, &first);
    return *size && first == *size ? GLA_OK : bad(r, type, key, "one character");
}

/* {"String": ...} or {"Regex": ...} */
static gla_status get_pattern(reader *r, const json_t *part, const char *type, gla__regex **out)
{
    const json_t *v = json_object_get(part, "pattern");
    const json_t *text = json_object_get(v, "String"), *regex = json_object_get(v, "Regex");

    if (json_is_string(text) && !regex)
        return gla__regex_literal(json_string_value(text), json_string_length(text), out, r->diag);
    if (json_is_string(regex) && !text)
        return gla__regex_compile(json_string_value(regex), json_string_length(regex), out,
                                  r->diag);
    return bad(r, type, "pattern", "{\"String\": ...} or {\"Regex\": ...}");
}

static gla_status get_behavior(reader *r, const json_t *part, const char *type, const char *def,
                               gla__behavior *out)
{
    static const char *const names[] = {[GLA__ISOLATED] = "Isolated",
                                        [GLA__REMOVED] = "Removed",
                                        [GLA__MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
                                        [GLA__MERGED_WITH_NEXT] = "MergedWithNext",
                                        [GLA__CONTIGUOUS] = "Contiguous"};
    const char *name = json_string_value(json_object_get(part, "behavior"));

    name = name ? name : def;
    for (size_t i = 0; name && i < sizeof(names) / sizeof(*names); i++) {
        if (!strcmp(name, names[i])) {
            *out = (gla__behavior)i;
            return GLA_OK;
        }
    }
    return bad(r, type, "behavior",
               "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous");
}

/* ---- Sequences ---- */

/* Calls read() for every part that is not a Sequence; `list` is the key of a Sequence's parts. */
static gla_status walk(reader *r, const json_t *part, const char *what, const char *list,
                       read_fn read, int depth)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *parts = json_object_get(part, list);
    gla_status st = GLA_OK;

    if (!part || json_is_null(part))
        return GLA_OK;
    if (!type)
        return gla__fail(r->diag, GLA_E_CORRUPT, "%s without a type", what);
    if (strcmp(type, "Sequence"))
        return read(r, part, type);
    if (depth == MAX_DEPTH)
        return gla__fail(r->diag, GLA_E_LIMIT, "%s: Sequences nest deeper than %d", what,
                         MAX_DEPTH);
    if (!json_is_array(parts))
        return bad(r, what, list, "an array");
    for (size_t i = 0; i < json_array_size(parts) && !st; i++)
        st = walk(r, json_array_get(parts, i), what, list, read, depth + 1);
    return st;
}

static gla_status too_many(reader *r, const char *what)
{
    return gla__fail(r->diag, GLA_E_LIMIT, "more than %d %s", GLA__TOK_MAX_STEPS, what);
}

/* ---- normalizers ---- */

static bool unicode_form(const char *type, int *option)
{
    const int compose = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const int decompose = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;

    if (!strcmp(type, "NFC"))
        *option = compose;
    else if (!strcmp(type, "NFD"))
        *option = decompose;
    else if (!strcmp(type, "NFKC"))
        *option = compose | UTF8PROC_COMPAT;
    else if (!strcmp(type, "NFKD"))
        *option = decompose | UTF8PROC_COMPAT;
    else
        return false;
    return true;
}

static gla_status read_normalizer(reader *r, const json_t *part, const char *type)
{
    gla__normal *n = &r->t->normals[r->t->n_normals];
    gla_status st;

    if (r->t->n_normals == GLA__TOK_MAX_STEPS)
        return too_many(r, "normalizers");
    r->t->n_normals++;
    if (unicode_form(type, &n->option)) {
        n->kind = GLA__NORMAL_FORM;
        return GLA_OK;
    }
    if (!strcmp(type, "Lowercase")) {
        n->kind = GLA__NORMAL_LOWERCASE;
        return GLA_OK;
    }
    if (!strcmp(type, "StripAccents")) {
        n->kind = GLA__NORMAL_STRIP_ACCENTS;
        return GLA_OK;
    }
    if (!strcmp(type, "ByteLevel")) {
        n->kind = GLA__NORMAL_BYTES;
        return GLA_OK;
    }
    if (!strcmp(type, "Strip")) {
        n->kind = GLA__NORMAL_STRIP;
        st = get_bool(r, part, type, "strip_left", true, &n->left);
        return st ? st : get_bool(r, part, type, "strip_right", true, &n->right);
    }
    if (!strcmp(type, "Prepend")) {
        n->kind = GLA__NORMAL_PREPEND;
        return get_text(r, part, type, "prepend", &n->text, &n->size);
    }
    if (!strcmp(type, "Replace")) {
        n->kind = GLA__NORMAL_REPLACE;
        st = get_pattern(r, part, type, &n->regex);
        if (!st && gla__regex_may_be_empty(n->regex)) /* puts text beside it, as published */
            return unsupported(r, "a pattern that matches nothing at all, in normalizer", type);
        return st ? st : get_text(r, part, type, "content", &n->text, &n->size);
    }
    return unsupported(r, "normalizer", type);
}

/* ---- pre-tokenizers ---- */

/* NULL when there is no room for one more. */
static gla__pre *add_pre(reader *r, gla__pre_kind kind, gla__behavior behavior)
{
    gla__pre *p;

    if (r->t->n_pres == GLA__TOK_MAX_STEPS) {
        (void)too_many(r, "pre-tokenizers");
        return NULL;
    }
    p = &r->t->pres[r->t->n_pres++];
    p->kind = kind;
    p->behavior = behavior;
    return p;
}

static gla_status add_regex(reader *r, gla__behavior behavior, bool invert, const char *pattern)
{
    gla__pre *p = add_pre(r, GLA__PRE_SPLIT, behavior);

    if (!p)
        return GLA_E_LIMIT;
    p->invert = invert;
    return gla__regex_compile(pattern, strlen(pattern), &p->regex, r->diag);
}

static gla_status read_byte_level(reader *r, const json_t *part, const char *type)
{
    bool prefix, regex = false;
    gla_status st = get_bool(r, part, type, "add_prefix_space", true, &prefix);

    if (!st)
        st = get_bool(r, part, type, "use_regex", true, &regex);
    if (!st && prefix && !add_pre(r, GLA__PRE_PREFIX_SPACE, GLA__ISOLATED))
        st = GLA_E_LIMIT;
    if (!st && regex)
        st = add_regex(r, GLA__ISOLATED, false, GPT2_PATTERN);
    if (!st && !add_pre(r, GLA__PRE_BYTES, GLA__ISOLATED))
        st = GLA_E_LIMIT;
    return st;
}

/* The older spelling add_prefix_space: false means "never". */
static gla_status get_prepend(reader *r, const json_t *part, const char *type, gla__prepend *out)
{
    const json_t *v = json_object_get(part, "prepend_scheme");
    const char *name = json_string_value(v);
    bool prefix;
    gla_status st = get_bool(r, part, type, "add_prefix_space", true, &prefix);

    if (st)
        return st;
    *out = prefix ? GLA__PREPEND_ALWAYS : GLA__PREPEND_NEVER;
    if (!v)
        return GLA_OK;
    if (name && !strcmp(name, "first"))
        *out = GLA__PREPEND_FIRST;
    else if (name && !strcmp(name, "never"))
        *out = GLA__PREPEND_NEVER;
    else if (!name || strcmp(name, "always"))
        return bad(r, type, "prepend_scheme", "always, first or never");
    return GLA_OK;
}

static gla_status read_metaspace(reader *r, const json_t *part, const char *type)
{
    bool split = false;
    gla__pre *space = add_pre(r, GLA__PRE_METASPACE, GLA__ISOLATED), *cut;
    gla_status st;

    if (!space)
        return GLA_E_LIMIT;
    st = get_char(r, part, type, "replacement", &space->text, &space->size);
    if (!st)
        st = get_prepend(r, part, type, &space->prepend);
    if (!st)
        st = get_bool(r, part, type, "split", true, &split);
    if (st || !split)
        return st;
    cut = add_pre(r, GLA__PRE_SPLIT, GLA__MERGED_WITH_NEXT);
    return cut ? gla__regex_literal(space->text, space->size, &cut->regex, r->diag) : GLA_E_LIMIT;
}

static gla_status read_split(reader *r, const json_t *part, const char *type)
{
    gla__pre *p = add_pre(r, GLA__PRE_SPLIT, GLA__ISOLATED);
    gla_status st;

    if (!p)
        return GLA_E_LIMIT;
    st = get_behavior(r, part, type, NULL, &p->behavior);
    if (!st)
        st = get_bool(r, part, type, "invert", false, &p->invert);
    return st ? st : get_pattern(r, part, type, &p->regex);
}

static gla_status read_digits(reader *r, const json_t *part, const char *type)
{
    bool each;
    gla_status st = get_bool(r, part, type, "individual_digits", false, &each);

    if (st)
        return st;
    return add_pre(r, GLA__PRE_DIGITS, each ? GLA__ISOLATED : GLA__CONTIGUOUS) ? GLA_OK
                                                                               : GLA_E_LIMIT;
}

static gla_status read_punctuation(reader *r, const json_t *part, const char *type)
{
    gla__pre *p = add_pre(r, GLA__PRE_PUNCTUATION, GLA__ISOLATED);

    return p ? get_behavior(r, part, type, "Isolated", &p->behavior) : GLA_E_LIMIT;
}

static gla_status read_pre_tokenizer(reader *r, const json_t *part, const char *type)
{
    if (!strcmp(type, "ByteLevel"))
        return read_byte_level(r, part, type);
    if (!strcmp(type, "Metaspace"))
        return read_metaspace(r, part, type);
    if (!strcmp(type, "Split"))
        return read_split(r, part, type);
    if (!strcmp(type, "Digits"))
        return read_digits(r, part, type);
    if (!strcmp(type, "Punctuation"))
        return read_punctuation(r, part, type);
    if (!strcmp(type, "WhitespaceSplit"))
        return add_pre(r, GLA__PRE_WHITESPACE, GLA__REMOVED) ? GLA_OK : GLA_E_LIMIT;
    if (!strcmp(type, "Whitespace"))
        return add_regex(r, GLA__REMOVED, true, "[" RUST_WORD "]+|[^" RUST_WORD "\\s]+");
    return unsupported(r, "pre_tokenizer", type);
}

/* ---- post-processors: ids before and after the text ---- */

static gla_status add_affix(reader *r, const json_t *id, bool behind)
{
    gla_tokenizer *t = r->t;
    uint32_t *n = behind ? &t->n_suffix : &t->n_prefix;
    uint64_t value;

    if (*n == GLA__TOK_MAX_AFFIX)
        return gla__fail(r->diag, GLA_E_LIMIT, "post_processor: more than %d ids",
                         GLA__TOK_MAX_AFFIX);
    if (gla__json_u64(id, &value) || value >= GLA__TOK_MAX_ID)
        return bad(r, "post_processor", "ids", "token ids");
    (behind ? t->suffix : t->prefix)[(*n)++] = (int32_t)value;
    return GLA_OK;
}

static gla_status add_template_token(reader *r, const json_t *part, const json_t *token,
                                     bool behind)
{
    const char *name = json_string_value(json_object_get(token, "id"));
    const json_t *known =
        name ? json_object_get(json_object_get(part, "special_tokens"), name) : NULL;
    const json_t *list = json_object_get(known, "ids");
    gla_status st = GLA_OK;

    if (!json_is_array(list))
        return gla__fail(r->diag, GLA_E_CORRUPT,
                         "TemplateProcessing: special_tokens lacks \"%.64s\"", name ? name : "");
    for (size_t i = 0; i < json_array_size(list) && !st; i++)
        st = add_affix(r, json_array_get(list, i), behind);
    return st;
}

static gla_status read_template(reader *r, const json_t *part)
{
    const json_t *single = json_object_get(part, "single");
    bool behind = false;
    gla_status st = GLA_OK;

    for (size_t i = 0; i < json_array_size(single) && !st; i++) {
        const json_t *piece = json_array_get(single, i);
        const json_t *token = json_object_get(piece, "SpecialToken");
        const char *sequence =
            json_string_value(json_object_get(json_object_get(piece, "Sequence"), "id"));

        if (token)
            st = add_template_token(r, part, token, behind);
        else if (!sequence || strcmp(sequence, "A") || behind)
            return bad(r, "TemplateProcessing", "single", "special tokens and one sequence A");
        else
            behind = true;
    }
    if (!st && !behind)
        return bad(r, "TemplateProcessing", "single", "special tokens and one sequence A");
    return st;
}

static gla_status read_post_processor(reader *r, const json_t *part, const char *type)
{
    gla_status st;

    if (!strcmp(type, "ByteLevel"))
        return GLA_OK;                    /* moves offsets, which we do not give */
    if (r->t->n_prefix || r->t->n_suffix) /* it would see several sequences */
        return unsupported(r, "behind one that adds tokens, post_processor", type);
    if (!strcmp(type, "TemplateProcessing"))
        return read_template(r, part);
    if (strcmp(type, "RobertaProcessing") && strcmp(type, "BertProcessing"))
        return unsupported(r, "post_processor", type);
    st = add_affix(r, json_array_get(json_object_get(part, "cls"), 1), false);
    return st ? st : add_affix(r, json_array_get(json_object_get(part, "sep"), 1), true);
}

/* ---- decoders ---- */

/* A decoder that needs whole tokens, or their number, after one that fused them. */
static bool fused(const gla_tokenizer *t)
{
    for (uint32_t i = 0; i + 1 < t->n_decodes; i++)
        if (t->decodes[i].kind == GLA__DECODE_FUSE || t->decodes[i].kind == GLA__DECODE_BYTES)
            return true;
    return false;
}

static gla_status read_strip(reader *r, const json_t *part, const char *type, gla__decode *d)
{
    gla_status st = get_char(r, part, type, "content", &d->text, &d->size);

    d->kind = GLA__DECODE_STRIP;
    if (st)
        return st;
    if (gla__json_u64(json_object_get(part, "start"), &d->start))
        return bad(r, type, "start", "a number");
    if (gla__json_u64(json_object_get(part, "stop"), &d->stop) || d->stop > UINT32_MAX)
        return bad(r, type, "stop", "a number");
    return GLA_OK;
}

static gla_status read_decoder(reader *r, const json_t *part, const char *type)
{
    gla__decode *d = &r->t->decodes[r->t->n_decodes];
    const bool bytes = !strcmp(type, "ByteLevel");
    gla__prepend prepend;
    gla_status st;

    if (r->t->n_decodes == GLA__TOK_MAX_STEPS)
        return too_many(r, "decoders");
    r->t->n_decodes++;
    if (!strcmp(type, "Fuse")) {
        d->kind = GLA__DECODE_FUSE;
        return GLA_OK;
    }
    if (bytes || !strcmp(type, "ByteFallback")) {
        d->kind = bytes ? GLA__DECODE_BYTES : GLA__DECODE_BYTE_FALLBACK;
        if (fused(r->t))
            return unsupported(r, "after a decoder that joins the tokens, decoder", type);
        return GLA_OK;
    }
    if (!strcmp(type, "Replace")) {
        d->kind = GLA__DECODE_REPLACE;
        st = get_pattern(r, part, type, &d->regex);
        return st ? st : get_text(r, part, type, "content", &d->text, &d->size);
    }
    if (!strcmp(type, "Strip"))
        return read_strip(r, part, type, d);
    if (!strcmp(type, "Metaspace")) {
        d->kind = GLA__DECODE_METASPACE;
        st = get_char(r, part, type, "replacement", &d->text, &d->size);
        if (!st)
            st = get_prepend(r, part, type, &prepend);
        d->drop_first = !st && prepend != GLA__PREPEND_NEVER;
        return st;
    }
    return unsupported(r, "decoder", type);
}

gla_status gla__tokenizer_read_steps(gla_tokenizer *t, const json_t *root, gla_diag *diag)
{
    const json_t *decoder = json_object_get(root, "decoder");
    reader r = {t, diag};
    gla_status st = walk(&r, json_object_get(root, "normalizer"), "normalizer", "normalizers",
                         read_normalizer, 0);

    if (!st)
        st = walk(&r, json_object_get(root, "pre_tokenizer"), "pre_tokenizer", "pretokenizers",
                  read_pre_tokenizer, 0);
    if (!st)
        st = walk(&r, json_object_get(root, "post_processor"), "post_processor", "processors",
                  read_post_processor, 0);
    if (!st)
        st = walk(&r, decoder, "decoder", "decoders", read_decoder, 0);
    if (!st && (!decoder || json_is_null(decoder)))
        t->decodes[t->n_decodes++].kind = GLA__DECODE_JOIN;
    return st;
}
