/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad safetensors files: each class by name, with the status and words it must give. */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <string.h>

#include "support/byte_builder.h"
#include "support/temp_file.h"

#define T(name, dtype, shape, begin, end)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end   \
    "]}"

typedef struct bad_file {
    const char *name, *header;
    size_t data; /* bytes after the header */
    gla_status status;
    const char *message;
} bad_file;

static const bad_file cases[] = {
    {"fine", "{" T("a", "U8", "[4]", "0", "4") "}", 4, GLA_OK, ""},
    {"fine without tensors", "{}", 0, GLA_OK, ""},
    {"fine with an empty tensor",
     "{" T("a", "U8", "[4]", "0", "4") "," T("b", "F32", "[0,3]", "4", "4") "}", 4, GLA_OK, ""},
    {"fine with empty tensors at one place, and not in order",
     "{" T("c", "U8", "[1]", "4", "5") "," T("a", "U8", "[4]", "0", "4") "," T(
         "b", "U8", "[0]", "0", "0") "," T("d", "U8", "[0]", "0", "0") "}",
     5, GLA_OK, ""},
    {"not JSON", "{\"a\":", 0, GLA_E_CORRUPT, "not valid JSON"},
    {"duplicate tensor", "{" T("w", "U8", "[4]", "0", "4") "," T("w", "F32", "[1]", "0", "4") "}",
     4, GLA_E_CORRUPT, "duplicate object key"},
    {"nested without end",
     "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0, GLA_E_LIMIT,
     "64 levels"},
    {"text after the header", "{} {}", 0, GLA_E_CORRUPT, "not valid JSON"},
    {"not UTF-8", "{\"a\xff\":1}", 0, GLA_E_CORRUPT, "not valid JSON"},
    {"no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,4],\"more\":1}}", 4, GLA_E_CORRUPT,
     "\"shape\""},
    {"offsets a number", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":4}}", 4,
     GLA_E_CORRUPT, "two whole numbers"},
    {"offset a text", "{" T("a", "U8", "[4]", "\"0\"", "4") "}", 4, GLA_E_CORRUPT,
     "two whole numbers"},
    {"end a text", "{" T("a", "U8", "[4]", "0", "\"4\"") "}", 4, GLA_E_CORRUPT,
     "two whole numbers"},
    {"tensor is a number", "{\"a\":1}", 0, GLA_E_CORRUPT, "must have dtype"},
    {"no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4, GLA_E_CORRUPT, "must have dtype"},
    {"a key too many", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"more\":1}}",
     4, GLA_E_CORRUPT, "must have dtype"},
    {"unknown dtype", "{" T("a", "F8_E4M3", "[4]", "0", "4") "}", 4, GLA_E_UNSUPPORTED,
     "dtype F8_E4M3 is not supported"},
    {"dtype a number", "{\"a\":{\"dtype\":8,\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
     GLA_E_CORRUPT, "must have dtype"},
    {"shape a number", "{" T("a", "U8", "4", "0", "4") "}", 4, GLA_E_CORRUPT, "\"shape\""},
    {"nine dimensions", "{" T("a", "U8", "[1,1,1,1,1,1,1,1,4]", "0", "4") "}", 4, GLA_E_CORRUPT,
     "at most 8"},
    {"negative dimension", "{" T("a", "U8", "[-4]", "0", "4") "}", 4, GLA_E_CORRUPT,
     "whole numbers"},
    {"fractional dimension", "{" T("a", "U8", "[4.0]", "0", "4") "}", 4, GLA_E_CORRUPT,
     "whole numbers"},
    {"dimension of 2^63", "{" T("a", "U8", "[9223372036854775808]", "0", "4") "}", 4, GLA_E_CORRUPT,
     "not valid JSON"},
    {"dimension of 2^40", "{" T("a", "U8", "[1099511627776]", "0", "4") "}", 4, GLA_E_LIMIT,
     "less than 2^40"},
    {"product that wraps to 4", "{" T("a", "U8", "[4194305,4194305,211106198978564]", "0", "4") "}",
     4, GLA_E_LIMIT, "2^40"},
    {"product of 2^41", "{" T("a", "U8", "[2097152,1048576]", "0", "4") "}", 4, GLA_E_LIMIT,
     "more than 2^40 numbers"},
    {"zero hides an overflow", "{" T("a", "U8", "[0,1099511627775,1099511627775]", "0", "0") "}", 0,
     GLA_E_LIMIT, "more than 2^40 numbers"},
    {"fewer bytes than the shape", "{" T("a", "F32", "[4]", "0", "4") "}", 4, GLA_E_CORRUPT,
     "needs 16 bytes"},
    {"more bytes than the shape", "{" T("a", "U8", "[2]", "0", "4") "}", 4, GLA_E_CORRUPT,
     "needs 2 bytes"},
    {"end before beginning", "{" T("a", "U8", "[0]", "4", "0") "}", 4, GLA_E_CORRUPT,
     "offsets are 4 and 0"},
    {"offset of 2^63 - 1",
     "{" T("a", "U8", "[1]", "9223372036854775806", "9223372036854775807") "}", 4, GLA_E_CORRUPT,
     "begin at 9223372036854775806"},
    {"negative offset", "{" T("a", "U8", "[4]", "-4", "0") "}", 4, GLA_E_CORRUPT, "data_offsets"},
    {"three offsets", "{" T("a", "U8", "[4]", "0,4", "4") "}", 4, GLA_E_CORRUPT, "data_offsets"},
    {"a hole", "{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[1]", "3", "4") "}", 4,
     GLA_E_CORRUPT, "begin at 3, those before it end at 2"},
    {"a hole at the beginning", "{" T("a", "U8", "[2]", "2", "4") "}", 4, GLA_E_CORRUPT,
     "begin at 2"},
    {"overlap", "{" T("a", "U8", "[3]", "0", "3") "," T("b", "U8", "[2]", "2", "4") "}", 4,
     GLA_E_CORRUPT, "begin at 2, those before it end at 3"},
    {"the same bytes twice",
     "{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[4]", "0", "4") "}", 4, GLA_E_CORRUPT,
     "begin at 0, those before it end at 4"},
    {"empty tensor inside another",
     "{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[0]", "2", "2") "}", 4, GLA_E_CORRUPT,
     "begin at 2"},
    {"bytes after the tensors", "{" T("a", "U8", "[4]", "0", "4") "}", 5, GLA_E_CORRUPT,
     "the file has 5 after its header"},
    {"tensors past the end", "{" T("a", "U8", "[4]", "0", "4") "}", 3, GLA_E_CORRUPT,
     "the file has 3 after its header"},
    {"metadata a list", "{\"__metadata__\":[]}", 0, GLA_E_CORRUPT, "object of strings"},
    {"metadata of numbers", "{\"__metadata__\":{\"a\":1}}", 0, GLA_E_CORRUPT, "object of strings"},
    {"empty name", "{" T("", "U8", "[0]", "0", "0") "}", 0, GLA_E_CORRUPT, "name of 0 bytes"},
    {"control character above 0x7f in a name", "{" T("a\xc2\x9b", "U8", "[0]", "0", "0") "}", 0,
     GLA_E_CORRUPT, "control character"},
    {"control character in a name", "{" T("a\\n", "U8", "[0]", "0", "0") "}", 0, GLA_E_CORRUPT,
     "control character"},
    {"NUL in a name", "{" T("a\\u0000", "U8", "[0]", "0", "0") "}", 0, GLA_E_CORRUPT,
     "not valid JSON"},
};

