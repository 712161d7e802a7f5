/* SPDX-License-Identifier: Apache-2.0
 *
 * Laws of the recurrence core, for random shapes and every combination of decay, write, normaliser
 * and read_before.  The seed is in the test's parameter and in the failure text.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "support/recurrence_case.h"

typedef struct seed {
    uint64_t seed;
    uint32_t form; /* see case_random() */
} seed;

enum { FORMS = 90, ROUNDS = 2 };

static struct criterion_test_params each_form(void)
{
    static seed list[FORMS];

    for (uint32_t i = 0; i < FORMS; i++)
        list[i] = (seed){3000 + i, i};
    return cr_make_param_array(seed, list, FORMS);
}

static struct criterion_test_params seeds(void)
{
    static seed list[FORMS * ROUNDS];

    for (uint32_t i = 0; i < FORMS * ROUNDS; i++)
        list[i] = (seed){1000 + i, i % FORMS};
    return cr_make_param_array(seed, list, FORMS * ROUNDS);
}

static uint32_t decay_kind(const seed *p)
{
    return (uint32_t)(p->seed % 7 % CASE_DECAYS);
}

static void describe(char text[200], const seed *p, const recurrence_case *c, uint32_t chunk)
{
    snprintf(text, 200,
             "seed %u form %u: decay %u (kind %u) write %u normaliser %u before %u, K %u V %u, "
             "%u rows, chunk %u",
             (unsigned)p->seed, p->form, c->r.decay, decay_kind(p), c->r.write, c->r.normaliser,
             c->r.read_before, c->r.k_dim, c->r.v_dim, c->rows, chunk);
}

typedef struct outcome {
    float *o; /* [rows, H V] dense */
    test_batch t;
} outcome;

static void outcome_init(outcome *x, const recurrence_case *c)
{
    const size_t k = (size_t)c->r.heads * c->r.k_dim;

    test_batch_init(&x->t, c->n_sequences, c->lengths, 2, (size_t[]){k * c->r.v_dim, k});
    x->o = calloc((size_t)(c->rows + 1) * c->r.heads * c->r.v_dim, sizeof(float));
}

static void outcome_free(outcome *x)
{
    test_batch_free(&x->t);
    free(x->o);
}

/* Runs rows of which the first is row `first` of the case's; results go to the same rows of x->o.
 */
static void run_rows(outcome *x, const recurrence_case *c, size_t first)
{
    gla_recurrence r = c->r;
    const size_t width = (size_t)r.heads * r.v_dim;
    float *o = malloc((r.ld_o * x->t.batch.n_rows + 1) * sizeof(float));

    r.q += first * r.ld_q;
    r.k += first * r.ld_k;
    r.v += first * r.ld_v;
    r.log_decay =
        r.decay ? r.log_decay + (r.decay == GLA_DECAY_CONST ? 0 : first * r.ld_decay) : NULL;
    r.beta = r.beta ? r.beta + first * r.ld_beta : NULL;
    r.a = r.a ? r.a + first * r.ld_a : NULL;
    r.b = r.b ? r.b + first * r.ld_b : NULL;
    r.o = o;
    cr_assert_eq(gla__recurrence(&x->t.batch, &r), GLA_OK, "%s", x->t.explained);
    for (size_t t = 0; t < x->t.batch.n_rows; t++)
        memcpy(x->o + (first + t) * width, o + t * r.ld_o, width * sizeof(float));
    free(o);
}

static void expect_solution(const outcome *x, const recurrence_case *c, const char *what)
{
    const size_t k = (size_t)c->r.heads * c->r.k_dim, kv = k * c->r.v_dim;
    tolerance t = case_tolerance(c);

    cr_assert(tolerance_check(&t, x->o, c->o, (size_t)c->rows * c->r.heads * c->r.v_dim),
              "%s: o: %s", what, t.text);
    for (uint32_t s = 0; s < c->n_sequences; s++) {
        cr_assert(tolerance_check(&t, x->t.states[2 * s], c->s + s * kv, kv), "%s: state %u: %s",
                  what, s, t.text);
        if (c->r.normaliser)
            cr_assert(tolerance_check(&t, x->t.states[2 * s + 1], c->z + s * k, k), "%s: z %u: %s",
                      what, s, t.text);
    }
}

ParameterizedTestParameters(recurrence, every_chunk_size_gives_the_solution)
{
    return seeds();
}

ParameterizedTest(seed *p, recurrence, every_chunk_size_gives_the_solution)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 5, 8, 16, 17, 31, 64, 100};
    rng g = {p->seed};
    recurrence_case c;
    char text[200];

    case_random(&c, &g, p->form, decay_kind(p));
    case_solve(&c);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        outcome x;

        outcome_init(&x, &c);
        x.t.exec.recurrence_chunk = sizes[i];
        run_rows(&x, &c, 0);
        describe(text, p, &c, sizes[i]);
        expect_solution(&x, &c, text);
        outcome_free(&x);
    }
    case_free(&c);
}

ParameterizedTestParameters(recurrence, pieces_carry_the_state)
{
    return each_form();
}

