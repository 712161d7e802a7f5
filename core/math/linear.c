/* SPDX-License-Identifier: Apache-2.0 */
#include "math/linear.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/blob.h"
#include "base/checked.h"
#include "base/parallel.h"
#include "math/dnnl_compat.h"
#include "math/kernels/linear_kernels.h"
#include "math/ops.h"

#define CHUNK_BYTES 65536u /* weights of one piece of work: some microseconds */
#define PANEL_ROWS  24u    /* from so many rows on, panels are faster than dot products */
#define ROWS_LIMIT  512u   /* handled at once */

typedef struct part {
    uint32_t dtype;
    size_t out, first_out; /* rows of this part, rows of the parts before */
    size_t chunk;          /* outputs of one piece of work */
    gla__weight_rows rows; /* of the first group */
    const void *blob;      /* that rows lie in, held; or NULL */
    void *copy;            /* of rows that lie in no blob; or NULL */
    void *scales;          /* I8: copy of scales that did not lie on a float's place; or NULL */
    const float *bias;     /* [groups, out] or NULL */
    int32_t *zero;         /* I8 [blocks of inputs, groups * out]; NULL: no 8-bit products */
} part;

struct gla_linear {
    const gla__linear_kernels *kernels;
    size_t in, out, groups;
    uint64_t bytes; /* own memory, and blobs held */
    uint32_t n_parts;
    bool has_i8;
    float *biases;
    void *transposed;
    part parts[];
};

/* ---- creation ---- */

gla_status gla__tensor_bytes(uint32_t dtype, uint32_t ndim, const int64_t *dims, uint64_t *data,
                             uint64_t *aux)
{
    static const uint8_t sizes[] = {
        [GLA_DTYPE_F32] = 4, [GLA_DTYPE_BF16] = 2, [GLA_DTYPE_F16] = 2, [GLA_DTYPE_I8] = 1,
        [GLA_DTYPE_I4] = 1,  [GLA_DTYPE_F64] = 8,  [GLA_DTYPE_I32] = 4, [GLA_DTYPE_U8] = 1,
        [GLA_DTYPE_I64] = 8, [GLA_DTYPE_I16] = 2,  [GLA_DTYPE_BOOL] = 1};
    const uint64_t size = dtype < sizeof(sizes) ? sizes[dtype] : 0;
    uint64_t count = 1, rows = 1;

    *data = *aux = 0;
    if (!size || ndim > GLA_MAX_DIMS || ((dtype == GLA_DTYPE_I8 || dtype == GLA_DTYPE_I4) && !ndim))
        return GLA_E_SHAPE;
    for (uint32_t i = 0; i < ndim; i++) {
        if (dims[i] < 0)
            return GLA_E_SHAPE;
        if (!gla__mul_u64(count, (uint64_t)dims[i], &count))
            return GLA_E_LIMIT;
        if (i + 1 < ndim)
            rows = count;
    }
    if (!gla__mul_u64(count, size, data))
        return GLA_E_LIMIT;
    if (dtype == GLA_DTYPE_I8 && !gla__mul_u64(rows, sizeof(float), aux))
        return GLA_E_LIMIT;
    if (dtype == GLA_DTYPE_I4) {
        if (dims[ndim - 1] % GLA__I4_GROUP)
            return GLA_E_SHAPE;
        *data = count / 2;
        *aux = count / GLA__I4_GROUP * 4;
    }
    return GLA_OK;
}

static size_t row_bytes(uint32_t dtype, size_t in)
{
    switch (dtype) {
    case GLA_DTYPE_F32:
        return 4 * in;
    case GLA_DTYPE_I8:
        return in;
    case GLA_DTYPE_I4:
        return in / 2;
    default:
        return 2 * in;
    }
}

static size_t aux_row_bytes(uint32_t dtype, size_t in)
{
    return dtype == GLA_DTYPE_I8   ? sizeof(float)
           : dtype == GLA_DTYPE_I4 ? in / GLA__I4_GROUP * 4
                                   : 0;
}

