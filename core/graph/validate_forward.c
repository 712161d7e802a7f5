/* SPDX-License-Identifier: Apache-2.0
 *
 * One batch, several times, in memory with guard bands:
 *
 *   without rows         must be tolerated
 *   whole                guards, inputs and weights untouched, every number of y written
 *   whole, other rubbish in scratch and y: the same numbers (bits with GLA_LAYER_DETERMINISTIC)
 *   in pieces            each sequence by itself, 1, 1, 2, 3, 5, ... rows at a time: the same
 * within a tolerance, so that chunked = recurrent and sequences do not mix
 *
 * KV caches are reached through the math table only and are the real ones: the same rows are put
 * at the same places every time.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/tensor.h"
#include "graph/explain.h"
#include "graph/validate.h"
#include "graph/validate_bind.h"
#include "math/kv.h"

/* Numbers of a guard band at least; a buffer's own size where that is more. */
enum { GUARD = 1024, MOST_GUARD = 1 << 20 };

/* Bit patterns that no arithmetic makes: quiet NaNs with a payload, and numbers.  Guards are of
 * both kinds in turn: a NaN shows where it was read, a number where it was changed. */
#define BITS_GUARD UINT32_C(0xffe5a5a5)
#define BITS_WALL  UINT32_C(0x3fb3c6d9) /* about 1.40 */
#define BITS_NAN   UINT32_C(0x7fd1d1d1)
#define BITS_OTHER UINT32_C(0x7fd2d2d2)
#define BITS_VALUE UINT32_C(0x3fc7a5e1) /* about 1.56 */

typedef struct guarded {
    uint32_t *block;
    float *data;
    size_t capacity, n, guard; /* numbers */
    uint32_t id;               /* makes its guard bands unlike the others' */
    uint32_t fence;            /* their bits */
} guarded;

/* What a run leaves: y, the states, the shared rows, one after the other. */
typedef struct outcome {
    float *y, *states, *shared;
} outcome;

typedef struct check {
    const gla__instance *in;
    const gla_batch *b;                       /* as the graph made it */
    bool exact;                               /* no rounding but that of f32 */
    uint32_t fence;                           /* guard bands of the next run */
    guarded x, y, *scratch, *shared, *states; /* states: [n_sequences * n_states] */
    float **scratch_at, **shared_at;
    void **states_at;
    uint32_t n_guarded;
    size_t n_y, n_states, n_shared; /* numbers of an outcome */
    outcome before, result, again;
} check;

/* The sequences and rows of one call. */
typedef struct span {
    uint32_t first_sequence, n_sequences, first_row, n_rows;
    const uint32_t *row_offset;
    const uint64_t *position;
} span;

__attribute__((format(printf, 1, 2))) static gla_status broke(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gla__host_explain("%s", text);
    return GLA_E_PLUGIN;
}

/* ---- memory with guard bands ---- */

static gla_status guarded_init(check *c, guarded *g, size_t capacity)
{
    size_t guard = capacity < GUARD ? GUARD : capacity > MOST_GUARD ? MOST_GUARD : capacity;

    guard = (guard + 15) & ~(size_t)15; /* data stays on a 64-byte line */
    g->block = gla__alloc((capacity + 2 * guard) * sizeof(float));
    if (!g->block)
        return GLA_E_NOMEM;
    g->data = (float *)(void *)(g->block + guard);
    g->capacity = capacity;
    g->guard = guard;
    g->id = c->n_guarded++ & 0xfff;
    return GLA_OK;
}

static void fill(uint32_t *p, size_t n, uint32_t bits)
{
    for (size_t i = 0; i < n; i++)
        p[i] = bits;
}

/* n numbers of this pattern, guards all round. */
static void guarded_arm(guarded *g, size_t n, uint32_t bits, uint32_t fence)
{
    g->n = n;
    g->fence = fence ^ g->id;
    fill(g->block, g->guard, g->fence);
    fill(g->block + g->guard, n, bits);
    fill(g->block + g->guard + n, g->capacity - n + g->guard, g->fence);
}

