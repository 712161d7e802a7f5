/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_speed.c - tokens per second, seconds and joules on this machine
 *
 * A round takes every candidate once through all contexts: prompt up to the context, then some
 * tokens one by one.  Rounds repeat, each starting with another candidate, so that what disturbs
 * the machine hits all alike; medians and the spread are reported.
 *
 * Between two contexts that lie far apart (more than c->whole tokens) only the first and the last
 * PIECE tokens of the prompt are computed; the caches in between are filled with noise
 * (gla_measure_fill).  A token of a prompt costs what it costs at its depth, and that grows
 * linearly with the depth (attention) or not at all, so the mean of both ends is the mean of all.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 512 };

static int open_one(comparison *c, candidate *x, bool bare)
{
    const gla_model_options options = {GLA_SIZED(gla_model_options),
                                       .registry = c->registry,
                                       .kv_dtype = c->kv_dtype,
                                       .weights_dtype = c->weights_dtype,
                                       .seed = 1,
                                       .progress = cli_progress};
    gla_diag diag;
    gla_status st = GLA_OK;

    if (x->trained && bare && c->weights_dtype) {
        const char *wanted = gla_dtype_name(c->weights_dtype);
        char hint[96];

        snprintf(hint, sizeof(hint), "gla-convert --weights %s, or leave --weights out", wanted);
        return cli_error_hint(hint, "%s: measured as stored, not as %s", x->source, wanted);
    }
    if (x->trained)
        st = cli_model_open(&x->open, x->source, c->kv_dtype, c->text != NULL, &diag);
    else if (bare)
        st = gla_model_random(x->arch, &options, &x->open.model, &diag);
    cli_progress_clear();
    if (st == GLA_E_CANCELLED && cli_interrupted()) {
        c->interrupted = true;
        return 0;
    }
    return st ? cli_fail(&diag) : 0;
}

int compare_open(comparison *c, bool bare)
{
    int status = 0;

    for (uint32_t i = 0; i < c->n && !status && !c->interrupted; i++)
        status = open_one(c, &c->items[i], bare);
    return status;
}

/* ---- one visit --------------------------------------------------------------- */

typedef struct visit {
    gla_session *session;
    const int32_t *tokens;  /* [contexts' longest + decode_tokens], within the vocabulary */
    float *logits;          /* [vocabulary] */
    double seconds, joules; /* of what was fed since both were last set to 0 */
} visit;

/* n tokens, `step` at once. */
static gla_status feed(visit *v, size_t n, size_t step, gla_diag *diag)
{
    const int32_t *tokens = v->tokens + gla_session_position(v->session);
    char reason[128];
    const double joules = compare_joules(reason, sizeof(reason)), start = cli_now();
    gla_status st = GLA_OK;

    for (size_t i = 0; i < n && !st; i += step) {
        const gla_feed_item item = {.session = v->session,
                                    .tokens = tokens + i,
                                    .n_tokens = step,
                                    .logits = v->logits,
                                    .n_logits = 1};

        st = gla_feed(&item, 1, sizeof(item), cli_cancel, NULL, diag);
    }
    v->seconds += cli_now() - start;
    v->joules += compare_joules(reason, sizeof(reason)) - joules;
    return st;
}

/* The next n tokens of a prompt, some of them only by their cost. */
static gla_status feed_prompt(const comparison *c, visit *v, size_t n, gla_diag *diag)
{
    const double seconds = v->seconds, joules = v->joules;
    gla_status st;
    double more;

    if (n <= c->whole || n <= 2 * PIECE)
        return feed(v, n, n, diag);
    st = feed(v, PIECE, PIECE, diag);
    if (!st)
        st = gla_measure_fill(v->session, n - 2 * PIECE, diag);
    if (!st)
        st = feed(v, PIECE, PIECE, diag);
    more = (double)(n - 2 * PIECE) / (2 * PIECE);
    v->seconds += more * (v->seconds - seconds);
    v->joules += more * (v->joules - joules);
    return st;
}

static void add_sample(rate *r, double value)
{
    if (r->n < MAX_ROUNDS && value > 0) /* no joules: unknown, or too short for the counter */
        r->sample[r->n++] = value;
}

static gla_status run_visit(const comparison *c, candidate *x, visit *v, gla_diag *diag)
{
    double prompt = 0, joules = 0; /* of all prompt tokens so far */
    uint64_t prompted = 0;
    gla_status st = GLA_OK;

    gla_session_reset(v->session);
    for (uint32_t k = 0; k < c->n_contexts && !st; k++) {
        const uint64_t fed = gla_session_position(v->session), context = c->contexts[k];
        speed *s = &x->speed[k];

        if (context < fed)
            continue; /* decoding has gone past it already: no sample of it */
        v->seconds = v->joules = 0;
        if (context > fed) {
            st = feed_prompt(c, v, (size_t)(context - fed), diag);
            if (st)
                break;
            prompt += v->seconds;
            joules += v->joules;
            prompted += context - fed;
            add_sample(&s->prefill, (double)prompted / prompt);
            add_sample(&s->first_token, prompt * (double)context / (double)prompted);
            add_sample(&s->prefill_joules, joules / (double)prompted);
        }
        v->seconds = v->joules = 0;
        st = feed(v, c->decode_tokens, 1, diag);
        if (st)
            break;
        add_sample(&s->decode, c->decode_tokens / v->seconds);
        add_sample(&s->decode_joules, v->joules / c->decode_tokens);
    }
    return st;
}

