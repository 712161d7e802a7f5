/* SPDX-License-Identifier: Apache-2.0 */
#include "support/session_models.h"

Test(session, feeds_and_reports_its_position_and_tokens)
{
    gla_model *m = mix_model(&mixes[MIX_ALL], 48, 4);
    gla_session *s = mix_session(m, NULL);
    int32_t tokens[200];
    float logits[VOCAB], last[VOCAB];
    rng r = {1};

    random_tokens(&r, tokens, 200);
    feed(s, tokens, 150, logits);
    cr_assert_eq(gla_session_position(s), 150);
    for (size_t i = 150; i < 200; i++)
        feed(s, tokens + i, 1, logits);
    cr_assert_eq(gla_session_position(s), 200);
    cr_assert_arr_eq(gla_session_tokens(s), tokens, sizeof(tokens));
    fresh_logits(m, NULL, tokens, 200, last);
    assert_close(logits, last, VOCAB, "prefill and decode");
    gla_session_reset(s);
    cr_assert_eq(gla_session_position(s), 0);
    feed(s, tokens, 200, logits);
    assert_same(logits, last, VOCAB, "after reset");
    gla_session_destroy(s);
    gla_model_close(&m);
}
