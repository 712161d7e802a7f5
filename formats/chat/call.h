/* SPDX-License-Identifier: Apache-2.0
 *
 * call.h - what the calls of a chat template share: their arguments, work on texts
 *
 * For call.c (methods, functions), filter.c (filters, tests) and strings.c.  Every callee has a
 * signature: what it does not take is refused by its name before it runs.
 */
#ifndef GLA_FORMATS_CHAT_CALL_H
#define GLA_FORMATS_CHAT_CALL_H

#include "formats/chat/template.h"

#define GLA__TPL_MAX_PARAMETERS 4

typedef struct gla__tpl_signature {
    const char *name;
    size_t least, most;                            /* arguments */
    const char *keywords[GLA__TPL_MAX_PARAMETERS]; /* names of the parameters that have one */
} gla__tpl_signature;

typedef const gla__tpl_value *const *gla__tpl_given; /* [most], NULL: not given */

/* Sorts a call's arguments by parameter; false: refused. */
bool gla__tpl_bind_args(gla__tpl_run *r, const gla__tpl_signature *s, const gla__tpl_args *a,
                        const gla__tpl_value *given[GLA__TPL_MAX_PARAMETERS]);
/* What the argument stands for, a failure if it is something else. */
gla__tpl_view gla__tpl_text_arg(gla__tpl_run *r, const gla__tpl_value *v);
/* The same of one that may be left out or None: .p is NULL then. */
gla__tpl_view gla__tpl_optional_text_arg(gla__tpl_run *r, const gla__tpl_value *v);
/* The same of an integer; def if it is not given. */
int64_t gla__tpl_int_arg(gla__tpl_run *r, const gla__tpl_value *v, int64_t def);
gla__tpl_value gla__tpl_wrong(gla__tpl_run *r, gla__tpl_view what,
                              gla__tpl_value v); /* "what" of a kind: refused */

/* chars.p NULL: white space */
gla__tpl_view gla__tpl_strip(gla__tpl_view s, gla__tpl_view chars, bool left, bool right);

typedef enum gla__tpl_casing {
    GLA__TPL_UPPER,
    GLA__TPL_LOWER,
    GLA__TPL_CAPITALIZE,
    GLA__TPL_TITLE,      /* str.title(): a word is a run of letters */
    GLA__TPL_TITLE_WORDS /* Jinja's filter: a word begins behind white space and brackets */
} gla__tpl_casing;

gla__tpl_value gla__tpl_change_case(gla__tpl_run *r, gla__tpl_view s, gla__tpl_casing how);
gla__tpl_value gla__tpl_replace(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view old,
                                gla__tpl_view new, int64_t count);
/* by.p NULL: at runs of white space. */
gla__tpl_value gla__tpl_split(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view by, int64_t most);
gla__tpl_value gla__tpl_indent(gla__tpl_run *r, gla__tpl_view s, gla__tpl_view by, bool first,
                               bool blank);
gla__tpl_value gla__tpl_pairs(gla__tpl_run *r, const gla__tpl_dict *d); /* [[key, value], ...] */

#endif
