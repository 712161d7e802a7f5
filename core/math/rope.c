/* SPDX-License-Identifier: Apache-2.0
 *
 * rope.c - rotary positions (arXiv 2104.09864) and the ways to stretch them
 *
 * The frequencies are those of transformers' modeling_rope_utils, rounded to f32 where it rounds,
 * because models were trained with them: at position 100 000 the last bit of a frequency shows.
 *
 * Two scalings depend on how long the sequence has become: dynamic changes the base once it is
 * longer than the model was made for, longrope goes from the short to the long factors.  As there,
 * the length that counts is the one at the end of the call, and keys cached before keep theirs.
 */
#include <math.h>

#include "base/alloc.h"
#include "base/parallel.h"
#include "math/ops.h"

#define MAX_DIMS     1024u
#define ROWS_AT_ONCE 16u

struct gla_rope {
    uint32_t dims, interleaved, scaling;
    double theta, factor,
        limit;               /* limit: positions after which the frequencies change; 0 = never */
    float magnitude;         /* of cos and sin: yarn's and longrope's attention factor */
    float *frequencies;      /* [dims / 2] up to the limit */
    float *long_frequencies; /* [dims / 2] beyond it; dynamic: room unused, made per call */
};

static const double tau = 6.283185307179586476925;

/* theta^(2i / dims), rounded as f32 arithmetic does. */
static float wavelength_factor(double theta, uint32_t i, uint32_t dims)
{
    const float exponent = (float)(2 * i) / (float)dims;

    return (float)pow((double)(float)theta, exponent);
}

static float plain_frequency(double theta, uint32_t i, uint32_t dims)
{
    return 1.0f / wavelength_factor(theta, i, dims);
}

static float llama3_frequency(const gla_rope_spec *s, float f)
{
    const double wavelength = tau / f;
    const double low = s->original_positions / s->low_freq_factor;
    const double high = s->original_positions / s->high_freq_factor;
    double smooth;

    if (wavelength > low)
        return (float)(f / s->factor);
    if (wavelength < high)
        return f;
    smooth = (s->original_positions / wavelength - s->low_freq_factor) /
             (s->high_freq_factor - s->low_freq_factor);
    return (float)((1 - smooth) * f / s->factor + smooth * f);
}

/* The dimension that makes `turns` turns within the original context. */
static double yarn_dimension(const gla_rope_spec *s, double turns)
{
    return s->dims * log(s->original_positions / (turns * tau)) / (2 * log(s->theta));
}

static float yarn_frequency(const gla_rope_spec *s, uint32_t i)
{
    const double fast = s->beta_fast > 0 ? s->beta_fast : 32;
    const double slow = s->beta_slow > 0 ? s->beta_slow : 1;
    const double low = fmax(floor(yarn_dimension(s, fast)), 0);
    const double high = fmin(ceil(yarn_dimension(s, slow)), s->dims - 1.0);
    const double width = high == low ? 0.001 : high - low;
    const double ramp = fmin(fmax((i - low) / width, 0), 1);
    const double f = plain_frequency(s->theta, i, s->dims);

    return (float)(f / s->factor * ramp + f * (1 - ramp));
}

