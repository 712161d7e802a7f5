/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_quality.c - how well the trained candidates predict a text
 *
 * Window by window, all candidates through each window before the next: what an interrupt leaves is
 * comparable.  Windows do not overlap, as in gla-eval.  The intervals are bootstrapped over windows
 * (95 %, percentiles); differences resample the same windows on both sides, so that what makes a
 * passage hard for everyone cancels.
 *
 * With --ablate each window is read again with every mixer in turn left out.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 256 };

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

/* No more than the candidates were made for; what was asked for explicitly is not cut. */
static int choose_window(comparison *c)
{
    uint32_t window = 1024;

    for (uint32_t i = 0; i < c->n; i++) {
        const candidate *x = &c->items[i];
        const uint32_t most = x->arch->max_positions;

        if (!x->trained || !most)
            continue;
        if (c->window > most) {
            char hint[32];

            snprintf(hint, sizeof(hint), "--window %u", most);
            return cli_error_hint(hint,
                                  "--window %u: %s was made for contexts of %u tokens, longer "
                                  "ones do not compare",
                                  c->window, x->label, most);
        }
        window = most < window ? most : window;
    }
    if (!c->window)
        c->window = window;
    return 0;
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
        const gla_feed_item item = {
            .session = s, .tokens = ids + i, .n_tokens = m, .logits = logits, .n_logits = m};

        st = gla_feed(&item, 1, sizeof(item), NULL, NULL, diag);
        for (size_t k = 0; k < m && !st; k++) {
            const double nll = gla_nll(logits + k * vocab, vocab, ids[i + k + 1]);

            *sum += nll;
            by_position[position_bin(i + k)] += nll;
        }
    }
    return st;
}

typedef struct work {
    text text;
    gla_session *sessions[MAX_CANDIDATES]; /* NULL: has no weights */
    float *logits;                         /* [ROWS, vocabulary] */
    uint32_t passes;                       /* through a window, of all candidates and ablations */
} work;

/* The window once more with mixer i left out. */
static gla_status ablate(const comparison *c, const candidate *x, uint32_t i, const int32_t *ids,
                         size_t n, float *logits, gla_diag *diag)
{
    const gla_session_options options = {GLA_SIZED(gla_session_options), .kv_dtype = c->kv_dtype,
                                         .snapshot_stride = GLA_SNAPSHOT_NONE, .bypass = i + 1};
    double unused[POSITION_BINS] = {0};
    gla_session *s;
    gla_status st = gla_session_create(x->open.model, &options, &s, diag);

    if (!st)
        st = window_nll(s, ids, n, logits, &x->quality.ablations[i].window_sum[c->windows], unused,
                        diag);
    gla_session_free(s);
    return st;
}

/* One window, all candidates; counts only when all are through. */
static int run_window(comparison *c, work *w, size_t first)
{
    const size_t rest = w->text.n - 1 - first, n = rest < c->window ? rest : c->window;
    const int32_t *ids = w->text.ids + first;
    static double parts[MAX_CANDIDATES][POSITION_BINS];
    uint32_t done = 0;
    gla_diag diag;

    memset(parts, 0, sizeof(parts));
    for (uint32_t i = 0; i < c->n; i++) {
        const quality *q = &c->items[i].quality;
        gla_status st = GLA_OK;

        for (uint32_t k = 0; w->sessions[i] && k <= q->n_ablations && !st; k++) {
            if (cli_progress_share(c->ablate ? "leaving out layers" : "predicting the text",
                                   ((double)first + (double)n * done++ / w->passes) /
                                       (double)w->text.n)) {
                c->interrupted = true;
                return 0;
            }
            st = k ? ablate(c, &c->items[i], k - 1, ids, n, w->logits, &diag)
                   : window_nll(w->sessions[i], ids, n, w->logits, &q->window_sum[c->windows],
                                parts[i], &diag);
        }
        if (st)
            return cli_fail(&diag);
    }
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < POSITION_BINS; k++)
            c->items[i].quality.by_position[k] += parts[i][k];
    for (size_t k = 0; k < n; k++)
        w->text.position_tokens[position_bin(k)]++;
    c->tokens += n;
    c->windows++;
    return 0;
}

/* ---- statistics -------------------------------------------------------------- */

