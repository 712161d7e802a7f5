#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# analyse.sh BUILD [FILE...] - clang-tidy (.clang-tidy), cppcheck and gcc -fanalyzer over our own
# sources; BUILD is a configured build folder (compile_commands.json).  Clean = no output, status 0.
set -uo pipefail
build=$1
shift
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- $(git ls-files 'core/*.c' 'layers/*.c' 'formats/*.c' 'tools/*.c')
status=0

# The kernels are instantiated from one vector source: the plain C one stands for all.
files=()
for f in "$@"; do
    case $f in *_avx2.c | *_avx512.c | *_avx512vnni.c) ;; *) files+=("$f") ;; esac
done

printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 8 \
    clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-Wno-unknown-pragmas 2>/dev/null | grep -v '^$' && status=1

cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
    --suppressions-list=tests/cppcheck.txt --error-exitcode=1 -D__x86_64__ \
    -Icore -I. -Icore/include -Itools "${files[@]}" || status=1

# gcc 12's analyser takes every pointer that is compared with NULL anywhere for one that may be NULL,
# and `if (f != stdin) fclose(f)` for a leak: those classes are clang's and the leak sanitizer's.
include=$(dirname "$(find "$build" -name builtin_layers.inc | head -n 1)")
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I{} gcc -std=c11 -O1 -fanalyzer -Werror \
    -Wno-analyzer-null-dereference -Wno-analyzer-possible-null-dereference \
    -Wno-analyzer-malloc-leak -Wno-analyzer-file-leak -Wno-analyzer-possible-null-argument \
    -D__clang_analyzer__ -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 '-DGLA_PLUGIN_DIR=""' \
    -Icore -I. -Icore/include -Itools -I"$include" -fopenmp -c {} -o /dev/null || status=1
exit $status
