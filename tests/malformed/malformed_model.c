/* SPDX-License-Identifier: Apache-2.0
 *
 * The weights of a small model of about 8 KiB as our writer makes them: cut at every length, with
 * every bit of its header and index turned, and bits all over its data. */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <string.h>

#include "base/bytes.h"
#include "formats/weights/glaw.h"
#include "support/rng.h"
#include "support/temp_file.h"

enum { HEADER = 64, AT_INDEX = 16 };

static const gla__glaw_tensor tensors[] = {
    {"embed.weight", GLA_DTYPE_BF16, 2, {32, 32}, NULL, 0},
    {"layers.0.ffn.up_proj.weight", GLA_DTYPE_I8, 2, {32, 32}, NULL, 0},
    {"layers.0.mixer.a_log", GLA_DTYPE_F32, 1, {37}, NULL, 0},
    {"layers.0.mixer.q_proj.weight", GLA_DTYPE_BF16, 2, {32, 32}, NULL, 0},
    {"layers.1.mixer.q_proj.weight", GLA_DTYPE_I4, 2, {32, 32}, NULL, 0},
    {"norm.weight", GLA_DTYPE_F32, 1, {640}, NULL, 0},
    {"steps", GLA_DTYPE_I64, 0, {0}, NULL, 0},
};
enum { N_TENSORS = sizeof(tensors) / sizeof(tensors[0]) };

static uint8_t raw[N_TENSORS][8192];

/* Numbers as weights are: their exponents repeat, so that planes are compressed too. */
static uint8_t *make_model(const char *path, size_t *size)
{
    gla__glaw_writer *w;
    gla_weights *r;
    rng random = {7};
    gla_diag diag;

    cr_assert_eq(gla__glaw_create(path, 0, &w, &diag), GLA_OK);
    cr_assert_eq(gla__glaw_set_family(w, "test", &diag), GLA_OK);
    cr_assert_eq(gla__glaw_set_metadata(w, "who", "malformed_model.c", &diag), GLA_OK);
    cr_assert_eq(gla__glaw_set_config(w, "{\"a\":1}", 7, &diag), GLA_OK);
    for (int i = 0; i < N_TENSORS; i++) {
        float x[2048];

        rng_fill_normal(&random, x, 2048);
        memcpy(raw[i], x, sizeof(raw[i]));
        if (tensors[i].dtype == GLA_DTYPE_BF16)
            for (size_t k = 0; k < 1024; k++)
                memcpy(raw[i] + 2 * k, (const uint8_t *)&x[k] + 2, 2);
        cr_assert_eq(gla__glaw_add(w, &tensors[i], raw[i], &diag), GLA_OK, "%s", diag.message);
    }
    cr_assert_eq(gla__glaw_finish(w, &diag), GLA_OK, "%s", diag.message);
    gla__glaw_close(&w);
    cr_assert_eq(gla_weights_open(path, NULL, &r, &diag), GLA_OK, "%s", diag.message);
    gla_weights_free(r);
    return read_file(path, size);
}

/* Opens and reads all: a status, or exactly what was written. */
static gla_status load(const char *path, const uint8_t *data, size_t n, gla_diag *diag)
{
    static uint8_t dst[8192];
    gla_weights *w;
    gla_status st;

    cr_assert(write_file(path, data, n));
    st = gla_weights_open(path, NULL, &w, diag);
    cr_expect_eq(st != GLA_OK, w == NULL);
    for (int i = 0; i < N_TENSORS && !st; i++) {
        const gla_tensor_info *info = gla_weights_find(w, tensors[i].name);

        if (!info || info->raw_bytes > sizeof(dst)) {
            st = GLA_E_INVALID; /* never: the index has a checksum */
            break;
        }
        st = gla_weights_read(w, info, dst, diag);
        if (!st && memcmp(dst, raw[i], info->raw_bytes))
            st = GLA_E_INVALID;
    }
    gla_weights_free(w);
    return st;
}

Test(malformed_model, every_length_is_refused)
{
    char path[TEMP_PATH];
    size_t size;
    uint8_t *good = make_model(temp_path(path, "lengths.glaw"), &size);

    cr_assert_gt(size, 7000, "%zu bytes", size);
    cr_assert_lt(size, 10000, "%zu bytes", size);
    cr_assert_eq(load(path, good, size, NULL), GLA_OK);
    for (size_t n = 0; n < size; n++) {
        gla_diag diag = {0};

        cr_expect_eq(load(path, good, n, &diag), GLA_E_CORRUPT, "%zu of %zu bytes", n, size);
        cr_expect(diag.message[0] && strstr(diag.where, path), "%zu bytes: %s", n, diag.where);
    }
    free(good);
    unlink(path);
}

static void flip(const char *path, uint8_t *data, size_t size, size_t bit)
{
    gla_diag diag = {0};
    gla_status st;

    data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    st = load(path, data, size, &diag);
    data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    /* a zstd frame has a few bits without meaning: then nothing has changed (load() compares) */
    if (st || bit / 8 < HEADER)
        cr_expect(st == GLA_E_CORRUPT || st == GLA_E_CHECKSUM || st == GLA_E_VERSION,
                  "bit %zu of byte %zu: %s", bit % 8, bit / 8, gla_status_name(st));
}

Test(malformed_model, every_bit_of_header_and_index_is_guarded)
{
    char path[TEMP_PATH];
    size_t size, index;
    uint8_t *good = make_model(temp_path(path, "bits.glaw"), &size);

    index = (size_t)gla__load_u64(good + AT_INDEX);
    cr_assert_lt(index, size);
    for (size_t bit = 0; bit < 8 * HEADER; bit++)
        flip(path, good, size, bit);
    for (size_t bit = 8 * index; bit < 8 * size; bit++)
        flip(path, good, size, bit);
    for (size_t bit = 8 * HEADER; bit < 8 * index; bit += 13)
        flip(path, good, size, bit);
    free(good);
    unlink(path);
}