static gla_status open_bytes(const char *path, const void *data, size_t n, gla_diag *diag)
{
    gla_weights *w;
    gla_status st;

    cr_assert(write_file(path, data, n));
    st = gla_weights_open(path, NULL, &w, diag);
    cr_expect_eq(st != GLA_OK, w == NULL);
    gla_weights_free(w);
    return st;
}

static void build(bytes *b, const char *header, size_t data)
{
    b->size = 0;
    put_text(b, header);
    for (size_t i = 0; i < data; i++)
        put(b, "x", 1);
}

Test(malformed_safetensors, is_refused_with_reason)
{
    static bytes b;
    char path[TEMP_PATH];

    temp_path(path, "bad.safetensors");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bad_file *c = &cases[i];
        gla_diag diag = {0};
        gla_status st;

        build(&b, c->header, c->data);
        st = open_bytes(path, b.data, b.size, &diag);
        cr_expect_eq(st, c->status, "%s: %s: %s", c->name, gla_status_name(st), diag.message);
        cr_expect(strstr(diag.message, c->message), "%s: \"%s\"", c->name, diag.message);
        cr_expect(!st || !strncmp(diag.where, path, strlen(path)), "%s: %s", c->name, diag.where);
    }
    unlink(path);
}

Test(malformed_safetensors, checks_the_length_of_the_header_before_reading_it)
{
    static const struct {
        uint64_t length;
        gla_status status;
    } lengths[] = {{0, GLA_E_CORRUPT},
                   {1, GLA_E_CORRUPT},
                   {100, GLA_E_CORRUPT},
                   {100000000, GLA_E_CORRUPT},
                   {100000001, GLA_E_LIMIT},
                   {UINT64_C(1) << 31, GLA_E_LIMIT},
                   {UINT64_C(1) << 32, GLA_E_LIMIT},
                   {(UINT64_C(1) << 63) - 1, GLA_E_LIMIT},
                   {UINT64_C(1) << 63, GLA_E_LIMIT},
                   {UINT64_MAX - 7, GLA_E_LIMIT},
                   {UINT64_MAX, GLA_E_LIMIT}};
    static bytes b;
    char path[TEMP_PATH];

    temp_path(path, "length.safetensors");
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        gla_diag diag;

        b.size = 0;
        put_u64(&b, lengths[i].length);
        put(&b, "{}", 2);
        cr_expect_eq(open_bytes(path, b.data, b.size, &diag), lengths[i].status, "%zu: %s", i,
                     diag.message);
    }
    unlink(path);
}

