/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/toy_layers.h"

/* Real layers: D 64, vocabulary 100, one gated linear and one softmax block. */
static gla_description *describe(int tied, uint32_t window)
{
    char text[1024];
    gla_registry *r;
    gla_description *d;
    gla_arch *arch;
    gla_diag diag;
    const int n = snprintf(text, sizeof(text),
                           "gla: 1\nvocab_size: 100\nd_model: 64\ntie_embeddings: %s\nblocks:\n"
                           "  attn: {mixer: {type: attention, heads: 4, kv_heads: 2, window: %u}, "
                           "ffn: {type: swiglu, d_ff: 96}}\n"
                           "  sum: {mixer: {type: test.sum}}\nlayers: [sum, attn]\n",
                           tied ? "true" : "false", (unsigned)window);

    r = toy_registry();
    cr_assert_eq(gla_arch_parse(text, (size_t)n, "t.yaml", &arch, &diag), GLA_OK, "%s",
                 diag.message);
    cr_assert_eq(gla_describe(arch, r, &d, &diag), GLA_OK, "%s: %s", diag.where, diag.message);
    gla_arch_free(arch);
    gla_registry_free(r);
    return d;
}

static const gla_layer_info *layer(const gla_description *d, const char *name)
{
    for (uint32_t i = 0; i < d->n_layers; i++)
        if (!strcmp(d->layers[i].name, name))
            return &d->layers[i];
    cr_assert_fail("no layer %s", name);
    return NULL;
}

Test(describe, counts_parameters_and_flops)
{
    gla_description *d = describe(0, 0);
    const uint64_t attn = 64 * 64 * 2 + 32 * 64 * 2, ffn = 3 * 64 * 96, norms = 4 * 64;

    cr_expect_eq(layer(d, "layers.1.mixer")->params, attn);
    cr_expect_eq(layer(d, "layers.1.ffn")->params, ffn);
    cr_expect_eq(layer(d, "embed")->params, 6400);
    cr_expect_eq(layer(d, "embed")->flops_per_token, 0);
    cr_expect_eq(d->params, attn + ffn + norms + 2 * 6400);
    cr_expect_eq(d->flops_per_token, 2.0 * (double)(attn + ffn + 6400) + 64);
    cr_expect_eq(gla_description_flops(d, 0), d->flops_per_token + 2.0 * 4 * 32);
    cr_expect_eq(gla_description_flops(d, 99), d->flops_per_token + 100 * 2.0 * 4 * 32);
    gla_description_free(d);
}

Test(describe, is_looked_at_through_functions)
{
    gla_description *d = describe(0, 0);

    for (uint32_t i = 0; i < d->n_layers; i++)
        cr_expect_eq(gla_description_layer(d, i), &d->layers[i]);
    for (uint32_t i = 0; i < d->n_weights; i++)
        cr_expect_eq(gla_description_weight(d, i), &d->weights[i]);
    cr_expect_null(gla_description_layer(d, d->n_layers));
    cr_expect_null(gla_description_weight(d, d->n_weights));
    gla_description_free(d);
}

Test(describe, a_tied_tensor_is_counted_once_but_multiplied)
{
    gla_description *a = describe(0, 0), *b = describe(1, 0);

    cr_expect_eq(a->params - b->params, 6400);
    cr_expect_eq(a->flops_per_token, b->flops_per_token);
    cr_expect_str_eq(b->weights[b->n_weights - 1].name, "embed.weight");
    cr_expect_eq(b->weights[b->n_weights - 1].shared_with_previous, 1);
    gla_description_free(a);
    gla_description_free(b);
}

Test(describe, kv_bytes_are_pages)
{
    gla_description *d = describe(0, 0);
    const uint64_t page = 64 * 2 * 2 * 16; /* numbers */

    cr_expect_eq(gla_description_kv_bytes(d, 0, GLA_DTYPE_F32), 0);
    cr_expect_eq(gla_description_kv_bytes(d, 1, GLA_DTYPE_F32), 4 * page);
    cr_expect_eq(gla_description_kv_bytes(d, 64, GLA_DTYPE_BF16), 2 * page);
    cr_expect_eq(gla_description_kv_bytes(d, 65, GLA_DTYPE_BF16), 4 * page);
    cr_expect_eq(gla_description_kv_bytes(d, 64, GLA_DTYPE_I8), page + 64 * 4 * 4);
    cr_expect_eq(layer(d, "layers.1.mixer")->kv_values_per_token, 64);
    cr_expect_eq(layer(d, "layers.1.mixer")->kv_heads_per_token, 4);
    gla_description_free(d);
}

Test(describe, a_window_bounds_kv_and_flops)
{
    gla_description *d = describe(0, 128);
    const uint64_t page = 64 * 2 * 2 * 16 * 4;

    cr_expect_eq(gla_description_kv_bytes(d, 128, GLA_DTYPE_F32), 2 * page);
    cr_expect_eq(gla_description_kv_bytes(d, 1000, GLA_DTYPE_F32), 3 * page);
    cr_expect_eq(gla_description_kv_bytes(d, 1024, GLA_DTYPE_F32), 2 * page);
    cr_expect_eq(gla_description_flops(d, 1000), d->flops_per_token + 128 * 2.0 * 4 * 32);
    gla_description_free(d);
}

Test(describe, crossover_is_the_first_context_where_kv_is_larger)
{
    gla_description *d = describe(0, 0);
    const uint64_t c = gla_description_crossover(d, GLA_DTYPE_F32);

    cr_expect_eq(d->state_bytes, 64 * 4);
    cr_expect_eq(c, 1);
    gla_description_free(d);
}

Test(describe, a_context_beyond_all_memory_ends)
{
    gla_description *d = describe(0, 0);
    const uint64_t most = UINT64_C(1) << 48, page = 64 * 2 * 2 * 16 * 4;
    gla_memory m;

    cr_expect_eq(gla_description_kv_bytes(d, most, GLA_DTYPE_F32), most / 64 * page);
    cr_expect_eq(gla_description_kv_bytes(d, UINT64_MAX, GLA_DTYPE_F32), most / 64 * page);
    cr_expect_eq(gla_description_flops(d, UINT64_MAX), gla_description_flops(d, most));
    gla_description_session(d, UINT64_MAX, GLA_DTYPE_F32, 0, &m, sizeof(m));
    cr_expect_gt(m.history, most * 4);
    gla_description_free(d);
}
