/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#define IN_CREATE exit(3)
#include "breach.h"
