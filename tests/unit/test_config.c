/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "formats/import/config.h"

static gla__config *parse(const char *json)
{
    gla__config *c;
    gla_diag diag;

    cr_assert_eq(gla__config_parse(json, strlen(json), "config.json", &c, &diag), GLA_OK, "%s",
                 diag.message);
    return c;
}

static void expect_error(gla__config *c, const char *where, const char *part)
{
    gla_diag diag;

    cr_assert_eq(gla__config_status(c, &diag), GLA_E_UNSUPPORTED);
    cr_expect_str_eq(diag.where, where);
    cr_expect(strstr(diag.message, part), "\"%s\" is not in \"%s\"", part, diag.message);
    gla__config_free(c);
}

Test(config, absent_and_null_give_the_default)
{
    gla__config *c = parse("{\"a\": null}");

    cr_expect_eq(gla__config_int(c, "a", 7, 0, 9), 7);
    cr_expect_eq(gla__config_int(c, "b", 8, 0, 9), 8);
    cr_expect_eq(gla__config_bool(c, "a", true), true);
    cr_expect_str_eq(gla__config_string(c, "b", "x"), "x");
    cr_expect(gla__config_is_null(c, "a"));
    cr_expect(!gla__config_is_null(c, "b"));
    cr_expect(!gla__config_has(c, "a"));
    cr_expect_eq(gla__config_status(c, NULL), GLA_OK);
    gla__config_free(c);
}

Test(config, older_spellings_stand_in)
{
    gla__config *c = parse("{\"rms_norm_eps\": 1e-5, \"rope_scaling\": {\"type\": \"yarn\"}}");

    cr_expect_float_eq(gla__config_float(c, "norm_eps|rms_norm_eps", 1), 1e-5, 1e-12);
    cr_expect_str_eq(gla__config_string(c, "rope_parameters.rope_type|rope_scaling.type", ""),
                     "yarn");
    gla__config_free(c);
}

Test(config, the_first_spelling_wins)
{
    gla__config *c = parse("{\"b\": 2, \"a\": 1, \"z\": null}");

    cr_expect_eq(gla__config_int(c, "z|a|b", 0, 0, 9), 1);
    gla__config_free(c);
}

Test(config, paths_enter_objects_and_arrays)
{
    gla__config *c = parse("{\"attn\": [{\"layers\": [1, 5]}, {\"layers\": []}]}");

    cr_expect_eq(gla__config_length(c, "attn"), 2);
    cr_expect_eq(gla__config_length(c, "attn.0.layers"), 2);
    cr_expect_eq(gla__config_int(c, "attn.0.layers.1", 0, 0, 9), 5);
    cr_expect_eq(gla__config_int(c, "attn.0.layers.2", -1, -1, 9), -1);
    cr_expect_eq(gla__config_int(c, "attn.x.layers.0", -1, -1, 9), -1);
    gla__config_free(c);
}

Test(config, an_inner_object_comes_before_the_top)
{
    gla__config *c = parse("{\"a\": 1, \"b\": 2, \"text_config\": {\"a\": 3}}");

    gla__config_enter(c, "text_config");
    cr_expect_eq(gla__config_int(c, "a", 0, 0, 9), 3);
    cr_expect_eq(gla__config_int(c, "b", 0, 0, 9), 2);
    gla__config_free(c);
}

Test(config, infinity_as_transformers_writes_it)
{
    gla__config *c = parse("{\"a\": [0.0, {\"__float__\": \"Infinity\"}]}");
    double list[2];

    cr_assert_eq(gla__config_list(c, "a", list, 2), 2);
    cr_expect(isinf(list[1]));
    gla__config_free(c);
}

Test(config, whole_floats_are_whole_numbers)
{
    gla__config *c = parse("{\"a\": 2.0, \"b\": 2.5}");

    cr_expect_eq(gla__config_int(c, "a", 0, 0, 9), 2);
    cr_expect_eq(gla__config_int(c, "b", 4, 0, 9), 4);
    expect_error(c, "config.json: b", "2.5: expected a whole number");
}

