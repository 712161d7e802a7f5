/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_quality.c - how well the trained candidates predict a text
 *
 * Window by window, all candidates through each window before the next: what an interrupt leaves is
 * comparable.  Windows do not overlap, as in gla-eval.  The intervals are bootstrapped over windows
 * (95 %, percentiles); differences resample the same windows on both sides, so that what makes a
 * passage hard for everyone cancels.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 2000, ROWS = 256 };

typedef struct text {
    int32_t *ids;
    size_t n;
    uint64_t position_tokens[POSITION_BINS];
} text;

/* ---- text -------------------------------------------------------------------- */

static int encode(const candidate *x, const char *path, const char *data, size_t size, text *t)
{
    gla_diag diag;

    if (!cli_encode(&x->open, data, size, true, &t->ids, &t->n, &diag))
        return 0;
    snprintf(diag.where, sizeof(diag.where), "%s, with the tokenizer of %s", path, x->label);
    return cli_fail(&diag);
}

/* Every candidate must read the same tokens: nats per token of different ones do not compare. */
static int read_text(const comparison *c, text *t)
{
    const candidate *first = NULL;
    char *data = NULL;
    size_t size;
    gla_diag diag;
    int status = 0;

    memset(t, 0, sizeof(*t));
    if (cli_read_file(c->text, &data, &size, &diag))
        return cli_fail(&diag);
    for (uint32_t i = 0; i < c->n && !status; i++) {
        text other = {0};

        if (!c->items[i].trained)
            continue;
        status = encode(&c->items[i], c->text, data, size, first ? &other : t);
        if (first && !status &&
            (other.n != t->n || memcmp(other.ids, t->ids, t->n * sizeof(*t->ids)) != 0))
            status = cli_error("--text: %s and %s read the text as different tokens: nats per "
                               "token of different tokenizers do not compare",
                               first->label, c->items[i].label);
        free(other.ids);
        first = first ? first : &c->items[i];
    }
    free(data);
    if (!status && !first)
        status = cli_error("--text: no candidate has trained weights");
    if (!status && t->n < 2)
        status = cli_error("%s: no token to predict: at least two are needed", c->text);
    return status;
}

static uint32_t choose_window(const comparison *c)
{
    uint32_t window = 1024;

    if (c->window)
        return c->window;
    for (uint32_t i = 0; i < c->n; i++) {
        const uint32_t most = c->items[i].arch->max_positions;

        if (c->items[i].trained && most && most < window)
            window = most;
    }
    return window;
}

/* ---- windows ----------------------------------------------------------------- */

static uint32_t position_bin(size_t position)
{
    uint32_t bin = 0;

    for (size_t end = 16; position >= end && bin + 1 < POSITION_BINS; end *= 2)
        bin++;
    return bin;
}

/* Adds the nats of ids[1..n] given what came before them.  logits: [ROWS, vocabulary]. */
static gla_status window_nll(gla_session *s, const int32_t *ids, size_t n, float *logits,
                             double *sum, double by_position[POSITION_BINS], gla_diag *diag)
{
    const uint32_t vocab = gla_model_vocab_size(gla_session_model(s));
    gla_status st = GLA_OK;

    gla_session_reset(s);
    *sum = 0;
    for (size_t i = 0; i < n && !st; i += ROWS) {
        const size_t m = n - i < ROWS ? n - i : ROWS;
        const gla_feed_item item = {s, ids + i, m, logits, m};

        st = gla_feed(&item, 1, NULL, NULL, diag);
        for (size_t k = 0; k < m && !st; k++) {
            const double nll = gla_nll(logits + k * vocab, vocab, ids[i + k + 1]);

            *sum += nll;
            by_position[position_bin(i + k)] += nll;
        }
    }
    return st;
}

