/* SPDX-License-Identifier: Apache-2.0
 *
 * test_declare.c - what layers declare as data, and what the host makes of it
 */
#define GLA_PLUGIN_STATIC
#include "graph/declare.h"

#include <criterion/criterion.h>
#include <gla/gla.h>

#include "runtime/registry.h"
#include "support/declared_layer.h"
#include "support/toy_layers.h"

typedef gla_status make_fn(gla_layer *l, const gla_layer_config *c);

static void made(declared *d, make_fn *make)
{
    cr_assert_eq(declared_make(d, make), GLA_OK, "%s", d->diag.message);
    cr_assert_eq(declared_bind(d), GLA_OK, "%s", d->diag.message);
}

static void refused(make_fn *make, gla_status status, const char *message)
{
    declared d;

    cr_expect_eq(declared_make(&d, make), status, "%s: %s", message, d.diag.message);
    cr_expect(strstr(d.diag.message, message), "'%s' has no '%s'", d.diag.message, message);
    cr_expect_str_eq(d.diag.where, "layer (test.declared/1)");
    cr_expect_null(d.in.layer);
}

/* The map is W [out, in], row after row. */
static void expect_matrix(const gla_linear *map, uint32_t out, uint32_t in, const float *w)
{
    for (uint32_t i = 0; i < in; i++) {
        float x[16] = {0}, y[16];

        x[i] = 1;
        cr_assert_eq(declared_apply(map, x, in, y, out), GLA_OK);
        for (uint32_t o = 0; o < out; o++)
            cr_expect_eq(y[o], w[o * in + i], "W[%u, %u] is %g, not %g", o, i, (double)y[o],
                         (double)w[o * in + i]);
    }
}

static void expect_numbers(const float *got, size_t n, const float *want)
{
    for (size_t i = 0; i < n; i++)
        cr_expect_float_eq(got[i], want[i], 1e-6f, "[%zu] is %g, not %g", i, (double)got[i],
                           (double)want[i]);
}

/* ---- maps ---- */

static gla_part nine[9] = {
    {.name = "a", .out = 1}, {.name = "b", .out = 1}, {.name = "c", .out = 1},
    {.name = "d", .out = 1}, {.name = "e", .out = 1}, {.name = "f", .out = 1},
    {.name = "g", .out = 1}, {.name = "h", .out = 1}, {.name = "i", .out = 1}};

static gla_status map_of_nine(gla_layer *l, const gla_layer_config *c)
{
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = nine, .n_parts = 9, .in = 2), &l->map);
    return GLA_OK;
}

Test(declare, a_map_has_eight_parts_at_most_and_absent_ones_do_not_count)
{
    declared d;

    refused(map_of_nine, GLA_E_PLUGIN, "more than 8 parts");
    nine[3].out = 0;
    made(&d, map_of_nine);
    cr_expect_eq(d.in.n_weights, 8);
    expect_matrix(d.in.layer->map, 8, 2, (float[]){0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
    declared_free(&d);
}

static gla_status map_of_none(gla_layer *l, const gla_layer_config *c)
{
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = nine, .n_parts = 0, .in = 2), &l->map);
    return GLA_OK;
}

Test(declare, a_map_without_parts_is_not_made)
{
    declared d;

    made(&d, map_of_none);
    cr_expect_eq(d.in.n_made, 0);
    cr_expect_null(d.in.layer->map);
    declared_free(&d);
}

static gla_status map_of_many(gla_layer *l, const gla_layer_config *c)
{
    c->declare->linear(c->declare, &DECLARED_MAP(.n_parts = 12, .in = 2), &l->map);
    return GLA_OK;
}

static gla_status part_twice(gla_layer *l, const gla_layer_config *c)
{
    const gla_part parts[] = {{.name = "w", .out = 2}, {.name = "w", .out = 2}};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = parts, .n_parts = 2, .in = 3), &l->map);
    return GLA_OK;
}

Test(declare, more_parts_than_there_may_be_and_one_twice_are_refused)
{
    refused(map_of_many, GLA_E_PLUGIN, "a map of 12 parts, 8 at most");
    refused(part_twice, GLA_E_PLUGIN, "a map has part 'w' twice");
}

static gla_linear *elsewhere;

static gla_status map_elsewhere(gla_layer *l, const gla_layer_config *c)
{
    (void)l;
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = nine, .n_parts = 1, .in = 2), &elsewhere);
    return GLA_OK;
}

static gla_status map_at_the_end(gla_layer *l, const gla_layer_config *c)
{
    gla_linear **out = (gla_linear **)(void *)((char *)(l + 1) - sizeof(void *) / 2);

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = nine, .n_parts = 1, .in = 2), out);
    return GLA_OK;
}

