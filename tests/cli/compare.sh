#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gla-compare: the table to the letter, JSON and CSV that say the same, and what is refused.
. "$(dirname "$0")/lib.sh"
export GLA_NUM_THREADS=1 # other tests run beside this one

{ small_model && echo "  repeat: 4"; } >"$work/arch.yaml"
sweep=(--arch "$work/arch.yaml" --mix "1:0,3:1,1:1,1:3,0:1")

# schema: the last output is JSON as docs/compare.schema.json says
schema() {
    python3 "$source/tests/cli/check_schema.py" "$source/docs/compare.schema.json" "$work/.out" >&2 ||
        fail "'$command': not as the schema says"
}

# the tables, by hand, however wide their columns are drawn: GLA keeps 2 heads of 16 x 32 numbers, attention 2 x 32 numbers a token
expect 0 gla-compare "${sweep[@]}" --context 256,1K --memory 1M
cat >"$work/golden" <<'TABLE'
candidate  blocks  layers: ░ recurrent  █ softmax  ◆ both  · neither
1:0        8       ░░░░░░░░
3:1        8       ░░░█░░░█
1:1        8       ░█░█░█░█
1:3        8       ░███░███
0:1        8       ████████

candidate  parameters   active   weights    state   KV > state   fits 
1:0             350 k    350 k   686 KiB   32 KiB            -    any*
3:1             338 k    338 k   664 KiB   24 KiB           65   1344 
1:1             327 k    327 k   641 KiB   16 KiB            1    704 
1:3             316 k    316 k   619 KiB    8 KiB            1    512 
0:1             304 k    304 k*  596 KiB*     0 B*           -    384 

KV cache of one sequence, by context
candidate      256        1k 
1:0            0 B*      0 B*
3:1         64 KiB   256 KiB 
1:1        128 KiB   512 KiB 
1:3        192 KiB   768 KiB 
0:1        256 KiB     1 MiB 

KV cache and state together, by context
candidate      256        1k 
1:0         32 KiB*   32 KiB*
3:1         88 KiB   280 KiB 
1:1        144 KiB   528 KiB 
1:3        200 KiB   776 KiB 
0:1        256 KiB     1 MiB 

FLOPs for one more token, by context
candidate     256       1k 
1:0         737 k*   737 k*
3:1         836 k   1.23 M 
1:1         935 k   1.72 M 
1:3        1.03 M   2.21 M 
0:1        1.13 M   2.71 M 

* best of its column.  KV: bf16.  KV > state: tokens at which the cache outgrows the state.
fits: tokens of one sequence beside the weights in 1 MiB.
TABLE
narrow() { tr -s ' ' <"$1" | sed 's/ $//'; }
diff <(narrow "$work/golden") <(narrow "$work/.out") >&2 || fail "the table differs from what it was"
empty "$err"

# every key is there; what was not measured is null
expect 0 gla-compare "${sweep[@]}" --context 256,1K --memory 1M --json
json '.schema == "gla.compare/1"' '.candidates | length == 5' '.kv_dtype == "bf16"' \
    '[.candidates[].name] == ["1:0", "3:1", "1:1", "1:3", "0:1"]' \
    '.candidates[1].layers == ["recurrent", "recurrent", "recurrent", "softmax",
                               "recurrent", "recurrent", "recurrent", "softmax"]' \
    '.candidates[3].layers[:4] == ["recurrent", "softmax", "softmax", "softmax"]' \
    'all(.candidates[]; .parameters == .active_parameters and .weight_bytes > 0)' \
    'all(.candidates[]; .nll == null and .trained == false)' \
    'all(.candidates[].contexts[]; has("prefill_tokens_per_s") and has("decode_tokens_per_s"))' \
    '[.candidates[].state_bytes] == [32768, 24576, 16384, 8192, 0]' \
    '[.candidates[].contexts[1].kv_bytes] == [0, 262144, 524288, 786432, 1048576]' \
    '.candidates[0].context_unlimited and .candidates[0].context_fits == null' \
    '[.candidates[].crossover_tokens] == [null, 65, 1, 1, null]' \
    '.command == ["gla-compare", "--arch", "'"$work"'/arch.yaml",
        "--mix", "1:0,3:1,1:1,1:3,0:1", "--context", "256,1K", "--memory", "1M", "--json"]' '.machine.threads == 1'
