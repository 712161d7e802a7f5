/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/parallel.h"
#include "graph/explain.h"
#include "graph/host.h"
#include "graph/validate.h"
#include "graph/validate_bind.h"
#include "math/math.h"

/* Logits that cannot be written in place (sessions have buffers of their own) go through a stage
 * of so many rows. */
enum { STAGE_ROWS = 32 };

typedef struct shared_slot {
    const char *name; /* of its first user */
    size_t per_row;
    bool written; /* by a layer so far */
} shared_slot;

struct gla__graph {
    gla__program program;
    uint32_t max_rows, max_sequences, recurrence_chunk;
    shared_slot *slots;
    uint32_t n_slots;
    uint32_t stage_rows;
    uint32_t most_states, most_scratch, most_shared; /* of one instance */
    uint64_t rows_bytes;                             /* buffers, shared rows, scratch, stage */
    gla__math_needs needs;
};

struct gla__workspace {
    gla__workspace *next;
    uint32_t threads;
    uint64_t bytes;
    char *rows; /* graph.rows_bytes */
    char *arena;
    size_t arena_bytes;
    void **states;   /* [max_sequences * most_states] */
    float **scratch; /* [most_scratch] */
    float **shared;  /* [most_shared] */
    float **slots;   /* [n_slots] */
    float *buffers[GLA__BUFFER_COUNT];
    float *stage;     /* [stage_rows, N] */
    char *scratch_at; /* scratch of a layer begins here */
    gla__exec exec;
};

/* ---- program ---- */

void gla__program_free(gla__program *p)
{
    for (uint32_t i = 0; i < p->n_instances; i++)
        gla__instance_destroy(&p->instances[i]);
    gla__free(p->instances);
    gla__free(p->steps);
    memset(p, 0, sizeof(*p));
}

/* ---- plan ---- */

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Adds n * count numbers, rounded up to 64 bytes, to *bytes. */
static bool add_numbers(uint64_t *bytes, uint64_t n, uint64_t count)
{
    uint64_t b;

    return gla__mul_u64(n, count, &b) && gla__mul_u64(b, sizeof(float), &b) &&
           gla__align_up_u64(b, 64, &b) && gla__add_u64(*bytes, b, bytes);
}

static gla_status plan_slots(gla__graph *g, gla_diag *diag)
{
    size_t capacity = 0;

    for (uint32_t i = 0; i < g->program.n_instances; i++) {
        gla__instance *in = &g->program.instances[i];

        for (uint32_t j = 0; j < in->n_shared; j++) {
            gla__shared_use *use = &in->shared[j];
            uint32_t slot = 0;

            while (slot < g->n_slots && strcmp(g->slots[slot].name, use->name))
                slot++;
            if (slot == g->n_slots) {
                if (gla__grow((void **)&g->slots, &capacity, g->n_slots, sizeof(*g->slots)))
                    return gla__fail_nomem(diag, "shared rows");
                g->slots[g->n_slots++] = (shared_slot){use->name, use->per_row, false};
            } else if (g->slots[slot].per_row != use->per_row) {
                gla__fail(diag, GLA_E_SHAPE,
                          "shared rows '%s' of %zu numbers, an earlier layer has %zu", use->name,
                          use->per_row, g->slots[slot].per_row);
                gla__at(diag, in->name);
                return GLA_E_SHAPE;
            }
            g->slots[slot].written = g->slots[slot].written || use->written;
            if (!g->slots[slot].written) {
                gla__fail(diag, GLA_E_SCHEMA, "it reads '%s', which no layer before it gives",
                          use->name);
                gla__at(diag, in->name);
                return GLA_E_SCHEMA;
            }
            use->slot = slot;
        }
    }
    return GLA_OK;
}

