#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a beginner does first, and is told what to do instead.
. "$(dirname "$0")/lib.sh"

# a bare architecture is no model
expect 1 gla-run -m "$source/configs/gla-340m.yaml" -p x
has "gla-340m.yaml: a model folder is needed, and this is a file; hint: a bare architecture" "$err"
expect 1 gla-bench -m "$source/configs/gla-340m.yaml"
has "a model folder is needed" "$err"

# neither is a checkpoint that was not converted
for program in "gla-inspect" "gla-bench -m" "gla-run -p x -m" "gla-eval --ids 1 -m"; do
    expect 1 $program "$source/tests/reference/gla"
    has "hint: this is a published checkpoint: gla-convert makes a model folder of it" "$err"
    lines 1 "$err"
done
expect 1 gla-run -m "$work" -p x
has_not "hint" "$err"
expect 1 gla-run -m "$work/nowhere" -p x
has "$work/nowhere: cannot open: No such file or directory" "$err"

# nor files of one, nor a name without its option
for file in "$source/tests/data/gguf/llama.gguf" "$source/tests/reference/gla/config.json"; do
    expect 1 gla-inspect "$file"
    has "hint: gla-convert makes a model folder of " "$err"
    expect 1 gla-run -p x -m "$file"
    has "a model folder is needed, and this is a file; hint: gla-convert makes a model folder of " "$err"
done
expect 2 gla-run "$source/models/tiny-hybrid" -p x
has "one argument too many; is it the model? -m DIR" "$err"

# a tokenizer that knows more tokens than the model
mkdir "$work/other" && cp "$source"/models/tiny-hybrid/{arch.yaml,weights.glaw} "$work/other"
jq -c '.added_tokens += [{"id": 9000, "content": "ZZZ", "special": true, "single_word": false,
    "lstrip": false, "rstrip": false, "normalized": false}]' \
    "$source/models/tiny-hybrid/tokenizer.json" >"$work/other/tokenizer.json"
expect 1 gla-run -m "$work/other" -p 'x ZZZ' -n 1
has "the prompt: the tokenizer makes token 9000 of it ('ZZZ'), the model has 4096; hint: is" "$err"
expect 0 gla-run -m "$work/other" -p x -n 1

# a plugin in this folder needs no ./
cd "$work" && cp "$bin/../tests/plugins/plugin_good.so" . && chmod go-w plugin_good.so
expect 0 gla-inspect "$source/models/tiny-hybrid" --plugin plugin_good.so
chmod g+w plugin_good.so # found and skipped: why
GLA_PLUGIN_PATH=. expect 0 gla-inspect "$source/models/tiny-hybrid"
has "plugin skipped: ./plugin_good.so: " "$err"
has "others may write to it" "$err"
expect 1 gla-inspect "$source/models/tiny-hybrid" --plugin missing.so
has "./missing.so: " "$err"

finish
