/* SPDX-License-Identifier: Apache-2.0
 *
 * template.h - chat templates: the part of Jinja that published templates use
 *
 * lex.c cuts the text, parse.c turns it into a tree, run.c walks it,
 * call.c has attributes, methods and functions, filter.c filters and tests,
 * strings.c their work on texts, value.c the values.  White space is treated as
 * transformers does (trim_blocks, lstrip_blocks).  What is not known is refused by name, with its
 * line; a tuple is a list here.
 *
 * Steps, depth, memory and output are bounded.  Trees and values live in arenas: a tree as long as
 * its template, values as long as one rendering.  The first error of a parse or a rendering is
 * kept, and everything after it does nothing.  A parsed template is immutable.
 */
#ifndef GLA_FORMATS_CHAT_TEMPLATE_H
#define GLA_FORMATS_CHAT_TEMPLATE_H

#include <gla/status.h>
#include <jansson.h>
#include <stdbool.h>

#include "formats/text/utf8.h"

#define GLA__TPL_MAX_SOURCE (1u << 20)
#define GLA__TPL_MAX_DEPTH  200 /* of the tree, and of macros calling macros */
#define GLA__TPL_MAX_STEPS  20000000
#define GLA__TPL_MAX_MEMORY ((size_t)256 << 20)
#define GLA__TPL_MAX_OUTPUT ((size_t)64 << 20)

typedef struct gla__arena {
    struct gla__arena_block *blocks;
    size_t total, limit;
} gla__arena;

void *gla__arena_alloc(gla__arena *a, size_t n); /* NULL: no memory, or over the limit */
void gla__arena_free(gla__arena *a);

typedef struct gla__view {
    const char *p;
    size_t n;
} gla__view;

bool gla__view_is(gla__view v, const char *text);

/* ---- values ---- */

typedef enum gla__vkind {
    GLA__UNDEFINED,
    GLA__NONE,
    GLA__BOOL,
    GLA__INT,
    GLA__FLOAT,
    GLA__STRING,
    GLA__LIST,
    GLA__DICT,
    GLA__NAMESPACE,
    GLA__MACRO,
    GLA__LOOP,
    GLA__FUNCTION /* s: its name, or that of a method without its call */
} gla__vkind;

typedef struct gla__value {
    gla__vkind kind;
    union {
        int64_t i; /* BOOL, INT */
        double f;
        gla__view s;
        struct gla__list *list;
        struct gla__dict *dict; /* DICT, NAMESPACE */
        struct gla__macro *macro;
        struct gla__loop *loop;
    };
} gla__value;

typedef struct gla__list {
    size_t n, capacity;
    gla__value *items;
} gla__list;

typedef struct gla__dict { /* in the order of insertion */
    size_t n, capacity;
    struct gla__pair {
        gla__view key;
        gla__value value;
    } * pairs;
} gla__dict;

typedef struct gla__loop {
    const gla__list *items;
    size_t at;
} gla__loop;

/* ---- the tree ---- */

typedef enum gla__nkind {
    /* statements */
    GLA__S_TEXT,  /* text */
    GLA__S_PRINT, /* a */
    GLA__S_IF,    /* a: condition, b: body, c: else */
    GLA__S_FOR,   /* a: names, b: items, c: body, d: else, e: filter */
    GLA__S_SET,   /* a: name or attribute, b: value, or c: body */
    GLA__S_MACRO, /* text: name, a: parameters, b: body */
    GLA__S_BREAK,
    GLA__S_CONTINUE,
    /* expressions */
    GLA__E_CONST,  /* value */
    GLA__E_NAME,   /* text */
    GLA__E_LIST,   /* a: arguments */
    GLA__E_DICT,   /* a: pairs of a and b */
    GLA__E_ATTR,   /* a . text */
    GLA__E_ITEM,   /* a [ b ] */
    GLA__E_SLICE,  /* a [ b : c : d ] */
    GLA__E_CALL,   /* a ( b ) */
    GLA__E_FILTER, /* a | text ( b ) */
    GLA__E_TEST,   /* a is text ( b ) */
    GLA__E_NOT,
    GLA__E_NEG,
    GLA__E_POS,
    GLA__E_AND,
    GLA__E_OR,
    GLA__E_BINARY, /* a text b */
    GLA__E_COND,   /* a if b else c */
    GLA__E_ARG     /* text: keyword or empty, a: value or default */
} gla__nkind;

