/* SPDX-License-Identifier: Apache-2.0
 *
 * rewind.c - a session cut back: to what its caches hold, or by computing again
 */
#include <gla/session.h>

#include "base/diag.h"
#include "runtime/sessions.h"

/* Computes the tokens of s from the position of `r` up to n in r. */
static gla_status replay(const gla_session *s, gla_session *r, uint64_t n, gla_diag *diag)
{
    const uint64_t from = r->seq.position;

    return gla_session_feed(r, s->seq.tokens + from, n - from, 0, diag);
}

/* Cuts back through a second session at the snapshot, so that s stays whole until that one has
 * reached n. */
static gla_status cut_and_replay(gla_session *s, uint64_t n, gla_diag *diag)
{
    gla_session *r;
    gla__sequence seq;
    gla__ring ring;
    gla_status st = gla__session_new(s->model, &r, diag);

    if (st)
        return st;
    r->set = s->set;
    r->set.prefix_cache = false; /* it has given already what is computed again */
    st = gla__snapshot_resume(&r->seq, &s->seq, gla__ring_find(&s->ring, n), diag);
    if (!st && !gla__ring_copy(&r->ring, &s->ring))
        st = gla__fail_nomem(diag, "the snapshots of a session");
    if (!st) {
        gla__ring_cut(&r->ring, r->seq.position);
        st = replay(s, r, n, diag);
    }
    if (!st) {
        seq = s->seq;
        s->seq = r->seq;
        r->seq = seq;
        ring = s->ring;
        s->ring = r->ring;
        r->ring = ring;
    }
    gla_session_free(r);
    return st;
}

gla_status gla_session_truncate(gla_session *s, uint64_t n, gla_diag *diag)
{
    if (n > s->seq.position)
        return gla__fail(diag, GLA_E_INVALID,
                         "cannot cut to %" PRIu64 " tokens, there are only %" PRIu64, n,
                         s->seq.position);
    if (n == 0) {
        gla_session_reset(s);
        return GLA_OK;
    }
    if (!gla__sequence_can_cut(&s->seq, n))
        return cut_and_replay(s, n, diag);
    gla__sequence_cut(&s->seq, n);
    gla__ring_cut(&s->ring, n);
    return GLA_OK;
}
