/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.c - norms over the whole width
 *
 *   rmsnorm    y = x / sqrt(mean(x^2) + eps) * (offset + w)              arXiv 1910.07467
 *   layernorm  y = (x - mean(x)) / sqrt(var(x) + eps) * (offset + w) + b   arXiv 1607.06450
 *
 * offset is 1 where checkpoints store w - 1 (Gemma, Qwen3-Next).
 */
#include "../tests/support/blocks_v1_0.h"

enum { P_EPS, P_OFFSET, P_WEIGHT, P_BIAS };
static const gla_param_desc params[] = {
    [P_EPS] = GLA_P_FLOAT("eps", 1e-6, 0, 1, "added to the mean square or variance"),
    [P_OFFSET] = GLA_P_FLOAT("offset", 0, -16, 16, "added to the weight"),
    [P_WEIGHT] = GLA_P_BOOL("weight", 1, "whether there is a weight"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "whether there is a bias"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, weight, bias;
    gla_norm norm;
};

static gla_status create_norm(const gla_host *host, const gla_layer_config *cfg, gla_norm_kind kind,
                              gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->weight = p[P_WEIGHT].i ? gla_declare_vector(cfg, "weight", l->d) : GLA_ABSENT;
    l->bias = p[P_BIAS].i ? gla_declare_vector(cfg, "bias", l->d) : GLA_ABSENT;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = kind,
        .groups = 1,
        .width = l->d,
        .eps = (float)p[P_EPS].f,
        .weight_offset = (float)p[P_OFFSET].f,
    };
    return GLA_OK;
}

static gla_status create_rms(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_norm(host, cfg, GLA_NORM_RMS, out);
}

static gla_status create_layer(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_norm(host, cfg, GLA_NORM_LAYER, out);
}

static void destroy(gla_layer *l)
{
    if (l)
        gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    l->norm.weight = gla_weight_f32(weights, l->weight);
    l->norm.bias = gla_weight_f32(weights, l->bias);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    return l->math->norm(b, &l->norm, b->n_rows, b->x, l->d, b->y, l->d);
}

GLA_LAYER_DESC(rmsnorm, "gla.rmsnorm/1", 1, "root mean square norm (arXiv 1910.07467)",
               GLA_LAYER_NORM | GLA_LAYER_DETERMINISTIC, create_rms);
GLA_LAYER_DESC(layernorm, "gla.layernorm/1", 1, "layer norm (arXiv 1607.06450)",
               GLA_LAYER_NORM | GLA_LAYER_DETERMINISTIC, create_layer);
static const gla_layer_desc *const layers[] = {&rmsnorm_desc, &layernorm_desc};
GLA_PLUGIN_DEFINE(norm, "1.0", "Apache-2.0", NULL, NULL, layers);
