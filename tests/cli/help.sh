#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What every program must do: help within 80 columns on stdout, versions, complaints on stderr.
. "$(dirname "$0")/lib.sh"

programs=0
for path in "$bin"/gla-*; do
    program=$(basename "$path")
    programs=$((programs + 1))
    for option in --help -h; do
        expect 0 "$program" $option
        has "Usage:" "$out"
        empty "$err"
        [ "$(awk 'length > 80' "$work/.out" | wc -l)" = 0 ] ||
            fail "$program $option: $(awk 'length > 80' "$work/.out" | head -1) is too long"
    done
    expect 0 "$program" --help
    has "Exit status:" "$out"
    has "GLA_PLUGIN_PATH" "$out"
    expect 0 "$program" --version
    has "$program 0." "$out"
    has "oneDNN" "$out"
    expect 2 "$program" --no-such-option
    has "$program: unknown option --no-such-option" "$err"
    has "Try '$program --help'." "$err"
    empty "$out"
    "$program" --help >/dev/full 2>"$work/.err" && fail "$program: a full disk goes unnoticed"
done
[ "$programs" -gt 0 ] || fail "no programs in $bin"

finish
