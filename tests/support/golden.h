/* SPDX-License-Identifier: Apache-2.0
 *
 * golden.h - logits that a model's authors computed, and how far ours are from them
 */
#ifndef GLA_TESTS_GOLDEN_H
#define GLA_TESTS_GOLDEN_H

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct golden {
    int32_t *ids;
    float *logits; /* [n, vocab] */
    size_t n, vocab;
    double spread; /* standard deviation of the logits */
} golden;

/* golden.safetensors */
static inline golden golden_read(const char *path)
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
    gla_weights_free(w);
    for (size_t i = 0; i < g.n * g.vocab; i++) {
        sum += g.logits[i];
        square += (double)g.logits[i] * g.logits[i];
    }
    sum /= (double)(g.n * g.vocab);
    g.spread = sqrt(square / (double)(g.n * g.vocab) - sum * sum);
    return g;
}

static inline void golden_free(golden *g)
{
    free(g->ids);
    free(g->logits);
}

/* Largest difference over all logits, fed so many tokens at a time. */
static inline double golden_error(gla_model *m, const golden *g, size_t feed)
{
    float *logits = malloc(g->n * g->vocab * sizeof(*logits));
    gla_session *s = NULL;
    gla_diag diag;
    double worst = 0;

    cr_assert_eq(gla_session_create(m, NULL, &s, &diag), GLA_OK, "%s", diag.message);
    for (size_t i = 0; i < g->n; i += feed) {
        const size_t n = g->n - i < feed ? g->n - i : feed;
        const gla_feed_item item = {.session = s,
                                    .tokens = g->ids + i,
                                    .n_tokens = n,
                                    .logits = logits + i * g->vocab,
                                    .n_logits = n};

        cr_assert_eq(gla_feed(&item, 1, sizeof(item), NULL, NULL, &diag), GLA_OK, "%s: %s",
                     diag.where, diag.message);
    }
    for (size_t i = 0; i < g->n * g->vocab; i++) {
        const double d = fabs((double)logits[i] - g->logits[i]);

        worst = d > worst || isnan(d) ? (isnan(d) ? INFINITY : d) : worst;
    }
    gla_session_free(s);
    free(logits);
    return worst;
}

#endif
