/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"
#include "base/struct.h"
#include "math/kv.h"
#include "math/ops.h"
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
static gla__exec exec;

static void explain(const gla_host *h, const char *msg)
{
    (void)h;
    snprintf(said, sizeof(said), "%s", msg);
}

static void expect_refused(gla_status st, const char *type)
{
    char start[64];

    snprintf(start, sizeof(start), "%s: struct_size is 0, its first version has ", type);
    cr_expect_eq(st, GLA_E_ABI, "%s: status %d", type, (int)st);
    cr_expect(!strncmp(said, start, strlen(start)), "%s: '%s'", type, said);
    exec.failed = GLA_OK;
}

Test(math_table, what_a_layer_fills_in_says_how_large_it_is)
{
    const gla_math *math = gla__math_table();
    const gla_host host = {.struct_size = sizeof(host), .explain = explain};
    const uint32_t offset[] = {0, 1};
    const uint64_t position[] = {0};
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
    expect_refused(math->copy(&b, &(gla_copy){0}), "gla_copy");
    expect_refused(math->add(&b, &(gla_factor){0}), "gla_factor");
    expect_refused(math->mul(&b, &(gla_factor){0}), "gla_factor");
    expect_refused(math->route(&b, &(gla_route){0}), "gla_route");
    expect_refused(math->rows(&b, &(gla_rows){0}), "gla_rows");
}

/* The first fields of a struct that grew, as a caller of an earlier version has it. */
Test(math_table, what_an_older_caller_does_not_know_is_not_read)
{
    const gla_batch b = {.exec = &exec};
    float x[8] = {3, 4};
    gla_norm *n = malloc(GLA__FIRST(gla_norm)); /* not a byte more */

    *n = (gla_norm){.struct_size = (uint32_t)GLA__FIRST(gla_norm),
                    .kind = GLA_NORM_L2,
                    .groups = 1,
                    .width = 2};
    cr_assert_eq(gla__math_table()->norm(&b, n, 1, x, 2, x, 2), GLA_OK);
    cr_assert_float_eq(x[0], 0.6, 1e-6);
    free(n);
}

/* ---- the first failure ---- */

static void write_42(void *arg, uint32_t first, uint32_t last)
{
    float *x = arg;

    for (uint32_t i = first; i < last; i++)
        x[i] = 42;
}

static void write_operand(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    (void)arg;
    write_42(at[0], first, last);
}

typedef struct sticky {
    gla_batch b;
    uint32_t offset[2];
    uint64_t position[1];
    void *states[1];
    float kept[4], x[4], y[4];
    uint32_t slot[4], row[8];
} sticky;

