/* SPDX-License-Identifier: Apache-2.0
 *
 * attend.c - causal softmax attention over paged keys and values
 *
 * All rows of the batch are appended first, then they attend.  The work is cut into blocks: the
 * queries of some tokens of one sequence, of all query heads that share one key head, so that a
 * page is read once for all of them.  A block goes over its pages with the streaming softmax
 * (arXiv 2112.05682, 2205.14135); nothing grows with the length of the context.
 *
 * Decode has few blocks and long contexts, so the pages of such a block are split into parts that
 * are put together afterwards.  How many parts depends on lengths only, never on the number of
 * threads: the result is the same to the last bit for any number of them.
 */
#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "math/kernels/k_attention.h"
#include "math/ops.h"

#define PAGE           GLA__KV_PAGE_TOKENS
#define BLOCK_ROWS     128u /* queries of a block; more only if one token has more heads */
#define TASKS_WANTED   64u  /* below so many blocks, pages of decoding sequences are split */
#define PAGES_PER_PART 8u   /* at least */
#define APPEND_AT_ONCE 32u  /* rows */

typedef struct sequence_plan {
    const gla__kv_view *view;
    uint32_t first_row, rows;
    uint64_t position;   /* of the first row */
    uint32_t blocks;     /* per key head */
    uint32_t parts;      /* of the pages of a block; more than 1 only if blocks == 1 */
    uint32_t first_task; /* tasks are [kv_heads][blocks][parts] */
    uint32_t first_part; /* parts > 1: index of the sequence's first row among the partial rows */
} sequence_plan;

typedef struct job {
    const gla_batch *b;
    const gla_attention *a;
    const gla__attention_kernels *k;
    sequence_plan *plans; /* [n_sequences] */
    uint32_t n_tasks, threads;
    uint32_t kv_heads, group; /* group: query heads per key head */
    uint32_t k_dim, v_dim;    /* v_dim: numbers of an output head */
    uint32_t block_tokens, block_rows;
    size_t ld_q, ld_o; /* of packed rows */
    float *partial;    /* [rows of all parts][ld_o + 2]: sums, max, sum */
    float *workers;    /* [threads][worker_floats] */
    size_t worker_floats;
} job;

/* Scratch of one worker. */
typedef struct worker {
    float *q;                  /* [block_rows, ld_q] scaled */
    float *o;                  /* [block_rows, ld_o] */
    float *s;                  /* [block_rows, PAGE] */
    float *max, *sum, *factor; /* [block_rows] */
    float *panel;              /* [PAGE, larger of ld_q, ld_o] */
} worker;

static size_t padded(size_t n)
{
    return (n + GLA__ATTENTION_PAD - 1) / GLA__ATTENTION_PAD * GLA__ATTENTION_PAD;
}

static size_t worker_floats(size_t block_rows, size_t ld_q, size_t ld_o)
{
    return block_rows * (ld_q + ld_o + PAGE) + 3 * padded(block_rows) +
           PAGE * (ld_q > ld_o ? ld_q : ld_o);
}

static worker worker_of(const job *j, uint32_t index)
{
    const size_t rows = j->block_rows;
    worker w;

    w.q = j->workers + index * j->worker_floats;
    w.o = w.q + rows * j->ld_q;
    w.s = w.o + rows * j->ld_o;
    w.panel = w.s + rows * PAGE;
    w.max = w.panel + PAGE * (j->ld_q > j->ld_o ? j->ld_q : j->ld_o);
    w.sum = w.max + padded(rows);
    w.factor = w.sum + padded(rows);
    return w;
}

/* Rows of partial results at most: parts are at most TASKS_WANTED / blocks + 1 per block. */
static size_t partial_rows(size_t rows, size_t heads, size_t block_rows)
{
    const size_t by_tasks = (size_t)2 * TASKS_WANTED * block_rows;
    const size_t by_rows = (size_t)TASKS_WANTED * rows * heads;

    return by_rows < by_tasks ? by_rows : by_tasks;
}

