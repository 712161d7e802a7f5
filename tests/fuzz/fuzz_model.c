/* SPDX-License-Identifier: Apache-2.0
 *
 * Models: the input's bytes choose blocks, their parameters, a text and the pieces it is fed in;
 * however a text is cut up, in chunks of any size or token by token, the logits are the same.
 *
 * The same up to rounding, and some inputs blow rounding up: q.k that nearly cancels, say, under a
 * norm that makes it large again.  Where the logits differ by more than usual, the model is asked
 * how much it cares: with embeddings longer by a last bit or two every number is rounded anew.
 */
#include <math.h>

#include "fuzz/fuzz.h"
#include "support/feed.h"

enum { VOCAB = 23, MOST_TOKENS = 48 };

typedef struct bytes_left {
    const uint8_t *p;
    size_t n;
} bytes_left;

static uint32_t pick(bytes_left *b, uint32_t below)
{
    if (!b->n)
        return 0;
    b->n--;
    return *b->p++ % below;
}

/* @: 1 or 2 */
static const char *const mixers[] = {
    "type: gla, heads: @, feature_map: relu",
    "type: gla, heads: @, conv: 3, normaliser: sum",
    "type: gla, heads: @, forget: head, feature_map: elu1, normaliser: max, normaliser_eps: 1",
    "type: simple_gla, heads: @",
    "type: linear_attention, heads: @, feature_map: elu1",
    "type: retention, heads: @",
    "type: lightning, heads: @",
    "type: deltanet, heads: @",
    "type: gated_deltanet, heads: @, head_k_dim: 8, head_v_dim: 8",
    "type: kda, heads: @, head_k_dim: 8",
    "type: hgrn, expand: @",
    "type: hgrn2, heads: @",
    "type: gsa, heads: @, slots: 4",
    "type: mamba, state: 4, dt_rank: @",
    "type: mamba2, heads: 4, head_dim: 8, state: 8, groups: @",
    "type: rwkv6, heads: @, proj_rank: 4, decay_rank: 4",
    "type: rwkv7, heads: @, decay_rank: 4, a_rank: 4, v_rank: 4, gate_rank: 4",
    "type: rg_lru, heads: @",
    "type: attention, heads: 4, kv_heads: @",
    "type: attention, heads: @, window: 9, rope: {dims: 4}",
    "type: mla, heads: @, kv_rank: 8, nope_dim: 4, rope_dim: 4, v_head_dim: 4"};
static const char *const ffns[] = {"", ", ffn: {type: swiglu, d_ff: 24}",
                                   ", ffn: {type: mlp, d_ff: 24}",
                                   ", ffn: {type: moe, experts: 3, top_k: 2, d_ff: 8}"};
static const char *const places[] = {"pre", "post", "sandwich", "none"};

/* Takes its choices from b. */
static gla_arch *make_arch(bytes_left *b, double embedding_multiplier)
{
    const uint32_t n_blocks = 1 + pick(b, 3);
    char text[2048];
    size_t used = (size_t)snprintf(text, sizeof(text),
                                   "gla: 1\nname: fuzz\nvocab_size: %d\nd_model: 16\nnorm: %s\n"
                                   "tie_embeddings: %s\nembedding: {multiplier: %.9g}\nblocks:\n",
                                   VOCAB, pick(b, 2) ? "layernorm" : "rmsnorm",
                                   pick(b, 2) ? "true" : "false", embedding_multiplier);
    gla_arch *arch = NULL;
    gla_diag diag = {0};
    gla_status st;

    for (uint32_t i = 0; i < n_blocks; i++) {
        const char *form = mixers[pick(b, sizeof(mixers) / sizeof(mixers[0]))];
        const char *at = strchr(form, '@');
        char mixer[160];

        snprintf(mixer, sizeof(mixer), "%.*s%u%s", (int)(at - form), form, 1u << pick(b, 2),
                 at + 1);
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "  b%u: {mixer: {%s}%s, norm_at: %s}\n", i, mixer,
                                 ffns[pick(b, 4)], places[pick(b, 4)]);
    }
    used += (size_t)snprintf(text + used, sizeof(text) - used, "layers: [");
    for (uint32_t i = 0; i < n_blocks; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%sb%u", i ? ", " : "", i);
    used += (size_t)snprintf(text + used, sizeof(text) - used, "]\n");
    st = gla_arch_parse(text, used, "fuzz", &arch, &diag);
    if (st)
        fprintf(stderr, "%s\n%s\n", text, diag.message);
    PROMISE(!st);
    return arch;
}

