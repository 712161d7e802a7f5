/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad weights.glaw: each class by name, with the status and words it must give.  The files are put
 * together here, not by our writer, from docs/glaw.md alone. */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "support/byte_builder.h"
#include "support/temp_file.h"

enum { AT_INDEX = 16, AT_STORED = 24, AT_RAW = 32, AT_INDEX_HASH = 40, AT_SIZE = 48, AT_HASH = 56 };

/* Two stored chunks of "abcd" and "efgh", as they are: at 64 and at 72. */
#define C0     "[64,8,4,\"%A\"]"
#define C1     "[72,8,4,\"%E\"]"
#define TENSOR "{\"name\":\"t\",\"dtype\":\"u8\",\"shape\":[8],\"chunks\":[" C0 "," C1 "]}"
/* A tensor with `keys` for dtype and shape, and `chunks` as its list. */
#define WITH(keys, chunks) "{\"tensors\":[{\"name\":\"t\"," keys ",\"chunks\":[" chunks "]}]}"
#define U8x8               "\"dtype\":\"u8\",\"shape\":[8]"

static void set_u64(bytes *b, size_t at, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        b->data[at + i] = (uint8_t)(v >> (8 * i));
}

static void seal_header(bytes *b)
{
    set_u64(b, AT_HASH, XXH3_64bits(b->data, AT_HASH));
}

/* %A and %E of an index become the checksums of the two chunks. */
static size_t expand(const char *index, char *out)
{
    const char *start = out;

    for (; *index; index++) {
        if (index[0] == '%' && (index[1] == 'A' || index[1] == 'E')) {
            out += sprintf(out, "%016llx",
                           (unsigned long long)XXH3_64bits(index[1] == 'A' ? "abcd" : "efgh", 4));
            index++;
        } else {
            *out++ = *index;
        }
    }
    *out = '\0';
    return (size_t)(out - start);
}

static void put_index(bytes *b, const void *text, size_t n)
{
    const uint64_t at = b->size;
    uint8_t packed[8192];
    const size_t stored = ZSTD_compress(packed, sizeof(packed), text, n, 1);

    put(b, packed, stored);
    set_u64(b, AT_INDEX, at);
    set_u64(b, AT_STORED, stored);
    set_u64(b, AT_RAW, n);
    set_u64(b, AT_INDEX_HASH, XXH3_64bits(text, n));
    set_u64(b, AT_SIZE, b->size);
    seal_header(b);
}

static void put_header(bytes *b)
{
    b->size = 0;
    put(b, "\x89glaw\r\n\x1a", 8);
    put_u32(b, 1);
    put_u32(b, 64);
    while (b->size < 64)
        put(b, "", 1);
}

static void build(bytes *b, const char *index)
{
    static char text[8192];

    put_header(b);
    put_u32(b, 0x80000004u);
    put(b, "abcd", 4);
    put_u32(b, 0x80000004u);
    put(b, "efgh", 4);
    put_index(b, text, expand(index, text));
}

static uint8_t dst[4096]; /* what load() has read last */

