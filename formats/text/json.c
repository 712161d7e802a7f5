/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/text/json.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/io.h"

/* Where we are in a text: the first look at it, which jansson does not give us. */
typedef struct scanner {
    const char *text;
    size_t size, at;
    uint32_t line;
    size_t line_start;
} scanner;

static gla_status fail_here(const scanner *s, gla_status st, const char *message, gla_diag *diag)
{
    gla__fail(diag, st, "%s", message);
    gla__at_line(diag, s->line, (uint32_t)(s->at - s->line_start + 1));
    return st;
}

/* Past the closing quote.  What is inside is jansson's to check. */
static void skip_string(scanner *s)
{
    for (s->at++; s->at < s->size && s->text[s->at] != '"' && s->text[s->at] != '\n'; s->at++) {
        if (s->text[s->at] == '\\' && s->at + 1 < s->size)
            s->at++;
    }
    if (s->at < s->size && s->text[s->at] == '"')
        s->at++;
}

/* The length of Infinity, -Infinity or NaN at the scanner, else 0. */
static size_t python_number(const scanner *s)
{
    static const char *const words[] = {"Infinity", "-Infinity", "NaN"};

    for (size_t i = 0; i < 3; i++) {
        const size_t n = strlen(words[i]);

        if (s->size - s->at >= n && !memcmp(s->text + s->at, words[i], n))
            return n;
    }
    return 0;
}

/* Checks the nesting and counts Python's numbers. */
static gla_status first_look(const char *text, size_t size, size_t *n_python, gla_diag *diag)
{
    scanner s = {text, size, 0, 1, 0};
    uint32_t depth = 0;

    *n_python = 0;
    while (s.at < size) {
        const char c = text[s.at];

        if (c == '"') {
            skip_string(&s);
            continue;
        }
        if ((c == '{' || c == '[') && ++depth > GLA__JSON_MAX_DEPTH)
            return fail_here(&s, GLA_E_LIMIT, "nested more than 64 levels deep", diag);
        if ((c == '}' || c == ']') && depth)
            depth--;
        if ((c == 'I' || c == 'N' || c == '-') && python_number(&s)) {
            if (depth == GLA__JSON_MAX_DEPTH) /* it becomes an object */
                return fail_here(&s, GLA_E_LIMIT, "nested more than 64 levels deep", diag);
            s.at += python_number(&s);
            (*n_python)++;
            continue;
        }
        s.at++;
        if (c == '\n') {
            s.line++;
            s.line_start = s.at;
        }
    }
    return GLA_OK;
}

/* Replaces each of the n Python numbers by {"__float__": "..."}; NULL when out of memory. */
static char *spell_python_numbers(const char *text, size_t size, size_t n, size_t *out_size)
{
    static const char before[] = "{\"__float__\":\"", after[] = "\"}";
    scanner s = {text, size, 0, 1, 0};
    size_t extra, total, used = 0, copied = 0;
    char *out;

    if (!gla__mul_size(n, sizeof(before) + sizeof(after), &extra) ||
        !gla__add_size(size, extra, &total))
        return NULL;
    out = gla__alloc(total);
    if (!out)
        return NULL;
    while (s.at < size) {
        const size_t length = text[s.at] == '"' ? 0 : python_number(&s);

        if (text[s.at] == '"') {
            skip_string(&s);
        } else if (length) {
            memcpy(out + used, text + copied, s.at - copied);
            used += s.at - copied;
            memcpy(out + used, before, sizeof(before) - 1);
            used += sizeof(before) - 1;
            memcpy(out + used, text + s.at, length);
            used += length;
            memcpy(out + used, after, sizeof(after) - 1);
            used += sizeof(after) - 1;
            s.at += length;
            copied = s.at;
        } else {
            s.at++;
        }
    }
    memcpy(out + used, text + copied, size - copied);
    *out_size = used + size - copied;
    return out;
}

static gla_status parse(const char *text, size_t size, json_t **out, gla_diag *diag)
{
    json_error_t error;

    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (*out)
        return GLA_OK;
    if (!*error.text) /* jansson says nothing of most allocations that fail */
        return gla__fail_nomem(diag, "JSON");
    gla__fail(diag, GLA_E_CORRUPT, "not valid JSON: %s", error.text);
    gla__at_line(diag, (uint32_t)error.line, error.column > 0 ? (uint32_t)error.column : 1);
    return GLA_E_CORRUPT;
}

gla_status gla__json_parse(const char *text, size_t size, uint64_t limit, const char *name,
                           json_t **out, gla_diag *diag)
{
    char *spelled = NULL;
    size_t n_python;
    gla_status st;

    *out = NULL;
    if (size > limit) {
        st = gla__fail(diag, GLA_E_LIMIT, "JSON of %zu bytes, at most %" PRIu64 " allowed", size,
                       limit);
        goto fail;
    }
    st = first_look(text, size, &n_python, diag);
    if (st)
        goto fail;
    if (n_python) {
        spelled = spell_python_numbers(text, size, n_python, &size);
        if (!spelled) {
            st = gla__fail_nomem(diag, "JSON");
            goto fail;
        }
    }
    st = parse(spelled ? spelled : text, size, out, diag);
    gla__free(spelled);
    if (!st)
        return GLA_OK;

fail:
    gla__at(diag, name);
    return st;
}

gla_status gla__json_read(const char *path, uint64_t limit, json_t **out, gla_diag *diag)
{
    char *text;
    size_t size;
    gla_status st;

    *out = NULL;
    st = gla__read_all(path, limit, &text, &size, diag);
    if (st)
        return st;
    st = gla__json_parse(text, size, limit, path, out, diag);
    gla__free(text);
    return st;
}

int gla__json_u64(const json_t *value, uint64_t *out)
{
    *out = 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -1;
    *out = (uint64_t)json_integer_value(value);
    return 0;
}

typedef struct text_buffer {
    char *data;
    size_t size, capacity;
    bool failed; /* jansson 2.14 forgets the failure of a callback inside nested values */
} text_buffer;

static int append_text(const char *data, size_t n, void *p)
{
    text_buffer *b = p;
    size_t wanted;

    if (!b->failed && n > b->capacity - b->size) {
        char *grown = gla__add_size(b->size, n, &wanted) && gla__mul_size(wanted, 2, &wanted)
                          ? gla__realloc(b->data, b->size, wanted)
                          : NULL;

        b->failed = !grown;
        if (grown) {
            b->data = grown;
            b->capacity = wanted;
        }
    }
    if (b->failed)
        return -1;
    memcpy(b->data + b->size, data, n);
    b->size += n;
    return 0;
}

gla_status gla__json_print(const json_t *value, char **text, size_t *size, gla_diag *diag)
{
    text_buffer b = {NULL, 0, 0, false};

    *text = NULL;
    *size = 0;
    if (json_dump_callback(value, append_text, &b, JSON_SORT_KEYS | JSON_COMPACT) ||
        append_text("", 1, &b) || b.failed) {
        gla__free(b.data);
        return gla__fail_nomem(diag, "JSON");
    }
    *text = b.data;
    *size = b.size - 1;
    return GLA_OK;
}
