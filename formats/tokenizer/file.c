/* SPDX-License-Identifier: Apache-2.0
 *
 * The model and the added tokens of tokenizer.json.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "formats/text/json.h"
#include "formats/tokenizer/parts.h"

/* ---- options of the model ---- */

/* Absent, null, false, 0 and "" all say that a feature is off. */
static bool is_off(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_number(v) && !(json_number_value(v) > 0 || json_number_value(v) < 0)) ||
           (json_is_string(v) && json_string_length(v) == 0);
}

static gla_status read_flag(const json_t *model, const char *key, bool *out, gla_diag *diag)
{
    const json_t *v = json_object_get(model, key);

    *out = json_is_true(v);
    if (!v || json_is_null(v) || json_is_boolean(v))
        return GLA_OK;
    return gla__fail(diag, GLA_E_CORRUPT, "model: %s must be a boolean", key);
}

static gla_status check_model(const json_t *model, gla_diag *diag)
{
    static const char *const features[] = {"dropout", "continuing_subword_prefix",
                                           "end_of_word_suffix"};
    const char *type = json_string_value(json_object_get(model, "type"));

    if (!json_is_object(model))
        return gla__fail(diag, GLA_E_CORRUPT, "not a tokenizer.json: it has no \"model\"");
    /* files from before models had types are BPE when they have merges */
    if (type ? strcmp(type, "BPE") != 0 : !json_object_get(model, "merges"))
        return gla__fail(diag, GLA_E_UNSUPPORTED, "model \"%.64s\" is not supported, only BPE",
                         type ? type : "without a type");
    for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++)
        if (!is_off(json_object_get(model, features[i])))
            return gla__fail(diag, GLA_E_UNSUPPORTED, "model: %s is not supported", features[i]);
    return GLA_OK;
}

/* ---- ids ---- */

static gla_status read_id(const json_t *v, const char *token, uint32_t *out, gla_diag *diag)
{
    uint64_t id;

    if (gla__json_u64(v, &id))
        return gla__fail(diag, GLA_E_CORRUPT, "token \"%.64s\": its id is not a number", token);
    if (id >= GLA__TOK_MAX_ID)
        return gla__fail(diag, GLA_E_LIMIT, "token \"%.64s\" has id %" PRIu64 ", at most %u", token,
                         id, GLA__TOK_MAX_ID - 1);
    *out = (uint32_t)id;
    return GLA_OK;
}

/* Finds the largest id and the bytes of all texts, then makes room. */
static gla_status make_room(gla_tokenizer *t, const json_t *vocab, const json_t *added,
                            gla_diag *diag)
{
    size_t bytes = 0, i;
    uint32_t id, n = 0;
    const char *key;
    const json_t *v;
    gla_status st;

    json_object_foreach((json_t *)(uintptr_t)vocab, key, v)
    {
        st = read_id(v, key, &id, diag);
        if (st)
            return st;
        n = id >= n ? id + 1 : n;
        if (!gla__add_size(bytes, strlen(key) + 1, &bytes))
            return gla__fail_nomem(diag, "vocabulary");
    }
    json_array_foreach(added, i, v)
    {
        const char *content = json_string_value(json_object_get(v, "content"));

        if (!content)
            return gla__fail(diag, GLA_E_CORRUPT, "added_tokens %zu has no content", i);
        st = read_id(json_object_get(v, "id"), content, &id, diag);
        if (st)
            return st;
        n = id >= n ? id + 1 : n;
    }
    t->n_ids = n;
    t->tokens = gla__alloc_array(n ? n : 1, sizeof(*t->tokens));
    t->arena = gla__alloc(bytes);
    if (!t->tokens || !t->arena)
        return gla__fail_nomem(diag, "vocabulary");
    return GLA_OK;
}

