/* SPDX-License-Identifier: Apache-2.0 */
#define ZSTD_STATIC_LINKING_ONLY /* custom memory, literal compression: see the README */
#include "formats/weights/glaw_chunk.h"

#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/weights/planes.h"
#include "formats/weights/reader.h"

#define AS_IS 0x80000000u

struct gla__codec {
    ZSTD_CCtx *compress; /* made when first needed */
    ZSTD_DCtx *decompress;
    uint8_t *buffer, *planes;
    size_t buffer_size, planes_size;
    gla__codec *next;
};

static void *zstd_alloc(void *ctx, size_t n)
{
    (void)ctx;
    return gla__alloc(n);
}

static void zstd_free(void *ctx, void *p)
{
    (void)ctx;
    gla__free(p);
}

static const ZSTD_customMem zstd_memory = {zstd_alloc, zstd_free, NULL};

/* ---- pool ---------------------------------------------------------------- */

void gla__codec_pool_init(gla__codec_pool *p)
{
    pthread_mutex_init(&p->lock, NULL);
    p->idle = NULL;
}

static void destroy_codec(gla__codec *c)
{
    ZSTD_freeCCtx(c->compress);
    ZSTD_freeDCtx(c->decompress);
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

/* ---- one frame ----------------------------------------------------------- */

gla_status gla__zstd_decode(gla__codec *c, const uint8_t *stored, size_t n_stored, uint8_t *raw,
                            size_t n, gla_diag *diag)
{
    size_t got;

    if (!c->decompress)
        c->decompress = ZSTD_createDCtx_advanced(zstd_memory);
    if (!c->decompress)
        return gla__fail_nomem(diag, "zstd");
    if (n_stored < 4 || gla__load_u32(stored) != ZSTD_MAGICNUMBER ||
        ZSTD_getFrameContentSize(stored, n_stored) != n ||
        ZSTD_findFrameCompressedSize(stored, n_stored) != n_stored)
        return gla__fail(diag, GLA_E_CORRUPT, "not one zstd frame of %zu bytes", n);
    got = ZSTD_decompressDCtx(c->decompress, raw, n, stored, n_stored);
    if (ZSTD_isError(got))
        return ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation
                   ? gla__fail_nomem(diag, "zstd")
                   : gla__fail(diag, GLA_E_CORRUPT, "zstd: %s", ZSTD_getErrorName(got));
    if (got != n)
        return gla__fail(diag, GLA_E_CORRUPT, "a zstd frame gave %zu bytes instead of %zu", got, n);
    return GLA_OK;
}

/* Level 0 is ours: the planes of weights have no repetitions worth looking for, only an uneven
 * distribution of bytes.  A large step makes zstd look almost nowhere (but find long runs of
 * equal bytes all the same), and literals are compressed although its fast modes would not. */
static void set_level(ZSTD_CCtx *c, int level)
{
    ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level ? level : -64);
    if (!level)
        ZSTD_CCtx_setParameter(c, ZSTD_c_literalCompressionMode, ZSTD_ps_enable);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 0);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 1);
}

/* *got = stored size, or 0 when it does not fit in `room`. */
static gla_status compress(gla__codec *c, int level, const uint8_t *raw, size_t n, uint8_t *out,
                           size_t room, size_t *got, gla_diag *diag)
{
    *got = 0;
    if (!c->compress)
        c->compress = ZSTD_createCCtx_advanced(zstd_memory);
    if (!c->compress)
        return gla__fail_nomem(diag, "zstd");
    set_level(c->compress, level);
    *got = ZSTD_compress2(c->compress, out, room, raw, n);
    if (!ZSTD_isError(*got))
        return GLA_OK;
    if (ZSTD_getErrorCode(*got) == ZSTD_error_dstSize_tooSmall) {
        *got = 0;
        return GLA_OK;
    }
    return gla__fail_nomem(diag, ZSTD_getErrorName(*got));
}

gla_status gla__zstd_encode(gla__codec *c, int level, const uint8_t *raw, size_t n, uint8_t **out,
                            size_t *n_stored, gla_diag *diag)
{
    const size_t room = ZSTD_compressBound(n);
    gla_status st;

    *n_stored = 0;
    *out = gla__alloc(room);
    if (!*out)
        return gla__fail_nomem(diag, "zstd");
    st = compress(c, level, raw, n, *out, room, n_stored, diag);
    if (st) {
        gla__free(*out);
        *out = NULL;
    }
    return st;
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
    uint8_t *out = gla__codec_buffer(c, n + GLA_CHUNK_MAX_TABLE);
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
        const gla_status st =
            compress(c, level, split[i], each, out + used, each - each / 64, &got, diag);

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
                gla__zstd_decode(c, parts[i], size, planes + i * each, each, diag);

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
