/* SPDX-License-Identifier: Apache-2.0
 *
 * What Jinja2 does and we do not: refused by its name, never rendered as something else.  What both
 * refuse is in tests/data/chat/snippets.txt.
 */
#include <gla/arch.h>
#include <gla/chat.h>

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *source;
    gla_status status;
    const char *message;
} cases[] = {
    {"{{ 2 ** 3 }}", GLA_E_UNSUPPORTED, "not supported here: \"**\""},
    {"{{ -2 ** 2 }}", GLA_E_UNSUPPORTED, "not supported here: \"**\""},
    {"{{ '%s!' % 'a' }}", GLA_E_INVALID, "string % string is not possible"},
    {"{{ (-9223372036854775807 - 1) // -1 }}", GLA_E_INVALID,
     "-9223372036854775808 // -1 has no result"},
    {"{{ 9223372036854775807 * 2 }}", GLA_E_INVALID, "9223372036854775807 * 2 has no result"},
    {"{{ -9223372036854775807 - 2 }}", GLA_E_INVALID, "-9223372036854775807 - 2 has no result"},
    {"{{ -(-9223372036854775807 - 1) }}", GLA_E_INVALID, "a integer cannot have this sign"},
    {"{{ (-9223372036854775807 - 1) | abs }}", GLA_E_UNSUPPORTED, "abs: the number is too large"},
    {"{{ [1] < [2] }}", GLA_E_INVALID, "a list cannot be compared with a list"},
    {"{{ [1, 2].0 }}", GLA_E_CORRUPT, "expected a name"},
    {"{{ [1,2,3][1.5:] }}", GLA_E_INVALID, "a list cannot be sliced so"},
    {"{{ {'a': 1}[1:] }}", GLA_E_INVALID, "a mapping cannot be sliced so"},
    {"{{ 'ab'.upper }}", GLA_E_UNSUPPORTED,
     "printing a function is not supported, only through tojson"},
    {"{{ 'abc'.startswith('b', 1) }}", GLA_E_UNSUPPORTED,
     "\"startswith\" with 2 arguments is not supported"},
    {"{{ 'a'.isdigit() }}", GLA_E_UNSUPPORTED, "method \"isdigit\" of a string is not supported"},
    {"{{ {'items': 1}.items }}", GLA_E_UNSUPPORTED,
     "printing a function is not supported, only through tojson"},
    {"{{ [1, 2].index(2) }}", GLA_E_UNSUPPORTED, "method \"index\" of a list is not supported"},
    {"{% set f = 'a'.upper %}{{ f() }}", GLA_E_UNSUPPORTED,
     "method \"upper\" kept for later is not supported"},
    {"{{ dict({'a': 1}) }}", GLA_E_INVALID, "\"dict\" of a mapping is not possible"},
    {"{{ namespace({'a': 1}) }}", GLA_E_INVALID, "\"namespace\" of a mapping is not possible"},
    {"{% set a, b = 1, 2 %}", GLA_E_UNSUPPORTED, "not supported here: \",\""},
    {"{% set (a, b) = (1, 2) %}", GLA_E_CORRUPT, "expected a name"},
    {"{% set a | upper %}abc{% endset %}", GLA_E_UNSUPPORTED, "not supported here: \"|\""},
    {"{% macro f() %}{{ varargs | length }}{% endmacro %}{{ f() }}", GLA_E_UNSUPPORTED,
     "\"varargs\" is not supported"},
    {"{% macro f() %}{% endmacro %}{{ f(1, 2) }}", GLA_E_INVALID,
     "macro \"f\" has no such argument"},
    {"{% macro f() %}{% endmacro %}{{ f(*[1, 2]) }}", GLA_E_CORRUPT, "unexpected \"*\""},
    {"{% macro f() %}{% endmacro %}{{ f(**{'a': 1}) }}", GLA_E_CORRUPT, "unexpected \"**\""},
    {"{{ f(1, 2, 3, 4, 5, 6, 7, 8, 9) }}", GLA_E_UNSUPPORTED, "more than 8 arguments"},
    {"{% for i in [1] %}{{ loop.changed(i) }}{% endfor %}", GLA_E_UNSUPPORTED,
     "method \"changed\" of a loop is not supported"},
    {"{% for i in [1] %}{{ loop.depth }}{% endfor %}", GLA_E_UNSUPPORTED,
     "loop.depth is not supported"},
    {"{% for i in [[1]] recursive %}{% endfor %}", GLA_E_UNSUPPORTED,
     "not supported here: \"recursive\""},
    {"{% for (a, b) in [[1, 2]] %}{% endfor %}", GLA_E_CORRUPT, "expected a name"},
    {"{% for a in 1, 2 %}{% endfor %}", GLA_E_UNSUPPORTED, "not supported here: \",\""},
    {"{{ a, b }}", GLA_E_UNSUPPORTED, "not supported here: \",\""},
    {"{{ 'a' 'b' }}", GLA_E_UNSUPPORTED, "two strings in a row"},
    {"{{ 1_000 }}", GLA_E_CORRUPT, "a name cannot begin with \"1\""},
    {"{{ 0x1f }}", GLA_E_CORRUPT, "a name cannot begin with \"0\""},
    {"{{ 01 }}", GLA_E_UNSUPPORTED, "number is not supported: \"01\""},
    {"{{ 1e400 }}", GLA_E_UNSUPPORTED, "number is not supported: \"1e400\""},
    {"{{ 9223372036854775808 }}", GLA_E_UNSUPPORTED,
     "number is not supported: \"9223372036854775808\""},
    {"{{ é }}", GLA_E_UNSUPPORTED, "character is not supported \"é\""},
    {"{{ '\\é' }}", GLA_E_UNSUPPORTED, "escape is not supported: \"\\é\""},
    {"{{ '\\N{DASH}' }}", GLA_E_UNSUPPORTED, "escape is not supported: \"\\N\""},
    {"{{ '\\ud800' }}", GLA_E_UNSUPPORTED, "escape is not supported: \"\\u\""},
    {"{{ 2.0 is even }}", GLA_E_INVALID, "\"even\" of a float is not possible"},
    {"{{ 4 is divisibleby(2.0) }}", GLA_E_INVALID, "the argument must be an integer, not a float"},
    {"{{ 1 is sameas 1 }}", GLA_E_UNSUPPORTED, "test \"sameas\" is not supported"},
    {"{{ ['a'] }}", GLA_E_UNSUPPORTED, "printing a list is not supported, only through tojson"},
    {"{{ {'a': 1} }}", GLA_E_UNSUPPORTED,
     "printing a mapping is not supported, only through tojson"},
    {"{{ [[1], [2]] | join(',') }}", GLA_E_UNSUPPORTED,
     "printing a list is not supported, only through tojson"},
    {"{{ '99999999999999999999' | int }}", GLA_E_UNSUPPORTED, "int: the number is too large"},
    {"{{ 1e300 | int }}", GLA_E_UNSUPPORTED, "int: the number is too large"},
    {"{{ '٣' | int }}", GLA_E_UNSUPPORTED, "int of \"٣\" is not supported"},
    {"{{ '1_0.5' | int }}", GLA_E_UNSUPPORTED, "int of \"1_0.5\" is not supported"},
    {"{{ '7' | int(base=16) }}", GLA_E_UNSUPPORTED, "\"int\" with base= is not supported"},
    {"{{ {'b': 2} | dictsort }}", GLA_E_UNSUPPORTED, "filter \"dictsort\" is not supported"},
    {"{{ [1] | tojson(2) }}", GLA_E_UNSUPPORTED, "tojson with ensure_ascii is not supported"},
    {"{{ {'a': 1} | tojson(indent=-1) }}", GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16"},
    {"{{ {'a': 1} | tojson(indent='--') }}", GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16"},
    {"{{ {'a': 1} | tojson(indent=17) }}", GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16"},
    {"{{ {'b': 1} | tojson(sort_keys=true) }}", GLA_E_UNSUPPORTED,
     "\"tojson\" with sort_keys= is not supported"},
    {"{{ {'b': 1} | tojson(separators=(',', ':')) }}", GLA_E_UNSUPPORTED,
     "\"tojson\" with separators= is not supported"},
    {"{{ {1: 2} }}", GLA_E_UNSUPPORTED, "a mapping's keys are strings, not a integer"},
    {"{{ range }}", GLA_E_UNSUPPORTED, "printing a function is not supported, only through tojson"},
    {"{{ namespace() }}", GLA_E_UNSUPPORTED,
     "printing a namespace is not supported, only through tojson"},
    {"{% macro m() %}{% endmacro %}{{ m }}", GLA_E_UNSUPPORTED,
     "printing a macro is not supported, only through tojson"},
    {"{% for i in [1] %}{{ loop }}{% endfor %}", GLA_E_UNSUPPORTED,
     "printing a loop is not supported, only through tojson"},
    {"{{ lipsum() }}", GLA_E_UNSUPPORTED, "\"lipsum\" is not supported"},
    {"{{ self }}", GLA_E_UNSUPPORTED, "\"self\" is not supported"},
    {"{% block a %}x{% endblock %}", GLA_E_UNSUPPORTED, "statement is not supported: \"block\""},
    {"{% with a = 1 %}{{ a }}{% endwith %}", GLA_E_UNSUPPORTED,
     "statement is not supported: \"with\""},
    {"{{ [{'a': 1}] | map('join', d='-') | list }}", GLA_E_INVALID,
     "\"map\" of a undefined value is not possible"},
    {"{{ [{'a': 1}] | selectattr('a', test='eq') | list }}", GLA_E_INVALID,
     "\"selectattr\" of a undefined value is not possible"},
    {"{{ 1e308 * 10 }}", GLA_E_UNSUPPORTED, "printing infinity is not supported"},
    {"{{ (1e308 * 10) | tojson }}", GLA_E_UNSUPPORTED, "printing infinity is not supported"},
    {"{{ "
     "strftime_now('"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') }}",
     GLA_E_INVALID, "strftime_now: format is too long"},
};

Test(template_refuses, what_jinja_knows_and_we_do_not)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        gla_chat_template *t;
        gla_diag diag = {0};
        char *text = NULL;
        size_t size;
        gla_status st = gla_chat_template_parse(cases[i].source, strlen(cases[i].source), "t.jinja",
                                                NULL, NULL, &t, &diag);

        if (!st)
            st = gla_chat_template_render(t, NULL, 0, 0, NULL, &text, &size, &diag);
        cr_expect_eq(st, cases[i].status, "%s: %d %s", cases[i].source, st, diag.message);
        cr_expect_str_eq(diag.message, cases[i].message, "%s: \"%s\"", cases[i].source,
                         diag.message);
        cr_expect_eq(diag.line, 1, "%s: line %u", cases[i].source, diag.line);
        gla_text_free(text);
        gla_chat_template_close(&t);
    }
}
