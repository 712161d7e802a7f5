/* SPDX-License-Identifier: Apache-2.0
 *
 * write.c - reads, converts and writes the planned tensors, part by part
 *
 * Memory stays within a few parts of PART numbers, whatever the size of a tensor, where the source
 * can be read in ranges (safetensors); from other files one tensor is held.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/tensor.h"
#include "convert/conversion.h"
#include "formats/weights/safetensors.h"
#include "math/quantise.h"

#define PART (UINT64_C(4) << 20) /* numbers handled at once */

typedef struct stream {
    gla__conversion *c;
    gla__glaw_writer *writer;
    const gla__convert_item *item;
    uint64_t rows, cols;         /* of the tensor being written */
    void *raw;                   /* numbers as read */
    float *wide;                 /* as f32 */
    void *made;                  /* as they will be written */
    uint8_t *aux;                /* scales of the whole tensor */
    uint64_t part;               /* numbers that raw, wide and made hold */
    const gla_tensor_info *held; /* the tensor in `holding`, for files without ranges */
    void *holding;
} stream;

/* ---- reading ---------------------------------------------------------------------- */

static gla_status hold(stream *s, const gla_tensor_info *info)
{
    size_t n;

    if (s->held == info)
        return GLA_OK;
    s->held = NULL;
    gla__free(s->holding);
    s->holding = gla__to_size(info->raw_bytes, &n) ? gla__alloc(n ? n : 1) : NULL;
    if (!s->holding)
        return gla__fail_nomem(s->c->diag, info->name);
    s->held = info;
    return gla_weights_read(s->c->weights, info, s->holding, s->c->diag);
}

/* Numbers of a plain dtype, as they are. */
static gla_status read_raw(stream *s, const gla_tensor_info *info, uint64_t first, uint64_t count,
                           void *dst)
{
    const size_t size = gla__dtype_width(info->dtype);
    gla_status st;

    if (gla__is_safetensors(s->c->weights))
        return gla__safetensors_read_range(s->c->weights, info, first, count, dst, s->c->diag);
    st = hold(s, info);
    if (!st)
        memcpy(dst, (const char *)s->holding + first * size, count * size);
    return st;
}

/* Rows of a quantised tensor: the ranges asked for are whole rows of the same matrix. */
static gla_status read_quantised(stream *s, const gla_tensor_info *info, uint64_t first,
                                 uint64_t count, float *dst)
{
    const uint64_t row = first / s->cols, per_row = gla__row_bytes(info->dtype, s->cols);
    const uint64_t aux_per_row = gla__row_scales(info->dtype, s->cols);
    const gla_status st = hold(s, info);
    const char *data = s->holding, *aux;

    if (st)
        return st;
    aux = data + s->rows * per_row;
    return gla__dequantise_rows(info->dtype, data + row * per_row, aux + row * aux_per_row,
                                count / s->cols, s->cols, dst, s->c->diag);
}

/* Rows of theirs into the order of ours; spare holds one row. */
static void reorder_columns(const gla__columns *c, float *x, uint64_t n, float *spare)
{
    const uint64_t cols = c->outer * c->inner * c->width;

    for (; n >= cols; n -= cols, x += cols) {
        memcpy(spare, x, cols * sizeof(*x));
        for (uint64_t o = 0; o < c->outer; o++)
            for (uint64_t i = 0; i < c->inner; i++)
                memcpy(x + (o * c->inner + i) * c->width, spare + (i * c->outer + o) * c->width,
                       c->width * sizeof(*x));
    }
}

/* Numbers [first, first + count) of the planned tensor, from as many pieces as they are spread
 * over. */
static gla_status read_wide(stream *s, uint64_t first, uint64_t count, float *dst)
{
    uint64_t at = 0; /* where the piece begins in our tensor */
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < s->item->n_read && count && !st; i++) {
        const gla__piece *p = &s->item->read[i];
        const uint64_t skip = first - at;
        const uint64_t n =
            skip < p->count ? (p->count - skip < count ? p->count - skip : count) : 0;

        at += p->count;
        if (!n)
            continue;
        if (gla__is_quantised(p->info->dtype)) {
            st = read_quantised(s, p->info, skip, n, dst);
        } else {
            st = read_raw(s, p->info, p->first + skip, n, s->raw);
            if (!st)
                st = gla__to_f32(p->info->dtype, s->raw, n, dst, s->c->diag);
        }
        for (uint64_t j = 0; j < n && p->log_negated && !st; j++)
            if (dst[j] < 0)
                dst[j] = logf(-dst[j]);
            else
                st = gla__fail(s->c->diag, GLA_E_CORRUPT, "%s: -exp(A_log) is below 0, not %.9g",
                               p->source, (double)dst[j]);
        if (p->columns.width && !st)
            reorder_columns(&p->columns, dst, n, s->raw);
        dst += n;
        first += n;
        count -= n;
    }
    return st;
}

/* ---- writing one tensor ------------------------------------------------------------- */

