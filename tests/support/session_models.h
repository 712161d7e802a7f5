/* SPDX-License-Identifier: Apache-2.0
 *
 * session_models.h - small models with random weights, and ways to feed them
 *
 * The mixes are chosen for what their states are: none fixed, only fixed, windows, all of them.
 */
#ifndef GLA_TESTS_SUPPORT_SESSION_MODELS_H
#define GLA_TESTS_SUPPORT_SESSION_MODELS_H

#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/feed.h"
#include "support/rng.h"

#ifndef SESSION_CHECK /* a plain main brings its own */
#include <criterion/criterion.h>
#define SESSION_CHECK(condition, ...) cr_assert(condition, __VA_ARGS__)
#endif

#define VOCAB 97

typedef struct mix {
    const char *name, *layers;
} mix;

static const mix mixes[] = {
    {"softmax", "2*attn"},
    {"gla", "2*gla"},
    {"hybrid", "2*gla + attn"},
    {"window", "attn + swa"},
    {"all", "gla + swa + delta + attn"},
};
enum { MIX_SOFTMAX, MIX_GLA, MIX_HYBRID, MIX_WINDOW, MIX_ALL, N_MIXES };

static inline void must(gla_status st, const gla_diag *diag)
{
    char text[512];

    SESSION_CHECK(st == GLA_OK, "%s: %s", gla_status_name(st),
                  gla_diag_format(diag, text, sizeof(text)));
}

/* The blocks that a mix may name.  A window of 70 tokens: one page and a bit. */
static const struct {
    const char *name, *text;
} blocks[] = {
    {"gla", "{mixer: {type: gla, heads: 2, conv: 3}, ffn: {type: swiglu, d_ff: 48}}"},
    {"delta", "{mixer: {type: gated_deltanet, heads: 2, head_k_dim: 8, head_v_dim: 16}}"},
    {"attn", "{mixer: {type: attention, heads: 4, kv_heads: 2}}"},
    {"swa", "{mixer: {type: attention, heads: 4, kv_heads: 1, window: 70}}"},
    {"flaky", "{mixer: {type: test.flaky}}"}, /* of support/flaky_layer.h */
};

static inline gla_arch *mix_arch(const mix *m)
{
    char text[1024];
    gla_arch *arch;
    gla_diag diag;
    int n;

    n = snprintf(text, sizeof(text),
                 "gla: 1\nname: %s\nvocab_size: %d\nd_model: 32\ntie_embeddings: true\nblocks:\n",
                 m->name, VOCAB);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        if (strstr(m->layers, blocks[i].name)) /* a block that nothing uses is refused */
            n += snprintf(text + n, sizeof(text) - (size_t)n, "  %s: %s\n", blocks[i].name,
                          blocks[i].text);
    snprintf(text + n, sizeof(text) - (size_t)n, "layers: {pattern: \"%s\"}\n", m->layers);
    must(gla_arch_parse(text, strlen(text), m->name, &arch, &diag), &diag);
    return arch;
}

static inline gla_model *mix_model_with(const mix *m, gla_model_options o)
{
    gla_arch *arch = mix_arch(m);
    gla_model *model;
    gla_diag diag;

    o.weights_dtype = GLA_DTYPE_F32;
    o.seed = 11;
    must(gla_model_random(arch, &o, &model, &diag), &diag);
    gla_arch_free(arch);
    return model;
}

static inline gla_model *mix_model(const mix *m, uint32_t rows, uint32_t sequences)
{
    return mix_model_with(m,
                          (gla_model_options){GLA_SIZED(gla_model_options), .max_batch_rows = rows,
                                              .max_sequences = sequences});
}

static inline gla_session *mix_session(gla_model *m, const gla_session_options *o)
{
    gla_session *s;
    gla_diag diag;

    must(gla_session_create(m, o, &s, &diag), &diag);
    return s;
}

static inline void random_tokens(rng *r, int32_t *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)rng_below(r, VOCAB);
}

static inline void feed(gla_session *s, const int32_t *tokens, size_t n, float *logits)
{
    gla_diag diag;

    must(feed_logits(s, tokens, n, logits, &diag), &diag);
}

/* The logits after `tokens` in a session of its own. */
static inline void fresh_logits(gla_model *m, const gla_session_options *o, const int32_t *tokens,
                                size_t n, float *logits)
{
    gla_session_options plain = o ? *o : (gla_session_options){GLA_SIZED(gla_session_options)};
    gla_session *s;

    plain.prefix_cache = 0;
    s = mix_session(m, &plain);
    feed(s, tokens, n, logits);
    gla_session_free(s);
}

static inline void assert_within(const float *a, const float *b, size_t n, double nmse,
                                 const char *what)
{
    double error = 0, square = 0;

    for (size_t i = 0; i < n; i++) {
        SESSION_CHECK(isfinite(a[i]) && isfinite(b[i]), "%s: not finite", what);
        error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        square += (double)a[i] * a[i];
    }
    SESSION_CHECK(error <= nmse * square, "%s: NMSE %g", what, error / square);
}

/* Two ways of computing the same in f32, with sums in another order, through a few layers. */
static inline void assert_close(const float *a, const float *b, size_t n, const char *what)
{
    assert_within(a, b, n, 1e-9, what);
}

static inline void assert_same(const float *a, const float *b, size_t n, const char *what)
{
    SESSION_CHECK(memcmp(a, b, n * sizeof(*a)) == 0, "%s: not the same bits", what);
}

#endif
