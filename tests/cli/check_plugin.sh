#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-check: every plugin of tests/plugins that breaks its contract is told how.
. "$(dirname "$0")/lib.sh"
plugins=$bin/../tests
layer='layers.0.mixer (test.breach/1)'

# breaks NAME TEXT: the plugin breach_NAME fails its checks with these words
breaks() {
    expect 1 gla-check "$plugins/breaches/breach_$1.so"
    has "FAIL" "$out"
    has "$2" "$out"
    empty "$err"
}

expect 0 gla-check "$plugins/breaches/breach_none.so"
has "8 of 8 checks passed" "$out"
has_not FAIL "$out"

breaks allocates "$layer: forward() calls gla.host.alloc alloc(): nothing may be allocated"
breaks mallocs "$layer: forward() calls malloc(): nothing may be allocated while a batch runs"
breaks mallocs_inside "$layer: forward() calls malloc(): nothing may be allocated while a batch"
breaks writes_past_y "$layer: forward() writes 1 numbers past the end of y of 1280 numbers"
breaks writes_before_y "$layer: forward() writes 1 numbers before the beginning of y"
breaks small_scratch "$layer: forward() writes 640 numbers past the end of scratch 0 of 640"
breaks small_state "$layer: forward() writes 1 numbers past the end of the state 'layers.0.mixer.h'"
breaks reads_past_x "$layer: forward() reads outside of its memory"
breaks stale_scratch "$layer: forward() depends on what was in scratch before"
breaks reads_y "$layer: forward() reads y before it writes it"
breaks forgets_y "$layer: forward() does not write y[0, 0] of [64, 20]"
breaks nan "$layer: forward() makes NaN at y[0, 0] from finite input"
breaks writes_x "$layer: forward() writes to x, which is read only"
breaks writes_weights "$layer: bind() writes to the weights it was given"
breaks writes_weights_late "$layer: forward() writes to the weights"
for name in table object made_object; do
    breaks writes_$name "$layer: forward() writes to the layer's own memory: it is read only and shared"
done
breaks copies_tail "$layer: forward() writes 12 numbers past the end of y of 1280 numbers"
breaks counts_calls "GLA_LAYER_DETERMINISTIC promises equal bits"
breaks chunk_differs "(53 of 64, first 1) when a batch comes in pieces: chunked and recurrent form"
breaks mixes_sequences "or sequences of one batch, do not agree"
breaks own_state "$layer: forward() gives other numbers when called again with the same input"
breaks undeclared_matrix "$layer: bind() uses weights[1], create() declared 1"
breaks undeclared_vector "a read of memory that is not the layer's"
has "keeps it with nothing: true" "$(gla-check "$plugins/breaches/breach_none.so")"
breaks leaks "allocations are not freed: destroy() gets every layer that create() made"
breaks ignores_no_memory "survives failed allocations: crashes (SIGSEGV) in $layer: create()"
breaks swallows_no_memory "must return GLA_E_NOMEM"
breaks needs_rows "$layer: forward() fails for a batch without rows"
breaks bad_status "$layer: bind() returned 7, which is no status"
breaks stands_nowhere "test.breach/1 may stand nowhere: its flags name no place"
breaks crashes_in_init "loads: crashes (SIGSEGV) in breach (plugin): init()"
breaks crashes_in_constructor "loads: calls abort() in a constructor"
breaks crashes_in_forward "crashes (SIGSEGV) in $layer: forward()"
breaks overflows_stack "crashes (SIGSEGV) in $layer: forward()"
breaks exits "calls exit() in $layer: create()"

# those that are refused before any of their functions run
refused() {
    expect 1 gla-check "$plugins/plugins/plugin_$1.so"
    has "FAIL the plugin: loads: $plugins/plugins/plugin_$1.so: $2" "$out"
    has "0 of 1 checks passed" "$out"
}
refused wrong_magic "magic is 0x00000007"
refused short_struct "struct_size is 16"
refused bad_sizes "batch_size is 8"
refused null_fn "misbehaving: test.plugin/1: function forward is missing"
refused no_entry "has no symbol gla_plugin_entry_v1"
refused nowhere "cannot open"
expect 1 gla-check "$plugins/plugins/plugin_duplicate_id.so"
has "has only layer types that are built in already" "$out"

# for programs
expect 1 gla-check --json "$plugins/breaches/breach_leaks.so"
has '"schema": "gla.check-plugin/1"' "$out"
has '"check": "survives failed allocations"' "$out"
has '"ok": false' "$out"

# at two widths that end no vector, or what the layer takes; a user's own
breaks forgets_tail "forward() writes 12 numbers past the end of the state 'layers.0.mixer.h' of 20"
has "create(), or use less (d_model 20)" "$out"
expect 0 gla-check "$plugins/breaches/breach_wide_only.so"
has "test.breach/1 as mixer takes d_model 64 and no narrower: the ends of rows are not" "$err"
expect 0 gla-check -q "$plugins/breaches/breach_wide_only.so"
empty "$err"
expect 1 gla-check "$plugins/breaches/breach_wide_only.so" --width 64,65
has "a multiple of 64 channels (d_model 65)" "$out"
expect 2 gla-check x.so --width wide
has "--width: 'wide' is no list of up to 8 numbers up to 16384" "$err"
expect 2 gla-check
has "FILE.so is missing" "$err"

# scripts of the time when gla-run did it
expect 1 gla-run --json --check-plugin "$plugins/breaches/breach_leaks.so"
has '"schema": "gla.check-plugin/1"' "$out"
has "gla-run: --check-plugin is a program of its own: gla-check " "$err"
cd "$plugins/breaches" && expect 0 gla-run -q --check-plugin breach_none.so
has "breach_none.so: 8 of 8 checks passed" "$out"
empty "$err"
expect 2 gla-run --check-plugin x.so -m "$source/models/tiny-hybrid"
has "makes its own models" "$err"

# the same checks in any program: a good model runs, a breach fails the call
export GLA_VALIDATE=1
expect 0 gla-run -m "$source/models/tiny-hybrid" -p "Once upon a time" -n 4 --greedy
cat >"$work/arch.yaml" <<END
gla: 1
name: broken
vocab_size: 61
d_model: 64
blocks:
  a: {mixer: {type: test.breach}}
layers: 2*a
END
breach=$plugins/breaches/breach_small_state.so
expect 1 gla-bench --arch "$work/arch.yaml" --plugin "$breach" --decode 1 --prefill 8 --repeat 1 --read-bytes 4M
has "writes 1 numbers past the end of the state" "$err"
finish