schema # crossover: KV comes in pages of 64 tokens
jq 'del(.machine)' "$work/.out" >"$work/broken"
python3 "$source/tests/cli/check_schema.py" "$source/docs/compare.schema.json" "$work/broken" \
    2>/dev/null && fail "the check of the schema finds nothing"
expect 0 gla-compare "${sweep[@]}" --context 256,1K --csv
lines 6 "$out"
has "candidate,source,parameters,active_parameters,weight_bytes,state_bytes" "$out"
has "3:1,$work/arch.yaml," "$out"
[ "$(awk -F, '{print NF}' "$work/.out" | sort -u | wc -l)" = 1 ] || fail "CSV: ragged lines"

# --weights counts: int4 is less than int8, which is less than bf16
for type in bf16 int8 int4; do
    expect 0 gla-compare "$work/arch.yaml" --weights $type --json
    jq '.candidates[0].weight_bytes' "$work/.out"
done >"$work/bytes"
sort -rnu "$work/bytes" | cmp - "$work/bytes" || fail "--weights: $(tr '\n' ' ' <"$work/bytes")"

# families swapped; without linear layers they are the same model and stand once
expect 0 gla-compare --arch "$work/arch.yaml" --mix 3:1,0:1 --json \
    --mixers gla,gated_deltanet,deltanet,kda,mamba2,hgrn2,retention
json '[.candidates[].name] == ["gla 3:1", "0:1", "gated_deltanet 3:1", "deltanet 3:1", "kda 3:1",
                               "mamba2 3:1", "hgrn2 3:1", "retention 3:1"]'
expect 0 gla-compare "$work/arch.yaml" "$work/arch.yaml" --json
json '[.candidates[].name] == ["small", "small #2"]'

# a mix changes mixers only: of layers whose feed-forwards differ, each keeps its own
sed '/^  attn:/,/^layers:/s/d_ff: 128/d_ff: 96/' "$work/arch.yaml" >"$work/uneven.yaml"
expect 0 gla-compare "$work/uneven.yaml" --json
own=$(jq '.candidates[0].parameters' <<<"$out")
expect 0 gla-compare --arch "$work/uneven.yaml" --mix own,1:1,0:1 --json
json '[.candidates[].name] == ["own", "1:1", "0:1"]' ".candidates[0].parameters == $own" \
    ".candidates[1].parameters == $own" '.candidates[2].layers | all(. == "softmax")'
# of Kimi's 27 layers the published ones are those of 20:7
expect 0 gla-compare --arch "$source/configs/kimi-linear-48b-a3b.yaml" --mix own,20:7 --json
json '.candidates[0].layers == .candidates[1].layers' \
    '.candidates[0].parameters == .candidates[1].parameters'
# several architectures: labels say whose
expect 0 gla-compare --arch "$source/configs/qwen3-next-80b-a3b.yaml" \
    --arch "$source/configs/kimi-linear-48b-a3b.yaml" --mix own,0:1 "$source/configs/gla-1.3b.yaml" \
    --context 32K --json
json '[.candidates[].name] == ["gla-1.3b", "qwen3-next-80b-a3b", "qwen3-next-80b-a3b 0:1",
                               "kimi-linear-48b-a3b", "kimi-linear-48b-a3b 0:1"]' \
    '[.candidates[].contexts[0].kv_bytes] | .[1] * 4 == .[2] and .[3] * 27 == .[4] * 7' \
    '.candidates[1].crossover_tokens | . > 3000 and . < 3300'

# widths that move
expect 0 gla-compare "${sweep[@]}" --match params --json
json '[.candidates[].parameters] | (max - min) / .[0] < 0.02' \
    '.candidates[0].changes == [] and .match == "params"' \
    'all(.candidates[4].changes[]; .parameter == "d_ff" and .from == 128 and .to > 128)'
