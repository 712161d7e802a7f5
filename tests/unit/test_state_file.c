/* SPDX-License-Identifier: Apache-2.0 */
#include "state/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/io.h"
#include "support/state_fixture.h"
#include <xxhash.h>

#define HASH  UINT64_C(0x1234)
#define VOCAB FIXTURE_VOCAB

typedef struct filed {
    fixture f;
    gla__ring ring;
    uint64_t saved_bytes;
    char dir[64], path[96];
} filed;

static void filed_setup(filed *c, size_t tokens)
{
    memset(c, 0, sizeof(*c));
    setup(&c->f);
    c->ring.budget = c->saved_bytes = UINT64_MAX;
    for (size_t n; tokens; tokens -= n) {
        n = tokens < 500 ? tokens : 500;
        step(&c->f.q, n);
    }
    strcpy(c->dir, "/tmp/gla-session-XXXXXX");
    cr_assert_not_null(mkdtemp(c->dir));
    snprintf(c->path, sizeof(c->path), "%s/s.gla", c->dir);
}

static void filed_teardown(filed *c)
{
    unlink(c->path);
    cr_expect_eq(rmdir(c->dir), 0, "something was left beside the file");
    gla__ring_clear(&c->ring);
    teardown(&c->f);
}

/* Steps to `n` tokens and freezes there; 0: freezes nothing. */
static void snapshot_at(filed *c, size_t n, bool mark)
{
    gla__snapshot *p;

    step(&c->f.q, n - c->f.q.position);
    cr_assert_eq(gla__snapshot_take(&c->f.q, &p, NULL), GLA_OK);
    cr_assert(gla__ring_add(&c->ring, p, mark));
    gla__snapshot_unref(p);
}

static void keep_logits(gla__sequence *q)
{
    float logits[VOCAB];

    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = (float)(q->position * 31 + i * 7 % 1000) * 0.01f;
    cr_assert_eq(gla__sequence_reserve_logits(q, NULL), GLA_OK);
    gla__sequence_keep_logits(q, logits);
}

static gla_status save(const filed *c, gla_diag *diag)
{
    return gla__session_file_save(&c->f.q, &c->ring, c->saved_bytes, HASH, c->path, diag);
}

static gla_status load_ring(filed *c, gla__sequence *q, gla__ring *ring, gla_diag *diag)
{
    ring->budget = UINT64_MAX;
    return gla__session_file_load(q, ring, &c->f.store, HASH, 0, c->path, diag);
}

static gla_status load(filed *c, gla__sequence *q, gla_diag *diag)
{
    gla__ring ring = {0};
    const gla_status st = load_ring(c, q, &ring, diag);

    gla__ring_clear(&ring);
    return st;
}

static void assert_equal(const gla__sequence *a, const gla__sequence *b)
{
    cr_assert_eq(a->position, b->position);
    cr_assert_eq(a->kv_dtype, b->kv_dtype);
    if (a->position)
        cr_assert_arr_eq(a->tokens, b->tokens, a->position * sizeof(int32_t));
    cr_assert_arr_eq(a->fixed, b->fixed, a->store->layout->fixed_bytes);
    cr_assert_eq(a->has_logits, b->has_logits);
    if (a->has_logits)
        cr_assert_arr_eq(a->logits, b->logits, VOCAB * sizeof(float));
    for (uint32_t i = 0; i < a->n_tables; i++) {
        cr_assert_eq(a->tables[i].first, b->tables[i].first);
        cr_assert_eq(a->tables[i].n, b->tables[i].n);
        for (size_t j = 0; j < a->tables[i].n; j++)
            cr_assert_arr_eq(a->tables[i].pages[j], b->tables[i].pages[j], a->tables[i].page_bytes);
    }
}

