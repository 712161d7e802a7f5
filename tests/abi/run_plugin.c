/* SPDX-License-Identifier: Apache-2.0
 *
 * run_plugin.c PLUGIN.so MIXER - loads a mixer, "{type: org.example.ema, expand: 2}", and runs it
 * between built-in layers: the same logits for the whole text, token by token, and after a fork
 */
#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/feed.h"

enum { TOKENS = 70, VOCABULARY = 64 };

static const char before[] =
    "gla: 1\nname: with-plugin\nvocab_size: 64\nd_model: 32\ntie_embeddings: true\nweights: f32\n"
    "blocks:\n  own: {mixer: ";
static const char after[] =
    ", ffn: {type: swiglu, d_ff: 64}}\n"
    "  attn: {mixer: {type: attention, heads: 4}, ffn: {type: swiglu, d_ff: 64}}\n"
    "  gla: {mixer: {type: gla, heads: 2}}\n"
    "layers: [own, gla, attn, own]\n";

static gla_diag diag;

static void check(gla_status st, const char *what)
{
    char text[800];

    if (!st)
        return;
    fprintf(stderr, "%s: %s\n", what, gla_diag_format(&diag, text, sizeof(text)));
    exit(1);
}

static void same(const float *a, const float *b, const char *what)
{
    for (int i = 0; i < VOCABULARY; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-4f * (1 + fabsf(a[i])))) {
            fprintf(stderr, "%s: logit %d is %g and %g\n", what, i, (double)a[i], (double)b[i]);
            exit(1);
        }
}

int main(int argc, char **argv)
{
    static float whole[VOCABULARY], steps[VOCABULARY], forked[VOCABULARY];
    int32_t tokens[TOKENS];
    char arch_text[1024];
    gla_registry *r;
    gla_arch *arch;
    gla_model *m;
    gla_session *a, *b, *c;
    gla_model_options options = {GLA_SIZED(gla_model_options), .seed = 1};

    if (argc != 3)
        return 2;
    snprintf(arch_text, sizeof(arch_text), "%s%s%s", before, argv[2], after);
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = (i * 7 + i * i) % VOCABULARY;
    check(gla_registry_create(NULL, &r, &diag), "registry");
    check(gla_registry_load(r, argv[1], &diag), "load");
    options.registry = r;
    check(gla_arch_parse(arch_text, strlen(arch_text), "text", &arch, &diag), "arch");
    check(gla_model_random(arch, &options, &m, &diag), "model");
    gla_registry_free(r); /* the model keeps it */

    check(gla_session_create(m, NULL, &a, &diag), "session");
    check(feed_logits(a, tokens, TOKENS, whole, &diag), "feed");
    check(gla_session_create(m, NULL, &b, &diag), "session");
    for (int i = 0; i < TOKENS - 1; i++)
        check(feed_logits(b, &tokens[i], 1, steps, &diag), "feed");
    check(gla_session_fork(b, &c, &diag), "fork");
    check(feed_logits(b, &tokens[TOKENS - 1], 1, steps, &diag), "feed");
    check(feed_logits(c, &tokens[TOKENS - 1], 1, forked, &diag), "feed");
    same(whole, steps, "prefill and decode");
    same(steps, forked, "session and fork");

    gla_session_free(a);
    gla_session_free(b);
    gla_session_free(c);
    gla_model_free(m);
    gla_arch_free(arch);
    printf("%s: runs\n", argv[1]);
    return 0;
}
