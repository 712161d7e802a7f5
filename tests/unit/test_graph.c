/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/program.h"
#include "support/toy_layers.h"

enum { N = 10, D = 4, ROWS = 8, SEQUENCES = 3 };

typedef struct fixture {
    gla_registry *registry;
    gla_arch *arch;
    gla__state_layout layout;
    gla__graph *graph;
    gla__workspace *w;
    float state[SEQUENCES][4][D]; /* of up to four test.sum */
    void *pointers[SEQUENCES][4];
    void *const *states[SEQUENCES];
} fixture;

static void setup(fixture *f, const char *blocks, const char *layers)
{
    gla__program p;
    gla_diag diag;

    memset(f, 0, sizeof(*f));
    f->registry = toy_registry();
    f->arch = toy_arch(blocks, layers);
    cr_assert_eq(gla__program_create(f->arch, f->registry, &p, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla__program_layout(&p, &f->layout, &diag), GLA_OK);
    cr_assert_eq(gla__graph_create(&p, ROWS, SEQUENCES, 0, &f->graph, &diag), GLA_OK, "%s",
                 diag.message);
    cr_assert_eq(gla__workspace_create(f->graph, &f->w, &diag), GLA_OK);
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        for (uint32_t i = 0; i < 4; i++)
            f->pointers[s][i] = f->state[s][i];
        f->states[s] = f->pointers[s];
    }
}

static void teardown(fixture *f)
{
    gla__workspace_destroy(f->w);
    gla__graph_destroy(f->graph);
    gla__state_layout_free(&f->layout);
    gla_arch_free(f->arch);
    gla_registry_free(f->registry);
}

/* Runs tokens of up to three sequences; logits of every row into out[row][N] */
static gla_status run_bypass(fixture *f, uint32_t n_sequences, const uint32_t *offset,
                             const int32_t *tokens, float (*out)[N], uint32_t bypass)
{
    const uint64_t position[SEQUENCES] = {0};
    uint32_t rows[ROWS];
    float *logits[ROWS];
    const uint32_t n = offset[n_sequences];
    const gla__run run = {.n_sequences = n_sequences,
                          .n_rows = n,
                          .row_offset = offset,
                          .position = position,
                          .tokens = tokens,
                          .states = f->states,
                          .n_logits = n,
                          .logit_rows = rows,
                          .logits = logits,
                          .bypass = bypass};

    for (uint32_t i = 0; i < n && i < ROWS; i++) {
        rows[i] = i;
        logits[i] = out[i];
    }
    return gla__graph_run(f->graph, f->w, &run, NULL);
}

static gla_status run(fixture *f, uint32_t n_sequences, const uint32_t *offset,
                      const int32_t *tokens, float (*out)[N])
{
    return run_bypass(f, n_sequences, offset, tokens, out, 0);
}

/* The residual stream of a row, from its logits: n = 0 has factor 1. */
#define ROW(i) ((double)out[i][0])

Test(graph, sequences_of_a_batch_keep_apart)
{
    fixture f;
    float out[ROWS][N];

    setup(&f, "  b: {norm_at: none, mixer: {type: test.sum}}", "[b]");
    cr_assert_eq(run(&f, 2, (uint32_t[]){0, 3, 5}, (int32_t[]){1, 2, 3, 4, 5}, out), GLA_OK);
    cr_expect_eq(ROW(0), 1 + 1);
    cr_expect_eq(ROW(1), 2 + 3);
    cr_expect_eq(ROW(2), 3 + 6);
    cr_expect_eq(ROW(3), 4 + 4);
    cr_expect_eq(ROW(4), 5 + 9);
    cr_expect_eq(out[4][6], 7 * out[4][0]);
    cr_assert_eq(run(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){7}, out), GLA_OK);
    cr_expect_eq(ROW(0), 7 + 13); /* goes on from the state */
    teardown(&f);
}

Test(graph, each_norm_placement_computes_what_it_says)
{
    /* norm(x) = 3 x, f(x) = 2 x, x = 1 */
    static const struct {
        const char *at;
        double y;
    } cases[] = {{"pre", 1 + 2 * 3},
                 {"post", 1 + 3 * 2},
                 {"sandwich", 1 + 3 * 2 * 3},
                 {"residual", 3 + 2 * 3},
                 {"none", 1 + 2}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char block[256];
        float out[ROWS][N];
        fixture f;

        snprintf(block, sizeof(block),
                 "  b: {norm_at: %s, norm: {type: test.scale, factor: 3}, "
                 "mixer: {type: test.scale, factor: 2}}",
                 cases[i].at);
        setup(&f, block, "[b]");
        cr_assert_eq(run(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){1}, out), GLA_OK);
        cr_expect_eq(ROW(0), cases[i].y, "%s: %g", cases[i].at, ROW(0));
        teardown(&f);
    }
}

Test(graph, multipliers_of_parallel_mixers)
{
    float out[ROWS][N];
    fixture f;

    setup(&f,
          "  b: {skip_multiplier: 10, residual_multiplier: 0.5, mixer: ["
          "{type: test.scale, factor: 2, in_multiplier: 3, out_multiplier: 5}, "
          "{type: test.scale, factor: 7, out_multiplier: 11}]}",
          "[b]");
    cr_assert_eq(run(&f, 1, (uint32_t[]){0, 2}, (int32_t[]){1, 2}, out), GLA_OK);
    cr_expect_eq(ROW(0), 10 + 0.5 * (5 * 2 * 3 + 11 * 7));
    cr_expect_eq(ROW(1), 2 * ROW(0));
    teardown(&f);
}

