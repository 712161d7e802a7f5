#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-inspect --layers and --layer: what an architecture can be made of; and what the documents have
# of it is what these say.
. "$(dirname "$0")/lib.sh"
cd "$source" || exit 1

# the documents
mkdir "$work/docs"
expect 0 docs/generate.sh "$bin" "$work/docs"
for file in layers.md arch.schema.json; do
    diff -u "docs/$file" "$work/docs/$file" >"$work/.diff" ||
        fail "docs/$file is not what the layers declare (docs/generate.sh writes it): $(head -n 20 "$work/.diff")"
done

# all types, grouped, for people
expect 0 gla-inspect --layers
for word in Mixers 'Feed-forward networks' Norms Embeddings Heads '  rmsnorm '; do has "$word" "$out"; done
has $'\n  gsa                     gated slot attention (arXiv 2409.07146)\n' "$out"
has "gla-inspect --layer TYPE" "$out"
[ "$(awk 'length > 80' "$work/.out" | wc -l)" = 0 ] || fail "$command: lines longer than 80"

# one, as YAML nests its parameters
expect 0 gla-inspect --layer attention
has $'attention: causal softmax attention (arXiv 1706.03762)\n  gla.attention/1, mixer\n' "$out"
has $'\n  heads                   query heads (whole number 1 to 1024) [required]\n' "$out"
has $'\n  rope:\n    type                  ' "$out"
has $'\n    theta                 base of the frequencies (number 1 to 1e+12) [default:\n                          10000]\n' "$out"
has $'[default: false]\n' "$out"
[ "$(awk 'length > 80' "$work/.out" | wc -l)" = 0 ] || fail "$command: lines longer than 80"
cp "$work/.out" "$work/short"
expect 0 gla-inspect --layer gla.attention/1
same "$work/short" "$work/.out"

# for programs: the same in both
expect 0 gla-inspect --layers --json
json '.schema == "gla.layers/1"' '.layers | length > 25' \
    '.layers | map(.type) | contains(["gla", "moe", "layernorm", "embedding", "head"])' \
    '.layers[] | select(.type == "swiglu") | .places == ["ffn"]' \
    '[.layers[].parameters[] | has("name") and has("kind") and has("default") and has("help")] | all' \
    '[.layers[].parameters[] | select(.kind == "word") | .words | length > 1] | all' \
    '[.layers[].parameters[] | .required or .kind == "list" or .default != null] | all'
all=$(jq -c '.layers[] | select(.type == "mamba2")' "$work/.out")
expect 0 gla-inspect --layer mamba2 --json
[ "$(jq -c '.layers[]' "$work/.out")" = "$all" ] || fail "$command: not what --layers says"
json '.layers[0].parameters[] | select(.name == "dt_max") | .max == null and .default == ".inf"' \
    '.layers[0].parameters[] | select(.name == "heads") | .required and .min == 1 and .kind == "integer"'

# a plugin's
breach=$bin/../tests/breaches/breach_none.so
expect 0 gla-inspect --layers --plugin "$breach"
has $'\n  test.breach             breaks its contract\n' "$out"
expect 0 gla-inspect --layer test.breach --plugin "$breach"
has $'test.breach: breaks its contract\n  test.breach/1, mixer\n\n  nothing                 changes nothing [default: false]' "$out"

# mistakes
expect 1 gla-inspect --layer quantum
has "there is no layer type 'quantum'; hint: --layers lists them; --plugin FILE loads more" "$err"
expect 2 gla-inspect --layers models/tiny-hybrid
has "--layers and --layer TYPE go without a model" "$err"
expect 2 gla-inspect
has "DIR|arch.yaml is missing" "$err"
small_model | sed 's/heads: 2}/num_heads: 2}/' >"$work/theirs.yaml"
expect 1 gla-inspect "$work/theirs.yaml"
has "no parameter 'num_heads'; hint: did you mean 'heads'? gla-inspect --layer gla lists them" "$err"
small_model | sed 's/type: gla/type: quantum/' >"$work/theirs.yaml"
expect 1 gla-inspect "$work/theirs.yaml"
has "hint: load the plugin that has it with --plugin or GLA_PLUGIN_PATH" "$err"

finish
