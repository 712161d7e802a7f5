/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/text/json.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/text/number.h"
#include "support/temp_file.h"

static gla_status parse_text(const char *text, json_t **out, gla_diag *diag)
{
    return gla__json_parse(text, strlen(text), 1 << 20, "x.json", out, diag);
}

static void expect_failure(const char *text, gla_status status, const char *message)
{
    json_t *root;
    gla_diag diag;
    char formatted[512];

    cr_expect_eq(parse_text(text, &root, &diag), status, "%s", text);
    cr_expect_null(root);
    gla_diag_format(&diag, formatted, sizeof(formatted));
    cr_expect(strstr(formatted, message), "%s: %s", text, formatted);
}

Test(json, names_line_and_column_of_an_error)
{
    expect_failure("{\n  \"a\": 1,\n  \"a\": 2}", GLA_E_CORRUPT, "x.json:3:");
    expect_failure("{\n \"a\": ]}", GLA_E_CORRUPT, "x.json:2:7");
}

Test(json, refuses_what_parsers_disagree_about)
{
    expect_failure("{\"a\": 1, \"a\": 2}", GLA_E_CORRUPT, "duplicate object key");
    expect_failure("{\"a\": 1} x", GLA_E_CORRUPT, "end of file expected");
    expect_failure("{\"a\": \"\\u0000\"}", GLA_E_CORRUPT, "\\u0000");
    expect_failure("{\"a\": \"\xff\"}", GLA_E_CORRUPT, "unable to decode byte 0xff");
    expect_failure("{\"a\": 123456789012345678901234567890}", GLA_E_CORRUPT, "too big integer");
    expect_failure("{\"a\": 1", GLA_E_CORRUPT, "near end of file");
    expect_failure("3", GLA_E_CORRUPT, "'[' or '{' expected");
    expect_failure("", GLA_E_CORRUPT, "'[' or '{' expected");
}

Test(json, limits_depth_and_size)
{
    char text[2 * GLA__JSON_MAX_DEPTH + 8];
    json_t *root;
    gla_diag diag;
    const size_t d = GLA__JSON_MAX_DEPTH;

    memset(text, '[', d + 1);
    memset(text + d + 1, ']', d + 1);
    text[2 * d + 2] = '\0';
    expect_failure(text, GLA_E_LIMIT, "x.json:1:65");
    memmove(text, text + 1, 2 * d + 2);
    text[2 * d] = '\0';
    cr_assert_eq(parse_text(text, &root, &diag), GLA_OK);
    json_decref(root);
    text[d] = '\0'; /* Python's numbers are printed as objects: one level more */
    strcat(text, "NaN");
    memset(text + d + 3, ']', d);
    text[2 * d + 3] = '\0';
    expect_failure(text, GLA_E_LIMIT, "x.json:1:65");
    cr_assert_eq(gla__json_parse("[1]", 3, 2, "x.json", &root, &diag), GLA_E_LIMIT);
}

Test(json, reads_pythons_numbers_outside_strings_only)
{
    json_t *root, *list;
    gla_diag diag;

    cr_assert_eq(parse_text("{\"a\": [0.0, Infinity, -Infinity,NaN], \"s\": \"NaN \\\" Infinity\"}",
                            &root, &diag),
                 GLA_OK, "%s", diag.message);
    list = json_object_get(root, "a");
    cr_assert_eq(json_array_size(list), 4);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 2), "__float__")),
                     "-Infinity");
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 3), "__float__")),
                     "NaN");
    cr_assert_str_eq(json_string_value(json_object_get(root, "s")), "NaN \" Infinity");
    json_decref(root);
}

Test(json, prints_sorted_and_without_blanks)
{
    json_t *root;
    gla_diag diag;
    char *text;
    size_t size;

    cr_assert_eq(parse_text("{ \"b\": [1, 2.5], \"a\": null }", &root, &diag), GLA_OK);
    cr_assert_eq(gla__json_print(root, &text, &size, &diag), GLA_OK);
    cr_assert_str_eq(text, "{\"a\":null,\"b\":[1,2.5]}");
    cr_assert_eq(size, strlen(text));
    gla__free(text);
    json_decref(root);
}

