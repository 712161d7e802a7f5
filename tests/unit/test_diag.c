/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <criterion/criterion.h>
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