size_t gla__attention_scratch(const gla__math_needs *needs)
{
    const size_t heads = needs->attn_heads;
    const size_t rows = heads > BLOCK_ROWS ? heads : BLOCK_ROWS;
    const size_t ld_q = padded(needs->attn_k_dim);
    /* MLA states declare v_dim 0 and give values of up to k_dim numbers */
    const size_t ld_o =
        padded(needs->attn_v_dim > needs->attn_k_dim ? needs->attn_v_dim : needs->attn_k_dim);
    size_t floats;

    if (!heads)
        return 0;
    floats = needs->threads * padded(worker_floats(rows, ld_q, ld_o)) +
             partial_rows(needs->rows, heads, rows) * (ld_o + 2);
    return floats * sizeof(float) + needs->sequences * sizeof(sequence_plan) + 4 * 64;
}

/* ---- appending ---- */

static void append_rows(void *arg, uint32_t part)
{
    const job *j = arg;
    const gla_attention *a = j->a;
    const uint32_t end = j->b->n_rows - part * APPEND_AT_ONCE;
    const uint32_t last = part * APPEND_AT_ONCE + (end < APPEND_AT_ONCE ? end : APPEND_AT_ONCE);
    const sequence_plan *p = j->plans;

    for (uint32_t row = part * APPEND_AT_ONCE; row < last; row++) {
        uint64_t token;

        while (row >= p->first_row + p->rows)
            p++;
        token = p->position + (row - p->first_row) - p->view->first_token;
        for (uint32_t h = 0; h < j->kv_heads; h++) {
            const gla__kv_rows k = gla__kv_keys(p->view, token / PAGE, h);

            j->k->store(&k, token % PAGE, a->k + row * a->ld_k + (size_t)h * j->k_dim);
            if (p->view->v_dim) {
                const gla__kv_rows v = gla__kv_values(p->view, token / PAGE, h);

                j->k->store(&v, token % PAGE, a->v + row * a->ld_v + (size_t)h * j->v_dim);
            }
        }
    }
}

/* ---- one block ---- */

/* Query row m of a block belongs to token m / group and query head h * group + m % group. */
typedef struct block {
    const sequence_plan *p;
    uint32_t head;
    uint32_t first, tokens;        /* of the sequence's rows */
    uint64_t page_begin, page_end; /* of the view */
    uint32_t part;
} block;

/* The first position that the token at `position` sees. */
static uint64_t window_begin(const gla__kv_view *v, uint64_t position)
{
    const uint64_t begin = v->window && position >= v->window ? position + 1 - v->window : 0;

    return begin > v->first_token ? begin : v->first_token;
}

static block find_block(const job *j, uint32_t task)
{
    const sequence_plan *p = j->plans;
    uint32_t rest, n, pages_of_part;
    uint64_t pages;
    block k;

    while (task >= p->first_task + j->kv_heads * p->blocks * p->parts)
        p++;
    rest = task - p->first_task;
    k.p = p;
    k.part = rest % p->parts;
    n = rest / p->parts;
    k.head = n / p->blocks;
    /* the last tokens have the most to read: they come first */
    k.first = (p->blocks - 1 - n % p->blocks) * j->block_tokens;
    k.tokens = p->rows - k.first < j->block_tokens ? p->rows - k.first : j->block_tokens;
    k.page_begin = (window_begin(p->view, p->position + k.first) - p->view->first_token) / PAGE;
    k.page_end = (p->position + k.first + k.tokens - 1 - p->view->first_token) / PAGE + 1;
    pages = k.page_end - k.page_begin;
    pages_of_part = (uint32_t)((pages + p->parts - 1) / p->parts);
    k.page_begin += (uint64_t)k.part * pages_of_part;
    if (k.page_begin > k.page_end)
        k.page_begin = k.page_end;
    if (k.page_end - k.page_begin > pages_of_part)
        k.page_end = k.page_begin + pages_of_part;
    return k;
}

