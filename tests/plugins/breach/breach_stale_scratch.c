/* SPDX-License-Identifier: Apache-2.0 */
#define BEFORE_FORWARD h[0] += n > 0 && t[0] > 1 ? 1.0f : 0.0f
#include "breach.h"
