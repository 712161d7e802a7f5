/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp.c - the two per-token networks of transformer blocks
 *
 *   swiglu  y = Wd (act(Wg x) * Wu x)        act silu: SwiGLU (Shazeer, arXiv 2002.05202)
 *   mlp     y = Wd act(Wu x + bu) + bd
 */
#include "../tests/support/blocks_v1_0.h"

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};

enum { P_D_FF, P_ACTIVATION, P_BIAS, P_GATE_MULTIPLIER };
static const gla_param_desc params[] = {
    [P_D_FF] = GLA_P_INT_REQ("d_ff", 1, 1 << 24, "inner width"),
    [P_ACTIVATION] =
        GLA_P_ENUM("activation", GLA_ACT_SILU, activations, "of the gate, or of the inner width"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "whether the linear maps have biases"),
    [P_GATE_MULTIPLIER] =
        GLA_P_FLOAT("gate_multiplier", 1, -1e6, 1e6, "multiplies Wg x (Falcon-H1)"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t up[2], up_bias[2], down, down_bias; /* weights; up: gate, up */
    uint32_t inner;                              /* scratch */
    gla_mlp net;
};

static gla_status create_mlp(const gla_host *host, const gla_layer_config *cfg, uint32_t gated,
                             gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    const uint32_t d_ff = (uint32_t)p[P_D_FF].i;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->net = (gla_mlp){
        .d_in = cfg->d_in,
        .d_out = cfg->d_out,
        .d_ff = d_ff,
        .activation = (uint32_t)p[P_ACTIVATION].i,
        .gated = gated,
        .gate_multiplier = (float)p[P_GATE_MULTIPLIER].f,
    };
    l->up[0] = l->up_bias[0] = l->up_bias[1] = l->down_bias = GLA_ABSENT;
    if (gated)
        l->up[0] = gla_declare_matrix(cfg, "gate_proj.weight", d_ff, cfg->d_in);
    l->up[1] = gla_declare_matrix(cfg, "up_proj.weight", d_ff, cfg->d_in);
    l->down = gla_declare_matrix(cfg, "down_proj.weight", cfg->d_out, d_ff);
    if (p[P_BIAS].i) {
        if (gated)
            l->up_bias[0] = gla_declare_vector(cfg, "gate_proj.bias", d_ff);
        l->up_bias[1] = gla_declare_vector(cfg, "up_proj.bias", d_ff);
        l->down_bias = gla_declare_vector(cfg, "down_proj.bias", cfg->d_out);
    }
    l->inner = gla_declare_rows(cfg, (gated ? 2u : 1u) * (size_t)d_ff);
    return GLA_OK;
}

static gla_status create_swiglu(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_mlp(host, cfg, 1, out);
}

static gla_status create_plain(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_mlp(host, cfg, 0, out);
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->net.in);
    l->math->linear_destroy(l->net.out);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const gla_status st = gla_make_linear(l->host, weights, 2, l->up, l->up_bias, &l->net.in);

    return st ? st : gla_make_linear(l->host, weights, 1, &l->down, &l->down_bias, &l->net.out);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    return gla_run_mlp(l->math, b, &l->net, b->scratch[l->inner], b->y);
}

GLA_LAYER_DESC(swiglu, "gla.swiglu/1", 1, "gated feed-forward network (arXiv 2002.05202)",
               GLA_LAYER_FFN | GLA_LAYER_DETERMINISTIC, create_swiglu);
GLA_LAYER_DESC(mlp, "gla.mlp/1", 1, "plain feed-forward network",
               GLA_LAYER_FFN | GLA_LAYER_DETERMINISTIC, create_plain);
static const gla_layer_desc *const layers[] = {&swiglu_desc, &mlp_desc};
GLA_PLUGIN_DEFINE(mlp, "1.0", "Apache-2.0", NULL, NULL, layers);
