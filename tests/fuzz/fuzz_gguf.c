/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf: the tensors, and the metadata as the importer reads it. */
#include "formats/weights/gguf.h"

#include "base/alloc.h"
#include "formats/import/gguf_config.h"
#include "fuzz/weights_target.h"
#include "support/byte_builder.h"

static void read_metadata(const gla_weights *w)
{
    for (uint32_t i = 0; gla__gguf_key(w, i); i++) {
        const char *key = gla__gguf_key(w, i);
        gla__gguf_text text, *list = NULL;
        uint64_t n = 0;
        double x;
        bool b;
        gla_diag diag = {0};

        (void)gla__gguf_u64(w, key, &n);
        (void)gla__gguf_f64(w, key, &x);
        (void)gla__gguf_bool(w, key, &b);
        (void)gla__gguf_string(w, key, &text);
        if (gla__gguf_length(w, key, &n) && n)
            (void)gla__gguf_number(w, key, n - 1, &x);
        fuzz_check_diag(gla__gguf_strings(w, key, &list, &n, &diag), &diag);
        gla__free(list);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gla_weights *w = fuzz_weights(gla__gguf_open, data, size, 0);
    gla__import *im = NULL;
    gla_diag diag = {0};
    char *json = NULL;
    size_t n = 0;
    gla_status st;

    if (!w)
        return 0;
    read_metadata(w);
    st = gla__gguf_config(w, &json, &n, &diag);
    fuzz_check_diag(st, &diag);
    if (!st) {
        st = gla__import_open(json, n, "gguf", w, &im, &diag);
        fuzz_check_diag(st, &diag);
    }
    gla__import_close(im);
    gla__free(json);
    gla_weights_free(w);
    return 0;
}

static void put_pair_u32(bytes *b, const char *key, uint32_t v)
{
    put_text(b, key);
    put_u32(b, 4);
    put_u32(b, v);
}

static void put_string(bytes *b, const char *key, const char *text)
{
    put_text(b, key);
    put_u32(b, 8);
    put_text(b, text);
}

static void put_info(bytes *b, const char *name, uint64_t d0, uint64_t d1, uint32_t type,
                     uint64_t offset)
{
    put_text(b, name);
    put_u32(b, 2);
    put_u64(b, d0);
    put_u64(b, d1);
    put_u32(b, type);
    put_u64(b, offset);
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    static bytes b;

    if (i > 1)
        return 0;
    b.size = 0;
    put(&b, "GGUF", 4);
    put_u32(&b, 3);
    put_u64(&b, 2);
    put_u64(&b, i ? 9 : 3);
    put_pair_u32(&b, "general.alignment", 32);
    put_string(&b, "general.architecture", "llama");
    put_text(&b, "tokenizer.ggml.tokens");
    put_u32(&b, 9);
    put_u32(&b, 8);
    put_u64(&b, 2);
    put_text(&b, "a");
    put_text(&b, "b");
    if (i) {
        put_pair_u32(&b, "llama.embedding_length", 32);
        put_pair_u32(&b, "llama.block_count", 1);
        put_pair_u32(&b, "llama.feed_forward_length", 32);
        put_pair_u32(&b, "llama.attention.head_count", 2);
        put_pair_u32(&b, "llama.vocab_size", 2);
        put_text(&b, "llama.attention.layer_norm_rms_epsilon");
        put_u32(&b, 6);
        put_u32(&b, 0x358637bd);
    }
    put_info(&b, "token_embd.weight", 32, 2, i ? 8 : 0, 0);
    put_info(&b, "blk.0.attn_q.weight", 32, 1, 2, i ? 96 : 256);
    pad_to(&b, 32);
    for (int n = 0; n < (i ? 128 : 288); n++)
        put(&b, "\1", 1);
    memcpy(out, b.data, b.size < capacity ? b.size : capacity);
    return b.size;
}
