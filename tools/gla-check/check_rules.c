/* SPDX-License-Identifier: Apache-2.0
 *
 * check_rules.c - the checks
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gla-check/check.h"

enum { VOCAB = CHECK_VOCAB, PROMPT = CHECK_PROMPT };

static void make_tokens(int32_t *ids, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((seed >> 33) % VOCAB);
    }
}

/* A long text, single tokens after it, then ragged batches of three texts. */
/* logits: [VOCAB] of the last token. */
static gla_status feed(gla_session *s, const int32_t *ids, size_t n, float *logits, gla_diag *diag)
{
    const gla_status st = gla_session_feed(s, ids, n, GLA_FEED_LOGITS, diag);

    if (!st)
        memcpy(logits, gla_session_logits(s), VOCAB * sizeof(*logits));
    return st;
}

static gla_status feed_all(gla_model *m, float *logits, gla_diag *diag)
{
    gla_session *s[3] = {NULL, NULL, NULL};
    int32_t ids[PROMPT + 8];
    gla_status st = GLA_OK;

    make_tokens(ids, PROMPT + 8, 5);
    for (int i = 0; i < 3 && !st; i++)
        st = gla_session_create(m, NULL, &s[i], diag);
    if (!st)
        st = feed(s[0], ids, PROMPT, logits, diag);
    for (int i = 0; i < 4 && !st; i++)
        st = feed(s[0], ids + PROMPT + i, 1, logits, diag);
    if (!st) {
        const gla_feed_item items[] = {
            {.session = s[0], .tokens = ids, .n_tokens = 1, .logits = logits, .n_logits = 1},
            {.session = s[1],
             .tokens = ids + 1,
             .n_tokens = 23,
             .logits = logits + VOCAB,
             .n_logits = 1},
            {.session = s[2],
             .tokens = ids + 24,
             .n_tokens = 2,
             .logits = logits + 2 * VOCAB,
             .n_logits = 1}};

        st = gla_feed(items, 3, sizeof(*items), NULL, NULL, diag);
    }
    for (int i = 0; i < 3; i++)
        gla_session_free(s[i]);
    return st;
}

/* A refusal of a switch is an answer, a failed check is not. */
static bool refuses(const check *c, gla_status st)
{
    return c->variant && (st == GLA_E_INVALID || st == GLA_E_UNSUPPORTED || st == GLA_E_SCHEMA ||
                          st == GLA_E_LIMIT || st == GLA_E_SHAPE);
}

