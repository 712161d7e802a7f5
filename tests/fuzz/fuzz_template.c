/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat templates: parsed and rendered with a short conversation. */
#include <gla/chat.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const gla_chat_message messages[] = {{"system", "Be \xc3\xa9 brief."},
                                                {"user", "Hi <there> & \"you\"\n"},
                                                {"assistant", "<think>\nwell\n</think>\n\nHello."},
                                                {"user", ""}};
    gla_chat_template *t = NULL;
    gla_diag diag = {0};
    char *text = NULL;
    size_t n = 0;
    gla_status st =
        gla_chat_template_parse((const char *)data, size, "input", "<s>", "</s>", &t, &diag);

    fuzz_check_diag(st, &diag);
    PROMISE(!st == (t != NULL));
    if (st)
        return 0;
    st = gla_chat_template_render(
        t, messages, 4, sizeof(gla_chat_message), GLA_CHAT_GENERATE,
        "{\"tools\":[{\"name\":\"f\",\"x\":1.5}],\"enable_thinking\":false}", &text, &n, &diag);
    fuzz_check_diag(st, &diag);
    PROMISE(!st == (text != NULL));
    PROMISE(st || text[n] == 0);
    gla_text_free(text);
    gla_chat_template_free(t);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static const char *const seeds[] = {
        "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}{{ m.content | trim }}{% endfor %}",
        "{%- set ns = namespace(n=0) -%}{%- macro f(x, y=2) -%}{{ x ~ y }}{%- endmacro -%}"
        "{%- for m in messages[1:] if m.role != 'x' -%}{%- set ns.n = ns.n + loop.index0 -%}"
        "{{ f(m.content[::-1]) }}{%- else -%}none{%- endfor -%}{{ ns.n }}{{ tools | "
        "tojson(indent=2) }}",
        "{% if messages is defined and messages[0].role == 'system' %}{{ "
        "messages[0]['content'].split(' ')"
        "|join('-')|upper }}{% elif x is none %}{{ raise_exception('no') }}{% endif %}{# c #}"
        "{{ 7 // 2 ** 2 % 3 - -1.5 }}{{ {'a': [1, (2, 3)]}['a'][-1] }}{{ 'x' if y is undefined "
        "else 'z' }}"
        "{{ range(3) | list | length }}{{ 'abc'.startswith('a') and not false }}{{ "
        "strftime_now('%Y') }}"};

    return i < sizeof(seeds) / sizeof(seeds[0]) ? fuzz_text(seeds[i], out, capacity) : 0;
}
