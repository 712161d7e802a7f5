#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BUILD CORPUS SECONDS [TARGET...] - libFuzzer on each target (all of them by default) for so
# many seconds, one after the other; inputs that add coverage stay in CORPUS/TARGET.  BUILD is a
# build with GLA_FUZZ (cmake --preset fuzz).  Says inputs and findings of each; a finding is left in
# CORPUS and belongs, made small, into tests/fuzz/seeds/NAME and into tests/malformed.
set -euo pipefail
build=$(realpath "$1") seconds=$3
mkdir -p "$2"
corpus=$(realpath "$2")
source=$(realpath "$(dirname "$0")/../..")
shift 3
[ $# -gt 0 ] || set -- $(cd "$build/bin" && ls fuzz_*)
export GLA_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1
status=0
for t in "$@"; do
    name=${t#fuzz_} dict='' seeds=()
    mkdir -p "$corpus/$t"
    case $name in
    json | config | safetensors | glaw | tokenizer) dict=json ;;
    arch | gguf | template) dict=$name ;;
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
    if ! "$build/bin/$t" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -close_fd_mask=1 -print_final_stats=1 -artifact_prefix="$corpus/$t." \
        ${dict:+-dict="$source/tests/fuzz/dict/$dict.dict"} "$corpus/$t" "${seeds[@]}" >"$log" 2>&1; then
        status=1
        grep -E 'ERROR|SUMMARY|broken promise|runtime error' "$log" | head -n 3 || true
    fi
    echo "$t: $(sed -n 's/stat::number_of_executed_units: *//p' "$log") inputs, $(
        grep -oE 'cov: [0-9]+' "$log" | tail -n 1)"
done
exit $status
