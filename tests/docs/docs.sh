#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docs.sh SOURCE BIN FILE.md - what a document says is true: runs its commands in an empty folder
# that looks like a built tree, and compares what it quotes.
#
#   ```sh               the commands must succeed
#   ```sh (why)         not run: they need the network, root, or what a reader brings
#   ```text             right after commands: their output; ... stands for anything
#   <!-- file: NAME --> before a block: it is written to this file
#   <!-- from: PATH --> before a block: it stands in this file of the source tree, word for word
#
# A command that is not in a block would not be run, so none may stand outside of one.
set -uo pipefail
source=$1 bin=$2 document=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0 ran=0
fail() { echo "$document:$*" >&2 && failures=$((failures + 1)); }

cd "$work" && mkdir blocks run && cd run
for f in models configs plugins tests docs README.md core; do ln -s "$source/$f" .; done
mkdir build && ln -s "$bin" "$(dirname "$bin")/lib" build/
export PATH=$bin:$PATH

# blocks/NNN.{body,head}: the text of a block; line, kind and the comment before it
awk -v out="$work/blocks" '
    /^```/ && !inside {
        inside = 1
        name = sprintf("%s/%04d", out, ++n)
        kind = substr($0, 4)
        adjacent = kind == "text" && last == "sh" && gap == 0
        print NR "|" kind "|" comment "|" (adjacent ? previous : "") >(name ".head")
        printf "" >(name ".body")
        comment = ""
        next
    }
    /^```/ { inside = 0; last = kind; previous = name; gap = 0; close(name ".body"); close(name ".head"); next }
    inside { print >(name ".body"); next }
    /^<!-- (file|from): .* -->$/ { comment = $2 " " $3; gap = 1; next }
    NF { gap = 1; comment = "" }
    /^     *(\$ )?(\.\/(demo|check)|(build\/bin\/)?gla-[a-z]+ [^A-Z]|cmake |ninja |make |pkg-config |cc )/ {
        print NR ": a command outside of a ```sh block: " $0 >(out "/stray")
    }' "$source/$document"
[ ! -s "$work/blocks/stray" ] || fail "$(cat "$work/blocks/stray")"

for head in "$work"/blocks/*.head; do
    [ -e "$head" ] || break
    body=${head%.head}.body
    IFS='|' read -r line kind comment of <"$head"
    case $comment in
    'file: '*) cp "$body" "${comment#file: }" ;;
    'from: '*)
        awk 'BEGIN { RS = "\001" } NR == 1 { text = $0 } NR == 2 { exit !index($0, text) }' \
            "$body" "$source/${comment#from: }" || fail "$line: this is not in ${comment#from: }"
        ;;
    esac
    case $kind in
    sh)
        ran=$((ran + 1))
        bash -euo pipefail "$body" >"$body.out" 2>"$body.err" </dev/null ||
            fail "$line: failed: $(cat "$body") $(tail -n 5 "$body.out" "$body.err")"
        ;;
    text)
        [ -n "$of" ] || continue
        pattern=$(sed -e 's/[][\\*?]/\\&/g' -e 's/ *\.\.\.$/*/' -e 's/\.\.\./*/g' "$body")
        output=$(sed 's/ *$//' "$of.body.out")
        [[ $output == $pattern ]] || fail "$line: the output is not this but: $output"
        ;;
    'sh ('*')' | yaml | c | cmake | json | '') ;;
    *) fail "$line: a block of kind '$kind'" ;;
    esac
done
echo "$document: $ran blocks of commands"
[ $failures = 0 ]
