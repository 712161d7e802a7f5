/* SPDX-License-Identifier: Apache-2.0
 *
 * Every form of every step, and Oniguruma's patterns, on a small vocabulary: against vectors of the
 * published `tokenizers` package (tests/data/tokenizers/make_small.py).
 */
#include <gla/arch.h>
#include <gla/tokenizer.h>

#include <criterion/criterion.h>
#include <string.h>

#include "support/zst.h"

static int same_ids(const int32_t *ids, size_t n, const json_t *want)
{
    size_t i = 0;

    if (n != json_array_size(want))
        return 0;
    while (i < n && ids[i] == json_integer_value(json_array_get(want, i)))
        i++;
    return i == n;
}

/* 1 if what one text becomes, or what becomes of that, is not as published. */
static int check_text(const gla_tokenizer *t, const json_t *text, const json_t *ids,
                      const json_t *decoded)
{
    int32_t *got;
    size_t n, size;
    char *back = NULL;
    int bad;

    cr_assert_eq(gla_tokenizer_encode(t, json_string_value(text), json_string_length(text),
                                      GLA_ENCODE_SPECIAL, &got, &n, NULL),
                 GLA_OK);
    cr_assert_eq(gla_tokenizer_decode(t, got, n, 0, &back, &size, NULL), GLA_OK);
    bad = !same_ids(got, n, ids) || size != json_string_length(decoded) ||
          memcmp(back, json_string_value(decoded), size) != 0;
    if (bad)
        fprintf(stderr, "  %s: decoded \"%s\", expected \"%s\"\n",
                json_dumps(text, JSON_ENCODE_ANY), back, json_string_value(decoded));
    gla_ids_free(got);
    gla_text_free(back);
    return bad;
}

static int check_case(const json_t *plain, const json_t *c, const json_t *texts)
{
    static const char *const steps[] = {"normalizer", "pre_tokenizer", "post_processor", "decoder"};
    json_t *root = json_deep_copy(plain);
    char *json;
    gla_tokenizer *t;
    gla_diag diag;
    size_t i;
    const json_t *text;
    int bad = 0;

    for (i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        if (json_object_get(c, steps[i]))
            json_object_set(root, steps[i], json_object_get(c, steps[i]));
    json_object_update(json_object_get(root, "model"), json_object_get(c, "model"));
    json = json_dumps(root, 0);
    cr_assert_eq(gla_tokenizer_parse(json, strlen(json), "t", &t, &diag), GLA_OK, "%s: %s",
                 json_string_value(json_object_get(c, "name")), diag.message);
    json_array_foreach(texts, i, text) bad +=
        check_text(t, text, json_array_get(json_object_get(c, "ids"), i),
                   json_array_get(json_object_get(c, "decoded"), i));
    if (bad)
        fprintf(stderr, "%s: %d texts\n", json_string_value(json_object_get(c, "name")), bad);
    gla_tokenizer_free(t);
    free(json);
    json_decref(root);
    return bad;
}

Test(tokenizer_small, agrees_with_the_package_on_every_form_of_a_step)
{
    json_t *all = read_json_zst("small.json");
    const json_t *cases = json_object_get(all, "cases"), *c;
    size_t i;
    int bad = 0;

    json_array_foreach(cases, i, c) bad +=
        check_case(json_object_get(all, "plain"), c, json_object_get(all, "texts"));
    cr_assert_geq(i, 360);
    cr_expect_eq(bad, 0);
    json_decref(all);
}