schema
expect 0 gla-compare --arch "$work/arch.yaml" --mix 1:0,1:1 --match state --json
json '[.candidates[].state_bytes] == [32768, 32768]' \
    '.candidates[1].changes == [{block: "lin", parameter: "k_dim", from: 32, to: 64}]'
expect 0 gla-compare --arch "$work/arch.yaml" --mix 1:0,1:1 --match state
has "k_dim 32 -> 64 (lin)" "$out"
expect 1 gla-compare --arch "$work/arch.yaml" --mix 1:0,0:1 --match state
has "0:1 has 0, 1:0 32768, and nothing that could move" "$err"
expect 1 gla-compare --arch "$work/arch.yaml" --mix 0:1,1:0 --match state
has "0:1 has none to match" "$err"
expect 1 gla-compare "$source/configs/gla-340m.yaml" "$work/arch.yaml" --match params
has "more than 1 % apart" "$err"
expect 1 gla-compare "$work/arch.yaml" "$source/models/tiny-hybrid" --match params
has "tiny-hybrid has weights, whose widths cannot be moved" "$err"

# quality: what gla-eval says, differences paired, the same again in a second run
head -c 900 "$source/tests/data/val_stories.txt" >"$work/text"
tiny=$source/models/tiny-hybrid
expect 0 gla-convert "$tiny" -o "$work/int4" -w int4 --quiet
expect 0 gla-eval -m "$work/int4" --text "$work/text" --window 64 --json
nll=$(jq .nll <<<"$out")
quality=(gla-compare "$tiny" "$work/int4" "$work/arch.yaml" --text "$work/text" --window 64)
expect 0 "${quality[@]}" --json
cp "$work/.out" "$work/first"
json ".candidates[1].nll - $nll | fabs < 1e-6" '.candidates[0].nll < .candidates[1].nll' \
    '.candidates[2].nll == null' '.windows > 2' '.candidates[0].nll_difference == 0' \
    '.candidates[1] | .nll_interval[0] < .nll and .nll < .nll_interval[1]' \
    '.candidates[1] | .nll_difference_interval[0] < .nll_difference' \
    '.candidates[1].nll_by_position | map(.end) == [16, 32, 64]' \
    '.candidates[0].contexts[0].decode_tokens_per_s == null'
expect 0 "${quality[@]}" --json
same "$work/first" "$work/.out"
expect 0 "${quality[@]}"
has "nll against the first" "$out"
expect 0 "${quality[@]}" --csv
has ",nll,nll_low,nll_high,perplexity," "$out"
[ "$(awk -F, '{print NF}' "$work/.out" | sort -u | wc -l)" = 1 ] || fail "CSV: ragged lines"

# layers left out: every mixer, and no better without the first one than a model without layers
expect 0 gla-compare "$tiny" --ablate layers --text "$work/text" --window 64 --json
json '.candidates[0].ablation | map(.layer) == [range(8) | "layers.\(.).mixer"]' \
    '.candidates[0].ablation | map(.kind) == ["recurrent", "recurrent", "recurrent", "softmax",
                                             "recurrent", "recurrent", "recurrent", "softmax"]' \
    '.candidates[0] | .nll as $n | all(.ablation[]; .nll - $n - .nll_rise | fabs < 1e-6)' \
    'all(.candidates[0].ablation[]; .nll_rise_interval[0] <= .nll_rise)' \
    '.candidates[0].ablation[0].nll_rise > 1'
schema
expect 0 gla-compare "$tiny" --ablate layers --text "$work/text" --window 64
has "with the output of one mixer left out it rises by" "$out"

# one window: no intervals, and it is said why
expect 0 gla-compare "$tiny" --text "$work/text"
has "tokens in one window of 1024, and so no intervals: they need a longer text or a shorter" "$out"
has_not "95 %" "$out"

# recall: a model made by hand that can do it.  One DeltaNet layer whose key is the token before and
# whose value is the token itself: asked with a token, it answers with what followed that one.
mkdir "$work/rememberer"
python3 - "$work/rememberer" <<'PYTHON' || fail "cannot make the model"
import array, json, pathlib, random, struct, sys
folder, vocab, d = pathlib.Path(sys.argv[1]), 320, 128
random.seed(1)
def eye(scale):
    return [scale * (i == k) for i in range(d) for k in range(d)]
