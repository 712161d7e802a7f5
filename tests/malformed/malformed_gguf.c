/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad gguf files: each class by name, with the status and words it must give.  Most of them have
 * hurt some other reader. */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <string.h>

#include "support/byte_builder.h"
#include "support/temp_file.h"

/* A file of three pairs and two F32 tensors of 8 numbers; 0 leaves a field as it should be, ZERO
 * makes it 0. */
#define ZERO UINT64_C(0xabcdabcdabcdabcd)
typedef struct fields {
    uint64_t version, n_tensors, n_pairs;
    const char *key; /* of the second pair */
    uint64_t key_length, value_type, text_length;
    uint64_t element, n_elements;
    uint64_t alignment, alignment_type;
    const char *name; /* of the second tensor */
    uint64_t name_length, n_dims, dim0, dim1, type, offset;
    uint64_t data; /* bytes after the head */
} fields;

static uint64_t or_default(uint64_t v, uint64_t def)
{
    return v == ZERO ? 0 : v ? v : def;
}

static void put_long_text(bytes *b, const char *text, uint64_t length)
{
    put_u64(b, or_default(length, strlen(text)));
    put(b, text, strlen(text));
}

static void put_tensor(bytes *b, const char *name, const fields *f, uint64_t offset)
{
    const fields none = {0};

    if (!f)
        f = &none;
    put_long_text(b, name, f->name_length);
    put_u32(b, (uint32_t)or_default(f->n_dims, 2));
    put_u64(b, or_default(f->dim0, 4));
    put_u64(b, or_default(f->dim1, 2));
    put_u32(b, (uint32_t)or_default(f->type, 0));
    put_u64(b, or_default(f->offset, offset));
}

static void build(bytes *b, const fields *f)
{
    b->size = 0;
    put(b, "GGUF", 4);
    put_u32(b, (uint32_t)or_default(f->version, 3));
    put_u64(b, or_default(f->n_tensors, 2));
    put_u64(b, or_default(f->n_pairs, 3));
    put_text(b, "general.alignment");
    put_u32(b, (uint32_t)or_default(f->alignment_type, 4));
    put_u32(b, (uint32_t)or_default(f->alignment, 32));
    put_long_text(b, f->key ? f->key : "name", f->key_length);
    put_u32(b, (uint32_t)or_default(f->value_type, 8));
    put_long_text(b, "text", f->text_length);
    put_text(b, "list");
    put_u32(b, 9);
    put_u32(b, (uint32_t)or_default(f->element, 4));
    put_u64(b, or_default(f->n_elements, 2));
    put_u64(b, 0);
    put_tensor(b, "a", NULL, 0);
    put_tensor(b, f->name ? f->name : "b", f, 32);
    pad_to(b, 32);
    for (uint64_t i = 0; i < or_default(f->data, 64); i++)
        put(b, "x", 1);
}

#define BIG (UINT64_C(1) << 62)

