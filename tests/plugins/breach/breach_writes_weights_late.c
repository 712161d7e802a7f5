/* SPDX-License-Identifier: Apache-2.0 */
#define BEFORE_FORWARD ((float *)(uintptr_t)l->w)[0] += 1
#include "breach.h"
