/* SPDX-License-Identifier: Apache-2.0 */
#define AFTER_FORWARD b->y[(size_t)b->n_rows * d] = 1
#include "breach.h"
