/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_recall.c - what a model can find again in its context
 *
 * A trial is a text of random tokens that only its own beginning explains, and a control: the same
 * tokens in a beginning that is shuffled, so that the answer is there, but nothing says which token
 * it is.  Answer and end are the same in both.
 *
 *     copy N         s1..sN s1 | s2..sN             control: the first s1..sN in another order
 *     induction N    ..a b.. a | b                  b changes places with another token
 *     pairs N        k1 v1..kN vN ki | vi           the values move on to other keys
 *     needle at D    ..k l v.. k l | v              v changes places with another token
 *
 * The score is what the answer gains in nats over the control.  A candidate counts as able to do it
 * when the 95 % interval of that gain over trials lies above 0 and the gain is at least ln 2: the
 * right token is twice as probable as the shuffled context makes it.  Every candidate sees the same
 * trials (fixed seed) as far as the tokenizers agree.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    POOL = 64,      /* different tokens that a needle's filling is made of */
    NEEDLE = 3,     /* tokens: two of key, one of value */
    MOST = 1 << 12, /* tokens of a trial */
};

static const probe all_probes[] = {
    {PROBE_COPY, 32, "copy 32", "copy_32"},
    {PROBE_INDUCTION, 128, "induction 128", "induction_128"},
    {PROBE_NEEDLE, 10, "needle at 10 %", "needle_10"},
    {PROBE_NEEDLE, 50, "50 %", "needle_50"},
    {PROBE_NEEDLE, 90, "90 %", "needle_90"},
    {PROBE_PAIRS, 2, "2 pairs", "pairs_2"},
    {PROBE_PAIRS, 4, "4", "pairs_4"},
    {PROBE_PAIRS, 8, "8", "pairs_8"},
    {PROBE_PAIRS, 16, "16", "pairs_16"},
    {PROBE_PAIRS, 32, "32", "pairs_32"},
    {PROBE_PAIRS, 64, "64", "pairs_64"},
};

typedef struct trial {
    int32_t tokens[MOST], control[MOST];
    uint32_t n, first; /* the answer is tokens[first .. n) */
} trial;

/* What one candidate is asked with. */
typedef struct asked {
    candidate *x;
    int32_t *words; /* tokens that text is made of */
    uint32_t n_words;
    gla_session *sessions[2]; /* with the trial, with its control */
    float *logits[2];         /* [MOST of an answer, vocabulary] */
} asked;

/* ---- trials ------------------------------------------------------------------ */

static void swap(int32_t *a, int32_t *b)
{
    const int32_t t = *a;

    *a = *b;
    *b = t;
}

/* 0 to n - 1; 0 when there is nothing to choose from. */
static uint32_t below(uint64_t *random, uint32_t n)
{
    return n ? (uint32_t)(compare_random(random) % n) : 0;
}

/* n different words. */
static void draw(const asked *a, uint64_t *random, uint32_t n, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        bool taken;

        do {
            out[i] = a->words[below(random, a->n_words)];
            taken = false;
            for (uint32_t k = 0; k < i; k++)
                taken = taken || out[k] == out[i];
        } while (taken);
    }
}

static void shuffle(uint64_t *random, int32_t *list, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--)
        swap(&list[i - 1], &list[below(random, i)]);
}

static void make_copy(const asked *a, uint64_t *random, uint32_t n, trial *t)
{
    draw(a, random, n, t->tokens);
    memcpy(t->tokens + n, t->tokens, n * sizeof(*t->tokens));
    memcpy(t->control, t->tokens, 2 * n * sizeof(*t->tokens));
    shuffle(random, t->control, n);
    t->n = 2 * n;
    t->first = n + 1;
}

static void make_induction(const asked *a, uint64_t *random, uint32_t n, trial *t)
{
    const uint32_t at = below(random, n - 2);
    uint32_t other;

    draw(a, random, n, t->tokens);
    memcpy(t->control, t->tokens, n * sizeof(*t->tokens));
    do { /* another place, but not that of a itself */
        other = below(random, n);
    } while (other == at || other == at + 1);
    swap(&t->control[at + 1], &t->control[other]);
    t->tokens[n] = t->control[n] = t->tokens[at];
    t->tokens[n + 1] = t->control[n + 1] = t->tokens[at + 1];
    t->n = n + 2;
    t->first = n + 1;
}

static void make_pairs(const asked *a, uint64_t *random, uint32_t n, trial *t)
{
    const uint32_t asked_for = below(random, n), shift = 1 + below(random, n - 1);

    draw(a, random, 2 * n, t->tokens);
    for (uint32_t i = 0; i < n; i++) {
        t->control[2 * i] = t->tokens[2 * i];
        t->control[2 * i + 1] = t->tokens[2 * ((i + shift) % n) + 1];
    }
    t->tokens[2 * n] = t->control[2 * n] = t->tokens[2 * asked_for];
    t->tokens[2 * n + 1] = t->control[2 * n + 1] = t->tokens[2 * asked_for + 1];
    t->n = 2 * n + 2;
    t->first = 2 * n + 1;
}