Test(malformed_safetensors, every_truncation_is_refused)
{
    static bytes b;
    char path[TEMP_PATH];

    temp_path(path, "cut.safetensors");
    build(&b, "{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[12]", "4", "16") "}", 16);
    for (size_t n = 0; n < b.size; n++) {
        gla_diag diag;

        cr_expect_eq(open_bytes(path, b.data, n, &diag), GLA_E_CORRUPT, "%zu bytes: %s", n,
                     diag.message);
    }
    cr_expect_eq(open_bytes(path, b.data, b.size, NULL), GLA_OK);
    unlink(path);
}

Test(malformed_safetensors, limits_the_number_of_tensors)
{
    static char header[4096];
    const gla_limits two = {GLA_SIZED(gla_limits), .max_tensors = 2},
                     three = {GLA_SIZED(gla_limits), .max_tensors = 3};
    static bytes b;
    char path[TEMP_PATH];
    gla_weights *w;
    gla_diag diag;

    snprintf(header, sizeof(header), "{%s,%s,%s}", T("a", "U8", "[0]", "0", "0"),
             T("b", "U8", "[0]", "0", "0"), T("c", "U8", "[0]", "0", "0"));
    build(&b, header, 0);
    cr_assert(write_file(temp_path(path, "many.safetensors"), b.data, b.size));
    cr_expect_eq(gla_weights_open(path, &two, &w, &diag), GLA_E_LIMIT);
    cr_expect_eq(gla_weights_open(path, &three, &w, &diag), GLA_OK);
    gla_weights_free(w);
    snprintf(header, sizeof(header), "{\"__metadata__\":{},%s,%s}", T("a", "U8", "[0]", "0", "0"),
             T("b", "U8", "[0]", "0", "0"));
    build(&b, header, 0);
    cr_assert(write_file(path, b.data, b.size));
    cr_expect_eq(gla_weights_open(path, &two, &w, &diag), GLA_OK, "metadata are no tensor: %s",
                 diag.message);
    gla_weights_free(w);
    unlink(path);
}

Test(malformed_safetensors, limits_the_number_of_files)
{
    static char index[200000];
    char path[TEMP_PATH];
    size_t n = (size_t)sprintf(index, "{\"weight_map\":{");
    gla_diag diag = {0};

    for (int i = 0; i < 4097; i++)
        n += (size_t)sprintf(index + n, "%s\"%d\":\"%d.safetensors\"", i ? "," : "", i, i);
    n += (size_t)sprintf(index + n, "}}");
    temp_path(path, "many.safetensors.index.json");
    cr_expect_eq(open_bytes(path, index, n, &diag), GLA_E_LIMIT);
    cr_expect(strstr(diag.message, "4097 files, at most 4096"), "%s", diag.message);
    unlink(path);
}