static gla_status two_in_one_place(gla_layer *l, const gla_layer_config *c)
{
    const gla_map map = DECLARED_MAP(.parts = nine, .n_parts = 1, .in = 2);

    c->declare->linear(c->declare, &map, &l->map);
    c->declare->linear(c->declare, &map, &l->map);
    return GLA_OK;
}

Test(declare, what_is_made_is_written_to_the_object_only_and_once)
{
    refused(map_elsewhere, GLA_E_PLUGIN, "outside of the layer object");
    refused(map_at_the_end, GLA_E_PLUGIN, "outside of the layer object");
    refused(two_in_one_place, GLA_E_PLUGIN, "to one place");
}

static gla_status weight_twice(gla_layer *l, const gla_layer_config *c)
{
    const gla_part parts[] = {{.name = "w", .out = 2}, {.name = "v", .out = 1}};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = parts, .n_parts = 1, .in = 3), &l->map);
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = parts, .n_parts = 2, .in = 3),
                       &l->maps[0]);
    return GLA_OK;
}

static gla_status weight_twice_otherwise(gla_layer *l, const gla_layer_config *c)
{
    const gla_part part = {.name = "w", .out = 2};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = &part, .n_parts = 1, .in = 3), &l->map);
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = &part, .n_parts = 1, .in = 4),
                       &l->maps[0]);
    return GLA_OK;
}

static gla_status weight_twice_by_hand(gla_layer *l, const gla_layer_config *c)
{
    const gla_weight_desc w = {
        .name = "w", .role = GLA_WEIGHT_VECTOR, .ndim = 1, .dims = {4}, .active = 1};

    (void)l;
    c->declare->weight(c->declare, &w);
    c->declare->weight(c->declare, &w);
    return GLA_OK;
}

Test(declare, two_maps_may_name_one_weight_of_one_shape)
{
    declared d;

    made(&d, weight_twice);
    cr_expect_eq(d.in.n_weights, 2);
    cr_expect_str_eq(d.in.weights[0].name, "layer.w.weight");
    expect_matrix(d.in.layer->map, 2, 3, (float[]){0, 1, 2, 3, 4, 5});
    expect_matrix(d.in.layer->maps[0], 3, 3, (float[]){0, 1, 2, 3, 4, 5, 0, 1, 2});
    declared_free(&d);
    refused(weight_twice_otherwise, GLA_E_PLUGIN,
            "'layer.w.weight' is declared twice, with another");
    refused(weight_twice_by_hand, GLA_E_PLUGIN, "'layer.w' is declared twice");
}

static gla_status map_with_biases(gla_layer *l, const gla_layer_config *c)
{
    const gla_part parts[] = {{.name = "q", .out = 2, .flags = GLA_PART_BIAS},
                              {.name = "k", .out = 1},
                              {.name = "v", .out = 1, .bias = "dt_bias"}};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = parts, .n_parts = 3, .in = 1), &l->map);
    return GLA_OK;
}

Test(declare, biases_have_the_parts_name_or_one_of_their_own_and_start_at_zero)
{
    declared d;
    float y[4];

    cr_assert_eq(declared_make(&d, map_with_biases), GLA_OK);
    cr_assert_eq(d.in.n_weights, 5);
    cr_expect_str_eq(d.in.weights[1].name, "layer.q.bias");
    cr_expect_str_eq(d.in.weights[4].name, "layer.dt_bias");
    cr_expect_eq(d.in.weights[4].init->kind, GLA_INIT_CONSTANT);
    cr_expect_eq(d.in.weights[4].init->a, 0);
    d.numbers[1][0] = 10;
    d.numbers[1][1] = 20;
    d.numbers[4][0] = 30;
    cr_assert_eq(declared_bind(&d), GLA_OK);
    cr_assert_eq(declared_apply(d.in.layer->map, (float[]){1}, 1, y, 4), GLA_OK);
    expect_numbers(y, 4, (float[]){10, 21, 0, 30});
    declared_free(&d);
}

static gla_status grouped_map(gla_layer *l, const gla_layer_config *c)
{
    const gla_part part = {.name = "experts", .out = 2, .flags = GLA_PART_BIAS};

    c->declare->linear(
        c->declare,
        &DECLARED_MAP(.parts = &part, .n_parts = 1, .in = 1, .groups = 3, .active = 0.5), &l->map);
    return GLA_OK;
}

