/* SPDX-License-Identifier: Apache-2.0 */
#include "ck.h"

#include <gla/plugin.h>
#include <stdint.h>
#include <string.h>

#include "base/half.h"
#include "math/kernels/linear_kernels.h"

typedef struct call {
    const gla__linear_kernels *k;
    gla__weight_rows w;
    uint32_t dtype;
    size_t out, in, rows, pitch;
    const void *x; /* rows in the form that the dtype asks for */
    float *y;
} call;

static const char *const dtypes[] = {"", "f32", "bf16", "f16", "i8", "i4"};

/* Bytes that end where the buffer's numbers end, at the page that must not be touched. */
static char *bytes_of(ck *c, size_t n)
{
    float *x = ck_input(c, (n + 3) / 4);

    return (char *)x + ((n + 3) / 4 * 4 - n);
}

static uint16_t *halves(ck *c, uint32_t dtype, size_t n)
{
    uint16_t *to = (uint16_t *)(void *)bytes_of(c, 2 * n);

    for (size_t i = 0; i < n; i++) {
        const float f = (float)rng_normal(ck_rng(c));

        to[i] = dtype == GLA_DTYPE_BF16 ? gla__f32_bf16(f) : gla__f32_f16(f);
    }
    return to;
}

static gla__weight_rows weights(ck *c, uint32_t dtype, size_t out, size_t in)
{
    static const size_t bits[] = {0, 32, 16, 16, 8, 4};
    gla__weight_rows w = {.stride = in * bits[dtype] / 8};

    if (dtype == GLA_DTYPE_F32) {
        w.data = (const char *)ck_input(c, out * in);
    } else if (dtype == GLA_DTYPE_BF16 || dtype == GLA_DTYPE_F16) {
        w.data = (const char *)halves(c, dtype, out * in);
    } else {
        char *data = bytes_of(c, out * w.stride);

        for (size_t i = 0; i < out * w.stride; i++)
            data[i] = (char)rng_next(ck_rng(c)); /* -128 among them, which some file may have */
        w.data = data;
    }
    if (dtype == GLA_DTYPE_I8) {
        w.aux = (const char *)ck_input(c, out);
        w.aux_stride = sizeof(float);
    } else if (dtype == GLA_DTYPE_I4) {
        w.aux = (const char *)halves(c, GLA_DTYPE_F16, out * in / 16);
        w.aux_stride = in / 8;
    }
    return w;
}

/* What weight i of row o means. */
static double weight(const call *x, size_t o, size_t i)
{
    const char *row = x->w.data + o * x->w.stride, *aux = x->w.aux + o * x->w.aux_stride;
    const size_t group = i / GLA__I4_GROUP, at = i % GLA__I4_GROUP;
    uint16_t half, pair[2];
    float f;

    switch (x->dtype) {
    case GLA_DTYPE_F32:
        memcpy(&f, row + 4 * i, sizeof(f));
        return (double)f;
    case GLA_DTYPE_BF16:
    case GLA_DTYPE_F16:
        memcpy(&half, row + 2 * i, sizeof(half));
        return (double)(x->dtype == GLA_DTYPE_BF16 ? gla__bf16_f32(half) : gla__f16_f32(half));
    case GLA_DTYPE_I8:
        memcpy(&f, aux, sizeof(f));
        return (double)f * (int8_t)row[i];
    default:
        memcpy(pair, aux + 4 * group, sizeof(pair));
        return (double)gla__f16_f32(pair[0]) *
                   ((uint8_t)row[16 * group + at % 16] >> (at < 16 ? 0 : 4) & 15) +
               (double)gla__f16_f32(pair[1]);
    }
}

/* What input i of row r means. */
static double input(const call *x, size_t r, size_t i)
{
    const char *row = (const char *)x->x + r * x->pitch;
    float f;

    if (x->dtype == GLA_DTYPE_I8) {
        memcpy(&f, row + gla__x8_scales(x->in) + i / GLA__I8_BLOCK * 4, sizeof(f));
        return (double)f * ((uint8_t)row[i] - 128);
    }
    if (x->dtype == GLA_DTYPE_I4) {
        const gla__x4 *b = (const gla__x4 *)(const void *)row + i / 256;
        const size_t k = i / GLA__I4_GROUP % 8, at = i % GLA__I4_GROUP;

        return (double)b->scale[4 * k] *
               b->q[k / 4 * 128 + (at < 16 ? 0 : 64) + k % 4 * 16 + at % 16];
    }
    memcpy(&f, row + 4 * i, sizeof(f));
    return (double)f;
}

