/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp.c - the two per-token networks of transformer blocks
 *
 *   swiglu  y = Wd (act(Wg x) * Wu x)        act silu: SwiGLU (Shazeer, arXiv 2002.05202)
 *   mlp     y = Wd act(Wu x + bu) + bd
 */
#include <gla/blocks.h>

enum { P_D_FF, P_ACTIVATION, P_BIAS, P_GATE_MULTIPLIER };
static const gla_param_desc params[] = {
    [P_D_FF] = GLA_P_INT_REQ("d_ff", 1, 1 << 24, "inner width"),
    [P_ACTIVATION] = GLA_P_ACT("activation", GLA_ACT_SILU, "of the gate, or of the inner width"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "whether the linear maps have biases"),
    [P_GATE_MULTIPLIER] = GLA_P_FLOAT("gate_multiplier", 1, -1e6, 1e6, "of Wg x (Falcon-H1)")};

struct gla_layer {
    uint32_t t_inner;
    gla_mlp net;
};

static gla_status make(gla_layer *l, const gla_layer_config *c, uint32_t gated)
{
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    const gla_param_value *p = c->params;

    l->net = (gla_mlp){.d_in = c->d_in,
                       .d_out = c->d_out,
                       .d_ff = gla_u32(&p[P_D_FF]),
                       .activation = gla_u32(&p[P_ACTIVATION]),
                       .gated = gated,
                       .gate_multiplier = (float)p[P_GATE_MULTIPLIER].f};
    gla_mlp_declare(c, &l->net, names, p[P_BIAS].i ? GLA_PART_BIAS : 0);
    l->t_inner = gla_declare_rows(c, (gated ? 2u : 1u) * (size_t)l->net.d_ff);
    return GLA_OK;
}

GLA_LAYER_MAKE(make_swiglu, 1);
GLA_LAYER_MAKE(make_mlp, 0);

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    return gla_mlp_run(b->math, b, &l->net, b->scratch[l->t_inner], b->y);
}

GLA_LAYER_DESC(swiglu, "gla.swiglu/1", 1, "gated feed-forward network (arXiv 2002.05202)",
               make_swiglu, .flags = GLA_LAYER_FFN | GLA_LAYER_DETERMINISTIC);
GLA_LAYER_DESC(mlp, "gla.mlp/1", 1, "plain feed-forward network", make_mlp,
               .flags = GLA_LAYER_FFN | GLA_LAYER_DETERMINISTIC);
static const gla_layer_desc *const layers[] = {&swiglu_desc, &mlp_desc};
GLA_PLUGIN_DEFINE(mlp, "1.0", "Apache-2.0", NULL, NULL, layers);
