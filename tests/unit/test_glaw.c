/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/weights/glaw.h"

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/splitmix.h"
#include "support/temp_file.h"

#define OK(call) cr_assert_eq((call), GLA_OK, "%s: %s: %s", #call, diag.where, diag.message)

static gla_diag diag;

/* As trained weights are: normal, sigma 0.02. */
static void fill_bf16(uint16_t *x, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        double sum = -6;

        for (int k = 0; k < 12; k++)
            sum += (double)(gla__splitmix_next(&seed) >> 11) * 0x1p-53;
        x[i] = gla__f32_bf16((float)(0.02 * sum));
    }
}

static gla__glaw_tensor tensor(const char *name, uint32_t dtype, int64_t rows, int64_t cols)
{
    return (gla__glaw_tensor){name, dtype, 2, {rows, cols}, NULL, 0};
}

static void expect_tensor(const gla_weights *w, const char *name, const void *bytes, size_t n)
{
    const gla_tensor_info *info = gla_weights_find(w, name);
    uint8_t *read;

    cr_assert_not_null(info, "%s", name);
    cr_assert_eq(info->raw_bytes, n);
    read = malloc(n + 1);
    read[n] = 0x5a;
    OK(gla_weights_read(w, info, read, &diag));
    cr_expect(!memcmp(read, bytes, n), "%s differs", name);
    cr_expect_eq(read[n], 0x5a);
    free(read);
}

Test(glaw, gives_back_every_dtype_byte_for_byte)
{
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_F16, GLA_DTYPE_I8,
                                      GLA_DTYPE_I4,  GLA_DTYPE_F64,  GLA_DTYPE_I32, GLA_DTYPE_U8,
                                      GLA_DTYPE_I64, GLA_DTYPE_I16,  GLA_DTYPE_BOOL};
    enum { N = sizeof(dtypes) / sizeof(dtypes[0]), ROWS = 37, COLS = 96 };
    uint8_t data[ROWS * COLS * 8];
    char path[TEMP_PATH];
    uint64_t seed = 1;
    gla__glaw_writer *out;
    gla_weights *w;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(gla__splitmix_next(&seed) >> 40 & 0x3f);
    OK(gla__glaw_create(temp_path(path, "dtypes.glaw"), 0, &out, &diag));
    for (size_t i = N; i-- > 0;) { /* not in the order of names */
        const gla__glaw_tensor t = tensor(gla_dtype_name(dtypes[i]), dtypes[i], ROWS, COLS);

        OK(gla__glaw_add(out, &t, data, &diag));
    }
    OK(gla__glaw_finish(out, &diag));
    gla__glaw_close(&out);
    OK(gla_weights_open(path, NULL, &w, &diag));
    cr_assert_eq(gla_weights_count(w), N);
    for (size_t i = 0; i < N; i++)
        expect_tensor(w, gla_dtype_name(dtypes[i]), data,
                      (size_t)gla_dtype_bytes(dtypes[i], ROWS, COLS));
    for (uint32_t i = 1; i < N; i++)
        cr_assert(strcmp(gla_weights_info(w, i - 1)->name, gla_weights_info(w, i)->name) < 0);
    gla_weights_free(w);
    unlink(path);
}

