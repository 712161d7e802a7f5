/* SPDX-License-Identifier: Apache-2.0 */
#define BEFORE_FORWARD gla_host_delete(l->host, gla_host_new(l->host, 64))
#include "breach.h"
