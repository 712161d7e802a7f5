/* SPDX-License-Identifier: Apache-2.0 */
/* the form for many rows is not that for one */
#define STEP h[i] = (n > 1 && r ? 0.5f : 0.9f) * h[i] + l->w[i] * x
#include "breach.h"
