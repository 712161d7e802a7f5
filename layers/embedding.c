/* SPDX-License-Identifier: Apache-2.0
 *
 * embedding.c - token ids to rows
 *
 *   y = multiplier * W[token]
 */
#include "../tests/support/blocks_v1_0.h"

enum { P_MULTIPLIER };
static const gla_param_desc params[] = {
    [P_MULTIPLIER] =
        GLA_P_FLOAT("multiplier", 1, -1e6, 1e6, "multiplies the rows (Gemma: sqrt(d_model))"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d;
    float multiplier;
    gla_linear *table;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_out;
    l->multiplier = (float)cfg->params[P_MULTIPLIER].f;
    gla_declare_weight(cfg, "weight", GLA_WEIGHT_MATRIX, GLA_WEIGHT_LOOKUP, cfg->vocab_size, l->d,
                       0);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->table);
    gla_host_delete(l->host, l);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    static const uint32_t part = 0;

    return gla_make_linear(l->host, weights, 1, &part, NULL, &l->table);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_status st = l->math->gather(b, l->table, b->n_rows, b->tokens, b->y, l->d);

    if (st || l->multiplier == 1.0f)
        return st;
    return l->math->scale(b, l->multiplier, b->n_rows, l->d, b->y, l->d);
}

GLA_LAYER_DEFINE(embedding, "gla.embedding/1", 1, "token embedding",
                 GLA_LAYER_EMBEDDING | GLA_LAYER_DETERMINISTIC);
