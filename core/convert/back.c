/* SPDX-License-Identifier: Apache-2.0
 *
 * back.c - a model folder into the published files it came from
 *
 * The model folder remembers config.json, the header of every safetensors file, and of which pieces
 * of which published tensors its tensors are made.  The pieces are sorted by published name, then
 * every file is written in the order of its bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/sized.h"
#include "base/tensor.h"
#include "convert/conversion.h"
#include "formats/text/yaml.h"
#include "formats/weights/safetensors.h"
#include "math/quantise.h"

#define INDEX_FILE "model.safetensors.index.json"
#define PART       (UINT64_C(4) << 20) /* numbers converted at once */
#define N_HELD     4                   /* tensors kept in memory: a published one may be spread */

typedef struct origin {
    const char *published;
    uint64_t first, count; /* numbers of the published tensor */
    uint64_t at;           /* where they begin in ours */
    const gla_tensor_info *info;
} origin;

typedef struct held {
    const gla_tensor_info *info;
    void *data; /* as gla_weights_read() gives it, or f32 if it was quantised */
    uint64_t used;
} held;

typedef struct back {
    const char *src, *dst;
    gla_convert_options options;
    gla_limits limits; /* options.limits */
    gla_diag *diag;
    gla_weights *weights;
    origin *origins;
    size_t n_origins;
    held held[N_HELD];
    uint64_t clock;
    float *wide;
    void *made; /* [PART] of up to 8 bytes */
    gla__st_writer *writer;
    uint64_t done, total;
    uint32_t n_changed; /* tensors whose numbers are no longer the published ones */
    gla_convert_report report;
} back;

/* ---- the list of pieces -------------------------------------------------------------- */

static int compare_origins(const void *a, const void *b)
{
    const origin *x = a, *y = b;
    const int c = strcmp(x->published, y->published);

    return c ? c : x->first < y->first ? -1 : x->first > y->first;
}

static gla_status list_origins(back *b)
{
    const uint32_t n = gla_weights_count(b->weights);
    size_t count = 0;

    for (uint32_t i = 0; i < n; i++)
        count += gla__glaw_n_pieces(b->weights, gla_weights_info(b->weights, i));
    b->origins = gla__alloc_array(count ? count : 1, sizeof(*b->origins));
    if (!b->origins)
        return gla__fail_nomem(b->diag, "the list of tensors");
    for (uint32_t i = 0; i < n; i++) {
        const gla_tensor_info *info = gla_weights_info(b->weights, i);
        uint64_t at = 0;

        for (uint32_t p = 0; p < gla__glaw_n_pieces(b->weights, info); p++) {
            origin *o = &b->origins[b->n_origins++];

            o->published = gla__glaw_piece(b->weights, info, p, &o->first, &o->count);
            o->info = info;
            o->at = at;
            if (!gla__add_u64(at, o->count, &at) || at > info->n_elements)
                return gla__fail(b->diag, GLA_E_CORRUPT, "the pieces of %s are longer than it is",
                                 info->name);
        }
    }
    if (b->n_origins)
        qsort(b->origins, b->n_origins, sizeof(*b->origins), compare_origins);
    return GLA_OK;
}