Test(declare, each_group_has_its_bias)
{
    const uint32_t offset[] = {0, 1, 1, 2};
    const float x[] = {100, 1000};
    test_batch t;
    declared d;
    float y[4];

    cr_assert_eq(declared_make(&d, grouped_map), GLA_OK, "%s", d.diag.message);
    cr_expect_eq(d.in.weights[0].ndim, 3);
    cr_expect_eq(d.in.weights[0].active, 0.5);
    cr_assert_eq(d.in.weights[1].ndim, 2);
    cr_expect_eq(d.in.weights[1].dims[0], 3);
    cr_expect_eq(d.in.weights[1].dims[1], 2);
    cr_assert_eq(declared_bind(&d), GLA_OK, "%s", d.diag.message);
    test_batch_init(&t, 1, (uint32_t[]){2}, 0, NULL);
    cr_assert_eq(declared_math()->linear_grouped(&t.batch, d.in.layer->map, offset, x, 1, y, 2),
                 GLA_OK);
    expect_numbers(y, 4, (float[]){0, 100 + 1, 4000 + 4, 5000 + 5});
    test_batch_free(&t);
    declared_free(&d);
}

/* ---- parts of larger weights ---- */

static gla_view view;
static gla_part viewed[2];
static uint32_t n_viewed;

static gla_status map_of_views(gla_layer *l, const gla_layer_config *c)
{
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = viewed, .n_parts = n_viewed, .in = 2),
                       &l->map);
    return GLA_OK;
}

static void one_view(uint64_t offset, uint64_t out_stride, uint64_t in_stride)
{
    view = DECLARED_VIEW(.ndim = 2, .dims = {4, 3}, .offset = offset, .out_stride = out_stride,
                         .in_stride = in_stride);
    viewed[0] = (gla_part){.name = "w", .out = 2, .view = &view};
    viewed[1] = (gla_part){.name = "v", .out = 1};
    n_viewed = 1;
}

Test(declare, a_part_may_be_any_rows_and_columns_of_a_weight)
{
    static const struct {
        uint64_t offset, out_stride, in_stride;
        float w[4];
    } cases[] = {
        {2, 2, 1, {2, 3, 4, 5}},  /* dense rows */
        {1, 1, 2, {1, 3, 2, 4}},  /* dense columns */
        {3, 3, 1, {3, 4, 6, 7}},  /* two columns of three */
        {0, 1, 3, {0, 3, 1, 4}},  /* ... transposed */
        {5, 0, 0, {5, 5, 5, 5}},  /* one number */
        {0, 6, 5, {0, 5, 6, 11}}, /* to the very end */
    };
    declared d;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (n_viewed = 1; n_viewed <= 2; n_viewed++) { /* alone, and beside another part */
            const uint32_t n = n_viewed;
            float w[6] = {[4] = 0, [5] = 1};

            one_view(cases[i].offset, cases[i].out_stride, cases[i].in_stride);
            n_viewed = n;
            memcpy(w, cases[i].w, sizeof(cases[i].w));
            made(&d, map_of_views);
            cr_expect_eq(d.in.weights[0].dims[0], 4);
            expect_matrix(d.in.layer->map, n + 1, 2, w);
            declared_free(&d);
        }
}

Test(declare, a_view_beyond_its_weight_is_refused)
{
    static const struct {
        uint64_t offset, out_stride, in_stride;
    } cases[] = {{0, 6, 6}, {9, 2, 1}, {12, 0, 0}, {UINT64_MAX, 1, 1}, {0, UINT64_MAX, 1}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        one_view(cases[i].offset, cases[i].out_stride, cases[i].in_stride);
        refused(map_of_views, GLA_E_PLUGIN, "a part of weight 'w.weight' reaches beyond it");
    }
    one_view(0, 2, 1);
    view.bias_size = 3;
    view.bias_offset = 2;
    viewed[0].flags = GLA_PART_BIAS;
    refused(map_of_views, GLA_E_PLUGIN, "a part of 'w.bias' reaches beyond it");
    view.bias_size = 5; /* [2, 2] has 4 */
    view.bias_rows = 2;
    view.bias_offset = 3;
    refused(map_of_views, GLA_E_PLUGIN, "a part of 'w.bias' reaches beyond it");
    one_view(0, 2, 1);
    view.struct_size = 8;
    refused(map_of_views, GLA_E_ABI, "gla_view: size is 8, its first version has 120");
    one_view(0, 2, 1);
    viewed[0].flags = GLA_PART_TRANSPOSED;
    refused(map_of_views, GLA_E_PLUGIN, "transposed parts take whole weights");
    viewed[0].view = NULL;
    n_viewed = 2;
    refused(map_of_views, GLA_E_PLUGIN, "a transposed part is the only one of its map");
}

