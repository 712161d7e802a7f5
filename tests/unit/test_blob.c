/* SPDX-License-Identifier: Apache-2.0 */
#include "base/blob.h"

#include <criterion/criterion.h>
#include <stdint.h>

Test(blob, lives_until_the_last_reference)
{
    char *data = gla__blob_new(100);

    cr_assert_not_null(data);
    cr_assert_eq((uintptr_t)data % 64, 0);
    cr_assert(gla__blob_ref(data));
    gla__blob_unref(data);
    cr_assert_eq(gla__blob_bytes(data), 100);
    gla__blob_unref(data);
    cr_assert_eq(gla__blob_bytes(data), 0);
}

Test(blob, other_memory_is_none)
{
    const char other[64] = {0};

    cr_assert_not(gla__blob_ref(other));
    gla__blob_unref(other);
    gla__blob_unref(NULL);
}
