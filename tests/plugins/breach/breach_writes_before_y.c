/* SPDX-License-Identifier: Apache-2.0 */
#define AFTER_FORWARD b->y[-1] = 1
#include "breach.h"