static gla_status progress(stream *s, uint64_t bytes)
{
    s->c->done += bytes;
    return gla__convert_progress(&s->c->options, s->item->out.name, s->c->done, s->c->total,
                                 s->c->diag);
}

/* The bytes go over as they are. */
static gla_status copy_plain(stream *s)
{
    const size_t size = gla__dtype_width(s->item->out.dtype);
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < s->item->n_read && !st; i++) {
        const gla__piece *p = &s->item->read[i];

        for (uint64_t at = 0; at < p->count && !st; at += s->part) {
            const uint64_t n = p->count - at < s->part ? p->count - at : s->part;

            st = read_raw(s, p->info, p->first + at, n, s->raw);
            if (!st)
                st = gla__glaw_write(s->writer, s->raw, n * size, s->c->diag);
            if (!st)
                st = progress(s, n * size);
        }
    }
    return st;
}

static gla_status copy_quantised(stream *s)
{
    const gla_tensor_info *info = s->item->read[0].info;
    gla_status st = hold(s, info);

    if (!st)
        st = gla__glaw_write(s->writer, s->holding, info->raw_bytes, s->c->diag);
    return st ? st : progress(s, info->raw_bytes);
}

static gla_status write_part(stream *s, uint64_t row, uint64_t rows)
{
    const uint32_t dtype = s->item->out.dtype;
    const uint64_t n = rows * s->cols, bytes = rows * gla__row_bytes(dtype, s->cols);
    gla_status st;

    if (gla__is_quantised(dtype)) {
        st = gla__quantise_rows(dtype, s->wide, rows, s->cols, s->made,
                                s->aux + row * gla__row_scales(dtype, s->cols), s->c->diag);
        if (st == GLA_E_UNSUPPORTED)
            gla__hint(s->c->diag, "options.keep '%s' leaves it as it is", s->item->out.name);
    } else {
        st = gla__from_f32(s->wide, n, dtype, s->made, s->c->diag);
    }
    return st ? st : gla__glaw_write(s->writer, s->made, bytes, s->c->diag);
}

static gla_status convert_numbers(stream *s)
{
    const uint64_t rows_at_once = s->part / (s->cols ? s->cols : 1);
    gla_status st = GLA_OK;

    for (uint64_t row = 0; row < s->rows && !st; row += rows_at_once) {
        const uint64_t rows = s->rows - row < rows_at_once ? s->rows - row : rows_at_once;

        st = read_wide(s, row * s->cols, rows * s->cols, s->wide);
        if (!st)
            st = write_part(s, row, rows);
        if (!st)
            st = progress(s, gla_dtype_bytes(s->item->stored, rows, s->cols));
    }
    if (!st && gla__is_quantised(s->item->out.dtype))
        st = gla__glaw_write(s->writer, s->aux,
                             s->rows * gla__row_scales(s->item->out.dtype, s->cols), s->c->diag);
    return st;
}

static void free_buffers(stream *s)
{
    gla__free(s->raw);
    gla__free(s->wide);
    gla__free(s->made);
    gla__free(s->aux);
    s->raw = s->made = s->aux = NULL;
    s->wide = NULL;
}

/* Whole rows; no more than the tensor has. */
static gla_status make_buffers(stream *s, bool converts)
{
    const uint32_t dtype = s->item->out.dtype;
    const uint64_t n = s->rows * s->cols;
    size_t aux = gla__row_scales(dtype, s->cols), size;
    bool ok = true;

    s->part = s->cols && s->cols < PART ? PART / s->cols * s->cols : s->cols;
    if (s->part > n)
        s->part = n;
    if (!s->part)
        s->part = 1;
    ok = gla__mul_size(s->part, 8, &size) && gla__mul_size(s->rows, aux, &aux);
    s->raw = ok ? gla__alloc(size) : NULL;
    if (converts && ok) {
        s->wide = gla__alloc(size / 2);
        s->made = gla__alloc(size);
        if (gla__is_quantised(dtype))
            s->aux = gla__alloc(aux ? aux : 1);
        ok = s->wide && s->made && (s->aux || !gla__is_quantised(dtype));
    }
    return s->raw && ok ? GLA_OK : gla__fail_nomem(s->c->diag, "parts of a tensor");
}

static gla_status write_item(stream *s)
{
    const gla__convert_item *item = s->item;
    bool converts = item->out.dtype != item->stored;
    gla_status st;

    for (uint32_t i = 0; i < item->n_read; i++) {
        const gla__piece *p = &item->read[i];

        converts |= p->info->dtype != item->out.dtype || p->log_negated || p->columns.width;
    }
    s->cols = item->out.ndim ? (uint64_t)item->out.dims[item->out.ndim - 1] : 1;
    s->rows = 1;
    for (uint32_t i = 0; i + 1 < item->out.ndim; i++)
        s->rows *= (uint64_t)item->out.dims[i];
    st = make_buffers(s, converts);
    if (!st)
        st = gla__glaw_begin(s->writer, &item->out, s->c->diag);
    if (!st && converts)
        st = convert_numbers(s);
    else if (!st && gla__is_quantised(item->out.dtype))
        st = copy_quantised(s);
    else if (!st)
        st = copy_plain(s);
    if (!st)
        st = gla__glaw_end(s->writer, s->c->diag);
    free_buffers(s);
    if (st && st != GLA_E_CANCELLED)
        gla__at(s->c->diag, item->out.name);
    return st;
}

