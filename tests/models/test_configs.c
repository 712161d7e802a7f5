/* SPDX-License-Identifier: Apache-2.0
 *
 * configs/: published config.json files (tests/data/configs) give the same networks, and the memory
 * that their authors state comes out.
 */
#include <criterion/criterion.h>
#include <gla/convert.h>
#include <gla/gla.h>
#include <stdio.h>
#include <string.h>

#define MIB 1048576.0

static gla_description *describe(gla_arch *arch, const char *name)
{
    gla_registry *r;
    gla_description *d;
    gla_diag diag;

    cr_assert_not_null(arch, "%s", name);
    cr_assert_eq(gla_registry_create(NULL, &r, NULL), GLA_OK);
    cr_assert_eq(gla_describe(arch, r, &d, &diag), GLA_OK, "%s: %s: %s", name, diag.where,
                 diag.message);
    gla_registry_free(r);
    gla_arch_free(arch);
    return d;
}

/* configs/NAME.yaml */
static gla_description *by_hand(const char *name)
{
    char path[512];
    gla_arch *arch = NULL;
    gla_diag diag;

    snprintf(path, sizeof(path), "%s/configs/%s.yaml", GLA_SOURCE_DIR, name);
    cr_assert_eq(gla_arch_read(path, &arch, &diag), GLA_OK, "%s: %s", path, diag.message);
    return describe(arch, name);
}

/* tests/data/configs/NAME.json */
static gla_description *published(const char *name)
{
    char path[512];
    gla_arch *arch = NULL;
    gla_diag diag;

    snprintf(path, sizeof(path), "%s/tests/data/configs/%s.json", GLA_SOURCE_DIR, name);
    cr_assert_eq(gla_convert_config(path, &arch, NULL, &diag), GLA_OK, "%s: %s", path,
                 diag.message);
    return describe(arch, name);
}

/* ---- the same networks ---- */

static const char *const names[] = {
    "gla-340m",   "gla-1.3b",    "gla-2.7b",   "deltanet-340m",      "gated-deltanet-340m",
    "hgrn2-340m", "mamba2-340m", "qwen3.5-9b", "kimi-linear-48b-a3b"};

static void expect_same(const gla_description *a, const gla_description *b, const char *name)
{
    cr_assert_eq(a->n_layers, b->n_layers, "%s: %u and %u layers", name, a->n_layers, b->n_layers);
    cr_assert_eq(a->n_weights, b->n_weights, "%s", name);
    for (uint32_t i = 0; i < a->n_layers; i++) {
        const gla_layer_info *x = &a->layers[i], *y = &b->layers[i];

        cr_expect_str_eq(x->name, y->name, "%s", name);
        cr_expect_str_eq(x->type_id, y->type_id, "%s", name);
        cr_expect_eq(x->state_bytes, y->state_bytes, "%s: %s", name, x->name);
        cr_expect_eq(x->kv_values_per_token, y->kv_values_per_token, "%s: %s", name, x->name);
        cr_expect_eq(x->window, y->window, "%s: %s", name, x->name);
    }
    for (uint32_t i = 0; i < a->n_weights; i++) {
        const gla_weight_info *x = &a->weights[i], *y = &b->weights[i];

        cr_expect_str_eq(x->name, y->name, "%s", name);
        cr_expect(x->ndim == y->ndim && !memcmp(x->dims, y->dims, x->ndim * sizeof(x->dims[0])),
                  "%s: %s", name, x->name);
        cr_expect_eq(x->shared_with_previous, y->shared_with_previous, "%s: %s", name, x->name);
    }
}

Test(configs, are_what_the_published_ones_convert_to)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        gla_description *a = published(names[i]), *b = by_hand(names[i]);

        expect_same(a, b, names[i]);
        gla_description_free(a);
        gla_description_free(b);
    }
}

/* ---- published figures ---- */

/* Authors count the matrices of the recurrence; the short convolutions remember a little more. */
static void expect_memory(gla_description *d, double matrices_mib, double convolutions,
                          uint64_t kv_bytes)
{
    cr_expect_eq((double)d->state_bytes, matrices_mib * MIB + convolutions);
    cr_expect_eq(d->kv_values_per_token * 2, kv_bytes); /* bf16 */
    gla_description_free(d);
}

Test(configs, take_the_memory_that_is_published)
{
    /* 36 layers: 32 heads of 128 x 128; 3 tokens of 2 * 2048 + 4096 channels */
    expect_memory(by_hand("qwen3-next-80b-a3b"), 72, 36 * 3 * 8192 * 4.0, 24 << 10);
    /* pruned experts, the same memory */
    expect_memory(published("qwen3-coder-next-e336"), 72, 36 * 3 * 8192 * 4.0, 24 << 10);
    /* 20 layers: 32 heads of 128 x 128; 7 of multi-head latent attention, 512 + 64 values each */
    expect_memory(by_hand("kimi-linear-48b-a3b"), 40, 20 * 3 * 12288 * 4.0, 7 * 576 * 2);
}

Test(configs, have_the_published_number_of_parameters)
{
    gla_description *next = by_hand("qwen3-next-80b-a3b"), *kimi = by_hand("kimi-linear-48b-a3b");

    cr_expect(next->params > 79e9 && next->params < 81e9, "80B, not %.3g", (double)next->params);
    cr_expect(next->active_params > 3e9 && next->active_params < 4e9, "A3B");
    cr_expect(kimi->params > 48e9 && kimi->params < 50e9, "48B, not %.3g", (double)kimi->params);
    cr_expect(kimi->active_params > 3e9 && kimi->active_params < 4e9, "A3B");
    gla_description_free(next);
    gla_description_free(kimi);
}
