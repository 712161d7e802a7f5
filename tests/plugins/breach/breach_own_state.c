/* SPDX-License-Identifier: Apache-2.0 */
/* what belongs to a sequence is kept in the layer, where only the numbers show it */
#define FLAGS 0
static float own[4096];
#define STEP own[i] = 0.9f * own[i] + l->w[i] * x, h[i] = own[i]
#include "breach.h"
