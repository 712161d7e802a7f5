/* SPDX-License-Identifier: Apache-2.0 */
#include "base/zstd.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/alloc.h"
#include "base/splitmix.h"

enum { N = 10000 };

static gla_diag diag;
static gla__zstd zstd;

/* Bytes of an uneven distribution, as a plane of weights has them. */
static void fill(uint8_t *raw, uint64_t seed)
{
    for (size_t i = 0; i < N; i++)
        raw[i] = (uint8_t)__builtin_ctzll(gla__splitmix_next(&seed) | 1u << 20);
}

Test(zstd, gives_back_what_it_got_at_every_level)
{
    static const int levels[] = {0, 1, 9, 22};
    uint8_t raw[N], back[N], *stored = gla__alloc(gla__zstd_bound(N));
    size_t n;

    fill(raw, 1);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        cr_assert_eq(
            gla__zstd_encode(&zstd, levels[i], raw, N, stored, gla__zstd_bound(N), &n, &diag),
            GLA_OK);
        cr_expect_lt(n, N / 2, "level %d: %zu bytes", levels[i], n);
        memset(back, 0xff, sizeof(back));
        cr_assert_eq(gla__zstd_decode(&zstd, stored, n, back, N, &diag), GLA_OK);
        cr_expect_arr_eq(raw, back, N);
    }
    gla__free(stored);
    gla__zstd_deinit(&zstd);
}

Test(zstd, says_when_it_does_not_fit)
{
    uint8_t raw[N], stored[N];
    size_t n;

    fill(raw, 2);
    cr_assert_eq(gla__zstd_encode(&zstd, 1, raw, N, stored, 100, &n, &diag), GLA_OK);
    cr_expect_eq(n, 0);
    gla__zstd_deinit(&zstd);
}

Test(zstd, refuses_what_is_not_the_one_frame)
{
    uint8_t raw[N], back[N + 1], stored[2 * N];
    size_t n;

    fill(raw, 3);
    cr_assert_eq(gla__zstd_encode(&zstd, 1, raw, N, stored, N, &n, &diag), GLA_OK);
    cr_expect_eq(gla__zstd_decode(&zstd, stored, n, back, N - 1, &diag), GLA_E_CORRUPT);
    cr_expect_eq(gla__zstd_decode(&zstd, stored, n, back, N + 1, &diag), GLA_E_CORRUPT);
    cr_expect_eq(gla__zstd_decode(&zstd, stored, n - 1, back, N, &diag), GLA_E_CORRUPT);
    cr_expect_eq(gla__zstd_decode(&zstd, stored, 3, back, N, &diag), GLA_E_CORRUPT);
    stored[n] = 0;
    cr_expect_eq(gla__zstd_decode(&zstd, stored, n + 1, back, N, &diag), GLA_E_CORRUPT);
    memcpy(stored + n, stored, n);
    cr_expect_eq(gla__zstd_decode(&zstd, stored, 2 * n, back, N, &diag), GLA_E_CORRUPT);
    stored[n / 2] ^= 0x55;
    cr_expect(gla__zstd_decode(&zstd, stored, n, back, N, &diag) || memcmp(raw, back, N));
    gla__zstd_deinit(&zstd);
}