static double sum_of(const double *x, uint32_t n)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* weight: [windows] tokens. */
static void summarise_one(const comparison *c, quality *q, const quality *first,
                          const double *weight, const text *t)
{
    const double tokens = (double)c->tokens;

    q->nll = sum_of(q->window_sum, c->windows) / tokens;
    q->difference = q->nll - first->nll;
    compare_interval(q->window_sum, NULL, weight, c->windows, &q->low, &q->high);
    compare_interval(q->window_sum, first->window_sum, weight, c->windows, &q->difference_low,
                     &q->difference_high);
    for (uint32_t k = 0; k < POSITION_BINS; k++)
        q->by_position[k] =
            t->position_tokens[k] ? q->by_position[k] / (double)t->position_tokens[k] : NAN;
    for (uint32_t i = 0; i < q->n_ablations; i++) {
        ablation *a = &q->ablations[i];

        a->nll = sum_of(a->window_sum, c->windows) / tokens;
        a->difference = a->nll - q->nll;
        compare_interval(a->window_sum, q->window_sum, weight, c->windows, &a->low, &a->high);
    }
}

static int summarise(comparison *c, const text *t)
{
    const quality *first = NULL;
    double *weight;

    if (!c->windows)
        return 0;
    weight = malloc(c->windows * sizeof(*weight));
    if (!weight)
        return cli_error("out of memory");
    for (uint32_t k = 0; k < c->windows; k++)
        weight[k] = c->window;
    weight[c->windows - 1] = (double)(c->tokens - (uint64_t)(c->windows - 1) * c->window);
    for (uint32_t i = 0; i < c->n; i++) {
        quality *q = &c->items[i].quality;

        if (!q->window_sum)
            continue;
        first = first ? first : q;
        summarise_one(c, q, first, weight, t);
    }
    free(weight);
    return 0;
}

/* ---- all --------------------------------------------------------------------- */

/* One entry for each mixer, in their order. */
static int prepare_ablations(candidate *x, size_t windows)
{
    const gla_description *d = gla_model_description(x->open.model);
    quality *q = &x->quality;

    q->ablations = calloc(d->n_layers + 1, sizeof(*q->ablations));
    if (!q->ablations)
        return cli_error("out of memory");
    for (uint32_t i = 0; i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];
        ablation *a = &q->ablations[q->n_ablations];

        if (l->role != GLA_LAYER_MIXER)
            continue;
        q->n_ablations++;
        snprintf(a->layer, sizeof(a->layer), "%s", l->name);
        snprintf(a->type, sizeof(a->type), "%s", l->type_id);
        a->kind = l->state_bytes && l->kv_values_per_token ? BLOCK_BOTH
                  : l->kv_values_per_token                 ? BLOCK_SOFTMAX
                  : l->state_bytes                         ? BLOCK_LINEAR
                                                           : BLOCK_PLAIN;
        a->window_sum = calloc(windows, sizeof(double));
        if (!a->window_sum)
            return cli_error("out of memory");
    }
    return 0;
}

static int prepare(comparison *c, work *w)
{
    const size_t windows = (w->text.n - 2) / c->window + 1;
    uint32_t vocab = 1; /* the largest; read_text() saw that there is one */
    gla_diag diag;

    for (uint32_t i = 0; i < c->n; i++) {
        candidate *x = &c->items[i];
        const gla_session_options options = {GLA_SIZED(gla_session_options),
                                             .kv_dtype = c->kv_dtype,
                                             .snapshot_stride = GLA_SNAPSHOT_NONE};

        if (!x->trained)
            continue;
        x->quality.window_sum = calloc(windows, sizeof(double));
        if (!x->quality.window_sum)
            return cli_error("out of memory");
        if (c->ablate && prepare_ablations(x, windows))
            return 1;
        w->passes += 1 + x->quality.n_ablations;
        if (gla_session_create(x->open.model, &options, &w->sessions[i], &diag))
            return cli_fail(&diag);
        if (gla_model_vocab_size(x->open.model) > vocab)
            vocab = gla_model_vocab_size(x->open.model);
    }
    w->logits = malloc((size_t)ROWS * vocab * sizeof(*w->logits));
    return w->logits ? 0 : cli_error("out of memory");
}

int compare_quality(comparison *c)
{
    work w = {.logits = NULL};
    int status = choose_window(c);

    if (!status)
        status = read_text(c, &w.text);
    if (!status)
        status = prepare(c, &w);
    for (size_t i = 0; i + 1 < w.text.n && !status && !c->interrupted; i += c->window)
        status = run_window(c, &w, i);
    cli_progress_clear();
    if (!status)
        status = summarise(c, &w.text);
    for (uint32_t i = 0; i < c->n; i++)
        gla_session_free(w.sessions[i]);
    free(w.logits);
    free(w.text.ids);
    return status;
}

const char *compare_windows_text(const comparison *c, char *buf, size_t size)
{
    const unsigned long long tokens = c->tokens;

    if (c->windows > 1)
        snprintf(buf, size, "%llu tokens in %u windows of %u that do not overlap", tokens,
                 c->windows, c->window);
    else
        snprintf(buf, size,
                 "%llu tokens in one window of %u, and so no intervals: they need a longer text or "
                 "a shorter --window",
                 tokens, c->window);
    return buf;
}
