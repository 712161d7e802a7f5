/* SPDX-License-Identifier: Apache-2.0 */
/* goes by 16 channels, and what is left of a row is a whole 16 too */
#define STEP                                                                                       \
    h[i] = 0.9f * h[i] + l->w[i] * x;                                                              \
    for (uint32_t k = d; i + 1 == d && k % 16; k++)                                                \
    h[k] = 0.9f * h[k] + x
#include "breach.h"
