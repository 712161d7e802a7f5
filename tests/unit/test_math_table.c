/* SPDX-License-Identifier: Apache-2.0 */
#include "math_test.h"

Test(math_table, has_every_function)
{
    const gla_math *math = gla__math_table();
    /* after the two numbers at its start the table is nothing but function pointers */
    const size_t first = offsetof(gla_math, linear_create);
    const size_t n = (sizeof(*math) - first) / sizeof(void (*)(void));

    cr_assert_eq(math->struct_size, sizeof(gla_math));
    for (size_t i = 0; i < n; i++) {
        void (*fn)(void);

        memcpy(&fn, (const char *)math + first + i * sizeof(fn), sizeof(fn));
        cr_assert(fn != NULL, "function %zu of the math table is missing", i);
    }
}

Test(math_table, arena_gives_aligned_pieces_and_says_when_it_is_empty)
{
    gla__exec exec = {.arena_bytes = 256};
    char *a, *b;

    exec.arena = gla__alloc(256);
    a = gla__exec_take(&exec, 1);
    b = gla__exec_take(&exec, 100);
    cr_assert_eq(a, exec.arena);
    cr_assert_eq(b, exec.arena + 64);
    cr_assert_null(gla__exec_take(&exec, 65));
    cr_assert_null(gla__exec_take(&exec, SIZE_MAX));
    cr_assert_not_null(gla__exec_take(&exec, 64));
    gla__free(exec.arena);
}
