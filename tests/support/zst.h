/* SPDX-License-Identifier: Apache-2.0
 *
 * zst.h - the compressed files of tests/data/tokenizers
 */
#ifndef GLA_TESTS_ZST_H
#define GLA_TESTS_ZST_H

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

/* NAME.zst, malloc()ed. */
static inline char *read_zst(const char *name, size_t *size)
{
    char path[512];
    FILE *f;
    static char packed[1 << 22];
    size_t n;
    char *out;

    snprintf(path, sizeof(path), GLA_SOURCE_DIR "/tests/data/tokenizers/%s.zst", name);
    f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    n = fread(packed, 1, sizeof(packed), f);
    fclose(f);
    *size = (size_t)ZSTD_getFrameContentSize(packed, n);
    out = malloc(*size);
    cr_assert_eq(ZSTD_decompress(out, *size, packed, n), *size);
    return out;
}

static inline json_t *read_json_zst(const char *name)
{
    size_t size;
    char *text = read_zst(name, &size);
    json_t *j = json_loadb(text, size, JSON_ALLOW_NUL, NULL);

    cr_assert_not_null(j, "%s", name);
    free(text);
    return j;
}

#endif