Test(declare, a_part_of_a_larger_bias)
{
    declared d;
    float y[2];

    one_view(0, 2, 1);
    view.bias_size = 5;
    view.bias_offset = 3;
    viewed[0].flags = GLA_PART_BIAS;
    made(&d, map_of_views);
    cr_expect_eq(d.in.weights[1].ndim, 1);
    cr_expect_eq(d.in.weights[1].dims[0], 5);
    cr_assert_eq(declared_apply(d.in.layer->map, (float[]){0, 0}, 2, y, 2), GLA_OK);
    expect_numbers(y, 2, (float[]){3, 4});
    declared_free(&d);

    view.bias_size = 6; /* of rows: the second of three */
    view.bias_rows = 3;
    view.bias_offset = 2;
    made(&d, map_of_views);
    cr_expect_eq(d.in.weights[1].ndim, 2);
    cr_expect_eq(d.in.weights[1].dims[0], 3);
    cr_expect_eq(d.in.weights[1].dims[1], 2);
    cr_assert_eq(declared_apply(d.in.layer->map, (float[]){0, 0}, 2, y, 2), GLA_OK);
    expect_numbers(y, 2, (float[]){2, 3});
    declared_free(&d);
}

Test(declare, a_view_of_a_shared_weight_is_not_taken_for_the_whole)
{
    const float w[] = {1, 2, 3, 4, 5, 6};
    const gla_tensor whole = {.data = w, .dtype = GLA_DTYPE_F32, .ndim = 2, .dims = {3, 2}};
    const gla_tensor part = {.data = w, .dtype = GLA_DTYPE_F32, .ndim = 2, .dims = {2, 2}};
    const gla_tensor *of[] = {&whole, &part, &whole};
    gla__bind_scope scope = {.n_shared = 1};
    gla_linear *maps[3];

    scope.shared = calloc(1, sizeof(*scope.shared));
    scope.shared[0].tensor = &whole;
    gla__host_bind_scope(&scope);
    for (int i = 0; i < 3; i++) {
        const gla_linear_spec spec = {
            .struct_size = sizeof(spec), .n_parts = 1, .weights = &of[i], .groups = 1};

        cr_assert_eq(declared_math()->linear_create(gla__host(), &spec, &maps[i]), GLA_OK);
    }
    gla__host_bind_scope(NULL);
    cr_expect_eq(maps[0], maps[2]);
    cr_expect_neq(maps[0], maps[1]);
    expect_matrix(maps[0], 3, 2, w);
    expect_matrix(maps[1], 2, 2, w);
    for (int i = 0; i < 3; i++)
        declared_math()->linear_destroy(maps[i]);
    free(scope.shared);
}

static gla_status transposed_map(gla_layer *l, const gla_layer_config *c)
{
    const gla_part part = {.name = "w", .out = 3, .flags = GLA_PART_TRANSPOSED};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = &part, .n_parts = 1, .in = 2), &l->map);
    return GLA_OK;
}

Test(declare, a_transposed_part_is_stored_by_inputs)
{
    declared d;

    made(&d, transposed_map);
    cr_expect_eq(d.in.weights[0].dims[0], 2);
    cr_expect_eq(d.in.weights[0].dims[1], 3);
    expect_matrix(d.in.layer->map, 3, 2, (float[]){0, 3, 1, 4, 2, 5});
    declared_free(&d);
}

/* ---- convolutions, positions ---- */

static gla_part taps[2];

static gla_status conv_of_two(gla_layer *l, const gla_layer_config *c)
{
    c->declare->conv(c->declare, &DECLARED_CONV(.parts = taps, .n_parts = 2, .width = 3), &l->conv);
    return GLA_OK;
}