typedef struct gla__node {
    gla__nkind kind;
    uint32_t line;
    struct gla__node *a, *b, *c, *d, *e, *next;
    gla__view text;
    gla__value value;
} gla__node;

typedef struct gla__macro {
    const gla__node *node;
    struct gla__scope *scope; /* where it was defined */
} gla__macro;

/* source must live as long as the tree. */
gla_status gla__template_parse(gla__arena *arena, const char *source, size_t n,
                               const gla__node **out, gla_diag *diag);

/* ---- running ---- */

typedef struct gla__scope {
    struct gla__scope *parent;
    gla__dict vars;
} gla__scope;

typedef struct gla__run {
    gla__arena arena;
    gla_diag *diag;
    gla_status st; /* of the first error */
    uint32_t line; /* of the statement that runs */
    uint64_t steps;
    int depth;
    int flow; /* a loop is being left or continued */
    int64_t now;
    gla__bytes *out;
    gla__scope *scope;
} gla__run;

/* Renders to out with the variables (a JSON object). */
gla_status gla__template_run(const gla__node *body, const json_t *variables, int64_t now,
                             gla__bytes *out, gla_diag *diag);

__attribute__((format(printf, 3, 4))) void gla__run_fail(gla__run *r, gla_status st,
                                                         const char *format, ...);
/* NULL after a failure. */
void *gla__run_alloc(gla__run *r, size_t n);
bool gla__run_step(gla__run *r); /* false: stop */

/* ---- values (value.c) ---- */

gla__value gla__none(void);
gla__value gla__undefined(void);
gla__value gla__bool(bool b);
gla__value gla__int(int64_t i);
gla__value gla__string(const char *p, size_t n); /* not copied */
gla__value gla__copied(gla__run *r, const char *p, size_t n);
gla__value gla__new_list(gla__run *r);
void gla__list_add(gla__run *r, gla__list *l, gla__value v);
gla__value gla__new_dict(gla__run *r);
void gla__dict_set(gla__run *r, gla__dict *d, gla__view key, gla__value v);
const gla__value *gla__dict_get(const gla__dict *d, gla__view key);
gla__value gla__from_json(gla__run *r, const json_t *j);

const char *gla__kind_name(gla__vkind k);
bool gla__truth(gla__value v);
bool gla__equal(gla__run *r, gla__value a, gla__value b);
int gla__order(gla__run *r, gla__value a, gla__value b); /* -1, 0, 1: numbers, strings */
bool gla__contains(gla__run *r, gla__value item, gla__value in);
/* As Python's str(); lists and mappings are refused. */
void gla__print(gla__run *r, gla__bytes *out, gla__value v);
gla__view gla__text_of(gla__run *r, gla__value v);

/* As Python's json.dumps() takes it. */
typedef struct gla__json_form {
    int indent;             /* < 0: on one line */
    gla__view comma, colon; /* between items, behind a key */
    bool sorted;            /* by key */
} gla__json_form;

void gla__to_json(gla__run *r, gla__bytes *out, gla__value v, const gla__json_form *form);
/* What a loop goes through: elements, keys, characters. */
gla__list *gla__items_of(gla__run *r, gla__value v);
gla__value gla__taken(gla__run *r, gla__bytes *b); /* a string; b is freed */
void gla__append(gla__run *r, gla__bytes *b, const char *p, size_t n);

/* ---- calls (call.c, filter.c) ---- */

typedef struct gla__args {
    gla__value positional[8];
    size_t n;
    gla__dict named;
} gla__args;

gla__value gla__call_filter(gla__run *r, gla__view name, gla__value v, const gla__args *args);
bool gla__call_test(gla__run *r, gla__view name, gla__value v, const gla__args *args);
gla__value gla__call_method(gla__run *r, gla__value self, gla__view name, const gla__args *args);
gla__value gla__call_function(gla__run *r, gla__view name, const gla__args *args);
bool gla__is_function(gla__view name);
gla__value gla__attribute(gla__run *r, gla__value v, gla__view name); /* v.name */
gla__value gla__element(gla__run *r, gla__value of, gla__value key);  /* of[key] */

#endif