static gla_status guarded_check(const guarded *g, const char *what)
{
    const uint32_t *after;
    size_t before = 0, past = 0;

    if (!g->block)
        return GLA_OK;
    after = g->block + g->guard + g->n;
    for (size_t i = 0; i < g->guard; i++)
        before += g->block[i] != g->fence;
    for (size_t i = 0; i < g->capacity - g->n + g->guard; i++)
        past += after[i] != g->fence;
    if (!before && !past)
        return GLA_OK;
    return broke("forward() writes %zu numbers %s %s of %zu numbers: declare what is used in "
                 "create(), or use less",
                 before + past, past ? "past the end of" : "before the beginning of", what, g->n);
}

/* ---- sizes ---- */

static size_t state_numbers(const check *c, uint32_t i)
{
    const gla_state_desc *s = &c->in->states[i];

    return s->kind == GLA_STATE_FIXED ? gla__n_elements(s->ndim, s->dims) : 0;
}

static size_t scratch_numbers(const check *c, uint32_t i, const span *p)
{
    const gla__scratch *s = &c->in->scratch[i];

    return s->per_row * p->n_rows + s->per_sequence * p->n_sequences + s->fixed;
}

static uint32_t fixed_states(const check *c)
{
    return c->b->n_sequences * c->in->n_states;
}

static gla_status outcome_init(const check *c, outcome *o)
{
    const size_t n = c->n_y + c->n_states + c->n_shared;

    o->y = gla__alloc_array(n + 1, sizeof(float));
    if (!o->y)
        return GLA_E_NOMEM;
    o->states = o->y + c->n_y;
    o->shared = o->states + c->n_states;
    return GLA_OK;
}

static void outcome_copy(const check *c, outcome *to, const outcome *from)
{
    memcpy(to->y, from->y, (c->n_y + c->n_states + c->n_shared) * sizeof(float));
}

static void release(check *c)
{
    guarded *const lists[] = {c->scratch, c->shared, c->states};
    const uint32_t n[] = {c->in->n_scratch, c->in->n_shared, fixed_states(c)};

    for (size_t l = 0; l < 3; l++) {
        for (uint32_t i = 0; lists[l] && i < n[l]; i++)
            gla__free(lists[l][i].block);
        gla__free(lists[l]);
    }
    gla__free(c->x.block);
    gla__free(c->y.block);
    gla__free(c->scratch_at);
    gla__free(c->shared_at);
    gla__free(c->states_at);
    gla__free(c->before.y);
    gla__free(c->result.y);
    gla__free(c->again.y);
}

static gla_status take_memory(check *c, const span *whole)
{
    const gla__instance *in = c->in;
    const size_t rows = c->b->n_rows;
    gla_status st = GLA_OK;

    c->scratch = gla__alloc_array(in->n_scratch + 1u, sizeof(*c->scratch));
    c->shared = gla__alloc_array(in->n_shared + 1u, sizeof(*c->shared));
    c->states = gla__alloc_array(fixed_states(c) + 1u, sizeof(*c->states));
    c->scratch_at = gla__alloc_array(in->n_scratch + 1u, sizeof(*c->scratch_at));
    c->shared_at = gla__alloc_array(in->n_shared + 1u, sizeof(*c->shared_at));
    c->states_at = gla__alloc_array(fixed_states(c) + 1u, sizeof(*c->states_at));
    if (!c->scratch || !c->shared || !c->states || !c->scratch_at || !c->shared_at || !c->states_at)
        return GLA_E_NOMEM;
    c->n_y = rows * in->d_out;
    for (uint32_t i = 0; i < in->n_scratch && !st; i++)
        st = guarded_init(c, &c->scratch[i], scratch_numbers(c, i, whole));
    for (uint32_t i = 0; i < in->n_shared && !st; i++) {
        st = guarded_init(c, &c->shared[i], in->shared[i].per_row * rows);
        c->n_shared += in->shared[i].per_row * rows;
    }
    for (uint32_t i = 0; i < fixed_states(c) && !st; i++) {
        const size_t n = state_numbers(c, i % in->n_states);

        st = n ? guarded_init(c, &c->states[i], n) : GLA_OK;
        c->n_states += n;
    }
    if (!st)
        st = guarded_init(c, &c->x, rows * in->d_in);
    if (!st)
        st = guarded_init(c, &c->y, c->n_y);
    if (!st)
        st = outcome_init(c, &c->before);
    if (!st)
        st = outcome_init(c, &c->result);
    return st ? st : outcome_init(c, &c->again);
}