static bool scratch_bytes(const gla__instance *in, uint64_t rows, uint64_t sequences,
                          uint64_t *bytes)
{
    *bytes = 0;
    for (uint32_t i = 0; i < in->n_scratch; i++) {
        const gla__scratch *s = &in->scratch[i];
        uint64_t n, m;

        if (!gla__mul_u64(s->per_row, rows, &n) || !gla__mul_u64(s->per_sequence, sequences, &m) ||
            !gla__add_u64(n, m, &n) || !gla__add_u64(n, s->fixed, &n) || !add_numbers(bytes, n, 1))
            return false;
    }
    return true;
}

static gla_status plan_memory(gla__graph *g, gla_diag *diag)
{
    const gla__program *p = &g->program;
    uint64_t bytes = 0, most = 0, scratch;
    bool ok = true;

    for (uint32_t i = 0; i < GLA__BUFFER_COUNT; i++)
        ok = ok && add_numbers(&bytes, g->max_rows, p->d_model);
    for (uint32_t i = 0; i < g->n_slots; i++)
        ok = ok && add_numbers(&bytes, g->max_rows, g->slots[i].per_row);
    for (uint32_t i = 0; i < p->n_instances; i++) {
        ok = ok && scratch_bytes(&p->instances[i], g->max_rows, g->max_sequences, &scratch);
        if (!ok)
            break;
        most = scratch > most ? scratch : most;
    }
    g->stage_rows = g->max_sequences < STAGE_ROWS ? g->max_sequences : STAGE_ROWS;
    ok = ok && add_numbers(&bytes, g->stage_rows, p->vocab_size);
    ok = ok && gla__add_u64(bytes, most, &bytes) && bytes < SIZE_MAX / 2;
    if (!ok)
        return gla__fail(diag, GLA_E_LIMIT, "buffers for %" PRIu32 " rows do not fit into memory",
                         g->max_rows);
    g->rows_bytes = bytes;
    return GLA_OK;
}

static uint32_t clamp_u32(double x)
{
    return x < 0 ? 0 : x > UINT32_MAX ? UINT32_MAX : (uint32_t)x;
}

/* The largest sizes that the math table will be asked for, as far as declarations tell. */
static void count_needs(gla__graph *g, const gla__instance *in)
{
    gla__math_needs *n = &g->needs;
    double out = 0; /* the maps of a layer may be stacked into one */

    n->linear_in = max_u32(n->linear_in, in->d_in);
    for (uint32_t i = 0; i < in->n_weights; i++) {
        const gla_weight_desc *w = &in->weights[i];

        if (w->role != GLA_WEIGHT_MATRIX || w->flags & GLA_WEIGHT_LOOKUP)
            continue;
        n->linear_in = max_u32(n->linear_in, clamp_u32((double)w->dims[w->ndim - 1]));
        out += (double)w->dims[w->ndim - 2];
    }
    n->linear_out = max_u32(n->linear_out, clamp_u32(out));
    for (uint32_t i = 0; i < in->n_states; i++) {
        const gla_state_desc *s = &in->states[i];

        if (s->kind == GLA_STATE_FIXED && s->ndim == 3) {
            n->heads = max_u32(n->heads, clamp_u32((double)s->dims[0]));
            n->k_dim = max_u32(n->k_dim, clamp_u32((double)s->dims[1]));
            n->v_dim = max_u32(n->v_dim, clamp_u32((double)s->dims[2]));
        } else if (s->kind == GLA_STATE_PER_TOKEN) {
            const uint32_t v = s->v_dim ? s->v_dim : s->k_dim;

            n->attn_heads = max_u32(n->attn_heads, s->q_heads);
            n->attn_k_dim = max_u32(n->attn_k_dim, s->k_dim);
            n->attn_v_dim = max_u32(n->attn_v_dim, v);
        }
    }
}

