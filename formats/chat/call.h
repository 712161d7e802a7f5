/* SPDX-License-Identifier: Apache-2.0
 *
 * call.h - what the calls of a chat template share: their arguments, work on texts
 *
 * For call.c (methods, functions), filter.c (filters, tests) and strings.c.
 * Every callee has a signature: what it does not take is refused by its name before it runs.
 */
#ifndef GLA_FORMATS_CHAT_CALL_H
#define GLA_FORMATS_CHAT_CALL_H

#include "formats/chat/template.h"

#define GLA__TPL_MAX_PARAMETERS 4

typedef struct gla__signature {
    const char *name;
    size_t least, most;                            /* arguments */
    const char *keywords[GLA__TPL_MAX_PARAMETERS]; /* names of the parameters that have one */
} gla__signature;

typedef const gla__value *const *gla__given; /* [most], NULL: not given */

/* Sorts a call's arguments by parameter; false: refused. */
bool gla__bind_args(gla__run *r, const gla__signature *s, const gla__args *a,
                    const gla__value *given[GLA__TPL_MAX_PARAMETERS]);
/* What the argument stands for, a failure if it is something else. */
gla__view gla__text_arg(gla__run *r, const gla__value *v);
/* The same of one that may be left out or None: .p is NULL then. */
gla__view gla__optional_text_arg(gla__run *r, const gla__value *v);
/* The same of an integer; def if it is not given. */
int64_t gla__int_arg(gla__run *r, const gla__value *v, int64_t def);
gla__value gla__wrong(gla__run *r, gla__view what, gla__value v); /* "what" of a kind: refused */

/* chars.p NULL: white space */
gla__view gla__tpl_strip(gla__view s, gla__view chars, bool left, bool right);

typedef enum gla__casing {
    GLA__UPPER,
    GLA__LOWER,
    GLA__CAPITALIZE,
    GLA__TITLE,      /* str.title(): a word is a run of letters */
    GLA__TITLE_WORDS /* Jinja's filter: a word begins behind white space and brackets */
} gla__casing;

gla__value gla__tpl_change_case(gla__run *r, gla__view s, gla__casing how);
gla__value gla__tpl_replace(gla__run *r, gla__view s, gla__view old, gla__view new, int64_t count);
/* by.p NULL: at runs of white space. */
gla__value gla__tpl_split(gla__run *r, gla__view s, gla__view by, int64_t most);
gla__value gla__tpl_indent(gla__run *r, gla__view s, gla__view by, bool first, bool blank);
gla__value gla__tpl_pairs(gla__run *r, const gla__dict *d); /* [[key, value], ...] */

#endif