Test(state_file, brings_a_sequence_back_bit_for_bit)
{
    static const size_t lengths[] = {0, 1, 64, 99, 1000, 1984};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        filed c;
        gla__sequence q;

        filed_setup(&c, lengths[i]);
        if (lengths[i] % 2)
            keep_logits(&c.f.q);
        cr_assert_eq(save(&c, NULL), GLA_OK);
        cr_assert_eq(load(&c, &q, NULL), GLA_OK);
        assert_equal(&q, &c.f.q);
        step(&q, 10);
        step(&c.f.q, 10);
        assert_equal(&q, &c.f.q);
        gla__sequence_deinit(&q);
        filed_teardown(&c);
    }
}

/* What a snapshot holds, as bytes: to be compared. */
static void assert_same_snapshot(const gla__snapshot *a, const gla__snapshot *b)
{
    const size_t used = a->position % GLA__KV_PAGE_TOKENS;

    cr_assert_eq(a->position, b->position);
    cr_assert_eq(a->bytes, b->bytes);
    cr_assert_arr_eq(a->fixed, b->fixed, a->store->layout->fixed_bytes);
    cr_assert_eq(a->n_tables, b->n_tables);
    for (uint32_t i = 0; i < a->n_tables; i++) {
        cr_assert_eq(a->windows[i].first, b->windows[i].first);
        cr_assert_eq(a->windows[i].n, b->windows[i].n);
        for (size_t j = 0; j < a->windows[i].n; j++) {
            const uint8_t *x = a->pages[a->windows[i].start + j];
            const uint8_t *y = b->pages[b->windows[i].start + j];
            const size_t tokens = j + 1 < a->windows[i].n || !used ? GLA__KV_PAGE_TOKENS : used;

            cr_assert_arr_eq(x, y, tokens * 8 * sizeof(float)); /* keys of the first head */
        }
    }
}

Test(state_file, takes_turn_ends_and_the_newest_snapshots_along)
{
    /* position, mark; with room for two, then three: the marks first */
    static const struct {
        size_t position;
        bool mark;
    } taken[] = {{40, true}, {256, false}, {300, true}, {512, false}, {700, true}, {768, false}};
    static const size_t two[] = {300, 700}, four[] = {40, 300, 700, 768};
    filed c;
    gla__sequence q;
    gla__ring ring = {0};
    uint64_t most = 0;

    filed_setup(&c, 0);
    for (size_t i = 0; i < 6; i++)
        snapshot_at(&c, taken[i].position, taken[i].mark);
    for (size_t i = 0; i < c.ring.n; i++)
        most = c.ring.slots[i].snapshot->bytes > most ? c.ring.slots[i].snapshot->bytes : most;
    step(&c.f.q, 30);
    for (size_t n = 2; n <= 4; n += 2) {
        const size_t *expected = n == 2 ? two : four;

        c.saved_bytes = n * most;
        cr_assert_eq(save(&c, NULL), GLA_OK);
        cr_assert_eq(load_ring(&c, &q, &ring, NULL), GLA_OK);
        assert_equal(&q, &c.f.q);
        cr_assert_geq(ring.n, n);
        for (size_t i = 0; i < n; i++) {
            const gla__snapshot *p = gla__ring_find(&ring, expected[i]);

            cr_assert_not_null(p);
            cr_assert_eq(p->position, expected[i]);
            assert_same_snapshot(p, gla__ring_find(&c.ring, expected[i]));
        }
        gla__ring_clear(&ring);
        gla__sequence_deinit(&q);
    }
    /* a snapshot at the position itself says nothing new, and a small budget takes none */
    c.saved_bytes = UINT64_MAX;
    snapshot_at(&c, 800, true);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    cr_assert_eq(load_ring(&c, &q, &ring, NULL), GLA_OK);
    cr_assert_eq(ring.n, 6);
    cr_assert(ring.slots[0].mark && !ring.slots[1].mark);
    gla__ring_clear(&ring);
    gla__sequence_deinit(&q);
    c.saved_bytes = 1;
    cr_assert_eq(save(&c, NULL), GLA_OK);
    cr_assert_eq(load_ring(&c, &q, &ring, NULL), GLA_OK);
    cr_assert_eq(ring.n, 0);
    gla__ring_clear(&ring);
    gla__sequence_deinit(&q);
    filed_teardown(&c);
}

