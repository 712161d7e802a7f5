/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
static uint32_t deeper(volatile uint32_t *n)
{
    volatile uint32_t room[4096];

    room[0] = *n + 1;
    return *n == UINT32_MAX ? 0 : deeper(room) + room[0];
}
#define BEFORE_FORWARD                                                                             \
    volatile uint32_t zero = 0;                                                                    \
    h[0] += (float)deeper(&zero)
#include "breach.h"
