/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrence core: checks a gla_recurrence, cuts it into heads of sequences (and columns of
 * heads, where heads are few) and runs the kernel of this processor on them.
 */
#include "math/ops.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "math/kernels/k_recurrence.h"

enum { COLUMNS = 64 }; /* a head is cut at multiples of it */

typedef struct job {
    const gla_batch *batch;
    const gla_recurrence *r;
    gla__rec_fn *kernel;
    uint32_t chunk;         /* 0: choose by the number of tokens */
    uint32_t parts, column; /* a head is `parts` pieces of `column` columns */
    uint32_t width;
    float *scratch;
    size_t per_thread; /* numbers */
} job;

static uint32_t or_heads(const gla_recurrence *r, uint32_t n)
{
    return n ? n : r->heads;
}

static const char *what_is_wrong(const gla_recurrence *r)
{
    const uint32_t counts[] = {r->q_heads, r->k_heads, r->v_heads, r->decay_heads, r->beta_heads};

    if (!r->heads || !r->k_dim || !r->v_dim)
        return "recurrence: heads, k_dim and v_dim must not be 0";
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (r->heads % or_heads(r, counts[i]))
            return "recurrence: the heads of an operand must divide heads";
    if (r->decay > GLA_DECAY_VALUE || r->write > GLA_WRITE_DPLR ||
        r->normaliser > GLA_NORMALISER_MAX)
        return "recurrence: unknown decay, write or normaliser";
    if (!r->q || !r->k || !r->v || !r->o || (r->decay && !r->log_decay))
        return "recurrence: an operand is missing";
    if (r->write == GLA_WRITE_DPLR && (!r->a || !r->b))
        return "recurrence: the DPLR write needs a and b";
    if (r->normaliser && r->decay == GLA_DECAY_VALUE)
        return "recurrence: a normaliser cannot decay per value channel";
    return NULL;
}

/* Head h of an operand with n heads of `size` numbers begins here. */
static size_t head_at(const gla_recurrence *r, uint32_t n, uint32_t h, size_t size)
{
    return (size_t)(h / (r->heads / or_heads(r, n))) * size;
}

static void fill_decay(const gla_recurrence *r, uint32_t h, size_t first, size_t column,
                       gla__rec *out)
{
    const size_t row = first * r->ld_decay;

    out->decay = r->decay;
    switch (r->decay) {
    case GLA_DECAY_CONST:
        out->decay = GLA_DECAY_HEAD;
        out->log_decay = r->log_decay + h;
        break;
    case GLA_DECAY_HEAD:
        out->log_decay = r->log_decay + row + head_at(r, r->decay_heads, h, 1);
        out->ld_decay = r->ld_decay;
        break;
    case GLA_DECAY_CHANNEL:
        out->log_decay = r->log_decay + row + head_at(r, r->decay_heads, h, r->k_dim);
        out->ld_decay = r->ld_decay;
        break;
    case GLA_DECAY_VALUE:
        out->log_decay = r->log_decay + row + head_at(r, r->decay_heads, h, r->v_dim) + column;
        out->ld_decay = r->ld_decay;
        break;
    default:
        break;
    }
}

static gla__rec piece(const job *j, uint32_t sequence, uint32_t h, size_t column)
{
    const gla_recurrence *r = j->r;
    const size_t first = j->batch->row_offset[sequence];
    const size_t k_dim = r->k_dim, v_dim = r->v_dim, left = v_dim - column;
    gla__rec p = {
        .write = r->write,
        .normaliser = r->normaliser,
        .read_before = r->read_before,
        .tokens = j->batch->row_offset[sequence + 1] - first,
        .k_dim = k_dim,
        .v_dim = left < j->column ? left : j->column,
        .scale = r->scale,
        .eps = r->eps,
        .q = r->q + first * r->ld_q + head_at(r, r->q_heads, h, k_dim),
        .k = r->k + first * r->ld_k + head_at(r, r->k_heads, h, k_dim),
        .v = r->v + first * r->ld_v + head_at(r, r->v_heads, h, v_dim) + column,
        .ld_q = r->ld_q,
        .ld_k = r->ld_k,
        .ld_v = r->ld_v,
        .ld_beta = r->ld_beta,
        .ld_a = r->ld_a,
        .ld_b = r->ld_b,
        .ld_o = r->ld_o,
        .o = r->o + first * r->ld_o + h * v_dim + column,
        .s = gla_state_f32(j->batch, sequence, r->state) + h * k_dim * v_dim + column,
        .ld_s = v_dim,
    };

    fill_decay(r, h, first, column, &p);
    if (r->beta)
        p.beta = r->beta + first * r->ld_beta + head_at(r, r->beta_heads, h, 1);
    if (r->write == GLA_WRITE_DPLR) {
        p.a = r->a + first * r->ld_a + h * k_dim;
        p.b = r->b + first * r->ld_b + h * k_dim;
    }
    if (r->bonus)
        p.bonus = r->bonus + h * k_dim;
    if (r->normaliser)
        p.z = gla_state_f32(j->batch, sequence, r->z_state) + h * k_dim;
    return p;
}