/* length tokens of filling with the needle in it, `depth` per cent of the way. */
static void make_needle(const asked *a, uint64_t *random, uint32_t depth, uint32_t length, trial *t)
{
    const uint32_t at = (length - NEEDLE) * depth / 100;
    int32_t words[POOL + NEEDLE];
    uint32_t other;

    draw(a, random, POOL + NEEDLE, words);
    for (uint32_t i = 0; i < length; i++)
        t->tokens[i] = words[NEEDLE + below(random, POOL)];
    memcpy(t->tokens + at, words, NEEDLE * sizeof(*words));
    memcpy(t->tokens + length, words, NEEDLE * sizeof(*words));
    t->n = length + NEEDLE;
    t->first = t->n - 1;
    memcpy(t->control, t->tokens, t->n * sizeof(*t->tokens));
    do {
        other = below(random, length);
    } while (other >= at && other < at + NEEDLE);
    swap(&t->control[at + NEEDLE - 1], &t->control[other]);
}

/* Words that the longest of the trials needs. */
static uint32_t words_needed(const probe *p)
{
    return p->kind == PROBE_PAIRS ? 2 * p->size : p->kind == PROBE_NEEDLE ? POOL + NEEDLE : p->size;
}

static void make_trial(const comparison *c, const asked *a, const probe *p, uint32_t number,
                       trial *t)
{
    uint64_t random = (uint64_t)(p->kind + 1) << 40 | (uint64_t)p->size << 20 | number;

    switch (p->kind) {
    case PROBE_COPY:
        make_copy(a, &random, p->size, t);
        break;
    case PROBE_INDUCTION:
        make_induction(a, &random, p->size, t);
        break;
    case PROBE_PAIRS:
        make_pairs(a, &random, p->size, t);
        break;
    case PROBE_NEEDLE:
        make_needle(a, &random, p->size, c->needle_tokens, t);
        break;
    }
}

/* ---- asking ------------------------------------------------------------------ */

/* Mean log probability of the answer, and how often it ranked first. */
static double score(const trial *t, const float *logits, uint32_t vocab, double *hits)
{
    const uint32_t n = t->n - t->first;
    double sum = 0;

    *hits = 0;
    for (uint32_t i = 0; i < n; i++) {
        const float *row = logits + (size_t)i * vocab;
        const int32_t right = t->tokens[t->first + i];
        bool first = true;

        for (uint32_t k = 0; k < vocab && first; k++)
            first = row[k] <= row[right];
        *hits += (double)first / n;
        sum -= gla_nll(row, vocab, right);
    }
    return sum / n;
}

/* Adds the trial to r; probability and control are sums of logarithms until summarise(). */
static int ask(const asked *a, const trial *t, recall *r)
{
    const int32_t bos = a->x->arch->bos_token;
    const int32_t *texts[2] = {t->tokens, t->control};
    const uint32_t vocab = gla_model_vocab_size(a->x->open.model);
    gla_feed_item items[2];
    double hits[2], mean[2];
    gla_diag diag;

    for (int i = 0; i < 2; i++) {
        gla_session_reset(a->sessions[i]);
        if (bos >= 0 && gla_session_feed(a->sessions[i], &bos, 1, 0, &diag))
            return cli_fail(&diag);
        items[i] = (gla_feed_item){.session = a->sessions[i],
                                   .tokens = texts[i],
                                   .n_tokens = t->n - 1,
                                   .logits = a->logits[i],
                                   .n_logits = t->n - t->first};
    }
    if (gla_feed(items, 2, sizeof(*items), NULL, NULL, &diag))
        return cli_fail(&diag);
    for (int i = 0; i < 2; i++)
        mean[i] = score(t, a->logits[i], vocab, &hits[i]);
    r->gains[r->n++] = mean[0] - mean[1];
    r->probability += mean[0];
    r->control += mean[1];
    r->accuracy += hits[0];
    r->control_accuracy += hits[1];
    return 0;
}

static void summarise(recall *r)
{
    const double n = r->n;
    double sum = 0;

    if (!r->n)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        sum += r->gains[i];
    r->gain = sum / n;
    compare_interval(r->gains, NULL, NULL, r->n, &r->low, &r->high);
    r->probability = exp(r->probability / n);
    r->control = exp(r->control / n);
    r->accuracy /= n;
    r->control_accuracy /= n;
    r->able = r->low > 0 && r->gain >= log(2);
}

/* ---- all --------------------------------------------------------------------- */

