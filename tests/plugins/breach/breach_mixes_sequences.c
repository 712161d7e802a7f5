/* SPDX-License-Identifier: Apache-2.0 */
/* every text goes on where the one before it in the batch ends */
#define BEFORE_FORWARD                                                                             \
    if (s)                                                                                         \
        for (uint32_t j = 0; j < d; j++)                                                           \
    h[j] += gla_state_f32(b, s - 1, 0)[j]
#include "breach.h"
