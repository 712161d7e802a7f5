/* SPDX-License-Identifier: Apache-2.0 */
#define IN_CREATE l->own = (float *)gla_host_new(host, 64)
#include "breach.h"
