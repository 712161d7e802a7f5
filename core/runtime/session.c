/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/session.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "runtime/sessions.h"

/* ---- what the sessions of a model share ---- */

static void shared_free(void *p)
{
    gla__shared *shared = p;

    if (!shared)
        return;
    gla__store_deinit(&shared->store);
    gla__free(shared);
}

gla_status gla__shared_get(gla_model *m, gla__shared **out, gla_diag *diag)
{
    gla_status st = GLA_OK;

    pthread_mutex_lock(&m->lock);
    if (!m->sessions) {
        gla__shared *shared = gla__alloc_zero(sizeof(*shared));

        if (shared) {
            gla__store_init(&shared->store, &m->layout, &m->kv_bytes, &m->state_bytes,
                            &m->cache_bytes);
            m->sessions_free = shared_free;
            m->sessions = shared;
        } else {
            st = gla__fail_nomem(diag, "the sessions of a model");
        }
    }
    *out = m->sessions;
    pthread_mutex_unlock(&m->lock);
    return st;
}

/* ---- life ---- */

static bool is_kv_dtype(uint32_t dtype)
{
    return dtype == GLA_DTYPE_F32 || dtype == GLA_DTYPE_BF16 || dtype == GLA_DTYPE_I8;
}

/* A session without its sequence; gla_session_destroy() takes it as it is. */
static gla_status new_session(gla_model *m, gla_session **out, gla_diag *diag)
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
    *out = s;
    return GLA_OK;
}

gla_status gla_session_create(gla_model *m, const gla_session_options *options, gla_session **out,
                              gla_diag *diag)
{
    const gla_session_options o = options ? *options : (gla_session_options){0};
    const uint32_t kv_dtype = o.kv_dtype ? o.kv_dtype : m->kv_dtype;
    gla_session *s;
    gla_status st;

    *out = NULL;
    if (!is_kv_dtype(kv_dtype))
        return gla__fail(diag, GLA_E_INVALID, "KV caches are f32, bf16 or int8, not %s",
                         gla_dtype_name(kv_dtype));
    st = new_session(m, &s, diag);
    if (st)
        return st;
    st = gla__sequence_init(&s->seq, &s->shared->store, kv_dtype, diag);
    if (st) {
        gla_session_destroy(s);
        return st;
    }
    *out = s;
    return GLA_OK;
}

void gla_session_destroy(gla_session *s)
{
    if (!s)
        return;
    gla__sequence_deinit(&s->seq);
    gla__model_unref(s->model);
    gla__free(s);
}

void gla_session_reset(gla_session *s)
{
    gla__sequence_reset(&s->seq);
}

uint64_t gla_session_position(const gla_session *s)
{
    return s->seq.position;
}

const int32_t *gla_session_tokens(const gla_session *s)
{
    return s->seq.tokens;
}

gla_model *gla_session_model(const gla_session *s)
{
    return s->model;
}

gla_status gla_session_fork(const gla_session *s, gla_session **out, gla_diag *diag)
{
    gla_session *fork;
    gla_status st = new_session(s->model, &fork, diag);

    *out = NULL;
    if (st)
        return st;
    st = gla__sequence_copy(&fork->seq, &s->seq, diag);
    if (st) {
        gla_session_destroy(fork);
        return st;
    }
    *out = fork;
    return GLA_OK;
}

void gla_session_memory(const gla_session *s, gla_memory *out)
{
    memset(out, 0, sizeof(*out));
    out->kv = gla__sequence_kv_bytes(&s->seq);
    out->state = s->model->layout.fixed_bytes;
}
