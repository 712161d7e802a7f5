/* SPDX-License-Identifier: Apache-2.0 */
#define OUTPUT(y, value) y = (value) + 0.0f / (l->d - (float)l->d)
#include "breach.h"
