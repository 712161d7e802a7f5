/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/session.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/parallel.h"
#include "base/sized.h"
#include "runtime/sessions.h"
#include "state/session_file.h"

#define DEFAULT_STRIDE         512u
#define DEFAULT_SNAPSHOT_BYTES (UINT64_C(64) << 20)

/* ---- life ---- */

gla_status gla__session_new(gla_model *m, gla_session **out, gla_diag *diag)
{
    gla_session *s;
    gla_status st;

    *out = NULL;
    s = gla__alloc_zero(sizeof(*s));
    if (!s)
        return gla__fail_nomem(diag, "a session");
    st = gla__shared_get(m, &s->shared, diag);
    if (st) {
        gla__free(s);
        return st;
    }
    s->model = gla__model_ref(m);
    atomic_flag_clear(&s->feeding);
    *out = s;
    return GLA_OK;
}

static void set_options(gla_session *s, const gla_session_options *o)
{
    const uint64_t four = 4 * (uint64_t)s->model->layout.fixed_bytes;
    const uint64_t budget = four > DEFAULT_SNAPSHOT_BYTES ? four : DEFAULT_SNAPSHOT_BYTES;

    s->set.bypass = o->bypass;
    s->set.prefix_cache = o->prefix_cache && !o->bypass;
    s->ring.budget = o->snapshot_bytes ? o->snapshot_bytes : budget;
    s->set.saved_bytes = o->saved_bytes;
    if (gla__snapshot_needed(&s->model->layout))
        s->set.stride = o->snapshot_stride ? o->snapshot_stride : DEFAULT_STRIDE;
}

static gla_status read_options(const gla_model *m, const gla_session_options *given,
                               gla_session_options *o, gla_diag *diag)
{
    const uint32_t n_mixers = gla__graph_program(m->graph)->n_mixers;
    const gla_status st = gla__read_struct(gla_session_options, saved_bytes, o, given, diag);

    if (st)
        return st;
    if (o->kv_dtype && o->kv_dtype != GLA_DTYPE_F32 && o->kv_dtype != GLA_DTYPE_BF16 &&
        o->kv_dtype != GLA_DTYPE_I8)
        return gla__fail(diag, GLA_E_INVALID, "KV caches are f32, bf16 or int8, not %s",
                         gla_dtype_name(o->kv_dtype));
    if (o->bypass > n_mixers)
        return gla__fail(diag, GLA_E_INVALID, "no mixer %" PRIu32 " to bypass, there are %" PRIu32,
                         o->bypass - 1, n_mixers);
    return GLA_OK;
}

gla_status gla_session_create(gla_model *m, const gla_session_options *options, gla_session **out,
                              gla_diag *diag)
{
    gla_session_options o;
    gla_session *s;
    gla_status st = read_options(m, options, &o, diag);

    *out = NULL;
    if (!st)
        st = gla__session_new(m, &s, diag);
    if (st)
        return st;
    st =
        gla__sequence_init(&s->seq, &s->shared->store, o.kv_dtype ? o.kv_dtype : m->kv_dtype, diag);
    if (st) {
        gla_session_free(s);
        return st;
    }
    set_options(s, &o);
    *out = s;
    return GLA_OK;
}

void gla_session_free(gla_session *s)
{
    if (!s)
        return;
    gla__ring_clear(&s->ring);
    gla__sequence_deinit(&s->seq);
    gla_model_free(s->model);
    gla__free(s);
}

void gla_session_reset(gla_session *s)
{
    gla__sequence_reset(&s->seq);
    gla__ring_clear(&s->ring);
}

uint64_t gla_session_position(const gla_session *s)
{
    return s->seq.position;
}

const int32_t *gla_session_tokens(const gla_session *s)
{
    return s->seq.tokens;
}

const float *gla_session_logits(const gla_session *s)
{
    return s->seq.has_logits ? s->seq.logits : NULL;
}

gla_model *gla_session_model(const gla_session *s)
{
    return s->model;
}

/* ---- steps of feeding ---- */

