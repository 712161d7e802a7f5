# SPDX-License-Identifier: Apache-2.0
# For the scripts of this folder: each is one test of the programs as a user types them.
#
#   expect STATUS COMMAND...     runs it; its output is in $out, its messages in $err
#   has TEXT FILE-VARIABLE       fails unless the text is in it:  has 'no such file' "$err"
#   field NAME                   a value of the JSON in $out that stands on one line
#   json EXPRESSION...           each (for jq) is true of the JSON in $out
#   small_model                  prints an arch.yaml of two layers, GLA and attention
#   $work                        an empty folder, removed at the end
#   $source                      the source tree; the programs are in PATH
set -uo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

expect() {
    local wanted=$1 status=0
    shift
    command="$*"
    "$@" >"$work/.out" 2>"$work/.err" || status=$?
    out=$(cat "$work/.out")
    err=$(cat "$work/.err")
    [ "$status" = "$wanted" ] || fail "'$command' gave $status, not $wanted: $out $err"
}

has() { [[ $2 == *"$1"* ]] || fail "'$command' does not say '$1' but: $2"; }
has_not() { [[ $2 != *"$1"* ]] || fail "'$command' says '$1'"; }
lines() { [ "$(printf '%s\n' "$2" | wc -l)" = "$1" ] || fail "'$command' prints more than $1 lines: $2"; }
empty() { [ -z "$1" ] || fail "'$command' says: $1"; }
same() { cmp "$1" "$2" || fail "$1 and $2 differ"; }

field() { printf '%s\n' "$out" | sed -n "s/^ *\"$1\": \(.*[^,]\),\{0,1\}$/\1/p"; }

json() {
    local expression
    for expression; do
        jq -e "$expression" >/dev/null <<<"$out" ||
            fail "'$command': not true: $expression, $(jq -c "${expression%% *}" <<<"$out" | head -c 300)"
    done
}

small_model() {
    cat <<'YAML'
gla: 1
name: small
vocab_size: 128
d_model: 64
norm: {type: rmsnorm, eps: 1.0e-6}
tie_embeddings: true
blocks:
  lin:
    mixer: {type: gla, heads: 2}
    ffn: {type: swiglu, d_ff: 128}
  attn:
    mixer: {type: attention, heads: 2, kv_heads: 1, head_dim: 32, rope: {theta: 1.0e4}}
    ffn: {type: swiglu, d_ff: 128}
layers:
  pattern: [lin, attn]
YAML
}

finish() { [ "$failures" = 0 ]; }
