/* SPDX-License-Identifier: Apache-2.0 */
/* weights[1]: create() declared one */
#define IN_BIND l->w = (const float *)weights[1].data
#include "breach.h"
