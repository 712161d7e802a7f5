/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/sampler.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define N 6
static const float logits[N] = {0.5f, 3, -1, 3, 2, -INFINITY};

static gla_sampler *make(double temperature, double top_p, uint32_t top_k, uint64_t seed)
{
    const gla_sampler_options o = {GLA_SIZED(gla_sampler_options), .temperature = temperature,
                                   .top_p = top_p, .top_k = top_k, .seed = seed};
    gla_sampler *s;

    cr_assert_eq(gla_sampler_create(&o, N, &s, NULL), GLA_OK);
    return s;
}

/* How often each token comes in `draws` draws. */
static void count(gla_sampler *s, unsigned draws, unsigned counts[N])
{
    memset(counts, 0, N * sizeof(*counts));
    for (unsigned i = 0; i < draws; i++) {
        int32_t t;

        cr_assert_eq(gla_sampler_next(s, logits, &t, NULL), GLA_OK);
        cr_assert(t >= 0 && t < N);
        counts[t]++;
    }
    gla_sampler_free(s);
}

Test(sampler, greedy_takes_the_first_of_the_largest)
{
    gla_sampler *s = make(0, 1, 0, 1);
    int32_t t;

    cr_assert_eq(gla_sampler_next(s, logits, &t, NULL), GLA_OK);
    cr_assert_eq(t, 1);
    gla_sampler_free(s);
}

Test(sampler, draws_with_the_probabilities_of_the_softmax)
{
    const double temperature = 0.8;
    const unsigned draws = 200000;
    unsigned counts[N];
    double total = 0;

    count(make(temperature, 1, 0, 42), draws, counts);
    for (int i = 0; i < N; i++)
        total += exp(logits[i] / temperature);
    for (int i = 0; i < N; i++) {
        const double p = exp(logits[i] / temperature) / total;

        /* five standard deviations */
        cr_assert_leq(fabs(counts[i] - p * draws), 5 * sqrt(draws * p * (1 - p)) + 1e-9,
                      "token %d: %u draws, probability %g", i, counts[i], p);
    }
    cr_assert_eq(counts[5], 0);
}

Test(sampler, top_k_keeps_k_tokens_and_the_smaller_of_equal_ones)
{
    unsigned counts[N];

    count(make(1, 1, 3, 7), 20000, counts);
    cr_assert(counts[1] && counts[3] && counts[4]);
    cr_assert_eq(counts[0] + counts[2], 0);
    count(make(5, 1, 1, 7), 100, counts);
    cr_assert_eq(counts[1], 100);
}

Test(sampler, top_p_keeps_the_fewest_tokens_with_that_share)
{
    unsigned counts[N];

    /* probabilities of 1, 3, 4, 0, 2: .404 .404 .149 .033 .007 */
    count(make(1, 0.40, 0, 3), 2000, counts);
    cr_assert_eq(counts[1], 2000);
    count(make(1, 0.41, 0, 3), 2000, counts);
    cr_assert(counts[1] && counts[3]);
    cr_assert_eq(counts[1] + counts[3], 2000);
    count(make(1, 0.9, 0, 3), 20000, counts);
    cr_assert(counts[4]);
    cr_assert_eq(counts[0] + counts[2], 0);
    /* within the top 2 each has half */
    count(make(1, 0.49, 2, 3), 2000, counts);
    cr_assert_eq(counts[1], 2000);
    count(make(1, 0.51, 2, 3), 2000, counts);
    cr_assert(counts[3]);
}

Test(sampler, is_the_same_on_every_machine)
{
    /* Computed by another program: a change of the generator or of the exponential shows here. */
    static const int32_t expected[12] = {3, 1, 1, 1, 4, 3, 1, 3, 1, 3, 3, 4};
    gla_sampler *s = make(1.5, 0.99, 5, 2024);

    for (int i = 0; i < 12; i++) {
        int32_t t;

        cr_assert_eq(gla_sampler_next(s, logits, &t, NULL), GLA_OK);
        cr_expect_eq(t, expected[i], "draw %d: %d", i, t);
    }
    gla_sampler_free(s);
}

Test(sampler, a_seed_decides)
{
    gla_sampler *a = make(2, 1, 0, 5), *b = make(2, 1, 0, 5), *c = make(2, 1, 0, 6);
    int differ = 0;

    for (int i = 0; i < 50; i++) {
        int32_t ta, tb, tc;

        cr_assert_eq(gla_sampler_next(a, logits, &ta, NULL), GLA_OK);
        cr_assert_eq(gla_sampler_next(b, logits, &tb, NULL), GLA_OK);
        cr_assert_eq(gla_sampler_next(c, logits, &tc, NULL), GLA_OK);
        cr_assert_eq(ta, tb);
        differ += ta != tc;
    }
    cr_assert(differ);
    gla_sampler_free(a);
    gla_sampler_free(b);
    gla_sampler_free(c);
}

Test(sampler, goes_on_where_another_stopped)
{
    gla_sampler *whole = make(2, 0.9, 6, 5), *later = make(2, 0.9, 6, 5);
    int32_t t, u;

    for (int i = 0; i < 17; i++)
        cr_assert_eq(gla_sampler_next(whole, logits, &t, NULL), GLA_OK);
    gla_sampler_skip(later, 10);
    gla_sampler_skip(later, 7);
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(gla_sampler_next(whole, logits, &t, NULL), GLA_OK);
        cr_assert_eq(gla_sampler_next(later, logits, &u, NULL), GLA_OK);
        cr_assert_eq(t, u, "token %d after the 17th", i);
    }
    gla_sampler_free(whole);
    gla_sampler_free(later);
}

Test(sampler, refuses_what_is_not_a_distribution)
{
    const struct {
        double temperature, top_p;
    } bad[] = {{-1, 1}, {NAN, 1}, {INFINITY, 1}, {1, 1.5}, {1, NAN}};
    const float nothing[N] = {NAN, NAN, -INFINITY, INFINITY, NAN, -INFINITY};
    const float one[N] = {NAN, NAN, -INFINITY, INFINITY, -8, -INFINITY};
    gla_sampler *s;
    int32_t t;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const gla_sampler_options o = {GLA_SIZED(gla_sampler_options),
                                       .temperature = bad[i].temperature, .top_p = bad[i].top_p};

        cr_assert_eq(gla_sampler_create(&o, N, &s, NULL), GLA_E_INVALID);
        cr_assert_null(s);
    }
    s = make(1, 0.9, 3, 0);
    cr_assert_eq(gla_sampler_next(s, nothing, &t, NULL), GLA_E_INVALID);
    cr_assert_eq(t, -1);
    cr_assert_eq(gla_sampler_next(s, one, &t, NULL), GLA_OK);
    cr_assert_eq(t, 4);
    gla_sampler_free(s);
}

Test(sampler, a_tiny_temperature_is_greedy_and_does_not_overflow)
{
    unsigned counts[N];

    count(make(1e-300, 1, 0, 9), 1000, counts);
    cr_assert_eq(counts[1] + counts[3], 1000);
    cr_assert(counts[1] && counts[3]);
}

Test(nll, is_log_sum_exp_minus_the_logit)
{
    const float flat[4] = {7, 7, 7, 7}, large[3] = {1000, -1000, 0};

    cr_assert_float_eq(gla_nll(flat, 4, 2), log(4), 1e-14);
    cr_assert_float_eq(gla_nll(large, 3, 0), 0, 1e-14);
    cr_assert_float_eq(gla_nll(large, 3, 1), 2000, 1e-9);
    cr_assert(isnan(gla_nll(flat, 4, 4)));
    cr_assert(isnan(gla_nll(flat, 4, -1)));
}
