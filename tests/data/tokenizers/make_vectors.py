#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of test_tokenizer.c with the published `tokenizers` package.

    python make_vectors.py [FOLDER with gpt2/ qwen3/ mistral/ tiny-hybrid/]

With a folder: packs its tokenizer.json files beside this script first.  Writes NAME.json.zst (the
tokenizer) and NAME.vectors.json.zst: [{text, ids, special, decoded, clean}], `special` with what
the post-processor adds, `clean` decoded without special tokens; "plain" tokenises special tokens
as ordinary text.
"""
import json
import os
import random
import sys

import zstandard
from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
REAL = ["gpt2", "qwen3", "mistral", "tiny-hybrid"]

WORDS = """the quick brown fox jumps over lazy dog don't I'll we've they're it's HELLO World naïve
café façade Ελληνικά русский текст नमस्ते दुनिया สวัสดีชาวโลก 你好世界 生活的真谛是 こんにちは カタカナ 한국어 문장 עברית
العربية ١٢٣٤ ⅷ ½ ² 12345678901234567890 3.14159 1,000,000 0x1F ﬁ ﬂ İstanbul ẞ ß ſ 'ſ 'S 'RE 'LL K Å Å
👍 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ☺️ e\u0301 a\u0327\u0301 a\u0301\u0327 q\u0323\u0307 क्षि 각 ﷺ ㎏ ① Ⓐ _under_score camelCaseWord
http://example.com/?q=1&r=2#top user@example.org C++ C# #include <stdio.h> int main(void) { return 0; }
def f(x): -> lambda: /* c */ // -- !! ?! ... … — – “quoted” «guillemets» $5 €10 £3 ©®™ 100% ~^`|\\ [] {} <> a<b>c
<|endoftext|> <|im_start|> <|im_end|> <s> </s> <unk> <0x41> [INST] ▁ ▁▁ Ġ Ċ <think> <|im_start|>user <QUICK> <quick>
\u00a0 \u2003 \u200b \u200d \u3000 \u2028 \u0085 \u180e \ufeff \u0000 \u0001 \u001f \u007f \u0080 \ufffd \U0010ffff
\ue000 \u0378 \U0001f9ff \U00020000 \u1e9b\u0323 \u0344 \u1f71 \u0958 \u2126 \u0f73 \uac00\u11a8 \u1100\u1161\u11a8
aaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ababababab ================ ---------- __________""".split(" ")
SPACES = ["", " ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n", "\n ", "      ", " \t ",
          "\n\n\n  ", "\u00a0", "\u3000", "\u2003 "]

FIXED = ["", " ", "  ", "   ", "\t", "\n", "\n\n", "\r", "\r\n", " \r\n \r\n", "a", " a", "a ", "  a  ", "▁", " ▁",
         "▁ a", "Hello, world!", "don't DON'T Don'T", "1 12 123 1234 12345", "x" * 300, "ab" * 200, " " * 100,
         "\n" * 50, "a" * 17 + " " + "b" * 33, "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "e" + "\u0301\u0327\u0323" * 20, "\u0301", " \u0301",
         "가각간", "\u1100\u1161\u11a8\u11a9", "<s>", "<s> a", "a <s>", "a</s>b", "<s><s>", "<|endoftext|><|endoftext|>",
         "<|im_start|>system\nYou are helpful.<|im_end|>\n", "<|im_start", "<|endoftext", "\u0130\u0307i̇",
         "word<|endoftext|>word <|endoftext|> word", "for (int i = 0; i < n; i++)\n    x[i] += 1;\n\n\n}",
         "if x:\n\tpass\n\t\treturn  x\n", "“It’s — 5 o’clock”", "日本語とEnglishの混在", "١٢٣ १२३ ๑๒๓ 123", "A\n'll !!to?'d''d of, can't."]


def texts():
    rng = random.Random(7)
    out = list(FIXED) + WORDS
    for n in [2, 3, 4, 6, 9, 14, 25, 60]:
        for _ in range(32):
            out.append("".join(rng.choice(SPACES) + rng.choice(WORDS) for _ in range(n)) + rng.choice(SPACES))
    for _ in range(60):  # characters from everywhere
        chars = []
        while len(chars) < 30:
            c = rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x3000), rng.randrange(0x20000)])
            if not 0xd800 <= c < 0xe000 and everywhere_known(c):
                chars.append(chr(c))
        out.append("".join(chars))
    return out


def everywhere_known(c):
    """Assigned in Unicode 14; marks in 3.2, for the package's StripAccents has an old table."""
    import unicodedata
    kind = unicodedata.category(chr(c))
    return kind != "Cn" and (kind[0] != "M" or unicodedata.ucd_3_2_0.category(chr(c)) == kind)


