#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes vectors.json for test_chat.c with Jinja2, set up as transformers does, from the templates here,
snippets.txt (one a line) and those below, of several lines.

Each: {template (file name or "source"), source, variables, text} or, where Jinja2 or the template
refuses, {..., error: true}.
"""
import datetime
import glob
import json
import os

from jinja2 import Undefined, exceptions
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = 1732240000
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a \"city\" <now> & later",
          "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer",
          "enum": [1, 2, 7]}, "scale": {"type": "number", "default": 0.1}}, "required": ["city"]}}},
         {"type": "function", "function": {"name": "f", "parameters": {}, "list": [], "é": "ü\n\t\x01"}}]


def environment():
    def raise_exception(message):
        raise exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(f)
    return env


def chats():
    user, bot = {"role": "user", "content": "Hello, how are you?"}, {"role": "assistant", "content": " I'm fine. \n"}
    system = {"role": "system", "content": "  You are terse.\n"}
    think = {"role": "assistant", "content": "<think>\nhm\n\nwell\n</think>\n\nIt is 4."}
    call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {
        "name": "get_weather", "arguments": {"city": "Zürich", "days": 2, "deep": {"a": [1, None, True, 0.5]}, "x": 1.0}}}]}
    tool = {"role": "tool", "content": "{\"sun\": true}"}
    parts = {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "image"}, {"type": "text", "text": "this?"}]}
    for messages in [[user], [system, user], [user, bot, user], [system, user, think, user, bot, user, think],
                     [user, call, tool, bot, user], [user, call, tool, tool, call, tool], [parts], [system], [bot, user], [],
                     [{"role": "odd", "content": "x"}], [{"role": "user", "content": "日本 {{ x }} {% y %} 'q' \"r\" \\n"}]]:
        for generate in [True, False]:
            base = {"messages": messages, "add_generation_prompt": generate, "bos_token": "<s>", "eos_token": "</s>"}
            yield base
            yield dict(base, tools=TOOLS)
            yield dict(base, enable_thinking=False, date_string="1 Jan 2025")


SNIPPETS = r"""
{{ 1 + 2 * 3 - 4 // 3 % 5 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 * 1.5 }} {{ 1e3 if false else 0.1 }}
{{ 'a' ~ 1 ~ none ~ true ~ x ~ 2.50 }}|{{ 'ab' * 3 }}|{{ ([1] + [2]) | length }}|{{ (1, 2) | length }}
{{ not x }} {{ not 1 == 2 }} {{ 1 < 2 and 2 <= 2 or y }} {{ 'b' in 'abc' }} {{ 'd' not in 'abc' }} {{ 2 in [1, 2] }} {{ 'k' in {'k': 1} }}
{{ 1 == 1.0 }} {{ true == 1 }} {{ '1' == 1 }} {{ none == x }} {{ [1, [2]] == [1, [2.0]] }} {{ {'a': 1} == {'a': 1} }} {{ 'a' < 'b' }}
{{ x is defined }} {{ x is undefined }} {{ messages is defined }} {{ none is none }} {{ 'a' is string }} {{ 1 is number }} {{ 1.5 is float }}
{{ true is boolean }} {{ true is true }} {{ 1 is true }} {{ {} is mapping }} {{ [] is sequence }} {{ 'a' is iterable }} {{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }}
{{ 1 is not none }} {{ not 1 is none }} {{ 'a' is in ['a'] }} {{ 1 is eq 1 }} {{ 1 is ne(1) }} {{ 1 + 1 is number }}
{{ ' a b '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ ' a '.lstrip() }}|{{ 'a\n'.rstrip('\n') }}|{{ ' é　'|trim }}|{{ 'xay'|trim('xy') }}
{{ 'a,b,,c'.split(',') | join('|') }} {{ ' a  b c '.split() | join('|') }} {{ 'a b c d'.split(' ', 2) | join('|') }} {{ 'a b  c '.split(none, 1) | join('|') }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'aXbX'.replace('X', 'yy') }} {{ 'aXbX'.replace('X', 'y', 1) }} {{ 'aXbX' | replace('X', '') }}
{{ 'héLLo wörld'.upper() }} {{ 'HÉ'.lower() }} {{ 'hello big world'.title() }} {{ 'hELLO'.capitalize() }} {{ 'ab' | upper | lower | capitalize | title }}
{{ 'abcdef'[1:3] }} {{ 'abcdef'[-2:] }} {{ 'abcdef'[::-1] }} {{ 'aébc'[1] }} {{ 'abc'[-1] }} {{ [1,2,3][::2] | tojson }} {{ [1,2,3][5:] | tojson }} {{ [1,2,3][-9:2] | tojson }} {{ [1,2,3,4][3:0:-2] | tojson }} {{ [1,2][9] }}
{{ {'a': 1, 'b': [1, 'x"y']} | tojson }} {{ [] | tojson }} {{ {} | tojson(indent=2) }} {{ [1, {'a': []}] | tojson(indent=2) }} {{ 'a/b<c>&\'\u00e9\x7f' | tojson }} {{ none | tojson }} {{ 1.0 | tojson }} {{ 1e0 }}
{{ 1e22 }} {{ 0.00001 }} {{ 123456789.125 }} {{ 100.0 }} {{ 0.1 + 0.2 }} {{ 1.0 }} {{ -0.5 }} {{ 12345678901234567890.0 }} {{ 0.0 }} {{ 0.0001 }} {{ 0.00012 }} {{ 1e15 }} {{ 1e16 }} {{ 1234567890123456.5 }} {{ 9007199254740993.0 }} {{ 1.5e-300 }} {{ 1.7976931348623157e308 }} {{ 5e-324 }} {{ 30.0 }} {{ 0.125 }}
{{ x | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }} {{ none | d('e', boolean=true) }} {{ x|default }}
{{ [1,2,3] | first }} {{ [1,2,3] | last }} {{ 'abc' | list | join('-') }} {{ [3,1] | reverse | list | tojson }} {{ 'abc' | reverse }} {{ {'a': 1} | items | list | tojson }} {{ 'abc' | length }} {{ 'é' | count }}
{{ '12' | int + 1 }} {{ 'x' | int }} {{ ' -12 ' | int }} {{ '' | int }} {{ 2.9 | int }} {{ 5 | string + 'a' }} {{ -3 | abs }} {{ (-3) | abs }} {{ 'a' | safe }}
{{ messages | map(attribute='role') | join(',') }} {{ ['a', 'b'] | map('upper') | join }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'eq', 'user') | list | length }} {{ [0, 1, 2] | select | list | tojson }} {{ [0, 1, 2] | reject('odd') | list | tojson }} {{ messages | selectattr('nope') | list | length }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(width=3, blank=true) }}
{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }}{{ ',' if not loop.last }}{% endfor %} {{ {'a': 1}.get('a') }} {{ {'a': 1}.get('z') }} {{ {'a': 1}.get('z', 5) }} {{ {'a': 1, 'b': 2}.keys() | join }} {{ {'a': 1, 'b': 2}.values() | list | tojson }}
{% for i in range(5) if i != 2 %}{{ loop.index }}/{{ loop.length }}:{{ i }}:{{ loop.first }}{{ loop.revindex }}{{ loop.revindex0 }} {{ loop.previtem }}{{ loop.nextitem }} {{ loop.cycle('o', 'e') }};{% else %}none{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}{% for i in range(2, 9, 3) %}{{ i }}{% endfor %}{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}{% for c in 'aé' %}[{{ c }}]{% endfor %}{% for k in {'q': 1} %}{{ k }}{% endfor %}{% for u in x %}u{% endfor %}
{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% for j in [1, 2] %}{% break %}{% endfor %}{% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 7 %}{% endif %}{{ x }}
{% set ns = namespace(a=1, b='x') %}{% for i in [1, 2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}
{% macro m(a, b='B', c=none) %}<{{ a }}{{ b }}{{ c }}>{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m('x') | length }}{{ m() }}{% set y = m(9) ~ '!' %}{{ y }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}{% set g = 3 %}{% macro h() %}{{ g }}{% endmacro %}{{ h() }}
{% set t %}a{{ 1 }}b
 {% endset %}[{{ t }}]{% if t %}yes{% elif x %}no{% else %}never{% endif %}
  {% if true %}
   kept
  {% endif %}
 a {%- if true -%}   b   {%- endif -%}   c
{#- gone -#}  x {# here #} y
{# line #}
z{% if true +%}
w{% endif %}
   {%+ if true %}v{% endif %}
{{ 'a' if true }}{{ 'b' if false }}{{ 'c' if false else 'd' if true else 'e' }}{{ ('x' if x else 'y') + 'z' }}
{{ "quotes ' \" \\ \n \t \u00e9 \x41 \q" }}{{ 'it\'s' }}
{{ messages[0].content.split('x')[0].rstrip('y')[-1:] }}{{ messages[0]['content'][0:3] }}{{ messages[-1].role }}{{ messages[0]['no'] }}{{ messages[0].no is defined }}
{{ strftime_now('%Y-%m-%d') }} {{ dict(a=1, b=2) | tojson }} {{ [1, 2,] | tojson }} {{ {'a': 1,} | tojson }} {{ () | length }}
{{ x.y }}
{{ x + 'a' }}
{{ 'a' + 1 }}
{{ none + 'a' }}
{{ raise_exception('no') }}
{{ 1 // 0 }}
{{ messages | nosuchfilter }}
{{ messages is nosuchtest }}
{{ nosuch() }}
{{ 'a'.nosuch() }}
{% nosuch %}
{% if true %}
{{ 1
{{ (1 }}
{% for x in 5 %}{% endfor %}
{{ 'a' < 1 }}
{% set messages.x = 1 %}
{{ m(1) }}{% macro m() %}{% endmacro %}
{% macro m() %}{% endmacro %}{{ m(1) }}
{% for a, b in [[1, 2, 3]] %}{% endfor %}
{% endif %}
{# open
"""


def snippets():
    """One a line; a line that begins in a blank, or follows an open block, goes on."""
    out, lines = [], SNIPPETS.strip("\n").split("\n")
    for line in lines:
        joined = out and (line.startswith(" ") or out[-1].rstrip().endswith("%}b") or out[-1].endswith("\n")
                          or line in ("{#- gone -#}  x {# here #} y", "{# line #}", "z{% if true +%}", "w{% endif %}"))
        if joined:
            out[-1] += "\n" + line
        else:
            out.append(line)
    return out


def render(env, source, variables):
    try:
        text = env.from_string(source).render(**variables)
        # a list printed as Python writes it is a mistake of the chat, which we refuse
        return {"error": True} if "[{'type'" in text else {"text": text}
    except Exception:
        return {"error": True}


def main():
    env = environment()
    out = []
    for path in sorted(glob.glob(os.path.join(HERE, "*.jinja"))):
        with open(path, newline="") as f:
            source = f.read()
        for variables in chats():
            out.append(dict({"template": os.path.basename(path), "variables": variables},
                            **render(env, source, variables)))
    variables = {"messages": [{"role": "user", "content": "hexyyx"}, {"role": "assistant", "content": "b"}], "strftime_now": NOW}
    with open(os.path.join(HERE, "snippets.txt")) as f:
        lines = f.read().splitlines()
    for source in snippets() + lines:
        given = {"messages": variables["messages"]}
        out.append(dict({"source": source, "variables": given}, **render(env, source, given)))
    with open(os.path.join(HERE, "vectors.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(x, ensure_ascii=False) for x in out) + "\n]\n")


if __name__ == "__main__":
    main()
