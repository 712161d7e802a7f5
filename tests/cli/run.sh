#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-run: one text.
. "$(dirname "$0")/lib.sh"
model=$source/models/tiny-hybrid
prompt='One day, Tom and his mom went to'

# what the reference implementation wrote: the second of its greedy texts, as it stands in the JSON
reference=$(sed 's/.*"prompt": "One day, Tom[^}]*"text": \("[^}]*"\)}.*/\1/' "$model/reference.json")
expect 0 gla-run -m "$model" -p "$prompt" --greedy -n 60 --json
[ -n "$reference" ] && [ "$(field text)" = "$reference" ] || fail "$(field text) is not $reference"
has '"stop": "length"' "$out"
has '"stride": 512' "$out"
[ "$(field state)" -gt 0 ] || fail "no bytes of state"
empty "$err"

# the same seed, the same text; another, another
expect 0 gla-run -m "$model" -p "$prompt" --seed 7 -n 12
seven=$out
expect 0 gla-run -m "$model" -p "$prompt" --seed 7 -n 12
[ "$out" = "$seven" ] || fail "the same seed: '$seven', '$out'"
expect 0 gla-run -m "$model" -p "$prompt" --seed 8 -n 12
[ "$out" != "$seven" ] || fail "seeds 7 and 8 give the same"

# saved and resumed = never stopped
for how in "--seed 7" --greedy; do
    expect 0 gla-run -m "$model" -p "$prompt" $how -n 24 --no-echo
    whole=$out
    expect 0 gla-run -m "$model" -p "$prompt" $how -n 10 --no-echo --save "$work/s"
    first=$out
    expect 0 gla-run -m "$model" --resume "$work/s" $how -n 14
    [ "$first$out" = "$whole" ] || fail "$how: '$first' and '$out' are not '$whole'"
done
expect 0 gla-run -m "$model" --resume "$work/s" -p ' And' --greedy -n 4
has ' And' "$out"

# what gla-inspect says a session takes is what it takes
for kv in f32 bf16 int8; do
    expect 0 gla-run -m "$model" -p "$prompt" --greedy -n 90 --kv $kv --json
    position=$(field position)
    taken="$(field kv) $(field state) $(field history)"
    expect 0 gla-inspect "$model" --context "$position" --kv $kv --json
    predicted="$(field kv_bytes) $(sed -n '/"contexts"/,$s/^ *"state_bytes": \([0-9]*\),$/\1/p' "$work/.out" |
        head -1) $(field history_bytes)"
    [ "$taken" = "$predicted" ] || fail "$kv: $taken bytes taken, $predicted predicted"
done

# sessions that do not fit
expect 1 gla-run -m "$model" --resume "$work/s" --kv int8 -n 1
has "its KV cache is of bf16, int8 is wanted" "$err"
truncate -s -100 "$work/s"
expect 1 gla-run -m "$model" --resume "$work/s" -n 1
has "gla-run: $work/s: " "$err"
lines 1 "$err"
expect 1 gla-run -m "$model" --resume "$model/arch.yaml" -n 1
has "$model/arch.yaml: " "$err"
expect 1 gla-run -m "$model" --resume "$work/none" -n 1
has "$work/none: " "$err"
expect 0 gla-run -m "$model" -p "$prompt" -n 0 --save "$work/s"
cp -r "$model" "$work/other"
sed -i 's/eps: 1.0e-6/eps: 1.0e-5/' "$work/other/arch.yaml"
expect 1 gla-run -m "$work/other" --resume "$work/s" -n 1
has "another model" "$err"

# texts
printf 'good \xff' >"$work/latin1"
expect 1 gla-run -m "$model" -f "$work/latin1" -n 1
has "gla-run: $work/latin1: " "$err"
has "UTF-8" "$err"
printf '%s' "$prompt" >"$work/text"
expect 0 gla-run -m "$model" -f "$work/text" --greedy -n 24 --no-echo
[ "$out" = "$whole" ] || fail "-f differs from -p: '$out'"
expect 1 gla-run -m "$model" -p '' --no-bos -n 1
has "the prompt is empty" "$err"
sed -i 's/max_positions: 2048/max_positions: 8/' "$work/other/arch.yaml"
expect 0 gla-run -m "$work/other" -p "$prompt" -n 1
has "the text has 10 tokens; the model was trained for 8 (max_positions)" "$err"
lines 1 "$err"
expect 0 gla-run -m "$work/other" -p "$prompt" -n 1 --quiet
empty "$err"

# generation_config.json ends texts too: id 14 is the full stop
printf '{"eos_token_id": [3, 14]}' >"$work/other/generation_config.json"
expect 0 gla-run -m "$work/other" -p 'Once upon a time, there was a little' --greedy -n 60 --json
has '"stop": "eos"' "$out"
expect 0 gla-run -m "$work/other" -p 'Once upon a time, there was a little' --greedy -n 20 --ignore-eos --json
has '"stop": "length"' "$out"
printf '{"eos_token_id"' >"$work/other/generation_config.json"
expect 1 gla-run -m "$work/other" -p "$prompt" -n 1
has "$work/other/generation_config.json: line 1" "$err"

# ^C: what was written stands and is saved.  (Background jobs of a script ignore SIGINT; gla-run
# does not: it takes the signal back.)
gla-run -m "$model" -p "$prompt" --ignore-eos -n 100000 --save "$work/stopped" >"$work/.out" 2>"$work/.err" &
for _ in $(seq 100); do
    [ "$(wc -c <"$work/.out")" -gt 60 ] && break
    sleep 0.05
done
kill -INT $!
wait $!
status=$?
[ "$status" = 130 ] || fail "^C gave $status"
[ "$(wc -c <"$work/.out")" -gt 60 ] || fail "^C: the text is gone"
expect 0 gla-run -m "$model" --resume "$work/stopped" -p ' So' -n 1

# usage
expect 2 gla-run
has "which model? -m DIR" "$err"
expect 2 gla-run -m "$model"
has "nothing to continue" "$err"
expect 2 gla-run -m "$model" -p x -f y
has "exclude each other" "$err"
expect 2 gla-run -m "$model" -p x --kv f64
has "'f64' is not one of f32, bf16, int8" "$err"
expect 2 gla-run -m "$model" -p x --system y
has "go with --chat" "$err"
expect 2 gla-run -m "$model" -p x --top-p 2
has "top-p" "$err"
expect 1 gla-run -m "$work/nowhere" -p x
has "$work/nowhere" "$err"

finish