def vectors(tok):
    out = []
    for text in texts():
        case = {"text": text, "ids": tok.encode(text, add_special_tokens=False).ids,
                "special": tok.encode(text, add_special_tokens=True).ids}
        case["decoded"] = tok.decode(case["ids"], skip_special_tokens=False)
        case["clean"] = tok.decode(case["special"], skip_special_tokens=True)
        tok.encode_special_tokens = True
        case["plain"] = tok.encode(text, add_special_tokens=False).ids
        tok.encode_special_tokens = False
        out.append(case)
    rng = random.Random(9)
    n = max(tok.get_vocab().values()) + 1
    for _ in range(80):  # ids that no text gives: cut characters, runs of bytes
        high = rng.choice([n, min(n, 300), min(n, 140)])
        ids = [rng.randrange(high) for _ in range(rng.randrange(1, 24))]
        out.append({"text": None, "ids": ids, "special": ids, "decoded": tok.decode(ids, skip_special_tokens=False),
                    "clean": tok.decode(ids, skip_special_tokens=True)})
    return out


def put(name, value):
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(zstandard.ZstdCompressor(level=19).compress(data))


# ---- small tokenizers of the other published forms ----

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
            r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
REGEX_BYTES = dict(BYTES, use_regex=True)


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def seq(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def added(id, content, **flags):
    base = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return dict({"id": id, "content": content}, **dict(base, **flags))


def template(prefix, suffix=()):
    special = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in list(prefix) + list(suffix)}
    one = ([{"SpecialToken": {"id": t, "type_id": 0}} for t, _ in prefix] + [{"Sequence": {"id": "A", "type_id": 0}}]
           + [{"SpecialToken": {"id": t, "type_id": 0}} for t, _ in suffix])
    return {"type": "TemplateProcessing", "single": one, "pair": one + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special}


def trained(size, byte_level=True, extra=()):
    """Vocabulary and merges learnt from the words above."""
    from tokenizers import models, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = (pre_tokenizers.ByteLevel(add_prefix_space=False) if byte_level
                         else pre_tokenizers.Metaspace())
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte_level else ["▁"] + [chr(c) for c in range(33, 127)]
    tok.train_from_iterator(texts()[:300], trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, show_progress=False, limit_alphabet=len(alphabet) + 20,
        special_tokens=list(extra)))
    model = json.loads(tok.to_str())["model"]
    return model["vocab"], model["merges"]


def build(vocab, merges, tokens, normalizer=None, pre=None, post=None, decoder=None, **model):
    base = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder,
            "model": dict(base, **model, vocab=vocab, merges=merges)}


