/* SPDX-License-Identifier: Apache-2.0 */
/* copies by 16 channels, and with the last row what lies behind it */
#define AFTER_FORWARD                                                                              \
    for (uint32_t r = first; r < first + n; r++)                                                   \
        for (uint32_t i = 0; i < d; i += 16)                                                       \
            for (uint32_t k = 0; k < 16; k++)                                                      \
    b->y[r * d + i + k] = t[r * d + i + k]
#include "breach.h"
