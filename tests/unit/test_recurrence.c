/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "support/batch.h"

/* One head, K = V = 1: S goes 6, 6 / 2 + 1 = 4; o = S q. */
static gla_recurrence tiny(float *o)
{
    static const float q[2] = {1, 10}, k[2] = {2, 1}, v[2] = {3, 1};
    static const float log_decay[2] = {0, -0.6931471805599453f};

    return (gla_recurrence){.struct_size = sizeof(gla_recurrence),
                            .decay = GLA_DECAY_HEAD,
                            .heads = 1,
                            .k_dim = 1,
                            .v_dim = 1,
                            .scale = 1,
                            .q = q,
                            .k = k,
                            .v = v,
                            .log_decay = log_decay,
                            .ld_q = 1,
                            .ld_k = 1,
                            .ld_v = 1,
                            .ld_decay = 1,
                            .ld_o = 1,
                            .o = o};
}

static gla_status run(gla_recurrence *r, uint32_t rows, float *state)
{
    test_batch t;
    gla_status st;

    test_batch_init(&t, 1, &rows, 1, (size_t[]){1});
    *(float *)t.states[0] = *state;
    st = gla__recurrence(&t.batch, r);
    *state = *(float *)t.states[0];
    cr_assert((st != GLA_OK) == (t.explained[0] != 0), "a refusal says why");
    test_batch_free(&t);
    return st;
}

Test(recurrence, follows_the_formula_by_hand)
{
    float o[2], state = 0;
    gla_recurrence r = tiny(o);

    cr_assert_eq(run(&r, 2, &state), GLA_OK);
    cr_assert_float_eq(o[0], 6, 1e-6);
    cr_assert_float_eq(o[1], 40, 1e-5);
    cr_assert_float_eq(state, 4, 1e-6);
}

Test(recurrence, leaves_state_and_output_alone_without_rows)
{
    float o[2] = {7, 7}, state = 5;
    gla_recurrence r = tiny(o);

    cr_assert_eq(run(&r, 0, &state), GLA_OK);
    cr_assert_eq(o[0], 7);
    cr_assert_eq(state, 5);
}

Test(recurrence, refuses_what_it_cannot_do)
{
    float o[2], state = 0;
    const gla_recurrence good = tiny(o);
    gla_recurrence bad[7];

    for (size_t i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].k_dim = 0;
    bad[1].q_heads = 2;
    bad[2].log_decay = NULL;
    bad[3].write = GLA_WRITE_DPLR;
    bad[4].state = 1;
    bad[5].normaliser = GLA_NORMALISER_SUM, bad[5].z_state = 9;
    bad[6].decay = 5;
    for (size_t i = 0; i < 7; i++)
        cr_assert_eq(run(&bad[i], 2, &state), GLA_E_INVALID, "case %zu", i);
}

Test(recurrence, says_so_when_the_declared_scratch_is_too_small)
{
    float o[2];
    gla_recurrence r = tiny(o);
    const uint32_t rows = 2;
    test_batch t;

    test_batch_init(&t, 1, &rows, 1, (size_t[]){1});
    t.exec.arena_bytes = 64;
    cr_assert_eq(gla__recurrence(&t.batch, &r), GLA_E_LIMIT);
    cr_assert_eq(t.exec.used, 0);
    test_batch_free(&t);
}
