/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/sampler.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/splitmix.h"
#include "base/sized.h"

struct gla_sampler {
    gla_sampler_options o;
    uint32_t vocab;
    uint64_t random;  /* state of the generator */
    uint32_t *tokens; /* [vocab] a heap, the most probable token first */
    double *weight;   /* [vocab] by token: exp((logit - largest) / temperature) */
};

gla_status gla_sampler_create(const gla_sampler_options *options, uint32_t vocab, gla_sampler **out,
                              gla_diag *diag)
{
    gla_sampler_options o;
    gla_sampler *s;
    const gla_status st = gla__read_struct(gla_sampler_options, seed, &o, options, diag);

    *out = NULL;
    if (st)
        return st;
    if (!(o.temperature >= 0) || isinf(o.temperature))
        return gla__fail(diag, GLA_E_INVALID, "temperature %g is not a number from 0 on",
                         o.temperature);
    if (!(o.top_p >= 0 && o.top_p <= 1))
        return gla__fail(diag, GLA_E_INVALID, "top_p %g is not between 0 and 1", o.top_p);
    if (!vocab)
        return gla__fail(diag, GLA_E_INVALID, "empty vocabulary");
    s = gla__alloc_zero(sizeof(*s));
    if (!s)
        return gla__fail_nomem(diag, "a sampler");
    s->o = o;
    if (s->o.top_p == 0)
        s->o.top_p = 1;
    s->vocab = vocab;
    s->random = o.seed;
    s->tokens = gla__alloc_array(vocab, sizeof(*s->tokens));
    s->weight = gla__alloc_array(vocab, sizeof(*s->weight));
    if (!s->tokens || !s->weight) {
        gla_sampler_free(s);
        return gla__fail_nomem(diag, "a sampler");
    }
    *out = s;
    return GLA_OK;
}

void gla_sampler_free(gla_sampler *s)
{
    if (!s)
        return;
    gla__free(s->tokens);
    gla__free(s->weight);
    gla__free(s);
}

void gla_sampler_skip(gla_sampler *s, uint64_t n)
{
    s->random += n * GLA__SPLITMIX_STEP;
}

/* uniform in [0, 1) from the upper 53 bits */
static double next_uniform(gla_sampler *s)
{
    return (double)(gla__splitmix_next(&s->random) >> 11) * 0x1p-53;
}

/* e^x for x <= 0.  Not libm's: its last bit differs between processors, and with it a token.
 * x = n ln 2 + r, |r| <= ln 2 / 2, then Taylor to r^13. */
static double exp_of_negative(double x)
{
    static const double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    double r, sum = 1, scale;
    int n;
    uint64_t bits;

    if (x < -700)
        return 0;
    n = (int)(x * 1.4426950408889634 - 0.5);
    r = x - n * ln2_high - n * ln2_low;
    for (int i = 13; i > 0; i--)
        sum = 1 + sum * r / i;
    bits = (uint64_t)(n + 1023) << 52;
    memcpy(&scale, &bits, sizeof(scale));
    return sum * scale;
}

/* Whether token a comes before token b: more probable, or equal and smaller. */
static int before(const float *logits, uint32_t a, uint32_t b)
{
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

static void sift(uint32_t *heap, uint32_t n, uint32_t i, const float *logits)
{
    const uint32_t token = heap[i];

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= n)
            break;
        if (child + 1 < n && before(logits, heap[child + 1], heap[child]))
            child++;
        if (before(logits, token, heap[child]))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = token;
}

/* Draws from tokens[0 .. n) whose weights sum to `total`. */
static int32_t draw(gla_sampler *s, const uint32_t *tokens, uint32_t n, double total)
{
    const double target = next_uniform(s) * total;
    double sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        sum += s->weight[tokens[i]];
        if (sum > target)
            return (int32_t)tokens[i];
    }
    return (int32_t)tokens[n - 1]; /* rounding of the last sum */
}

/* Draws from the most probable of the n finite tokens that stand in s->tokens. */
static int32_t draw_top(gla_sampler *s, const float *logits, uint32_t n, double total)
{
    const uint32_t wanted = s->o.top_k && s->o.top_k < n ? s->o.top_k : n;
    uint32_t *heap = s->tokens, left = n, kept;
    double sum = 0;

    for (uint32_t i = n / 2; i--;)
        sift(heap, n, i, logits);
    /* Popped tokens gather at the end, the most probable last. */
    while (n - left < wanted && (wanted < n || sum < s->o.top_p * total)) {
        const uint32_t token = heap[0];

        sum += s->weight[token];
        heap[0] = heap[--left];
        heap[left] = token;
        if (left)
            sift(heap, left, 0, logits);
    }
    kept = n - left;
    for (uint32_t i = 0; i < kept / 2; i++) { /* the most probable first */
        const uint32_t token = heap[left + i];

        heap[left + i] = heap[n - 1 - i];
        heap[n - 1 - i] = token;
    }
    if (wanted < n && s->o.top_p < 1) { /* top_p within the top_k */
        const double limit = s->o.top_p * sum;

        sum = 0;
        for (kept = 0; kept < wanted && (!kept || sum < limit); kept++)
            sum += s->weight[heap[left + kept]];
    }
    return draw(s, heap + left, kept, sum);
}

gla_status gla_sampler_next(gla_sampler *s, const float *logits, int32_t *token, gla_diag *diag)
{
    uint32_t n = 0, best = 0;
    double total = 0;

    *token = -1;
    for (uint32_t i = 0; i < s->vocab; i++) {
        if (!isfinite(logits[i]))
            continue;
        if (!n || logits[i] > logits[best])
            best = i;
        s->tokens[n++] = i;
    }
    if (!n)
        return gla__fail(diag, GLA_E_INVALID, "none of the %" PRIu32 " logits is finite", s->vocab);
    if (s->o.temperature == 0 || s->o.top_k == 1) {
        *token = (int32_t)best;
        return GLA_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t t = s->tokens[i];

        s->weight[t] = exp_of_negative(((double)logits[t] - logits[best]) / s->o.temperature);
        total += s->weight[t];
    }
    *token =
        s->o.top_k || s->o.top_p < 1 ? draw_top(s, logits, n, total) : draw(s, s->tokens, n, total);
    return GLA_OK;
}

double gla_nll(const float *logits, uint32_t vocab, int32_t token)
{
    double largest = -INFINITY, sum = 0;

    if (token < 0 || (uint32_t)token >= vocab)
        return NAN;
    for (uint32_t i = 0; i < vocab; i++)
        if (logits[i] > largest)
            largest = logits[i];
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - largest);
    return largest + log(sum) - (double)logits[token];
}