/* The budget of memory has room for the session but not for its snapshots. */
Test(state_file, leaves_snapshots_out_that_there_is_no_memory_for)
{
    filed c;
    gla__sequence q;
    gla__ring ring = {0};

    filed_setup(&c, 0);
    snapshot_at(&c, 200, true);
    snapshot_at(&c, 400, true);
    step(&c.f.q, 100);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    atomic_store(&c.f.store.budget, atomic_load(&c.f.store.used) + atomic_load(&c.f.usage.state) +
                                        atomic_load(&c.f.usage.history) +
                                        gla__sequence_kv_bytes(&c.f.q) + c.f.page / 2);
    cr_assert_eq(load_ring(&c, &q, &ring, NULL), GLA_OK);
    assert_equal(&q, &c.f.q);
    cr_assert_eq(ring.n, 0);
    atomic_store(&c.f.store.budget, UINT64_MAX);
    gla__sequence_deinit(&q);
    gla__ring_clear(&ring);
    filed_teardown(&c);
}

/* More than one chunk, and one that is stored as it is. */
Test(state_file, takes_a_stream_of_many_chunks)
{
    filed c;
    gla__sequence q;
    uint64_t x = 1;

    filed_setup(&c, 0);
    for (size_t n = 0; n < 30000; n += 1000)
        step(&c.f.q, 1000);
    for (size_t i = 0; i < c.f.q.tables[0].n; i++)
        for (size_t k = 0; k < c.f.page && i % 3; k++) {
            x = x * UINT64_C(6364136223846793005) + 1;
            c.f.q.tables[0].pages[i][k] = (uint8_t)(x >> 56);
        }
    /* the tail of the last page is not part of the state */
    memset(c.f.q.tables[0].pages[c.f.q.tables[0].n - 1], 0, c.f.page);
    for (uint32_t i = 0; i < 30000; i++)
        c.f.q.tokens[i] %= VOCAB;
    cr_assert_eq(save(&c, NULL), GLA_OK);
    cr_assert_eq(load(&c, &q, NULL), GLA_OK);
    assert_equal(&q, &c.f.q);
    gla__sequence_deinit(&q);
    filed_teardown(&c);
}

static char *read_back(const filed *c, size_t *size)
{
    char *data;

    cr_assert_eq(gla__read_all(c->path, UINT64_MAX, &data, size, NULL), GLA_OK);
    return data;
}

Test(state_file, equal_sequences_give_equal_files_whatever_was_cut_off)
{
    filed c;
    char *a, *b;
    size_t n, m;

    filed_setup(&c, 70);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    a = read_back(&c, &n);
    {
        const float fixed = c.f.q.fixed[0];

        step(&c.f.q, 20);
        gla__sequence_cut(&c.f.q, 70);
        c.f.q.fixed[0] = fixed;
    }
    cr_assert_eq(save(&c, NULL), GLA_OK);
    b = read_back(&c, &m);
    cr_assert_eq(n, m);
    cr_assert_arr_eq(a, b, n);
    gla__free(a);
    gla__free(b);
    filed_teardown(&c);
}

static void write_back(const filed *c, const char *data, size_t n)
{
    FILE *f = fopen(c->path, "wb");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(data, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

static void assert_refused(filed *c, const char *what, size_t where)
{
    gla__sequence q;
    gla_diag diag;
    const gla_status st = load(c, &q, &diag);

    cr_assert(st == GLA_E_CORRUPT || st == GLA_E_CHECKSUM || st == GLA_E_VERSION, "%s at %zu: %s",
              what, where, gla_status_name(st));
    cr_assert(diag.message[0]);
    cr_assert_null(q.store);
}

/* Changes the file in place: writing it anew for each case takes minutes on some disks. */
Test(state_file, refuses_every_cut_and_every_changed_bit, .timeout = 120)
{
    filed c;
    char *data;
    size_t n;
    int fd;

    unsigned long long used;

    filed_setup(&c, 1);
    snapshot_at(&c, 2, true);
    step(&c.f.q, 1);
    keep_logits(&c.f.q);
    used = atomic_load(&c.f.store.used);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    data = read_back(&c, &n);
    fd = open(c.path, O_WRONLY);
    cr_assert_geq(fd, 0);
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            const char changed = (char)(data[i] ^ 1 << bit);

            cr_assert_eq(pwrite(fd, &changed, 1, (off_t)i), 1);
            assert_refused(&c, "bit", i);
        }
        cr_assert_eq(pwrite(fd, data + i, 1, (off_t)i), 1);
    }
    for (size_t i = n; i-- > 0;) {
        cr_assert_eq(ftruncate(fd, (off_t)i), 0);
        assert_refused(&c, "cut", i);
    }
    close(fd);
    cr_assert_eq(atomic_load(&c.f.store.used), used);
    gla__free(data);
    filed_teardown(&c);
}