/* States and shared rows of the caller, to or from an outcome. */
static void exchange(const check *c, outcome *o, bool to_caller)
{
    float *p = o->states;

    for (uint32_t i = 0; i < fixed_states(c); i++) {
        const size_t n = state_numbers(c, i % c->in->n_states);

        if (n && to_caller)
            memcpy(c->b->states[i], p, n * sizeof(float));
        else if (n)
            memcpy(p, c->b->states[i], n * sizeof(float));
        p += n;
    }
    p = o->shared;
    for (uint32_t i = 0; i < c->in->n_shared; i++) {
        const size_t n = c->in->shared[i].per_row * c->b->n_rows;

        if (to_caller)
            memcpy(c->b->shared[i], p, n * sizeof(float));
        else
            memcpy(p, c->b->shared[i], n * sizeof(float));
        p += n;
    }
}

/* ---- one call ---- */

/* States and shared rows of a span, between an outcome and the guarded copies. */
static void load_or_store(check *c, const span *p, outcome *o, bool store)
{
    const uint32_t first = p->first_sequence * c->in->n_states;
    float *at = o->states;

    for (uint32_t i = 0; i < fixed_states(c); i++) {
        guarded *g = &c->states[i];
        const size_t n = state_numbers(c, i % c->in->n_states);

        if (n && i >= first && i < first + p->n_sequences * c->in->n_states) {
            if (store)
                memcpy(at, g->data, n * sizeof(float));
            else
                guarded_arm(g, n, 0, c->fence);
            if (!store)
                memcpy(g->data, at, n * sizeof(float));
            c->states_at[i - first] = g->data;
        } else if (i >= first && i < first + p->n_sequences * c->in->n_states) {
            c->states_at[i - first] = c->b->states[i];
        }
        at += n;
    }
    at = o->shared;
    for (uint32_t i = 0; i < c->in->n_shared; i++) {
        const size_t per_row = c->in->shared[i].per_row, n = per_row * p->n_rows;
        float *rows = at + per_row * p->first_row;

        if (store) {
            memcpy(rows, c->shared[i].data, n * sizeof(float));
        } else {
            guarded_arm(&c->shared[i], n, 0, c->fence);
            memcpy(c->shared[i].data, rows, n * sizeof(float));
        }
        c->shared_at[i] = c->shared[i].data;
        at += per_row * c->b->n_rows;
    }
}

static gla_status check_guards(const check *c, const span *p)
{
    const gla__instance *in = c->in;
    const float *x = c->b->x + (size_t)p->first_row * in->d_in;
    char what[96];
    gla_status st = guarded_check(&c->y, "y");

    for (uint32_t i = 0; i < in->n_scratch && !st; i++) {
        snprintf(what, sizeof(what), "scratch %u", (unsigned)i);
        st = guarded_check(&c->scratch[i], what);
    }
    for (uint32_t i = 0; i < in->n_shared && !st; i++) {
        snprintf(what, sizeof(what), "the shared rows '%.48s'", in->shared[i].name);
        st = guarded_check(&c->shared[i], what);
    }
    for (uint32_t i = 0; i < p->n_sequences * in->n_states && !st; i++) {
        const guarded *g = &c->states[p->first_sequence * in->n_states + i];

        snprintf(what, sizeof(what), "the state '%.64s'", in->states[i % in->n_states].name);
        st = guarded_check(g, what);
    }
    if (!st)
        st = guarded_check(&c->x, "x");
    if (!st && in->role != GLA_LAYER_EMBEDDING &&
        memcmp(c->x.data, x, (size_t)p->n_rows * in->d_in * sizeof(float)))
        st = broke("forward() writes to x, which is read only: work in scratch or in y");
    if (!st && gla__validate_written(in))
        st = broke("forward() writes to %s: it is read only and shared by threads",
                   gla__validate_written(in));
    return st;
}

