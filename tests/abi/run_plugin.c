/* SPDX-License-Identifier: Apache-2.0
 *
 * run_plugin.c PLUGIN.so MIXER [LOGITS] - loads a mixer, "{type: org.example.ema, expand: 2}", and
 * runs it between built-in layers: the same logits for the whole text, token by token, and after a
 * fork; and those of a file, one a line, '#' before remarks.  "-" prints such a file.
 *
 * Weights are made here, of their names, so that versions of the library can be compared.
 */
#include <gla/gla.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/tolerance.h"

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

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void check(gla_status st, const char *what)
{
    char text[800];

    if (st)
        fail(what, gla_diag_format(&diag, text, sizeof(text)));
}

/* ---- the model ---- */

/* In [-1/4, 1/4); weights of norms about 1. */
static float number(const char *name, uint64_t i)
{
    uint64_t z = UINT64_C(0xcbf29ce484222325);

    for (const char *p = name; *p; p++)
        z = (z ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    z += (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (float)((z ^ (z >> 31)) >> 40) / (float)(1 << 25) - 0.25f +
           (strstr(name, "norm") ? 1 : 0);
}

static int is_new(const gla_weight_info *w)
{
    return !w->shared_with_previous;
}

/* A safetensors file of all that the description lists. */
static void write_weights(const char *path, const gla_description *d)
{
    static char head[1 << 16];
    size_t n = 1;
    uint64_t at = 0;
    FILE *f = fopen(path, "wb");

    head[0] = '{';
    for (uint32_t i = 0; i < d->n_weights; i++) {
        const gla_weight_info *w = &d->weights[i];
        const size_t room = sizeof(head) - n;
        size_t m;

        if (!is_new(w))
            continue;
        m = (size_t)snprintf(head + n, room, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[",
                             at ? "," : "", w->name);
        for (uint32_t j = 0; j < w->ndim; j++)
            m += (size_t)snprintf(head + n + m, room - m, "%s%" PRId64, j ? "," : "", w->dims[j]);
        m += (size_t)snprintf(head + n + m, room - m,
                              "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at,
                              at + w->n_elements * sizeof(float));
        n += m;
        at += w->n_elements * sizeof(float);
    }
    head[n++] = '}';
    while (n % 8)
        head[n++] = ' ';
    if (!f || fwrite(&(uint64_t){n}, 8, 1, f) != 1 || fwrite(head, n, 1, f) != 1)
        fail(path, "cannot write");
    for (uint32_t i = 0; i < d->n_weights; i++)
        for (uint64_t j = 0; is_new(&d->weights[i]) && j < d->weights[i].n_elements; j++) {
            const float x = number(d->weights[i].name, j);

            if (fwrite(&x, sizeof(x), 1, f) != 1)
                fail(path, "cannot write");
        }
    if (fclose(f))
        fail(path, "cannot write");
}

static gla_model *make_model(const char *plugin, const char *mixer)
{
    char text[1024], path[] = "/tmp/gla-run-plugin-XXXXXX";
    gla_model_options options = {GLA_SIZED(gla_model_options)};
    gla_description *description;
    gla_weights *weights;
    gla_registry *r;
    gla_arch *arch;
    gla_model *m;

    snprintf(text, sizeof(text), "%s%s%s", before, mixer, after);
    check(gla_registry_create(NULL, &r, &diag), "registry");
    check(gla_registry_load(r, plugin, &diag), "load");
    check(gla_arch_parse(text, strlen(text), "text", &arch, &diag), "arch");
    check(gla_describe(arch, r, &description, &diag), "describe");
    close(mkstemp(path));
    write_weights(path, description);
    check(gla_weights_open(path, NULL, &weights, &diag), "weights");
    options.registry = r;
    check(gla_model_create(arch, weights, &options, &m, &diag), "model");
    gla_registry_free(r); /* the model keeps it */
    gla_weights_free(weights);
    gla_description_free(description);
    gla_arch_free(arch);
    unlink(path);
    return m;
}

/* ---- what it computes ---- */

static void same(const float *a, const float *b, const char *what)
{
    char text[80];

    for (int i = 0; i < VOCABULARY; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-4f * (1 + fabsf(a[i])))) {
            snprintf(text, sizeof(text), "logit %d is %g and %g", i, (double)a[i], (double)b[i]);
            fail(what, text);
        }
}

/* Four blocks, whose longest sums have d_ff = 64 products. */
static void compare(const float *logits, const char *path)
{
    tolerance t = tolerance_for(4 * 64);
    double want[VOCABULARY];
    char line[256];
    int n = 0;
    FILE *f = fopen(path, "r");

    while (f && fgets(line, sizeof(line), f))
        if (line[0] != '#' && n < VOCABULARY)
            want[n++] = strtod(line, NULL);
    if (!f || n != VOCABULARY)
        fail(path, "64 logits expected");
    fclose(f);
    if (!tolerance_check(&t, logits, want, VOCABULARY))
        fail(path, t.text);
    printf("as in %s: error %.2g of %.2g\n", path, t.worst, t.rtol);
}

int main(int argc, char **argv)
{
    static float whole[VOCABULARY], steps[VOCABULARY], forked[VOCABULARY];
    int32_t tokens[TOKENS];
    gla_model *m;
    gla_session *a, *b, *c;

    if (argc != 3 && argc != 4)
        return 2;
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = (i * 7 + i * i) % VOCABULARY;
    m = make_model(argv[1], argv[2]);
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
    if (argc == 4 && !strcmp(argv[3], "-")) {
        for (int i = 0; i < VOCABULARY; i++)
            printf("%.9g\n", (double)whole[i]);
        return 0;
    }
    if (argc == 4)
        compare(whole, argv[3]);
    printf("%s: runs\n", argv[1]);
    return 0;
}
