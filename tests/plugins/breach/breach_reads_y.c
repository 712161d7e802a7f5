/* SPDX-License-Identifier: Apache-2.0 */
#define OUTPUT(y, value) y += value
#include "breach.h"
