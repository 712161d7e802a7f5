#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-bench: a small shape is measured quickly, everything promised is in the JSON, wrong usage is
# refused.  Speeds themselves are not judged here: other tests run at the same time.
. "$(dirname "$0")/lib.sh"

small_model >"$work/arch.yaml"
quick=(--decode 3 --repeat 2 --read-bytes 4M)

expect 0 gla-bench --arch "$work/arch.yaml" --weights int8 --prefill 0,16,40 --depth 0,120 \
    --batch 1,3 "${quick[@]}" --sessions --shared 512,700 --many 70 --threads 2 --json
empty "$err"
json '.schema == "gla.bench/1"' '.rounds == 2' '.interrupted == false' '.random_weights' \
    '.model == "small"' '.threads == 2' '.kv == "bf16"' '.read_bytes_per_s > 0' \
    '.make_weights_s > 0' '.time_to_first_token_s > .make_weights_s' \
    '.memory_bytes.weights > 0' '.memory_bytes.peak > .memory_bytes.weights' \
    '[.prefill[].tokens] == [16, 40]' \
    '.prefill | all(.prefill_tokens_per_s > 0 and .prefill_gemm_fraction > 0)' \
    '[.decode[] | .depth, .batch] == [0, 1, 0, 3, 120, 1, 120, 3]' \
    '.decode | all(.decode_tokens_per_s > 0 and .decode_bandwidth_fraction > 0)' \
    '.decode | all(.decode_tokens_per_s_range[0] <= .decode_tokens_per_s)' \
    '.decode | all(.decode_tokens_per_s_range[1] >= .decode_tokens_per_s)' \
    '.prefill + .decode | all(([.time_shares[]] | add - 1 | fabs) < 1e-6)' \
    '.gemm | all(.flops_per_s > 0)' '[.gemm[].arithmetic] | unique == ["f32", "int8"]'
# weights once a step but for the rows of the embedding (64 int8 and a scale), states and KV once a
# session: 120 more tokens are 120 keys and values of 32 bf16 numbers
json '.decode[0].state_bytes_per_step > 0' \
    '.decode[1].state_bytes_per_step == 3 * .decode[0].state_bytes_per_step' \
    '.decode[1].weight_bytes_per_step - .decode[0].weight_bytes_per_step == 2 * 68' \
    '.decode[2].kv_bytes_per_step - .decode[0].kv_bytes_per_step == 120 * 64 * 2'
json '[.sessions[].depth] == [120]' '.sessions[0].turn_tokens_reused == 120' \
    '[.sessions[0].rollbacks[].tokens] == [1, 100]' \
    '.sessions[0] | .fork_s > 0 and .save_s > 0 and .load_s > 0 and .file_bytes > 0' \
    '.sessions[0] | .turn_s > 0 and .turn_cached_s > 0 and .recompute_s > 0'
# wherever the shared part ends, less than a stride of it is computed again
json '[.shared_prompts[].tokens_shared] == [512, 700]' \
    '.shared_prompts | all(.prompts == 64 and .hits == 63 and .snapshot_stride == 512)' \
    '.shared_prompts | all(.tokens_reused_least == 512 and .tokens_reused_most == 512)'
# the prompt once, and of each session its states, a page of two heads (keys, values) of bf16, its
# tokens (room for 681) and a table (for 12 pages)
json '.many_sessions.sessions == 70' '.many_sessions.tokens_shared == 512' \
    '.many_sessions.bytes == 70 * (2 * 16 * 32 * 4 + 64 * 64 * 2 + 681 * 4 + 12 * 8)'

expect 0 gla-bench --arch "$work/arch.yaml" --weights f32 --prefill 16 "${quick[@]}"
empty "$err"
for text in small: "KV f32" "memory read" "f32  product [16, 64]" Prefill: Decode: "linear "; do
    has "$text" "$out"
done
has_not Sessions "$out"

expect 0 gla-bench -m "$source/models/tiny-hybrid" --prefill 0 "${quick[@]}" --repeat 1 --json
json '.random_weights == false' '.load_s > 0' '.prefill == []' '.decode | length == 1'

for wrong in "" "-m x --arch y" "-m x --weights int8" "--arch y --weights int5" "-m x --depth 1,,2" \
    "-m x --prefill 99999999" "-m x --batch 65" "-m x --sessions" "-m x --repeat 0" \
    "-m x --read-bytes 1K"; do
    # shellcheck disable=SC2086
    expect 2 gla-bench $wrong
    empty "$out"
    has "Try 'gla-bench --help'." "$err"
done
expect 1 gla-bench -m "$work/nothing"
expect 1 gla-bench --arch "$work/nothing.yaml"
empty "$out"

finish
