/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/weights/gguf.h"

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "support/byte_builder.h"
#include "support/temp_file.h"

#define OK(call) cr_assert_eq((call), GLA_OK, "%s: %s: %s", #call, diag.where, diag.message)

enum { U32 = 4, I32 = 5, F32 = 6, BOOL = 7, STRING = 8, ARRAY = 9, U64 = 10 };

static gla_diag diag;

static void put_key(bytes *b, const char *key, uint32_t type)
{
    put_text(b, key);
    put_u32(b, type);
}

static void put_tensor(bytes *b, const char *name, uint32_t type, uint64_t offset, uint32_t n_dims,
                       uint64_t d0, uint64_t d1)
{
    put_text(b, name);
    put_u32(b, n_dims);
    put_u64(b, d0);
    if (n_dims > 1)
        put_u64(b, d1);
    put_u32(b, type);
    put_u64(b, offset);
}

/* A file with values of several kinds and tensors of type F32, Q8_0 and Q4_0. */
static void build(bytes *b, uint32_t version)
{
    const float three[3] = {1, 2, 3}, half = 0.5f;

    put(b, "GGUF", 4);
    put_u32(b, version);
    put_u64(b, 3);
    put_u64(b, 6);
    put_key(b, "general.architecture", STRING);
    put_text(b, "llama");
    put_key(b, "llama.block_count", U32);
    put_u32(b, 7);
    put_key(b, "llama.eps", F32);
    put(b, &half, 4);
    put_key(b, "flag", BOOL);
    put(b, "\1", 1);
    put_key(b, "heads", ARRAY);
    put_u32(b, I32);
    put_u64(b, 2);
    put_u32(b, 4);
    put_u32(b, (uint32_t)-8);
    put_key(b, "tokens", ARRAY);
    put_u32(b, STRING);
    put_u64(b, 2);
    put_text(b, "one");
    put_text(b, "");
    put_tensor(b, "plain", 0, 0, 1, 3, 0);
    put_tensor(b, "q8", 8, 32, 2, 32, 2);
    put_tensor(b, "q4", 2, 128, 1, 32, 0);
    pad_to(b, 32);
    put(b, three, 12);
    pad_to(b, 32);
    for (int row = 0; row < 2; row++) {
        put_number(b, 0x3800, 2); /* 0.5 */
        for (int i = 0; i < 32; i++)
            put_number(b, (uint64_t)(row ? -i : i), 1);
    }
    pad_to(b, 32);
    put_number(b, 0x4000, 2); /* 2 */
    for (unsigned i = 0; i < 16; i++)
        put_number(b, i | (15 - i) << 4, 1);
    pad_to(b, 32);
}

static gla_weights *open_built(uint32_t version, char path[TEMP_PATH])
{
    bytes b = {0};
    gla_weights *w;

    build(&b, version);
    cr_assert(write_file(temp_path(path, "x.gguf"), b.data, b.size));
    OK(gla_weights_open(path, NULL, &w, &diag));
    return w;
}

Test(gguf, reads_values_of_every_kind)
{
    char path[TEMP_PATH];
    gla_weights *w = open_built(3, path);
    gla__gguf_text text, *list;
    uint64_t u;
    double d;
    bool b;

    cr_assert(gla__is_gguf(w));
    cr_assert(gla__gguf_string(w, "general.architecture", &text));
    cr_assert_eq(text.size, 5);
    cr_assert(!memcmp(text.data, "llama", 5));
    cr_assert(gla__gguf_u64(w, "llama.block_count", &u));
    cr_assert_eq(u, 7);
    cr_assert(gla__gguf_f64(w, "llama.block_count", &d));
    cr_assert_eq(d, 7);
    cr_assert(gla__gguf_f64(w, "llama.eps", &d));
    cr_assert_eq(d, 0.5);
    cr_assert(gla__gguf_bool(w, "flag", &b));
    cr_assert(b);
    cr_assert(gla__gguf_length(w, "heads", &u));
    cr_assert_eq(u, 2);
    cr_assert(gla__gguf_number(w, "heads", 1, &d));
    cr_assert_eq(d, -8);
    cr_assert_not(gla__gguf_number(w, "heads", 2, &d));
    OK(gla__gguf_strings(w, "tokens", &list, &u, &diag));
    cr_assert_eq(u, 2);
    cr_assert(list[0].size == 3 && !memcmp(list[0].data, "one", 3) && list[1].size == 0);
    gla__free(list);
    cr_assert_str_eq(gla__gguf_key(w, 0), "flag");
    cr_assert_null(gla__gguf_key(w, 6));
    gla_weights_free(w);
    unlink(path);
}

