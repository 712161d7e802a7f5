/* SPDX-License-Identifier: Apache-2.0
 *
 * Laws of the convolution and of the elementwise scans, for random shapes: whole sequences, pieces
 * that carry the state and ragged batches all give the solution in double; in place as well.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "support/batch.h"
#include "support/rng.h"
#include "support/tolerance.h"

enum { SEEDS = 60, MAX_ROWS = 120 };

typedef struct seed {
    uint64_t seed;
} seed;

static struct criterion_test_params seeds(void)
{
    static seed list[SEEDS];

    for (uint32_t i = 0; i < SEEDS; i++)
        list[i].seed = 500 + i;
    return cr_make_param_array(seed, list, SEEDS);
}

/* Sequences of random length; feed() gives them to fn in random pieces, all sequences at once. */
typedef struct feed {
    rng *g;
    uint32_t n, rows, lengths[TEST_SEQUENCES], done[TEST_SEQUENCES], start[TEST_SEQUENCES];
} feed;

static void feed_init(feed *f, rng *g)
{
    *f = (feed){.g = g, .n = 1 + rng_below(g, 3)};
    for (uint32_t s = 0; s < f->n; s++) {
        f->start[s] = f->rows;
        f->lengths[s] = rng_below(g, 40);
        f->rows += f->lengths[s];
    }
}

/* The next piece of each sequence (also of 0 rows) in `take`; 0 at the end. */
static int feed_next(feed *f, uint32_t *take)
{
    uint32_t left = 0;

    for (uint32_t s = 0; s < f->n; s++) {
        const uint32_t rest = f->lengths[s] - f->done[s];

        take[s] = rng_below(f->g, 3) ? rng_below(f->g, rest + 1) : rest < 2 ? rest : 2;
        left += rest;
    }
    return left > 0;
}

/* Copies rows of the piece from the dense operand [rows, width] to [.., ld], or back. */
static void feed_copy(const feed *f, const uint32_t *take, float *dense, size_t width, float *piece,
                      size_t ld, int back)
{
    size_t row = 0;

    for (uint32_t s = 0; s < f->n; s++)
        for (uint32_t t = 0; t < take[s]; t++, row++) {
            float *d = dense + (f->start[s] + f->done[s] + t) * width, *p = piece + row * ld;

            memcpy(back ? d : p, back ? p : d, width * sizeof(float));
        }
}

static void feed_advance(feed *f, const uint32_t *take)
{
    for (uint32_t s = 0; s < f->n; s++)
        f->done[s] += take[s];
}