def taps(at): # of four, the last is the token itself
    return [float(k == at) for _ in range(d) for k in range(4)]
words = [random.choice((-1.0, 1.0)) for _ in range(vocab * d)]
layer = "model.layers.0."
tensors = {
    "model.embeddings.weight": ([vocab, d], words),
    "lm_head.weight": ([vocab, d], [0.3 * x for x in words]),
    "model.norm.weight": ([d], [1.0] * d),
    layer + "attn_norm.weight": ([d], [1.0] * d),
    layer + "mlp_norm.weight": ([d], [1.0] * d),
    layer + "attn.o_norm.weight": ([d], [1.0] * d),
    layer + "attn.b_proj.weight": ([1, d], [0.0] * d),
    layer + "attn.o_proj.weight": ([d, d], eye(8.0)),
    layer + "mlp.gate_proj.weight": ([32, d], [0.0] * 32 * d),
    layer + "mlp.up_proj.weight": ([32, d], [0.0] * 32 * d),
    layer + "mlp.down_proj.weight": ([d, 32], [0.0] * 32 * d),
}
for name, tap in (("q", 3), ("k", 2), ("v", 3)):
    tensors[layer + f"attn.{name}_proj.weight"] = ([d, d], eye(1.0))
    tensors[layer + f"attn.{name}_conv1d.weight"] = ([d, 1, 4], taps(tap))
header, data = {}, b""
for name, (shape, values) in tensors.items():
    raw = array.array("f", values).tobytes()
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
head = json.dumps(header).encode()
(folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
(folder / "config.json").write_text(json.dumps({
    "model_type": "delta_net", "attn": None, "hidden_size": d, "num_heads": 1, "expand_k": 1.0,
    "expand_v": 1.0, "num_hidden_layers": 1, "vocab_size": vocab, "conv_size": 4, "use_beta": True,
    "intermediate_size": 32, "hidden_act": "swish", "qk_activation": "silu", "qk_norm": "l2",
    "use_short_conv": True, "use_gate": False, "norm_eps": 1e-6, "tie_word_embeddings": False,
    "max_position_embeddings": 2048, "bos_token_id": 1, "eos_token_id": 2}))
PYTHON
expect 0 gla-convert "$work/rememberer" -o "$work/hand-made" --quiet
recall=(gla-compare "$work/hand-made" "$tiny" "$work/arch.yaml" --recall --trials 4)
expect 0 "${recall[@]}" --json
cp "$work/.out" "$work/first"
json '[.candidates[0].recall[].probe] == ["copy_32", "induction_128", "needle_10", "needle_50",
        "needle_90", "pairs_2", "pairs_4", "pairs_8", "pairs_16", "pairs_32", "pairs_64"]' \
    'all(.candidates[0].recall[]; .able and .gain > 5 and .probability > 100 * .control_probability)' \
    '.candidates[0].recall | map(select(.probe | test("pairs"))) | .[0].gain > .[5].gain' \
    '.candidates[0].recall[0].accuracy > 0.9 and .candidates[0].recall[0].control_accuracy < 0.3' \
    '[.candidates[1].recall[] | select(.able)] | length < 3' '.candidates[2].recall == null'
schema
expect 0 "${recall[@]}" --json
same "$work/first" "$work/.out"
expect 0 "${recall[@]}"
has "associative recall among so many pairs" "$out"
expect 0 "${recall[@]}" --csv
has ",recall_pairs_64,recall_pairs_64_low,recall_pairs_64_high" "$out"
expect 1 gla-compare "$work/arch.yaml" --recall
has "--recall: no candidate has trained weights" "$err"

# the page: every tag closed, nothing from the network, names escaped; the plots are XML
mkdir "$work/a&b<c>"
ln -s "$tiny"/{arch.yaml,weights.glaw,tokenizer.json} "$work/a&b<c>/"
expect 0 gla-compare "$tiny" "$work/a&b<c>" "$work/arch.yaml" --text "$work/text" --window 64 \
    --html "$work/page.html" --plots "$work/plots" --quiet --ablate layers --recall --trials 2