Test(state_file, refuses_bytes_after_its_end)
{
    filed c;
    char *data;
    size_t n;

    filed_setup(&c, 5);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    data = read_back(&c, &n);
    data[n] = 0; /* gla__read_all adds a NUL: one byte more is ours */
    write_back(&c, data, n + 1);
    assert_refused(&c, "longer", n);
    gla__free(data);
    filed_teardown(&c);
}

/* A field changed by one who knows the checksums. */
static void forge_header(filed *c, const char *good, size_t n, size_t at, int width, uint64_t value)
{
    uint8_t *p = gla__alloc(n);
    int fd;

    memcpy(p, good, n);
    if (width == 4)
        gla__store_u32(p + at, (uint32_t)value);
    else
        gla__store_u64(p + at, value);
    gla__store_u64(p + 48, XXH3_64bits(p + 72, gla__load_u64((const uint8_t *)good + 40)));
    if (at == 48)
        gla__store_u64(p + 48, value);
    gla__store_u64(p + 64, XXH3_64bits(p, 64));
    fd = open(c->path, O_WRONLY);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, p, n, 0), (ssize_t)n);
    close(fd);
    gla__free(p);
}

Test(state_file, refuses_forged_numbers)
{
    static const uint64_t values[] = {0,
                                      1,
                                      65,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      UINT64_C(0x100000001),
                                      INT64_MAX,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX};
    static const struct {
        size_t at;
        int width;
    } fields[] = {{12, 4}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 8}, {48, 8}, {56, 4}, {60, 4}};
    static const struct {
        size_t at; /* from the first of the two snapshots */
        int width;
        uint64_t value;
    } snapshots[] = {{0, 8, 0},  {0, 8, 3}, {0, 8, UINT64_C(1) << 63}, {8, 4, 2}, {12, 4, 1},
                     {16, 8, 2}, {16, 8, 5}};
    filed c;
    char *data;
    size_t n, list; /* where the snapshots begin */

    filed_setup(&c, 0);
    snapshot_at(&c, 2, true);
    snapshot_at(&c, 3, false);
    step(&c.f.q, 2);
    keep_logits(&c.f.q);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    data = read_back(&c, &n);
    list = 72 + gla__load_u64((const uint8_t *)data + 40) - 24 - 32;
    cr_assert_eq(gla__load_u64((const uint8_t *)data + list), 2);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
            gla__sequence q;
            gla_diag diag;

            forge_header(&c, data, n, fields[i].at, fields[i].width, values[j]);
            if (fields[i].at == 32 && (uint32_t)values[j] == GLA_DTYPE_F32)
                continue; /* as it was */
            cr_assert_neq(load(&c, &q, &diag), GLA_OK, "field at %zu, value %llx", fields[i].at,
                          (unsigned long long)values[j]);
        }
    for (size_t at = 72; at < list; at++)
        for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
            gla__sequence q;
            gla_diag diag;

            if (gla__load_u32((const uint8_t *)data + at) == (uint32_t)values[j])
                continue;
            forge_header(&c, data, n, at, 4, values[j]);
            cr_assert_neq(load(&c, &q, &diag), GLA_OK, "index at %zu", at);
        }
    for (size_t i = 0; i < sizeof(snapshots) / sizeof(snapshots[0]); i++) {
        gla__sequence q;
        gla_diag diag;

        forge_header(&c, data, n, list + snapshots[i].at, snapshots[i].width, snapshots[i].value);
        cr_assert_eq(load(&c, &q, &diag), GLA_E_CORRUPT, "snapshots, case %zu", i);
        cr_assert(strstr(diag.message, "of 5 tokens"), "%s", diag.message);
    }
    gla__free(data);
    filed_teardown(&c);
}