/* Rows of x as the dtype wants them; in 8 bits by plain C, the same for all instruction sets. */
static void set_inputs(ck *c, call *x, bool poison)
{
    float *plain = ck_input(c, x->rows * x->in);

    if (poison)
        ck_poison(c, plain, x->rows * x->in);
    x->x = plain;
    x->pitch = x->in * sizeof(float);
    if (x->dtype == GLA_DTYPE_I8 || x->dtype == GLA_DTYPE_I4) {
        char *to;

        x->pitch = x->dtype == GLA_DTYPE_I8 ? gla__x8_pitch(x->in) : gla__x4_pitch(x->in);
        x->x = to = bytes_of(c, x->rows * x->pitch);
        for (size_t r = 0; r < x->rows; r++)
            gla_k_linear__c.quantise[x->dtype](plain + r * x->in, x->in, to + r * x->pitch);
    }
}

/* The widest kernels need AVX-512 VNNI besides. */
static bool missing(const ck *c)
{
    return ck_isa(c) == GLA__ISA_AVX512 && !gla__cpu_get()->avx512_vnni;
}

/* ---- dot ---- */

static void call_dot(void *arg)
{
    const call *x = arg;

    x->k->dot[x->dtype](&x->w, x->out, x->in, x->x, x->pitch, x->rows, x->y, x->out);
}

static void dot_one(ck *c, uint32_t dtype, size_t out, size_t in, size_t rows, bool poison)
{
    if (ck_case(c, "dot_%s_%zux%zu_m%zu%s", dtypes[dtype], out, in, rows,
                poison ? "_poison" : "")) {
        call x = {ck_table(c, "linear"), weights(c, dtype, out, in), dtype, out, in, rows, 0, 0, 0};
        double *want = ck_want(c, rows * out);

        set_inputs(c, &x, poison);
        x.y = ck_output(c, rows * out);
        for (size_t i = 0; !ck_benching(c) && i < rows * out * in; i++)
            want[i / in] += weight(&x, i / in % out, i % in) * input(&x, i / in / out, i % in);
        if (ck_run(c, call_dot, &x)) {
            if (poison)
                ck_shows(c, "y", x.y, want, rows * out);
            else if (!ck_benching(c))
                ck_compare(c, "y", x.y, want, rows * out, (double)in);
        }
        ck_bench(c, 2.0 * (double)(rows * out * in), (double)(out * x.w.stride), call_dot, &x);
    }
    ck_end(c);
}

void check_dots(ck *c)
{
    static const struct {
        size_t out, in, rows;
    } shapes[] = {{3, 5, 2},    {9, 31, 3},   {16, 64, 1},  {13, 96, 4},  {6, 160, 5},
                  {11, 513, 7}, {21, 256, 8}, {7, 1057, 1}, {50, 70, 17}, {5, 600, 20}};

    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4 && !missing(c); dtype++) {
        if (ck_benching(c)) {
            dot_one(c, dtype, 64, 1024, 1, false);
            dot_one(c, dtype, 64, 1024, 8, false);
            continue;
        }
        for (size_t i = 0; i < 2 * sizeof(shapes) / sizeof(shapes[0]); i++) {
            const size_t n = i / 2,
                         in = dtype == GLA_DTYPE_I4 ? (shapes[n].in + 31) / 32 * 32 : shapes[n].in;

            dot_one(c, dtype, shapes[n].out, in, shapes[n].rows, i % 2);
        }
    }
}

/* ---- weights as f32, activations in 8 bits ---- */

static void call_row(void *arg)
{
    const call *x = arg;

    x->k->row[x->dtype](&x->w, x->in, x->y);
}

static void call_expand(void *arg)
{
    const call *x = arg;

    x->k->expand[x->dtype](&x->w, x->out, x->in, x->y);
}

static void call_quantise(void *arg)
{
    call *x = arg;

    x->k->quantise[x->dtype](x->x, x->in, x->y);
}

static void row_one(ck *c, uint32_t dtype, size_t in)
{
    if (ck_case(c, "row_%s_%zu", dtypes[dtype], in)) {
        call x = {ck_table(c, "linear"), weights(c, dtype, 1, in), dtype, 1, in, 1, 0, 0, 0};
        double *want = ck_want(c, in);

        x.y = ck_output(c, in);
        for (size_t i = 0; i < in; i++)
            want[i] = weight(&x, 0, i);
        if (ck_run(c, call_row, &x))
            ck_compare(c, "y", x.y, want, in, 1);
    }
    ck_end(c);
}

