/* SPDX-License-Identifier: Apache-2.0
 *
 * tiny_v1_1.c - a mixer whose object the host owns, with one of each that it can declare
 *
 *   u = act(conv(W x)),  h = exp(a) h + (1 - exp(a)) u,  a = log sigmoid(decay)
 *   y = Wo ((h + table) * weight)
 *
 * D model.  A host of version 1.0 refuses it; one that has grown runs it (grown.sh).
 */
#include <gla/plugin.h>

enum { P_ACTIVATION, P_OWN };
static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};
static const gla_param_desc params[] = {
    [P_ACTIVATION] = GLA_P_ENUM("activation", GLA_ACT_SILU, activations, "of the convolution")};
enum { M_CONV, M_OFFSET };
static const gla_param_desc more[] = {
    [M_CONV] = GLA_P_INT("conv", 3, 1, 64, "width of the convolution"),
    [M_OFFSET] = GLA_P_FLOAT("offset", 0.5, -8, 8, "what the table holds")};

struct gla_layer {
    uint32_t d, s_conv, s_average, t_u;
    float offset;
    gla_linear *in, *out;
    gla_conv *conv;
    gla_rope *rope;
    const float *log_decay, *write, *weight;
    float *table;
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_declare *declare = c->declare;
    const uint32_t d = c->d_in, width = (uint32_t)c->params[P_OWN + M_CONV].i;
    const gla_init init = {.struct_size = (uint32_t)sizeof(init), .kind = GLA_INIT_NORMAL, .a = 1};
    /* the two halves of one weight, the later one first */
    gla_view halves[2];
    const gla_part in[] = {
        {.name = "in", .out = d - d / 2, .flags = GLA_PART_BIAS, .view = &halves[1], .init = &init},
        {.name = "in", .out = d / 2, .flags = GLA_PART_BIAS, .view = &halves[0]}};
    const gla_part out = {.name = "out", .out = d};
    const gla_part taps = {.name = "conv", .out = d, .flags = GLA_PART_BIAS};
    const gla_map in_map = {.struct_size = (uint32_t)sizeof(in_map),
                            .part_size = (uint32_t)sizeof(gla_part),
                            .parts = in,
                            .n_parts = 2,
                            .in = d};
    const gla_map out_map = {.struct_size = (uint32_t)sizeof(out_map),
                             .part_size = (uint32_t)sizeof(gla_part),
                             .parts = &out,
                             .n_parts = 1,
                             .in = d};
    const gla_conv_map conv_map = {.struct_size = (uint32_t)sizeof(conv_map),
                                   .part_size = (uint32_t)sizeof(gla_part),
                                   .parts = &taps,
                                   .n_parts = 1,
                                   .width = width,
                                   .activation = (uint32_t)c->params[P_ACTIVATION].i};
    gla_expr e = {.struct_size = (uint32_t)sizeof(e), .ndim = 1, .dims = {d}};
    const gla_rope_spec rope = {.struct_size = (uint32_t)sizeof(rope), .dims = 2, .theta = 1e4};
    gla_state_desc state = {.name = "conv",
                            .kind = GLA_STATE_FIXED,
                            .ndim = 2,
                            .dims = {width - 1, d},
                            .struct_size = (uint32_t)sizeof(state)};

