/* SPDX-License-Identifier: Apache-2.0 */
#define IN_BIND return 7
#include "breach.h"