static double yarn_magnitude(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static double longrope_magnitude(const gla_rope_spec *s)
{
    const double stretch = s->factor > 0 ? s->factor : s->max_positions / s->original_positions;

    return stretch <= 1 ? 1 : sqrt(1 + log(stretch) / log(s->original_positions));
}

static double magnitude(const gla_rope_spec *s)
{
    if (s->scaling != GLA_ROPE_YARN && s->scaling != GLA_ROPE_LONGROPE)
        return 1;
    if (s->attention_factor > 0)
        return s->attention_factor;
    if (s->scaling == GLA_ROPE_LONGROPE)
        return longrope_magnitude(s);
    if (s->mscale > 0 && s->mscale_all_dim > 0)
        return yarn_magnitude(s->factor, s->mscale) / yarn_magnitude(s->factor, s->mscale_all_dim);
    return yarn_magnitude(s->factor, 1);
}

static float frequency(const gla_rope_spec *s, uint32_t i)
{
    const float f = plain_frequency(s->theta, i, s->dims);

    switch (s->scaling) {
    case GLA_ROPE_LINEAR:
        return f / (float)s->factor;
    case GLA_ROPE_LLAMA3:
        return llama3_frequency(s, f);
    case GLA_ROPE_YARN:
        return yarn_frequency(s, i);
    case GLA_ROPE_LONGROPE:
        return 1.0f / ((float)s->short_factor[i] * wavelength_factor(s->theta, i, s->dims));
    default:
        return f;
    }
}

static gla_status check_spec(const gla_host *h, const gla_rope_spec *s)
{
    const uint32_t k = s->scaling;

    if (k > GLA_ROPE_DYNAMIC)
        return gla_host_fail(h, GLA_E_UNSUPPORTED, "rope: unknown scaling");
    if (s->dims == 0 || s->dims % 2)
        return gla_host_fail(h, GLA_E_INVALID, "rope: dims must be even and not 0");
    if (s->dims > MAX_DIMS)
        return gla_host_fail(h, GLA_E_UNSUPPORTED, "rope: more than 1024 dims");
    if (!(s->theta > 0))
        return gla_host_fail(h, GLA_E_INVALID, "rope: theta must be above 0");
    if (k != GLA_ROPE_DEFAULT && k != GLA_ROPE_LONGROPE && !(s->factor > 0))
        return gla_host_fail(h, GLA_E_INVALID, "rope: this scaling needs a factor above 0");
    if ((k == GLA_ROPE_LLAMA3 || k == GLA_ROPE_LONGROPE || k == GLA_ROPE_YARN) &&
        !(s->original_positions > 0))
        return gla_host_fail(h, GLA_E_INVALID, "rope: this scaling needs original_positions");
    if (k == GLA_ROPE_LLAMA3 &&
        !(s->low_freq_factor > 0 && s->high_freq_factor > s->low_freq_factor))
        return gla_host_fail(h, GLA_E_INVALID, "rope: llama3 needs 0 < low_freq < high_freq");
    if (k == GLA_ROPE_LONGROPE && (!s->short_factor || !s->long_factor))
        return gla_host_fail(h, GLA_E_INVALID, "rope: longrope needs short_factor, long_factor");
    if (k == GLA_ROPE_DYNAMIC && (s->dims < 4 || !(s->max_positions > 0)))
        return gla_host_fail(h, GLA_E_INVALID, "rope: dynamic needs max_positions and 4 dims");
    if (k == GLA_ROPE_YARN && !(s->theta > 1))
        return gla_host_fail(h, GLA_E_INVALID, "rope: yarn needs theta above 1");
    return GLA_OK;
}

gla_status gla__rope_create(const gla_host *h, const gla_rope_spec *given, gla_rope **out)
{
    gla_rope_spec s;
    gla_status st = GLA__TAKE(h, gla_rope_spec, given, &s);
    gla_rope *r;

    *out = NULL;
    if (st)
        return st;
    if (s.scaling == GLA_ROPE_YARN && !(s.original_positions > 0))
        s.original_positions = s.max_positions;
    if (s.scaling == GLA_ROPE_YARN && !(s.factor > 0) && s.original_positions > 0)
        s.factor = s.max_positions / s.original_positions;
    st = check_spec(h, &s);
    if (st)
        return st;
    r = gla__alloc_zero(sizeof(*r));
    if (r)
        r->frequencies = gla__alloc_array(s.dims, sizeof(float));
    if (!r || !r->frequencies) {
        gla__rope_destroy(r);
        return gla_host_fail(h, GLA_E_NOMEM, "out of memory for rope");
    }
    r->long_frequencies = r->frequencies + s.dims / 2;
    r->dims = s.dims;
    r->interleaved = s.interleaved;
    r->scaling = s.scaling;
    r->theta = s.theta;
    r->factor = s.factor;
    r->magnitude = (float)magnitude(&s);
    if (s.scaling == GLA_ROPE_DYNAMIC)
        r->limit = s.max_positions;
    else if (s.scaling == GLA_ROPE_LONGROPE)
        r->limit = s.original_positions;
    for (uint32_t i = 0; i < s.dims / 2; i++)
        r->frequencies[i] = frequency(&s, i);
    if (s.scaling == GLA_ROPE_LONGROPE) {
        s.short_factor = s.long_factor;
        for (uint32_t i = 0; i < s.dims / 2; i++)
            r->long_frequencies[i] = frequency(&s, i);
    }
    *out = r;
    return GLA_OK;
}

void gla__rope_destroy(gla_rope *r)
{
    if (!r)
        return;
    gla__free(r->frequencies);
    gla__free(r);
}

/* ---- rotation ---- */

typedef struct rope_job {
    const gla_batch *b;
    const gla_rope *r;
    uint32_t heads, head_dim;
    float *x;
    size_t ld;
} rope_job;

/* The frequencies for a sequence of `length` tokens; made: room for [dims / 2]. */
static const float *frequencies_for(const gla_rope *r, double length, float *made)
{
    double theta;

    if (r->limit <= 0 || length <= r->limit)
        return r->frequencies;
    if (r->scaling == GLA_ROPE_LONGROPE)
        return r->long_frequencies;
    theta =
        r->theta * pow(r->factor * length / r->limit - (r->factor - 1), r->dims / (r->dims - 2.0));
    for (uint32_t i = 0; i < r->dims / 2; i++)
        made[i] = plain_frequency(theta, i, r->dims);
    return made;
}

/* Turns the pairs (x[i * step], x[i * step + apart]). */
static void rotate(float *x, uint32_t pairs, size_t step, size_t apart, const float *cosine,
                   const float *sine)
{
    for (uint32_t i = 0; i < pairs; i++) {
        float *a = x + i * step, *b = a + apart;
        const float first = *a, second = *b;

        *a = first * cosine[i] - second * sine[i];
        *b = second * cosine[i] + first * sine[i];
    }
}

static void rotate_row(const rope_job *j, const float *frequencies, uint64_t position, float *row)
{
    const uint32_t pairs = j->r->dims / 2;
    float cosine[MAX_DIMS / 2], sine[MAX_DIMS / 2];

    for (uint32_t i = 0; i < pairs; i++) {
        const float angle = (float)position * frequencies[i];

        cosine[i] = cosf(angle) * j->r->magnitude;
        sine[i] = sinf(angle) * j->r->magnitude;
    }
    for (uint32_t h = 0; h < j->heads; h++) {
        float *x = row + (size_t)h * j->head_dim;

        if (j->r->interleaved)
            rotate(x, pairs, 2, 1, cosine, sine);
        else
            rotate(x, pairs, 1, pairs, cosine, sine);
    }
}

static void rotate_rows(void *arg, uint32_t part)
{
    const rope_job *j = arg;
    const gla_batch *b = j->b;
    const uint32_t first = part * ROWS_AT_ONCE;
    const uint32_t last = b->n_rows - first < ROWS_AT_ONCE ? b->n_rows : first + ROWS_AT_ONCE;
    const float *frequencies = NULL;
    float made[MAX_DIMS / 2];
    uint32_t s = 0;

    for (uint32_t i = first; i < last; i++) {
        while (i >= b->row_offset[s + 1]) {
            s++;
            frequencies = NULL;
        }
        if (!frequencies)
            frequencies = frequencies_for(
                j->r, (double)(b->position[s] + b->row_offset[s + 1] - b->row_offset[s]), made);
        rotate_row(j, frequencies, b->position[s] + i - b->row_offset[s], j->x + i * j->ld);
    }
}

gla_status gla__rope_apply(const gla_batch *b, const gla_rope *r, uint32_t heads, uint32_t head_dim,
                           float *x, size_t ld_x)
{
    rope_job j = {b, r, heads, head_dim, x, ld_x};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_ATTENTION, &work);

    if (!st && r->dims > head_dim)
        st = gla_host_fail(b->host, GLA_E_INVALID, "rope: dims is more than the head has");
    if (!st)
        gla__parallel_for((b->n_rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, rotate_rows, &j);
    return gla__work_end(&work, st);
}