/* Explains through the host, where the layer's author and user will see it. */
static gla_status refuse(const gla_host *h, gla_status st, const char *what, uint32_t i,
                         int64_t given, int64_t wanted)
{
    char text[256];

    snprintf(text, sizeof(text), "linear: weight %u: %s (%lld, expected %lld)", i, what,
             (long long)given, (long long)wanted);
    if (h && h->explain)
        h->explain(h, text);
    return st;
}

static gla_status check_weight(const gla_host *h, const gla_linear_spec *spec, uint32_t i)
{
    const gla_tensor *w = spec->weights[i];
    const uint32_t ndim = spec->groups > 1 ? 3 : 2;
    const uint32_t lead = w && w->ndim == 3 ? 1 : 0; /* one expert may come as [1, out, in] */

    if (!w || !w->data)
        return refuse(h, GLA_E_INVALID, "no data", i, 0, 1);
    if (w->dtype < GLA_DTYPE_F32 || w->dtype > GLA_DTYPE_I4)
        return refuse(h, GLA_E_UNSUPPORTED, "dtype is none of f32, bf16, f16, i8, i4", i, w->dtype,
                      GLA_DTYPE_F32);
    if (w->ndim != ndim && !(w->ndim == 3 && ndim == 2 && w->dims[0] == 1))
        return refuse(h, GLA_E_SHAPE, "number of dimensions", i, w->ndim, ndim);
    if (ndim == 3 && w->dims[0] != spec->groups)
        return refuse(h, GLA_E_SHAPE, "number of groups", i, w->dims[0], spec->groups);
    if (w->dims[lead] < 1 || w->dims[lead] > INT32_MAX)
        return refuse(h, GLA_E_SHAPE, "outputs", i, w->dims[lead], 1);
    if (w->dims[lead + 1] < 1 || w->dims[lead + 1] > INT32_MAX)
        return refuse(h, GLA_E_SHAPE, "inputs", i, w->dims[lead + 1], 1);
    if (w->dtype >= GLA_DTYPE_I8 && !w->aux)
        return refuse(h, GLA_E_INVALID, "quantised without scales", i, 0, 1);
    if (w->dtype >= GLA_DTYPE_I8 && spec->transpose)
        return refuse(h, GLA_E_UNSUPPORTED, "quantised and transposed", i, w->dtype, GLA_DTYPE_F32);
    if (w->dtype == GLA_DTYPE_I4 && w->dims[lead + 1] % GLA__I4_GROUP)
        return refuse(h, GLA_E_SHAPE, "int4 inputs past a multiple of 32", i,
                      w->dims[lead + 1] % GLA__I4_GROUP, 0);
    return GLA_OK;
}

static void transpose(const gla_tensor *w, size_t groups, size_t out, size_t in, void *to)
{
    for (size_t g = 0; g < groups; g++) {
        for (size_t o = 0; o < out; o++) {
            for (size_t i = 0; i < in; i++) {
                const size_t from = (g * in + i) * out + o, at = (g * out + o) * in + i;

                if (w->dtype == GLA_DTYPE_F32)
                    ((float *)to)[at] = ((const float *)w->data)[from];
                else
                    ((uint16_t *)to)[at] = ((const uint16_t *)w->data)[from];
            }
        }
    }
}

static gla_status make_transposed(gla_linear *l, const gla_tensor *w)
{
    part *p = &l->parts[0];
    size_t bytes;

    if (!gla__mul_size(l->groups * p->out, p->rows.stride, &bytes))
        return GLA_E_LIMIT;
    l->transposed = gla__alloc(bytes);
    if (!l->transposed)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    transpose(w, l->groups, p->out, l->in, l->transposed);
    p->rows.data = l->transposed;
    return GLA_OK;
}

