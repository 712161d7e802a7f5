/* SPDX-License-Identifier: Apache-2.0
 *
 * threads_models.c - two models with threads and a log of their own, driven at the same time
 *
 * A plain main, for the thread sanitizer.  Each has a registry with a mixer that says what it sees;
 * one model is computed by one thread, the other by two, while the process has three.
 */
#define GLA_PLUGIN_STATIC
#include <gla/gla.h>
#include <gla/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/registry.h"
#include "../support/blocks_v1_0.h"

enum { MODELS = 2, TOKENS = 40, FEEDS = 50, VOCABULARY = 32 };

static void check(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "threads_models: %s\n", what);
    exit(1);
}

/* ---- a mixer that says from forward() how many threads it has; y = x ---- */

struct gla_layer {
    const gla_host *host;
    uint32_t d;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    *out = gla_host_new(host, sizeof(**out));
    if (!*out)
        return GLA_E_NOMEM;
    (*out)->host = host;
    (*out)->d = cfg->d_out;
    host->log(host, GLA_LOG_INFO, "made");
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (l)
        gla_host_delete(l->host, l);
}

static gla_status bind_nothing(gla_layer *l, const gla_tensor *weights)
{
    (void)l;
    (void)weights;
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_host_parallel *p = b->host->get_extension(b->host, GLA_HOST_PARALLEL_ID);
    char text[32];

    memcpy(b->y, b->x, (size_t)b->n_rows * l->d * sizeof(float));
    snprintf(text, sizeof(text), "width %u", (unsigned)p->width(b->host));
    b->host->log(b->host, GLA_LOG_INFO, text);
    b->host->log(b->host, GLA_LOG_DEBUG, "not asked for");
    return GLA_OK;
}

static const gla_layer_desc talker = {.struct_size = sizeof(gla_layer_desc),
                                      .revision = 1,
                                      .type_id = "test.talker/1",
                                      .flags = GLA_LAYER_MIXER,
                                      .create = create,
                                      .destroy = destroy,
                                      .bind = bind_nothing,
                                      .forward = forward};
static const gla_layer_desc *const layers[] = {&talker};
GLA_PLUGIN_DEFINE(test_talker, "1.0", "Apache-2.0", NULL, NULL, layers);

/* ---- what is said where ---- */

typedef struct one {
    uint32_t threads;
    gla_model *model;
    float logits[VOCABULARY];         /* what it gives alone */
    atomic_uint made, widths, others; /* what its log got */
} one;

static void listen(void *ctx, int32_t level, const char *msg)
{
    one *o = ctx;
    char width[32];

    snprintf(width, sizeof(width), "width %u", (unsigned)o->threads);
    check(level >= GLA_LOG_INFO, "less than the registry's level was said");
    if (!strcmp(msg, "made"))
        atomic_fetch_add(&o->made, 1);
    else if (!strcmp(msg, width))
        atomic_fetch_add(&o->widths, 1);
    else
        atomic_fetch_add(&o->others, 1);
}

static void said_to_all(void *ctx, int32_t level, const char *msg)
{
    (void)ctx, (void)level;
    check(0, msg);
}

static void make(one *o)
{
    static const char text[] = "gla: 1\nname: x\nvocab_size: 32\nd_model: 16\n"
                               "blocks: {a: {mixer: {type: gla, heads: 2}},"
                               " b: {mixer: {type: test.talker}}}\nlayers: {pattern: [a, b]}\n";
    const gla_registry_options ro = {GLA_SIZED(gla_registry_options), .log = listen, .log_ctx = o,
                                     .log_level = GLA_LOG_INFO};
    gla_model_options mo = {GLA_SIZED(gla_model_options), .threads = o->threads, .seed = 7};
    gla_arch *arch;
    gla_diag diag;

    check(!gla_registry_create(&ro, &mo.registry, &diag), "a registry");
    check(!gla__registry_add(mo.registry, &gla_plugin_entry_v1_test_talker, &diag), diag.message);
    check(!gla_arch_parse(text, sizeof(text) - 1, "text", &arch, &diag), diag.message);
    check(!gla_model_random(arch, &mo, &o->model, &diag), diag.message);
    check(atomic_load(&o->made) == 1, "create() did not say so to its registry");
    gla_registry_free(mo.registry);
    gla_arch_free(arch);
}

static void feed(one *o, float *logits)
{
    int32_t tokens[TOKENS];
    gla_session *s;
    gla_diag diag;

    for (int32_t i = 0; i < TOKENS; i++)
        tokens[i] = (i * 7 + 3) % VOCABULARY;
    check(!gla_session_create(o->model, NULL, &s, &diag), "a session");
    check(!gla_session_feed(s, tokens, TOKENS, GLA_FEED_LOGITS, &diag), diag.message);
    memcpy(logits, gla_session_logits(s), VOCABULARY * sizeof(*logits));
    gla_session_free(s);
}

static void *drive(void *arg)
{
    one *o = arg;
    float logits[VOCABULARY];

    for (int i = 0; i < FEEDS; i++) {
        feed(o, logits);
        check(!memcmp(logits, o->logits, sizeof(logits)), "other bits beside another model");
    }
    return NULL;
}

int main(void)
{
    static one all[MODELS] = {{.threads = 1}, {.threads = 2}};
    pthread_t threads[MODELS];

    gla_set_threads(3);
    gla_set_log(said_to_all, NULL, GLA_LOG_DEBUG);
    for (int i = 0; i < MODELS; i++) {
        make(&all[i]);
        feed(&all[i], all[i].logits);
    }
    check(gla_threads() == 3, "a model changed the threads of the process");
    for (int i = 0; i < MODELS; i++)
        pthread_create(&threads[i], NULL, drive, &all[i]);
    for (int i = 0; i < MODELS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < MODELS; i++) {
        check(atomic_load(&all[i].widths) == FEEDS + 1 && !atomic_load(&all[i].others),
              "a log has not what its model said");
        gla_model_free(all[i].model);
    }
    return 0;
}
