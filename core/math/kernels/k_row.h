/* SPDX-License-Identifier: Apache-2.0
 *
 * k_row.h - norms and activations for the width that GLA__SIMD says
 */
#include "math/kernels/activations.h"
#include "math/kernels/row_kernels.h"

#include <float.h>

/* ---- activations ---- */

#define DEFINE(name, NAME)                                                                         \
    static void run_##name(const float *x, float *y, size_t n)                                     \
    {                                                                                              \
        size_t i = 0;                                                                              \
                                                                                                   \
        for (; i + V_WIDTH <= n; i += V_WIDTH)                                                     \
            v_store(y + i, act_##name(v_load(x + i)));                                             \
        if (i < n)                                                                                 \
            v_store_n(y + i, act_##name(v_load_n(x + i, n - i)), n - i);                           \
    }                                                                                              \
    static void glu_##name(const float *gate, const float *up, float *y, size_t n)                 \
    {                                                                                              \
        size_t i = 0;                                                                              \
                                                                                                   \
        for (; i + V_WIDTH <= n; i += V_WIDTH)                                                     \
            v_store(y + i, v_mul(act_##name(v_load(gate + i)), v_load(up + i)));                   \
        if (i < n)                                                                                 \
            v_store_n(y + i,                                                                       \
                      v_mul(act_##name(v_load_n(gate + i, n - i)), v_load_n(up + i, n - i)),       \
                      n - i);                                                                      \
    }
ACTIVATIONS(DEFINE)
#undef DEFINE

static void clamp(float low_, float high_, float *x, size_t n)
{
    const vf low = v_set1(low_), high = v_set1(high_);

    for (size_t i = 0; i < n; i += V_WIDTH) {
        const size_t k = n - i < V_WIDTH ? n - i : V_WIDTH;

        v_store_n(x + i, v_max(low, v_min(high, v_load_n(x + i, k))), k);
    }
}

static void mul(float factor_, const float *x, float *y, size_t n)
{
    const vf factor = v_set1(factor_);
    size_t i = 0;

    for (; i + V_WIDTH <= n; i += V_WIDTH)
        v_store(y + i, v_mul(factor, v_load(x + i)));
    if (i < n)
        v_store_n(y + i, v_mul(factor, v_load_n(x + i, n - i)), n - i);
}

static void add(float factor_, const float *x, float *y, size_t n)
{
    const vf factor = v_set1(factor_);
    size_t i = 0;

    for (; i + V_WIDTH <= n; i += V_WIDTH)
        v_store(y + i, v_add(v_load(y + i), v_mul(factor, v_load(x + i))));
    if (i < n)
        v_store_n(y + i, v_add(v_load_n(y + i, n - i), v_mul(factor, v_load_n(x + i, n - i))),
                  n - i);
}

static void add_each(const float *factor, const float *x, float *y, size_t n)
{
    size_t i = 0;

    for (; i + V_WIDTH <= n; i += V_WIDTH)
        v_store(y + i, v_add(v_load(y + i), v_mul(v_load(factor + i), v_load(x + i))));
    if (i < n) {
        const vf product = v_mul(v_load_n(factor + i, n - i), v_load_n(x + i, n - i));

        v_store_n(y + i, v_add(v_load_n(y + i, n - i), product), n - i);
    }
}

static void combine(size_t k, const uint32_t *slot, const float *weight, const float *x,
                    size_t ld_x, float *y, size_t n)
{
    size_t i = 0;

    for (; i + V_WIDTH <= n; i += V_WIDTH) {
        vf sum = v_zero();

        for (size_t j = 0; j < k; j++)
            sum = v_add(sum, v_mul(v_set1(weight[j]), v_load(x + slot[j] * ld_x + i)));
        v_store(y + i, sum);
    }
    if (i < n) {
        vf sum = v_zero();

        for (size_t j = 0; j < k; j++)
            sum = v_add(sum, v_mul(v_set1(weight[j]), v_load_n(x + slot[j] * ld_x + i, n - i)));
        v_store_n(y + i, sum, n - i);
    }
}

/* ---- sums: four of them, so that errors grow with the logarithm and adds overlap ---- */

typedef enum term { PLAIN, SQUARE, SIZE } term;

V_INLINE vf term_of(vf a, vf mean, const term what)
{
    const vf d = v_sub(a, mean);

    return what == SQUARE ? v_mul(d, d) : what == SIZE ? v_abs(d) : d;
}

/* sum of x - mean, of its square or of its size */
V_INLINE float sum_of(const float *x, size_t n, float mean_, const term what)
{
    const vf mean = v_set1(mean_);
    vf s[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    size_t i = 0;

    for (; i + 4 * V_WIDTH <= n; i += 4 * V_WIDTH) {
        V_UNROLL
        for (size_t u = 0; u < 4; u++)
            s[u] = v_add(s[u], term_of(v_load(x + i + u * V_WIDTH), mean, what));
    }
    for (; i + V_WIDTH <= n; i += V_WIDTH)
        s[0] = v_add(s[0], term_of(v_load(x + i), mean, what));
    if (i < n) {
        float last[GLA__SIMD] = {0};

        v_store_n(last, term_of(v_load_n(x + i, n - i), mean, what), n - i);
        s[1] = v_add(s[1], v_load(last));
    }
    return v_hsum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}

/* y = (x - mean) * factor * (offset + weight) + bias */
V_INLINE void scale_row(const gla_norm *n, const float *weight, const float *bias, const float *x,
                        float *y, float mean_, float factor_)
{
    const vf mean = v_set1(mean_), factor = v_set1(factor_), offset = v_set1(n->weight_offset);

    for (size_t i = 0; i < n->width; i += V_WIDTH) {
        const size_t k = n->width - i < V_WIDTH ? n->width - i : V_WIDTH;
        vf a = v_mul(v_sub(v_load_n(x + i, k), mean), factor);

        if (weight)
            a = v_mul(a, v_add(offset, v_load_n(weight + i, k)));
        if (bias)
            a = v_add(a, v_load_n(bias + i, k));
        v_store_n(y + i, a, k);
    }
}

static void norm_rms(const gla_norm *n, const float *weight, const float *bias, const float *x,
                     float *y)
{
    const float mean = sum_of(x, n->width, 0.0f, SQUARE) / (float)n->width;

    scale_row(n, weight, bias, x, y, 0.0f, 1.0f / sqrtf(mean + n->eps));
}

static void norm_layer(const gla_norm *n, const float *weight, const float *bias, const float *x,
                       float *y)
{
    const float mean = sum_of(x, n->width, 0.0f, PLAIN) / (float)n->width;
    const float var = sum_of(x, n->width, mean, SQUARE) / (float)n->width;

    scale_row(n, weight, bias, x, y, mean, 1.0f / sqrtf(var + n->eps));
}

static void norm_l2(const gla_norm *n, const float *weight, const float *bias, const float *x,
                    float *y)
{
    scale_row(n, weight, bias, x, y, 0.0f,
              1.0f / sqrtf(sum_of(x, n->width, 0.0f, SQUARE) + n->eps));
}

static void norm_sum(const gla_norm *n, const float *weight, const float *bias, const float *x,
                     float *y)
{
    scale_row(n, weight, bias, x, y, 0.0f, 1.0f / (sum_of(x, n->width, 0.0f, PLAIN) + n->eps));
}

static void norm_l2_max(const gla_norm *n, const float *weight, const float *bias, const float *x,
                        float *y)
{
    const float length = sqrtf(sum_of(x, n->width, 0.0f, SQUARE));

    scale_row(n, weight, bias, x, y, 0.0f, 1.0f / (length < n->eps ? n->eps : length));
}

static void norm_l1_max(const gla_norm *n, const float *weight, const float *bias, const float *x,
                        float *y)
{
    const float length = sum_of(x, n->width, 0.0f, SIZE);

    scale_row(n, weight, bias, x, y, 0.0f, 1.0f / (length < n->eps ? n->eps : length));
}

static void norm_softmax(const gla_norm *n, const float *weight, const float *bias, const float *x,
                         float *y)
{
    float top = -FLT_MAX;
    vf most;

    for (size_t i = 0; i < n->width; i++)
        top = x[i] > top ? x[i] : top;
    most = v_set1(top);
    for (size_t i = 0; i < n->width; i += V_WIDTH) {
        const size_t k = n->width - i < V_WIDTH ? n->width - i : V_WIDTH;

        v_store_n(y + i, v_exp(v_sub(v_load_n(x + i, k), most)), k);
    }
    scale_row(n, weight, bias, y, y, 0.0f, 1.0f / sum_of(y, n->width, 0.0f, PLAIN));
}

#define RUN(name, NAME) run_##name,
#define GLU(name, NAME) glu_##name,
const gla__row_kernels GLA__KERNELS = {
    {ACTIVATIONS(RUN)},
    {ACTIVATIONS(GLU)},
    clamp,
    mul,
    add,
    add_each,
    combine,
    {NULL, norm_rms, norm_layer, norm_l2, norm_sum, norm_l2_max, norm_softmax, norm_l1_max},
};