/* Words are all tokens but special and unused ones, as far as there is a tokenizer to say so. */
static int find_words(asked *a)
{
    const uint32_t vocab = gla_model_vocab_size(a->x->open.model);
    const gla_arch *arch = a->x->arch;
    gla_tokenizer *tok = NULL;
    gla_diag diag;

    a->words = malloc(vocab * sizeof(*a->words));
    if (!a->words)
        return cli_error("out of memory");
    (void)!gla_tokenizer_open(a->x->source, &tok, &diag);
    for (int32_t id = 0; (uint32_t)id < vocab; id++) {
        bool special = id == arch->bos_token || gla_arch_is_eos(arch, id);

        if (tok)
            special = special || gla_tokenizer_is_special(tok, id) || !gla_tokenizer_token(tok, id);
        if (!special)
            a->words[a->n_words++] = id;
    }
    gla_tokenizer_free(tok);
    return 0;
}

static int prepare(const comparison *c, candidate *x, asked *a)
{
    const gla_session_options options = {GLA_SIZED(gla_session_options), .kv_dtype = c->kv_dtype,
                                         .snapshot_stride = GLA_SNAPSHOT_NONE};
    const uint32_t vocab = gla_model_vocab_size(x->open.model);
    gla_diag diag;
    size_t answer = 1;

    a->x = x;
    for (uint32_t i = 0; i < c->n_probes; i++) {
        if (c->probes[i].kind == PROBE_COPY)
            answer = c->probes[i].size;
        x->recall[i].gains = malloc(c->trials * sizeof(double));
        if (!x->recall[i].gains)
            return cli_error("out of memory");
    }
    for (int i = 0; i < 2; i++) {
        a->logits[i] = malloc(answer * vocab * sizeof(float));
        if (!a->logits[i])
            return cli_error("out of memory");
        if (gla_session_create(x->open.model, &options, &a->sessions[i], &diag))
            return cli_fail(&diag);
    }
    return find_words(a);
}

/* The probes all candidates have room for; a needle lies in as much context as they share. */
static void choose_probes(comparison *c)
{
    uint32_t most = 512;

    for (uint32_t i = 0; i < c->n; i++) {
        const uint32_t positions = c->items[i].arch->max_positions;

        if (c->items[i].trained && positions && positions < most + NEEDLE + 1)
            most = positions > NEEDLE + 1 ? positions - NEEDLE - 1 : 0;
    }
    c->needle_tokens = most;
    for (size_t i = 0; i < sizeof(all_probes) / sizeof(all_probes[0]); i++) {
        const probe *p = &all_probes[i];
        const uint32_t tokens = p->kind == PROBE_NEEDLE      ? 4 * NEEDLE
                                : p->kind == PROBE_INDUCTION ? p->size + 2
                                                             : 2 * p->size + 2;

        if (tokens <= most)
            c->probes[c->n_probes++] = *p;
    }
}

static double tokens_of(const comparison *c, const probe *p)
{
    return p->kind == PROBE_NEEDLE ? c->needle_tokens : 2.0 * p->size;
}

/* Trial by trial, all candidates: what an interrupt leaves is comparable. */
static int run(comparison *c, asked *all, uint32_t n)
{
    static trial t;
    double done = 0, total = 0;
    int status = 0;

    for (uint32_t i = 0; i < c->n_probes; i++)
        total += c->trials * tokens_of(c, &c->probes[i]);
    for (uint32_t k = 0; k < c->trials; k++)
        for (uint32_t i = 0; i < c->n_probes; i++) {
            if (cli_progress_share("probing recall", done / total)) {
                c->interrupted = true;
                return 0;
            }
            for (uint32_t j = 0; j < n && !status; j++) {
                if (all[j].n_words < 2 * words_needed(&c->probes[i]))
                    continue; /* drawn from too few, words would be foreseeable */
                make_trial(c, &all[j], &c->probes[i], k, &t);
                status = ask(&all[j], &t, &all[j].x->recall[i]);
            }
            if (status)
                return status;
            done += tokens_of(c, &c->probes[i]);
        }
    return 0;
}

int compare_recall(comparison *c)
{
    static asked all[MAX_CANDIDATES];
    uint32_t n = 0;
    int status = 0;

    choose_probes(c);
    for (uint32_t i = 0; i < c->n && !status; i++)
        if (c->items[i].trained)
            status = prepare(c, &c->items[i], &all[n++]);
    if (!status && !n)
        status = cli_error("--recall: no candidate has trained weights");
    if (!status && !c->n_probes)
        status = cli_error("--recall: no common context: one of the candidates was made for fewer "
                           "than %d tokens",
                           4 * NEEDLE);
    if (!status)
        status = run(c, all, n);
    cli_progress_clear();
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t i = 0; i < c->n_probes; i++)
            summarise(&all[j].x->recall[i]);
        for (int i = 0; i < 2; i++) {
            gla_session_free(all[j].sessions[i]);
            free(all[j].logits[i]);
        }
        free(all[j].words);
    }
    return status;
}