/* A length of 123 is a brace, as an index begins with. */
Test(malformed_safetensors, a_header_of_any_length_is_one)
{
    static bytes b;
    char path[TEMP_PATH], header[256];

    temp_path(path, "any.safetensors");
    for (size_t n = 100; n < 150; n++) {
        gla_diag diag;

        snprintf(header, sizeof(header), "%-*s", (int)n, "{" T("a", "U8", "[1]", "0", "1") "}");
        build(&b, header, 1);
        cr_expect_eq(open_bytes(path, b.data, b.size, &diag), GLA_OK, "%zu bytes: %s", n,
                     diag.message);
    }
    unlink(path);
}

/* ---- several files ---------------------------------------------------------- */

static const struct {
    const char *name, *index;
    gla_status status;
    const char *message;
} indexes[] = {
    {"fine", "{\"weight_map\":{\"x\":\"s.safetensors\"}}", GLA_OK, ""},
    {"no map", "{\"metadata\":{}}", GLA_E_CORRUPT, "no \"weight_map\""},
    {"map a list", "{\"weight_map\":[]}", GLA_E_CORRUPT, "no \"weight_map\""},
    {"map empty", "{\"weight_map\":{}}", GLA_E_CORRUPT, "is empty"},
    {"file a number", "{\"weight_map\":{\"x\":1}}", GLA_E_CORRUPT, "name in the same folder"},
    {"file elsewhere", "{\"weight_map\":{\"x\":\"../s.safetensors\"}}", GLA_E_CORRUPT,
     "name in the same folder"},
    {"absolute path", "{\"weight_map\":{\"x\":\"/etc/passwd\"}}", GLA_E_CORRUPT,
     "name in the same folder"},
    {"the folder itself", "{\"weight_map\":{\"x\":\"..\"}}", GLA_E_CORRUPT,
     "name in the same folder"},
    {"file of no name", "{\"weight_map\":{\"x\":\"\"}}", GLA_E_CORRUPT, "name in the same folder"},
    {"another file than the tensor's",
     "{\"weight_map\":{\"x\":\"other.safetensors\",\"z\":\"s.safetensors\"}}", GLA_E_CORRUPT,
     "is not in"},
    {"no such file", "{\"weight_map\":{\"x\":\"none.safetensors\"}}", GLA_E_IO, "cannot open"},
    {"tensor not there", "{\"weight_map\":{\"x\":\"s.safetensors\",\"y\":\"s.safetensors\"}}",
     GLA_E_CORRUPT, "tensor y is not in s.safetensors"},
    {"same tensor in two files",
     "{\"weight_map\":{\"x\":\"s.safetensors\",\"y\":\"same.safetensors\"}}", GLA_E_CORRUPT,
     "two tensors named \"x\""},
    {"not JSON", "{\"weight_map\"", GLA_E_CORRUPT, "not valid JSON"},
};

Test(malformed_safetensors, refuses_a_bad_index)
{
    static bytes b;
    char folder[TEMP_PATH], shard[TEMP_PATH + 32], same[TEMP_PATH + 32], index[TEMP_PATH + 32];
    char other[TEMP_PATH + 32];

    mkdir(temp_path(folder, "index"), 0777);
    snprintf(shard, sizeof(shard), "%s/s.safetensors", folder);
    snprintf(same, sizeof(same), "%s/same.safetensors", folder);
    snprintf(other, sizeof(other), "%s/other.safetensors", folder);
    snprintf(index, sizeof(index), "%s/model.safetensors.index.json", folder);
    build(&b, "{" T("x", "U8", "[1]", "0", "1") "}", 1);
    cr_assert(write_file(shard, b.data, b.size));
    cr_assert(write_file(same, b.data, b.size));
    build(&b, "{" T("z", "U8", "[1]", "0", "1") "}", 1);
    cr_assert(write_file(other, b.data, b.size));
    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        gla_diag diag = {0};
        const gla_status st = open_bytes(index, indexes[i].index, strlen(indexes[i].index), &diag);

        cr_expect_eq(st, indexes[i].status, "%s: %s", indexes[i].name, diag.message);
        cr_expect(strstr(diag.message, indexes[i].message), "%s: \"%s\"", indexes[i].name,
                  diag.message);
    }
    unlink(index);
    unlink(shard);
    unlink(same);
    unlink(other);
    rmdir(folder);
}