/* Runs the rows of a span from the states and shared rows of `o`, and leaves there what came of
 * it. */
static gla_status run(check *c, const span *p, uint32_t scratch_bits, uint32_t y_bits, outcome *o)
{
    const gla__instance *in = c->in;
    const size_t n_x = (size_t)p->n_rows * in->d_in, n_y = (size_t)p->n_rows * in->d_out;
    gla_batch batch = *c->b, sent;
    gla_status st;

    guarded_arm(&c->x, n_x, 0, c->fence);
    if (in->role != GLA_LAYER_EMBEDDING) /* which is made of tokens */
        memcpy(c->x.data, c->b->x + (size_t)p->first_row * in->d_in, n_x * sizeof(float));
    guarded_arm(&c->y, n_y, y_bits, c->fence);
    for (uint32_t i = 0; i < in->n_scratch; i++) {
        guarded_arm(&c->scratch[i], scratch_numbers(c, i, p), scratch_bits, c->fence);
        c->scratch_at[i] = c->scratch[i].data;
    }
    load_or_store(c, p, o, false);
    batch.n_sequences = p->n_sequences;
    batch.n_rows = p->n_rows;
    batch.row_offset = p->row_offset;
    batch.position = p->position;
    batch.tokens = c->b->tokens ? c->b->tokens + p->first_row : NULL;
    batch.x = c->x.data;
    batch.y = c->y.data;
    batch.scratch = c->scratch_at;
    batch.shared = c->shared_at;
    batch.states = c->states_at;
    sent = batch;
    gla__validate_enter(in->name, in->desc->type_id, "forward");
    st = gla__validate_leave(in->desc->forward(in->layer, &batch));
    if (!st)
        st = check_guards(c, p);
    if (!st && memcmp(&sent, &batch, sizeof(batch)))
        st = broke("forward() changes the batch it was given, which is const");
    if (st)
        return st;
    load_or_store(c, p, o, true);
    memcpy(o->y + (size_t)p->first_row * in->d_out, c->y.data, n_y * sizeof(float));
    return GLA_OK;
}

static gla_status run_whole(check *c, const span *whole, uint32_t scratch_bits, uint32_t y_bits,
                            outcome *o)
{
    outcome_copy(c, o, &c->before);
    return run(c, whole, scratch_bits, y_bits, o);
}

/* ---- comparing ---- */

/* Squared error that is still equal, relative to the size of the numbers.  Between chunked and
 * recurrent form, f32 differs by some 1e-6; weights and caches of few bits round the input
 * differently for one row and for many. */
static double tolerance(const check *c)
{
    return c->exact ? 1e-8 : 1e-2;
}

static double square_error(const float *a, const float *b, size_t n, double *size)
{
    double error = 0;

    *size = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - b[i];

        if (isnan(a[i]) && isnan(b[i]))
            continue;
        error += a[i] == b[i] ? 0 : isfinite(d) ? d * d : 1e300;
        *size += isfinite(a[i]) ? (double)a[i] * a[i] : 0;
    }
    return error;
}

/* Rows of y that differ, and the first of them. */
static uint32_t rows_off(const check *c, const outcome *a, const outcome *b, uint32_t *first)
{
    const size_t d = c->in->d_out;
    const uint32_t rows = c->b->n_rows;
    double all, size;
    uint32_t n = 0;

    square_error(a->y, b->y, c->n_y, &all);
    for (uint32_t r = rows; r-- > 0;) {
        const double error = square_error(a->y + r * d, b->y + r * d, d, &size);

        if (error > tolerance(c) * (size + all / rows)) {
            n++;
            *first = r;
        }
    }
    return n;
}

