#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-convert: there, back, and what it says when something is wrong.
. "$(dirname "$0")/lib.sh"
reference=$source/tests/reference

# there and back
expect 0 gla-convert "$reference/gla-hybrid-3to1" -o "$work/model"
has "fla/gla, 54 tensors" "$out"
expect 0 gla-convert "$work/model" --to safetensors -o "$work/back"
same "$reference/gla-hybrid-3to1/model.safetensors" "$work/back/model.safetensors"
same "$reference/gla-hybrid-3to1/config.json" "$work/back/config.json"

# the result is JSON, remarks are not on stdout
expect 0 gla-convert "$work/model" -o "$work/int4" --weights int4 --json
has '"schema": "gla.convert/1"' "$out"
has '"quantised": ' "$out"
has 'not quantised: embed.weight' "$err"
expect 0 gla-convert "$work/model" -o "$work/quiet" -w int8 --quiet
empty "$err"

# the architecture alone
expect 0 gla-convert "$reference/gla-hybrid-3to1/config.json" --arch-only
has 'layers: 3*gla + attn' "$out"
expect 0 gla-convert "$reference/gla-hybrid-3to1" --arch-only -o "$work/arch.yaml"
empty "$out"
expect 1 gla-convert "$reference/gla-hybrid-3to1" --arch-only -o "$work/arch.yaml"
has '--overwrite' "$err"

expect 0 gla-convert "$source/tests/data/gguf/qwen3next.gguf" --arch-only
has 'family: gguf/qwen3next' "$out"
has 'layers: 3*linear_moe + full_moe' "$out"
empty "$err"

# gguf
expect 0 gla-convert "$source/tests/data/gguf/qwen35.gguf" -o "$work/gguf"
has "gguf/qwen35, 68 tensors" "$out"
has "there is no tokenizer in the file" "$err"
expect 1 gla-convert "$work/gguf" --to safetensors -o "$work/x"
has "gguf" "$err"
[ ! -e "$work/x" ] || fail "a failure left a folder"

# one line each, that names the place
expect 1 gla-convert "$work/nowhere" -o "$work/x"
has "gla-convert: $work/nowhere: no such file or folder" "$err"
lines 1 "$err"
expect 1 gla-convert "$source/cmake" -o "$work/x"
has "neither config.json nor arch.yaml" "$err"
expect 1 gla-convert "$reference/gla/model.safetensors" -o "$work/x"
has "a folder with config.json and the weights is needed" "$err"
expect 1 gla-convert "$work/model" -o "$work/int4"
has "there is a model in it already; hint: --overwrite replaces it" "$err"
expect 1 gla-convert "$work/model" -o "$source/cmake" --overwrite
has "this folder holds other things" "$err"
expect 1 gla-convert "$work/model" -o "$work/model" --overwrite
has "the same folder" "$err"
expect 1 gla-convert "$work/model" -o "$work/x" --max-bytes 1K
has "1024" "$err"

expect 1 gla-convert "$work/model" -o "$work/no/where"
has "no/where: there is no folder '$work/no'; hint: make it first" "$err"
expect 1 gla-convert "$reference/gla" --arch-only -o "$work/no/where.yaml"
has "No such file or directory" "$err"
has_not "hint" "$err"

# weights of one's own: arch.yaml, and tensors of the names that gla-inspect lists; there and back
mkdir "$work/own"
small_model >"$work/own/arch.yaml"
expect 0 gla-inspect "$work/own" --weights --json
python3 -c '
import array, json, math, struct, sys
header, data = {}, b""
for w in json.load(open(sys.argv[1]))["weights"]:
    raw = array.array("f", (math.sin(k) / 8 for k in range(math.prod(w["shape"])))).tobytes()
    header[w["name"]] = {"dtype": "F32", "shape": w["shape"],
                         "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
head = json.dumps(header).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(head)) + head + data)
' "$work/.out" "$work/own/model.safetensors" || fail "cannot make weights"
expect 0 gla-eval -m "$work/own" --ids '1 2 3 4 5'
echo "$out" >"$work/nll"
expect 0 gla-convert "$work/own" -o "$work/own-model"
has "own-model: made by hand, " "$out"
expect 0 gla-eval -m "$work/own-model" --ids '1 2 3 4 5'
[ "$out" = "$(cat "$work/nll")" ] || fail "converted it says $out, before $(cat "$work/nll")"
expect 0 gla-convert "$work/own-model" --to safetensors -o "$work/own-back"
same "$work/own/model.safetensors" "$work/own-back/model.safetensors"
same "$work/own-model/arch.yaml" "$work/own-back/arch.yaml"
expect 0 gla-convert "$work/own-model" --to safetensors -o "$work/own-back" --overwrite
expect 1 gla-run -m "$work/own" -p x
has "own/tokenizer.json: cannot open: No such file or directory; hint: put the model's tokenizer.json there" "$err"

cp -r "$reference/gla" "$work/bad"
truncate -s 100000 "$work/bad/model.safetensors"
expect 1 gla-convert "$work/bad" -o "$work/x"
has "$work/bad/model.safetensors: " "$err"
lines 1 "$err"
cp /bin/sh "$work/bad/model.safetensors"
expect 1 gla-convert "$work/bad" -o "$work/x"
has "neither glaw nor safetensors nor gguf" "$err"
sed -i 's/"model_type": "gla"/"model_type": "glb"/' "$work/bad/config.json"
cp "$reference/gla/model.safetensors" "$work/bad/"
expect 1 gla-convert "$work/bad" -o "$work/x"
has 'config.json: model_type: "glb" is not known; known: ' "$err"
has 'hint: did you mean "gla"?' "$err"
sed 's/"hidden_act": "swish"/"hidden_act": "mish"/' "$reference/gla/config.json" >"$work/bad/config.json"
expect 1 gla-convert "$work/bad" -o "$work/x"
has 'hidden_act: "mish": not supported; what is: swish, silu' "$err"
expect 1 gla-convert "$work/bad" -o "$work/x" --json
has '"schema":"gla.error/1"' "$err"
empty "$out"
truncate -s 50 "$work/model/weights.glaw"
expect 1 gla-convert "$work/model" --to safetensors -o "$work/x"
has "$work/model/weights.glaw: " "$err"
[ ! -e "$work/x" ] || fail "a failure left a folder"

# usage
expect 2 gla-convert
has "FOLDER is missing" "$err"
has "Try 'gla-convert --help'." "$err"
expect 2 gla-convert "$reference/gla"
has "-o DIR is missing" "$err"
expect 2 gla-convert "$reference/gla" -o "$work/x" --weights int5
has "'int5' is not one of f32, bf16, f16, int8, int4" "$err"
expect 2 gla-convert "$reference/gla" -o "$work/x" --wieghts int4
has "unknown option --wieghts" "$err"
expect 2 gla-convert "$reference/gla" "$reference/gla" -o "$work/x"
has "one argument too many" "$err"
expect 2 gla-convert "$reference/gla" -o "$work/x" --keep '*'
has "--keep goes with --weights int8 or int4" "$err"
expect 0 gla-convert "$reference/gla" -o "$work/kept" --weights int8 --keep 'layer.0.*' --keep 'layers.1.*'
has "no tensor is called 'layer.0.*': nothing is kept for it" "$err"
has_not "'layers.1.*'" "$err"
expect 2 gla-convert "$reference/gla" -o "$work/x" --max-bytes 0

finish
