#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-run --sessions: many texts at once are what each is alone.
. "$(dirname "$0")/lib.sh"
model=$source/models/tiny-hybrid

cat >"$work/prompts" <<'TEXT'
Once upon a time, there was a little
Once upon a time, there was a big dog called

"Once upon a time, there was a \u0062oy.\nHe"
TEXT
expect 0 gla-run -m "$model" --sessions "$work/prompts" --greedy -n 16
together=$out
alone=$(for p in 'Once upon a time, there was a little' 'Once upon a time, there was a big dog called' \
    $'Once upon a time, there was a boy.\nHe'; do
    gla-run -m "$model" -p "$p" --greedy -n 16
    echo
done)
[ "$together" = "$alone" ] || fail "together '$together', alone '$alone'"

# with seeds that count up
expect 0 gla-run -m "$model" --sessions "$work/prompts" --seed 5 -n 8 --no-echo --json
has '"schema": "gla.run.sessions/1"' "$out"
second=$(sed -n 's/^ *"text": \(.*\)$/\1/p' "$work/.out" | sed -n 2p)
# nine tokens begin all three: the second and the third take them from the cache
[ "$(grep -c '"reused": 9$\|"reused": 9,$' "$work/.out")" = 2 ] || fail "prefix not reused: $out"
has '"reused": 18' "$out"
has '"replayed": 0' "$out"
has '"stride": 512' "$out"
expect 0 gla-run -m "$model" -p 'Once upon a time, there was a big dog called' --seed 6 -n 8 --json
has "\"text\": $second" "$out"

# a single one, from stdin
expect 0 gla-run -m "$model" --sessions - --greedy -n 4 <<<'One day'
lines 1 "$out"

# complaints have the line
printf 'One\n\nTwo \xff\n' >"$work/bad"
expect 1 gla-run -m "$model" --sessions "$work/bad" -n 1
has "gla-run: $work/bad:3: " "$err"
has "UTF-8" "$err"
printf '"One\n' >"$work/bad"
expect 1 gla-run -m "$model" --sessions "$work/bad" -n 1
has "gla-run: $work/bad:1: not a JSON string" "$err"
printf '\n' >"$work/bad"
expect 1 gla-run -m "$model" --sessions "$work/bad" -n 1
has "$work/bad: no prompts: one a line is needed" "$err"
expect 1 gla-run -m "$model" --sessions "$work/none" -n 1
has "$work/none: No such file" "$err"
expect 2 gla-run -m "$model" --sessions "$work/prompts" -p x
has "no --prompt or --file" "$err"
expect 2 gla-run -m "$model" --sessions "$work/prompts" --save x
has "not for --sessions" "$err"

finish
