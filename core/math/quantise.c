/* SPDX-License-Identifier: Apache-2.0
 *
 * quantise.c - int8 rows and int4 groups with searched scales
 *
 * Both searches are the same: for each of a few trial scales around the obvious one, round; then
 * the scale (and minimum) that fits the rounded numbers best is a least squares problem with a
 * closed form, and its error says which trial to keep.
 */
#include "math/quantise.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/diag.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "math/kernels/quantise_kernels.h"

#define GROUP  GLA__I4_GROUP
#define PART   (1u << 16) /* numbers that one task converts */
#define TRIALS GLA__QUANTISE_TRIALS

/* To nearest even for |x| < 2^22; unlike rintf() it is vectorised everywhere. */
static inline float round_even(float x)
{
    return (x + 12582912.0f) - 12582912.0f;
}

static inline float clampf(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* ---- plain conversions ------------------------------------------------------------- */

typedef struct conversion {
    uint32_t dtype;
    const void *src;
    void *dst;
    uint64_t n;
    atomic_uint overflow;
} conversion;

static void part_to_f32(void *arg, uint32_t part)
{
    const conversion *c = arg;
    const uint64_t first = (uint64_t)part * PART;
    const uint64_t end = c->n - first < PART ? c->n : first + PART;
    float *dst = c->dst;

    if (c->dtype == GLA_DTYPE_BF16)
        for (uint64_t i = first; i < end; i++)
            dst[i] = gla__bf16_f32(((const uint16_t *)c->src)[i]);
    else if (c->dtype == GLA_DTYPE_F16)
        for (uint64_t i = first; i < end; i++)
            dst[i] = gla__f16_f32(((const uint16_t *)c->src)[i]);
    else if (c->dtype == GLA_DTYPE_F64)
        for (uint64_t i = first; i < end; i++)
            dst[i] = (float)((const double *)c->src)[i];
    else
        memcpy(dst + first, (const float *)c->src + first, (end - first) * sizeof(float));
}

static void part_from_f32(void *arg, uint32_t part)
{
    conversion *c = arg;
    const uint64_t first = (uint64_t)part * PART;
    const uint64_t end = c->n - first < PART ? c->n : first + PART;
    const float *src = c->src;

    if (c->dtype == GLA_DTYPE_BF16)
        for (uint64_t i = first; i < end; i++)
            ((uint16_t *)c->dst)[i] = gla__f32_bf16(src[i]);
    else if (c->dtype == GLA_DTYPE_F16)
        for (uint64_t i = first; i < end; i++) {
            const uint16_t h = gla__f32_f16(src[i]);

            ((uint16_t *)c->dst)[i] = h;
            if ((h & 0x7fff) == 0x7c00 && isfinite(src[i]))
                atomic_store(&c->overflow, 1);
        }
    else if (c->dtype == GLA_DTYPE_F64)
        for (uint64_t i = first; i < end; i++)
            ((double *)c->dst)[i] = (double)src[i];
    else
        memcpy((float *)c->dst + first, src + first, (end - first) * sizeof(float));
}

static uint32_t parts(uint64_t n)
{
    return (uint32_t)((n + PART - 1) / PART);
}

gla_status gla__to_f32(uint32_t dtype, const void *src, uint64_t n, float *dst, gla_diag *diag)
{
    conversion c = {.dtype = dtype, .src = src, .dst = dst, .n = n};

    if (!gla__is_float(dtype) || n > (uint64_t)UINT32_MAX * PART)
        return gla__fail(diag, GLA_E_UNSUPPORTED, "no way from dtype %" PRIu32 " to f32", dtype);
    gla__parallel_for(parts(n), part_to_f32, &c);
    return GLA_OK;
}

gla_status gla__from_f32(const float *src, uint64_t n, uint32_t dtype, void *dst, gla_diag *diag)
{
    conversion c = {.dtype = dtype, .src = src, .dst = dst, .n = n};

    if (!gla__is_float(dtype) || n > (uint64_t)UINT32_MAX * PART)
        return gla__fail(diag, GLA_E_UNSUPPORTED, "no way from f32 to dtype %" PRIu32, dtype);
    gla__parallel_for(parts(n), part_from_f32, &c);
    if (!atomic_load(&c.overflow))
        return GLA_OK;
    gla__fail(diag, GLA_E_UNSUPPORTED, "numbers beyond 65504 do not fit into f16");
    gla__hint(diag, "use bf16");
    return GLA_E_UNSUPPORTED;
}

/* ---- int8 rows ------------------------------------------------------------------------- */

static float largest(const float *x, uint64_t n)
{
    float m = 0;

    for (uint64_t i = 0; i < n; i++) {
        const float a = fabsf(x[i]);

        m = a > m ? a : m;
    }
    return m;
}

static void i8_row(const gla__quantise_kernels *k, const float *x, uint64_t n, int8_t *q,
                   float *scale)
{
    const float m = largest(x, n);
    float inverse[TRIALS];
    double xq[TRIALS], qq[TRIALS], best_gain = -1;
    float best = 0;

    memset(q, 0, n);
    *scale = 0;
    if (m < 0x1p-126f) /* a scale would be denormal */
        return;
    for (uint32_t t = 0; t < TRIALS; t++) /* the largest number may be clipped a little */
        inverse[t] = 127.0f / (m * (1.0f - 0.02f * (float)t));
    k->i8(x, n, inverse, xq, qq);
    for (uint32_t t = 0; t < TRIALS; t++) {
        if (qq[t] > 0 && xq[t] * xq[t] / qq[t] > best_gain) {
            best_gain = xq[t] * xq[t] / qq[t];
            best = (float)(xq[t] / qq[t]);
        }
    }
    *scale = best;
    for (uint64_t i = 0; i < n; i++)
        q[i] = (int8_t)clampf(round_even(x[i] / best), -127, 127);
}

/* ---- int4 groups ----------------------------------------------------------------------------
 */

typedef struct fit {
    float scale, min;
} fit;

/* Rounds to the nearest of the 16 values; returns the squared error. */
static float round_group(const float *x, fit f, float *q)
{
    const float inverse = f.scale > 0 ? 1.0f / f.scale : 0;
    float error = 0;

    for (uint32_t i = 0; i < GROUP; i++) {
        const float v = clampf(round_even(clampf((x[i] - f.min) * inverse, -1, 16)), 0, 15);
        const float d = f.scale * v + f.min - x[i];

        q[i] = v;
        error += d * d;
    }
    return error;
}

static void i4_group(const gla__quantise_kernels *k, const float *x, uint8_t *data, uint16_t *aux)
{
    float low = x[0], high = x[0], q[GROUP];
    float scale[TRIALS], min[TRIALS], error[TRIALS], best_error;
    fit best;

    for (uint32_t i = 1; i < GROUP; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    aux[0] = gla__f32_f16((high - low) / 15); /* what the file will hold */
    aux[1] = gla__f32_f16(low);
    best = (fit){gla__f16_f32(aux[0]), gla__f16_f32(aux[1])};
    best_error = round_group(x, best, q);
    for (uint32_t t = 0; t < TRIALS; t++) {
        /* 13.8 to 16.8 steps over the range: ends may be clipped or left unused */
        const float steps = 13.8f + 0.2f * (float)t;

        scale[t] = (high - low) / steps;
        min[t] = low + 0.5f * (high - low) * (1 - 15 / steps);
    }
    if (high > low) {
        k->i4(x, scale, min, error);
        for (uint32_t t = 0; t < TRIALS; t++) {
            if (error[t] < best_error) {
                best_error = error[t];
                best = (fit){scale[t], min[t]};
            }
        }
    }
    (void)round_group(x, best, q);
    aux[0] = gla__f32_f16(best.scale);
    aux[1] = gla__f32_f16(best.min);
    for (uint32_t i = 0; i < GROUP / 2; i++)
        data[i] = (uint8_t)((int)q[i] | (int)q[GROUP / 2 + i] << 4);
}

/* ---- rows ------------------------------------------------------------------------------------ */

typedef struct rows_task {
    uint32_t dtype;
    uint64_t cols, rows, per_task;
    const float *src;
    float *dst;
    uint8_t *data;
    const uint8_t *const_data;
    void *aux;
    const void *const_aux;
    atomic_uint bad;
} rows_task;

static bool row_is_bad(const float *x, uint64_t n, float limit)
{
    bool bad = false;

    for (uint64_t i = 0; i < n; i++)
        bad |= !(fabsf(x[i]) <= limit);
    return bad;
}

static void quantise_part(void *arg, uint32_t part)
{
    rows_task *t = arg;
    const uint64_t first = part * t->per_task;
    const uint64_t end = t->rows - first < t->per_task ? t->rows : first + t->per_task;
    const uint64_t groups = t->cols / GROUP;
    const gla__quantise_kernels *k = gla__quantise_kernels_for(gla__cpu_get()->isa);

    for (uint64_t r = first; r < end; r++) {
        const float *x = t->src + r * t->cols;

        /* f16 minimum and scale hold up to 65504 */
        if (row_is_bad(x, t->cols, t->dtype == GLA_DTYPE_I8 ? 3e38f : 65504.0f)) {
            atomic_store(&t->bad, 1);
            continue;
        }
        if (t->dtype == GLA_DTYPE_I8) {
            i8_row(k, x, t->cols, (int8_t *)t->data + r * t->cols, (float *)t->aux + r);
            continue;
        }
        for (uint64_t g = 0; g < groups; g++)
            i4_group(k, x + g * GROUP, t->data + r * t->cols / 2 + g * GROUP / 2,
                     (uint16_t *)t->aux + 2 * (r * groups + g));
    }
}

static void dequantise_part(void *arg, uint32_t part)
{
    const rows_task *t = arg;
    const uint64_t first = part * t->per_task;
    const uint64_t end = t->rows - first < t->per_task ? t->rows : first + t->per_task;
    const uint64_t groups = t->cols / GROUP;

    for (uint64_t r = first; r < end; r++) {
        float *x = t->dst + r * t->cols;

        if (t->dtype == GLA_DTYPE_I8) {
            const float scale = ((const float *)t->const_aux)[r];

            for (uint64_t i = 0; i < t->cols; i++)
                x[i] = scale * (float)((const int8_t *)t->const_data)[r * t->cols + i];
            continue;
        }
        for (uint64_t g = 0; g < groups; g++) {
            const uint16_t *aux = (const uint16_t *)t->const_aux + 2 * (r * groups + g);
            const float scale = gla__f16_f32(aux[0]), min = gla__f16_f32(aux[1]);
            const uint8_t *d = t->const_data + r * t->cols / 2 + g * GROUP / 2;

            for (uint64_t i = 0; i < GROUP / 2; i++) {
                x[g * GROUP + i] = scale * (float)(d[i] & 15) + min;
                x[g * GROUP + GROUP / 2 + i] = scale * (float)(d[i] >> 4) + min;
            }
        }
    }
}

static gla_status run_rows(rows_task *t, void (*fn)(void *, uint32_t), gla_diag *diag)
{
    if (t->dtype != GLA_DTYPE_I8 && t->dtype != GLA_DTYPE_I4)
        return gla__fail(diag, GLA_E_INVALID, "dtype %" PRIu32 " is not a quantised one", t->dtype);
    if (t->dtype == GLA_DTYPE_I4 && t->cols % GROUP)
        return gla__fail(diag, GLA_E_SHAPE,
                         "int4 needs rows of a multiple of 32 numbers, not %" PRIu64, t->cols);
    if (!t->rows || !t->cols)
        return GLA_OK;
    t->per_task = 1 + PART / t->cols;
    if (t->rows / t->per_task >= UINT32_MAX)
        return gla__fail(diag, GLA_E_LIMIT, "%" PRIu64 " rows are too many", t->rows);
    gla__parallel_for((uint32_t)((t->rows + t->per_task - 1) / t->per_task), fn, t);
    if (atomic_load(&t->bad))
        return gla__fail(diag, GLA_E_UNSUPPORTED, "there are numbers too large or not finite");
    return GLA_OK;
}

const gla__quantise_kernels *gla__quantise_kernels_for(gla__isa isa)
{
    return GLA__FOR_ISA(isa, &gla_k_quantise__c, &gla_k_quantise__avx2, &gla_k_quantise__avx512);
}

gla_status gla__quantise_rows(uint32_t dtype, const float *src, uint64_t rows, uint64_t cols,
                              void *data, void *aux, gla_diag *diag)
{
    rows_task t = {
        .dtype = dtype, .cols = cols, .rows = rows, .src = src, .data = data, .aux = aux};

    return run_rows(&t, quantise_part, diag);
}

gla_status gla__dequantise_rows(uint32_t dtype, const void *data, const void *aux, uint64_t rows,
                                uint64_t cols, float *dst, gla_diag *diag)
{
    rows_task t = {.dtype = dtype,
                   .cols = cols,
                   .rows = rows,
                   .dst = dst,
                   .const_data = data,
                   .const_aux = aux};

    return run_rows(&t, dequantise_part, diag);
}