int check_runs(const check *c)
{
    float logits[3 * VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    uint64_t flags;
    gla_status st = check_model(c, &m, &flags, &diag);

    if (st)
        return refuses(c, st) ? 0 : check_say_diag(&diag);
    st = feed_all(m, logits, &diag);
    gla_model_free(m);
    if (st)
        return check_say_diag(&diag);
    if (check_malloc_seen()[0])
        return check_say("%s: nothing may be allocated while a batch runs; declare scratch in "
                         "create() or make it in bind()",
                         check_malloc_seen());
    return 0;
}

/* Every allocation that the layer makes fails once; then nothing may be left behind. */
int check_memory(const check *c)
{
    float logits[3 * VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    uint64_t flags;
    long long before, wanted;                          /* allocations */
    gla_status st = check_model(c, &m, &flags, &diag); /* what is made once is made now */

    if (!st)
        st = feed_all(m, logits, &diag);
    gla_model_free(m);
    if (st)
        return check_say_diag(&diag);
    before = check_living();
    wanted = check_asked();
    for (long long refuse = 0; refuse <= wanted && refuse <= 500; refuse++) {
        check_refuse(refuse);
        st = check_model(c, &m, &flags, &diag);
        if (!st)
            st = feed_all(m, logits, &diag);
        gla_model_free(m);
        if (refuse && check_asked() >= refuse && !st)
            return check_say(
                "allocation %lld of the layer failed and nothing came of it: create() or "
                "bind() must return GLA_E_NOMEM",
                refuse);
        if (check_living() != before)
            return check_say(
                "%lld allocations are not freed%s: destroy() gets every layer that create() "
                "made, half-made ones too",
                check_living() - before, refuse ? " after one failed" : "");
        if (!refuse)
            wanted = check_asked();
    }
    return 0;
}

int check_threads(const check *c)
{
    float one[3 * VOCAB], two[3 * VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    uint64_t flags;
    gla_status st;

    gla_set_validate(0); /* speed; the other checks have it on */
    gla_set_threads(1);
    st = check_model(c, &m, &flags, &diag);
    if (!st)
        st = feed_all(m, one, &diag);
    gla_set_threads(3);
    if (!st)
        st = feed_all(m, two, &diag);
    gla_model_free(m);
    if (st)
        return check_say_diag(&diag);
    if (flags & GLA_LAYER_DETERMINISTIC && memcmp(one, two, sizeof(one)))
        return check_say("gives other bits with three threads than with one, and says "
                         "GLA_LAYER_DETERMINISTIC");
    return 0;
}

/* Largest difference, relative to the largest number. */
static double off(const float *a, const float *b)
{
    double most = 1e-30, worst = 0;

    for (int i = 0; i < VOCAB; i++) {
        const double d = (double)a[i] - b[i];

        most = a[i] > most ? (double)a[i] : -a[i] > most ? -(double)a[i] : most;
        worst = !(d <= worst) ? d : -d > worst ? -d : worst;
    }
    return worst / most;
}

typedef struct three {
    gla_session *s, *fork, *loaded;
} three;

static gla_status follow(gla_model *m, three *t, float logits[4][VOCAB], gla_diag *diag)
{
    char path[] = "/tmp/gla-check-XXXXXX";
    const int fd = mkstemp(path);
    int32_t ids[PROMPT], other[PROMPT];
    gla_status st;

    make_tokens(ids, PROMPT, 5);
    make_tokens(other, PROMPT, 6);
    st = gla_session_create(m, NULL, &t->s, diag);
    if (!st)
        st = feed(t->s, ids, PROMPT, logits[0], diag); /* without a stop */
    gla_session_reset(t->s);
    if (!st)
        st = gla_session_feed(t->s, ids, 60, 0, diag);
    if (!st)
        st = gla_session_mark(t->s, diag);
    if (!st)
        st = gla_session_fork(t->s, &t->fork, diag);
    if (!st)
        st = gla_session_feed(t->fork, other, 20, 0, diag);
    if (!st)
        st = gla_session_save(t->s, path, diag);
    if (!st)
        st = feed(t->s, ids + 60, PROMPT - 60, logits[1], diag);
    if (!st)
        st = gla_session_truncate(t->fork, 60, diag);
    if (!st)
        st = feed(t->fork, ids + 60, PROMPT - 60, logits[2], diag);
    if (!st)
        st = gla_session_load(m, path, NULL, &t->loaded, diag);
    if (!st)
        st = feed(t->loaded, ids + 60, PROMPT - 60, logits[3], diag);
    if (fd >= 0)
        close(fd);
    unlink(path);
    return st;
}

/* The host moves states about: forked, cut back, saved and loaded, a text must go on alike. */
int check_sessions(const check *c)
{
    static const char *const ways[] = {"", "fed in two parts", "cut back to where it was forked",
                                       "saved and loaded"};
    float logits[4][VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    three t = {NULL, NULL, NULL};
    uint64_t flags;
    int status = 0;
    gla_status st;

    gla_set_validate(0);
    st = check_model(c, &m, &flags, &diag);
    if (!st)
        st = follow(m, &t, logits, &diag);
    gla_session_free(t.s);
    gla_session_free(t.fork);
    gla_session_free(t.loaded);
    gla_model_free(m);
    if (st)
        return check_say_diag(&diag);
    for (int i = 1; i < 4 && !status; i++)
        if (!(off(logits[0], logits[i]) < 1e-3))
            status =
                check_say("a text goes on differently when it is %s (by %.2g): what belongs to a "
                          "sequence must be in declared states, not in the layer",
                          ways[i], off(logits[0], logits[i]));
    return status;
}

#define PLACES                                                                                     \
    (GLA_LAYER_MIXER | GLA_LAYER_FFN | GLA_LAYER_NORM | GLA_LAYER_EMBEDDING | GLA_LAYER_HEAD)

/* Says which layers there are: a line "type flags variants", then one "=..." per variant. */
int check_loads(const check *c)
{
    gla_diag diag = {.offset = UINT64_MAX};
    gla_registry *r = NULL;
    uint32_t built_in = 0;
    gla_status st = gla_registry_create(NULL, &r, &diag);

    if (!st) {
        built_in = gla_registry_count(r);
        st = gla_registry_load(r, c->path, &diag);
    }
    if (st)
        return check_say_diag(&diag);
    if (gla_registry_count(r) == built_in)
        return check_say(
            "has only layer types that are built in already: give them names of your own");
    for (uint32_t i = built_in; i < gla_registry_count(r); i++) {
        const gla_layer_desc *d = gla_registry_get(r, i);

        if (!(d->flags & PLACES))
            return check_say("%s may stand nowhere: its flags name no place (GLA_LAYER_MIXER, "
                             "GLA_LAYER_FFN, ...)",
                             d->type_id);
        check_say("%s %llu %u\n", d->type_id, (unsigned long long)d->flags, check_variants(d));
        for (uint32_t v = 1; v <= check_variants(d); v++) {
            char name[160];

            check_variant_name(name, sizeof(name), d, v);
            check_say("=%s\n", name);
        }
    }
    gla_registry_free(r);
    return 0;
}
