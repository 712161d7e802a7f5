/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_mixers.c - what must hold for every mixer, and for models that mix families, with random
 * weights
 *
 *   chunked = token by token, for chunks of any size and text fed in any pieces
 *   saved and loaded = never stopped, bit for bit
 *   causality: changing token t changes nothing before t, bit for bit
 *   a batch of ragged sequences = each by itself
 *   a fork changes nothing in its parent; cut back and fed anew = a fresh run
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/rng.h"
#include "support/temp_file.h"
#include "support/tolerance.h"

enum { VOCAB_SIZE = 61, TOKENS = 83 };

struct mixer_case {
    char name[40];
    char mixer[200];
    char ffn[120]; /* "": none */
};

/* One of each, with the switches that change the path through the core. */
static const struct mixer_case table[] = {
    {"gla", "type: gla, heads: 2", ""},
    {"gla grouped conv",
     "type: gla, heads: 4, kv_heads: 2, conv: 4, feature_map: relu, clamp_min: -0.4", ""},
    {"gla over heads",
     "type: gla, heads: 2, forget: channel, forget_over_heads: true, input_gate: true", ""},
    {"gla max normaliser",
     "type: gla, heads: 2, forget: head, feature_map: elu1, normaliser: max, "
     "normaliser_eps: 1",
     ""},
    {"normalised gate",
     "type: gla, heads: 2, forget: none, feature_map: elu1, gate_over_heads: true, "
     "output_norm: false, bias: true",
     ""},
    {"simple_gla", "type: simple_gla, heads: 4", ""},
    {"linear_attention", "type: linear_attention, heads: 2, feature_map: elu1, normaliser: true",
     ""},
    {"hedgehog", "type: linear_attention, heads: 2, feature_map: hedgehog", ""},
    {"dpfp", "type: linear_attention, heads: 4, feature_map: dpfp", ""},
    {"regla", "type: regla, heads: 2, head_k_dim: 8, head_v_dim: 16", ""},
    {"retention", "type: retention, heads: 2", ""},
    {"lightning", "type: lightning, heads: 2", ""},
    {"deltanet", "type: deltanet, heads: 2, head_k_dim: 16", ""},
    {"gated_deltanet",
     "type: gated_deltanet, heads: 4, key_heads: 2, head_k_dim: 8, head_v_dim: 16, "
     "neg_eigval: true",
     ""},
    {"kda", "type: kda, heads: 2, head_k_dim: 16", ""},
    {"hgrn", "type: hgrn", ""},
    {"hgrn2", "type: hgrn2, heads: 2", ""},
    {"gsa", "type: gsa, heads: 2, slots: 8", ""},
    {"mamba", "type: mamba, state: 8, dt_rank: 4", ""},
    {"mamba2", "type: mamba2, heads: 4, head_dim: 16, state: 16, groups: 2", ""},
    {"rwkv6", "type: rwkv6, heads: 2, proj_rank: 8, decay_rank: 8",
     "type: rwkv_ffn, d_ff: 64, receptance: true"},
    {"rwkv7", "type: rwkv7, heads: 2, decay_rank: 8, a_rank: 8, v_rank: 8, gate_rank: 8",
     "type: rwkv_ffn, d_ff: 64"},
    {"kla", "type: kla, state: 4", ""},
    {"rg_lru", "type: rg_lru, heads: 2", ""},
    {"short_conv", "type: short_conv, conv: 3", ""},
    {"short_conv of one tap", "type: short_conv, conv: 1", ""},
    {"attention", "type: attention, heads: 4, kv_heads: 2, qk_norm: head, rope: {dims: 4}", ""},
    {"attention window", "type: attention, heads: 4, window: 20, output_gate: head", ""},
    {"mla", "type: mla, heads: 2, kv_rank: 16, nope_dim: 8, rope_dim: 4, v_head_dim: 8", ""},
    {"moe", "type: gla, heads: 2", "type: moe, experts: 4, top_k: 2, d_ff: 16, shared: {d_ff: 16}"},
    {"mixed", "", ""}, /* several families in one model: see arch_of */
};