static void run_piece(void *arg, uint32_t i)
{
    const job *j = arg;
    const uint32_t part = i % j->parts, h = i / j->parts % j->r->heads;
    const uint32_t sequence = i / j->parts / j->r->heads;
    gla__rec p = piece(j, sequence, h, (size_t)part * j->column);
    uint32_t chunk = j->chunk;

    if (!p.tokens)
        return;
    p.scratch = j->scratch + (j->width > 1 ? gla__parallel_index() : 0) * j->per_thread;
    if (!chunk)
        chunk = p.tokens < 4 ? 1 : gla__rec_chunk(p.k_dim, j->r->v_dim);
    if (chunk > GLA__REC_CHUNK_MAX)
        chunk = GLA__REC_CHUNK_MAX;
    j->kernel(&p, gla__rec_has_chunks(&p) ? chunk : 1);
}

static gla__rec_fn *kernel_of_this_cpu(void)
{
    return GLA__FOR_ISA(gla__cpu_get()->isa, gla_k_recurrence_f32__c, gla_k_recurrence_f32__avx2,
                        gla_k_recurrence_f32__avx512);
}

size_t gla__recurrence_scratch(const gla__math_needs *needs)
{
    return needs->heads
               ? gla__rec_scratch(needs->k_dim, needs->v_dim) * sizeof(float) * needs->threads
               : 0;
}

static gla_status check(const gla_batch *b, const gla_recurrence *r)
{
    const char *wrong = what_is_wrong(r);
    const uint64_t keys = (uint64_t)r->heads * r->k_dim;
    gla_status st;

    if (wrong)
        return gla_host_fail(b->host, GLA_E_INVALID, wrong);
    st = gla__check_state(b, "recurrence", r->state, GLA_STATE_FIXED, keys * r->v_dim);
    if (!st && r->normaliser)
        st = gla__check_state(b, "recurrence", r->z_state, GLA_STATE_FIXED, keys);
    return st;
}

static gla_status run(const gla_batch *b, const gla_recurrence *r, gla__exec *exec)
{
    const uint32_t pieces = b->n_sequences * r->heads;
    job j = {.batch = b,
             .r = r,
             .kernel = kernel_of_this_cpu(),
             .chunk = exec->recurrence_chunk,
             .parts = 1,
             .column = r->v_dim,
             .width = gla__parallel_width(),
             .per_thread = gla__rec_scratch(r->k_dim, r->v_dim)};

    j.scratch = gla__exec_take(exec, j.per_thread * sizeof(float) * j.width);
    if (!j.scratch)
        return gla_host_fail(b->host, GLA_E_LIMIT,
                             "recurrence: k_dim and v_dim exceed the declared states");
    if (pieces < 2 * j.width && j.width > 1 && !r->normaliser && r->v_dim > COLUMNS) {
        j.parts = (r->v_dim + COLUMNS - 1) / COLUMNS;
        j.column = COLUMNS;
    }
    gla__parallel_for(pieces * j.parts, run_piece, &j);
    return GLA_OK;
}

gla_status gla__recurrence(const gla_batch *b, const gla_recurrence *given)
{
    gla_recurrence r;
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_RECURRENCE, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_recurrence, given, &r);
    if (!st)
        st = check(b, &r);
    if (!st && b->n_rows)
        st = run(b, &r, work.exec);
    return gla__work_end(&work, st);
}
