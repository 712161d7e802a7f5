/* SPDX-License-Identifier: Apache-2.0
 *
 * forks.c [MODEL [TEXT]] - reads a text once and tells three ways on
 */
#include <gla/gla.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gla_diag diag;

/* Every function that can fail returns 0, or says in diag where and why. */
static void check(gla_status status)
{
    char line[800];

    if (!status)
        return;
    fprintf(stderr, "forks: %s\n", gla_diag_format(&diag, line, sizeof(line)));
    exit(1);
}

/* Feeds a token, draws the next one, and so on; prints what came of n of them. */
static void tell(gla_session *s, const gla_tokenizer *tok, int32_t token, int n, uint64_t seed)
{
    const uint32_t vocab = gla_model_vocab_size(gla_session_model(s));
    const gla_sampler_options options = {
        GLA_SIZED(gla_sampler_options), .temperature = 0.7, .top_p = 0.95, .seed = seed};
    const uint64_t start = gla_session_position(s) + 1;
    gla_sampler *sampler;
    char *text;
    size_t size;

    check(gla_sampler_create(&options, vocab, &sampler, &diag));
    for (int i = 0; i <= n; i++) {
        check(gla_session_feed(s, &token, 1, GLA_FEED_LOGITS, &diag));
        check(gla_sampler_next(sampler, gla_session_logits(s), &token, &diag));
    }
    check(gla_tokenizer_decode(tok, gla_session_tokens(s) + start, n, GLA_DECODE_SKIP_SPECIAL, &text, &size, &diag));
    printf("%d:%s\n", (int)seed, text);
    gla_text_free(text);
    gla_sampler_free(sampler);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/tiny-hybrid";
    const char *text = argc > 2 ? argv[2] : "Once upon a time, there was a little";
    gla_session *trunk, *branch;
    gla_tokenizer *tok;
    gla_model *model;
    int32_t *ids;
    size_t n;

    check(gla_model_open(folder, NULL, &model, &diag));
    check(gla_tokenizer_open(folder, &tok, &diag));
    check(gla_tokenizer_encode(tok, text, strlen(text), GLA_ENCODE_SPECIAL, &ids, &n, &diag));
    check(gla_session_create(model, NULL, &trunk, &diag));
    check(gla_session_feed(trunk, ids, n - 1, 0, &diag)); /* read once ... */
    puts(text);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        check(gla_session_fork(trunk, &branch, &diag)); /* ... and on from there each time */
        tell(branch, tok, ids[n - 1], 24, seed);
        gla_session_free(branch);
    }
    gla_session_free(trunk);
    gla_ids_free(ids);
    gla_tokenizer_free(tok);
    gla_model_free(model);
    return 0;
}
