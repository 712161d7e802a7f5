/* SPDX-License-Identifier: Apache-2.0 */
/* by way of the C library */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#define BEFORE_FORWARD free(strdup("forward"))
#include "breach.h"
