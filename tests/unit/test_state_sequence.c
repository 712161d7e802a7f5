/* SPDX-License-Identifier: Apache-2.0 */
#include "support/state_fixture.h"

Test(state_sequence, keeps_all_pages_or_only_those_of_the_window)
{
    fixture f;

    setup(&f);
    step(&f.q, 70);
    cr_assert_eq(f.q.tables[0].n, 2);
    cr_assert_eq(f.q.tables[1].n, 2);
    step(&f.q, 930);
    cr_assert_eq(f.q.position, 1000);
    cr_assert_eq(f.q.tables[0].n, 16);
    cr_assert_eq(f.q.tables[1].first, 14); /* token 901 is the first that 1000 attends to */
    cr_assert_eq(f.q.tables[1].n, 2);
    cr_assert_eq(key_at(&f.q, 0, 5), 6);
    cr_assert_eq(key_at(&f.q, 1, 950), 951);
    cr_assert_eq(f.q.tokens[999], 999);
    cr_assert_eq(atomic_load(&f.usage.kv), 18 * f.page);
    cr_assert_eq(atomic_load(&f.usage.state), 128);
    teardown(&f);
}

Test(state_sequence, tables_depend_on_the_position_alone)
{
    fixture f;
    gla__sequence other;

    setup(&f);
    cr_assert_eq(gla__sequence_init(&other, &f.store, GLA_DTYPE_F32, NULL), GLA_OK);
    for (int i = 0; i < 777; i++) {
        step(&f.q, 1);
        cr_assert_eq(f.q.tables[1].first, gla__kv_first_page(f.q.position, 100));
    }
    step(&other, 777);
    for (uint32_t j = 0; j < 2; j++) {
        cr_assert_eq(f.q.tables[j].first, other.tables[j].first);
        cr_assert_eq(f.q.tables[j].n, other.tables[j].n);
    }
    gla__sequence_deinit(&other);
    teardown(&f);
}

Test(state_sequence, a_copy_shares_pages_until_one_writes)
{
    fixture f;
    gla__sequence copy;
    unsigned long long before;

    setup(&f);
    step(&f.q, 100);
    f.q.fixed[3] = 7;
    before = atomic_load(&f.usage.kv);
    cr_assert_eq(gla__sequence_copy(&copy, &f.q, NULL), GLA_OK);
    cr_assert_eq(atomic_load(&f.usage.kv), before);
    cr_assert_eq(copy.fixed[3], 7);
    copy.fixed[3] = 8;
    step(&copy, 10);
    /* only the page being written was copied, in both caches */
    cr_assert_eq(atomic_load(&f.usage.kv), before + 2 * f.page);
    cr_assert_eq(copy.tables[0].pages[0], f.q.tables[0].pages[0]);
    cr_assert_neq(copy.tables[0].pages[1], f.q.tables[0].pages[1]);
    cr_assert_eq(key_at(&f.q, 0, 100), 0);
    cr_assert_eq(key_at(&copy, 0, 100), 101);
    cr_assert_eq(key_at(&copy, 0, 99), 100);
    cr_assert_eq(f.q.fixed[3], 7);
    cr_assert_eq(f.q.position, 100);
    gla__sequence_deinit(&copy);
    cr_assert_eq(atomic_load(&f.usage.kv), before);
    teardown(&f);
}

Test(state_sequence, a_reservation_that_fails_changes_nothing)
{
    fixture f;
    gla_diag diag;

    setup(&f);
    step(&f.q, 60);
    atomic_store(&f.store.budget, atomic_load(&f.store.used) + f.page + 10);
    cr_assert_eq(gla__sequence_reserve(&f.q, 64, &diag), GLA_E_LIMIT);
    cr_assert(strstr(diag.message, "budget"));
    cr_assert_eq(f.q.position, 60);
    cr_assert_eq(f.q.tables[0].n, 1);
    cr_assert_eq(f.q.tables[1].n, 1);
    cr_assert_eq(key_at(&f.q, 0, 59), 60);
    step(&f.q, 4); /* fits the page at hand */
    cr_assert_eq(f.q.position, 64);
    atomic_store(&f.store.budget, UINT64_MAX);
    step(&f.q, 64);
    teardown(&f);
}

Test(state_sequence, refuses_more_tokens_than_it_can_count)
{
    fixture f;

    setup(&f);
    step(&f.q, 10);
    cr_assert_eq(gla__sequence_reserve(&f.q, SIZE_MAX, NULL), GLA_E_LIMIT);
    cr_assert_eq(f.q.position, 10);
    teardown(&f);
}

static bool give_back(void *ctx, uint64_t bytes)
{
    fixture *f = ctx;

    (void)bytes;
    if (atomic_load(&f->store.budget) == UINT64_MAX)
        return false;
    atomic_store(&f->store.budget, UINT64_MAX);
    return true;
}

Test(state_store, asks_for_memory_back_before_it_fails)
{
    fixture f;

    setup(&f);
    f.store.reclaim = give_back;
    f.store.reclaim_ctx = &f;
    atomic_store(&f.store.budget, 200);
    step(&f.q, 100);
    cr_assert_eq(atomic_load(&f.store.budget), UINT64_MAX);
    teardown(&f);
}

Test(state_store, a_page_counts_as_kv_while_a_sequence_uses_it_and_as_cache_after)
{
    fixture f;
    uint8_t *page;

    setup(&f);
    step(&f.q, 10);
    page = f.q.tables[0].pages[0];
    gla__pages_hold(&f.store, &page, 1, GLA__HOLDER_CACHE);
    cr_assert_eq(atomic_load(&f.usage.kv), 2 * f.page);
    cr_assert(!gla__page_is_own(page));
    gla__sequence_reset(&f.q);
    cr_assert_eq(atomic_load(&f.usage.kv), 0);
    cr_assert_eq(atomic_load(&f.usage.cache), f.page);
    cr_assert_eq(((const float *)(const void *)page)[0], 1);
    gla__pages_release(&f.store, &page, 1, GLA__HOLDER_CACHE);
    teardown(&f);
}