python3 - "$work" <<'PYTHON' >&2 || fail "the page or the plots are not well-formed"
import html.parser, pathlib, sys, xml.dom.minidom
work = pathlib.Path(sys.argv[1])
text = (work / "page.html").read_text()
class Reader(html.parser.HTMLParser):
    open, figures = [], 0
    def handle_starttag(self, tag, attrs):
        self.figures += tag == "figure"
        assert tag not in ("script", "link", "img", "iframe"), tag
        if tag != "meta":
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())
reader = Reader()
reader.feed(text)
assert not reader.open and reader.figures == 7, (reader.open, reader.figures)
assert "a&amp;b&lt;c&gt;" in text and "a&b<c>" not in text
assert text.count("http") == text.count("http://www.w3.org/2000/svg") and "nan" not in text
plots = sorted(p.stem for p in (work / "plots").iterdir())
assert plots == ["ablation", "layers", "memory", "needle", "pairs", "positions", "quality"], plots
for p in (work / "plots").iterdir():
    xml.dom.minidom.parse(str(p))
PYTHON
expect 1 gla-compare "$tiny" --html "$work/nowhere/page.html"
has "nowhere/page.html" "$err"

# speed: every context of every candidate, more than nothing
expect 0 gla-compare "${sweep[@]}" --measure --context 0,64,16 --rounds 2 --decode 2 --json
json '[.candidates[0].contexts[].tokens] == [0, 16, 64]' '.rounds == 2' \
    'all(.candidates[].contexts[]; .decode_tokens_per_s > 0)' \
    'all(.candidates[].contexts[1:][]; .prefill_tokens_per_s > 0)' \
    'all(.candidates[].contexts[0]; .prefill_tokens_per_s == null)' \
    'all(.candidates[]; .memory_used_bytes > .weight_bytes / 2)' \
    'all(.candidates[].contexts[]; .decode_tokens_per_s_spread[0] <= .decode_tokens_per_s)' \
    'all(.candidates[].contexts[1:][]; .first_token_s_spread[0] *
         .prefill_tokens_per_s_spread[1] / .tokens - 1 | fabs < 1e-6)'
schema

# a stretch of prompt that is not computed takes its time from its ends
expect 0 gla-compare "$tiny" --measure --context 6K --whole 1K --rounds 1 --decode 1 --json
json '.whole_prompt_tokens == 1024' '.candidates[0].contexts[0] | .prefill_tokens_per_s > 0 and
      .decode_tokens_per_s > 0 and .first_token_s > 0'
expect 0 gla-compare "$tiny" --measure --context 6K --whole 1K --rounds 1 --decode 1
has "both ends are computed" "$out"

# joules: of the counters that GLA_POWERCAP shows; without any the table says why
mkdir -p "$work/powercap/intel-rapl:0" "$work/powercap/intel-rapl:1"
echo package-0 >"$work/powercap/intel-rapl:0/name"
echo psys >"$work/powercap/intel-rapl:1/name"
echo 1000000 >"$work/powercap/intel-rapl:0/max_energy_range_uj"
echo 0 >"$work/powercap/intel-rapl:0/energy_uj"
(
    for ((uj = 0; ; uj = (uj + 3331) % 1000000)); do # starts over, as the real ones do
        echo $uj >"$work/powercap/next"
        mv "$work/powercap/next" "$work/powercap/intel-rapl:0/energy_uj"
    done
) 2>/dev/null &
counter=$!
GLA_POWERCAP=$work/powercap expect 0 gla-compare "$tiny" --measure --context 512 --rounds 2 \
    --decode 256 --json
kill $counter
json '.candidates[0].contexts[0] | .prefill_joules > 0 and .decode_joules > 0' \
    '.machine.no_joules == null'
