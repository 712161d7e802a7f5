#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-run --chat: turns, /undo, /fork, files.
. "$(dirname "$0")/lib.sh"
model=$work/model

# a base model has no template, and says so
expect 1 gla-run -m "$source/models/tiny-hybrid" --chat </dev/null
has "the model has no chat template" "$err"
has "hint: --template FILE gives another; a base model only continues texts: -p TEXT" "$err"
lines 1 "$err"

cp -r "$source/models/tiny-hybrid" "$model"
cat >"$work/plain.jinja" <<'JINJA'
{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}Tom:{{ m.content }}{{ eos_token }}
{% else %}{{ m.role }}: {{ m.content }}
{% endif %}{% endfor %}{% if add_generation_prompt %}Tom:{% endif %}
JINJA
cp "$work/plain.jinja" "$model/chat_template.jinja"
printf '{"bos_token": "<|endoftext|>", "eos_token": {"content": "<|endoftext|>"}}' \
    >"$model/tokenizer_config.json"

# talk STATUS LINES [OPTION]...: a chat with these lines
talk() {
    local status=$1 text=$2
    shift 2
    printf "$text" >"$work/.in"
    expect "$status" chat "$@"
}
chat() { gla-run -m "$model" --chat --greedy -n 12 --quiet "$@" <"$work/.in"; }

talk 0 'Hello!\n'
hello=$out
[ -n "$hello" ] || fail "no answer"
talk 0 'Hello!\nWhat did you see?\n'
both=$out
[ "${both#"$hello"}" != "$both" ] && [ "$both" != "$hello" ] || fail "'$both' after '$hello'"
empty "$err"

# the second turn reads only what is new
talk 0 'Hello!\nWhat did you see?\n' --json
has '"schema": "gla.chat/1"' "$out"
token() { jq ".tokens.$1" <<<"$out"; }
[ "$(token reused)" -ge 15 ] || fail "only $(token reused) tokens reused"
[ "$(token replayed)" = 0 ] || fail "$(token replayed) tokens replayed"
[ "$(field stride)" = 512 ] || fail "no snapshots"