/* Opens and reads every tensor. */
static gla_status load(const char *path, const bytes *b, size_t n, gla_diag *diag)
{
    gla_weights *w;
    gla_status st;

    memset(dst, 0, sizeof(dst));
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

static const struct {
    const char *name, *index;
    gla_status status;
    const char *message;
} indexes[] = {
    {"fine", "{\"tensors\":[" TENSOR "]}", GLA_OK, ""},
    {"fine, unknown keys", "{\"tensors\":[" TENSOR "],\"later\":{\"a\":1}}", GLA_OK, ""},
    {"fine with everything",
     "{\"family\":\"x\",\"metadata\":{\"a\":\"b\"},\"source\":{\"config\":\"{}\",\"files\":[{"
     "\"name\":\"m\",\"header\":\"{}\"}]},\"tensors\":[{\"name\":\"t\"," U8x8
     ",\"pieces\":[[\"a\",0,5],[\"b\",9,3]],\"chunks\":[" C0 "," C1 "]}]}",
     GLA_OK, ""},
    {"not JSON", "{\"tensors\":", GLA_E_CORRUPT, "not valid JSON"},
    {"a list", "[]", GLA_E_CORRUPT, "index: it is not as"},
    {"duplicate key", "{\"tensors\":[],\"tensors\":[" TENSOR "]}", GLA_E_CORRUPT, "duplicate"},
    {"no tensors", "{}", GLA_E_CORRUPT, "\"tensors\" is not as"},
    {"tensors an object", "{\"tensors\":{}}", GLA_E_CORRUPT, "\"tensors\" is not as"},
    {"tensor a number", "{\"tensors\":[1]}", GLA_E_CORRUPT, "a tensor is not as"},
    {"chunks of no tensor", "{\"tensors\":[]}", GLA_E_CORRUPT, "leave a hole"},
    {"two of one name", "{\"tensors\":[" TENSOR "," TENSOR "]}", GLA_E_CORRUPT, "not in order"},
    {"not sorted",
     "{\"tensors\":[{\"name\":\"b\",\"dtype\":\"u8\",\"shape\":[4],\"chunks\":[" C0
     "]},{\"name\":\"a\",\"dtype\":\"u8\",\"shape\":[4],\"chunks\":[" C1 "]}]}",
     GLA_E_CORRUPT, "not in order"},
    {"no name", "{\"tensors\":[{" U8x8 ",\"chunks\":[" C0 "," C1 "]}]}", GLA_E_CORRUPT,
     "a tensor is not as"},
    {"empty name", "{\"tensors\":[{\"name\":\"\"," U8x8 ",\"chunks\":[" C0 "," C1 "]}]}",
     GLA_E_CORRUPT, "name of 0 bytes"},
    {"line break in a name", "{\"tensors\":[{\"name\":\"a\\nb\"," U8x8 ",\"chunks\":[]}]}",
     GLA_E_CORRUPT, "control character"},
    {"dtype from the future", WITH("\"dtype\":\"fp6\",\"shape\":[8]", C0 "," C1), GLA_E_VERSION,
     "dtype \"fp6\" is not known"},
    {"dtype a number", WITH("\"dtype\":1,\"shape\":[8]", C0 "," C1), GLA_E_CORRUPT,
     "a tensor is not as"},
    {"no shape", WITH("\"dtype\":\"u8\"", C0 "," C1), GLA_E_CORRUPT, "\"shape\""},
    {"shape a text", WITH("\"dtype\":\"u8\",\"shape\":\"8\"", C0 "," C1), GLA_E_CORRUPT,
     "\"shape\""},
    {"no dtype", WITH("\"shape\":[8]", C0 "," C1), GLA_E_CORRUPT, "a tensor is not as"},
    {"nine dimensions", WITH("\"dtype\":\"u8\",\"shape\":[1,1,1,1,1,1,1,1,8]", C0 "," C1),
     GLA_E_CORRUPT, "at most 8"},
    {"negative dimension", WITH("\"dtype\":\"u8\",\"shape\":[-8]", C0 "," C1), GLA_E_CORRUPT,
     "whole numbers"},
    {"dimension of 2^40", WITH("\"dtype\":\"u8\",\"shape\":[1099511627776]", C0 "," C1),
     GLA_E_LIMIT, "less than 2^40"},
    {"product of 2^64 + 8", WITH("\"dtype\":\"u8\",\"shape\":[4294967296,4294967296]", C0 "," C1),
     GLA_E_LIMIT, "more than 2^40 numbers"},
    {"int4 rows not of 32", WITH("\"dtype\":\"int4\",\"shape\":[8]", C0 "," C1), GLA_E_CORRUPT,
     "int4 cannot have this shape"},
    {"shape needs more", WITH("\"dtype\":\"u8\",\"shape\":[9]", C0 "," C1), GLA_E_CORRUPT,
     "its shape needs 9 bytes, its chunks have 8"},
    {"shape needs less", WITH("\"dtype\":\"u8\",\"shape\":[4]", C0 "," C1), GLA_E_CORRUPT,
     "its shape needs 4 bytes, its chunks have 8"},
    {"a terabyte in 8 bytes", WITH("\"dtype\":\"u8\",\"shape\":[1099511627775]", C0 "," C1),
     GLA_E_LIMIT, "altogether"},
    {"no chunks", "{\"tensors\":[{\"name\":\"t\"," U8x8 "}]}", GLA_E_CORRUPT,
     "\"chunks\" is not as"},
    {"chunks an object", "{\"tensors\":[{\"name\":\"t\"," U8x8 ",\"chunks\":{}}]}", GLA_E_CORRUPT,
     "\"chunks\" is not as"},
    {"chunk an object", WITH(U8x8, "{}," C1), GLA_E_CORRUPT, "a chunk is not as"},
    {"chunk at a text", WITH(U8x8, "[\"64\",8,4,\"%A\"]," C1), GLA_E_CORRUPT, "a chunk is not as"},
    {"chunk stored in a text", WITH(U8x8, "[64,\"8\",4,\"%A\"]," C1), GLA_E_CORRUPT,
     "a chunk is not as"},
    {"chunk of a text", WITH(U8x8, "[64,8,\"4\",\"%A\"]," C1), GLA_E_CORRUPT, "a chunk is not as"},
    {"chunk checksum a number", WITH(U8x8, "[64,8,4,1234567890123456]," C1), GLA_E_CORRUPT,
     "a chunk is not as"},
    {"chunk of three numbers", WITH(U8x8, "[64,8,4]," C1), GLA_E_CORRUPT, "a chunk is not as"},
    {"chunk checksum too short", WITH(U8x8, "[64,8,4,\"123\"]," C1), GLA_E_CORRUPT,
     "a chunk is not as"},
    {"chunk checksum no number", WITH(U8x8, "[64,8,4,\"123456789012345g\"]," C1), GLA_E_CORRUPT,
     "a chunk is not as"},
    {"chunk checksum wrong", WITH(U8x8, "[64,8,4,\"1234567890123456\"]," C1), GLA_E_CHECKSUM,
     "checksum does not match"},
    {"chunk of nothing", WITH(U8x8, "[64,8,0,\"%A\"]," C1), GLA_E_CORRUPT, "chunk of 0 raw bytes"},
    {"chunk stored in nothing", WITH(U8x8, "[64,0,4,\"%A\"]," C1), GLA_E_CORRUPT, "stored in 0"},
    {"chunk of 17 MiB", WITH(U8x8, "[64,8,17825792,\"%A\"]," C1), GLA_E_CORRUPT,
     "chunk of 17825792 raw bytes"},
    {"chunk stored larger than raw", WITH(U8x8, "[64,21,4,\"%A\"]," C1), GLA_E_CORRUPT,
     "stored in 21"},
    {"chunk in the header", WITH(U8x8, "[63,8,4,\"%A\"]," C1), GLA_E_CORRUPT,
     "outside the file's data"},
    {"chunk in the index", WITH(U8x8, C0 ",[73,8,4,\"%E\"]"), GLA_E_CORRUPT,
     "outside the file's data"},
    {"chunk at 2^63 - 1", WITH(U8x8, C0 ",[9223372036854775807,8,4,\"%E\"]"), GLA_E_CORRUPT,
     "outside the file's data"},
    {"chunk at a negative place", WITH(U8x8, "[-64,8,4,\"%A\"]," C1), GLA_E_CORRUPT,
     "a chunk is not as"},
    {"chunk cut in a number",
     WITH("\"dtype\":\"bf16\",\"shape\":[4]", "[64,8,3,\"%A\"],[72,8,5,\"%E\"]"), GLA_E_CORRUPT,
     "chunk of 3 raw bytes"},
    {"one chunk twice", WITH(U8x8, C0 "," C0), GLA_E_CORRUPT, "overlap or leave a hole"},
    {"overlapping chunks", WITH(U8x8, C0 ",[70,10,4,\"%E\"]"), GLA_E_CORRUPT,
     "overlap or leave a hole"},
    {"a hole between chunks", WITH(U8x8, "[64,7,4,\"%A\"]," C1), GLA_E_CORRUPT,
     "overlap or leave a hole"},
    {"no pieces", WITH(U8x8 ",\"pieces\":[]", C0 "," C1), GLA_OK, ""},
    {"pieces an object", WITH(U8x8 ",\"pieces\":{}", C0 "," C1), GLA_E_CORRUPT,
     "\"pieces\" is not as"},
    {"piece a number", WITH(U8x8 ",\"pieces\":[8]", C0 "," C1), GLA_E_CORRUPT,
     "\"pieces\" is not as"},
    {"piece begins at a text", WITH(U8x8 ",\"pieces\":[[\"a\",\"0\",8]]", C0 "," C1), GLA_E_CORRUPT,
     "\"pieces\" is not as"},
    {"piece of a text", WITH(U8x8 ",\"pieces\":[[\"a\",0,\"8\"]]", C0 "," C1), GLA_E_CORRUPT,
     "\"pieces\" is not as"},
    {"pieces too few", WITH(U8x8 ",\"pieces\":[[\"a\",0,7]]", C0 "," C1), GLA_E_CORRUPT,
     "its pieces have 7 numbers"},
    {"pieces overflow",
     WITH(U8x8 ",\"pieces\":[[\"a\",0,9223372036854775807],[\"a\",0,"
               "9223372036854775807],[\"a\",0,10]]",
          C0 "," C1),
     GLA_E_CORRUPT, "\"pieces\" is not as"},
    {"piece of no name", WITH(U8x8 ",\"pieces\":[[1,0,8]]", C0 "," C1), GLA_E_CORRUPT,
     "\"pieces\" is not as"},
    {"metadata of numbers", "{\"metadata\":{\"a\":1},\"tensors\":[" TENSOR "]}", GLA_E_CORRUPT,
     "\"metadata\" is not as"},
    {"source a text", "{\"source\":\"x\",\"tensors\":[" TENSOR "]}", GLA_E_CORRUPT,
     "\"source\" is not as"},
    {"metadata a list", "{\"metadata\":[],\"tensors\":[" TENSOR "]}", GLA_E_CORRUPT,
     "\"metadata\" is not as"},
    {"source config a number", "{\"source\":{\"config\":1},\"tensors\":[" TENSOR "]}",
     GLA_E_CORRUPT, "\"source\" is not as"},
    {"source files an object", "{\"source\":{\"files\":{}},\"tensors\":[" TENSOR "]}",
     GLA_E_CORRUPT, "\"source\" is not as"},
    {"source file without a name",
     "{\"source\":{\"files\":[{\"name\":1,\"header\":\"{}\"}]},\"tensors\":[" TENSOR "]}",
     GLA_E_CORRUPT, "\"source\" is not as"},
    {"source file without header",
     "{\"source\":{\"files\":[{\"name\":\"x\"}]},\"tensors\":[" TENSOR "]}", GLA_E_CORRUPT,
     "\"source\" is not as"},
};

Test(malformed_glaw, index_is_refused_with_reason)
{
    static bytes b;
    char path[TEMP_PATH];

    temp_path(path, "index.glaw");
    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        gla_diag diag = {0};
        gla_status st;

        build(&b, indexes[i].index);
        st = load(path, &b, b.size, &diag);
        cr_expect_eq(st, indexes[i].status, "%s: %s: %s", indexes[i].name, gla_status_name(st),
                     diag.message);
        cr_expect(strstr(diag.message, indexes[i].message), "%s: \"%s\"", indexes[i].name,
                  diag.message);
        cr_expect(!st || !strncmp(diag.where, path, strlen(path)), "%s: %s", indexes[i].name,
                  diag.where);
    }
    unlink(path);
}

