#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Names, numbers and surroundings that nobody means well with: what is printed stays printable, JSON
# stays JSON, and no file is lost.
. "$(dirname "$0")/lib.sh"
model=$source/models/tiny-hybrid
hybrid=$source/configs/gla-340m-hybrid-3-1.yaml
cd "$work" || exit 1

# ---- names: an escape sequence, a line end, bytes that are not UTF-8 --------------------------
escape=$'\e]0;title\a'
printable() { # TEXT: no control character but the line ends and tabs that are ours
    ! LC_ALL=C grep -q $'[\001-\010\013-\037\177]' <<<"$1" || fail "'$command' prints a control character"
}
bad=$'no\n'$escape$'such\xff'
for program in "gla-inspect" "gla-run -p x -m" "gla-eval --ids 1 -m" "gla-convert -o x" "gla-compare" \
    "gla-run -m $model -n 1 --resume" "gla-run -m $model -p x --plugin" "gla-run -m $model -n 1 -f"; do
    expect 1 $program "$bad"
    printable "$err"
    lines 1 "$err"
    expect 1 $program "$bad" --json
    jq -e '.schema == "gla.error/1"' <<<"$err" >/dev/null || fail "'$command' says: $err"
done
for option in "--x$escape" "--kv=$escape" "--temp=$escape" "-p" "$escape"; do
    expect 2 gla-run "$option" "$escape"
    printable "$err"
