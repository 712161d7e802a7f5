/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <errno.h>
#include <gla/gla.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef gla__fail /* for the analyser only: diag.h */
#undef gla__fail_nomem
#undef gla__fail_errno

bool gla__is_status(gla_status status)
{
    switch (status) {
    case GLA_OK:
#define CASE(name, value, text) case value:
        GLA_STATUS_MAP(CASE)
#undef CASE
        return true;
    default:
        return false;
    }
}

const char *gla_status_name(gla_status status)
{
    switch (status) {
    case GLA_OK:
        return "OK";
#define NAME(name, value, text)                                                                    \
    case value:                                                                                    \
        return #name;
        GLA_STATUS_MAP(NAME)
#undef NAME
    default:
        return "unknown";
    }
}

const char *gla_status_text(gla_status status)
{
    switch (status) {
    case GLA_OK:
        return "success";
#define TEXT(name, value, text)                                                                    \
    case value:                                                                                    \
        return text;
        GLA_STATUS_MAP(TEXT)
#undef TEXT
    default:
        return "unknown status";
    }
}

/* Bytes of the character at s if it is whole UTF-8 and has something to show, else 0.  The
 * library's other reader of UTF-8, formats/text/utf8.c, stands above this room and links utf8proc.
 */
static size_t shown(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000}; /* below 0xa0: control */
    const size_t n = *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
    uint32_t c = *s & (0x7fu >> n);

    if (*s < 0x80)
        return *s >= 0x20 && *s != 0x7f;
    if (*s < 0xc2 || *s > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? n : 0;
}

const char *gla_text_clean(char *text)
{
    for (char *s = text; *s;) {
        const size_t n = shown((const unsigned char *)s);

        if (!n)
            *s = '?';
        s += n ? n : 1;
    }
    return text;
}

/* Appends formatted text at *used; stops quietly at the end of the buffer. */
__attribute__((format(printf, 4, 5))) static void append(char *buf, size_t size, size_t *used,
                                                         const char *format, ...)
{
    va_list args;
    int n;

    if (*used >= size)
        return;
    va_start(args, format);
    n = vsnprintf(buf + *used, size - *used, format, args);
    va_end(args);
    if (n > 0)
        *used += (size_t)n;
}

void gla__diag_clear(gla_diag *diag)
{
    if (!diag)
        return;
    memset(diag, 0, sizeof(*diag));
    diag->offset = UINT64_MAX;
}

gla_status gla__fail(gla_diag *diag, gla_status status, const char *format, ...)
{
    va_list args;

    if (!diag)
        return status;
    gla__diag_clear(diag);
    diag->status = status;
    va_start(args, format);
    vsnprintf(diag->message, sizeof(diag->message), format, args);
    va_end(args);
    gla_text_clean(diag->message);
    return status;
}

gla_status gla__fail_nomem(gla_diag *diag, const char *what)
{
    return gla__fail(diag, GLA_E_NOMEM, "out of memory for %s", what);
}

gla_status gla__fail_errno(gla_diag *diag, int err, const char *what)
{
    char text[96];
    const char *reason = strerror_r(err, text, sizeof(text)) == 0 ? text : "unknown error";

    return gla__fail(diag, err == ENOMEM ? GLA_E_NOMEM : GLA_E_IO, "%s: %s", what, reason);
}

void gla__at(gla_diag *diag, const char *outer)
{
    char inner[sizeof(diag->where)];
    size_t used = 0;

    if (!diag)
        return;
    memcpy(inner, diag->where, sizeof(inner));
    append(diag->where, sizeof(diag->where), &used, "%s", outer);
    if (inner[0])
        append(diag->where, sizeof(diag->where), &used, ": %s", inner);
    gla_text_clean(diag->where);
}

void gla__at_format(gla_diag *diag, const char *format, ...)
{
    char outer[sizeof(diag->where)];
    va_list args;

    va_start(args, format);
    vsnprintf(outer, sizeof(outer), format, args);
    va_end(args);
    gla__at(diag, outer);
}

void gla__at_line(gla_diag *diag, uint32_t line, uint32_t column)
{
    if (!diag)
        return;
    diag->line = line;
    diag->column = column;
}

void gla__at_offset(gla_diag *diag, uint64_t offset)
{
    if (diag)
        diag->offset = offset;
}

void gla__hint(gla_diag *diag, const char *format, ...)
{
    va_list args;

    if (!diag)
        return;
    va_start(args, format);
    vsnprintf(diag->hint, sizeof(diag->hint), format, args);
    va_end(args);
    gla_text_clean(diag->hint);
}

const char *gla_diag_format(const gla_diag *diag, char *buf, size_t size)
{
    size_t used = 0;

    if (!size)
        return "";
    buf[0] = '\0';
    if (diag->where[0])
        append(buf, size, &used, "%s", diag->where);
    if (diag->line)
        append(buf, size, &used, ":%" PRIu32, diag->line);
    if (diag->line && diag->column)
        append(buf, size, &used, ":%" PRIu32, diag->column);
    if (used)
        append(buf, size, &used, ": ");
    append(buf, size, &used, "%s",
           diag->message[0] ? diag->message : gla_status_text(diag->status));
    if (diag->offset != UINT64_MAX)
        append(buf, size, &used, " (offset %" PRIu64 ")", diag->offset);
    if (diag->hint[0])
        append(buf, size, &used, "; hint: %s", diag->hint);
    return buf;
}

/* Levenshtein distance, 255 for long words: names here are short. */
static size_t edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    size_t row[64];

    if (n >= 64 || m >= 64)
        return 255;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t up = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = up;
            row[j] = best;
        }
    }
    return row[m];
}

const char *gla__nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2;

    for (size_t i = 0; i < n; i++) {
        const size_t d = edit_distance(word, candidates[i]);

        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    return best;
}

static gla__logger process_log;

void gla_set_log(gla_log_fn *fn, void *ctx, int32_t min_level)
{
    process_log = (gla__logger){fn, ctx, min_level};
}

void gla__log_to(const gla__logger *logger, int32_t level, const char *format, ...)
{
    const gla__logger *to = logger && logger->fn ? logger : &process_log;
    char text[512];
    va_list args;

    if (!to->fn || level < to->level)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gla_text_clean(text);
    to->fn(to->ctx, level, text);
}
