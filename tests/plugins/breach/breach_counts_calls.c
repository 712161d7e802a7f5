/* SPDX-License-Identifier: Apache-2.0 */
/* other numbers at every call */
static float calls;
#define BEFORE_FORWARD calls += 1, h[0] += n ? calls : 0
#include "breach.h"
