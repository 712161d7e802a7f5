/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.h - gla_session_feed() with the logits of the last token in a buffer, for comparing
 */
#ifndef GLA_TESTS_FEED_H
#define GLA_TESTS_FEED_H

#include <gla/session.h>
#include <string.h>

/* logits: [vocab_size], as they were if nothing is fed or it fails; NULL: none. */
static inline gla_status feed_logits(gla_session *s, const int32_t *tokens, size_t n, float *logits,
                                     gla_diag *diag)
{
    const gla_status st = gla_session_feed(s, tokens, n, logits ? GLA_FEED_LOGITS : 0, diag);

    if (!st && n && logits)
        memcpy(logits, gla_session_logits(s),
               gla_model_vocab_size(gla_session_model(s)) * sizeof(*logits));
    return st;
}

#endif