static void set_part(gla_linear *l, part *p, const gla_tensor *w, uint32_t transposed)
{
    const uint32_t lead = w->ndim == 3 ? 1 : 0;
    size_t chunk;

    p->dtype = w->dtype;
    p->out = (size_t)w->dims[lead + (transposed ? 1 : 0)];
    p->first_out = l->out;
    p->rows.data = w->data;
    p->rows.aux = w->aux;
    p->rows.stride = row_bytes(w->dtype, l->in);
    p->rows.aux_stride = aux_row_bytes(w->dtype, l->in);
    chunk = (CHUNK_BYTES / p->rows.stride + 11) / 12 * 12; /* whole blocks of 4 or 3 rows */
    p->chunk = chunk ? chunk : 12;
    l->out += p->out;
}

/* Whole blobs are kept; anything else, such as a part of one, may go away and is copied. */
static gla_status keep_weights(gla_linear *l, part *p, const gla_tensor *w)
{
    uint64_t data, aux;
    gla_status st;
    size_t bytes;

    if (gla__blob_ref(w->data)) {
        p->blob = w->data;
        l->bytes += gla__blob_bytes(w->data);
        return GLA_OK;
    }
    st = gla__tensor_bytes(w->dtype, w->ndim, w->dims, &data, &aux);
    if (st)
        return st;
    if (!gla__add_u64(data, aux, &data) || !gla__to_size(data, &bytes))
        return GLA_E_LIMIT;
    p->copy = gla__alloc(bytes);
    if (!p->copy)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    memcpy(p->copy, w->data, bytes - (size_t)aux);
    p->rows.data = p->copy;
    if (aux) {
        p->rows.aux = p->rows.data + (bytes - (size_t)aux);
        memcpy((char *)p->copy + (bytes - (size_t)aux), w->aux, (size_t)aux);
    }
    return GLA_OK;
}

/* In a file the scales of an int8 tensor follow its values: after an odd number of those they lie
 * where no float may. */
static gla_status align_scales(gla_linear *l, part *p)
{
    const size_t bytes = l->groups * p->out * sizeof(float);

    if (p->dtype != GLA_DTYPE_I8 || (uintptr_t)p->rows.aux % sizeof(float) == 0)
        return GLA_OK;
    p->scales = gla__alloc(bytes);
    if (!p->scales)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    memcpy(p->scales, p->rows.aux, bytes);
    p->rows.aux = p->scales;
    return GLA_OK;
}

static gla_status copy_biases(gla_linear *l, const gla_linear_spec *spec)
{
    size_t bytes;

    if (!spec->biases)
        return GLA_OK;
    if (!gla__mul_size(l->out, l->groups * sizeof(float), &bytes))
        return GLA_E_LIMIT;
    l->biases = gla__alloc(bytes);
    if (!l->biases)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    for (uint32_t i = 0; i < l->n_parts; i++) {
        part *p = &l->parts[i];
        float *to = l->biases + l->groups * p->first_out;

        if (!spec->biases[i])
            continue;
        memcpy(to, spec->biases[i], l->groups * p->out * sizeof(float));
        p->bias = to;
    }
    return GLA_OK;
}

/* 8-bit products of oneDNN are exact where VNNI is; elsewhere they may saturate on the way. */
static gla_status make_zero_sums(gla_linear *l, part *p)
{
    const size_t rows = l->groups * p->out, blocks = (l->in + GLA__I8_BLOCK - 1) / GLA__I8_BLOCK;

    if (p->dtype != GLA_DTYPE_I8 || !gla__cpu_get()->avx512_vnni)
        return GLA_OK;
    p->zero = gla__alloc_array(rows * blocks, sizeof(*p->zero));
    if (!p->zero)
        return GLA_E_NOMEM;
    l->bytes += rows * blocks * sizeof(*p->zero);
    l->has_i8 = true;
    for (size_t r = 0; r < rows; r++) {
        const int8_t *w = (const int8_t *)p->rows.data + r * p->rows.stride;

        for (size_t k = 0; k < blocks; k++) {
            const size_t first = k * GLA__I8_BLOCK, left = l->in - first;

            p->zero[k * rows + r] =
                l->kernels->zero_sum(w + first, left < GLA__I8_BLOCK ? left : GLA__I8_BLOCK);
        }
    }
    return GLA_OK;
}

