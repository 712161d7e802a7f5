#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# analyse.sh BUILD [FILE...] - clang-tidy (.clang-tidy), cppcheck and gcc -fanalyzer over our own
# sources; BUILD is a configured build folder (compile_commands.json).  Clean = no output, status 0;
# else what each tool says of a file, under its name.
set -uo pipefail
build=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- $(git ls-files core layers formats tools plugins | grep '\.c$')
files=("$@")
status=0

# each TOOL ARG...: runs it on every file, several at a time, and shows the output of those that fail
each() {
    printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c '
        said=$("$@" 2>&1) && exit 0
        printf "== %s: %s\n%s\n" "$1" "${@: -1}" "$said"
        exit 1' each "$@" {} || status=1
}

each clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-Wno-unknown-pragmas

# The others do not get each file's flags from BUILD: of the kernels they read the plain C ones.
files=()
for f in "$@"; do
    case $f in *_avx2.c | *_avx512.c | *_avx512vnni.c) ;; *) files+=("$f") ;; esac
done
[ ${#files[@]} -gt 0 ] || exit $status

cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
    --suppressions-list=tests/cppcheck.txt --error-exitcode=1 -D__x86_64__ \
    -Icore -I. -Icore/include -Itools "${files[@]}" || status=1

# gcc 12's analyser takes every pointer that is compared with NULL anywhere for one that may be NULL,
# and `if (f != stdin) fclose(f)` for a leak: those classes are clang's and the leak sanitizer's.
include=$(dirname "$(find "$build" -name builtin_layers.inc | head -n 1)")
each gcc -std=c11 -O1 -fanalyzer -Werror \
    -Wno-analyzer-null-dereference -Wno-analyzer-possible-null-dereference \
    -Wno-analyzer-malloc-leak -Wno-analyzer-file-leak -Wno-analyzer-possible-null-argument \
    -D__clang_analyzer__ -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 '-DGLA_PLUGIN_DIR=""' \
    -Icore -I. -Icore/include -Itools -I"$include" -o /dev/null -c
exit $status