static const struct {
    const char *name;
    fields fields;
    gla_status status;
    const char *message;
} cases[] = {
    {"fine", {0}, GLA_OK, ""},
    {"fine, version 2", {.version = 2}, GLA_OK, ""},
    {"fine, last padding", {.dim0 = 5, .dim1 = 1, .data = 64}, GLA_OK, ""},
    {"fine, no last padding", {.dim0 = 5, .dim1 = 1, .data = 52}, GLA_OK, ""},
    {"version 1", {.version = 1}, GLA_E_VERSION, "gguf version 1,"},
    {"version 4", {.version = 4}, GLA_E_VERSION, "gguf version 4,"},
    {"big-endian", {.version = 0x03000000}, GLA_E_VERSION, "a big-endian file"},
    {"tensors 2^62", {.n_tensors = BIG}, GLA_E_LIMIT, "at most 65536 allowed"},
    {"tensors 65536", {.n_tensors = 65536}, GLA_E_CORRUPT, "65536 tensors in a file of"},
    {"tensors -1", {.n_tensors = UINT64_MAX}, GLA_E_LIMIT, "at most 65536 allowed"},
    {"one tensor too many", {.n_tensors = 3}, GLA_E_CORRUPT, ""},
    {"one tensor too few", {.n_tensors = 1}, GLA_E_CORRUPT, "the tensors end at"},
    {"pairs 2^62", {.n_pairs = BIG}, GLA_E_LIMIT, "key-value pairs in a file of"},
    {"pairs 65536", {.n_pairs = 65536}, GLA_E_CORRUPT, "65536 key-value pairs in a file of"},
    {"pairs -1", {.n_pairs = UINT64_MAX}, GLA_E_LIMIT, "key-value pairs"},
    {"one pair too many", {.n_pairs = 4}, GLA_E_LIMIT, "at most 255"},
    {"same key twice", {.key = "list"}, GLA_E_CORRUPT, "two values for key list"},
    {"empty key", {.key = ""}, GLA_E_CORRUPT, "name of 0 bytes"},
    {"key with a control character", {.key = "a\001"}, GLA_E_CORRUPT, "control character"},
    {"key not UTF-8", {.key = "\xff"}, GLA_E_CORRUPT, "not UTF-8"},
    {"key of 2^64 - 1 bytes", {.key_length = UINT64_MAX}, GLA_E_LIMIT, "at most 255 allowed"},
    {"key of 2^63 bytes", {.key_length = UINT64_C(1) << 63}, GLA_E_LIMIT, "at most 255 allowed"},
    {"key of 256 bytes", {.key_length = 256}, GLA_E_LIMIT, "at most 255 allowed"},
    {"value of type 13", {.value_type = 13}, GLA_E_CORRUPT, "a value of type 13"},
    {"value of type 2^32 - 1", {.value_type = UINT32_MAX}, GLA_E_CORRUPT, "a value of type"},
    {"text of 2^64 - 1 bytes", {.text_length = UINT64_MAX}, GLA_E_CORRUPT, "bytes are needed"},
    {"text of 2^63 bytes", {.text_length = UINT64_C(1) << 63}, GLA_E_CORRUPT, "bytes are needed"},
    {"text past the end", {.text_length = 1000}, GLA_E_CORRUPT, "1000 bytes are needed"},
    {"array of arrays", {.element = 9}, GLA_E_CORRUPT, "an array of type 9"},
    {"array of type 13", {.element = 13}, GLA_E_CORRUPT, "an array of type 13"},
    {"array of 2^62", {.n_elements = BIG}, GLA_E_CORRUPT, "an array of 4611686018427387904 values"},
    {"array of 2^64 - 1", {.n_elements = UINT64_MAX}, GLA_E_CORRUPT, "an array of"},
    {"texts 2^61", {.element = 8, .n_elements = UINT64_C(1) << 61}, GLA_E_CORRUPT, "an array of"},
    {"texts past the end", {.element = 8, .n_elements = 20}, GLA_E_CORRUPT, ""},
    {"alignment 0", {.alignment = ZERO}, GLA_E_CORRUPT, "not 0"},
    {"alignment 33", {.alignment = 33}, GLA_E_CORRUPT, "power of two up to 4096, not 33"},
    {"alignment 8192", {.alignment = 8192}, GLA_E_CORRUPT, "not 8192"},
    {"alignment 2^31", {.alignment = UINT64_C(1) << 31}, GLA_E_CORRUPT, "not 2147483648"},
    {"alignment a float", {.alignment_type = 6}, GLA_E_CORRUPT, "power of two"},
    {"two tensors of one name", {.name = "a"}, GLA_E_CORRUPT, "two tensors named \"a\""},
    {"tensor without a name", {.name = ""}, GLA_E_CORRUPT, "name of 0 bytes"},
    {"tensor name of 2^64 - 1 bytes", {.name_length = UINT64_MAX}, GLA_E_LIMIT, "at most 255"},
    {"nine dimensions", {.n_dims = 9}, GLA_E_CORRUPT, "9 dimensions"},
    {"2^32 - 1 dimensions", {.n_dims = UINT32_MAX}, GLA_E_CORRUPT, "4294967295 dimensions"},
    {"dimension 2^64 - 1", {.dim0 = UINT64_MAX}, GLA_E_LIMIT, "less than 2^40"},
    {"dimension 2^63", {.dim0 = UINT64_C(1) << 63}, GLA_E_LIMIT, "less than 2^40"},
    {"dimension 2^42 + 1", {.dim0 = (UINT64_C(1) << 42) + 1}, GLA_E_LIMIT, "less than 2^40"},
    {"product wraps to 0",
     {.dim0 = UINT64_C(1) << 32, .dim1 = UINT64_C(1) << 32},
     GLA_E_LIMIT,
     "more than 2^40 numbers"},
    {"more than there is", {.dim0 = 64}, GLA_E_CORRUPT, "the tensors end at"},
    {"less than there is", {.dim0 = 1, .data = 128}, GLA_E_CORRUPT, "the tensors end at"},
    {"type from the future", {.type = 999}, GLA_E_UNSUPPORTED, "type unknown (999)"},
    {"type IQ4_NL", {.type = 20}, GLA_E_UNSUPPORTED, "type IQ4_NL (20) is not supported"},
    {"rows not of blocks", {.type = 8}, GLA_E_CORRUPT, "rows of 4 numbers in blocks of 32"},
    {"rows not of large blocks", {.type = 14}, GLA_E_CORRUPT, "rows of 4 numbers in blocks of 256"},
    {"offset 0 twice", {.offset = ZERO}, GLA_E_CORRUPT, "begin at 0 of the data, 32 was expected"},
    {"offset not aligned", {.offset = 33}, GLA_E_CORRUPT, "begin at 33"},
    {"offset past the end", {.offset = 64}, GLA_E_CORRUPT, "begin at 64"},
    {"offset 2^64 - 32", {.offset = UINT64_MAX - 31}, GLA_E_CORRUPT, "was expected"},
    {"bytes after the tensors", {.data = 65}, GLA_E_CORRUPT, "the tensors end at"},
    {"tensors cut", {.data = 63}, GLA_E_CORRUPT, "the tensors end at"},
    {"no data", {.data = ZERO}, GLA_E_CORRUPT, "the tensors end at"},
};