Test(glaw, keeps_scalars_empty_tensors_and_all_dimensions)
{
    const gla__glaw_tensor scalar = {"scalar", GLA_DTYPE_F32, 0, {0}, NULL, 0};
    const gla__glaw_tensor empty = {"empty", GLA_DTYPE_F32, 3, {4, 0, 2}, NULL, 0};
    const gla__glaw_tensor deep = {"deep", GLA_DTYPE_U8, 8, {1, 2, 1, 2, 1, 2, 1, 2}, NULL, 0};
    const float pi = 3.14f;
    char path[TEMP_PATH];
    gla__glaw_writer *out;
    gla_weights *w;

    OK(gla__glaw_create(temp_path(path, "shapes.glaw"), 0, &out, &diag));
    OK(gla__glaw_add(out, &scalar, &pi, &diag));
    OK(gla__glaw_add(out, &empty, NULL, &diag));
    OK(gla__glaw_add(out, &deep, "0123456789abcdef", &diag));
    OK(gla__glaw_finish(out, &diag));
    gla__glaw_close(&out);
    OK(gla_weights_open(path, NULL, &w, &diag));
    cr_assert_eq(gla_weights_find(w, "scalar")->n_elements, 1);
    expect_tensor(w, "scalar", &pi, sizeof(pi));
    cr_assert_eq(gla_weights_find(w, "empty")->n_elements, 0);
    cr_assert_eq(gla_weights_find(w, "empty")->dims[2], 2);
    expect_tensor(w, "empty", "", 0);
    cr_assert_eq(gla_weights_find(w, "deep")->ndim, 8);
    expect_tensor(w, "deep", "0123456789abcdef", 16);
    cr_assert_null(gla_weights_find(w, "other"));
    gla_weights_free(w);
    unlink(path);
}

Test(glaw, remembers_where_tensors_came_from)
{
    char q[] = "q", k[] = "k";
    gla__piece pieces[] = {{.source = q, .first = 4, .count = 2}, {.source = k, .count = 4}};
    gla__glaw_tensor t = tensor("t", GLA_DTYPE_U8, 2, 3);
    const char *header;
    char path[TEMP_PATH];
    gla__glaw_writer *out;
    gla_weights *w;
    uint64_t first, count;
    size_t size;

    t.pieces = pieces;
    t.n_pieces = 2;
    OK(gla__glaw_create(temp_path(path, "source.glaw"), 0, &out, &diag));
    OK(gla__glaw_set_family(out, "fla/gla", &diag));
    OK(gla__glaw_set_metadata(out, "note", "x", &diag));
    OK(gla__glaw_set_config(out, "{ \"a\": 1 }\n", 11, &diag));
    OK(gla__glaw_add_file(out, "model.safetensors", "{}   ", 5, &diag));
    OK(gla__glaw_add(out, &t, "abcdef", &diag));
    OK(gla__glaw_finish(out, &diag));
    gla__glaw_close(&out);
    OK(gla_weights_open(path, NULL, &w, &diag));
    cr_assert_str_eq(gla__glaw_family(w), "fla/gla");
    cr_assert_str_eq(gla__glaw_metadata(w, "note"), "x");
    cr_assert_null(gla__glaw_metadata(w, "other"));
    cr_assert_str_eq(gla__glaw_config(w, &size), "{ \"a\": 1 }\n");
    cr_assert_eq(size, 11);
    cr_assert_eq(gla__glaw_n_files(w), 1);
    cr_assert_str_eq(gla__glaw_file(w, 0, &header, &size), "model.safetensors");
    cr_assert_str_eq(header, "{}   ");
    cr_assert_eq(gla__glaw_n_pieces(w, gla_weights_find(w, "t")), 2);
    cr_assert_str_eq(gla__glaw_piece(w, gla_weights_find(w, "t"), 1, &first, &count), "k");
    cr_assert_eq(first, 0);
    cr_assert_eq(count, 4);
    gla_weights_free(w);
    unlink(path);
}

