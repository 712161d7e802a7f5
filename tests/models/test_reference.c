/* SPDX-License-Identifier: Apache-2.0
 *
 * The checkpoints of tests/reference, converted and compared with the logits their authors' code
 * gave: all at once, in pieces and token by token, with the recurrences in each of their forms.
 */
#define _GNU_SOURCE /* memmem */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/model_folder.h"

typedef struct golden {
    int32_t *ids;
    float *logits; /* [n, vocab] */
    size_t n, vocab;
    double spread; /* standard deviation of the logits */
} golden;

static golden golden_read(const char *path)
{
    gla_weights *w = NULL;
    gla_diag diag;
    const gla_tensor_info *ids, *logits;
    double sum = 0, square = 0;
    golden g;

    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK, "%s: %s", path, diag.message);
    ids = gla_weights_find(w, "input_ids");
    logits = gla_weights_find(w, "logits");
    g.n = (size_t)ids->n_elements;
    g.vocab = (size_t)logits->dims[1];
    g.ids = malloc((size_t)ids->raw_bytes);
    g.logits = malloc((size_t)logits->raw_bytes);
    cr_assert_eq(gla_weights_read(w, ids, g.ids, &diag), GLA_OK);
    cr_assert_eq(gla_weights_read(w, logits, g.logits, &diag), GLA_OK);
    gla_weights_close(&w);
    for (size_t i = 0; i < g.n * g.vocab; i++) {
        sum += g.logits[i];
        square += (double)g.logits[i] * g.logits[i];
    }
    sum /= (double)(g.n * g.vocab);
    g.spread = sqrt(square / (double)(g.n * g.vocab) - sum * sum);
    return g;
}

/* Largest difference over all logits. */
static double error_of(gla_model *m, const golden *g, size_t feed)
{
    float *logits = malloc(g->n * g->vocab * sizeof(*logits));
    gla_session *s = NULL;
    gla_diag diag;
    double worst = 0;

    cr_assert_eq(gla_session_create(m, NULL, &s, &diag), GLA_OK, "%s", diag.message);
    for (size_t i = 0; i < g->n; i += feed) {
        const size_t n = g->n - i < feed ? g->n - i : feed;
        const gla_feed_item item = {s, g->ids + i, n, logits + i * g->vocab, n};

        cr_assert_eq(gla_feed(&item, 1, NULL, NULL, &diag), GLA_OK, "%s: %s", diag.where,
                     diag.message);
    }
    for (size_t i = 0; i < g->n * g->vocab; i++) {
        const double d = fabs((double)logits[i] - g->logits[i]);

        worst = d > worst || isnan(d) ? (isnan(d) ? INFINITY : d) : worst;
    }
    gla_session_destroy(s);
    free(logits);
    return worst;
}

struct reference_case {
    char name[64];
};

