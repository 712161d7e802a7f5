/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/toy_layers.h"

/* Describes a model with one test.params layer of these parameters. */
static gla_status describe(const char *params, gla_diag *diag)
{
    char block[256];
    gla_registry *r = toy_registry();
    gla_description *d;
    gla_arch *arch;
    gla_status st;

    snprintf(block, sizeof(block), "  b: {ffn: {type: test.params%s%s}}", params[0] ? ", " : "",
             params);
    arch = toy_arch(block, "[b]");
    st = gla_describe(arch, r, &d, diag);
    gla_description_free(d);
    gla_arch_free(arch);
    gla_registry_free(r);
    return st;
}

Test(params, given_values_and_defaults_reach_the_layer)
{
    gla_diag diag;
    const gla_param_value *v = toy_params.values;

    cr_assert_eq(describe("heads: 8, colour: blue, sections: [1, 2.5]", &diag), GLA_OK, "%s",
                 diag.message);
    cr_expect_eq(v[0].i, 8);
    cr_expect_eq(v[0].f, 8);
    cr_expect_eq(v[0].is_set, 1);
    cr_expect_eq(v[1].f, 1e4);
    cr_expect_eq(v[1].is_set, 0);
    cr_expect_eq(v[2].i, 1);
    cr_expect_eq(v[3].i, 2);
    cr_expect_eq(v[4].n_list, 2);
    cr_expect_eq(toy_params.list[1], 2.5);
}

Test(params, a_nested_mapping_gives_a_dotted_name)
{
    cr_assert_eq(describe("heads: 1, rope: {theta: 500}", NULL), GLA_OK);
    cr_expect_eq(toy_params.values[1].f, 500);
}

Test(params, an_unknown_one_is_refused_with_its_place_and_the_nearest_name)
{
    gla_diag diag;
    char text[512];

    cr_assert_eq(describe("head: 8", &diag), GLA_E_SCHEMA);
    cr_expect_str_eq(
        gla_diag_format(&diag, text, sizeof(text)),
        "toy.yaml:9:32: layer type 'test.params' has no parameter 'head'; hint: did you mean "
        "'heads'? gla_registry_find() of test.params lists them");
}

static void expect_refusal(const char *params, const char *message)
{
    gla_diag diag;

    cr_expect_eq(describe(params, &diag), GLA_E_SCHEMA, "%s", params);
    cr_expect_str_eq(diag.message, message);
    cr_expect_eq(diag.line, 9);
}

Test(params, wrong_values_are_refused_by_name)
{
    expect_refusal("", "layer type 'test.params' needs 'heads' (how many)");
    expect_refusal("heads: two", "'heads' is a word, a whole number expected");
    expect_refusal("heads: 1.5", "'heads' is 1.5, a whole number expected");
    expect_refusal("heads: 65", "'heads' is 65, from 1 to 64 allowed");
    expect_refusal("heads: 0", "'heads' is 0, from 1 to 64 allowed");
    expect_refusal("heads: 1, bias: 1", "'bias' is a number, true or false expected");
    expect_refusal("heads: 1, colour: pink",
                   "'colour' is 'pink', one of red, green, blue expected");
    expect_refusal("heads: 1, sections: 3", "'sections' is a number, a list of numbers expected");
    expect_refusal("heads: 1, rope: {theta: true}", "'rope.theta' is a boolean, a number expected");
}

Test(params, an_unknown_type_is_refused_with_the_nearest_one)
{
    gla_registry *r = toy_registry();
    gla_arch *arch = toy_arch("  b: {mixer: {type: test.sumn}}", "[b]");
    gla_description *d;
    gla_diag diag;

    cr_assert_eq(gla_describe(arch, r, &d, &diag), GLA_E_NO_LAYER);
    cr_expect_null(d);
    cr_expect_str_eq(diag.message, "there is no layer type 'test.sumn'");
    cr_expect_str_eq(diag.hint, "did you mean 'test.sum'?");
    cr_expect_eq(diag.line, 9);
    gla_arch_free(arch);
    gla_registry_free(r);
}

Test(params, a_type_must_fit_its_place)
{
    gla_registry *r = toy_registry();
    gla_arch *arch = toy_arch("  b: {mixer: {type: test.params, heads: 1}}", "[b]");
    gla_diag diag;
    gla_description *d;

    cr_assert_eq(gla_describe(arch, r, &d, &diag), GLA_E_SCHEMA);
    cr_expect_str_eq(diag.message, "'test.params' cannot be a mixer");
    gla_arch_free(arch);
    gla_registry_free(r);
}
