/* SPDX-License-Identifier: Apache-2.0 */
/* remembers in the object how many rows there were last */
#include <stdint.h>
#define BEFORE_FORWARD *(uint32_t *)(uintptr_t)&l->rows = n
#include "breach.h"
