/* SPDX-License-Identifier: Apache-2.0
 *
 * The shipped model says what its training run measured: likelihoods and greedy continuations.
 */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/feed.h"

#define FOLDER GLA_SOURCE_DIR "/models/tiny-hybrid"

static gla_model *model;
static json_t *reference;

static void open_model(void)
{
    gla_diag diag;

    gla_set_threads(2);
    cr_assert_eq(gla_model_open(FOLDER, NULL, &model, &diag), GLA_OK, "%s: %s", diag.where,
                 diag.message);
    reference = json_load_file(FOLDER "/reference.json", 0, NULL);
    cr_assert_not_null(reference);
}

static void close_model(void)
{
    gla_model_free(model);
    json_decref(reference);
}

TestSuite(tiny_hybrid, .init = open_model, .fini = close_model);

static char *read_text(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data = malloc(1 << 20);

    cr_assert_not_null(f, "%s", path);
    *size = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

static size_t ids_of(json_t *list, int32_t *ids, size_t max)
{
    size_t n = json_array_size(list);

    cr_assert_leq(n, max);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

Test(tiny_hybrid, likelihood_of_a_story)
{
    json_t *story = json_object_get(reference, "first_512_story_tokens");
    const double expected = json_real_value(json_object_get(story, "mean_nll_f32"));
    const uint32_t vocab = gla_model_vocab_size(model);
    int32_t ids[1024];
    const size_t n = ids_of(json_object_get(story, "ids"), ids, 1024) - 1;
    float *logits = malloc(n * vocab * sizeof(*logits));
    gla_session *s = NULL;
    gla_diag diag;
    double sum = 0;

    cr_assert_eq(gla_session_create(model, NULL, &s, &diag), GLA_OK);
    cr_assert_eq(
        gla_feed(
            &(gla_feed_item){
                .session = s, .tokens = ids, .n_tokens = n, .logits = logits, .n_logits = n},
            1, sizeof(gla_feed_item), NULL, NULL, &diag),
        GLA_OK);
    for (size_t i = 0; i < n; i++)
        sum += gla_nll(logits + i * vocab, vocab, ids[i + 1]);
    cr_assert_float_eq(sum / (double)n, expected, 1e-3, "nll %.6f, reference %.6f", sum / (double)n,
                       expected);
    gla_session_free(s);
    free(logits);
}

/* A near tie may go the other way in another order of summation: from there on texts differ. */
Test(tiny_hybrid, greedy_continuations)
{
    const uint32_t vocab = gla_model_vocab_size(model);
    float *logits = malloc(vocab * sizeof(*logits));
    json_t *list = json_object_get(reference, "greedy"), *one;
    size_t i, compared = 0;

    json_array_foreach(list, i, one)
    {
        int32_t prompt[256], expected[256];
        const size_t n_prompt = ids_of(json_object_get(one, "prompt_ids"), prompt, 256);
        const size_t n = ids_of(json_object_get(one, "ids"), expected, 256);
        gla_session *s = NULL;
        gla_diag diag;

        cr_assert_eq(gla_session_create(model, NULL, &s, &diag), GLA_OK);
        cr_assert_eq(feed_logits(s, prompt, n_prompt, logits, &diag), GLA_OK);
        for (size_t k = 0; k < n; k++) {
            const double margin =
                json_real_value(json_array_get(json_object_get(one, "margin"), k));
            uint32_t best = 0;

            for (uint32_t v = 1; v < vocab; v++)
                best = logits[v] > logits[best] ? v : best;
            if ((int32_t)best != expected[k]) {
                cr_assert_lt(margin, 0.05, "text %zu, token %zu: %u, reference %d, margin %.3f", i,
                             k, best, expected[k], margin);
                break;
            }
            compared++;
            cr_assert_eq(feed_logits(s, &expected[k], 1, logits, &diag), GLA_OK);
        }
        gla_session_free(s);
    }
    cr_assert_gt(compared, 60, "only %zu tokens could be compared", compared);
    free(logits);
}

/* Windows of 1024 tokens that do not overlap, documents joined by the end token, as in training. */
Test(tiny_hybrid, likelihood_of_the_validation_text)
{
    const uint32_t vocab = gla_model_vocab_size(model), window = 1024, step = 256;
    const double expected =
        json_real_value(json_object_get(json_object_get(reference, "result"), "val_stories"));
    float *logits = malloc((size_t)step * vocab * sizeof(*logits));
    gla_tokenizer *tokenizer = NULL;
    gla_session *s = NULL;
    int32_t *ids = NULL;
    size_t size, n = 0, predicted = 0;
    char *data = read_text(GLA_SOURCE_DIR "/tests/data/val_stories.txt", &size);
    gla_diag diag;
    double sum = 0;

    cr_assert_eq(gla_tokenizer_open(FOLDER, &tokenizer, &diag), GLA_OK);
    cr_assert_eq(gla_tokenizer_encode(tokenizer, data, size, 0, &ids, &n, &diag), GLA_OK);
    cr_assert_eq(gla_session_create(model, NULL, &s, &diag), GLA_OK);
    for (size_t i = 0; i + 1 < n; i += step) {
        const size_t m = n - 1 - i < step ? n - 1 - i : step;

        if (i % window == 0)
            gla_session_reset(s);
        cr_assert_eq(gla_feed(&(gla_feed_item){.session = s,
                                               .tokens = ids + i,
                                               .n_tokens = m,
                                               .logits = logits,
                                               .n_logits = m},
                              1, sizeof(gla_feed_item), NULL, NULL, &diag),
                     GLA_OK);
        for (size_t k = 0; k < m; k++)
            sum += gla_nll(logits + k * vocab, vocab, ids[i + k + 1]);
        predicted += m;
    }
    cr_assert_float_eq(sum / (double)predicted, expected, 0.01, "nll %.4f, training said %.4f",
                       sum / (double)predicted, expected);
    gla_session_free(s);
    gla_tokenizer_free(tokenizer);
    gla_ids_free(ids);
    free(data);
    free(logits);
}