static float *random_rows(rng *g, size_t n)
{
    float *x = calloc(n + 1, sizeof(float));

    rng_fill_normal(g, x, n);
    return x;
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* ---- convolution ---- */

typedef struct conv_case {
    uint32_t channels, width, act;
    float *w, *bias, *x; /* [C, W] [C] [rows, C] */
} conv_case;

static double conv_solution(const conv_case *c, const float *x, uint32_t t, uint32_t i)
{
    double sum = c->bias ? c->bias[i] : 0;

    for (uint32_t j = 0; j < c->width; j++)
        if (t + j + 1 >= c->width)
            sum += (double)c->w[i * c->width + j] * x[(t + j + 1 - c->width) * c->channels + i];
    return c->act == GLA_ACT_SILU ? silu(sum) : c->act == GLA_ACT_SQUARE ? sum * sum : sum;
}

static gla_conv *conv_make(const conv_case *c, const gla_host *h)
{
    const uint32_t first = c->channels / 2, parts[2] = {first, c->channels - first};
    const float *w[2] = {c->w, c->w + (size_t)first * c->width};
    const float *bias[2] = {c->bias, c->bias ? c->bias + first : NULL};
    const gla_conv_spec spec = {.struct_size = sizeof(spec),
                                .n_parts = 2,
                                .width = c->width,
                                .activation = c->act,
                                .weights = w,
                                .biases = bias,
                                .channels = parts};
    gla_conv *conv;

    cr_assert_eq(gla__conv_create(h, &spec, &conv), GLA_OK);
    return conv;
}

ParameterizedTestParameters(sequence, convolution_in_pieces_is_the_solution)
{
    return seeds();
}

ParameterizedTest(seed *p, sequence, convolution_in_pieces_is_the_solution)
{
    static const uint32_t acts[] = {GLA_ACT_NONE, GLA_ACT_SILU, GLA_ACT_SQUARE};
    rng g = {p->seed};
    conv_case c = {.channels = 2 + rng_below(&g, 300), .act = acts[rng_below(&g, 3)]};
    const uint32_t ld = c.channels + rng_below(&g, 4);
    float *got, *piece = calloc((size_t)MAX_ROWS * ld + 1, sizeof(float));
    double *want;
    uint32_t take[TEST_SEQUENCES] = {0};
    tolerance tol;
    test_batch b;
    gla_conv *conv;
    feed f;

    c.width = rng_below(&g, 3) ? 3 + rng_below(&g, 2) : 1 + rng_below(&g, 9);
    feed_init(&f, &g);
    c.w = random_rows(&g, (size_t)c.channels * c.width);
    c.bias = rng_below(&g, 2) ? random_rows(&g, c.channels) : NULL;
    c.x = random_rows(&g, (size_t)f.rows * c.channels);
    got = random_rows(&g, (size_t)f.rows * c.channels);
    want = calloc((size_t)f.rows * c.channels + 1, sizeof(double));
    test_batch_init(&b, f.n, take, 1, (size_t[]){(size_t)(c.width - 1) * c.channels});
    conv = conv_make(&c, &b.host);
    while (feed_next(&f, take)) {
        test_batch_rows(&b, take);
        feed_copy(&f, take, c.x, c.channels, piece, ld, 0);
        cr_assert_eq(gla__conv1d(&b.batch, conv, 0, piece, ld, piece, ld), GLA_OK);
        feed_copy(&f, take, got, c.channels, piece, ld, 1);
        feed_advance(&f, take);
    }
    for (uint32_t s = 0; s < f.n; s++)
        for (uint32_t t = 0; t < f.lengths[s]; t++)
            for (uint32_t i = 0; i < c.channels; i++)
                want[(size_t)(f.start[s] + t) * c.channels + i] =
                    conv_solution(&c, c.x + (size_t)f.start[s] * c.channels, t, i);
    tol = tolerance_for(2 * (c.width + 1)); /* the square doubles an error */
    cr_assert(tolerance_check(&tol, got, want, (size_t)f.rows * c.channels),
              "seed %u: width %u channels %u: %s", (unsigned)p->seed, c.width, c.channels,
              tol.text);
    gla__conv_destroy(conv);
    test_batch_free(&b);
    free(c.w), free(c.bias), free(c.x), free(got), free(want), free(piece);
}

/* ---- scans ---- */

ParameterizedTestParameters(sequence, selective_scan_in_pieces_is_the_solution)
{
    return seeds();
}

ParameterizedTest(seed *p, sequence, selective_scan_in_pieces_is_the_solution)
{
    rng g = {p->seed + 1000};
    const uint32_t I = 1 + rng_below(&g, 200), N = 1 + rng_below(&g, 20);
    float *a = random_rows(&g, (size_t)N * I), *d = rng_below(&g, 3) ? random_rows(&g, I) : NULL;
    float *u, *dt, *bc, *got, *p_u, *p_dt, *p_bc;
    double *want, *h = calloc((size_t)N * I, sizeof(double));
    uint32_t take[TEST_SEQUENCES] = {0};
    tolerance tol;
    test_batch b;
    feed f;

    feed_init(&f, &g);
    u = random_rows(&g, (size_t)f.rows * I);
    dt = random_rows(&g, (size_t)f.rows * I);
    bc = random_rows(&g, (size_t)f.rows * 2 * N);
    got = random_rows(&g, (size_t)f.rows * I);
    want = calloc((size_t)f.rows * I + 1, sizeof(double));
    p_u = random_rows(&g, (size_t)f.rows * I);
    p_dt = random_rows(&g, (size_t)f.rows * I);
    p_bc = random_rows(&g, (size_t)f.rows * 2 * N);
    for (size_t i = 0; i < (size_t)N * I; i++)
        a[i] = -fabsf(a[i]) * (rng_below(&g, 8) ? 1.0f : 1e4f);
    for (size_t i = 0; i < (size_t)f.rows * I; i++)
        dt[i] = fabsf(dt[i]);
    test_batch_init(&b, f.n, take, 1, (size_t[]){(size_t)N * I});
    while (feed_next(&f, take)) {
        const gla_selective_scan s = {.struct_size = sizeof(s),
                                      .inner = I,
                                      .n_state = N,
                                      .u = p_u,
                                      .dt = p_dt,
                                      .b = p_bc,
                                      .c = p_bc + N,
                                      .a = a,
                                      .d = d,
                                      .ld_u = I,
                                      .ld_dt = I,
                                      .ld_b = (size_t)2 * N,
                                      .ld_c = (size_t)2 * N,
                                      .ld_y = I,
                                      .y = p_u};

        test_batch_rows(&b, take);
        feed_copy(&f, take, u, I, p_u, I, 0);
        feed_copy(&f, take, dt, I, p_dt, I, 0);
        feed_copy(&f, take, bc, (size_t)2 * N, p_bc, (size_t)2 * N, 0);
        cr_assert_eq(gla__selective_scan(&b.batch, &s), GLA_OK);
        feed_copy(&f, take, got, I, p_u, I, 1);
        feed_advance(&f, take);
    }
    for (uint32_t s = 0; s < f.n; s++) {
        memset(h, 0, (size_t)N * I * sizeof(double));
        for (uint32_t t = f.start[s]; t < f.start[s] + f.lengths[s]; t++)
            for (uint32_t i = 0; i < I; i++) {
                const double x = u[(size_t)t * I + i], step = dt[(size_t)t * I + i];
                double y = d ? d[i] * x : 0;

                for (uint32_t n = 0; n < N; n++) {
                    double *state = h + (size_t)n * I + i;

                    *state = exp(step * a[(size_t)n * I + i]) * *state +
                             step * bc[(size_t)t * 2 * N + n] * x;
                    y += bc[(size_t)t * 2 * N + N + n] * *state;
                }
                want[(size_t)t * I + i] = y;
            }
    }
    tol = tolerance_for(N + 40);
    cr_assert(tolerance_check(&tol, got, want, (size_t)f.rows * I), "seed %u: I %u N %u: %s",
              (unsigned)p->seed, I, N, tol.text);
    test_batch_free(&b);
    free(a), free(d), free(u), free(dt), free(bc), free(got), free(want), free(h);
    free(p_u), free(p_dt), free(p_bc);
}

ParameterizedTestParameters(sequence, scan_in_pieces_is_the_solution)
{
    return seeds();
}

ParameterizedTest(seed *p, sequence, scan_in_pieces_is_the_solution)
{
    rng g = {p->seed + 2000};
    const uint32_t width = 1 + rng_below(&g, 300);
    float *x, *decay, *got, *p_x, *p_decay;
    double *want;
    uint32_t take[TEST_SEQUENCES] = {0};
    tolerance tol;
    test_batch b;
    feed f;

    feed_init(&f, &g);
    x = random_rows(&g, (size_t)f.rows * width);
    decay = random_rows(&g, (size_t)f.rows * width);
    got = random_rows(&g, (size_t)f.rows * width);
    p_x = random_rows(&g, (size_t)f.rows * width);
    p_decay = random_rows(&g, (size_t)f.rows * width);
    want = calloc((size_t)f.rows * width + 1, sizeof(double));
    for (size_t i = 0; i < (size_t)f.rows * width; i++)
        decay[i] = rng_below(&g, 10) ? -fabsf(decay[i]) : -INFINITY;
    test_batch_init(&b, f.n, take, 1, (size_t[]){width});
    while (feed_next(&f, take)) {
        const gla_scan s = {.struct_size = sizeof(s),
                            .width = width,
                            .log_decay = p_decay,
                            .x = p_x,
                            .ld_decay = width,
                            .ld_x = width,
                            .ld_y = width,
                            .y = p_x};

        test_batch_rows(&b, take);
        feed_copy(&f, take, x, width, p_x, width, 0);
        feed_copy(&f, take, decay, width, p_decay, width, 0);
        cr_assert_eq(gla__scan(&b.batch, &s), GLA_OK);
        feed_copy(&f, take, got, width, p_x, width, 1);
        feed_advance(&f, take);
    }
    for (uint32_t s = 0; s < f.n; s++)
        for (size_t i = 0; i < width; i++) {
            double h = 0;

            for (size_t t = f.start[s]; t < f.start[s] + f.lengths[s]; t++)
                want[t * width + i] = h = exp((double)decay[t * width + i]) * h + x[t * width + i];
        }
    tol = tolerance_for(40);
    cr_assert(tolerance_check(&tol, got, want, (size_t)f.rows * width), "seed %u: width %u: %s",
              (unsigned)p->seed, width, tol.text);
    test_batch_free(&b);
    free(x), free(decay), free(got), free(p_x), free(p_decay), free(want);
}