def variants():
    vocab, merges = trained(900)
    n = len(vocab)
    two = [added(n, "<|endoftext|>"), added(n + 1, "<think>", special=False)]
    byte_decoder = dict(REGEX_BYTES, add_prefix_space=True)
    yield "llama3", build(vocab, merges, [added(n, "<s>"), added(n + 1, "</s>"), added(n + 2, "<|endoftext|>")],
                          pre=seq("pretokenizers", split(GPT4), BYTES),
                          post=seq("processors", BYTES, template([("<s>", n)])), decoder=byte_decoder,
                          ignore_merges=True)
    yield "gpt4o", build(vocab, merges, two, pre=seq("pretokenizers", split(GPT4O, "Removed", True), BYTES),
                         decoder=byte_decoder)
    yield "deepseek", build(vocab, merges, two, normalizer=seq("normalizers"),
                            pre=seq("pretokenizers", split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"),
                                    split(DEEPSEEK), BYTES), decoder=byte_decoder)
    yield "kimi", build(vocab, merges, two, pre=seq("pretokenizers", split(KIMI), BYTES), decoder=byte_decoder)
    yield "onig", build(vocab, merges, two, decoder=byte_decoder, pre=seq("pretokenizers", split(
        r"^\w+|\w+$|[^\S\r\n]+|\h\h|(?>a|ab)c|(?<=e)\d|\p{^L}\s|\x41|\u00e9|[\w\-]++(?<!s)|\S\D\W"), BYTES))
    yield "starcoder", build(vocab, merges, two, pre=seq("pretokenizers", {"type": "Digits", "individual_digits": True},
                                                          REGEX_BYTES), decoder=byte_decoder)
    yield "falcon", build(vocab, merges, two, pre=seq(
        "pretokenizers", {"type": "Punctuation", "behavior": "Contiguous"}, REGEX_BYTES,
        {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]")), decoder=byte_decoder)
    yield "neox", build(vocab, merges, [added(n, "<|endoftext|>"), added(n + 1, "      ", special=False, normalized=True),
                                        added(n + 2, "   ", special=False, normalized=True)],
                        normalizer={"type": "NFC"}, pre=dict(REGEX_BYTES, add_prefix_space=True), decoder=byte_decoder)
    yield "roberta", build(vocab, merges, [added(n, "<s>", lstrip=True), added(n + 1, "</s>", rstrip=True),
                                           added(vocab.get("fox", n + 2), "fox", single_word=True, special=False, normalized=True),
                                           added(n + 2 + ("fox" not in vocab), "<unk>", lstrip=True, rstrip=True)],
                           pre=dict(REGEX_BYTES, add_prefix_space=True), decoder=byte_decoder,
                           post={"type": "RobertaProcessing", "sep": ["</s>", n + 1], "cls": ["<s>", n],
                                 "trim_offsets": True, "add_prefix_space": True})
    for form in ["NFD", "NFKC", "NFKD"]:
        yield form.lower(), build(vocab, merges, two, normalizer={"type": form}, pre=REGEX_BYTES, decoder=byte_decoder)
    yield "lower", build(vocab, merges, [added(n, "<|endoftext|>", normalized=True), added(n + 1, "<quick>", normalized=True)],
                         normalizer=seq("normalizers", {"type": "Strip", "strip_left": True, "strip_right": True},
                                        {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
                                        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}),
                         pre=REGEX_BYTES, decoder=byte_decoder)
    yield "bytes-first", build(vocab, merges, two, normalizer={"type": "ByteLevel"}, pre=None, decoder=byte_decoder)
    for behavior in ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        for invert in [False, True]:
            yield f"split-{behavior}-{'inverted' if invert else 'as-is'}".lower(), build(
                vocab, merges, two, pre=seq("pretokenizers", split(r"[aeiou]|\s", behavior, invert), BYTES))
    yield "split-empty", build(vocab, merges, two, pre=seq("pretokenizers", split(r"(?=[A-Z])|x*", "Isolated"), BYTES))
    yield "split-string", build(vocab, merges, two, pre=seq("pretokenizers", split("ab", "MergedWithNext", kind="String"),
                                                            BYTES), decoder=byte_decoder)
    yield "words", build(vocab, merges, two, pre=seq("pretokenizers", {"type": "Whitespace"}, BYTES))
    yield "punctuation", build(vocab, merges, two, pre=seq("pretokenizers", {"type": "WhitespaceSplit"},
                                                           {"type": "Punctuation", "behavior": "Isolated"}, BYTES))
    yield "holes", build({t: i for t, i in vocab.items() if t not in ("!", "a", "Ã", "Ġ")},
                         [m for m in merges if not set("!aÃĠ") & set("".join(m))], [],
                         pre=REGEX_BYTES, decoder=byte_decoder)

    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    vocab, merges = trained(900, False, specials)
    three = [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")]
    meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    fallback = seq("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                   {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0})
    yield "llama2", build(vocab, merges, three, normalizer=seq(
        "normalizers", {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), post=template([("<s>", 1)], [("</s>", 2)]),
        decoder=fallback, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    for scheme in ["always", "first", "never"]:
        for cut in [True, False]:
            yield f"metaspace-{scheme}-{'split' if cut else 'whole'}", build(
                vocab, merges, three, pre=dict(meta, prepend_scheme=scheme, split=cut),
                decoder=dict(meta, prepend_scheme=scheme, split=cut), unk_token="<unk>", fuse_unk=False)
    yield "gemma", build(vocab, merges, three + [added(len(vocab), "\n\n\n ", special=False)],
                         normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                         pre=split(" ", "MergedWithPrevious", kind="String"), decoder=seq("decoders", *fallback["decoders"][:3]),
                         unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    no_b = {t: i for t, i in vocab.items() if t not in ("<0xC3>", "<0xF0>")}
    yield "unknown", build(no_b, merges, three, pre=meta, decoder=seq(
        "decoders", {"type": "ByteFallback"}, meta, {"type": "Fuse"}, {"type": "Strip", "content": "a", "start": 2, "stop": 0},
        {"type": "Replace", "pattern": {"String": "the"}, "content": "THE"}),
        unk_token="<unk>", fuse_unk=False, byte_fallback=True)
    yield "silent", build(vocab, merges, three, pre=meta, decoder=fallback)


def main():
    if len(sys.argv) > 1:
        for name in REAL:
            with open(os.path.join(sys.argv[1], name, "tokenizer.json"), "rb") as f:
                put(name + ".json.zst", f.read())
    for name in REAL:
        with open(os.path.join(HERE, name + ".json.zst"), "rb") as f:
            put(name + ".vectors.json.zst", vectors(Tokenizer.from_str(
                zstandard.ZstdDecompressor().stream_reader(f).read().decode())))
    made = {}
    for name, value in variants():
        made[name] = {"tokenizer": value, "vectors": vectors(Tokenizer.from_str(json.dumps(value)))}
    put("variants.json.zst", made)


if __name__ == "__main__":
    main()
