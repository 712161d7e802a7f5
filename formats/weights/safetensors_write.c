/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/io.h"
#include "formats/weights/reader.h"
#include "formats/weights/safetensors.h"

struct gla__st_writer {
    gla__writer file;
    bool is_open;
    uint64_t data_at, data_bytes, written;
};

gla_status gla__safetensors_create(const char *path, const char *header, size_t size,
                                   gla__st_writer **out, gla_diag *diag)
{
    const gla_limits limits = {GLA_SIZED(gla_limits), .max_bytes = UINT64_MAX,
                               .max_tensors = UINT32_MAX};
    gla__st_writer *w = gla__alloc_zero(sizeof(*w));
    gla__st_entry *entries;
    uint8_t length[8];
    uint32_t n;
    gla_status st;

    *out = NULL;
    if (!w)
        return gla__fail_nomem(diag, "a writer");
    st = gla__safetensors_parse_header(header, size, UINT64_MAX, &limits, &entries, &n,
                                       &w->data_bytes, diag);
    if (st)
        goto fail;
    gla__safetensors_free_entries(entries, n);
    st = gla__writer_open(&w->file, path, diag);
    if (st)
        goto fail;
    w->is_open = true;
    w->data_at = 8 + (uint64_t)size;
    gla__store_u64(length, size);
    st = gla__writer_write(&w->file, length, sizeof(length), diag);
    if (!st)
        st = gla__writer_write(&w->file, header, size, diag);
    if (st)
        goto fail;
    *out = w;
    return GLA_OK;

fail:
    gla__safetensors_close(&w);
    return st;
}

gla_status gla__safetensors_write_at(gla__st_writer *w, uint64_t begin, const void *data, size_t n,
                                     gla_diag *diag)
{
    uint64_t end;

    if (!gla__add_u64(begin, n, &end) || end > w->data_bytes)
        return gla__fail(diag, GLA_E_INVALID,
                         "bytes %" PRIu64 " to %" PRIu64 " of a file of %" PRIu64, begin, end,
                         w->data_bytes);
    w->written += n;
    return gla__writer_write_at(&w->file, w->data_at + begin, data, n, diag);
}

gla_status gla__safetensors_finish(gla__st_writer *w, gla_diag *diag)
{
    if (w->written != w->data_bytes)
        return gla__fail(diag, GLA_E_INVALID, "%" PRIu64 " of %" PRIu64 " bytes were written",
                         w->written, w->data_bytes);
    w->is_open = false;
    return gla__writer_commit(&w->file, diag);
}

void gla__safetensors_close(gla__st_writer **p)
{
    gla__st_writer *w = *p;

    *p = NULL;
    if (!w)
        return;
    if (w->is_open)
        gla__writer_abort(&w->file);
    gla__free(w);
}