gla_status gla__session_reserve(gla_session *s, size_t n, bool logits, gla_diag *diag)
{
    gla_status st = GLA_OK;

    do {
        st = logits ? gla__sequence_reserve_logits(&s->seq, diag) : GLA_OK;
        if (!st)
            st = gla__sequence_reserve(&s->seq, n, diag);
    } while (st && gla__ring_give(&s->ring));
    return st;
}

uint64_t gla__session_resume(gla_session *s, const int32_t *tokens, uint64_t n)
{
    if (!s->set.prefix_cache || s->seq.position)
        return 0;
    gla__prefix_resume(s->shared->prefix, &s->seq, &s->ring, tokens, n, &s->match);
    s->asked = n;
    return s->match.reused;
}

size_t gla__session_border(const gla_session *s)
{
    if (!s->set.stride || s->set.stride == GLA_SNAPSHOT_NONE)
        return SIZE_MAX;
    return s->set.stride - (size_t)(s->seq.position % s->set.stride);
}

/* A snapshot here for the ring and the prefix cache, if there is memory for it. */
static gla_status freeze(gla_session *s, bool mark, gla__snapshot **out, gla_diag *diag)
{
    gla__snapshot *here = gla__ring_find(&s->ring, s->seq.position);
    gla_status st;

    *out = NULL;
    if (!s->set.stride || !s->seq.position)
        return GLA_OK;
    if (here && here->position == s->seq.position) {
        *out = gla__snapshot_ref(here);
        gla__ring_add(&s->ring, here, mark);
        return GLA_OK;
    }
    st = gla__snapshot_take(&s->seq, out, diag);
    if (!st)
        gla__ring_add(&s->ring, *out, mark);
    return st;
}

void gla__session_advance(gla_session *s, const int32_t *tokens, size_t n, bool prompt)
{
    gla__snapshot *snapshot = NULL;
    bool border, page;

    gla__sequence_advance(&s->seq, tokens, n);
    border = gla__session_border(s) == s->set.stride;
    page = s->seq.position % GLA__KV_PAGE_TOKENS == 0;
    if (border)
        (void)freeze(s, false, &snapshot, NULL); /* without it, coming back takes longer */
    /* A token at a time, only whole pages are worth a walk through the cache. */
    if (s->set.prefix_cache && (snapshot || page || prompt))
        gla__prefix_insert(s->shared->prefix, &s->seq, snapshot);
    gla__snapshot_unref(snapshot);
}

void gla__session_rollback(gla_session *s)
{
    gla__snapshot *p = gla__ring_find(&s->ring, s->seq.position);

    if (s->set.stride)
        gla__snapshot_restore(&s->seq, p);
    gla__sequence_trim(&s->seq);
    gla__ring_cut(&s->ring, s->seq.position);
}

gla_status gla_session_fork(const gla_session *s, gla_session **out, gla_diag *diag)
{
    gla_session *fork;
    gla_status st = gla__session_new(s->model, &fork, diag);

    *out = NULL;
    if (st)
        return st;
    fork->set = s->set;
    st = gla__sequence_copy(&fork->seq, &s->seq, diag);
    if (!st && !gla__ring_copy(&fork->ring, &s->ring))
        st = gla__fail_nomem(diag, "the snapshots of a fork");
    if (st) {
        gla_session_free(fork);
        return st;
    }
    *out = fork;
    return GLA_OK;
}

/* ---- snapshots and prefix cache ---- */

gla_status gla_session_mark(gla_session *s, gla_diag *diag)
{
    gla__snapshot *snapshot;
    const gla_status st = freeze(s, true, &snapshot, diag);

    if (st)
        return st;
    if (s->set.prefix_cache && s->seq.position)
        gla__prefix_insert(s->shared->prefix, &s->seq, snapshot);
    gla__snapshot_unref(snapshot);
    return GLA_OK;
}

void gla_session_snapshots(const gla_session *s, gla_snapshot_info *out, size_t size)
{
    gla_snapshot_info info = {.stride = s->set.stride,
                              .count = (uint32_t)s->ring.n,
                              .bytes = s->ring.bytes,
                              .budget = s->ring.budget};

    if (s->set.stride)
        info.worst_replay = gla__ring_worst_replay(&s->ring, s->seq.position);
    gla__write_struct(out, size, &info, sizeof(info));
}

