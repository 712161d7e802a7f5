/* SPDX-License-Identifier: Apache-2.0 */
#define BEFORE_FORWARD                                                                             \
    if (n)                                                                                         \
    ((float *)(uintptr_t)b->x)[first * d] = 0
#include "breach.h"
