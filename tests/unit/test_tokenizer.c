/* SPDX-License-Identifier: Apache-2.0
 *
 * Against vectors of the published `tokenizers` package (tests/data/tokenizers/make_vectors.py).
 */
#include <gla/arch.h>
#include <gla/tokenizer.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#define DATA GLA_SOURCE_DIR "/tests/data/tokenizers/"

/* ---- help ---- */

static char *read_zst(const char *name, size_t *size)
{
    char path[512];
    FILE *f;
    static char packed[1 << 22];
    size_t n;
    char *out;

    snprintf(path, sizeof(path), DATA "%s.zst", name);
    f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    n = fread(packed, 1, sizeof(packed), f);
    fclose(f);
    *size = (size_t)ZSTD_getFrameContentSize(packed, n);
    out = malloc(*size);
    cr_assert_eq(ZSTD_decompress(out, *size, packed, n), *size);
    return out;
}

static json_t *read_json_zst(const char *name)
{
    size_t size;
    char *text = read_zst(name, &size);
    json_t *j = json_loadb(text, size, JSON_ALLOW_NUL, NULL);

    cr_assert_not_null(j, "%s", name);
    free(text);
    return j;
}

static gla_tokenizer *parse(const char *json, size_t size, const char *name)
{
    gla_tokenizer *t;
    gla_diag diag;
    char text[800];

    cr_assert_eq(gla_tokenizer_parse(json, size, name, &t, &diag), GLA_OK, "%s",
                 gla_diag_format(&diag, text, sizeof(text)));
    return t;
}

static gla_tokenizer *open_named(const char *name)
{
    char file[64];
    size_t size;
    char *json;
    gla_tokenizer *t;

    snprintf(file, sizeof(file), "%s.json", name);
    json = read_zst(file, &size);
    t = parse(json, size, file);
    free(json);
    return t;
}

static size_t wanted_ids(const json_t *list, int32_t **ids)
{
    const size_t n = json_array_size(list);

    *ids = malloc((n + 1) * sizeof(**ids));
    for (size_t i = 0; i < n; i++)
        (*ids)[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static int check_encode(const gla_tokenizer *t, const char *name, const json_t *vector,
                        const char *key, uint32_t flags)
{
    const json_t *text = json_object_get(vector, "text");
    int32_t *got, *want;
    size_t n_got, n_want = wanted_ids(json_object_get(vector, key), &want);
    gla_diag diag;
    int bad;

    cr_assert_eq(gla_tokenizer_encode(t, json_string_value(text), json_string_length(text), flags,
                                      &got, &n_got, &diag),
                 GLA_OK, "%s: %s", name, diag.message);
    bad = n_got != n_want || memcmp(got, want, n_got * sizeof(*got)) != 0;
    if (bad) {
        size_t i = 0;

        while (i < n_got && i < n_want && got[i] == want[i])
            i++;
        fprintf(stderr, "%s %s: %s\n  differ at id %zu of %zu (%zu expected): %d, expected %d\n",
                name, key, json_dumps(text, JSON_ENCODE_ANY), i, n_got, n_want,
                i < n_got ? got[i] : -1, i < n_want ? want[i] : -1);
    }
    gla_ids_free(got);
    free(want);
    return bad;
}

/* Whole and in pieces, which must be whole characters. */
static int check_decode(const gla_tokenizer *t, const char *name, const json_t *vector,
                        const char *ids_key, const char *key, int skip)
{
    const json_t *want = json_object_get(vector, key);
    int32_t *ids;
    size_t n = wanted_ids(json_object_get(vector, ids_key), &ids), size, total = 0;
    char *text, *stream;
    const char *piece;
    gla_detokenizer *d;
    int bad;

    cr_assert_eq(gla_tokenizer_decode(t, ids, n, skip, &text, &size, NULL), GLA_OK);
    cr_assert_eq(text[size], '\0');
    bad = size != json_string_length(want) || memcmp(text, json_string_value(want), size) != 0;
    if (bad)
        fprintf(stderr, "%s %s:\n  %s, expected\n  %s\n", name, key,
                json_dumps(json_stringn_nocheck(text, size), JSON_ENCODE_ANY),
                json_dumps(want, JSON_ENCODE_ANY));
    stream = malloc(size + 1);
    cr_assert_eq(gla_detokenizer_create(t, skip, &d), GLA_OK);
    for (size_t i = 0; i <= n; i++) {
        size_t piece_size;
        json_t *whole;

        cr_assert_eq(i < n ? gla_detokenizer_next(d, ids[i], &piece, &piece_size)
                           : gla_detokenizer_end(d, &piece, &piece_size),
                     GLA_OK);
        whole = json_stringn(piece, piece_size); /* NULL unless UTF-8 */
        cr_assert_not_null(whole, "%s: a piece is not UTF-8", name);
        json_decref(whole);
        cr_assert_leq(total + piece_size, size, "%s: streamed more than the whole", name);
        memcpy(stream + total, piece, piece_size);
        total += piece_size;
    }
    cr_assert(total == size && !memcmp(stream, text, size), "%s: streamed text differs", name);
    gla_detokenizer_destroy(d);
    gla_text_free(text);
    free(stream);
    free(ids);
    return bad;
}

static void check_vectors(const gla_tokenizer *t, const char *name, const json_t *vectors)
{
    size_t i;
    const json_t *v;
    int bad = 0;

    json_array_foreach(vectors, i, v)
    {
        if (json_is_string(json_object_get(v, "text"))) {
            bad += check_encode(t, name, v, "ids", 0);
            bad += check_encode(t, name, v, "special", GLA_ENCODE_SPECIAL);
            bad += check_encode(t, name, v, "plain", GLA_ENCODE_PLAIN);
        }
        bad += check_decode(t, name, v, "ids", "decoded", 0);
        bad += check_decode(t, name, v, "special", "clean", 1);
    }
    cr_assert_geq(i, 400, "%s: only %zu vectors", name, i);
    cr_expect_eq(bad, 0, "%s: %d of %zu vectors", name, bad, i);
}

static void check_real(const char *name)
{
    char file[64];
    gla_tokenizer *t = open_named(name);
    json_t *vectors;

    snprintf(file, sizeof(file), "%s.vectors.json", name);
    vectors = read_json_zst(file);
    check_vectors(t, name, vectors);
    json_decref(vectors);
    gla_tokenizer_close(&t);
    cr_assert_null(t);
}

Test(tokenizer, agrees_with_the_package_on_gpt2)
{
    check_real("gpt2");
}

Test(tokenizer, agrees_with_the_package_on_qwen3)
{
    check_real("qwen3");
}

Test(tokenizer, agrees_with_the_package_on_mistral)
{
    check_real("mistral");
}

Test(tokenizer, agrees_with_the_package_on_tiny_hybrid)
{
    check_real("tiny-hybrid");
}

Test(tokenizer, agrees_with_the_package_on_other_forms)
{
    json_t *all = read_json_zst("variants.json");
    const char *name;
    json_t *variant;

    cr_assert_geq(json_object_size(all), 35);
    json_object_foreach(all, name, variant)
    {
        char *json = json_dumps(json_object_get(variant, "tokenizer"), 0);
        gla_tokenizer *t = parse(json, strlen(json), name);

        check_vectors(t, name, json_object_get(variant, "vectors"));
        gla_tokenizer_close(&t);
        free(json);
    }
    json_decref(all);
}
