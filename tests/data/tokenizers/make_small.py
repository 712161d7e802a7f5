#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes small.json.zst for test_tokenizer_small.c with the published `tokenizers` package: many forms of
one step each, on one small vocabulary and a few texts.  {model, added_tokens, texts, cases: [{name, what
differs from the model's plain form, ids, decoded}]}, one list of ids and one text per text.
"""
import itertools
import json

from tokenizers import Tokenizer

from make_vectors import BYTES, REGEX_BYTES, added, build, put, seq, split, template, trained

TEXTS = ["", " ", "Hello  world", "don't DON'T 123 4567x 12345678", "\tab\n\n c\r\nd \n",
         "naïve café e\u0301 Σσς ΣΑΣ İi ß ﬁ", "日本語とEnglish カタカナ ひらがな 漢字", "русский текст 3.14 ½ ² Ⅷ ①",
         "a_b-c.d,e;f!g?h[i]j(k)l{m}n^o&p|q~", "  ▁a▁▁b  ", "\x85\xa0\u180e\u2028\u3000x\u200by\u200dz",
         "\x00\x01\x07\x0b\x0c\x1b\x7f", "aaa bbbb AAAA aAbB abcabc", "<|endoftext|>x <think> y", "نص עברית नमस्ते ไทย",
         "e\u0301\u0327 a\u20dd Ａ１ 𝔘𝔫 👍🏽 🇩🇪", "FFff09 0xDEAD \\n \\ ]]", "the end"]

PATTERNS = r"""
\s
\S
[^\s]
[\S]
\s+
[\s\S]
\w
\W
[^\w]
\w+
\d
\D
[\d]
[^\d]
[\D]
\h
\h+
[\h]
[^\h]
\v
[\v]
\n
\r\n
\t
\f
\a
\e
[\n\r\t\f\a\e]
\x41
\x{41}
\x{1F44D}
\u00e9
[\u00e0-\u00ef]
[\x{3040}-\x{309f}]
\x4
\x{e9}
\x0b
\A\w
\w\z
\w\Z
^\w
\w$
^
$
\A
\z
\Z
\p{L}
\p{Lu}
\p{Ll}+
\p{Lt}
\p{Lm}
\p{Lo}
\p{M}
\p{Mn}
\p{N}
\p{Nd}
\p{Nl}
\p{No}
\p{P}
\p{Pc}
\p{Pd}
\p{Ps}
\p{Pe}
\p{Po}
\p{S}
\p{Sm}
\p{Sc}
\p{Sk}
\p{So}
\p{Z}
\p{Zs}
\p{Zl}
\p{C}
\p{Cc}
\p{Cf}
\p{Co}
\p{Cn}
\P{L}
\p{^L}
\P{^L}
[\p{L}\p{N}]
[^\p{L}\p{N}\s]
\p{Letter}
\p{letter}
\p{Mark}
\p{Number}
\p{Punctuation}
\p{Symbol}
\p{Separator}
\p{Other}
\p{Alphabetic}
\p{Han}
\p{Hiragana}
\p{Katakana}
\p{Cyrillic}
\p{Greek}
\p{Latin}
\p{Arabic}
\p{Thai}
\p{Devanagari}
\p{^Latin}
[\p{Han}\p{Hiragana}]+
(ab|a)c
(?:ab)+
a(?=b)
a(?!b)
(?<=a)b
(?<!a)b
(?>a+)b
(?>a|ab)c
(?i:abc)
(?i)abc
(?i:'s|'t|'re|'ve|'m|'ll|'d)
(?i:ß)
(?i:ſ)
(?i:k)
(?i:[a-c])
(?i:é)
a{2}
a{2,}
a{1,2}
a{0}
a{2,3}?
a{
a{x}
{
}
a{1
a{1,
a{1,x}
a*+
a++b
a?+
a*?b
a+?
a??
.
.+
[abc]
[^abc]
[a-z0-9]
[]a]
[^]a]
[a-]
[-a]
[a\]b]
[\[\]]
[\\]
[a&b]
[a&&[b]]
[a-z&&[aeiou]]
[\w&&[^\d]]
[\p{L}&&[^\p{Lu}]]+
[+--]
\.
\*
\\
\/
\-
\ 
\é
[\é]
\_
\"
\'
\#
\!
\&
\[
\]
\(
\)
\{
\}
\^
\$
\|
a||b
|a
a|
()
(?:)
(?=)
x*
(?=[A-Z])
(?<=\s)
(?<=a|bc)d
(?<!a{2})b
[\x{41}-\x{5a}]
[\w-]
[^\S\r\n]
[^\r\n\p{L}\p{N}]?\p{L}+
\s*[\r\n]+
\s+(?!\S)
\s+$
^\s+
[\P{L}]
[^\P{L}]
[^\D]
[^\S]
\s{2}
\S{2,3}
(a|b)*c
((a)(b))
a.c
^$
\w(?=\s)
(?!)
[\w]
[^\w]+
[\w½]+
"""


def replace(pattern, content, kind="Regex"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(**more):
    return dict({"type": "Metaspace", "replacement": "▁"}, **more)


def normalizers():
    for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]:
        yield {"type": form}
    for left, right in itertools.product([True, False], repeat=2):
        yield {"type": "Strip", "strip_left": left, "strip_right": right}
    yield {"type": "Prepend", "prepend": "▁"}
    yield {"type": "Prepend", "prepend": "xy"}
    for kind, pattern, content in [("String", "a", "bb"), ("String", "e", ""), ("String", "aa", "a"), ("String", "é", "e"),
                                   ("Regex", " +", " "), ("Regex", r"\s", ""), ("Regex", "[aeiou]+", "")]:
        yield replace(pattern, content, kind)
    yield seq("normalizers")
    yield seq("normalizers", seq("normalizers", {"type": "NFD"}), seq("normalizers", {"type": "StripAccents"}, {"type": "Lowercase"}))
    yield seq("normalizers", {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Prepend", "prepend": "-"})


def pre_tokenizers():
    for pattern in PATTERNS.strip("\n").split("\n"):
        yield seq("pretokenizers", split(pattern), BYTES)
    for prefix, regex in itertools.product([True, False], repeat=2):
        yield dict(BYTES, add_prefix_space=prefix, use_regex=regex)
    yield seq("pretokenizers", BYTES, BYTES)
    yield seq("pretokenizers", BYTES, {"type": "Digits", "individual_digits": True})
    yield seq("pretokenizers", dict(BYTES, add_prefix_space=True), dict(BYTES, add_prefix_space=True))
    yield seq("pretokenizers")
    for scheme, cut, mark in itertools.product(["always", "first", "never", None], [True, False, None], "▁_"):
        given = {k: v for k, v in [("prepend_scheme", scheme), ("split", cut)] if v is not None}
        yield seq("pretokenizers", metaspace(replacement=mark, **given), BYTES)
    for old, scheme in [(True, None), (True, "first"), (True, "always"), (True, "never"), (False, "never")]:
        yield seq("pretokenizers", metaspace(add_prefix_space=old, **({"prepend_scheme": scheme} if scheme else {})), BYTES)
    for behavior in ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        yield seq("pretokenizers", {"type": "Punctuation", "behavior": behavior}, BYTES)
        for invert in [True, False]:
            yield seq("pretokenizers", split(r"[aeiou]+|\s", behavior, invert), BYTES)
    yield seq("pretokenizers", {"type": "Punctuation"}, BYTES)
    for each in [True, False]:
        yield seq("pretokenizers", {"type": "Digits", "individual_digits": each}, BYTES)
    yield seq("pretokenizers", {"type": "Whitespace"}, BYTES)
    yield seq("pretokenizers", {"type": "WhitespaceSplit"}, BYTES)
    yield seq("pretokenizers", split("ab", "Removed", kind="String"), BYTES)


def post_processors(n):
    first, last = ("<|endoftext|>", n), ("<think>", n + 1)
    yield template([first], [last])
    yield seq("processors", BYTES, template([first]))
    yield seq("processors", BYTES)
    yield {"type": "RobertaProcessing", "sep": list(last), "cls": list(first), "trim_offsets": True, "add_prefix_space": False}
    yield {"type": "BertProcessing", "sep": list(last), "cls": list(first)}
    two = template([first])
    two["special_tokens"][first[0]].update(ids=[n, n + 1], tokens=["a", "b"])
    yield two


def decoders():
    fuse = {"type": "Fuse"}
    yield None
    yield seq("decoders")
    yield fuse
    yield {"type": "ByteFallback"}
    for old, new in itertools.product("Ġeo", [" ", "", "xy"]):
        yield replace(old, new, "String")
        yield seq("decoders", fuse, replace(old, new, "String"))
    for pattern in ["[aeiou]", "Ġ+", "^.", "x*", "Ġ$", "(?=t)"]:
        yield replace(pattern, "-")
        yield seq("decoders", fuse, replace(pattern, "-"))
    for start in [0, 1, 2]:
        strip = {"type": "Strip", "content": "Ġ", "start": start, "stop": 0}
        yield strip
        yield seq("decoders", fuse, strip)
        yield seq("decoders", dict(strip, content="e"), fuse)
    for scheme in ["always", "first", "never"]:
        meta = metaspace(replacement="Ġ", prepend_scheme=scheme, split=True)
        yield meta
        yield seq("decoders", meta, fuse)
        yield seq("decoders", fuse, meta)
    for step in [replace("e", "E", "String"), replace("e+", "E"), replace("the", "THE", "String"), replace("he e", "_", "String")]:
        yield seq("decoders", REGEX_BYTES, step)


def models():
    for option in [{"dropout": 0.0}, {"continuing_subword_prefix": ""}, {"end_of_word_suffix": ""}, {"unk_token": "Ġ"},
                   {"ignore_merges": True}, {"fuse_unk": True}]:
        yield option


def main():
    vocab, merges = trained(420)
    n = len(vocab)
    tokens = [added(n, "<|endoftext|>"), added(n + 1, "<think>", special=False)]
    cases = ([{"normalizer": s} for s in normalizers()] + [{"pre_tokenizer": s} for s in pre_tokenizers()]
             + [{"post_processor": s} for s in post_processors(n)] + [{"decoder": s} for s in decoders()]
             + [{"model": s} for s in models()])
    plain = build(vocab, merges, tokens, pre=REGEX_BYTES, decoder=dict(REGEX_BYTES, add_prefix_space=True))
    for case in cases:
        whole = dict(plain, **case)
        whole["model"] = dict(plain["model"], **case.get("model", {}))
        tok = Tokenizer.from_str(json.dumps(whole))
        case["name"] = json.dumps({k: v for k, v in case.items()}, ensure_ascii=False)
        case["ids"] = [tok.encode(text).ids for text in TEXTS]
        case["decoded"] = [tok.decode(ids, skip_special_tokens=False) for ids in case["ids"]]
    put("small.json.zst", {"plain": plain, "texts": TEXTS, "cases": cases})


if __name__ == "__main__":
    main()