static gla_status read_vocab(gla_tokenizer *t, const json_t *vocab, gla_diag *diag)
{
    char *p = t->arena;
    const char *key;
    const json_t *v;

    if (gla__vocab_init(&t->vocab, json_object_size(vocab)))
        return gla__fail_nomem(diag, "vocabulary");
    json_object_foreach((json_t *)(uintptr_t)vocab, key, v)
    {
        const size_t size = strlen(key);
        const uint32_t id = (uint32_t)json_integer_value(v); /* make_room() has checked it */

        if (t->tokens[id].text)
            return gla__fail(diag, GLA_E_CORRUPT, "tokens \"%.64s\" and \"%.64s\" share id %u",
                             t->tokens[id].text, key, id);
        memcpy(p, key, size + 1);
        t->tokens[id].text = p;
        t->tokens[id].size = (uint32_t)size;
        (void)gla__vocab_add(&t->vocab, p, size, id); /* JSON keys are unique */
        p += size + 1;
    }
    return GLA_OK;
}

/* ---- merges ---- */

typedef struct view {
    const char *p;
    size_t n;
} view;

/* "a b" or ["a", "b"] */
static bool merge_sides(const json_t *merge, view *a, view *b)
{
    const char *s = json_string_value(merge), *blank;

    if (s) {
        blank = strchr(s, ' ');
        if (!blank || strchr(blank + 1, ' '))
            return false;
        *a = (view){s, (size_t)(blank - s)};
        *b = (view){blank + 1, strlen(blank + 1)};
        return true;
    }
    if (json_array_size(merge) != 2 || !json_is_string(json_array_get(merge, 0)) ||
        !json_is_string(json_array_get(merge, 1)))
        return false;
    *a = (view){json_string_value(json_array_get(merge, 0)),
                json_string_length(json_array_get(merge, 0))};
    *b = (view){json_string_value(json_array_get(merge, 1)),
                json_string_length(json_array_get(merge, 1))};
    return true;
}

static gla_status unknown_merge(size_t i, const view *t, gla_diag *diag)
{
    return gla__fail(diag, GLA_E_CORRUPT, "merge %zu needs token \"%.*s\", not in the vocabulary",
                     i, (int)(t->n < 64 ? t->n : 64), t->p);
}

static gla_status read_merge(gla_tokenizer *t, size_t i, uint32_t rank, const json_t *merge,
                             gla__bytes *joined, gla_diag *diag)
{
    view a, b, ab;
    int32_t left, right, id;

    if (!merge_sides(merge, &a, &b))
        return gla__fail(diag, GLA_E_CORRUPT, "merge %zu is neither \"a b\" nor [\"a\", \"b\"]", i);
    left = gla__vocab_find(&t->vocab, a.p, a.n);
    right = gla__vocab_find(&t->vocab, b.p, b.n);
    if (left < 0 || right < 0)
        return unknown_merge(i, left < 0 ? &a : &b, diag);
    joined->n = 0;
    if (gla__bytes_add(joined, a.p, a.n) || gla__bytes_add(joined, b.p, b.n))
        return gla__fail_nomem(diag, "merges");
    ab = (view){joined->p, joined->n};
    id = gla__vocab_find(&t->vocab, ab.p, ab.n);
    if (id < 0)
        return unknown_merge(i, &ab, diag);
    gla__merges_put(&t->merges, (uint32_t)left, (uint32_t)right, rank, (uint32_t)id);
    return GLA_OK;
}

static gla_status read_merges(gla_tokenizer *t, const json_t *merges, gla_diag *diag)
{
    gla__bytes joined = {0};
    gla_status st = GLA_OK;
    uint32_t rank = 0;

    if (!json_is_array(merges))
        return gla__fail(diag, GLA_E_CORRUPT, "model: merges must be an array");
    if (gla__merges_init(&t->merges, json_array_size(merges)))
        return gla__fail_nomem(diag, "merges");
    for (size_t i = 0; i < json_array_size(merges) && !st; i++) {
        const json_t *merge = json_array_get(merges, i);
        const char *s = json_string_value(merge);

        if (s && !strncmp(s, "#version", 8)) /* the first line of an old merges.txt */
            continue;
        st = read_merge(t, i, rank++, merge, &joined, diag);
    }
    gla__bytes_free(&joined);
    return st;
}

/* ---- the model ---- */

static bool is_byte_level(const gla_tokenizer *t)
{
    return t->n_pres && t->pres[t->n_pres - 1].kind == GLA__PRE_BYTES;
}

