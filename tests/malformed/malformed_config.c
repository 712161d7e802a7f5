/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad config.json: each class by name, with the status and words it must give. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "formats/import/import.h"

/* A small model of a family, `more` at its end: the last of two keys would win, so duplicates are
 * refused. */
#define SMALL(type, more)                                                                          \
    "{\"model_type\":\"" type                                                                      \
    "\",\"hidden_size\":64,\"num_hidden_layers\":2,\"vocab_size\":61" more "}"

static const struct {
    const char *name, *json;
    gla_status status;
    const char *message;
} cases[] = {
    {"fine", SMALL("gla", ",\"num_heads\":2"), GLA_OK, ""},
    {"nothing", "", GLA_E_CORRUPT, "not valid JSON: '[' or '{' expected"},
    {"not JSON", "{\"model_type\":", GLA_E_CORRUPT, "not valid JSON: unexpected token"},
    {"a list", "[]", GLA_E_CORRUPT, "a config is a JSON object, this is something else"},
    {"two documents", "{} {}", GLA_E_CORRUPT, "not valid JSON: end of file expected"},
    {"no model_type", "{}", GLA_E_UNSUPPORTED, "there is no key model_type: of what family is it?"},
    {"model_type a number", "{\"model_type\":7}", GLA_E_UNSUPPORTED, "7: expected a string"},
    {"unknown model_type", SMALL("rnn", ""), GLA_E_UNSUPPORTED,
     "\"rnn\" is not known; known: bamba"},
    {"duplicate key", SMALL("gla", ",\"vocab_size\":62"), GLA_E_CORRUPT,
     "not valid JSON: duplicate object key"},
    {"text for a number", SMALL("gla", ",\"num_heads\":\"2\""), GLA_E_UNSUPPORTED,
     "\"2\": expected a whole number"},
    {"fraction for a number", SMALL("gla", ",\"num_heads\":2.5"), GLA_E_UNSUPPORTED,
     "2.5: expected a whole number"},
    {"negative number", SMALL("gla", ",\"num_heads\":-2"), GLA_E_UNSUPPORTED,
     "-2: expected a number between 1 and 1024"},
    {"number above 2^63", SMALL("gla", ",\"num_heads\":9223372036854775808"), GLA_E_CORRUPT,
     "not valid JSON: too big integer"},
    {"no heads", SMALL("gla", ",\"num_heads\":0"), GLA_E_UNSUPPORTED,
     "0: expected a number between 1 and 1024"},
    {"a billion layers",
     "{\"model_type\":\"gla\",\"hidden_size\":64,\"num_hidden_layers\":1000000000,\"vocab_size\":"
     "61}",
     GLA_E_UNSUPPORTED, "1000000000: expected a number between 1 and 4096"},
    {"width of nothing",
     "{\"model_type\":\"gla\",\"hidden_size\":0,\"num_hidden_layers\":1,\"vocab_size\":61}",
     GLA_E_UNSUPPORTED, "0: expected a number between 1 and 1048576"},
    {"more channels per head than there are: a division by the heads", SMALL("hgrn2", ""),
     GLA_E_UNSUPPORTED, "not given: hidden_size is no multiple of the heads"},
    {"list for a switch", SMALL("gla", ",\"use_output_gate\":[true]"), GLA_E_UNSUPPORTED,
     "[true]: expected true or false"},
    {"activation nobody has", SMALL("llama", ",\"hidden_act\":\"maxout\""), GLA_E_UNSUPPORTED,
     "\"maxout\": no such activation here"},
    {"rope of a kind nobody has",
     SMALL("llama", ",\"num_attention_heads\":2,\"rope_scaling\":{\"rope_type\":\"odd\"}"),
     GLA_E_UNSUPPORTED, "\"odd\": no such rotary positions here"},
    {"attention layers past the end",
     SMALL("gla", ",\"num_heads\":2,\"attn\":{\"layers\":[7],\"num_heads\":2}"), GLA_E_UNSUPPORTED,
     "7: expected a number between 0 and 1"},
    {"attention layers of texts",
     SMALL("gla", ",\"num_heads\":2,\"attn\":{\"layers\":[\"a\"],\"num_heads\":2}"),
     GLA_E_UNSUPPORTED, "\"a\": expected a whole number"},
};

Test(malformed_config, is_refused_with_reason)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gla__import *im;
        gla_diag diag = {0};
        const gla_status st =
            gla__import_open(cases[i].json, strlen(cases[i].json), "config.json", NULL, &im, &diag);

        cr_expect_eq(st, cases[i].status, "%s: %s: %s", cases[i].name, gla_status_name(st),
                     diag.message);
        cr_expect(strstr(diag.message, cases[i].message), "%s: \"%s\"", cases[i].name,
                  diag.message);
        cr_expect_eq(!st, im != NULL, "%s", cases[i].name);
        gla__import_close(im);
    }
}

/* As deep as the limit, and far beyond what a stack would hold. */
Test(malformed_config, depth_is_limited)
{
    static char text[200000];

    for (size_t depth = 65; depth < 90000; depth *= 8) {
        gla__import *im;
        gla_diag diag = {0};
        size_t n = (size_t)sprintf(text, "{\"model_type\":");

        memset(text + n, '[', depth);
        memset(text + n + depth, ']', depth);
        text[n + 2 * depth] = '}';
        cr_expect_eq(gla__import_open(text, n + 2 * depth + 1, "config.json", NULL, &im, &diag),
                     GLA_E_LIMIT, "depth %zu: %s", depth, diag.message);
        gla__import_close(im);
    }
}
