#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docs/generate.sh [BIN [OUT]] - writes what the documents say of layers anew, from the tables that
# the layers declare: docs/layers.md, and "types" in docs/arch.schema.json.
#
# BIN has the programs (build/bin), OUT receives the files (docs).  tests/cli/layers.sh fails where
# what is in the tree is not what this makes.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-build/bin} out=${2:-docs}
layers=$(GLA_PLUGIN_PATH='' "$bin/gla-inspect" --layers --json)

# ---- layers.md: a table a type --------------------------------------------------------------

jq -r '
def cell: gsub("\\|"; "\\|");
def linked: gsub("arXiv (?<n>[0-9]+\\.[0-9]+)"; "[arXiv \(.n)](https://arxiv.org/abs/\(.n))");
def nested: (./".") | if length == 1 then "`\(.[0])`" else "`\(.[0]): {\(.[1:] | join(": {")): ...}`" end;
def limits: (if .kind == "number" then "number" else empty end),
    (if .min != null and .max != null then "\(.min) to \(.max)"
     elif .min != null then "from \(.min)" elif .max != null then "up to \(.max)" else empty end);
def values: if .kind == "word" then .words | join(", ")
    elif .kind == "boolean" then "true, false"
    elif .kind == "list" then "list of numbers"
    else [limits] | join(", ") end;
def default: if .required then "required" elif .kind == "list" then "none" else "\(.default)" end;
def table:
    if .parameters == [] then "No parameters." else
        "| parameter | value | default | |", "|---|---|---|---|",
        (.parameters[] | "| \(.name | nested) | \(values) | \(default) | \(.help | cell) |") end;

"# Layers", "",
"What a `type` may be in arch.yaml, and the parameters it takes; [arch-yaml.md](arch-yaml.md) says how they are",
"written. `gla-inspect --layers` and `gla-inspect --layer TYPE` print the same, and with `--plugin FILE.so` what a plugin",
"brings.", "",
"Made by docs/generate.sh from the tables of the layers: change these, not this file.",
(["mixer", "Mixers", "They move information along the sequence. Each takes `in_multiplier` and `out_multiplier` as well (1)."],
 ["ffn", "Feed-forward networks", "They work on each token by itself. Each takes `in_multiplier` and `out_multiplier` as well (1)."],
 ["norm", "Norms", "The norm of the model or of a block."],
 ["embedding", "Embeddings", "Token ids to rows."],
 ["head", "Heads", "Rows to logits."]) as [$place, $heading, $text] |
"", "## \($heading)", "", $text,
(.layers[] | select(.places | index($place)) | "", "### \(.type)", "", "\(.summary | linked).", "", table)
' <<<"$layers" >"$out/layers.md.new"
mv "$out/layers.md.new" "$out/layers.md"

# ---- arch.schema.json: "types" of its $defs -------------------------------------------------

# For each place the types that may stand there: by name alone, or with their parameters; a name
# with a dot that is none of ours is a plugin's, which only the plugin knows.
jq -r '
# by short names, which an editor offers, and by whole ones
def types: map(.type) as $names | {anyOf: [{enum: $names}, {type: "string", pattern: "^(gla\\.)?(\($names | join("|")))(/[0-9]+)?$"}]};
def is_type: {type: {pattern: "^(gla\\.)?\(.type)(/[0-9]+)?$"}};
def value:
    (if .kind == "word" then {enum: .words}
     elif .kind == "list" then {type: "array", items: {type: "number"}}
     else {type: .kind} + (if .min != null and .kind != "boolean" then {minimum: .min} else {} end)
        + (if .max != null and .kind != "boolean" then {maximum: .max} else {} end) end)
    + (if .default != null and (.kind == "number" and (.default | type) == "string" | not) then {default} else {} end)
    + (if .help != "" then {description: .help} else {} end);
# as a mapping of mappings, and by the whole name: rope: {theta: 1}, rope.theta: 1
def place: reduce (. / ".")[] as $k ([]; if . == [] then [$k] else . + ["properties", $k] end);
def closed: if has("properties")
    then {type: "object", minProperties: 1, additionalProperties: false, properties: .properties | map_values(closed)}
    else . end;
def parameters: reduce .[] as $p ({}; setpath($p.name | place; $p | value)) | map_values(closed);
def by_name: map(select(.name | contains(".")) | {(.name): value}) | add // {};
def multipliers: {in_multiplier: {type: "number", default: 1}, out_multiplier: {type: "number", default: 1}};
def mapping($branch): {
        properties: ({type: {"$ref": "#/$defs/type"}} + (if $branch then multipliers else {} end)
                     + (.parameters | parameters + by_name)),
        additionalProperties: false
    } + ([.parameters[] | select(.required and (.name | contains(".") | not)) | .name]
         | if . == [] then {} else {required: .} end);
# lines of 112 columns
def filled($indent): reduce .[] as $x ([""]; ($x | tojson) as $x | if .[-1] == "" then .[-1] = $x
    elif (.[-1] + $indent + $x | length) > 108 then .[-1] += "," | . + [$x] else .[-1] += ", " + $x end)
    | join("\n\($indent)");
def pretty($indent): tojson as $line | "\($indent)  " as $inner |
    if ($indent + $line | length) <= 112 or (type | . != "object" and . != "array") then $line
    elif type == "object" then
        [to_entries[] | "\($inner)\(.key | tojson): \(.value | pretty($inner))"] | "{\n\(join(",\n"))\n\($indent)}"
    elif all(type == "string") then "[\n\($inner)\(filled($inner))\n\($indent)]"
    else [.[] | "\($inner)\(pretty($inner))"] | "[\n\(join(",\n"))\n\($indent)]" end;
. as $all |
[("mixer", "ffn", "norm", "embedding", "head") as $place |
    {"mixer": null, "ffn": null, "norm": "rmsnorm", "embedding": "embedding", "head": "head"}[$place] as $default |
    [$all.layers[] | select(.places | index($place))] as $here |
    {($place): {anyOf: [
        {"$ref": "#/$defs/theirs"},
        ($here | map(select([.parameters[] | select(.required)] == [])) | types),
        {
            type: "object",
            properties: {type: ($here | types)},
            allOf: [$here[] | {
                if: ({properties: is_type}
                     + if .type == $default then {} else {required: ["type"]} end),
                then: mapping($place == "mixer" or $place == "ffn")
            }]
        } + (if $default == null then {required: ["type"]} else {} end)
    ]}}] | add | pretty("    ")
' <<<"$layers" >"$out/types.new"
awk -v made="$out/types.new" '
    /^    "types": \{$/ { printf "    \"types\": "; while ((getline line < made) > 0) { printf "%s%s", end, line; end = "\n" }
                         print ","; inside = 1 }
    !inside
    /^    \},$/ { inside = 0 }
' docs/arch.schema.json >"$out/arch.schema.json.new"
rm "$out/types.new"
mv "$out/arch.schema.json.new" "$out/arch.schema.json"
