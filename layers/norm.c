/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.c - norms over the whole width
 *
 *   rmsnorm    y = x / sqrt(mean(x^2) + eps) * (offset + w)              arXiv 1910.07467
 *   layernorm  y = (x - mean(x)) / sqrt(var(x) + eps) * (offset + w) + b   arXiv 1607.06450
 *
 * offset is 1 where checkpoints store w - 1 (Gemma, Qwen3-Next).
 */
#include <gla/blocks.h>

enum { P_EPS, P_OFFSET, P_WEIGHT, P_BIAS };
static const gla_param_desc params[] = {
    [P_EPS] = GLA_P_FLOAT("eps", 1e-6, 0, 1, "added to the mean square or variance"),
    [P_OFFSET] = GLA_P_FLOAT("offset", 0, -16, 16, "added to the weight"),
    [P_WEIGHT] = GLA_P_BOOL("weight", 1, "whether there is a weight"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "whether there is a bias")};

struct gla_layer {
    gla_norm norm;
};

static gla_status make(gla_layer *l, const gla_layer_config *c, gla_norm_kind kind)
{
    const gla_param_value *p = c->params;

    l->norm = gla_norm_of(kind, 1, c->d_in, (float)p[P_EPS].f);
    l->norm.weight_offset = (float)p[P_OFFSET].f;
    gla_norm_declare(c, &l->norm, p[P_WEIGHT].i ? "weight" : NULL, p[P_BIAS].i ? "bias" : NULL);
    return GLA_OK;
}

GLA_LAYER_MAKE(make_rms, GLA_NORM_RMS);
GLA_LAYER_MAKE(make_layer, GLA_NORM_LAYER);

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    return b->math->norm(b, &l->norm, b->n_rows, b->x, l->norm.width, b->y, l->norm.width);
}

GLA_LAYER_DESC(rmsnorm, "gla.rmsnorm/1", 1, "root mean square norm (arXiv 1910.07467)", make_rms,
               .flags = GLA_LAYER_NORM | GLA_LAYER_DETERMINISTIC);
GLA_LAYER_DESC(layernorm, "gla.layernorm/1", 1, "layer norm (arXiv 1607.06450)", make_layer,
               .flags = GLA_LAYER_NORM | GLA_LAYER_DETERMINISTIC);
static const gla_layer_desc *const layers[] = {&rmsnorm_desc, &layernorm_desc};
GLA_PLUGIN_DEFINE(norm, "1.0", "Apache-2.0", NULL, NULL, layers);
