/* SPDX-License-Identifier: Apache-2.0 */
#define IN_BIND ((float *)(uintptr_t)weights[0].data)[0] = 1
#include "breach.h"
