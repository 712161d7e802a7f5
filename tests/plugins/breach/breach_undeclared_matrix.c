/* SPDX-License-Identifier: Apache-2.0 */
#define IN_BIND                                                                                    \
    const uint32_t second = 1;                                                                     \
    return gla_make_linear(l->host, weights, 1, &second, NULL, &l->linear)
#include "breach.h"