static gla_model *make_model(const gla_arch *arch, uint32_t chunk, uint64_t seed)
{
    static gla_registry *registry;
    const gla_model_options o = {GLA_SIZED(gla_model_options),
                                 .weights_dtype = GLA_DTYPE_F32,
                                 .kv_dtype = GLA_DTYPE_F32,
                                 .max_batch_rows = MOST_TOKENS,
                                 .max_sequences = 2,
                                 .recurrence_chunk = chunk,
                                 .seed = seed};
    gla_model_options with = o;
    gla_model *m = NULL;
    gla_diag diag = {0};
    gla_status st;

    if (!registry)
        PROMISE(!gla_registry_create(NULL, &registry, NULL));
    with.registry = registry;
    st = gla_model_random(arch, &with, &m, &diag);
    fuzz_check_diag(st, &diag); /* some sizes do not go together */
    return m;
}

/* Logits of the last token. */
static void feed(gla_model *m, const int32_t *ids, uint32_t n, uint32_t piece, float *logits)
{
    gla_session *s = NULL;

    PROMISE(!gla_session_create(m, NULL, &s, NULL));
    for (uint32_t i = 0; i < n; i += piece)
        PROMISE(!feed_logits(s, ids + i, n - i < piece ? n - i : piece, logits, NULL));
    gla_session_free(s);
}

/* One run of the model that data describes. */
typedef struct trial {
    bytes_left data;
    int32_t ids[MOST_TOKENS];
    uint32_t n, piece, chunk;
    uint64_t seed;
} trial;

static double distance(const float *a, const float *b)
{
    double sum = 0;

    for (int i = 0; i < VOCAB; i++) {
        PROMISE(isfinite(a[i]) && isfinite(b[i]));
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    }
    return sqrt(sum);
}

static double spread(const float *a)
{
    double mean = 0, sum = 0;

    for (int i = 0; i < VOCAB; i++)
        mean += (double)a[i] / VOCAB;
    for (int i = 0; i < VOCAB; i++)
        sum += (a[i] - mean) * (a[i] - mean);
    return sqrt(sum);
}

/* How far the logits move when numbers are rounded otherwise, token by token: the farthest of some
 * tries. */
static double rounding_noise(const trial *t, const float *logits)
{
    double most = 0;

    for (int i = -4; i <= 4; i++) {
        bytes_left data = t->data;
        gla_arch *arch = make_arch(&data, 1 + i * 0x1p-22);
        gla_model *m = make_model(arch, 1, t->seed);
        float moved[VOCAB];

        feed(m, t->ids, t->n, 1, moved);
        most = fmax(most, distance(moved, logits));
        gla_model_free(m);
        gla_arch_free(arch);
    }
    return most;
}

static void compare(const trial *t, const float *a, const float *b)
{
    /* two orders of summation through three blocks of width 16; as in prop_mixers.c, and room for
     * a router that chooses another expert because of the last bit is not given */
    const double usual = 1e-3 * spread(a) + 1e-6, error = distance(a, b);
    const double noise = error > usual ? rounding_noise(t, a) : 0;

    if (getenv("FUZZ_SHOW"))
        fprintf(stderr, "off by %g of a spread of %g, rounding noise %g\n", error, spread(a),
                noise);
    PROMISE(error <= fmax(usual, 4 * noise));
}

static void show(const gla_arch *arch, const trial *t)
{
    char *text;
    size_t bytes;

    PROMISE(!gla_arch_print(arch, &text, &bytes, NULL));
    fprintf(stderr, "%schunk %u, %u tokens, pieces of %u, seed %llu\n", text, t->chunk, t->n,
            t->piece, (unsigned long long)t->seed);
    gla_text_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_left b = {data, size};
    trial t = {.data = b};
    float whole[VOCAB], pieces[VOCAB];
    gla_arch *arch;
    gla_model *m, *other;

    if (size < 4)
        return 0;
    gla_set_threads(1);
    arch = make_arch(&b, 1);
    t.seed = pick(&b, 256);
    t.chunk = 1 + pick(&b, 64);
    t.piece = 1 + pick(&b, MOST_TOKENS);
    t.n = 1 + pick(&b, MOST_TOKENS);
    for (uint32_t i = 0; i < t.n; i++)
        t.ids[i] = (int32_t)((pick(&b, 256) + i * 7) % VOCAB);
    m = make_model(arch, 1, t.seed);
    other = m ? make_model(arch, t.chunk, t.seed) : NULL;
    if (getenv("FUZZ_SHOW"))
        show(arch, &t);
    if (m && other) {
        feed(m, t.ids, t.n, 1, whole);
        feed(other, t.ids, t.n, t.n, pieces);
        compare(&t, whole, pieces);
        feed(other, t.ids, t.n, t.piece, pieces);
        compare(&t, whole, pieces);
    }
    gla_model_free(m);
    gla_model_free(other);
    gla_arch_free(arch);
    return 0;
}

size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity)
{
    if (i >= 32 || capacity < 80)
        return 0;
    for (uint32_t k = 0; k < 72; k++)
        out[k] = (uint8_t)((k + 1) * (i * 37 + 11) >> (k % 3));
    return 72;
}
