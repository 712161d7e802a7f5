/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/random_weights.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

#include "base/half.h"
#include "base/parallel.h"
#include "base/splitmix.h"
#include "base/tensor.h"
#include "graph/instance.h"

enum { PIECE = 65536 };

static uint64_t bits_at(uint64_t seed, uint64_t index)
{
    return gla__splitmix(seed + (index + 1) * GLA__SPLITMIX_STEP);
}

/* Sum of four uniform numbers, centred: bell-shaped, in (-2, 2), standard deviation 1 / sqrt 3. */
static float bell(uint64_t bits)
{
    const uint32_t sum = (uint32_t)(bits & 0xffff) + (uint32_t)(bits >> 16 & 0xffff) +
                         (uint32_t)(bits >> 32 & 0xffff) + (uint32_t)(bits >> 48);

    return ((float)sum - 131070.0f) * (1.0f / 65536.0f);
}

static const float unit = 1.7320508f; /* bell() * unit has variance 1 */

static uint64_t seed_of(const gla_weight_desc *w, uint64_t seed)
{
    return XXH3_64bits_withSeed(w->name, strlen(w->name), seed);
}

uint32_t gla__random_dtype(const gla_weight_desc *w, uint32_t wanted)
{
    if (wanted != GLA_DTYPE_I8 && wanted != GLA_DTYPE_I4)
        return wanted;
    if (w->flags & GLA_WEIGHT_SENSITIVE)
        return GLA_DTYPE_BF16;
    return w->dims[w->ndim - 1] % GLA__I4_GROUP ? GLA_DTYPE_I8 : wanted;
}

/* ---- matrices ---- */

typedef struct fill {
    uint32_t dtype;
    uint64_t seed, n, cols;
    float deviation;
    void *dst;
} fill;

static void fill_piece(void *arg, uint32_t piece)
{
    const fill *f = arg;
    const uint64_t first = (uint64_t)piece * PIECE;
    const uint64_t last = first + PIECE < f->n ? first + PIECE : f->n;
    const float scale = f->deviation * unit;

    for (uint64_t i = first; i < last; i++) {
        const float x = bell(bits_at(f->seed, i));

        switch (f->dtype) {
        case GLA_DTYPE_F32:
            ((float *)f->dst)[i] = scale * x;
            break;
        case GLA_DTYPE_BF16:
            ((uint16_t *)f->dst)[i] = gla__f32_bf16(scale * x);
            break;
        case GLA_DTYPE_F16:
            ((uint16_t *)f->dst)[i] = gla__f32_f16(scale * x);
            break;
        case GLA_DTYPE_I8:
            ((int8_t *)f->dst)[i] = (int8_t)(63.5f * x);
            break;
        default: /* two int4 in a byte: i counts bytes */
            ((uint8_t *)f->dst)[i] = (uint8_t)bits_at(f->seed, i);
        }
    }
}

/* Scales behind the values: f32 a row for int8; f16 scale and minimum a group for int4, whose 16
 * values are equally likely (standard deviation 4.61). */
static void fill_scales(const fill *f, uint64_t rows)
{
    if (f->dtype == GLA_DTYPE_I8) {
        const float scale = f->deviation * unit / 63.5f;
        char *at = (char *)f->dst + f->n;

        for (uint64_t i = 0; i < rows; i++)
            memcpy(at + i * sizeof(scale), &scale, sizeof(scale));
    } else if (f->dtype == GLA_DTYPE_I4) {
        const float scale = f->deviation / 4.61f;
        const uint16_t pair[2] = {gla__f32_f16(scale), gla__f32_f16(-7.5f * scale)};
        char *at = (char *)f->dst + f->n;

        for (uint64_t i = 0; i < rows * (f->cols / GLA__I4_GROUP); i++)
            memcpy(at + i * sizeof(pair), pair, sizeof(pair));
    }
}

void gla__random_matrix(const gla_weight_desc *w, uint32_t dtype, uint64_t seed, void *dst)
{
    const uint64_t cols = (uint64_t)w->dims[w->ndim - 1];
    const uint64_t numbers = gla__n_elements(w->ndim, w->dims);
    fill f = {.dtype = dtype,
              .seed = seed_of(w, seed),
              .n = dtype == GLA_DTYPE_I4 ? numbers / 2 : numbers,
              .cols = cols,
              .deviation = 1.0f / sqrtf((float)cols),
              .dst = dst};

    gla__parallel_for((uint32_t)((f.n + PIECE - 1) / PIECE), fill_piece, &f);
    fill_scales(&f, numbers / cols);
}

/* ---- vectors ---- */

/* Round where they start in training: 1 for norms, 0 for biases. */
void gla__random_vector(const gla_weight_desc *w, uint64_t seed, float *dst)
{
    const uint64_t n = gla__n_elements(w->ndim, w->dims);
    const uint64_t key = seed_of(w, seed);
    const bool constant = w->init && w->init->kind == GLA_INIT_CONSTANT;
    const float middle = constant ? (float)w->init->a : 0.0f;
    const float deviation = constant       ? (middle != 0 ? 0.05f : 0.02f)
                            : w->ndim >= 2 ? 1.0f / sqrtf((float)w->dims[w->ndim - 1])
                                           : 0.1f;

    for (uint64_t i = 0; i < n; i++)
        dst[i] = middle + deviation * unit * bell(bits_at(key, i));
}