gla_status gla__linear_create(const gla_host *h, const gla_linear_spec *spec, gla_linear **out)
{
    gla_status st = GLA_OK;
    gla_linear *l;

    *out = NULL;
    if (!spec->n_parts || ((spec->groups > 1 || spec->transpose) && spec->n_parts > 1))
        return refuse(h, GLA_E_UNSUPPORTED, "number of parts with groups or transpose", 0,
                      spec->n_parts, 1);
    for (uint32_t i = 0; i < spec->n_parts && !st; i++)
        st = check_weight(h, spec, i);
    if (st)
        return st;
    l = gla__alloc_zero(sizeof(*l) + spec->n_parts * sizeof(part));
    if (!l)
        return GLA_E_NOMEM;
    l->bytes = sizeof(*l) + spec->n_parts * sizeof(part);
    l->kernels = gla__linear_kernels_for(gla__cpu_get()->isa);
    l->n_parts = spec->n_parts;
    l->groups = spec->groups ? spec->groups : 1;
    for (uint32_t i = 0; i < spec->n_parts; i++) {
        const gla_tensor *w = spec->weights[i];
        const int64_t in = w->dims[w->ndim - (spec->transpose ? 2 : 1)];

        if (i && (size_t)in != l->in) {
            st = refuse(h, GLA_E_SHAPE, "inputs differ from the first part's", i, in,
                        (int64_t)l->in);
            goto fail;
        }
        l->in = (size_t)in;
        set_part(l, &l->parts[i], w, spec->transpose);
        if (!spec->transpose)
            st = keep_weights(l, &l->parts[i], w);
        if (!st)
            st = align_scales(l, &l->parts[i]);
        if (!st)
            st = make_zero_sums(l, &l->parts[i]);
        if (st)
            goto fail;
    }
    st = copy_biases(l, spec);
    if (!st && spec->transpose)
        st = make_transposed(l, spec->weights[0]);
    if (st)
        goto fail;
    *out = l;
    return GLA_OK;

fail:
    gla__linear_destroy(l);
    return st;
}

void gla__linear_destroy(gla_linear *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; i < l->n_parts; i++) {
        gla__free(l->parts[i].zero);
        gla__free(l->parts[i].scales);
        gla__blob_unref(l->parts[i].blob);
        gla__free(l->parts[i].copy);
    }
    gla__free(l->biases);
    gla__free(l->transposed);
    gla__free(l);
}

uint64_t gla__linear_bytes(const gla_linear *l)
{
    return l ? l->bytes : 0;
}

/* ---- one call ---- */

typedef struct call {
    const gla_linear *l;
    const float *x;
    float *y;
    size_t ld_x, ld_y;
    const uint32_t *offset; /* [groups + 1] */
    size_t group;           /* panels: the one that is being multiplied */
    size_t first_row, rows; /* panels: rows of x */
    size_t row_blocks;      /* panels: pieces that rows are cut into */
    float *panels;          /* [width] of panel_numbers each */
    size_t panel_numbers;
    uint8_t *x8;    /* [ROWS_LIMIT, in] of the rows being multiplied, in 8 bits; or NULL */
    float *x_scale; /* [ROWS_LIMIT, blocks of inputs] */
    bool single;    /* one thread: the index of the worker means nothing */
    gla_status *status;
} call;

