/* SPDX-License-Identifier: Apache-2.0 */
#include "state/chunks.h"

#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/diag.h"
#include "base/parallel.h"
#include "base/zstd.h"

#define LEVEL     1
#define MAX_LANES 16u

/* One chunk in work. */
typedef struct lane {
    uint8_t *raw, *stored;
    size_t n_raw, n_stored;
    uint64_t raw_hash, stored_hash; /* made when writing, expected when reading */
    gla__zstd zstd;
    gla_status status;
    gla_diag diag;
} lane;

typedef struct cursor {
    const gla__segment *segments;
    size_t n, at, offset; /* in segments[at] */
} cursor;

typedef struct lanes {
    lane *lane; /* [n] */
    uint32_t n;
    cursor cursor;
} lanes;

static void lanes_free(lanes *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        gla__free(l->lane[i].raw);
        gla__free(l->lane[i].stored);
        gla__zstd_deinit(&l->lane[i].zstd);
    }
    gla__free(l->lane);
}

static uint64_t total_of(const gla__segment *segments, size_t n)
{
    uint64_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += segments[i].bytes;
    return total;
}

static gla_status lanes_init(lanes *l, const gla__segment *segments, size_t n, gla_diag *diag)
{
    const uint64_t chunks = gla__chunk_count(total_of(segments, n));
    uint32_t wanted = gla__parallel_width();

    memset(l, 0, sizeof(*l));
    l->cursor = (cursor){.segments = segments, .n = n};
    wanted = wanted < MAX_LANES ? wanted : MAX_LANES;
    wanted = chunks < wanted ? (uint32_t)chunks : wanted;
    l->lane = gla__alloc_array(wanted, sizeof(*l->lane));
    if (!l->lane)
        return gla__fail_nomem(diag, "the chunks of a session file");
    l->n = wanted;
    for (uint32_t i = 0; i < wanted; i++) {
        lane *c = &l->lane[i];

        c->raw = gla__alloc(GLA__CHUNK_BYTES);
        c->stored = gla__alloc(GLA__CHUNK_BYTES);
        if (!c->raw || !c->stored)
            return gla__fail_nomem(diag, "the chunks of a session file");
    }
    return GLA_OK;
}

/* Copies up to one chunk out of the segments, or into them. */
static size_t transfer(cursor *c, uint8_t *chunk, size_t room, bool out)
{
    size_t done = 0;

    while (done < room && c->at < c->n) {
        const gla__segment *s = &c->segments[c->at];
        const size_t left = s->bytes - c->offset, n = left < room - done ? left : room - done;

        if (n && out)
            memcpy(chunk + done, s->data + c->offset, n);
        else if (n && s->data)
            memcpy(s->data + c->offset, chunk + done, n);
        done += n;
        c->offset += n;
        if (c->offset == s->bytes) {
            c->at++;
            c->offset = 0;
        }
    }
    return done;
}

/* ---- writing ---- */

static void pack(void *arg, uint32_t i)
{
    lane *c = &((lanes *)arg)->lane[i];

    /* Only a result that is smaller is of use: the room for it says so. */
    c->status = gla__zstd_encode(&c->zstd, LEVEL, c->raw, c->n_raw, c->stored, c->n_raw - 1,
                                 &c->n_stored, &c->diag);
    if (c->status)
        return;
    if (!c->n_stored) {
        memcpy(c->stored, c->raw, c->n_raw);
        c->n_stored = c->n_raw;
    }
    c->raw_hash = XXH3_64bits(c->raw, c->n_raw);
    c->stored_hash = XXH3_64bits(c->stored, c->n_stored);
}

/* What went wrong in a lane, reported by the thread that called. */
static gla_status lane_status(const lane *c, gla_diag *diag)
{
    if (c->status && diag)
        *diag = c->diag;
    return c->status;
}

