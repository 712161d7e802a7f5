/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/tokenizer.h>

#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/io.h"
#include "formats/text/json.h"
#include "formats/tokenizer/parts.h"

/* ---- opening and closing ---- */

void gla_tokenizer_free(gla_tokenizer *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n_normals; i++) {
        gla__free(t->normals[i].text);
        gla__regex_free(t->normals[i].regex);
    }
    for (uint32_t i = 0; i < t->n_pres; i++) {
        gla__free(t->pres[i].text);
        gla__regex_free(t->pres[i].regex);
    }
    for (uint32_t i = 0; i < t->n_decodes; i++) {
        gla__free(t->decodes[i].text);
        gla__regex_free(t->decodes[i].regex);
    }
    for (size_t i = 0; i < t->n_added; i++)
        gla__free(t->added[i].content);
    gla__free(t->added);
    gla__trie_deinit(&t->raw);
    gla__trie_deinit(&t->normalized);
    gla__vocab_deinit(&t->added_ids);
    gla__vocab_deinit(&t->vocab);
    gla__merges_deinit(&t->merges);
    gla__merges_deinit(&t->neighbours);
    gla__free(t->tokens);
    gla__free(t->arena);
    gla__free(t);
}

static gla_status build(const json_t *root, const char *name, gla_tokenizer **out, gla_diag *diag)
{
    gla_tokenizer *t = gla__alloc_zero(sizeof(*t));
    gla_status st = t ? gla__tokenizer_read(t, root, diag) : gla__fail_nomem(diag, "tokenizer");

    if (st) {
        gla__at(diag, name);
        gla_tokenizer_free(t);
        return st;
    }
    *out = t;
    return GLA_OK;
}

gla_status gla_tokenizer_parse(const char *json, size_t size, const char *name, gla_tokenizer **out,
                               gla_diag *diag)
{
    json_t *root;
    gla_status st;

    *out = NULL;
    st = gla__json_parse(json, size, GLA__TOK_MAX_FILE, name, &root, diag);
    if (st)
        return st;
    st = build(root, name, out, diag);
    json_decref(root);
    return st;
}

gla_status gla_tokenizer_open(const char *path, gla_tokenizer **out, gla_diag *diag)
{
    char *file;
    json_t *root = NULL;
    gla_status st;

    *out = NULL;
    file = gla__is_dir(path) ? gla__path_join(path, "tokenizer.json") : gla__strdup(path);
    if (!file)
        return gla__fail_nomem(diag, "path");
    st = gla__json_read(file, GLA__TOK_MAX_FILE, &root, diag);
    if (!st)
        st = build(root, file, out, diag);
    json_decref(root);
    gla__free(file);
    return st;
}

/* ---- encoding ---- */

static gla_status encode_normalized_gap(gla__encoder *e, const char *s, size_t n, bool head)
{
    return gla__pretokenize(e, 0, s, n, head);
}

static gla_status encode_gap(gla__encoder *e, const char *s, size_t n, bool head)
{
    gla_status st = gla__normalize(e->t, e->normal, &e->scratch, s, n, &s, &n, &head, e->diag);

    return st ? st : gla__added_split(e, &e->t->normalized, s, n, head, encode_normalized_gap);
}

static gla_status push_all(gla__encoder *e, const int32_t *ids, uint32_t n)
{
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < n && !st; i++)
        st = gla__encoder_push(e, (uint32_t)ids[i]);
    return st;
}

gla_status gla_tokenizer_encode(const gla_tokenizer *tok, const char *text, size_t size,
                                uint32_t flags, int32_t **ids, size_t *n, gla_diag *diag)
{
    gla__encoder e = {.t = tok, .plain = (flags & GLA_ENCODE_PLAIN) != 0, .diag = diag};
    size_t valid;
    gla_status st;

    *ids = NULL;
    *n = 0;
    gla__diag_clear(diag);
    if (flags & ~(GLA_ENCODE_SPECIAL | GLA_ENCODE_PLAIN))
        return gla__fail(diag, GLA_E_INVALID, "flags 0x%" PRIx32 ": not known", flags);
    if (size > GLA__TOK_MAX_TEXT)
        return gla__fail(diag, GLA_E_LIMIT, "text of %zu bytes, at most %u are encoded at once",
                         size, GLA__TOK_MAX_TEXT);
    valid = gla__utf8_valid(text, size);
    if (valid != size) {
        st = gla__fail(diag, GLA_E_INVALID, "text is not UTF-8 at byte %zu", valid);
        gla__at_offset(diag, valid);
        return st;
    }
    st = flags & GLA_ENCODE_SPECIAL ? push_all(&e, tok->prefix, tok->n_prefix) : GLA_OK;
    if (!st)
        st = gla__added_split(&e, &tok->raw, text, size, true, encode_gap);
    if (!st && flags & GLA_ENCODE_SPECIAL)
        st = push_all(&e, tok->suffix, tok->n_suffix);
    if (!st && !e.ids) { /* no ids are still something to release */
        e.ids = gla__alloc(sizeof(*e.ids));
        st = e.ids ? GLA_OK : GLA_E_NOMEM;
    }
    if (!st) {
        *ids = e.ids;
        *n = e.n_ids;
        e.ids = NULL;
    } else if (st == GLA_E_NOMEM) {
        st = gla__fail_nomem(diag, "token ids");
    }
    gla__encoder_deinit(&e);
    return st;
}

/* ---- looking up ---- */

uint32_t gla_tokenizer_vocab_size(const gla_tokenizer *tok)
{
    return tok->n_ids;
}

int32_t gla_tokenizer_id(const gla_tokenizer *tok, const char *token)
{
    const size_t n = strlen(token);
    const int32_t id = gla__vocab_find(&tok->added_ids, token, n);

    return id >= 0 ? id : gla__vocab_find(&tok->vocab, token, n);
}

const char *gla_tokenizer_token(const gla_tokenizer *tok, int32_t id)
{
    return id >= 0 && (uint32_t)id < tok->n_ids ? tok->tokens[id].text : NULL;
}

int gla_tokenizer_is_special(const gla_tokenizer *tok, int32_t id)
{
    return id >= 0 && (uint32_t)id < tok->n_ids && tok->tokens[id].special;
}