    l->d = d;
    l->offset = (float)c->params[P_OWN + M_OFFSET].f;
    for (uint32_t i = 0; i < 2; i++)
        halves[i] = (gla_view){.struct_size = (uint32_t)sizeof(gla_view),
                               .role = GLA_WEIGHT_MATRIX,
                               .ndim = 2,
                               .dims = {d, d},
                               .offset = i * (uint64_t)(d / 2) * d,
                               .out_stride = d,
                               .in_stride = 1,
                               .bias_offset = i * (uint64_t)(d / 2),
                               .bias_size = d};
    declare->linear(declare, &in_map, &l->in);
    declare->linear(declare, &out_map, &l->out);
    declare->conv(declare, &conv_map, &l->conv);
    declare->rope(declare, &rope, &l->rope);
    e.name = "weight";
    declare->numbers(declare, &e, &l->weight);
    e.name = "decay";
    e.init = &init;
    e.act = GLA_ACT_LOG_SIGMOID;
    declare->numbers(declare, &e, &l->log_decay);
    e.act = GLA_ACT_SIGMOID; /* 1 - a = 1 - sigmoid(decay) */
    e.scale = -1;
    e.shift = 1;
    declare->numbers(declare, &e, &l->write);
    declare->table(declare, d, &l->table);
    l->s_conv = declare->state(declare, &state);
    state.name = "h";
    state.ndim = 1;
    state.dims[0] = d;
    l->s_average = declare->state(declare, &state);
    l->t_u = declare->scratch(declare, d, 0, 0);
    return GLA_OK;
}

static gla_status bound(gla_layer *l)
{
    for (uint32_t i = 0; i < l->d; i++)
        l->table[i] = l->offset;
    return GLA_OK;
}

/* u += the table, for rows [first, last). */
static void add_table(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const uint32_t d = *(const uint32_t *)arg;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t i = 0; i < d; i++)
            at[0][(size_t)r * d + i] += at[1][i];
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const size_t d = l->d;
    const gla_math *m = b->math;
    float *u = b->scratch[l->t_u];
    const gla_scan scan = {.struct_size = (uint32_t)sizeof(scan),
                           .state = l->s_average,
                           .width = l->d,
                           .log_decay = l->log_decay,
                           .x = u,
                           .ld_x = d,
                           .ld_y = d,
                           .y = u};
    const gla_factor write = {.struct_size = (uint32_t)sizeof(write),
                              .rows = b->n_rows,
                              .groups = l->d,
                              .width = 1,
                              .x = u,
                              .f = l->write,
                              .y = u,
                              .ld_x = d,
                              .ld_y = d};
    const gla_operand operands[] = {{.p = u, .ld = d, .width = l->d, .use = GLA_USE_READ_WRITE},
                                    {.p = l->table, .width = l->d, .use = GLA_USE_READ}};
    const gla_rows rows = {.struct_size = (uint32_t)sizeof(rows),
                           .operand_size = (uint32_t)sizeof(gla_operand),
                           .operands = operands,
                           .n_operands = 2,
                           .rows = b->n_rows,
                           .arg = &l->d,
                           .arg_bytes = (uint32_t)sizeof(l->d),
                           .fn = add_table};

    m->linear(b, l->in, b->n_rows, b->x, d, u, d);
    m->conv1d(b, l->conv, l->s_conv, u, d, u, d);
    m->rope(b, l->rope, 1, 2, u, d);
    m->mul(b, &write);
    m->scan(b, &scan);
    m->rows(b, &rows);
    m->scale_channels(b, l->weight, b->n_rows, l->d, u, d);
    return m->linear(b, l->out, b->n_rows, u, d, b->y, d);
}

static const gla_layer_desc desc = {.struct_size = (uint32_t)sizeof(gla_layer_desc),
                                    .revision = 1,
                                    .type_id = "org.example.tiny/1",
                                    .summary = "one of each that a layer can declare",
                                    .flags = GLA_LAYER_MIXER | GLA_LAYER_DETERMINISTIC,
                                    .params = params,
                                    .n_params = P_OWN,
                                    .param_size = (uint32_t)sizeof(gla_param_desc),
                                    .forward = forward,
                                    .layer_bytes = sizeof(gla_layer),
                                    .make = make,
                                    .bound = bound,
                                    .more = more,
                                    .n_more = (uint32_t)(sizeof(more) / sizeof(more[0])),
                                    .value_size = (uint32_t)sizeof(gla_param_value),
                                    .tensor_size = (uint32_t)sizeof(gla_tensor)};
static const gla_layer_desc *const layers[] = {&desc};
GLA_PLUGIN_DEFINE(tiny, "1.0", "Apache-2.0", NULL, NULL, layers);