gla_status gla__chunks_write(gla__writer *w, const gla__segment *segments, size_t n, uint8_t *table,
                             gla_diag *diag)
{
    lanes l;
    gla_status st = lanes_init(&l, segments, n, diag);
    uint32_t filled = l.n;

    while (!st && filled == l.n && l.n) {
        for (filled = 0; filled < l.n; filled++) {
            lane *c = &l.lane[filled];

            c->n_raw = transfer(&l.cursor, c->raw, GLA__CHUNK_BYTES, true);
            if (!c->n_raw)
                break;
        }
        gla__parallel_for(filled, pack, &l);
        for (uint32_t i = 0; !st && i < filled; i++) {
            const lane *c = &l.lane[i];

            st = lane_status(c, diag);
            if (!st)
                st = gla__writer_write(w, c->stored, c->n_stored, diag);
            gla__store_u32(table, (uint32_t)c->n_stored);
            gla__store_u32(table + 4, 0);
            gla__store_u64(table + 8, c->stored_hash);
            gla__store_u64(table + 16, c->raw_hash);
            table += GLA__CHUNK_RECORD;
        }
    }
    lanes_free(&l);
    return st;
}

/* ---- reading ---- */

gla_status gla__chunks_check(const uint8_t *table, uint64_t raw, uint64_t *stored, gla_diag *diag)
{
    const uint64_t n = gla__chunk_count(raw);

    *stored = 0;
    for (uint64_t i = 0; i < n; i++, table += GLA__CHUNK_RECORD) {
        const uint64_t size = gla__load_u32(table);
        const uint64_t whole = i + 1 < n ? GLA__CHUNK_BYTES : raw - i * GLA__CHUNK_BYTES;

        if (!size || size > whole || gla__load_u32(table + 4))
            return gla__fail(diag, GLA_E_CORRUPT,
                             "chunk %" PRIu64 " of %" PRIu64 " bytes is stored in %" PRIu64, i,
                             whole, size);
        *stored += size;
    }
    return GLA_OK;
}

static void unpack(void *arg, uint32_t i)
{
    lane *c = &((lanes *)arg)->lane[i];

    c->status = GLA_OK;
    if (XXH3_64bits(c->stored, c->n_stored) != c->stored_hash) {
        c->status = gla__fail(&c->diag, GLA_E_CHECKSUM, "its bytes are damaged");
        return;
    }
    if (c->n_stored == c->n_raw)
        memcpy(c->raw, c->stored, c->n_raw);
    else
        c->status = gla__zstd_decode(&c->zstd, c->stored, c->n_stored, c->raw, c->n_raw, &c->diag);
    if (!c->status && XXH3_64bits(c->raw, c->n_raw) != c->raw_hash)
        c->status = gla__fail(&c->diag, GLA_E_CHECKSUM, "it does not decompress to what it was");
}

/* Reads the next chunk into a lane; nothing left: n_raw 0. */
static gla_status fetch(lane *c, const gla__file *f, uint64_t *offset, const uint8_t *record,
                        uint64_t left, gla_diag *diag)
{
    gla_status st;

    c->n_raw = (size_t)(left < GLA__CHUNK_BYTES ? left : GLA__CHUNK_BYTES);
    if (!c->n_raw)
        return GLA_OK;
    c->n_stored = gla__load_u32(record);
    c->stored_hash = gla__load_u64(record + 8);
    c->raw_hash = gla__load_u64(record + 16);
    st = gla__file_read(f, *offset, c->stored, c->n_stored, diag);
    *offset += c->n_stored;
    return st;
}

gla_status gla__chunks_read(const gla__file *f, uint64_t offset, const uint8_t *table,
                            const gla__segment *segments, size_t n, gla_diag *diag)
{
    uint64_t left = total_of(segments, n), number = 0;
    lanes l;
    gla_status st = lanes_init(&l, segments, n, diag);

    while (!st && left) {
        uint32_t filled = 0;

        while (!st && filled < l.n && left) {
            st = fetch(&l.lane[filled], f, &offset, table, left, diag);
            table += GLA__CHUNK_RECORD;
            left -= l.lane[filled++].n_raw;
        }
        if (st)
            break;
        gla__parallel_for(filled, unpack, &l);
        for (uint32_t i = 0; !st && i < filled; i++, number++) {
            st = lane_status(&l.lane[i], diag);
            if (st)
                gla__at_format(diag, "chunk %" PRIu64, number);
            else
                transfer(&l.cursor, l.lane[i].raw, l.lane[i].n_raw, false);
        }
    }
    lanes_free(&l);
    return st;
}