/* The state that differs; n_states of all sequences if none does. */
static uint32_t state_off(const check *c, const outcome *a, const outcome *b)
{
    size_t at = 0;
    uint32_t i;

    for (i = 0; i < fixed_states(c); i++) {
        const size_t n = state_numbers(c, i % c->in->n_states);
        double size;
        const double error = square_error(a->states + at, b->states + at, n, &size);

        if (error > tolerance(c) * size)
            break;
        at += n;
    }
    return i;
}

/* Equal as this layer promises. */
static bool same(const check *c, const outcome *a, const outcome *b)
{
    uint32_t first;

    if (c->in->desc->flags & GLA_LAYER_DETERMINISTIC)
        return !memcmp(a->y, b->y, (c->n_y + c->n_states + c->n_shared) * sizeof(float));
    return !rows_off(c, a, b, &first) && state_off(c, a, b) == fixed_states(c);
}

/* ---- the checks ---- */

static gla_status check_no_rows(check *c)
{
    static const uint32_t offset[1] = {0};
    static const uint64_t position[1] = {0};
    const span none = {.row_offset = offset, .position = position};
    const gla_status st = run_whole(c, &none, BITS_NAN, BITS_NAN, &c->again);

    if (st && st != GLA_E_PLUGIN)
        return broke("forward() fails for a batch without rows, which must be tolerated: %s",
                     gla__host_explained()[0] ? gla__host_explained() : gla_status_text(st));
    return st;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* result and again began with different rubbish in y.  NaN stays NaN through arithmetic, a number
 * does not stay the same number. */
static gla_status check_written(check *c, const span *whole)
{
    const size_t d = c->in->d_out;
    gla_status st;
    size_t i = 0;

    while (i < c->n_y &&
           (bits_of(c->result.y[i]) != BITS_NAN || bits_of(c->again.y[i]) != BITS_OTHER))
        i++;
    if (i == c->n_y)
        return GLA_OK;
    st = run_whole(c, whole, BITS_NAN, BITS_VALUE, &c->again);
    if (st)
        return st;
    if (bits_of(c->again.y[i]) == BITS_VALUE)
        return broke("forward() does not write y[%zu, %zu] of [%u, %zu]: every number of every row "
                     "must be written",
                     i / d, i % d, (unsigned)c->b->n_rows, d);
    return broke("forward() reads y before it writes it: its contents are undefined");
}

/* Which of the things that should not matter does? */
static gla_status blame(check *c, const span *whole)
{
    gla_status st = run_whole(c, whole, BITS_NAN, BITS_NAN, &c->again);

    if (st)
        return st;
    if (!same(c, &c->result, &c->again))
        return broke("forward() gives other numbers when called again with the same input%s",
                     c->in->desc->flags & GLA_LAYER_DETERMINISTIC
                         ? ": GLA_LAYER_DETERMINISTIC promises equal bits"
                         : ": it keeps something between calls, or threads race");
    st = run_whole(c, whole, BITS_NAN, BITS_OTHER, &c->again);
    if (st)
        return st;
    if (!same(c, &c->result, &c->again))
        return broke("forward() reads y before it writes it: its contents are undefined");
    st = run_whole(c, whole, BITS_VALUE, BITS_NAN, &c->again);
    if (st)
        return st;
    if (same(c, &c->result, &c->again))
        return broke("forward() reads outside of its memory: before or past x, scratch, a state or "
                     "shared rows");
    return broke("forward() depends on what was in scratch before: its contents are undefined at "
                 "the start of forward(); write it first");
}

static bool all_finite(const float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(p[i]))
            return false;
    return true;
}

