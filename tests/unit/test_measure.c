/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/gla.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/feed.h"

static gla_model *small_model(void)
{
    static const char text[] = "gla: 1\nname: small\nvocab_size: 64\nd_model: 32\n"
                               "norm: {type: rmsnorm, eps: 1.0e-6}\ntie_embeddings: true\n"
                               "blocks:\n"
                               "  lin:\n    mixer: {type: gla, heads: 2}\n"
                               "    ffn: {type: swiglu, d_ff: 64}\n"
                               "  attn:\n"
                               "    mixer: {type: attention, heads: 2, kv_heads: 1, head_dim: 16}\n"
                               "    ffn: {type: swiglu, d_ff: 64}\n"
                               "layers:\n  pattern: [lin, attn]\n";
    const gla_model_options o = {GLA_SIZED(gla_model_options), .weights_dtype = GLA_DTYPE_I8};
    gla_arch *arch;
    gla_model *model;

    cr_assert_eq(gla_arch_parse(text, sizeof(text) - 1, "small", &arch, NULL), GLA_OK);
    cr_assert_eq(gla_model_random(arch, &o, &model, NULL), GLA_OK);
    gla_arch_free(arch);
    return model;
}

Test(measure, reads_all_pieces_and_refuses_too_few_bytes)
{
    const size_t bytes = (size_t)3 << 20;
    char *data = calloc(1, bytes);
    gla_diag diag;
    double rate = -1, start;

    cr_assert_eq(gla_measure_read(data, 1000, 0, &rate, &diag), GLA_E_INVALID);
    cr_assert_eq(rate, 0);
    cr_assert_eq(gla_measure_read(NULL, bytes, 0, &rate, &diag), GLA_E_INVALID);
    start = gla__clock_seconds();
    cr_assert_eq(gla_measure_read(data + 1, bytes - 1, 0.02, &rate, &diag), GLA_OK);
    cr_expect_geq(gla__clock_seconds() - start, 0.02);
    /* the one piece that is whole, once at least */
    cr_expect_geq(rate * (gla__clock_seconds() - start), 2 << 20);
    free(data);
}

Test(measure, products_are_of_f32_or_int8)
{
    static const uint32_t refused[] = {GLA_DTYPE_BF16, GLA_DTYPE_I4, 0, 99};
    gla_diag diag;
    double rate, start = gla__clock_seconds();

    cr_assert_eq(gla_measure_gemm(5, 33, 17, GLA_DTYPE_F32, 0, &rate, &diag), GLA_OK);
    cr_expect_geq(rate * (gla__clock_seconds() - start), 2 * 5 * 33 * 17);
    cr_assert_eq(gla_measure_gemm(5, 33, 17, GLA_DTYPE_I8, 0, &rate, &diag), GLA_OK);
    cr_expect_geq(rate * (gla__clock_seconds() - start), 2 * 5 * 33 * 17);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cr_assert_eq(gla_measure_gemm(5, 33, 17, refused[i], 0, &rate, &diag), GLA_E_INVALID);
        cr_assert_eq(rate, 0);
    }
    cr_assert_eq(gla_measure_gemm(0, 33, 17, GLA_DTYPE_F32, 0, &rate, &diag), GLA_E_INVALID);
    cr_assert_eq(
        gla_measure_gemm(UINT32_MAX, UINT32_MAX, UINT32_MAX, GLA_DTYPE_F32, 0, &rate, &diag),
        GLA_E_NOMEM);
}

Test(measure, feeding_computes_the_same_and_counts_every_kind)
{
    static const int32_t tokens[] = {1, 2, 3, 5, 8, 13, 21, 34};
    double seconds[GLA_WORK_COUNT] = {0};
    gla_model *model = small_model();
    float plain[64], timed[64];
    gla_session *a, *b;

    cr_assert_eq(gla_session_create(model, NULL, &a, NULL), GLA_OK);
    cr_assert_eq(gla_session_create(model, NULL, &b, NULL), GLA_OK);
    cr_assert_eq(feed_logits(a, tokens, 8, plain, NULL), GLA_OK);
    cr_assert_eq(
        gla_measure_feed(
            &(gla_feed_item){
                .session = b, .tokens = tokens, .n_tokens = 8, .logits = timed, .n_logits = 1},
            1, sizeof(gla_feed_item), NULL, NULL, seconds, GLA_WORK_COUNT, NULL),
        GLA_OK);
    cr_assert_eq(memcmp(plain, timed, sizeof(plain)), 0);
    for (uint32_t i = 0; i < GLA_WORK_COUNT; i++)
        if (i != GLA_WORK_CONV) /* it has none */
            cr_assert_gt(seconds[i], 0, "%s", gla_work_name(i));
    cr_assert_eq(seconds[GLA_WORK_CONV], 0);
    cr_assert_str_eq(gla_work_name(GLA_WORK_COUNT), "?");
    gla_session_free(a);
    gla_session_free(b);
    gla_model_free(model);
}

