/* SPDX-License-Identifier: Apache-2.0 */
#include "state/layout.h"

#include <criterion/criterion.h>
#include <string.h>

#include "math/kv.h"

static gla_state_desc fixed(int64_t d0, int64_t d1, int64_t d2)
{
    gla_state_desc d = {.kind = GLA_STATE_FIXED, .ndim = 3, .dims = {d0, d1, d2}};
    return d;
}

Test(state_layout, places_fixed_states_at_multiples_of_64)
{
    gla__state_layout l = {0};
    gla_state_desc odd = fixed(1, 3, 5), next = fixed(2, 4, 4);
    gla_state_desc kv = {.kind = GLA_STATE_PER_TOKEN, .kv_heads = 2, .k_dim = 8, .v_dim = 8};

    cr_assert_eq(gla__state_layout_add(&l, "layers.0.mixer.S", &odd, 1, NULL), GLA_OK);
    cr_assert_eq(gla__state_layout_add(&l, "layers.1.mixer.kv", &kv, 2, NULL), GLA_OK);
    cr_assert_eq(gla__state_layout_add(&l, "layers.2.mixer.S", &next, 3, NULL), GLA_OK);
    cr_assert_eq(l.n_entries, 3);
    cr_assert_eq(l.n_per_token, 1);
    cr_assert_eq(l.entries[0].bytes, 60);
    cr_assert_eq(l.entries[2].offset, 64);
    cr_assert_eq(l.entries[2].bytes, 128);
    cr_assert_eq(l.fixed_bytes, 192);
    cr_assert_str_eq(l.entries[1].desc.name, "layers.1.mixer.kv");
    gla__state_layout_free(&l);
    cr_assert_eq(l.n_entries, 0);
}

Test(state_layout, refuses_sizes_that_overflow_and_names_the_state)
{
    gla__state_layout l = {0};
    gla_state_desc huge = fixed(INT64_C(1) << 40, INT64_C(1) << 40, 2), negative = fixed(-1, 1, 1);
    gla_state_desc kv = {.kind = GLA_STATE_PER_TOKEN, .kv_heads = 1u << 31, .k_dim = 1u << 31};
    gla_diag diag;

    cr_assert_eq(gla__state_layout_add(&l, "a.S", &huge, 1, &diag), GLA_E_LIMIT);
    cr_assert_str_eq(diag.where, "a.S");
    cr_assert_eq(gla__state_layout_add(&l, "a.S", &negative, 1, &diag), GLA_E_LIMIT);
    cr_assert_eq(gla__state_layout_add(&l, "a.kv", &kv, 1, &diag), GLA_E_LIMIT);
    kv.v_dim = kv.k_dim = kv.kv_heads = UINT32_MAX;
    cr_assert_eq(gla__state_layout_add(&l, "a.kv", &kv, 1, &diag), GLA_E_LIMIT);
    kv.kv_heads = 0;
    cr_assert_eq(gla__state_layout_add(&l, "a.kv", &kv, 1, &diag), GLA_E_LIMIT);
    kv.kv_heads = 1;
    kv.k_dim = 0;
    cr_assert_eq(gla__state_layout_add(&l, "a.kv", &kv, 1, &diag), GLA_E_LIMIT);
    huge = fixed(INT64_MAX, 4, 1);
    cr_assert_eq(gla__state_layout_add(&l, "a.S", &huge, 1, &diag), GLA_E_LIMIT);
    huge.ndim = GLA_MAX_DIMS + 1;
    cr_assert_eq(gla__state_layout_add(&l, "a.S", &huge, 1, &diag), GLA_E_LIMIT);
    kv.kind = 7;
    cr_assert_eq(gla__state_layout_add(&l, "a.x", &kv, 1, &diag), GLA_E_PLUGIN);
    cr_assert_eq(l.n_entries, 0);
    gla__state_layout_free(&l);
}

Test(state_layout, counts_all_states_of_a_sequence)
{
    gla__state_layout l = {0};
    gla_state_desc half = fixed(1 << 19, 1 << 18, 1), none = fixed(1, 1, 0);
    gla_diag diag;

    cr_assert_eq(gla__state_layout_add(&l, "a.S", &half, 1, &diag), GLA_OK);
    cr_assert_eq(gla__state_layout_add(&l, "b.S", &half, 1, &diag), GLA_OK);
    cr_assert_eq(gla__state_layout_add(&l, "c.S", &half, 1, &diag), GLA_E_LIMIT);
    cr_assert_eq(l.n_entries, 2);
    while (l.n_entries < 65536)
        cr_assert_eq(gla__state_layout_add(&l, "d.S", &none, 1, &diag), GLA_OK);
    cr_assert_eq(gla__state_layout_add(&l, "d.S", &none, 1, &diag), GLA_E_LIMIT);
    cr_assert(strstr(diag.message, "more than 65536 states"), "%s", diag.message);
    gla__state_layout_free(&l);
}

Test(kv_page, parts_start_at_multiples_of_64_and_mla_has_no_values)
{
    gla__kv_page_layout p;

    gla__kv_page(GLA_DTYPE_BF16, 3, 5, 7, &p);
    cr_assert_eq(p.v_offset, 1920);       /* 3 * 64 * 5 * 2 */
    cr_assert_eq(p.k_scale_offset, 4608); /* + 3 * 64 * 7 * 2 */
    cr_assert_eq(p.bytes, 4608);
    gla__kv_page(GLA_DTYPE_I8, 1, 33, 0, &p);
    cr_assert_eq(p.k_scale_offset, 2112);
    cr_assert_eq(p.v_scale_offset, 2368); /* + 64 f32 */
    cr_assert_eq(p.bytes, 2368);
}
