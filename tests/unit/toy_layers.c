/* SPDX-License-Identifier: Apache-2.0 */
#define GLA_PLUGIN_STATIC
#include "support/toy_layers.h"

#include "../support/blocks_v1_0.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/registry.h"

toy_param_values toy_params;

struct gla_layer {
    const gla_host *host;
    uint32_t d_in, d_out;
    uint32_t shared;
    uint32_t index;
    float factor;
    const float *weight, *bias;
};

static gla_status make(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    *out = gla_host_new(host, sizeof(**out));
    if (!*out)
        return GLA_E_NOMEM;
    (*out)->host = host;
    (*out)->d_in = cfg->d_in;
    (*out)->d_out = cfg->d_out;
    (*out)->index = cfg->layer_index;
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (l)
        gla_host_delete(l->host, l);
}

static gla_status bind_nothing(gla_layer *l, const gla_tensor *weights)
{
    (void)l;
    (void)weights;
    return GLA_OK;
}

/* ---- test.tokens ---- */

static gla_status tokens_forward(const gla_layer *l, const gla_batch *b)
{
    for (uint32_t r = 0; r < b->n_rows; r++)
        for (uint32_t i = 0; i < l->d_out; i++)
            b->y[(size_t)r * l->d_out + i] = (float)b->tokens[r];
    return GLA_OK;
}

static const gla_layer_desc tokens_desc = {.struct_size = sizeof(gla_layer_desc),
                                           .revision = 1,
                                           .type_id = "test.tokens/1",
                                           .flags = GLA_LAYER_EMBEDDING,
                                           .create = make,
                                           .destroy = destroy,
                                           .bind = bind_nothing,
                                           .forward = tokens_forward};

/* ---- test.scale ---- */

static const gla_param_desc scale_params[] = {GLA_P_FLOAT("factor", 2, -1000, 1000, "of the rows")};

static gla_status scale_create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_status st = make(host, cfg, out);

    if (!st)
        (*out)->factor = (float)cfg->params[0].f;
    return st;
}

static gla_status scale_forward(const gla_layer *l, const gla_batch *b)
{
    for (size_t i = 0; i < (size_t)b->n_rows * l->d_in; i++)
        b->y[i] = l->factor * b->x[i];
    return GLA_OK;
}

static const gla_layer_desc scale_desc = {.struct_size = sizeof(gla_layer_desc),
                                          .revision = 1,
                                          .type_id = "test.scale/1",
                                          .flags = GLA_LAYER_MIXER | GLA_LAYER_FFN | GLA_LAYER_NORM,
                                          .params = scale_params,
                                          .n_params = 1,
                                          .create = scale_create,
                                          .destroy = destroy,
                                          .bind = bind_nothing,
                                          .forward = scale_forward};

/* ---- test.sum ---- */

static gla_status sum_create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_status st = make(host, cfg, out);

    if (!st)
        gla_declare_fixed(cfg, "sum", cfg->d_in, 0, 0, cfg->d_in);
    return st;
}

static gla_status sum_forward(const gla_layer *l, const gla_batch *b)
{
    for (uint32_t s = 0; s < b->n_sequences; s++) {
        float *sum = gla_state_f32(b, s, 0);

        for (uint32_t r = b->row_offset[s]; r < b->row_offset[s + 1]; r++)
            for (uint32_t i = 0; i < l->d_in; i++) {
                sum[i] += b->x[(size_t)r * l->d_in + i];
                b->y[(size_t)r * l->d_in + i] = sum[i];
            }
    }
    return GLA_OK;
}

static const gla_layer_desc sum_desc = {.struct_size = sizeof(gla_layer_desc),
                                        .revision = 1,
                                        .type_id = "test.sum/1",
                                        .flags = GLA_LAYER_MIXER | GLA_LAYER_FFN,
                                        .create = sum_create,
                                        .destroy = destroy,
                                        .bind = bind_nothing,
                                        .forward = sum_forward};

/* ---- test.readout ---- */

static const gla_param_desc readout_params[] = {GLA_P_BOOL("tied", 0, "as real heads have it")};

static gla_status readout_forward(const gla_layer *l, const gla_batch *b)
{
    for (uint32_t r = 0; r < b->n_rows; r++)
        for (uint32_t n = 0; n < l->d_out; n++)
            b->y[(size_t)r * l->d_out + n] =
                b->x[(size_t)r * l->d_in + n % l->d_in] * (float)(n + 1);
    return GLA_OK;
}

static const gla_layer_desc readout_desc = {.struct_size = sizeof(gla_layer_desc),
                                            .revision = 1,
                                            .type_id = "test.readout/1",
                                            .flags = GLA_LAYER_HEAD,
                                            .params = readout_params,
                                            .n_params = 1,
                                            .create = make,
                                            .destroy = destroy,
                                            .bind = bind_nothing,
                                            .forward = readout_forward};

/* ---- test.share ---- */

static gla_status share_create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_status st = make(host, cfg, out);

    if (!st)
        (*out)->shared = cfg->declare->shared(cfg->declare, "first", cfg->d_in);
    return st;
}