/* Whether the token can be a symbol without being one character: <0x0A>, or the unknown token. */
static bool is_stand_in(const gla_tokenizer *t, uint32_t id)
{
    bool is = t->has_unk && (int32_t)id == t->unk;

    for (int b = 0; b < 256 && !is; b++)
        is = t->fallback[b] == (int32_t)id;
    return is;
}

/* Fills t->neighbours: of each merge, the last character of the left and the first of the right. */
static gla_status find_neighbours(gla_tokenizer *t)
{
    const gla__merges *m = &t->merges;

    if (is_byte_level(t))
        return GLA_OK; /* the pre-tokenizers have made short words */
    if (gla__merges_init(&t->neighbours, m->mask + 1))
        return GLA_E_NOMEM;
    for (size_t i = 0; i <= m->mask; i++) {
        const uint32_t left = (uint32_t)(m->slots[i].pair >> 32);
        const uint32_t right = (uint32_t)m->slots[i].pair;
        const struct gla__token *a, *b;
        size_t last, first;
        int32_t x, y;

        if (m->slots[i].pair == UINT64_MAX)
            continue;
        a = &t->tokens[left];
        b = &t->tokens[right];
        if (!a->size || !b->size || is_stand_in(t, left) || is_stand_in(t, right)) {
            gla__merges_deinit(&t->neighbours); /* its text is not what it stands for */
            return GLA_OK;
        }
        for (last = a->size - 1; last && gla__utf8_inside(a->text[last]);)
            last--;
        (void)gla__utf8_next(b->text, &first);
        x = gla__vocab_find(&t->vocab, a->text + last, a->size - last);
        y = gla__vocab_find(&t->vocab, b->text, first);
        if (x >= 0 && y >= 0) /* else the merge never happens */
            gla__merges_put(&t->neighbours, (uint32_t)x, (uint32_t)y, 0, 0);
    }
    return GLA_OK;
}

static gla_status find_bytes(gla_tokenizer *t)
{
    gla__bytes mapped = {0};
    char name[8];
    gla_status st = GLA_OK;

    for (int b = 0; b < 256 && !st; b++) {
        const char byte = (char)b;

        mapped.n = 0;
        st = gla__bytes_add_mapped(&mapped, &byte, 1);
        t->byte_ids[b] = gla__vocab_find(&t->vocab, mapped.p, mapped.n);
        (void)snprintf(name, sizeof(name), "<0x%02X>", (unsigned)b);
        t->fallback[b] = gla__vocab_find(&t->vocab, name, 6);
    }
    gla__bytes_free(&mapped);
    return st;
}

static gla_status read_model(gla_tokenizer *t, const json_t *model, gla_diag *diag)
{
    const json_t *unk = json_object_get(model, "unk_token");
    gla_status st = read_flag(model, "byte_fallback", &t->byte_fallback, diag);

    if (!st)
        st = read_flag(model, "fuse_unk", &t->fuse_unk, diag);
    if (!st)
        st = read_flag(model, "ignore_merges", &t->ignore_merges, diag);
    if (!st)
        st = read_vocab(t, json_object_get(model, "vocab"), diag);
    if (!st)
        st = read_merges(t, json_object_get(model, "merges"), diag);
    if (st)
        return st;
    t->unk = -1;
    if (unk && !json_is_null(unk)) {
        if (!json_is_string(unk))
            return gla__fail(diag, GLA_E_CORRUPT, "model: unk_token must be a string");
        t->has_unk = true;
        t->unk = gla__vocab_find(&t->vocab, json_string_value(unk), json_string_length(unk));
    }
    return find_bytes(t) ? gla__fail_nomem(diag, "vocabulary") : GLA_OK;
}

/* ---- added tokens ---- */

