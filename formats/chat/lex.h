/* SPDX-License-Identifier: Apache-2.0
 *
 * lex.h - the tokens of a chat template's tags, and the white space around them
 *
 * For parse.c only.  The lexer is its caller's; what it points to is the source, or in the arena.
 * The first error stays in `st`.
 */
#ifndef GLA_FORMATS_CHAT_LEX_H
#define GLA_FORMATS_CHAT_LEX_H

#include "formats/chat/template.h"

typedef enum gla__tpl_lex_kind {
    GLA__TPL_LEX_END_OF_TAG,
    GLA__TPL_LEX_NAME,
    GLA__TPL_LEX_TEXT,
    GLA__TPL_LEX_NUMBER,
    GLA__TPL_LEX_SIGN
} gla__tpl_lex_kind;

typedef struct gla__tpl_lex_token {
    gla__tpl_lex_kind kind;
    gla__tpl_view text; /* of a string: without quotes, escapes undone */
    gla__tpl_value value;
    uint32_t line;
} gla__tpl_lex_token;

typedef struct gla__tpl_lexer {
    gla__tpl_arena *arena;
    const char *s;
    size_t n, at;
    uint32_t line;
    bool line_start; /* the text that follows begins a line */
    bool variable;   /* in {{ }}, not in {% %} */
    int braces;      /* open ones of the expression */
    int depth;
    gla__tpl_lex_token t; /* the next token of the tag */
    gla_status st;
    gla_diag *diag;
} gla__tpl_lexer;

void gla__tpl_lex_fail(gla__tpl_lexer *p, gla_status st, const char *what, gla__tpl_view name);
void gla__tpl_lex_advance(gla__tpl_lexer *p, size_t n);
bool gla__tpl_lex_looking_at(const gla__tpl_lexer *p, const char *text);
bool gla__tpl_lex_is_blank(char c);
/* Takes the end of a tag and the white space that goes with it; trim: as a block's end. */
bool gla__tpl_lex_end_of_tag(gla__tpl_lexer *p, const char *close, bool trim);
/* The next token of the tag, to p->t. */
void gla__tpl_lex_next(gla__tpl_lexer *p);

#endif