static gla_status check_finite(const check *c)
{
    const size_t d = c->in->d_out, n = c->n_y + c->n_states;

    if (c->in->role != GLA_LAYER_EMBEDDING &&
        !all_finite(c->b->x, (size_t)c->b->n_rows * c->in->d_in))
        return GLA_OK;
    if (!all_finite(c->before.states, c->n_states + c->n_shared))
        return GLA_OK;
    for (size_t i = 0; i < n; i++)
        if (isnan(c->result.y[i]))
            return i < c->n_y ? broke("forward() makes NaN at y[%zu, %zu] from finite input and "
                                      "states: an exp, a division, or a read of memory that is not "
                                      "the layer's",
                                      i / d, i % d)
                              : broke("forward() makes NaN in a state from finite input");
    return GLA_OK;
}

static gla_status check_pieces(check *c)
{
    const gla_batch *b = c->b;
    uint32_t first = 0, bad, state;

    outcome_copy(c, &c->again, &c->before);
    for (uint32_t s = 0; s < b->n_sequences; s++) {
        uint32_t rows = 1, before = 0;

        for (uint32_t r = b->row_offset[s]; r < b->row_offset[s + 1];) {
            const uint32_t left = b->row_offset[s + 1] - r, n = rows < left ? rows : left;
            const uint32_t offset[2] = {0, n};
            const uint64_t position = b->position[s] + (r - b->row_offset[s]);
            const span piece = {s, 1, r, n, offset, &position};
            const gla_status st = run(c, &piece, BITS_NAN, BITS_NAN, &c->again);

            if (st)
                return st;
            r += n;
            rows += before; /* 1, 1, 2, 3, 5: each the sum of the two before */
            before = n;
        }
    }
    bad = rows_off(c, &c->result, &c->again, &first);
    if (bad > (c->exact ? 0 : b->n_rows / 4)) /* rounding can send a row to another expert */
        return broke(
            "forward() gives other rows (%u of %u, first %u) when a batch comes in pieces: "
            "chunked and recurrent form, or sequences of one batch, do not agree",
            (unsigned)bad, (unsigned)b->n_rows, (unsigned)first);
    state = state_off(c, &c->result, &c->again);
    if (state < fixed_states(c))
        return broke("forward() leaves another state '%.64s' when a batch comes in pieces: chunked "
                     "and recurrent form do not agree",
                     c->in->states[state % c->in->n_states].name);
    return GLA_OK;
}

static bool rounds(const check *c)
{
    for (uint32_t i = 0; i < fixed_states(c); i++)
        if (c->in->states[i % c->in->n_states].kind == GLA_STATE_PER_TOKEN &&
            ((const gla__kv_view *)c->b->states[i])->dtype != GLA_DTYPE_F32)
            return true;
    return !c->in->exact;
}

static gla_status check_all(check *c, const span *whole)
{
    gla_status st = take_memory(c, whole);

    if (st)
        return st;
    exchange(c, &c->before, false);
    st = check_no_rows(c);
    if (!st)
        st = run_whole(c, whole, BITS_NAN, BITS_NAN, &c->result);
    c->fence = BITS_WALL;
    if (!st)
        st = run_whole(c, whole, BITS_VALUE, BITS_OTHER, &c->again);
    c->fence = BITS_GUARD;
    if (!st)
        st = check_written(c, whole);
    if (!st && !same(c, &c->result, &c->again))
        st = blame(c, whole);
    if (!st)
        st = check_finite(c);
    if (!st)
        st = check_pieces(c);
    /* KV caches end as the whole batch leaves them */
    return st ? st : run_whole(c, whole, BITS_NAN, BITS_NAN, &c->again);
}

gla_status gla__validate_forward(const gla__instance *in, const gla_batch *batch)
{
    const span whole = {
        0, batch->n_sequences, 0, batch->n_rows, batch->row_offset, batch->position};
    check c = {.in = in, .b = batch, .fence = BITS_GUARD};
    gla_status st;

    c.exact = !rounds(&c);
    st = check_all(&c, &whole);
    if (!st) {
        memcpy(batch->y, c.result.y, c.n_y * sizeof(float));
        exchange(&c, &c.result, true);
    }
    release(&c);
    return st;
}
