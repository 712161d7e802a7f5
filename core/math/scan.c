/* SPDX-License-Identifier: Apache-2.0
 *
 * scan.c - short convolution, Mamba's selective scan and the elementwise scan
 *
 * Work is cut into (sequence, block of channels).
 */
#include "math/ops.h"

#include <string.h>

#include "base/alloc.h"
#include "base/parallel.h"
#include "math/kernels/row_kernels.h"
#include "math/kernels/sequence_kernels.h"

enum { CHANNELS = 128 }; /* of a block */

const gla__sequence_kernels *gla__sequence_kernels_for(gla__isa isa)
{
    return GLA__FOR_ISA(isa, &gla_k_sequence__c, &gla_k_sequence__avx2, &gla_k_sequence__avx512);
}

typedef struct job {
    const gla_batch *batch;
    const void *what; /* gla__conv_job, gla_selective_scan, gla_scan */
    const gla__sequence_kernels *kernels;
    uint32_t state, channels, blocks;
    bool stateless; /* a convolution of one tap */
} job;

/* What the i-th piece of a job is; 0 tokens when there is nothing to do. */
typedef struct piece {
    uint32_t sequence;
    size_t first_row, tokens, channel, channels;
    float *state; /* at the channel */
} piece;

static piece piece_of(const job *j, uint32_t i)
{
    const uint32_t *row = j->batch->row_offset + i / j->blocks;
    piece p = {.sequence = i / j->blocks,
               .first_row = row[0],
               .tokens = row[1] - row[0],
               .channel = (size_t)(i % j->blocks) * CHANNELS};

    p.channels = j->channels - p.channel < CHANNELS ? j->channels - p.channel : CHANNELS;
    if (!j->stateless)
        p.state = gla_state_f32(j->batch, p.sequence, j->state) + p.channel;
    return p;
}

static void run_job(job *j, void (*fn)(void *arg, uint32_t i))
{
    j->kernels = gla__sequence_kernels_for(gla__cpu_get()->isa);
    j->blocks = (j->channels + CHANNELS - 1) / CHANNELS;
    gla__parallel_for(j->batch->n_sequences * j->blocks, fn, j);
}

/* ---- convolution ---- */

struct gla_conv {
    uint32_t channels, width, activation;
    float *taps; /* [W, C], so that channels are neighbours */
    float *bias; /* [C] */
};

typedef struct conv_job {
    const gla_conv *conv;
    const float *x;
    float *y;
    size_t ld_x, ld_y;
} conv_job;

static void fill_taps(gla_conv *c, const gla_conv_spec *spec)
{
    size_t first = 0;

    for (uint32_t part = 0; part < spec->n_parts; part++) {
        const float *w = spec->weights[part], *bias = spec->biases ? spec->biases[part] : NULL;

        for (size_t i = 0; i < spec->channels[part]; i++) {
            for (size_t j = 0; j < c->width; j++)
                c->taps[j * c->channels + first + i] = w[i * c->width + j];
            c->bias[first + i] = bias ? bias[i] : 0.0f;
        }
        first += spec->channels[part];
    }
}

gla_status gla__conv_create(const gla_host *h, const gla_conv_spec *given, gla_conv **out)
{
    gla_conv_spec s;
    const gla_conv_spec *spec = &s;
    const gla_status st = GLA__TAKE(h, gla_conv_spec, given, &s);
    uint64_t channels = 0;
    gla_conv *c;

    *out = NULL;
    if (st)
        return st;
    for (uint32_t i = 0; i < spec->n_parts; i++)
        channels += spec->channels[i];
    if (!spec->width || spec->width > GLA__CONV_WIDTH_MAX || !channels || channels > UINT32_MAX)
        return gla_host_fail(h, GLA_E_INVALID,
                             "convolution: width must be 1 to 64, channels not 0");
    if (spec->activation >= GLA__ACTIVATIONS)
        return gla_host_fail(h, GLA_E_INVALID, "convolution: unknown activation");
    c = gla__alloc_zero(sizeof(*c));
    if (!c)
        return GLA_E_NOMEM;
    c->channels = (uint32_t)channels;
    c->width = spec->width;
    c->activation = spec->activation;
    c->taps = gla__alloc_array((size_t)channels, spec->width * sizeof(float));
    c->bias = gla__alloc_array((size_t)channels, sizeof(float));
    if (!c->taps || !c->bias) {
        gla__conv_destroy(c);
        return GLA_E_NOMEM;
    }
    fill_taps(c, spec);
    *out = c;
    return GLA_OK;
}

void gla__conv_destroy(gla_conv *c)
{
    if (!c)
        return;
    gla__free(c->taps);
    gla__free(c->bias);
    gla__free(c);
}

static void run_conv(void *arg, uint32_t i)
{
    const job *j = arg;
    const conv_job *w = j->what;
    const gla_conv *c = w->conv;
    const piece p = piece_of(j, i);
    const gla__conv_run r = {.tokens = p.tokens,
                             .channels = p.channels,
                             .width = c->width,
                             .x = w->x + p.first_row * w->ld_x + p.channel,
                             .ld_x = w->ld_x,
                             .y = w->y + p.first_row * w->ld_y + p.channel,
                             .ld_y = w->ld_y,
                             .taps = c->taps + p.channel,
                             .bias = c->bias + p.channel,
                             .state = p.state,
                             .ld_taps = c->channels,
                             .activation = c->activation};

    if (p.tokens)
        j->kernels->conv(&r);
}

