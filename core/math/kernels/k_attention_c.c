/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "math/kernels/k_attention.h"

static void store_i8(int8_t *y, float *scale, const float *x, uint32_t n)
{
    float largest = 0, spoiled = 0, inverse;

    for (uint32_t i = 0; i < n; i++) {
        largest = fmaxf(largest, fabsf(x[i]));
        spoiled += x[i] * 0;
    }
    *scale = largest / 127 + spoiled;
    inverse = largest > 0 ? 127 / largest : 0;
    for (uint32_t i = 0; i < n; i++)
        y[i] = (int8_t)rintf(fminf(fmaxf(x[i] * inverse, -127), 127));
}

static void store(const gla__kv_rows *rows, uint32_t token, const float *x)
{
    const size_t at = (size_t)token * rows->dim;

    if (rows->dtype == GLA_DTYPE_I8)
        store_i8((int8_t *)rows->data + at, rows->scale + token, x, rows->dim);
    else if (rows->dtype == GLA_DTYPE_BF16)
        for (uint32_t i = 0; i < rows->dim; i++)
            ((uint16_t *)rows->data)[at + i] = gla__f32_bf16(x[i]);
    else
        memcpy((float *)rows->data + at, x, rows->dim * sizeof(*x));
}

static float element(const gla__kv_rows *x, uint32_t token, uint32_t i)
{
    const size_t at = (size_t)token * x->dim + i;

    if (x->dtype == GLA_DTYPE_F32)
        return ((const float *)x->data)[at];
    if (x->dtype == GLA_DTYPE_I8)
        return ((const int8_t *)x->data)[at];
    return gla__bf16_f32(((const uint16_t *)x->data)[at]);
}

/* Row j of x as f32 without its scale. */
static void expand(const gla__kv_rows *x, uint32_t token, uint32_t dim, float *y)
{
    for (uint32_t i = 0; i < dim; i++)
        y[i] = element(x, token, i);
}

static void scores(const float *q, size_t ld_q, uint32_t rows, const gla__kv_rows *keys, uint32_t n,
                   gla__soon *soon, float *panel, float *s)
{
    (void)soon;
    for (uint32_t j = 0; j < n; j++) {
        expand(keys, j, keys->dim, panel);
        for (uint32_t r = 0; r < rows; r++) {
            float sum = 0;

            for (uint32_t i = 0; i < keys->dim; i++)
                sum += q[r * ld_q + i] * panel[i];
            s[(size_t)r * GLA__KV_PAGE_TOKENS + j] = keys->scale ? sum * keys->scale[j] : sum;
        }
    }
}

static float softmax(float *s, uint32_t lo, uint32_t hi, uint32_t n, float cap, float *max,
                     float *sum)
{
    float largest = *max, total = 0, factor;

    for (uint32_t j = lo; j < hi; j++) {
        if (cap > 0)
            s[j] = cap * tanhf(s[j] / cap);
        largest = s[j] > largest ? s[j] : largest;
    }
    for (uint32_t j = 0; j < n; j++) {
        s[j] = j >= lo && j < hi ? expf(s[j] - largest) : 0;
        total += s[j];
    }
    factor = expf(*max - largest);
    *max = largest;
    *sum = *sum * factor + total;
    return factor;
}

static void values(float *p, uint32_t rows, const gla__kv_rows *v, uint32_t n, uint32_t dim,
                   const float *factor, gla__soon *soon, float *panel, float *o, size_t ld_o)
{
    (void)soon;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < dim; i++)
            o[r * ld_o + i] *= factor[r];
    for (uint32_t j = 0; j < n; j++) {
        expand(v, j, dim, panel);
        for (uint32_t r = 0; r < rows; r++) {
            const float w = p[(size_t)r * GLA__KV_PAGE_TOKENS + j] * (v->scale ? v->scale[j] : 1);

            for (uint32_t i = 0; i < dim; i++)
                o[r * ld_o + i] += w * panel[i];
        }
    }
}

const gla__attention_kernels gla__k_attention__c = {store, scores, softmax, values};
