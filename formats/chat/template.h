/* SPDX-License-Identifier: Apache-2.0
 *
 * template.h - chat templates: the part of Jinja that published templates use
 *
 * lex.c cuts the text, parse.c turns it into a tree, run.c walks it, call.c has attributes, methods
 * and functions, filter.c filters and tests, strings.c their work on texts, value.c the values.
 * White space is treated as transformers does (trim_blocks, lstrip_blocks).  What is not known is
 * refused by name, with its line; a tuple is a list here.
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

typedef struct gla__tpl_arena {
    struct gla__tpl_arena_block *blocks;
    size_t total, limit;
} gla__tpl_arena;

void *gla__tpl_arena_alloc(gla__tpl_arena *a, size_t n); /* NULL: no memory, or over the limit */
void gla__tpl_arena_free(gla__tpl_arena *a);

typedef struct gla__tpl_view {
    const char *p;
    size_t n;
} gla__tpl_view;

bool gla__tpl_view_is(gla__tpl_view v, const char *text);

/* ---- values ---- */

typedef enum gla__tpl_vkind {
    GLA__TPL_UNDEFINED,
    GLA__TPL_NONE,
    GLA__TPL_BOOL,
    GLA__TPL_INT,
    GLA__TPL_FLOAT,
    GLA__TPL_STRING,
    GLA__TPL_LIST,
    GLA__TPL_DICT,
    GLA__TPL_NAMESPACE,
    GLA__TPL_MACRO,
    GLA__TPL_LOOP,
    GLA__TPL_FUNCTION /* s: its name, or that of a method without its call */
} gla__tpl_vkind;

typedef struct gla__tpl_value {
    gla__tpl_vkind kind;
    union {
        int64_t i; /* BOOL, INT */
        double f;
        gla__tpl_view s;
        struct gla__tpl_list *list;
        struct gla__tpl_dict *dict; /* DICT, NAMESPACE */
        struct gla__tpl_macro *macro;
        struct gla__tpl_loop *loop;
    };
} gla__tpl_value;

typedef struct gla__tpl_list {
    size_t n, capacity;
    gla__tpl_value *items;
} gla__tpl_list;

typedef struct gla__tpl_dict { /* in the order of insertion */
    size_t n, capacity;
    struct gla__tpl_pair {
        gla__tpl_view key;
        gla__tpl_value value;
    } * pairs;
} gla__tpl_dict;

typedef struct gla__tpl_loop {
    const gla__tpl_list *items;
    size_t at;
} gla__tpl_loop;

/* ---- the tree ---- */

typedef enum gla__tpl_nkind {
    /* statements */
    GLA__TPL_S_TEXT,  /* text */
    GLA__TPL_S_PRINT, /* a */
    GLA__TPL_S_IF,    /* a: condition, b: body, c: else */
    GLA__TPL_S_FOR,   /* a: names, b: items, c: body, d: else, e: filter */
    GLA__TPL_S_SET,   /* a: name or attribute, b: value, or c: body */
    GLA__TPL_S_MACRO, /* text: name, a: parameters, b: body */
    GLA__TPL_S_BREAK,
    GLA__TPL_S_CONTINUE,
    /* expressions */
    GLA__TPL_E_CONST,  /* value */
    GLA__TPL_E_NAME,   /* text */
    GLA__TPL_E_LIST,   /* a: arguments */
    GLA__TPL_E_DICT,   /* a: pairs of a and b */
    GLA__TPL_E_ATTR,   /* a . text */
    GLA__TPL_E_ITEM,   /* a [ b ] */
    GLA__TPL_E_SLICE,  /* a [ b : c : d ] */
    GLA__TPL_E_CALL,   /* a ( b ) */
    GLA__TPL_E_FILTER, /* a | text ( b ) */
    GLA__TPL_E_TEST,   /* a is text ( b ) */
    GLA__TPL_E_NOT,
    GLA__TPL_E_NEG,
    GLA__TPL_E_POS,
    GLA__TPL_E_AND,
    GLA__TPL_E_OR,
    GLA__TPL_E_BINARY, /* a text b */
    GLA__TPL_E_COND,   /* a if b else c */
    GLA__TPL_E_ARG     /* text: keyword or empty, a: value or default */
} gla__tpl_nkind;

typedef struct gla__tpl_node {
    gla__tpl_nkind kind;
    uint32_t line;
    struct gla__tpl_node *a, *b, *c, *d, *e, *next;
    gla__tpl_view text;
    gla__tpl_value value;
} gla__tpl_node;

typedef struct gla__tpl_macro {
    const gla__tpl_node *node;
    struct gla__tpl_scope *scope; /* where it was defined */
} gla__tpl_macro;

/* source must live as long as the tree. */
gla_status gla__tpl_parse(gla__tpl_arena *arena, const char *source, size_t n,
                          const gla__tpl_node **out, gla_diag *diag);

/* ---- running ---- */