/* ---- chunks of one bf16 tensor of 64 numbers: planes of 64 bytes -------------- */

static const char noise[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/=";

static void build_chunk(bytes *b, const void *stored, size_t n)
{
    char text[512];

    put_header(b);
    put(b, stored, n);
    put_index(b, text,
              (size_t)sprintf(text,
                              "{\"tensors\":[{\"name\":\"t\",\"dtype\":\"bf16\",\"shape\":[64],"
                              "\"chunks\":[[64,%zu,128,\"0000000000000000\"]]}]}",
                              n));
}

static void expect_chunk(const char *name, const bytes *stored, gla_status status,
                         const char *message)
{
    static bytes b;
    char path[TEMP_PATH];
    gla_diag diag = {0};
    gla_status st;

    build_chunk(&b, stored->data, stored->size);
    st = load(temp_path(path, "chunk.glaw"), &b, b.size, &diag);
    cr_expect_eq(st, status, "%s: %s: %s", name, gla_status_name(st), diag.message);
    cr_expect(strstr(diag.message, message), "%s: \"%s\"", name, diag.message);
    cr_expect(strstr(diag.where, "tensor t: chunk 0"), "%s: %s", name, diag.where);
    unlink(path);
}

/* Plane 1 is `frame`, plane 0 as it is. */
static void expect_frame(const char *name, const void *frame, size_t n, gla_status status,
                         const char *message)
{
    bytes b = {0};

    put_u32(&b, 0x80000040u);
    put_u32(&b, (uint32_t)n);
    put(&b, noise, 64);
    put(&b, frame, n);
    expect_chunk(name, &b, status, message);
}

Test(malformed_glaw, planes_are_refused_with_reason)
{
    static const struct {
        const char *name;
        uint32_t first, second;
        size_t data;
        const char *message;
    } tables[] = {
        {"plane too long as it is", 0x80000041u, 0x80000040u, 128, "plane 0 of 65 bytes"},
        {"plane too short as it is", 0x80000040u, 0x8000003fu, 128, "plane 1 of 63 bytes"},
        {"plane past the end", 0x80000040u, 0x80000040u, 127, "plane 1 of 64 bytes"},
        {"plane of 2^31 - 1 bytes", 0xffffffffu, 0x80000040u, 128, "plane 0 of 2147483647 bytes"},
        {"plane of nothing", 0, 0x80000040u, 128, "not one zstd frame of 64 bytes"},
        {"not a frame", 64, 0x80000040u, 128, "not one zstd frame of 64 bytes"},
        {"bytes after the planes", 0x80000040u, 0x80000040u, 129, "1 bytes after its planes"},
    };
    static const char data[192];
    bytes b = {0};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        b.size = 0;
        put_u32(&b, tables[i].first);
        put_u32(&b, tables[i].second);
        put(&b, data, tables[i].data);
        expect_chunk(tables[i].name, &b, GLA_E_CORRUPT, tables[i].message);
    }
    b.size = 0;
    put(&b, "abcdefg", 7);
    expect_chunk("no room for the table", &b, GLA_E_CORRUPT, "no room for its table");
}

