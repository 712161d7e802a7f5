/* SPDX-License-Identifier: Apache-2.0 */
/* declares one number less than it uses */
#define STATE_NUMBERS(d) ((d)-1)
#include "breach.h"