static gla__weight_rows rows_from(const part *p, size_t group, size_t o)
{
    const size_t row = group * p->out + o;
    gla__weight_rows w = p->rows;

    w.data += row * w.stride;
    if (w.aux)
        w.aux += row * w.aux_stride;
    return w;
}

static void add_bias(const part *p, size_t group, size_t o, size_t n, size_t rows, float *y,
                     size_t ld_y)
{
    const float *bias = p->bias ? p->bias + group * p->out + o : NULL;

    for (size_t r = 0; bias && r < rows; r++) {
        for (size_t j = 0; j < n; j++)
            y[r * ld_y + j] += bias[j];
    }
}

/* Which outputs are the i-th piece when each part is cut into pieces of its chunk (or of n). */
static const part *find_chunk(const gla_linear *l, size_t i, size_t n, size_t *first)
{
    for (uint32_t k = 0;; k++) {
        const part *p = &l->parts[k];
        const size_t size = n ? n : p->chunk, count = (p->out + size - 1) / size;

        if (i < count) {
            *first = i * size;
            return p;
        }
        i -= count;
    }
}

static size_t count_chunks(const gla_linear *l, size_t n)
{
    size_t count = 0;

    for (uint32_t k = 0; k < l->n_parts; k++) {
        const size_t size = n ? n : l->parts[k].chunk;

        count += (l->parts[k].out + size - 1) / size;
    }
    return count;
}

/* Groups with few rows are multiplied by dot products, all of them in one parallel run. */
static bool is_small(const call *c, size_t group)
{
    const size_t rows = c->offset[group + 1] - c->offset[group];

    return rows && (rows < PANEL_ROWS || !c->panels);
}

static void dot_piece(void *arg, uint32_t i)
{
    const call *c = arg;
    const gla_linear *l = c->l;
    const size_t chunks = count_chunks(l, 0);
    size_t group = 0, o, n, rows;
    size_t skip = i / chunks;
    const part *p = find_chunk(l, i % chunks, 0, &o);
    gla__weight_rows w;
    float *y;

    while (!is_small(c, group) || skip--)
        group++;
    n = p->out - o < p->chunk ? p->out - o : p->chunk;
    rows = c->offset[group + 1] - c->offset[group];
    w = rows_from(p, group, o);
    y = c->y + c->offset[group] * c->ld_y + p->first_out + o;
    l->kernels->dot[p->dtype](&w, n, l->in, c->x + c->offset[group] * c->ld_x, c->ld_x, rows, y,
                              c->ld_y);
    add_bias(p, group, o, n, rows, y, c->ld_y);
}

static size_t blocks_of(const gla_linear *l)
{
    return (l->in + GLA__I8_BLOCK - 1) / GLA__I8_BLOCK;
}

static void quantise_rows(void *arg, uint32_t first, uint32_t last)
{
    const call *c = arg;
    const gla_linear *l = c->l;

    for (size_t r = first; r < last; r++) {
        const float *x = c->x + (c->first_row + r) * c->ld_x;

        for (size_t k = 0; k < blocks_of(l); k++) {
            const size_t at = k * GLA__I8_BLOCK, left = l->in - at;

            c->x_scale[r * blocks_of(l) + k] = l->kernels->quantise(
                x + at, left < GLA__I8_BLOCK ? left : GLA__I8_BLOCK, c->x8 + r * l->in + at);
        }
    }
}