gla_status gla__conv1d(const gla_batch *b, const gla_conv *c, uint32_t state, const float *x,
                       size_t ld_x, float *y, size_t ld_y)
{
    const conv_job w = {c, x, y, ld_x, ld_y};
    job j = {.batch = b,
             .what = &w,
             .state = state,
             .stateless = c->width == 1,
             .channels = c->channels};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_CONV, &work);

    if (!st && !j.stateless)
        st = gla__check_state(b, "convolution", state, GLA_STATE_FIXED,
                              (uint64_t)(c->width - 1) * c->channels);
    if (!st)
        run_job(&j, run_conv);
    return gla__work_end(&work, st);
}

/* ---- scans ---- */

static void run_selective(void *arg, uint32_t i)
{
    const job *j = arg;
    const gla_selective_scan *s = j->what;
    const piece p = piece_of(j, i);
    const gla__selective_run r = {.tokens = p.tokens,
                                  .channels = p.channels,
                                  .n_state = s->n_state,
                                  .u = s->u + p.first_row * s->ld_u + p.channel,
                                  .dt = s->dt + p.first_row * s->ld_dt + p.channel,
                                  .b = s->b + p.first_row * s->ld_b,
                                  .c = s->c + p.first_row * s->ld_c,
                                  .a = s->a + p.channel,
                                  .d = s->d ? s->d + p.channel : NULL,
                                  .ld_u = s->ld_u,
                                  .ld_dt = s->ld_dt,
                                  .ld_b = s->ld_b,
                                  .ld_c = s->ld_c,
                                  .ld_y = s->ld_y,
                                  .ld_state = s->inner,
                                  .state = p.state,
                                  .y = s->y + p.first_row * s->ld_y + p.channel};

    if (p.tokens)
        j->kernels->selective(&r);
}

gla_status gla__selective_scan(const gla_batch *b, const gla_selective_scan *given)
{
    gla_selective_scan s;
    job j = {.batch = b, .what = &s};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_RECURRENCE, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_selective_scan, given, &s);
    if (!st && (!s.inner || !s.u || !s.dt || !s.b || !s.c || !s.a || !s.y))
        st = gla_host_fail(b->host, GLA_E_INVALID, "selective scan: an operand is missing");
    if (!st)
        st = gla__check_state(b, "selective scan", s.state, GLA_STATE_FIXED,
                              (uint64_t)s.n_state * s.inner);
    if (!st) {
        j.state = s.state;
        j.channels = s.inner;
        run_job(&j, run_selective);
    }
    return gla__work_end(&work, st);
}

static void run_scan(void *arg, uint32_t i)
{
    const job *j = arg;
    const gla_scan *s = j->what;
    const piece p = piece_of(j, i);
    const gla__scan_run r = {.tokens = p.tokens,
                             .channels = p.channels,
                             .log_decay = s->log_decay + p.first_row * s->ld_decay + p.channel,
                             .x = s->x + p.first_row * s->ld_x + p.channel,
                             .ld_decay = s->ld_decay,
                             .ld_x = s->ld_x,
                             .ld_y = s->ld_y,
                             .state = p.state,
                             .y = s->y + p.first_row * s->ld_y + p.channel};

    if (p.tokens)
        j->kernels->scan(&r);
}

gla_status gla__scan(const gla_batch *b, const gla_scan *given)
{
    gla_scan s;
    job j = {.batch = b, .what = &s};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_RECURRENCE, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_scan, given, &s);
    if (!st && (!s.width || !s.log_decay || !s.x || !s.y))
        st = gla_host_fail(b->host, GLA_E_INVALID, "scan: an operand is missing");
    if (!st)
        st = gla__check_state(b, "scan", s.state, GLA_STATE_FIXED, s.width);
    if (!st) {
        j.state = s.state;
        j.channels = s.width;
        run_job(&j, run_scan);
    }
    return gla__work_end(&work, st);
}

static void shift_sequence(const gla_batch *b, uint32_t s, float *kept, uint32_t width,
                           const float *x, size_t ld_x, float *y, size_t ld_y)
{
    const uint32_t first = b->row_offset[s], last = b->row_offset[s + 1];

    if (first == last)
        return;
    memcpy(y + first * ld_y, kept, width * sizeof(float));
    for (uint32_t r = first + 1; r < last; r++)
        memcpy(y + r * ld_y, x + (r - 1) * ld_x, width * sizeof(float));
    memcpy(kept, x + (last - 1) * ld_x, width * sizeof(float));
}

gla_status gla__shift(const gla_batch *b, uint32_t state, uint32_t width, const float *x,
                      size_t ld_x, float *y, size_t ld_y)
{
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_CONV, &work);

    if (!st)
        st = gla__check_state(b, "shift", state, GLA_STATE_FIXED, width);
    for (uint32_t s = 0; s < b->n_sequences && !st; s++)
        shift_sequence(b, s, gla_state_f32(b, s, state), width, x, ld_x, y, ld_y);
    return gla__work_end(&work, st);
}
