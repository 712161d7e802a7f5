/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_speed.c - tokens per second on this machine
 *
 * A round takes every candidate once through all contexts: prompt up to the context, then some
 * tokens one by one.  Rounds repeat, each starting with another candidate, so that what disturbs
 * the machine hits all alike; medians and the spread are reported.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int cancelled(void *ctx)
{
    (void)ctx;
    return cli_interrupted();
}

int compare_open(comparison *c, bool bare)
{
    gla_diag diag;

    for (uint32_t i = 0; i < c->n; i++) {
        candidate *x = &c->items[i];
        const gla_model_options options = {.registry = c->registry,
                                           .kv_dtype = c->kv_dtype,
                                           .weights_dtype = c->weights_dtype,
                                           .seed = 1,
                                           .progress = cli_progress};
        gla_status st = GLA_OK;

        if (x->trained && bare && c->weights_dtype)
            return cli_error("%s: measured as stored, not as %s; hint: gla-convert --weights %s, "
                             "or leave --weights out",
                             x->source, gla_dtype_name(c->weights_dtype),
                             gla_dtype_name(c->weights_dtype));
        if (x->trained)
            st = cli_model_open(&x->open, x->source, c->kv_dtype, c->text != NULL, &diag);
        else if (bare)
            st = gla_model_random(x->arch, &options, &x->open.model, &diag);
        cli_progress_clear();
        if (st)
            return cli_fail(&diag);
    }
    return 0;
}

/* ---- one visit --------------------------------------------------------------- */

typedef struct visit {
    gla_session *session;
    int32_t *tokens; /* as many as the longest context and its decoding need */
    float *logits;   /* [vocabulary] */
} visit;

/* Seconds; negative: failed or cancelled. */
static double feed(const visit *v, size_t first, size_t n, gla_diag *diag)
{
    const gla_feed_item item = {v->session, v->tokens + first, n, v->logits, 1};
    const double start = now();

    return gla_feed(&item, 1, cancelled, NULL, diag) ? -1 : now() - start;
}

static void add_sample(rate *r, double value)
{
    if (r->n < MAX_ROUNDS)
        r->sample[r->n++] = value;
}

static gla_status run_visit(const comparison *c, candidate *x, const visit *v, gla_diag *diag)
{
    double prompt = 0; /* seconds of all prompt tokens so far */
    uint64_t fed = 0, prompted = 0;

    gla_session_reset(v->session);
    for (uint32_t k = 0; k < c->n_contexts; k++) {
        double seconds;

        /* decoding has gone past this context already: no sample of it */
        if (c->contexts[k] < fed)
            continue;
        if (c->contexts[k] > fed) {
            seconds = feed(v, fed, c->contexts[k] - fed, diag);
            if (seconds < 0)
                return diag->status;
            prompt += seconds;
            prompted += c->contexts[k] - fed;
            fed = c->contexts[k];
            add_sample(&x->prefill[k], (double)prompted / prompt);
        }
        seconds = 0;
        for (uint32_t i = 0; i < c->decode_tokens; i++, fed++) {
            const double one = feed(v, fed, 1, diag);

            if (one < 0)
                return diag->status;
            seconds += one;
        }
        add_sample(&x->decode[k], c->decode_tokens / seconds);
    }
    return GLA_OK;
}

/* Whoever was measured before has the caches; the first batch also takes the workspace. */
static gla_status warm_up(const visit *v, size_t n, gla_diag *diag)
{
    return feed(v, 0, n < 64 ? n : 64, diag) < 0 ? diag->status : GLA_OK;
}

static int visit_candidate(comparison *c, candidate *x, const int32_t *noise, size_t n)
{
    const uint32_t vocab = gla_model_vocab_size(x->open.model);
    const gla_session_options options = {.kv_dtype = c->kv_dtype,
                                         .snapshot_stride = GLA_SNAPSHOT_NONE};
    visit v = {.tokens = malloc(n * sizeof(int32_t)), .logits = malloc(vocab * sizeof(float))};
    gla_memory all, own;
    gla_diag diag = {.status = GLA_OK};
    int status = 0;

    if (!v.tokens || !v.logits) {
        status = cli_error("out of memory");
    } else {
        for (size_t i = 0; i < n; i++)
            v.tokens[i] = (int32_t)((uint32_t)noise[i] % vocab);
        if (gla_session_create(x->open.model, &options, &v.session, &diag))
            status = cli_fail(&diag);
        else if (warm_up(&v, n, &diag) || run_visit(c, x, &v, &diag))
            status = diag.status == GLA_E_CANCELLED ? 0 : cli_fail(&diag);
    }
    if (v.session && !diag.status) {
        gla_model_memory(x->open.model, &all);
        gla_session_memory(v.session, &own);
        x->memory_used = all.weights + all.workspace + own.kv + own.state;
    }
    c->interrupted = c->interrupted || cli_interrupted();
    gla_session_destroy(v.session);
    free(v.tokens);
    free(v.logits);
    return status;
}

/* ---- all --------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void summarise(rate *r)
{
    if (!r->n)
        return;
    qsort(r->sample, r->n, sizeof(*r->sample), by_value);
    r->low = r->sample[0];
    r->high = r->sample[r->n - 1];
    r->median = (r->sample[r->n / 2] + r->sample[(r->n - 1) / 2]) / 2;
}

int compare_speed(comparison *c)
{
    uint64_t random = 88172645463325252u;
    size_t n;
    int32_t *noise;
    int status = 0;

    n = (size_t)c->contexts[c->n_contexts - 1] + (size_t)c->decode_tokens;
    noise = malloc(n * sizeof(*noise));
    if (!noise)
        return cli_error("out of memory");
    for (size_t i = 0; i < n; i++) { /* xorshift64: any tokens will do */
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        noise[i] = (int32_t)(random >> 33);
    }
    for (uint32_t r = 0; r < c->rounds && !status; r++)
        for (uint32_t i = 0; i < c->n && !status && !c->interrupted; i++) {
            cli_progress_count("measuring speed", (uint64_t)r * c->n + i,
                               (uint64_t)c->rounds * c->n, "visits");
            status = visit_candidate(c, &c->items[(i + r) % c->n], noise, n);
        }
    cli_progress_clear();
    free(noise);
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->n_contexts; k++) {
            summarise(&c->items[i].prefill[k]);
            summarise(&c->items[i].decode[k]);
        }
    return status;
}
