/* SPDX-License-Identifier: Apache-2.0
 *
 * forks.c MODEL TEXT - reads a text once and tells three ways on
 */
#include <gla/gla.h>
#include <stdio.h>
#include <stdlib.h>

static gla_diag diag;

/* Every function that can fail returns 0 or says in diag where and why. */
static void check(gla_status status)
{
    char line[800];

    if (!status)
        return;
    fprintf(stderr, "forks: %s\n", gla_diag_format(&diag, line, sizeof(line)));
    exit(1);
}

/* Draws a token, feeds it, and so on: n tokens as text. */
static void tell(gla_session *s, const gla_tokenizer *tok, float *logits, int n, uint64_t seed)
{
    const gla_sampler_options options = {.temperature = 0.7, .top_p = 0.95, .seed = seed};
    const uint64_t start = gla_session_position(s);
    gla_sampler *sampler;
    int32_t token;
    char *text;
    size_t size;

    check(
        gla_sampler_create(&options, gla_model_vocab_size(gla_session_model(s)), &sampler, &diag));
    for (int i = 0; i < n; i++) {
        check(gla_sampler_next(sampler, logits, &token, &diag));
        check(gla_session_feed(s, &token, 1, logits, &diag));
    }
    check(gla_tokenizer_decode(tok, gla_session_tokens(s) + start, (size_t)n, 1, &text, &size,
                               &diag));
    printf("%llu:%s\n", (unsigned long long)seed, text);
    gla_text_free(text);
    gla_sampler_destroy(sampler);
}

int main(int argc, char **argv)
{
    const char *text = argc > 2 ? argv[2] : "Once upon a time, there was a little";
    gla_session *trunk, *branch;
    gla_tokenizer *tok;
    gla_model *model;
    float *first, *logits; /* [vocabulary]: after the text; after a branch's last token */
    int32_t *ids;
    size_t n = 0;

    check(gla_model_open(argc > 1 ? argv[1] : "models/tiny-hybrid", NULL, &model, &diag));
    check(gla_tokenizer_open(argc > 1 ? argv[1] : "models/tiny-hybrid", &tok, &diag));
    first = malloc(gla_model_vocab_size(model) * sizeof(*first));
    logits = malloc(gla_model_vocab_size(model) * sizeof(*logits));
    if (!first || !logits)
        return 1;
    while (text[n])
        n++;
    check(gla_tokenizer_encode(tok, text, n, GLA_ENCODE_SPECIAL, &ids, &n, &diag));
    check(gla_session_create(model, NULL, &trunk, &diag));
    check(gla_session_feed(trunk, ids, n, first, &diag)); /* read once ... */
    puts(text);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        check(gla_session_fork(trunk, &branch, &diag)); /* ... continued from here each time */
        for (uint32_t i = 0; i < gla_model_vocab_size(model); i++)
            logits[i] = first[i];
        tell(branch, tok, logits, 24, seed);
        gla_session_destroy(branch);
    }
    gla_session_destroy(trunk);
    gla_ids_free(ids);
    gla_tokenizer_close(&tok);
    gla_model_close(&model);
    free(first);
    free(logits);
    return 0;
}