static void load_queries(const job *j, const block *k, const worker *w)
{
    const gla_attention *a = j->a;

    for (uint32_t m = 0; m < k->tokens * j->group; m++) {
        const size_t row = k->p->first_row + k->first + m / j->group;
        const size_t head = (size_t)k->head * j->group + m % j->group;
        const float *from = a->q + row * a->ld_q + head * j->k_dim;
        float *to = w->q + m * j->ld_q;

        for (uint32_t i = 0; i < j->k_dim; i++)
            to[i] = from[i] * a->scale;
        memset(to + j->k_dim, 0, (j->ld_q - j->k_dim) * sizeof(*to));
        w->max[m] = -INFINITY;
        w->sum[m] = 0;
    }
    memset(w->o, 0, k->tokens * j->group * j->ld_o * sizeof(float));
}

/* Keys and values in halves. */
static gla__soon page_after(const gla__kv_view *view, const block *k, uint64_t page)
{
    gla__soon soon = {.bytes = 0};
    gla__kv_rows rows;

    if (page + 1 >= k->page_end)
        return soon;
    rows = gla__kv_keys(view, page + 1, k->head);
    soon.bytes = gla__kv_rows_bytes(&rows) / (view->v_dim ? 2 : 4);
    soon.at[0] = rows.data;
    soon.at[1] = soon.at[0] + soon.bytes;
    soon.at[2] = soon.at[1] + soon.bytes;
    if (view->v_dim)
        soon.at[2] = gla__kv_values(view, page + 1, k->head).data;
    soon.at[3] = soon.at[2] + soon.bytes;
    return soon;
}

static void attend_page(const job *j, const block *k, const worker *w, uint64_t page)
{
    const sequence_plan *p = k->p;
    const gla__kv_view *view = p->view;
    const gla__kv_rows keys = gla__kv_keys(view, page, k->head);
    const gla__kv_rows values = view->v_dim ? gla__kv_values(view, page, k->head) : keys;
    gla__soon soon = page_after(view, k, page);
    const uint64_t base = view->first_token + page * PAGE;
    const uint64_t position = p->position + k->first; /* of the block's first token */
    const uint64_t filled = position + k->tokens - base;
    const uint32_t n = filled < PAGE ? (uint32_t)filled : PAGE;
    uint32_t begin = base > position ? (uint32_t)(base - position) : 0, end = k->tokens;
    size_t m;

    while (end > begin && window_begin(view, position + end - 1) >= base + n)
        end--; /* for these the page is outside the window */
    if (begin == end)
        return;
    m = (size_t)begin * j->group;
    j->k->scores(w->q + m * j->ld_q, j->ld_q, (end - begin) * j->group, &keys, n, &soon, w->panel,
                 w->s + m * PAGE);
    for (uint32_t t = begin; t < end; t++) {
        const uint64_t from = window_begin(view, position + t), to = position + t + 1;
        const uint32_t lo = from > base ? (uint32_t)(from - base) : 0;
        const uint32_t hi = to - base < n ? (uint32_t)(to - base) : n;

        for (uint32_t g = 0; g < j->group; g++) {
            const size_t r = (size_t)t * j->group + g;

            w->factor[r] =
                j->k->softmax(w->s + r * PAGE, lo, hi, n, j->a->soft_cap, &w->max[r], &w->sum[r]);
        }
    }
    j->k->values(w->s + m * PAGE, (end - begin) * j->group, &values, n, j->v_dim, w->factor + m,
                 &soon, w->panel, w->o + m * j->ld_o, j->ld_o);
}

/* Writes an output row from its weighted sum. */
static void finish_row(const job *j, uint32_t row, uint32_t head, const float *o, float max,
                       float sum)
{
    const gla_attention *a = j->a;
    float *to = a->o + row * a->ld_o + (size_t)head * j->v_dim;
    float factor = 1.0f / sum;

    if (a->sinks) {
        const float largest = a->sinks[head] > max ? a->sinks[head] : max;

        factor = expf(max - largest);
        factor /= sum * factor + expf(a->sinks[head] - largest);
    }
    for (uint32_t i = 0; i < j->v_dim; i++)
        to[i] = o[i] * factor;
}

static float *partial_row(const job *j, const sequence_plan *p, uint32_t head, uint32_t part,
                          uint32_t m)
{
    const size_t rows = (size_t)p->rows * j->group;

    return j->partial + (p->first_part + (head * p->parts + part) * rows + m) * (j->ld_o + 2);
}

