/* SPDX-License-Identifier: Apache-2.0
 *
 * embedding.c - token ids to rows
 *
 *   y = multiplier * W[token]
 */
#include <gla/blocks.h>

enum { P_MULTIPLIER };
static const gla_param_desc params[] = {
    [P_MULTIPLIER] =
        GLA_P_FLOAT("multiplier", 1, -1e6, 1e6, "multiplies the rows (Gemma: sqrt(d_model))")};

struct gla_layer {
    uint32_t d;
    float multiplier;
    gla_linear *table;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    l->d = c->d_out;
    l->multiplier = (float)c->params[P_MULTIPLIER].f;
    gla_declare_linear(c, "", c->vocab_size, l->d, GLA_PART_LOOKUP, &l->table);
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_status st = b->math->gather(b, l->table, b->n_rows, b->tokens, b->y, l->d);

    if (l->multiplier == 1.0f)
        return st;
    return b->math->scale(b, l->multiplier, b->n_rows, l->d, b->y, l->d);
}

GLA_LAYER_DEFINE(embedding, "gla.embedding/1", 1, "token embedding",
                 .flags = GLA_LAYER_EMBEDDING | GLA_LAYER_DETERMINISTIC);