Test(declare, a_convolution_of_parts)
{
    const float x[] = {1, 1, 1};
    test_batch t;
    declared d;
    float y[3];

    taps[0] = (gla_part){.name = "q", .out = 2};
    taps[1] = (gla_part){.name = "k", .out = 1, .flags = GLA_PART_BIAS};
    cr_assert_eq(declared_make(&d, conv_of_two), GLA_OK, "%s", d.diag.message);
    d.numbers[2][0] = 100;
    cr_assert_eq(declared_bind(&d), GLA_OK, "%s", d.diag.message);
    cr_expect_eq(d.in.weights[0].role, GLA_WEIGHT_VECTOR);
    test_batch_init(&t, 1, (uint32_t[]){1}, 1, (size_t[]){2 * 3});
    for (int i = 0; i < 6; i++)
        ((float *)t.states[0])[i] = i < 3 ? 10 : 1; /* two tokens ago, and the last */
    cr_assert_eq(declared_math()->conv1d(&t.batch, d.in.layer->conv, 0, x, 3, y, 3), GLA_OK);
    expect_numbers(y, 3, (float[]){0 * 10 + 1 + 2, 3 * 10 + 4 + 5, 0 * 10 + 1 + 2 + 100});
    test_batch_free(&t);
    declared_free(&d);
    taps[1].flags = GLA_PART_TRANSPOSED;
    refused(conv_of_two, GLA_E_PLUGIN, "part 'k': taps are not transposed");
    taps[1] = (gla_part){.name = "k", .out = 1, .view = &view};
    refused(conv_of_two, GLA_E_PLUGIN, "part 'k': convolutions, groups and transposed parts");
}

static gla_rope_spec positions;

static gla_status rope(gla_layer *l, const gla_layer_config *c)
{
    c->declare->rope(c->declare, &positions, &l->rope);
    return positions.struct_size && !l->rope ? GLA_E_PLUGIN : GLA_OK;
}

Test(declare, positions_are_there_at_once)
{
    declared d;

    positions = (gla_rope_spec){.struct_size = sizeof(positions), .dims = 2, .theta = 1e4};
    made(&d, rope);
    cr_expect_not_null(d.in.layer->rope);
    declared_free(&d);
    positions.struct_size = 0;
    refused(rope, GLA_E_ABI, "gla_rope_spec: struct_size is 0");
}

/* ---- numbers ---- */

static gla_expr expr;

static gla_status numbers(gla_layer *l, const gla_layer_config *c)
{
    c->declare->numbers(c->declare, &expr, &l->numbers);
    return GLA_OK;
}

Test(declare, numbers_that_are_the_weight_itself_are_not_copied)
{
    declared d;

    expr = DECLARED_EXPR(.ndim = 2, .dims = {2, 3});
    made(&d, numbers);
    cr_expect_eq(d.in.layer->numbers, d.numbers[0]);
    declared_free(&d);
    expr.scale = 1;
    made(&d, numbers);
    cr_expect_eq(d.in.layer->numbers, d.numbers[0]);
    declared_free(&d);
}

Test(declare, strides_transpose_repeat_and_take_parts)
{
    static const struct {
        gla_expr e;
        size_t n;
        float want[12];
    } cases[] = {
        {{.out_ndim = 2, .out_dims = {3, 2}, .stride = {1, 3}}, 6, {0, 3, 1, 4, 2, 5}},
        {{.out_ndim = 2, .out_dims = {2, 3}, .stride = {1, 0}}, 6, {0, 0, 0, 1, 1, 1}},
        {{.out_ndim = 1, .out_dims = {2}, .stride = {2}, .offset = 3}, 2, {3, 5}},
        {{.out_ndim = 3, .out_dims = {2, 2, 2}, .stride = {3, 1, 0}}, 8, {0, 0, 1, 1, 3, 3, 4, 4}},
        {{.scale = -2}, 6, {0, -2, -4, -6, -8, -10}},
        {{.shift = 0.5f}, 6, {0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f}},
        {{.act = GLA_ACT_SQUARE, .scale = 2, .shift = 1}, 6, {1, 3, 9, 19, 33, 51}},
        {{.out_ndim = 1, .out_dims = {1}, .offset = 5, .act = GLA_ACT_RELU}, 1, {5}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        declared d;

        expr = cases[i].e;
        expr.struct_size = sizeof(expr);
        expr.name = "w";
        expr.ndim = 2;
        expr.dims[0] = 2;
        expr.dims[1] = 3;
        made(&d, numbers);
        expect_numbers(d.in.layer->numbers, cases[i].n, cases[i].want);
        declared_free(&d);
    }
}

Test(declare, numbers_beyond_the_weight_are_refused)
{
    static const gla_expr cases[] = {
        {.out_ndim = 1, .out_dims = {2}, .stride = {1}, .offset = 5},
        {.out_ndim = 1, .out_dims = {7}, .stride = {1}},
        {.out_ndim = 2, .out_dims = {2, 3}, .stride = {4, 1}},
        {.out_ndim = 1, .out_dims = {2}, .stride = {-1}, .offset = 3},
        {.out_ndim = 1, .out_dims = {0}, .stride = {1}},
        {.out_ndim = 4, .out_dims = {1, 1, 1}},
        {.out_ndim = 2, .out_dims = {INT64_MAX, INT64_MAX}, .stride = {0, 0}},
        {.out_ndim = 1, .out_dims = {3}, .stride = {INT64_MAX}},
        {.offset = 1},
        {.offset = UINT64_MAX, .scale = 2},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expr = cases[i];
        expr.struct_size = sizeof(expr);
        expr.name = "w";
        expr.ndim = 2;
        expr.dims[0] = 2;
        expr.dims[1] = 3;
        refused(numbers, GLA_E_PLUGIN, "numbers made of 'layer.w' reach beyond it");
    }
}

static size_t table_size;

static gla_status table(gla_layer *l, const gla_layer_config *c)
{
    c->declare->table(c->declare, table_size, &l->table);
    for (size_t i = 0; l->table && i < table_size; i++)
        l->answer += l->table[i] + 1;
    return GLA_OK;
}

Test(declare, a_table_is_there_at_once_and_zero)
{
    declared d;

    table_size = 40;
    made(&d, table);
    cr_expect_eq(d.in.layer->answer, 40);
    declared_free(&d);
    table_size = SIZE_MAX;
    refused(table, GLA_E_LIMIT, "a table of");
}

/* ---- binding ---- */

static gla_status some_of_each(gla_layer *l, const gla_layer_config *c)
{
    const gla_part part = {.name = "m", .out = 2};
    const gla_part channel = {.name = "c", .out = 1};
    const gla_view columns =
        DECLARED_VIEW(.ndim = 2, .dims = {2, 2}, .out_stride = 2, .in_stride = 1);
    const gla_part view_of = {.name = "m", .out = 1, .view = &columns};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = &part, .n_parts = 1, .in = 2), &l->map);
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = &view_of, .n_parts = 1, .in = 2),
                       &l->maps[0]);
    c->declare->conv(c->declare, &DECLARED_CONV(.parts = &channel, .n_parts = 1, .width = 1),
                     &l->conv);
    c->declare->numbers(c->declare, &DECLARED_EXPR(.ndim = 1, .dims = {3}, .scale = 2),
                        &l->numbers);
    c->declare->numbers(c->declare, &DECLARED_EXPR(.ndim = 1, .dims = {3}), &l->more);
    c->declare->table(c->declare, 3, &l->table);
    return GLA_OK;
}

