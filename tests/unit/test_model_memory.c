/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/toy_layers.h"

/* An allocator that counts, and fails from the n-th allocation on. */
typedef struct counter {
    atomic_long living, made;
    long fail_at; /* 0: never */
} counter;

static void *counted_alloc(void *ctx, size_t bytes, size_t alignment)
{
    counter *c = ctx;
    const long n = atomic_fetch_add(&c->made, 1) + 1;
    void *p;

    if (c->fail_at && n >= c->fail_at)
        return NULL;
    p = aligned_alloc(alignment, bytes);
    if (p)
        atomic_fetch_add(&c->living, 1);
    return p;
}

static void counted_free(void *ctx, void *p)
{
    counter *c = ctx;

    if (p)
        atomic_fetch_sub(&c->living, 1);
    free(p);
}

static const char text[] =
    "gla: 1\nvocab_size: 16\nd_model: 8\ntie_embeddings: true\nblocks:\n"
    "  lin: {mixer: {type: gla, heads: 2}, ffn: {type: swiglu, d_ff: 16}}\n"
    "  attn: {mixer: [{type: attention, heads: 2}, {type: gla, heads: 1}], norm_at: sandwich}\n"
    "layers: [lin, attn]\n";

/* Makes a registry, a description and a model, and feeds a few tokens. */
static gla_status everything(void)
{
    static const int32_t tokens[] = {1, 2, 3};
    const gla_model_options o = {.max_batch_rows = 8, .weights_dtype = GLA_DTYPE_F32};
    gla_model_options with = o;
    gla_registry *r = NULL;
    gla_arch *arch = NULL;
    gla_description *d = NULL;
    gla_model *m = NULL;
    gla_session *s = NULL;
    float logits[16];
    gla_status st = gla_registry_create(&r, NULL);

    if (!st)
        st = gla_arch_parse(text, strlen(text), "text", &arch, NULL);
    if (!st)
        st = gla_describe(arch, r, &d, NULL);
    with.registry = r;
    if (!st)
        st = gla_model_random(arch, &with, &m, NULL);
    if (!st)
        st = gla_session_create(m, NULL, &s, NULL);
    if (!st)
        st = gla_session_feed(s, tokens, 3, logits, NULL);
    gla_session_destroy(s);
    gla_model_close(&m);
    gla_description_free(d);
    gla_arch_free(arch);
    gla_registry_unref(r);
    return st;
}

Test(model_memory, every_failed_allocation_is_reported_and_nothing_is_lost)
{
    counter c = {.fail_at = 0};
    const gla_allocator allocator = {counted_alloc, counted_free, &c};
    long needed;

    gla_set_allocator(&allocator);
    cr_assert_eq(everything(), GLA_OK); /* what is made once in a process is made now */
    cr_assert_eq(everything(), GLA_OK);
    atomic_store(&c.made, 0);
    cr_assert_eq(everything(), GLA_OK);
    needed = atomic_load(&c.made);
    cr_assert_gt(needed, 100);
    for (long n = 1; n <= needed; n++) {
        const long before = atomic_load(&c.living);
        gla_status st;

        atomic_store(&c.made, 0);
        c.fail_at = n;
        st = everything();
        c.fail_at = 0;
        cr_assert_eq(st, GLA_E_NOMEM, "allocation %ld of %ld: status %d", n, needed, (int)st);
        cr_assert_eq(atomic_load(&c.living), before, "allocation %ld of %ld is lost", n, needed);
    }
    gla_set_allocator(NULL);
}