Test(malformed_glaw, frames_are_refused_with_reason)
{
    static const char zeros[70000], few[64];
    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    uint8_t frame[1024];
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t n = ZSTD_compress(frame, sizeof(frame), few, 64, 1);

    expect_frame("fine but for the checksum", frame, n, GLA_E_CHECKSUM, "checksum");
    memcpy(frame + n, frame, n);
    expect_frame("two frames", frame, 2 * n, GLA_E_CORRUPT, "not one zstd frame");
    expect_frame("a byte after the frame", frame, n + 1, GLA_E_CORRUPT, "not one zstd frame");
    expect_frame("a byte too few", frame, n - 1, GLA_E_CORRUPT, "not one zstd frame");
    n = ZSTD_compress(frame, sizeof(frame), few, 63, 1);
    expect_frame("too short a frame", frame, n, GLA_E_CORRUPT, "not one zstd frame of 64 bytes");
    n = ZSTD_compress(frame, sizeof(frame), zeros, sizeof(zeros), 1);
    expect_frame("a bomb", frame, n, GLA_E_CORRUPT, "not one zstd frame of 64 bytes");
    expect_frame("a skippable frame", skippable, sizeof(skippable), GLA_E_CORRUPT,
                 "not one zstd frame");
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    n = ZSTD_compress2(c, frame, sizeof(frame), few, 64);
    expect_frame("no content size", frame, n, GLA_E_CORRUPT, "not one zstd frame");
    ZSTD_freeCCtx(c);
}

