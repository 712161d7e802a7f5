/* SPDX-License-Identifier: Apache-2.0
 *
 * activations.h - gla_activation of a vector, for the width that GLA__SIMD says
 */
#ifndef GLA_MATH_KERNELS_ACTIVATIONS_H
#define GLA_MATH_KERNELS_ACTIVATIONS_H

#include <gla/plugin.h>

#include "math/kernels/simd.h"

V_INLINE vf act_none(vf x)
{
    return x;
}
V_INLINE vf act_silu(vf x)
{
    return v_div(x, v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), x))));
}
V_INLINE vf act_sigmoid(vf x)
{
    return v_sigmoid(x);
}
V_INLINE vf act_relu(vf x)
{
    return v_max(v_zero(), x);
}
V_INLINE vf act_square(vf x)
{
    return v_mul(x, x);
}
V_INLINE vf act_relu2(vf x)
{
    return act_square(act_relu(x));
}
V_INLINE vf act_gelu(vf x)
{
    /* the tail is 0 long before x reaches -30, and 0 * -infinity would be NaN */
    return v_mul(v_max(v_set1(-30.0f), x), v_normal_cdf(x));
}
/* x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3) is x sigmoid(2 u) */
V_INLINE vf act_gelu_tanh(vf x)
{
    const vf c = v_max(v_set1(-30.0f), x), x2 = v_mul(c, c);
    const vf u = v_mul(c, v_fma(x2, v_set1(1.5957691216f * 0.044715f), v_set1(1.5957691216f)));

    return v_mul(c, v_sigmoid(u));
}
V_INLINE vf act_tanh(vf x)
{
    return v_tanh(x);
}
V_INLINE vf act_softplus(vf x)
{
    return v_select(v_gt(x, v_set1(20.0f)), x, v_softplus(x));
}
V_INLINE vf act_log_sigmoid(vf x)
{
    return v_sub(v_min(v_zero(), x), v_log1p_unit(v_exp(v_sub(v_zero(), v_abs(x)))));
}
V_INLINE vf act_exp(vf x)
{
    return v_exp(x);
}
V_INLINE vf act_elu1(vf x)
{
    return v_select(v_gt(x, v_zero()), v_add(x, v_set1(1.0f)), v_exp(x));
}

/* near 0 the series of 1 - e^x, so that nothing cancels */
V_INLINE vf act_one_minus_exp(vf x)
{
    vf p = v_set1(1.0f / 362880);

    p = v_fma(p, x, v_set1(1.0f / 40320));
    p = v_fma(p, x, v_set1(1.0f / 5040));
    p = v_fma(p, x, v_set1(1.0f / 720));
    p = v_fma(p, x, v_set1(1.0f / 120));
    p = v_fma(p, x, v_set1(1.0f / 24));
    p = v_fma(p, x, v_set1(1.0f / 6));
    p = v_fma(p, x, v_set1(0.5f));
    return v_select(v_lt(v_abs(x), v_set1(0.5f)), v_fnma(v_mul(x, x), p, v_sub(v_zero(), x)),
                    v_sub(v_set1(1.0f), v_exp(x)));
}

/* In the order of their numbers. */
#define ACTIVATIONS(XX)                                                                            \
    XX(none, NONE)                                                                                 \
    XX(silu, SILU)                                                                                 \
    XX(sigmoid, SIGMOID)                                                                           \
    XX(relu, RELU)                                                                                 \
    XX(relu2, RELU2)                                                                               \
    XX(gelu, GELU)                                                                                 \
    XX(gelu_tanh, GELU_TANH)                                                                       \
    XX(tanh, TANH)                                                                                 \
    XX(softplus, SOFTPLUS)                                                                         \
    XX(log_sigmoid, LOG_SIGMOID)                                                                   \
    XX(exp, EXP)                                                                                   \
    XX(elu1, ELU1)                                                                                 \
    XX(square, SQUARE)                                                                             \
    XX(one_minus_exp, ONE_MINUS_EXP)

V_INLINE vf act(uint32_t activation, vf x)
{
    switch (activation) {
#define CASE(name, NAME)                                                                           \
    case GLA_ACT_##NAME:                                                                           \
        return act_##name(x);
        ACTIVATIONS(CASE)
#undef CASE
    default:
        return x;
    }
}

#endif
