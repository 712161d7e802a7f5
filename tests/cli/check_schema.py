# SPDX-License-Identifier: Apache-2.0
"""check_schema.py SCHEMA FILE...: fails where a JSON file is not as its schema says.

The part of JSON Schema that docs/compare.schema.json uses; an unknown keyword is an error, so that
nothing is taken for checked that is not.
"""
import json
import sys

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
ignored = {"$schema", "$id", "$defs", "title", "description"}


def is_type(value, name):
    if name in ("integer", "number"):
        kinds = (int,) if name == "integer" else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def check(value, schema, at, root):
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    for key, rule in schema.items():
        if key == "type":
            names = rule if isinstance(rule, list) else [rule]
            assert any(is_type(value, n) for n in names), f"{at}: {value!r} is not {rule}"
        elif key == "const":
            assert value == rule, f"{at}: {value!r} is not {rule!r}"
        elif key == "enum":
            assert value in rule, f"{at}: {value!r} is none of {rule}"
        elif key == "minimum":
            assert value is None or value >= rule, f"{at}: {value!r} is less than {rule}"
        elif key in ("minItems", "maxItems"):
            bad = len(value) < rule if key == "minItems" else len(value) > rule
            assert not bad, f"{at}: {len(value)} items, {key} {rule}"
        elif key == "items":
            for i, item in enumerate(value or []):
                check(item, rule, f"{at}[{i}]", root)
        elif key == "properties":
            for name in value.keys() & rule.keys():
                check(value[name], rule[name], f"{at}.{name}", root)
        elif key == "required":
            assert not set(rule) - value.keys(), f"{at}: without {set(rule) - value.keys()}"
        elif key == "additionalProperties":
            more = value.keys() - schema["properties"].keys()
            assert rule or not more, f"{at}: {more} are not in the schema"
        else:
            assert key in ignored, f"schema keyword {key}"


with open(sys.argv[1]) as f:
    schema = json.load(f)
for path in sys.argv[2:]:
    with open(path) as f:
        try:
            check(json.load(f), schema, "", schema)
        except AssertionError as problem:
            sys.exit(f"{path}: {problem}")