Test(measure, a_model_says_what_its_weights_are_a_description_does_not)
{
    gla_model *model = small_model();
    const gla_description *d = gla_model_description(model);
    gla_description *bare;
    gla_registry *registry;
    uint32_t n_int8 = 0;

    for (uint32_t i = 0; i < d->n_weights; i++) {
        const gla_weight_info *w = &d->weights[i];

        n_int8 += w->dtype == GLA_DTYPE_I8;
        if (w->role == GLA_WEIGHT_VECTOR)
            cr_assert_eq(w->dtype, GLA_DTYPE_F32, "%s", w->name);
        else if (w->flags & GLA_WEIGHT_SENSITIVE)
            cr_assert_eq(w->dtype, GLA_DTYPE_BF16, "%s", w->name);
        else
            cr_assert_eq(w->dtype, GLA_DTYPE_I8, "%s", w->name);
    }
    cr_assert_gt(n_int8, 8);
    cr_assert_eq(gla_registry_create(NULL, &registry, NULL), GLA_OK);
    cr_assert_eq(gla_describe(gla_model_arch(model), registry, &bare, NULL), GLA_OK);
    cr_assert_eq(bare->n_weights, d->n_weights);
    for (uint32_t i = 0; i < bare->n_weights; i++)
        cr_assert_eq(bare->weights[i].dtype, 0);
    gla_description_free(bare);
    gla_registry_free(registry);
    gla_model_free(model);
}

Test(measure, a_filled_session_stands_where_it_was_put)
{
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_I8};
    const int32_t token = 5;
    gla_model *model = small_model();
    gla_diag diag;
    gla_session *cached;

    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        const gla_session_options o = {GLA_SIZED(gla_session_options), .kv_dtype = dtypes[i],
                                       .snapshot_stride = 512};
        float logits[64], other[64];
        gla_memory filled, fed;
        gla_session *s, *t;
        static int32_t zeros[5001];

        cr_assert_eq(gla_session_create(model, &o, &s, NULL), GLA_OK);
        cr_assert_eq(gla_session_create(model, &o, &t, NULL), GLA_OK);
        cr_assert_eq(gla_session_feed(s, zeros, 1, 0, NULL), GLA_OK);
        cr_assert_eq(gla_measure_fill(s, 5000, NULL), GLA_OK);
        cr_assert_eq(feed_logits(t, zeros, 5001, other, NULL), GLA_OK);
        cr_expect_eq(gla_session_position(s), 5001);
        cr_expect_eq(gla_session_tokens(s)[5000], 0);
        gla_session_memory(s, &filled, sizeof(filled));
        gla_session_memory(t, &fed, sizeof(fed));
        cr_expect_eq(filled.kv, fed.kv);
        cr_assert_eq(feed_logits(s, &token, 1, logits, NULL), GLA_OK);
        cr_assert_eq(feed_logits(t, &token, 1, other, NULL), GLA_OK);
        cr_expect(logits[0] == logits[0] && logits[0] != other[0]); /* finite, and of the noise */
        gla_session_free(s);
        gla_session_free(t);
    }
    cr_assert_eq(gla_session_create(
                     model,
                     &(gla_session_options){GLA_SIZED(gla_session_options), .prefix_cache = 1},
                     &cached, NULL),
                 GLA_OK);
    cr_expect_eq(gla_measure_fill(cached, 10, &diag), GLA_E_INVALID);
    cr_expect_eq(gla_session_position(cached), 0);
    gla_session_free(cached);
    gla_model_free(model);
}
