/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_session.c - laws of sessions, over random walks of everything that can be done to them
 *
 *   2   run(0..n) = run(0..k), saved and loaded, run(k..n): bit for bit
 *   5   a batch of any shape = separate runs, in any order
 *   12  a fork changes nothing in its parent: bit for bit
 *       whatever was done to a session, it says what a fresh run over its tokens says
 */
#include "support/session_models.h"

#include <criterion/parameterized.h>
#include <unistd.h>

typedef struct walk_param {
    uint64_t seed;
    uint32_t mix;
    uint32_t kv_dtype;
    char name[32];
} walk_param;

#define SEEDS 6

static walk_param params[N_MIXES * SEEDS];

static struct criterion_test_params all_mixes(void)
{
    for (uint32_t i = 0; i < N_MIXES * SEEDS; i++) {
        params[i].mix = i % N_MIXES;
        params[i].seed = 1000 + i;
        params[i].kv_dtype = i / N_MIXES % 2 ? GLA_DTYPE_BF16 : GLA_DTYPE_F32;
        snprintf(params[i].name, sizeof(params[i].name), "%s, seed %u", mixes[i % N_MIXES].name,
                 1000 + i);
    }
    return cr_make_param_array(walk_param, params, N_MIXES * SEEDS);
}

/* ---- a walk ---- */

#define MAX_SESSIONS 5
#define MAX_TEXT     330

typedef struct walker {
    gla_session *session; /* NULL: free */
    int32_t text[MAX_TEXT];
    size_t n;
} walker;

typedef struct walk {
    const walk_param *param;
    gla_model *m;
    gla_session_options o;
    rng r;
    walker all[MAX_SESSIONS];
    int32_t prompt[MAX_TEXT]; /* that many begin with */
    char path[32];
} walk;

static walker *pick(walk *w)
{
    for (;;) {
        walker *one = &w->all[rng_below(&w->r, MAX_SESSIONS)];

        if (!one->session) {
            one->session = mix_session(w->m, &w->o);
            one->n = 0;
        }
        return one;
    }
}

/* The next tokens of one: of the common prompt, as a rule, at the beginning. */
static size_t extend(walk *w, walker *one)
{
    const uint32_t lengths[] = {1, 2, 30, 64, 150};
    size_t n = 1 + rng_below(&w->r, lengths[rng_below(&w->r, 5)]);

    n = n < MAX_TEXT - one->n ? n : MAX_TEXT - one->n;
    if (one->n == 0 && rng_below(&w->r, 3))
        memcpy(one->text, w->prompt, n * sizeof(int32_t));
    else
        random_tokens(&w->r, one->text + one->n, n);
    return n;
}

static void check(const walk *w, const walker *one, const float *logits)
{
    float fresh[VOCAB];

    cr_assert_eq(gla_session_position(one->session), one->n, "%s", w->param->name);
    cr_assert_arr_eq(gla_session_tokens(one->session), one->text, one->n * sizeof(int32_t));
    fresh_logits(w->m, &w->o, one->text, one->n, fresh);
    /* A last bit of f32 decides how a key is rounded to bf16, 2^-8 of it either way. */
    assert_within(logits, fresh, VOCAB, w->param->kv_dtype == GLA_DTYPE_F32 ? 1e-9 : 1e-5,
                  w->param->name);
}

static void feed_several(walk *w)
{
    gla_feed_item items[MAX_SESSIONS];
    walker *who[MAX_SESSIONS];
    static float logits[MAX_SESSIONS][VOCAB];
    size_t n = 0;
    gla_diag diag;

    for (uint32_t i = 0, at = rng_below(&w->r, MAX_SESSIONS); i < MAX_SESSIONS; i++) {
        walker *one = &w->all[(at + i) % MAX_SESSIONS];
        const size_t more = one->session && rng_below(&w->r, 2) ? extend(w, one) : 0;

        if (!more)
            continue;
        items[n] = (gla_feed_item){.session = one->session,
                                   .tokens = one->text + one->n,
                                   .n_tokens = more,
                                   .logits = logits[n],
                                   .n_logits = 1};
        one->n += more;
        who[n++] = one;
    }
    if (n)
        must(gla_feed(items, n, sizeof(*items), NULL, NULL, &diag), &diag);
    for (size_t i = 0; i < n; i++)
        check(w, who[i], logits[i]);
}

static void fork_one(walk *w)
{
    walker *from = pick(w), *to = &w->all[rng_below(&w->r, MAX_SESSIONS)];
    gla_diag diag;

    if (from == to)
        return;
    gla_session_free(to->session);
    must(gla_session_fork(from->session, &to->session, &diag), &diag);
    memcpy(to->text, from->text, sizeof(to->text));
    to->n = from->n;
}

static void truncate_one(walk *w)
{
    walker *one = pick(w);
    gla_diag diag;

    one->n = rng_below(&w->r, (uint32_t)one->n + 1);
    must(gla_session_truncate(one->session, one->n, &diag), &diag);
}

static void save_and_load(walk *w)
{
    walker *one = pick(w);
    gla_diag diag;

    must(gla_session_save(one->session, w->path, &diag), &diag);
    gla_session_free(one->session);
    must(gla_session_load(w->m, w->path, &w->o, &one->session, &diag), &diag);
}

static void step_walk(walk *w)
{
    walker *one;
    gla_diag diag;

    switch (rng_below(&w->r, 10)) {
    case 0:
        fork_one(w);
        break;
    case 1:
        truncate_one(w);
        break;
    case 2:
        save_and_load(w);
        break;
    case 3:
        must(gla_session_mark(pick(w)->session, &diag), &diag);
        break;
    case 4:
        one = pick(w);
        if (one->n < MAX_TEXT / 2)
            break;
        gla_session_free(one->session);
        one->session = NULL;
        break;
    default:
        (void)pick(w);
        feed_several(w);
    }
}