static void run_task(void *arg, uint32_t task)
{
    const job *j = arg;
    const block k = find_block(j, task);
    /* called from a thread of someone else's team: one worker, whatever its number there */
    const worker w = worker_of(j, j->threads > 1 ? gla__parallel_index() : 0);

    load_queries(j, &k, &w);
    for (uint64_t page = k.page_begin; page < k.page_end; page++)
        attend_page(j, &k, &w, page);
    for (uint32_t m = 0; m < k.tokens * j->group; m++) {
        const float *o = w.o + m * j->ld_o;

        if (k.p->parts == 1) {
            finish_row(j, k.p->first_row + k.first + m / j->group, k.head * j->group + m % j->group,
                       o, w.max[m], w.sum[m]);
        } else {
            float *to = partial_row(j, k.p, k.head, k.part, m);

            memcpy(to, o, j->v_dim * sizeof(*to));
            to[j->ld_o] = w.max[m];
            to[j->ld_o + 1] = w.sum[m];
        }
    }
}

/* ---- putting parts together ---- */

/* Into the row of part 0. */
static void merge_row(const job *j, const sequence_plan *p, uint32_t head, uint32_t m)
{
    float *o = partial_row(j, p, head, 0, m);
    float max = o[j->ld_o], sum = 0;

    for (uint32_t part = 1; part < p->parts; part++)
        max = fmaxf(max, partial_row(j, p, head, part, m)[j->ld_o]);
    for (uint32_t part = 0; part < p->parts; part++) {
        const float *from = partial_row(j, p, head, part, m);
        /* a part that the row does not see has the max -infinity */
        const float factor = expf(from[j->ld_o] - max);

        sum += from[j->ld_o + 1] * factor;
        for (uint32_t i = 0; i < j->v_dim; i++)
            o[i] = part ? o[i] + from[i] * factor : from[i] * factor;
    }
    finish_row(j, p->first_row + m / j->group, head * j->group + m % j->group, o, max, sum);
}

static void merge_head(void *arg, uint32_t index)
{
    const job *j = arg;
    const sequence_plan *p = &j->plans[index / j->kv_heads];

    if (p->parts == 1)
        return;
    for (uint32_t m = 0; m < p->rows * j->group; m++)
        merge_row(j, p, index % j->kv_heads, m);
}

/* ---- the whole ---- */

static gla_status check(const gla_batch *b, const gla_attention *a)
{
    const gla__kv_view *first;
    const gla_status st = gla__check_state(b, "attention", a->state, GLA_STATE_PER_TOKEN, 0);

    if (st)
        return st;
    first = b->states[a->state];
    if (!first->kv_heads || !a->heads || a->heads % first->kv_heads)
        return gla_host_fail(b->host, GLA_E_INVALID,
                             "attention: heads must be a multiple of the state's kv_heads");
    if (a->heads > first->q_heads)
        return gla_host_fail(b->host, GLA_E_INVALID,
                             "attention: more heads than the state declares as q_heads");
    if (!first->v_dim && (!a->v_out_dim || a->v_out_dim > first->k_dim))
        return gla_host_fail(b->host, GLA_E_INVALID,
                             "attention: v_out_dim must be 1 to k_dim when the values are keys");
    if (a->k == NULL || (first->v_dim && !a->v))
        return gla_host_fail(b->host, GLA_E_INVALID, "attention: k or v is missing");
    for (uint32_t s = 0; s < b->n_sequences; s++) {
        const gla__kv_view *v = b->states[(size_t)s * b->n_states + a->state];
        const uint64_t end = b->position[s] + b->row_offset[s + 1] - b->row_offset[s];

        if (v->first_token > b->position[s] || end - v->first_token > (uint64_t)v->n_pages * PAGE)
            return gla_host_fail(b->host, GLA_E_INVALID,
                                 "attention: the state's pages do not cover the new tokens");
    }
    return GLA_OK;
}

/* Pages that the last token of a sequence sees. */
static uint64_t visible_pages(const sequence_plan *p)
{
    const uint64_t last = p->position + p->rows - 1;

    return last / PAGE - window_begin(p->view, last) / PAGE + 1;
}

