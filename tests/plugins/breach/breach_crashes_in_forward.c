/* SPDX-License-Identifier: Apache-2.0 */
#define BEFORE_FORWARD *(volatile float *)(uintptr_t)(8 + s) = 1
#include "breach.h"
