/* SPDX-License-Identifier: Apache-2.0
 *
 * linear_run.c - multiplies: which way a matrix goes, and who does which piece
 */
#include "base/parallel.h"
#include "math/dnnl_compat.h"
#include "math/linear.h"
#include "math/linear_parts.h"
#include "math/ops.h"

/* From so many rows on, panels are faster than dot products: smaller weights keep those busy. */
#define PANEL_ROWS(dtype) ((dtype) == GLA_DTYPE_F32 ? 24u : 48u)
#define ROWS_LIMIT        512u       /* handled at once */
#define STREAM_BYTES      (1u << 19) /* of weights in one piece: a thread reads its own in order */
#define COMPUTE_BYTES     (1u << 16) /* the same for many rows */
#define COMPUTE_ROWS      17u        /* what many is */

typedef struct call {
    const gla_linear *l;
    const float *x;
    float *y;
    size_t ld_x, ld_y;
    const uint32_t *offset;    /* [groups + 1] */
    size_t first_row, end_row; /* the rows that are multiplied now: at most most_rows */
    size_t most_rows;
    uint32_t n_small;             /* groups that dot products are for */
    char *x8[GLA__WEIGHT_DTYPES]; /* those rows in the form that the dtype asks for; or NULL */
    size_t pitch[GLA__WEIGHT_DTYPES];
    size_t group;                   /* panels: the one that is being multiplied */
    size_t first, rows, row_blocks; /* panels: its rows, pieces that they are cut into */
    float *panels;                  /* [width] of panel_numbers each; or NULL: no room */
    size_t panel_numbers;
    uint32_t width;            /* threads */
    _Atomic gla_status status; /* of the panels */
} call;

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* The part of a group's rows that is multiplied now. */
static size_t rows_of(const call *c, size_t group, size_t *first)
{
    const size_t from = c->offset[group], to = least(c->offset[group + 1], c->end_row);

    *first = from > c->first_row ? from : c->first_row;
    return to > *first ? to - *first : 0;
}

static bool by_panels(const call *c, uint32_t dtype, size_t rows)
{
    const gla__linear_kernels *k = c->l->kernels;

    return rows >= PANEL_ROWS(dtype) && c->panels &&
           (k->expand[dtype] || (dtype == GLA_DTYPE_I8 && k->exact_gemm));
}

static void add_bias(const gla__linear_part *p, size_t group, size_t o, size_t n, size_t rows,
                     float *y, size_t ld_y)
{
    const float *bias = p->bias ? p->bias + group * p->out + o : NULL;

    for (size_t r = 0; bias && r < rows; r++) {
        for (size_t j = 0; j < n; j++)
            y[r * ld_y + j] += bias[j];
    }
}

/* ---- dot products ---- */

static size_t part_bytes(const gla__linear_part *p)
{
    return p->out * (p->rows.stride + p->rows.aux_stride);
}

/* Bytes of weights of one group that meet so many rows in dot products. */
static size_t dot_bytes(const call *c, size_t rows)
{
    size_t bytes = 0;

    for (uint32_t k = 0; rows && k < c->l->n_parts; k++) {
        const gla__linear_part *p = &c->l->parts[k];

        bytes += by_panels(c, p->dtype, rows) ? 0 : part_bytes(p);
    }
    return bytes;
}

/* Into how many pieces those are cut: as many for each thread. */
static size_t dot_pieces(const call *c, size_t rows)
{
    const size_t bytes = dot_bytes(c, rows),
                 piece = rows < COMPUTE_ROWS ? STREAM_BYTES : COMPUTE_BYTES;
    const size_t shares = c->n_small && c->n_small < c->width ? divide_up(c->width, c->n_small) : 1;

    return divide_up(divide_up(bytes, piece), shares) * shares;
}

/* Outputs first .. end of a part are those that begin within the i-th of n equal stretches of the
 * bytes of all such parts, in steps of 4 rows; `before` bytes lie in front of the part. */
static size_t cut(const gla__linear_part *p, size_t before, size_t all, size_t i, size_t n)
{
    const size_t at = all / n * i + all % n * i / n, row = p->rows.stride + p->rows.aux_stride;

    if (i == n || at >= before + part_bytes(p))
        return p->out;
    return at <= before ? 0 : least(p->out, divide_up(divide_up(at - before, row), 4) * 4);
}

static void dot_group(const call *c, size_t group, size_t piece, size_t pieces)
{
    const gla_linear *l = c->l;
    size_t first_row, before = 0;
    const size_t rows = rows_of(c, group, &first_row), all = dot_bytes(c, rows);

    for (uint32_t k = 0; k < l->n_parts; k++) {
        const gla__linear_part *p = &l->parts[k];
        size_t o, n;
        gla__weight_rows w;
        float *y;

        if (by_panels(c, p->dtype, rows))
            continue;
        o = cut(p, before, all, piece, pieces);
        n = cut(p, before, all, piece + 1, pieces) - o;
        before += part_bytes(p);
        if (!n)
            continue;
        w = gla__linear_rows(p, group, o);
        y = c->y + first_row * c->ld_y + p->first_out + o;
        l->kernels->dot[p->dtype](&w, n, l->in,
                                  c->x8[p->dtype] ? c->x8[p->dtype] + (first_row - c->first_row) *
                                                                          c->pitch[p->dtype]
                                                  : (const char *)(c->x + first_row * c->ld_x),
                                  c->pitch[p->dtype], rows, y, c->ld_y);
        add_bias(p, group, o, n, rows, y, c->ld_y);
    }
}

