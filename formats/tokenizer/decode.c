/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding: each step takes tokens, in chunks of whole characters, and hands on what is certain.
 * `ends` says that the chunk completes its token; after a step that fuses everything, the one
 * token ends when the stream does.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/tokenizer/parts.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

struct gla_detokenizer {
    const gla_tokenizer *t;
    bool skip_special, broken; /* broken: out of memory, text is lost */
    struct step_state {
        gla__bytes held; /* not certain yet */
        gla__bytes made; /* what goes to the next step: a token goes there in one piece */
        uint64_t count;  /* JOIN, METASPACE: tokens; STRIP: characters stripped in this token */
        bool inside;     /* STRIP: past the beginning of the token */
    } states[GLA__TOK_MAX_STEPS];
    gla__bytes out;
    gla__regex_scratch scratch;
};

static gla_status push(gla_detokenizer *d, uint32_t i, const char *s, size_t n, bool ends);

/* ---- bytes ---- */

/* Passes on the characters that are complete; at the end also what never will be. */
static gla_status drain_bytes(gla_detokenizer *d, uint32_t i, bool end)
{
    gla__bytes *b = &d->states[i].held;
    size_t at = 0, from = 0;
    gla_status st = GLA_OK;

    while (at < b->n && !st) {
        const int size = gla__utf8_check(b->p + at, b->n - at);

        if (size > 0) {
            at += (size_t)size;
            continue;
        }
        if (!size && !end)
            break;
        if (at > from)
            st = push(d, i + 1, b->p + from, at - from, false);
        if (!st)
            st = push(d, i + 1, REPLACEMENT, 3, false);
        at = from = size ? at + (size_t)-size : b->n;
    }
    if (!st && at > from)
        st = push(d, i + 1, b->p + from, at - from, false);
    gla__bytes_drop(b, at);
    return st;
}