/* ---- the header ---------------------------------------------------------------- */

Test(malformed_glaw, header_fields_at_their_boundaries)
{
    static const uint64_t values[] = {0,
                                      1,
                                      (UINT64_C(1) << 31) - 1,
                                      UINT64_C(1) << 31,
                                      (UINT64_C(1) << 32) - 1,
                                      UINT64_C(1) << 32,
                                      (UINT64_C(1) << 63) - 1,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX - 1,
                                      UINT64_MAX};
    static bytes good, b;
    char path[TEMP_PATH];

    temp_path(path, "fields.glaw");
    build(&good, indexes[0].index);
    cr_assert_eq(load(path, &good, good.size, NULL), GLA_OK);
    for (size_t at = 8; at <= AT_SIZE; at += 8) {
        uint64_t value = 0;

        memcpy(&value, good.data + at, 8);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) + 2; i++) {
            const size_t n = sizeof(values) / sizeof(values[0]);
            const uint64_t v = i < n ? values[i] : i == n ? value - 1 : value + 1;
            gla_diag diag = {0};
            gla_status st;

            b = good;
            set_u64(&b, at, v);
            cr_expect_eq(load(path, &b, b.size, &diag), GLA_E_CHECKSUM, "field %zu, not sealed",
                         at);
            seal_header(&b);
            st = load(path, &b, b.size, &diag);
            cr_expect(st == GLA_E_CORRUPT || st == GLA_E_LIMIT || st == GLA_E_VERSION ||
                          st == GLA_E_CHECKSUM,
                      "field %zu = %llu: %s", at, (unsigned long long)v, gla_status_name(st));
        }
    }
    unlink(path);
}

