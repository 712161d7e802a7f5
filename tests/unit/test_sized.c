/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sized.h"

#include <criterion/criterion.h>
#include <string.h>

/* A struct as it was, as it is, and as it will be. */
typedef struct before {
    uint32_t struct_size, a;
} before;
typedef struct today {
    uint32_t struct_size, a;
    uint64_t b;
} today;
typedef struct later {
    uint32_t struct_size, a;
    uint64_t b, c;
} later;

static gla_status take(today *t, const void *given, gla_diag *diag)
{
    memset(t, 'x', sizeof(*t));
    return gla__read_struct(today, a, t, given, diag);
}

Test(sized, older_structs_have_zeros_in_what_they_do_not_know)
{
    const before given = {sizeof(given), 5};
    today t;

    cr_assert_eq(take(&t, &given, NULL), GLA_OK);
    cr_expect(t.struct_size == sizeof(t) && t.a == 5 && t.b == 0);
    cr_assert_eq(take(&t, NULL, NULL), GLA_OK);
    cr_expect(t.struct_size == sizeof(t) && t.a == 0 && t.b == 0);
}

Test(sized, newer_structs_must_not_say_what_nobody_knows)
{
    later given = {sizeof(given), 5, 6, 0};
    gla_diag diag;
    today t;

    cr_assert_eq(take(&t, &given, &diag), GLA_OK);
    cr_expect(t.struct_size == sizeof(t) && t.a == 5 && t.b == 6);
    given.c = 1;
    cr_expect_eq(take(&t, &given, &diag), GLA_E_UNSUPPORTED);
    cr_expect_str_eq(diag.message, "today: byte 16 is set, this version of the library knows 16");
}

Test(sized, a_size_that_nobody_set_is_refused)
{
    static const uint32_t sizes[] = {0, 1, sizeof(before) - 1, 1u << 20, UINT32_MAX};
    gla_diag diag;
    today t;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const today given = {sizes[i], 5, 6};

        cr_expect_eq(take(&t, &given, &diag), GLA_E_INVALID);
        cr_expect(strstr(diag.message, "at least 8 expected"), "%s", diag.message);
        cr_expect_str_eq(diag.hint, "begin its initialiser with GLA_SIZED(today)");
    }
}

Test(sized, no_more_is_written_than_there_is_room)
{
    const today from = {1, 2, 3};
    struct {
        later s;
        char guard;
    } to;

    for (size_t size = 0; size <= sizeof(to.s); size++) {
        const size_t known = size < sizeof(from) ? size : sizeof(from);

        memset(&to, 'x', sizeof(to));
        gla__write_struct(&to, size, &from, sizeof(from));
        cr_expect(!memcmp(&to, &from, known));
        for (size_t i = known; i < sizeof(to.s) + 1; i++)
            cr_expect_eq(((const char *)&to)[i], i < size ? 0 : 'x');
    }
}