static void expand_one(ck *c, uint32_t dtype, size_t out, size_t in)
{
    if (ck_case(c, "expand_%s_%zux%zu", dtypes[dtype], out, in)) {
        call x = {ck_table(c, "linear"), weights(c, dtype, out, in), dtype, out, in, 1, 0, 0, 0};
        double *want = ck_want(c, in * GLA__PANEL_COLUMNS);

        x.y = ck_output(c, in * GLA__PANEL_COLUMNS);
        for (size_t i = 0; i < out * in; i++)
            want[i % in * GLA__PANEL_COLUMNS + i / in] = weight(&x, i / in, i % in);
        if (ck_run(c, call_expand, &x))
            ck_compare(c, "panel", x.y, want, in * GLA__PANEL_COLUMNS, 1);
    }
    ck_end(c);
}

static void call_zero_sums(void *arg)
{
    const call *x = arg;

    x->k->zero_sums(&x->w, x->out, 3, x->in - 3, (int32_t *)(void *)x->y);
}

static void zero_sums_one(ck *c, size_t out, size_t in)
{
    if (ck_case(c, "zero_sums_%zux%zu", out, in)) {
        call x = {ck_table(c, "linear"), weights(c, GLA_DTYPE_I8, out, in), 0, out, in, 1, 0, 0, 0};
        double *want = ck_want(c, out);

        x.y = ck_output(c, out);
        for (size_t i = 0; i < out * in; i++)
            want[i / in] += i % in < 3 ? 0 : 128 * (int8_t)x.w.data[i];
        if (ck_run(c, call_zero_sums, &x)) {
            for (size_t o = 0; o < out; o++) {
                int32_t sum;

                memcpy(&sum, &x.y[o], sizeof(sum));
                x.y[o] = (float)sum; /* exact: below 2^24 */
            }
            ck_compare(c, "sums", x.y, want, out, 0);
        }
    }
    ck_end(c);
}

/* Half a step of its block's or group's scale is what rounding may take from a number. */
static void quantise_one(ck *c, uint32_t dtype, size_t in)
{
    if (ck_case(c, "quantise_%s_%zu", dtypes[dtype], in)) {
        const size_t block = dtype == GLA_DTYPE_I8 ? GLA__I8_BLOCK : GLA__I4_GROUP;
        call x = {.k = ck_table(c, "linear"), .dtype = dtype, .in = in, .x = ck_input(c, in)};
        const float *plain = x.x;
        double *want = ck_want(c, in);
        float *off = ck_zeros(c, in);

        x.y = ck_output(c, (dtype == GLA_DTYPE_I8 ? gla__x8_pitch(in) : gla__x4_pitch(in)) / 4);
        if (ck_run(c, call_quantise, &x)) {
            const call got = {.dtype = dtype, .in = in, .x = x.y};

            for (size_t i = 0; i < in; i++) {
                double top = 0;

                for (size_t j = i / block * block; j < in && j < i / block * block + block; j++)
                    top = fmax(top, fabs((double)plain[j]));
                want[i] = (double)plain[i];
                off[i] = fabs(input(&got, 0, i) - want[i]) <= 0.5001 * top / 127 ? plain[i] : NAN;
            }
            ck_compare(c, "x in 8 bits", off, want, in, 1);
        }
    }
    ck_end(c);
}

void check_linear_rows(ck *c)
{
    static const size_t sizes[] = {32, 64, 96, 256, 288, 1056};

    for (size_t i = 0; !ck_benching(c) && !missing(c) && i < sizeof(sizes) / sizeof(sizes[0]);
         i++) {
        for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
            row_one(c, dtype, dtype == GLA_DTYPE_I4 ? sizes[i] : sizes[i] - i);
            if (dtype <= GLA_DTYPE_F16)
                expand_one(c, dtype, 21 * i + 3, sizes[i] / 4 - i % 2);
        }
        zero_sums_one(c, 5 * i + 1, (sizes[i] - i) % 512);
        quantise_one(c, GLA_DTYPE_I8, sizes[i] - i);
        quantise_one(c, GLA_DTYPE_I4, sizes[i]);
    }
}
