/* SPDX-License-Identifier: Apache-2.0
 *
 * head.c - rows to logits
 *
 *   y = cap(multiplier * (W x + b)),  cap(z) = soft_cap * tanh(z / soft_cap)
 */
#include "../tests/support/blocks_v1_0.h"

enum { P_TIED, P_BIAS, P_MULTIPLIER, P_SOFT_CAP };
static const gla_param_desc params[] = {
    [P_TIED] = GLA_P_BOOL("tied", 0, "use the embedding's weight (set by tie_embeddings)"),
    [P_BIAS] = GLA_P_BOOL("bias", 0, "whether there is a bias"),
    [P_MULTIPLIER] = GLA_P_FLOAT("multiplier", 1, -1e6, 1e6, "multiplies the logits"),
    [P_SOFT_CAP] = GLA_P_FLOAT("soft_cap", 0, 0, 1e6, "bounds the logits smoothly; 0 = off"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, n, weight, bias;
    float multiplier, soft_cap;
    gla_linear *linear;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->n = cfg->d_out;
    l->multiplier = (float)p[P_MULTIPLIER].f;
    l->soft_cap = (float)p[P_SOFT_CAP].f;
    l->weight = gla_declare_matrix(cfg, p[P_TIED].i ? "/embed.weight" : "weight", l->n, l->d);
    l->bias = p[P_BIAS].i ? gla_declare_vector(cfg, "bias", l->n) : GLA_ABSENT;
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->linear);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    return gla_make_linear(l->host, weights, 1, &l->weight, &l->bias, &l->linear);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    gla_status st = l->math->linear(b, l->linear, b->n_rows, b->x, l->d, b->y, l->n);
    const float inner = l->soft_cap > 0 ? l->multiplier / l->soft_cap : l->multiplier;

    if (!st && inner != 1.0f)
        st = l->math->scale(b, inner, b->n_rows, l->n, b->y, l->n);
    if (!st && l->soft_cap > 0) {
        st = l->math->activation(b, GLA_ACT_TANH, b->n_rows, l->n, b->y, l->n, b->y, l->n);
        if (!st)
            st = l->math->scale(b, l->soft_cap, b->n_rows, l->n, b->y, l->n);
    }
    return st;
}

GLA_LAYER_DEFINE(head, "gla.head/1", 1, "logits", GLA_LAYER_HEAD | GLA_LAYER_DETERMINISTIC);
