/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/weights/glaw_chunk.h"

#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/zstd.h"
#include "formats/weights/planes.h"
#include "formats/weights/reader.h"

#define AS_IS 0x80000000u

struct gla__codec {
    gla__zstd zstd;
    uint8_t *buffer, *planes;
    size_t buffer_size, planes_size;
    gla__codec *next;
};

/* ---- pool ---------------------------------------------------------------- */

void gla__codec_pool_init(gla__codec_pool *p)
{
    pthread_mutex_init(&p->lock, NULL);
    p->idle = NULL;
}

static void destroy_codec(gla__codec *c)
{
    gla__zstd_deinit(&c->zstd);
    gla__free(c->buffer);
    gla__free(c->planes);
    gla__free(c);
}

void gla__codec_pool_deinit(gla__codec_pool *p)
{
    while (p->idle) {
        gla__codec *c = p->idle;

        p->idle = c->next;
        destroy_codec(c);
    }
    pthread_mutex_destroy(&p->lock);
}

gla__codec *gla__codec_take(gla__codec_pool *p)
{
    gla__codec *c;

    pthread_mutex_lock(&p->lock);
    c = p->idle;
    if (c)
        p->idle = c->next;
    pthread_mutex_unlock(&p->lock);
    return c ? c : gla__alloc_zero(sizeof(*c));
}

void gla__codec_give(gla__codec_pool *p, gla__codec *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&p->lock);
    c->next = p->idle;
    p->idle = c;
    pthread_mutex_unlock(&p->lock);
}

static uint8_t *at_least(uint8_t **buffer, size_t *size, size_t n)
{
    if (n > *size) {
        gla__free(*buffer);
        *buffer = gla__alloc(n);
        *size = *buffer ? n : 0;
    }
    return *buffer;
}

uint8_t *gla__codec_buffer(gla__codec *c, size_t n)
{
    return at_least(&c->buffer, &c->buffer_size, n);
}

/* ---- chunks -------------------------------------------------------------- */

uint32_t gla__chunk_planes(uint32_t dtype)
{
    switch (dtype) {
    case GLA_DTYPE_BF16:
    case GLA_DTYPE_F16:
        return 2;
    case GLA_DTYPE_F32:
        return 4;
    default:
        return 1;
    }
}

uint32_t gla__chunk_unit(uint32_t dtype)
{
    return gla__chunk_planes(dtype);
}

gla_status gla__chunk_encode(gla__codec *c, uint32_t dtype, int level, const uint8_t *raw, size_t n,
                             const uint8_t **stored, size_t *n_stored, gla_diag *diag)
{
    const uint32_t n_planes = gla__chunk_planes(dtype);
    const size_t each = n / n_planes;
    uint8_t *out = gla__codec_buffer(c, n + GLA__CHUNK_MAX_TABLE);
    uint8_t *split[4], *planes = at_least(&c->planes, &c->planes_size, n);
    size_t used = 4 * (size_t)n_planes;

    *stored = NULL;
    *n_stored = 0;
    if (!out || !planes)
        return gla__fail_nomem(diag, "a chunk");
    for (uint32_t i = 0; i < n_planes; i++)
        split[i] = planes + i * each;
    if (n_planes == 1)
        memcpy(planes, raw, n);
    else if (n_planes == 2)
        gla__planes_get()->split2(raw, each, split);
    else
        gla__planes_get()->split4(raw, each, split);
    for (uint32_t i = 0; i < n_planes; i++) {
        size_t got;
        /* less than 1/64 saved is not worth the time of decoding it */
        const gla_status st = gla__zstd_encode(&c->zstd, level, split[i], each, out + used,
                                               each - each / 64, &got, diag);

        if (st)
            return st;
        if (!got)
            memcpy(out + used, split[i], each);
        gla__store_u32(out + 4 * i, got ? (uint32_t)got : (uint32_t)each | AS_IS);
        used += got ? got : each;
    }
    *stored = out;
    *n_stored = used;
    return GLA_OK;
}

gla_status gla__chunk_decode(gla__codec *c, uint32_t dtype, const uint8_t *stored, size_t n_stored,
                             uint8_t *raw, size_t n, gla_diag *diag)
{
    const uint32_t n_planes = gla__chunk_planes(dtype);
    const size_t each = n / n_planes;
    const uint8_t *parts[4];
    uint8_t *planes = n_planes == 1 ? raw : at_least(&c->planes, &c->planes_size, n);
    size_t at = 4 * (size_t)n_planes;

    if (!planes)
        return gla__fail_nomem(diag, "a chunk");
    if (n_stored < at)
        return gla__fail(diag, GLA_E_CORRUPT, "no room for its table of planes");
    for (uint32_t i = 0; i < n_planes; i++) {
        const uint32_t entry = gla__load_u32(stored + 4 * i), size = entry & ~AS_IS;

        if (size > n_stored - at || ((entry & AS_IS) && size != each))
            return gla__fail(diag, GLA_E_CORRUPT, "plane %" PRIu32 " of %" PRIu32 " bytes", i,
                             size);
        parts[i] = stored + at;
        at += size;
        if (!(entry & AS_IS)) {
            const gla_status st =
                gla__zstd_decode(&c->zstd, parts[i], size, planes + i * each, each, diag);

            if (st)
                return st;
            parts[i] = planes + i * each;
        }
    }
    if (at != n_stored)
        return gla__fail(diag, GLA_E_CORRUPT, "%zu bytes after its planes", n_stored - at);
    if (n_planes == 2)
        gla__planes_get()->merge2(parts, each, raw);
    else if (n_planes == 4)
        gla__planes_get()->merge4(parts, each, raw);
    else if (parts[0] != raw)
        memcpy(raw, parts[0], n);
    return GLA_OK;
}
