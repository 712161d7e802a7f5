/* SPDX-License-Identifier: Apache-2.0
 *
 * Law 9: what is written to weights.glaw reads back as the same bytes, and writing it twice, with
 * other threads and in other pieces, gives identical files. */
#include "formats/weights/glaw.h"

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"
#include "formats/weights/planes.h"
#include "support/temp_file.h"

#define SEEDS 200
#define OK(call, seed)                                                                             \
    cr_assert_eq((call), GLA_OK, "seed %llu: %s: %s: %s", (unsigned long long)(seed), #call,       \
                 diag.where, diag.message)

static uint64_t state;
static gla_diag diag;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(gla__splitmix_next(&state) >> 33) % n;
}

typedef struct made {
    char name[32];
    gla__glaw_tensor t;
    uint8_t *data;
    size_t size;
} made;

/* Noise, zeros, one value over and over, or few different bytes. */
static void fill(uint8_t *data, size_t n)
{
    const uint32_t kind = below(4), value = below(256);

    for (size_t i = 0; i < n; i++)
        data[i] = kind == 0   ? (uint8_t)gla__splitmix_next(&state)
                  : kind == 1 ? 0
                  : kind == 2 ? (uint8_t)value
                              : (uint8_t)(gla__splitmix_next(&state) >> 60);
}

static void make(made *m, uint32_t i)
{
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_F16, GLA_DTYPE_I8,
                                      GLA_DTYPE_I4,  GLA_DTYPE_F64,  GLA_DTYPE_I32, GLA_DTYPE_U8,
                                      GLA_DTYPE_I64, GLA_DTYPE_I16,  GLA_DTYPE_BOOL};
    uint64_t rows, cols;

    memset(m, 0, sizeof(*m));
    snprintf(m->name, sizeof(m->name), "%c.%u", 'a' + (char)below(26), i);
    m->t.name = m->name;
    m->t.dtype = dtypes[below(11)];
    cols = m->t.dtype == GLA_DTYPE_I4 ? 32 * (1 + below(20)) : 1 + below(700);
    rows = 1 + below(below(30) ? 60 : 4000); /* now and then of several chunks */
    m->t.ndim = 2;
    m->t.dims[0] = (int64_t)rows;
    m->t.dims[1] = (int64_t)cols;
    m->size = (size_t)gla_dtype_bytes(m->t.dtype, rows, cols);
    m->data = malloc(m->size);
    fill(m->data, m->size);
}

static uint8_t *write_all(const char *path, made *list, uint32_t n, size_t *size, uint64_t seed)
{
    gla__glaw_writer *w;

    gla_set_threads(1 + below(4));
    OK(gla__glaw_create(path, 0, &w, &diag), seed);
    for (uint32_t i = 0; i < n; i++) {
        OK(gla__glaw_begin(w, &list[i].t, &diag), seed);
        for (size_t at = 0; at < list[i].size;) {
            const size_t left = list[i].size - at, step = 1 + below(1u << below(22));
            const size_t take = step < left ? step : left;

            OK(gla__glaw_write(w, list[i].data + at, take, &diag), seed);
            at += take;
        }
        OK(gla__glaw_end(w, &diag), seed);
    }
    OK(gla__glaw_finish(w, &diag), seed);
    gla__glaw_close(&w);
    return read_file(path, size);
}

Test(glaw_law, reading_gives_what_was_written)
{
    char path[TEMP_PATH];

    temp_path(path, "law.glaw");
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        made list[8];
        uint32_t n;
        size_t size, size_again;
        uint8_t *file, *again;
        gla_weights *w;

        state = seed;
        n = 1 + below(8);
        for (uint32_t i = 0; i < n; i++)
            make(&list[i], i);
        file = write_all(path, list, n, &size, seed);
        again = write_all(path, list, n, &size_again, seed);
        cr_assert(size == size_again && !memcmp(file, again, size), "seed %llu",
                  (unsigned long long)seed);
        OK(gla_weights_open(path, NULL, &w, &diag), seed);
        cr_assert_eq(gla_weights_count(w), n);
        for (uint32_t i = 0; i < n; i++) {
            const gla_tensor_info *info = gla_weights_find(w, list[i].name);
            uint8_t *data = malloc(list[i].size);

            cr_assert(info && info->raw_bytes == list[i].size);
            OK(gla_weights_read(w, info, data, &diag), seed);
            cr_assert(!memcmp(data, list[i].data, list[i].size), "seed %llu: %s",
                      (unsigned long long)seed, list[i].name);
            free(data);
            free(list[i].data);
        }
        gla_weights_free(w);
        free(file);
        free(again);
    }
    unlink(path);
}

/* Splits with one table and merges with the other, at odd addresses and lengths. */
static void expect_same_planes(const gla__planes *a, const gla__planes *b)
{
    static uint8_t numbers[4 * 1000 + 64], back[4 * 1000 + 64], store[4][1064];

    for (uint32_t round = 0; round < 300; round++) {
        const size_t n = below(1000), shift = below(16);
        uint8_t *planes[4];
        const uint8_t *parts[4];

        fill(numbers, sizeof(numbers));
        for (uint32_t i = 0; i < 4; i++)
            parts[i] = planes[i] = store[i] + below(64);
        memset(back, 0x99, sizeof(back));
        a->split2(numbers + shift, n, planes);
        b->merge2(parts, n, back + shift);
        cr_assert(!memcmp(back + shift, numbers + shift, 2 * n));
        cr_assert_eq(back[shift + 2 * n], 0x99);
        a->split4(numbers + shift, n, planes);
        b->merge4(parts, n, back + shift);
        cr_assert(!memcmp(back + shift, numbers + shift, 4 * n));
    }
}

Test(planes_law, every_kernel_undoes_every_other)
{
    const gla__planes *const mine = gla__planes_get();

    state = 5;
    expect_same_planes(&gla__planes_c, mine);
    expect_same_planes(mine, &gla__planes_c);
}

Test(planes_law, the_exponent_stands_alone)
{
    const uint16_t x = 0x8000u | 0x5au << 7 | 0x35; /* sign, exponent, fraction of a bf16 */
    uint8_t low, high;
    uint8_t *const planes[] = {&low, &high};
    uint8_t bytes[2] = {(uint8_t)x, (uint8_t)(x >> 8)};

    gla__planes_c.split2(bytes, 1, planes);
    cr_assert_eq(high, 0x5a);
    cr_assert_eq(low, 0x35 << 1 | 1);
}