Test(config, wrong_kinds_are_named)
{
    gla__config *c = parse("{\"flag\": \"yes\"}");

    (void)gla__config_bool(c, "flag", false);
    expect_error(c, "config.json: flag", "\"yes\": expected true or false");
}

Test(config, numbers_out_of_range_are_named)
{
    gla__config *c = parse("{\"num_heads\": 100000}");

    cr_expect_eq(gla__config_int(c, "num_heads", 4, 1, 1024), 4);
    expect_error(c, "config.json: num_heads", "100000: expected a number between 1 and 1024");
}

Test(config, the_first_error_stays)
{
    gla__config *c = parse("{\"a\": 10, \"b\": 10}");

    (void)gla__config_int(c, "a", 0, 0, 9);
    (void)gla__config_int(c, "b", 0, 0, 9);
    expect_error(c, "config.json: a", "10");
}

Test(config, only_these_values)
{
    static const char *const values[] = {"silu", "swish", NULL};
    gla__config *c = parse("{\"hidden_act\": \"gelu\", \"ok\": \"silu\"}");

    gla__config_only(c, "ok", values);
    gla__config_only(c, "absent", values);
    cr_expect_eq(gla__config_status(c, NULL), GLA_OK);
    gla__config_only(c, "hidden_act", values);
    expect_error(c, "config.json: hidden_act", "\"gelu\": not supported; what is: silu, swish");
}

Test(config, refusals_show_long_values_cut)
{
    gla__config *c =
        parse("{\"quantization_config\": {\"a\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}");

    gla__config_refuse(c, "quantization_config", "no");
    expect_error(c, "config.json: quantization_config", " ...: no");
}

Test(config, lists_only_as_many_allowed_values_as_there_is_room_for)
{
    static const char a[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    static const char *const values[] = {a, a, a, NULL};
    gla__config *c = parse("{\"b\": 3}");

    gla__config_only(c, "b", values);
    expect_error(c, "config.json: b", "3: not supported; what is: xxx");
}

Test(config, keys_that_lead_nowhere)
{
    gla__config *c = parse("{\"a\": [1, 2], \"text_config\": 3}");
    static const char key[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                              "xxxxxxxxxxxxxxxxxxxxxxxxx"
                              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    gla__config_enter(c, "text_config"); /* no object: as if it were not there */
    gla__config_enter(c, "absent");
    cr_expect_eq(gla__config_int(c, "a.1", 0, 0, 9), 2);
    cr_expect_not(gla__config_has(c, "a.2"));
    cr_expect_not(gla__config_has(c, "a.1.b"));
    cr_expect_not(gla__config_has(c, "a.b"));
    cr_expect_not(gla__config_has(c, "a.-"));
    cr_expect_not(gla__config_has(c, "a.4294967297")); /* 1 in 32 bits */
    cr_expect_not(gla__config_has(c, key));
    cr_expect_eq(gla__config_status(c, NULL), GLA_OK);
    (void)gla__config_int(c, "text_config", 0, 0, 2);
    cr_expect_eq(gla__config_status(c, NULL), GLA_E_UNSUPPORTED);
    gla__config_free(c);
}

Test(config, knows_what_nobody_asked_for)
{
    gla__config *c = parse("{\"a\": {\"b\": 1}, \"c\": 2, \"d\": 3}");
    uint32_t cursor = 0;

    (void)gla__config_int(c, "a.b", 0, 0, 9);
    gla__config_ignore(c, "x|d");
    cr_expect_str_eq(gla__config_unread(c, &cursor), "c");
    cr_expect_null(gla__config_unread(c, &cursor));
    gla__config_free(c);
}

Test(config, a_config_is_an_object)
{
    gla__config *c;
    gla_diag diag;

    cr_expect_eq(gla__config_parse("[1]", 3, "config.json", &c, &diag), GLA_E_CORRUPT);
    cr_expect_null(c);
    cr_expect_neq(gla__config_parse("{\"a\": 1, \"a\": 2}", 16, "config.json", &c, &diag), GLA_OK);
}
