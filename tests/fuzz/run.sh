#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BUILD CORPUS AMOUNT [TARGET...] - libFuzzer on each target (all of them by default), one after
# the other, for AMOUNT inputs (10000000) or seconds (600s); inputs that add coverage stay in
# CORPUS/TARGET.  BUILD is a build with GLA_FUZZ (cmake --preset fuzz).  Says inputs and findings of
# each; a finding is left in CORPUS and belongs, made small, into tests/fuzz/seeds/NAME and into
# tests/malformed.
set -euo pipefail
build=$(realpath "$1")
case $3 in
*s) amount=-max_total_time=${3%s} ;;
*) amount=-runs=$3 ;;
esac
mkdir -p "$2"
corpus=$(realpath "$2")
source=$(realpath "$(dirname "$0")/../..")
shift 3
[ $# -gt 0 ] || set -- $(cd "$build/bin" && ls fuzz_*)
export GLA_NUM_THREADS=1
# stacks of two calls and little memory held back: twice as many inputs; run a finding again with more
export ASAN_OPTIONS=allocator_may_return_null=1:malloc_context_size=2:quarantine_size_mb=16
status=0
for t in "$@"; do
    name=${t#fuzz_} dict='' seeds=() longest=4096
    mkdir -p "$corpus/$t"
    case $name in
    json | config | safetensors | glaw | tokenizer) dict=json ;;
    arch | gguf | template) dict=$name ;;
    esac
    case $name in
    glaw | gguf | safetensors | session) longest=16384 ;;
    esac
    case $name in
    arch) cp -n "$source"/configs/*.yaml "$corpus/$t" ;;
    template) cp -n "$source"/tests/data/chat/*.jinja "$corpus/$t" ;;
    config) for f in "$source"/tests/reference/*/config.json; do
        cp -n "$f" "$corpus/$t/$(basename "$(dirname "$f")").json"
    done ;;
    esac
    [ ! -d "$source/tests/fuzz/seeds/$name" ] || seeds=("$source/tests/fuzz/seeds/$name")
    log=$corpus/$t.log
    export GLA_FUZZ_SEEDS=$corpus/$t
    if ! "$build/bin/$t" "$amount" -timeout=10 -rss_limit_mb=2048 -max_len=$longest \
        -close_fd_mask=1 -print_final_stats=1 -artifact_prefix="$corpus/$t." \
        ${dict:+-dict="$source/tests/fuzz/dict/$dict.dict"} "$corpus/$t" "${seeds[@]}" >"$log" 2>&1; then
        status=1
        grep -E 'ERROR|SUMMARY|broken promise|runtime error' "$log" | head -n 3 || true
    fi
    echo "$t: $(sed -n 's/stat::number_of_executed_units: *//p' "$log") inputs, $(
        grep -oE 'cov: [0-9]+' "$log" | tail -n 1)"
done
exit $status