/* Calls the i-th function of the table on y; false: there is no such function. */
static bool call_one(sticky *t, unsigned i, gla_linear *linear, gla_conv *conv, gla_rope *rope)
{
    const gla_math *m = gla__math_table();
    const gla_batch *b = &t->b;
    float *x = t->x, *y = t->y;
    const int32_t ids[] = {0};
    const gla_recurrence r = {.struct_size = sizeof(r),
                              .heads = 1,
                              .k_dim = 1,
                              .v_dim = 1,
                              .scale = 1,
                              .q = x,
                              .k = x,
                              .v = x,
                              .o = y};
    const gla_attention a = {.struct_size = sizeof(a), .heads = 1, .q = x, .k = x, .v = x, .o = y};
    const gla_selective_scan ss = {.struct_size = sizeof(ss),
                                   .inner = 1,
                                   .n_state = 1,
                                   .u = x,
                                   .dt = x,
                                   .b = x,
                                   .c = x,
                                   .a = x,
                                   .y = y};
    const gla_scan s = {.struct_size = sizeof(s), .width = 1, .log_decay = x, .x = x, .y = y};
    const gla_norm n = {
        .struct_size = sizeof(n), .kind = GLA_NORM_SOFTMAX, .groups = 1, .width = 1};
    const gla_copy c = {
        .struct_size = sizeof(c), .rows = 1, .groups = 1, .width = 1, .x = x, .y = y};
    const gla_factor f = {
        .struct_size = sizeof(f), .rows = 1, .groups = 1, .width = 1, .x = x, .y = y};
    const gla_route route = {.struct_size = sizeof(route),
                             .rows = 1,
                             .experts = 2,
                             .top_k = 1,
                             .groups = 1,
                             .top_groups = 1,
                             .logits = y,
                             .slot = t->slot,
                             .offset = t->row,
                             .weight = y};
    const gla_operand operand = {y, 1, 1, GLA_USE_WRITE};
    const gla_rows rows = {.struct_size = sizeof(rows),
                           .operand_size = sizeof(operand),
                           .operands = &operand,
                           .n_operands = 1,
                           .rows = 1,
                           .fn = write_operand};
    gla_status st = GLA_OK;

    switch (i) {
    case 0:
        st = m->linear(b, linear, 1, x, 1, y, 1);
        break;
    case 1:
        st = m->linear_grouped(b, linear, t->offset, x, 1, y, 1);
        break;
    case 2:
        st = m->gather(b, linear, 1, ids, y, 1);
        break;
    case 3:
        st = m->conv1d(b, conv, 0, x, 1, y, 1);
        break;
    case 4:
        st = m->recurrence(b, &r);
        break;
    case 5:
        st = m->attention(b, &a);
        break;
    case 6:
        st = m->selective_scan(b, &ss);
        break;
    case 7:
        st = m->scan(b, &s);
        break;
    case 8:
        st = m->rope(b, rope, 1, 2, y, 2);
        break;
    case 9:
        st = m->norm(b, &n, 1, x, 1, y, 1);
        break;
    case 10:
        st = m->activation(b, GLA_ACT_NONE, 1, 1, x, 1, y, 1);
        break;
    case 11:
        st = m->glu(b, GLA_ACT_NONE, 1, 1, x, 1, x, 1, y, 1);
        break;
    case 12:
        st = m->scale(b, 3, 1, 1, y, 1);
        break;
    case 13:
        st = m->scale_channels(b, x, 1, 1, y, 1);
        break;
    case 14:
        st = m->clamp(b, 3, 4, 1, 1, y, 1);
        break;
    case 15:
        st = m->for_rows(b, 1, write_42, y);
        break;
    case 16:
        st = m->shift(b, 0, 1, x, 1, y, 1);
        break;
    case 17:
        st = m->mix(b, 1, 1, x, 1, x, 1, x, 1, y, 1);
        break;
    case 18:
        st = m->copy(b, &c);
        break;
    case 19:
        st = m->add(b, &f);
        break;
    case 20:
        st = m->mul(b, &f);
        break;
    case 21:
        st = m->route(b, &route);
        break;
    case 22:
        st = m->permute(b, 1, 1, 1, t->slot, x, 1, y, 1);
        break;
    case 23:
        st = m->combine_rows(b, 1, 1, 1, t->slot, x, x, 1, y, 1);
        break;
    case 24:
        st = m->rows(b, &rows);
        break;
    default:
        return false;
    }
    cr_expect_eq(st, exec.failed, "function %u returns %d", i, (int)st);
    return true;
}

Test(math_table, after_a_failure_nothing_is_computed)
{
    const float one[] = {1};
    const float *taps[] = {one};
    const gla_tensor w = {.data = one, .dtype = GLA_DTYPE_F32, .ndim = 2, .dims = {1, 1}};
    const gla_tensor *parts[] = {&w};
    const gla_linear_spec l = {
        .struct_size = sizeof(l), .n_parts = 1, .weights = parts, .groups = 1};
    const gla_conv_spec c = {.struct_size = sizeof(c),
                             .n_parts = 1,
                             .width = 1,
                             .weights = taps,
                             .channels = (uint32_t[]){1}};
    const gla_rope_spec r = {.struct_size = sizeof(r), .dims = 2, .theta = 1e4};
    const gla__math_needs needs = {.rows = 1,
                                   .threads = gla__parallel_width(),
                                   .heads = 1,
                                   .k_dim = 1,
                                   .v_dim = 1,
                                   .attn_heads = 1};
    const size_t bytes = gla__math_scratch_bytes(&needs);
    const unsigned last = (sizeof(gla_math) - offsetof(gla_math, linear)) / sizeof(void (*)(void));
    _Alignas(64) uint8_t page[64 * 2 * sizeof(float)];
    uint8_t *pages[] = {page};
    gla__kv_view view = {GLA_DTYPE_F32, 1, 1, 1, 1, 0, 0, pages, 1};
    gla_linear *linear;
    gla_conv *conv;
    gla_rope *rope;
    char *arena = gla__alloc(bytes);
    sticky t;
    unsigned i;

    cr_assert_eq(gla__math_table()->linear_create(NULL, &l, &linear), GLA_OK);
    cr_assert_eq(gla__math_table()->conv_create(NULL, &c, &conv), GLA_OK);
    cr_assert_eq(gla__math_table()->rope_create(NULL, &r, &rope), GLA_OK);
    memset(&t, 0, sizeof(t));
    t.offset[1] = 1;
    t.b = (gla_batch){.n_sequences = 1,
                      .n_rows = 1,
                      .n_states = 1,
                      .row_offset = t.offset,
                      .position = t.position,
                      .states = t.states,
                      .exec = &exec};
    for (i = 0;; i++) {
        bool there;

        t.states[0] = i == 5 ? (void *)&view : t.kept;
        for (int failed = 0; failed < 2; failed++) {
            exec = (gla__exec){
                .arena = arena, .arena_bytes = bytes, .failed = failed ? GLA_E_LIMIT : GLA_OK};
            for (size_t k = 0; k < 4; k++)
                t.x[k] = 2, t.y[k] = 7, t.kept[k] = 5, t.slot[k] = 0;
            t.position[0] = 1;
            there = call_one(&t, i, linear, conv, rope);
            cr_expect(!there || (t.y[0] == 7) == failed, "function %u, %d: %g", i, failed,
                      (double)t.y[0]);
            cr_expect(!failed || t.kept[0] == 5, "function %u changes the state", i);
            cr_expect_eq(exec.failed, failed ? GLA_E_LIMIT : GLA_OK);
        }
        if (!there)
            break;
    }
    cr_expect_eq(i, last, "%u of %u functions were tried", i, last);
    gla__free(arena);
    gla__linear_destroy(linear);
    gla__conv_destroy(conv);
    gla__rope_destroy(rope);
}