static gla_arch *arch_of(const struct mixer_case *c)
{
    static const char mixed[] =
        "gla: 1\nname: mixed\nvocab_size: 61\nd_model: 32\nblocks:\n"
        "  a: {mixer: {type: gla, heads: 2}, ffn: {type: swiglu, d_ff: 48}}\n"
        "  b: {mixer: {type: gated_deltanet, heads: 2, head_k_dim: 8}, ffn: {type: mlp, d_ff: "
        "48}}\n"
        "  c: {mixer: {type: attention, heads: 4}, ffn: {type: swiglu, d_ff: 48}}\n"
        "  d: {mixer: [{type: mamba2, heads: 4, head_dim: 16, state: 8}, {type: attention, heads: "
        "2}]}\n"
        "  e: {mixer: {type: rwkv7, heads: 2, first: true}, norm_at: sandwich}\n"
        "layers: {pattern: \"a + b + c + d + e\"}\n";
    char text[1024], ffn[160] = "";
    gla_arch *arch = NULL;
    gla_diag diag;

    if (c->ffn[0])
        snprintf(ffn, sizeof(ffn), ", ffn: {%s}", c->ffn);
    snprintf(text, sizeof(text),
             "gla: 1\nname: one\nvocab_size: 61\nd_model: 32\nblocks:\n  x: {mixer: {%s}%s}\n"
             "layers: {pattern: \"2*x\"}\n",
             c->mixer, ffn);
    if (!c->mixer[0])
        strcpy(text, mixed);
    cr_assert_eq(gla_arch_parse(text, strlen(text), c->name, &arch, &diag), GLA_OK, "%s: %s",
                 c->name, diag.message);
    return arch;
}

static gla_model *model_of(const struct mixer_case *c, uint32_t chunk)
{
    const gla_model_options o = {GLA_SIZED(gla_model_options), .seed = 11,
                                 .weights_dtype = GLA_DTYPE_F32, .kv_dtype = GLA_DTYPE_F32,
                                 .recurrence_chunk = chunk};
    gla_arch *arch = arch_of(c);
    gla_model *m = NULL;
    gla_diag diag;
    char message[512];

    cr_assert_eq(gla_model_random(arch, &o, &m, &diag), GLA_OK, "%s: %s", c->name,
                 gla_diag_format(&diag, message, sizeof(message)));
    gla_arch_free(arch);
    return m;
}

static void random_tokens(int32_t *ids, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((seed >> 33) % VOCAB_SIZE);
    }
}

/* All logits of ids, fed in pieces of `piece`; the session stays if out is given. */
static void feed(gla_model *m, gla_session *s, const int32_t *ids, size_t n, size_t piece,
                 float *logits)
{
    gla_session *own = NULL;
    gla_diag diag;

    if (!s)
        cr_assert_eq(gla_session_create(m, NULL, &own, &diag), GLA_OK);
    for (size_t i = 0; i < n; i += piece) {
        const size_t k = n - i < piece ? n - i : piece;
        const gla_feed_item item = {.session = s ? s : own,
                                    .tokens = ids + i,
                                    .n_tokens = k,
                                    .logits = logits + i * VOCAB_SIZE,
                                    .n_logits = k};

        cr_assert_eq(gla_feed(&item, 1, sizeof(item), NULL, NULL, &diag), GLA_OK, "%s: %s",
                     diag.where, diag.message);
    }
    gla_session_free(own);
}

static double spread_of(const float *logits, size_t n)
{
    double square = 0;

    for (size_t i = 0; i < n * VOCAB_SIZE; i++)
        square += (double)logits[i] * logits[i];
    return sqrt(square / (double)(n * VOCAB_SIZE));
}

static void expect_close(const struct mixer_case *c, const char *law, const float *a,
                         const float *b, size_t n)
{
    const double bound = GLA_TOL_LOGITS * spread_of(b, n);
    double worst = 0;

    for (size_t i = 0; i < n * VOCAB_SIZE; i++) {
        const double d = fabs((double)a[i] - b[i]);

        worst = d > worst || isnan(d) ? (isnan(d) ? INFINITY : d) : worst;
    }
    cr_expect_leq(worst, bound, "%s: %s: differs by %.3g, bound %.3g", c->name, law, worst, bound);
}

ParameterizedTestParameters(mixers, keep_the_laws)
{
    static struct mixer_case cases[sizeof(table) / sizeof(table[0])];

    memcpy(cases, table, sizeof(table));
    return cr_make_param_array(struct mixer_case, cases, sizeof(table) / sizeof(table[0]));
}

static void chunked_is_recurrent(const struct mixer_case *c, const int32_t *ids,
                                 const float *expected)
{
    static const uint32_t chunks[] = {0, 2, 5, 16, 33, 64};
    static float logits[TOKENS * VOCAB_SIZE];

    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        gla_model *m = model_of(c, chunks[i]);

        feed(m, NULL, ids, TOKENS, TOKENS, logits);
        expect_close(c, "fed at once", logits, expected, TOKENS);
        feed(m, NULL, ids, TOKENS, 1 + i * 7, logits);
        expect_close(c, "fed in pieces", logits, expected, TOKENS);
        gla_model_free(m);
    }
}