schema
GLA_POWERCAP=$work/nowhere expect 0 gla-compare "$tiny" --measure --context 64 --rounds 1
has "joules: not known: no intel-rapl under $work/nowhere" "$out"
GLA_POWERCAP=$work/nowhere expect 0 gla-compare "$tiny" --measure --context 64 --rounds 1 --json
json '.candidates[0].contexts[0].decode_joules == null' '.machine.no_joules | test("nowhere")'

# interrupted: what was measured is printed
gla-compare "$tiny" --measure --context 64 --rounds 32 --decode 256 --json \
    --html "$work/cut.html" --progress >"$work/.out" 2>"$work/.err" &
for ((i = 0; i < 300; i++)); do
    grep -q 'measuring speed' "$work/.err" && break
    sleep 0.1
done
kill -INT $!
wait $!
[ $? = 130 ] || fail "an interrupted comparison ends otherwise than with 130"
jq -e '.interrupted' "$work/.out" >/dev/null || fail "interrupted: $(cat "$work/.out")"
grep -q 'this is what had been measured' "$work/cut.html" || fail "interrupted: no page"

# refused with the reason
mkdir "$work/other"
ln -s "$tiny/arch.yaml" "$tiny/weights.glaw" "$work/other/"
jq '.model.vocab |= (.["Ġthe"] as $a | .["Ġthe"] = .["Ġand"] | .["Ġand"] = $a)' \
    "$tiny/tokenizer.json" >"$work/other/tokenizer.json"
expect 1 gla-compare "$tiny" "$work/other" --text "$work/text"
has "tiny-hybrid and other read the text as different tokens" "$err"
expect 1 gla-compare "$work/arch.yaml" --text "$work/text"
has "no candidate has trained weights" "$err"
expect 1 gla-compare "$tiny" --text "$work/nowhere"
has "$work/nowhere" "$err"
expect 1 gla-compare "$tiny" --measure --weights int4
has "measured as stored, not as int4" "$err"
expect 1 gla-compare --arch "$work/arch.yaml" --mix 2:1
has "--mix 2:1 comes in groups of 3 layers, which do not divide 8 layers" "$err"
has "the nearest that do are 5:3 and 3:1" "$err"
lines 1 "$err"
expect 1 gla-compare --arch "$source/configs/kimi-linear-48b-a3b.yaml" --mix 3:1
has "do not divide 27 layers; hint: the nearest that do are 20:7 and 7:2" "$err"
expect 1 gla-compare "$tiny" --text "$work/text" --window 100000
has "made for contexts of" "$err"
expect 2 gla-compare "$tiny" --ablate layers
has "--text FILE is needed" "$err"
expect 1 gla-compare --arch "$source/configs/gla-340m.yaml" --mix 3:1
has "no block with softmax attention" "$err"
expect 1 gla-compare --arch "$source/configs/softmax-340m.yaml" --mix 3:1
has "no block with one recurrent mixer" "$err"
expect 1 gla-compare --arch "$source/configs/softmax-340m.yaml" --mixers mamba2
has "no block with a recurrent mixer that --mixers could replace" "$err"
expect 1 gla-compare --arch "$work/arch.yaml" --mixers longformer
has "'longformer' has no usual parameters here" "$err"
has "hint: write it, with its parameters, as the first linear block of the file" "$err"
expect 1 gla-compare --arch "$work/arch.yaml" --mixers longformer --json
jq -e '(.message | test("hint") | not) and (.hint | test("^write it"))' >/dev/null <<<"$err" || fail "hint: $err"
expect 1 gla-compare "$work/nowhere"
has "$work/nowhere" "$err"
expect 2 gla-compare
has "what is to be compared?" "$err"
expect 2 gla-compare "$work/arch.yaml" --mix 3:1
has "--arch FILE is needed" "$err"
for mix in 3 3:x 0:0 :1 -1:1; do
    expect 2 gla-compare --arch "$work/arch.yaml" --mix "$mix"
    has "is no ratio such as 3:1" "$err"
done
expect 2 gla-compare "$work/arch.yaml" --context 1,x
has "--context: '1,x'" "$err"
expect 2 gla-compare "$work/arch.yaml" --json --csv
has "either --json or --csv" "$err"

finish
