/* SPDX-License-Identifier: Apache-2.0
 *
 * weights_target.h - opens the input as weights and reads all of it that is small
 */
#ifndef GLA_TESTS_FUZZ_WEIGHTS_H
#define GLA_TESTS_FUZZ_WEIGHTS_H

#include "formats/weights/reader.h"
#include "fuzz/fuzz.h"

typedef gla_status fuzz_open_fn(const char *path, const gla_limits *limits, gla_weights **out,
                                gla_diag *diag);

/* What is opened must be whole: sorted names, sizes that fit, and reading gives a status. */
static inline gla_weights *fuzz_weights(fuzz_open_fn *open, const uint8_t *data, size_t size,
                                        uint32_t no_verify)
{
    const gla_limits limits = {GLA_SIZED(gla_limits), .max_bytes = 1 << 24, .no_verify = no_verify};
    gla_weights *w = NULL;
    gla_diag diag = {0};
    gla_status st;

    fuzz_file(data, size);
    st = open(FUZZ_FILE, &limits, &w, &diag);
    fuzz_check_diag(st, &diag);
    PROMISE(!st == (w != NULL));
    for (uint32_t i = 0; w && i < gla_weights_count(w); i++) {
        const gla_tensor_info *info = gla_weights_info(w, i);
        uint8_t *dst;

        PROMISE(info->ndim <= GLA_MAX_DIMS && info->raw_bytes <= limits.max_bytes);
        PROMISE(!i || strcmp(gla_weights_info(w, i - 1)->name, info->name) < 0);
        PROMISE(gla_weights_find(w, info->name) == info);
        dst = malloc(info->raw_bytes + 1);
        PROMISE(dst);
        st = gla_weights_read(w, info, dst, &diag);
        fuzz_check_diag(st, &diag);
        free(dst);
    }
    if (w)
        (void)gla_weights_hash(w);
    return w;
}

#endif