static gla_status double_numbers(gla_layer *l)
{
    l->n_bound++;
    for (int i = 0; i < 3; i++)
        l->table[i] = 2 * l->numbers[i];
    return GLA_OK;
}

/* y of one row through the convolution of one channel. */
static float conv_of(const declared *d, float x)
{
    test_batch t;
    float y = 0;

    test_batch_init(&t, 1, (uint32_t[]){1}, 1, (size_t[]){1});
    cr_assert_eq(declared_math()->conv1d(&t.batch, d->in.layer->conv, 0, &x, 1, &y, 1), GLA_OK);
    test_batch_free(&t);
    return y;
}

Test(declare, after_weights_have_changed_binding_again_gives_the_new_numbers)
{
    declared d;

    cr_assert_eq(declared_make(&d, some_of_each), GLA_OK, "%s", d.diag.message);
    d.desc.bound = double_numbers;
    for (int round = 1; round <= 3; round++) {
        const float r = (float)round;

        for (uint32_t i = 0; i < d.in.n_weights; i++)
            for (int j = 0; j < 4; j++)
                d.numbers[i][j] = r * (float)(j + 1);
        cr_assert_eq(declared_bind(&d), GLA_OK, "%s", d.diag.message);
        expect_matrix(d.in.layer->map, 2, 2, (float[]){r, 2 * r, 3 * r, 4 * r});
        expect_matrix(d.in.layer->maps[0], 1, 2, (float[]){r, 2 * r});
        cr_expect_eq(conv_of(&d, 5), 5 * r);
        expect_numbers(d.in.layer->numbers, 3, (float[]){2 * r, 4 * r, 6 * r});
        expect_numbers(d.in.layer->more, 3, (float[]){r, 2 * r, 3 * r});
        expect_numbers(d.in.layer->table, 3, (float[]){4 * r, 8 * r, 12 * r});
        cr_expect_eq(d.in.layer->n_bound, (uint32_t)round);
    }
    declared_free(&d);
}