ParameterizedTestParameters(reference, agrees_with_its_authors)
{
    static struct reference_case cases[128];
    struct dirent **names = NULL;
    const int n = scandir(GLA_SOURCE_DIR "/tests/reference", &names, NULL, alphasort);
    size_t used = 0;

    for (int i = 0; i < n; i++) {
        char path[512];

        snprintf(path, sizeof(path), "%s/tests/reference/%s/golden.safetensors", GLA_SOURCE_DIR,
                 names[i]->d_name);
        if (used < 128 && strlen(names[i]->d_name) < sizeof(cases[0].name) &&
            access(path, R_OK) == 0)
            strcpy(cases[used++].name, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return cr_make_param_array(struct reference_case, cases, used);
}

ParameterizedTest(struct reference_case *c, reference, agrees_with_its_authors)
{
    static const uint32_t chunks[] = {0, 1, 16};
    const size_t feeds[] = {100000, 7, 1};
    char source[512], path[600], folder[64];
    golden g;
    double tolerance;

    snprintf(source, sizeof(source), "%s/tests/reference/%s", GLA_SOURCE_DIR, c->name);
    snprintf(path, sizeof(path), "%s/golden.safetensors", source);
    g = golden_read(path);
    /* hgrn2: the reference itself was rounded (LAYERS.md B.16) */
    tolerance = (strncmp(c->name, "hgrn2", 5) == 0 ? 5e-3 : 2e-4) * (g.spread > 1.5 ? g.spread : 1);
    model_folder_make(source, NULL, folder);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        const gla_model_options options = {.kv_dtype = GLA_DTYPE_F32,
                                           .recurrence_chunk = chunks[i]};
        gla_model *m = NULL;
        gla_diag diag;

        cr_assert_eq(gla_model_open(folder, &options, &m, &diag), GLA_OK, "%s: %s", diag.where,
                     diag.message);
        for (size_t k = 0; k < sizeof(feeds) / sizeof(feeds[0]); k++) {
            const double error = error_of(m, &g, feeds[k]);

            cr_expect_leq(error, tolerance, "%s: chunk %u, fed %zu at a time: error %.3g over %.3g",
                          c->name, chunks[i], feeds[k], error, tolerance);
        }
        gla_model_close(&m);
    }
    model_folder_remove(folder);
    free(g.ids);
    free(g.logits);
}

/* Files of tests/data/gguf; make_gguf.py there made them from the same checkpoints.  Tolerance:
 * what the type of the file's matrices costs (10 bits, 8 bits in blocks of 32), none for F32. */
static const struct gguf_case {
    const char *file, *reference;
    double tolerance;
} gguf_cases[] = {{"llama.gguf", "llama", 5e-3},
                  {"qwen3.gguf", "qwen3", 0.1},
                  {"mamba.gguf", "mamba", 2e-4 * 9.63}};

Test(reference, gguf_files_agree_as_their_types_allow)
{
    for (size_t i = 0; i < sizeof(gguf_cases) / sizeof(gguf_cases[0]); i++) {
        const struct gguf_case *c = &gguf_cases[i];
        const gla_model_options options = {.kv_dtype = GLA_DTYPE_F32};
        char source[512], path[512], folder[64];
        gla_model *m = NULL;
        gla_diag diag;
        golden g;

        snprintf(source, sizeof(source), "%s/tests/data/gguf/%s", GLA_SOURCE_DIR, c->file);
        snprintf(path, sizeof(path), "%s/tests/reference/%s/golden.safetensors", GLA_SOURCE_DIR,
                 c->reference);
        g = golden_read(path);
        model_folder_make(source, NULL, folder);
        cr_assert_eq(gla_model_open(folder, &options, &m, &diag), GLA_OK, "%s: %s", diag.where,
                     diag.message);
        cr_expect_leq(error_of(m, &g, 7), c->tolerance, "%s", c->file);
        gla_model_close(&m);
        model_folder_remove(folder);
        free(g.ids);
        free(g.logits);
    }
}

/* llama.gguf with one text of its head replaced by another of the same length. */
static void expect_gguf_refused(const char *from, const char *to, const char *where)
{
    char path[64] = "/tmp/gla-test-XXXXXX", file[96], folder[96];
    char *data = malloc(1 << 20), *at;
    FILE *f = fopen(GLA_SOURCE_DIR "/tests/data/gguf/llama.gguf", "rb");
    gla_diag diag;
    size_t n;

    cr_assert(f && data && mkdtemp(path));
    n = fread(data, 1, 1 << 20, f);
    fclose(f);
    at = memmem(data, n, from, strlen(from));
    cr_assert_not_null(at, "%s", from);
    memcpy(at, to, strlen(from));
    snprintf(file, sizeof(file), "%s/x.gguf", path);
    snprintf(folder, sizeof(folder), "%s/out", path);
    f = fopen(file, "wb");
    cr_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
    cr_expect_neq(gla_convert(file, folder, NULL, NULL, &diag), GLA_OK, "%s", to);
    cr_expect(strstr(diag.where, where) || strstr(diag.message, where), "%s: %s: %s", to,
              diag.where, diag.message);
    unlink(file);
    rmdir(path);
    free(data);
}

Test(reference, gguf_that_cannot_be_read_is_refused_by_name)
{
    expect_gguf_refused("llama", "gemma", "gemma"); /* the architecture stands first */
    expect_gguf_refused("llama.block_count", "llama.block_kount", "llama.block_count");
    expect_gguf_refused("blk.1.attn_k.weight", "blk.1.attn_x.weight", "blk.1.attn_k.weight");
}
