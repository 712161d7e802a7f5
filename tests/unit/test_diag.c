/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <gla/plugin.h>
#include <stdio.h>
#include <string.h>

Test(diag, names_place_offset_and_hint)
{
    gla_diag d;
    char text[512];

    cr_assert_eq(gla__fail(&d, GLA_E_SHAPE, "shape %d", 3), GLA_E_SHAPE);
    gla__at(&d, "layers.3");
    gla__at(&d, "w.glaw");
    gla__at_offset(&d, 4096);
    gla__hint(&d, "convert again");
    cr_assert_str_eq(gla_diag_format(&d, text, sizeof(text)),
                     "w.glaw: layers.3: shape 3 (offset 4096); hint: convert again");
}

Test(diag, versions_are_numbers_too)
{
    char text[32];

    snprintf(text, sizeof(text), "%u.%u.%u", gla_version_number() / 10000,
             gla_version_number() / 100 % 100, gla_version_number() % 100);
    cr_expect_str_eq(text, gla_version());
    cr_expect_eq(gla_version_number(), GLA_VERSION_NUMBER);
    cr_expect_eq(gla_abi_version(), GLA_ABI_MAJOR * 10000 + GLA_ABI_MINOR * 100);
}

Test(diag, cuts_long_places_without_overflow)
{
    gla_diag d;
    char text[64];

    gla__fail(&d, GLA_E_IO, "x");
    for (int i = 0; i < 100; i++)
        gla__at(&d, "a long place");
    cr_assert_lt(strlen(d.where), sizeof(d.where));
    gla_diag_format(&d, text, sizeof(text));
    cr_assert_eq(strlen(text), sizeof(text) - 1);
}

Test(diag, suggests_the_nearest_name)
{
    static const char *const names[] = {"expand_k", "expand_v", "heads"};

    cr_assert_str_eq(gla__nearest("expandk", names, 3), "expand_k");
    cr_assert_null(gla__nearest("something_else", names, 3));
}

static void expect_clean(const char *from, const char *to)
{
    char text[64];

    snprintf(text, sizeof(text), "%s", from);
    cr_expect_str_eq(gla_text_clean(text), to);
}

Test(diag, cleans_what_a_terminal_would_obey)
{
    expect_clean("plain, \u00e4\u00a0\u20ac\U0001f600", "plain, \u00e4\u00a0\u20ac\U0001f600");
    expect_clean("\033]0;title\a\r\n\t\x7f.", "?]0;title?????.");
    expect_clean("a\xc2\x9b"
                 "31m",
                 "a??31m");                                  /* CSI in one character */
    expect_clean("\x80\xff\xc3", "???");                     /* no UTF-8; cut off */
    expect_clean("\xc0\x8a\xe0\x80\x8a", "?????");           /* overlong */
    expect_clean("\xed\xa0\x80\xf4\x90\x80\x80", "???????"); /* surrogate; above U+10FFFF */
    expect_clean("", "");
}

Test(diag, says_nothing_that_a_terminal_would_obey)
{
    gla_diag d;

    gla__fail(&d, GLA_E_IO, "no '%s'", "\033[2J");
    gla__at(&d, "line\nbreak");
    gla__hint(&d, "try %s", "\xff");
    cr_expect_str_eq(d.message, "no '?[2J'");
    cr_expect_str_eq(d.where, "line?break");
    cr_expect_str_eq(d.hint, "try ?");
}