Test(state_file, says_what_belongs_to_another_model)
{
    filed c;
    gla__sequence q;
    gla__ring ring = {0};
    gla_diag diag;

    filed_setup(&c, 5);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    cr_assert_eq(gla__session_file_load(&q, &ring, &c.f.store, HASH + 1, 0, c.path, &diag),
                 GLA_E_MISMATCH);
    cr_assert(strstr(diag.message, "another model"));
    cr_assert_eq(gla__session_file_load(&q, &ring, &c.f.store, HASH, GLA_DTYPE_BF16, c.path, &diag),
                 GLA_E_MISMATCH);
    cr_assert(strstr(diag.message, "KV cache is of f32, bf16 is wanted"), "%s", diag.message);
    c.f.layout.entries[0].revision++;
    cr_assert_eq(load(&c, &q, &diag), GLA_E_MISMATCH);
    cr_assert(strstr(diag.where, "0.S"), "%s", diag.where);
    cr_assert(strstr(diag.message, "revision 1 in the file, 2 in this model"), "%s", diag.message);
    c.f.layout.entries[0].revision--;
    c.f.layout.entries[2].desc.window = 90;
    cr_assert_eq(load(&c, &q, &diag), GLA_E_MISMATCH);
    cr_assert(strstr(diag.message, "window 100 in the file, 90"), "%s", diag.message);
    c.f.layout.entries[2].desc.window = 100;
    c.f.layout.entries[0].desc.dims[1] = 16;
    c.f.layout.entries[0].desc.dims[0] = 2;
    cr_assert_eq(load(&c, &q, &diag), GLA_E_MISMATCH);
    c.f.layout.entries[0].desc.dims[1] = 8;
    c.f.layout.entries[0].desc.dims[0] = 4;
    c.f.store.vocab = 4;
    cr_assert_eq(load(&c, &q, &diag), GLA_E_CORRUPT);
    cr_assert(strstr(diag.message, "vocabulary"));
    c.f.store.vocab = VOCAB;
    cr_assert_eq(load(&c, &q, &diag), GLA_OK);
    gla__sequence_deinit(&q);
    filed_teardown(&c);
}

/* ---- disks that fill up ---- */

static size_t room;

static ssize_t full_write(int fd, const void *buf, size_t n)
{
    if (!room) {
        errno = ENOSPC;
        return -1;
    }
    n = n < room ? n : room;
    room -= n;
    return write(fd, buf, n);
}

static ssize_t full_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    if (!room) {
        errno = ENOSPC;
        return -1;
    }
    n = n < room ? n : room;
    room -= n;
    return pwrite(fd, buf, n, offset);
}

Test(state_file, a_full_disk_leaves_the_old_file)
{
    filed c;
    gla__sequence q;
    gla_diag diag;
    gla__io io;
    char *data;
    size_t n;

    filed_setup(&c, 5);
    cr_assert_eq(save(&c, NULL), GLA_OK);
    data = read_back(&c, &n);
    gla__free(data);
    step(&c.f.q, 50);
    io = gla__io_get();
    io.write = full_write;
    io.pwrite = full_pwrite;
    for (size_t limit = 0; limit < n; limit += 13) {
        room = limit;
        gla__io_set(&io);
        cr_assert_eq(save(&c, &diag), GLA_E_IO);
        gla__io_set(NULL);
        cr_assert_eq(load(&c, &q, &diag), GLA_OK);
        cr_assert_eq(q.position, 5);
        gla__sequence_deinit(&q);
    }
    filed_teardown(&c);
}
