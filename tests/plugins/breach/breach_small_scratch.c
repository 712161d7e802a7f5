/* SPDX-License-Identifier: Apache-2.0 */
/* declares half of what it uses */
#define SCRATCH_NUMBERS(d) ((d) / 2)
#include "breach.h"
