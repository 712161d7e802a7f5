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
    case $f in *_avx2.c | *_avx512.c) ;; *) files+=("$f") ;; esac
done

printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 8 \
    clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-Wno-unknown-pragmas 2>/dev/null | grep -v '^$' && status=1

cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
    --suppressions-list=tests/cppcheck.txt --error-exitcode=1 -j "$(nproc)" -D__x86_64__ \
    -Icore -I. -Icore/include -Itools "${files[@]}" || status=1

# -fanalyzer of gcc 12 knows C only roughly; what is left out it gets wrong (paths through goto and
# through callbacks that it cannot follow).
for f in "${files[@]}"; do
    printf '%s\0' "$f"
done | xargs -0 -P "$(nproc)" -I{} gcc -std=c11 -O1 -fanalyzer -Werror -w \
    -Wanalyzer-double-free -Wanalyzer-use-after-free -Wanalyzer-null-dereference \
    -Wanalyzer-file-leak -Wanalyzer-free-of-non-heap -Wanalyzer-use-of-uninitialized-value \
    -Wanalyzer-out-of-bounds -Wanalyzer-double-fclose -Wanalyzer-fd-leak \
    -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -Icore -I. -Icore/include -Itools \
    -I"$build" -fopenmp -c {} -o /dev/null || status=1
exit $status