Test(json, takes_only_whole_numbers_that_are_not_negative)
{
    json_t *root;
    gla_diag diag;
    uint64_t v;

    cr_assert_eq(parse_text("[7, -1, 1.0, \"7\", true]", &root, &diag), GLA_OK);
    cr_assert_eq(gla__json_u64(json_array_get(root, 0), &v), 0);
    cr_assert_eq(v, 7);
    for (size_t i = 1; i < 5; i++)
        cr_assert_eq(gla__json_u64(json_array_get(root, i), &v), -1);
    cr_assert_eq(gla__json_u64(json_array_get(root, 9), &v), -1);
    json_decref(root);
}

Test(json, numbers_at_the_ends_of_what_is_read)
{
    static const struct {
        const char *text;
        bool good;
        double value;
    } cases[] = {
        {"1", true, 1},
        {"+1.5", true, 1.5},
        {"-1e3", true, -1000},
        {"1.e1", true, 10},
        {".5", true, 0.5},
        {"1E-2", true, 0.01},
        {"", false, 0},
        {".", false, 0},
        {"1e", false, 0},
        {"1e+", false, 0},
        {"1x", false, 0},
        {"0x10", false, 0},
        {"1e999", false, 0},
        {"nan", false, 0},
        {"inf", false, 0},
        {".inf", true, INFINITY},
        {"-.inf", true, -INFINITY},
    };
    char text[GLA__NUMBER_TEXT], many[600];
    double v;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cr_expect_eq(gla__parse_f64(cases[i].text, strlen(cases[i].text), &v), cases[i].good, "%s",
                     cases[i].text);
        cr_expect(!cases[i].good || (v >= cases[i].value && v <= cases[i].value), "%s: %g",
                  cases[i].text, v);
    }
    memset(many, '1', sizeof(many));
    cr_expect_not(gla__parse_f64(many, sizeof(many), &v)); /* digits that nobody means */
    cr_expect(gla__parse_f64(many, 300, &v));
    gla__format_f64(NAN, text);
    cr_expect_str_eq(text, "nan");
    gla__format_f64(-INFINITY, text);
    cr_expect_str_eq(text, "-.inf");
    gla__format_f64(1e-6, text);
    cr_expect_str_eq(text, "1.0e-6");
    gla__format_f64(1e100, text);
    cr_expect_str_eq(text, "1.0e+100");
}

/* A locale whose point is U+066B, two bytes. */
Test(number, the_locale_of_the_program_does_not_matter)
{
    static const char source[] = "comment_char %\nescape_char /\nLC_NUMERIC\n"
                                 "decimal_point \"<U066B>\"\nthousands_sep \"\"\ngrouping -1\n"
                                 "END LC_NUMERIC\n";
    char folder[TEMP_PATH], file[TEMP_PATH], command[4 * TEMP_PATH], text[GLA__NUMBER_TEXT];
    locale_t other;
    double v;

    temp_path(folder, "locales");
    temp_path(file, "locale");
    cr_assert(write_file(file, source, sizeof(source) - 1));
    mkdir(folder, 0777);
    snprintf(command, sizeof(command), "localedef -c -i %s -f UTF-8 %s/point.UTF-8 2>%s.log", file,
             folder, file);
    (void)!system(command); /* 1: there is no more in it than numbers */
    setenv("LOCPATH", folder, 1);
    other = newlocale(LC_NUMERIC_MASK, "point.UTF-8", (locale_t)0);
    if (!other)
        cr_skip_test("localedef makes no locale here");
    uselocale(other);
    snprintf(text, sizeof(text), "%g", 1.5);
    cr_assert_str_eq(text, "1\xd9\xab"
                           "5");
    cr_expect(gla__parse_f64("1.5", 3, &v) && v > 1.25, "%g", v);
    gla__format_f64(-0.0625, text);
    cr_expect_str_eq(text, "-0.0625");
    gla__format_f64(1.25e-300, text);
    cr_expect_str_eq(text, "1.25e-300");
    gla__format_f64(0.1 + 0.2, text);
    cr_expect_str_eq(text, "0.30000000000000004");
    snprintf(command, sizeof(command), "rm -rf %s %s %s.log", folder, file, file);
    cr_expect_eq(system(command), 0);
}