Test(math_table, every_failure_is_kept)
{
    const gla_host host = {.struct_size = sizeof(host), .explain = explain};
    const gla_batch b = {.n_states = 1, .host = &host, .exec = &exec};
    const gla_math *math = gla__math_table();
    float x[8] = {0};

    cr_assert_eq(math->activation(&b, 99, 1, 8, x, 8, x, 8), GLA_E_INVALID);
    cr_assert_eq(exec.failed, GLA_E_INVALID);
    exec.failed = GLA_OK;
    cr_assert_eq(math->norm(&b, &(gla_norm){0}, 1, x, 8, x, 8), GLA_E_ABI);
    cr_assert_eq(exec.failed, GLA_E_ABI);
    cr_assert_eq(math->shift(&b, 1, 8, x, 8, x, 8), GLA_E_ABI); /* the first one stays */
    cr_assert_eq(exec.failed, GLA_E_ABI);
    exec.failed = GLA_OK;
    cr_assert_eq(math->shift(&b, 1, 8, x, 8, x, 8), GLA_E_INVALID);
    cr_assert_eq(exec.failed, GLA_E_INVALID);
    exec.failed = GLA_OK;
}

/* ---- states ---- */

static void expect_no_state(gla_status st, const char *text)
{
    cr_expect_eq(st, GLA_E_INVALID);
    cr_expect_str_eq(said, text);
    exec.failed = GLA_OK;
    said[0] = '\0';
}

Test(math_table, states_are_those_that_the_layer_declared)
{
    static const gla_state_desc declared[] = {
        {.kind = GLA_STATE_FIXED, .ndim = 2, .dims = {2, 3}},
        {.kind = GLA_STATE_PER_TOKEN, .kv_heads = 1, .k_dim = 8, .v_dim = 8, .q_heads = 1}};
    const gla_math *math = gla__math_table();
    const gla_host host = {.struct_size = sizeof(host), .explain = explain};
    const uint32_t offset[] = {0, 1};
    const uint64_t position[] = {0};
    float kept[6] = {0}, x[8] = {0};
    void *states[] = {kept, NULL};
    const gla_batch b = {.n_sequences = 1,
                         .n_rows = 1,
                         .n_states = 2,
                         .row_offset = offset,
                         .position = position,
                         .states = states,
                         .host = &host,
                         .exec = &exec};
    gla_recurrence r = {.struct_size = sizeof(r),
                        .heads = 1,
                        .k_dim = 2,
                        .v_dim = 4,
                        .q = x,
                        .k = x,
                        .v = x,
                        .o = x};
    gla_scan s = {.struct_size = sizeof(s), .width = 7, .log_decay = x, .x = x, .y = x};
    gla_attention a = {.struct_size = sizeof(a), .heads = 1, .q = x, .k = x, .v = x, .o = x};

    exec.states = declared;
    expect_no_state(math->recurrence(&b, &r),
                    "recurrence: state 0 is none that the layer declared with 8 numbers");
    r.v_dim = 3;
    r.state = 1;
    expect_no_state(math->recurrence(&b, &r),
                    "recurrence: state 1 is none that the layer declared as FIXED");
    expect_no_state(math->scan(&b, &s), "scan: state 0 is none that the layer declared with 7 "
                                        "numbers");
    expect_no_state(math->attention(&b, &a),
                    "attention: state 0 is none that the layer declared as PER_TOKEN");
    a.state = 2;
    expect_no_state(math->attention(&b, &a), "attention: state 2 is none that the layer declared");
    expect_no_state(math->shift(&b, 0, 7, x, 8, x, 8),
                    "shift: state 0 is none that the layer declared with 7 numbers");
    cr_assert_eq(math->shift(&b, 0, 6, x, 8, x, 8), GLA_OK);
    exec.states = NULL;
}

Test(math_table, arena_gives_aligned_pieces_and_says_when_it_is_empty)
{
    char *a, *b;

    exec.arena_bytes = 256;
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
