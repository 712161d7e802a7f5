#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-inspect: what it says of windows, of long lists of parameters, and of every tensor.
. "$(dirname "$0")/lib.sh"

cat >"$work/windows.yaml" <<'YAML'
gla: 1
vocab_size: 4096
d_model: 256
blocks:
  l: {mixer: {type: gla, heads: 1}, ffn: {type: swiglu, d_ff: 704}}
  a: {mixer: {type: attention, heads: 4, kv_heads: 1, window: 16}, ffn: {type: swiglu, d_ff: 704}}
  b:
    mixer: {type: mla, heads: 4, kv_rank: 64, nope_dim: 32, rope_dim: 32, v_head_dim: 64}
    ffn: {type: moe, experts: 8, top_k: 2, d_ff: 64, score: sigmoid, selection_bias: true,
          renormalise: true, scaling: 2.446, shared: {d_ff: 1024}}
layers: 6*l + a + b
YAML

# a layer's parameters are all there; numbers that stand in two places are the same
expect 0 gla-inspect "$work/windows.yaml"
has "KV          224 values per token (bf16: 448 B); 1 of 2 caches keep the last 16 tokens" "$out"
has "15.4 k more with full windows, and 1.54 M more per 1000 tokens of context" "$out"
has "scaling=2.446 shared.d_ff=1024" "$out"
crossover=$(sed -n 's/.*KV outgrows the recurrent state at \([0-9]*\) tokens$/\1/p' <<<"$out")
expect 0 gla-inspect "$work/windows.yaml" --json
json ".crossover_tokens == $crossover" '.kv_bytes_per_token == 448' 'has("weights") | not'

# windows may keep the caches below the state for ever
grep -v -e '^  b:' -e '^    ' -e '^     ' "$work/windows.yaml" >"$work/bounded.yaml"
sed -i 's/^layers.*/layers: 6*l + a/' "$work/bounded.yaml"
expect 0 gla-inspect "$work/bounded.yaml"
has "no crossover: with full windows KV is still less than the recurrent state" "$out"
has_not "more per 1000 tokens" "$out"

# layers that differ in a parameter alone are told apart
sed -e 's/^  a:.*/  a: {mixer: {type: attention, heads: 4, window: 16}}\n  c: {mixer: {type: attention, heads: 4, window: 17}}/' \
    -e 's/^layers.*/layers: 6*l + a + c/' "$work/bounded.yaml" >"$work/differ.yaml"
expect 0 gla-inspect "$work/differ.yaml"
has "window=16" "$out"
has "window=17" "$out"

# every tensor: the same in lines and in JSON
expect 0 gla-inspect "$source/models/tiny-hybrid" --weights
sed -n 's/^  \([a-z][^ ]*\) *\[\(.*\)\]$/\1 \2/p' <<<"$out" >"$work/lines"
[ "$(wc -l <"$work/lines")" = 104 ] || fail "tensors: $(wc -l <"$work/lines")"
expect 0 gla-inspect "$source/models/tiny-hybrid" --weights --json
jq -r '.weights[] | .name + " " + (.shape | map(tostring) | join(", "))' <<<"$out" >"$work/json"
same "$work/lines" "$work/json"

finish