Test(graph, a_mixer_can_be_left_out)
{
    float out[ROWS][N];
    fixture f;

    setup(&f, "  b: {norm_at: none, mixer: {type: test.scale, factor: 4}}", "[b, b]");
    cr_assert_eq(run(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){1}, out), GLA_OK);
    cr_expect_eq(ROW(0), 25);
    cr_assert_eq(run_bypass(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){1}, out, 2), GLA_OK);
    cr_expect_eq(ROW(0), 5);
    teardown(&f);
}

Test(graph, shared_rows_go_from_the_first_layer_to_the_last)
{
    float out[ROWS][N];
    fixture f;

    setup(&f, "  b: {norm_at: none, mixer: {type: test.share}}", "[b, b, b]");
    cr_assert_eq(run(&f, 1, (uint32_t[]){0, 2}, (int32_t[]){1, 5}, out), GLA_OK);
    cr_expect_eq(ROW(0), 1 + 1 + 1 + 1);
    cr_expect_eq(ROW(1), 5 + 5 + 5 + 5);
    teardown(&f);
}

Test(graph, only_the_wanted_rows_reach_the_last_ffn_and_the_head)
{
    const uint32_t offset[] = {0, 4}, rows[] = {1, 3};
    const int32_t tokens[] = {1, 2, 3, 4};
    const uint64_t position[] = {0};
    float a[N], b[N];
    float *const logits[] = {a, b};
    fixture f;
    gla__run r = {.n_sequences = 1,
                  .n_rows = 4,
                  .row_offset = offset,
                  .position = position,
                  .tokens = tokens,
                  .n_logits = 2,
                  .logit_rows = rows,
                  .logits = logits};

    setup(&f, "  b: {norm_at: none, mixer: {type: test.sum}, ffn: {type: test.scale, factor: 9}}",
          "[b]");
    r.states = f.states;
    cr_assert_eq(gla__graph_run(f.graph, f.w, &r, NULL), GLA_OK);
    cr_expect_eq(a[0], 10 * (2 + 3));
    cr_expect_eq(b[0], 10 * (4 + 10));
    r.n_logits = 0; /* the states still move on */
    cr_assert_eq(gla__graph_run(f.graph, f.w, &r, NULL), GLA_OK);
    cr_expect_eq(f.state[0][0][0], 20);
    teardown(&f);
}

/* No row may be left out before it, whatever logits are wanted. */
Test(graph, an_ffn_with_a_state_sees_all_rows)
{
    const uint32_t offset[] = {0, 4}, rows[] = {1};
    const int32_t tokens[] = {1, 2, 3, 4};
    const uint64_t position[] = {0};
    float a[N];
    float *const logits[] = {a};
    fixture f;
    gla__run r = {.n_sequences = 1,
                  .n_rows = 4,
                  .row_offset = offset,
                  .position = position,
                  .tokens = tokens,
                  .n_logits = 1,
                  .logit_rows = rows,
                  .logits = logits};

    setup(&f, "  b: {norm_at: none, ffn: {type: test.sum}}", "[b]");
    r.states = f.states;
    cr_assert_eq(gla__graph_run(f.graph, f.w, &r, NULL), GLA_OK);
    cr_expect_eq(a[0], 2 + 3);
    cr_expect_eq(f.state[0][0][0], 10);
    teardown(&f);
}

Test(graph, layers_follow_each_other_as_the_pattern_expands)
{
    float out[ROWS][N];
    fixture f;

    setup(&f,
          "  a: {norm_at: none, mixer: {type: test.scale, factor: 2}}\n"
          "  f: {norm_at: none, skip_multiplier: 0, ffn: {type: test.scale, factor: 5}}\n"
          "  s: {norm_at: none, mixer: {type: test.sum}}",
          "[a, s, f, a]");
    cr_assert_eq(run(&f, 1, (uint32_t[]){0, 2}, (int32_t[]){1, 3}, out), GLA_OK);
    cr_expect_eq(ROW(0), 3 * 5 * (3 * 1 + 3 * 1));
    cr_expect_eq(ROW(1), 3 * 5 * (3 * 3 + 3 * (1 + 3)));
    teardown(&f);
}

Test(graph, refuses_what_does_not_fit)
{
    float out[ROWS][N];
    fixture f;

    setup(&f, "  b: {norm_at: none, mixer: {type: test.sum}}", "[b]");
    cr_expect_eq(run(&f, 1, (uint32_t[]){0, 9}, (int32_t[9]){0}, out), GLA_E_INVALID);
    cr_expect_eq(run(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){-1}, out), GLA_E_INVALID);
    cr_expect_eq(run(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){N}, out), GLA_E_INVALID);
    cr_expect_eq(f.state[0][0][0], 0);
    teardown(&f);
}

Test(graph, a_layer_that_does_not_look_fails_all_the_same)
{
    float out[ROWS][N];
    fixture f;

    setup(&f, "  b: {norm_at: none, mixer: {type: test.careless}}", "[b]");
    cr_expect_eq(run(&f, 1, (uint32_t[]){0, 2}, (int32_t[]){3, 4}, out), GLA_OK);
    cr_expect_eq(ROW(1), 4 + 3);
    cr_expect_eq(run(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){9}, out), GLA_E_INVALID);
    cr_expect_eq(f.state[0][0][0], 4); /* nothing ran after it */
    cr_expect_eq(run(&f, 1, (uint32_t[]){0, 1}, (int32_t[]){5}, out), GLA_OK);
    cr_expect_eq(ROW(0), 5 + 4);
    teardown(&f);
}