/* Opens and reads every tensor. */
static gla_status load(const char *path, const bytes *b, size_t n, gla_diag *diag)
{
    static uint8_t dst[65536];
    gla_weights *w;
    gla_status st;

    cr_assert(write_file(path, b->data, n));
    st = gla_weights_open(path, NULL, &w, diag);
    cr_expect_eq(st != GLA_OK, w == NULL);
    for (uint32_t i = 0; !st && i < gla_weights_count(w); i++) {
        cr_assert_leq(gla_weights_info(w, i)->raw_bytes, sizeof(dst));
        st = gla_weights_read(w, gla_weights_info(w, i), dst, diag);
    }
    gla_weights_free(w);
    return st;
}

Test(malformed_gguf, is_refused_with_reason)
{
    static bytes b;
    char path[TEMP_PATH];

    temp_path(path, "bad.gguf");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gla_diag diag = {0};
        gla_status st;

        build(&b, &cases[i].fields);
        st = load(path, &b, b.size, &diag);
        cr_expect_eq(st, cases[i].status, "%s: %s: %s", cases[i].name, gla_status_name(st),
                     diag.message);
        cr_expect(strstr(diag.message, cases[i].message), "%s: \"%s\"", cases[i].name,
                  diag.message);
        cr_expect(!st || !strncmp(diag.where, path, strlen(path)), "%s: %s", cases[i].name,
                  diag.where);
    }
    unlink(path);
}

Test(malformed_gguf, every_truncation_is_refused)
{
    static bytes b;
    const fields good = {0};
    char path[TEMP_PATH];

    temp_path(path, "cut.gguf");
    build(&b, &good);
    for (size_t n = 0; n < b.size; n++)
        cr_expect_eq(load(path, &b, n, NULL), GLA_E_CORRUPT, "%zu of %zu bytes", n, b.size);
    unlink(path);
}

Test(malformed_gguf, every_bit_flip_of_the_head_gives_a_status)
{
    static bytes b;
    const fields good = {0};
    char path[TEMP_PATH];

    temp_path(path, "flip.gguf");
    build(&b, &good);
    for (size_t bit = 0; bit < 8 * (b.size - 64); bit++) {
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)!load(path, &b, b.size, NULL); /* load() checks that a failure leaves no handle */
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    unlink(path);
}

Test(malformed_gguf, every_word_at_its_boundaries_gives_a_status)
{
    static const uint64_t values[] = {0,
                                      1,
                                      (UINT64_C(1) << 31) - 1,
                                      UINT64_C(1) << 31,
                                      (UINT64_C(1) << 32) - 1,
                                      UINT64_C(1) << 32,
                                      (UINT64_C(1) << 63) - 1,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX - 31,
                                      UINT64_MAX};
    static bytes good, b;
    const fields none = {0};
    char path[TEMP_PATH];

    temp_path(path, "words.gguf");
    build(&good, &none);
    for (size_t at = 4; at + 8 <= good.size - 64; at++) {
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            b = good;
            b.size = at;
            put_u64(&b, values[i]);
            b.size = good.size;
            (void)!load(path, &b, b.size, NULL);
        }
    }
    unlink(path);
}

static const struct {
    const char *name;
    size_t n;
    gla_status status;
    const char *message;
} others[] = {
    {"", 0, GLA_E_CORRUPT, "neither glaw nor safetensors nor gguf"},
    {"GGUF", 4, GLA_E_CORRUPT, "bytes are needed"},
    {"\x89glaw", 5, GLA_E_CORRUPT, "file ends early"},
    {"hello, world, this is a text", 28, GLA_E_CORRUPT, "neither glaw nor safetensors nor gguf"},
    {"{", 1, GLA_E_CORRUPT, "not valid JSON"},
};

Test(malformed_files, of_no_known_kind_are_refused)
{
    char path[TEMP_PATH];
    gla_weights *w;
    gla_diag diag;

    temp_path(path, "other.bin");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert(write_file(path, others[i].name, others[i].n));
        cr_expect_eq(gla_weights_open(path, NULL, &w, &diag), others[i].status, "%s",
                     others[i].name);
        cr_expect(strstr(diag.message, others[i].message), "%s: %s", others[i].name, diag.message);
    }
    unlink(path);
    cr_expect_eq(gla_weights_open(path, NULL, &w, &diag), GLA_E_IO, "no such file");
    cr_expect_eq(gla_weights_open("/dev/null", NULL, &w, &diag), GLA_E_IO, "no regular file");
    cr_expect_eq(gla_weights_open(GLA_SOURCE_DIR "/cmake", NULL, &w, &diag), GLA_E_IO,
                 "a folder without weights");
    cr_expect(strstr(diag.message, "no weights.glaw"), "%s", diag.message);
}
