/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "support/failing_memory.h"
#include "support/toy_layers.h"
#include "support/feed.h"

static const char text[] =
    "gla: 1\nvocab_size: 16\nd_model: 8\ntie_embeddings: true\nblocks:\n"
    "  lin: {mixer: {type: gla, heads: 2}, ffn: {type: swiglu, d_ff: 16}}\n"
    "  attn: {mixer: [{type: attention, heads: 2}, {type: gla, heads: 1}], norm_at: sandwich}\n"
    "layers: [lin, attn]\n";

/* Makes a registry, a description and a model, and feeds a few tokens. */
static gla_status everything(void *ctx, gla_diag *diag)
{
    static const int32_t tokens[] = {1, 2, 3};
    gla_model_options with = {GLA_SIZED(gla_model_options), .max_batch_rows = 8,
                              .weights_dtype = GLA_DTYPE_F32};
    gla_registry *r = NULL;
    gla_arch *arch = NULL;
    gla_description *d = NULL;
    gla_model *m = NULL;
    gla_session *s = NULL;
    float logits[16];
    gla_status st = gla_registry_create(NULL, &r, diag);

    (void)ctx;
    if (!st)
        st = gla_arch_parse(text, strlen(text), "text", &arch, diag);
    if (!st)
        st = gla_describe(arch, r, &d, diag);
    with.registry = r;
    if (!st)
        st = gla_model_random(arch, &with, &m, diag);
    if (!st)
        st = gla_session_create(m, NULL, &s, diag);
    if (!st)
        st = feed_logits(s, tokens, 3, logits, diag);
    gla_session_free(s);
    gla_model_free(m);
    gla_description_free(d);
    gla_arch_free(arch);
    gla_registry_free(r);
    return st;
}

Test(model_memory, every_failed_allocation_is_reported_and_nothing_is_lost)
{
    gla_diag diag;

    memory_take_over();
    cr_assert_eq(everything(NULL, &diag), GLA_OK); /* what is made once in a process is made now */
    cr_assert_eq(everything(NULL, &diag), GLA_OK);
    cr_assert_gt(memory_every("everything", everything, NULL), 200);
    memory_give_back();
}