ParameterizedTestParameters(prop_session, says_what_a_fresh_run_says)
{
    return all_mixes();
}

ParameterizedTest(walk_param *p, prop_session, says_what_a_fresh_run_says, .timeout = 120)
{
    walk w = {.param = p, .r = {p->seed}, .path = "/tmp/gla-walk-XXXXXX"};
    gla_memory memory;

    w.o = (gla_session_options){GLA_SIZED(gla_session_options), .kv_dtype = p->kv_dtype,
                                .prefix_cache = 1, .snapshot_stride = 16 + rng_below(&w.r, 100),
                                .snapshot_bytes = 1 + rng_below(&w.r, 400000)};
    gla_set_threads(1); /* threads cost small models more than they give */
    w.m = mix_model(&mixes[p->mix], 40, 4);
    random_tokens(&w.r, w.prompt, MAX_TEXT);
    close(mkstemp(w.path));
    for (int i = 0; i < 120; i++)
        step_walk(&w);
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        gla_session_free(w.all[i].session);
    gla_model_memory(w.m, &memory, sizeof(memory));
    cr_assert_eq(memory.kv, 0);
    cr_assert_eq(memory.state, 0);
    unlink(w.path);
    gla_model_free(w.m);
}

/* ---- bit for bit ---- */

static void read_file(const char *path, char **data, size_t *n)
{
    FILE *f = fopen(path, "rb");

    cr_assert_not_null(f);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    *data = malloc(*n);
    cr_assert_eq(fread(*data, 1, *n, f), *n);
    fclose(f);
}

/* Everything that a session is, as bytes. */
static void bytes_of(const gla_session *s, char **data, size_t *n)
{
    char path[] = "/tmp/gla-bytes-XXXXXX";
    gla_diag diag;

    close(mkstemp(path));
    must(gla_session_save(s, path, &diag), &diag);
    read_file(path, data, n);
    unlink(path);
}

static void assert_bytes(const gla_session *s, const char *data, size_t n, const char *what)
{
    char *now;
    size_t m;

    bytes_of(s, &now, &m);
    cr_assert_eq(n, m, "%s", what);
    cr_assert_arr_eq(data, now, n, "%s", what);
    free(now);
}

ParameterizedTestParameters(prop_session, a_fork_changes_nothing_in_its_parent)
{
    return all_mixes();
}

ParameterizedTest(walk_param *p, prop_session, a_fork_changes_nothing_in_its_parent, .timeout = 60)
{
    gla_model *m = mix_model(&mixes[p->mix], 40, 4);
    const gla_session_options o = {GLA_SIZED(gla_session_options), .kv_dtype = p->kv_dtype,
                                   .snapshot_stride = 50};
    gla_session *s = mix_session(m, &o), *f;
    rng r = {p->seed};
    int32_t tokens[300];
    char *before;
    size_t n;
    gla_diag diag;

    gla_set_threads(1);
    random_tokens(&r, tokens, 300);
    feed(s, tokens, 1 + rng_below(&r, 200), NULL);
    bytes_of(s, &before, &n);
    must(gla_session_fork(s, &f, &diag), &diag);
    assert_bytes(f, before, n, p->name);
    feed(f, tokens, 1 + rng_below(&r, 100), NULL);
    must(gla_session_truncate(f, rng_below(&r, 50), &diag), &diag);
    feed(f, tokens, 70, NULL);
    assert_bytes(s, before, n, p->name);
    gla_session_free(f);
    assert_bytes(s, before, n, p->name);
    free(before);
    gla_session_free(s);
    gla_model_free(m);
}

/* What the two say next, if it was asked. */
static void assert_same_logits(const gla_session *a, const gla_session *b, const char *what)
{
    const float *x = gla_session_logits(a), *y = gla_session_logits(b);

    cr_assert_eq(x != NULL, gla_session_position(a) > 0);
    cr_assert_eq(y != NULL, gla_session_position(a) > 0);
    if (x)
        assert_same(x, y, VOCAB, what);
}

ParameterizedTestParameters(prop_session, resumed_is_never_stopped)
{
    return all_mixes();
}

ParameterizedTest(walk_param *p, prop_session, resumed_is_never_stopped, .timeout = 60)
{
    gla_model *m = mix_model(&mixes[p->mix], 40, 4);
    /* bytes are compared: the one that never stopped has more snapshots to save */
    const gla_session_options o = {GLA_SIZED(gla_session_options), .kv_dtype = p->kv_dtype,
                                   .saved_bytes = 1};
    gla_session *s = mix_session(m, &o), *back;
    rng r = {p->seed};
    char path[] = "/tmp/gla-resume-XXXXXX";
    size_t n;
    gla_diag diag;

    gla_set_threads(p->seed < 1000 + N_MIXES ? 2 : 1);
    close(mkstemp(path));
    for (int i = 0; i < 4; i++) {
        int32_t tokens[90];
        float a[VOCAB], b[VOCAB];
        char *data;

        must(gla_session_save(s, path, &diag), &diag);
        must(gla_session_load(m, path, &o, &back, &diag), &diag);
        assert_same_logits(s, back, p->name);
        n = 1 + rng_below(&r, 90);
        random_tokens(&r, tokens, n);
        feed(s, tokens, n, a);
        feed(back, tokens, n, b);
        assert_same(a, b, VOCAB, p->name);
        bytes_of(s, &data, &n);
        assert_bytes(back, data, n, p->name);
        free(data);
        gla_session_free(s);
        s = back;
    }
    gla_session_free(s);
    unlink(path);
    gla_model_free(m);
}
