/* SPDX-License-Identifier: Apache-2.0 */
#include "state/snapshot.h"

#include "support/state_fixture.h"

static gla__snapshot *take(const gla__sequence *q)
{
    gla__snapshot *p;

    cr_assert_eq(gla__snapshot_take(q, &p, NULL), GLA_OK);
    return p;
}

Test(state_snapshot, brings_back_fixed_states_and_pages_that_left_the_window)
{
    fixture f;
    gla__snapshot *p;
    float before;

    setup(&f);
    step(&f.q, 300);
    before = f.q.fixed[0];
    p = take(&f.q);
    cr_assert_eq(p->bytes, 128 + f.q.tables[1].n * f.page);
    step(&f.q, 700);
    cr_assert_eq(f.q.tables[1].first, 14);
    gla__snapshot_restore(&f.q, p);
    cr_assert_eq(f.q.position, 300);
    cr_assert_eq(f.q.fixed[0], before);
    cr_assert_eq(f.q.tables[0].n, 5);
    cr_assert_eq(f.q.tables[1].first, gla__kv_first_page(300, 100));
    cr_assert_eq(key_at(&f.q, 1, 250), 251);
    /* the snapshot is not changed by what is written after it */
    step_tokens(&f.q, (const int32_t[]){5000}, 1);
    cr_assert_eq(key_at(&f.q, 1, 300), 5001);
    gla__snapshot_restore(&f.q, p);
    cr_assert_eq(key_at(&f.q, 1, 299), 300);
    cr_assert_eq(f.q.fixed[0], before);
    gla__snapshot_unref(p);
    teardown(&f);
}

Test(state_snapshot, resume_makes_a_second_sequence_and_leaves_the_first)
{
    fixture f;
    gla__snapshot *p;
    gla__sequence r;

    setup(&f);
    step(&f.q, 130);
    p = take(&f.q);
    step(&f.q, 400);
    cr_assert_eq(gla__snapshot_resume(&r, &f.q, p, NULL), GLA_OK);
    cr_assert_eq(r.position, 130);
    cr_assert_arr_eq(r.tokens, f.q.tokens, 130 * sizeof(int32_t));
    cr_assert_eq(r.tables[0].pages[1], f.q.tables[0].pages[1]);
    step_tokens(&r, (const int32_t[]){9999}, 1);
    cr_assert_eq(key_at(&r, 0, 130), 10000);
    cr_assert_eq(key_at(&f.q, 0, 130), 131);
    cr_assert_eq(f.q.position, 530);
    gla__sequence_deinit(&r);
    gla__snapshot_unref(p);
    teardown(&f);
}

Test(state_snapshot, fails_cleanly_over_the_budget)
{
    fixture f;
    gla__snapshot *p;

    setup(&f);
    step(&f.q, 10);
    atomic_store(&f.store.budget, atomic_load(&f.store.used) + 127);
    cr_assert_eq(gla__snapshot_take(&f.q, &p, NULL), GLA_E_LIMIT);
    cr_assert_null(p);
    atomic_store(&f.store.budget, atomic_load(&f.store.used) + 128);
    cr_assert_eq(gla__snapshot_take(&f.q, &p, NULL), GLA_OK);
    gla__snapshot_unref(p);
    teardown(&f);
}

static void add_at(gla__ring *ring, fixture *f, uint64_t position, bool mark)
{
    gla__snapshot *p;

    while (f->q.position < position)
        step(&f->q, position - f->q.position < 512 ? position - f->q.position : 512);
    p = take(&f->q);
    cr_assert(gla__ring_add(ring, p, mark));
    gla__snapshot_unref(p);
}

Test(state_ring, finds_the_nearest_before_and_forgets_what_is_cut)
{
    fixture f;
    gla__ring ring = {.budget = UINT64_MAX};

    setup(&f);
    add_at(&ring, &f, 100, false);
    add_at(&ring, &f, 200, false);
    add_at(&ring, &f, 200, true);
    add_at(&ring, &f, 350, false);
    cr_assert_eq(ring.n, 3);
    cr_assert(ring.slots[1].mark);
    cr_assert_null(gla__ring_find(&ring, 99));
    cr_assert_eq(gla__ring_find(&ring, 100)->position, 100);
    cr_assert_eq(gla__ring_find(&ring, 349)->position, 200);
    cr_assert_eq(gla__ring_find(&ring, 5000)->position, 350);
    cr_assert_eq(gla__ring_worst_replay(&ring, 400), 149); /* back to 349 */
    cr_assert_eq(gla__ring_worst_replay(&ring, 600), 249); /* back to 599 */
    gla__ring_cut(&ring, 349);
    cr_assert_eq(ring.n, 2);
    gla__ring_clear(&ring);
    cr_assert_eq(ring.bytes, 0);
    teardown(&f);
}

Test(state_ring, thins_out_with_age_within_its_budget)
{
    fixture f;
    const uint64_t stride = 32;
    gla__ring ring = {0};
    uint64_t last_gap = UINT64_MAX;

    setup(&f);
    ring.budget = 12 * (128 + 3 * f.page); /* windows take two or three pages */
    for (uint64_t n = stride; n <= 128 * stride; n += stride) {
        add_at(&ring, &f, n, n == 10 * stride);
        cr_assert_leq(ring.bytes, ring.budget);
    }
    cr_assert_geq(ring.n, 12);
    cr_assert_eq(ring.slots[ring.n - 1].snapshot->position, 128 * stride);
    cr_assert_eq(ring.slots[ring.n - 2].snapshot->position, 127 * stride);
    /* far back it is coarser, but does not begin at the end */
    cr_assert_leq(ring.slots[0].snapshot->position, 64 * stride);
    for (size_t i = 1; i < ring.n; i++) {
        const uint64_t gap =
            ring.slots[i].snapshot->position - ring.slots[i - 1].snapshot->position;

        cr_assert_leq(gap, last_gap == UINT64_MAX ? gap : 3 * last_gap);
        last_gap = gap;
    }
    cr_assert_leq(gla__ring_worst_replay(&ring, 128 * stride), 64 * stride);
    cr_assert(gla__ring_give(&ring));
    while (gla__ring_give(&ring))
        ;
    cr_assert_eq(ring.n, 0);
    gla__ring_clear(&ring);
    teardown(&f);
}

Test(state_ring, does_not_take_what_is_over_its_budget_alone)
{
    fixture f;
    gla__ring ring = {.budget = 100};
    gla__snapshot *p;

    setup(&f);
    step(&f.q, 10);
    p = take(&f.q);
    cr_assert_not(gla__ring_add(&ring, p, true));
    cr_assert_eq(ring.n, 0);
    gla__snapshot_unref(p);
    teardown(&f);
}