Test(declare, what_cannot_be_made_again_stays_as_it_was)
{
    declared d;

    cr_assert_eq(declared_make(&d, some_of_each), GLA_OK, "%s", d.diag.message);
    cr_assert_eq(declared_bind(&d), GLA_OK, "%s", d.diag.message);
    d.tensors[0].dtype = GLA_DTYPE_I8; /* without scales */
    cr_expect_eq(gla__instance_bind(&d.in, d.tensors, &d.diag), GLA_E_INVALID);
    cr_expect(strstr(d.diag.message, "quantised without scales"), "%s", d.diag.message);
    expect_matrix(d.in.layer->map, 2, 2, (float[]){0, 1, 2, 3});
    d.tensors[0].aux = d.numbers[5];
    cr_expect_eq(gla__instance_bind(&d.in, d.tensors, &d.diag), GLA_E_UNSUPPORTED);
    cr_expect(strstr(d.diag.message, "layer.m.weight is int8: parts of it"), "%s", d.diag.message);
    expect_matrix(d.in.layer->maps[0], 1, 2, (float[]){0, 1});
    declared_free(&d);
}

static gla_status refuse_to_be_bound(gla_layer *l)
{
    (void)l;
    return gla_host_fail(gla__host(), GLA_E_UNSUPPORTED, "not with these weights");
}

static gla_status fail_silently(gla_layer *l)
{
    (void)l;
    return GLA_E_SHAPE;
}

Test(declare, bound_may_fail_and_say_why)
{
    declared d;

    cr_assert_eq(declared_make(&d, some_of_each), GLA_OK, "%s", d.diag.message);
    d.desc.bound = refuse_to_be_bound;
    cr_expect_eq(declared_bind(&d), GLA_E_UNSUPPORTED);
    cr_expect(strstr(d.diag.message, "not with these weights"), "%s", d.diag.message);
    cr_expect_str_eq(d.diag.where, "layer (test.declared/1)");
    d.desc.bound = fail_silently;
    cr_expect_eq(declared_bind(&d), GLA_E_SHAPE);
    cr_expect(strstr(d.diag.message, "bound"), "%s", d.diag.message);
    declared_free(&d);
}

/* ---- structs of other versions ---- */

static gla_map odd_map;

static gla_status map_of_odd_size(gla_layer *l, const gla_layer_config *c)
{
    c->declare->linear(c->declare, &odd_map, &l->map);
    return GLA_OK;
}

static gla_status conv_of_odd_size(gla_layer *l, const gla_layer_config *c)
{
    const gla_conv_map map = {.struct_size = 8, .part_size = sizeof(gla_part)};

    c->declare->conv(c->declare, &map, &l->conv);
    return GLA_OK;
}

static gla_status init_of_odd_size(gla_layer *l, const gla_layer_config *c)
{
    const gla_init init = {.struct_size = 4, .kind = GLA_INIT_NORMAL};
    const gla_part part = {.name = "w", .out = 1, .init = &init};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = &part, .n_parts = 1, .in = 1), &l->map);
    return GLA_OK;
}

static gla_status weight_of_odd_size(gla_layer *l, const gla_layer_config *c)
{
    const gla_weight_desc w = {.name = "w", .struct_size = 8};

    (void)l;
    c->declare->weight(c->declare, &w);
    return GLA_OK;
}

static gla_status state_of_odd_size(gla_layer *l, const gla_layer_config *c)
{
    const gla_state_desc s = {.name = "s", .struct_size = 8};

    (void)l;
    c->declare->state(c->declare, &s);
    return GLA_OK;
}

Test(declare, structs_shorter_than_their_first_version_are_refused)
{
    odd_map = DECLARED_MAP(.parts = nine, .n_parts = 1, .in = 2);
    odd_map.struct_size = 8;
    refused(map_of_odd_size, GLA_E_ABI, "gla_map: size is 8, its first version has 40");
    odd_map.struct_size = sizeof(odd_map);
    odd_map.part_size = 8;
    refused(map_of_odd_size, GLA_E_ABI, "gla_part: size is 8, its first version has 48");
    expr = DECLARED_EXPR(.ndim = 1, .dims = {1});
    expr.struct_size = 16;
    refused(numbers, GLA_E_ABI, "gla_expr: size is 16, its first version has 168");
    refused(conv_of_odd_size, GLA_E_ABI, "gla_conv_map: size is 8");
    refused(init_of_odd_size, GLA_E_ABI, "gla_init: size is 4");
    refused(weight_of_odd_size, GLA_E_ABI, "gla_weight_desc: size is 8");
    refused(state_of_odd_size, GLA_E_ABI, "gla_state_desc: size is 8");
}

/* A later version's, with fields that we do not know. */
typedef struct later_part {
    gla_part part;
    uint64_t grown[2];
} later_part;
typedef struct later_map {
    gla_map map;
    uint64_t grown[2];
} later_map;
typedef struct later_weight {
    gla_weight_desc weight;
    uint64_t grown[2];
} later_weight;