static void is_causal(const struct mixer_case *c, gla_model *m, const int32_t *ids)
{
    static float before[TOKENS * VOCAB_SIZE], after[TOKENS * VOCAB_SIZE];
    int32_t changed[TOKENS];
    const size_t t = 47;

    memcpy(changed, ids, sizeof(changed));
    changed[t] = (ids[t] + 1) % VOCAB_SIZE;
    feed(m, NULL, ids, TOKENS, TOKENS, before);
    feed(m, NULL, changed, TOKENS, TOKENS, after);
    cr_expect_arr_eq(before, after, t * VOCAB_SIZE * sizeof(float),
                     "%s: a later token changes an earlier one", c->name);
    cr_expect_neq(
        memcmp(before + t * VOCAB_SIZE, after + t * VOCAB_SIZE, VOCAB_SIZE * sizeof(float)), 0,
        "%s: the token itself changes nothing", c->name);
}

static void batch_is_single_runs(const struct mixer_case *c, gla_model *m, const int32_t *ids)
{
    static const size_t lengths[] = {37, 1, TOKENS, 5};
    static float batched[4][TOKENS * VOCAB_SIZE], single[TOKENS * VOCAB_SIZE];
    gla_feed_item items[4];
    gla_diag diag;

    for (size_t i = 0; i < 4; i++) {
        gla_session *s = NULL;

        cr_assert_eq(gla_session_create(m, NULL, &s, &diag), GLA_OK);
        items[i] = (gla_feed_item){.session = s,
                                   .tokens = ids + i % 3,
                                   .n_tokens = lengths[i] - i % 3 % lengths[i],
                                   .logits = batched[i]};
        items[i].n_logits = items[i].n_tokens;
    }
    cr_assert_eq(gla_feed(items, 4, sizeof(*items), NULL, NULL, &diag), GLA_OK, "%s", diag.message);
    for (size_t i = 0; i < 4; i++) {
        feed(m, NULL, items[i].tokens, items[i].n_tokens, items[i].n_tokens, single);
        expect_close(c, "in a batch", batched[i], single, items[i].n_tokens);
        gla_session_free(items[i].session);
    }
}

static void forks_cuts_and_files(const struct mixer_case *c, gla_model *m, const int32_t *ids,
                                 const float *expected)
{
    static float rest[TOKENS * VOCAB_SIZE], again[TOKENS * VOCAB_SIZE];
    const size_t k = 50, n = TOKENS - k;
    gla_session *s = NULL, *fork = NULL, *loaded = NULL;
    char path[TEMP_PATH];
    gla_diag diag;

    cr_assert_eq(gla_session_create(m, NULL, &s, &diag), GLA_OK);
    feed(m, s, ids, k, k, rest);
    cr_assert_eq(gla_session_fork(s, &fork, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla_session_save(s, temp_path(path, "mixer.session"), &diag), GLA_OK, "%s",
                 diag.message);
    cr_assert_eq(gla_session_load(m, path, NULL, &loaded, &diag), GLA_OK, "%s", diag.message);
    unlink(path);
    feed(m, fork, ids, 9, 9, again); /* another text */
    feed(m, s, ids + k, n, n, rest);
    expect_close(c, "after a fork", rest, expected + k * VOCAB_SIZE, n);
    feed(m, loaded, ids + k, n, n, again);
    cr_expect_arr_eq(rest, again, n * VOCAB_SIZE * sizeof(float),
                     "%s: loaded differs from never stopped", c->name);
    cr_assert_eq(gla_session_truncate(s, 30, &diag), GLA_OK, "%s", diag.message);
    feed(m, s, ids + 30, TOKENS - 30, TOKENS - 30, again);
    expect_close(c, "cut back and fed anew", again, expected + 30 * VOCAB_SIZE, TOKENS - 30);
    gla_session_free(loaded);
    gla_session_free(fork);
    gla_session_free(s);
}

ParameterizedTest(struct mixer_case *c, mixers, keep_the_laws)
{
    static float expected[TOKENS * VOCAB_SIZE];
    int32_t ids[TOKENS];
    gla_model *recurrent, *m;

    gla_set_threads(1); /* small models: threads would only wait for each other */
    recurrent = model_of(c, 1);
    m = model_of(c, 0);
    random_tokens(ids, TOKENS, 5);
    feed(recurrent, NULL, ids, TOKENS, 1,
         expected); /* token by token: the reference of all the others */
    cr_assert_gt(spread_of(expected, TOKENS), 1e-3, "%s: the logits say nothing", c->name);
    gla_model_free(recurrent);
    chunked_is_recurrent(c, ids, expected);
    is_causal(c, m, ids);
    batch_is_single_runs(c, m, ids);
    forks_cuts_and_files(c, m, ids, expected);
    gla_model_free(m);
}