static const origin *first_origin(const back *b, const char *published)
{
    size_t low = 0, high = b->n_origins;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (strcmp(b->origins[middle].published, published) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < b->n_origins && !strcmp(b->origins[low].published, published) ? &b->origins[low]
                                                                               : NULL;
}

/* ---- reading ours ---------------------------------------------------------------------- */

static gla_status read_quantised(back *b, const gla_tensor_info *info, void **out)
{
    const uint64_t cols = (uint64_t)info->dims[info->ndim - 1], rows = info->n_elements / cols;
    char *raw = gla__alloc(info->raw_bytes);
    size_t n;
    gla_status st;

    *out = gla__mul_size(info->n_elements, sizeof(float), &n) ? gla__alloc(n) : NULL;
    if (!raw || !*out)
        st = gla__fail_nomem(b->diag, info->name);
    else
        st = gla_weights_read(b->weights, info, raw, b->diag);
    if (!st)
        st = gla__dequantise_rows(info->dtype, raw, raw + rows * gla__row_bytes(info->dtype, cols),
                                  rows, cols, *out, b->diag);
    gla__free(raw);
    return st;
}

static gla_status get(back *b, const gla_tensor_info *info, const char **out)
{
    held *slot = &b->held[0];
    gla_status st;

    b->clock++;
    for (int i = 0; i < N_HELD; i++) {
        if (b->held[i].info == info) {
            b->held[i].used = b->clock;
            *out = b->held[i].data;
            return GLA_OK;
        }
        if (b->held[i].used < slot->used)
            slot = &b->held[i];
    }
    gla__free(slot->data);
    *slot = (held){.used = b->clock};
    if (gla__is_quantised(info->dtype) && info->n_elements) {
        st = read_quantised(b, info, &slot->data);
    } else {
        slot->data = gla__alloc(info->raw_bytes ? info->raw_bytes : 1);
        st = slot->data ? gla_weights_read(b->weights, info, slot->data, b->diag)
                        : gla__fail_nomem(b->diag, info->name);
    }
    if (!st)
        slot->info = info;
    *out = slot->data;
    return st;
}

/* ---- writing theirs --------------------------------------------------------------------- */

/* Narrower than published: the lost digits do not come back. */
static bool is_narrower(uint32_t ours, uint32_t theirs)
{
    return gla__is_quantised(ours) ||
           (ours != theirs && gla__dtype_width(ours) <= gla__dtype_width(theirs));
}

static gla_status write_numbers(back *b, const origin *o, const gla__st_entry *e, const char *data)
{
    const uint32_t from = gla__is_quantised(o->info->dtype) ? GLA_DTYPE_F32 : o->info->dtype;
    const uint64_t in = gla__dtype_width(from), out = gla__dtype_width(e->info.dtype);
    gla_status st = GLA_OK;

    if (from == e->info.dtype)
        return gla__safetensors_write_at(b->writer, e->begin + o->first * out, data + o->at * in,
                                         (size_t)(o->count * out), b->diag);
    for (uint64_t at = 0; at < o->count && !st; at += PART) {
        const uint64_t n = o->count - at < PART ? o->count - at : PART;

        st = gla__to_f32(from, data + (o->at + at) * in, n, b->wide, b->diag);
        if (!st)
            st = gla__from_f32(b->wide, n, e->info.dtype, b->made, b->diag);
        if (!st)
            st = gla__safetensors_write_at(b->writer, e->begin + (o->first + at) * out, b->made,
                                           (size_t)(n * out), b->diag);
    }
    return st;
}

/* All pieces of one published tensor, which must cover it without a gap. */
static gla_status write_entry(back *b, const gla__st_entry *e)
{
    const origin *o = first_origin(b, e->info.name), *end = b->origins + b->n_origins;
    uint64_t reached = 0;
    bool changed = false;
    gla_status st = GLA_OK;

    for (; o && o < end && !strcmp(o->published, e->info.name) && o->first <= reached && !st; o++) {
        const char *data;

        if (o->first + o->count > e->info.n_elements)
            break;
        st = get(b, o->info, &data);
        if (!st)
            st = write_numbers(b, o, e, data);
        if (o->first + o->count > reached)
            reached = o->first + o->count;
        changed |= is_narrower(o->info->dtype, e->info.dtype);
    }
    if (!st && reached != e->info.n_elements)
        st = gla__fail(b->diag, GLA_E_CORRUPT, "the model folder does not have all of it");
    if (st) {
        gla__at(b->diag, e->info.name);
        return st;
    }
    b->n_changed += changed;
    b->done += e->info.raw_bytes;
    return gla__convert_progress(&b->options, e->info.name, b->done, b->total, b->diag);
}

static gla_status write_file(back *b, uint32_t i, bool only_count)
{
    const char *header, *name;
    size_t size;
    gla__st_entry *entries = NULL;
    uint32_t n = 0;
    uint64_t bytes;
    char *path;
    gla_status st;

    name = gla__glaw_file(b->weights, i, &header, &size);
    if (!name[0] || strchr(name, '/') || name[0] == '.')
        return gla__fail(b->diag, GLA_E_CORRUPT, "'%s' is no name of a file", name);
    st = gla__safetensors_parse_header(header, size, UINT64_MAX, &b->limits, &entries, &n, &bytes,
                                       b->diag);
    if (st) {
        gla__at(b->diag, name);
        return st;
    }
    if (only_count) {
        b->total += bytes;
        b->report.n_tensors += n;
        gla__safetensors_free_entries(entries, n);
        return GLA_OK;
    }
    path = gla__path_join(b->dst, name);
    st = path ? gla__safetensors_create(path, header, size, &b->writer, b->diag)
              : gla__fail_nomem(b->diag, "a path");
    for (uint32_t e = 0; e < n && !st; e++)
        st = write_entry(b, &entries[e]);
    if (!st)
        st = gla__safetensors_finish(b->writer, b->diag);
    gla__safetensors_close(&b->writer);
    gla__safetensors_free_entries(entries, n);
    gla__free(path);
    return st;
}

static gla_status stage_small_files(back *b, gla__staged *staged)
{
    const char *index = gla__glaw_metadata(b->weights, INDEX_FILE), *config;
    size_t n = 0;
    gla_status st = gla__staged_copy(staged, b->src, b->diag);

    config = gla__glaw_config(b->weights, &n);
    if (!st) /* without it arch.yaml says what the tensors mean */
        st = config ? gla__staged_add(staged, "config.json", config, n, b->diag)
                    : gla__staged_copy_file(staged, b->src, "arch.yaml", GLA__YAML_MAX_FILE, false,
                                            b->diag);
    if (!st && index)
        st = gla__staged_add(staged, INDEX_FILE, index, strlen(index), b->diag);
    return st;
}

/* ---- the whole way ------------------------------------------------------------------------- */

static gla_status open_source(back *b)
{
    gla_status st = gla_weights_open(b->src, &b->limits, &b->weights, b->diag);

    if (st)
        return st;
    if (!gla__is_glaw(b->weights) || !gla__glaw_n_files(b->weights)) {
        gla__fail(b->diag, GLA_E_UNSUPPORTED,
                  "this model was not converted from safetensors: there is no way back");
        gla__at(b->diag, b->src);
        return GLA_E_UNSUPPORTED;
    }
    b->wide = gla__alloc(PART * sizeof(float));
    b->made = gla__alloc(PART * sizeof(double));
    if (!b->wide || !b->made)
        return gla__fail_nomem(b->diag, "parts of a tensor");
    return list_origins(b);
}

static gla_status write_all(back *b)
{
    const uint32_t n = gla__glaw_n_files(b->weights);
    gla__staged *staged = NULL;
    gla_status st = gla__staged_create(b->dst, &staged, b->diag);

    for (uint32_t i = 0; i < n && !st; i++)
        st = write_file(b, i, true);
    if (!st)
        st = stage_small_files(b, staged);
    for (uint32_t i = 0; i < n && !st; i++)
        st = write_file(b, i, false);
    if (!st)
        st = gla__staged_commit(staged, b->diag);
    gla__staged_free(staged);
    return st;
}

static void deinit(back *b)
{
    for (int i = 0; i < N_HELD; i++)
        gla__free(b->held[i].data);
    gla__free(b->wide);
    gla__free(b->made);
    gla__free(b->origins);
    gla_weights_free(b->weights);
}

gla_status gla_convert_back(const char *src, const char *dst, const gla_convert_options *options,
                            gla_convert_report *report, size_t report_size, gla_diag *diag)
{
    back b = {.src = src, .diag = diag};
    const double start = gla__clock_seconds();
    gla__output out = {0};
    size_t n_config;
    gla_status st = gla__convert_options(options, &b.options, &b.limits, diag);

    if (report)
        memset(report, 0, report_size);
    if (st)
        return st;
    st = open_source(&b);
    if (!st)
        st = gla__output_open(&out, src, dst,
                              gla__glaw_config(b.weights, &n_config) ? "config.json" : "arch.yaml",
                              b.options.overwrite != 0, diag);
    if (!st) {
        b.dst = out.path;
        st = write_all(&b);
    }
    st = gla__output_close(&out, st, diag);
    if (!st && b.n_changed)
        gla__convert_note(&b.options,
                          "%" PRIu32 " tensors hold rounded numbers: the files are not the "
                          "published ones byte for byte",
                          b.n_changed);
    if (!st && report) {
        b.report.raw_bytes = b.report.stored_bytes = b.total;
        b.report.seconds = gla__clock_seconds() - start;
        strncat(b.report.family, gla__glaw_family(b.weights) ? gla__glaw_family(b.weights) : "",
                sizeof(b.report.family) - 1);
        gla__write_struct(report, report_size, &b.report, sizeof(b.report));
    }
    deinit(&b);
    return st;
}