static gla_status later_structs(gla_layer *l, const gla_layer_config *c)
{
    const later_part parts[] = {{.part = {.name = "a", .out = 1}, .grown = {1, 2}},
                                {.part = {.name = "b", .out = 2}, .grown = {3, 4}}};
    const later_map map = {.map = {.struct_size = sizeof(map),
                                   .part_size = sizeof(later_part),
                                   .parts = &parts[0].part,
                                   .n_parts = 2,
                                   .in = 1},
                           .grown = {5, 6}};
    const later_weight weight = {.weight = {.name = "w",
                                            .role = GLA_WEIGHT_VECTOR,
                                            .ndim = 1,
                                            .dims = {3},
                                            .active = 1,
                                            .struct_size = sizeof(weight)},
                                 .grown = {7, 8}};

    c->declare->linear(c->declare, &map.map, &l->map);
    c->declare->weight(c->declare, &weight.weight);
    return GLA_OK;
}

Test(declare, structs_of_a_later_version_are_taken_as_far_as_they_are_known)
{
    declared d;

    made(&d, later_structs);
    cr_assert_eq(d.in.n_weights, 3);
    cr_expect_str_eq(d.in.weights[1].name, "layer.b.weight");
    cr_expect_str_eq(d.in.weights[2].name, "layer.w");
    expect_matrix(d.in.layer->map, 3, 1, (float[]){0, 0, 1});
    declared_free(&d);
}

/* ---- the checking proxy ---- */

static enum { NOWHERE, OBJECT, TABLE, NUMBERS } write_to;

static gla_status writing_make(gla_layer *l, const gla_layer_config *c)
{
    c->declare->table(c->declare, 4, &l->table);
    c->declare->numbers(c->declare, &DECLARED_EXPR(.ndim = 1, .dims = {4}, .scale = 2),
                        &l->numbers);
    return GLA_OK;
}

static gla_status writing_forward(const gla_layer *l, const gla_batch *b)
{
    gla_layer *mine = (gla_layer *)(uintptr_t)l;

    if (write_to == OBJECT)
        mine->answer++;
    if (write_to == TABLE)
        mine->table[2]++;
    if (write_to == NUMBERS)
        ((float *)(uintptr_t)l->numbers)[3]++;
    memcpy(b->y, b->x, b->n_rows * 4 * sizeof(float));
    return GLA_OK;
}

static const gla_layer_desc writing = {.struct_size = sizeof(gla_layer_desc),
                                       .type_id = "test.writing/1",
                                       .flags = GLA_LAYER_MIXER,
                                       .layer_bytes = sizeof(gla_layer),
                                       .make = writing_make,
                                       .forward = writing_forward,
                                       .value_size = sizeof(gla_param_value)};
static const gla_layer_desc *const writing_layers[] = {&writing};
GLA_PLUGIN_DEFINE(writing, "1.0", "Apache-2.0", NULL, NULL, writing_layers);

static gla_status feed_writing(gla_diag *diag)
{
    gla_registry *r = toy_registry();
    gla_arch *arch = toy_arch("  b: {mixer: {type: test.writing}}", "[b]");
    const gla_model_options options = {GLA_SIZED(gla_model_options), .registry = r};
    gla_session *s = NULL;
    gla_model *m = NULL;
    gla_status st = gla__registry_add(r, &GLA_PLUGIN_SYMBOL(writing), diag);

    if (!st)
        st = gla_model_random(arch, &options, &m, diag);
    if (!st)
        st = gla_session_create(m, NULL, &s, diag);
    if (!st)
        st = gla_session_feed(s, (int32_t[]){1, 2, 3}, 3, 0, diag);
    gla_session_free(s);
    gla_model_free(m);
    gla_arch_free(arch);
    gla_registry_free(r);
    return st;
}

Test(declare, the_checking_proxy_sees_forward_write_to_what_the_host_owns)
{
    gla_diag diag;

    gla_set_validate(1);
    write_to = NOWHERE;
    cr_expect_eq(feed_writing(&diag), GLA_OK, "%s", diag.message);
    for (write_to = OBJECT; write_to <= NUMBERS; write_to++) {
        cr_expect_eq(feed_writing(&diag), GLA_E_PLUGIN);
        cr_expect(strstr(diag.message, "forward() writes to the layer's own memory"), "%s",
                  diag.message);
        cr_expect(strstr(diag.message, "layers.0.mixer (test.writing/1)") ||
                      strstr(diag.where, "layers.0.mixer (test.writing/1)"),
                  "%s", diag.where);
    }
    gla_set_validate(0);
}
