/* SPDX-License-Identifier: Apache-2.0 */
#define AFTER_FORWARD                                                                              \
    if (n)                                                                                         \
    b->y[first * d] += b->x[(size_t)b->n_rows * d]
#include "breach.h"