/* A file of a large and many small tensors, written in pieces of `step` bytes. */
static uint8_t *write_mixed(const char *path, size_t step, uint32_t threads, size_t *size)
{
    enum { ROWS = 600, COLS = 2048, SMALL = 40 };
    uint16_t *x = malloc(ROWS * COLS * sizeof(*x));
    const gla__glaw_tensor large = tensor("large", GLA_DTYPE_BF16, ROWS, COLS);
    gla__glaw_writer *out;

    gla_set_threads(threads);
    fill_bf16(x, ROWS * COLS, 3);
    OK(gla__glaw_create(path, 0, &out, &diag));
    OK(gla__glaw_begin(out, &large, &diag));
    for (size_t at = 0; at < ROWS * COLS * 2; at += step) {
        const size_t left = ROWS * COLS * 2 - at;

        OK(gla__glaw_write(out, (uint8_t *)x + at, left < step ? left : step, &diag));
    }
    OK(gla__glaw_end(out, &diag));
    for (uint32_t i = 0; i < SMALL; i++) {
        char name[16];
        gla__glaw_tensor small;

        snprintf(name, sizeof(name), "small.%u", i);
        small = tensor(name, GLA_DTYPE_BF16, 1, 1 + i);
        OK(gla__glaw_add(out, &small, x, &diag));
    }
    OK(gla__glaw_finish(out, &diag));
    gla__glaw_close(&out);
    free(x);
    return read_file(path, size);
}

Test(glaw, writes_the_same_bytes_whatever_the_threads_and_pieces)
{
    static const struct {
        size_t step;
        uint32_t threads;
    } ways[] = {{1u << 30, 1}, {1u << 30, 2}, {4096, 1}, {7777, 3}, {(1u << 20) + 1, 2}};
    char path[TEMP_PATH];
    uint8_t *first = NULL;
    size_t first_size = 0;

    temp_path(path, "same.glaw");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        size_t size;
        uint8_t *bytes = write_mixed(path, ways[i].step, ways[i].threads, &size);

        cr_assert_not_null(bytes);
        if (first) {
            cr_expect_eq(size, first_size);
            cr_expect(!memcmp(bytes, first, size), "way %zu differs", i);
            free(bytes);
        } else {
            first = bytes;
            first_size = size;
        }
    }
    free(first);
    unlink(path);
}

Test(glaw, packs_normal_bf16_to_less_than_0_68)
{
    enum { N = 1 << 20 };
    uint16_t *x = malloc(N * sizeof(*x));
    const gla__glaw_tensor t = tensor("t", GLA_DTYPE_BF16, 1024, N / 1024);
    char path[TEMP_PATH];
    gla__glaw_writer *out;
    gla_weights *w;

    fill_bf16(x, N, 9);
    OK(gla__glaw_create(temp_path(path, "ratio.glaw"), 0, &out, &diag));
    OK(gla__glaw_add(out, &t, x, &diag));
    OK(gla__glaw_finish(out, &diag));
    gla__glaw_close(&out);
    OK(gla_weights_open(path, NULL, &w, &diag));
    cr_expect_lt((double)gla_weights_find(w, "t")->stored_bytes, 0.68 * N * 2);
    expect_tensor(w, "t", x, N * 2);
    gla_weights_free(w);
    free(x);
    unlink(path);
}

Test(glaw, names_the_damaged_chunk)
{
    char path[TEMP_PATH];
    size_t size;
    uint8_t *bytes = write_mixed(temp_path(path, "damaged.glaw"), 1u << 30, 2, &size);
    const gla_tensor_info *info;
    uint8_t *dst;
    gla_weights *w;

    bytes[64 + 1000000] ^= 4; /* "large" comes first: 1 MiB of it takes some 0.68 MiB */
    cr_assert(write_file(path, bytes, size));
    OK(gla_weights_open(path, NULL, &w, &diag));
    info = gla_weights_find(w, "large");
    dst = malloc((size_t)info->raw_bytes);
    cr_assert_eq(gla_weights_read(w, info, dst, &diag), GLA_E_CHECKSUM);
    cr_assert(strstr(diag.where, "damaged.glaw: tensor large: chunk 1"), "%s", diag.where);
    OK(gla_weights_read(w, gla_weights_find(w, "small.3"), dst, &diag));
    gla_weights_free(w);
    free(dst);
    free(bytes);
    unlink(path);
}