uint64_t gla_session_replay(const gla_session *s, uint64_t n)
{
    const gla__snapshot *p;

    if (n >= s->seq.position || gla__sequence_can_cut(&s->seq, n))
        return 0;
    p = gla__ring_find(&s->ring, n);
    return n - (p ? p->position : 0);
}

void gla_session_cache_stats(const gla_session *s, gla_cache_stats *out, size_t size)
{
    gla_cache_stats stats = {0};

    stats.by_reason[s->match.reason] = 1;
    if (s->asked) {
        stats.lookups = 1;
        stats.hits = s->match.reused > 0;
        stats.tokens_asked = s->asked;
        stats.tokens_matched = s->match.matched;
        stats.tokens_reused = s->match.reused;
        stats.tokens_replayed = s->match.matched - s->match.reused;
    }
    gla__write_struct(out, size, &stats, sizeof(stats));
}

/* ---- memory ---- */

void gla_session_memory(const gla_session *s, gla_memory *out, size_t size)
{
    const gla_memory memory = {.kv = gla__sequence_kv_bytes(&s->seq),
                               .state = s->model->layout.fixed_bytes,
                               .history = gla__sequence_history_bytes(&s->seq),
                               .cache = s->ring.bytes};

    gla__write_struct(out, size, &memory, sizeof(memory));
}

/* ---- files ---- */

/* Bytes of two snapshots, windows as long as they get. */
static uint64_t two_snapshots(const gla_session *s)
{
    uint64_t bytes = s->model->layout.fixed_bytes;

    for (uint32_t i = 0; i < s->seq.n_tables; i++) {
        const gla__kv_table *t = &s->seq.tables[i];

        if (t->window)
            bytes += (t->window / GLA__KV_PAGE_TOKENS + 2) * (uint64_t)t->page_bytes;
    }
    return 2 * bytes;
}

gla_status gla_session_save(const gla_session *s, const char *path, gla_diag *diag)
{
    uint32_t threads;
    gla_status st;

    if (s->set.bypass)
        return gla__fail(diag, GLA_E_INVALID, "a session that bypasses a mixer cannot be saved");
    threads = gla__parallel_use(s->model->threads);
    st = gla__session_file_save(&s->seq, &s->ring,
                                s->set.saved_bytes ? s->set.saved_bytes : two_snapshots(s),
                                s->model->hash, path, diag);
    gla__parallel_use(threads);
    return st;
}

/* What was loaded is there for other sessions too. */
static void share_loaded(const gla_session *s)
{
    if (!s->seq.position)
        return;
    gla__prefix_insert(s->shared->prefix, &s->seq, NULL);
    for (size_t i = 0; i < s->ring.n; i++)
        gla__prefix_insert(s->shared->prefix, &s->seq, s->ring.slots[i].snapshot);
}

gla_status gla_session_load(gla_model *m, const char *path, const gla_session_options *options,
                            gla_session **out, gla_diag *diag)
{
    gla_session_options o;
    gla__snapshot *snapshot;
    gla_session *s;
    uint32_t threads;
    gla_status st = read_options(m, options, &o, diag);

    *out = NULL;
    if (!st && o.bypass)
        st = gla__fail(diag, GLA_E_INVALID, "a session that bypasses a mixer cannot be loaded");
    if (!st)
        st = gla__session_new(m, &s, diag);
    if (st)
        return st;
    set_options(s, &o);
    threads = gla__parallel_use(m->threads);
    st = gla__session_file_load(&s->seq, &s->ring, &s->shared->store, m->hash, o.kv_dtype, path,
                                diag);
    gla__parallel_use(threads);
    if (st) {
        gla_session_free(s);
        return st;
    }
    if (!freeze(s, true, &snapshot, NULL)) /* without it, coming back takes longer */
        gla__snapshot_unref(snapshot);
    if (s->set.prefix_cache)
        share_loaded(s);
    *out = s;
    return GLA_OK;
}