Test(gguf, answers_no_for_values_of_another_kind)
{
    char path[TEMP_PATH];
    gla_weights *w = open_built(2, path);
    gla__gguf_text text, *list;
    uint64_t u;
    double d;
    bool b;

    cr_assert_not(gla__gguf_string(w, "llama.block_count", &text));
    cr_assert_not(gla__gguf_u64(w, "llama.eps", &u));
    cr_assert_not(gla__gguf_u64(w, "flag", &u));
    cr_assert_not(gla__gguf_u64(w, "absent", &u));
    cr_assert_not(gla__gguf_f64(w, "tokens", &d));
    cr_assert_not(gla__gguf_bool(w, "llama.block_count", &b));
    cr_assert_not(gla__gguf_length(w, "tokens", &u));
    cr_assert_eq(gla__gguf_strings(w, "heads", &list, &u, &diag), GLA_E_CORRUPT);
    cr_assert_null(list);
    gla_weights_free(w);
    unlink(path);
}

Test(gguf, answers_no_of_a_file_of_another_kind)
{
    static const char header[] = "{}";
    char path[TEMP_PATH];
    uint8_t file[10] = {2};
    gla_weights *w;
    uint64_t u;

    memcpy(file + 8, header, 2);
    cr_assert(write_file(temp_path(path, "x.safetensors"), file, sizeof(file)));
    OK(gla_weights_open(path, NULL, &w, &diag));
    cr_assert_not(gla__gguf_has(w, "general.architecture"));
    cr_assert_not(gla__gguf_u64(w, "general.alignment", &u));
    cr_assert_null(gla__gguf_key(w, 0));
    gla_weights_free(w);
    unlink(path);
}

Test(gguf, obeys_the_limit_of_its_head)
{
    const gla_limits small = {GLA_SIZED(gla_limits), .max_index_bytes = 100};
    char path[TEMP_PATH];
    gla_weights *w = open_built(3, path);

    gla_weights_free(w);
    cr_assert_eq(gla_weights_open(path, &small, &w, &diag), GLA_E_LIMIT);
    cr_assert(strstr(diag.message, "a head of more than 100 bytes"), "%s", diag.message);
    unlink(path);
}

Test(gguf, expands_quantised_blocks_and_turns_dimensions_round)
{
    char path[TEMP_PATH];
    gla_weights *w = open_built(3, path);
    const gla_tensor_info *q8 = gla_weights_find(w, "q8"), *q4 = gla_weights_find(w, "q4");
    float x[64];

    cr_assert_eq(gla_weights_count(w), 3);
    OK(gla_weights_read(w, gla_weights_find(w, "plain"), x, &diag));
    cr_assert(x[0] == 1 && x[1] == 2 && x[2] == 3);
    cr_assert_eq(q8->dtype, GLA_DTYPE_F32);
    cr_assert_eq(q8->dims[0], 2);
    cr_assert_eq(q8->dims[1], 32);
    cr_assert_eq(q8->stored_bytes, 68);
    OK(gla_weights_read(w, q8, x, &diag));
    for (int i = 0; i < 64; i++)
        cr_expect_eq(x[i], i < 32 ? 0.5f * (float)i : -0.5f * (float)(i - 32));
    OK(gla_weights_read(w, q4, x, &diag));
    for (int i = 0; i < 16; i++) {
        cr_expect_eq(x[i], 2.0f * (float)(i - 8));
        cr_expect_eq(x[i + 16], 2.0f * (float)(15 - i - 8));
    }
    gla_weights_free(w);
    unlink(path);
}

/* Random blocks of each type and what ggml makes of them: tests/data/gguf-blocks/make_blocks.py. */
Test(gguf, expands_every_quantised_type_as_ggml_does)
{
    static const char *const types[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
                                        "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"};
    static float ours[3 * 512], theirs[3 * 512];
    char name[16];
    gla_weights *w;

    OK(gla_weights_open(GLA_SOURCE_DIR "/tests/data/gguf-blocks/blocks.gguf", NULL, &w, &diag));
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        const gla_tensor_info *a = gla_weights_find(w, types[t]), *b;

        snprintf(name, sizeof(name), "%s.f32", types[t]);
        b = gla_weights_find(w, name);
        cr_assert(a && b && a->raw_bytes == sizeof(ours) && b->raw_bytes == sizeof(theirs));
        OK(gla_weights_read(w, a, ours, &diag));
        OK(gla_weights_read(w, b, theirs, &diag));
        for (size_t i = 0; i < 3 * 512; i++)
            cr_assert(ours[i] == theirs[i], "%s: number %zu is %g, not %g", types[t], i,
                      (double)ours[i], (double)theirs[i]);
    }
    gla_weights_free(w);
}