/* One window, all candidates; counts only when all are through. */
static int run_window(comparison *c, gla_session **sessions, float *logits, text *t, size_t first)
{
    const size_t rest = t->n - 1 - first, n = rest < c->window ? rest : c->window;
    static double parts[MAX_CANDIDATES][POSITION_BINS];
    gla_diag diag;

    memset(parts, 0, sizeof(parts));
    for (uint32_t i = 0; i < c->n; i++) {
        if (!sessions[i])
            continue;
        if (cli_progress_count("predicting the text", first * c->n + i * n, t->n * c->n,
                               "tokens")) {
            c->interrupted = true;
            return 0;
        }
        if (window_nll(sessions[i], t->ids + first, n, logits,
                       &c->items[i].quality.window_sum[c->windows], parts[i], &diag))
            return cli_fail(&diag);
    }
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < POSITION_BINS; k++)
            c->items[i].quality.by_position[k] += parts[i][k];
    for (size_t k = 0; k < n; k++)
        t->position_tokens[position_bin(k)]++;
    c->tokens += n;
    c->windows++;
    return 0;
}

/* ---- statistics -------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* 95 % interval of sum(a - b) / tokens over windows; b may be NULL.  The same seed each time: the
 * same windows are drawn for every candidate, and twice the same answer comes out. */
static void interval(const comparison *c, const double *a, const double *b, double *low,
                     double *high)
{
    static double means[RESAMPLES];
    const uint64_t last = c->tokens - (uint64_t)(c->windows - 1) * c->window;
    uint64_t random = 1;

    *low = *high = NAN;
    if (c->windows < 2)
        return;
    for (uint32_t r = 0; r < RESAMPLES; r++) {
        double sum = 0, tokens = 0;

        for (uint32_t k = 0; k < c->windows; k++) {
            const uint32_t w = (uint32_t)(next_random(&random) % c->windows);

            sum += a[w] - (b ? b[w] : 0);
            tokens += w + 1 == c->windows ? (double)last : c->window;
        }
        means[r] = sum / tokens;
    }
    qsort(means, RESAMPLES, sizeof(*means), by_value);
    *low = means[RESAMPLES / 40];
    *high = means[RESAMPLES - 1 - RESAMPLES / 40];
}

static void summarise(comparison *c, const text *t)
{
    const quality *first = NULL;

    for (uint32_t i = 0; i < c->n && c->windows; i++) {
        quality *q = &c->items[i].quality;
        double sum = 0;

        if (!q->window_sum)
            continue;
        for (uint32_t w = 0; w < c->windows; w++)
            sum += q->window_sum[w];
        q->nll = sum / (double)c->tokens;
        first = first ? first : q;
        q->difference = q->nll - first->nll;
        interval(c, q->window_sum, NULL, &q->low, &q->high);
        interval(c, q->window_sum, first->window_sum, &q->difference_low, &q->difference_high);
        for (uint32_t k = 0; k < POSITION_BINS; k++)
            q->by_position[k] =
                t->position_tokens[k] ? q->by_position[k] / (double)t->position_tokens[k] : NAN;
    }
}

/* ---- all --------------------------------------------------------------------- */

static int prepare(comparison *c, const text *t, gla_session **sessions, float **logits)
{
    const size_t windows = (t->n - 2) / c->window + 1;
    uint32_t vocab = 0;
    gla_diag diag;

    for (uint32_t i = 0; i < c->n; i++) {
        candidate *x = &c->items[i];
        const gla_session_options options = {.kv_dtype = c->kv_dtype,
                                             .snapshot_stride = GLA_SNAPSHOT_NONE};

        if (!x->trained)
            continue;
        x->quality.window_sum = calloc(windows, sizeof(double));
        if (!x->quality.window_sum)
            return cli_error("out of memory");
        if (gla_session_create(x->open.model, &options, &sessions[i], &diag))
            return cli_fail(&diag);
        if (gla_model_vocab_size(x->open.model) > vocab)
            vocab = gla_model_vocab_size(x->open.model);
    }
    *logits = malloc((size_t)ROWS * vocab * sizeof(**logits));
    return *logits ? 0 : cli_error("out of memory");
}

int compare_quality(comparison *c)
{
    gla_session *sessions[MAX_CANDIDATES] = {NULL};
    float *logits = NULL;
    text t;
    int status = read_text(c, &t);

    c->window = choose_window(c);
    if (!status)
        status = prepare(c, &t, sessions, &logits);
    for (size_t i = 0; i + 1 < t.n && !status && !c->interrupted; i += c->window)
        status = run_window(c, sessions, logits, &t, i);
    cli_progress_clear();
    summarise(c, &t);
    for (uint32_t i = 0; i < c->n; i++)
        gla_session_destroy(sessions[i]);
    free(logits);
    free(t.ids);
    return status;
}
