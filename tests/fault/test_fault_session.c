/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fault_session.c - memory runs out at every allocation of everything a session does
 *
 * Each case runs again and again: the n-th allocation fails, for n = 1, 2, ... until none does;
 * once that one alone, once all from there on.  After each the session must be usable and stand
 * where the header says; at the end not a byte may be left.
 */
#include "support/session_models.h"

#include <unistd.h>

#include "support/failing_memory.h"

typedef struct faulty {
    gla_model *m;
    gla_session *s;
    int32_t tokens[400];
    char path[32];
} faulty;

/* Does the thing; what it may change of f it must change as the header says. */
typedef gla_status action(faulty *f, gla_diag *diag);

static const gla_session_options options = {GLA_SIZED(gla_session_options), .prefix_cache = 1,
                                            .snapshot_stride = 32};

/* At position 150, the last 30 tokens one by one. */
static void bring_up(faulty *f)
{
    float logits[VOCAB];

    f->s = mix_session(f->m, &options);
    feed(f->s, f->tokens, 120, NULL);
    for (size_t i = 120; i < 149; i++)
        feed(f->s, f->tokens + i, 1, NULL);
    feed(f->s, f->tokens + 149, 1, logits);
}

static void assert_usable(faulty *f, const char *what)
{
    const uint64_t n = gla_session_position(f->s);
    float logits[VOCAB], fresh[VOCAB];
    int32_t text[400];

    cr_assert_leq(n, 350);
    memcpy(text, gla_session_tokens(f->s), n * sizeof(int32_t));
    memcpy(text + n, f->tokens + 300, 20 * sizeof(int32_t));
    feed(f->s, f->tokens + 300, 20, logits);
    fresh_logits(f->m, NULL, text, n + 20, fresh);
    assert_close(logits, fresh, VOCAB, what);
}

static void run_case(uint32_t which, action *act, const char *what, bool whole)
{
    faulty f = {.path = "/tmp/gla-fault-XXXXXX"};
    rng r = {21};
    gla_diag diag;

    gla_set_threads(1); /* the order of allocations is the same each time */
    memory_take_over();
    random_tokens(&r, f.tokens, 400);
    f.m = mix_model(&mixes[which], 40, 4);
    close(mkstemp(f.path));
    for (int mode = 0; mode < 2; mode++) {
        long n = 0;

        do {
            gla_status st;
            uint64_t before;

            bring_up(&f);
            must(gla_session_save(f.s, f.path, &diag), &diag);
            before = gla_session_position(f.s);
            memory_arm(++n, mode);
            st = act(&f, &diag);
            memory_disarm();
            if (!memory_failed())
                must(st, &diag);
            cr_assert(st == GLA_OK || st == GLA_E_NOMEM, "%s, allocation %ld: %s", what, n,
                      gla_status_name(st));
            if (st && whole)
                cr_assert_eq(gla_session_position(f.s), before, "%s, allocation %ld", what, n);
            assert_usable(&f, what);
            gla_session_free(f.s);
        } while (memory_failed());
        cr_assert_gt(n, 1, "%s allocates nothing: the case tests nothing", what);
    }
    unlink(f.path);
    gla_model_free(f.m);
    cr_assert_eq(memory_live(), 0, "%s: %ld allocations left", what, memory_live());
    memory_give_back();
}

static gla_status prefill(faulty *f, gla_diag *diag)
{
    float logits[VOCAB];

    return feed_logits(f->s, f->tokens + 150, 130, logits, diag);
}

static gla_status first_prompt(faulty *f, gla_diag *diag)
{
    float logits[VOCAB];
    gla_session *s;
    gla_status st = gla_session_create(f->m, &options, &s, diag);

    if (st)
        return st;
    st = feed_logits(s, f->tokens, 140, logits, diag);
    gla_session_free(s);
    return st;
}

static gla_status decode(faulty *f, gla_diag *diag)
{
    gla_status st = GLA_OK;

    for (size_t i = 150; !st && i < 200; i++)
        st = gla_session_feed(f->s, f->tokens + i, 1, 0, diag);
    return st;
}

static gla_status fork_it(faulty *f, gla_diag *diag)
{
    gla_session *fork;
    const gla_status st = gla_session_fork(f->s, &fork, diag);

    cr_assert_eq(st != GLA_OK, fork == NULL);
    gla_session_free(fork);
    return st;
}

static gla_status truncate_it(faulty *f, gla_diag *diag)
{
    return gla_session_truncate(f->s, 110, diag);
}

static gla_status mark_it(faulty *f, gla_diag *diag)
{
    return gla_session_mark(f->s, diag);
}

static gla_status save_it(faulty *f, gla_diag *diag)
{
    const gla_status st = gla_session_save(f->s, f->path, diag);
    gla_session *back;
    gla_diag other;

    memory_disarm(); /* the file is the old one or the new one, and whole */
    must(gla_session_load(f->m, f->path, NULL, &back, &other), &other);
    gla_session_free(back);
    return st;
}

static gla_status load_it(faulty *f, gla_diag *diag)
{
    gla_session *back;
    const gla_status st = gla_session_load(f->m, f->path, &options, &back, diag);

    cr_assert_eq(st != GLA_OK, back == NULL);
    gla_session_free(back);
    return st;
}

Test(fault_session, prefill, .timeout = 300)
{
    run_case(MIX_ALL, prefill, "prefill", false);
}

Test(fault_session, prompt_from_the_cache, .timeout = 300)
{
    run_case(MIX_ALL, first_prompt, "prompt from the cache", true);
}

Test(fault_session, decode, .timeout = 300)
{
    run_case(MIX_HYBRID, decode, "decode", false);
}

Test(fault_session, fork, .timeout = 300)
{
    run_case(MIX_ALL, fork_it, "fork", true);
}

Test(fault_session, truncate, .timeout = 300)
{
    run_case(MIX_ALL, truncate_it, "truncate", true);
}

Test(fault_session, mark, .timeout = 300)
{
    run_case(MIX_ALL, mark_it, "mark", true);
}

Test(fault_session, save, .timeout = 300)
{
    run_case(MIX_ALL, save_it, "save", true);
}

Test(fault_session, load, .timeout = 300)
{
    run_case(MIX_ALL, load_it, "load", true);
}
