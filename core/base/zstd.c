/* SPDX-License-Identifier: Apache-2.0 */
#define ZSTD_STATIC_LINKING_ONLY /* custom memory, literal compression */
#include "base/zstd.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/diag.h"

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

void gla__zstd_deinit(gla__zstd *z)
{
    ZSTD_freeCCtx(z->compress);
    ZSTD_freeDCtx(z->decompress);
    z->compress = NULL;
    z->decompress = NULL;
}

size_t gla__zstd_bound(size_t n)
{
    return ZSTD_compressBound(n);
}

/* Level 0 is ours: a large step makes zstd look almost nowhere (but find long runs of equal bytes
 * all the same), and literals are compressed although its fast modes would not. */
static void set_level(ZSTD_CCtx *c, int level)
{
    ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level ? level : -64);
    if (!level)
        ZSTD_CCtx_setParameter(c, ZSTD_c_literalCompressionMode, ZSTD_ps_enable);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 0);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 1);
}

gla_status gla__zstd_encode(gla__zstd *z, int level, const uint8_t *raw, size_t n, uint8_t *stored,
                            size_t room, size_t *n_stored, gla_diag *diag)
{
    size_t got;

    *n_stored = 0;
    if (!z->compress)
        z->compress = ZSTD_createCCtx_advanced(zstd_memory);
    if (!z->compress)
        return gla__fail_nomem(diag, "zstd");
    set_level(z->compress, level);
    got = ZSTD_compress2(z->compress, stored, room, raw, n);
    if (!ZSTD_isError(got))
        *n_stored = got;
    else if (ZSTD_getErrorCode(got) != ZSTD_error_dstSize_tooSmall)
        return gla__fail_nomem(diag, ZSTD_getErrorName(got));
    return GLA_OK;
}

gla_status gla__zstd_decode(gla__zstd *z, const uint8_t *stored, size_t n_stored, uint8_t *raw,
                            size_t n, gla_diag *diag)
{
    size_t got;

    if (!z->decompress)
        z->decompress = ZSTD_createDCtx_advanced(zstd_memory);
    if (!z->decompress)
        return gla__fail_nomem(diag, "zstd");
    if (n_stored < 4 || gla__load_u32(stored) != ZSTD_MAGICNUMBER ||
        ZSTD_getFrameContentSize(stored, n_stored) != n ||
        ZSTD_findFrameCompressedSize(stored, n_stored) != n_stored)
        return gla__fail(diag, GLA_E_CORRUPT, "not one zstd frame of %zu bytes", n);
    got = ZSTD_decompressDCtx(z->decompress, raw, n, stored, n_stored);
    if (ZSTD_isError(got))
        return ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation
                   ? gla__fail_nomem(diag, "zstd")
                   : gla__fail(diag, GLA_E_CORRUPT, "zstd: %s", ZSTD_getErrorName(got));
    if (got != n)
        return gla__fail(diag, GLA_E_CORRUPT, "a zstd frame gave %zu bytes instead of %zu", got, n);
    return GLA_OK;
}