static gla_status byte_level(gla_detokenizer *d, uint32_t i, const char *s, size_t n)
{
    gla__bytes *b = &d->states[i].held;
    const size_t before = b->n;
    size_t size;
    gla_status st = gla__bytes_reserve(b, n + 1);

    for (size_t k = 0; k < n && !st; k += size) {
        const int byte = gla__char_to_byte(gla__utf8_next(s + k, &size));

        if (byte < 0) { /* an added token with other characters: as it is */
            b->n = before;
            st = gla__bytes_add(b, s, n);
            break;
        }
        b->p[b->n++] = (char)byte;
    }
    return st ? st : drain_bytes(d, i, false);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A run of byte tokens is text only as a whole: one U+FFFD for each byte if it is not UTF-8. */
static gla_status end_run(gla_detokenizer *d, uint32_t i)
{
    gla__bytes *b = &d->states[i].held;
    const size_t n = b->n;
    gla_status st = GLA_OK;

    b->n = 0;
    if (!n)
        return GLA_OK;
    if (gla__utf8_valid(b->p, n) == n)
        return push(d, i + 1, b->p, n, true);
    for (size_t k = 0; k < n && !st; k++)
        st = push(d, i + 1, REPLACEMENT, 3, true);
    return st;
}

static gla_status byte_fallback(gla_detokenizer *d, uint32_t i, const char *s, size_t n)
{
    gla_status st;

    if (n == 6 && !memcmp(s, "<0x", 3) && s[5] == '>' && hex_digit(s[3]) >= 0 &&
        hex_digit(s[4]) >= 0) {
        const char byte = (char)(hex_digit(s[3]) * 16 + hex_digit(s[4]));

        return gla__bytes_add(&d->states[i].held, &byte, 1);
    }
    st = end_run(d, i);
    return st ? st : push(d, i + 1, s, n, true);
}

/* ---- texts ---- */

/* How much of the end of s may be the beginning of the literal. */
static size_t partial_match(const gla__regex *re, const char *s, size_t n)
{
    size_t size, k;
    const char *text = gla__regex_text(re, &size);

    for (k = size - 1 < n ? size - 1 : n; k > 0; k--)
        if (!memcmp(s + n - k, text, k))
            break;
    return k;
}

static gla_status replace(gla_detokenizer *d, uint32_t i, const char *s, size_t n, bool ends)
{
    const gla__decode *step = &d->t->decodes[i];
    gla__bytes *held = &d->states[i].held, *made = &d->states[i].made;
    size_t literal, certain, done = 0, start = 0, end = 0;
    const char *text;
    gla__finder f;
    bool found;
    gla_status st = gla__bytes_add(held, s, n);

    if (st || (!ends && !gla__regex_text(step->regex, &literal)))
        return st; /* a pattern needs the whole token */
    made->n = 0;
    text = held->n ? held->p : ""; /* a token may be empty: in no text nothing is found */
    f = gla__find(step->regex, text, held->n);
    while (held->n) {
        st = gla__find_next(&f, &d->scratch, &found, &start, &end, NULL);
        if (st || !found)
            break;
        st = gla__bytes_add(made, text + done, start - done);
        if (!st)
            st = gla__bytes_add(made, step->text, step->size);
        if (st)
            break;
        done = end;
    }
    if (st)
        return st;
    certain = held->n - (ends ? 0 : partial_match(step->regex, text + done, held->n - done));
    st = gla__bytes_add(made, text + done, certain - done);
    gla__bytes_drop(held, certain);
    return st || !(made->n || ends) ? st : push(d, i + 1, made->p, made->n, ends);
}

static bool has_char(const gla__decode *step, const char *s, size_t n)
{
    return n >= step->size && !memcmp(s, step->text, step->size);
}

static gla_status strip(gla_detokenizer *d, uint32_t i, const char *s, size_t n, bool ends)
{
    const gla__decode *step = &d->t->decodes[i];
    struct step_state *state = &d->states[i];
    gla__bytes *held = &state->held;
    size_t keep;
    uint64_t tail = 0;
    gla_status st;

    while (!state->inside && n) {
        if (state->count < step->start && has_char(step, s, n)) {
            state->count++;
            s += step->size;
            n -= step->size;
        } else {
            state->inside = true;
        }
    }
    st = gla__bytes_add(held, s, n);
    if (st)
        return st;
    for (keep = held->n; tail < step->stop && keep >= step->size; tail++) {
        if (!has_char(step, held->p + keep - step->size, step->size))
            break;
        keep -= step->size;
    }
    if (keep || ends)
        st = push(d, i + 1, held->p, keep, ends);
    gla__bytes_drop(held, ends ? held->n : keep);
    if (ends) {
        state->count = 0;
        state->inside = false;
    }
    return st;
}

static gla_status metaspace(gla_detokenizer *d, uint32_t i, const char *s, size_t n, bool ends)
{
    const gla__decode *step = &d->t->decodes[i];
    const bool drop = step->drop_first && d->states[i].count == 0;
    gla__bytes *made = &d->states[i].made;
    gla_status st = GLA_OK;

    made->n = 0;
    for (size_t k = 0, size; k < n && !st; k += size) {
        (void)gla__utf8_next(s + k, &size);
        if (size != step->size || memcmp(s + k, step->text, size))
            st = gla__bytes_add(made, s + k, size);
        else if (!drop)
            st = gla__bytes_add(made, " ", 1);
    }
    d->states[i].count += ends;
    return st ? st : push(d, i + 1, made->p, made->n, ends);
}

/* ---- the line of steps ---- */

static gla_status push(gla_detokenizer *d, uint32_t i, const char *s, size_t n, bool ends)
{
    gla_status st = GLA_OK;

    if (i == d->t->n_decodes)
        return gla__bytes_add(&d->out, s, n);
    switch (d->t->decodes[i].kind) {
    case GLA__DECODE_JOIN:
        if (d->states[i].count++)
            st = push(d, i + 1, " ", 1, false);
        return st ? st : push(d, i + 1, s, n, ends);
    case GLA__DECODE_BYTES:
        return byte_level(d, i, s, n);
    case GLA__DECODE_REPLACE:
        return replace(d, i, s, n, ends);
    case GLA__DECODE_BYTE_FALLBACK:
        return byte_fallback(d, i, s, n);
    case GLA__DECODE_FUSE:
        return push(d, i + 1, s, n, false);
    case GLA__DECODE_STRIP:
        return strip(d, i, s, n, ends);
    case GLA__DECODE_METASPACE:
        return metaspace(d, i, s, n, ends);
    }
    return st;
}

static gla_status finish(gla_detokenizer *d, uint32_t i)
{
    gla_status st;

    switch (d->t->decodes[i].kind) {
    case GLA__DECODE_BYTES:
        st = drain_bytes(d, i, true);
        return st ? st : push(d, i + 1, "", 0, true);
    case GLA__DECODE_FUSE:
        return push(d, i + 1, "", 0, true);
    case GLA__DECODE_BYTE_FALLBACK:
        return end_run(d, i);
    default:
        return GLA_OK;
    }
}

static gla_status failed(gla_status st, gla_diag *diag)
{
    return st == GLA_E_NOMEM ? gla__fail_nomem(diag, "decoded text")
                             : gla__fail(diag, st, "the decoder's pattern needs too many steps");
}

gla_status gla_detokenizer_create(const gla_tokenizer *tok, uint32_t flags, gla_detokenizer **out,
                                  gla_diag *diag)
{
    gla_detokenizer *d;

    *out = NULL;
    if (flags & ~GLA_DECODE_SKIP_SPECIAL)
        return gla__fail(diag, GLA_E_INVALID, "flags 0x%" PRIx32 ": not known", flags);
    d = gla__alloc_zero(sizeof(*d));
    if (!d)
        return failed(GLA_E_NOMEM, diag);
    d->t = tok;
    d->skip_special = flags & GLA_DECODE_SKIP_SPECIAL;
    *out = d;
    return GLA_OK;
}

void gla_detokenizer_free(gla_detokenizer *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < GLA__TOK_MAX_STEPS; i++) {
        gla__bytes_free(&d->states[i].held);
        gla__bytes_free(&d->states[i].made);
    }
    gla__bytes_free(&d->out);
    gla__regex_scratch_deinit(&d->scratch);
    gla__free(d);
}