static gla_status share_forward(const gla_layer *l, const gla_batch *b)
{
    const size_t bytes = (size_t)b->n_rows * l->d_in * sizeof(float);

    if (l->index == 0)
        memcpy(b->shared[l->shared], b->x, bytes);
    memcpy(b->y, b->shared[l->shared], bytes);
    return GLA_OK;
}

static const gla_layer_desc share_desc = {.struct_size = sizeof(gla_layer_desc),
                                          .revision = 1,
                                          .type_id = "test.share/1",
                                          .flags = GLA_LAYER_MIXER,
                                          .create = share_create,
                                          .destroy = destroy,
                                          .bind = bind_nothing,
                                          .forward = share_forward};

/* ---- test.params ---- */

static const char *const colours[] = {"red", "green", "blue", NULL};
static const gla_param_desc params_params[] = {
    GLA_P_INT_REQ("heads", 1, 64, "how many"), GLA_P_FLOAT("rope.theta", 1e4, 1, 1e9, "base"),
    GLA_P_BOOL("bias", 1, "whether"),          GLA_P_ENUM("colour", 1, colours, "which"),
    GLA_P_LIST("sections", "several"),
};

static gla_status params_create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    memcpy(toy_params.values, cfg->params, sizeof(toy_params.values));
    for (uint32_t i = 0; i < cfg->params[4].n_list && i < 8; i++)
        toy_params.list[i] = cfg->params[4].list[i];
    return make(host, cfg, out);
}

static const gla_layer_desc params_desc = {.struct_size = sizeof(gla_layer_desc),
                                           .revision = 1,
                                           .type_id = "test.params/1",
                                           .flags = GLA_LAYER_FFN,
                                           .params = params_params,
                                           .n_params = 5,
                                           .create = params_create,
                                           .destroy = destroy,
                                           .bind = bind_nothing,
                                           .forward = scale_forward};

/* ---- test.weights ---- */

static gla_status weights_create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_status st = make(host, cfg, out);

    if (!st) {
        gla_declare_vector(cfg, "weight", cfg->d_in);
        gla_declare_vector(cfg, "bias", cfg->d_in);
    }
    return st;
}

static gla_status weights_bind(gla_layer *l, const gla_tensor *weights)
{
    l->weight = gla_weight_f32(weights, 0);
    l->bias = gla_weight_f32(weights, 1);
    return GLA_OK;
}

static gla_status weights_forward(const gla_layer *l, const gla_batch *b)
{
    for (size_t i = 0; i < (size_t)b->n_rows * l->d_in; i++)
        b->y[i] = l->weight[i % l->d_in] * b->x[i] + l->bias[i % l->d_in];
    return GLA_OK;
}

static const gla_layer_desc weights_desc = {.struct_size = sizeof(gla_layer_desc),
                                            .revision = 1,
                                            .type_id = "test.weights/1",
                                            .flags = GLA_LAYER_FFN,
                                            .create = weights_create,
                                            .destroy = destroy,
                                            .bind = weights_bind,
                                            .forward = weights_forward};

/* ---- test.careless ---- */

static gla_status careless_forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = gla_host_math(b->host);
    const gla_norm norm = {.struct_size = sizeof(norm),
                           .kind = b->x[0] == 9 ? 99 : GLA_NORM_SOFTMAX,
                           .groups = 1,
                           .width = 1};
    const size_t d = l->d_in;

    m->norm(b, &norm, 1, b->x, d, b->y, d);
    m->shift(b, 0, l->d_in, b->x, d, b->y, d);
    return GLA_OK;
}

static const gla_layer_desc careless_desc = {.struct_size = sizeof(gla_layer_desc),
                                             .revision = 1,
                                             .type_id = "test.careless/1",
                                             .flags = GLA_LAYER_MIXER,
                                             .create = sum_create,
                                             .destroy = destroy,
                                             .bind = bind_nothing,
                                             .forward = careless_forward};

static const gla_layer_desc *const layers[] = {&tokens_desc,  &scale_desc,   &sum_desc,
                                               &share_desc,   &params_desc,  &weights_desc,
                                               &readout_desc, &careless_desc};
GLA_PLUGIN_DEFINE(toy, "1.0", "Apache-2.0", NULL, NULL, layers);

gla_registry *toy_registry(void)
{
    gla_registry *r;
    gla_diag diag;

    cr_assert_eq(gla_registry_create(NULL, &r, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla__registry_add(r, &gla_plugin_entry_v1_toy, &diag), GLA_OK, "%s", diag.message);
    return r;
}

gla_arch *toy_arch(const char *blocks, const char *list)
{
    char text[2048];
    gla_arch *arch;
    gla_diag diag;
    const int n = snprintf(text, sizeof(text),
                           "gla: 1\nname: toy\nvocab_size: 10\nd_model: 4\n"
                           "norm: {type: test.scale, factor: 1}\nembedding: {type: test.tokens}\n"
                           "head: {type: test.readout}\nblocks:\n%s\nlayers: %s\n",
                           blocks, list);

    cr_assert_lt((size_t)n, sizeof(text));
    cr_assert_eq(gla_arch_parse(text, (size_t)n, "toy.yaml", &arch, &diag), GLA_OK, "%s",
                 diag.message);
    return arch;
}
