/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fault_declare.c - memory runs out while a layer is made of what it declares, and while that
 * gets its weights: nothing is left, and what was there before stays
 */
#include <criterion/criterion.h>

#include "graph/declare.h"
#include "support/declared_layer.h"
#include "support/failing_memory.h"

static gla_status one_of_each(gla_layer *l, const gla_layer_config *c)
{
    const gla_init init = {.struct_size = sizeof(init), .kind = GLA_INIT_NORMAL, .a = 1};
    const gla_view columns =
        DECLARED_VIEW(.ndim = 2, .dims = {4, 4}, .out_stride = 8, .in_stride = 2, .bias_size = 8);
    const gla_part parts[] = {
        {.name = "q", .out = 2, .flags = GLA_PART_BIAS, .view = &columns, .bias_init = &init},
        {.name = "k", .out = 4, .init = &init}};
    const gla_part transposed = {.name = "t", .out = 4, .flags = GLA_PART_TRANSPOSED};
    const gla_part taps = {.name = "c", .out = 4, .flags = GLA_PART_BIAS};
    const gla_rope_spec rope = {.struct_size = sizeof(rope), .dims = 4, .theta = 1e4};
    const gla_state_desc state = {.name = "s", .kind = GLA_STATE_FIXED, .ndim = 1, .dims = {4}};

    c->declare->linear(c->declare, &DECLARED_MAP(.parts = parts, .n_parts = 2, .in = 2), &l->map);
    c->declare->linear(c->declare, &DECLARED_MAP(.parts = &transposed, .n_parts = 1, .in = 4),
                       &l->maps[0]);
    c->declare->conv(c->declare, &DECLARED_CONV(.parts = &taps, .n_parts = 1, .width = 4),
                     &l->conv);
    c->declare->rope(c->declare, &rope, &l->rope);
    c->declare->numbers(c->declare,
                        &DECLARED_EXPR(.ndim = 1, .dims = {8}, .act = GLA_ACT_EXP, .init = &init),
                        &l->numbers);
    c->declare->table(c->declare, 8, &l->table);
    c->declare->state(c->declare, &state);
    c->declare->scratch(c->declare, 4, 0, 0);
    c->declare->shared_written(c->declare, "first", 4);
    return GLA_OK;
}

static gla_status make_and_bind(void *ctx, gla_diag *diag)
{
    declared *d = ctx;
    gla_status st = declared_make(d, one_of_each);

    if (!st)
        st = declared_bind(d);
    *diag = d->diag;
    declared_free(d);
    return st;
}

/* Weights that have changed: the map is the old one or the new one. */
static gla_status bind_again(void *ctx, gla_diag *diag)
{
    declared *d = ctx;
    gla_status st;
    float y[6];

    d->numbers[2][0] = d->numbers[2][0] == 0 ? 100 : 0;
    st = declared_bind(d);
    memory_disarm();
    *diag = d->diag;
    cr_assert_eq(declared_apply(d->in.layer->map, (float[]){1, 0}, 2, y, 6), GLA_OK);
    cr_expect(y[2] == d->numbers[2][0] || (st && y[2] == 100 - d->numbers[2][0]), "%g",
              (double)y[2]);
    return st;
}

Test(fault_declare, making_and_binding)
{
    declared d;

    gla_set_threads(1);
    memory_take_over();
    cr_expect_gt(memory_every("make and bind", make_and_bind, &d), 40);
    cr_expect_eq(memory_live(), 0);
    memory_give_back();
}

Test(fault_declare, binding_again)
{
    declared d;

    gla_set_threads(1);
    memory_take_over();
    cr_assert_eq(declared_make(&d, one_of_each), GLA_OK, "%s", d.diag.message);
    cr_assert_eq(declared_bind(&d), GLA_OK, "%s", d.diag.message);
    cr_expect_gt(memory_every("bind again", bind_again, &d), 10);
    declared_free(&d);
    cr_expect_eq(memory_live(), 0);
    memory_give_back();
}