done
cp -r "$model" "tiny$escape"$'\xff'
expect 0 gla-compare "tiny$escape"$'\xff' --plots plots
printable "$out"
! LC_ALL=C grep -q $'[\001-\010\013-\037\177\377]' plots/*.svg || fail "control characters in SVG"
expect 0 gla-compare "tiny$escape"$'\xff' --json
json '.candidates[0].name | startswith("tiny?]0;title?")' '.candidates[0].source | startswith("tiny")'
expect 0 gla-convert "$model" -o "out$escape"$'\xff'
printable "$out"
expect 0 gla-convert "$model" -o "out2"$'\xff' --json
json '.output == "out2?"'
cp -r "$source/tests/reference/gla" "gla$escape"$'\xff'
expect 0 gla-convert "gla$escape"$'\xff' -o named # the folder is the model's name
expect 0 gla-inspect named
has 'gla?]0;title??' "$out"
printable "$out"

# names of an architecture: no markup in pages and plots, no formula in a spreadsheet
small_model | sed "s|^name:.*|name: \"=1+<script>'\\\\\" onload='x'>\"|" >evil.yaml
expect 0 gla-compare evil.yaml --html evil.html --plots evil --csv
has "'=1+<script>" "$out"
! grep -E '<script|" onload' evil.html evil/*.svg || fail "markup from a name"

# ---- what a model writes: on a terminal it is text, else it is what it is ----------------------
mkdir loud && cp "$model"/{arch.yaml,weights.glaw} loud
jq -c 'def loud: if startswith("<|") then . else gsub("d"; "\u011b") end; # byte 0x1b
    .model.vocab |= with_entries(.key |= loud)
    | .model.merges |= map(if type == "array" then map(loud) else loud end)' \
    "$model/tokenizer.json" >loud/tokenizer.json
expect 0 gla-run -q -m loud -p x -n 2 --greedy
[ "$out" = $'xx an\e' ] || fail "the model does not write an escape but $(cat -v <<<"$out")"
expect 0 script -qec "gla-run -q -m loud -p x -n 2 --greedy" /dev/null
has 'xx an?' "$out"
[[ $out != *$'\e'* ]] || fail "an escape went to the terminal"

# ---- numbers ------------------------------------------------------------------------------------
for program in "gla-inspect $model" "gla-compare $hybrid --html x.html"; do
    expect 2 timeout 20 $program --context 18446744073709551615
    has "--context: '18446744073709551615' is no list of up to 16 numbers up to 1T" "$err"
    expect 0 timeout 20 $program --context 1T --json
    json '[.. | numbers] | all(. >= 0)'
done
expect 2 gla-run -m "$model" -p x --seed 18446744073709551615
gla-convert "$source/tests/reference/gla" -o gla >/dev/null
expect 1 gla-eval -m gla --check "$source/tests/reference/gla/golden.safetensors" --tol 0
GLA_CPU=zzz expect 0 gla-inspect "$model"
GLA_CPU=zzz expect 0 gla-run -m "$model" -p x -n 1
has "GLA_CPU=zzz is none of c, avx2, avx512" "$err"
GLA_VALIDATE=yes expect 0 gla-run -m "$model" -p x -n 1
has "GLA_VALIDATE=yes is neither 0 nor 1: nothing is checked" "$err"
GLA_NUM_THREADS=-1 expect 0 gla-run -m "$model" -p x -n 1
has "GLA_NUM_THREADS=-1 is no number of threads" "$err"

# ---- where results go -------------------------------------------------------------------------------
for stream in '>&-' '>/dev/full' '<&- >&- 2>&-'; do
    expect 1 bash -c "gla-inspect '$model' $stream"
    expect 1 bash -c "gla-run -m '$model' -p x -n 2 --json $stream"
done
expect 0 bash -c "gla-convert '$model' -o closed --weights int8 2>&-"
expect 0 gla-run -m closed -p x -n 1

# asked before the work, and not after it
for wrong in "$work/nowhere/file" "$work" ""; do
    expect 1 gla-run -m "$model" -p x -n 1 --save "$wrong"
    has "cannot be written" "$err"
    empty "$out"
    expect 1 gla-compare "$model" --html "$wrong"
    has "cannot be written" "$err"
    empty "$out"
done
expect 1 gla-convert "$model" -o ''
has "the name of the folder to write is empty" "$err"

# no device or pipe is replaced, and a link stays a link
mkfifo pipe
expect 1 gla-run -m "$model" -p x -n 1 --save pipe
has "pipe: not a regular file" "$err"
[ -p pipe ] || fail "a pipe was replaced"
expect 0 gla-run -m "$model" -p x -n 1 --save session
ln -s session link && chmod 600 session
expect 0 gla-run -m "$model" -p 'x y z' -n 1 --save link
[ -L link ] || fail "a link was replaced"
[ "$(stat -c %a session)" = 600 ] || fail "a private session is not private any more"
expect 0 gla-run -m "$model" --resume session -n 0 --json
json '.position > 3'
expect 0 bash -c "gla-compare '$model' --html /dev/stdout | grep -c '</html>'"

# a full disk, or a limit on files: what was there stays, and nothing else
cp "$source/tests/reference/gla/config.json" .
expect 0 gla-convert config.json --arch-only -o arch.yaml
cp arch.yaml before.yaml
expect 1 gla-convert config.json --arch-only -o arch.yaml
has "arch.yaml: there is a file already; hint: --overwrite replaces it" "$err"
expect 1 gla-convert config.json --arch-only -o config.json --overwrite
has "source and destination are the same file" "$err"
same config.json "$source/tests/reference/gla/config.json"
cp session before
expect 1 bash -c "ulimit -f 1; gla-run -m '$model' -f '$hybrid' -n 0 --save session"
has "session: cannot write: File too large" "$err"
same session before
head -c 3000 /dev/zero | tr '\0' x >page.html
cp page.html page.before
expect 1 bash -c "ulimit -f 1; gla-compare '$model' --html page.html"
same page.html page.before
expect 1 bash -c "ulimit -f 1; gla-convert '$model' -o limited"
[ -z "$(find . -name '*.tmp')" ] || fail "left behind: $(find . -name '*.tmp')"

# ---- signals: the old model or the new one, and nothing aside ---------------------------------------
expect 0 gla-convert "$model" -o kept
for signal in INT TERM HUP; do
    for delay in 0.02 0.04 0.06 0.08; do
        command="gla-convert, SIG$signal after $delay s"
        gla-convert "$model" -o kept --overwrite >/dev/null 2>&1 &
        # before that it is this script's copy, which would clean up as the script does
        until [ "$(cat /proc/$!/comm)" = gla-convert ]; do :; done
        sleep $delay
        kill -s $signal $! 2>/dev/null
        wait $!
        case $? in 0 | 130) ;; *) fail "'$command' was killed" ;; esac
        same kept/weights.glaw "$model/weights.glaw"
    done
done
trap '' HUP # as nohup does
gla-convert "$model" -o kept --overwrite >/dev/null &
sleep 0.04
kill -s HUP $! 2>/dev/null
wait $! || fail "nohup does not hold"
[ -z "$(find . -name '*.tmp')" ] || fail "left behind: $(find . -name '*.tmp')"

finish