/* ---- what stands beside the tensors ---------------------------------------------------- */

#define INDEX_FILE "model.safetensors.index.json"

static gla_status copy_index(stream *s)
{
    char *path = gla__path_join(s->c->src, INDEX_FILE), *text;
    gla_status st = GLA_OK;
    size_t n;

    if (!path)
        return gla__fail_nomem(s->c->diag, "a path");
    if (gla__safetensors_n_files(s->c->weights) > 1 && gla__exists(path)) {
        st = gla__read_all(path, s->c->limits.max_index_bytes, &text, &n, s->c->diag);
        if (!st) {
            st = gla__glaw_set_metadata(s->writer, INDEX_FILE, text, s->c->diag);
            gla__free(text);
        }
    }
    gla__free(path);
    return st;
}

static gla_status write_origin(stream *s)
{
    const gla__conversion *c = s->c;
    const gla_weights *w = c->weights;
    const bool again = gla__is_glaw(w);
    const char *config = c->config, *index = gla__glaw_metadata(w, INDEX_FILE);
    size_t size = c->config_size;
    gla_status st = GLA_OK;

    if (c->arch->family && c->arch->family[0])
        st = gla__glaw_set_family(s->writer, c->arch->family, c->diag);
    if (again)
        config = gla__glaw_config(w, &size);
    if (!st && config)
        st = gla__glaw_set_config(s->writer, config, size, c->diag);
    for (uint32_t i = 0; !st && i < (again ? gla__glaw_n_files(w) : gla__safetensors_n_files(w));
         i++) {
        const char *header, *name = again ? gla__glaw_file(w, i, &header, &size)
                                          : gla__safetensors_file(w, i, &header, &size);

        st = gla__glaw_add_file(s->writer, name, header, size, c->diag);
    }
    if (!st && index)
        st = gla__glaw_set_metadata(s->writer, INDEX_FILE, index, c->diag);
    return st || again ? st : copy_index(s);
}

/* ---- the folder -------------------------------------------------------------------------- */

static gla_status stage_small_files(gla__conversion *c, gla__staged *staged)
{
    char *yaml = NULL;
    size_t n;
    gla_status st = gla_arch_print(c->arch, &yaml, &n, c->diag);

    if (!st)
        st = gla__staged_copy(staged, c->folder ? c->folder : c->src, c->diag);
    for (size_t i = 0; !st && i < sizeof(c->inner) / sizeof(c->inner[0]); i++)
        if (c->inner[i].data)
            st = gla__staged_add(staged, c->inner[i].name, c->inner[i].data, c->inner[i].size,
                                 c->diag);
    if (!st)
        st = gla__staged_add(staged, "arch.yaml", yaml, n, c->diag);
    gla_text_free(yaml);
    return st;
}

static gla_status file_size(const char *path, uint64_t *size, gla_diag *diag)
{
    gla__file f;
    const gla_status st = gla__file_open(&f, path, diag);

    if (st)
        return st;
    *size = f.size;
    gla__file_close(&f);
    return GLA_OK;
}

static gla_status write_weights(gla__conversion *c, gla__staged *staged)
{
    stream s = {.c = c};
    char *path = gla__path_join(c->dst, "weights.glaw");
    gla_status st = path ? GLA_OK : gla__fail_nomem(c->diag, "a path");

    if (!st)
        st = gla__glaw_create(path, c->options.level, &s.writer, c->diag);
    if (!st)
        st = write_origin(&s);
    for (size_t i = 0; i < c->n_items && !st; i++) {
        s.item = &c->items[i];
        st = write_item(&s);
        c->report.n_quantised += !s.item->unused && gla__is_quantised(s.item->out.dtype);
    }
    if (!st)
        st = stage_small_files(c, staged);
    if (!st)
        st = gla__convert_progress(&c->options, "finishing", c->total, c->total, c->diag);
    if (!st)
        st = gla__glaw_finish(s.writer, c->diag);
    if (!st)
        st = gla__staged_commit(staged, c->diag);
    if (!st)
        st = file_size(path, &c->report.stored_bytes, c->diag);
    gla__glaw_close(&s.writer);
    gla__free(s.holding);
    gla__free(path);
    return st;
}

gla_status gla__convert_write(gla__conversion *c)
{
    gla__staged *staged = NULL;
    gla_status st = gla__staged_create(c->dst, &staged, c->diag);

    if (!st)
        st = write_weights(c, staged);
    gla__staged_free(staged);
    return st;
}