static gla_status read_added_token(gla_tokenizer *t, const json_t *v, gla_diag *diag)
{
    const json_t *content = json_object_get(v, "content");
    const char *text = json_string_value(content); /* make_room() has seen that it is there */
    const size_t size = json_string_length(content);
    const int32_t known = gla__vocab_find(&t->vocab, text, size);
    gla__added *a = &t->added[t->n_added];
    struct gla__token *token;

    if (!size)
        return GLA_OK;
    a->id = (uint32_t)json_integer_value(json_object_get(v, "id")); /* checked there too */
    token = &t->tokens[a->id];
    if (known >= 0 && (uint32_t)known != a->id)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "added token \"%.64s\" has id %u, in the vocabulary it has %d", text,
                         a->id, known);
    if (known < 0 && token->text)
        return gla__fail(diag, GLA_E_CORRUPT, "added token \"%.64s\" has id %u, which is \"%.64s\"",
                         text, a->id, token->text);
    a->content = gla__strndup(text, size);
    if (!a->content)
        return gla__fail_nomem(diag, "added tokens");
    t->n_added++;
    a->size = (uint32_t)size;
    a->single_word = json_is_true(json_object_get(v, "single_word"));
    a->lstrip = json_is_true(json_object_get(v, "lstrip"));
    a->rstrip = json_is_true(json_object_get(v, "rstrip"));
    a->special = json_is_true(json_object_get(v, "special"));
    a->normalized = json_object_get(v, "normalized")
                        ? json_is_true(json_object_get(v, "normalized"))
                        : !a->special;
    token->special = a->special;
    if (!token->text) {
        token->text = a->content;
        token->size = a->size;
    }
    if (!gla__vocab_add(&t->added_ids, a->content, a->size, a->id))
        return gla__fail(diag, GLA_E_CORRUPT, "added token \"%.64s\" is there twice", text);
    return GLA_OK;
}

/* A token that is sought in normalized text is normalized itself. */
static gla_status add_normalized(gla_tokenizer *t, const gla__added *a, int32_t index,
                                 gla_diag *diag)
{
    gla__bytes work[2] = {{0}};
    gla__regex_scratch scratch = {0};
    const char *s;
    size_t n;
    bool head = true;
    gla_status st = gla__normalize(t, work, &scratch, a->content, a->size, &s, &n, &head, diag);

    if (!st)
        st = gla__trie_add(&t->normalized, s, n, index);
    gla__bytes_free(&work[0]);
    gla__bytes_free(&work[1]);
    gla__regex_scratch_deinit(&scratch);
    return st;
}

static gla_status read_added(gla_tokenizer *t, const json_t *added, gla_diag *diag)
{
    const size_t n = json_array_size(added);
    gla_status st = GLA_OK;

    t->added = gla__alloc_array(n ? n : 1, sizeof(*t->added));
    if (!t->added || gla__vocab_init(&t->added_ids, n))
        return gla__fail_nomem(diag, "added tokens");
    for (size_t i = 0; i < n && !st; i++)
        st = read_added_token(t, json_array_get(added, i), diag);
    /* where two look the same after normalizing, special ones go first */
    for (int special = 1; special >= 0; special--) {
        for (size_t i = 0; i < t->n_added && !st; i++) {
            const gla__added *a = &t->added[i];

            if (a->special != (special == 1))
                continue;
            st = a->normalized ? add_normalized(t, a, (int32_t)i, diag)
                               : gla__trie_add(&t->raw, a->content, a->size, (int32_t)i);
        }
    }
    return st == GLA_E_NOMEM ? gla__fail_nomem(diag, "added tokens") : st;
}

/* ---- the whole ---- */

gla_status gla__tokenizer_read(gla_tokenizer *t, const json_t *root, gla_diag *diag)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *vocab = json_object_get(model, "vocab");
    const json_t *added = json_object_get(root, "added_tokens");
    gla_status st = check_model(model, diag);

    if (st)
        return st;
    if (!json_is_object(vocab))
        return gla__fail(diag, GLA_E_CORRUPT, "model: vocab must be an object");
    if (added && !json_is_null(added) && !json_is_array(added))
        return gla__fail(diag, GLA_E_CORRUPT, "added_tokens must be an array");
    st = make_room(t, vocab, added, diag);
    if (!st)
        st = read_model(t, model, diag);
    if (!st)
        st = gla__tokenizer_read_steps(t, root, diag);
    if (!st && find_neighbours(t))
        st = gla__fail_nomem(diag, "merges");
    return st ? st : read_added(t, added, diag);
}
