/* SPDX-License-Identifier: Apache-2.0 */
#define OUTPUT(y, value)                                                                           \
    if (at % l->d)                                                                                 \
    y = value
#include "breach.h"
