/* SPDX-License-Identifier: Apache-2.0
 *
 * k_quantise.h - the search for scales, for the width that GLA__SIMD says
 *
 * Multiplications and additions stay apart (no v_fma), or widths would differ in the last bit.
 */
#include "math/kernels/quantise_kernels.h"
#include "math/kernels/simd.h"

#define TRIALS GLA__QUANTISE_TRIALS
#define GROUP  GLA__I4_GROUP

/* Partial sums of so many numbers are exact enough in f32. */
#define I8_PART 256u

static void quantise_i8(const float *x, size_t n, const float *inverse, double *xq, double *qq)
{
    const vf low = v_set1(-127.0f), high = v_set1(127.0f);

    for (size_t t = 0; t < TRIALS; t++)
        xq[t] = qq[t] = 0;
    for (size_t first = 0; first < n; first += I8_PART) {
        const size_t end = n - first < I8_PART ? n : first + I8_PART;

        for (size_t t = 0; t < TRIALS; t += V_WIDTH) {
            const vf by = v_load(inverse + t);
            vf a = v_zero(), b = v_zero();
            float sum[GLA__SIMD];

            for (size_t i = first; i < end; i++) {
                const vf v = v_set1(x[i]), q = v_min(high, v_max(low, v_round(v_mul(v, by))));

                a = v_add(a, v_mul(v, q));
                b = v_add(b, v_mul(q, q));
            }
            v_store(sum, a);
            for (size_t k = 0; k < V_WIDTH; k++)
                xq[t + k] += (double)sum[k];
            v_store(sum, b);
            for (size_t k = 0; k < V_WIDTH; k++)
                qq[t + k] += (double)sum[k];
        }
    }
}

/* The nearest of 0 .. 15 */
V_INLINE vf round_i4(vf x, vf min, vf inverse)
{
    const vf q = v_round(v_mul(v_sub(x, min), inverse));

    return v_min(v_set1(15.0f), v_max(v_zero(), q));
}

V_INLINE vf inverse_of(vf scale)
{
    return v_select(v_gt(scale, v_zero()), v_div(v_set1(1.0f), scale), v_zero());
}

static void quantise_i4(const float *x, float *scale_, float *min_, float *error_)
{
    const vf n = v_set1((float)GROUP);

    for (size_t t = 0; t < TRIALS; t += V_WIDTH) {
        vf scale = v_load(scale_ + t), min = v_load(min_ + t), inverse = inverse_of(scale);
        vf q1 = v_zero(), q2 = v_zero(), x1 = v_zero(), xq = v_zero(), error = v_zero(), det;

        for (size_t i = 0; i < GROUP; i++) {
            const vf v = v_set1(x[i]), q = round_i4(v, min, inverse);

            q1 = v_add(q1, q);
            q2 = v_add(q2, v_mul(q, q));
            x1 = v_add(x1, v);
            xq = v_add(xq, v_mul(v, q));
        }
        det = v_sub(v_mul(n, q2), v_mul(q1, q1));
        scale = v_div(v_sub(v_mul(n, xq), v_mul(x1, q1)), det);
        min = v_round_f16(v_div(v_sub(x1, v_mul(scale, q1)), n));
        inverse = v_select(v_gt(det, v_zero()), scale, v_zero()); /* 0 or less: no use */
        scale = v_round_f16(scale);
        error = v_select(v_gt(inverse, v_zero()), error, v_set1(NAN));
        inverse = inverse_of(scale);
        for (size_t i = 0; i < GROUP; i++) {
            const vf v = v_set1(x[i]), q = round_i4(v, min, inverse);
            const vf off = v_sub(v_add(v_mul(scale, q), min), v);

            error = v_add(error, v_mul(off, off));
        }
        v_store(scale_ + t, scale);
        v_store(min_ + t, min);
        v_store(error_ + t, error);
    }
}

const gla__quantise_kernels GLA__KERNELS = {quantise_i8, quantise_i4};
