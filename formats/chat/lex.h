/* SPDX-License-Identifier: Apache-2.0
 *
 * lex.h - the tokens of a chat template's tags, and the white space around them
 *
 * For parse.c only.  The lexer is its caller's; what it points to is the source, or in the
 * arena.  The first error stays in `st`.
 */
#ifndef GLA_FORMATS_CHAT_LEX_H
#define GLA_FORMATS_CHAT_LEX_H

#include "formats/chat/template.h"

typedef enum gla__lex_kind {
    GLA__LEX_END_OF_TAG,
    GLA__LEX_NAME,
    GLA__LEX_TEXT,
    GLA__LEX_NUMBER,
    GLA__LEX_SIGN
} gla__lex_kind;

typedef struct gla__lex_token {
    gla__lex_kind kind;
    gla__view text; /* of a string: without quotes, escapes undone */
    gla__value value;
    uint32_t line;
} gla__lex_token;

typedef struct gla__lexer {
    gla__arena *arena;
    const char *s;
    size_t n, at;
    uint32_t line;
    bool line_start; /* the text that follows begins a line */
    bool variable;   /* in {{ }}, not in {% %} */
    int braces;      /* open ones of the expression */
    int depth;
    gla__lex_token t; /* the next token of the tag */
    gla_status st;
    gla_diag *diag;
} gla__lexer;

void gla__lex_fail(gla__lexer *p, gla_status st, const char *what, gla__view name);
void gla__lex_advance(gla__lexer *p, size_t n);
bool gla__lex_looking_at(const gla__lexer *p, const char *text);
bool gla__lex_is_blank(char c);
/* Takes the end of a tag and the white space that goes with it; trim: as a block's end. */
bool gla__lex_end_of_tag(gla__lexer *p, const char *close, bool trim);
/* The next token of the tag, to p->t. */
void gla__lex_next(gla__lexer *p);

#endif