gla_status gla__graph_create(gla__program *program, uint32_t max_rows, uint32_t max_sequences,
                             uint32_t recurrence_chunk, gla__graph **out, gla_diag *diag)
{
    gla__graph *g = gla__alloc_zero(sizeof(*g));
    gla_status st;

    *out = NULL;
    if (!g)
        return gla__fail_nomem(diag, "a graph");
    g->program = *program;
    g->max_rows = max_rows;
    g->max_sequences = max_sequences;
    g->recurrence_chunk = recurrence_chunk;
    st = plan_slots(g, diag);
    if (!st)
        st = plan_memory(g, diag);
    if (st) {
        memset(&g->program, 0, sizeof(g->program)); /* still the caller's */
        gla__graph_destroy(g);
        return st;
    }
    g->needs.rows = max_rows;
    g->needs.sequences = max_sequences;
    for (uint32_t i = 0; i < g->program.n_instances; i++) {
        const gla__instance *in = &g->program.instances[i];

        count_needs(g, in);
        g->most_states = max_u32(g->most_states, in->n_states);
        g->most_scratch = max_u32(g->most_scratch, in->n_scratch);
        g->most_shared = max_u32(g->most_shared, in->n_shared);
    }
    memset(program, 0, sizeof(*program));
    *out = g;
    return GLA_OK;
}

void gla__graph_destroy(gla__graph *g)
{
    if (!g)
        return;
    gla__program_free(&g->program);
    gla__free(g->slots);
    gla__free(g);
}

const gla__program *gla__graph_program(const gla__graph *g)
{
    return &g->program;
}

/* ---- workspace ---- */

gla_status gla__workspace_create(const gla__graph *g, gla__workspace **out, gla_diag *diag)
{
    gla__workspace *w = gla__alloc_zero(sizeof(*w));
    gla__math_needs needs = g->needs;

    *out = NULL;
    if (!w)
        return gla__fail_nomem(diag, "a workspace");
    w->threads = needs.threads = gla__parallel_width();
    w->arena_bytes = gla__math_scratch_bytes(&needs);
    w->rows = gla__alloc((size_t)g->rows_bytes);
    w->arena = gla__alloc(w->arena_bytes);
    w->states = gla__alloc_array((size_t)g->max_sequences * g->most_states + 1, sizeof(void *));
    w->scratch = gla__alloc_array(g->most_scratch + 1u, sizeof(float *));
    w->shared = gla__alloc_array(g->most_shared + 1u, sizeof(float *));
    w->slots = gla__alloc_array(g->n_slots + 1u, sizeof(float *));
    if (!w->rows || !w->arena || !w->states || !w->scratch || !w->shared || !w->slots) {
        gla__fail(diag, GLA_E_NOMEM,
                  "out of memory for a workspace of %" PRIu64 " MiB (%" PRIu32 " rows)",
                  (g->rows_bytes + w->arena_bytes) >> 20, g->max_rows);
        gla__workspace_destroy(w);
        return GLA_E_NOMEM;
    }
    w->bytes = sizeof(*w) + g->rows_bytes + w->arena_bytes +
               sizeof(void *) * ((uint64_t)g->max_sequences * g->most_states + g->most_scratch +
                                 g->most_shared + g->n_slots + 4);
    *out = w;
    return GLA_OK;
}

void gla__workspace_destroy(gla__workspace *w)
{
    if (!w)
        return;
    gla__free(w->rows);
    gla__free(w->arena);
    gla__free(w->states);
    gla__free(w->scratch);
    gla__free(w->shared);
    gla__free(w->slots);
    gla__free(w);
}

uint64_t gla__workspace_bytes(const gla__workspace *w)
{
    return w->bytes;
}

bool gla__workspace_fits(const gla__workspace *w)
{
    return gla__parallel_width() <= w->threads;
}

gla__workspace **gla__workspace_next(gla__workspace *w)
{
    return &w->next;
}

/* ---- run ---- */

/* The batch as it stands: all rows of all sequences, or the selected ones. */
typedef struct runner {
    const gla__graph *g;
    gla__workspace *w;
    const gla__run *run;
    const gla_math *math;
    uint32_t n_rows;
    uint32_t selected;           /* 1: rows of no sequence in particular */
    uint32_t selected_offset[2]; /* {0, n_rows} */
} runner;

