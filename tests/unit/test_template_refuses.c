/* SPDX-License-Identifier: Apache-2.0
 *
 * What Jinja2 does and we do not: refused by its name, never rendered as something else; and which
 * words and which line a refusal has.  That what Jinja2 refuses is refused is seen by test_chat.c.
 */
#include <gla/arch.h>
#include <gla/chat.h>

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *source;
    gla_status status;
    const char *message; /* part of it */
    uint32_t line;
} cases[] = {
    /* where */
    {"a\n{% include 'x' %}", GLA_E_UNSUPPORTED, "statement is not supported: \"include\"", 2},
    {"{% call f() %}{% endcall %}", GLA_E_UNSUPPORTED, "statement is not supported: \"call\"", 1},
    {"\n\n{{ a | sort }}", GLA_E_UNSUPPORTED, "filter \"sort\" is not supported", 3},
    {"\n{{ a is callabel }}", GLA_E_UNSUPPORTED, "test \"callabel\" is not supported", 2},
    {"{{ f(1) }}", GLA_E_UNSUPPORTED, "function \"f\" is not supported", 1},
    {"{{ 'a'.zfill(3) }}", GLA_E_UNSUPPORTED, "method \"zfill\" of a string is not supported", 1},
    {"{{ [1] }}", GLA_E_UNSUPPORTED, "printing a list is not supported", 1},
    {"{{ 1 < 2 < 3 }}", GLA_E_UNSUPPORTED, "chained comparison", 1},
    {"{{ 1 | tojson(ensure_ascii=true) }}", GLA_E_UNSUPPORTED, "ensure_ascii", 1},
    {"x\n{% if 1 %}\ny", GLA_E_CORRUPT, "the template ends without \"elif\"", 3},
    {"{{ a", GLA_E_CORRUPT, "{{ without }}", 1},
    {"{{ 'a }}", GLA_E_CORRUPT, "string without its end", 1},
    {"{{ a ? b }}", GLA_E_UNSUPPORTED, "character is not supported \"?\"", 1},
    {"\n{{ raise_exception('because') }}", GLA_E_INVALID, "the chat template refuses: because", 2},
    {"\n{{ a.b }}", GLA_E_INVALID, "\"b\" of something that is undefined", 2},
    {"{{ 9223372036854775807 + 1 }}", GLA_E_INVALID, "has no result", 1},
    {"{{ 99999999999999999999 }}", GLA_E_UNSUPPORTED, "number is not supported", 1},
    /* without end */
    {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", GLA_E_LIMIT, "nested deeper than", 1},
    {"{% for a in range(9999999) %}{% for b in range(9999999) %}{% endfor %}{% endfor %}",
     GLA_E_LIMIT, "", 1},
    {"{% set n = namespace(a='xxxxxxxxxxxxxxxx') %}{% for i in range(99) %}{% set n.a = n.a + n.a "
     "%}{% endfor %}",
     GLA_E_LIMIT, "", 1},
    {"{{ 'x' * 999999999 }}", GLA_E_LIMIT, "", 1},
    {"{% for i in range(999999) %}{{ 'xxxxxxxxxx' * 1000 }}{% endfor %}", GLA_E_LIMIT, "", 1},
    /* what */
    {"{{ 2 ** 3 }}", GLA_E_UNSUPPORTED, "not supported here: \"**\"", 1},
    {"{{ -2 ** 2 }}", GLA_E_UNSUPPORTED, "not supported here: \"**\"", 1},
    {"{{ '%s!' % 'a' }}", GLA_E_INVALID, "a string % a string is not possible", 1},
    {"{{ (-9223372036854775807 - 1) // -1 }}", GLA_E_INVALID,
     "-9223372036854775808 // -1 has no result", 1},
    {"{{ 9223372036854775807 * 2 }}", GLA_E_INVALID, "9223372036854775807 * 2 has no result", 1},
    {"{{ -9223372036854775807 - 2 }}", GLA_E_INVALID, "-9223372036854775807 - 2 has no result", 1},
    {"{{ -(-9223372036854775807 - 1) }}", GLA_E_INVALID, "an integer cannot have this sign", 1},
    {"{{ (-9223372036854775807 - 1) | abs }}", GLA_E_UNSUPPORTED, "abs: the number is too large",
     1},
    {"{{ [1] < [2] }}", GLA_E_INVALID, "a list cannot be compared with a list", 1},
    {"{{ [1, 2].0 }}", GLA_E_CORRUPT, "expected a name", 1},
    {"{{ [1,2,3][1.5:] }}", GLA_E_INVALID, "a list cannot be sliced so", 1},
    {"{{ {'a': 1}[1:] }}", GLA_E_INVALID, "a mapping cannot be sliced so", 1},
    {"{{ 'ab'.upper }}", GLA_E_UNSUPPORTED,
     "printing a function is not supported, only through tojson", 1},
    {"{{ 'abc'.startswith('b', 1) }}", GLA_E_UNSUPPORTED,
     "\"startswith\" with 2 arguments is not supported", 1},
    {"{{ 'a'.isdigit() }}", GLA_E_UNSUPPORTED, "method \"isdigit\" of a string is not supported",
     1},
    {"{{ {'items': 1}.items }}", GLA_E_UNSUPPORTED,
     "printing a function is not supported, only through tojson", 1},
    {"{{ [1, 2].index(2) }}", GLA_E_UNSUPPORTED, "method \"index\" of a list is not supported", 1},
    {"{% set f = 'a'.upper %}{{ f() }}", GLA_E_UNSUPPORTED,
     "method \"upper\" kept for later is not supported", 1},
    {"{{ dict({'a': 1}) }}", GLA_E_INVALID, "\"dict\" of a mapping is not possible", 1},
    {"{{ namespace({'a': 1}) }}", GLA_E_INVALID, "\"namespace\" of a mapping is not possible", 1},
    {"{% set a, b = 1, 2 %}", GLA_E_UNSUPPORTED, "not supported here: \",\"", 1},
    {"{% set (a, b) = (1, 2) %}", GLA_E_CORRUPT, "expected a name", 1},
    {"{% set a | upper %}abc{% endset %}", GLA_E_UNSUPPORTED, "not supported here: \"|\"", 1},
    {"{% macro f() %}{{ varargs | length }}{% endmacro %}{{ f() }}", GLA_E_UNSUPPORTED,
     "\"varargs\" is not supported", 1},
    {"{% macro f() %}{% endmacro %}{{ f(1, 2) }}", GLA_E_INVALID,
     "macro \"f\" has no such argument", 1},
    {"{% macro f() %}{% endmacro %}{{ f(*[1, 2]) }}", GLA_E_CORRUPT, "unexpected \"*\"", 1},
    {"{% macro f() %}{% endmacro %}{{ f(**{'a': 1}) }}", GLA_E_CORRUPT, "unexpected \"**\"", 1},
    {"{{ f(1, 2, 3, 4, 5, 6, 7, 8, 9) }}", GLA_E_UNSUPPORTED, "more than 8 arguments", 1},
    {"{% for i in [1] %}{{ loop.changed(i) }}{% endfor %}", GLA_E_UNSUPPORTED,
     "method \"changed\" of a loop is not supported", 1},
    {"{% for i in [1] %}{{ loop.depth }}{% endfor %}", GLA_E_UNSUPPORTED,
     "loop.depth is not supported", 1},
    {"{% for i in [[1]] recursive %}{% endfor %}", GLA_E_UNSUPPORTED,
     "not supported here: \"recursive\"", 1},
    {"{% for (a, b) in [[1, 2]] %}{% endfor %}", GLA_E_CORRUPT, "expected a name", 1},
    {"{% for a in 1, 2 %}{% endfor %}", GLA_E_UNSUPPORTED, "not supported here: \",\"", 1},
    {"{{ a, b }}", GLA_E_UNSUPPORTED, "not supported here: \",\"", 1},
    {"{{ 'a' 'b' }}", GLA_E_UNSUPPORTED, "two strings in a row", 1},
    {"{{ 1_000 }}", GLA_E_CORRUPT, "a name cannot begin with \"1\"", 1},
    {"{{ 0x1f }}", GLA_E_CORRUPT, "a name cannot begin with \"0\"", 1},
    {"{{ 01 }}", GLA_E_UNSUPPORTED, "number is not supported: \"01\"", 1},
    {"{{ 1e400 }}", GLA_E_UNSUPPORTED, "number is not supported: \"1e400\"", 1},
    {"{{ 9223372036854775808 }}", GLA_E_UNSUPPORTED,
     "number is not supported: \"9223372036854775808\"", 1},
    {"{{ é }}", GLA_E_UNSUPPORTED, "character is not supported \"é\"", 1},
    {"{{ '\\é' }}", GLA_E_UNSUPPORTED, "escape is not supported: \"\\é\"", 1},
    {"{{ '\\N{DASH}' }}", GLA_E_UNSUPPORTED, "escape is not supported: \"\\N\"", 1},
    {"{{ '\\ud800' }}", GLA_E_UNSUPPORTED, "escape is not supported: \"\\u\"", 1},
    {"{{ 2.0 is even }}", GLA_E_INVALID, "\"even\" of a float is not possible", 1},
    {"{{ 4 is divisibleby(2.0) }}", GLA_E_INVALID, "the argument must be an integer, not a float",
     1},
    {"{{ 1 is sameas 1 }}", GLA_E_UNSUPPORTED, "test \"sameas\" is not supported", 1},
    {"{{ ['a'] }}", GLA_E_UNSUPPORTED, "printing a list is not supported, only through tojson", 1},
    {"{{ {'a': 1} }}", GLA_E_UNSUPPORTED,
     "printing a mapping is not supported, only through tojson", 1},
    {"{{ [[1], [2]] | join(',') }}", GLA_E_UNSUPPORTED,
     "printing a list is not supported, only through tojson", 1},
    {"{{ '99999999999999999999' | int }}", GLA_E_UNSUPPORTED, "int: the number is too large", 1},
    {"{{ 1e300 | int }}", GLA_E_UNSUPPORTED, "int: the number is too large", 1},
    {"{{ '٣' | int }}", GLA_E_UNSUPPORTED, "int of \"٣\" is not supported", 1},
    {"{{ '1_0.5' | int }}", GLA_E_UNSUPPORTED, "int of \"1_0.5\" is not supported", 1},
    {"{{ '7' | int(base=16) }}", GLA_E_UNSUPPORTED, "\"int\" with base= is not supported", 1},
    {"{{ {'b': 2} | dictsort }}", GLA_E_UNSUPPORTED, "filter \"dictsort\" is not supported", 1},
    {"{{ [1] | tojson(2) }}", GLA_E_UNSUPPORTED, "tojson with ensure_ascii is not supported", 1},
    {"{{ {'a': 1} | tojson(indent=-1) }}", GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16", 1},
    {"{{ {'a': 1} | tojson(indent='--') }}", GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16",
     1},
    {"{{ {'a': 1} | tojson(indent=17) }}", GLA_E_UNSUPPORTED, "tojson: indent must be 0 to 16", 1},
    {"{{ {'b': 1} | tojson(separators=[',']) }}", GLA_E_INVALID,
     "tojson: separators must be two strings", 1},
    {"{{ {'b': 1} | tojson(separators=(',', 1)) }}", GLA_E_INVALID,
     "tojson: separators must be two strings", 1},
    {"{{ {'b': 1} | tojson(separators=',:') }}", GLA_E_INVALID,
     "tojson: separators must be two strings", 1},
    {"{{ {1: 2} }}", GLA_E_UNSUPPORTED, "a mapping's keys are strings, not an integer", 1},
    {"{{ range }}", GLA_E_UNSUPPORTED, "printing a function is not supported, only through tojson",
     1},
    {"{{ namespace() }}", GLA_E_UNSUPPORTED,
     "printing a namespace is not supported, only through tojson", 1},
    {"{% macro m() %}{% endmacro %}{{ m }}", GLA_E_UNSUPPORTED,
     "printing a macro is not supported, only through tojson", 1},
    {"{% for i in [1] %}{{ loop }}{% endfor %}", GLA_E_UNSUPPORTED,
     "printing a loop is not supported, only through tojson", 1},
    {"{{ lipsum() }}", GLA_E_UNSUPPORTED, "\"lipsum\" is not supported", 1},
    {"{{ self }}", GLA_E_UNSUPPORTED, "\"self\" is not supported", 1},
    {"{% block a %}x{% endblock %}", GLA_E_UNSUPPORTED, "statement is not supported: \"block\"", 1},
    {"{% with a = 1 %}{{ a }}{% endwith %}", GLA_E_UNSUPPORTED,
     "statement is not supported: \"with\"", 1},
    {"{{ [{'a': 1}] | map('join', d='-') | list }}", GLA_E_INVALID,
     "\"map\" of an undefined value is not possible", 1},
    {"{{ [{'a': 1}] | selectattr('a', test='eq') | list }}", GLA_E_INVALID,
     "\"selectattr\" of an undefined value is not possible", 1},
    {"{{ 1e308 * 10 }}", GLA_E_UNSUPPORTED, "printing infinity is not supported", 1},
    {"{{ (1e308 * 10) | tojson }}", GLA_E_UNSUPPORTED, "printing infinity is not supported", 1},
    {"{{ "
     "strftime_now('"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') }}",
     GLA_E_INVALID, "strftime_now: format is too long", 1},
};

Test(template_refuses, by_name_and_line)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        gla_chat_template *t;
        gla_diag diag = {0};
        char *text = NULL;
        size_t size;
        gla_status st = gla_chat_template_parse(cases[i].source, strlen(cases[i].source), "t.jinja",
                                                NULL, NULL, &t, &diag);

        if (!st)
            st = gla_chat_template_render(t, NULL, 0, sizeof(gla_chat_message), 0, NULL, &text,
                                          &size, &diag);
        cr_expect_eq(st, cases[i].status, "%s: %d %s", cases[i].source, st, diag.message);
        cr_expect_not_null(strstr(diag.message, cases[i].message), "%s: \"%s\"", cases[i].source,
                           diag.message);
        cr_expect_eq(diag.line, cases[i].line, "%s: line %u", cases[i].source, diag.line);
        cr_expect_str_eq(diag.where, "t.jinja");
        cr_expect_null(text);
        gla_chat_template_free(t);
    }
}