Test(glaw, says_what_was_wrong_with_the_writing)
{
    const gla__glaw_tensor t = tensor("t", GLA_DTYPE_F32, 2, 2);
    const gla__glaw_tensor odd = tensor("odd", GLA_DTYPE_I4, 2, 33);
    const gla__glaw_tensor nameless = tensor("", GLA_DTYPE_F32, 2, 2);
    const gla__glaw_tensor large = tensor("large", GLA_DTYPE_F32, INT64_C(1) << 30, 1 << 30);
    const gla__glaw_tensor deep = {"deep", GLA_DTYPE_F32, GLA_MAX_DIMS + 1, {0}, NULL, 0};
    const float x[4] = {0};
    char path[TEMP_PATH];
    gla__glaw_writer *out;

    OK(gla__glaw_create(temp_path(path, "wrong.glaw"), 0, &out, &diag));
    cr_expect_eq(gla__glaw_set_metadata(out, "k", "\xff", &diag), GLA_E_INVALID);
    cr_expect_str_eq(diag.message, "\"k\" is not UTF-8");
    cr_expect_eq(gla__glaw_write(out, x, 1, &diag), GLA_E_INVALID);
    cr_expect_eq(gla__glaw_end(out, &diag), GLA_E_INVALID);
    cr_expect_eq(gla__glaw_begin(out, &odd, &diag), GLA_E_SHAPE);
    cr_expect_eq(gla__glaw_begin(out, &nameless, &diag), GLA_E_CORRUPT);
    cr_expect_eq(gla__glaw_begin(out, &deep, &diag), GLA_E_INVALID);
    cr_expect_eq(gla__glaw_begin(out, &large, &diag), GLA_E_LIMIT);
    OK(gla__glaw_begin(out, &t, &diag));
    cr_expect_eq(gla__glaw_begin(out, &t, &diag), GLA_E_INVALID);
    cr_expect(strstr(diag.message, "begins inside another"));
    OK(gla__glaw_write(out, x, 12, &diag));
    cr_expect_eq(gla__glaw_write(out, x, 5, &diag), GLA_E_INVALID);
    cr_expect_eq(gla__glaw_end(out, &diag), GLA_E_INVALID);
    cr_expect(strstr(diag.message, "12 of its 16 bytes"));
    cr_expect_eq(gla__glaw_finish(out, &diag), GLA_E_INVALID);
    OK(gla__glaw_write(out, x, 4, &diag));
    OK(gla__glaw_end(out, &diag));
    OK(gla__glaw_add(out, &t, x, &diag));
    cr_expect_eq(gla__glaw_finish(out, &diag), GLA_E_INVALID);
    cr_expect(strstr(diag.message, "two tensors named t"));
    gla__glaw_close(&out);
    cr_expect_eq(access(path, F_OK), -1, "a failed writer leaves nothing");
}

Test(glaw, obeys_the_limits)
{
    char path[TEMP_PATH];
    size_t size;
    const gla_limits few = {GLA_SIZED(gla_limits), .max_tensors = 40},
                     enough = {GLA_SIZED(gla_limits), .max_tensors = 41};
    const gla_limits small = {GLA_SIZED(gla_limits), .max_bytes = 1000000},
                     tiny_index = {GLA_SIZED(gla_limits), .max_index_bytes = 64};
    gla_weights *w;

    free(write_mixed(temp_path(path, "limits.glaw"), 1u << 30, 2, &size));
    cr_expect_eq(gla_weights_open(path, &few, &w, &diag), GLA_E_LIMIT);
    cr_expect_null(w);
    cr_expect_eq(gla_weights_open(path, &small, &w, &diag), GLA_E_LIMIT);
    cr_expect(strstr(diag.hint, "limits.max_bytes"));
    cr_expect_eq(gla_weights_open(path, &tiny_index, &w, &diag), GLA_E_LIMIT);
    OK(gla_weights_open(path, &enough, &w, &diag));
    gla_weights_free(w);
    unlink(path);
}