static void dot_piece(void *arg, uint32_t i)
{
    const call *c = arg;
    size_t first;

    for (size_t g = 0;; g++) {
        const size_t rows = rows_of(c, g, &first);
        const size_t pieces = dot_bytes(c, rows) ? dot_pieces(c, rows) : 0;

        if (i < pieces) {
            dot_group(c, g, i, pieces);
            return;
        }
        i -= (uint32_t)pieces;
    }
}

static void run_dots(call *c)
{
    size_t first, pieces = 0;

    c->n_small = 0;
    for (size_t g = 0; g < c->l->groups; g++)
        c->n_small += dot_bytes(c, rows_of(c, g, &first)) > 0;
    for (size_t g = 0; g < c->l->groups; g++) {
        const size_t rows = rows_of(c, g, &first);

        pieces += dot_bytes(c, rows) ? dot_pieces(c, rows) : 0;
    }
    gla__parallel_for((uint32_t)pieces, dot_piece, c);
}

/* ---- panels ---- */

/* Rows first .. first + rows with n outputs from o; acc has room for the sums. */
static gla_status multiply_i8(const call *c, const gla__linear_part *p, size_t o, size_t n,
                              size_t first, size_t rows, int32_t *acc, float *y)
{
    const gla_linear *l = c->l;
    const gla__weight_rows w = gla__linear_rows(p, c->group, o);
    const size_t pitch = c->pitch[GLA_DTYPE_I8];
    const char *x = c->x8[GLA_DTYPE_I8] + (first - c->first_row) * pitch;
    int32_t zero[GLA__PANEL_COLUMNS];

    for (size_t at = 0, k = 0; at < l->in; at += GLA__I8_BLOCK, k++) {
        const size_t count = least(l->in - at, GLA__I8_BLOCK);
        const gla_status st =
            gla__dnnl_gemm_u8s8(rows, n, count, (const uint8_t *)x + at, pitch,
                                (const int8_t *)w.data + at, l->in, acc, GLA__PANEL_COLUMNS);

        if (st)
            return st;
        l->kernels->zero_sums(&w, n, at, count, zero);
        for (size_t r = 0; r < rows; r++) {
            const char *scales = x + r * pitch + gla__x8_scales(l->in);

            l->kernels->dequantise(acc + r * GLA__PANEL_COLUMNS, zero,
                                   ((const float *)(const void *)scales)[k],
                                   (const float *)(const void *)w.aux, n, k > 0, y + r * c->ld_y);
        }
    }
    return GLA_OK;
}

static size_t panels_of(const call *c, const gla__linear_part *p, size_t rows)
{
    return by_panels(c, p->dtype, rows) ? divide_up(p->out, GLA__PANEL_COLUMNS) : 0;
}

static void panel_piece(void *arg, uint32_t i)
{
    call *c = arg;
    const gla_linear *l = c->l;
    const size_t block = i % c->row_blocks, first = c->first + c->rows * block / c->row_blocks;
    const size_t rows = c->first + c->rows * (block + 1) / c->row_blocks - first;
    float *panel = c->panels + (c->width == 1 ? 0 : gla__parallel_index()) * c->panel_numbers;
    size_t at = i / c->row_blocks, o, n;
    const gla__linear_part *p = l->parts;
    gla__weight_rows w;
    gla_status st;
    float *y;

    for (; at >= panels_of(c, p, c->rows); p++)
        at -= panels_of(c, p, c->rows);
    o = at * GLA__PANEL_COLUMNS;
    n = least(p->out - o, GLA__PANEL_COLUMNS);
    w = gla__linear_rows(p, c->group, o);
    y = c->y + first * c->ld_y + p->first_out + o;
    if (p->dtype == GLA_DTYPE_I8) {
        st = multiply_i8(c, p, o, n, first, rows, (int32_t *)(void *)panel, y);
    } else {
        l->kernels->expand[p->dtype](&w, n, l->in, panel);
        st = gla__dnnl_gemm_f32(rows, n, l->in, c->x + first * c->ld_x, c->ld_x, panel,
                                GLA__PANEL_COLUMNS, y, c->ld_y);
    }
    if (st)
        c->status = st; /* any of them will do */
    add_bias(p, c->group, o, n, rows, y, c->ld_y);
}