/* Rows first .. last of the current ones with n outputs from o; acc has room for the sums. */
static gla_status multiply_i8(const call *c, const part *p, size_t o, size_t n, size_t first,
                              size_t last, int32_t *acc, float *y)
{
    const gla_linear *l = c->l;
    const gla__weight_rows w = rows_from(p, c->group, o);
    const size_t row = c->group * p->out + o, blocks = blocks_of(l);

    for (size_t k = 0; k < blocks; k++) {
        const size_t at = k * GLA__I8_BLOCK, left = l->in - at;
        const gla_status st =
            gla__dnnl_gemm_u8s8(last - first, n, left < GLA__I8_BLOCK ? left : GLA__I8_BLOCK,
                                c->x8 + first * l->in + at, l->in, (const int8_t *)w.data + at,
                                l->in, acc, GLA__PANEL_COLUMNS);

        if (st)
            return st;
        for (size_t r = first; r < last; r++)
            l->kernels->dequantise(acc + (r - first) * GLA__PANEL_COLUMNS,
                                   p->zero + k * l->groups * p->out + row,
                                   c->x_scale[r * blocks + k], (const float *)(const void *)w.aux,
                                   n, k > 0, y + (r - first) * c->ld_y);
    }
    return GLA_OK;
}

static void panel_piece(void *arg, uint32_t i)
{
    const call *c = arg;
    const gla_linear *l = c->l;
    const size_t block = i % c->row_blocks;
    const size_t first = c->rows * block / c->row_blocks,
                 last = c->rows * (block + 1) / c->row_blocks;
    float *panel = c->panels + (c->single ? 0 : gla__parallel_index()) * c->panel_numbers;
    size_t o, n;
    const part *p = find_chunk(l, i / c->row_blocks, GLA__PANEL_COLUMNS, &o);
    const gla__weight_rows w = rows_from(p, c->group, o);
    float *y = c->y + (c->first_row + first) * c->ld_y + p->first_out + o;
    gla_status st;

    n = p->out - o < GLA__PANEL_COLUMNS ? p->out - o : GLA__PANEL_COLUMNS;
    if (p->zero && c->x8) {
        st = multiply_i8(c, p, o, n, first, last, (int32_t *)(void *)panel, y);
    } else {
        l->kernels->expand[p->dtype](&w, n, l->in, panel);
        st = gla__dnnl_gemm_f32(last - first, n, l->in, c->x + (c->first_row + first) * c->ld_x,
                                c->ld_x, panel, GLA__PANEL_COLUMNS, y, c->ld_y);
    }
    if (st)
        *c->status = st; /* any of them will do */
    add_bias(p, c->group, o, n, last - first, y, c->ld_y);
}

static void run_panels(const gla_batch *b, call *c)
{
    const size_t panels = count_chunks(c->l, GLA__PANEL_COLUMNS);
    const size_t last = c->first_row + c->rows, width = gla__parallel_width();

    for (; c->first_row < last; c->first_row += c->rows) {
        c->rows = last - c->first_row < ROWS_LIMIT ? last - c->first_row : ROWS_LIMIT;
        c->row_blocks = 1; /* few panels: cut the rows as well, down to 64 */
        while (panels * c->row_blocks < 2 * width && c->rows >= 128 * c->row_blocks)
            c->row_blocks *= 2;
        if (c->x8)
            (void)gla__for_rows(b, (uint32_t)c->rows, quantise_rows, c); /* cannot fail */
        gla__parallel_for((uint32_t)(panels * c->row_blocks), panel_piece, c);
    }
}

/* A panel of f32, or the sums of 8-bit products. */
static size_t panel_size(size_t in)
{
    return GLA__PANEL_COLUMNS * (in > ROWS_LIMIT ? in : ROWS_LIMIT);
}

/* Leaves c->panels NULL when there is no room: then dot products do everything. */
static void take_scratch(call *c, gla__exec *exec)
{
    const gla_linear *l = c->l;

    c->panel_numbers = panel_size(l->in);
    c->panels = gla__exec_take(exec, gla__parallel_width() * c->panel_numbers * sizeof(float));
    if (!c->panels || !l->has_i8)
        return;
    c->x_scale = gla__exec_take(exec, ROWS_LIMIT * blocks_of(l) * sizeof(float));
    c->x8 = c->x_scale ? gla__exec_take(exec, ROWS_LIMIT * l->in) : NULL;
}