/* Whoever was measured before has the caches; the first batches also take the workspace and choose
 * the products' kernels: one batch as in the prompt, one token. */
static gla_status warm_up(const comparison *c, visit *v, gla_diag *diag)
{
    const uint64_t longest = c->contexts[c->n_contexts - 1];
    const size_t n = longest < PIECE ? (size_t)longest : PIECE;
    gla_status st = n ? feed(v, n, n, diag) : GLA_OK;

    return st ? st : feed(v, 1, 1, diag);
}

static int visit_candidate(comparison *c, candidate *x, const int32_t *noise, size_t n)
{
    const uint32_t vocab = gla_model_vocab_size(x->open.model);
    const gla_session_options options = {GLA_SIZED(gla_session_options), .kv_dtype = c->kv_dtype,
                                         .snapshot_stride = GLA_SNAPSHOT_NONE};
    int32_t *tokens = malloc(n * sizeof(int32_t));
    visit v = {.tokens = tokens, .logits = malloc(vocab * sizeof(float))};
    gla_memory all, own;
    gla_diag diag = {.status = GLA_OK};
    int status = 0;

    if (!tokens || !v.logits) {
        status = cli_error("out of memory");
    } else {
        for (size_t i = 0; i < n; i++)
            tokens[i] = (int32_t)((uint32_t)noise[i] % vocab);
        if (gla_session_create(x->open.model, &options, &v.session, &diag))
            status = cli_fail(&diag);
        else if (warm_up(c, &v, &diag) || run_visit(c, x, &v, &diag))
            status = diag.status == GLA_E_CANCELLED ? 0 : cli_fail(&diag);
    }
    if (v.session && !diag.status) {
        gla_model_memory(x->open.model, &all, sizeof(all));
        gla_session_memory(v.session, &own, sizeof(own));
        x->memory_used = all.weights + all.workspace + own.kv + own.state;
    }
    c->interrupted = c->interrupted || cli_interrupted();
    gla_session_free(v.session);
    free(tokens);
    free(v.logits);
    return status;
}

/* ---- all --------------------------------------------------------------------- */

static void summarise(rate *r)
{
    if (!r->n)
        return;
    qsort(r->sample, r->n, sizeof(*r->sample), compare_by_value);
    r->low = r->sample[0];
    r->high = r->sample[r->n - 1];
    r->median = (r->sample[r->n / 2] + r->sample[(r->n - 1) / 2]) / 2;
}

/* What a visit will take, for the estimate of what remains: at 200 GFLOP/s and 20 GB/s; only the
 * ratio between candidates matters. */
static double expected_seconds(const comparison *c, const candidate *x)
{
    double sum = 0;

    for (uint32_t k = 0; k < c->n_contexts; k++) {
        const uint64_t gap = c->contexts[k] - (k ? c->contexts[k - 1] : 0);
        const double computed = gap <= c->whole ? (double)gap : 2 * PIECE;
        const double bytes = (double)x->weight_bytes * (double)x->description->active_params /
                                 (double)x->description->params +
                             (double)x->kv_bytes[k];

        sum += computed * x->flops[k] / 200e9 + c->decode_tokens * bytes / 20e9;
    }
    return sum;
}

static int run_rounds(comparison *c, const int32_t *noise, size_t n)
{
    double done = 0, total = 0;
    int status = 0;

    for (uint32_t i = 0; i < c->n; i++)
        total += c->rounds * expected_seconds(c, &c->items[i]);
    for (uint32_t r = 0; r < c->rounds && !status; r++)
        for (uint32_t i = 0; i < c->n && !status && !c->interrupted; i++) {
            candidate *x = &c->items[(i + r) % c->n];

            cli_progress_share("measuring speed", done / total);
            status = visit_candidate(c, x, noise, n);
            done += expected_seconds(c, x);
        }
    cli_progress_clear();
    return status;
}

int compare_speed(comparison *c)
{
    uint64_t random = 1;
    size_t n;
    int32_t *noise;
    int status;

    (void)compare_joules(c->energy, sizeof(c->energy));
    n = (size_t)c->contexts[c->n_contexts - 1] + (size_t)c->decode_tokens;
    noise = malloc(n * sizeof(*noise));
    if (!noise)
        return cli_error("out of memory");
    for (size_t i = 0; i < n; i++) /* any tokens will do */
        noise[i] = (int32_t)(compare_random(&random) >> 33);
    status = run_rounds(c, noise, n);
    free(noise);
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->n_contexts; k++) {
            speed *s = &c->items[i].speed[k];

            summarise(&s->prefill);
            summarise(&s->decode);
            summarise(&s->first_token);
            summarise(&s->prefill_joules);
            summarise(&s->decode_joules);
        }
    return status;
}