/* Takes n numbers from the row memory; plan_memory() has counted them. */
static float *take(char **at, uint64_t n)
{
    float *p = (float *)(void *)*at;

    *at += (n * sizeof(float) + 63) & ~UINT64_C(63);
    return p;
}

static void lay_out(const gla__graph *g, gla__workspace *w, uint32_t rows)
{
    char *at = w->rows;

    for (uint32_t i = 0; i < GLA__BUFFER_COUNT; i++)
        w->buffers[i] = take(&at, (uint64_t)rows * g->program.d_model);
    for (uint32_t i = 0; i < g->n_slots; i++) {
        const uint64_t n = (uint64_t)rows * g->slots[i].per_row;

        w->slots[i] = take(&at, n);
        memset(w->slots[i], 0, n * sizeof(float)); /* a model may lack the layer that writes them */
    }
    w->stage = take(&at, (uint64_t)g->stage_rows * g->program.vocab_size);
    w->scratch_at = at;
}

static gla_status forward(runner *r, const gla__instance *in, const float *x, float *y,
                          uint32_t rows)
{
    static const uint64_t nowhere[1] = {0};
    const gla__run *run = r->run;
    gla__workspace *w = r->w;
    const uint32_t n_sequences = r->selected ? 1 : run->n_sequences;
    char *at = w->scratch_at;
    gla_status st;
    gla_batch b = {.struct_size = (uint32_t)sizeof(b),
                   .n_sequences = n_sequences,
                   .n_rows = rows,
                   .n_states = in->n_states,
                   .row_offset = r->selected ? r->selected_offset : run->row_offset,
                   .position = r->selected ? nowhere : run->position,
                   .tokens = r->selected ? NULL : run->tokens,
                   .x = x,
                   .y = y,
                   .states = w->states,
                   .scratch = w->scratch,
                   .shared = w->shared,
                   .host = gla__host(),
                   .exec = &w->exec,
                   .math = r->math};

    r->selected_offset[1] = rows;
    for (uint32_t i = 0; i < in->n_scratch; i++) {
        const gla__scratch *s = &in->scratch[i];

        w->scratch[i] = take(&at, (uint64_t)s->per_row * rows +
                                      (uint64_t)s->per_sequence * n_sequences + s->fixed);
    }
    for (uint32_t i = 0; i < in->n_shared; i++)
        w->shared[i] = w->slots[in->shared[i].slot];
    if (in->n_states)
        for (uint32_t s = 0; s < run->n_sequences; s++)
            memcpy(&w->states[(size_t)s * in->n_states], &run->states[s][in->first_state],
                   in->n_states * sizeof(void *));
    w->exec.failed = GLA_OK;
    w->exec.states = in->states;
    st = gla__validating() ? gla__validate_forward(in, &b) : in->desc->forward(in->layer, &b);
    return w->exec.failed ? w->exec.failed : st;
}

static void run_select(runner *r)
{
    const size_t d = r->g->program.d_model;
    float *x = r->w->buffers[GLA__BUFFER_X];

    for (uint32_t i = 0; i < r->run->n_logits; i++)
        if (r->run->logit_rows[i] != i)
            memcpy(x + i * d, x + r->run->logit_rows[i] * d, d * sizeof(float));
    r->n_rows = r->run->n_logits;
    r->selected = 1;
}

/* Rows whose logits lie one after the other, beginning with row i. */
static uint32_t contiguous(const gla__run *run, uint32_t i, size_t width)
{
    uint32_t n = 1;

    while (i + n < run->n_logits && run->logits[i + n] == run->logits[i] + n * width)
        n++;
    return n;
}

