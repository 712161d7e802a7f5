/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizers.h - small tokenizers of every kind, made here
 */
#ifndef GLA_TESTS_FUZZ_TOKENIZERS_H
#define GLA_TESTS_FUZZ_TOKENIZERS_H

#include "fuzz/fuzz.h"

/* Byte-level as GPT-2 and Qwen, then bytes as SentencePiece does it (Llama, Mistral). */
static const char *const fuzz_tokenizers[] = {
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":5,\"content\":\"<|end|>\",\"single_word\":"
    "false,"
    "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\":6,"
    "\"content\":"
    "\"new "
    "line\",\"single_word\":true,\"lstrip\":true,\"rstrip\":true,\"normalized\":true,\"special\":"
    "false}],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
    "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,"
    "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_"
    "regex\":"
    "true},\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"byte_fallback\":false,"
    "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120a\":3,\"\\u0120\":4},\"merges\":[\"a "
    "b\",\"\\u0120 "
    "a\"]}}",
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true}],\"pre_tokenizer\":{"
    "\"type\":"
    "\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t)|\\\\p{"
    "L}+|"
    "\\\\p{N}{1,3}| "
    "?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":"
    "false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,\"use_"
    "regex\":"
    "false}]},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
    "\"id\":"
    "\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_"
    "tokens\":{"
    "\"<s>\":{\"id\":\"<s>\",\"ids\":[0],\"tokens\":[\"<s>\"]}}},\"decoder\":{\"type\":"
    "\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<s>\":0,\"t\":1,\"h\":2,\"e\":3,\"th\":4,\"the\":5},"
    "\"merges\":[[\"t\",\"h\"],[\"th\",\"e\"]],\"ignore_merges\":true}}",
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true}],\"normalizer\":{"
    "\"type\":"
    "\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"},{\"type\":"
    "\"Replace\","
    "\"pattern\":{\"String\":\" "
    "\"},\"content\":\"\\u2581\"}]},\"pre_tokenizer\":null,\"decoder\":{\"type\":"
    "\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},"
    "\"content\":\" "
    "\"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" "
    "\",\"start\":1,"
    "\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_"
    "fallback\":"
    "true,\"vocab\":{\"<unk>\":0,\"<0x41>\":1,\"<0xC3>\":2,\"<0xA9>\":3,\"\\u2581\":4,\"a\":5,"
    "\"\\u2581a\":6,\"b\":7,\"ab\":8},\"merges\":[\"\\u2581 a\",\"a b\"]}}",
};
enum { FUZZ_TOKENIZERS = sizeof(fuzz_tokenizers) / sizeof(fuzz_tokenizers[0]) };

/* Text -> ids -> text, as one and as a stream: the stream says the same as the whole. */
static inline void fuzz_decode(const gla_tokenizer *t, const int32_t *ids, size_t n, uint32_t flags)
{
    gla_detokenizer *d = NULL;
    gla_diag diag = {0};
    const char *piece;
    char *text = NULL, *stream;
    size_t size = 0, used = 0, m;
    gla_status st = gla_tokenizer_decode(t, ids, n, flags, &text, &size, &diag);

    fuzz_check_diag(st, &diag);
    if (st)
        return;
    PROMISE(text[size] == 0);
    PROMISE(!gla_detokenizer_create(t, flags, &d, NULL));
    stream = malloc(size + 1);
    PROMISE(stream);
    for (size_t i = 0; i <= n; i++) {
        st = i < n ? gla_detokenizer_next(d, ids[i], &piece, &m, NULL)
                   : gla_detokenizer_end(d, &piece, &m, NULL);
        PROMISE(!st && m <= size - used);
        memcpy(stream + used, piece, m);
        used += m;
    }
    PROMISE(used == size && !memcmp(stream, text, size));
    free(stream);
    gla_detokenizer_free(d);
    gla_text_free(text);
}

static inline void fuzz_encode(const gla_tokenizer *t, const char *text, size_t size,
                               uint32_t flags)
{
    int32_t *ids = NULL;
    size_t n = 0;
    gla_diag diag = {0};
    const gla_status st = gla_tokenizer_encode(t, text, size, flags, &ids, &n, &diag);

    fuzz_check_diag(st, &diag);
    if (st)
        return;
    for (size_t i = 0; i < n; i++) /* a post-processor may add ids that the vocabulary lacks */
        PROMISE(ids[i] >= 0 && ids[i] < 1 << 22);
    fuzz_decode(t, ids, n, (flags & 1) != 0);
    gla_ids_free(ids);
}

#endif
