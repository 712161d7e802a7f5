/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
static void *volatile taken; /* or the compiler leaves it out */
#define BEFORE_FORWARD taken = malloc(d), free(taken)
#include "breach.h"