# undone = never said, also with sampling
talk 0 'Hello!\nGo away!\n/undo\nWhat did you see?\n'
[ "${out#"$hello"}" != "$out" ] && [ "${out%"${both#"$hello"}"}" != "$out" ] ||
    fail "after /undo: '$out', not '$both'"
talk 0 'Hello!\nWhat did you see?\n' --seed 3 --temp 1 --json
never=$(field content)
talk 0 'Bye.\n/undo\nHello!\nGo away!\n/undo\nWhat did you see?\n' --seed 3 --temp 1 --json
[ "$(field content)" = "$never" ] || fail "undone: $(field content), never said: $never"
talk 1 '/undo\n'
has "/undo: nothing has been said yet" "$err"

# the cache says what it had, and why
talk 0 'Hello!\n' --json
jq -e '.prefix | .asked > 0 and .reused == 0 and .why == {"the prefix cache is empty": 1}' \
    <<<"$out" >/dev/null || fail "prefix: $(jq -c .prefix <<<"$out")"

# budgets: snapshots thin out, and without memory a message is refused, not the chat lost
talk 0 'Hello!\nGo away!\n' --stride 16 --snapshots 400K --json
jq -e '.snapshots | .stride == 16 and .budget == 409600 and .bytes <= .budget and .count == 2' \
    <<<"$out" >/dev/null || fail "snapshots: $(jq -c .snapshots <<<"$out")"
talk 0 'Hello!\n' --stride 0 --json
jq -e '.snapshots.stride == null' <<<"$out" >/dev/null || fail "snapshots with --stride 0"
talk 1 'Hello!\n/undo\n' --memory 100K
has 'of the budget of 102400 bytes are in use' "$err"

# forks do not touch each other
talk 0 'Hello!\n/fork other\nGo away!\nWhy?\n/switch main\nWhat did you see?\n' --json
has '"branch": "main"' "$out"
talk 0 'Hello!\nWhat did you see?\n' --json
plain=$(field content)
talk 0 'Hello!\n/fork other\nGo away!\nWhy?\n/switch main\nWhat did you see?\n' --json
[ "$(field content)" = "$plain" ] || fail "forked: $(field content), alone: $plain"
talk 0 'Hello!\n/fork other\n/switch main\nGo away!\n/switch other\nWhat did you see?\n' --json
[ "$(field content)" = "$plain" ] || fail "in the fork: $(field content), alone: $plain"
has '"branch": "other"' "$out"
talk 1 '/fork main\n/switch nowhere\n/fork\n/dance\n'
has "/fork: there is a 'main' already" "$err"
has "/switch: there is no 'nowhere', but: main" "$err"
has "/fork: NAME is missing" "$err"
has "no command '/dance'; /help lists them" "$err"
lines 4 "$err"

# saved and resumed = never stopped
talk 0 "Hello!\n/save $work/saved\n/quit\nnot said\n"
[ "$out" = "$hello" ] || fail "'$out' is not '$hello'"
talk 0 'What did you see?\n' --resume "$work/saved" --json
[ "$(field content)" = "$plain" ] || fail "resumed: $(field content), never stopped: $plain"
talk 0 'Hello!\n' --save "$work/second"
same "$work/saved.chat.json" "$work/second.chat.json"
# turns can be taken back after it too, and not from the first token on: turn ends are in the file
talk 0 'Hello!\nWhat did you see?\n/undo\nWho are you?\n' --json
never=$(field content)
live=$(token replayed)
talk 0 "Hello!\nWhat did you see?\n/save $work/two\n"
talk 0 '/undo\nWho are you?\n' --resume "$work/two" --json
[ "$(field content)" = "$never" ] || fail "undone after resuming: $(field content), before: $never"
[ "$(token replayed)" = "$live" ] || fail "$(token replayed) tokens replayed, $live before"
rm "$work/saved.chat.json"
talk 1 '' --resume "$work/saved"
has "$work/saved.chat.json: " "$err"
printf '[{"role": 1}]' >"$work/saved.chat.json"
talk 1 '' --resume "$work/saved"
has "not a list of messages" "$err"

# what cannot be said is named, and the chat goes on
talk 1 'bad \377\nHello!\n'
[ "$out" = "$hello" ] || fail "'$out' is not '$hello'"
has "this message: not UTF-8" "$err"
lines 1 "$err"

# ^C in an answer: what was said so far stands and is saved
printf 'Hello!\nnot said\n' >"$work/.in"
gla-run -m "$model" --chat --ignore-eos -n 100000 --save "$work/stopped" \
    <"$work/.in" >"$work/.out" 2>"$work/.err" &
for _ in $(seq 100); do
    [ "$(wc -c <"$work/.out")" -gt 40 ] && break
    sleep 0.05
done
kill -INT $!
wait $!
status=$?
[ "$status" = 130 ] || fail "^C gave $status"
[ "$(grep -c '"role": "assistant"' "$work/stopped.chat.json")" = 1 ] || fail "^C: no answer saved"
! grep -q 'not said' "$work/stopped.chat.json" || fail "^C: the chat went on"
talk 0 'And?\n' --resume "$work/stopped"

# other templates and system messages
talk 0 'Hello!\n' --template "$work/plain.jinja"
[ "$out" = "$hello" ] || fail "the same template gives '$out'"
talk 0 '//Hello!\n' --system 'Tom is a cat.' --json
has '"content": "Tom is a cat."' "$out"
has '"content": "/Hello!"' "$out"
printf '{%% include "x" %%}' >"$model/chat_template.jinja"
talk 1 'Hello!\n'
has "chat_template.jinja:1" "$err"
has "include" "$err"

talk 2 '' -p x
has "--chat takes what the user says from stdin" "$err"
talk 2 '' --sessions x
has "exclude each other" "$err"
talk 2 '' --resume x --system y
has "has its system message already" "$err"

finish