static void run_panels(call *c)
{
    for (c->group = 0; c->group < c->l->groups; c->group++) {
        size_t panels = 0;

        c->rows = rows_of(c, c->group, &c->first);
        for (uint32_t k = 0; k < c->l->n_parts; k++)
            panels += panels_of(c, &c->l->parts[k], c->rows);
        c->row_blocks = 1; /* few panels: cut the rows as well, down to 64 */
        while (panels * c->row_blocks < 2 * c->width && c->rows >= 128 * c->row_blocks)
            c->row_blocks *= 2;
        if (panels)
            gla__parallel_for((uint32_t)(panels * c->row_blocks), panel_piece, c);
    }
}

/* ---- one call ---- */

/* A panel of f32, or the sums of 8-bit products. */
static size_t panel_size(size_t in)
{
    return GLA__PANEL_COLUMNS * (in > ROWS_LIMIT ? in : ROWS_LIMIT);
}

/* Rows in 8 bits: as many at once as there is room for, since groups may have more rows together
 * than the batch has. */
static gla_status take_rows(call *c, gla__exec *exec, uint32_t dtype)
{
    if (!c->l->has[dtype] || !c->l->kernels->quantise[dtype])
        return GLA_OK;
    for (; c->most_rows; c->most_rows /= 2) {
        c->x8[dtype] = gla__exec_take(exec, c->most_rows * c->pitch[dtype]);
        if (c->x8[dtype])
            return GLA_OK;
    }
    return GLA_E_LIMIT;
}

/* Leaves c->panels NULL when there is no room: then dot products do everything. */
static gla_status take_scratch(call *c, gla__exec *exec, size_t rows)
{
    const gla_linear *l = c->l;
    gla_status st = GLA_OK;

    for (uint32_t d = 0; d < GLA__WEIGHT_DTYPES; d++)
        c->pitch[d] = c->ld_x * sizeof(float);
    c->pitch[GLA_DTYPE_I8] = gla__x8_pitch(l->in);
    c->pitch[GLA_DTYPE_I4] = gla__x4_pitch(l->in);
    c->most_rows = least(rows, ROWS_LIMIT);
    for (uint32_t d = 0; d < GLA__WEIGHT_DTYPES && !st && rows; d++)
        st = take_rows(c, exec, d);
    c->panel_numbers = panel_size(l->in);
    if (rows >= PANEL_ROWS(GLA_DTYPE_F32))
        c->panels = gla__exec_take(exec, c->width * c->panel_numbers * sizeof(float));
    return st;
}

static void quantise_rows(void *arg, uint32_t first, uint32_t last)
{
    const call *c = arg;
    const gla__linear_kernels *k = c->l->kernels;

    for (uint32_t d = 0; d < GLA__WEIGHT_DTYPES; d++) {
        for (size_t r = first; c->x8[d] && r < last; r++)
            k->quantise[d](c->x + (c->first_row + r) * c->ld_x, c->l->in,
                           c->x8[d] + r * c->pitch[d]);
    }
}

static gla_status multiply(const gla_batch *b, call *c, gla__exec *exec)
{
    const size_t rows = c->offset[c->l->groups];
    gla_status st;

    c->width = gla__parallel_width(); /* inside a run it would be 1 */
    st = take_scratch(c, exec, rows);
    for (; c->first_row < rows && !st; c->first_row = c->end_row) {
        c->end_row = least(rows, c->first_row + c->most_rows);
        if (c->x8[GLA_DTYPE_I8] || c->x8[GLA_DTYPE_I4])
            st = gla__for_rows(b, (uint32_t)(c->end_row - c->first_row), quantise_rows, c);
        run_dots(c);
        run_panels(c);
        if (!st)
            st = c->status;
    }
    return st;
}

gla_status gla__linear_grouped(const gla_batch *b, const gla_linear *l, const uint32_t *offset,
                               const float *x, size_t ld_x, float *y, size_t ld_y)
{
    call c = {.l = l, .x = x, .y = y, .ld_x = ld_x, .ld_y = ld_y, .offset = offset};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_LINEAR, &work);

    if (!st)
        st = multiply(b, &c, work.exec);
    return gla__work_end(&work, st);
}

gla_status gla__linear(const gla_batch *b, const gla_linear *l, uint32_t rows, const float *x,
                       size_t ld_x, float *y, size_t ld_y)
{
    const uint32_t offset[2] = {0, rows};
    call c = {.l = l, .x = x, .y = y, .ld_x = ld_x, .ld_y = ld_y, .offset = offset};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_LINEAR, &work);

    if (!st)
        st = l->groups == 1 ? multiply(b, &c, work.exec) : GLA_E_INVALID;
    return gla__work_end(&work, st);
}

size_t gla__linear_scratch(const gla__math_needs *needs)
{
    const size_t threads = needs->threads ? needs->threads : 1, in = needs->linear_in,
                 rows = least(needs->rows, ROWS_LIMIT);
    const size_t panels =
        rows < PANEL_ROWS(GLA_DTYPE_F32) ? 0 : threads * panel_size(in) * sizeof(float);

    return panels + rows * (gla__x8_pitch(in) + gla__x4_pitch(in)) + 3 * 64;
}