/* Returns the number of partial rows. */
static size_t make_plans(job *j)
{
    const gla_batch *b = j->b;
    uint32_t blocks = 0, tasks = 0, parts;
    size_t partial = 0;

    for (uint32_t s = 0; s < b->n_sequences; s++) {
        sequence_plan *p = &j->plans[s];

        p->view = b->states[(size_t)s * b->n_states + j->a->state];
        p->first_row = b->row_offset[s];
        p->rows = b->row_offset[s + 1] - b->row_offset[s];
        p->position = b->position[s];
        p->blocks = (p->rows + j->block_tokens - 1) / j->block_tokens;
        blocks += p->blocks * j->kv_heads;
    }
    parts = blocks ? (TASKS_WANTED + blocks - 1) / blocks : 1;
    for (uint32_t s = 0; s < b->n_sequences; s++) {
        sequence_plan *p = &j->plans[s];
        const uint64_t possible = p->rows ? visible_pages(p) / PAGES_PER_PART : 0;

        p->parts = p->blocks != 1 || possible < 2 ? 1
                   : possible < parts             ? (uint32_t)possible
                                                  : parts;
        p->first_task = tasks;
        p->first_part = (uint32_t)partial;
        tasks += p->blocks * j->kv_heads * p->parts;
        if (p->parts > 1)
            partial += (size_t)j->kv_heads * p->parts * p->rows * j->group;
    }
    j->n_tasks = tasks;
    return partial;
}

static void set_sizes(job *j)
{
    const gla__kv_view *view = j->b->states[j->a->state];

    j->kv_heads = view->kv_heads;
    j->group = j->a->heads / view->kv_heads;
    j->k_dim = view->k_dim;
    j->v_dim = view->v_dim ? view->v_dim : j->a->v_out_dim;
    j->block_tokens = BLOCK_ROWS > j->group ? BLOCK_ROWS / j->group : 1;
    j->block_rows = j->block_tokens * j->group;
    j->ld_q = padded(j->k_dim);
    j->ld_o = padded(j->v_dim);
}

static gla_status run(job *j, gla__exec *exec)
{
    const gla_batch *b = j->b;
    size_t partial;

    set_sizes(j);
    j->threads = gla__parallel_width();
    j->plans = gla__exec_take(exec, b->n_sequences * sizeof(*j->plans));
    j->worker_floats = padded(worker_floats(j->block_rows, j->ld_q, j->ld_o));
    j->workers = gla__exec_take(exec, j->threads * j->worker_floats * sizeof(float));
    if (!j->plans || !j->workers)
        return gla_host_fail(b->host, GLA_E_LIMIT, "attention: scratch is too small");
    partial = make_plans(j);
    if (partial) {
        j->partial = gla__exec_take(exec, partial * (j->ld_o + 2) * sizeof(float));
        if (!j->partial)
            return gla_host_fail(b->host, GLA_E_LIMIT, "attention: scratch is too small");
    }
    gla__parallel_for((b->n_rows + APPEND_AT_ONCE - 1) / APPEND_AT_ONCE, append_rows, j);
    gla__parallel_for(j->n_tasks, run_task, j);
    if (partial)
        gla__parallel_for(b->n_sequences * j->kv_heads, merge_head, j);
    return GLA_OK;
}

gla_status gla__attention_with(const gla_batch *b, const gla_attention *given,
                               const gla__attention_kernels *kernels)
{
    gla_attention a;
    job j = {.b = b, .a = &a, .k = kernels};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_ATTENTION, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_attention, given, &a);
    if (!st && b->n_rows && b->n_sequences) {
        st = check(b, &a);
        if (!st)
            st = run(&j, work.exec);
    }
    return gla__work_end(&work, st);
}

gla_status gla__attention(const gla_batch *b, const gla_attention *a)
{
    return gla__attention_with(b, a, gla__attention_kernels_for(gla__cpu_get()->isa));
}

const gla__attention_kernels *gla__attention_kernels_for(gla__isa isa)
{
    return GLA__FOR_ISA(isa, &gla__k_attention__c, &gla__k_attention__avx2,
                        &gla__k_attention__avx512);
}