static gla_status run(const gla_batch *b, call *c)
{
    const gla_linear *l = c->l;
    gla__work work = gla__work_begin(b, GLA__WORK_LINEAR);
    const uint32_t width = gla__parallel_width();
    gla_status st = GLA_OK;
    size_t small = 0;
    bool many = false;

    c->status = &st;
    c->single = width == 1;
    for (size_t g = 0; g < l->groups && !many; g++)
        many = c->offset[g + 1] - c->offset[g] >= PANEL_ROWS;
    if (many)
        take_scratch(c, work.exec);
    for (size_t g = 0; g < l->groups; g++)
        small += is_small(c, g);
    if (small)
        gla__parallel_for((uint32_t)(small * count_chunks(l, 0)), dot_piece, c);
    for (size_t g = 0; g < l->groups; g++) {
        if (c->offset[g + 1] == c->offset[g] || is_small(c, g))
            continue;
        c->group = g;
        c->first_row = c->offset[g];
        c->rows = c->offset[g + 1] - c->offset[g];
        run_panels(b, c);
    }
    gla__work_end(&work);
    return st;
}

gla_status gla__linear(const gla_batch *b, const gla_linear *l, uint32_t rows, const float *x,
                       size_t ld_x, float *y, size_t ld_y)
{
    const uint32_t offset[2] = {0, rows};
    call c = {.l = l, .x = x, .y = y, .ld_x = ld_x, .ld_y = ld_y, .offset = offset};

    if (l->groups != 1)
        return GLA_E_INVALID;
    return run(b, &c);
}

gla_status gla__linear_grouped(const gla_batch *b, const gla_linear *l, const uint32_t *offset,
                               const float *x, size_t ld_x, float *y, size_t ld_y)
{
    call c = {.l = l, .x = x, .y = y, .ld_x = ld_x, .ld_y = ld_y, .offset = offset};

    return run(b, &c);
}

typedef struct gather_call {
    const gla_linear *l;
    const int32_t *ids;
    float *y;
    size_t ld_y;
} gather_call;

static void gather_rows(void *arg, uint32_t first, uint32_t last)
{
    const gather_call *c = arg;
    const part *p = &c->l->parts[0];

    for (uint32_t r = first; r < last; r++) {
        const gla__weight_rows w = rows_from(p, 0, (size_t)c->ids[r]);

        c->l->kernels->row[p->dtype](&w, c->l->in, c->y + r * c->ld_y);
    }
}

gla_status gla__gather(const gla_batch *b, const gla_linear *l, uint32_t rows, const int32_t *ids,
                       float *y, size_t ld_y)
{
    gather_call c = {l, ids, y, ld_y};
    gla__work work = gla__work_begin(b, GLA__WORK_LINEAR);
    gla_status st = l->n_parts == 1 ? GLA_OK : GLA_E_INVALID;

    for (uint32_t r = 0; r < rows && !st; r++) {
        if (ids[r] < 0 || (size_t)ids[r] >= l->groups * l->parts[0].out)
            st = GLA_E_INVALID;
    }
    if (!st)
        st = gla__for_rows(b, rows, gather_rows, &c);
    gla__work_end(&work);
    return st;
}

size_t gla__linear_scratch(const gla__math_needs *needs)
{
    const size_t threads = needs->threads ? needs->threads : 1, in = needs->linear_in;

    return needs->rows < PANEL_ROWS
               ? 0
               : threads * panel_size(in) * sizeof(float) +
                     ROWS_LIMIT * (in + (in / GLA__I8_BLOCK + 1) * sizeof(float)) + 3 * 64;
}

const gla__linear_kernels *gla__linear_kernels_for(gla__isa isa)
{
#if defined(__x86_64__)
    if (isa == GLA_ISA_AVX512)
        return &gla_k_linear__avx512;
    if (isa == GLA_ISA_AVX2)
        return &gla_k_linear__avx2;
#endif
    (void)isa;
    return &gla_k_linear__c;
}
