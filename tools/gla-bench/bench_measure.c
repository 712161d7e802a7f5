/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_measure.c - one sample of everything that is measured every round
 */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const double read_seconds = 0.1, gemm_seconds = 0.02;

/* ---- series ---- */

void series_add(series *s, double x)
{
    if (s->n < MAX_ROUNDS)
        s->values[s->n++] = x;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double series_median(const series *s)
{
    double sorted[MAX_ROUNDS];

    if (!s->n)
        return NAN;
    memcpy(sorted, s->values, s->n * sizeof(*sorted));
    qsort(sorted, s->n, sizeof(*sorted), compare);
    return 0.5 * (sorted[(s->n - 1) / 2] + sorted[s->n / 2]);
}

double series_min(const series *s)
{
    double best = NAN;

    for (uint32_t i = 0; i < s->n; i++)
        best = fmin(best, s->values[i]);
    return best;
}

double series_max(const series *s)
{
    double best = NAN;

    for (uint32_t i = 0; i < s->n; i++)
        best = fmax(best, s->values[i]);
    return best;
}

/* ---- shared ---- */

void bench_progress(const char *format, ...)
{
    va_list args;

    if (!cli.progress)
        return;
    fputs("\r\033[K", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fflush(stderr);
}

/* ---- limits of the machine ---- */

gla_status bench_reading(bench *b, gla_diag *diag)
{
    double rate;
    const gla_status st = gla_measure_read(b->memory, b->read_bytes, read_seconds, &rate, diag);

    if (!st)
        series_add(&b->reading, rate);
    return st;
}

gla_status bench_gemm(gemm_item *g, gla_diag *diag)
{
    double rate;
    const gla_status st =
        gla_measure_gemm(g->rows, g->out, g->in, g->dtype, gemm_seconds, &rate, diag);

    if (!st)
        series_add(&g->rate, rate);
    return st;
}

static double latest(const series *s)
{
    return s->n ? s->values[s->n - 1] : NAN;
}

/* ---- prefill ---- */

/* Seconds that the linear maps of one token take at this round's GEMM rates. */
static double ideal_seconds(const bench *b, const prefill_item *p)
{
    double seconds = 0, covered = 0;

    for (uint32_t i = 0; i < b->n_gemms; i++) {
        const gemm_item *g = &b->gemms[i];

        if (g->tokens != p->batch)
            continue;
        seconds += g->flops_per_token / latest(&g->rate);
        covered += g->flops_per_token;
    }
    return covered > 0 ? seconds * p->linear_flops / covered : NAN;
}

gla_status bench_prefill(bench *b, prefill_item *p, gla_diag *diag)
{
    gla_session *s = NULL;
    gla_status st = gla_session_create(b->model, &b->session, &s, diag);
    double seconds;

    if (st)
        return st;
    seconds = cli_now();
    st = gla_measure_feed(&(gla_feed_item){.session = s,
                                           .tokens = b->tokens,
                                           .n_tokens = p->tokens,
                                           .logits = b->logits,
                                           .n_logits = 1},
                          1, sizeof(gla_feed_item), cli_cancel, NULL, p->work.seconds,
                          GLA_WORK_COUNT, diag);
    seconds = cli_now() - seconds;
    gla_session_free(s);
    if (st)
        return st;
    p->work.wall += seconds;
    series_add(&p->rate, (double)p->tokens / seconds);
    series_add(&p->fraction, ideal_seconds(b, p) * (double)p->tokens / seconds);
    return GLA_OK;
}

/* ---- decode ---- */

gla_status bench_bases(bench *b, gla_diag *diag)
{
    for (uint32_t i = 0; i < b->n_depths; i++) {
        const uint64_t from = i ? b->depths[i - 1] : 0;
        gla_status st = i ? gla_session_fork(b->bases[i - 1], &b->bases[i], diag)
                          : gla_session_create(b->model, &b->session, &b->bases[i], diag);

        const double start = cli_now();

        bench_progress("feeding %llu tokens", (unsigned long long)b->depths[i]);
        if (!st && b->depths[i] > from)
            st = gla_feed(&(gla_feed_item){.session = b->bases[i],
                                           .tokens = b->tokens + from,
                                           .n_tokens = b->depths[i] - from},
                          1, sizeof(gla_feed_item), cli_cancel, NULL, diag);
        if (st)
            return st;
        b->base_seconds[i] = cli_now() - start + (i ? b->base_seconds[i - 1] : 0);
    }
    return GLA_OK;
}

/* One token to each session, with logits. */
static gla_status step(bench *b, gla_session **sessions, uint32_t n, uint64_t at, double *seconds,
                       gla_diag *diag)
{
    const uint32_t vocab = gla_model_vocab_size(b->model);
    gla_feed_item items[MAX_BATCH];

    for (uint32_t i = 0; i < n; i++)
        items[i] = (gla_feed_item){.session = sessions[i],
                                   .tokens = b->tokens + (at + 7 * i) % b->n_tokens,
                                   .n_tokens = 1,
                                   .logits = b->logits + (size_t)i * vocab,
                                   .n_logits = 1};
    return seconds ? gla_measure_feed(items, n, sizeof(gla_feed_item), cli_cancel, NULL, seconds,
                                      GLA_WORK_COUNT, diag)
                   : gla_feed(items, n, sizeof(*items), cli_cancel, NULL, diag);
}

gla_status bench_decode(bench *b, decode_item *d, gla_diag *diag)
{
    const double all = d->bytes.weights + d->bytes.state + d->bytes.kv;
    gla_session *sessions[MAX_BATCH] = {NULL};
    double seconds = 0;
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < d->batch && !st; i++)
        st = gla_session_fork(b->bases[d->base], &sessions[i], diag);
    if (!st) /* a fork's first token copies the page that it writes to */
        st = step(b, sessions, d->batch, 0, NULL, diag);
    seconds = cli_now();
    for (uint32_t t = 0; t < b->decode_tokens && !st; t++)
        st = step(b, sessions, d->batch, t + 1, d->work.seconds, diag);
    seconds = cli_now() - seconds;
    for (uint32_t i = 0; i < d->batch; i++)
        gla_session_free(sessions[i]);
    if (st)
        return st;
    d->work.wall += seconds;
    series_add(&d->rate, (double)d->batch * b->decode_tokens / seconds);
    series_add(&d->reading, all * b->decode_tokens / seconds);
    series_add(&d->fraction, latest(&d->reading) / latest(&b->reading));
    return GLA_OK;
}
