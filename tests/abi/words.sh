#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# words.sh SOURCE_DIR - the library speaks to its caller: no text of it names an option or a program
# of the command line.  tools/cli/cli_hint.c says what these call a field or function of the API, and
# each of those is in a public header.
set -eu
cd "$1"

if grep -rnE '"([^"]* |[^"]*\()?(--[a-z]|gla-(bench|check|compare|convert|eval|inspect|run|serve|train)\b)' \
    core formats layers --include='*.[ch]'; then
    echo "the library's texts name fields and functions of its API"
    exit 1
fi

sed -n '/^} said\[\] = {/,/^};/s/^ *{"\([^"]*\)".*/\1/p' tools/cli/cli_hint.c >"${TMPDIR:-/tmp}/words.$$"
trap 'rm -f "${TMPDIR:-/tmp}/words.$$"' EXIT
[ -s "${TMPDIR:-/tmp}/words.$$" ] || { echo "tools/cli/cli_hint.c has no table" && exit 1; }
bad=0
for word in $(grep -oE 'gla_[a-z_]+|(limits|options)\.[a-z_]+' "${TMPDIR:-/tmp}/words.$$"); do
    grep -rqwE "${word##*.}" core/include/gla || { echo "cli_hint.c: $word is in no public header"; bad=1; }
    grep -rqF "$word" core formats --include='*.c' || { echo "cli_hint.c: no text says $word"; bad=1; }
done
exit $bad