Test(malformed_glaw, every_truncation_is_refused)
{
    static bytes b;
    char path[TEMP_PATH];

    temp_path(path, "cut.glaw");
    build(&b, indexes[2].index);
    for (size_t n = 0; n < b.size; n++)
        cr_expect_eq(load(path, &b, n, NULL), GLA_E_CORRUPT, "%zu of %zu bytes", n, b.size);
    put(&b, "", 1);
    cr_expect_eq(load(path, &b, b.size, NULL), GLA_E_CORRUPT, "one byte more");
    unlink(path);
}

Test(malformed_glaw, every_bit_flip_is_found)
{
    static bytes b;
    uint64_t index_at = 0;
    char path[TEMP_PATH];

    temp_path(path, "flip.glaw");
    build(&b, indexes[2].index);
    memcpy(&index_at, b.data + AT_INDEX, 8);
    for (size_t bit = 0; bit < 8 * b.size; bit++) {
        gla_diag diag = {0};
        gla_status st;

        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        st = load(path, &b, b.size, &diag);
        /* a zstd frame has a few bits without meaning: then nothing may have changed */
        if (!st)
            cr_expect(bit / 8 >= index_at && !memcmp(dst, "abcdefgh", 8), "bit %zu of byte %zu",
                      bit % 8, bit / 8);
        else
            cr_expect(st == GLA_E_CORRUPT || st == GLA_E_CHECKSUM || st == GLA_E_LIMIT,
                      "bit %zu of byte %zu: %s", bit % 8, bit / 8, gla_status_name(st));
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    unlink(path);
}

Test(malformed_glaw, any_change_of_a_sealed_index_gives_a_status)
{
    static char text[8192], changed[8192];
    static bytes b;
    const size_t n = expand(indexes[2].index, text);
    char path[TEMP_PATH];
    uint64_t seed = 42;

    temp_path(path, "changed.glaw");
    for (int round = 0; round < 2000; round++) {
        memcpy(changed, text, n);
        for (int k = 0; k < 1 + round % 3; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            changed[(seed >> 33) % n] = "0123456789-,\"[]{}:.eab\\ "[(seed >> 20) % 24];
        }
        put_header(&b);
        put_u32(&b, 0x80000004u);
        put(&b, "abcd", 4);
        put_u32(&b, 0x80000004u);
        put(&b, "efgh", 4);
        put_index(&b, changed, n);
        (void)!load(path, &b, b.size, NULL); /* load() checks that a failure leaves no handle */
    }
    unlink(path);
}