static gla_status hand_out(gla_detokenizer *d, gla_status st, const char **text, size_t *size,
                           gla_diag *diag)
{
    if (!st)
        st = gla__bytes_reserve(&d->out, 1);
    if (st) {
        d->broken = true;
        return failed(st, diag);
    }
    d->out.p[d->out.n] = '\0';
    *text = d->out.p;
    *size = d->out.n;
    return GLA_OK;
}

static gla_status feed(gla_detokenizer *d, int32_t id)
{
    const gla_tokenizer *t = d->t;

    if (id < 0 || (uint32_t)id >= t->n_ids || !t->tokens[id].text)
        return GLA_OK; /* models have more rows than the vocabulary has tokens */
    if (d->skip_special && t->tokens[id].special)
        return GLA_OK;
    return push(d, 0, t->tokens[id].text, t->tokens[id].size, true);
}

gla_status gla_detokenizer_next(gla_detokenizer *d, int32_t id, const char **text, size_t *size,
                                gla_diag *diag)
{
    *text = "";
    *size = 0;
    if (d->broken)
        return failed(GLA_E_NOMEM, diag);
    d->out.n = 0;
    return hand_out(d, feed(d, id), text, size, diag);
}

gla_status gla_detokenizer_end(gla_detokenizer *d, const char **text, size_t *size, gla_diag *diag)
{
    gla_status st = GLA_OK;

    *text = "";
    *size = 0;
    if (d->broken)
        return failed(GLA_E_NOMEM, diag);
    d->out.n = 0;
    for (uint32_t i = 0; i < d->t->n_decodes && !st; i++)
        st = finish(d, i);
    st = hand_out(d, st, text, size, diag);
    for (uint32_t i = 0; i < GLA__TOK_MAX_STEPS; i++) { /* ready for another text */
        d->states[i].held.n = 0;
        d->states[i].count = 0;
        d->states[i].inside = false;
    }
    return st;
}

gla_status gla_tokenizer_decode(const gla_tokenizer *tok, const int32_t *ids, size_t n,
                                uint32_t flags, char **text, size_t *size, gla_diag *diag)
{
    gla_detokenizer *d;
    const char *end;
    size_t end_size;
    gla_status st;

    *text = NULL;
    *size = 0;
    gla__diag_clear(diag);
    st = gla_detokenizer_create(tok, flags, &d, diag);
    if (st)
        return st;
    for (size_t i = 0; i < n && !st; i++)
        st = feed(d, ids[i]);
    for (uint32_t i = 0; i < tok->n_decodes && !st; i++)
        st = finish(d, i);
    st = hand_out(d, st, &end, &end_size, diag);
    if (!st) {
        *text = d->out.p; /* the whole: nothing was taken from it */
        *size = d->out.n;
        memset(&d->out, 0, sizeof(d->out));
    }
    gla_detokenizer_free(d);
    return st;
}