typedef struct gla__tpl_scope {
    struct gla__tpl_scope *parent;
    gla__tpl_dict vars;
} gla__tpl_scope;

typedef struct gla__tpl_run {
    gla__tpl_arena arena;
    gla_diag *diag;
    gla_status st; /* of the first error */
    uint32_t line; /* of the statement that runs */
    uint64_t steps;
    int depth;
    int flow; /* a loop is being left or continued */
    int64_t now;
    gla__bytes *out;
    gla__tpl_scope *scope;
} gla__tpl_run;

/* Renders to out with the variables (a JSON object). */
gla_status gla__tpl_render(const gla__tpl_node *body, const json_t *variables, int64_t now,
                           gla__bytes *out, gla_diag *diag);

__attribute__((format(printf, 3, 4))) void gla__tpl_fail(gla__tpl_run *r, gla_status st,
                                                         const char *format, ...);
/* NULL after a failure. */
void *gla__tpl_alloc(gla__tpl_run *r, size_t n);
bool gla__tpl_step(gla__tpl_run *r); /* false: stop */

/* ---- values (value.c) ---- */

gla__tpl_value gla__tpl_none(void);
gla__tpl_value gla__tpl_undefined(void);
gla__tpl_value gla__tpl_bool(bool b);
gla__tpl_value gla__tpl_int(int64_t i);
gla__tpl_value gla__tpl_string(const char *p, size_t n); /* not copied */
gla__tpl_value gla__tpl_copied(gla__tpl_run *r, const char *p, size_t n);
gla__tpl_value gla__tpl_new_list(gla__tpl_run *r);
void gla__tpl_list_add(gla__tpl_run *r, gla__tpl_list *l, gla__tpl_value v);
gla__tpl_value gla__tpl_new_dict(gla__tpl_run *r);
void gla__tpl_dict_set(gla__tpl_run *r, gla__tpl_dict *d, gla__tpl_view key, gla__tpl_value v);
const gla__tpl_value *gla__tpl_dict_get(const gla__tpl_dict *d, gla__tpl_view key);
gla__tpl_value gla__tpl_from_json(gla__tpl_run *r, const json_t *j);

const char *gla__tpl_kind_name(gla__tpl_vkind k);
bool gla__tpl_truth(gla__tpl_value v);
bool gla__tpl_equal(gla__tpl_run *r, gla__tpl_value a, gla__tpl_value b);
int gla__tpl_order(gla__tpl_run *r, gla__tpl_value a,
                   gla__tpl_value b); /* -1, 0, 1: numbers, strings */
bool gla__tpl_contains(gla__tpl_run *r, gla__tpl_value item, gla__tpl_value in);
/* As Python's str(); lists and mappings are refused. */
void gla__tpl_print(gla__tpl_run *r, gla__bytes *out, gla__tpl_value v);
gla__tpl_view gla__tpl_text_of(gla__tpl_run *r, gla__tpl_value v);

/* As Python's json.dumps() takes it. */
typedef struct gla__tpl_json_form {
    int indent;                 /* < 0: on one line */
    gla__tpl_view comma, colon; /* between items, behind a key */
    bool sorted;                /* by key */
} gla__tpl_json_form;

void gla__tpl_to_json(gla__tpl_run *r, gla__bytes *out, gla__tpl_value v,
                      const gla__tpl_json_form *form);
/* What a loop goes through: elements, keys, characters. */
gla__tpl_list *gla__tpl_items_of(gla__tpl_run *r, gla__tpl_value v);
gla__tpl_value gla__tpl_taken(gla__tpl_run *r, gla__bytes *b); /* a string; b is freed */
void gla__tpl_append(gla__tpl_run *r, gla__bytes *b, const char *p, size_t n);

/* ---- calls (call.c, filter.c) ---- */

typedef struct gla__tpl_args {
    gla__tpl_value positional[8];
    size_t n;
    gla__tpl_dict named;
} gla__tpl_args;

gla__tpl_value gla__tpl_call_filter(gla__tpl_run *r, gla__tpl_view name, gla__tpl_value v,
                                    const gla__tpl_args *args);
bool gla__tpl_call_test(gla__tpl_run *r, gla__tpl_view name, gla__tpl_value v,
                        const gla__tpl_args *args);
gla__tpl_value gla__tpl_call_method(gla__tpl_run *r, gla__tpl_value self, gla__tpl_view name,
                                    const gla__tpl_args *args);
gla__tpl_value gla__tpl_call_function(gla__tpl_run *r, gla__tpl_view name,
                                      const gla__tpl_args *args);
bool gla__tpl_is_function(gla__tpl_view name);
gla__tpl_value gla__tpl_attribute(gla__tpl_run *r, gla__tpl_value v,
                                  gla__tpl_view name); /* v.name */
gla__tpl_value gla__tpl_element(gla__tpl_run *r, gla__tpl_value of,
                                gla__tpl_value key); /* of[key] */

#endif
