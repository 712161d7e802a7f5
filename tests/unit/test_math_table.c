/* SPDX-License-Identifier: Apache-2.0 */
#include "math/kv.h"
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

static char said[128];

static void explain(const gla_host *h, const char *msg)
{
    (void)h;
    snprintf(said, sizeof(said), "%s", msg);
}

static void expect_refused(gla_status st, const char *type)
{
    char start[64];

    snprintf(start, sizeof(start), "%s: struct_size is 0, version 1.0 has ", type);
    cr_expect_eq(st, GLA_E_ABI, "%s: status %d", type, (int)st);
    cr_expect(!strncmp(said, start, strlen(start)), "%s: '%s'", type, said);
}

Test(math_table, what_a_layer_fills_in_says_how_large_it_is)
{
    const gla_math *math = gla__math_table();
    const gla_host host = {.struct_size = sizeof(host), .explain = explain};
    const uint32_t offset[] = {0, 1};
    const uint64_t position[] = {0};
    gla__exec exec = {0};
    gla__kv_view view = {.kv_heads = 1, .q_heads = 1, .k_dim = 8, .v_dim = 8};
    void *states[] = {&view};
    float x[8] = {0};
    const gla_batch b = {.n_sequences = 1,
                         .n_rows = 1,
                         .n_states = 1,
                         .row_offset = offset,
                         .position = position,
                         .states = states,
                         .host = &host,
                         .exec = &exec};
    gla_linear *linear;
    gla_conv *conv;
    gla_rope *rope;

    expect_refused(math->linear_create(&host, &(gla_linear_spec){0}, &linear), "gla_linear_spec");
    expect_refused(math->conv_create(&host, &(gla_conv_spec){0}, &conv), "gla_conv_spec");
    expect_refused(math->rope_create(&host, &(gla_rope_spec){0}, &rope), "gla_rope_spec");
    expect_refused(math->norm(&b, &(gla_norm){0}, 1, x, 8, x, 8), "gla_norm");
    expect_refused(math->recurrence(&b, &(gla_recurrence){0}), "gla_recurrence");
    expect_refused(math->attention(&b, &(gla_attention){0}), "gla_attention");
    expect_refused(math->selective_scan(&b, &(gla_selective_scan){0}), "gla_selective_scan");
    expect_refused(math->scan(&b, &(gla_scan){0}), "gla_scan");
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
