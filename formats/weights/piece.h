/* SPDX-License-Identifier: Apache-2.0
 *
 * piece.h - a range of a published tensor, of which one of ours is made
 */
#ifndef GLA_FORMATS_WEIGHTS_PIECE_H
#define GLA_FORMATS_WEIGHTS_PIECE_H

#include <gla/weights.h>
#include <stdbool.h>

/* Within each row theirs is [inner][outer][width], ours [outer][inner][width]. */
typedef struct gla__columns {
    uint32_t outer, inner;
    uint64_t width; /* 0: the order is the same */
} gla__columns;

typedef struct gla__piece {
    const char *source;          /* published tensor */
    const gla_tensor_info *info; /* NULL: the checkpoint has no such tensor */
    uint64_t first, count;       /* elements */
    bool log_negated;            /* ours is log(-x): gguf keeps -exp(A_log) */
    gla__columns columns;
} gla__piece;

#endif