static gla_status run_logits(runner *r, const gla__step *step)
{
    const gla__instance *in = &r->g->program.instances[step->instance];
    const size_t d = in->d_in, width = in->d_out;
    const float *x = r->w->buffers[step->src];
    const gla__run *run = r->run;
    uint32_t n;

    for (uint32_t i = 0; i < run->n_logits; i += n) {
        gla_status st;

        n = contiguous(run, i, width);
        if (n >= r->g->stage_rows || i + n == run->n_logits) {
            st = forward(r, in, x + i * d, run->logits[i], n);
            if (st)
                return st;
            continue;
        }
        n = run->n_logits - i < r->g->stage_rows ? run->n_logits - i : r->g->stage_rows;
        st = forward(r, in, x + i * d, r->w->stage, n);
        if (st)
            return st;
        for (uint32_t j = 0; j < n; j++)
            memcpy(run->logits[i + j], r->w->stage + j * width, width * sizeof(float));
    }
    return GLA_OK;
}

static gla_status run_step(runner *r, const gla__step *step)
{
    const gla__instance *in = &r->g->program.instances[step->instance];
    float *const *buffers = r->w->buffers;
    gla_status st;

    switch ((gla__step_kind)step->kind) {
    case GLA__STEP_LAYER:
        st = forward(r, in, buffers[step->src], buffers[step->dst], r->n_rows);
        if (!st && step->mixer && step->mixer == r->run->bypass)
            memset(buffers[step->dst], 0, (size_t)r->n_rows * in->d_out * sizeof(float));
        return st;
    case GLA__STEP_COMBINE:
        gla__combine((size_t)r->n_rows * r->g->program.d_model, step->alpha, buffers[step->dst],
                     step->beta, buffers[step->src]);
        return GLA_OK;
    case GLA__STEP_SELECT:
        run_select(r);
        return GLA_OK;
    case GLA__STEP_LOGITS:
        return run_logits(r, step);
    }
    return GLA_E_INVALID;
}

static gla_status check_run(const gla__graph *g, const gla__run *run, gla_diag *diag)
{
    if (run->n_rows > g->max_rows || run->n_sequences > g->max_sequences)
        return gla__fail(diag, GLA_E_INVALID,
                         "batch of %" PRIu32 " rows of %" PRIu32 " sequences, at most %" PRIu32
                         " of %" PRIu32,
                         run->n_rows, run->n_sequences, g->max_rows, g->max_sequences);
    for (uint32_t i = 0; i < run->n_rows; i++)
        if (run->tokens[i] < 0 || (uint32_t)run->tokens[i] >= g->program.vocab_size)
            return gla__fail(diag, GLA_E_INVALID,
                             "token %" PRId32 " is not in the vocabulary of %" PRIu32,
                             run->tokens[i], g->program.vocab_size);
    for (uint32_t i = 0; i < run->n_logits; i++)
        if (run->logit_rows[i] >= run->n_rows ||
            (i && run->logit_rows[i] <= run->logit_rows[i - 1]))
            return gla__fail(diag, GLA_E_INVALID, "logits of row %" PRIu32 " of %" PRIu32,
                             run->logit_rows[i], run->n_rows);
    return GLA_OK;
}

gla_status gla__graph_run(const gla__graph *g, gla__workspace *w, const gla__run *run,
                          gla_diag *diag)
{
    runner r = {.g = g,
                .w = w,
                .run = run,
                .math = gla__host()->get_extension(gla__host(), GLA_HOST_MATH_ID),
                .n_rows = run->n_rows};
    gla_status st = check_run(g, run, diag);

    if (st || !run->n_rows)
        return st;
    w->exec = (gla__exec){.arena = w->arena,
                          .arena_bytes = w->arena_bytes,
                          .recurrence_chunk = g->recurrence_chunk,
                          .seconds = run->seconds};
    lay_out(g, w, run->n_rows);
    gla__host_listen();
    for (uint32_t i = 0; i < g->program.n_steps; i++) {
        const gla__step *step = &g->program.steps[i];

        st = run_step(&r, step);
        if (st) {
            const gla__instance *in = &g->program.instances[step->instance];

            st = gla__host_failed(st, "forward", diag);
            gla__at_format(diag, "%s (%s)", in->name, in->desc->type_id);
            return st;
        }
        if (step->kind == GLA__STEP_SELECT && !r.n_rows)
            return GLA_OK;
    }
    return GLA_OK;
}
