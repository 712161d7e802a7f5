/* SPDX-License-Identifier: Apache-2.0 */
/* Its flags name no place where it may stand. */
#define NO_PLACE
#include "breach.h"