ParameterizedTest(seed *p, recurrence, pieces_carry_the_state)
{
    rng g = {p->seed + 7000};
    recurrence_case c;
    outcome x;
    char text[200];

    case_random(&c, &g, p->form, decay_kind(p));
    c.n_sequences = 1;
    c.lengths[0] = c.rows;
    case_solve(&c);
    outcome_init(&x, &c);
    for (uint32_t row = 0, n; row < c.rows; row += n) {
        n = 1 + rng_below(&g, 20);
        n = n > c.rows - row ? c.rows - row : n;
        test_batch_rows(&x.t, &n);
        run_rows(&x, &c, row);
    }
    describe(text, p, &c, 0);
    expect_solution(&x, &c, text);
    outcome_free(&x);
    case_free(&c);
}

ParameterizedTestParameters(recurrence, a_batch_is_its_sequences)
{
    return each_form();
}

/* Bitwise: a sequence must not know with whom it was run. */
ParameterizedTest(seed *p, recurrence, a_batch_is_its_sequences)
{
    rng g = {p->seed + 9000};
    recurrence_case c;
    outcome all;
    size_t first = 0;
    char text[200];

    case_random(&c, &g, p->form, decay_kind(p));
    outcome_init(&all, &c);
    run_rows(&all, &c, 0);
    describe(text, p, &c, 0);
    for (uint32_t s = 0; s < c.n_sequences; s++) {
        const size_t width = (size_t)c.r.heads * c.r.v_dim, n = c.lengths[s];
        recurrence_case single = c;
        outcome one;

        single.n_sequences = 1;
        single.lengths[0] = c.lengths[s];
        outcome_init(&one, &single);
        run_rows(&one, &single, first);
        cr_assert_arr_eq(one.o + first * width, all.o + first * width, n * width * sizeof(float),
                         "%s: sequence %u", text, s);
        cr_assert_arr_eq(one.t.states[0], all.t.states[2 * s], width * c.r.k_dim * sizeof(float),
                         "%s: state %u", text, s);
        outcome_free(&one);
        first += n;
    }
    outcome_free(&all);
    case_free(&c);
}

ParameterizedTestParameters(recurrence, a_token_changes_nothing_before_it)
{
    return each_form();
}

ParameterizedTest(seed *p, recurrence, a_token_changes_nothing_before_it)
{
    rng g = {p->seed + 11000};
    recurrence_case c;
    outcome x, y;
    size_t width, row;
    float *k, *v;
    char text[200];

    case_random(&c, &g, p->form, CASE_MILD);
    c.n_sequences = 1;
    c.lengths[0] = c.rows = 40 < c.rows ? 40 : c.rows;
    if (!c.rows) {
        case_free(&c);
        return;
    }
    width = (size_t)c.r.heads * c.r.v_dim;
    row = rng_below(&g, c.rows);
    outcome_init(&x, &c);
    run_rows(&x, &c, 0);
    k = c.memory + (c.r.k - c.memory) + row * c.r.ld_k;
    v = c.memory + (c.r.v - c.memory) + row * c.r.ld_v;
    k[0] = -3.0f * k[0] + 1.0f;
    v[0] = 1e3f;
    outcome_init(&y, &c);
    run_rows(&y, &c, 0);
    describe(text, p, &c, 0);
    cr_assert_arr_eq(x.o, y.o, row * width * sizeof(float), "%s: token %zu", text, row);
    if (!c.r.read_before)
        cr_assert(memcmp(x.o + row * width, y.o + row * width, width * sizeof(float)) != 0, "%s",
                  text);
    outcome_free(&x);
    outcome_free(&y);
    case_free(&c);
}

/* log decay 0 is no decay; log decay -infinity keeps the last token only. */
ParameterizedTestParameters(recurrence, open_and_closed_gates)
{
    return each_form();
}

ParameterizedTest(seed *p, recurrence, open_and_closed_gates)
{
    rng g = {p->seed + 13000};
    recurrence_case c, plain;
    outcome x;
    float *gate;
    size_t n;

    case_random(&c, &g, p->form, CASE_MILD);
    if (!c.r.decay || !c.rows) {
        case_free(&c);
        return;
    }
    gate = c.memory + (c.r.log_decay - c.memory);
    n = c.r.ld_decay * (c.r.decay == GLA_DECAY_CONST ? 1 : c.rows);
    memset(gate, 0, n * sizeof(float));
    plain = c;
    plain.r.decay = GLA_DECAY_NONE;
    case_solve(&plain);
    outcome_init(&x, &c);
    run_rows(&x, &c, 0);
    expect_solution(&x, &plain, "open");
    outcome_free(&x);
    free(plain.o);
    free(plain.s);
    free(plain.z);

    for (size_t i = 0; i < n; i++)
        gate[i] = -INFINITY;
    outcome_init(&x, &c);
    run_rows(&x, &c, 0);
    if (c.r.write != GLA_WRITE_DPLR) { /* S = beta k v^T of each sequence's last token */
        const gla_recurrence *r = &c.r;
        size_t last = 0;

        for (uint32_t s = 0; s < c.n_sequences; s++) {
            const float *state = x.t.states[2 * s];

            last += c.lengths[s];
            if (!c.lengths[s])
                continue;
            for (uint32_t d = 0; d < r->k_dim; d++) {
                const double beta = r->beta ? r->beta[(last - 1) * r->ld_beta] : 1.0;
                const double want =
                    beta * r->k[(last - 1) * r->ld_k + d] * r->v[(last - 1) * r->ld_v];

                cr_assert_float_eq(state[(size_t)d * r->v_dim], want, 1e-6 * (1 + fabs(want)),
                                   "seed %u form %u", (unsigned)p->seed, p->form);
            }
        }
    }
    outcome_free(&x);
    case_free(&c);
}
