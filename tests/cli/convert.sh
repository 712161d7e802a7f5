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

finish
